"""What is recorded: safe to show, one line each, and not too often."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import datetime, timedelta, timezone

import pytest
from support import DEADLINE

from charla.server import records
from charla.server.records import ThrottledLogger, recording

log = logging.getLogger("charla")

STEERING = "\x1b[2J\x07\u202e\x9b31m\r"


class StuckTerminal(io.StringIO):
    """A terminal that is stopped (Ctrl+S) until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.go_on.wait(DEADLINE)
        return super().write(text)


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


def fail(words: str) -> None:
    try:
        raise RuntimeError(words)
    except RuntimeError:
        log.exception("it failed")


# ---- text -----------------------------------------------------------------------------------------


def test_text_is_the_time_and_the_message(terminal: io.StringIO) -> None:
    with redirect_stderr(terminal), recording("info"):
        log.info("%s is in", "ana")
        log.debug("not this")
    time, _, message = terminal.getvalue().partition(" ")
    assert datetime.strptime(time, "%H:%M:%S")
    assert message == "ana is in\n"


def test_a_record_of_text_is_one_line_and_steers_nothing(terminal: io.StringIO) -> None:
    with redirect_stderr(terminal), recording("info"):
        log.info("%s came", f"a\n12:00:00 forged{STEERING}b")
    (line,) = terminal.getvalue().splitlines()
    assert line[9:] == "a\\n12:00:00 forged\ufffd[2J\ufffd\ufffd31m\ufffdb came"


def test_no_line_of_a_traceback_passes_for_a_record(terminal: io.StringIO) -> None:
    with redirect_stderr(terminal), recording("info"):
        fail(f"oh{STEERING}\n12:00:00 forged")
    first, *rest = terminal.getvalue().splitlines()
    assert first.endswith(" it failed")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in rest)
    assert rest[-1] == "  12:00:00 forged"
    assert "\x1b" not in terminal.getvalue()


# ---- JSON -----------------------------------------------------------------------------------------


def test_json_is_one_object_a_line(terminal: io.StringIO) -> None:
    with redirect_stderr(terminal), recording("info", "json"):
        log.warning("%s is in", "ñandú", extra={"charla": {"event": "join", "people": 3, "tls": True}})
    (line,) = terminal.getvalue().splitlines()
    record = json.loads(line)
    at = record.pop("time")
    assert at.endswith("Z")
    assert len(at) == len("2026-11-20T11:10:02.123Z")
    moment = datetime.fromisoformat(at.replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=1)
    assert record == {
        "level": "warning",
        "thread": threading.current_thread().name,
        "message": "ñandú is in",
        "event": "join",
        "people": 3,
        "tls": True,
    }


def test_nothing_in_json_steers_a_terminal_when_it_is_decoded_again(terminal: io.StringIO) -> None:
    with redirect_stderr(terminal), recording("info", "json"):
        extras = {
            "peer": f"x{STEERING}",
            f"k{STEERING}": None,
            "of": ValueError(STEERING),
            "message": "forged",
        }
        log.info("a\n%s", STEERING, extra={"charla": extras})
        fail(STEERING)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.isascii()
        for key, value in json.loads(line).items():
            for character in "\x1b\x07\u202e\x9b\r":
                assert character not in f"{key}{value}"
    assert json.loads(lines[0])["message"].startswith("a\n"), "an extra took its place"
    exception = json.loads(lines[1])["exception"]
    assert exception.startswith("Traceback")
    assert "RuntimeError" in exception


# ---- the thread -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stopped_terminal_stops_nobody_and_what_is_dropped_is_counted(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(records, "QUEUE_SIZE", 10)
    terminal = StuckTerminal()
    with redirect_stderr(terminal), recording("info", form):
        log.info("first")
        assert terminal.reached.wait(DEADLINE)
        for n in range(30):
            log.info("record %d", n)  # would hang here
        terminal.go_on.set()
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 12
    assert "record 9" in lines[10]
    assert "20 records were dropped" in lines[11]


def test_what_was_recorded_is_what_it_was_then(terminal: io.StringIO) -> None:
    people = ["ana"]
    with redirect_stderr(terminal), recording("info"):
        log.info("%s", people)
        people.append("beto")
    assert "['ana']\n" in terminal.getvalue()


def test_afterwards_the_log_is_as_before(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "propagate", True)
    before = log.level, log.propagate, list(log.handlers)
    with redirect_stderr(terminal), recording("error"):
        log.warning("not this")
    assert (log.level, log.propagate, log.handlers) == before
    assert not terminal.getvalue()


