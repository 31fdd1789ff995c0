"""Private messages on their way: until both ends have them, and until they are off the disk.

An end *may still ask* for a private message as long as its session, which outlives its connection, has not
acknowledged it: with a PONG, or by resuming from a later event.  While the addressee may, the message
waits for it here, however old, though the log in memory may have moved on.  When neither end may, it stays on
disk for the grace period, and is erased.

Belongs to the room thread.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from charla.protocol.messages import DeliveryPending
from charla.protocol.text import Refused
from charla.server.room.announcer import Announcer
from charla.server.room.sessions import Session
from charla.server.storage.entries import Logged

MAILBOX_LIMIT = 2000
"""Private messages that one session may not have acknowledged, before more are refused."""

ASK_TIME = 1.0
"""Seconds after a private message in which its ends are asked whether they have it."""


@dataclass(eq=False, slots=True)
class _PrivateMessage:
    """A private message, or an event that is for one alone (no `author`), that may be asked for again."""

    logged: Logged
    author: Session | None  # None, too, when it had ended before the server was restarted
    addressee: Session | None
    unacknowledged_by: int = 0  # ends that may still ask for it
    told_waiting: bool = False  # its author knows that it waits


class PrivateMessages:
    """All private messages that are on their way; `grace` in seconds."""

    def __init__(self, announcer: Announcer, grace: float, clock: Callable[[], float]) -> None:
        self._announcer = announcer
        self._storage = announcer.log.storage  # to erase from, also when it cannot be written any more
        self._grace = grace
        self._clock = clock
        self._unacknowledged: dict[Session, deque[_PrivateMessage]] = {}  # to it and from it, by id
        self._asking: dict[Session, float] = {}  # when to ask; the earliest first
        self._erasable: deque[tuple[float, int]] = deque()  # (when, id); the earliest first

    def check(self, author: Session, addressee: Session, tag: int) -> None:
        """Refuse one more when too many are on their way to or from one of them."""
        for end in (addressee, author):
            if len(self._unacknowledged.get(end, ())) >= MAILBOX_LIMIT:
                raise Refused("mailbox-full", end.nick, str(MAILBOX_LIMIT), tag=tag)

    def deliver(self, logged: Logged, author: Session | None, addressee: Session) -> None:
        """Tell its ends what has been logged, and keep it until they have it."""
        message = self._keep(logged, author, addressee)
        if author is not None:
            self._announcer.tell_alone(author, logged)
        if addressee is not author:
            self._announcer.tell_alone(addressee, logged)
            self._say_if_it_waits(message)

    def restore(self, private: Iterable[Logged], sessions: Mapping[int, Session]) -> None:
        """Take charge of what is on disk after a restart."""
        for logged in private:
            self._keep(logged, sessions.get(logged.author), sessions.get(logged.to))

    def waiting_for(self, session: Session, after: int, upto: int) -> list[Logged]:
        """Return those with after < id <= upto that a session may ask for though the log has moved on."""
        messages = self._unacknowledged.get(session, ())
        return [message.logged for message in messages if after < message.logged.id <= upto]

    def link_lost(self, session: Session) -> None:
        """Tell the authors of what waits for a session that it does."""
        for message in self._unacknowledged.get(session, ()):
            if message.addressee is session:
                self._say_if_it_waits(message)

    def acknowledge(self, session: Session, number: int) -> None:
        """The session has every event up to this id."""
        messages = self._unacknowledged.get(session)
        while messages and messages[0].logged.id <= number:
            self._let_go(messages.popleft())
        self.ask_soon(session)

    def end(self, session: Session) -> list[tuple[Session, int]]:
        """The session is over: return who wrote to it what it may not have read, and how many."""
        self._asking.pop(session, None)
        messages = self._unacknowledged.pop(session, ())
        for message in messages:
            self._let_go(message)
        unread = Counter(message.author for message in messages if message.addressee is session)
        return [(author, count) for author, count in unread.items() if author is not None and not author.over]

    def ask_soon(self, session: Session) -> None:
        """Have the session asked whether it has its private messages, if there are any."""
        if self._unacknowledged.get(session):
            self._asking.setdefault(session, self._clock() + ASK_TIME)

    def _keep(self, logged: Logged, author: Session | None, addressee: Session | None) -> _PrivateMessage:
        message = _PrivateMessage(logged, author, addressee)
        for end in {author, addressee}:
            if end is not None and end.resumable is not None:
                self._unacknowledged.setdefault(end, deque()).append(message)
                message.unacknowledged_by += 1
                self.ask_soon(end)
        if not message.unacknowledged_by:
            self._erase_later(message)
        return message

    def _say_if_it_waits(self, message: _PrivateMessage) -> None:
        """Tell the author of a private message, once, when its addressee's link is down."""
        author, addressee = message.author, message.addressee
        if author is None or addressee is None or addressee.connection is not None:
            return
        if author.live and not message.told_waiting:
            message.told_waiting = True
            self._announcer.answer(author, DeliveryPending(message.logged.id, addressee.nick))

    def _let_go(self, message: _PrivateMessage) -> None:
        message.unacknowledged_by -= 1
        if not message.unacknowledged_by:
            self._erase_later(message)

    def _erase_later(self, message: _PrivateMessage) -> None:
        self._erasable.append((self._clock() + self._grace, message.logged.id))

    # ---- time ------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when (on the clock) `tick` has something to do next."""
        asking = next(iter(self._asking.values()), None)
        if not self._erasable or asking is None:
            return self._erasable[0][0] if self._erasable else asking
        return min(asking, self._erasable[0][0])

    def tick(self) -> None:
        """Ask those whose time has come, and erase what nobody can ask for any more."""
        now = self._clock()
        for session in [session for session, when in self._asking.items() if when <= now]:
            del self._asking[session]
            self._announcer.ask_whether_there(session)
        ids = []
        while self._erasable and self._erasable[0][0] <= now:
            ids.append(self._erasable.popleft()[1])
        if ids and self._storage is not None:
            self._storage.erase(ids)
