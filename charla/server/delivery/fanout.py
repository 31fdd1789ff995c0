"""The fan-out: every connection's unsent bytes, and the only code that sends on a client's socket.

All of it belongs to the room thread.  In one batch the room calls `broadcast`, `send_to`, `subscribe` and
`unsubscribe` as things happen, and then `flush` once:

* `broadcast` encodes an event once per dialect and appends it to that dialect's *lines*;
* what one connection gets besides, or instead, is an *insert* with its place among the lines;
* `flush` joins the lines once, and gives each connection one non-blocking send: the joined bytes
  themselves, or, for the few with inserts, a copy with these spliced in.

So the cost of a batch is about one system call per client, however many messages are in it.  What a
socket does not take stays in that connection's bounded backlog until the poller says that it is
writable; a connection whose backlog is full is dropped.  Nothing here ever waits for a client.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Iterable
from itertools import accumulate
from threading import get_ident

from charla.protocol.dialect import Dialect
from charla.protocol.messages import Event, Goodbye, Message
from charla.server.delivery.connection import Connection

BACKLOG_LIMIT = 256 * 1024
"""Bytes that wait for one connection before it is dropped: some 4,000 lines of talk."""

FLUSH_SIZE = 64 * 1024
"""Bytes of lines after which a batch is flushed early: well under the backlog limit, so that a client
that reads is never dropped for the size of a batch."""

CLOSE_TIME = 2.0
"""Seconds in which a connection that is being closed may take what is queued for it."""

_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)  # where there is none (Windows), server.py does not start


class _Channel:
    """The members that speak one dialect, and the lines that this batch has for all of them."""

    def __init__(self) -> None:
        self.members: dict[Connection, None] = {}  # in the order they joined
        self.lines: list[bytes] = []


class Fanout:
    """Delivers what the room tells; see the module's text.  `backlog_limit` in bytes, times in seconds.

    Every method and attribute is the room thread's.
    """

    def __init__(
        self,
        *,
        backlog_limit: int = BACKLOG_LIMIT,
        close_time: float = CLOSE_TIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner: int | None = None  # the room thread's identifier, once it runs; None: whoever calls
        self._backlog_limit = backlog_limit
        self._close_time = close_time
        self._clock = clock
        self.connections: dict[Connection, None] = {}  # all whose reader or socket is still in use
        self.poller = select.poll()  # the sockets that were full (and the inbox)
        self.full: dict[int, Connection] = {}  # the same, by descriptor
        self._deadlines: dict[Connection, float] = {}  # of those closing or ended; the earliest first
        self._broken: list[tuple[Connection, str]] = []  # for `take_broken`
        # Of this batch.
        self._channels: dict[Dialect, _Channel] = {}
        self._size = 0  # bytes in all the lines and inserts
        self._apart: list[Connection] = []  # with inserts, a member for a part of it only, or closing
        # Since the start, for /status.
        self.deliveries = 0  # lines handed to sockets or backlogs, one for each client
        self.drops = 0  # connections that did not read

    # ---- while a batch is made -------------------------------------------------------------------

    def open(self, connection: Connection) -> None:
        """Take charge of the sending side of a new connection, until its reader has ended."""
        self.connections[connection] = None

    def subscribe(self, connection: Connection) -> None:
        """From here on `connection` gets what is told to everyone, in its dialect."""
        channel = self._channels.setdefault(connection.dialect, _Channel())
        channel.members[connection] = None
        self._set_apart(connection)
        connection.first, connection.last = len(channel.lines), None

    def unsubscribe(self, connection: Connection) -> None:
        """From here on `connection` gets only what it is told itself."""
        channel = self._channels.get(connection.dialect)
        if channel is not None and connection in channel.members:
            del channel.members[connection]
            self._set_apart(connection)
            connection.last = len(channel.lines)

    def broadcast(self, event: Event, author: Connection | None = None) -> None:
        """Tell `event` to every member; its `author`, a member, gets its own version of it."""
        for dialect, channel in self._channels.items():
            if channel.members:
                if author is not None and author.dialect is dialect:
                    self._insert(author, len(channel.lines), 1, dialect.encode(event, True))
                line = dialect.encode(event)
                channel.lines.append(line)
                self._size += len(line)

    def send_to(self, connection: Connection, message: Message, own: bool = False) -> None:
        """Tell `message` to one connection, member or not; `own`: it caused the event."""
        self.send_raw(connection, connection.dialect.encode(message, own))

    def send_raw(self, connection: Connection, data: bytes) -> None:
        """Tell one connection, member or not, what is encoded already: whole lines."""
        place = connection.last
        if place is None:
            place = len(self._channels[connection.dialect].lines)
        self._insert(connection, place, 0, data)

    def close(self, connection: Connection) -> None:
        """Send what is queued, then end of stream; `close_time` later it is hung up on at the latest."""
        connection.begin_closing()
        if connection.gone:
            return
        self._deadlines.setdefault(connection, self._clock() + self._close_time)
        self._set_apart(connection)

    def end(self, connection: Connection) -> None:
        """Release a connection whose reader has ended, once what is queued is sent or its time is up."""
        connection.ended = True
        if connection.gone:
            del self.connections[connection]
        else:
            self.close(connection)

    def dismiss(self, connection: Connection, message: Message) -> None:
        """Tell a connection that is no member a last thing, as far as it goes at once, and hang up."""
        self.send_to(connection, message)
        if not (connection.gone or connection.backlog):
            with contextlib.suppress(OSError):
                connection.sock.send(b"".join(insert for _, _, insert in connection.inserts), _DONTWAIT)
        self.hang_up(connection)

    def _insert(self, connection: Connection, place: int, replaces: int, data: bytes) -> None:
        if not connection.apart:
            self._set_apart(connection)
        connection.inserts.append((place, replaces, data))
        self._size += len(data)

    def _set_apart(self, connection: Connection) -> None:
        if not connection.apart:
            connection.apart = True
            self._apart.append(connection)

    @property
    def batch_is_large(self) -> bool:
        """Whether it is time to flush in the middle of a batch."""
        return self._size >= FLUSH_SIZE

    # ---- sending ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send everybody what this batch has for them.  Afterwards ask `take_broken`."""
        assert self.owner is None or self.owner == get_ident(), "only the room's thread sends"
        apart, self._apart = self._apart, []
        for dialect, channel in self._channels.items():
            data = b"".join(channel.lines)
            self.deliveries += len(channel.lines) * len(channel.members)
            if apart:
                self._send([member for member in channel.members if not member.apart], data)
                offsets = [0, *accumulate(map(len, channel.lines))]
                for connection in apart:
                    if connection.dialect is dialect:
                        self._send_spliced(connection, data, offsets)
            else:
                self._send(channel.members, data)
            channel.lines.clear()
        for connection in apart:
            if connection.inserts:  # of a dialect that nobody is a member of yet
                self._send_spliced(connection, b"", [0])
            connection.apart = False
            self._settle(connection)
        self._size = 0

    def _send_spliced(self, connection: Connection, data: bytes, offsets: list[int]) -> None:
        """Send the lines of `data` that concern `connection`, with its inserts in their places."""
        at = connection.first
        parts = []
        self.deliveries += len(connection.inserts)
        for place, replaces, insert in connection.inserts:
            parts.append(data[offsets[at] : offsets[max(place, at)]])
            parts.append(insert)
            at = max(place + replaces, at)
        end = len(offsets) - 1 if connection.last is None else connection.last
        parts.append(data[offsets[at] : offsets[max(end, at)]])
        connection.inserts.clear()
        connection.first = 0
        if connection.last is not None:
            connection.last = 0
        if not connection.gone:
            self._send((connection,), b"".join(parts))

    def _send(self, connections: Iterable[Connection], data: bytes) -> None:
        """Send `data` to each without waiting: this loop is where the server's time goes."""
        size = len(data)
        if not size:
            return
        for connection in connections:
            if connection.backlog:
                self._add_to_backlog(connection, data)
                continue
            try:
                sent = connection.sock.send(data, _DONTWAIT)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._break(connection)
                continue
            if sent != size or (connection.tls is not None and connection.tls.pending):
                self._add_to_backlog(connection, data[sent:])

    def _add_to_backlog(self, connection: Connection, data: bytes) -> None:
        """Add what the socket did not take to the backlog; drop the connection when that is full.

        With TLS that may be nothing, when only ciphertext waits: the poller tells when that can go, too.
        """
        if connection.dropped:
            return
        if not connection.backlog:
            descriptor = connection.sock.fileno()
            self.poller.register(descriptor, select.POLLOUT)
            self.full[descriptor] = connection
        connection.backlog.append(data)
        connection.backlog_size += len(data)
        if connection.backlog_size > self._backlog_limit:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        """Give up a connection that does not read: it gets the rest of a line, and is told why."""
        self.drops += 1
        connection.dropped = True
        line, newline, _ = b"".join(connection.backlog).partition(b"\n")
        connection.backlog = [line + newline + connection.dialect.encode(Goodbye("slow"))]
        connection.backlog_size = len(connection.backlog[0])
        self.close(connection)
        self._broken.append((connection, "slow"))

    def send_backlogs(self) -> None:
        """Send on what waits for sockets that have become writable."""
        for descriptor, _ in self.poller.poll(0):
            connection = self.full.get(descriptor)
            if connection is not None:
                self._send_backlog(connection)

    def _send_backlog(self, connection: Connection) -> None:
        data = b"".join(connection.backlog)
        try:
            sent = connection.sock.send(data, _DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self._break(connection)
            return
        rest = data[sent:]
        connection.backlog_size = len(rest)
        if rest or (connection.tls is not None and connection.tls.pending):
            connection.backlog = [rest]
            return
        connection.backlog = []
        self._forget_full(connection)
        self._settle(connection)

    def _forget_full(self, connection: Connection) -> None:
        descriptor = connection.sock.fileno()
        if self.full.pop(descriptor, None) is not None:
            self.poller.unregister(descriptor)

    # ---- endings ---------------------------------------------------------------------------------

    def _break(self, connection: Connection) -> None:
        self.hang_up(connection)
        self._broken.append((connection, "lost"))

    def take_broken(self) -> list[tuple[Connection, str]]:
        """Return the connections lost or dropped since the last call, with a code of LEAVE_REASONS each."""
        broken, self._broken = self._broken, []
        return broken

    def _settle(self, connection: Connection) -> None:
        """Take the next step towards the end of `connection`, if it has no unsent bytes."""
        if connection.gone or connection.backlog:
            return
        if connection.closing and not connection.half_closed:
            connection.half_closed = True
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_WR)
            if connection.tls is not None and connection.tls.pending:  # its goodbye could not all go
                self._add_to_backlog(connection, b"")
                return
        if connection.ended:
            self.hang_up(connection)

    def hang_up(self, connection: Connection) -> None:
        """End `connection` now: its reader wakes from recv, and closes the socket.  Once is enough."""
        if connection.gone:
            return
        connection.gone = True
        self._forget_full(connection)
        self._deadlines.pop(connection, None)
        connection.inserts.clear()
        connection.backlog.clear()
        connection.backlog_size = 0
        with contextlib.suppress(OSError):  # shutdown, not close: close would wake nobody
            connection.sock.shutdown(socket.SHUT_RDWR)
        connection.release()
        if connection.ended:
            del self.connections[connection]

    def next_deadline(self) -> float | None:
        """Return when (on the clock) `expire` has something to do next."""
        return next(iter(self._deadlines.values()), None)

    def expire(self) -> None:
        """Hang up on those whose time to take their last bytes is over."""
        now = self._clock()
        for connection in [c for c, deadline in self._deadlines.items() if deadline <= now]:
            self.hang_up(connection)
