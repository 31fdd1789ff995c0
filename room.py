"""The room: everything that is shared, and what happens in it.

No thread and no socket in this module: `handle` is called by the room thread (server.py) with what
comes from each connection, in the order that everybody will see, and by tests call by call.  What it tells
people goes through a Fanout; what it refuses, it refuses to the sender alone.
"""

from __future__ import annotations

import bisect
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeAlias

from fanout import Connection, Fanout
from messages import (
    WHO_PAGE,
    Act,
    Acted,
    AskNick,
    Command,
    Crowd,
    Event,
    Goodbye,
    Help,
    HelpText,
    Here,
    Joined,
    Leave,
    Left,
    Message,
    Refusal,
    Refused,
    Rename,
    Renamed,
    Said,
    Say,
    Tell,
    Told,
    Welcome,
    Who,
)
from protocol import Dialect, check_nick, nick_key
from wording import left_words

log = logging.getLogger("charla")

CROWD = 200
"""People in the room from which on joins and leaves are told as counts: N joins told to N people by
name are N * N lines."""

CROWD_INTERVAL = 1.0
"""Seconds between two such counts."""


@dataclass(frozen=True, slots=True)
class Connected:
    """From the acceptor: a new connection, before anything of it is read."""


@dataclass(frozen=True, slots=True)
class TakeSeat:
    """From a reader, which waits for the answer: may this connection have the seat of `nick` (checked)?"""

    nick: str
    dialect: Dialect
    answer: SimpleQueue[bool]


@dataclass(frozen=True, slots=True)
class NoSeat:
    """From a reader: what the connection answered to NICK cannot be a seat, and why."""

    refused: Refused
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Ended:
    """From a reader, its last item: no more will come, and why (a code of LEAVE_REASONS)."""

    reason: str


Item: TypeAlias = Command | Refused | Connected | TakeSeat | NoSeat | Ended


@dataclass(eq=False, slots=True)
class Session:
    """A person's seat in the room, and the connection it uses."""

    nick: str
    connection: Connection


