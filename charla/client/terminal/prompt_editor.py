"""What reads on a terminal with prompt_toolkit: a line with all its editing, and a secret.

Main thread only, in the event loop of the console (prompt_console.py), which runs their applications.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer, CompletionState
from prompt_toolkit.completion import Completion
from prompt_toolkit.data_structures import Point
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, has_completions, is_done, is_searching
from prompt_toolkit.history import DummyHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import (
    AnyContainer,
    BufferControl,
    CompletionsMenu,
    ConditionalContainer,
    Dimension,
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
    ConditionalProcessor,
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    TabsProcessor,
)
from prompt_toolkit.output import Output
from prompt_toolkit.search import accept_search
from prompt_toolkit.utils import get_cwidth
from prompt_toolkit.widgets import SearchToolbar

from charla.client.terminal.console import Question, Typing
from charla.client.terminal.terminal_console import rewraps
from charla.i18n import _

REMEMBERED_LINES = 1000
"""Lines that the arrow keys give back."""

MENU_ROWS = 8
"""Rows of the menu of completions, at the most."""

ROWS_FOR_STATUS = 3
"""Rows that a window must have for a status line."""

End = str | BaseException
"""How reading ends: with what was entered, or with what is to be raised."""


class _Application(Application[End]):
    """One whose rows are all taken off the screen before they are drawn for a window of another width."""

    def _on_resize(self) -> None:
        if rewraps():
            self.output.cursor_up(self._rows_more())
        super()._on_resize()

    def _rows_more(self) -> int:
        """Return how many rows more than drawn there are above the cursor in a window of the new width."""
        columns = max(self.output.get_size().columns, 1)
        cursor, screen = self.renderer._cursor_pos, self.renderer._last_screen
        rows = [screen.data_buffer[y] for y in range(cursor.y)] if screen is not None else []
        ends = [max((x for x, cell in row.items() if cell.char.strip()), default=0) for row in rows]
        return sum(end // columns for end in ends) + cursor.x // columns


class Reader:
    """An application of prompt_toolkit, and how it ends."""

    def __init__(
        self,
        shown: AnyContainer,
        focus: Window,
        keys: KeyBindings,
        terminal: tuple[Input, Output],
        suspend: Callable[[], None],
    ) -> None:
        """Show `shown`, with the cursor in `focus`, while `application` runs; Ctrl+Z calls `suspend`."""

        @keys.add("c-c", filter=~is_searching)
        def _interrupt(_event: KeyPressEvent) -> None:
            self.end(KeyboardInterrupt())

        @keys.add("c-z")
        def _suspend(_event: KeyPressEvent) -> None:
            suspend()

        def before_drawing(application: Application[End]) -> None:
            if not application.is_done:  # or it is about to be taken off the screen
                self._before_drawing()

        self.application: Application[End] = _Application(
            # Done before it is drawn for the first time: a line that was typed ahead, with its Enter.
            layout=Layout(ConditionalContainer(shown, ~is_done), focused_element=focus),
            key_bindings=keys,
            include_default_pygments_style=False,
            erase_when_done=True,
            max_render_postpone_time=None,
            terminal_size_polling_interval=None if hasattr(signal, "SIGWINCH") else 0.5,
            before_render=before_drawing,
            input=terminal[0],
            output=terminal[1],
        )

    @property
    def typed(self) -> str:
        """What is typed and may be shown."""
        return ""

    @property
    def prompt(self) -> str:
        """What stands before it."""
        return ""

    def is_reading(self) -> bool:
        """Whether it has begun, and has not ended."""
        return self.application.is_running and not self.application.is_done

    def end(self, how: End) -> None:
        """End reading, if it has not ended already."""
        if self.is_reading():
            self.application.exit(result=how)

    def _before_drawing(self) -> None:
        pass


class LineEditor(Reader):
    """Reads a line: its text, prompt, status, completions and history."""

    def __init__(
        self, terminal: tuple[Input, Output], suspend: Callable[[], None], clear: Callable[[], None]
    ) -> None:
        """Read on `terminal`; Ctrl+Z calls `suspend`, Ctrl+L `clear`."""
        self._typing: Typing = Question("")
        self._prompt = self._status = ""  # as they are drawn
        self._last_line = ""
        self._history = _History()
        self._buffer = Buffer(history=self._history, accept_handler=self._accept)
        self._output = terminal[1]
        super().__init__(*self._containers(), self._keys(clear), terminal, suspend)

    @property
    def typed(self) -> str:
        return self._buffer.text

    @property
    def prompt(self) -> str:
        return self._prompt

    def begin(self, typing: Typing, text: str) -> None:
        """Begin a line in which `text` stands.  In the running application, before anything is drawn."""
        self._typing = typing
        self.application.layout.focus(self._buffer)  # a search may have been interrupted
        self._buffer.reset()
        # prompt_toolkit would load them a little later: after the keys that were typed ahead.
        self._buffer._working_lines.extendleft(reversed(self._history.lines))
        self._buffer.working_index = len(self._history.lines)
        self._buffer.document = Document(text)

    def remember(self, line: str) -> None:
        """Let the arrow keys give `line` back."""
        self._last_line = line
        if line and self._history.lines[-1:] != [line]:
            self._history.lines.append(line)
            del self._history.lines[:-REMEMBERED_LINES]

    def forget(self) -> None:
        """Do not give back the line that was remembered last."""
        self._history.lines = [line for line in self._history.lines if line != self._last_line]

    def _before_drawing(self) -> None:
        self._prompt = self._typing.prompt(self._buffer.text)
        self._status = self._typing.status()

    def _accept(self, buffer: Buffer) -> bool:
        self.end(buffer.text)
        return True  # the text stays in the buffer

    def _containers(self) -> tuple[HSplit, Window]:
        """Return all that is shown, and the window of the line in it."""
        search = SearchToolbar(
            backward_search_prompt=lambda: _("Search back: "),
            forward_search_prompt=lambda: _("Search forward: "),
            ignore_case=True,
        )
        has_tabs = Condition(lambda: "\t" in self._buffer.text)
        line = Window(
            BufferControl(
                self._buffer,
                input_processors=[
                    HighlightIncrementalSearchProcessor(),
                    HighlightSelectionProcessor(),
                    ConditionalProcessor(TabsProcessor(char1=" ", char2=" "), has_tabs),
                    BeforeInput(lambda: self._prompt),
                ],
                include_default_input_processors=False,
                search_buffer_control=search.control,
                preview_search=True,
            ),
            wrap_lines=True,
            dont_extend_height=True,
            height=self._line_rows,
        )
        room_for_menu = ConditionalContainer(Window(height=self._menu_rows), has_completions)
        menu = Float(CompletionsMenu(max_height=MENU_ROWS, scroll_offset=1), xcursor=True, ycursor=True)
        status = ConditionalContainer(
            Window(FormattedTextControl(lambda: self._status), height=1, style="class:bottom-toolbar"),
            Condition(lambda: bool(self._status) and self._rows() >= ROWS_FOR_STATUS),
        )
        upper = FloatContainer(HSplit([line, search, room_for_menu], align=VerticalAlign.TOP), [menu])
        return HSplit([upper, status], align=VerticalAlign.TOP), line

    def _line_rows(self) -> Dimension:
        """Return how many rows the line takes, with the cursor behind it.

        prompt_toolkit counts columns alone: where a wide character does not fit at the end of a row, and goes
        to the next one, it has a row too few.
        """
        if is_searching():  # another line is shown
            return Dimension()
        columns, rows = self._output.get_size().columns, 0
        for line in f"{self._prompt}{self._buffer.text}".split("\n"):
            rows, used = rows + 1, 0
            for character in f"{line} ":
                width = get_cwidth(character)
                if used + width > columns:
                    rows, used = rows + 1, 0
                used += width
        return Dimension(preferred=rows)

    def _rows(self) -> int:
        return self._output.get_size().rows

    def _menu_rows(self) -> int:
        state = self._buffer.complete_state
        return min(len(state.completions) if state else 0, MENU_ROWS, max(self._rows() - ROWS_FOR_STATUS, 0))

    def _keys(self, clear: Callable[[], None]) -> KeyBindings:
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

        @keys.add("c-u", filter=~is_searching)
        def _take_back(event: KeyPressEvent) -> None:
            taken = self._buffer.delete_before_cursor(self._buffer.cursor_position)  # of all its rows
            event.app.clipboard.set_text(taken)  # Ctrl+Y brings it back

        for key in ("left", "right", "home", "end", "up", "down", "tab", "c-a", "c-e", "c-b", "c-f"):

            @keys.add(key, filter=is_searching)
            def _edit_what_is_found(event: KeyPressEvent) -> None:
                accept_search()
                event.key_processor.feed(event.key_sequence[0], first=True)

        @keys.add("c-d", filter=Condition(lambda: not self._buffer.text) & ~is_searching)
        def _end(_event: KeyPressEvent) -> None:
            self.end(EOFError())

        @keys.add("c-l")
        def _clear(_event: KeyPressEvent) -> None:
            clear()

        return keys

    def _complete(self) -> None:
        """Put in the best completion, at once: what is typed next comes behind it.  Again: the next one."""
        if self._buffer.complete_state:
            self._buffer.complete_next()
            return
        before = self._buffer.document.text_before_cursor
        length = len(re.split(r"\s", before)[-1])
        found = [
            Completion(text, start_position=-length, display=text.rstrip())
            for text in self._typing.complete(before)
        ]
        if len(found) == 1:
            self._buffer.delete_before_cursor(length)
            self._buffer.insert_text(found[0].text)
        elif found:
            self._buffer.complete_state = CompletionState(self._buffer.document, found)
            self._buffer.go_to_completion(0)


class _History(DummyHistory):
    """The lines that can be had again, the oldest first.  `LineEditor.begin` gives them to the buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def get_strings(self) -> list[str]:  # for Alt+.
        return self.lines


