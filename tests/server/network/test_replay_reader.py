"""What a client has missed, and the history: read for it by its reader, in chunks."""

from __future__ import annotations

import logging

import pytest
from support.reading import ListInbox, Running

from charla.protocol.commands import Say
from charla.protocol.messages import Said
from charla.protocol.text import MAX_LINE
from charla.server.delivery.requests import (
    AskHistory,
    CatchUp,
    Chunk,
    Ended,
    NoSeat,
)
from charla.server.network.replay_reader import CHUNK_SIZE
from charla.server.storage.database import Storage
from charla.server.storage.entries import EVERYONE, Logged, StorageError
from charla.server.storage.slices import DiskSlice, HistorySlice, MemorySlice


def logged(numbers: range, text: str = "hola") -> list[Logged]:
    return [Logged.of(Said(n, 1000 + n, 0, "eva", f"{text}{n}"), 0, EVERYONE) for n in numbers]


def test_a_resume_is_handed_over_in_chunks_until_the_room_says_that_it_is_live() -> None:
    inbox = ListInbox()
    long = logged(range(1, 101), "x" * 1000)
    inbox.steps = [
        MemorySlice(7, 0, 100, tuple(long)),
        MemorySlice(7, 100, 102, tuple(logged(range(101, 103)))),
        True,
    ]
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
    inbox.steps = [MemorySlice(7, 0, 100, tuple(logged(range(1, 101)))), False]
    running = Running(inbox)
    running.client.sendall(b"HELLO 1 ana session=tok\nSAY 1 hola\n")
    items = running.finish()
    assert isinstance(items[-2], NoSeat)
    assert items[-2].refused.code == "hello-first"


def test_a_client_that_takes_nothing_of_it_is_taken_for_dead() -> None:
    inbox = ListInbox()
    inbox.takes_chunks = False
    inbox.steps = [MemorySlice(7, 0, 1, tuple(logged(range(1, 2))))]
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
        inbox.steps = [HistorySlice(tuple(logged(range(1, 3))), 1, 0, None)]
        running.client.sendall(hello.split(b"\n")[1] + b"\n")
        (chunk,) = [item for item in running.finish() if isinstance(item, Chunk)]
        lines = chunk.data.splitlines(keepends=True)
        assert lines[0] == header
        assert lines[1].startswith(first)
        assert len(lines) == 3
        assert [item.count for item in inbox.items if isinstance(item, AskHistory)] == [2]


class FailingStorage(Storage):
    """A disk that gives up in the middle."""

    floor = 0

    def __init__(self) -> None:
        pass

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
    inbox.steps = [DiskSlice(7, 0, 100, FailingStorage()), True]
    with caplog.at_level(logging.CRITICAL, "charla"):
        running = Running(inbox)
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
        running = Running(inbox)
        running.client.sendall(b"HELLO 1 ana\n")
        inbox.wait_for(lambda: len(inbox.items) == 1)
        inbox.steps = [HistorySlice((), 6, 5, FailingStorage())]
        running.client.sendall(b"HISTORY 5 5\nSAY 1 hola\n")
        items = running.finish()
    (chunk,) = [item for item in items if isinstance(item, Chunk)]
    assert chunk.data.startswith(b"HISTORY 5 5\nPAST SAY 1 ")
    assert chunk.data.count(b"\n") == 4
    assert Say("hola", 1) in items
