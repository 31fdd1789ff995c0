"""The event log in memory: order, whom an event concerns, and what is held."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from charla.protocol.messages import Acted, Event, Joined, Renamed, Said, Told
from charla.protocol.native import NATIVE
from charla.server.storage.database import Storage
from charla.server.storage.entries import EVERYONE, NOBODY, Logged
from charla.server.storage.event_log import EventLog

NOW = 1_763_600_000_000


class Clock:
    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


def say(log: EventLog, text: str = "hola", author: int = 1, tag: int = 0) -> Logged:
    return log.append(Said(*log.next(), tag, "ana", text), author)


def texts(entries: list[Logged]) -> list[str]:
    return [logged.event.text for logged in entries if isinstance(logged.event, (Said, Acted, Told))]


def test_ids_rise_by_one_and_time_never_goes_back(clock: Clock) -> None:
    log = EventLog(10, wall_clock=clock)
    assert log.next() == (1, NOW)
    clock.ms -= 5000
    assert log.next() == (2, NOW)
    clock.ms += 6000
    assert log.next() == (3, NOW + 1000)
    assert log.last_id == 3


def test_the_newest_events_are_held_and_the_floor_tells_from_where_on() -> None:
    log = EventLog(3)
    for number in range(1, 6):
        say(log, f"m{number}")
    assert log.floor == 2
    assert texts(log.after(2)) == ["m3", "m4", "m5"]
    assert texts(log.after(4)) == ["m5"]
    assert log.after(5) == []
    assert log.after(99) == []


def test_public_messages_are_held_however_many_come_and_go() -> None:
    log = EventLog(2)
    say(log, "one")
    log.append(Acted(*log.next(), 0, "ana", "two"), 1)
    log.append(Told(*log.next(), 0, "ana", "beto", "secret"), 1, 7)
    for _ in range(5):
        log.append(Joined(*log.next(), "eva"))
    assert texts(log.newest_public(50)) == ["one", "two"]
    assert texts(log.newest_public(1)) == ["two"]
    assert log.newest_public(0) == []
    assert log.last_public_id == 2


def test_a_log_without_memory() -> None:
    log = EventLog(0)
    say(log)
    assert log.floor == log.last_id == 1
    assert log.after(1) == log.newest_public(5) == []
    assert log.last_public_id == 0


def test_what_was_erased_is_missing_among_what_comes_after() -> None:
    log = EventLog(10)
    for number in range(1, 8):
        say(log, f"m{number}")
    del log._recent[4]  # as after a restart: it was private, and is not on the disk any more
    assert texts(log.after(2)) == ["m3", "m4", "m6", "m7"]
    assert texts(log.after(6)) == ["m7"]


def test_an_author_without_tags_is_told_the_line_that_everybody_is_told() -> None:
    for to in (EVERYONE, 2):
        logged = Logged.of(Said(4, NOW, 0, "ana", "a"), 1, to)
        assert logged.line_for(1) == logged.line_for(2) == f"SAY 4 {NOW} - ana a\n".encode()


@pytest.mark.parametrize(
    ("author", "to", "told"),
    [
        (1, EVERYONE, {1: "own", 2: "line", 3: "line"}),
        (1, 2, {1: "own", 2: "line", 3: ""}),
        (1, 1, {1: "own", 2: "", 3: ""}),
        (0, 2, {1: "", 2: "line", 3: ""}),
        (0, EVERYONE, {1: "line", 2: "line", 3: "line"}),
        (1, NOBODY, {1: "", 2: "", 3: ""}),
    ],
)
def test_whom_an_event_concerns_and_who_sees_its_tag(author: int, to: int, told: dict[int, str]) -> None:
    logged = Logged.of(Said(4, NOW, 9 if author else 0, "ana", "a  b\\n"), author, to)
    line = f"SAY 4 {NOW} - ana a  b\\\\n\n".encode()
    own = line.replace(b" - ", b" 9 ", 1)
    for session, what in told.items():
        assert logged.line_for(session) == {"own": own, "line": line, "": b""}[what]


@pytest.mark.parametrize(
    "event",
    [
        Said(4, NOW, 9, "ana", "- x\ny"),
        Acted(4, NOW, 9, "ana", "baila"),
        Told(4, NOW, 9, "ana", "beto", " - "),
        Renamed(4, NOW, 9, "ana", "eva"),
    ],
)
def test_the_author_of_an_event_that_comes_from_a_line_is_told_what_she_was_told_live(event: Event) -> None:
    logged = Logged.from_line(4, NOW, 1, EVERYONE, 9, NATIVE.encode(event))
    assert logged.line_for(1) == NATIVE.encode(event, own=True)
    assert logged.line_for(2) == NATIVE.encode(event)
    assert NATIVE.encode(logged.event) == NATIVE.encode(event)


def test_a_repetition_is_found_by_author_and_tag() -> None:
    log = EventLog(10)
    say(log, "hers", author=1, tag=5)
    say(log, "his", author=2, tag=5)
    found = log.find(1, 5)
    assert found is not None
    assert texts([found]) == ["hers"]
    assert log.find(1, 6) is None
    assert log.find(1, 5, among=1) is None


def test_state_is_committed_also_when_nothing_else_is_new(tmp_path: Path) -> None:
    with closing(Storage(str(tmp_path / "room.db"))) as storage:
        log = EventLog(10, storage)
        log.save_state("topic", "", '"uno"')
        log.save_state("topic", "", '"dos"')
        log.save_state("ban", "ana", "1")
        assert storage.load(1).state == []
        log.commit()
        assert sorted(storage.load(1).state) == [("ban", "ana", "1"), ("topic", "", '"dos"')]
        log.save_state("ban", "ana", None)
        log.commit()
        assert storage.load(1).state == [("topic", "", '"dos"')]
        storage.write([], {}, [], state={("topic", ""): "of another"})
        say(log)
        log.commit()  # what was committed is not written again
        assert storage.load(1).state == [("topic", "", "of another")]


def test_state_is_let_go_when_the_log_is_not_written_any_more(tmp_path: Path) -> None:
    with closing(Storage(str(tmp_path / "room.db"))) as storage:
        log = EventLog(10, storage)
        log.save_state("topic", "", '"uno"')
        log.give_up_storage()
        log.save_state("topic", "", '"dos"')
        log.commit()
        assert storage.load(1).state == []
        assert log._new_state == {}
