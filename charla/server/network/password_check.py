"""A reader judges the passwords that its client gives: they never come into the room."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from charla.common.passwords import GuessThrottle, Password
from charla.protocol.framing import decode_line
from charla.protocol.text import Refused

PASSWORD_TRIES = 3
"""Wrong room passwords after which a connection is closed."""

PATIENCE = 10.0
"""Seconds that a password may wait for others from its address that were wrong, before it is sent away."""


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """A password, and what slows down whoever guesses.  Shared by all readers; the throttle has a lock."""

    password: Password
    throttle: GuessThrottle = field(default_factory=GuessThrottle)

    def judge(self, typed: str, origin: str, wait: Callable[[float], bool]) -> Refused | None:
        """Return why a password is refused, None when it is right, after the time that wrong ones have cost.

        It is refused, too, when that time is too long: a reader that waits reads nothing, not even a goodbye.
        `wait` waits so many seconds, and returns False when the connection ends meanwhile.  Reader thread.
        """
        right = self.password.matches(typed)
        give_up = time.monotonic() + PATIENCE
        while delay := self.throttle.judge(origin, right):
            if time.monotonic() + delay > give_up or not wait(delay):
                return Refused("too-many-guesses", str(math.ceil(delay)))
        return None if right else Refused("wrong-password")


def typed_password(line: bytes | None) -> str:
    """Return what stands in a line; where that can be no password, something that is a wrong one."""
    try:
        return decode_line(line)
    except Refused:
        return ""
