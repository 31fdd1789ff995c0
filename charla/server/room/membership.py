"""People come, go and come back: they get a seat, keep it while their link is down, and free it.

A connection belongs to one session at most; the map from one to the other is here, and changes with
`Session.connection` in the same step.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import SimpleQueue

from charla.i18n import N_, LazyText
from charla.protocol.commands import Hello
from charla.protocol.messages import AskNick, Goodbye, Joined, Left, Refusal, Token, Unread, Welcome
from charla.protocol.sentences import LEAVE_REASONS, leaving
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import Connected, Reply, TakeSeat
from charla.server.records import Counters, ThrottledLogger, log_fields
from charla.server.room.announcer import Announcer
from charla.server.room.lobby import Lobby
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.replay import CatchingUp
from charla.server.room.rules import Rules
from charla.server.room.sessions import Resumable, Session, Sessions, new_token

log = logging.getLogger("charla")

GRACE = 60.0
"""Seconds that a session is kept for whose link is down."""

MAX_PEOPLE = 1000
"""People whose link is up, at a time.  There may be as many again whose link is down; with one more of
these, the youngest session ends."""


class Membership:
    """Sessions and the connections they use; `grace` in seconds."""

    def __init__(
        self,
        announcer: Announcer,
        sessions: Sessions,
        lobby: Lobby,
        rules: Rules,
        private_messages: PrivateMessages,
        catching_up: CatchingUp,
        counters: Counters,
        *,
        welcome: str = "",
        grace: float = GRACE,
        max_people: int = MAX_PEOPLE,
        max_absent: int = MAX_PEOPLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions = sessions
        self.seats: dict[Connection, Session] = {}  # whose each connection is
        self.absent: dict[Session, float] = {}  # whose link is down, and until when; the earliest first
        self._announcer = announcer
        self._fanout = announcer.fanout
        self._log = announcer.log
        self._lobby = lobby
        self._rules = rules
        self._private_messages = private_messages
        self._catching_up = catching_up
        self._counters = counters
        self._throttled = ThrottledLogger(log, clock=clock)
        self._welcome = welcome
        self._grace = grace
        self._max_people = max_people
        self._max_absent = max_absent
        self._clock = clock

    # ---- coming ----------------------------------------------------------------------------------

    def connect(self, connection: Connection, item: Connected) -> None:
        """Take charge of a new connection: it may ask for a seat."""
        self._fanout.open(connection)
        log.debug(N_("%s connected"), connection.peer)
        if self._announcer.closing:
            self.say_goodbye(connection, "closing")
            return
        self._lobby.enter(connection)
        if item.secured:
            self._lobby.greet(connection)

    def take_seat(self, connection: Connection, item: TakeSeat) -> None:
        """Seat a connection, or refuse, and reply to its reader."""
        hello = item.hello
        connection.dialect = item.dialect
        if hello.resumes:
            self._resume(connection, hello, item.reply)
            return
        try:
            self.check_free(hello.nick)
            self._rules.check_may_enter(hello.nick, connection.origin)
            if len(self.sessions) - len(self.absent) >= self._max_people:
                raise Refused("full", str(self._max_people))
        except Refused as refused:
            self.refuse(connection, refused)
            if refused.code.startswith("nick"):
                self._fanout.send_to(connection, AskNick())
            else:
                self.say_goodbye(connection, "refused")
            item.reply.put(False)
            return
        self._join(connection, hello)
        item.reply.put(True)

    def _join(self, connection: Connection, hello: Hello) -> None:
        self._lobby.leave(connection)
        number, at = self._log.next()
        session = Session(number, hello.nick, connection, live=True, origin=connection.origin)
        token = ""
        if hello.session and self._grace:
            token, digest = new_token()
            session.resumable = Resumable(digest)
        self.seats[connection] = session
        self.sessions.add(session)
        self._log.save_session(number, session.row())
        people = len(self.sessions)
        self._announcer.tell_coming_or_going(Joined(number, at, hello.nick), people)
        self._fanout.subscribe(connection)  # after its own join was told to the others
        self._fanout.send_to(connection, Welcome(number, at, hello.nick, people, self._welcome))
        if token:
            self._fanout.send_to(connection, Token(token, round(self._grace)))
        topic = self._rules.topic_for_who_joins()
        if topic is not None:
            self._fanout.send_to(connection, topic)
        self._fanout.send_raw(
            connection, self._catching_up.opening_history(connection.dialect, hello.history)
        )
        self._fanout.send_to(connection, self.sessions.page(1, 0))
        self._announcer.tell_if_not_stored(session)
        log.info(
            N_("%s joined from %s (%s); %d here"),
            *(hello.nick, connection.peer, connection.dialect.name, people),
            extra=log_fields("joined", nick=hello.nick, peer=connection.peer, people=people),
        )

    def _resume(self, connection: Connection, hello: Hello, reply: SimpleQueue[Reply]) -> None:
        """Give a session its new connection, and begin to send what that has missed."""
        session = self.sessions.resumed_with(hello.session)
        newest = self._log.last_id
        if session is not None and session.resumable is not None and session.resumable.claimed:
            newest = session.resumable.claimed
        if session is None or session.resumable is None or hello.last > newest:
            # An event that this log does not have: the last ones of a server that could not write them.
            if session is not None:
                older = session.connection
                self._end(session, "lost")
                if older is not None:
                    self.say_goodbye(older, "replaced")
            self.refuse(connection, Refused("no-session"))
            reply.put(False)
            return
        try:
            self._rules.check_may_enter(session.nick, connection.origin)
        except Refused as refused:
            self.expel(session, "banned")
            self.refuse(connection, refused)
            self.say_goodbye(connection, "refused")
            reply.put(False)
            return
        self._lobby.leave(connection)
        session.origin = connection.origin
        session.resumable.claimed = 0
        self._log.save_session(session.id, session.row())
        older = session.connection
        self._unlink(session)
        if older is not None:
            self.say_goodbye(older, "replaced")
        self.absent.pop(session, None)
        session.connection = connection
        self.seats[connection] = session
        last = max(hello.last, session.id)
        self._private_messages.acknowledge(session, last)
        log.info(
            N_("%s is back from %s, after event %d of %d"),
            *(session.nick, connection.peer, last, newest),
            extra=log_fields("resumed", nick=session.nick, peer=connection.peer),
        )
        self._catching_up.begin(session, last, reply)

    def restore(self, *, has_moderators: bool) -> None:
        """Seat those who had a seat when the server ended, and tell that the others are gone."""
        stored = self._log.stored
        sessions = {}
        for row in stored.sessions:
            moderator = row.moderator and has_moderators
            session = sessions[row.id] = Session(row.id, row.nick, None, moderator=moderator)
            if row.token:
                refused = {tag: Refusal(tag, "refused-before") for tag in row.refused}
                session.resumable = Resumable(
                    row.token, row.last_tag, refused, claimed=row.claimed or stored.last_id
                )
                self.absent[session] = self._clock() + self._grace
                self._log.save_session(session.id, session.row())
            self.sessions.add(session)
        self._rules.restore(stored.state)
        self._private_messages.restore(stored.private, sessions)
        for session in sessions.values():
            if session.resumable is None:
                self._end(session, "restart")
        if self.absent:
            log.info(N_("seats kept for those who come back: %d"), len(self.absent))

    # ---- refusals --------------------------------------------------------------------------------

    def check_free(self, nick: str, asking: Session | None = None) -> None:
        """Refuse a nick that somebody else has, or that looks like theirs.

        Whose seat is kept may be the one who asks: they are told for how long.
        """
        holder = self.sessions.get(nick)
        if holder is not None and holder is not asking:
            if holder in self.absent:
                seconds = max(1, round(self.absent[holder] - self._clock()))
                raise Refused("nick-kept", nick, str(seconds))
            raise Refused("nick-taken", nick)
        alike = self.sessions.looks_like(nick)
        if alike is not None and alike is not asking:
            raise Refused("nick-alike", nick, alike.nick)

    def refuse(self, connection: Connection, refused: Refused) -> None:
        """Tell a connection, and the record, what was refused."""
        session = self.seats.get(connection)
        who = session.nick if session is not None else connection.origin or connection.peer
        # The arguments of other codes may be what somebody typed by mistake: not for the record.
        what = (
            " ".join((refused.code, *refused.arguments)) if refused.code.startswith("nick") else refused.code
        )
        self._counters.refused += 1
        self._throttled.record(
            logging.INFO,
            f"{who} {refused.code}",
            N_("refused %s: %s"),
            *(who, what),
            extra=log_fields("refused", who=who, code=refused.code),
        )
        self._fanout.send_to(connection, Refusal(refused.tag, refused.code, refused.arguments))

    # ---- going -----------------------------------------------------------------------------------

    def say_goodbye(self, connection: Connection, reason: str) -> None:
        """Tell a connection why it ends (a code of GOODBYES), and close it."""
        self._lobby.leave(connection)
        self._fanout.send_to(connection, Goodbye(reason))
        self._fanout.close(connection)

    def expel(self, session: Session, reason: str) -> None:
        """End a session, and say goodbye to its connection."""
        connection = session.connection
        self._end(session, reason)
        if connection is not None:
            self.say_goodbye(connection, reason)

    def drop(self, connection: Connection, reason: str) -> None:
        """Say goodbye and hang up, as far as that goes; `reason` is in GOODBYES and LEAVE_REASONS."""
        if connection in self.seats:
            self.expel(self.seats[connection], reason)
        else:
            self.say_goodbye(connection, reason)

    def reader_ended(self, connection: Connection, reason: str) -> None:
        """Nothing more comes: what is still queued is sent, then the connection is let go."""
        self.link_lost(connection, reason)
        self._fanout.end(connection)

    def link_lost(self, connection: Connection, reason: str) -> None:
        """The link is lost, dropped or has ended by itself: the session waits for another, if it may."""
        self._lobby.leave(connection)
        session = self.seats.get(connection)
        if session is None:
            if not connection.closing:
                log.debug(N_("%s went without a nick"), connection.peer)
        elif session.resumable is None or reason == "left":
            self._end(session, "restart" if self._announcer.closing else reason)
        else:
            self._detach(session, session.resumable, reason)

    def _detach(self, session: Session, resumable: Resumable, reason: str) -> None:
        """Keep the seat of a session whose link is down; the others are told nothing."""
        self._unlink(session)
        if self._announcer.closing:
            return  # those that are stored go on when the server is back
        resumable.reason = reason
        self.absent[session] = self._clock() + self._grace
        log.info(
            N_("%s: %s; the seat is kept for %g s"),
            *(session.nick, LazyText(LEAVE_REASONS[reason]), self._grace),
            extra=log_fields("link-lost", nick=session.nick, reason=reason),
        )
        self._private_messages.link_lost(session)
        if len(self.absent) > self._max_absent:
            # The youngest: somebody who joins and drops again and again pushes out only seats of their own.
            self._end(max(self.absent, key=lambda absent: absent.id), reason)

    def _unlink(self, session: Session) -> None:
        """Part a session from its connection."""
        connection = session.connection
        if connection is not None:
            del self.seats[connection]
            session.connection = None
            session.live = False
            self._fanout.unsubscribe(connection)

    def _end(self, session: Session, reason: str) -> None:
        """End a session, and tell the others."""
        session.over = True
        self.sessions.remove(session)
        self.absent.pop(session, None)
        self._log.save_session(session.id, None)
        self._unlink(session)
        people = len(self.sessions)
        if not self._announcer.closing:
            log.info(
                N_("%s; %d here"),
                *(leaving(session.nick, reason), people),
                extra=log_fields("left", nick=session.nick, reason=reason, people=people),
            )
        self._announcer.tell_coming_or_going(Left(*self._log.next(), session.nick, reason), people)
        for author, count in self._private_messages.end(session):
            if reason != "left":
                unread = Unread(*self._log.next(), session.nick, count)
                self._private_messages.deliver(self._log.append(unread, to=author.id), None, author)

    def close(self) -> None:
        """Say goodbye to everybody, each by what becomes of its session."""
        self._throttled.flush()
        stored = self._log.storage is not None
        for connection in self._fanout.connections:
            if not connection.closing:
                session = self.seats.get(connection)
                stays = stored and session is not None and session.resumable is not None
                self.say_goodbye(connection, "restart" if stays else "closing")

    # ---- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when (on the clock) the grace period of the next one is over."""
        return next(iter(self.absent.values()), None)

    def end_late(self) -> None:
        """End the sessions that did not come back in time."""
        now = self._clock()
        for session in [session for session, until in self.absent.items() if until <= now]:
            assert session.resumable is not None
            self._end(session, session.resumable.reason)
