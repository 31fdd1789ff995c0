"""A link: one connection to a server, as lines in and bytes out; and the connector, which makes links.

The link never waits.  The connector is the one place where the network thread does: for its link, or for
a byte by which another thread wakes it.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE

from charla.common.certificates import fingerprint
from charla.common.tls import TlsSocket
from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.greeting import read_greeting
from charla.protocol.messages import AskNick, AskPassword, Goodbye, Message, Refusal
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused


class LinkLost(OSError):
    """The connection is lost; `reason` is what a BYE gave before, or empty."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class Link:
    """One connection, with TLS or without: lines that have come, bytes that are to go.  It never waits.

    It belongs to one thread at a time, as its Connector does.
    """

    def __init__(self, sock: socket.socket | TlsSocket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.lines: deque[bytes] = deque()  # received, not read yet
        self.outgoing = bytearray()
        self.broken = False  # nothing can be sent; there may still be something to receive
        self._framer = LineFramer()

    @property
    def wants_to_send(self) -> bool:
        """Whether there is something to send as soon as the socket takes it."""
        waits = isinstance(self.sock, TlsSocket) and self.sock.pending
        return bool(self.outgoing or waits) and not self.broken

    def receive(self) -> None:
        """Take what has come; over-long lines are passed over.  OSError at the end of the stream."""
        try:
            data = self.sock.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        if data is None:  # TLS had something to say to itself
            return
        if not data:
            raise LinkLost
        self.lines.extend(line for line in self._framer.feed(data) if line is not None)

    def flush(self) -> None:
        """Send what the socket takes.

        When that fails, the server's last words may still be waiting to be received: so `broken` is set
        instead of raising anything.
        """
        try:
            while self.outgoing and not self.broken:
                del self.outgoing[: self.sock.send(self.outgoing)]
            if self.wants_to_send:
                self.sock.send(b"")  # ciphertext that waits
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.broken = True

    def messages(self) -> list[Message]:
        """Return the messages that have come; what cannot be read is of a later version: passed over."""
        messages = []
        while self.lines:
            with contextlib.suppress(Refused):
                messages.append(NATIVE.decode(decode_line(self.lines.popleft())))
        return messages

    def close(self) -> None:
        """Close the connection; by TLS with a goodbye, as far as that can be said without waiting."""
        if isinstance(self.sock, TlsSocket):
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        self.sock.close()


class Connector:
    """Connects, and waits.  Everything but `wake` is for one thread at a time, the one that owns the link.

    `look_round(now)` is asked before each wait, and when somebody wakes: it does what is due, returns when
    to be asked again (None: never), and may raise whatever ends the wait.
    """

    def __init__(self, look_round: Callable[[float], float | None]) -> None:
        # Of the thread that owns the link.
        self.link: Link | None = None
        self._look_round = look_round
        self._selector = selectors.DefaultSelector()
        # Any thread may send to `_wake_out`; the one that owns the link reads the other end.
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._selector.register(self._wake_in, EVENT_READ)

    def dial(self, host: str, port: int, deadline: float) -> None:
        """Connect; OSError when there is nobody, TimeoutError when the deadline passes."""
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = TimeoutError()
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            share = (deadline - time.monotonic()) / (len(addresses) - number)
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # a family that this machine does not have
                failure = error
                continue
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connect(sock, address, time.monotonic() + share)
                self._selector.register(sock, EVENT_READ)
                self.link = Link(sock)
                return
            except OSError as error:
                failure = error
                sock.close()
            except BaseException:
                sock.close()
                raise
        raise failure

    def _connect(self, sock: socket.socket, address: tuple[object, ...], deadline: float) -> None:
        """Connect `sock`, in a way that `wake` and Ctrl+C can break into."""
        code = sock.connect_ex(address)
        if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            self._selector.register(sock, EVENT_WRITE)
            try:
                while not self.wait(deadline):
                    if time.monotonic() >= deadline:
                        raise TimeoutError
            finally:
                self._selector.unregister(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def encrypt(self, context: ssl.SSLContext, host: str, deadline: float) -> str:
        """Speak TLS from here on; return the fingerprint of the server's certificate.

        OSError when the handshake fails (tls.explain words it), TimeoutError when the deadline passes.
        """
        assert self.link is not None
        assert isinstance(self.link.sock, socket.socket)
        sock = TlsSocket(self.link.sock, context, server_side=False, server_hostname=host)
        link = self.link = Link(sock)
        while not sock.handshake_step():
            if time.monotonic() >= deadline:
                raise TimeoutError
            self.wait(deadline)
        with contextlib.suppress(OSError):  # it will be met again
            link.receive()  # the first words may have come with the last ones of the handshake
        return fingerprint(sock.peer_certificate())

    def is_loopback(self) -> bool:
        """Whether what is sent stays on this machine; before `encrypt`."""
        assert self.link is not None
        assert not isinstance(self.link.sock, TlsSocket)
        try:
            peer = ipaddress.ip_address(self.link.sock.getpeername()[0])
        except (OSError, ValueError):  # gone already; or no address of the internet's
            return False
        return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback

    def put_password(self, password: str) -> None:
        """Answer a server that asks for a password."""
        assert self.link is not None
        self.link.outgoing += f"{password}\n".encode()
        self.link.flush()

    def read_greeting(self, deadline: float) -> AskNick | AskPassword:
        """Read what the server asks for first; Refused when it turns us away, or is not Charla's.

        After a password, too: it asks for something else then, or it says no, and asks again.
        """
        line = decode_line(self._next_line(deadline))
        while line.startswith("* "):  # a notice to people, as before it hangs up
            line = decode_line(self._next_line(deadline))
        greeting = read_greeting(line)
        if isinstance(greeting, Refusal):
            raise Refused(greeting.code, *greeting.arguments)
        return greeting

    def next_message(self, deadline: float) -> Message:
        """Return the next message of a handshake; LinkLost for a BYE, TimeoutError at the deadline."""
        while True:
            with contextlib.suppress(Refused):
                message = NATIVE.decode(decode_line(self._next_line(deadline)))
                if isinstance(message, Goodbye):
                    raise LinkLost(message.reason)
                return message

    def _next_line(self, deadline: float) -> bytes:
        """Return the next line; TimeoutError at the deadline, also when lines come without end."""
        assert self.link is not None
        while time.monotonic() < deadline:
            if self.link.lines:
                return self.link.lines.popleft()
            self.link.flush()
            if self.wait(deadline) & EVENT_READ:
                self.link.receive()
        raise TimeoutError

    def wait(self, deadline: float | None) -> int:
        """Wait until the link is ready, somebody wakes, or the deadline passes; return the link's events."""
        if self.link is not None:
            wanted = EVENT_READ | EVENT_WRITE if self.link.wants_to_send else EVENT_READ
            if self._selector.get_key(self.link.sock).events != wanted:
                self._selector.modify(self.link.sock, wanted)
        while True:
            now = time.monotonic()
            times = [time for time in (deadline, self._look_round(now)) if time is not None]
            ready = self._selector.select(max(min(times) - now, 0.0) if times else None)
            events = 0
            for key, mask in ready:
                if key.fileobj is self._wake_in:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_in.recv(4096)
                    self._look_round(time.monotonic())
                else:
                    events = mask
            if ready or (deadline is not None and time.monotonic() >= deadline):
                return events

    def wake(self) -> None:
        """End the wait that is under way, or the next one.  Any thread."""
        with contextlib.suppress(OSError):  # full: it will wake; closed: nobody waits any more
            self._wake_out.send(b"\0")

    def drop(self) -> None:
        """Close the link, if there is one."""
        if self.link is not None:
            self._selector.unregister(self.link.sock)
            self.link.close()
            self.link = None

    def close(self) -> None:
        """Close everything."""
        self.drop()
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
