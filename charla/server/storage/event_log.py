"""The event log: what has happened in the room, in order, as far back as it is held.

The newest events are in memory; with --db all of them are on disk as well (database.py).  Delivery,
confirmation, history and resume are reads of this log.

An EventLog belongs to the room thread.  A Logged never changes once it is made, but for the line that it
remembers having encoded (whoever encodes it twice gets the same): so the room may hand some to a reader,
which turns them into bytes for its client, off the room's thread.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from charla.i18n import N_, LazyText
from charla.protocol.messages import Acted, Event, Said
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused

if TYPE_CHECKING:
    from charla.server.storage.database import Storage, Stored

HISTORY = 1000
"""Events, and public messages, that are held in memory."""


BATCH = 1000
"""Events in memory at the least, when there is a disk: more than are committed at a time."""


class StorageError(Exception):
    """The log cannot be opened, read or written: a sentence that says why and what to do, and a `code`."""

    def __init__(self, sentence: LazyText | str, code: str = "error") -> None:
        super().__init__(sentence)
        self.code = code


EVERYONE = 0
NOBODY = -1  # told as a count, in a Crowd


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it is stored: its token is a SHA-256, empty when it ends with its connection."""

    id: int
    token: bytes
    nick: str
    last_tag: int
    claimed: int = 0  # see Kept in sessions.py
    refused: tuple[int, ...] = ()  # tags; filled in when it is read
    moderator: bool = False


@dataclass(eq=False, slots=True)
class Logged:
    """An event in the log, and whom it concerns.  Sessions are named by their id, that of their join.

    `author`: the session whose command caused it, 0 for none.  `to`: EVERYONE, NOBODY, or the session that
    it is for, which shares it with the author alone.  `tag` is the author's.
    """

    id: int
    time: int
    author: int
    to: int
    tag: int
    _event: Event | None = None
    _line: bytes = b""

    @classmethod
    def of(cls, event: Event, author: int, to: int) -> Logged:
        """Return the entry for an event that happens now."""
        return cls(event.id, event.time, author, to, getattr(event, "tag", 0), event)

    @classmethod
    def from_line(cls, number: int, at: int, author: int, to: int, tag: int, line: bytes) -> Logged:
        """Return the entry that was stored with this `line`."""
        return cls(number, at, author, to, tag, None, line)

    @property
    def event(self) -> Event:
        """The event; one that comes from the disk has no tag."""
        if self._event is None:
            try:
                self._event = NATIVE.decode(self._line[:-1].decode())  # type: ignore[assignment]
            except (Refused, UnicodeDecodeError) as error:
                raise StorageError(
                    LazyText(N_("event {number} of the log is damaged"), number=self.id), "damaged"
                ) from error
        assert self._event is not None
        return self._event

    @property
    def line(self) -> bytes:
        """The event in the native dialect, as those are told who did not cause it."""
        if not self._line:
            self._line = NATIVE.encode(self.event)
        return self._line

    def is_visible_to(self, session: int) -> bool:
        """Whether `session` is told of it."""
        return self.to in (EVERYONE, session) or (self.author == session and self.to != NOBODY)

    def line_for(self, session: int) -> bytes:
        """Return what `session` is told, in the native dialect: b"" when it does not concern it."""
        if self.author == session and self.tag and self.to != NOBODY:
            # Every event that has a tag has it behind verb, id and time.
            verb, number, at, _, rest = self.line.split(b" ", 4)
            return b"%b %b %b %d %b" % (verb, number, at, self.tag, rest)
        return self.line if self.is_visible_to(session) else b""


class EventLog:
    """The log of one room; `limit` is how many events, and how many public messages, stay in memory.

    Every method is for the room thread.
    """

    def __init__(
        self,
        limit: int = HISTORY,
        storage: Storage | None = None,
        wall_clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.storage = storage
        # A batch that is not committed yet has to be in memory: it cannot be read from the disk.
        self._limit = limit if storage is None else max(limit, BATCH)
        self._wall_clock = wall_clock
        self.last_id = 0
        self.floor = 0  # events with a higher id are in memory, but for those that were erased
        self.stored_id = 0  # the newest that is committed; nothing else is read from the disk
        self.stored: Stored  # what was on disk at the beginning, with storage
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
            self.last_id = self.stored_id = stored.last_id
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
        self.stored_id = self.last_id
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
