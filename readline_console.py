"""The console for people with what stock Python has: the standard library's readline.

It keeps what is typed and what arrives apart:

* Only the main thread writes to the terminal.  `show`, from any thread, leaves its lines in a queue
  and interrupts the main thread with a signal; readline, which waits for a key, lets Python's handler
  run between two keys, in the main thread.  So nobody draws while readline does.
* The handler takes the input line off the screen (all its rows, wherever the cursor is), prints what
  has arrived, and has readline draw prompt, text and cursor anew.
* Python's readline module has no call for that, GNU readline has: it is reached with ctypes.  Where
  that is not to be had (libedit, an interpreter without readline), lines that arrive are held back
  while something is typed, and shown when the line is empty or entered: later, but never mixed.

Between two lines the terminal would echo what is typed ahead into the middle of everything; so echo
and line mode are off from `open` to `close`, which restores the terminal as it was.  readline, which
would switch them line by line, and shows nothing where it finds echo off, is told to leave that alone.

A password is read without readline: nothing of it is drawn, kept for the arrow keys, or echoed.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import getpass
import os
import re
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from console import MAIN_THREAD, Interruptible, Question, Stopped, Typing, interruption, write
from messages import Refused

try:
    import readline
except ImportError:  # not on Windows, nor in every Python
    readline = None  # type: ignore[assignment]
try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

_RL_STATE_CALLBACK = 0x80000  # readline.h: between rl_callback_handler_install and the end of the line


class ReadlineConsole(Interruptible):
    """For people: see the module's text."""

    interactive = True
    keeps_text = True

    def __init__(self) -> None:
        super().__init__()
        self._arrived: collections.deque[str] = collections.deque()  # any thread appends, main takes
        self._undrawn = False  # set by any thread, cleared by the main one when it has drawn
        self._drawing = False  # main thread, like everything below
        self._to_suspend = False  # Ctrl+Z came while something was drawn
        self._typing: Typing = Question("")
        self._entering = False  # the line has been entered: it is off the screen, not to be drawn again
        self._prompt_stands = (
            False  # without GNU's calls: it has been drawn, and can be erased and drawn again
        )
        self._secret = False  # what is read now is not to be seen
        self._terminal_mode: list[Any] | None = None
        self._editor = _GnuReadline.find()

    def open(self) -> None:
        super().open()
        if self._editor is not None:
            self._terminal_mode = termios.tcgetattr(sys.stdin)
            self._editor.own_terminal()
            readline.parse_and_bind("set enable-bracketed-paste on")  # Python's module has it off
            self._take_terminal()
            self._editor.on_enter(self._enter)
            self._previous_handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._on_ctrl_z)
        elif readline is not None:
            readline.set_pre_input_hook(self._begin_line)
        if readline is not None:
            # readline waits in select(), which every signal interrupts; but it writes through C's stdio,
            # and a write that a signal interrupts is lost: that one is to be restarted.
            for number in self._previous_handlers:
                signal.siginterrupt(number, False)

    def close(self) -> None:
        self._drawing = True  # for good: nothing interrupts what follows
        self._print_arrived()
        if self._terminal_mode is not None:
            # FLUSH: what was typed or pasted for the room must not become commands to the shell.
            self._give_terminal_back(termios.TCSAFLUSH)
        super().close()

    def ring(self) -> None:
        self.show([])

    def clear(self) -> None:
        self.show([])

    def _prompt(self) -> str:
        return self._typing.prompt(readline.get_line_buffer() if readline is not None else "")

    def width(self) -> int:
        return shutil.get_terminal_size().columns

    def read_line(self, typing: Typing, text: str = "") -> str:  # noqa: ARG002
        self._typing = typing
        self._entering = self._prompt_stands = False
        try:
            with self._may_be_interrupted():
                # After `_reading` is set: what comes later than this look signals until it is drawn.
                with self._undisturbed():
                    self._print_arrived()
                line = _input(self._prompt())
            if self._prompt_stands:  # perhaps once more, drawn between Enter and here
                write("\r\x1b[K")
            return line
        except UnicodeDecodeError:
            raise Refused("not-utf8") from None
        except (EOFError, KeyboardInterrupt):
            write("\n")  # readline has gone to the last row of what was typed
            raise

    def read_secret(self, prompt: str) -> str:
        self._typing = Question(prompt)
        self._entering, self._prompt_stands = False, False
        self._secret = True
        try:
            if termios is None:
                with self._may_be_interrupted():
                    with self._undisturbed():
                        self._print_arrived()
                    return getpass.getpass(prompt)
            # Outside: no signal of the console's own interrupts the change of the terminal's mode.
            with self._unechoed(), self._may_be_interrupted():
                try:
                    with self._undisturbed():
                        self._print_arrived()
                        write(f"\r\x1b[K{prompt}")  # a signal may have drawn it already
                    return _read_unseen(sys.stdin.fileno())
                except BaseException:
                    # What is left of it must not be taken for a line to the room, or to the shell.
                    self.drop_typed()
                    raise
                finally:
                    self._entering = True
                    with self._undisturbed():
                        write("\r\x1b[K")
        finally:
            self._secret = False

    @contextlib.contextmanager
    def _unechoed(self) -> Iterator[None]:
        """Let the terminal echo nothing, and give each key at once: as readline has it, if that is there."""
        if self._editor is not None:
            yield
            return
        mode = termios.tcgetattr(sys.stdin)
        quiet = _keys_one_by_one(mode)
        quiet[6][termios.VSUSP] = b"\0"  # Ctrl+Z: the shell would give the terminal back with its echo
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)

    def forget_line(self) -> None:
        if readline is not None:
            last = readline.get_current_history_length()
            if last:
                readline.remove_history_item(last - 1)

    def drop_typed(self) -> None:
        if termios is not None:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def show(self, lines: list[str]) -> None:
        self._arrived.extend(lines)
        self._undrawn = True
        if threading.get_ident() == MAIN_THREAD:
            with self._undisturbed():
                self._print_arrived()
            return
        # Not one signal and on: one that comes just before readline sleeps would be seen late.  While
        # the terminal takes nothing (Ctrl+S) this waits, and so does who sends.
        while self._undrawn and self._reading:
            self._wake_main()
            time.sleep(0.001 if self._undrawn else 0)
            if self._undrawn and self._held_back():
                return

    def _held_back(self) -> bool:
        """Whether what has arrived has to wait, because something is typed that could not be drawn again."""
        if self._secret:
            return termios is None
        return self._editor is None and (readline is None or readline.get_line_buffer() != "")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Draw what has arrived.  Main thread: between two keys, or between two lines."""
        if not self._reading or self._entering or self._drawing:
            return
        if self._stopped:
            self._reading = False  # once is enough: nothing must break into what follows
            if self._secret:
                raise Stopped
            typed = readline.get_line_buffer() if readline is not None else ""
            if self._editor is not None:
                self._editor.take_off_for_good()
            raise Stopped(typed)
        if not self._undrawn:
            return
        with self._undisturbed():
            if self._secret:
                if not self._held_back():
                    write("\r\x1b[K")
                    self._print_arrived()
                    write(self._prompt())
            elif self._editor is not None:
                if self._editor.waits_for_key():
                    self._editor.take_off_screen()
                    self._print_arrived()
                    self._editor.draw_again(self._prompt())
            elif self._prompt_stands and not self._held_back():
                write("\r\x1b[K")
                self._print_arrived()
                write(self._prompt())

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

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._drawing:
            self._interrupted = interruption(number)
        else:
            super()._interrupt(number, frame)

    def _print_arrived(self) -> None:
        self._undrawn = False  # before looking: what comes after it is drawn again
        text = ""
        while self._arrived:
            text += self._arrived.popleft() + "\n"
        write(text)

    def _on_ctrl_z(self, _number: int, _frame: FrameType | None) -> None:
        """Stop, but not in the middle of a write: its buffer cannot be used twice at a time."""
        if self._drawing:
            self._to_suspend = True
        else:
            self._suspend()

    def _suspend(self) -> None:
        """Give the terminal back as it was, stop, and take it again.  Main thread."""
        assert self._editor is not None
        assert self._terminal_mode is not None
        self._to_suspend = False
        on_screen = self._editor.waits_for_key() and not self._entering
        with self._undisturbed() if on_screen else contextlib.nullcontext():
            if on_screen:
                self._editor.take_off_screen()
            self._give_terminal_back(termios.TCSADRAIN)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._take_terminal()
            if on_screen:
                self._print_arrived()
                self._editor.draw_again(self._prompt())
        if self._secret:
            with self._undisturbed():
                write(self._prompt())

    def _take_terminal(self) -> None:
        assert self._editor is not None
        assert self._terminal_mode is not None
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, _keys_one_by_one(self._terminal_mode))
        if self._editor.takes_pasted_blocks():
            # The terminal then says where a pasted block begins and ends.
            os.write(sys.stdout.fileno(), b"\x1b[?2004h")

    def _give_terminal_back(self, when: int) -> None:
        assert self._editor is not None
        assert self._terminal_mode is not None
        if self._editor.takes_pasted_blocks():
            os.write(sys.stdout.fileno(), b"\x1b[?2004l")
        termios.tcsetattr(sys.stdin, when, self._terminal_mode)

    def _begin_line(self) -> None:
        self._prompt_stands = True

    def _enter(self) -> None:
        """Take the line off the screen when Enter is pressed: it appears when the room has confirmed it."""
        assert self._editor is not None
        self._entering = True
        self._editor.take_off_screen()


class _GnuReadline:
    """What GNU readline (7 or later) has and Python's module does not export.  Main thread only."""

    _ENTER_KEYS = (10, 13)
    _CALLS = (
        "clear_visible_line",
        "set_prompt",
        "on_new_line",
        "redisplay",
        "tty_set_echoing",
        "variable_value",
    )

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._flush = ctypes.CDLL(None).fflush  # readline draws through C's stdout
        self._state = ctypes.c_ulong.in_dll(library, "rl_readline_state")
        self._done = ctypes.c_int.in_dll(library, "rl_done")
        library.rl_set_prompt.argtypes = [ctypes.c_char_p]
        self._version = ctypes.c_int.in_dll(library, "rl_readline_version").value
        self._callbacks: list[object] = []  # C holds pointers to them

    @classmethod
    def find(cls) -> _GnuReadline | None:
        """Return the one that Python's module uses; None when that is another editor, or hidden."""
        try:
            library = ctypes.CDLL(readline.__file__)
            for name in cls._CALLS:
                getattr(library, f"rl_{name}")
            return cls(library)
        except (AttributeError, OSError, TypeError, ValueError):
            return None

    def own_terminal(self) -> None:
        """Leave the terminal's mode to the caller, and draw whatever that is."""
        for name in ("rl_prep_term_function", "rl_deprep_term_function"):
            ctypes.c_void_p.in_dll(self._library, name).value = None
        self._library.rl_tty_set_echoing(1)

    def takes_pasted_blocks(self) -> bool:
        """Whether a pasted block can come as one line with newlines in it (from readline 8.1 on)."""
        return self._version >= 0x0801

    def waits_for_key(self) -> bool:
        """Whether a line is being edited, so that there is one to draw."""
        return bool(self._state.value & _RL_STATE_CALLBACK)

    def take_off_screen(self) -> None:
        """Erase every row of prompt and text; the cursor stands where they began."""
        self._library.rl_clear_visible_line()
        self._flush(None)

    def take_off_for_good(self) -> None:
        """Erase prompt and text, and draw nothing more: what ends a line from outside would, once."""
        self.take_off_screen()
        self._library.rl_tty_set_echoing(0)

    def draw_again(self, prompt: str) -> None:
        """Draw the line at the cursor, behind `prompt`, the cursor where it was in the text."""
        self._library.rl_set_prompt(prompt.encode())
        self._library.rl_on_new_line()
        self._library.rl_redisplay()
        self._flush(None)

    def on_enter(self, before: Callable[[], None]) -> None:
        """Call `before` when Enter is pressed, and end the line without moving to a new one."""

        def enter(_count: int, _key: int) -> int:
            before()
            self._done.value = 1
            return 0

        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)(enter)
        self._callbacks.append(callback)
        for key in self._ENTER_KEYS:
            self._library.rl_bind_key(key, callback)


