"""The event log: what has happened in the room, in order, as far back as it is held.

The newest events are in memory; with --db all of them are on disk as well (database.py).  Delivery,
confirmation, history and resume are reads of this log.

An EventLog belongs to the room thread; the slices that it returns are for readers.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable

from charla.protocol.messages import Acted, Event, Said
from charla.server.storage.database import Storage
from charla.server.storage.entries import EVERYONE, Logged, SessionRow, Stored
from charla.server.storage.slices import DiskSlice, HistorySlice, MemorySlice, ReplaySlice

HISTORY = 1000
"""Events, and public messages, that are held in memory."""

BATCH = 1000
"""Events in memory at the least, when there is a disk: more than are committed at a time."""


class EventLog:
    """The log of one room; `limit` is how many events, and how many public messages, stay in memory.

    Every method and attribute is the room thread's.
    """

    def __init__(
        self,
        limit: int = HISTORY,
        storage: Storage | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.storage = storage  # None: there is no disk, or it could not be written any more
        self.stored: Stored  # what was on disk at the beginning, with storage
        # A batch that is not committed yet has to be in memory: it cannot be read from the disk.
        self._limit = limit if storage is None else max(limit, BATCH)
        self._wall_clock = wall_clock
        self.last_id = 0
        self.floor = 0  # events with a higher id are in memory, but for those that were erased
        self._stored_id = 0  # the newest that is committed; nothing else is read from the disk
        self._last_time = 0  # ms; never goes back, even when the clock is set
        self._recent: deque[Logged] = deque()
        self._public: deque[Logged] = deque(maxlen=limit)
        # What the next commit has to write.
        self._new_events: list[Logged] = []
        self._new_rows: dict[int, SessionRow | None] = {}  # by session; None: it has ended
        self._new_refusals: list[tuple[int, int]] = []  # (session, tag)
        self._forgotten: list[tuple[int, int]] = []  # refusals: the same
        self._new_state: dict[tuple[str, str], str | None] = {}  # by kind and key; None: it goes
        if storage is not None:
            self.stored = stored = storage.load(self._limit)
            self.last_id = self._stored_id = stored.last_id
            self._last_time = stored.last_time
            self._recent.extend(stored.recent)
            self._public.extend(stored.public)
            self.floor = stored.floor

    # ---- writing ---------------------------------------------------------------------------------

    def next(self) -> tuple[int, int]:
        """Return id and time (Unix, in ms) of the event that happens now; log it with `append`."""
        self.last_id += 1
        now = self._wall_clock() // 1_000_000
        if now > self._last_time:
            self._last_time = now
        return self.last_id, self._last_time

    def append(self, event: Event, author: int = 0, to: int = EVERYONE) -> Logged:
        """Log the event that has just got its id."""
        assert event.id == self.last_id
        logged = Logged.of(event, author, to)
        self._recent.append(logged)
        if len(self._recent) > self._limit:
            self.floor = self._recent.popleft().id
        if isinstance(event, (Said, Acted)):
            self._public.append(logged)
        if self.storage is not None:
            self._new_events.append(logged)
        return logged

    def save_session(self, session: int, row: SessionRow | None) -> None:
        """Have the next commit write what a session has become; None: it has ended."""
        if self.storage is not None:
            self._new_rows[session] = row

    def save_refusal(self, session: int, tag: int, forgotten: int | None = None) -> None:
        """Have the next commit write that a session was refused what it sent with `tag`; `forgotten` goes."""
        if self.storage is not None:
            self._new_refusals.append((session, tag))
            if forgotten is not None:
                self._forgotten.append((session, forgotten))

    def save_state(self, kind: str, key: str, value: str | None) -> None:
        """Have the next commit write a piece of the room's state (see rules.py); None: it goes."""
        if self.storage is not None:
            self._new_state[kind, key] = value

    def commit(self) -> None:
        """Write all that is new in one transaction; StorageError when that cannot be."""
        new = self._new_events or self._new_rows or self._new_refusals or self._new_state
        if self.storage is None or not new:
            return
        self.storage.write(
            self._new_events, self._new_rows, self._new_refusals, self._forgotten, self._new_state
        )
        self._stored_id = self.last_id
        self._forget_new()

    def give_up_storage(self) -> None:
        """Go on in memory alone."""
        self.storage = None
        self._forget_new()

    def _forget_new(self) -> None:
        self._new_events = []
        self._new_rows = {}
        self._new_refusals = []
        self._forgotten = []
        self._new_state = {}

    # ---- reading ---------------------------------------------------------------------------------

    def lowest(self, *, on_disk: bool = True) -> int:
        """Return the id up to which events are gone from memory, and from the disk if that is read, too.

        Private messages are apart: they may be held longer (private_messages.py).
        """
        if self.storage is None or not on_disk:
            return self.floor
        return min(self.floor, self.storage.floor)

    def missed(self, session: int, after: int, floor: int, waiting: list[Logged]) -> ReplaySlice:
        """Return what a session that has every event up to `after` is to be sent next.

        `floor` is what `lowest` says, `waiting` the private messages for the session that are older.
        """
        if floor >= self.floor or after >= self.floor:
            entries = (*waiting, *self.after(max(after, floor)))
            return MemorySlice(session, after, self.last_id, entries)
        if waiting:
            return MemorySlice(session, after, floor, tuple(waiting))
        assert self.storage is not None
        # All that is on disk, and not up to the memory's floor: that moves on, and would never be passed.
        after = max(after, floor)
        return DiskSlice(session, after, max(after, self._stored_id), self.storage)

    def history(self, count: int) -> HistorySlice:
        """Return the newest public messages, in memory or on disk, `count` at the most."""
        entries = self.newest_public(count)
        before = entries[0].id if entries else self.last_id + 1
        return HistorySlice(tuple(entries), before, count - len(entries), self.storage)

    def after(self, number: int) -> list[Logged]:
        """Return the events in memory with an id higher than `number`, in order."""
        # Not by position: where private ones were erased, ids are missing.
        among = len(self._recent) - (self.last_id - number)
        newest = itertools.islice(self._recent, max(0, among), None)
        return [logged for logged in newest if logged.id > number]

    def newest_public(self, count: int) -> list[Logged]:
        """Return the newest public messages in memory, `count` at the most, in order."""
        return list(itertools.islice(self._public, max(0, len(self._public) - count), None))

    @property
    def last_public_id(self) -> int:
        """The id of the newest public message in memory, 0 for none."""
        return self._public[-1].id if self._public else 0

    def find(self, author: int, tag: int, among: int = HISTORY) -> Logged | None:
        """Return what `author` caused with `tag`, if it is among the newest events in memory."""
        newest = itertools.islice(reversed(self._recent), among)
        return next((logged for logged in newest if logged.tag == tag and logged.author == author), None)
