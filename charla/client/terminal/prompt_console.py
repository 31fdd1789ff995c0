"""The console for people with prompt_toolkit.

It keeps what is typed and what arrives apart:

* Only the main thread draws.  `show`, from any thread, leaves its lines in a queue and wakes the event
  loop in which prompt_toolkit reads a line; the loop takes the line off the screen, prints what has
  arrived, and draws the line anew, all in one write, so that nothing flickers.  It does that at most
  every DRAW_EVERY seconds, however much arrives, so that keys never wait long.
* Between two lines no loop runs: what arrives stays in the queue, and is printed before the next line
  is drawn.
* A line that was entered vanishes; it appears when the room has confirmed it.
* The status stands in the row under the line, and not at the bottom of the window: so the terminal need
  not be asked where its cursor is, which not every one answers.

From `open` to `close` the terminal echoes nothing, not even between two lines; prompt_toolkit, which reads
more keys than one line has, keeps the rest for the next line.  Signals do not break into the loop, which
would leave it in pieces: they ask it to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from charla.client.terminal.console import MAIN_THREAD, Question, Stopped, Typing, interruption
from charla.client.terminal.keyboard import keys_one_by_one
from charla.client.terminal.prompt_editor import LineEditor, Reader, SecretReader
from charla.client.terminal.terminal_console import TerminalConsole, scroll_off
from charla.common.stdio import silence_output
from charla.protocol.text import Refused, clean

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

DRAW_EVERY = 0.03
"""Seconds between two drawings of what arrives: nobody sees the delay, and 200 messages a second cost 4 %
of a core (1.3 ms a drawing, measured)."""

MOST_WAITING = 2000
"""Lines that may wait to be printed while a line is read; then who shows more has to wait."""

PATIENCE = 0.5
"""Seconds after which a second Ctrl+C, SIGTERM or SIGHUP does not wait any more until something is drawn."""

WAIT = 0.005
"""Seconds after which who waits looks again whether it may go on."""


class PromptConsole(TerminalConsole):
    """For people: see the module's text."""

    keeps_text = alt_enter = True

    def __init__(self) -> None:
        super().__init__()
        self._in_loop = False  # main writes, any thread reads: it reads, or is about to
        self._loop = asyncio.new_event_loop()  # any thread may have it call something; the rest is main's
        self._loop.set_exception_handler(self._on_error)
        self._input = create_input(sys.stdin)
        self._output = _open_output()
        terminal = (self._input, self._output)
        self._editor = LineEditor(
            terminal, self._suspend_reader, lambda: self._draw(scroll_off(self.height()))
        )
        self._secret_reader = SecretReader(terminal, self._suspend_reader)
        self._reader: Reader | None = None  # the one of them that reads
        self._next_drawing: asyncio.TimerHandle | None = None
        self._last_drawing = 0.0  # by the loop's clock
        self._interrupted_at = 0.0  # by time.monotonic

    def open(self) -> None:
        super().open()
        self._take_terminal()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._loop.close()

    # ---- reading: main thread ----------------------------------------------------------------------

    def read_line(self, typing: Typing, text: str = "") -> str:
        self._typing = typing
        line = self._read(self._editor, lambda: self._editor.begin(typing, text))
        if typing.remembered:
            self._editor.remember(line)
        try:
            line.encode()
        except UnicodeEncodeError:  # prompt_toolkit lets bytes that are not UTF-8 through, as surrogates
            raise Refused("not-utf8") from None
        return line

    def read_secret(self, prompt: str) -> str:
        try:
            self._typing = Question(prompt)
            secret = self._read(self._secret_reader, lambda: self._secret_reader.begin(prompt))
        except BaseException:
            # What is left of it must not be taken for a line to the room, or to the shell.
            self.drop_typed()
            raise
        return secret.encode(errors="surrogateescape").decode(errors="replace")

    def forget_line(self) -> None:
        self._editor.forget()

    def drop_typed(self) -> None:
        self._input.flush_keys()
        clear_typeahead(self._input)
        super().drop_typed()

    def _read(self, reader: Reader, begin: Callable[[], None]) -> str:
        """Let `reader` read; return what was entered, or raise what ended it."""

        def prepare() -> None:
            # It counts as reading from here on: what arrives or interrupts later finds it.
            self._print_arrived()
            begin()
            self._end_if_asked()

        self._reader, self._in_loop = reader, True
        task = self._loop.create_task(
            reader.application.run_async(pre_run=prepare, set_exception_handler=False, handle_sigint=False)
        )
        try:
            end = self._loop.run_until_complete(task)
        except BaseException:
            task.cancel()  # when a signal has broken into it: let it restore the terminal
            with contextlib.suppress(BaseException):
                self._loop.run_until_complete(task)
            raise
        finally:
            self._reader, self._in_loop = None, False
        if isinstance(end, KeyboardInterrupt) and reader.typed:  # it is not entered: it stays where it stood
            self._print(clean(f"{reader.prompt}{reader.typed}\n").replace("\n", "\r\n"))
        if isinstance(end, BaseException):
            raise end
        return end

    def stop(self) -> None:
        self._stopped = True
        self._wake(self._end_if_asked)

    def _end_if_asked(self) -> None:
        """End what is read for Ctrl+C or `stop`.  In the loop."""
        if self._reader is None or not self._reader.is_reading():
            return  # an interruption waits until the line that was entered is dealt with
        if self._interrupted is not None:
            interrupted, self._interrupted = self._interrupted, None
            self._reader.end(interrupted())
        elif self._stopped:
            self._reader.end(Stopped(self._reader.typed))

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of ours in what the loop calls: let it end the reading, and be seen."""
        error = context.get("exception")
        if error is None or self._reader is None or not self._reader.is_reading():
            loop.default_exception_handler(context)
        else:
            self._reader.end(error)

    # ---- drawing -----------------------------------------------------------------------------------

    def clear(self) -> None:
        with self._undisturbed():
            self._print_arrived()
            self._print(scroll_off(self.height()))

    def _draw_soon(self) -> None:
        if threading.get_ident() == MAIN_THREAD and not self._in_loop:
            with self._undisturbed():
                self._print_arrived()
            return
        if not self._undrawn:
            self._undrawn = True
            self._wake(self._plan_drawing)
        # While the terminal takes nothing this waits, and so does who sends.
        while len(self._arrived) > MOST_WAITING and self._in_loop and threading.get_ident() != MAIN_THREAD:
            time.sleep(WAIT)

    def _wake(self, callback: Callable[[], None]) -> None:
        """Have the loop call `callback`, as soon as it runs.  Any thread, and signals."""
        with contextlib.suppress(RuntimeError):  # closed: it is over
            self._loop.call_soon_threadsafe(callback)

    def _plan_drawing(self) -> None:
        if self._next_drawing is None:
            when = max(self._loop.time(), self._last_drawing + DRAW_EVERY)
            self._next_drawing = self._loop.call_at(when, self._draw)

    def _draw(self, more: str = "") -> None:
        """Print what has arrived, and `more`, and draw the line anew.  In the loop."""
        self._next_drawing = None
        if self._reader is None or not self._reader.is_reading():
            return  # what has arrived is printed before the next line is drawn
        with _at_once(self._output):
            if self._arrived or more:
                self._reader.application.renderer.erase()
            self._print_arrived()
            self._print(more)
            self._reader.application._redraw()  # invalidate() would come later: a second write
        self._last_drawing = self._loop.time()

    def _print_arrived(self) -> None:
        self._undrawn = False  # before looking: what comes after it is drawn again
        text = ""
        while self._arrived:
            text += self._arrived.popleft() + "\r\n"
        self._print(text + self._due_bell())
        self._typing.shown()

    def _print(self, text: str) -> None:
        self._output.write_raw(text)
        self._output.flush()

    # ---- signals, and the terminal's mode: main thread ---------------------------------------------

    def _is_busy(self, frame: FrameType | None) -> bool:
        return self._in_loop or super()._is_busy(frame)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._is_busy(frame) and self._interrupted and time.monotonic() > self._interrupted_at + PATIENCE:
            self._interrupted = None
            silence_output()  # the terminal takes nothing: there is no other way out of that
            raise interruption(number)
        if self._is_busy(frame) and not self._interrupted:
            self._interrupted_at = time.monotonic()
            self._wake(self._end_if_asked)
        super()._interrupt(number, frame)

    def _on_ctrl_z(self, number: int, frame: FrameType | None) -> None:
        if self._in_loop:
            self._wake(self._suspend_reader)
        else:
            super()._on_ctrl_z(number, frame)

    def _suspend_reader(self) -> None:
        """Take the line off the screen, stop, and draw it again.  In the loop."""
        if self._reader is not None and self._reader.is_reading():
            self._reader.application.renderer.erase()
        self._suspend()
        self._draw()

    def _suspend(self) -> None:
        if termios is not None:
            mode = termios.tcgetattr(sys.stdin)
            self._stop_and_come_back()
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
            self._print("\r\x1b[K")  # over what was typed too early, and echoed

    def _take_terminal(self) -> None:
        """Put the terminal into the mode for the time between two lines."""
        if self._terminal_mode is not None:
            mode = keys_one_by_one(self._terminal_mode)
            mode[0] &= ~termios.IXON  # as prompt_toolkit has it: Ctrl+S is a key
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
        # The terminal then says where a pasted block begins and ends.
        self._print("\x1b[?2004h")

    def _give_terminal_back(self, when: int) -> None:
        try:
            self._print("\x1b[?2004l")
        finally:
            super()._give_terminal_back(when)


class _Output(Vt100_Output):
    """prompt_toolkit's terminal, without questions to it, and with a say in when it is written."""

    _held = 0

    @property
    def responds_to_cpr(self) -> bool:
        return False

    def enable_bracketed_paste(self) -> None:
        """It is on all the time: what is pasted between two lines, or two drawings, is a block too."""

    def disable_bracketed_paste(self) -> None:
        pass

    def flush(self) -> None:
        if not self._held:
            super().flush()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Write all that is written meanwhile in one piece, at the end."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self.flush()


def _open_output() -> Output:
    if sys.platform == "win32":
        return create_output(sys.stdout)
    return _Output.from_pty(
        sys.stdout,
        term=os.environ.get("TERM"),
        default_color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
        enable_bell=False,
    )


def _at_once(output: Output) -> contextlib.AbstractContextManager[None]:
    return output.at_once() if isinstance(output, _Output) else contextlib.nullcontext()