def _keys_one_by_one(mode: list[Any]) -> list[Any]:
    """Return a terminal's mode (see termios.tcgetattr) as readline wants it: each key at once, and unseen."""
    keys = [*mode[:6], list(mode[6])]
    keys[0] &= ~(termios.ICRNL | termios.INLCR)
    # NOFLSH: without it Ctrl+C throws away what is printed and not on the screen yet.
    keys[3] = keys[3] & ~(termios.ICANON | termios.ECHO) | termios.ISIG | termios.NOFLSH
    keys[6][termios.VMIN], keys[6][termios.VTIME] = 1, 0
    keys[6][termios.VLNEXT] = b"\0"  # Ctrl+V is readline's
    return keys


_KEY_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)", re.DOTALL)
_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


def _read_unseen(descriptor: int) -> str:
    """Return what is typed up to Enter on a terminal that echoes nothing.  EOFError: Ctrl+D, hung up.

    Backspace and Ctrl+U work; arrow keys and the line ends of what is pasted do not count.
    """
    typed = bytearray()
    while True:
        # select and not read alone: signals end it, and Python's handlers run.  One byte at a time: what
        # was typed ahead is for the next line.
        select.select([descriptor], [], [])
        key = os.read(descriptor, 1)
        pasting = typed.rfind(_PASTE_BEGINS) > typed.rfind(_PASTE_ENDS)
        if not key or (key == b"\x04" and not typed):
            raise EOFError
        if key in b"\r\n":
            if not pasting:
                return _KEY_SEQUENCE.sub(b"", typed).decode(errors="replace")
        elif key in b"\x7f\b":
            text = _KEY_SEQUENCE.sub(b"", typed).decode(errors="replace")
            typed[:] = text[:-1].encode()
        elif key == b"\x15":
            typed.clear()
        else:
            typed += key


def _input(prompt: str) -> str:
    try:
        return input(prompt)
    except SystemError as error:
        # Two signals came together.  The first one's handler raised (Ctrl+C, say); input() calls the
        # other's with that exception set, and the interpreter takes offence.
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None