class Room:
    """Sessions, nicks and the order of events.  Every method is for the room thread."""

    def __init__(
        self,
        fanout: Fanout,
        *,
        welcome: str = "",
        crowd: int = CROWD,
        wall_clock: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fanout = fanout
        self._sessions: dict[str, Session] = {}  # by nick_key
        self._roster: list[tuple[str, str]] = []  # (nick_key, nick), sorted
        self._welcome = welcome
        self._crowd = crowd
        self._wall_clock = wall_clock
        self._clock = clock
        self._last_id = 0
        self._last_time = 0  # ms; never goes back, even when the clock is set
        self._crowd_joined = 0  # not told yet
        self._crowd_left = 0
        self._crowd_due: float | None = None  # when they will be
        self._closing = False
        # What somebody with a seat can ask, and what does it.
        self._asked: dict[type, Callable[[Session, Any], None]] = {
            Say: self._say,
            Act: self._act,
            Tell: self._tell,
            Rename: self._rename,
            Who: self._who,
            Help: self._help,
            Leave: self._leave,
            Refused: self._raise,
            Ended: self._seated_ended,
        }

    # ---- items -----------------------------------------------------------------------------------

    def handle(self, connection: Connection, items: Iterable[Item]) -> None:
        """Do what the items ask, in order.  A bug in here costs this one connection, never the room."""
        for item in items:
            try:
                session = connection.session
                if session is None:
                    self._handle_without_seat(connection, item)
                else:
                    self._asked[type(item)](session, item)
            except Refused as refused:
                self._refuse(connection, refused)
            except Exception:
                log.exception("internal error while serving %s: dropped", connection.peer)
                self._drop(connection, "error")
            if self.fanout.batch_is_large:
                self.flush()

    def _handle_without_seat(self, connection: Connection, item: Item) -> None:
        """Do what an item asks of a connection that has no seat: not yet, or not any more."""
        over = connection.closing or connection.gone
        match item:
            case Connected():
                self._connected(connection)
            case TakeSeat():
                seated = False
                try:
                    seated = not over and self._take_seat(connection, item)
                finally:
                    item.answer.put(seated)  # always: the reader waits for it
            case Ended(reason):
                self._ended(connection, reason)
            case _ if over:
                pass  # what comes behind a leave, or from a link that is lost, is not said any more
            case NoSeat(refused, dialect):
                connection.dialect = dialect
                self._refuse(connection, refused)
                self.fanout.only(connection, AskNick())
            case Leave():
                self._say_goodbye(connection, "left")
            case Refused():
                raise item
            case _:
                raise AssertionError(f"{item} before a seat")

    def flush(self) -> None:
        """Send what has been told; people whose connection breaks on it leave, which is told in turn."""
        self.fanout.flush()
        self._take_broken()

    def send_backlogs(self) -> None:
        """Send on to sockets that were full and are writable again."""
        self.fanout.send_backlogs()
        self._take_broken()

    def _take_broken(self) -> None:
        while broken := self.fanout.take_broken():
            for connection, reason in broken:
                self._gone(connection, reason)
            self.fanout.flush()

    # ---- coming and going ------------------------------------------------------------------------

    def _connected(self, connection: Connection) -> None:
        self.fanout.open(connection)
        log.debug("%s connected", connection.peer)
        if self._closing:
            self._say_goodbye(connection, "closing")
        else:
            self.fanout.only(connection, AskNick())

    def _take_seat(self, connection: Connection, item: TakeSeat) -> bool:
        """Seat a connection, or refuse; return whether it is seated now."""
        connection.dialect = item.dialect
        key = nick_key(item.nick)
        if key in self._sessions:
            self._refuse(connection, Refused("nick-taken", item.nick))
            self.fanout.only(connection, AskNick())
            return False
        session = Session(item.nick, connection)
        connection.session = session
        self._sessions[key] = session
        bisect.insort(self._roster, (key, item.nick))
        people = len(self._sessions)
        joined = Joined(self._next_id(), self._now(), item.nick)
        if people < self._crowd:
            self._tell_everyone(joined)
        else:
            self._count_crowd(joined=1)
        self.fanout.admit(connection)  # after its own join was told to the others
        self.fanout.only(connection, Welcome(joined.id, joined.time, item.nick, people, self._welcome))
        self.fanout.only(connection, self._here(1, 0))
        log.info("%s joined from %s (%s); %d here", item.nick, connection.peer, item.dialect.name, people)
        return True

    def _leave(self, session: Session, _: Leave) -> None:
        """The person asked to leave: told goodbye, then disconnected."""
        self._unseat(session.connection, "left")
        self._say_goodbye(session.connection, "left")

    def _seated_ended(self, session: Session, ended: Ended) -> None:
        self._ended(session.connection, ended.reason)

    def _ended(self, connection: Connection, reason: str) -> None:
        """The reader has ended: what is still queued is sent, then the connection is let go."""
        self._gone(connection, reason)
        self.fanout.end(connection)

    def _drop(self, connection: Connection, reason: str) -> None:
        """Say goodbye and hang up, as far as that goes; `reason` is in GOODBYES and LEAVE_REASONS."""
        self._unseat(connection, reason)
        self._say_goodbye(connection, reason)

    def _gone(self, connection: Connection, reason: str) -> None:
        """The link is lost or has ended by itself."""
        if connection.session is None and not connection.closing:
            log.debug("%s went without a nick", connection.peer)
        self._unseat(connection, reason)

    def _unseat(self, connection: Connection, reason: str) -> None:
        """End the session of a connection, if it has one, and tell the others."""
        session = connection.session
        if session is None:
            return
        connection.session = None
        key = nick_key(session.nick)
        del self._sessions[key]
        self._strike_off(key, session.nick)
        self.fanout.remove(connection)
        if self._closing:
            return  # everybody does, and has been told why
        people = len(self._sessions)
        log.info("%s; %d here", left_words(session.nick, reason), people)
        if people < self._crowd:
            self._tell_everyone(Left(self._next_id(), self._now(), session.nick, reason))
        else:
            self._next_id()
            self._count_crowd(left=1)

    def _strike_off(self, key: str, nick: str) -> None:
        del self._roster[bisect.bisect_left(self._roster, (key, nick))]

    def _say_goodbye(self, connection: Connection, reason: str) -> None:
        self.fanout.only(connection, Goodbye(reason))
        self.fanout.close(connection)

    def close(self) -> None:
        """Tell everyone that the server closes, and close every connection (`idle` when all are)."""
        self._closing = True
        for connection in self.fanout.connections:
            if not connection.closing:
                self._say_goodbye(connection, "closing")

    @property
    def idle(self) -> bool:
        """Whether the room is closing and no connection and no reader is left."""
        return self._closing and not self.fanout.connections

    # ---- what people ask -------------------------------------------------------------------------

    def _say(self, session: Session, command: Say) -> None:
        said = Said(self._next_id(), self._now(), command.tag, session.nick, command.text)
        self._tell_everyone(said, session.connection)

    def _act(self, session: Session, command: Act) -> None:
        acted = Acted(self._next_id(), self._now(), command.tag, session.nick, command.text)
        self._tell_everyone(acted, session.connection)

    def _tell(self, session: Session, command: Tell) -> None:
        addressee = self._sessions.get(nick_key(command.to))
        if addressee is None:
            raise Refused("no-such-user", command.to, tag=command.tag)
        told = Told(self._next_id(), self._now(), command.tag, session.nick, addressee.nick, command.text)
        self.fanout.only(session.connection, told, own=True)
        if addressee is not session:
            self.fanout.only(addressee.connection, told)

    def _rename(self, session: Session, command: Rename) -> None:
        try:
            nick = check_nick(command.nick)
        except Refused as refused:
            refused.tag = command.tag
            raise
        old_key, key = nick_key(session.nick), nick_key(nick)
        if nick == session.nick:
            raise Refused("nick-same", nick, tag=command.tag)
        if key != old_key and key in self._sessions:
            raise Refused("nick-taken", nick, tag=command.tag)
        old = session.nick
        del self._sessions[old_key]
        self._strike_off(old_key, old)
        session.nick = nick
        self._sessions[key] = session
        bisect.insort(self._roster, (key, nick))
        log.info("%s is now %s", old, nick)
        self._tell_everyone(Renamed(self._next_id(), self._now(), command.tag, old, nick), session.connection)

    def _who(self, session: Session, command: Who) -> None:
        self.fanout.only(session.connection, self._here(command.page, command.tag))

    def _help(self, session: Session, _: Help) -> None:
        self.fanout.only(session.connection, HelpText())

    def _raise(self, _: Session, refused: Refused) -> None:
        raise refused

    def _here(self, page: int, tag: int) -> Message:
        pages = max(1, -(-len(self._roster) // WHO_PAGE))
        if not 1 <= page <= pages:
            raise Refused("no-page", str(pages), tag=tag)
        nicks = self._roster[(page - 1) * WHO_PAGE : page * WHO_PAGE]
        return Here(tag, page, pages, len(self._roster), tuple(nick for _, nick in nicks))

    def _refuse(self, connection: Connection, refused: Refused) -> None:
        who = connection.session.nick if connection.session else connection.peer
        # The arguments of other codes may be what somebody typed by mistake: not for the record.
        what = (
            " ".join((refused.code, *refused.arguments)) if refused.code.startswith("nick") else refused.code
        )
        log.info("refused %s: %s", who, what)
        self.fanout.only(connection, Refusal(refused.tag, refused.code, refused.arguments))

    # ---- events ----------------------------------------------------------------------------------

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _now(self) -> int:
        now = self._wall_clock() // 1_000_000
        if now > self._last_time:
            self._last_time = now
        return self._last_time

    def _tell_everyone(self, event: Event, author: Connection | None = None) -> None:
        self.fanout.everyone(event, author)

    # ---- time ------------------------------------------------------------------------------------

    def _count_crowd(self, joined: int = 0, left: int = 0) -> None:
        self._crowd_joined += joined
        self._crowd_left += left
        if self._crowd_due is None:
            self._crowd_due = self._clock() + CROWD_INTERVAL

    def next_deadline(self) -> float | None:
        """Return when (on the clock) `tick` has something to do next; None: nothing is due."""
        closing = self.fanout.next_deadline()
        if self._crowd_due is None or closing is None:
            return self._crowd_due or closing
        return min(self._crowd_due, closing)

    def tick(self) -> None:
        """Do what has fallen due: tell how the crowd has changed, hang up on those whose time is up."""
        self.fanout.expire()
        if self._crowd_due is not None and self._crowd_due <= self._clock():
            crowd = Crowd(
                self._next_id(), self._now(), self._crowd_joined, self._crowd_left, len(self._sessions)
            )
            self._crowd_due, self._crowd_joined, self._crowd_left = None, 0, 0
            self._tell_everyone(crowd)
            self.flush()
