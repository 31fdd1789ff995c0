"""What the server records: on the terminal (or for a journal), as text or as JSON, and never too often.

    log.warning("%s turned away", peer, extra={"charla": {"event": "turned-away", "peer": peer}})

What comes from people (nicks, addresses, errors about them) can neither steer the terminal that shows it
nor pass for a record of its own.

The text is in the language that is spoken; the JSON form, which programs read, is in English.  So messages
are marked with N_, and what goes into them may be LazyText: here both get their language.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import logging.handlers
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from charla.i18n import N_, LazyText
from charla.protocol.text import clean

log = logging.getLogger("charla")

QUEUE_SIZE = 10_000
"""Records that wait for a terminal that does not take them, before more are dropped and counted."""

MAX_KEYS = 100
"""Kinds of records that a ThrottledLogger tells apart."""


def _one_line(text: str) -> str:
    """Return `text` without anything that steers a terminal, its newlines as \\n."""
    return clean(text).replace("\n", "\\n")


class _Text(logging.Formatter):
    """`HH:MM:SS message` and, indented, a traceback: no line of that passes for a record."""

    def __init__(self) -> None:
        super().__init__(datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; `exc_text` is what `_Handover` made of the exception."""
        lines = [f"{self.formatTime(record, self.datefmt)} {_one_line(record.getMessage())}"]
        if record.exc_text:
            lines += [f"  {line}" for line in clean(record.exc_text).split("\n")]
        return "\n".join(lines)


