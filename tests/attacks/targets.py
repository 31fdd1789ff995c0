"""What an attack must show, how much of it there is, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class Failed(Exception):
    """An attack could not be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the table: `met` says whether what was measured meets the target.

    `timed`: it is a time or a rate, and so says little where others use the machine, too.
    """

    what: str
    measured: str
    target: str
    met: bool
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of each attack; times in seconds."""

    messages: int = 300_000  # beside people who do not read
    rounds: int = 3
    silent: int = 2000
    silent_time: float = 20.0
    churn_rate: int = 1000  # joins and leaves a second
    churn_time: float = 20.0
    knocking: int = 200
    knocking_time: float = 10.0
    flood_rounds: int = 4
    flood_time: float = 4.0
    flood_lines: int = 3000  # of a flood that is waited for to its end
    lines: int = 720_000  # of random text
    connections: int = 3000  # that are fresh
    updating_time: float = 60.0


FULL = Effort()

QUICK = Effort(
    messages=20_000,
    rounds=1,
    silent=300,
    silent_time=2.0,
    churn_rate=200,
    churn_time=1.0,
    knocking=100,
    knocking_time=1.0,
    flood_rounds=1,
    flood_time=0.5,
    flood_lines=300,
    lines=4000,
    connections=60,
    updating_time=1.0,
)
"""Enough to see that it works; the figures say little."""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: float) -> str:
    """Return a time as it stands in the table."""
    return f"{seconds * 1000:.1f} ms"


def mebibytes(size: float) -> str:
    """Return so many bytes as they stand in the table."""
    return f"{size / 2**20:.1f} MiB"
