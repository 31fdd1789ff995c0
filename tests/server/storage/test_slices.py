"""Slices of the log: the same events come out, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from charla.protocol.messages import Said, Told
from charla.server.storage import slices
from charla.server.storage.database import Storage
from charla.server.storage.entries import Logged
from charla.server.storage.event_log import EventLog
from charla.server.storage.slices import DiskSlice, MemorySlice


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setattr(slices, "_ROWS", 3)
    with closing(Storage(str(tmp_path / "room.db"))) as storage:
        yield storage


def fill(log: EventLog, count: int) -> None:
    """Log messages of session 1, every fifth one private to session 2; what was logged is on the disk."""
    for _ in range(count):
        number, at = log.next()
        if number % 5:
            log.append(Said(number, at, 0, "ana", "hola"), 1)
        else:
            log.append(Told(number, at, 0, "ana", "beto", "psst"), 1, 2)
    log.commit()


def ids(entries: Iterable[Logged]) -> list[int]:
    return [logged.id for logged in entries]


def test_what_was_missed_is_the_same_in_memory_and_on_disk(storage: Storage) -> None:
    log = EventLog(0, storage)  # with a disk, the memory holds BATCH
    fill(log, 1010)
    assert log.floor == 10
    on_disk, in_memory = log.missed(2, 7, 0, []), log.missed(2, 10, 0, [])
    assert isinstance(on_disk, DiskSlice)
    assert isinstance(in_memory, MemorySlice)
    assert ids(on_disk) == [8, 9, 10, *ids(in_memory)] == list(range(8, 1011))
    assert [logged.line_for(2) for logged in on_disk][3:] == [logged.line_for(2) for logged in in_memory]
    assert on_disk.upto == in_memory.upto == 1010


def test_a_slice_does_not_change_when_the_log_goes_on(storage: Storage) -> None:
    log = EventLog(0, storage)
    fill(log, 1010)
    taken = [log.missed(2, 7, 0, []), log.missed(2, 10, 0, [])]
    history = log.history(5)
    before = [*map(ids, taken), ids(history.read()[1])]
    fill(log, 1010)
    assert [*map(ids, taken), ids(history.read()[1])] == before


def test_what_was_deleted_while_the_disk_was_read_is_counted_once(storage: Storage) -> None:
    read = DiskSlice(2, 10, 20, storage)
    assert read.pruned == 0
    storage._housekeeper.floor = 15
    assert read.pruned == 5
    storage._housekeeper.floor = 30  # what is beyond the slice, the next one tells
    assert read.pruned == 10
    assert MemorySlice(2, 10, 20, ()).pruned == 0


def test_a_history_goes_back_from_memory_to_the_disk(storage: Storage) -> None:
    log = EventLog(4, storage)
    fill(log, 20)
    for count, expected in ((2, [18, 19]), (8, [11, 12, 13, 14, 16, 17, 18, 19]), (99, None)):
        found, messages = log.history(count).read()
        assert ids(messages) == (expected or [number for number in range(1, 20) if number % 5])
        assert found == len(expected or range(16))
