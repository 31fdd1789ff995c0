"""The announcer: an event goes into the log, and from there to those whom it concerns.

Nobody is told anything that is not in the log yet: `flush` commits what has happened, and then sends it.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from charla.i18n import N_
from charla.protocol.commands import Ping
from charla.protocol.messages import Acted, Crowd, Event, Joined, Left, Message, Moderated, Notice, Said
from charla.server.delivery.fanout import Fanout
from charla.server.room.sessions import Session
from charla.server.storage.entries import NOBODY, Logged, StorageError
from charla.server.storage.event_log import EventLog
from charla.server.storage.transcript import Transcript

log = logging.getLogger("charla")

CROWD = 200
"""People in the room from which on joins and leaves are told as counts: N joins told to N people by
name are N * N lines."""

CROWD_INTERVAL = 1.0
"""Seconds between two such counts."""


class Announcer:
    """Logs what happens and tells it; `crowd`: how many people are one."""

    def __init__(
        self,
        fanout: Fanout,
        log: EventLog,
        *,
        transcript: Transcript | None = None,
        crowd: int = CROWD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fanout = fanout
        self.log = log
        self.closing = False  # `close` was called
        self._transcript = transcript
        self._spoken: list[Said | Acted | Moderated] = []  # for the transcript, once it is in the log
        self._crowd = crowd
        self._clock = clock
        self._not_stored = ""  # why the log is not written any more
        self._crowd_joined = 0  # not told yet
        self._crowd_left = 0
        self._crowd_due: float | None = None  # when they will be

    # ---- telling ---------------------------------------------------------------------------------

    def tell_everyone(self, event: Event, author: Session | None = None) -> None:
        """Log an event, and tell it to everyone; its author, if there is one, is told its own version."""
        if self._transcript is not None and isinstance(event, (Said, Acted, Moderated)):
            self._spoken.append(event)
        if author is None:
            self.log.append(event)
            self.fanout.broadcast(event)
        else:
            self.log.append(event, author.id)
            self.fanout.broadcast(event, author.connection)

    def tell_alone(self, session: Session, logged: Logged) -> None:
        """Tell one session an event; one that is not live meets it in the log when it catches up."""
        if session.live and not self.closing:
            assert session.connection is not None
            self.fanout.send_to(session.connection, logged.event, own=logged.author == session.id)

    def tell_coming_or_going(self, event: Joined | Left, people: int) -> None:
        """Tell of a join or a leave by name, or in a crowd of so many people as part of a count.

        While the room closes, nobody is told any more.  A session that resumes later finds it in the log.
        """
        if people >= self._crowd:
            self.log.append(event, to=NOBODY)
            self._count(event)
        elif self.closing:
            self.log.append(event)
        else:
            self.tell_everyone(event)

    def answer(self, session: Session, message: Message) -> None:
        """Tell a session, whose link is up, something that is no event."""
        assert session.connection is not None
        self.fanout.send_to(session.connection, message)

    def ask_whether_there(self, session: Session) -> None:
        """Ping a session, one that has asked for a token and so has said that it answers."""
        if session.live and not self.closing:
            self.answer(session, Ping(self.log.last_id))

    # ---- the log ---------------------------------------------------------------------------------

    def flush(self) -> None:
        """Commit what has happened, and then send it."""
        try:
            self.log.commit()
        except StorageError as error:
            log.error(
                N_("%s. What is said from now on is kept in memory only, and is gone at the end."), error
            )
            self.log.give_up_storage()
            self._not_stored = error.code
            self.tell_everyone(self._not_stored_notice())
        if self._transcript is not None and self._spoken:
            for event in self._spoken:
                self._transcript.write(event)
            self._spoken.clear()
        self.fanout.flush()

    def tell_if_not_stored(self, session: Session) -> None:
        """Tell a session that has just joined, if the log is not written any more."""
        if self._not_stored:
            self.tell_alone(session, self.log.append(self._not_stored_notice(), to=session.id))

    def _not_stored_notice(self) -> Notice:
        return Notice(*self.log.next(), "not-stored", (self._not_stored,))

    # ---- the crowd -------------------------------------------------------------------------------

    def close(self) -> None:
        """Tell nobody any more what happens: they are all told that the server closes."""
        self.closing = True
        self._crowd_due = None

    def _count(self, event: Joined | Left) -> None:
        if self.closing:
            return
        if isinstance(event, Joined):
            self._crowd_joined += 1
        else:
            self._crowd_left += 1
        if self._crowd_due is None:
            self._crowd_due = self._clock() + CROWD_INTERVAL

    def next_deadline(self) -> float | None:
        """Return when (on the clock) the crowd is told next how it has changed."""
        return self._crowd_due

    def tell_crowd(self, people: int) -> None:
        """Tell how the crowd has changed, if that is due; there are `people` now."""
        if self._crowd_due is not None and self._crowd_due <= self._clock():
            crowd = Crowd(*self.log.next(), self._crowd_joined, self._crowd_left, people)
            self._crowd_due, self._crowd_joined, self._crowd_left = None, 0, 0
            self.tell_everyone(crowd)
