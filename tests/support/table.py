"""A room without threads: call by call, with sockets that only remember and a clock that stands still."""

from __future__ import annotations

import socket
from queue import SimpleQueue

from charla.protocol.commands import NEW_SESSION, Hello
from charla.protocol.dialect import Dialect
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import (
    CatchUp,
    Chunk,
    Connected,
    Ended,
    Promote,
    Reply,
    Request,
    TakeSeat,
)
from charla.server.records import Counters
from charla.server.room.lobby import Lobby
from charla.server.room.room import Room
from charla.server.room.sessions import Session
from charla.server.storage.database import Storage
from charla.server.storage.event_log import EventLog
from charla.server.storage.slices import ReplaySlice

GRACE = 60.0  # seconds
HANDSHAKE = 20.0


class FakeSocket:
    """Takes up to `room` bytes, then says that it is full; None: takes everything."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.sent = b""
        self.sends = 0
        self.error: OSError | None = None
        self.shutdowns: list[int] = []
        # A real one, never sent on, gives a selector something to watch.
        self._real, self._other = socket.socketpair()

    def send(self, data: bytes, flags: int) -> int:
        assert flags == socket.MSG_DONTWAIT
        self.sends += 1
        if self.error is not None:
            raise self.error
        taken = data if self.room is None else data[: self.room]
        if data and not taken:
            raise BlockingIOError
        if self.room is not None:
            self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def shutdown(self, how: int) -> None:
        self.shutdowns.append(how)

    def fileno(self) -> int:
        return self._real.fileno()

    def close(self) -> None:
        self._real.close()
        self._other.close()


def short(lines: list[str]) -> list[str]:
    """Return lines of events without their times."""
    verbs = ("SAY", "ME", "MSG", "JOIN", "LEAVE", "NICK", "CROWD", "UNREAD", "NOTICE", "PAST", "WELCOME")
    shortened = []
    for line in lines:
        words = line.split(" ")
        if words[0] in verbs and len(words) > 1:
            del words[3 if words[0] == "PAST" else 2]
        shortened.append(" ".join(words))
    return shortened


class Table:
    """A room with a clock that stands still until told otherwise, and people at it."""

    def __init__(
        self,
        *,
        crowd: int = 200,
        backlog_limit: int = 1000,
        welcome: str = "",
        history: int = 1000,
        storage: Storage | None = None,
        max_absent: int = 1000,
        max_people: int = 1000,
        has_moderators: bool = False,
        has_password: bool = False,
        max_waiting: int = 1000,
    ) -> None:
        self.storage = storage
        self.now = 100.0
        self.unix = 1_763_600_000_000
        self.fanout = Fanout(backlog_limit=backlog_limit, close_time=2.0, clock=lambda: self.now)
        self.counters = Counters()
        self.room = Room(
            self.fanout,
            EventLog(history, storage, wall_clock=lambda: self.unix * 1_000_000),
            welcome=welcome,
            grace=GRACE,
            max_absent=max_absent,
            max_people=max_people,
            has_moderators=has_moderators,
            lobby=Lobby(
                self.fanout,
                self.counters,
                has_password=has_password,
                limit=max_waiting,
                timeout=HANDSHAKE,
                clock=lambda: self.now,
            ),
            counters=self.counters,
            crowd=crowd,
            clock=lambda: self.now,
            wall_clock=lambda: self.unix / 1000,
        )
        self.sockets: dict[Connection, FakeSocket] = {}

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()

    def connect(self, origin: str = "", *, secured: bool = True) -> Connection:
        sock = FakeSocket()
        connection = Connection(sock, f"peer{len(self.sockets)}", origin)  # type: ignore[arg-type]
        self.sockets[connection] = sock
        self.room.handle(connection, [Connected(secured)])
        return connection

    def seat(self, connection: Connection, nick: str, dialect: Dialect = PLAIN) -> bool:
        return self.ask(connection, TakeSeat(Hello(nick, history=0), dialect, SimpleQueue())) is True

    def ask(self, connection: Connection, request: Request) -> Reply:
        """Hand over a request; return the reply, which may come with the flush."""
        self.room.handle(connection, [request])
        if request.reply.empty():
            self.room.flush()
        return request.reply.get_nowait()

    def join(self, nick: str, dialect: Dialect = PLAIN, origin: str = "") -> Connection:
        """Seat somebody, with everything told and forgotten."""
        connection = self.connect(origin)
        assert self.seat(connection, nick, dialect)
        self.forget()
        return connection

    def moderator(self, nick: str, dialect: Dialect = PLAIN, origin: str = "") -> Connection:
        """Seat a moderator."""
        connection = self.join(nick, dialect, origin)
        self.do(connection, Promote(0))
        self.forget()
        return connection

    def forget(self) -> None:
        self.room.flush()
        for sock in self.sockets.values():
            sock.sent, sock.sends = b"", 0

    def do(self, connection: Connection, *items: object) -> None:
        self.room.handle(connection, items)  # type: ignore[arg-type]
        self.room.flush()

    def told(self, connection: Connection) -> list[str]:
        """Return the lines sent to a connection since the last call."""
        sock = self.sockets[connection]
        text, sock.sent = sock.sent.decode(), b""
        return text.splitlines()

    def session(self, connection: Connection) -> Session | None:
        """Return whose connection it is."""
        return self.room.membership.seats.get(connection)

    def lose(self, connection: Connection) -> None:
        """Let a link drop."""
        self.do(connection, Ended("lost"))

    # ---- sessions that outlive their connection ----------------------------------------------------

    def begin(self, nick: str, history: int = 0, origin: str = "") -> tuple[Connection, str]:
        """Seat somebody whose session outlives its connection; return the token too."""
        connection = self.connect(origin)
        hello = Hello(nick, NEW_SESSION, history=history)
        assert self.ask(connection, TakeSeat(hello, NATIVE, SimpleQueue())) is True
        self.room.flush()
        token = next(line for line in self.told(connection) if line.startswith("SESSION ")).split()[1]
        self.forget()
        return connection, token

    def resume(self, token: str, last: int, origin: str = "") -> Connection:
        """Come back on a new connection, and read up to the end as a reader does, if it is welcome."""
        connection = self.connect(origin)
        step = self.ask(connection, TakeSeat(Hello("x", token, last), NATIVE, SimpleQueue()))
        while isinstance(step, ReplaySlice):
            step = self.read(connection, step)
        self.room.flush()
        return connection

    def read(self, connection: Connection, read: ReplaySlice) -> Reply:
        """Do what a reader does with a slice, in one chunk; return what comes next."""
        data = b"".join(logged.line_for(read.session) for logged in read)
        assert self.ask(connection, Chunk(data, SimpleQueue())) is True
        return self.ask(connection, CatchUp(read.upto, SimpleQueue()))

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and what falls due happen."""
        self.now += seconds
        self.unix += int(seconds * 1000)
        self.room.tick()
        self.room.flush()
