"""Those in the room who are to notice nothing of an attack: they talk, and tell how long it takes.

    {"port": 9000, "people": 25, "interval": 0.01, "ca": null}

People say something in turns, one message every `interval` seconds, sent on time whatever comes back; one
more only listens, and times each from its send to its receipt.  So many take turns that none meets the rate
limit.  Says "ready"; then for each line on stdin it is told that a measurement begins or ends; at the end of
each it says the delays, in seconds, and how many messages have not come.  Without a line more, it ends.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack

from attacks.processes import Attacker, options, order, say
from attacks.targets import quantile
from attacks.wire import Hung, Line

RATE_LIMIT = 5
"""Lines a second that the server lets everybody say, unless told otherwise."""

PATIENCE = 10.0
"""Seconds for what has not come yet."""


# ---- in its own process ------------------------------------------------------------------------------


class Company:
    """The connections."""

    def __init__(self, stack: ExitStack, port: int, people: int, ca: str | None) -> None:
        self._people = [stack.enter_context(Line(port, ca)) for _ in range(people)]
        self._ear = stack.enter_context(Line(port, ca))
        for number, person in enumerate(self._people):
            person.join(f"talker{number}")
        self._ear.join("ear")
        self._everybody: dict[int, Line] = {line.fileno(): line for line in [*self._people, self._ear]}
        self._poll = select.poll()
        for descriptor in (0, *self._everybody):
            self._poll.register(descriptor, select.POLLIN)
        self._said = 0

    def wait(self) -> bool:
        """Read on until a line is given on stdin; say whether it is "measure"."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor == 0:
                    return order() == "measure"
                self._everybody[descriptor].receive()

    def talk(self, interval: float) -> dict[str, object]:
        """Talk until a line is given; return the delays, and how many messages are lost."""
        sent: dict[bytes, float] = {}
        delays: list[float] = []
        due, stop_at = time.monotonic(), 0.0
        while not stop_at or (sent and time.monotonic() < stop_at + PATIENCE):
            now = time.monotonic()
            if not stop_at and now >= due:
                due += interval
                self._said += 1
                text = f"at{self._said}"
                sent[text.encode()] = now
                self._people[self._said % len(self._people)].send(f"SAY {self._said} {text}\n".encode())
            timeout = max(0.0, due - time.monotonic()) if not stop_at else 0.1
            ready = [descriptor for descriptor, _ in self._poll.poll(timeout * 1000)]
            ready.sort(key=lambda descriptor: descriptor != self._ear.fileno())  # what is timed comes first
            for descriptor in ready:
                if descriptor == 0:
                    order()
                    stop_at = time.monotonic()
                    continue
                lines = self._everybody[descriptor].receive()
                if descriptor == self._ear.fileno():
                    now = time.monotonic()
                    for line in lines:
                        at = sent.pop(line.rpartition(b" ")[2], None)
                        if at is not None:
                            delays.append(now - at)
        return {"delays": delays, "lost": len(sent)}


def main() -> None:
    asked = options()
    with ExitStack() as stack, contextlib.suppress(Hung):  # a silent company is missed by who started it
        company = Company(stack, asked["port"], asked["people"], asked["ca"])
        say("ready")
        while company.wait():
            say("talking")
            say(company.talk(asked["interval"]))


# ---- in the attack's process -------------------------------------------------------------------------


class Delays:
    """What they noticed: the delays, in seconds, and how many messages never came."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.lost = 0

    @property
    def p99(self) -> float:
        """The delay that 99 of 100 messages do not exceed; endless when one is lost, or there are none."""
        return quantile(self.delays, 0.99) if self.delays and not self.lost else float("inf")


class People:
    """The company as a process; `interval` in seconds."""

    def __init__(self, stack: ExitStack, port: int, interval: float, ca: str | None = None) -> None:
        people = int(1.25 / (RATE_LIMIT * interval)) + 1
        self.count = people + 1
        self._process = stack.enter_context(
            Attacker("company", port=port, people=people, interval=interval, ca=ca)
        )
        self._process.hear()

    @contextlib.contextmanager
    def talking(self, into: Delays) -> Iterator[None]:
        """While the context lasts, they talk; what they notice is added to `into`."""
        self._process.tell("measure")
        self._process.hear()
        yield
        self._process.tell("stop")
        found = self._process.hear()
        into.delays += found["delays"]
        into.lost += found["lost"]


if __name__ == "__main__":
    main()
