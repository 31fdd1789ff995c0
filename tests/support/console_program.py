"""A program that does nothing but use a console: what is typed it shows, and some words it obeys.

`python tests/support/console_program.py KIND [STATUS]`, KIND as for `open_console`; run on a terminal by the
tests.  Its exit status tells how the last line ended.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from charla.client.terminal.choose import open_console
from charla.client.terminal.console import Console, Question, Stopped, Terminated
from charla.protocol.text import Refused

EOF, INTERRUPTED, TERMINATED, STOPPED = 0, 3, 4, 5

NAMES = ["beto", "bea", "berta", "ñandú"]

GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


class Talk:
    """What the console asks, and what the program does with a line."""

    def __init__(self, console: Console, status: str) -> None:
        self._console = console
        self._status = status
        self._text = ""  # what the next line begins with
        self.remembered = True

    def prompt(self, typed: str) -> str:
        match typed:
            case "!stop":
                threading.Thread(target=self._console.stop, daemon=True).start()
            case "!crash":
                raise ValueError("a mistake in the program")
        return "to beto> " if typed.startswith("beto:") else "ana> "

    def status(self) -> str:
        return self._status

    def shown(self) -> None:
        pass

    def complete(self, before: str) -> list[str]:
        word = before.split(" ")[-1]
        return [f"{name} " for name in NAMES if name.startswith(word.lower())]

    def run(self) -> None:
        while True:
            text, self._text = self._text, ""
            try:
                line = self._console.read_line(self, text)
            except Refused as refused:
                self._console.show([f"refused {refused.code}"])
                continue
            self._do(*line.split(" "), line=line)

    def _do(self, word: str, *arguments: str, line: str) -> None:
        show = self._console.show
        match word:
            case "!flood":
                threading.Thread(target=self._flood, args=map(int, arguments), daemon=True).start()
            case "!secret":
                show([f"secret {self._console.read_secret('Password: ')!r}"])
            case "!ask":
                try:
                    show([f"answer {self._console.read_line(Question('Sure? '))!r}"])
                except Terminated:
                    raise
                except KeyboardInterrupt:
                    show(["no answer"])
            case "!keep":
                self._text = " ".join(arguments)
            case "!forget":
                self._console.forget_line()
                show(["forgotten"])
            case "!drop":
                show(["waiting"])
                _wait_for(arguments[0])
                self._console.drop_typed()
                show(["dropped"])
            case "!busy":
                show(["busy"])
                _wait_for(arguments[0])
            case "!held":
                with self._console.uninterrupted():
                    show(["held"])
                    _wait_for(arguments[0])
                    show(["let go"])
                    show(["and all the rest"])
            case "!stop":
                self._console.stop()
            case "!bell":
                self._console.ring()
            case "!clear":
                self._console.clear()
            case "!status":
                self._status = " ".join(arguments)
            case _:
                show([f"said {line!r}"])

    def _flood(self, rate: int, count: int) -> None:
        begin = time.monotonic()
        for number in range(count):
            self._console.show([f"{GREEN}beto{PLAIN}: {number} ñ 你好"])
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        self._console.show(["flood done"])


def _wait_for(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.005)


def main(kind: str, status: str = "") -> int:
    """Run the program; return its exit status."""
    console = open_console(kind=kind)
    console.open()
    try:
        Talk(console, status).run()
    except EOFError:
        return EOF
    except Stopped as stopped:
        console.show([f"stopped {stopped.typed!r}"])
        return STOPPED
    except Terminated:
        return TERMINATED
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        console.close()
    raise AssertionError("`run` ends with an exception")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
