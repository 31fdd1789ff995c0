"""A program on a real pseudo-terminal, and the screen that a person would see.

pexpect gives the terminal, pyte is the screen: everything that the program prints goes through it, and
the rows that have scrolled off at the top are kept too.  Every wait is for something to be seen, with
a deadline; when that passes, the failure shows the screen.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import termios
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]
import ptyprocess  # type: ignore[import-untyped]
import pyte

from support import DEADLINE, ROOT, eventually, forkserver
from support.forkserver import ForkServer

KEYS = {
    "enter": "\r",
    "left": "\x1b[D",
    "right": "\x1b[C",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "home": "\x01",
    "end": "\x05",
    "backspace": "\x7f",
    "delete": "\x1b[3~",
    "erase all": "\x05\x15",  # to the end of the line, then kill it up to its beginning
    "Ctrl+C": "\x03",
    "Ctrl+D": "\x04",
}


# A folder in which prompt_toolkit is not to be had, whether it is installed or not.
WITHOUT_PROMPT_TOOLKIT = str(ROOT / "tests" / "support" / "without_prompt_toolkit")


class _Spawned(pexpect.spawn):  # type: ignore[misc]
    """A program that the fork server has forked, in the form that pexpect knows."""

    def __init__(self, server: ForkServer, hidden: tuple[str, ...], *arguments: str, **options: Any) -> None:
        self._server, self._hidden, self._arguments = server, hidden, arguments
        super().__init__(sys.executable, list(arguments), **options)

    def _spawnpty(self, _args: list[str], **options: Any) -> ptyprocess.PtyProcess:
        forked = self._server.fork(self._arguments, options["env"], options["dimensions"], self._hidden)
        return ptyprocess.PtyProcess(*forked)


class Screen(pyte.Screen):
    """pyte's, with the rows as text: those on the screen, and those that have scrolled off at the top.

    (pyte's own HistoryScreen takes twice the time: it wraps each of its methods at each call.)
    """

    def __init__(self, columns: int, lines: int) -> None:
        self.scrolled_off: list[str] = []
        # As `rows` returned them last; pyte's `dirty` has the numbers of those that have changed since.
        self._rows = [""] * lines
        super().__init__(columns, lines)

    def rows(self) -> list[str]:
        """Return the rows on the screen, each without the blanks at its end."""
        for y in self.dirty:
            if y < self.lines:
                self._rows[y] = self._text(y)
        self.dirty.clear()
        return self._rows.copy()

    def _text(self, y: int) -> str:
        line = self.buffer[y]
        return "".join([line[x].data for x in range(self.columns)]).rstrip()

    def index(self) -> None:
        """Go a row down; at the last one the screen scrolls, and only the new row has to be read again."""
        if self.margins or self.cursor.y < self.lines - 1:
            super().index()
            return
        self.scrolled_off.append(self._text(0) if 0 in self.dirty else self._rows[0])
        changed = {y - 1 for y in self.dirty if y}
        self._rows = [*self._rows[1:], ""]
        super().index()
        self.dirty = changed

    def draw(self, data: str) -> None:
        """Draw; a combining mark at the left edge changes the row above, which pyte does not tell."""
        self.dirty.add(max(self.cursor.y - 1, 0))
        super().draw(data)

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Take another size; what is clipped at the top is gone, as in pyte."""
        super().resize(lines, columns)
        self._rows = [""] * self.lines
        self.dirty.update(range(self.lines))


class Terminal:
    """One of the programs on a terminal of `columns` x `rows`; as a context manager it leaves nothing."""

    def __init__(
        self,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        environment: Mapping[str, str] | None = None,
        prompt_toolkit: bool = True,
    ) -> None:
        """Start `python3 arguments`, with `environment` added to one that is the same on every machine.

        Without `prompt_toolkit` the program does not find that package, though it may be installed.
        """
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHARLA_", "LC_", "PYTHON"))
            and name not in ("LANG", "LANGUAGE", "NO_COLOR", "COLUMNS", "LINES")
        }
        fixed = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "TZ": "UTC", "INPUTRC": os.devnull}
        given = dict(environment or {})
        hiding = {} if prompt_toolkit else {"PYTHONPATH": WITHOUT_PROMPT_TOOLKIT}
        everything = inherited | fixed | given | hiding
        options: dict[str, Any] = {"dimensions": (rows, columns), "env": everything, "cwd": str(ROOT)}
        fork_server = forkserver.server
        if fork_server is not None and fork_server.can_run(arguments, given):
            hidden = () if prompt_toolkit else ("prompt_toolkit",)
            self._child = _Spawned(fork_server, hidden, *arguments, **options)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside the threads of `Program`
                self._child = pexpect.spawn(sys.executable, list(arguments), **options)
        self._child.delaybeforesend = None
        self._child.delayafterread = None
        self._child.delayafterclose = 0
        self._screen = Screen(columns, rows)
        self._screen.write_process_input = self._answer  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self._screen)
        self._ended = False
        self.printed = b""  # all that came from the program, as it came
        self._entered = -1  # how much of that had come when Enter was pressed last

    # ---- typing ----------------------------------------------------------------------------------

    def type(self, text: str | bytes) -> None:
        """Type `text`, all at once, as a fast typist or a paste would."""
        self._send(text if isinstance(text, bytes) else text.encode())

    def key(self, name: str, times: int = 1) -> None:
        """Press a key of KEYS, `times` times."""
        self._send(KEYS[name].encode() * times)

    def enter(self, line: str) -> None:
        """Type `line` and press Enter."""
        self._send((line + KEYS["enter"]).encode())

    def _send(self, keys: bytes) -> None:
        if KEYS["enter"].encode() in keys:
            self._entered = len(self.printed)
        self._child.send(keys)

    # ---- seeing ----------------------------------------------------------------------------------

    def rows(self) -> list[str]:
        """Return the rows on the screen, each without the blanks at its end."""
        return self._screen.rows()

    def all_rows(self) -> list[str]:
        """Return the rows that have scrolled off, and those on the screen down to the last one in use."""
        rows = self._screen.scrolled_off + self.rows()
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""
        return self._screen.cursor.y, self._screen.cursor.x

    def colors(self, text: str) -> set[str]:
        """Return the colours of the characters of `text`, where it is on the screen."""
        for y, row in enumerate(self.rows()):
            start = row.find(text)
            if start >= 0:
                return {self._screen.buffer[y][x].fg for x in range(start, start + len(text))}
        raise AssertionError(f"{text!r} is not on the screen")

    def input_area(self, prompt: str) -> tuple[list[str], tuple[int, int]]:
        """Return the rows from the last one that begins with `prompt` on, and the cursor in them.

        No rows when there is no prompt.
        """
        rows = self.rows()
        starts = [y for y, row in enumerate(rows) if row.startswith(prompt.rstrip())]
        if not starts:
            return [], self.cursor
        area = rows[starts[-1] :]
        while len(area) > 1 and not area[-1]:
            area.pop()
        row, column = self.cursor
        return area, (row - starts[-1], column)

    def typed(self, prompt: str) -> str:
        """Return the text behind the prompt, without its blanks (of which a wrapped row may have more)."""
        return re.sub(r"\s", "", "".join(self.input_area(prompt)[0]).removeprefix(prompt.rstrip()))

    # ---- waiting ---------------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition()` is true of what is on the screen."""
        end = time.monotonic() + DEADLINE
        while not condition():
            left = end - time.monotonic()
            if self._ended or left <= 0:
                why = "the program has ended" if self._ended else f"{DEADLINE} s have passed"
                screen = "\n".join(self.all_rows())
                raise AssertionError(f"{why} without {what}; cursor at {self.cursor}, screen:\n{screen}")
            self._receive(left)

    def wait_for(self, pattern: str) -> None:
        """Wait until a row, on the screen or scrolled off, has something that matches `pattern`."""
        searched = 0  # rows that have scrolled off: they do not change any more
        find = re.compile(pattern).search

        def seen() -> bool:
            nonlocal searched
            first, searched = searched, len(self._screen.scrolled_off)
            return any(map(find, self.rows() + self._screen.scrolled_off[first:]))

        self.wait_until(seen, f"a row like {pattern!r}")

    def finds(self, pattern: str) -> list[str]:
        """Return the rows that `pattern` is found in."""
        return [row for row in self.all_rows() if re.search(pattern, row)]

    def wait_for_prompt(self, prompt: str, typed: str = "") -> None:
        """Wait until the cursor stands behind `prompt` and `typed`, which are on one row, the last one.

        A prompt at which Enter was pressed does not count: the screen shows it until the program prints more.
        """
        line = prompt + typed

        def there() -> bool:
            if len(self.printed) == self._entered:
                return False
            row, column = self.cursor
            rows = self.rows()
            return rows[row] == line.rstrip() and column == len(line) and not any(rows[row + 1 :])

        self.wait_until(there, f"the prompt {line!r}")

    def _receive(self, timeout: float) -> None:
        """Take what the program prints next; wait for it at most `timeout` seconds."""
        try:
            data = self._child.read_nonblocking(65536, timeout)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            self._ended = True
            return
        self.printed += data
        self._stream.feed(data)

    def _answer(self, data: str) -> None:
        """Tell the program what it asks a terminal: where the cursor is, and what it can do."""
        with contextlib.suppress(OSError):  # it has ended
            self._child.send(data)

    # ---- ending ----------------------------------------------------------------------------------

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        os.kill(self._child.pid, number)

    def suspend(self) -> None:
        """Press Ctrl+Z, and wait until the program has stopped.  Fails unless the terminal is as it was."""
        self.type("\x1a")
        stopped = os.WNOHANG | os.WUNTRACED
        eventually(lambda: os.waitpid(self._child.pid, stopped)[0], "the program's stop")
        assert self._terminal_mode() == _mode_of_a_new_terminal(), "the terminal was not restored"

    def resume(self) -> None:
        """Let it go on, as `fg` does, with what it has started or was started by."""
        os.killpg(self._child.pid, signal.SIGCONT)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def status(self) -> int:
        """Wait until the program has ended; return its exit status, or minus the signal that killed it.

        Fails when the terminal is not as it was before.
        """
        self.wait_until(lambda: self._ended, "the program's end")
        eventually(lambda: not self._child.isalive(), "the program's end")
        assert self._terminal_mode() == _mode_of_a_new_terminal(), "the terminal was not restored"
        status = self._child.exitstatus
        return int(status) if status is not None else -int(self._child.signalstatus)

    def wait_until_it_reads(self) -> None:
        """Wait until the program's main thread is in read(2) on the terminal, where that can be seen (Linux).

        A signal that comes between a prompt and that interrupts nothing, where a program has only input().
        """
        call = Path(f"/proc/{self._child.pid}/syscall")
        reads = ("0 0x0 ", "63 0x0 ")  # read, on x86-64 and on ARM, of descriptor 0
        eventually(lambda: not call.exists() or call.read_text().startswith(reads), "a read")

    def is_raw(self) -> bool:
        """Say whether the terminal is as an editor wants it: it does not echo what is typed."""
        return not self._terminal_mode()[3] & termios.ECHO

    def _terminal_mode(self) -> list[Any]:
        return termios.tcgetattr(self._child.child_fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._child.isalive():
            os.kill(self._child.pid, signal.SIGKILL)
            eventually(lambda: not self._child.isalive(), "the program's end")
        self._child.close(force=False)


class Line:
    """What has to stand in the input line: its text, and where the cursor is in it."""

    def __init__(self, text: str = "", cursor: int = 0) -> None:
        self.text, self.cursor = text, cursor

    def press(self, key: str) -> str:
        """Take note of a key, by its name in KEYS, or a character; return what the terminal sends for it."""
        match key:
            case "left":
                self.cursor = max(self.cursor - 1, 0)
            case "right":
                self.cursor = min(self.cursor + 1, len(self.text))
            case "home":
                self.cursor = 0
            case "end":
                self.cursor = len(self.text)
            case "backspace":
                before = max(self.cursor - 1, 0)
                self.text, self.cursor = self.text[:before] + self.text[self.cursor :], before
            case "delete":
                self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]
            case _:
                self.text = self.text[: self.cursor] + key + self.text[self.cursor :]
                self.cursor += 1
        return KEYS.get(key, key)

    def laid_out(self, prompt: str, columns: int) -> tuple[list[str], tuple[int, int]]:
        """Return the rows of prompt and text, and row and column of the cursor in them."""
        rows, at = [""], []
        x = 0
        for character in prompt + self.text:
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if x + width > columns:
                rows.append("")
                x = 0
            at.append((len(rows) - 1, x))
            rows[-1] += character
            x += width
        at.append((len(rows), 0) if x == columns else (len(rows) - 1, x))
        return [row.rstrip() for row in rows], at[len(prompt) + self.cursor]


def _mode_of_a_new_terminal() -> list[Any]:
    """Return what the program was given: to ask its own terminal is too late once the program runs."""
    controller, terminal = os.openpty()
    try:
        return termios.tcgetattr(terminal)
    finally:
        os.close(controller)
        os.close(terminal)


def rows_of(rows: list[str], pattern: str) -> Iterator[str]:
    """Yield the first group of `pattern` in each row that it matches as a whole."""
    for row in rows:
        match = re.fullmatch(pattern, row)
        if match:
            yield match[1]
