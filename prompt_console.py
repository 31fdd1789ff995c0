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
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.completion import Completion
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, has_completions, is_done, is_searching
from prompt_toolkit.history import DummyHistory
from prompt_toolkit.input.defaults import create_input
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    AnyContainer,
    BufferControl,
    CompletionsMenu,
    ConditionalContainer,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    VerticalAlign,
    Window,
)
from prompt_toolkit.layout.processors import (
    BeforeInput,
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    TabsProcessor,
)
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.search import accept_search, stop_search
from prompt_toolkit.widgets import SearchToolbar

from console import MAIN_THREAD, Interruptible, Question, Stopped, Typing, interruption
from languages import _
from messages import Refused

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

DRAW_EVERY = 0.03
"""Seconds between two drawings of what arrives: nobody sees the delay, and 200 messages a second cost a
tenth of a core (3 ms a drawing, measured)."""

MOST_WAITING = 100_000
"""Characters that may wait to be printed while a line is read; then who shows more has to wait."""

REMEMBERED_LINES = 1000
"""Lines that the arrow keys give back."""

MENU_ROWS = 8
"""Rows of the menu of completions, at the most."""

_End = str | BaseException  # how reading ends: with a line, or with what is to be raised


class PromptConsole(Interruptible):
    """For people: see the module's text."""

    interactive = True
    keeps_text = True

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()  # guards the next four
        self._arrived: list[str] = []  # texts to print
        self._waiting = 0  # characters in it
        self._drawing_asked = False  # the loop has been woken for what is in it
        self._reading_line = False  # the main thread is in the loop, or about to be: written by it alone
        # Main thread, like everything below.
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._on_error)
        self._input = create_input(sys.stdin)
        self._output = _open_output()
        self._editor = _LineEditor(self)
        self._secret = _SecretReader(self)
        self._application: Application[_End] | None = None  # the one that reads, of these two
        self._next_drawing: asyncio.TimerHandle | None = None
        self._last_drawing = 0.0  # by the loop's clock
        self._writing = False  # outside the loop; signals have to wait
        self._to_suspend = False  # Ctrl+Z came meanwhile
        self._terminal_mode: list[Any] | None = None

    def open(self) -> None:
        super().open()
        if termios is not None:
            self._terminal_mode = termios.tcgetattr(sys.stdin)
            self._take_terminal(_unechoed(self._terminal_mode))
            self._previous_handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._on_ctrl_z)

    def close(self) -> None:
        self._writing = True  # for good: one signal does not interrupt what follows
        try:
            self._print_arrived()
        finally:
            if termios is not None:
                # FLUSH: what was typed or pasted for the room must not become commands to the shell.
                self._give_terminal_back(termios.TCSAFLUSH)
            self._loop.close()
            super().close()

    # ---- reading: main thread ----------------------------------------------------------------------

    def read_line(self, typing: Typing, text: str = "") -> str:
        line = self._read(self._editor.application, lambda: self._editor.begin(typing, text))
        if typing.remembered:
            self._editor.remember(line)
        try:
            line.encode()
        except UnicodeEncodeError:  # prompt_toolkit lets bytes that are not UTF-8 through, as surrogates
            raise Refused("not-utf8") from None
        return line

    def read_secret(self, prompt: str) -> str:
        try:
            typed = self._read(self._secret.application, lambda: self._secret.begin(prompt))
        except BaseException:
            # What is left of it must not be taken for a line to the room, or to the shell.
            self.drop_typed()
            raise
        return typed.encode(errors="surrogateescape").decode(errors="replace")

    def forget_line(self) -> None:
        self._editor.forget()

    def drop_typed(self) -> None:
        self._input.flush_keys()
        clear_typeahead(self._input)
        if termios is not None:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)

    def _read(self, application: Application[_End], begin: Callable[[], None]) -> str:
        """Run `application` until it ends; return what was entered, or raise what ended it."""

        def prepare() -> None:  # in the loop: what is asked from here on finds the application running
            self._print_taken(self._take_arrived())
            begin()
            self._end_if_asked()

        self._reading_line = True
        self._application = application
        task = self._loop.create_task(
            application.run_async(pre_run=prepare, set_exception_handler=False, handle_sigint=False)
        )
        try:
            end = self._loop.run_until_complete(task)
        except BaseException:
            task.cancel()  # when it was a second signal, the first has not ended it: restore the terminal
            with contextlib.suppress(BaseException):
                self._loop.run_until_complete(task)
            raise
        finally:
            self._application = None
            with self._changed:
                self._reading_line = False
                self._changed.notify_all()
        if isinstance(end, BaseException):
            raise end
        return end

    def end(self, how: _End) -> None:
        """End what is being read: with a line, or with what is to be raised.  In the loop."""
        if self._application is not None and self._application.is_running and not self._application.is_done:
            self._application.exit(result=how)

    def _end_if_asked(self) -> None:
        if self._interrupted is not None:
            interrupted, self._interrupted = self._interrupted, None
            self.end(interrupted())
        elif self._stopped:
            self.end(Stopped(self._editor.text if self._application is self._editor.application else ""))

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of ours in what the loop calls: let it end the reading, and be seen."""
        error = context.get("exception")
        if error is None or self._application is None:
            loop.default_exception_handler(context)
        else:
            self.end(error)

    # ---- showing: any thread -----------------------------------------------------------------------

    def show(self, lines: list[str]) -> None:
        self._put("".join(f"{line}\r\n" for line in lines))

    def ring(self) -> None:
        self._put("\a")

    def clear(self) -> None:
        # From wherever the cursor is: all that is above it, and its own row, scroll off.
        self._put("\r\n" * self._output.get_size().rows + "\x1b[H")

    def width(self) -> int:
        return self._output.get_size().columns

    def stop(self) -> None:
        self._stopped = True
        self._wake(self._end_if_asked)

    def _put(self, text: str) -> None:
        with self._changed:
            self._arrived.append(text)
            self._waiting += len(text)
            asked, self._drawing_asked = self._drawing_asked, True
        if threading.get_ident() == MAIN_THREAD and not self._reading_line:
            self._print_arrived()
            return
        if not asked:
            self._wake(self._draw_soon)
        if threading.get_ident() != MAIN_THREAD:
            # While the terminal takes nothing this waits, and so does who sends.
            with self._changed:
                self._changed.wait_for(lambda: self._waiting < MOST_WAITING or not self._reading_line)

    def _wake(self, callback: Callable[[], None]) -> None:
        """Have the loop call `callback`, as soon as it runs.  Any thread, and signals."""
        with contextlib.suppress(RuntimeError):  # closed: it is over
            self._loop.call_soon_threadsafe(callback)

    # ---- drawing: main thread ----------------------------------------------------------------------

    def _draw_soon(self) -> None:
        if self._next_drawing is None:
            when = max(self._loop.time(), self._last_drawing + DRAW_EVERY)
            self._next_drawing = self._loop.call_at(when, self._draw)

    def _draw(self) -> None:
        """Print what has arrived, and draw the line anew.  In the loop."""
        self._next_drawing = None
        if self._application is None or not self._application.is_running or self._application.is_done:
            return  # it is printed before the next line is drawn
        with _at_once(self._output):
            text = self._take_arrived()
            if text:
                self._application.renderer.erase()
                self._print_taken(text)
            # invalidate() would come later, and so in a second write.
            self._application._redraw()
        self._last_drawing = self._loop.time()

    def _take_arrived(self) -> str:
        with self._changed:
            text = "".join(self._arrived)
            self._arrived.clear()
            self._waiting = 0
            self._drawing_asked = False
            self._changed.notify_all()
        return text

    def _print_taken(self, text: str) -> None:
        self._output.write_raw(text)
        self._output.flush()

    def _print_arrived(self) -> None:
        """Print what has arrived, between two lines."""
        with self._undisturbed():
            self._print_taken(self._take_arrived())

    # ---- signals, and the terminal's mode: main thread ---------------------------------------------

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let Ctrl+C wait meanwhile, or it would lose lines half printed; and Ctrl+Z."""
        before, self._writing = self._writing, True
        try:
            yield
        finally:
            self._writing = before
        if not self._writing and self._to_suspend:
            self._suspend()
        if not self._writing and not self._holding:
            self._raise_if_interrupted()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if (self._reading_line or self._writing) and self._interrupted is None:
            self._interrupted = interruption(number)
            self._wake(self._end_if_asked)
        else:  # a second one does not wait
            super()._interrupt(number, frame)

    def _on_ctrl_z(self, _number: int, _frame: FrameType | None) -> None:
        if self._reading_line:
            self._wake(self.suspend)
        elif self._writing:
            self._to_suspend = True
        else:
            self._suspend()

    def suspend(self) -> None:
        """Take the line off the screen, stop, and draw it again.  In the loop."""
        if self._application is None or not self._application.is_running or self._application.is_done:
            self._suspend()
            return
        self._application.renderer.erase()
        self._suspend()
        self._draw()

    def _suspend(self) -> None:
        """Give the terminal back as it was, stop, and take it again."""
        self._to_suspend = False
        if termios is not None:
            mode = termios.tcgetattr(sys.stdin)
            self._give_terminal_back(termios.TCSADRAIN)
            os.kill(os.getpid(), signal.SIGSTOP)
            self._take_terminal(mode)
            self._print_taken("\r\x1b[K")  # what was typed before, and the terminal has echoed

    def _take_terminal(self, mode: list[Any]) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, mode)
        # The terminal then says where a pasted block begins and ends.
        self._print_taken("\x1b[?2004h")

    def _give_terminal_back(self, when: int) -> None:
        assert self._terminal_mode is not None
        try:
            self._print_taken("\x1b[?2004l")
        finally:
            termios.tcsetattr(sys.stdin, when, self._terminal_mode)

    def new_application(
        self, shown: AnyContainer, focus: Window, keys: KeyBindings, before_drawing: Callable[[], None]
    ) -> Application[_End]:
        """Return an application on this console's terminal; Ctrl+C and Ctrl+Z are added to its keys.

        It shows nothing when it ends before it is drawn: of a line that was typed ahead, with its Enter.
        """

        @keys.add("c-c", filter=~is_searching)
        def _interrupt(_event: KeyPressEvent) -> None:
            self.end(KeyboardInterrupt())

        @keys.add("c-z")
        def _suspend(_event: KeyPressEvent) -> None:
            self.suspend()

        def ask(application: Application[_End]) -> None:
            if not application.is_done:  # it is not drawn then, but taken off the screen
                before_drawing()

        return Application(
            layout=Layout(ConditionalContainer(shown, ~is_done), focused_element=focus),
            key_bindings=keys,
            include_default_pygments_style=False,
            erase_when_done=True,
            max_render_postpone_time=None,
            terminal_size_polling_interval=None if hasattr(signal, "SIGWINCH") else 0.5,
            before_render=ask,
            input=self._input,
            output=self._output,
        )

    def rows(self) -> int:
        """Return how many rows the window has."""
        return self._output.get_size().rows


