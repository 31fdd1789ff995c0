"""Child processes of the benchmark: started, listened to with deadlines, ended by pid, looked at in /proc."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

END_TIME = 5.0
"""Seconds between SIGTERM and SIGKILL; a server that says goodbye to 9,500 clients takes about two."""

LAST_WORDS = 12
"""Lines of a process's output that are quoted when it fails."""


class Failed(Exception):
    """What was to be measured could not be; the text says why, in one sentence."""


class Process:
    """A child process, its output read by threads of its own, so that it never waits for a full pipe.

    A context manager: leaving it ends the process, and waits until it has ended.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None) -> None:
        self.name = Path(command[0]).name
        self.started_at = time.monotonic()
        # No shell, and the arguments are our own: the commands are built by the modules of this folder.
        try:
            self._popen = subprocess.Popen(  # noqa: S603
                command,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise Failed(f"{command[0]} cannot be started: {error.strerror}") from None
        # (stream, line), or ("", "") when a stream has ended; put by the two threads, taken by the caller's.
        self._lines: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._threads = [
            threading.Thread(target=self._listen, args=(stream, name), name=f"{self.name} {name}")
            for stream, name in ((self._popen.stdout, "stdout"), (self._popen.stderr, "stderr"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def _listen(self, stream: IO[str] | None, name: str) -> None:
        if stream is not None:
            for line in stream:
                self._last_words.append(line.rstrip())
                self._lines.put((name, line.rstrip("\n")))
        self._lines.put(("", ""))

    def next_line(self, deadline: float, stream: str = "") -> str:
        """Return the next line (of `stream`, if given), at the latest at `deadline` (of time.monotonic)."""
        ends = 0
        while ends < len(self._threads):
            try:
                name, line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"{self.name} said nothing in time{self.last_words()}") from None
            if not name:
                ends += 1
            elif stream in ("", name):
                return line
        raise Failed(f"{self.name} ended{self.last_words()}")

    def wait_for(self, text: str, deadline: float) -> str:
        """Return the first line that contains `text`."""
        while True:
            line = self.next_line(deadline)
            if text in line:
                return line

    def write_line(self, line: str = "") -> None:
        """Write a line to its stdin; nothing happens when it has gone (what it said then tells why)."""
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(line + "\n")
                self._popen.stdin.flush()

    def last_words(self) -> str:
        """The end of its output, to be put after a sentence that says that it failed."""
        return ", after: " + " / ".join(self._last_words) if self._last_words else ""

    def end(self) -> int:
        """End it if it runs (SIGTERM, then SIGKILL) and return its status; as often as wanted."""
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(END_TIME)
            if self._popen.poll() is None:
                self._popen.kill()
        status = self._popen.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return status

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself, and return its status; it is made to after `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(seconds)
        return self.end()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def resident_bytes(self) -> int:
        """Bytes of memory it has at the moment (VmRSS)."""
        return self._status("VmRSS") * 1024

    def peak_bytes(self) -> int:
        """The most of it so far (VmHWM)."""
        return self._status("VmHWM") * 1024

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def _status(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
        raise Failed(f"/proc has no {field} for {self.name}: has it ended?{self.last_words()}")
