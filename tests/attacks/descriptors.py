"""200 who knock at a server that may have 64 descriptors: those in talk on, and it recovers by itself.

{"port": 9000, "count": 200}: the attacker is that of silent.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from support import eventually

from attacks.company import Delays, People
from attacks.processes import Attacker, Victim
from attacks.targets import Effort, Verdict, milliseconds
from attacks.wire import Hung, Line

DESCRIPTORS = 64

CPU = 0.20
"""Of a processor, at most, while they knock."""

INTERVAL = 0.020
"""Seconds between two messages of those who talk."""

RECOVERY = 5.0
"""Seconds after their end in which a newcomer must be in."""


def attack(effort: Effort, tell: Callable[[str], None]) -> list[Verdict]:
    """Make the attack; return what it shows."""
    tell(f"{effort.knocking} who knock, for {effort.knocking_time:g} s")
    quiet, beside = Delays(), Delays()
    with ExitStack() as stack, Victim(descriptors=DESCRIPTORS) as victim:
        people = People(stack, victim.port, INTERVAL)
        alone = _processor_share(victim, people, quiet, effort.knocking_time / 2)
        with Attacker("silent", port=victim.port, count=effort.knocking) as attacker:
            attacker.hear()
            eventually(lambda: victim.told("cannot accept"), "the lack of descriptors")
            share = _processor_share(victim, people, beside, effort.knocking_time)
            attacker.finish()
        took = _newcomer_after(victim.port)
        said = len(victim.told("cannot accept"))
        fault = victim.end()
    who = f"{effort.knocking} who knock at a server with {DESCRIPTORS} descriptors"
    return [
        Verdict(
            f"{who}: messages of those in it that are lost",
            fault or f"{beside.lost} of {len(beside.delays)}, p99 {milliseconds(beside.p99)}",
            "none",
            not beside.lost and bool(beside.delays) and not fault,
        ),
        Verdict(
            f"{who}: processor time",
            f"{share:.0%} (without them {alone:.0%})",
            f"under {CPU:.0%}",
            share < CPU,
            timed=True,
        ),
        Verdict(
            f"{who}: when they go, a newcomer is in",
            f"after {took:.2f} s" if took < float("inf") else "never",
            f"within {RECOVERY:g} s",
            took <= RECOVERY,
            timed=True,
        ),
        Verdict(f'{who}: "cannot accept" is recorded', f"{said} time{'s' * (said != 1)}", "once", said == 1),
    ]


def _processor_share(victim: Victim, people: People, into: Delays, seconds: float) -> float:
    """Return the share of a processor that the server takes while they talk for so long."""
    with people.talking(into):
        start, before = time.monotonic(), victim.processor_time()
        time.sleep(seconds)
        return (victim.processor_time() - before) / (time.monotonic() - start)


def _newcomer_after(port: int) -> float:
    """Return the seconds until somebody was in, and heard."""
    start = time.monotonic()
    while time.monotonic() < start + 5 * RECOVERY:
        try:
            with Line(port) as line:
                line.join("newcomer")
                line.send(b"SAY 1 here\n")
                line.until(b"SAY ")
                return time.monotonic() - start
        except (Hung, OSError):
            continue
    return float("inf")
