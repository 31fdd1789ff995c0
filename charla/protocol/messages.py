"""What the room tells a client.  Most of it are *events*: things that happened in the room.

An event has an id, one higher than the last, and a Unix time in milliseconds.  Fields stand in the order of
the native dialect.  `tag` is the author's, 0 without one: it is written only into the author's own copy,
where it confirms the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from charla.protocol.commands import Ping, Pong
from charla.protocol.fields import (
    CODE,
    EVENT,
    LAST_TEXT,
    NAME,
    NUMBER,
    OWN_TAG,
    REASON,
    SAID,
    SWITCH,
    TAG,
    WORD,
    WORDS,
    Layouts,
    native,
)

MESSAGE_LAYOUTS: Layouts = {Ping: ("PING", (NUMBER,)), Pong: ("PONG", (NUMBER,))}
"""Of all but HistoryEntry, and of what only a person needs."""

_native = partial(native, MESSAGE_LAYOUTS)


@_native("SAY", *EVENT, OWN_TAG, WORD, SAID)
@dataclass(frozen=True, slots=True)
class Said:
    """`nick` said `text` to everyone."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@_native("ME", *EVENT, OWN_TAG, WORD, SAID)
@dataclass(frozen=True, slots=True)
class Acted:
    """`nick` did something, told with /me."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@_native("MSG", *EVENT, OWN_TAG, WORD, WORD, SAID)
@dataclass(frozen=True, slots=True)
class Told:
    """`nick` said `text` to `to` alone: only these two are told."""

    id: int
    time: int
    tag: int
    nick: str
    to: str
    text: str


@_native("JOIN", *EVENT, WORD)
@dataclass(frozen=True, slots=True)
class Joined:
    """`nick` came in."""

    id: int
    time: int
    nick: str


@_native("LEAVE", *EVENT, WORD, REASON)
@dataclass(frozen=True, slots=True)
class Left:
    """`nick` is gone; `reason` is a code of LEAVE_REASONS."""

    id: int
    time: int
    nick: str
    reason: str


@_native("NICK", *EVENT, OWN_TAG, WORD, WORD)
@dataclass(frozen=True, slots=True)
class Renamed:
    """`old` is called `nick` from now on."""

    id: int
    time: int
    tag: int
    old: str
    nick: str


@_native("CROWD", *EVENT, NUMBER, NUMBER, NUMBER)
@dataclass(frozen=True, slots=True)
class Crowd:
    """In a full room joins and leaves are told as counts; `people` are in now."""

    id: int
    time: int
    joined: int
    left: int
    people: int


@_native("UNREAD", *EVENT, WORD, NUMBER)
@dataclass(frozen=True, slots=True)
class Unread:
    """To one alone: `nick` never came back for the last `count` things that this one said to them."""

    id: int
    time: int
    nick: str
    count: int


@_native("NOTICE", *EVENT, CODE, WORDS)
@dataclass(frozen=True, slots=True)
class Notice:
    """The server has something to say to everyone: a code of NOTICES, and its arguments."""

    id: int
    time: int
    code: str
    arguments: tuple[str, ...] = ()


@_native("MODERATED", *EVENT, OWN_TAG, CODE, WORD, NAME, NUMBER, LAST_TEXT)
@dataclass(frozen=True, slots=True)
class Moderated:
    """The moderator `by` has decided something: `action` is a code of ACTIONS (sentences.py).

    `nick`: whom it concerns, or empty; `seconds`: for how long, 0 for good; `text`: why, or what is told.
    """

    id: int
    time: int
    tag: int
    action: str
    by: str
    nick: str = ""
    seconds: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class AskPassword:
    """The server waits for a password: the room's before there is a seat, the moderators' after /mod."""


@dataclass(frozen=True, slots=True)
class AskNick:
    """The server waits for a nickname."""


@_native("WELCOME", *EVENT, WORD, NUMBER, LAST_TEXT)
@dataclass(frozen=True, slots=True)
class Welcome:
    """You are in, as `nick`; `id` and `time` are of your own join.  `text` is the operator's, or empty."""

    id: int
    time: int
    nick: str
    people: int
    text: str = ""


