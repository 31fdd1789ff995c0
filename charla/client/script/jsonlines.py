"""JSON, one object a line: what `client.py --json` writes to a program, and takes from it.

docs/BOTS.md has every type with its fields.  Pure: text in and out, no I/O, no thread.

* The fields of an object are those of the message or command (messages.py, commands.py), with the same names.
* A tag stays between client and server.  A program gives a command an "id" of its own, anything; it comes
  back as "re" in what answers that command.  In an event "own" says whether this client has caused it.
* What a program writes is judged as strictly as what comes from the network: one exception, `Refused`.
"""

from __future__ import annotations

import json
import math
import re as regex
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any, NamedTuple, NoReturn, TypeAlias, get_type_hints

from charla.client.network.outbox import Tagged
from charla.protocol import commands, messages
from charla.protocol.commands import MAX_NUMBER, AskTopic, Command, Help, Leave
from charla.protocol.messages import Acted, HistoryEntry, Message, Moderated, Renamed, Said, Told
from charla.protocol.native import NativeDialect
from charla.protocol.text import MAX_LINE, MAX_TEXT, Refused, clean
from charla.protocol.typed import parse_typed

MAX_JSON = 32 * 1024
"""Characters of a line from a program: a text of MAX_TEXT bytes, each written as \\uXXXX, and some more."""

MAX_ID = 100
"""Characters of a program's own id for a command, when that is a string."""

Id: TypeAlias = str | int | float
"""What a program calls a command: kept until that is answered, and given back as it was."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a person would type: "beto: hola", "/who"."""

    text: str


# What the room tells, by "type".  The other messages are the network's own matter, and a Token is secret.
MESSAGES: dict[str, type] = {
    "said": messages.Said,
    "acted": messages.Acted,
    "told": messages.Told,
    "joined": messages.Joined,
    "left": messages.Left,
    "renamed": messages.Renamed,
    "crowd": messages.Crowd,
    "unread": messages.Unread,
    "notice": messages.Notice,
    "moderated": messages.Moderated,
    "welcome": messages.Welcome,
    "earlier": messages.HistoryHeader,
    "past": messages.HistoryEntry,
    "topic": messages.Topic,
    "banned": messages.Banned,
    "status": messages.Status,
    "waits": messages.DeliveryPending,
    "done": messages.AlreadyDone,
    "here": messages.WhoPage,
    "refused": messages.Refusal,
}

# What the client tells of itself: the fields of each (events.py).
OWN: dict[str, tuple[str, ...]] = {
    "down": ("reason",),
    "back": ("nick", "missed", "seconds", "lost"),
    "joined-anew": ("nick", "doubtful"),
    "ended": ("how", "code", "arguments"),
}

# What a program may ask for.  A field with a default may be missing.  {"type": "topic"} without a text asks.
COMMANDS: dict[str, type] = {
    "say": commands.Say,
    "act": commands.Act,
    "tell": commands.Tell,
    "nick": commands.Rename,
    "who": commands.Who,
    "history": commands.History,
    "topic": commands.SetTopic,
    "mod": commands.Mod,
    "kick": commands.Kick,
    "ban": commands.Ban,
    "bans": commands.AskBans,
    "unban": commands.Unban,
    "mute": commands.Mute,
    "unmute": commands.Unmute,
    "announce": commands.Announce,
    "quiet": commands.SetQuiet,
    "status": commands.AskStatus,
    "line": Line,
    "leave": commands.Leave,
}

_TYPES = {kind: name for name, kind in MESSAGES.items()}
_EVENTS_WITH_AUTHOR = (Said, Acted, Told, Renamed, Moderated)
_NAMES = ("nick", "to")  # fields that are one word on the wire
_NATIVE = NativeDialect()


# --------------------------------------------------------------------------------------------------
# To the program
# --------------------------------------------------------------------------------------------------


def encode(message: Message, *, re: Id | None = None) -> str:
    """Return the line, without its LF, that tells a program `message`; "" where it is told nothing.

    `re` is the program's id of the command that this answers, if it gave one.
    """
    name = _TYPES.get(type(message))
    if name is None:
        return ""
    return _write(name, re, _fields(message))


def encode_event(type: str, **fields: object) -> str:  # noqa: A002 - what it is called in JSON
    """Return the line that tells what happened to the client itself: a type of OWN, with all its fields."""
    assert set(fields) == set(OWN[type]), f"{type} has the fields {OWN[type]}"
    return _write(type, None, fields)


def _fields(message: Message) -> dict[str, object]:
    given = {field.name: getattr(message, field.name) for field in fields(message)}
    tag = given.pop("tag", 0)
    if isinstance(message, _EVENTS_WITH_AUTHOR):
        given["own"] = tag != 0  # the server writes it into the author's copy alone
    if isinstance(message, HistoryEntry):
        event = _fields(message.event)
        del event["own"]  # nobody knows: the history has no tags
        given["event"] = {"type": _TYPES[type(message.event)], **event}
    return given


