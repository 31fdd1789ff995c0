"""Who may connect: how many connections an origin (addresses.py) may have, and how many new ones a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

from charla.common.addresses import is_near, origin_of
from charla.protocol.text import Refused

PER_ADDRESS = 32
"""Connections at the same time from an origin that is not near: a family, or a class behind one address."""

PER_MINUTE = 60
"""New connections a minute from an origin that is not near: so many at once, then one a second."""

MAX_ORIGINS = 10_000
"""Origins whose last minute is remembered; with more, the one that has been quiet longest is forgotten."""

_MINUTE = 60.0


class Admission:
    """Who may come in: how many connections each origin has, and how many were new in the last minute.

    For the acceptor alone.  A limit of None is the usual one: near addresses have none, others
    PER_ADDRESS and PER_MINUTE.  A number is for all of them; 0: no limit.
    """

    def __init__(
        self,
        per_address: int | None = None,
        per_minute: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_address = per_address
        self._per_minute = per_minute
        self._clock = clock
        self._connections: dict[str, int] = {}  # of the origins that have some
        # When each origin would have its whole minute's worth again, as in reader.RateLimit.  Sorted by
        # the last arrival.
        self._full_at: dict[str, float] = {}

    def come_in(self, address: str) -> Refused | None:
        """Count a new connection from `address`; or return why it cannot be taken, and count nothing."""
        near = is_near(address)
        from_one = self._limit(self._per_address, near, PER_ADDRESS)
        a_minute = self._limit(self._per_minute, near, PER_MINUTE)
        who = origin_of(address)
        if from_one and self._connections.get(who, 0) >= from_one:
            return Refused("too-many-from-address", str(from_one))
        if a_minute and not self._charge(who, a_minute):
            return Refused("too-many-a-minute", str(a_minute))
        if from_one:
            self._connections[who] = self._connections.get(who, 0) + 1
        return None

    def gone(self, address: str) -> None:
        """A connection that came in from `address` has ended."""
        who = origin_of(address)
        left = self._connections.get(who, 0) - 1
        if left > 0:
            self._connections[who] = left
        else:
            self._connections.pop(who, None)

    @staticmethod
    def _limit(limit: int | None, near: bool, usual: int) -> int:
        if limit is not None:
            return limit
        return 0 if near else usual

    def _charge(self, who: str, a_minute: int) -> bool:
        """Charge one connection to the origin; say whether it had one left."""
        now = self._clock()
        self._forget_quiet(now)
        full_at = max(self._full_at.get(who, now), now) + _MINUTE / a_minute
        if full_at > now + _MINUTE + 0.001:  # of what is added up, the last digits are not sure
            return False
        self._full_at.pop(who, None)
        self._full_at[who] = full_at
        if len(self._full_at) > MAX_ORIGINS:
            del self._full_at[next(iter(self._full_at))]
        return True

    def _forget_quiet(self, now: float) -> None:
        """Forget origins whose minute is over, the oldest first."""
        while self._full_at:
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] > now:
                return
            del self._full_at[oldest]