@_native("SESSION", WORD, NUMBER)
@dataclass(frozen=True, slots=True)
class Token:
    """Your seat outlives its connection by `grace` seconds; `token` proves that it is yours."""

    token: str
    grace: int


@_native("RESUMED", WORD, NUMBER, NUMBER)
@dataclass(frozen=True, slots=True)
class Resumed:
    """You have your seat again, as `nick`.  Next come the events that you missed, then Live.

    `lost` of them are not held any more; some of these may have been private to others.
    """

    nick: str
    people: int
    lost: int


@_native("LIVE", NUMBER)
@dataclass(frozen=True, slots=True)
class CaughtUp:
    """You have every event that concerns you up to `id`; what comes from here on happens now."""

    id: int


@_native("HISTORY", TAG, NUMBER)
@dataclass(frozen=True, slots=True)
class HistoryHeader:
    """The `count` newest public messages follow, the oldest first: asked for with `tag`, or (0) at a join."""

    tag: int
    count: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A message of the history: it was said before, to whoever was there."""

    event: Said | Acted


@_native("TOPIC", TAG, SWITCH, LAST_TEXT)
@dataclass(frozen=True, slots=True)
class Topic:
    """What the room is about, if anything, and whether only moderators may speak now."""

    tag: int
    quiet: bool
    text: str


@_native("BANNED", TAG, NUMBER, NUMBER, NAME, NAME, NUMBER, NAME, LAST_TEXT)
@dataclass(frozen=True, slots=True)
class Banned:
    """One ban, the `number`-th of `total` (0 of 0: there is none); `seconds` are left, 0: until /unban."""

    tag: int
    number: int
    total: int
    nick: str = ""
    address: str = ""
    seconds: int = 0
    by: str = ""
    why: str = ""


@_native("STATUS", TAG, WORDS)
@dataclass(frozen=True, slots=True)
class Status:
    """How the server is: names and numbers, in the order of STATUS_WORDS (sentences.py)."""

    tag: int
    values: tuple[str, ...]


@_native("WAITS", NUMBER, WORD)
@dataclass(frozen=True, slots=True)
class DeliveryPending:
    """The private message `id` waits: the connection of `nick` is down."""

    id: int
    nick: str


@_native("DONE", NUMBER)
@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """What was sent with `tag` was done before, and its event is not at hand any more."""

    tag: int


@_native("WHO", TAG, NUMBER, NUMBER, NUMBER, WORDS)
@dataclass(frozen=True, slots=True)
class WhoPage:
    """Who is here: one page of nicks in alphabetical order, of `people` in all."""

    tag: int
    page: int
    pages: int
    people: int
    nicks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HelpText:
    """What can be typed (plain dialect only: a native client has its own)."""

    moderators: bool = False


@_native("ERROR", TAG, CODE, WORDS)
@dataclass(frozen=True, slots=True)
class Refusal:
    """A command was refused: nothing of it was done.  Codes and their arguments: SENTENCES."""

    tag: int
    code: str
    arguments: tuple[str, ...] = ()


@_native("BYE", REASON)
@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a connection; `reason` is a code of GOODBYES."""

    reason: str


Event: TypeAlias = Said | Acted | Told | Joined | Left | Renamed | Crowd | Unread | Notice | Moderated
"""What happened in the room, and is kept in its log."""

Message: TypeAlias = (
    Event
    | AskPassword
    | AskNick
    | Welcome
    | Token
    | Resumed
    | CaughtUp
    | HistoryHeader
    | HistoryEntry
    | Topic
    | Banned
    | Status
    | DeliveryPending
    | AlreadyDone
    | WhoPage
    | HelpText
    | Ping
    | Pong
    | Refusal
    | Goodbye
)
"""All that is told."""
