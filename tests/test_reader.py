"""A reader on one end of a socketpair, and a list instead of the room."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DEADLINE

from fanout import Connection
from items import Ended, Item, NoSeat, TakeSeat
from messages import Leave, Refused, Say, Tell, Who
from protocol import NATIVE
from reader import Entry, RateLimit, Reader


def let_go(connection: Connection) -> None:
    """Do what the room does when it is done with a connection."""
    connection.gone = True
    connection.let_go()


class ListInbox:
    """Keeps the items; answers whether a seat is free."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self.items: list[Item] = []
        self.chunks: list[list[Item]] = []
        self.changed = threading.Condition()
        self._taken = taken

    def put(self, entry: Entry | None) -> None:
        assert entry is not None
        connection, items = entry
        with self.changed:
            self.items += items
            self.chunks.append(items)
            self.changed.notify_all()
        for item in items:
            if isinstance(item, TakeSeat):
                item.answer.put(item.hello.nick not in self._taken)
            if isinstance(item, Ended) and not connection.gone:
                let_go(connection)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE)


class Running:
    """A reader in its thread, and the client's end of its socket."""

    def __init__(self, inbox: ListInbox, rate_limit: RateLimit | None = None) -> None:
        self.client, server = socket.socketpair()
        self.connection = Connection(server, "peer")
        self.inbox = inbox
        reader = Reader(self.connection, inbox, rate_limit or RateLimit(0))  # type: ignore[arg-type]
        self._thread = threading.Thread(target=reader.run)
        self._thread.start()

    def finish(self) -> list[Item]:
        """End the stream; return all items but the seat's, once the thread has ended."""
        self.client.shutdown(socket.SHUT_WR)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        assert self.connection.sock.fileno() == -1
        self.client.close()
        return [item for item in self.inbox.items if not isinstance(item, TakeSeat)]


def read(stream: bytes, taken: tuple[str, ...] = ()) -> list[Item]:
    running = Running(ListInbox(taken))
    running.client.sendall(stream)
    return running.finish()


def test_nick_and_first_message_in_one_packet() -> None:
    assert read(b"ana\nhola\n") == [Say("hola"), Ended("left")]
    assert read(b"HELLO 1 ana\nSAY 1 hola\nBYE\n") == [Say("hola", 1), Leave(), Ended("lost")]


def test_the_line_behind_a_taken_nick_is_another_try_and_not_a_message() -> None:
    running = Running(ListInbox(taken=("ana", "eva")))
    running.client.sendall(b"ana\neva\nleo\nhola\n")
    assert running.finish() == [Say("hola"), Ended("left")]
    asked = [item.hello.nick for item in running.inbox.items if isinstance(item, TakeSeat)]
    assert asked == ["ana", "eva", "leo"]


def test_many_lines_in_one_packet_are_handed_over_at_once() -> None:
    running = Running(ListInbox())
    running.client.sendall(b"ana\n")
    running.inbox.wait_for(lambda: len(running.inbox.items) == 1)
    running.client.sendall(b"one\r\ntwo\n\n/who\nbeto: x\n")
    running.finish()
    assert running.inbox.chunks[1:] == [[Say("one"), Say("two"), Who(1), Tell("beto", "x")], [Ended("left")]]


def refused(item: Item) -> tuple[str, bool]:
    if isinstance(item, NoSeat):
        return item.refused.code, item.dialect is NATIVE
    assert isinstance(item, Refused), item
    return item.code, False


@pytest.mark.parametrize(
    ("stream", "code", "native"),
    [
        (b"\n", "nick-empty", False),
        (b"a b\n", "nick-space", False),
        (b"\xff\n", "not-utf8", False),
        (b"GET / HTTP/1.1\r\n", "nick-space", False),
        (b"x" * 20000 + b"\n", "too-long", False),
        (b"HELLO 1 1x\n", "nick-start", True),
        (b"HELLO\n", "malformed", True),
        (b"HELLO 2 ana\n", "version", True),
        (b"ana", "unfinished", False),
    ],
)
def test_an_answer_that_is_no_seat(stream: bytes, code: str, native: bool) -> None:
    items = read(stream)
    assert refused(items[0]) == (code, native)
    assert isinstance(items[-1], Ended)


