"""People who do not read, in a room that talks as fast as it can: the others lose nothing, and no time.

    {"port": 9000, "messages": 300000, "stalled": 5}

55 clients (50 without those who stall): five of those who read say all the messages in turns, at most WINDOW
of them that somebody who reads has not got yet.  Everybody's stream is compared from the first message to
the last: those who only listen have the same bytes, of which one's are read line by line, and so are those
of the five who speak.
"""

from __future__ import annotations

import itertools
import select
import statistics
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from attacks.processes import Attacker, Victim, options, say
from attacks.targets import Effort, Verdict, mebibytes
from attacks.wire import Line

STALLED = 5
READERS = 50
SPEAKERS = 5
WINDOW = 200
BLOCK = 50
"""Lines in one send."""

RATE = 0.80
"""Of the rate without those who stall, at least."""

MEMORY = 48 * 2**20
"""Bytes by which the server may grow."""

TIME = 120.0
"""Seconds that one run may take."""

_END = b"~"  # the last character of every message, and of nothing else


# ---- the attacker's process --------------------------------------------------------------------------


class Reader:
    """Somebody who reads: counts the messages, and keeps their bytes or a checksum of these."""

    def __init__(self, line: Line, keep: bool) -> None:
        self.line = line
        self.count = 0
        self.checksum = 0
        self.kept: list[bytes] | None = [] if keep else None

    def take(self, data: bytes, messages: int) -> None:
        """Take what has come; what is behind the last message does not count."""
        if self.count < messages:
            self.count += data.count(_END)
            if self.count == messages:
                data = data[: data.rindex(_END) + 1]
            self.checksum = zlib.crc32(data, self.checksum)
            if self.kept is not None:
                self.kept.append(data)

    def messages(self) -> list[tuple[bytes, bytes, bytes]]:
        """Return id, nick and text of all messages, of a reader that has kept them."""
        assert self.kept is not None
        rows = (line.split(b" ", 5) for line in b"".join(self.kept).split(b"\n"))
        return [(row[1], row[4], row[5]) for row in rows if row[0] == b"SAY"]


def stall(stack: ExitStack, port: int, count: int) -> None:
    """Take seats, and never read again: with sessions, without, and in the plain dialect."""
    for number in range(count):
        line = stack.enter_context(Line(port, receive_buffer=4096))
        if number % 3 == 2:
            line.until(b"NICK")
            line.send(f"stalled{number}\n".encode())
            line.until(b"* ")
        else:
            line.join(f"stalled{number}", session="new" if number % 3 == 0 else "")


def talk(readers: list[Reader], messages: int) -> float:
    """Say all the messages; return the seconds until everybody has them."""
    poll = select.poll()
    by_descriptor = {reader.line.fileno(): reader for reader in readers}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.POLLIN)
    turn = sent = reached = 0
    start = time.monotonic()
    while reached < messages:
        while sent < messages and sent + BLOCK - reached <= WINDOW:
            block = range(sent, min(sent + BLOCK, messages))
            lines = [f"SAY {number + 2} {number:07} some words to say~\n" for number in block]
            readers[turn % SPEAKERS].line.send("".join(lines).encode())
            sent, turn = block.stop, turn + 1
        for descriptor, _ in poll.poll(TIME * 1000):
            reader = by_descriptor[descriptor]
            reader.take(reader.line.receive_bytes(), messages)
        reached = min(reader.count for reader in readers)
        if time.monotonic() > start + TIME:
            raise TimeoutError(f"{reached} of {messages} messages in {TIME:g} s")
    return time.monotonic() - start


def check(readers: list[Reader], messages: int) -> str:
    """Return what is wrong with what they have got; nothing, if it is empty."""
    speakers, listeners = readers[:SPEAKERS], readers[SPEAKERS:]
    reference = listeners[0].messages()
    ids = [int(row[0]) for row in reference]
    if any(second <= first for first, second in itertools.pairwise(ids)):
        return "the ids do not rise"
    for speaker in range(SPEAKERS):
        nick = f"reader{speaker}".encode()
        said = [text for _, by, text in reference if by == nick]
        own = [n for n in range(messages) if n // BLOCK % SPEAKERS == speaker]
        if said != [f"{number:07} some words to say~".encode() for number in own]:
            return f"what reader{speaker} said is not what was heard"
    for number, reader in enumerate(speakers):
        if reader.messages() != reference:
            return f"reader{number}, who speaks, has heard something else"
    if len({reader.checksum for reader in listeners}) != 1:
        return "those who listen have not all heard the same"
    return ""


def main() -> None:
    asked = options()
    with ExitStack() as stack:
        readers = []
        for number in range(READERS):
            line = stack.enter_context(Line(asked["port"]))
            line.join(f"reader{number}")
            readers.append(Reader(line, keep=number <= SPEAKERS))
        stall(stack, asked["port"], asked["stalled"])
        readers[0].line.send(b"SAY 1 begin\n")
        for reader in readers:
            reader.line.until(b"SAY ")  # behind it all streams are the same
        say("ready")
        seconds = talk(readers, asked["messages"])
        say({"seconds": seconds, "wrong": check(readers, asked["messages"])})
        input()


# ---- the attack --------------------------------------------------------------------------------------


def run_once(messages: int, stalled: int) -> dict[str, Any]:
    """Return what came of one run, with so many who stall."""
    with (
        Victim("--rate-limit", "0") as victim,
        Attacker("stalled", port=victim.port, messages=messages, stalled=stalled) as attacker,
    ):
        attacker.hear()
        victim.forget_peak()
        before = victim.memory()
        found: dict[str, Any] = attacker.hear(TIME + 60)
        found["growth"] = victim.peak() - before
        found["dropped"] = len({line.split()[1] for line in victim.told("dropped: not reading")})
        attacker.tell()
        attacker.wait()
        found["fault"] = victim.end()
    return found


def attack(effort: Effort, tell: Callable[[str], None]) -> list[Verdict]:
    """Make the attack; return what it shows."""
    without, beside = [], []
    for number in range(effort.rounds):
        tell(f"round {number + 1} of {effort.rounds}")
        without.append(run_once(effort.messages, 0))
        beside.append(run_once(effort.messages, STALLED))
    runs = without + beside
    wrong = [found["wrong"] or found["fault"] for found in runs if found["wrong"] or found["fault"]]
    rates = [
        effort.messages / statistics.median(found["seconds"] for found in kind) for kind in (without, beside)
    ]
    growth = max(found["growth"] for found in beside)
    dropped = min(found["dropped"] for found in beside)
    who = f"{STALLED} who do not read among {STALLED + READERS}, {effort.messages:,} messages"
    return [
        Verdict(
            f"{who}: the other {READERS} have",
            wrong[0] if wrong else "all, in order",
            "all, in order",
            not wrong,
        ),
        Verdict(
            f"{who}: rate, to that without them",
            f"{rates[1] / rates[0]:.2f} ({rates[1]:,.0f}/s, {rates[0]:,.0f}/s)",
            f"at least {RATE:.2f}",
            rates[1] >= RATE * rates[0],
            timed=True,
        ),
        Verdict(
            f"{who}: the server's memory grows by",
            f"{mebibytes(growth)} (without them {mebibytes(max(found['growth'] for found in without))})",
            f"at most {mebibytes(MEMORY)}",
            growth <= MEMORY,
        ),
        Verdict(
            f"{who}: dropped, and so it is recorded",
            f"{dropped} of {STALLED}",
            f"{STALLED} of {STALLED}",
            dropped == STALLED,
        ),
    ]


if __name__ == "__main__":
    main()
