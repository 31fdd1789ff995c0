"""The console: the one place that reads what is typed and writes what is seen.

Behind one interface there are

* `PipeConsole` (pipe.py), for scripts: lines in, lines out;
* `PromptConsole` (prompt_console.py), for people, with prompt_toolkit;
* `ReadlineConsole` (readline_console.py), for people, with what stock Python has;
* `PlainConsole` (plain_console.py), for screen readers: nothing is ever drawn again;
* `WindowsConsole` (windows_console.py), for people on Windows, with what stock Python has there.

What they share is how another thread breaks into a read that is under way, and what becomes of Ctrl+C,
SIGTERM and SIGHUP meanwhile (`Interruptible`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Protocol

WAKE_AGAIN = 0.02
"""Seconds after which a main thread that has not stopped reading is signalled again: a signal that comes
just before readline sleeps does not wake it."""

LOOK_AGAIN = 0.1
"""Seconds after which a main thread that reads looks for signals again: for Ctrl+C and SIGTERM, which
come only once, and perhaps just before readline sleeps."""

_ON_WINDOWS = os.name == "nt"

_STD_OUTPUT_HANDLE, _ENABLE_VIRTUAL_TERMINAL_PROCESSING = -11, 0x4  # winbase.h, wincon.h

MAIN_THREAD = threading.main_thread().ident or 0


class Stopped(Exception):  # not an error: how `stop` ends a `read_line` that is under way
    """The console was stopped; `typed` is what stood in the input line, not entered."""

    def __init__(self, typed: str = "") -> None:
        super().__init__(typed)
        self.typed = typed


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: what Ctrl+C would only break off ends all the same."""


class Typing(Protocol):
    """What a console asks while a line is typed.  Main thread; quick, and never waits."""

    remembered: bool
    """Whether the line can be had again with the arrow keys: not the answer to a question."""

    def prompt(self, typed: str) -> str:
        """Return what stands before `typed`, the text of the line: one row, no escape sequences."""

    def status(self) -> str:
        """Return the state of the room in a row, for consoles that have a place for it; empty: nothing."""

    def shown(self) -> None:
        """Note that all that has arrived is on the screen."""

    def complete(self, before: str) -> list[str]:
        """Return what can stand instead of the last word of `before`, the text left of the cursor.

        The best first; each as it is to be inserted, with the space behind it where one belongs there.
        """


class Question:
    """A `Typing` for what is asked by the way: a nick, yes or no."""

    remembered = False

    def __init__(self, text: str) -> None:
        self._text = text

    def prompt(self, typed: str) -> str:  # noqa: ARG002
        return self._text

    def status(self) -> str:
        return ""

    def shown(self) -> None:
        pass

    def complete(self, before: str) -> list[str]:  # noqa: ARG002
        return []


class Console(Protocol):
    """What the client asks of a console.

    `show`, `ring`, `stop` and `width` from any thread, the rest from the main one.
    """

    interactive: bool
    """Whether a person sits there."""

    keeps_text: bool
    """Whether `read_line` can begin with a text."""

    alt_enter: bool
    """Whether Alt+Enter begins a new row within the line."""

    def open(self) -> None:
        """Take over the terminal."""

    def close(self) -> None:
        """Show what is still to be shown, and leave the terminal as it was."""

    def read_line(self, typing: Typing, text: str = "") -> str:
        """Return the next line, without its end; it may hold newlines (a pasted block).

        `typing` is asked for the prompt whenever the line is drawn; `text` stands there already, the
        cursor behind it.  EOFError after the last one, Refused for one that cannot be sent, Stopped after
        `stop`, KeyboardInterrupt for Ctrl+C.
        """

    def read_secret(self, prompt: str) -> str:
        """Return what is typed behind `prompt`, which nobody sees.  Like `read_line`; a script has none."""

    def forget_line(self) -> None:
        """Do not give the last line back when the arrow keys are pressed: it holds a secret."""

    def drop_typed(self) -> None:
        """Drop what was typed ahead on a terminal: it was meant for a question that is not asked."""

    def show(self, lines: list[str]) -> None:
        """Print `lines` apart from what is being typed, and draw that anew, with its prompt.

        Without lines: only draw anew, because the prompt or the status may have changed.
        """

    def ring(self) -> None:
        """Ring the terminal's bell."""

    def clear(self) -> None:
        """Let what is on the screen scroll off, up into what the terminal keeps."""

    def uninterrupted(self) -> contextlib.AbstractContextManager[None]:
        """Let Ctrl+C, SIGTERM and SIGHUP wait until what is in here is done; a second one does not."""

    def stop(self) -> None:
        """Make `read_line` raise Stopped, now or when it is called next."""

    def width(self) -> int:
        """Return the columns at which lines are wrapped; 0: they are not."""


