"""What GNU readline (7 or later) has and Python's module does not export.  Main thread only.

It is reached with ctypes, in the very library that Python's module uses.  Names and meanings are those of
the readline manual ("Programming with GNU Readline").
"""

from __future__ import annotations

import contextlib
import ctypes
import locale
import os
import sys
from collections.abc import Callable
from typing import Any

from charla.client.display.widths import display_width
from charla.client.terminal.console import write
from charla.client.terminal.terminal_console import rewraps

try:
    import readline
except ImportError:  # not on Windows, nor in every Python
    readline = None  # type: ignore[assignment]

Guard = Callable[[Callable[..., Any], Any], Callable[..., Any]]
"""Makes a function that C may call of one that may be interrupted or fail, and of what it returns then."""

_STATE_CALLBACK = 0x80000  # readline.h: between rl_callback_handler_install and the end of the line

_ENTER_KEYS = (10, 13)
_CTRL_L = 12

_SETTINGS = (
    "enable-bracketed-paste on",  # Python's module has it off
    # Tab puts in what is likeliest, and the next one in its place when it is pressed again: there is no
    # list, so none is in the way of what arrives.
    "completion-ignore-case on",
    "menu-complete-display-prefix off",
    "show-all-if-ambiguous off",
    "show-all-if-unmodified off",
    # Where a list is asked for (Alt+?), no question that waits for a key in the middle of it.
    "completion-query-items 0",
    "page-completions off",
    "bell-style none",  # the bell is for messages
    "revert-all-at-newline on",  # what was edited, and not entered, is nowhere
    *("input-meta on", "output-meta on", "convert-meta off"),  # ñ is no Alt+q, whatever LC_ALL says
)
_KEYS = (
    "tab: menu-complete",
    r'"\e[Z": menu-complete-backward',
    r'"\e\C-m": "\C-v\C-j"',  # Alt+Enter: a new row
)


