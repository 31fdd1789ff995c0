"""What the consoles for people have in common: what arrives waits here until the main thread draws it.

Only the main thread writes to the terminal; `show` and `ring`, from any thread, leave what they want in
a queue, and wake it.  While it draws, no signal interrupts it: half a line would be lost.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from charla.client.terminal.console import Interruptible, Question, Typing, interruption, write

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

# Terminals that wrap anew what is on the screen when their window is resized, by what they say of themselves.
_REWRAPPING = (
    "TMUX",
    "VTE_VERSION",
    "KONSOLE_VERSION",
    "KITTY_WINDOW_ID",
    "ALACRITTY_WINDOW_ID",
    "TERM_PROGRAM",
    "WT_SESSION",
)

_WIDTH, _HEIGHT = 80, 24
"""Columns and rows of a terminal that does not tell: what most have at least."""


class TerminalConsole(Interruptible):
    """The queue, the terminal's mode, and Ctrl+Z."""

    interactive = True

    def __init__(self) -> None:
        super().__init__()
        self._arrived: collections.deque[str] = collections.deque()  # any thread appends, main takes
        self._undrawn = False  # set by any thread, cleared by the main one when it has drawn
        self._bell = False  # likewise: it is to be rung with the next drawing
        self._drawing = False  # main thread, like everything below
        self._to_suspend = False  # Ctrl+Z came while something was drawn
        self._continued = False  # fg came since Ctrl+Z
        self._secret = False  # what is read now is not to be seen
        self._typing: Typing = Question("")
        self._terminal_mode: list[Any] | None = None  # as it was before `open`

    def open(self) -> None:
        self._drawing = True  # Ctrl+C waits: who has not opened it yet does not close it
        super().open()
        if termios is not None:
            self._terminal_mode = termios.tcgetattr(sys.stdin)
        if hasattr(signal, "SIGTSTP"):
            self._previous_handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._on_ctrl_z)
            self._previous_handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._on_continue)
        self._set_up()
        self._drawing = False

    def _set_up(self) -> None:
        """Take over the terminal, when the signals have been."""

    def close(self) -> None:
        self._drawing = True  # for good: nothing interrupts what follows
        try:
            self._print_arrived()
        finally:
            if self._terminal_mode is not None:
                # FLUSH: what was typed or pasted for the room must not become commands to the shell.
                self._give_terminal_back(termios.TCSAFLUSH)
            super().close()

    def width(self) -> int:
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or _WIDTH
        except OSError:
            return _WIDTH

    def height(self) -> int:
        """Return the rows of the window."""
        try:
            return os.get_terminal_size(sys.stdout.fileno()).lines or _HEIGHT
        except OSError:
            return _HEIGHT

    def drop_typed(self) -> None:
        if termios is not None:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    # ---- what arrives ----------------------------------------------------------------------------

    def show(self, lines: list[str]) -> None:
        self._arrived.extend(lines)
        self._draw_soon()

    def ring(self) -> None:
        self._bell = True
        self._draw_soon()

    def _draw_soon(self) -> None:
        """Have the main thread draw what is to be drawn.  Any thread."""
        raise NotImplementedError

    def _print_arrived(self) -> None:
        """Print what has arrived, and ring.  Main thread, undisturbed, the line not on the screen."""
        self._undrawn = False  # before looking: what comes after it is drawn again
        text = ""
        while self._arrived:
            text += self._arrived.popleft() + "\n"
        write(text + self._due_bell())
        self._typing.shown()

    def _due_bell(self) -> str:
        due, self._bell = self._bell, False
        return "\a" if due else ""

    # ---- signals ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let no signal draw meanwhile; and Ctrl+C wait, or it would lose lines half printed."""
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False
        if self._to_suspend:
            self._suspend()
        self._raise_if_interrupted()

    def _is_busy(self, frame: FrameType | None) -> bool:  # noqa: ARG002
        """Whether a signal that comes in `frame` has to wait."""
        return self._drawing

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_busy(frame):
            self._interrupted = interruption(number)
        else:
            super()._interrupt(number, frame)

    def _on_ctrl_z(self, _number: int, frame: FrameType | None) -> None:
        """Stop, but not in the middle of a write: its buffer cannot be used twice at a time."""
        if self._is_busy(frame):
            self._to_suspend = True
        else:
            self._suspend()

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._continued = True

    def _suspend(self) -> None:
        """Give the terminal back as it was, stop, and take it again."""
        raise NotImplementedError

    def _stop_and_come_back(self) -> None:
        """Stop, as Ctrl+Z asks for; the terminal meanwhile as it was before `open`."""
        self._to_suspend = self._continued = False
        # Where a program around us (make, a script) stopped sooner, the shell has the terminal already: then
        # this stops us, too (SIGTTOU), and it goes on when we are to go on.
        self._give_terminal_back(termios.TCSADRAIN)
        if not self._continued:
            os.kill(0, signal.SIGSTOP)  # with what is around us: the shell waits for all of it
        self._take_terminal()

    def _take_terminal(self) -> None:
        """Put the terminal into the mode that this console wants."""

    def _give_terminal_back(self, when: int) -> None:
        """Put the terminal into the mode that it had before `open`; `when` as in termios.tcsetattr."""
        with contextlib.suppress(termios.error):  # it is gone
            termios.tcsetattr(sys.stdin, when, self._terminal_mode or [])


def rewraps() -> bool:
    """Whether the terminal is known to wrap anew what is on the screen when its window is resized."""
    return any(name in os.environ for name in _REWRAPPING)


def scroll_off(rows: int) -> str:
    """Return what lets all above the cursor scroll off in a window of `rows`, the cursor then at the top."""
    return "\n" * (rows - 1) + "\x1b[H"
