"""What one person asks of the room: Say, Tell, Rename...  And how much of it can be asked.

`tag` is the client's own number for a command, 0 without one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

PROTOCOL_VERSION = 1
"""What HELLO begins with: a server refuses every other one."""

MAX_WHY = 500
"""Bytes of UTF-8 in a moderator's reason."""

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
"""All that can be asked."""
