"""Private messages on their way: until both ends have them, and until they are off the disk.

An end *may still ask* for a private message as long as its session, which outlives its connection, has not
said that it has it: with a PONG, or by resuming from a later event.  While the addressee may, the message
waits for it here, however old, though the log in memory may have moved on.  When neither end may, it stays on
disk for the grace period, and is erased.

Belongs to the room thread.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping

from charla.protocol.text import Refused
from charla.server.room.sessions import Mail, Session
from charla.server.storage.entries import Logged

MAILBOX_LIMIT = 2000
"""Private messages that one session may not have acknowledged, before more are refused."""

ASK_TIME = 1.0
"""Seconds after a private message in which its ends are asked whether they have it."""


class PrivateMessages:
    """All private messages that are on their way; `erase` takes ids off the disk, `grace` is in seconds."""

    def __init__(self, grace: float, clock: Callable[[], float], erase: Callable[[list[int]], None]) -> None:
        self._grace = grace
        self._clock = clock
        self._erase = erase
        self._erasable: deque[tuple[float, int]] = deque()  # (when, id); the earliest first
        self._asking: dict[Session, float] = {}  # when to ask; the earliest first

    def check(self, author: Session, addressee: Session, tag: int) -> None:
        """Refuse one more when too many are on their way to or from one of them."""
        for end in (addressee, author):
            if end.resumable is not None and len(end.resumable.mail) >= MAILBOX_LIMIT:
                raise Refused("mailbox-full", end.nick, str(MAILBOX_LIMIT), tag=tag)

    def add(self, logged: Logged, author: Session | None, addressee: Session | None) -> Mail:
        """Take charge of a private message, or of an event that is for one alone."""
        mail = Mail(logged, author, addressee, 0)
        for end in mail.ends:
            assert end.resumable is not None
            end.resumable.mail.append(mail)
            mail.unacknowledged_by += 1
            self.ask_soon(end)
        if not mail.unacknowledged_by:
            self._erase_later(mail)
        return mail

    def restore(self, private: Iterable[Logged], sessions: Mapping[int, Session]) -> None:
        """Take charge of what is on disk after a restart."""
        for logged in private:
            self.add(logged, sessions.get(logged.author), sessions.get(logged.to))

    def ask_soon(self, session: Session) -> None:
        """Have the session asked whether it has its mail, if there is any."""
        if session.resumable is not None and session.resumable.mail:
            self._asking.setdefault(session, self._clock() + ASK_TIME)

    def acknowledge(self, session: Session, number: int) -> None:
        """The session has every event up to this id."""
        assert session.resumable is not None
        mail = session.resumable.mail
        had = 0
        while had < len(mail) and mail[had].logged.id <= number:
            self._let_go(mail[had])
            had += 1
        del mail[:had]
        self.ask_soon(session)

    def end(self, session: Session) -> list[tuple[Session, int]]:
        """The session is over: return who wrote to it what it may not have read, and how many."""
        self._asking.pop(session, None)
        if session.resumable is None:
            return []
        mail, session.resumable.mail = session.resumable.mail, []
        for one in mail:
            self._let_go(one)
        unread = Counter(one.author for one in mail if one.addressee is session)
        return [(author, count) for author, count in unread.items() if author is not None and not author.over]

    def _let_go(self, mail: Mail) -> None:
        mail.unacknowledged_by -= 1
        if not mail.unacknowledged_by:
            self._erase_later(mail)

    def _erase_later(self, mail: Mail) -> None:
        self._erasable.append((self._clock() + self._grace, mail.logged.id))

    # ---- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when (on the clock) there is something to do next."""
        asking = next(iter(self._asking.values()), None)
        if not self._erasable or asking is None:
            return self._erasable[0][0] if self._erasable else asking
        return min(asking, self._erasable[0][0])

    def to_ask(self) -> list[Session]:
        """Return the sessions that are to be asked now."""
        now = self._clock()
        due = [session for session, when in self._asking.items() if when <= now]
        for session in due:
            del self._asking[session]
        return due

    def erase_due(self) -> None:
        """Erase what nobody can ask for any more."""
        now = self._clock()
        ids = []
        while self._erasable and self._erasable[0][0] <= now:
            ids.append(self._erasable.popleft()[1])
        if ids:
            self._erase(ids)
