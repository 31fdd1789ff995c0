"""A person without a console: the client's network, and an ear for what it tells.

Opposite stands a `FakeServer`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from charla.client.network.connect import Route
from charla.client.network.events import Arrival, Back, Ended
from charla.client.network.outbox import Tagged
from charla.client.network.session import Session
from charla.client.network.thread import Network
from charla.client.network.trust import Trust
from charla.common.passwords import Password
from charla.protocol.commands import NEW_SESSION, Hello, Say
from charla.protocol.messages import Message, Said, Token, Welcome, WhoPage
from support import DEADLINE
from support.scripted import AT, FakeServer, Seat


class Ear:
    """A listener that remembers in order; what a test waits for comes out of `next`."""

    def __init__(self) -> None:
        self._heard: queue.Queue[object] = queue.Queue()
        self.may_return = threading.Event()  # `arrived` may: cleared, it is a terminal that takes nothing
        self.may_return.set()

    def next(self) -> object:
        """Return what was heard next: an Arrival, what a method was called with, or an Ended."""
        return self._heard.get(timeout=DEADLINE)

    def expect(self, *things: object) -> None:
        """Fail unless exactly these are heard next."""
        for thing in things:
            assert self.next() == thing

    def back(self, back: Back) -> None:
        self._heard.put(back._replace(seconds=0.0))

    def arrived(self, arrivals: list[Arrival]) -> None:
        for arrival in arrivals:
            self._heard.put(arrival)
        assert self.may_return.wait(DEADLINE)

    def down(self, reason: str) -> None:
        self._heard.put(("down", reason))

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:
        assert 0 <= seconds < DEADLINE
        self._heard.put((opening, doubtful))

    def overdue(self, lines: list[str]) -> None:
        self._heard.put(("overdue", lines))

    def ended(self, ended: Ended) -> None:
        self._heard.put(ended)


class Person:
    """ana, headless: her network, and what it tells.  `options` are of her Session."""

    def __init__(
        self,
        server: FakeServer,
        host: str = "127.0.0.1",
        *,
        trust: Trust | None = None,
        password: Password | None = None,
        insecure: bool = False,
        **options: Any,
    ) -> None:
        self.ear = Ear()
        self.route = Route(host, int(server.port), trust=trust, password=password, insecure=insecure)
        self.network = Network(self.route, Session("ana", **{"delays": (0.0, 0.01), **options}), self.ear)

    def say(self, command: Callable[[int], Tagged], line: str) -> None:
        self.network.send(command(self.network.outbox.new_tag()), line)

    def says(self, *texts: str) -> None:
        """Say these to everyone."""
        for text in texts:
            self.say(lambda tag, text=text: Say(text, tag), text)  # type: ignore[misc]


class Start:
    """`start(fake)` connects, joins and starts: ana, and the server's end of her connection."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def person(self, fake: FakeServer, **options: Any) -> Person:
        """Return somebody who has not connected yet."""
        person = Person(fake, **options)
        self._stack.callback(person.network.close)
        return person

    def accept(self, fake: FakeServer) -> Seat:
        """Return the server's end of the next connection."""
        return self._stack.enter_context(fake.accept())

    def __call__(self, fake: FakeServer, token: str = "tok", **options: Any) -> tuple[Person, Seat]:
        person = self.person(fake, **options)
        seat, opening = self.join(fake, person, token)
        assert opening[-1] == WhoPage(0, 1, 1, 1, ("ana",))
        person.network.start()
        return person, seat

    def join(self, fake: FakeServer, person: Person, token: str) -> tuple[Seat, list[Message]]:
        """Let somebody in; `join` and the server take turns in one thread, as the socket holds the lines."""
        welcome = Welcome(1, AT, "ana", 1)
        session = [Token(token, 60)] if token else []
        seat = self.greeted(fake, person)
        seat.tell(welcome, *session, WhoPage(0, 1, 1, 1, ("ana",)))
        opening = person.network.join()
        assert seat.command() == Hello("ana", NEW_SESSION)
        return seat, opening

    def greeted(self, fake: FakeServer, person: Person) -> Seat:
        """Let somebody connect."""
        seats: list[Seat] = []

        def greet() -> None:
            seats.append(self.accept(fake))
            seats[0].send("NICK\n")

        thread = threading.Thread(target=greet)
        thread.start()
        try:
            person.network.connect()
        finally:
            thread.join()
        return seats[0]


def said(id: int, text: str, tag: int = 0, nick: str = "beto") -> Said:  # noqa: A002
    return Said(id, AT + id, tag, "ana" if tag else nick, text)


def back(missed: int = 0, lost: int = 0, nick: str = "ana") -> Back:
    return Back(nick, missed, 0.0, lost)
