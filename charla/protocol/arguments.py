"""What people type behind the name of a command: text in, the fields of that command out.

Each of these returns the fields but the tag, in their order, or None: it is not written like that.  Refused
where more can be told.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from charla.protocol.fields import check_duration, is_number, message_text, why_text
from charla.protocol.text import Refused

USUAL_MUTE = 5 * 60
"""Seconds of a /mute that does not say how long."""

Arguments: TypeAlias = "tuple[object, ...] | None"


def nothing(rest: str) -> Arguments:
    """Read what has to be nothing."""
    return None if rest.strip() else ()


def empty(rest: str) -> Arguments:
    """Read what has to be nothing, for an empty field: a password is not typed there."""
    return None if rest.strip() else ("",)


def text(rest: str) -> Arguments:
    """Read the text of a message."""
    return (message_text(rest),) if rest.strip() else None


_TO_AND_TEXT = re.compile(r"\s*(\S+?):?\s(.*)", re.DOTALL)


def to_and_text(rest: str) -> Arguments:
    """Read to whom alone a text goes, and the text."""
    match = _TO_AND_TEXT.fullmatch(rest)
    if match is None or not match[2].strip():
        return None
    return match[1], message_text(match[2])


def nick(rest: str) -> Arguments:
    """Read one word, a nick to be called by."""
    words = rest.split()
    if len(words) > 1:
        raise Refused("nick-space")
    return tuple(words) or None


def number(usual: int, check: Callable[[int], int] = int) -> Callable[[str], Arguments]:
    """Return what reads a number, `usual` where there is none, that `check` takes."""

    def read(rest: str) -> Arguments:
        digits = rest.strip() or str(usual)
        return (check(int(digits)),) if is_number(digits) else None

    return read


def one_of(choices: dict[str, bool]) -> Callable[[str], Arguments]:
    """Return what reads one of these words, in any case."""

    def read(rest: str) -> Arguments:
        word = rest.strip().lower()
        return (choices[word],) if word in choices else None

    return read


def _word_and_rest(text: str) -> tuple[str, str]:
    """Return the first word and what stands behind it; any space ends a word, a newline too."""
    word, more = [*text.split(None, 1), "", ""][:2]
    return word, more.strip()


def _name_and_rest(rest: str) -> tuple[str, str]:
    """Return the first word, which is a name, and what stands behind it."""
    name, more = _word_and_rest(rest)
    return name.rstrip(":") if len(name) > 1 else name, more


def name(rest: str) -> Arguments:
    """Read one word, a name."""
    name, more = _name_and_rest(rest)
    return None if more or not name else (name,)


def name_and_why(rest: str) -> Arguments:
    """Read a name, and a reason, which may be empty."""
    name, why = _name_and_rest(rest)
    return (name, why_text(why)) if name else None


def name_time_and_why(rest: str) -> Arguments:
    """Read a name, a time, 0 where there is none, and a reason."""
    name, more = _name_and_rest(rest)
    if not name:
        return None
    word, why = _word_and_rest(more)
    seconds = _read_duration(word)
    if not seconds and word[:1].isdigit():  # 30x, 30 min: no reason, and a ban for good is not meant
        raise Refused("duration")
    return name, seconds, why_text(why if seconds else more)


def name_and_time(rest: str) -> Arguments:
    """Read a name and a time, USUAL_MUTE where there is none."""
    name, more = _name_and_rest(rest)
    if not name:
        return None
    seconds = _read_duration(more) if more else USUAL_MUTE
    if not seconds:
        raise Refused("duration")
    return name, seconds


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


def topic_text(rest: str) -> Arguments:
    """Read a text; `-` stands for an empty one."""
    text = rest.strip()
    return ("" if text == "-" else message_text(text),)
