"""A reader on one end of a socketpair, and a list instead of the room."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import DEADLINE

from charla.protocol.commands import Leave, Say, Tell, Who
from charla.protocol.messages import Said
from charla.protocol.native import NATIVE
from charla.protocol.text import MAX_LINE, Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import (
    AskHistory,
    CatchUp,
    Chunk,
    Ended,
    HistorySlice,
    Item,
    NoSeat,
    ReplaySlice,
    Reply,
    Request,
    Silent,
    TakeSeat,
    Work,
)
from charla.server.network.rate_limit import RateLimit
from charla.server.network.reader import CHUNK_SIZE, Reader
from charla.server.storage.entries import EVERYONE, Logged, StorageError


def release(connection: Connection) -> None:
    """Do what the room does when it is done with a connection."""
    connection.gone = True
    connection.release()


class ListInbox:
    """Keeps the items; answers whether a seat is free."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self.items: list[Item] = []
        self.chunks: list[list[Item]] = []
        self.changed = threading.Condition()
        self._taken = taken
        self.steps: list[Reply] = []  # what comes instead of True
        self.takes_chunks = True

    def put(self, entry: Work) -> None:
        assert isinstance(entry, tuple)
        connection, items = entry
        with self.changed:
            self.items += items
            self.chunks.append(items)
            self.changed.notify_all()
        for item in items:
            if isinstance(item, (TakeSeat, CatchUp, AskHistory, Chunk)):
                self.answer(item)
            if isinstance(item, Ended) and not connection.gone:
                release(connection)

    def answer(self, request: Request) -> None:
        """Do a request of the reader as the room does."""
        if isinstance(request, TakeSeat):
            request.reply.put(self.steps.pop(0) if self.steps else request.hello.nick not in self._taken)
        elif isinstance(request, Chunk):
            if self.takes_chunks:
                request.reply.put(True)
        else:
            request.reply.put(self.steps.pop(0) if self.steps else True)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE)


class Running:
    """A reader in its thread, and the client's end of its socket."""

    def __init__(self, inbox: ListInbox, rate_limit: RateLimit | None = None, **options: Any) -> None:
        self.client, server = socket.socketpair()
        self.connection = Connection(server, "peer")
        self.inbox = inbox
        limit = rate_limit or RateLimit(0)
        reader = Reader(self.connection, inbox, limit, **options)  # type: ignore[arg-type]
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


@pytest.fixture
def slow() -> Iterator[Running]:
    """A reader that lets a line in a hundred seconds through, after a burst of three."""
    running = Running(ListInbox(), RateLimit(0.01, burst=3))
    running.client.sendall(b"ana\none\ntwo\nthree\nfour\n")
    running.inbox.wait_for(lambda: len(running.inbox.items) == 3)
    yield running
    release(running.connection)
    running.finish()


def test_what_is_over_the_limit_waits_and_what_was_before_it_does_not(slow: Running) -> None:
    assert slow.inbox.items[1:] == [Say("one"), Say("two")]


def test_a_reader_that_waits_wakes_at_once_when_the_room_lets_go(slow: Running) -> None:
    release(slow.connection)
    slow.inbox.wait_for(lambda: isinstance(slow.inbox.items[-1], Ended))
    assert Say("three") not in slow.inbox.items
    slow.connection._released.acquire()  # for the fixture, which lets go once more


def test_what_was_delayed_is_not_lost() -> None:
    running = Running(ListInbox(), RateLimit(200, burst=2))
    running.client.sendall(b"ana\n" + b"".join(b"line %d\n" % n for n in range(40)))
    items = running.finish()
    assert items == [*(Say(f"line {n}") for n in range(40)), Ended("left")]


# ---- what was before -----------------------------------------------------------------------------


def logged(numbers: range, text: str = "hola") -> list[Logged]:
    return [Logged.of(Said(n, 1000 + n, 0, "eva", f"{text}{n}"), 0, EVERYONE) for n in numbers]


def test_a_resume_is_handed_over_in_chunks_until_the_room_says_that_it_is_live() -> None:
    inbox = ListInbox()
    long = logged(range(1, 101), "x" * 1000)
    inbox.steps = [ReplaySlice(7, 0, 100, long), ReplaySlice(7, 100, 102, logged(range(101, 103))), True]
    running = Running(inbox)
    running.client.sendall(b"HELLO 1 ana session=tok last=0\nSAY 1 hola\n")
    items = running.finish()
    chunks = [item for item in items if isinstance(item, Chunk)]
    assert b"".join(chunk.data for chunk in chunks) == b"".join(
        entry.line for entry in long + logged(range(101, 103))
    )
    assert CHUNK_SIZE <= len(chunks[0].data) <= CHUNK_SIZE + MAX_LINE
    assert [item.after for item in items if isinstance(item, CatchUp)] == [100, 102]
    assert items[-2:] == [Say("hola", 1), Ended("lost")], "nothing is read before it is live"


def test_a_resume_whose_client_is_gone_ends() -> None:
    inbox = ListInbox()
    inbox.steps = [ReplaySlice(7, 0, 100, logged(range(1, 101))), False]
    running = Running(inbox)
    running.client.sendall(b"HELLO 1 ana session=tok\nSAY 1 hola\n")
    items = running.finish()
    assert refused(items[-2])[0] == "hello-first"


