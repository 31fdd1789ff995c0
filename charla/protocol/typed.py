"""The grammar of typed lines: one function, for the plain dialect in the server and for client.py.

Pure: text in, a command out, or Refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from charla.protocol.commands import (
    HISTORY_ASKED,
    HISTORY_LIMIT,
    MAX_WHY,
    Act,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Command,
    Help,
    History,
    Kick,
    Leave,
    Mod,
    Mute,
    Rename,
    Say,
    SetQuiet,
    SetTopic,
    Tell,
    Unban,
    Unmute,
    Who,
)
from charla.protocol.nicks import LEAVE_WORDS, like_a_nick
from charla.protocol.text import MAX_TEXT, Refused, clean

MUTE_TIME = 5 * 60
"""Seconds of a /mute that does not say how long."""

LONGEST_TIME = 365 * 24 * 60 * 60
"""Seconds of the longest ban or mute that ends by itself."""


def message_text(text: str) -> str:
    """Return `text`, which is clean, as the text of a message; Refused when too long or blank."""
    if len(text) * 4 > MAX_TEXT and len(text.encode()) > MAX_TEXT:
        raise Refused("too-long", str(MAX_TEXT))
    if not text or text.isspace():
        raise Refused("no-text")
    return text


def is_number(field: str) -> bool:
    """Say whether `field` is 1 to 15 ASCII digits.  int() alone takes far more than the wire has."""
    return len(field) <= 15 and field.isascii() and field.isdigit()


def parse_typed(line: str, tag: int = 0) -> Command | None:
    """Return what a line typed by a person asks for; None when it is blank (nothing is sent).

    `line` has no line end of its own, but may hold newlines (a pasted block).  Raises Refused for
    unknown or incomplete commands and for text that is too long.  Space before a command or a name
    does not count: an accidental one must not make a secret public.
    """
    line = clean(line)
    typed = line.strip()
    if not typed:
        return None
    if typed[0] == "/":
        return _parse_slash(line.lstrip(), tag)
    if typed.lower() in LEAVE_WORDS:
        return Leave()
    if ":" in typed:
        name, _, rest = line.lstrip().partition(":")
        if name and not rest.startswith(("//", "\\")) and like_a_nick(name):
            return _tell(name, rest.removeprefix(" "), tag)
    return Say(message_text(line), tag)


def _parse_slash(line: str, tag: int) -> Command:
    match = _SLASH.match(line)
    assert match is not None
    name, rest = match[1].lower(), match[2]
    if not name:
        raise Refused("no-command")
    if name in CLIENT_COMMANDS:
        raise Refused("client-command", name)
    if name not in _SLASH_COMMANDS:
        raise Refused("unknown-command", name, nearest(name))
    return _SLASH_COMMANDS[name](rest, tag)


def nearest(name: str, further: Iterable[str] = ()) -> str:
    """Return the one of COMMANDS and `further` ones that `name` is most like; empty: it is like none."""
    if name == "?":  # what other programs have for it
        return "help"
    if len(name) > 2 * _LONGEST_COMMAND:
        return ""
    return next(iter(difflib.get_close_matches(name, {*COMMANDS, *further}, n=1)), "")


_SLASH = re.compile(r"/(\S*)\s?(.*)", re.DOTALL)
_TO_AND_TEXT = re.compile(r"\s*(\S+?):?\s(.*)", re.DOTALL)


def _slash_msg(rest: str, tag: int) -> Command:
    match = _TO_AND_TEXT.fullmatch(rest)
    if match is None or not match[2].strip():
        raise Refused("usage", "msg")
    return _tell(match[1], match[2], tag)


def _tell(name: str, text: str, tag: int) -> Command:
    if not text.strip():
        raise Refused("no-text-for", name)
    return Tell(name, message_text(text), tag)


def _with_text(make: Callable[[str, int], Command], usage: str) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        if not rest.strip():
            raise Refused("usage", usage)
        return make(message_text(rest), tag)

    return parse


def _slash_nick(rest: str, tag: int) -> Command:
    words = rest.split()
    if not words:
        raise Refused("usage", "nick")
    if len(words) > 1:
        raise Refused("nick-space")
    return Rename(words[0], tag)


def _with_number(
    make: Callable[[int, int], Command], usual: int, usage: str
) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        number = rest.strip() or str(usual)
        if not is_number(number):
            raise Refused("usage", usage)
        return make(int(number), tag)

    return parse


def history(count: int, tag: int) -> History:
    """Return the command that asks for `count` messages; Refused when these are none, or too many."""
    if not 1 <= count <= HISTORY_LIMIT:
        raise Refused("history-count")
    return History(count, tag)


def _alone(make: Callable[[int], Command], usage: str) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        if rest.strip():
            raise Refused("usage", usage)
        return make(tag)

    return parse


# ---- of moderators -------------------------------------------------------------------------------


def _with_name(make: Callable[[str, int], Command], usage: str) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        name, more = _name_and_rest(rest, usage)
        if more:
            raise Refused("usage", usage)
        return make(name, tag)

    return parse


def _name_and_rest(rest: str, usage: str) -> tuple[str, str]:
    """Return the first word, which is a name, and what stands behind it."""
    name, more = _word_and_rest(rest)
    name = name.rstrip(":") if len(name) > 1 else name
    if not name:
        raise Refused("usage", usage)
    return name, more


def _word_and_rest(text: str) -> tuple[str, str]:
    """Return the first word and what stands behind it; any space ends a word, a newline too."""
    word, more = [*text.split(None, 1), "", ""][:2]
    return word, more.strip()


def why_text(text: str) -> str:
    """Return `text`, which is clean, as a reason, which may be empty; Refused when it is too long."""
    if len(text.encode()) > MAX_WHY:
        raise Refused("too-long", str(MAX_WHY))
    return text


def check_duration(seconds: int) -> int:
    """Return `seconds` as the time of a ban or a mute; Refused when it is longer than LONGEST_TIME."""
    if seconds > LONGEST_TIME:
        raise Refused("duration")
    return seconds


_DURATION = re.compile(r"([0-9]+)([smhd])", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


def _read_duration(word: str) -> int:
    """Return the seconds of `30s`, `5m`, `2h` or `7d`, 0 for a word that is none; Refused for too many."""
    match = _DURATION.fullmatch(word)
    if match is None:
        return 0
    if len(match[1]) > 9 or not int(match[1]):
        raise Refused("duration")
    return check_duration(int(match[1]) * _SECONDS[match[2].lower()])


def _slash_kick(rest: str, tag: int) -> Command:
    name, why = _name_and_rest(rest, "kick")
    return Kick(name, why_text(why), tag)


def _slash_ban(rest: str, tag: int) -> Command:
    name, more = _name_and_rest(rest, "ban")
    word, why = _word_and_rest(more)
    seconds = _read_duration(word)
    if not seconds and word[:1].isdigit():  # 30x, 30 min: no reason, and a ban for good is not meant
        raise Refused("duration")
    return Ban(name, seconds, why_text(why if seconds else more), tag)


def _slash_mute(rest: str, tag: int) -> Command:
    name, more = _name_and_rest(rest, "mute")
    if not more:
        return Mute(name, MUTE_TIME, tag)
    seconds = _read_duration(more)
    if not seconds:
        raise Refused("duration")
    return Mute(name, seconds, tag)


def _slash_topic(rest: str, tag: int) -> Command:
    if not rest.strip():
        return AskTopic(tag)
    return SetTopic("" if rest.strip() == "-" else message_text(rest.strip()), tag)


def _slash_quiet(rest: str, tag: int) -> Command:
    match rest.strip().lower():
        case "on":
            return SetQuiet(True, tag)
        case "off":
            return SetQuiet(False, tag)
    raise Refused("usage", "quiet")


def _slash_help(rest: str, _tag: int) -> Command:
    match rest.strip().lower():
        case "":
            return Help()
        case "mod":
            return Help(moderators=True)
    raise Refused("usage", "help")


# ---- the commands ---------------------------------------------------------------------------------

_SLASH_COMMANDS: dict[str, Callable[[str, int], Command]] = {
    "say": _with_text(Say, "say"),
    "me": _with_text(Act, "me"),
    "msg": _slash_msg,
    "nick": _slash_nick,
    "who": _with_number(Who, 1, "who"),
    "history": _with_number(history, HISTORY_ASKED, "history"),
    "topic": _slash_topic,
    "help": _slash_help,
    "mod": _alone(lambda tag: Mod(tag=tag), "mod"),
    "kick": _slash_kick,
    "ban": _slash_ban,
    "bans": _alone(AskBans, "bans"),
    "unban": _with_name(Unban, "unban"),
    "mute": _slash_mute,
    "unmute": _with_name(Unmute, "unmute"),
    "announce": _with_text(Announce, "announce"),
    "quiet": _slash_quiet,
    "status": _alone(AskStatus, "status"),
    **dict.fromkeys(LEAVE_WORDS, _alone(lambda _tag: Leave(), "exit")),
}

COMMANDS = tuple(_SLASH_COMMANDS)
"""The names of the commands, without the slash, in small letters."""

CLIENT_COMMANDS = ("r", "ignore", "unignore", "search", "bell", "time", "clear")
"""What client.py does by itself on a terminal (commands.py), and what is nowhere else."""

_LONGEST_COMMAND = max(map(len, COMMANDS))
