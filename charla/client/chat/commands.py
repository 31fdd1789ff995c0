"""What the client's user types: the grammar of the room (typed.py), and commands of the client's own.

Pure: text in, something to do out, or Refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from charla.client.display import help_topics
from charla.protocol.commands import Command, Tell
from charla.protocol.fields import message_text
from charla.protocol.text import Refused, clean
from charla.protocol.typed import COMMANDS, nearest, parse_typed

BELLS = ("off", "private", "mention", "all")
"""When the bell rings: never; for what is said to one alone; for one's own nick, too; for everything."""


@dataclass(frozen=True, slots=True)
class HelpOn:
    """Show what can be typed; `topic` is one of help_topics.TOPICS, or empty for all but the moderators'."""

    topic: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Say `text` to the one who last wrote to us alone."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Ignore:
    """Show nothing of `nick` any more; empty: tell who is ignored."""

    nick: str = ""


@dataclass(frozen=True, slots=True)
class Unignore:
    """Show what `nick` says again."""

    nick: str


@dataclass(frozen=True, slots=True)
class Search:
    """Look for `words` in what was seen."""

    words: str


@dataclass(frozen=True, slots=True)
class Bell:
    """Ring the bell when (one of BELLS); empty: tell when it does."""

    when: str = ""


@dataclass(frozen=True, slots=True)
class ShowTime:
    """Show the time of messages, or do not; None: tell whether it is shown."""

    on: bool | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """Clear the screen."""


Own: TypeAlias = HelpOn | Answer | Ignore | Unignore | Search | Bell | ShowTime | Clear


_SLASH = re.compile(r"\s*/(\S*)\s?(.*)", re.DOTALL)


def parse_line(line: str, tag: int = 0) -> Command | Own | None:
    """Return what a line asks for; None when it is blank.  Refused, as `parse_typed` has it."""
    try:
        line.encode()
    except UnicodeEncodeError:  # bytes that were typed and are not UTF-8: Python has surrogates for them
        raise Refused("not-utf8") from None
    match = _SLASH.fullmatch(clean(line))
    if match is not None and match[1].lower() in _OWN:
        return _OWN[match[1].lower()](match[2], tag)
    try:
        return parse_typed(line, tag)
    except Refused as refused:
        if refused.code != "unknown-command" or match is None:
            raise
        name = match[1].lower()
        raise Refused("unknown-command", name, nearest(name, OWN_COMMANDS)) from None


def addressee(typed: str, correspondent: str = "") -> str:
    """Return to whom alone a line goes that begins with `typed`; empty: to everyone, or to nobody yet.

    `correspondent` is who /r answers.
    """
    begin = typed[:200]  # enough for any name: this is asked at every key
    if "/" not in begin and ":" not in begin:
        return ""
    try:
        command = parse_line(begin + "x" if begin[-1] in " :" else begin)
    except Refused:
        return ""
    if isinstance(command, Answer):
        return correspondent
    return command.to if isinstance(command, Tell) else ""


# ---- the client's own commands -------------------------------------------------------------------


def _help(rest: str, _tag: int) -> Own:
    asked = rest.split()
    if not asked:
        return HelpOn()
    if len(asked) > 1:
        raise Refused("usage", "help-topics")
    topic = help_topics.called(asked[0])
    if not topic:
        raise Refused("no-help-on", asked[0], help_topics.nearest(asked[0]))
    return HelpOn(topic)


def _answer(rest: str, tag: int) -> Own:
    if not rest.strip():
        raise Refused("usage", "r")
    return Answer(message_text(rest), tag)


def _bell(rest: str, _tag: int) -> Own:
    when = rest.strip().lower()
    if when and when not in BELLS:
        raise Refused("usage", "bell")
    return Bell(when)


def _time(rest: str, _tag: int) -> Own:
    match rest.strip().lower():
        case "":
            return ShowTime()
        case "on":
            return ShowTime(True)
        case "off":
            return ShowTime(False)
    raise Refused("usage", "time")


def _name(rest: str, usage: str) -> str:
    """Return the one word of `rest`, a name, without a colon; empty when there is none."""
    words = rest.split()
    if len(words) > 1:
        raise Refused("usage", usage)
    return words[0].rstrip(":") if words else ""


def _unignore(rest: str, _tag: int) -> Own:
    name = _name(rest, "unignore")
    if not name:
        raise Refused("usage", "unignore")
    return Unignore(name)


def _search(rest: str, _tag: int) -> Own:
    if not rest.strip():
        raise Refused("usage", "search")
    return Search(rest.strip())


def _clear(rest: str, _tag: int) -> Own:
    if rest.strip():
        raise Refused("usage", "clear")
    return Clear()


_OWN: dict[str, Callable[[str, int], Own]] = {
    "help": _help,
    "r": _answer,
    "ignore": lambda rest, _tag: Ignore(_name(rest, "ignore")),
    "unignore": _unignore,
    "search": _search,
    "bell": _bell,
    "time": _time,
    "clear": _clear,
}

OWN_COMMANDS = tuple(_OWN)


# ---- Tab ------------------------------------------------------------------------------------------

_CHOICES = {"bell": BELLS, "time": ("on", "off"), "quiet": ("on", "off")}


def complete(before: str, nicks: Callable[[str], list[str]]) -> list[str]:
    """Return what can stand instead of the last word of `before`, the text left of the cursor: best first.

    `nicks` returns those that begin with a text, the best first.  A nick that begins the line gets the
    colon that makes it private.
    """
    line = before.lstrip()
    words = line.split(" ")
    word = words[-1]
    if line.startswith("/"):
        if len(words) == 1:
            names = sorted({*COMMANDS, *OWN_COMMANDS})
            return [f"/{name} " for name in names if name.startswith(word[1:].lower())]
        command = words[0][1:].lower()
        choices = help_topics.words() if command == "help" else _CHOICES.get(command)
        if choices is not None:
            return [choice for choice in choices if choice.startswith(word.lower())]
    if not word:
        return []
    behind = ": " if len(words) == 1 else " "
    return [nick + behind for nick in nicks(word)]
