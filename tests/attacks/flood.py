"""One client at line speed: it is slowed to its limit and loses nothing, and the others notice nothing of it.

    {"port": 9000, "kind": "lines", "lines": null}

The kinds: `lines` (blocks of numbered messages, as fast as the socket takes them), `endless` (one line that
never ends), `empty` (line ends and nothing else).  With `lines` so many are sent, and all of them are waited
for; else it goes on until there is a line on stdin.  KeyUpdates at line speed are made by key_updates.py.
"""

from __future__ import annotations

import contextlib
import select
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from attacks.company import RATE_LIMIT, Delays, People
from attacks.processes import Attacker, Victim, options, say, stand_back
from attacks.targets import Effort, Verdict, milliseconds
from attacks.wire import Line

BURST = 20
"""Lines that everybody may say at once."""

GROWTH = 2.0
"""The others' p99 may be so many times what it is when it is quiet."""

INTERVAL = 0.010
"""Seconds between two messages of the others."""

FAST = 500
"""Lines a second, the limit of the server where a flood is waited for to its end."""

BLOCK = 1000  # lines in one send


# ---- the attacker's process --------------------------------------------------------------------------


def blocks(kind: str, lines: int | None) -> Iterator[bytes]:
    """Yield what is to be sent, for ever if `lines` is None."""
    if kind == "endless":
        yield b"SAY 1 "
        while True:
            yield b"x" * 65536
    if kind == "empty":
        while True:
            yield b"\n" * 65536
    number = 0
    while lines is None or number < lines:
        until = number + BLOCK if lines is None else min(number + BLOCK, lines)
        yield b"".join(b"SAY %d flood %d\n" % (n + 1, n) for n in range(number, until))
        number = until


def flood(line: Line, kind: str, lines: int | None) -> dict[str, Any]:
    """Send as fast as it goes, and read; return what was heard of one's own, and how long it took."""
    line.join("flooder")
    say("ready")
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(line, select.POLLIN | select.POLLOUT)
    source = blocks(kind, lines)
    unsent = b""
    heard: list[int] = []
    sent = 0
    told = False  # to end
    least = BURST if kind == "lines" else 0  # heard at once, but on a machine that is busy
    start = time.monotonic()
    while (not told or len(heard) < least) if lines is None else len(heard) < lines:
        for descriptor, events in poll.poll():
            if descriptor == 0:
                told = True
                poll.unregister(0)
                continue
            if events & select.POLLIN:
                own = [row for row in line.receive() if row.startswith(b"SAY ") and b" flooder flood " in row]
                heard += [int(row.rpartition(b" ")[2]) for row in own]
            if events & select.POLLOUT:
                unsent = unsent or next(source, b"")
                count = line.send_some(unsent) if unsent else 0
                unsent, sent = unsent[count:], sent + count
                if not unsent and lines is not None:
                    poll.modify(line, select.POLLIN)
                    unsent = next(source, b"")
                    if unsent:
                        poll.modify(line, select.POLLIN | select.POLLOUT)
    return _found(start, sent, heard)


def _found(start: float, sent: int, heard: list[int]) -> dict[str, Any]:
    in_order = heard == list(range(len(heard)))
    return {
        "seconds": time.monotonic() - start,
        "sent": sent,
        "heard": len(heard),
        "in order": in_order,
    }


def main() -> None:
    asked = options()
    stand_back()
    with Line(asked["port"]) as line:
        say(flood(line, asked["kind"], asked["lines"]))
        input()


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None]) -> list[Verdict]:
    """Make the attack; return what it shows."""
    verdicts = [to_the_end(effort.flood_lines)]
    kinds = ("lines", "endless", "empty")
    noticed: dict[str, Noticed] = {kind: Noticed() for kind in kinds}
    found: list[dict[str, Any]] = []
    with Victim() as victim, ExitStack() as stack:
        people = People(stack, victim.port, INTERVAL)
        for number in range(effort.flood_rounds):
            tell(f"round {number + 1} of {effort.flood_rounds}")
            for kind in kinds:
                noticed[kind].listen_quiet(people, effort.flood_time)
                with Attacker("flood", port=victim.port, kind=kind, lines=None) as attacker:
                    attacker.hear()
                    noticed[kind].listen_beside(people, effort.flood_time)
                    attacker.tell()
                    came = attacker.hear()
                    if kind == "lines":
                        found.append(came)
        fault = victim.end()
    most = max(came["heard"] - BURST - RATE_LIMIT * came["seconds"] for came in found)
    rate = statistics.median(came["heard"] / came["seconds"] for came in found)
    verdicts.append(
        Verdict(
            "a flood by one client: it is slowed to",
            fault or f"{rate:.1f} lines a second, in order, its burst included",
            f"{RATE_LIMIT} a second, after a burst of {BURST}",
            not fault and most <= 1 and all(came["in order"] and came["heard"] >= BURST for came in found),
        )
    )
    names = {"lines": "a flood of messages", "endless": "a line without an end", "empty": "empty lines"}
    return verdicts + [noticed[kind].verdict(f"{names[kind]} by one client") for kind in kinds]


def to_the_end(lines: int) -> Verdict:
    """Make a flood that ends: all of it is heard, at the pace that the server allows."""
    with Victim("--rate-limit", str(FAST)) as victim, Line(victim.port) as witness:
        witness.join("witness")
        with Attacker("flood", port=victim.port, kind="lines", lines=lines) as attacker:
            attacker.hear()
            wanted = [f"flood {number}".encode() for number in range(lines)]
            heard: list[bytes] = []
            with contextlib.suppress(TimeoutError):
                while len(heard) < lines:
                    rows = [row.split(b" ", 5) for row in witness.receive() if row.startswith(b"SAY ")]
                    heard += [row[5] for row in rows]
            came = attacker.hear()
            attacker.tell()
            attacker.wait()
        fault = victim.end()
    least = (lines - BURST) / FAST
    complete = heard == wanted and came["in order"]
    return Verdict(
        f"a flood of {lines:,} messages at a limit of {FAST} a second: they are heard",
        fault or f"{'all, in order' if complete else f'{len(heard)}'}, in {came['seconds']:.1f} s",
        f"all, in order, in no less than {least:.1f} s",
        complete and not fault and came["seconds"] >= least - 0.1,
    )


class Noticed:
    """What the others notice: when it is quiet, and beside an attack."""

    def __init__(self) -> None:
        self._quiet, self._beside = Delays(), Delays()

    def listen_quiet(self, people: People, seconds: float) -> None:
        with people.talking(self._quiet):
            time.sleep(seconds)

    def listen_beside(self, people: People, seconds: float) -> None:
        with people.talking(self._beside):
            time.sleep(seconds)

    def verdict(self, what: str) -> Verdict:
        """Return what came of it, of all rounds together."""
        quiet, beside = self._quiet.p99, self._beside.p99
        return Verdict(
            f"{what}: p99 of the others, to that when it is quiet",
            f"{beside / quiet:.2f} ({milliseconds(beside)}, {milliseconds(quiet)})",
            f"at most {GROWTH:g}",
            beside <= GROWTH * quiet,
            timed=True,
        )


if __name__ == "__main__":
    main()