class SecretReader(Reader):
    """Reads a secret: nothing of it is drawn, and no editor, history or clipboard knows it."""

    def __init__(self, terminal: tuple[Input, Output], suspend: Callable[[], None]) -> None:
        self._prompt = self._secret = ""
        control = FormattedTextControl(
            lambda: self._prompt + " ",  # the cursor needs something to stand on
            focusable=True,
            get_cursor_position=lambda: Point(len(self._prompt), 0),
        )
        window = Window(control, wrap_lines=True, dont_extend_height=True)
        super().__init__(window, window, self._keys(), terminal, suspend)

    def begin(self, prompt: str) -> None:
        """Begin a secret behind `prompt`."""
        self._prompt, self._secret = prompt, ""

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add(Keys.Any)
        def _type(event: KeyPressEvent) -> None:
            if not isinstance(event.key_sequence[0].key, Keys):  # arrow keys and the like
                self._secret += event.data

        @keys.add(Keys.BracketedPaste)
        def _paste(event: KeyPressEvent) -> None:
            self._secret += re.sub(r"[\r\n]", "", event.data)

        @keys.add("backspace")
        def _take_back(_event: KeyPressEvent) -> None:
            self._secret = self._secret[:-1]

        @keys.add("c-u")
        def _take_all_back(_event: KeyPressEvent) -> None:
            self._secret = ""

        @keys.add("enter")
        @keys.add("c-j")
        def _enter(_event: KeyPressEvent) -> None:
            secret, self._secret = self._secret, ""
            self.end(secret)

        @keys.add("c-d")
        def _end(_event: KeyPressEvent) -> None:
            if not self._secret:
                self.end(EOFError())

        return keys
