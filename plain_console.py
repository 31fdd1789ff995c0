"""The console for screen readers, and for terminals that can do nothing (TERM=dumb): words in a row.

Nothing that was printed is ever printed over, and no escape sequence is used: a screen reader reads what
is new, once.  What arrives is printed at once while nothing is typed; while something is, it waits for
Enter.  The terminal's own line mode cannot tell whether something is typed, and an editor draws the line
again: so here each key is taken and echoed as that mode does it.

    Backspace, Ctrl+W, Ctrl+U     take a character, a word or all of it away
    Tab                           completes the last word; again: with the next that fits
    arrows up and down            the lines before
    Ctrl+C, Ctrl+D, Ctrl+Z        as everywhere

When what is typed changes otherwise than at its end it is printed anew, on a row of its own.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import sys
import termios
import threading
from types import FrameType

from console import MAIN_THREAD, Question, Stopped, Typing, write
from keyboard import KEY_SEQUENCE, keys_one_by_one
from messages import Refused
from terminal_console import TerminalConsole
from widths import cluster_end, display_width

_UP, _DOWN = (b"\x1b[A", b"\x1bOA"), (b"\x1b[B", b"\x1bOB")

_LONGEST_SEQUENCE = 32
"""Bytes: what is longer than any key sends is none."""


class PlainConsole(TerminalConsole):
    """For people who hear what is on the screen: see the module's text."""

    keeps_text = True

    def __init__(self) -> None:
        super().__init__()
        self._waker = self._woken = -1  # a pipe: any thread writes to the one, main waits for the other
        self._echoes = True  # main thread, like what follows: where the terminal does not, nor do we
        self._typed = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._sequence = b""  # what has come of one that a key sends
        self._history: list[str] = []
        self._recalled = 0  # the number in the history of what was asked for last
        self._in_history = False  # whether the last line is
        self._completed = ""  # what was typed when Tab was pressed first, of several times
        self._tabs = 0  # times it has been pressed since

    def _set_up(self) -> None:
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        assert self._terminal_mode is not None
        self._echoes = bool(self._terminal_mode[3] & termios.ECHO)  # not in an Emacs shell
        self._take_terminal()

    def close(self) -> None:
        super().close()
        with contextlib.suppress(OSError):  # never opened
            os.close(self._woken)
            os.close(self._waker)

    def _take_terminal(self) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, keys_one_by_one(self._terminal_mode or []))

    # ---- reading ---------------------------------------------------------------------------------

    def read_line(self, typing: Typing, text: str = "") -> str:
        self._typing = typing
        self._in_history = False
        line = self._read(text)
        if re.search("[\udc80-\udcff]", line):  # what the decoder makes of wrong bytes
            raise Refused("not-utf8")
        self._in_history = typing.remembered and bool(line.strip())
        if self._in_history and self._history[-1:] != [line]:
            self._history.append(line)
        return line

    def read_secret(self, prompt: str) -> str:
        self._typing = Question(prompt)
        self._secret = True
        try:
            return self._read("").encode(errors="surrogateescape").decode(errors="replace")
        except BaseException:
            # What is left of it must not be taken for a line to the room, or to the shell.
            self.drop_typed()
            raise
        finally:
            self._typed = ""
            self._secret = False

    def forget_line(self) -> None:
        if self._in_history:
            self._history.pop()
        self._in_history = False

    def _read(self, text: str) -> str:
        self._typed, self._completed, self._tabs = text, "", 0
        self._recalled = len(self._history)
        self._decoder.reset()
        try:
            with self._may_be_interrupted():
                with self._undisturbed():
                    self._print_arrived()
                    write(self._prompt() + text)
                while True:
                    ready, _, _ = select.select([sys.stdin.fileno(), self._woken], [], [])
                    with self._undisturbed():
                        if self._woken in ready:
                            os.read(self._woken, 4096)
                            self._print_if_nothing_typed()
                        if sys.stdin.fileno() in ready and self._take(os.read(sys.stdin.fileno(), 1)):
                            return self._typed
        except BaseException:
            write("\n")
            raise

    def _prompt(self) -> str:
        """Return what is asked for; nothing for the room, where one types as one likes."""
        return self._typing.prompt("") if isinstance(self._typing, Question) else ""

    def _take(self, key: bytes) -> bool:
        """Do what a key is for; return whether it ends the line.  EOFError: Ctrl+D, hung up."""
        if not key or (key == b"\x04" and not self._typed):
            raise EOFError
        if key == b"\x1b" or self._sequence:
            self._sequence += key
            if KEY_SEQUENCE.fullmatch(self._sequence) or len(self._sequence) > _LONGEST_SEQUENCE:
                self._recall(self._sequence)
                self._sequence = b""
            return False
        if key in b"\r\n":
            write("\n")
            return True
        if key != b"\t":
            self._tabs = 0
        if key == b"\t":
            self._complete()
        elif key in b"\x7f\b":
            self._rub_out()
        elif key == b"\x15":
            self._replace("")
        elif key == b"\x17":
            self._replace(re.sub(r"\S*\s*\Z", "", self._typed))
        else:
            text = self._decoder.decode(key)
            if text and (ord(text[0]) > 0x1F):
                self._replace(self._typed + text)
        return False

    def _replace(self, text: str) -> None:
        """Let `text` be what is typed; print what is new at its end, or all of it on a new row."""
        before, self._typed = self._typed, text
        if text.startswith(before):
            self._echo(text[len(before) :])
        else:
            self._echo("\n" + self._prompt() + text)
        if not text:
            self._print_if_nothing_typed()

    def _rub_out(self) -> None:
        """Take the last character away, as people see characters."""
        if not self._typed:
            return
        start = end = 0
        while end < len(self._typed):
            start, end = end, cluster_end(self._typed, end)
        columns = self.width()
        column = display_width(self._prompt() + self._typed) % columns
        width = display_width(self._typed[start:])
        if self._secret or 0 < width <= column:
            self._typed = self._typed[:start]
            self._echo("\b" * width + " " * width + "\b" * width)
            if not self._typed:
                self._print_if_nothing_typed()
        else:  # no terminal goes back to the row above
            self._replace(self._typed[:start])

    def _complete(self) -> None:
        if self._secret:
            return
        if not self._tabs:
            self._completed = self._typed
        candidates = self._typing.complete(self._completed)
        if candidates:
            words_before = re.sub(r"[^ \t\n]*\Z", "", self._completed)
            self._replace(words_before + candidates[self._tabs % len(candidates)])
            self._tabs += 1

    def _recall(self, sequence: bytes) -> None:
        """Go back or forth in the history, if that is what the key is for."""
        step = -1 if sequence in _UP else 1 if sequence in _DOWN else 0
        number = self._recalled + step
        if step and not self._secret and 0 <= number <= len(self._history):
            self._recalled = number
            self._replace([*self._history, ""][number])

    def _echo(self, text: str) -> None:
        if self._echoes and not self._secret:
            write(text)

    # ---- what arrives ----------------------------------------------------------------------------

    def clear(self) -> None:
        with self._undisturbed():
            self._print_arrived()
            write("\n" * self.height())

    def _draw_soon(self) -> None:
        self._undrawn = True
        if threading.get_ident() == MAIN_THREAD:
            with self._undisturbed():
                self._print_arrived()
        else:
            with contextlib.suppress(BlockingIOError):  # full: it will be woken
                os.write(self._waker, b"\0")

    def _print_if_nothing_typed(self) -> None:
        if self._typed and not self._secret:
            write(self._due_bell())
        elif self._arrived:
            prompt = self._prompt()
            write("\n" if prompt else "")
            self._print_arrived()
            write(prompt)
        else:
            write(self._due_bell())

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._reading or self._drawing:
            return
        self._raise_if_interrupted()
        if self._to_suspend:
            self._suspend()
        if self._stopped:
            self._reading = False  # once is enough: nothing must break into what follows
            raise Stopped("" if self._secret else self._typed)

    def _suspend(self) -> None:
        with self._undisturbed():
            self._stop_and_come_back()
            if self._reading:
                write(self._prompt())
                self._echo(self._typed)
