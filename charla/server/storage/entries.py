"""What the log holds: events as they are logged, sessions as they are stored, and how storing fails.

A Logged never changes once it is made, but for the line and the event that it remembers (two threads that
make one at the same time make the same): so the room may hand some to a reader, which turns them into bytes
for its client on its own thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from charla.i18n import N_, LazyText
from charla.protocol.messages import Event
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused

EVERYONE = 0
"""Everybody in the room is told of the event."""

NOBODY = -1
"""Nobody is told of the event itself: it is part of a count, a Crowd."""


class StorageError(Exception):
    """The log cannot be opened, read or written: a sentence that says why and what to do, and a `code`."""

    def __init__(self, sentence: LazyText | str, code: str = "error") -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session as it is stored: its token is a SHA-256, empty when it ends with its connection."""

    id: int
    token: bytes
    nick: str
    last_tag: int
    claimed: int = 0  # see Resumable in sessions.py
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
        """Say whether `session` is told of it."""
        return self.to in (EVERYONE, session) or (self.author == session and self.to != NOBODY)

    def line_for(self, session: int) -> bytes:
        """Return the line that `session` is told, in the native dialect: b"" when it is told nothing.

        Whoever caused the event gets the own tag in it.
        """
        if self.author == session and self.tag and self.to != NOBODY:
            # Every event that has a tag has it behind verb, id and time.
            verb, number, at, _, rest = self.line.split(b" ", 4)
            return b"%b %b %b %d %b" % (verb, number, at, self.tag, rest)
        return self.line if self.is_visible_to(session) else b""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a server finds in the file when it starts."""

    last_id: int
    last_time: int
    floor: int  # `recent` has all that is stored with a higher id
    recent: list[Logged]
    public: list[Logged]
    private: list[Logged]
    sessions: list[SessionRow]
    state: list[tuple[str, str, str]]  # (kind, key, value)
