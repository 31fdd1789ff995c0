"""The lobby: connections that have no seat yet, and what keeps them from keeping others out.

Whoever only connects costs a thread and a descriptor, and says nothing.  So such connections have a
deadline that is absolute (one byte every few seconds does not move it), and there are only so many: with one
more, the one that has waited the longest is dropped.  A client takes milliseconds here; so to keep it out
somebody would have to connect `limit` times in these.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from charla.protocol.greeting import turn_away
from charla.protocol.messages import AskNick, AskPassword, Goodbye
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import PasswordGiven
from charla.server.records import Counters, ThrottledLogger, record_turned_away

log = logging.getLogger("charla")

HANDSHAKE_TIMEOUT = 20.0
"""Seconds from connecting to a seat: TLS, the password and the nick."""

MAX_WAITING = 1000
"""Connections without a seat at a time."""


class Lobby:
    """Connections without a seat, the oldest first; `timeout` in seconds."""

    def __init__(
        self,
        fanout: Fanout,
        counters: Counters,
        *,
        has_password: bool = False,
        limit: int = MAX_WAITING,
        timeout: float = HANDSHAKE_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fanout = fanout
        self._counters = counters
        self._has_password = has_password
        self._limit = limit
        self._timeout = timeout
        self._clock = clock
        self._throttled = ThrottledLogger(log)
        self._waiting: dict[Connection, float] = {}  # and until when they may

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: Connection) -> None:
        """Take in a new connection; the one that has waited the longest may have to go for it."""
        self._waiting[connection] = self._clock() + self._timeout
        self._dismiss(len(self._waiting) - self._limit)

    def greet(self, connection: Connection) -> None:
        """Ask for what comes first."""
        self._fanout.send_to(connection, AskPassword() if self._has_password else AskNick())

    def password_given(self, connection: Connection, given: PasswordGiven) -> None:
        """Go on to the nick, or ask again; there is no dialect yet, so codes stand behind the sentence."""
        if given.refused is None:
            self._fanout.send_to(connection, AskNick())
            return
        self._counters.refused += 1
        self._fanout.send_raw(connection, turn_away(given.refused.code, *given.refused.arguments))
        if given.may_try:
            self._fanout.send_to(connection, AskPassword())
        else:
            self._turn_out(connection, "refused")

    def leave(self, connection: Connection) -> None:
        """The connection has a seat, or is closed."""
        self._waiting.pop(connection, None)

    def make_place(self) -> None:
        """Descriptors or threads have run out: drop the quarter that came first."""
        self._dismiss(-(-len(self._waiting) // 4))

    def _dismiss(self, count: int) -> None:
        """Drop those that have waited the longest, at once: others may want to come in."""
        for connection, _ in list(zip(self._waiting, range(count), strict=False)):
            self._take_out(connection, "crowded")
            self._fanout.dismiss(connection, Goodbye("crowded"))

    def _turn_out(self, connection: Connection, reason: str) -> None:
        self.leave(connection)
        self._fanout.send_to(connection, Goodbye(reason))
        self._fanout.close(connection)

    def _take_out(self, connection: Connection, reason: str) -> None:
        """Take out one that has to go; count and record it: outsiders can cause that at any rate."""
        self.leave(connection)
        self._counters.refused += 1
        record_turned_away(self._throttled, connection.origin or connection.peer, reason)

    def end(self) -> None:
        """Record what has been counted and not told yet."""
        self._throttled.flush()

    # ---- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when (on the clock) the next one is late."""
        return next(iter(self._waiting.values()), None)

    def turn_out_late(self) -> None:
        """Close those whose time is up."""
        now = self._clock()
        for connection in [connection for connection, until in self._waiting.items() if until <= now]:
            self._take_out(connection, "nick-late")
            self._turn_out(connection, "nick-late")
