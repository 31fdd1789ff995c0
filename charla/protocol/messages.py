"""The vocabulary of Charla: what can be asked of a room, and what a room tells.

* A *command* is what one person asks of the room: Say, Tell, Rename...
* A *message* is what the room tells a client.  Most are *events*: things that happened in the room,
  with an id one higher than the last and a Unix time in milliseconds.

protocol.py turns these into bytes and back, sentences.py into sentences.  No I/O, no thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

PROTOCOL_VERSION = 1

MAX_WHY = 500
"""Bytes of UTF-8 in a moderator's reason."""

MAX_NICK = 24
"""Characters (code points, after NFKC) of a nick."""

MAX_NUMBER = 10**15 - 1
"""The highest id, tag, time or count on the wire: 15 digits, exact in a double and in SQLite."""

WHO_PAGE = 50
"""Nicks on a page of /who: the longest page, 50 x 24 characters of 4 bytes, fits in MAX_LINE."""

HISTORY_AT_JOIN = 50
"""Public messages that who joins is shown, at the most: two screens of a terminal."""

HISTORY_ASKED = 100
"""Public messages that /history shows when no number is given."""

HISTORY_LIMIT = 1000
"""Public messages that can be asked for at a time."""

BANS_SHOWN = 50
"""Bans that /bans lists at the most, the newest."""

NEW_SESSION = "new"
"""What HELLO says instead of a token, to be given one."""


# --------------------------------------------------------------------------------------------------
# Commands: what one person asks of the room.  `tag` is the client's own number for it, 0 without one.
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Take a seat under this nick (as it was asked for: `check_nick` judges it), or take it up again.

    `session` is empty for a seat that ends with its connection, NEW_SESSION for one that outlives it, and
    then its token to resume it; `last` is the highest id of an event that this client has, then.
    `history`: at most so many public messages from before are to be shown.
    """

    nick: str
    session: str = ""
    last: int = 0
    history: int = HISTORY_AT_JOIN

    @property
    def resumes(self) -> bool:
        """Whether this asks for a seat that was taken before."""
        return self.session not in ("", NEW_SESSION)


@dataclass(frozen=True, slots=True)
class Say:
    """Say `text` to everyone."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """/me: tell everyone what one does."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Tell:
    """Say `text` to the one called `to` (as it was typed), and to nobody else."""

    to: str
    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Rename:
    """Be called `nick` from now on (as it was asked for)."""

    nick: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Who:
    """Ask who is here; pages count from 1 and hold WHO_PAGE nicks."""

    page: int = 1
    tag: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """Ask for the newest public messages, `count` of them."""

    count: int = HISTORY_ASKED
    tag: int = 0


@dataclass(frozen=True, slots=True)
class AskTopic:
    """Ask what the topic is, and whether the room is quiet."""

    tag: int = 0


@dataclass(frozen=True, slots=True)
class Mod:
    """Become a moderator with this password; without one (plain dialect) it is asked for."""

    password: str = field(default="", repr=False)
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Kick:
    """Moderators: end the session of `nick`; `why` may be empty, here and in what follows."""

    nick: str
    why: str = ""
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Ban:
    """Moderators: the same, and keep that nick and address out for `seconds` (0: until /unban)."""

    nick: str
    seconds: int = 0
    why: str = ""
    tag: int = 0


@dataclass(frozen=True, slots=True)
class AskBans:
    """Moderators: ask who is banned."""

    tag: int = 0


@dataclass(frozen=True, slots=True)
class Unban:
    """Moderators: lift the ban on a nick, or on an address."""

    nick: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Mute:
    """Moderators: let `nick` say nothing to everyone for `seconds`."""

    nick: str
    seconds: int
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Unmute:
    """Moderators: let `nick` speak again."""

    nick: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Announce:
    """Moderators: tell everyone `text` as an announcement."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class SetTopic:
    """Moderators: make `text` what is shown to who joins; empty: nothing is."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class SetQuiet:
    """Moderators: let only moderators speak (`on`), or everyone again."""

    on: bool
    tag: int = 0


