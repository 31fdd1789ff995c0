"""The console for screen readers, and for terminals that can do nothing (TERM=dumb): words in a row.

It is the readline console (readline_console.py), but nothing that was printed is taken off the screen: a
screen reader reads what is new, once.  So

* there is no prompt, but for what is asked;
* what arrives is printed at once while the row is empty; while something is typed it is held back, until
  that is entered or rubbed out;
* what was entered stays, on its row.

GNU readline takes the terminal for one that can do nothing, and is as wide as no line is long: then it
prints what is typed, takes characters away with backspaces, uses no escape sequence and leaves all else
alone (measured with readline 8.2).  What is changed before the end of a line, it prints again from its
left edge: on a terminal that has wrapped the line, from that of the last row.  A newline in a pasted block
shows as ^J.  Two sequences have the terminal mark such blocks; unless TERM=dumb, for they change nothing
that is seen or heard.

Without GNU readline (libedit, none) the library or the terminal shows what is typed as it likes to; a line
begins with no text; and with no readline at all, what arrives is only shown when a line has been entered.
"""

from __future__ import annotations

import ctypes
import os
import sys
import termios
from collections.abc import Callable

from charla.client.terminal.console import Question, write
from charla.client.terminal.gnu_readline import GnuReadline, Guard
from charla.client.terminal.readline_console import ReadlineConsole

try:
    import readline
except ImportError:  # not in every Python
    readline = None  # type: ignore[assignment]

_ROWS, _COLUMNS = 24, 30_000
"""What readline is told of the terminal.  Wider than a message is long: a longer line it would scroll."""


class _DumbTerminal(GnuReadline):
    """The line being edited, where nothing is taken off the screen."""

    echoes = True
    """Whether what is typed is shown: not where the terminal does not (in Emacs, which shows it itself)."""

    def take_over(
        self, ask: Callable[[], str], enter: Callable[[], None], clear: Callable[[], None], guard: Guard
    ) -> None:
        self.echoes = bool(termios.tcgetattr(sys.stdin)[3] & termios.ECHO)
        super().take_over(ask, enter, clear, guard)
        self._library.rl_reset_terminal(b"dumb")
        self._library.rl_set_screen_size(_ROWS, _COLUMNS)
        self._library.rl_tty_set_echoing(self.echoes)
        readline.parse_and_bind(r'"\e[3~": delete-char')  # of TERM=dumb it does not expect the key

    def begin_line(self) -> None:
        """Leave all drawing to readline: a prompt stays what it is."""

    def can_take_off(self) -> bool:
        return not self._is_typed()

    def take_off_screen(self) -> None:
        """Go to a new row, if there is anything on this one."""
        if ctypes.string_at(self._prompt.value or b"") or (self.echoes and self._is_typed()):
            write("\n")

    def _is_typed(self) -> bool:
        return self._asks_itself() or bool(self._number("rl_end").value)


class PlainConsole(ReadlineConsole):
    """For people who hear what is on the screen: see the module's text."""

    _EDITOR = _DumbTerminal
    _editor: _DumbTerminal | None

    def _prompt_for(self, typed: str) -> str:
        return super()._prompt_for(typed) if isinstance(self._typing, Question) else ""

    def _enter(self) -> None:
        self._entering = True
        if self._editor is not None and self._editor.echoes:
            write("\n")

    def _draw(self) -> None:
        self._undrawn = False  # before looking: what comes after it is drawn again
        if self._arrived:
            self._undrawn = True
            super()._draw()
        else:
            write(self._due_bell())

    def _leave_row(self) -> str:
        return "\n" if self._prompt() else ""

    def _blank_screen(self) -> str:
        return "\n" * self.height()

    def _resize(self) -> None:
        """Nothing is drawn again, and readline's idea of the size stays."""
        self._resized = False

    def _brackets_pasted_blocks(self) -> bool:
        return super()._brackets_pasted_blocks() and os.environ.get("TERM", "") not in ("", "dumb")