def _write(name: str, re: Id | None, given: dict[str, object]) -> str:
    head = {"type": name} if re is None else {"type": name, "re": re}
    # json escapes C0 alone: the rest of what steers a terminal or ends a line somewhere is cleaned here.
    return clean(json.dumps(head | given, ensure_ascii=False, allow_nan=False, default=_member))


def _member(value: object) -> str:
    """Return the name of an enum's member: "gave-up" for GAVE_UP."""
    assert isinstance(value, Enum), value
    return value.name.lower().replace("_", "-")


# --------------------------------------------------------------------------------------------------
# From the program
# --------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """What a program asks for, and its own id for that, if it has one."""

    command: Tagged | Leave
    id: Id | None = None


class RequestRefused(Refused):
    """A line of a program that cannot be taken, and the program's own id for it, if that can be read."""

    def __init__(self, refused: Refused, tag: int, id: Id | None) -> None:  # noqa: A002
        super().__init__(refused.code, *refused.arguments, tag=tag)
        self.id = id


def decode(line: str, tag: int) -> Request:
    """Return what a line of a program asks for, under `tag` (from 1); RequestRefused when it cannot be taken.

    "malformed" has for its argument what is wrong: `json`, `type`, `id`, or the name of a field that is
    missing, unknown, there twice, or not of its kind.  The password of a {"type": "mod"} may be empty, and
    is not judged here; no refusal repeats it, or any other value but names.
    """
    assert tag, "only an event of somebody else's has no tag"
    own_id: Id | None = None
    try:
        given = _read_object(line)
        own_id = _read_id(given)
        return Request(_judge(_read_command(given, tag)), own_id)
    except Refused as refused:
        reason = refused
    raise RequestRefused(reason, tag, own_id)


def _read_object(line: str) -> dict[str, object]:
    if len(line) > MAX_JSON:
        raise Refused("too-long", str(MAX_TEXT))
    try:
        given = _DECODER.decode(line.removeprefix("\ufeff").strip(" \t\r\n"))
    except (ValueError, RecursionError):  # ValueError: also a number of thousands of digits
        given = None
    if not isinstance(given, dict):
        raise Refused("malformed", "json")
    return given


def _no_twins(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    given: dict[str, object] = {}
    for name, value in pairs:
        if name in given:
            raise _wrong(name)
        given[name] = value
    return given


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # json takes NaN and Infinity


_DECODER = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant)


def _read_id(given: dict[str, object]) -> Id | None:
    match given.pop("id", None):
        case None:
            return None
        case str() as text if len(text) <= MAX_ID and _encodable(text) and clean(text) == text:
            return text
        case bool():
            pass
        case int() as number if abs(number) <= MAX_NUMBER:
            return number
        case float() as number if math.isfinite(number):
            return number
    raise _wrong("id")


def _read_command(given: dict[str, object], tag: int) -> Command:
    name = given.pop("type", None)
    if not isinstance(name, str) or name not in COMMANDS:
        raise _wrong("type")
    make = AskTopic if name == "topic" and "text" not in given else COMMANDS[name]
    kinds = get_type_hints(make)
    values: dict[str, Any] = {}
    for field in fields(make):
        if field.name == "tag":
            values["tag"] = tag
        elif field.name in given:
            values[field.name] = _read_value(field.name, kinds[field.name], given.pop(field.name))
        elif field.default is MISSING:
            raise _wrong(field.name)
    for unknown in given:
        raise _wrong(unknown)
    command = make(**values)
    if not isinstance(command, Line):
        return command  # type: ignore[no-any-return]
    typed = parse_typed(command.text, tag)
    if typed is None:
        raise Refused("no-text")
    return typed


def _read_value(name: str, kind: type, value: object) -> object:
    if type(value) is not kind:  # and not isinstance: true is no number
        raise _wrong(name)
    if isinstance(value, int) and not 0 <= value <= MAX_NUMBER:
        raise _wrong(name)
    if isinstance(value, str):
        if not _encodable(value):
            raise _wrong(name)
        if name in _NAMES:
            _check_word(name, value)
    return value


def _check_word(name: str, word: str) -> None:
    """Refuse what would be no field, or more than one, on the wire; what else a nick is the server judges."""
    if not word:
        raise Refused("nick-empty")
    if word.split() != [word]:
        raise Refused("nick-space")
    if clean(word) != word:
        raise _wrong(name)


def _encodable(text: str) -> bool:
    return _SURROGATE.search(text) is None


_SURROGATE = regex.compile("[\ud800-\udfff]")  # "\ud800" alone in JSON: half a character


def _judge(command: Command) -> Tagged | Leave:
    """Return the command as a server would read it, its texts clean; Refused as there."""
    if isinstance(command, Help):
        raise Refused("unknown-command", "help")
    line = _NATIVE.encode_command(command).removesuffix(b"\n")
    if len(line) > MAX_LINE:  # a nick or a password, as a text would be too long by itself
        raise Refused("too-long", str(MAX_TEXT))
    read = _NATIVE.decode_command(line.decode())
    assert isinstance(read, (Tagged, Leave)), read
    return read


def _wrong(name: str) -> Refused:
    """Return the refusal that names what is wrong."""
    name = _SURROGATE.sub("", name)
    return Refused("malformed", name if clean(name).strip() else "field")