@dataclass(frozen=True, slots=True)
class AskStatus:
    """Moderators: ask how the server is."""

    tag: int = 0


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?  From either side; a server gives the id of its newest event, a client any number."""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """I am: the number of the Ping.  From a client it says, too, that it has every event up to this id."""

    number: int


@dataclass(frozen=True, slots=True)
class Help:
    """Ask what can be typed, by everyone or by moderators."""

    moderators: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room on purpose."""


Ruling: TypeAlias = Kick | Ban | Unban | Mute | Unmute | Announce | SetTopic | SetQuiet
"""What moderators decide: each is announced and recorded."""

Command: TypeAlias = (
    Hello
    | Say
    | Act
    | Tell
    | Rename
    | Who
    | History
    | AskTopic
    | Mod
    | Ruling
    | AskBans
    | AskStatus
    | Ping
    | Pong
    | Help
    | Leave
)


# --------------------------------------------------------------------------------------------------
# Messages: what the room tells a client.  The first ten are events, with an id and a time in ms.
# Fields stand in the order of the native dialect.  `tag` is the author's, 0 without one: it is written
# only into the author's own copy, where it confirms the command.
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """`nick` said `text` to everyone."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@dataclass(frozen=True, slots=True)
class Acted:
    """`nick` did something, told with /me."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """`nick` said `text` to `to` alone: only these two are told."""

    id: int
    time: int
    tag: int
    nick: str
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """`nick` came in."""

    id: int
    time: int
    nick: str


@dataclass(frozen=True, slots=True)
class Left:
    """`nick` is gone; `reason` is a code of LEAVE_REASONS."""

    id: int
    time: int
    nick: str
    reason: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """`old` is called `nick` from now on."""

    id: int
    time: int
    tag: int
    old: str
    nick: str


@dataclass(frozen=True, slots=True)
class Crowd:
    """In a full room joins and leaves are told as counts; `people` are in now."""

    id: int
    time: int
    joined: int
    left: int
    people: int


@dataclass(frozen=True, slots=True)
class Unread:
    """To one alone: `nick` never came back for the last `count` things that this one said to them."""

    id: int
    time: int
    nick: str
    count: int


@dataclass(frozen=True, slots=True)
class Notice:
    """The server has something to say to everyone: a code of NOTICES, and its arguments."""

    id: int
    time: int
    code: str
    arguments: tuple[str, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Welcome:
    """You are in, as `nick`; `id` and `time` are of your own join.  `text` is the operator's, or empty."""

    id: int
    time: int
    nick: str
    people: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """Your seat outlives its connection by `grace` seconds; `token` proves that it is yours."""

    token: str
    grace: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """You have your seat again, as `nick`.  Next come the events that you missed, then Live.

    `lost` of them are not held any more; some of these may have been private to others.
    """

    nick: str
    people: int
    lost: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """You have every event that concerns you up to `id`; what comes from here on happens now."""

    id: int


@dataclass(frozen=True, slots=True)
class HistoryHeader:
    """The `count` newest public messages follow, the oldest first: asked for with `tag`, or (0) at a join."""

    tag: int
    count: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A message of the history: it was said before, to whoever was there."""

    event: Said | Acted


@dataclass(frozen=True, slots=True)
class Topic:
    """What the room is about, if anything, and whether only moderators may speak now."""

    tag: int
    quiet: bool
    text: str


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


@dataclass(frozen=True, slots=True)
class Status:
    """How the server is: names and numbers, in the order of STATUS_WORDS (sentences.py)."""

    tag: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryPending:
    """The private message `id` waits: the connection of `nick` is down."""

    id: int
    nick: str


@dataclass(frozen=True, slots=True)
class AlreadyDone:
    """What was sent with `tag` was done before, and its event is not at hand any more."""

    tag: int


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


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command was refused: nothing of it was done.  Codes and their arguments: SENTENCES."""

    tag: int
    code: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a connection; `reason` is a code of GOODBYES."""

    reason: str


Event: TypeAlias = Said | Acted | Told | Joined | Left | Renamed | Crowd | Unread | Notice | Moderated
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
