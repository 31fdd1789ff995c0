"""Many who come back at once to much that they have missed: does the room serve the others meanwhile?

The measuring is done by two processes of their own, talkers.py and returning.py, so that neither the reading
of 100 MB nor the interpreter's lock is in the figures.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import Failed, Process
from servers import Server, Starter

GUESTS = 100
MISSED = 10_000
"""Events that each of them has missed, at least: what is said while they come back is added."""

MEMORY = 20_000
"""Events that the server keeps in memory where it is not to read the disk."""

GRACE = 600
"""Seconds that their seats are kept: this case is not about that."""

STEP_TIME = 120.0
"""Seconds for each step of it, also on a slow machine."""

HEAD_START = 0.2
"""Seconds of talk before they come back, and after."""

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst; delays in milliseconds, of one talker's message to the other."""

    alone: list[float]  # nobody comes back
    beside: list[float]  # sent, or on its way, from the first connection until the last is live
    first_live: float  # seconds from the first connection
    all_live: float
    lost: int  # messages of the talkers
    faults: list[str]  # what those who came back did not get once and in order


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)] if ordered else 0.0


def burst(start: Starter, seconds: float) -> Burst:
    """Let two talk for `seconds`, then beside a burst of resumes."""
    with start() as server, helper("talkers.py", server) as talkers:
        expect(talkers, "ready")
        alone = talk(talkers, seconds)
        with helper("returning.py", server, str(GUESTS)) as guests:
            expect(guests, "dropped")
            talkers.write_line(f"make {MISSED}")
            expect(talkers, "made")
            talkers.write_line("talk")
            time.sleep(HEAD_START)
            guests.write_line("resume")
            expect(guests, "live")
            time.sleep(HEAD_START)
            beside = stop(talkers)
            guests.write_line(f"check {beside['last']}")
            came = json.loads(expect(guests, "{"))
            guests.wait(STEP_TIME)
        talkers.write_line()
        talkers.wait(STEP_TIME)
    started, live_at = came["started"], came["live_at"]
    delays = [ms for at, ms in beside["delays"] if started - ms / 1000 <= at <= live_at[-1]]
    return Burst(
        alone=[ms for _, ms in alone["delays"]],
        beside=delays,
        first_live=live_at[0] - started,
        all_live=live_at[-1] - started,
        lost=alone["lost"] + beside["lost"],
        faults=came["faults"],
    )


def helper(script: str, server: Server, *arguments: str) -> Process:
    process = Process([sys.executable, str(HERE / script), str(server.port), *arguments])
    process.name = script
    return process


def expect(process: Process, text: str) -> str:
    """Return the next line of its stdout, which has `text` in it."""
    line = process.next_line(time.monotonic() + STEP_TIME, "stdout")
    if text not in line:
        raise Failed(f"{process.name} says {line[:80]!r}, not {text}")
    return line


def talk(talkers: Process, seconds: float) -> dict[str, Any]:
    talkers.write_line("talk")
    time.sleep(seconds)
    return stop(talkers)


def stop(talkers: Process) -> dict[str, Any]:
    talkers.write_line("stop")
    said: dict[str, Any] = json.loads(expect(talkers, "{"))
    return said
