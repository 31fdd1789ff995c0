"""What one person asks of the room: Say, Tell, Rename...  And how that is typed, written and explained.

All that there is to say of a command stands with its class.  From there the grammar (typed.py), the native
dialect (native.py) and /help (sentences.py) have it.  `tag` is the client's own number for a command, 0
without one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar, get_args

import charla.protocol.arguments as arguments
from charla.i18n import N_
from charla.protocol.arguments import Arguments
from charla.protocol.fields import (
    ASKED_NICK,
    BAN_TIME,
    COUNT,
    MUTE_TIME,
    NICK,
    NUMBER,
    PASSWORD,
    SWITCH,
    TEXT,
    WHY,
    Layouts,
    check_count,
    native,
)
from charla.protocol.text import Refused

PROTOCOL_VERSION = 1
"""What HELLO begins with: a server refuses every other one."""

MAX_NUMBER = 10**15 - 1
"""The highest id, tag, time or count on the wire: 15 digits, exact in a double and in SQLite."""

WHO_PAGE = 50
"""Nicks on a page of /who: the longest page, 50 x 24 characters of 4 bytes, fits in MAX_LINE."""

HISTORY_AT_JOIN = 50
"""Public messages that somebody who joins is shown at the most: two screens of a terminal."""

HISTORY_ASKED = 100
"""Public messages that /history shows when no number is given."""

BANS_SHOWN = 50
"""Bans that /bans lists at the most, the newest."""

NEW_SESSION = "new"
"""What HELLO says instead of a token, to be given one."""


class Typed(NamedTuple):
    """How a command is typed."""

    name: str
    """What stands behind the slash; "set-topic" is what stands behind /topic with a text."""
    kind: type[Any]
    read: Callable[[str], Arguments]
    """Reads what stands behind the name (arguments.py)."""
    usage: tuple[str, str]
    """How it is typed, and what it does: for /help."""

    def make(self, rest: str, tag: int) -> Command:
        """Return the command, of what stands behind its name."""
        values = self.read(rest)
        if values is None:
            raise Refused("usage", self.name)
        tagged = "tag" in self.kind.__match_args__
        command: Command = self.kind(*values, tag) if tagged else self.kind(*values)
        return command


TYPED: dict[str, Typed] = {}
"""The commands that are typed, by their names, in the order of /help."""

COMMAND_LAYOUTS: Layouts = {}
"""Of the commands with a tag, which stands behind the verb."""

_Class = TypeVar("_Class", bound=type)


def _typed(name: str, read: Callable[[str], Arguments], how: str, what: str) -> Callable[[_Class], _Class]:
    def put(kind: _Class) -> _Class:
        TYPED[name] = Typed(name, kind, read, (how, what))
        return kind

    return put


_native = partial(native, COMMAND_LAYOUTS)


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


@_typed("msg", arguments.to_and_text, N_("/msg USER TEXT"), N_("the same"))
@_native("MSG", NICK, TEXT)
@dataclass(frozen=True, slots=True)
class Tell:
    """Say `text` to the one called `to` (as it was typed), and to nobody else."""

    to: str
    text: str
    tag: int = 0


@_typed(
    "say", arguments.text, N_("/say TEXT"), N_("say it to everyone as it stands: /say note: no class today")
)
@_native("SAY", TEXT)
@dataclass(frozen=True, slots=True)
class Say:
    """Say `text` to everyone."""

    text: str
    tag: int = 0


@_typed("me", arguments.text, N_("/me TEXT"), N_("tell what you do"))
@_native("ME", TEXT)
@dataclass(frozen=True, slots=True)
class Act:
    """/me: tell everyone what one does."""

    text: str
    tag: int = 0


@_typed("nick", arguments.nick, N_("/nick NEW"), N_("change your nickname"))
@_native("NICK", ASKED_NICK)
@dataclass(frozen=True, slots=True)
class Rename:
    """Be called `nick` from now on (as it was asked for)."""

    nick: str
    tag: int = 0


@_typed("who", arguments.number(1), N_("/who [PAGE]"), N_("who is here"))
@_native("WHO", NUMBER)
@dataclass(frozen=True, slots=True)
class Who:
    """Ask who is here; pages count from 1 and hold WHO_PAGE nicks."""

    page: int = 1
    tag: int = 0


@_typed(
    "history",
    arguments.number(HISTORY_ASKED, check_count),
    "/history [N]",
    N_("what was said before: the last N messages ({asked})"),
)
@_native("HISTORY", COUNT)
@dataclass(frozen=True, slots=True)
class History:
    """Ask for the newest public messages, `count` of them."""

    count: int = HISTORY_ASKED
    tag: int = 0


@_typed("topic", arguments.nothing, "/topic", N_("what the room is about"))
@_native("TOPIC")
@dataclass(frozen=True, slots=True)
class AskTopic:
    """Ask what the topic is, and whether the room is quiet."""

    tag: int = 0


@_typed(
    "help",
    arguments.one_of({"": False, "mod": True}),
    "/help [mod]",
    N_("this help; mod: what moderators can do"),
)
@dataclass(frozen=True, slots=True)
class Help:
    """Ask what can be typed, by everyone or by moderators."""

    moderators: bool = False


@_typed("exit", arguments.nothing, "/exit", N_("leave; so do exit, quit, salir alone on a line, and Ctrl+C"))
@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room on purpose."""


