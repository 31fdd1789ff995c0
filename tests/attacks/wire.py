"""The attackers' connections: in the native dialect, each used by one thread, plain or with TLS."""

from __future__ import annotations

import contextlib
import socket
import time
from types import TracebackType
from typing import TypeVar

from charla.common.certificates import client_context
from charla.common.tls import TlsSocket

_Self = TypeVar("_Self")

HOST = "127.0.0.1"

PATIENCE = 10.0
"""Seconds that a server may take for anything that it must do."""


class Hung(Exception):
    """The server has hung up, or does not answer."""


def hello(nick: str, session: str = "") -> bytes:
    """Return the line that asks for a seat, without any history."""
    return f"HELLO 1 {nick} session={session} history=0\n".encode()


class Line:
    """A connection: whole lines in, bytes out.  `ca`: speak TLS, and trust that certificate."""

    def __init__(self, port: int, ca: str | None = None, receive_buffer: int | None = None) -> None:
        self._rest = b""
        self._raw = socket.socket()
        if receive_buffer is not None:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._raw.settimeout(PATIENCE)
        self._sock: socket.socket | TlsSocket = self._raw
        try:
            self._raw.connect((HOST, port))
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if ca is not None:
                tls = TlsSocket(self._raw, client_context(ca), server_side=False, server_hostname=HOST)
                tls.handshake()
                self._sock = tls
        except OSError:
            self._raw.close()
            raise

    def fileno(self) -> int:
        return self._raw.fileno()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                sent += self._sock.send(view[sent:])

    def send_some(self, data: bytes) -> int:
        """Send what the socket takes, without waiting; return how many bytes that are."""
        try:
            return self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def receive(self) -> list[bytes]:
        """Wait for the next bytes; return the lines that they complete, perhaps none.  Hung at the end."""
        data = self._sock.recv(1 << 18)
        if data == b"":
            raise Hung
        *lines, self._rest = (self._rest + (data or b"")).split(b"\n")
        return lines

    def receive_bytes(self) -> bytes:
        """Wait for the next bytes, and return them as they are.  Hung at the end."""
        data = self._sock.recv(1 << 18)
        if data == b"":
            raise Hung
        kept, self._rest = self._rest, b""
        return kept + (data or b"")

    def until(self, beginning: bytes) -> list[bytes]:
        """Return the lines up to the chunk with one that begins so; Hung when the server says BYE."""
        seen: list[bytes] = []
        end = time.monotonic() + PATIENCE
        while not any(line.startswith(beginning) for line in seen):
            if time.monotonic() > end or any(line.startswith(b"BYE") for line in seen):
                raise Hung
            seen += self.receive()
        return seen

    def join(self, nick: str, session: str = "") -> None:
        """Take a seat, with no history; `session`: "new" for one that is kept."""
        self.until(b"NICK")
        self.send(hello(nick, session))
        self.until(b"WHO")

    def close(self) -> None:
        """Close it, without a goodbye."""
        with contextlib.suppress(OSError):
            self._raw.close()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
