"""What the tests share: a client that speaks in lines, and the real programs as processes.

Every wait here is for an event and has a deadline; a deadline that passes fails the test loudly.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from charla.protocol.commands import Command, Hello
from charla.protocol.messages import Message, Welcome
from charla.protocol.native import NATIVE
from support import forkserver

_Self = TypeVar("_Self")

ROOT = Path(__file__).resolve().parent.parent.parent

DEADLINE = 10.0
"""Seconds that anything in the tests may take: far more than it does, so that only a fault meets it."""


def eventually(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition()` is true; for what can only be seen by looking (threads, /proc)."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {DEADLINE} s"
        threading.Event().wait(0.005)


class LineClient:
    """A client on a socket, for both dialects: sends bytes, expects lines."""

    def __init__(self, address: tuple[str, int], receive_buffer: int | None = None) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; once is enough."""
        self.sock.close()

    def send(self, data: str | bytes) -> None:
        """Send all of `data`, as it is."""
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def line(self) -> str:
        """Return the next line, without its LF; fails at the end of the stream."""
        while b"\n" not in self._received:
            data = self.sock.recv(65536)
            assert data, f"end of stream instead of a line; received so far: {self._received!r}"
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def expect(self, *lines: str) -> None:
        """Fail unless exactly these lines come next."""
        for line in lines:
            assert self.line() == line

    def until(self, pattern: str) -> list[str]:
        """Return the lines up to the first that `pattern` is found in, that one last."""
        lines = [self.line()]
        while re.search(pattern, lines[-1]) is None:
            lines.append(self.line())
        return lines

    def rest(self) -> list[str]:
        """Return the lines up to the end of the stream."""
        while data := self.sock.recv(65536):
            self._received += data
        lines = self._received.decode().split("\n")
        assert lines.pop() == "", "the stream ended in the middle of a line"
        self._received = b""
        return lines

    def join_plain(self, nick: str) -> LineClient:
        """Take a seat in the plain dialect, and read up to the end of the welcome."""
        self.expect("NICK")
        self.send(f"{nick}\n")
        self.until(r"^\* \d+ here")
        return self

    def join_native(self, nick: str) -> Welcome:
        """Take a seat in the native dialect; return the welcome; all up to who is here has been read."""
        self.expect("NICK")
        self.ask(Hello(nick))
        welcome = self.message()
        assert isinstance(welcome, Welcome), welcome
        self.until("^WHO - ")
        return welcome

    def ask(self, command: Command) -> None:
        """Send a command in the native dialect."""
        self.send(NATIVE.encode_command(command))

    def message(self) -> Message:
        """Return the next message in the native dialect."""
        return NATIVE.decode(self.line())


class Program:
    """One of the real programs as a process, its output collected line by line by a thread."""

    def __init__(
        self,
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] | None = None,
        folder: Path = ROOT,
    ) -> None:
        """Start `python3 arguments`, or the `command` with them, with `environment` beside the usual one."""
        clean = {  # the same on every machine: in English, unless `environment` says otherwise
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CHARLA_", "LC_")) and name not in ("LANGUAGE", "LANG")
        }
        given = dict(environment or {})
        options: dict[str, Any] = {
            "cwd": folder,
            "stdin": stdin,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "env": clean | given,
            "encoding": "utf-8",
        }
        self.process: subprocess.Popen[str] = (
            forkserver.start_program(arguments, given, **options)
            if command is None
            else subprocess.Popen([*command, *arguments], **options)
        )
        self.output: list[str] = []
        self._changed = threading.Condition()  # guards `output` and `_ended`
        self._ended = False
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.output.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for_line(self, pattern: str) -> re.Match[str]:
        """Wait until a line of the output matches; return the match."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.output if (match := re.search(pattern, line))), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, DEADLINE)
            match = found()
        assert match is not None, f"no line like {pattern!r} in {self.output}"
        return match

    def status(self) -> int:
        """Wait until the program has ended; return its exit status."""
        status = self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)
        return status

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        self._thread.join(DEADLINE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class ServerProgram(Program):
    """`server.py` as a process, listening on a free port of the loopback."""

    def __init__(self, *options: str, **environment: str) -> None:
        super().__init__("server.py", "--port", "0", *options, environment=environment)
        self.address = ("127.0.0.1", int(self.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1]))

    @property
    def port(self) -> str:
        """Return the port, as an option for the client."""
        return str(self.address[1])
