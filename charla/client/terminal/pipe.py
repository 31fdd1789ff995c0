"""The console of scripts: lines in, lines out, no terminal."""

from __future__ import annotations

import collections
import os
import sys

from charla.client.terminal.console import Interruptible, Typing, write
from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.text import MAX_LINE


class PipeConsole(Interruptible):
    """For scripts: lines from standard input, messages to standard output, nothing else to either."""

    interactive = False
    keeps_text = False

    def __init__(self, longest: int = MAX_LINE) -> None:
        super().__init__()
        self._framer = LineFramer(longest)  # main thread, like what follows
        self._lines: collections.deque[bytes | None] = collections.deque()  # read, and not asked for yet

    def read_line(self, typing: Typing, text: str = "") -> str:  # noqa: ARG002 - nobody would see it
        while not self._lines:
            with self._may_be_interrupted():
                data = os.read(sys.stdin.fileno(), 65536)
            if not data and not self._framer.unfinished:
                raise EOFError
            self._lines.extend(self._framer.feed(data or b"\n"))  # a file's last line may have no end
        return decode_line(self._lines.popleft())

    def read_secret(self, prompt: str) -> str:  # noqa: ARG002 - nobody would see it
        raise EOFError

    def forget_line(self) -> None:
        pass

    def drop_typed(self) -> None:
        pass

    def show(self, lines: list[str]) -> None:
        write("".join(f"{line}\n" for line in lines))

    def ring(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def width(self) -> int:
        return 0
