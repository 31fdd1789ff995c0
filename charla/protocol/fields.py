"""The parts of commands and messages: what each may be, and how it stands in a line of the native dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from charla.protocol.text import MAX_TEXT, Refused, clean

MAX_WHY = 500
"""Bytes of UTF-8 in a moderator's reason."""

HISTORY_LIMIT = 1000
"""Public messages that can be asked for at a time."""

LONGEST_TIME = 365 * 24 * 60 * 60
"""Seconds of the longest ban or mute that ends by itself."""


# ---- what is judged alike, typed or not ----------------------------------------------------------


def message_text(text: str) -> str:
    """Return `text`, which is clean, as the text of a message; Refused when too long or blank."""
    if len(text) * 4 > MAX_TEXT and len(text.encode()) > MAX_TEXT:
        raise Refused("too-long", str(MAX_TEXT))
    if not text or text.isspace():
        raise Refused("no-text")
    return text


def why_text(text: str) -> str:
    """Return `text`, which is clean, as a reason, which may be empty; Refused when it is too long."""
    if len(text.encode()) > MAX_WHY:
        raise Refused("too-long", str(MAX_WHY))
    return text


def is_number(field: str) -> bool:
    """Say whether `field` is 1 to 15 ASCII digits.  int() alone takes far more than the wire has."""
    return len(field) <= 15 and field.isascii() and field.isdigit()


def check_count(count: int) -> int:
    """Return `count`, of messages of the history; Refused when these are none, or too many."""
    if not 1 <= count <= HISTORY_LIMIT:
        raise Refused("history-count")
    return count


def check_duration(seconds: int) -> int:
    """Return `seconds` as the time of a ban or a mute; Refused when it is longer than LONGEST_TIME."""
    if seconds > LONGEST_TIME:
        raise Refused("duration")
    return seconds


# ---- in a line of the native dialect -------------------------------------------------------------


def escape(text: str) -> str:
    """Return `text` in one line: for \\ and LF stand \\\\ and \\n."""
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\\" in text or "\n" in text else text


_ESCAPE = re.compile(r"\\(.?)")


def _unescape(text: str) -> str:
    """Return what `escape` was given; Refused for any other escape."""
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        if match[1] not in ("\\", "n"):
            raise Refused("malformed", "escape")
        return "\n" if match[1] == "n" else "\\"

    return _ESCAPE.sub(character, text)


def _read_text(field: str) -> str:
    """Read a text, of any length, which comes out clean."""
    return clean(_unescape(field))


def read_number(field: str) -> int:
    """Read a number: an id, a tag, a time, a count."""
    if not is_number(field):
        raise Refused("malformed", "number")
    return int(field)


def _read_switch(field: str) -> bool:
    """Read `on` or `off`."""
    if field not in ("on", "off"):
        raise Refused("malformed", "switch")
    return field == "on"


def _read_nick(field: str) -> str:
    if clean(field).split() != [field]:
        raise Refused("malformed", "nick")
    return field


def _read_mute(field: str) -> int:
    seconds = check_duration(read_number(field))
    if not seconds:
        raise Refused("duration")
    return seconds


def _read_tag(field: str) -> int:
    return 0 if field == "-" else read_number(field)


def _read_word(field: str) -> str:
    """Read a field that is one word for `encode`, too: what `clean` makes a space of cannot be in it."""
    word = clean(field)
    if not word or " " in word:
        raise Refused("malformed", "field")
    return word


def _read_words(field: str) -> tuple[str, ...]:
    return tuple(_read_word(word) for word in field.split(" ")) if field else ()


def _read_name(field: str) -> str:
    return "" if field == "-" else _read_word(field)


def _read_code(field: str) -> str:
    """Read a code, of this version or a later one: it may come to stand in a sentence's format."""
    if not _CODE.fullmatch(field):
        raise Refused("malformed", "code")
    return field


_CODE = re.compile("[a-z0-9-]+")


def _spaced(text: str) -> str:
    return f" {escape(text)}"


def _last_text(text: str) -> str:
    return f" {escape(text)}" if text else ""


class Field(NamedTuple):
    """A field of a line: what reads it, Refused for what it cannot be, and what writes it behind a space."""

    read: Callable[[str], object]
    write: Callable[[Any], str] = lambda value: f" {value}"
    may_be_missing: bool = False
    """The last field of a message may be empty, and its space gone."""


# Of either.
NUMBER = Field(read_number)
SWITCH = Field(_read_switch, lambda on: " on" if on else " off")

# Of commands.
TEXT = Field(lambda field: message_text(clean(_unescape(field))), _spaced)
WHY = Field(lambda field: why_text(_read_text(field)), _last_text)
PASSWORD = Field(_unescape, _spaced)
NICK = Field(_read_nick)
ASKED_NICK = Field(str)  # as it was asked for: it is judged later
COUNT = Field(lambda field: check_count(read_number(field)))
BAN_TIME = Field(lambda field: check_duration(read_number(field)))
MUTE_TIME = Field(_read_mute)

# Of messages.
EVENT = (NUMBER, NUMBER)  # id, time
TAG = Field(_read_tag, lambda tag: f" {tag or '-'}")
OWN_TAG = Field(_read_tag, lambda tag: f" {tag or '-'}")  # "-" in what the others are told
WORD = Field(_read_word)
NAME = Field(_read_name, lambda name: f" {name or '-'}")
CODE = Field(_read_code)
REASON = Field(clean)
SAID = Field(_read_text, _spaced, may_be_missing=True)
LAST_TEXT = Field(_read_text, _last_text, may_be_missing=True)
WORDS = Field(_read_words, lambda words: "".join(f" {word}" for word in words), may_be_missing=True)

Layouts: TypeAlias = dict[type, tuple[str, tuple[Field, ...]]]
"""Class -> its verb in the native dialect, and what follows, in the order of the class."""

_Class = TypeVar("_Class", bound=type)


def native(layouts: Layouts, verb: str, *fields: Field) -> Callable[[_Class], _Class]:
    """Note down, for the class below, how it is written in the native dialect."""

    def put(kind: _Class) -> _Class:
        layouts[kind] = (verb, fields)
        return kind

    return put
