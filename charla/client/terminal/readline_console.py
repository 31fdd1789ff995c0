"""The console for people with what stock Python has: the standard library's readline.

It keeps what is typed and what arrives apart:

* Only the main thread writes to the terminal.  `show`, from any thread, leaves its lines in a queue
  and interrupts the main thread with a signal; readline, which waits for a key, lets Python's handler
  run between two keys, in the main thread.  So nobody draws while readline does.
* The handler takes the input line off the screen (all its rows, wherever the cursor is), prints what
  has arrived, and has readline draw prompt, text and cursor anew.
* Python's readline module has no call for that, GNU readline has (gnu_readline.py).  Where that is not
  to be had (libedit, an interpreter without readline), lines that arrive are held back while something
  is typed, and shown when the line is empty or entered: later, but never mixed.

Between two lines the terminal would echo what is typed ahead into the middle of everything; so echo
and line mode are off from `open` to `close`, which restores the terminal as it was.  readline, which
would switch them line by line, and shows nothing where it finds echo off, is told to leave that alone.

readline calls functions of ours, for the prompt and for Tab.  What they raise, C would swallow: it is
kept, and raised where `read_line` was called; and a signal that comes while they run has to wait.

A password is read without readline: nothing of it is drawn, kept for the arrow keys, or echoed.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from charla.client.terminal.console import LOOK_AGAIN, MAIN_THREAD, Question, Stopped, Typing, write
from charla.client.terminal.gnu_readline import GnuReadline
from charla.client.terminal.keyboard import keys_one_by_one, read_unseen
from charla.client.terminal.terminal_console import TerminalConsole, scroll_off
from charla.protocol.text import Refused

try:
    import readline
except ImportError:  # not on Windows, nor in every Python
    readline = None  # type: ignore[assignment]
try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

_WORD_ENDS = " \t\n"

_SURROGATE = re.compile("[\udc80-\udcff]")
"""What Python makes of a byte that is no UTF-8, where LC_ALL is C or C.UTF-8 (PEP 540)."""

_MOST_HELD_BACK = 10_000
"""Lines: when more than that wait for what is typed to be entered, who shows one waits too."""


class ReadlineConsole(TerminalConsole):
    """For people: see the module's text."""

    _EDITOR = GnuReadline

    def __init__(self) -> None:
        super().__init__()
        self._editor = self._EDITOR.find()  # main thread, like everything below
        # Elsewhere nothing is called when a line begins.
        self.keeps_text = self.alt_enter = self._editor is not None
        self._entering = False  # the line has been entered: it is off the screen, not to be drawn again
        # Where GNU's calls do not tell: the prompt has been drawn, and can be erased and drawn again.
        self._prompt_stands = False
        self._put_off = False  # set when what has arrived cannot be drawn yet; cleared by who shows more
        self._candidates: list[str] = []
        self._in_history = False  # whether the last line is
        self._resized = False  # the window was while something was drawn
        self._reacting = False  # to a signal
        self._raised: BaseException | None = None  # by what such a reaction was, in the line that is read
        self._fault: BaseException | None = None  # what a function raised that readline had called
        self._guarded_code: object = None

    def _set_up(self) -> None:
        if readline is not None:
            readline.set_auto_history(False)
            readline.set_completer_delims(_WORD_ENDS)
            readline.set_completer(self._guarded(self._candidate))
        if self._editor is not None:
            self._editor.take_over(self._prompt, self._enter, self._clear_while_typing, self._guarded)
            self._take_terminal()
            self._previous_handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._on_resize)
        elif readline is not None:
            readline.parse_and_bind("bind ^I rl_complete" if _is_libedit() else "tab: complete")
        if readline is not None:
            # readline waits in select(), which every signal interrupts; but it writes through C's stdio,
            # and a write that a signal interrupts is lost: that one is to be restarted.
            for number in self._previous_handlers:
                signal.siginterrupt(number, False)

    # ---- reading ---------------------------------------------------------------------------------

    def read_line(self, typing: Typing, text: str = "") -> str:
        self._typing = typing
        self._entering = self._prompt_stands = False
        if self.keeps_text:
            readline.set_startup_hook(self._guarded(lambda: readline.insert_text(text)))
        try:
            with self._may_be_interrupted():
                # After `_reading` is set: what comes later than this look signals until it is drawn.
                with self._undisturbed():
                    self._print_arrived()
                    prompt = self._prompt_for(text if self.keeps_text else "")
                if self._editor is not None:
                    self._editor.begin_line()
                line = self._input(prompt)
            if self._prompt_stands:  # perhaps once more, drawn between Enter and here
                write(self._leave_row())
            self._raise_fault()
        except UnicodeDecodeError:
            raise Refused("not-utf8") from None
        except Stopped:
            raise
        except BaseException:
            write("\n")  # readline has gone to the last row of what was typed
            raise
        if _SURROGATE.search(line):
            raise Refused("not-utf8")
        self._remember(line)
        return line

    def _input(self, prompt: str) -> str:
        self._raised = None
        try:
            return input(prompt)
        except BaseException as error:
            # Two signals came together.  The first one's handler raised (Ctrl+C, say); input() calls the
            # other's with that exception set, and the interpreter takes offence (SystemError, or it does not
            # find our own methods any more), or forgets it: then input() says KeyboardInterrupt.
            if self._raised is None or error is self._raised:
                raise
            raise self._raised from None

    def _remember(self, line: str) -> None:
        """Keep a line for the arrow keys, if it is one to be had again, and not there already."""
        self._in_history = False
        if readline is None or not self._typing.remembered or not line.strip():
            return
        last = readline.get_current_history_length()
        if not last or readline.get_history_item(last) != line:
            readline.add_history(line)
        self._in_history = True

    def forget_line(self) -> None:
        if self._in_history:
            readline.remove_history_item(readline.get_current_history_length() - 1)
        self._in_history = False

    def read_secret(self, prompt: str) -> str:
        self._typing = Question(prompt)
        self._entering = self._prompt_stands = False
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
                        write(prompt)
                        self._prompt_stands = True
                    return read_unseen(sys.stdin.fileno())
                except BaseException:
                    # What is left of it must not be taken for a line to the room, or to the shell.
                    self.drop_typed()
                    raise
                finally:
                    self._entering = True
                    with self._undisturbed():
                        write(self._leave_row())
        finally:
            self._secret = False

    @contextlib.contextmanager
    def _unechoed(self) -> Iterator[None]:
        """Let the terminal echo nothing, and give each key at once: as readline has it, if that is there."""
        if self._editor is not None:
            yield
            return
        mode = termios.tcgetattr(sys.stdin)
        quiet = keys_one_by_one(mode)
        quiet[6][termios.VSUSP] = b"\0"  # Ctrl+Z: the shell would give the terminal back with its echo
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)

    def _prompt(self) -> str:
        return self._prompt_for(readline.get_line_buffer() if readline is not None else "")

    def _prompt_for(self, typed: str) -> str:
        return self._typing.prompt(typed)

    def _candidate(self, _word: str, number: int) -> str | None:
        """Return the completion `number` (from 0) of what stands left of the cursor, as readline asks."""
        if number == 0:
            self._candidates = self._typing.complete(readline.get_line_buffer()[: readline.get_endidx()])
        return self._candidates[number] if number < len(self._candidates) else None

    # ---- drawing ---------------------------------------------------------------------------------

    def clear(self) -> None:
        with self._undisturbed():
            self._print_arrived()
            write(self._blank_screen())

    def _clear_while_typing(self) -> None:
        assert self._editor is not None
        self._editor.take_off_screen()
        write(self._blank_screen())
        self._editor.draw_anew()

    def _blank_screen(self) -> str:
        """Return what lets all that is on the screen scroll off."""
        return scroll_off(self.height())

    def _leave_row(self) -> str:
        """Return what takes the prompt off a row where nothing is typed."""
        return "\r\x1b[K"

    def _draw_soon(self) -> None:
        self._undrawn = True
        if threading.get_ident() == MAIN_THREAD:
            with self._undisturbed():
                self._print_arrived()
            return
        # Not one signal and on: one that comes just before readline sleeps would be seen late.  While
        # the terminal takes nothing (Ctrl+S) this waits, and so does who sends.
        self._put_off = False
        while self._undrawn and self._reading:
            self._wake_main()
            time.sleep(0.001 if self._undrawn else 0)
            if self._undrawn and self._put_off:
                if len(self._arrived) <= _MOST_HELD_BACK:
                    return
                time.sleep(LOOK_AGAIN)

    def _held_back(self) -> bool:
        """Whether what has arrived has to wait, because something is typed that could not be drawn again."""
        if self._secret:
            return termios is None
        if self._editor is not None:
            return not self._editor.can_take_off()
        return readline is None or readline.get_line_buffer() != ""

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Draw what has arrived.  Main thread: between two keys, or between two lines."""
        # Nearly always there is nothing to do.  And where signals come faster than they are dealt with, one
        # in the other would have no end.
        if not self._has_to_react(number) or self._reacting:
            return
        self._reacting = True
        try:
            if self._reading and not self._entering and not self._is_busy(frame):
                with self._broken_off():
                    self._react(number)
        finally:
            self._reacting = False

    def _has_to_react(self, number: int) -> bool:
        return (
            self._undrawn
            or self._stopped
            or self._to_suspend
            or self._resized
            or self._fault is not None
            or self._interrupted is not None
            or (self._editor is None and _is_tick(number))
        )

    def _react(self, number: int) -> None:
        """Do what the signal is for, and what others were for that came at a wrong moment."""
        self._raise_fault()
        self._raise_if_interrupted()
        if self._stopped:
            self._reading = False  # once is enough: nothing must break into what follows
            if self._secret:
                raise Stopped
            typed = readline.get_line_buffer() if readline is not None else ""
            if self._editor is not None:
                self._editor.take_off_for_good()
            else:
                write("\n")
            raise Stopped(typed)
        if self._to_suspend:
            self._suspend()
        if self._resized:
            self._resize()
        if _is_tick(number) and readline is not None and self._editor is None and not self._secret:
            self._prompt_stands = True  # nothing tells without GNU's calls when it is there: by now it is
        if self._undrawn:
            with self._undisturbed():
                self._draw()

    def _draw(self) -> None:
        if self._held_back():
            self._put_off = True
            write(self._due_bell())  # which moves nothing
        elif self._secret or self._editor is None:
            if self._prompt_stands:
                write(self._leave_row())
                self._print_arrived()
                write(self._prompt())
        elif self._editor.waits_for_key():
            self._undrawn = False  # before looking: what comes after it is drawn again
            if self._arrived:
                self._editor.take_off_screen()
                self._print_arrived()
                self._editor.draw_anew()
            else:
                write(self._due_bell())
                self._editor.draw()

    # ---- what readline calls, and signals that come meanwhile --------------------------------------

    def _guarded(self, function: Callable[..., Any], failed: Any = None) -> Callable[..., Any]:
        """Return `function` for C to call: what it raises is kept, and `failed` returned."""

        def call(*arguments: Any) -> Any:
            was_drawing, self._drawing = self._drawing, True
            try:
                return function(*arguments)
            except BaseException as fault:
                self._fault = self._fault or fault
                return failed
            finally:
                self._drawing = was_drawing

        self._guarded_code = call.__code__  # all of them have the same
        return call

    @contextlib.contextmanager
    def _broken_off(self) -> Iterator[None]:
        """What is raised in here, in a signal's handler, ends the line that readline is reading."""
        try:
            yield
        except BaseException as error:
            self._raised = error
            if self._editor is not None:
                self._editor.break_off()
            raise

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        with self._broken_off():
            super()._interrupt(number, frame)

    def _on_ctrl_z(self, number: int, frame: FrameType | None) -> None:
        with self._broken_off():
            super()._on_ctrl_z(number, frame)

    def _is_busy(self, frame: FrameType | None) -> bool:
        if self._drawing:
            return True
        while frame is not None and frame.f_code is not self._guarded_code:
            frame = frame.f_back
        return frame is not None

    def _raise_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _on_resize(self, _number: int, frame: FrameType | None) -> None:
        if self._is_busy(frame):
            self._resized = True
            return
        with self._broken_off():
            self._resize()

    def _resize(self) -> None:
        assert self._editor is not None
        self._resized = False
        with self._undisturbed():
            if self._is_on_screen():
                self._editor.take_off_resized(self.width())
                self._editor.draw_anew()
            else:
                self._editor.look_at_size()

    def _is_on_screen(self) -> bool:
        """Whether readline has a line there that it can draw again."""
        return self._editor is not None and self._editor.waits_for_key() and not self._entering

    def _suspend(self) -> None:
        """Take the line off, stop, and draw it again.  Main thread."""
        with self._undisturbed():
            if self._editor is None:
                self._stop_without_gnu()
            elif self._is_on_screen():
                self._editor.take_off_screen()
                self._stop_and_come_back()
                self._editor.look_at_size()
                self._print_arrived()
                self._editor.draw_anew()
            else:
                self._stop_and_come_back()
        if self._secret:
            with self._undisturbed():
                write(self._prompt())

    def _stop_without_gnu(self) -> None:
        """Stop; then let the terminal be as it was and, if a line was being typed, show it."""
        mode = termios.tcgetattr(sys.stdin)
        self._stop_and_come_back()
        if readline is not None and self._reading and not self._secret:
            mode = keys_one_by_one(self._terminal_mode or mode)  # libedit has put it back too soon
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
        if self._prompt_stands and not self._secret:
            write(f"{self._leave_row()}{self._prompt()}{readline.get_line_buffer()}")

    def _take_terminal(self) -> None:
        if self._editor is None or self._terminal_mode is None:
            return
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, keys_one_by_one(self._terminal_mode))
        if self._brackets_pasted_blocks():
            # The terminal then says where a pasted block begins and ends.
            os.write(sys.stdout.fileno(), b"\x1b[?2004h")

    def _give_terminal_back(self, when: int) -> None:
        if self._brackets_pasted_blocks():
            with contextlib.suppress(OSError):  # the terminal is gone
                os.write(sys.stdout.fileno(), b"\x1b[?2004l")
        super()._give_terminal_back(when)

    def _brackets_pasted_blocks(self) -> bool:
        return self._editor is not None and self._editor.takes_pasted_blocks()

    def _enter(self) -> None:
        """Take the line off the screen when Enter is pressed: it appears when the room has confirmed it."""
        assert self._editor is not None
        self._entering = True
        self._editor.take_off_screen()


def _is_libedit() -> bool:
    return "libedit" in (readline.__doc__ or "")


def _is_tick(number: int) -> bool:
    """Whether the signal is the timer's: it comes some time after a read has begun."""
    return hasattr(signal, "SIGALRM") and number == signal.SIGALRM
