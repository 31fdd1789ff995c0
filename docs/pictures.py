"""Make the pictures of the READMEs, from a real run: `make pictures` (with PYTHONPATH=tests:., and pyte).

The real server, the real client on a pseudo-terminal, with prompt_toolkit, and two people opposite play a
short scene, once in each language; what is then on the screen is drawn (terminal_svg.py), light and dark.

A rerun draws the same: what the programs take for the time is what the scene says, and the server's port
is the usual one, which must be free.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from support import LineClient, Program
from support.terminal import Terminal
from terminal_svg import DARK, LIGHT, draw, screen_of

from charla.protocol.commands import Say, Tell

FOLDER = Path(__file__).resolve().parent / "pictures"

COLUMNS, ROWS = 80, 30

PORT = 9000

TITLE = "python3 client.py --nick ana"

# The programs, with another clock: the file that is named first has the time.
_CLOCKED = (
    "import pathlib, sys, time; clock = pathlib.Path(sys.argv.pop(1));"
    "time.time = lambda: float(clock.read_text());"
    "time.time_ns = lambda: int(time.time() * 10**9);"
    "import {module}; sys.exit({module}.main())"
)


@dataclass(frozen=True)
class Words:
    """What is said in the scene, in one language; and what the picture shows, for who cannot see it."""

    language: str
    hello: str
    answer: str
    from_nc: str
    private: str
    reply: str
    acted: str
    mistyped: str
    everywhere: str
    typing: str
    description: str


ENGLISH = Words(
    language="en",
    hello="good morning, everyone \N{WAVING HAND SIGN}",
    answer="hi ana! did you bring the notes? the class is at ten, in the small room next to the library",
    from_nc="greetings from a plain nc, nothing installed",
    private="the key is under the flowerpot",
    reply="/r thanks, nobody else can read that",
    acted="/me waters the sunflowers \N{SUNFLOWER}",
    mistyped="beot: and the code of the door?",
    everywhere="it speaks every script: ¿qué tal? こんにちは 안녕하세요",
    typing="beto: the code is still",
    description=(
        "Ana's terminal in a room with beto and eva: each line has its time and who said it, a long one goes "
        "on under its own text, and ana's own nick is marked in it. A private message says who speaks to "
        "whom. A private line to a nick that nobody has was not sent to anyone, and says so. Below, ana is "
        "typing to beto: the prompt says that it is private; and the status line has the server, her nick, "
        "how many are here, and that she is connected."
    ),
)
SPANISH = Words(
    language="es",
    hello="buenos días a todos \N{WAVING HAND SIGN}",
    answer="¡hola, ana! ¿traes los apuntes? la clase es a las diez, en el aula pequeña junto a la biblioteca",
    from_nc="saludos desde un simple nc, sin instalar nada",
    private="la llave está debajo de la maceta",
    reply="/r gracias, eso no lo puede leer nadie más",
    acted="/me riega los girasoles \N{SUNFLOWER}",
    mistyped="beot: ¿y el código de la puerta?",
    everywhere="aquí cabe cualquier escritura: how are you? こんにちは 안녕하세요",
    typing="beto: el código sigue siendo",
    description=(
        "La terminal de ana en una sala con beto y eva: cada línea tiene su hora y quién la dijo, una larga "
        "sigue debajo de su propio texto, y en ella está marcado el apodo de ana. Un mensaje privado dice "
        "quién habla a quién. Una línea privada a un apodo que nadie tiene no se envió a nadie, y así se "
        "dice. Abajo, ana le está escribiendo a beto: el indicador dice que es privado; y la línea de estado "
        "tiene el servidor, su apodo, cuántos hay y que está conectada."
    ),
)
LANGUAGES = (ENGLISH, SPANISH)


class Clock:
    """What the programs take for the time: 20 November 2026, and `set` says when."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.set("10:14")

    def set(self, time: str) -> None:
        hour, minute = map(int, time.split(":"))
        draft = self.path.with_suffix(".new")
        draft.write_text(str(datetime(2026, 11, 20, hour, minute, tzinfo=timezone.utc).timestamp()))
        os.replace(draft, self.path)  # it is being read all the time


def play(words: Words, folder: Path) -> bytes:
    """Play the scene; return all that was printed on ana's terminal.  `folder` is for files of ours."""
    clock = Clock(folder)

    def clocked(module: str) -> tuple[str, ...]:
        return ("-c", _CLOCKED.format(module=module), str(clock.path), "--lang", words.language)

    with ExitStack() as stack:
        server = stack.enter_context(Program(*clocked("server"), "--port", str(PORT)))
        server.wait_for_line(rf":{PORT}\b")
        environment = {"TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder)}
        options = ("--nick", "ana", "--console", "prompt")
        ana = stack.enter_context(
            Terminal(*clocked("client"), *options, columns=COLUMNS, rows=ROWS, environment=environment)
        )
        ana.wait_for("1 ")
        beto, eva = (stack.enter_context(LineClient(("127.0.0.1", PORT))) for _ in range(2))
        seen = _watch(ana)
        beto.join_native("beto")
        seen("beto")
        ana.enter(words.hello)
        seen(words.hello)
        clock.set("10:15")
        beto.ask(Say(words.answer, 1))
        seen(words.answer)
        eva.send(f"eva\n{words.from_nc}\n")
        seen(words.from_nc)
        clock.set("10:16")
        beto.ask(Tell("ana", words.private, 2))
        seen(words.private)
        ana.enter(words.reply)
        seen(words.reply.removeprefix("/r "))
        eva.send(f"{words.acted}\n")
        seen(words.acted.removeprefix("/me "))
        clock.set("10:17")
        ana.enter(words.mistyped)
        seen(words.mistyped)
        beto.ask(Say(words.everywhere, 3))
        seen(words.everywhere)
        ana.type(words.typing)
        seen(words.typing)
        return ana.printed


def _watch(terminal: Terminal) -> Callable[[str], None]:
    """Return what waits until a text is on the screen, perhaps on several rows, and nothing is being sent."""

    def seen(text: str) -> None:
        words = [re.escape(word) for word in text.split()]
        pattern = re.compile(r"\s+".join(words))
        terminal.wait_until(lambda: pattern.search("\n".join(terminal.rows())), repr(text))

    return seen


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for words in LANGUAGES:
        with tempfile.TemporaryDirectory() as folder:
            printed = play(words, Path(folder))
        screen = screen_of(printed, COLUMNS, ROWS)
        for theme in (LIGHT, DARK):
            path = FOLDER / f"{words.language}-{theme.name}.svg"
            path.write_text(draw(screen, theme, TITLE, words.description), encoding="utf-8")
            print(path.relative_to(FOLDER.parent.parent))


if __name__ == "__main__":
    main()