@_typed("mod", arguments.empty, "/mod", N_("become a moderator: the password is asked for"))
@_native("MOD", PASSWORD)
@dataclass(frozen=True, slots=True)
class Mod:
    """Become a moderator with this password; without one (plain dialect) it is asked for."""

    password: str = field(default="", repr=False)
    tag: int = 0


@_typed("kick", arguments.name_and_why, N_("/kick USER [WHY]"), N_("remove somebody"))
@_native("KICK", NICK, WHY)
@dataclass(frozen=True, slots=True)
class Kick:
    """Moderators: end the session of `nick`; `why` may be empty, here and in what follows."""

    nick: str
    why: str = ""
    tag: int = 0


@_typed(
    "ban",
    arguments.name_time_and_why,
    N_("/ban USER [30m] [WHY]"),
    N_("remove somebody, and keep nick and address out"),
)
@_native("BAN", NICK, BAN_TIME, WHY)
@dataclass(frozen=True, slots=True)
class Ban:
    """Moderators: the same, and keep that nick and address out for `seconds` (0: until /unban)."""

    nick: str
    seconds: int = 0
    why: str = ""
    tag: int = 0


@_typed("bans", arguments.nothing, "/bans", N_("who is banned"))
@_native("BANS")
@dataclass(frozen=True, slots=True)
class AskBans:
    """Moderators: ask who is banned."""

    tag: int = 0


@_typed("unban", arguments.name, N_("/unban USER"), N_("lift a ban; an address of /bans does, too"))
@_native("UNBAN", NICK)
@dataclass(frozen=True, slots=True)
class Unban:
    """Moderators: lift the ban on a nick, or on an address."""

    nick: str
    tag: int = 0


@_typed("mute", arguments.name_and_time, N_("/mute USER [5m]"), N_("let somebody say nothing to everyone"))
@_native("MUTE", NICK, MUTE_TIME)
@dataclass(frozen=True, slots=True)
class Mute:
    """Moderators: let `nick` say nothing to everyone for `seconds`."""

    nick: str
    seconds: int
    tag: int = 0


@_typed("unmute", arguments.name, N_("/unmute USER"), N_("let them speak again"))
@_native("UNMUTE", NICK)
@dataclass(frozen=True, slots=True)
class Unmute:
    """Moderators: let `nick` speak again."""

    nick: str
    tag: int = 0


@_typed("announce", arguments.text, N_("/announce TEXT"), N_("tell everyone, as an announcement"))
@_native("ANNOUNCE", TEXT)
@dataclass(frozen=True, slots=True)
class Announce:
    """Moderators: tell everyone `text` as an announcement."""

    text: str
    tag: int = 0


@_typed(
    "set-topic",
    arguments.topic_text,
    N_("/topic TEXT"),
    N_("say what the room is about; /topic - removes it"),
)
@_native("TOPIC", TEXT)
@dataclass(frozen=True, slots=True)
class SetTopic:
    """Moderators: show `text` to everybody who joins; if it is empty, show nothing."""

    text: str
    tag: int = 0


@_typed("quiet", arguments.one_of({"on": True, "off": False}), "/quiet on|off", N_("only moderators speak"))
@_native("QUIET", SWITCH)
@dataclass(frozen=True, slots=True)
class SetQuiet:
    """Moderators: let only moderators speak (`on`), or everyone again."""

    on: bool
    tag: int = 0


@_typed("status", arguments.nothing, "/status", N_("how the server is"))
@_native("STATUS")
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

MODERATORS_ONLY = frozenset((*get_args(Ruling), AskBans, AskStatus))
"""The classes of what only moderators may ask."""
