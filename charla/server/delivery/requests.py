"""What readers ask the room for, besides the commands of their clients, and what it replies.

A reader does all that one connection costs.  So where a client asks for much (a long resume, a history),
the room only gives its reader a slice of the log, and the reader comes back with bytes, a chunk at a time:

    reader                              room
    TakeSeat (with a token)  ------>    where the session stands: a ReplaySlice
    Chunk, Chunk...          ------>    replies to each when the client's socket has taken it
    CatchUp                  ------>    what has happened meanwhile: another ReplaySlice; or, when it is
                                        little, the room sends it, and the session is live

The room replies once to every item with a `reply`; its reader waits for that, and reads nothing meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from charla.protocol.commands import Command, Hello
from charla.protocol.dialect import Dialect
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.storage.slices import HistorySlice, ReplaySlice

Reply: TypeAlias = bool | ReplaySlice | HistorySlice
"""True: done, go on.  False: not done, there is no seat or no client any more.

A slice is to be read and handed over, in Chunks; that of a replay is followed by CatchUp.
"""


@dataclass(frozen=True, slots=True)
class Connected:
    """From the acceptor: a new connection, before anything of it is read.

    `secured`: it can be talked to; with TLS not before its handshake is done.
    """

    secured: bool = True


@dataclass(frozen=True, slots=True)
class Secured:
    """The TLS handshake of the connection is done."""


@dataclass(frozen=True, slots=True)
class PasswordGiven:
    """What the connection gave as the room's password is `refused`, or right (None); it `may_try` again."""

    refused: Refused | None = None
    may_try: bool = True


@dataclass(frozen=True, slots=True)
class AskForPassword:
    """The person wants to be a moderator: ask for the password."""


@dataclass(frozen=True, slots=True)
class Promote:
    """The person has given the moderators' password, which is right."""

    tag: int


@dataclass(frozen=True, slots=True)
class TakeSeat:
    """May this connection have the seat that `hello` asks for (its nick is checked)?"""

    hello: Hello
    dialect: Dialect
    reply: SimpleQueue[Reply]


@dataclass(frozen=True, slots=True)
class NoSeat:
    """What the connection answered to NICK cannot be a seat, and why."""

    refused: Refused
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The client has been sent every event up to `after` that the log had: what next?

    `failed`: the disk cannot be read any further.  `lost`: so many events, at the most, were deleted before
    the reader came to them.
    """

    after: int
    reply: SimpleQueue[Reply]
    failed: bool = False
    lost: int = 0


@dataclass(frozen=True, slots=True)
class AskHistory:
    """The client wants to see the newest `count` public messages."""

    count: int
    reply: SimpleQueue[Reply]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Send these bytes; the room replies when the socket has taken all that waits for it."""

    data: bytes
    reply: SimpleQueue[Reply]


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing has come from this connection for a while."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last item of a reader: no more will come, and why (a code of LEAVE_REASONS)."""

    reason: str


Request: TypeAlias = TakeSeat | CatchUp | AskHistory | Chunk
Item: TypeAlias = (
    Command
    | Refused
    | Connected
    | Secured
    | PasswordGiven
    | AskForPassword
    | Promote
    | NoSeat
    | Silent
    | Ended
    | Request
)


@dataclass(frozen=True, slots=True)
class MakePlace:
    """From the acceptor: descriptors or threads have run out, so connections that only wait have to go."""


@dataclass(frozen=True, slots=True)
class Report:
    """From the acceptor: record how it is."""


@dataclass(frozen=True, slots=True)
class Close:
    """From the acceptor, once, its last: tell everybody that the server closes, and close all connections."""


Work: TypeAlias = tuple[Connection, list[Item]] | MakePlace | Report | Close
"""What is in the inbox: what one chunk of a connection asked for, in order; or what the acceptor asks for."""