def test_a_client_that_takes_nothing_of_it_is_taken_for_dead() -> None:
    inbox = ListInbox()
    inbox.takes_chunks = False
    inbox.steps = [ReplaySlice(7, 0, 1, logged(range(1, 2)))]
    running = Running(inbox, ping_after=0.02, dead_after=0.05)
    running.client.sendall(b"HELLO 1 ana session=tok\n")
    inbox.wait_for(lambda: any(isinstance(item, Ended) for item in inbox.items[-1:]))
    assert running.finish()[-1] == Ended("lost")


def test_a_history_goes_out_in_the_clients_dialect() -> None:
    for hello, header, first in (
        (b"ana\n/history 2\n", b"* What was said before, the last 2 messages:\n", b"["),
        (b"HELLO 1 ana\nHISTORY 5 2\n", b"HISTORY 5 2\n", b"PAST SAY 1 1001 - eva hola1\n"),
    ):
        inbox = ListInbox()
        running = Running(inbox)
        running.client.sendall(hello.split(b"\n")[0] + b"\n")
        inbox.wait_for(lambda inbox=inbox: len(inbox.items) == 1)  # type: ignore[misc]
        inbox.steps = [HistorySlice(logged(range(1, 3)), 1, 0)]
        running.client.sendall(hello.split(b"\n")[1] + b"\n")
        (chunk,) = [item for item in running.finish() if isinstance(item, Chunk)]
        lines = chunk.data.splitlines(keepends=True)
        assert lines[0] == header
        assert lines[1].startswith(first)
        assert len(lines) == 3
        assert [item.count for item in inbox.items if isinstance(item, AskHistory)] == [2]


class FailingStorage:
    """A disk that gives up in the middle."""

    def events_after(self, number: int, *_: int) -> list[Logged]:
        if number:
            raise StorageError("the disk fails")
        return logged(range(1, 4))

    def find_public(self, *_: int) -> tuple[int, int]:
        return 1, 5

    def public_between(self, first: int, *_: int) -> list[Logged]:
        if first > 1:
            raise StorageError("the disk fails")
        return logged(range(1, 4))


def test_a_disk_that_fails_in_the_middle_of_a_resume_costs_only_what_is_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = ListInbox()
    inbox.steps = [ReplaySlice(7, 0, 100, None), True]
    with caplog.at_level(logging.CRITICAL, "charla"):
        running = Running(inbox, storage=FailingStorage())
        running.client.sendall(b"HELLO 1 ana session=tok\nSAY 1 hola\n")
        items = running.finish()
    (chunk,) = [item for item in items if isinstance(item, Chunk)]
    assert chunk.data == b"".join(entry.line for entry in logged(range(1, 4)))
    assert [(item.after, item.failed) for item in items if isinstance(item, CatchUp)] == [(3, True)]
    assert Say("hola", 1) in items


def test_a_disk_that_fails_in_the_middle_of_a_history_does_not_end_the_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inbox = ListInbox()
    with caplog.at_level(logging.CRITICAL, "charla"):
        running = Running(inbox, storage=FailingStorage())
        running.client.sendall(b"HELLO 1 ana\n")
        inbox.wait_for(lambda: len(inbox.items) == 1)
        inbox.steps = [HistorySlice([], 6, 5)]
        running.client.sendall(b"HISTORY 5 5\nSAY 1 hola\n")
        items = running.finish()
    (chunk,) = [item for item in items if isinstance(item, Chunk)]
    assert chunk.data.startswith(b"HISTORY 5 5\nPAST SAY 1 ")
    assert chunk.data.count(b"\n") == 4
    assert Say("hola", 1) in items


# ---- silence -------------------------------------------------------------------------------------


def test_silence_is_noticed_again_and_again_and_then_ends_it() -> None:
    inbox = ListInbox()
    running = Running(inbox, ping_after=0.02, dead_after=0.09)
    running.client.sendall(b"HELLO 1 ana session=new\n")
    inbox.wait_for(lambda: any(isinstance(item, Ended) for item in inbox.items[-1:]))
    items = running.finish()
    assert items[:2] == [Silent(), Silent()]
    assert items[-1] == Ended("lost")


def test_only_who_answers_pings_is_watched() -> None:
    inbox = ListInbox()
    running = Running(inbox, ping_after=0.01, dead_after=0.02)
    running.client.sendall(b"HELLO 1 ana\n")
    inbox.wait_for(lambda: len(inbox.items) == 1)
    threading.Event().wait(0.1)  # too short may only miss a fault, not find one
    running.client.sendall(b"SAY 1 hola\n")
    assert running.finish() == [Say("hola", 1), Ended("lost")]


def test_who_says_something_now_and_then_is_not_dead() -> None:
    inbox = ListInbox()
    running = Running(inbox, ping_after=0.05, dead_after=0.5)
    running.client.sendall(b"HELLO 1 ana session=new\n")
    for tag in range(1, 13):
        inbox.wait_for(lambda: any(isinstance(item, Silent) for item in inbox.items[-1:]))
        running.client.sendall(b"SAY %d hola\n" % tag)
        inbox.wait_for(lambda tag=tag: Say("hola", tag) in inbox.items)  # type: ignore[misc]
    assert Say("hola", 12) in running.finish()
