"""The console for people on Windows, with what stock Python has there: input(), which nothing interrupts.

Until a key is pressed, which msvcrt tells, what arrives is printed at once; then input() reads the line,
and what arrives meanwhile is held back until Enter.  Only the main thread writes.
"""

from __future__ import annotations

import importlib
import threading
import time
from types import FrameType
from typing import Any

from charla.client.terminal.console import MAIN_THREAD, Question, Stopped, Typing, enable_colors, write
from charla.client.terminal.terminal_console import TerminalConsole, scroll_off
from charla.protocol.text import Refused

msvcrt: Any = importlib.import_module("msvcrt")  # typed on Windows alone

LOOK_AFTER = 0.02
"""Seconds after which it is looked whether a key was pressed: unnoticed by who presses it."""

_CTRL_C, _CTRL_D, _CTRL_Z, _CTRL_U = "\x03", "\x04", "\x1a", "\x15"
_FUNCTION_KEYS = "\0\xe0"  # getwch: arrow keys and the like send one of these, and one character more


class WindowsConsole(TerminalConsole):
    """For people: see the module's text.  `plain`: nothing is printed over, and there are no prompts."""

    keeps_text = False

    def __init__(self, plain: bool = False) -> None:
        super().__init__()
        self._plain = plain
        self._erases = False  # main thread: whether the terminal can erase a row

    def _set_up(self) -> None:
        self._erases = not self._plain and enable_colors()

    def read_line(self, typing: Typing, text: str = "") -> str:  # noqa: ARG002 - input() begins with none
        self._typing = typing
        with self._may_be_interrupted():
            self._wait_for_key()
            try:
                return input()
            except UnicodeDecodeError:
                raise Refused("not-utf8") from None

    def read_secret(self, prompt: str) -> str:
        self._typing = Question(prompt)
        typed = ""
        with self._may_be_interrupted():
            while True:
                self._wait_for_key(drawn=bool(typed))
                key = msvcrt.getwch()
                if key in _FUNCTION_KEYS:
                    msvcrt.getwch()
                elif key in "\r\n":
                    write("\n")
                    return typed
                elif key == _CTRL_C:
                    raise KeyboardInterrupt
                elif key in (_CTRL_D, _CTRL_Z) and not typed:
                    raise EOFError
                elif key == "\b":
                    typed = typed[:-1]
                else:
                    typed = "" if key == _CTRL_U else typed + key

    def _wait_for_key(self, drawn: bool = False) -> None:
        """Print what arrives until a key is pressed; `drawn`: the prompt is there already."""
        with self._undisturbed():
            if not drawn:
                self._print_arrived()
                write(self._prompt())
        while not msvcrt.kbhit():
            if self._stopped:
                write("\n")
                raise Stopped
            if self._undrawn:
                with self._undisturbed():
                    self._draw()
            time.sleep(LOOK_AFTER)

    def _prompt(self) -> str:
        shown = not self._plain or isinstance(self._typing, Question)
        return self._typing.prompt("") if shown else ""

    def _draw(self) -> None:
        prompt = self._prompt()
        if self._erases:
            write("\r\x1b[K")
        elif prompt and self._arrived:
            write("\n")
        if self._erases or self._arrived:
            self._print_arrived()
            write(prompt)
        else:
            self._undrawn = False
            write(self._due_bell())

    def _draw_soon(self) -> None:
        self._undrawn = True
        if threading.get_ident() == MAIN_THREAD:
            with self._undisturbed():
                self._print_arrived()

    def clear(self) -> None:
        with self._undisturbed():
            self._print_arrived()
            write(scroll_off(self.height()) if self._erases else "\n" * self.height())

    def forget_line(self) -> None:
        """Windows keeps what was typed, for its arrow keys, and gives nobody a way to it."""

    def drop_typed(self) -> None:
        while msvcrt.kbhit():
            msvcrt.getwch()

    def stop(self) -> None:
        """Nothing wakes input(): it is noticed before the next key, or behind the line."""
        self._stopped = True

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        pass

    def _suspend(self) -> None:
        pass