class Interruptible:
    """A `read_line` that another thread can break into: the main thread is signalled until it has reacted.

    `_reading` and `_stopped` are each written by one thread and read by the other: the main thread
    sets the one and then looks at the other, the other thread the other way round, so one sees.
    """

    alt_enter = False

    def __init__(self) -> None:
        self._reading = False  # written by the main thread: it may be asleep in a read
        self._stopped = False  # written by any thread, once
        self._holding = False  # main thread, like what follows
        # Ctrl+C, or what is as good, came while it had to wait.
        self._interrupted: type[KeyboardInterrupt] | None = None
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def open(self) -> None:
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        if _ON_WINDOWS:  # where a pipe has the system's code page
            sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
            sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        for name, handler in {
            **dict.fromkeys(("SIGUSR1", "SIGALRM"), self._on_signal),
            **dict.fromkeys(("SIGINT", "SIGTERM", "SIGHUP"), self._interrupt),
        }.items():
            if hasattr(signal, name):
                number = getattr(signal, name)
                self._previous_handlers[number] = signal.signal(number, handler)

    def close(self) -> None:
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def stop(self) -> None:
        self._stopped = True
        while self._reading:
            self._wake_main()
            time.sleep(WAKE_AGAIN)

    @contextlib.contextmanager
    def _may_be_interrupted(self) -> Iterator[None]:
        self._reading = True
        try:
            if self._stopped:
                raise Stopped
            _look_again_every(LOOK_AGAIN)
            yield
        finally:
            self._reading = False
            _look_again_every(0)

    def _wake_main(self) -> None:
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(MAIN_THREAD, signal.SIGUSR1)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._reading and self._stopped:
            self._reading = False  # once is enough: nothing must break into what follows
            raise Stopped

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        """SIGTERM and SIGHUP are as good as Ctrl+C: the terminal is restored on the way."""
        if self._holding and not self._interrupted:
            self._interrupted = interruption(number)
        else:
            raise interruption(number)

    @contextlib.contextmanager
    def uninterrupted(self) -> Iterator[None]:
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        self._raise_if_interrupted()

    def _raise_if_interrupted(self) -> None:
        if self._holding:  # it is asked again when that is over
            return
        interruption, self._interrupted = self._interrupted, None
        if interruption is not None:
            raise interruption


def interruption(number: int) -> type[KeyboardInterrupt]:
    return KeyboardInterrupt if number == signal.SIGINT else Terminated


def _look_again_every(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds)


def write(text: str) -> None:
    """Write to standard output, at once."""
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()


def enable_colors() -> bool:
    """Have the console understand escape sequences; return whether it does.  Elsewhere than on Windows: True.

    Windows 10 and later do when asked (Microsoft, "Console Virtual Terminal Sequences").
    """
    if not _ON_WINDOWS:
        return True
    import ctypes

    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009 - there on Windows alone
    kernel32.GetStdHandle.restype = ctypes.c_void_p
    output = ctypes.c_void_p(kernel32.GetStdHandle(_STD_OUTPUT_HANDLE))
    mode = ctypes.c_ulong()
    if not kernel32.GetConsoleMode(output, ctypes.byref(mode)):
        return False  # it is none, or an older one
    return bool(kernel32.SetConsoleMode(output, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING))