def test_a_native_client_stays_native_and_says_hello_first() -> None:
    items = read(b"HELLO 1 1x\nSAY 1 hola\nana\nHELLO 1 ana\nSAY 2 hola\nHELLO 1 eva\n")
    assert [refused(item) for item in items[:3]] == [
        ("nick-start", True),
        ("hello-first", True),
        ("malformed", True),
    ]
    assert items[3] == Say("hola", 2)
    assert refused(items[4])[0] == "malformed"


def test_leaving_at_the_nick_prompt() -> None:
    assert read(b"exit\n") == [Leave(), Ended("left")]
    assert read(b"HELLO 1 1x\nBYE\n")[1:] == [Leave(), Ended("lost")]


def test_bad_lines_cost_themselves_alone() -> None:
    items = read(b"ana\n\xff\xfe\nhola\n" + b"x" * 20000 + b"\n\xed\xa0\x80\nadios\nhalf a li")
    assert [item if isinstance(item, (Say, Ended)) else refused(item)[0] for item in items] == [
        "not-utf8",
        Say("hola"),
        "too-long",
        "not-utf8",
        Say("adios"),
        "unfinished",
        Ended("left"),
    ]


STREAM = "ana\nhola ñandú\r\n\n/who\nbeto: 👩‍👩‍👧\n".encode() + b"\xff\n" + b"y" * 9000 + b"\nfin\n"


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=6))
def test_the_verdict_does_not_depend_on_how_it_was_cut_into_packets(cuts: list[int]) -> None:
    inbox = ListInbox()
    running = Running(inbox)
    for start, end in pairwise([0, *sorted(cuts), len(STREAM)]):
        running.client.sendall(STREAM[start:end])
    items = [item if not isinstance(item, Refused) else item.code for item in running.finish()]
    assert items == [
        Say("hola ñandú"),
        Who(1),
        Tell("beto", "👩‍👩‍👧"),
        "not-utf8",
        "too-long",
        Say("fin"),
        Ended("left"),
    ]


# ---- the rate limit ------------------------------------------------------------------------------


def test_a_burst_is_free_and_then_lines_are_spaced() -> None:
    now = 0.0
    limit = RateLimit(5, burst=20, clock=lambda: now)
    assert [limit.charge() for _ in range(20)] == [0.0] * 20
    assert limit.charge() == pytest.approx(0.2)
    now += 0.2
    assert limit.charge() == pytest.approx(0.2)
    now += 100
    assert [limit.charge() for _ in range(20)] == [0.0] * 20


def test_no_limit_is_no_limit() -> None:
    limit = RateLimit(0)
    assert {limit.charge() for _ in range(10_000)} == {0.0}


@pytest.fixture
def slow() -> Iterator[Running]:
    """A reader that lets a line in a hundred seconds through, after a burst of three."""
    running = Running(ListInbox(), RateLimit(0.01, burst=3))
    running.client.sendall(b"ana\none\ntwo\nthree\nfour\n")
    running.inbox.wait_for(lambda: len(running.inbox.items) == 3)
    yield running
    let_go(running.connection)
    running.finish()


def test_what_is_over_the_limit_waits_and_what_was_before_it_does_not(slow: Running) -> None:
    assert slow.inbox.items[1:] == [Say("one"), Say("two")]


def test_a_reader_that_waits_wakes_at_once_when_the_room_lets_go(slow: Running) -> None:
    let_go(slow.connection)
    slow.inbox.wait_for(lambda: isinstance(slow.inbox.items[-1], Ended))
    assert Say("three") not in slow.inbox.items
    slow.connection._let_go.acquire()  # for the fixture, which lets go once more


def test_what_was_delayed_is_not_lost() -> None:
    running = Running(ListInbox(), RateLimit(200, burst=2))
    running.client.sendall(b"ana\n" + b"".join(b"line %d\n" % n for n in range(40)))
    items = running.finish()
    assert items == [*(Say(f"line {n}") for n in range(40)), Ended("left")]