class GnuReadline:
    """The line being edited: on and off the screen, with whatever prompt."""

    _CALLS = (
        "clear_visible_line",
        "set_prompt",
        "on_new_line",
        "redisplay",
        "tty_set_echoing",
        "reset_screen_size",
        "get_screen_size",
        "set_screen_size",
        "reset_terminal",
        "bind_key",
    )

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._flush = ctypes.CDLL(None).fflush  # readline draws through C's stdout
        self._state = ctypes.c_ulong.in_dll(library, "rl_readline_state")
        self._version = self._number("rl_readline_version").value
        self._done = self._number("rl_done")
        self._point = self._number("rl_point")
        self._row = self._number("_rl_last_v_pos")  # of the cursor, within the line
        self._last_row = self._number("_rl_vis_botlin")
        self._sort_matches = self._number("rl_sort_completion_matches")
        self._catch_sigwinch = self._number("rl_catch_sigwinch")
        # What stands before the line, and what it was told to put there: they differ while it searches.
        self._prompt_shown = ctypes.c_void_p.in_dll(library, "rl_display_prompt")
        self._prompt = ctypes.c_void_p.in_dll(library, "rl_prompt")
        self._redisplay_function = ctypes.c_void_p.in_dll(library, "rl_redisplay_function")
        library.rl_set_prompt.argtypes = [ctypes.c_char_p]
        self._not_asking = self._redisplay_function.value
        self._asking = self._not_asking
        self._ask: Callable[[], str] = lambda: ""
        self._callbacks: list[object] = []  # C holds pointers to them
        self._too_high = False  # what was drawn last, for the window

    @classmethod
    def find(cls) -> GnuReadline | None:
        """Return the one that Python's module uses; None when that is another editor, or hidden."""
        try:
            library = ctypes.CDLL(readline.__file__)
            for name in cls._CALLS:
                getattr(library, f"rl_{name}")
            return cls(library)
        except (AttributeError, OSError, TypeError, ValueError):
            return None

    def _number(self, name: str) -> ctypes.c_int:
        return ctypes.c_int.in_dll(self._library, name)

    def take_over(
        self, ask: Callable[[], str], enter: Callable[[], None], clear: Callable[[], None], guard: Guard
    ) -> None:
        """Leave the terminal's mode and its size to the caller, and ask for what only that knows.

        `ask` returns the prompt, whenever the line is about to be drawn; `enter` is called when Enter is
        pressed, and ends the line without moving to a new one; `clear` when the screen is to be cleared.
        """
        for name in ("rl_prep_term_function", "rl_deprep_term_function"):
            ctypes.c_void_p.in_dll(self._library, name).value = None
        self._library.rl_tty_set_echoing(1)
        if os.environ.get("LC_ALL") in ("C", "POSIX"):
            # Python takes UTF-8 for that (PEP 540); readline would take each byte for a character.
            os.environ["LC_ALL"] = "C.UTF-8"
            with contextlib.suppress(locale.Error):  # there is none
                locale.setlocale(locale.LC_CTYPE, "")
        self._catch_sigwinch.value = 0
        self._sort_matches.value = 0
        for setting in _SETTINGS:
            readline.parse_and_bind(f"set {setting}")
        for key in _KEYS:
            readline.parse_and_bind(key)
        self._ask = ask

        def end_line(_count: int, _key: int) -> int:
            enter()
            self._done.value = 1
            return 0

        def clear_screen(_count: int, _key: int) -> int:
            clear()
            return 0

        command = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int)
        for function, keys in ((end_line, _ENTER_KEYS), (clear_screen, (_CTRL_L,))):
            callback = command(guard(function, 0))
            self._callbacks.append(callback)
            for number in keys:
                self._library.rl_bind_key(number, callback)
        redisplay = ctypes.CFUNCTYPE(None)(guard(self._draw, None))
        self._callbacks.append(redisplay)
        self._asking = ctypes.cast(redisplay, ctypes.c_void_p).value

    def begin_line(self) -> None:
        """Ask for the prompt from now on.  Before each line."""
        self._too_high = False
        self._redisplay_function.value = self._asking

    def break_off(self) -> None:
        """Do not ask any more.  Before an exception ends the line: readline draws once more on the way.

        Python code that C calls while an exception is on its way loses it.
        """
        self._redisplay_function.value = self._not_asking

    def takes_pasted_blocks(self) -> bool:
        """Whether a pasted block can come as one line with newlines in it (from readline 8.1 on)."""
        return self._version >= 0x0801

    def waits_for_key(self) -> bool:
        """Whether a line is being edited, so that there is one to draw."""
        return bool(self._state.value & _STATE_CALLBACK)

    def can_take_off(self) -> bool:
        """Whether the line can be taken off the screen now, and drawn again."""
        return True

    def take_off_screen(self) -> None:
        """Erase every row of prompt and text; the cursor stands where they began."""
        self._library.rl_clear_visible_line()
        self._flush(None)
        if self._fills_window():
            self._blank_window()
        self._too_high = False

    def take_off_for_good(self) -> None:
        """Erase prompt and text, and draw nothing more: what ends a line from outside would, once."""
        self.take_off_screen()
        self._library.rl_tty_set_echoing(0)

    def draw_anew(self) -> None:
        """Draw the line at the cursor, which stands at the left edge; its cursor where it was in the text."""
        self._library.rl_on_new_line()
        self.draw()

    def draw(self) -> None:
        """Draw what has changed in the line, and its prompt."""
        self._draw()
        self._flush(None)

    def _draw(self) -> None:
        prompt = self._ask().encode(errors="replace")
        if self._fills_window() and not self._is_too_high(prompt):
            self._blank_window()
            self._library.rl_on_new_line()
        if not self._asks_itself() and prompt != ctypes.string_at(self._prompt.value or b""):
            # What it has drawn so far, it erases with the help of the prompt that it knows.
            self._library.rl_clear_visible_line()
            self._library.rl_on_new_line()
            self._library.rl_set_prompt(prompt)
        self._library.rl_redisplay()
        self._too_high = self._last_row.value >= self._screen_size()[0]

    def _blank_window(self) -> None:
        """Erase what is all of one line: readline does not find where that began, above the window."""
        write("\x1b[H\x1b[J")

    def _fills_window(self) -> bool:
        """Say whether nothing but the line is in the window; not when that has just got another size."""
        if not self._too_high:
            return False
        with contextlib.suppress(OSError):
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
            return (lines, columns) == self._screen_size()
        return True

    def _is_too_high(self, prompt: bytes) -> bool:
        """Say whether the line, with its prompt, takes more rows than the window has."""
        lines, columns = self._screen_size()
        text = prompt + readline.get_line_buffer().encode(errors="surrogateescape")
        if lines * columns > 4 * len(text) and text.count(b"\n") < lines // 2:  # as mostly
            return False
        rows = text.decode(errors="replace").split("\n")
        return sum(display_width(row) // columns + 1 for row in rows) > lines

    def _screen_size(self) -> tuple[int, int]:
        """Return rows and columns of the window, as readline knows them."""
        lines, columns = ctypes.c_int(), ctypes.c_int()
        self._library.rl_get_screen_size(ctypes.byref(lines), ctypes.byref(columns))
        return max(lines.value, 1), max(columns.value, 1)

    def _asks_itself(self) -> bool:
        """Whether readline has a prompt of its own there: while it searches (Ctrl+R), say."""
        return bool(self._prompt_shown.value != self._prompt.value)

    def look_at_size(self) -> None:
        """Take note of the window's size."""
        self._library.rl_reset_screen_size()

    def take_off_resized(self, columns: int) -> None:
        """Erase the line in a window that has `columns` from now on.

        Where the cursor is, depends on whether the terminal has wrapped the line anew.  Where nobody knows,
        what is above the line is not touched: rows of it may stay there, but no message is lost.
        """
        self._too_high = False  # it may have been: more than the line may be in sight by now
        columns = max(columns, 1)
        text = readline.get_line_buffer().encode(errors="surrogateescape")[: self._point.value]
        before = ctypes.string_at(self._prompt_shown.value or b"") + text
        *whole, last = before.decode(errors="replace").split("\n")
        wrapped = sum(max(-(-display_width(row) // columns), 1) for row in whole)
        wrapped += display_width(last) // columns
        up = wrapped if rewraps() else min(self._row.value, wrapped)
        # Not all of the screen at a time, though that may be all there is: tmux would keep it.
        write("\r\x1b[C\x1b[J\r\x1b[K" + "\x1b[A\x1b[K" * up)
        self.look_at_size()
