"""The room: everything that is shared, and what happens in it.

No thread and no socket in this module: `handle` is called by the room thread (server.py) with what
comes from each connection, in the order that everybody will see, and by tests call by call.  What it tells
people goes through a Fanout; what it refuses, it refuses to the sender alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

from charla.i18n import N_, LazyText
from charla.protocol.commands import Hello, Leave, Ping, Pong
from charla.protocol.messages import (
    Acted,
    AskNick,
    Crowd,
    Event,
    Goodbye,
    Joined,
    Left,
    Moderated,
    Notice,
    Refusal,
    Said,
    Token,
    Unread,
    Welcome,
)
from charla.protocol.sentences import LEAVE_REASONS, STATUS_WORDS, leaving
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import (
    AskHistory,
    CatchUp,
    Chunk,
    Close,
    Connected,
    Ended,
    Item,
    MakePlace,
    NoSeat,
    PasswordGiven,
    Reply,
    Report,
    Request,
    Secured,
    Silent,
    TakeSeat,
)
from charla.server.records import Counters, ThrottledLogger, log_fields
from charla.server.room.commands import Commands
from charla.server.room.lobby import Lobby
from charla.server.room.moderator_commands import ModeratorCommands
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.replay import CatchingUp
from charla.server.room.sessions import Resumable, Session, Sessions, new_token
from charla.server.storage.entries import NOBODY, Logged, StorageError, Stored
from charla.server.storage.event_log import EventLog
from charla.server.storage.transcript import Transcript

log = logging.getLogger("charla")

CROWD = 200
"""People in the room from which on joins and leaves are told as counts: N joins told to N people by
name are N * N lines."""

CROWD_INTERVAL = 1.0
"""Seconds between two such counts."""

GRACE = 60.0
"""Seconds that a session is kept for whose link is down."""

MAX_PEOPLE = 1000
"""People whose link is up, at a time.  There may be as many again whose link is down; with one more of
these, the youngest session ends."""


class Room:
    """Sessions, nicks and the order of events.  Every method is for the room thread."""

    def __init__(
        self,
        fanout: Fanout,
        events: EventLog | None = None,
        *,
        welcome: str = "",
        has_moderators: bool = False,
        grace: float = GRACE,
        max_people: int = MAX_PEOPLE,
        max_absent: int = MAX_PEOPLE,
        lobby: Lobby | None = None,
        counters: Counters | None = None,
        transcript: Transcript | None = None,
        crowd: int = CROWD,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.fanout = fanout
        self._log = events or EventLog()
        self._welcome = welcome
        self._grace = grace
        self._max_people = max_people
        self._max_absent = max_absent
        self.counters = counters or Counters()
        self.lobby = Lobby(fanout, self.counters, clock=clock) if lobby is None else lobby
        self._transcript = transcript
        self._spoken: list[Said | Acted | Moderated] = []  # for the transcript, once it is in the log
        self._crowd = crowd
        self._clock = clock
        self._began = clock()
        self._first_id = self._log.last_id
        self._sessions = Sessions()
        self._seats: dict[Connection, Session] = {}  # whose connection each is
        self._absent: dict[Session, float] = {}  # whose link is down, and until when; the earliest first
        self._mail = PrivateMessages(grace, clock, self._erase)
        self._storage = self._log.storage  # to erase from, also when it cannot be written any more
        self._catching_up = CatchingUp(fanout, self._log, self._sessions)
        self._moderators = ModeratorCommands(
            self, self._log, self._sessions, fanout, allowed=has_moderators, clock=wall_clock
        )
        self._rules = self._moderators.rules
        self._talk = Commands(self, self._log, self._sessions, fanout, self._mail, self._moderators)
        self._throttled = ThrottledLogger(log, clock=clock)
        self._not_stored = ""  # why the log is not written any more
        self._crowd_joined = 0  # not told yet
        self._crowd_left = 0
        self._crowd_due: float | None = None  # when they will be
        self._closing = False
        # What somebody with a seat can ask, and what does it.
        self._asked: dict[type, Callable[[Session, Any], None]] = {
            **self._talk.asked,
            Ping: self._ping,
            Pong: self._pong,
            Leave: self._leave,
            Refused: self._raise,
            AskHistory: self._history,
            CatchUp: self._catch_up,
            Chunk: self._chunk,
            Silent: self._silent,
            Ended: self._seated_ended,
            **{command: self._talk.once(do) for command, do in self._moderators.rulings.items()},
            **self._moderators.questions,
        }
        if self._log.storage is not None:
            self._restore(self._log.stored)

    # ---- items -----------------------------------------------------------------------------------

    def handle(self, connection: Connection, items: Iterable[Item]) -> None:
        """Do what the items ask, in order.  A bug in here costs this one connection, never the room."""
        seats = self._seats
        for item in items:
            try:
                session = seats.get(connection)
                if session is None or connection.closing:
                    self._handle_without_seat(connection, item)
                else:
                    self._asked[type(item)](session, item)
            except Refused as refused:
                self._refuse(connection, refused)
                self._cannot(item)
            except Exception:
                log.exception(N_("internal error while serving %s: dropped"), connection.peer)
                self._drop(connection, "error")
                self._cannot(item)
            if self.fanout.batch_is_large:
                self.flush()

    @staticmethod
    def _cannot(item: Item) -> None:
        """Reply to a request that could not be done: its reader waits."""
        if isinstance(item, Request):
            item.reply.put(False)

    def _handle_without_seat(self, connection: Connection, item: Item) -> None:
        """Do what an item asks of a connection that has no seat: not yet, or not any more."""
        over = connection.closing or connection.gone
        match item:
            case Connected():
                self._connected(connection, item)
            case Secured() if not over:
                self.lobby.greet(connection)
            case PasswordGiven() if not over:
                self.lobby.password_given(connection, item)
            case TakeSeat() if not over:
                self._take_seat(connection, item)
            case TakeSeat() | CatchUp() | AskHistory() | Chunk():
                item.reply.put(False)
            case Ended(reason):
                self._ended(connection, reason)
            case _ if over:
                pass  # what comes behind a leave, or from a link that is lost, is not said any more
            case NoSeat(refused, dialect):
                connection.dialect = dialect
                self._refuse(connection, refused)
                self.fanout.send_to(connection, AskNick())
            case Leave():
                self._say_goodbye(connection, "left")
            case Refused():
                raise item
            case _:
                raise AssertionError(f"{type(item).__name__} before a seat")

    def obey(self, order: MakePlace | Report | Close) -> None:
        """Do what the acceptor asks for."""
        match order:
            case MakePlace():
                self.lobby.make_place()
            case Report():
                self._record_status()
            case Close():
                self._close()

    def flush(self) -> None:
        """Send what has been told; people whose connection breaks on it leave, which is told in turn."""
        self._commit_and_send()
        self._take_broken()
        self._catching_up.answer_chunks()

    def _commit_and_send(self) -> None:
        """Nobody is told anything that is not in the log yet."""
        try:
            self._log.commit()
        except StorageError as error:
            log.error(
                N_("%s. What is said from now on is kept in memory only, and is gone at the end."), error
            )
            self._log.give_up_storage()
            self._not_stored = error.code
            self.tell_everyone(Notice(*self._log.next(), "not-stored", (error.code,)))
        if self._transcript is not None and self._spoken:
            for event in self._spoken:
                self._transcript.write(event)
            self._spoken.clear()
        self.fanout.flush()

    def send_backlogs(self) -> None:
        """Send on to sockets that were full and are writable again."""
        self.fanout.send_backlogs()
        self._take_broken()

    def _take_broken(self) -> None:
        while broken := self.fanout.take_broken():
            for connection, reason in broken:
                self._gone(connection, reason)
            self._commit_and_send()

    # ---- coming and going ------------------------------------------------------------------------

    def _connected(self, connection: Connection, item: Connected) -> None:
        self.fanout.open(connection)
        log.debug(N_("%s connected"), connection.peer)
        if self._closing:
            self._say_goodbye(connection, "closing")
            return
        self.lobby.enter(connection)
        if item.secured:
            self.lobby.greet(connection)

    def _take_seat(self, connection: Connection, item: TakeSeat) -> None:
        """Seat a connection, or refuse; the reader is answered."""
        hello = item.hello
        connection.dialect = item.dialect
        if hello.resumes:
            self._resume(connection, hello, item.reply)
            return
        try:
            self.check_free(hello.nick)
            self._moderators.check_may_enter(hello.nick, connection.origin)
            if len(self._sessions) - len(self._absent) >= self._max_people:
                raise Refused("full", str(self._max_people))
        except Refused as refused:
            self._refuse(connection, refused)
            if refused.code.startswith("nick"):
                self.fanout.send_to(connection, AskNick())
            else:
                self._say_goodbye(connection, "refused")
            item.reply.put(False)
            return
        self.lobby.leave(connection)
        number, at = self._log.next()
        session = Session(number, hello.nick, connection, live=True, origin=connection.origin)
        token = ""
        if hello.session and self._grace:
            token, digest = new_token()
            session.resumable = Resumable(digest)
        self._seats[connection] = session
        self._sessions.add(session)
        self._log.save_session(number, session.row())
        self._tell_coming_or_going(Joined(number, at, hello.nick))
        self.fanout.subscribe(connection)  # after its own join was told to the others
        people = len(self._sessions)
        self.fanout.send_to(connection, Welcome(number, at, hello.nick, people, self._welcome))
        if token:
            self.fanout.send_to(connection, Token(token, round(self._grace)))
        topic = self._moderators.topic_for_who_joins()
        if topic is not None:
            self.fanout.send_to(connection, topic)
        earlier = self._catching_up.opening_history(connection.dialect, hello.history)
        self.fanout.send_raw(connection, earlier)
        self.fanout.send_to(connection, self._talk.here(1, 0))
        if self._not_stored:
            notice = Notice(*self._log.next(), "not-stored", (self._not_stored,))
            self.tell_alone(session, self._log.append(notice, to=number))
        item.reply.put(True)
        log.info(
            N_("%s joined from %s (%s); %d here"),
            *(hello.nick, connection.peer, item.dialect.name, people),
            extra=log_fields("joined", nick=hello.nick, peer=connection.peer, people=people),
        )

    def check_free(self, nick: str, asking: Session | None = None) -> None:
        """Refuse a nick that somebody else has, or that looks like theirs.

        Whose seat is kept may be the one who asks: they are told for how long.
        """
        holder = self._sessions.get(nick)
        if holder is not None and holder is not asking:
            if holder in self._absent:
                seconds = max(1, round(self._absent[holder] - self._clock()))
                raise Refused("nick-kept", nick, str(seconds))
            raise Refused("nick-taken", nick)
        alike = self._sessions.looks_like(nick)
        if alike is not None and alike is not asking:
            raise Refused("nick-alike", nick, alike.nick)

    def _leave(self, session: Session, _: Leave) -> None:
        """The person asked to leave: told goodbye, then disconnected."""
        connection = session.connection
        assert connection is not None
        self._end(session, "left")
        self._say_goodbye(connection, "left")

    def _seated_ended(self, session: Session, ended: Ended) -> None:
        assert session.connection is not None
        self._ended(session.connection, ended.reason)

    def _ended(self, connection: Connection, reason: str) -> None:
        """The reader has ended: what is still queued is sent, then the connection is let go."""
        self._gone(connection, reason)
        self.fanout.end(connection)

    def _drop(self, connection: Connection, reason: str) -> None:
        """Say goodbye and hang up, as far as that goes; `reason` is in GOODBYES and LEAVE_REASONS."""
        session = self._seats.get(connection)
        if session is not None:
            self._end(session, reason)
        self._say_goodbye(connection, reason)

    def _gone(self, connection: Connection, reason: str) -> None:
        """The link is lost, dropped or has ended by itself: the session waits for another, if it may."""
        self.lobby.leave(connection)
        session = self._seats.get(connection)
        if session is None:
            if not connection.closing:
                log.debug(N_("%s went without a nick"), connection.peer)
        elif session.resumable is None or reason == "left":
            self._end(session, "restart" if self._closing else reason)
        else:
            self._detach(session, reason)

    def _detach(self, session: Session, reason: str) -> None:
        """Keep the seat of a session whose link is down; the others are told nothing."""
        assert session.resumable is not None
        self._unlink(session)
        if self._closing:
            return  # those that are stored go on when the server is back
        session.resumable.reason = reason
        self._absent[session] = self._clock() + self._grace
        log.info(
            N_("%s: %s; the seat is kept for %g s"),
            *(session.nick, LazyText(LEAVE_REASONS[reason]), self._grace),
            extra=log_fields("link-lost", nick=session.nick, reason=reason),
        )
        for mail in session.resumable.mail:
            if mail.addressee is session:
                self._talk.say_that_it_waits(mail, session)
        if len(self._absent) > self._max_absent:
            # The youngest: who joins and drops again and again pushes out seats of his own.
            self._end(max(self._absent, key=lambda absent: absent.id), reason)

    def _unlink(self, session: Session) -> None:
        """Part a session from its connection."""
        connection = session.connection
        if connection is not None:
            del self._seats[connection]
            session.connection = None
            session.live = False
            self.fanout.unsubscribe(connection)

    def expel(self, session: Session, reason: str) -> None:
        """End a session, and say goodbye to its connection."""
        connection = session.connection
        self._end(session, reason)
        if connection is not None:
            self._say_goodbye(connection, reason)

    def _end(self, session: Session, reason: str) -> None:
        """End a session, and tell the others."""
        session.over = True
        self._sessions.remove(session)
        self._absent.pop(session, None)
        self._log.save_session(session.id, None)
        self._unlink(session)
        if not self._closing:
            people = len(self._sessions)
            log.info(
                N_("%s; %d here"),
                *(leaving(session.nick, reason), people),
                extra=log_fields("left", nick=session.nick, reason=reason, people=people),
            )
        self._tell_coming_or_going(Left(*self._log.next(), session.nick, reason))
        for author, count in self._mail.end(session):
            if reason != "left":
                unread = Unread(*self._log.next(), session.nick, count)
                logged = self._log.append(unread, to=author.id)
                self._mail.add(logged, None, author)
                self.tell_alone(author, logged)

    def _tell_coming_or_going(self, event: Joined | Left) -> None:
        """Tell of a join or a leave by name, or in a crowd as part of a count.

        While the room closes nobody is told any more; who resumes when it is back finds it in the log.
        """
        if len(self._sessions) >= self._crowd:
            self._log.append(event, to=NOBODY)
            self._count_crowd(joined=isinstance(event, Joined), left=isinstance(event, Left))
        elif self._closing:
            self._log.append(event)
        else:
            self.tell_everyone(event)

    def _say_goodbye(self, connection: Connection, reason: str) -> None:
        self.lobby.leave(connection)
        self.fanout.send_to(connection, Goodbye(reason))
        self.fanout.close(connection)

    def _close(self) -> None:
        """Tell everyone that the server closes, and close every connection (`idle` when all are)."""
        self._closing = True
        self._crowd_due = None
        self._throttled.flush()
        self.lobby.end()
        for connection in self.fanout.connections:
            if not connection.closing:
                session = self._seats.get(connection)
                stays = (
                    session is not None and session.resumable is not None and self._log.storage is not None
                )
                self._say_goodbye(connection, "restart" if stays else "closing")

    def abandon(self) -> None:
        """After a failure of the room itself: let nobody wait for an answer any more."""
        self._catching_up.abandon()

    @property
    def idle(self) -> bool:
        """Whether the room is closing and no connection and no reader is left."""
        return self._closing and not self.fanout.connections

    # ---- resuming --------------------------------------------------------------------------------

    def _restore(self, stored: Stored) -> None:
        """Seat those who had a seat when the server ended, and tell that the others are gone."""
        sessions = {}
        for row in stored.sessions:
            moderator = row.moderator and self._moderators.allowed
            session = sessions[row.id] = Session(row.id, row.nick, None, moderator=moderator)
            if row.token:
                refused = {tag: Refusal(tag, "refused-before") for tag in row.refused}
                session.resumable = Resumable(
                    row.token, row.last_tag, refused, claimed=row.claimed or stored.last_id
                )
                self._absent[session] = self._clock() + self._grace
                self._log.save_session(session.id, session.row())
            self._sessions.add(session)
        self._rules.restore(stored.state)
        self._mail.restore(stored.private, sessions)
        for session in sessions.values():
            if session.resumable is None:
                self._end(session, "restart")
        if self._absent:
            log.info(N_("seats kept for those who come back: %d"), len(self._absent))

    def _resume(self, connection: Connection, hello: Hello, reply: SimpleQueue[Reply]) -> None:
        """Give a session its new connection, and begin to send what that has missed."""
        session = self._sessions.resumed_with(hello.session)
        newest = self._log.last_id
        if session is not None and session.resumable is not None and session.resumable.claimed:
            newest = session.resumable.claimed
        if session is None or session.resumable is None or hello.last > newest:
            # An event that this log does not have: the last ones of a server that could not write them.
            if session is not None:
                older = session.connection
                self._end(session, "lost")
                if older is not None:
                    self._say_goodbye(older, "replaced")
            self._refuse(connection, Refused("no-session"))
            reply.put(False)
            return
        try:
            self._moderators.check_may_enter(session.nick, connection.origin)
        except Refused as refused:
            self.expel(session, "banned")
            self._refuse(connection, refused)
            self._say_goodbye(connection, "refused")
            reply.put(False)
            return
        self.lobby.leave(connection)
        session.origin = connection.origin
        session.resumable.claimed = 0
        self._log.save_session(session.id, session.row())
        older = session.connection
        self._unlink(session)
        if older is not None:
            self._say_goodbye(older, "replaced")
        self._absent.pop(session, None)
        session.connection = connection
        self._seats[connection] = session
        last = max(hello.last, session.id)
        self._mail.acknowledge(session, last)
        log.info(
            N_("%s is back from %s, after event %d of %d"),
            *(session.nick, connection.peer, last, newest),
            extra=log_fields("resumed", nick=session.nick, peer=connection.peer),
        )
        self._catching_up.begin(session, last, reply)
        self._mail.ask_soon(session)

    def _catch_up(self, session: Session, item: CatchUp) -> None:
        self._catching_up.go_on(session, item)
        self._mail.ask_soon(session)

    def _chunk(self, session: Session, chunk: Chunk) -> None:
        assert session.connection is not None
        self._catching_up.send(session.connection, chunk)

    def _history(self, _: Session, item: AskHistory) -> None:
        self._catching_up.history(item)

    # ---- signs of life ---------------------------------------------------------------------------

    def _silent(self, session: Session, _: Silent) -> None:
        self._ask_whether_there(session)

    def _ask_whether_there(self, session: Session) -> None:
        """Ping a session, one that has asked for a token and so has said that it answers."""
        if session.live and not self._closing:
            assert session.connection is not None
            self.fanout.send_to(session.connection, Ping(self._log.last_id))

    def _ping(self, session: Session, ping: Ping) -> None:
        assert session.connection is not None
        self.fanout.send_to(session.connection, Pong(ping.number))

    def _pong(self, session: Session, pong: Pong) -> None:
        if session.resumable is not None:
            if pong.number > self._log.last_id:
                raise Refused("malformed", "number")
            self._mail.acknowledge(session, pong.number)

    # ---- refusals --------------------------------------------------------------------------------

    def _raise(self, _: Session, refused: Refused) -> None:
        raise refused

    def _refuse(self, connection: Connection, refused: Refused) -> None:
        session = self._seats.get(connection)
        who = session.nick if session is not None else connection.origin or connection.peer
        # The arguments of other codes may be what somebody typed by mistake: not for the record.
        what = (
            " ".join((refused.code, *refused.arguments)) if refused.code.startswith("nick") else refused.code
        )
        self.counters.refused += 1
        self._throttled.record(
            logging.INFO,
            f"{who} {refused.code}",
            N_("refused %s: %s"),
            *(who, what),
            extra=log_fields("refused", who=who, code=refused.code),
        )
        self.fanout.send_to(connection, Refusal(refused.tag, refused.code, refused.arguments))

    # ---- events ----------------------------------------------------------------------------------

    def tell_everyone(self, event: Event, author: Session | None = None) -> None:
        """Log an event, and tell it to everyone; its author, if there is one, is told its own version."""
        if self._transcript is not None and isinstance(event, (Said, Acted, Moderated)):
            self._spoken.append(event)
        if author is None:
            self._log.append(event)
            self.fanout.broadcast(event)
        else:
            self._log.append(event, author.id)
            self.fanout.broadcast(event, author.connection)

    def tell_alone(self, session: Session, logged: Logged) -> None:
        """Tell one session an event; one that is not live meets it in the log when it catches up."""
        if session.live and not self._closing:
            assert session.connection is not None
            self.fanout.send_to(session.connection, logged.event, own=logged.author == session.id)

    def _erase(self, ids: list[int]) -> None:
        if self._storage is not None:
            self._storage.erase(ids)

    # ---- how it is -------------------------------------------------------------------------------

    def status(self) -> tuple[str, ...]:
        """Return the values of STATUS_WORDS, in that order."""
        backlogs = [connection.backlog_size for connection in self.fanout.full.values()]
        values = (
            round(self._clock() - self._began),
            len(self._sessions),
            len(self._absent),
            len(self.fanout.connections),
            len(self.lobby),
            self._log.last_id - self._first_id,
            self.fanout.deliveries,
            len(backlogs),
            sum(backlogs),
            self.fanout.drops,
            self.counters.refused + self.counters.turned_away,
            len(self._rules.bans()),
            len(self._rules.mutes()),
        )
        return tuple(map(str, values))

    def _record_status(self) -> None:
        """Write the same into the record."""
        values = dict(zip(STATUS_WORDS, map(int, self.status()), strict=True))
        words = " ".join(f"{name}={value}" for name, value in values.items())
        log.info(N_("status: %s"), words, extra=log_fields("status", **values))

    # ---- time ------------------------------------------------------------------------------------

    def _count_crowd(self, joined: int = 0, left: int = 0) -> None:
        if self._closing:
            return
        self._crowd_joined += joined
        self._crowd_left += left
        if self._crowd_due is None:
            self._crowd_due = self._clock() + CROWD_INTERVAL

    def next_deadline(self) -> float | None:
        """Return when (on the clock) `tick` has something to do next; None: nothing is due."""
        deadlines = (
            self.fanout.next_deadline(),
            self._crowd_due,
            self._mail.next_deadline(),
            self.lobby.next_deadline(),
            next(iter(self._absent.values()), None),
        )
        return min([deadline for deadline in deadlines if deadline is not None], default=None)

    def tick(self) -> None:
        """Do what has fallen due: seats and links whose time is up, how the crowd has changed, mail."""
        self.fanout.expire()
        now = self._clock()
        self.lobby.turn_out_late()
        for session in [session for session, until in self._absent.items() if until <= now]:
            assert session.resumable is not None
            self._end(session, session.resumable.reason)
        if self._crowd_due is not None and self._crowd_due <= now:
            crowd = Crowd(*self._log.next(), self._crowd_joined, self._crowd_left, len(self._sessions))
            self._crowd_due, self._crowd_joined, self._crowd_left = None, 0, 0
            self.tell_everyone(crowd)
            self.flush()
        for session in self._mail.to_ask():
            self._ask_whether_there(session)
        self._mail.erase_due()