class _LineEditor:
    """What reads a line: its text, prompt, status, completions and history.  Main thread only."""

    def __init__(self, console: PromptConsole) -> None:
        self._console = console
        self._typing: Typing = Question("")
        self._prompt = self._status = ""  # as they are drawn
        self._last_line = ""
        self._history = _History()
        self._buffer = Buffer(history=self._history, accept_handler=self._accept)
        self.application = console.new_application(*self._containers(), self._keys(), self._ask)

    @property
    def text(self) -> str:
        return self._buffer.text

    def begin(self, typing: Typing, text: str) -> None:
        """Begin a line in which `text` stands."""
        self._typing = typing
        if self.application.layout.is_searching:
            stop_search()
        self._buffer.reset()
        # prompt_toolkit would load them a little later: after the keys that were typed ahead.
        self._buffer._working_lines.extendleft(reversed(self._history.lines))
        self._buffer.working_index = len(self._history.lines)
        self._buffer.document = Document(text)

    def remember(self, line: str) -> None:
        self._last_line = line
        if line and self._history.lines[-1:] != [line]:
            self._history.lines.append(line)
            del self._history.lines[:-REMEMBERED_LINES]

    def forget(self) -> None:
        self._history.lines = [line for line in self._history.lines if line != self._last_line]

    def _ask(self) -> None:
        self._prompt = self._typing.prompt(self._buffer.text)
        self._status = self._typing.status()

    def _accept(self, buffer: Buffer) -> bool:
        self._console.end(buffer.text)
        return True  # the text stays: it is drawn once more

    def _containers(self) -> tuple[HSplit, Window]:
        """Return all that is shown, and what of it is the line."""
        search = SearchToolbar(
            backward_search_prompt=lambda: _("Search back: "),
            forward_search_prompt=lambda: _("Search forward: "),
            ignore_case=True,
        )
        line = Window(
            BufferControl(
                self._buffer,
                input_processors=[
                    HighlightIncrementalSearchProcessor(),
                    HighlightSelectionProcessor(),
                    TabsProcessor(char1=" ", char2=" "),
                    BeforeInput(lambda: self._prompt),
                ],
                include_default_input_processors=False,
                search_buffer_control=search.control,
                preview_search=True,
            ),
            wrap_lines=True,
            dont_extend_height=True,
        )
        room_for_menu = ConditionalContainer(Window(height=self._menu_rows), has_completions)
        menu = Float(CompletionsMenu(max_height=MENU_ROWS, scroll_offset=1), xcursor=True, ycursor=True)
        status = ConditionalContainer(
            Window(FormattedTextControl(lambda: self._status), height=1, style="class:bottom-toolbar"),
            Condition(lambda: bool(self._status) and self._console.rows() > 2),
        )
        upper = FloatContainer(HSplit([line, search, room_for_menu], align=VerticalAlign.TOP), [menu])
        return HSplit([upper, status], align=VerticalAlign.TOP), line

    def _menu_rows(self) -> int:
        state = self._buffer.complete_state
        return min(len(state.completions) if state else 0, MENU_ROWS, max(self._console.rows() - 3, 0))

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def _enter(_event: KeyPressEvent) -> None:
            if is_searching():
                accept_search()
            self._buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=~is_searching)
        def _new_row(_event: KeyPressEvent) -> None:
            self._buffer.insert_text("\n")

        @keys.add("tab", filter=~is_searching)
        def _complete(_event: KeyPressEvent) -> None:
            self._complete()

        @keys.add("c-d", filter=Condition(lambda: not self._buffer.text) & ~is_searching)
        def _end(_event: KeyPressEvent) -> None:
            self._console.end(EOFError())

        @keys.add("c-l")
        def _clear(_event: KeyPressEvent) -> None:
            self._console.clear()

        return keys

    def _complete(self) -> None:
        """Put in the best completion, at once: what is typed next comes behind it.  Again: the next one."""
        if self._buffer.complete_state:
            self._buffer.complete_next()
            return
        before = self._buffer.document.text_before_cursor
        word = re.search(r"\S*\Z", before)
        assert word is not None
        found = [
            Completion(text, start_position=-len(word[0]), display=text.rstrip())
            for text in self._typing.complete(before)
        ]
        if len(found) == 1:
            self._buffer.delete_before_cursor(len(word[0]))
            self._buffer.insert_text(found[0].text)
        elif found:
            self._buffer.complete_state = CompletionState(self._buffer.document, found)
            self._buffer.go_to_completion(0)


