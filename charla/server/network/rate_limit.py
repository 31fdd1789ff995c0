"""How many lines a second a client may send."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST = 20
"""Lines a client may send at once before the rate limit slows it down."""


class RateLimit:
    """`rate` lines a second with a burst: says how long each line has to wait.  One reader's alone.

    A token bucket kept as one number, the time at which it would be full again (the generic cell rate
    algorithm of ATM networks).
    """

    def __init__(self, rate: float, burst: int = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._tolerance = (burst - 1) * self._interval
        self._clock = clock
        self._full_at = 0.0

    def charge(self) -> float:
        """Charge one line; return the seconds to wait before it may be handed on (0: at once)."""
        if not self._interval:
            return 0.0
        now = self._clock()
        full_at = max(self._full_at, now)
        self._full_at = full_at + self._interval
        delay = full_at - self._tolerance - now
        return delay if delay > 0.001 else 0.0  # a shorter sleep is not worth the rounding