# ---- Seldom ---------------------------------------------------------------------------------------


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Listed(logging.Handler):
    """Keeps what is recorded; fails when that happens under the lock of a Seldom."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.throttled: ThrottledLogger | None = None

    def emit(self, record: logging.LogRecord) -> None:
        assert self.throttled is not None
        assert not self.throttled._lock.locked()
        self.lines.append(record.getMessage())


@pytest.fixture
def listed() -> Iterator[Listed]:
    handler = Listed()
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttled(listed: Listed, clock: Clock) -> ThrottledLogger:
    listed.throttled = ThrottledLogger(log, clock=clock)
    return listed.throttled


def test_the_first_is_recorded_and_the_next_one_after_a_while_counts_those_between(
    throttled: ThrottledLogger, clock: Clock, listed: Listed
) -> None:
    for n in range(1235):
        throttled.record(logging.INFO, "full", "%s turned away", n)
    assert listed.lines == ["0 turned away"]
    clock.now += 60
    throttled.record(logging.INFO, "full", "%s turned away", "ana")
    assert listed.lines[1:] == ["ana turned away (and 1,234 more like it in 60 s)"]
    clock.now += 61
    throttled.record(logging.INFO, "full", "%s turned away", "beto")
    assert listed.lines[2:] == ["beto turned away"]


def test_every_key_is_counted_for_itself(throttled: ThrottledLogger, listed: Listed) -> None:
    for key in ("a", "b", "a", "b"):
        throttled.record(logging.INFO, key, key)
    assert listed.lines == ["a", "b"]


def test_at_the_end_what_was_held_back_is_told(
    throttled: ThrottledLogger, clock: Clock, listed: Listed
) -> None:
    for n in range(3):
        throttled.record(logging.INFO, "many", "many %d", n)
    throttled.record(logging.INFO, "one", "one")
    for n in range(2):
        throttled.record(logging.INFO, "two", "two %d", n)
    listed.lines.clear()
    clock.now += 5
    throttled.flush()
    assert listed.lines == ["many 2 (and 1 more like it in 5 s)", "two 1"]
    throttled.flush()
    assert len(listed.lines) == 2


def test_a_percent_sign_in_a_message_without_arguments_stays(
    throttled: ThrottledLogger, clock: Clock, listed: Listed
) -> None:
    for _ in range(2):
        throttled.record(logging.INFO, "cpu", "100%s busy")
    clock.now += 60
    throttled.record(logging.INFO, "cpu", "100% busy")
    assert listed.lines == ["100%s busy", "100% busy (and 1 more like it in 60 s)"]


def test_a_flood_of_keys_takes_bounded_memory_and_bounded_records(
    throttled: ThrottledLogger, clock: Clock, listed: Listed
) -> None:
    for n in range(10_000):
        throttled.record(logging.INFO, f"key {n}", "%d", n)
    assert len(listed.lines) <= records.MAX_KEYS + 1
    assert len(throttled._kinds) <= records.MAX_KEYS + 1
    clock.now += 61
    throttled.record(logging.INFO, "another", "told again")
    assert listed.lines[-1] == "told again", "the quiet ones were not forgotten"


def test_extras_and_levels_go_with_a_record(
    throttled: ThrottledLogger, terminal: io.StringIO, listed: Listed
) -> None:
    log.removeHandler(listed)
    with redirect_stderr(terminal), recording("info", "json"):
        throttled.record(logging.ERROR, "a", "hm", extra={"charla": {"event": "full"}})
    record = json.loads(terminal.getvalue())
    assert (record["level"], record["event"]) == ("error", "full")


def test_many_threads_lose_no_count(throttled: ThrottledLogger, clock: Clock, listed: Listed) -> None:
    def flood() -> None:
        for _ in range(1000):
            throttled.record(logging.INFO, "a", "a")

    throttled.record(logging.INFO, "a", "a")
    threads = [threading.Thread(target=flood) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    clock.now += 60
    throttled.record(logging.INFO, "a", "a")
    assert listed.lines == ["a", "a (and 8,000 more like it in 60 s)"]


def test_keys_that_were_used_more_than_once_make_place_for_others_and_are_told(
    throttled: ThrottledLogger, clock: Clock, listed: Listed
) -> None:
    for n in range(2 * records.MAX_KEYS):
        throttled.record(logging.INFO, f"key {n % records.MAX_KEYS}", "%d", n)
    clock.now += 86_400
    listed.lines.clear()
    for n in range(50):
        throttled.record(logging.INFO, f"new {n}", "new %d", n)
    assert [line for line in listed.lines if line.startswith("new")] == [f"new {n}" for n in range(50)]
    assert len(listed.lines) == 50 + records.MAX_KEYS, "what was counted is told, once"
