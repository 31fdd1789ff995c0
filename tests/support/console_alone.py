"""A console without a client: a program for tests, told by them what arrives, and telling what it read.

    python3 tests/support/console_alone.py PORT KIND

It connects to PORT and takes commands there, one JSON list a line: ["show", "a line", ...], ["ring"],
["stop"], ["nick", "eva", "a line", ...], ["fail"].  What it reads goes back the same way: ["line", "hola"],
["end"]...  KIND is what `open_console` is to find: see CONSOLES.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

RECENT = ["beto", "Berta", "ñandú", "李雷"]
"""Nicks to complete, the best first."""


def _gnu() -> None:
    pass


def _no_gnu() -> None:
    """Readline, but none of GNU's calls."""
    from charla.client.terminal.gnu_readline import GnuReadline

    setattr(GnuReadline, "find", lambda: None)  # noqa: B010 - types would not have it


def _no_readline() -> None:
    sys.modules["readline"] = None  # type: ignore[assignment]


CONSOLES: dict[str, Callable[[], None]] = {
    "gnu": _gnu,
    "no gnu": _no_gnu,
    "no readline": _no_readline,
    "plain": _gnu,
    "plain, no gnu": _no_gnu,
    "plain, no readline": _no_readline,
}


class Room:
    """The Typing of the tests: it is private while a line begins with a nick and a colon."""

    remembered = True

    def __init__(self) -> None:
        self.nick = "ana"  # the thread of the commands writes
        self.fails = False  # likewise

    def prompt(self, typed: str) -> str:
        if self.fails:
            raise ZeroDivisionError("a fault in the prompt")
        assert threading.current_thread() is threading.main_thread()
        to, colon, _text = typed.partition(":")
        if not colon:
            return f"{self.nick}> "
        return f"{self.nick} -> {to} (private)> " if to in RECENT else f"{self.nick} -> nobody> "

    def status(self) -> str:
        return ""

    def shown(self) -> None:
        pass

    def complete(self, before: str) -> list[str]:
        if before.endswith("fail"):
            raise ZeroDivisionError("a fault in the completion")
        *others, word = before.split(" ")
        end = " " if others else ": "
        return [nick + end for nick in RECENT if nick.lower().startswith(word.lower())]


def main(port: int, kind: str) -> None:
    CONSOLES[kind]()
    from charla.client.terminal.choose import open_console
    from charla.client.terminal.console import Question, Stopped
    from charla.protocol.text import Refused

    connection = socket.create_connection(("127.0.0.1", port))

    def tell(*what: Any) -> None:
        connection.sendall(json.dumps(what).encode() + b"\n")

    console = open_console(plain=kind.startswith("plain"), kind="stock")
    room = Room()
    go_on = threading.Event()

    def obey() -> None:
        for line in connection.makefile():
            match json.loads(line):
                case ["show", *lines]:
                    console.show(lines)
                case ["flood", begin, count]:
                    for number in range(count):
                        console.show([f"{begin}{number}"])
                case ["ring"]:
                    console.ring()
                case ["nick", nick, *lines]:
                    room.nick = nick
                    console.show(lines)
                case ["fail"]:
                    room.fails = True
                    console.show([])
                case ["go on"]:
                    go_on.set()
                case ["stop"]:
                    console.stop()
            tell("done")

    text = ""
    try:
        console.open()
        threading.Thread(target=obey, daemon=True).start()
        while True:
            try:
                line = console.read_line(room, text)
                text = ""
                tell("line", line)
                match line.split(" ", 1):
                    case ["/clear"]:
                        console.clear()
                    case ["/secret"]:
                        tell("secret", console.read_secret("Password: "))
                    case ["/forget", *_]:
                        console.forget_line()
                    case ["/ask"]:
                        tell("answer", console.read_line(Question("Nickname: ")))
                    case ["/again", text]:
                        pass
                    case ["/wait"]:
                        go_on.wait()
                    case ["/exit"]:
                        break
            except Refused as refused:
                tell("refused", refused.code)
    except EOFError:
        tell("end")
    except Stopped as stopped:
        tell("stopped", stopped.typed)
    except KeyboardInterrupt as interrupt:
        tell("interrupted", type(interrupt).__name__)
    finally:
        console.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # the thread still reads its commands