class _History(DummyHistory):
    """The lines that can be had again, the oldest first.  `_LineEditor.begin` gives them to the buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def get_strings(self) -> list[str]:  # for Alt+.
        return self.lines


class _SecretReader:
    """What reads a secret: nothing of it is drawn, nor does any editor know it.  Main thread only."""

    def __init__(self, console: PromptConsole) -> None:
        self._console = console
        self._prompt = self._typed = ""
        control = FormattedTextControl(
            lambda: self._prompt + " ",  # the cursor needs something to stand on
            focusable=True,
            get_cursor_position=lambda: Point(len(self._prompt), 0),
        )
        window = Window(control, wrap_lines=True, dont_extend_height=True)
        self.application = console.new_application(window, window, self._keys(), lambda: None)

    def begin(self, prompt: str) -> None:
        self._prompt, self._typed = prompt, ""

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add(Keys.Any)
        def _type(event: KeyPressEvent) -> None:
            if not isinstance(event.key_sequence[0].key, Keys):  # arrow keys and the like
                self._typed += event.data

        @keys.add(Keys.BracketedPaste)
        def _paste(event: KeyPressEvent) -> None:
            self._typed += re.sub(r"[\r\n]", "", event.data)

        @keys.add("backspace")
        def _take_back(_event: KeyPressEvent) -> None:
            self._typed = self._typed[:-1]

        @keys.add("c-u")
        def _take_all_back(_event: KeyPressEvent) -> None:
            self._typed = ""

        @keys.add("enter")
        @keys.add("c-j")
        def _enter(_event: KeyPressEvent) -> None:
            typed, self._typed = self._typed, ""
            self._console.end(typed)

        @keys.add("c-d")
        def _end(_event: KeyPressEvent) -> None:
            if not self._typed:
                self._console.end(EOFError())

        return keys


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


def _unechoed(mode: list[Any]) -> list[Any]:
    """Return a terminal's mode (see termios.tcgetattr) for the time between two lines.

    Each key at once, unseen, as prompt_toolkit has it while a line is typed; but Ctrl+C and Ctrl+Z signal.
    """
    unechoed = [*mode[:6], list(mode[6])]
    unechoed[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.IXOFF)
    # NOFLSH: without it Ctrl+C throws away what is printed and not on the screen yet.
    unechoed[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
    unechoed[3] |= termios.ISIG | termios.NOFLSH
    unechoed[6][termios.VMIN], unechoed[6][termios.VTIME] = 1, 0
    return unechoed
