"""What the network tells: how the link and the session fare, and what comes.

`Session` (session.py) collects it, the network thread (thread.py) calls the `Listener` with it: a person's
(chat.py), a script's (script.py), or that of whoever uses the network without a console.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol, TypeAlias

from charla.protocol.messages import Message


class Ending(Enum):
    """How it ended."""

    GOODBYE = auto()  # the server said BYE: the code is its reason, "left" after a `leave`
    LOST = auto()  # the link is lost, and there is no session, or it is not to be got back
    GAVE_UP = auto()  # `give_up_after` seconds did not get it back
    SEAT_GONE = auto()  # the session is gone, and there was nothing more to say in a new one
    REFUSED = auto()  # getting it back, or joining anew, was refused: code and arguments are of the refusal
    UNTRUSTED = auto()  # the server may be another one: the arguments are lines for people
    CLOSED = auto()  # `end` or `close` was called; or `leave`, while the link was down and nothing unsent


class Ended(NamedTuple):
    """How it ended, and the code that the server gave for it."""

    how: Ending
    code: str = ""
    arguments: tuple[str, ...] = ()


class Arrival(NamedTuple):
    """A message from the room, and the line of one's own that it confirms, refuses or answers, if any."""

    message: Message
    line: str | None = None


class Down(NamedTuple):
    """The link is lost and not back at once (see `Listener.down`)."""

    reason: str


class Back(NamedTuple):
    """The link is back, and so is the session."""

    nick: str
    missed: int  # messages of others that came while it was down: they have been handed over
    seconds: float  # how long it was down
    lost: int  # events that the server does not hold any more


class JoinedAnew(NamedTuple):
    """The session was gone: this is a new one (see `Listener.joined_anew`)."""

    opening: list[Message]
    doubtful: list[str]
    seconds: float  # how long the link was down


class Overdue(NamedTuple):
    """Lines that are not confirmed although they were said a while ago."""

    lines: list[str]


Telling: TypeAlias = list[Arrival] | Down | Back | JoinedAnew | Overdue


class Listener(Protocol):
    """What the network thread tells, in the order in which it happened.  Called by that thread."""

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take messages: all that have come at a time, each event once."""

    def down(self, reason: str) -> None:
        """The link is lost and not back at once; `reason` is that of a BYE, if there was one.

        Perhaps once more, with a refusal's code and arguments, while the server does not let us in yet.
        """

    def back(self, back: Back) -> None:
        """The session goes on; what came meanwhile has been handed over.  Without `down` when it was soon."""

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:
        """The session was gone: this is a new one, and its opening without what was handed over before.

        Nobody knows whether the lines of `doubtful` were said: they are out of the outbox.
        """

    def overdue(self, lines: list[str]) -> None:
        """These were said OVERDUE_AFTER seconds ago (session.py), and are not confirmed; each line once."""

    def ended(self, ended: Ended) -> None:
        """It is over; the last call, and always made.  The outbox has what was not confirmed."""