class _Json(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, thread, message, and what `extra` has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of ASCII; `exc_text` is what `_Handover` made of the exception."""
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        own: dict[str, object] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "thread": clean(record.threadName or ""),
            "message": clean(record.getMessage()),
        }
        if record.exc_text:
            own["exception"] = clean(record.exc_text)
        extras: Mapping[str, object] = getattr(record, "charla", {})
        own.update((clean(key), _plain(value)) for key, value in extras.items() if key not in own)
        return json.dumps(own)


def _plain(value: object) -> str | int | float | None:
    if value is None or isinstance(value, (int, float)):  # a bool is an int
        return value
    return clean(str(value))


class _Handover(logging.handlers.QueueHandler):
    """Hands records to the log thread; drops them, and counts, when that thread's terminal is stuck."""

    def __init__(self, waiting: queue.Queue[Any], *, translate: bool) -> None:
        super().__init__(waiting)
        self.waiting = waiting
        self._translate = translate
        self.dropped = 0  # under the handler's own lock

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return a copy in which all is text: what it was made of may change before it is written."""
        record = copy.copy(record)
        words = _words(record.msg, record.args if isinstance(record.args, tuple) else ())
        record.msg, record.args = str(words) if self._translate else words.english, None
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put the record into the queue, or count it."""
        try:
            self.waiting.put_nowait(record)
        except queue.Full:
            self.dropped += 1


def _words(message: object, arguments: tuple[object, ...]) -> LazyText:
    """Return the message of a record, with what goes into it."""
    return message if isinstance(message, LazyText) else LazyText(str(message), *arguments)


class _LogThread(logging.handlers.QueueListener):
    """Writes the records, in a thread of its own."""

    def __init__(self, waiting: queue.Queue[Any], terminal: logging.Handler) -> None:
        super().__init__(waiting, terminal)
        self.waiting = waiting

    def enqueue_sentinel(self) -> None:
        """Have the thread end after the last record; waits for room in a full queue."""
        self.waiting.put(getattr(self, "_sentinel", None))


@contextlib.contextmanager
def recording(level: str, form: str = "text") -> Iterator[None]:
    """Record on the terminal, from a thread of its own: a stopped terminal (Ctrl+S) stops nobody else.

    `level` as options.LOG_LEVELS has them, `form` is "text" or "json".  At its end everything is written.
    """
    terminal = logging.StreamHandler()
    terminal.setFormatter(_Json() if form == "json" else _Text())
    handler = _Handover(queue.Queue(QUEUE_SIZE), translate=form != "json")
    listener = _LogThread(handler.waiting, terminal)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(level.upper())
    log.propagate = False
    listener.start()
    try:
        yield
    finally:
        log.removeHandler(handler)
        if handler.dropped:
            message = N_("%d records were dropped: the terminal did not take them")
            told = log.makeRecord(log.name, logging.WARNING, "", 0, message, (handler.dropped,), None)
            handler.waiting.put(handler.prepare(told))
        listener.stop()
        log.setLevel(before[0])
        log.propagate = before[1]


@dataclass(slots=True)
class _Kind:
    """What a ThrottledLogger knows of one key since it was last recorded."""

    since: float
    held_back: int = 0
    latest: tuple[int, str, tuple[object, ...], Mapping[str, object] | None] | None = None  # of those


def log_fields(event: str, **values: str | int) -> dict[str, object]:
    """Return what the JSON form of a record has besides, as its `extra`: what it is about, and with whom."""
    return {"charla": {"event": event, **values}}


class ThrottledLogger:
    """Records what somebody may cause at any rate: once in `interval` seconds for each key.

    The next record of a key says how many there were in between.  Keys are for kinds of events and are
    few: above MAX_KEYS all further ones share one.  Any thread; its lock is a leaf, nothing is recorded
    under it.
    """

    def __init__(
        self, log: logging.Logger, interval: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}  # who was recorded longest ago comes first

    def record(
        self, level: int, key: str, message: str, *args: object, extra: Mapping[str, object] | None = None
    ) -> None:
        """Record `message % args`, or count it when its key was recorded a moment ago.

        `extra` as in the module's text: {"charla": {...}}.
        """
        forgotten: list[_Kind] = []
        with self._lock:
            now = self._clock()
            if key not in self._kinds and len(self._kinds) >= MAX_KEYS:
                forgotten = self._forget(now)
                if len(self._kinds) >= MAX_KEYS:
                    key = ""
            kind = self._kinds.get(key)
            if kind is not None and now - kind.since < self._interval:
                kind.held_back += 1
                kind.latest = level, message, args, extra
                told = False
            else:
                self._kinds.pop(key, None)
                self._kinds[key] = _Kind(now)
                told = True
        self._tell(forgotten, now)
        if told:
            if kind is not None and kind.held_back:
                message, args = _with_count(message, args, kind.held_back, now - kind.since)
            self._log.log(level, message, *args, extra=extra)

    def flush(self) -> None:
        """Record what is counted and not yet told: at the end."""
        with self._lock:
            now = self._clock()
            kinds, self._kinds = self._kinds, {}
        self._tell(list(kinds.values()), now)

    def _tell(self, kinds: list[_Kind], now: float) -> None:
        """Record what was counted of these kinds."""
        for kind in kinds:
            if kind.latest is not None:
                level, message, args, extra = kind.latest
                if kind.held_back > 1:
                    message, args = _with_count(message, args, kind.held_back - 1, now - kind.since)
                self._log.log(level, message, *args, extra=extra)

    def _forget(self, now: float) -> list[_Kind]:
        """Take out, and return, the kinds that were recorded an interval ago or earlier."""
        quiet = [key for key, kind in self._kinds.items() if now - kind.since >= self._interval]
        return [self._kinds.pop(key) for key in quiet]


@dataclass(eq=False, slots=True)
class Counters:
    """What has been counted since the start, for /status: each field has one thread that adds to it."""

    refused: int = 0  # lines, and connections without a seat: the room
    turned_away: int = 0  # connections: the acceptor


def record_turned_away(throttled: ThrottledLogger, who: str, code: str) -> None:
    """Record that a connection of the origin `who` was not let in; `code` as it is told."""
    extra = log_fields("turned-away", who=who, code=code)
    throttled.record(logging.WARNING, f"{who} {code}", N_("%s turned away: %s"), who, code, extra=extra)


def _with_count(
    message: str, args: tuple[object, ...], count: int, seconds: float
) -> tuple[str, tuple[object, ...]]:
    return N_("%s (and %s more like it in %.0f s)"), (_words(message, args), f"{count:,}", seconds)
