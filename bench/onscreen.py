"""The client on a pseudo-terminal, with the time at which each piece of its output came; and its screen.

One thread reads, and feeds pyte afterwards: what comes meanwhile waits in the kernel, as at a terminal that
draws.  That is in the figures, which are so the more: pyte takes a millisecond for 1 or 2 KB.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte
from processes import Failed

PROMPT = re.compile(r"ana(?: \([^)]*\))?> ?")
"""What stands before the text: `ana> `, or `ana (2 sending)> `."""

PATIENCE = 20.0
"""Seconds for what has to be seen."""

ROWS = 24

END_TIME = 5.0


class OnScreen:
    """A program on a terminal of `columns`; as a context manager it leaves nothing.

    `started_at`: the time just before fork.  `came_at`: when the newest output came.
    """

    def __init__(
        self, command: Sequence[str], columns: int, *, cwd: Path, environment: Mapping[str, str]
    ) -> None:
        self.columns = columns
        self._controller, terminal = os.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._screen = pyte.Screen(columns, ROWS)
        self._screen.write_process_input = self._answer  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self._screen)
        self.came_at = 0.0
        self.bytes = 0  # printed so far
        self._tail = b""  # the end of what was printed
        self.started_at = time.monotonic()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own client
                command,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                cwd=cwd,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
        finally:
            os.close(terminal)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _answer(self, data: str) -> None:
        """Tell the program what it asks a terminal: where the cursor is."""
        with contextlib.suppress(OSError):
            os.write(self._controller, data.encode())

    def press(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def receive(self, timeout: float, draw: bool = True) -> bool:
        """Take what comes within `timeout` seconds, also to the screen (`draw`); say whether any came."""
        if not select.select([self._controller], [], [], max(0.0, timeout))[0]:
            return False
        self.came_at = time.monotonic()
        try:
            data = os.read(self._controller, 65536)
        except OSError:  # EIO: nobody has it open any more
            data = b""
        if not data:
            raise Failed("the client has ended, after: " + " / ".join(row for row in self.rows() if row))
        self.bytes += len(data)
        self._tail = (self._tail + data)[-4096:]
        if draw:
            self._stream.feed(data)
        return True

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self._screen.display]

    def shows(self, text: str, cursor: int) -> bool:
        """Say whether the prompt is on the screen, `text` behind it, and the cursor before text[cursor]."""
        rows = self._screen.display
        for y in range(self._screen.cursor.y, -1, -1):
            if match := PROMPT.match(rows[y]):
                at = (self._screen.cursor.y - y) * self.columns + self._screen.cursor.x
                taken = match.end() + len(text)
                seen = "".join(rows[y : y + taken // self.columns + 1])
                return seen[match.end() : taken].rstrip() == text.rstrip() and at == match.end() + cursor
        return False

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until `condition()` is true of the screen."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() >= end:
                screen = "\n".join(self.rows())
                raise Failed(f"after {PATIENCE:.0f} s there is no {what} on the screen:\n{screen}")
            self.receive(0.1)

    def wait_for_bytes(self, text: bytes) -> None:
        """Wait until `text` has been printed; it is not drawn."""
        end = time.monotonic() + PATIENCE
        while text not in self._tail:
            if not self.receive(0.1, draw=False) and time.monotonic() >= end:
                raise Failed(f"after {PATIENCE:.0f} s nothing like {text!r} was printed")

    def processor_seconds(self) -> float:
        """The processor time it has used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str) -> int:
        """A figure of /proc/PID/status in bytes: VmRSS, resident now; VmHWM, the most so far."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise Failed(f"/proc has no {field} for the client: has it ended?")

    def __enter__(self) -> OnScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            end = time.monotonic() + END_TIME
            while self._process.poll() is None and time.monotonic() < end:
                with contextlib.suppress(Failed):
                    self.receive(0.02, draw=False)  # its last words must not block it
            if self._process.poll() is None:
                self._process.kill()
        self._process.wait()
        os.close(self._controller)
