"""What is typed and what arrives, at full load: 200 messages a second while somebody types, edits and sends.

On both consoles, on a real pseudo-terminal.  Opposite is a native client that talks, and reads all there is.
What it has seen, in the room's order, laid out as `Screen` does it: exactly that has to be on the terminal.
"""

from __future__ import annotations

import random
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from support import DEADLINE, LineClient, ServerProgram
from support.clients import ConsoleKind, Start
from support.terminal import Line, Terminal

from charla.client.display.screen import Screen
from charla.protocol.commands import Say
from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.messages import Message, Said
from charla.protocol.native import NATIVE

RATE = 200
"""Messages a second."""

LINES = 30
"""Lines that are typed."""

PROMPT = "ana> "

STATUS = r" (.* · )?2 here · connected( · nothing unsent)?"
"""What stands below it in a row of its own, with prompt_toolkit."""

LAST = "m99999"
"""Beto's last words."""

_WORDS = (
    "hola",
    "ñandú",
    "pingüino",
    "日本語",
    "한국어",
    "😀",
    "¿qué?",
    "the",
    "quick",
    "fox",
    "x" * 30,
    "¡vale!",
)


@pytest.fixture
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the local time be that of the clients."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


class Beto:
    """Talks in a thread of his own, and reads all that there is in the room.

    `said` is written by the thread, and read by the test; `seen` is the test's when the thread has ended.
    """

    def __init__(self, client: LineClient) -> None:
        self._client, self._sock = client, client.sock
        self._framer = LineFramer()
        self._choose = random.Random(3)
        self._enough = threading.Event()
        self.said = 0
        self.seen: list[Message] = []
        self._thread = threading.Thread(target=self._talk, name="beto")
        self._thread.start()

    def _talk(self) -> None:
        due = time.monotonic()
        while not self._enough.is_set():
            self._read(due - time.monotonic())
            while time.monotonic() >= due:
                due += 1 / RATE
                self._say(f"m{self.said:05} {self._text()} fin")
        self._say(LAST)
        end = time.monotonic() + DEADLINE
        while not any(isinstance(message, Said) and message.text == LAST for message in self.seen[-20:]):
            assert time.monotonic() < end, "his last has not come back"
            self._read(1.0)

    def _read(self, timeout: float) -> None:
        if select.select([self._sock], [], [], max(0.0, timeout))[0]:
            lines = self._framer.feed(self._sock.recv(65536))
            self.seen += [NATIVE.decode(decode_line(line)) for line in lines]

    def _say(self, text: str) -> None:
        self._client.ask(Say(text, self.said + 1))
        self.said += 1

    def _text(self) -> str:
        return self._choose.choice("  \n").join(self._choose.choices(_WORDS, k=self._choose.randrange(12)))

    def stop(self) -> None:
        """Let him say his last; all that the room has had until then is in `seen`."""
        self._enough.set()
        self._thread.join(DEADLINE)


class Ana:
    """Somebody at a terminal; `line` is what she has typed."""

    def __init__(self, terminal: Terminal, console: ConsoleKind, columns: int) -> None:
        self._terminal, self._columns = terminal, columns
        self._status = STATUS if console == "prompt" else ""
        self.line = Line()

    def press(self, *keys: str) -> None:
        """Press keys, one by one, without looking."""
        for key in keys:
            self._terminal.type(self.line.press(key))

    def enter(self) -> str:
        """Send the line, and return it; she goes on without looking."""
        self._terminal.key("enter")
        text, self.line = self.line.text, Line()
        return text

    def _is_right(self) -> bool:
        """Say whether prompt, text and cursor are as they must be, and nothing else is below."""
        rows, (y, x) = self._terminal.rows(), self._terminal.cursor
        if x == self._columns:  # behind the last column: the next character goes on the next row
            y, x = y + 1, 0
        expected, (below, column) = self.line.laid_out(PROMPT, self._columns)
        first = y - below
        last = first + max(len(expected), below + 1)
        right = first >= 0 and rows[first : first + len(expected)] == expected and x == column
        return right and re.fullmatch(self._status, "".join(rows[last:])) is not None

    def look(self, since: int = -1) -> None:
        """Wait until the line is as it must be, and message `since` is on the screen: all was drawn anew."""
        self._terminal.wait_until(
            lambda: self._newest() >= since and self._is_right(),
            f"{self.line.laid_out(PROMPT, self._columns)}, status {self._status!r}, and m{since:05}",
        )

    def _newest(self) -> int:
        return max(
            (int(n) for row in self._terminal.rows() for n in re.findall(r"\bm(\d{5})", row)), default=-1
        )


@pytest.mark.usefixtures("_utc")
@pytest.mark.parametrize("columns", [20, 80, 200])
@pytest.mark.parametrize("console", ["stock", "prompt"])
def test_thirty_lines_are_typed_while_two_hundred_messages_a_second_arrive(
    start_program: Callable[..., ServerProgram],
    connect: Callable[..., LineClient],
    stack: ExitStack,
    console: ConsoleKind,
    columns: int,
) -> None:
    server = start_program("--rate-limit", "0")
    terminal = Start(stack)(server, "--nick", "ana", console=console, columns=columns)
    ana = Ana(terminal, console, columns)
    terminal.wait_for("1 here")
    client = connect(server)
    client.join_native("beto")
    ana.look()
    beto = Beto(client)
    sent = []
    choose = random.Random(columns)
    try:
        for number in range(LINES):
            ana.press(*f"línea {number} de ana ")
            ana.press(*choose.choices("abc ñé日本😀", k=choose.randrange(60)))
            for _ in range(4):
                ana.look(since=beto.said)
                ana.press(*_edit(choose))
            ana.look(since=beto.said)
            sent.append(ana.enter())
        ana.look()
    finally:
        beto.stop()
    ana.look(since=99999)
    assert [m.text for m in beto.seen if isinstance(m, Said) and m.nick == "ana"] == sent
    # Nothing is garbled: each message is there once, in order, whole, and nothing else.
    screen = Screen(lambda: columns, color=False)
    expected = [row.rstrip() for message in beto.seen for row in screen.lines(message, "ana")]
    rows = terminal.all_rows()
    joined = next(number for number, row in enumerate(rows) if "beto joined" in row)
    prompt = len(rows) - 1 - rows[::-1].index(PROMPT.rstrip())
    assert rows[joined + 1 : prompt] == expected


def _edit(choose: random.Random) -> list[str]:
    """Return the keys of a change in the middle of a line, by their names."""
    some = choose.choices("xyñ漢😀", k=choose.randrange(1, 5))
    return choose.choice(
        [
            ["left"] * choose.randrange(1, 8) + some,
            ["home", *["right"] * choose.randrange(6), *some],
            ["left"] * choose.randrange(4) + ["backspace"] * choose.randrange(1, 5),
            ["home", *["right"] * choose.randrange(6), *["delete"] * choose.randrange(1, 4)],
            ["end", *some],
        ]
    )
