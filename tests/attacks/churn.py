"""1,000 people a second who come and leave, politely or not; those in the room talk on, and nothing is left.

    {"port": 9000, "rate": 1000, "seconds": 20}

Each takes a seat in the native dialect (every fifth in the plain one), from one of ADDRESSES addresses of
the loopback (or the ports of one would run out).  How they leave takes turns, see `Visitor.leave`.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum, auto

from support import eventually

from attacks.company import Delays, People
from attacks.processes import Attacker, Victim, options, say
from attacks.targets import Effort, Verdict, mebibytes, milliseconds
from attacks.wire import HOST, hello

TARGET = 0.050
"""Seconds: the room's p99 while they come and go."""

ENOUGH = 0.95
"""Of the rate that was asked for."""

INTERVAL = 0.020
"""Seconds between two messages of those who talk."""

GRACE = 2
"""Seconds that seats of those who leave without a word are kept."""

ADDRESSES = 100

_SEATED = re.compile(rb"^(WHO - |\* \d+ here)", re.MULTILINE)  # the end of the welcome, in both dialects
_RESET = struct.pack("@ii", 1, 0)  # SO_LINGER: close sends a reset


# ---- the attacker's process --------------------------------------------------------------------------


class Way(Enum):
    """How somebody leaves."""

    POLITE = auto()  # BYE, and reads to the end
    PLAIN = auto()  # /exit, in the plain dialect
    END = auto()  # end of stream, without a word; reads to the end
    RESET = auto()  # has a session, and resets: the seat is kept
    BEFORE = auto()  # resets right behind the HELLO, before it is answered


class Visitor:
    """One connection, from the connect to the end."""

    def __init__(self, port: int, number: int) -> None:
        self.way = list(Way)[number % len(Way)]
        self.joined = False
        self._nick = f"visitor{number}"
        self._received = b""
        self._asked = False
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.bind((f"127.0.2.{number % ADDRESSES + 1}", 0))
        with contextlib.suppress(BlockingIOError):
            self.sock.connect((HOST, port))

    def go_on(self) -> bool:
        """Take what has come; return whether it goes on."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        if self.joined:
            return True
        self._received += data
        if not self._asked and self._received.startswith(b"NICK\n"):
            self._asked = True
            self._ask()
            if self.way is Way.BEFORE:
                self.joined = True
                return self.leave()
        if _SEATED.search(self._received):
            self.joined = True
            return self.leave()
        return True

    def _ask(self) -> None:
        if self.way is Way.PLAIN:
            self.sock.send(f"{self._nick}\n".encode())
        else:
            self.sock.send(hello(self._nick, "new" if self.way is Way.RESET else ""))

    def leave(self) -> bool:
        """Leave; return whether there is something to wait for."""
        match self.way:
            case Way.POLITE:
                self.sock.send(b"BYE\n")
            case Way.PLAIN:
                self.sock.send(b"/exit\n")
            case Way.END:
                self.sock.shutdown(socket.SHUT_WR)
            case Way.RESET | Way.BEFORE:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return False
        return True


def main() -> None:
    asked = options()
    total = round(asked["rate"] * asked["seconds"])
    say("ready")
    input()
    visitors: dict[int, Visitor] = {}
    epoll = select.epoll()
    numbers = itertools.count()
    started = joined = 0
    start = time.monotonic()
    while started < total or visitors:
        now = time.monotonic()
        while started < total and now >= start + started / asked["rate"]:
            visitor = Visitor(asked["port"], next(numbers))
            visitors[visitor.sock.fileno()] = visitor
            epoll.register(visitor.sock, select.EPOLLIN)
            started += 1
        if now > start + asked["seconds"] + 20:
            break
        due = start + started / asked["rate"] if started < total else now + 0.1
        for descriptor, _ in epoll.poll(max(0.0, due - time.monotonic())):
            visitor = visitors[descriptor]
            if not visitor.go_on():
                joined += visitor.joined
                del visitors[descriptor]
                visitor.sock.close()
    say({"rate": joined / (time.monotonic() - start), "joined": joined, "stuck": len(visitors)})


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None]) -> list[Verdict]:
    """Make the attack; return what it shows."""
    tell(f"{effort.churn_rate:,} a second for {effort.churn_time:g} s")
    delays = Delays()
    with (
        ExitStack() as stack,
        Victim("--grace", str(GRACE)) as victim,
        Attacker("churn", port=victim.port, rate=effort.churn_rate, seconds=effort.churn_time) as attacker,
    ):
        attacker.hear()
        people = People(stack, victim.port, INTERVAL)
        left = _Left(victim, people.count)
        memory = victim.memory()
        with people.talking(delays):
            found = attacker.finish("begin", effort.churn_time + 60)
        over = left.over()
        growth = victim.memory() - memory
        fault = victim.end()
    who = f"{found['rate']:,.0f} joins and leaves a second for {effort.churn_time:g} s"
    if found["stuck"]:
        fault = fault or f"{found['stuck']} are stuck"
    return [
        Verdict(
            f"{who}: threads, descriptors and seats left over",
            f"{over or 'none'}{f', {fault}' if fault else ''}; memory +{mebibytes(growth)}",
            "none",
            not over and not fault,
        ),
        Verdict(
            f"{who}: p99 of those who talk",
            f"{milliseconds(delays.p99)}, {len(delays.delays)} messages, {delays.lost} lost",
            f"under {milliseconds(TARGET)}, at {effort.churn_rate:,} a second",
            delays.p99 < TARGET and found["rate"] >= ENOUGH * effort.churn_rate,
            timed=True,
        ),
    ]


class _Left:
    """What there was before, and what is left over of it afterwards."""

    def __init__(self, victim: Victim, people: int) -> None:
        self._victim = victim
        eventually(lambda: victim.state()["people"] == people, "everybody's seat")
        self._before = self._count()

    def _count(self) -> dict[str, int]:
        state = self._victim.state()
        return {
            "threads": self._victim.threads(),
            "descriptors": self._victim.descriptors(),
            **{name: state[name] for name in ("people", "away", "connections", "waiting")},
        }

    def over(self) -> str:
        """Return what is more than before once the grace is over, in words."""
        with contextlib.suppress(AssertionError):
            eventually(lambda: self._count() == self._before, "the end of all that came")
        found = {
            name: count - self._before[name]
            for name, count in self._count().items()
            if count != self._before[name]
        }
        return ", ".join(f"{count:+} {name}" for name, count in found.items())


if __name__ == "__main__":
    main()
