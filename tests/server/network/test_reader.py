"""A reader: what it understands of the bytes that come, at which rate, and how it notices silence."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.reading import ListInbox, Running, release

from charla.protocol.commands import Leave, Say, Tell, Who
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused
from charla.server.delivery.requests import (
    Ended,
    Item,
    NoSeat,
    Silent,
    TakeSeat,
)
from charla.server.network.rate_limit import RateLimit


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
