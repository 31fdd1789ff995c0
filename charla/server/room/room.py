"""The room: everything that is shared, and what happens in it.

No thread and no socket in this module: `handle` is called by the room thread (server.py) with what
comes from each connection, in the order that everybody will see, and by tests call by call.  It gives each
item to the part that does it, and every bug and every refusal in there costs its sender alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from charla.i18n import N_
from charla.protocol.commands import AskStatus, Leave, Ping, Pong
from charla.protocol.messages import AskNick, Status
from charla.protocol.sentences import STATUS_WORDS
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
    Report,
    Request,
    Secured,
    Silent,
    TakeSeat,
)
from charla.server.records import Counters, log_fields
from charla.server.room.announcer import CROWD, Announcer
from charla.server.room.commands import Commands
from charla.server.room.lobby import Lobby
from charla.server.room.membership import GRACE, MAX_PEOPLE, Membership
from charla.server.room.moderator_commands import ModeratorCommands
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.replay import CatchingUp
from charla.server.room.rules import Rules
from charla.server.room.sessions import Session, Sessions
from charla.server.storage.event_log import EventLog
from charla.server.storage.transcript import Transcript

log = logging.getLogger("charla")


class Room:
    """The parts of the room put together: what comes is dispatched to them, and then flushed.

    Every method, and all that the parts hold, is for the room thread.
    """

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
        log_of_events = events or EventLog()
        sessions = Sessions()
        rules = Rules(wall_clock, log_of_events.save_state)
        self._rules = rules
        self._counters = counters = counters or Counters()
        self._clock = clock
        self._began = clock()
        self._first_id = log_of_events.last_id
        self.fanout = fanout
        self.lobby = Lobby(fanout, counters, clock=clock) if lobby is None else lobby
        self.announcer = Announcer(fanout, log_of_events, transcript=transcript, crowd=crowd, clock=clock)
        self._private_messages = PrivateMessages(self.announcer, grace, clock)
        self._catching_up = CatchingUp(fanout, log_of_events, sessions, self._private_messages)
        self.membership = Membership(
            self.announcer,
            sessions,
            self.lobby,
            rules,
            self._private_messages,
            self._catching_up,
            counters,
            welcome=welcome,
            grace=grace,
            max_people=max_people,
            max_absent=max_absent,
            clock=clock,
        )
        commands = Commands(self.announcer, self.membership, self._private_messages, rules)
        moderators = ModeratorCommands(
            self.announcer, self.membership, rules, allowed=has_moderators, clock=wall_clock
        )
        changes = {**commands.changes, **moderators.changes}
        questions = {**commands.questions, **moderators.questions, AskStatus: self._status}
        # What somebody with a seat can ask, and what does it.
        self._asked: dict[type, Callable[[Session, Any], None]] = {
            **{kind: commands.once(moderators.permit(kind, do)) for kind, do in changes.items()},
            **{kind: moderators.permit(kind, do) for kind, do in questions.items()},
            Ping: self._ping,
            Pong: self._pong,
            Leave: self._leave,
            Refused: self._raise,
            AskHistory: self._catching_up.history,
            CatchUp: self._catching_up.go_on,
            Chunk: self._catching_up.send,
            Silent: self._silent,
            Ended: self._seated_ended,
        }
        if log_of_events.storage is not None:
            self.membership.restore(has_moderators=has_moderators)

    # ---- items -----------------------------------------------------------------------------------

    def handle(self, connection: Connection, items: Iterable[Item]) -> None:
        """Do what the items ask, in order.  A bug in here costs this one connection, never the room."""
        owner = self.fanout.owner
        assert owner is None or owner == get_ident(), "only the room's thread is in the room"
        seats = self.membership.seats
        for item in items:
            try:
                session = seats.get(connection)
                if session is None or connection.closing:
                    self._handle_without_seat(connection, item)
                else:
                    self._asked[type(item)](session, item)
            except Refused as refused:
                self.membership.refuse(connection, refused)
                self._cannot(item)
            except Exception:
                log.exception(N_("internal error while serving %s: dropped"), connection.peer)
                self.membership.drop(connection, "error")
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
        over = connection.closing
        match item:
            case Connected():
                self.membership.connect(connection, item)
            case Secured() if not over:
                self.lobby.greet(connection)
            case PasswordGiven() if not over:
                self.lobby.password_given(connection, item)
            case TakeSeat() if not over:
                self.membership.take_seat(connection, item)
            case TakeSeat() | CatchUp() | AskHistory() | Chunk():
                item.reply.put(False)
            case Ended(reason):
                self.membership.reader_ended(connection, reason)
            case _ if over:
                pass  # what comes behind a leave, or from a link that is lost, is not said any more
            case NoSeat(refused, dialect):
                connection.dialect = dialect
                self.membership.refuse(connection, refused)
                self.fanout.send_to(connection, AskNick())
            case Leave():
                self.membership.say_goodbye(connection, "left")
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
                self.announcer.close()
                self.lobby.end()
                self.membership.close()

    def flush(self) -> None:
        """Send what has been told; people whose connection breaks on it leave, which is told in turn."""
        owner = self.fanout.owner
        assert owner is None or owner == get_ident(), "only the room's thread is in the room"
        self.announcer.flush()
        self._take_broken()
        self._catching_up.answer_chunks()

    def send_backlogs(self) -> None:
        """Send on to sockets that were full and are writable again."""
        self.fanout.send_backlogs()
        self._take_broken()

    def _take_broken(self) -> None:
        while broken := self.fanout.take_broken():
            for connection, reason in broken:
                self.membership.link_lost(connection, reason)
            self.announcer.flush()

    def abandon(self) -> None:
        """After a failure of the room itself: let nobody wait for a reply any more."""
        self._catching_up.abandon()

    @property
    def idle(self) -> bool:
        """Whether the room is closing and no connection and no reader is left."""
        return self.announcer.closing and not self.fanout.connections

    # ---- what a connection with a seat asks, and does --------------------------------------------

    def _leave(self, session: Session, _: Leave) -> None:
        """The person asked to leave: told goodbye, then disconnected."""
        self.membership.expel(session, "left")

    def _seated_ended(self, session: Session, ended: Ended) -> None:
        assert session.connection is not None
        self.membership.reader_ended(session.connection, ended.reason)

    def _raise(self, _: Session, refused: Refused) -> None:
        raise refused

    def _silent(self, session: Session, _: Silent) -> None:
        self.announcer.ask_whether_there(session)

    def _ping(self, session: Session, ping: Ping) -> None:
        self.announcer.answer(session, Pong(ping.number))

    def _pong(self, session: Session, pong: Pong) -> None:
        if session.resumable is not None:
            if pong.number > self.announcer.log.last_id:
                raise Refused("malformed", "number")
            self._private_messages.acknowledge(session, pong.number)

    # ---- how it is -------------------------------------------------------------------------------

    def status(self) -> tuple[str, ...]:
        """Return the values of STATUS_WORDS, in that order."""
        backlogs = [connection.backlog_size for connection in self.fanout.full.values()]
        values = (
            round(self._clock() - self._began),
            len(self.membership.sessions),
            len(self.membership.absent),
            len(self.fanout.connections),
            len(self.lobby),
            self.announcer.log.last_id - self._first_id,
            self.fanout.deliveries,
            len(backlogs),
            sum(backlogs),
            self.fanout.drops,
            self._counters.refused + self._counters.turned_away,
            len(self._rules.bans()),
            len(self._rules.mutes()),
        )
        return tuple(map(str, values))

    def _status(self, session: Session, command: AskStatus) -> None:
        self.announcer.answer(session, Status(command.tag, self.status()))

    def _record_status(self) -> None:
        """Write the same into the record."""
        values = dict(zip(STATUS_WORDS, map(int, self.status()), strict=True))
        words = " ".join(f"{name}={value}" for name, value in values.items())
        log.info(N_("status: %s"), words, extra=log_fields("status", **values))

    # ---- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when (on the clock) `tick` has something to do next; None: nothing is due."""
        parts = (self.fanout, self.announcer, self._private_messages, self.lobby, self.membership)
        deadlines = [part.next_deadline() for part in parts]
        return min([deadline for deadline in deadlines if deadline is not None], default=None)

    def tick(self) -> None:
        """Do what has fallen due, and let `flush` send it."""
        self.fanout.expire()
        self.lobby.turn_out_late()
        self.membership.end_late()
        self.announcer.tell_crowd(len(self.membership.sessions))
        self._private_messages.tick()
