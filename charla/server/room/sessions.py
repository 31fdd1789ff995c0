"""The seats of the room: who has one, under which nick, and what outlives a dropped link.

A *session* is a person's seat; a *connection* is the link that it uses at the moment.  All of it belongs
to the room thread; what happens to sessions is decided in membership.py.
"""

from __future__ import annotations

import bisect
import hashlib
import secrets
from dataclasses import dataclass, field

from charla.protocol.commands import WHO_PAGE
from charla.protocol.messages import Refusal, WhoPage
from charla.protocol.nicks import look, nick_key
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.storage.entries import SessionRow

FORMER_KEPT = 1000
"""Nicks of whom it is known who had them: moderators may be slower than those that they mean."""

REFUSALS_KEPT = 1000
"""Refusals that are kept for a client that repeats what it sent: more than it has unanswered."""


@dataclass(eq=False, slots=True)
class Resumable:
    """What a session that outlives its connection has besides."""

    token: bytes  # its SHA-256: who reads the log file cannot take a seat with that
    last_tag: int = 0  # the highest that was done or refused: tags rise
    refused: dict[int, Refusal] = field(default_factory=dict)  # of those, by tag; the others were done
    claimed: int = 0  # restored after a restart: it cannot have seen events beyond this id; 0: never mind
    reason: str = "lost"  # why its link is down, once it is

    def refuse(self, refusal: Refusal) -> int | None:
        """Keep a refusal, for when its tag comes again; return the tag of the one that goes for it."""
        self.refused[refusal.tag] = refusal
        if len(self.refused) <= REFUSALS_KEPT:
            return None
        oldest = next(iter(self.refused))
        del self.refused[oldest]
        return oldest


@dataclass(eq=False, slots=True)
class Session:
    """A person's seat in the room, and the connection it uses; `id` is that of its join."""

    id: int
    nick: str
    connection: Connection | None  # None: its link is down
    resumable: Resumable | None = None  # None: it ends with its connection
    live: bool = False  # it is told what happens, when it happens
    over: bool = False  # it has ended
    moderator: bool = False
    origin: str = ""  # of its last connection (addresses.py); not known after a restart

    def row(self) -> SessionRow:
        """Return what is stored of it."""
        if self.resumable is None:
            return SessionRow(self.id, b"", self.nick, 0)
        resumable = self.resumable
        return SessionRow(
            self.id,
            resumable.token,
            self.nick,
            resumable.last_tag,
            resumable.claimed,
            moderator=self.moderator,
        )


class Sessions:
    """The sessions: by nick, by how that looks, by token and in alphabetical order."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}
        self._by_look: dict[str, Session] = {}
        self._by_token: dict[bytes, Session] = {}
        self._roster: list[tuple[str, str]] = []  # (nick_key, nick), sorted
        self._former: dict[str, Session] = {}  # by nick_key: who had a nick last and has it no more

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, nick: str) -> Session | None:
        """Return the session of that nick, in any case."""
        return self._by_key.get(nick_key(nick))

    def formerly(self, nick: str) -> Session | None:
        """Return the session that had that nick last, and has it no more: it may be over, or renamed."""
        return self._former.get(nick_key(nick))

    def looks_like(self, nick: str) -> Session | None:
        """Return the session whose nick cannot be told apart from that one on a screen."""
        return self._by_look.get(look(nick))

    def resumed_with(self, token: str) -> Session | None:
        """Return the session that `token` was given to."""
        return self._by_token.get(_digest(token))

    def add(self, session: Session) -> None:
        """Seat a session whose nick is free."""
        key = nick_key(session.nick)
        assert key not in self._by_key
        self._by_key[key] = session
        self._by_look[look(session.nick)] = session
        bisect.insort(self._roster, (key, session.nick))
        if session.resumable is not None:
            self._by_token[session.resumable.token] = session

    def remove(self, session: Session) -> None:
        """Free the seat of a session."""
        key = nick_key(session.nick)
        self._former.pop(key, None)
        self._former[key] = session
        if len(self._former) > FORMER_KEPT:
            del self._former[next(iter(self._former))]
        del self._by_key[key]
        if self.looks_like(session.nick) is session:  # two that were restored may look alike
            del self._by_look[look(session.nick)]
        del self._roster[bisect.bisect_left(self._roster, (key, session.nick))]
        if session.resumable is not None:
            del self._by_token[session.resumable.token]

    def rename(self, session: Session, nick: str) -> None:
        """Give a session a nick that is free, or another form of its own."""
        self.remove(session)
        session.nick = nick
        self.add(session)

    def page(self, number: int, tag: int) -> WhoPage:
        """Return a page, from 1, of who is here in alphabetical order; Refused when there is no such page."""
        pages = max(1, -(-len(self) // WHO_PAGE))
        if not 1 <= number <= pages:
            raise Refused("no-page", str(pages), tag=tag)
        nicks = tuple(
            f"@{nick}" if self._by_key[key].moderator else nick
            for key, nick in self._roster[(number - 1) * WHO_PAGE : number * WHO_PAGE]
        )
        return WhoPage(tag, number, pages, len(self), nicks)


def new_token() -> tuple[str, bytes]:
    """Return a token that nobody can guess (128 bits), and the digest of it that is kept."""
    token = secrets.token_urlsafe(16)
    return token, _digest(token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
