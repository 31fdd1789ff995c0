"""The grammar of typed lines: one function, for the plain dialect in the server and for client.py.

Pure: text in, a command out, or Refused.  arguments.py has what stands behind the name of a command.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from charla.protocol.commands import TYPED, Command, Leave, Say, Tell
from charla.protocol.fields import message_text
from charla.protocol.nicks import LEAVE_WORDS, like_a_nick
from charla.protocol.text import Refused, clean

_BY_NAME = {**TYPED, **dict.fromkeys(LEAVE_WORDS, TYPED["exit"])}

COMMANDS = tuple(name for name in _BY_NAME if name != "set-topic")
"""The names of the commands, without the slash, in small letters."""

CLIENT_COMMANDS = ("r", "ignore", "unignore", "search", "bell", "time", "clear")
"""What client.py does by itself on a terminal (commands.py), and what is nowhere else."""

_LONGEST_COMMAND = max(map(len, COMMANDS))
_SLASH = re.compile(r"/(\S*)\s?(.*)", re.DOTALL)


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


def _tell(name: str, text: str, tag: int) -> Command:
    if not text.strip():
        raise Refused("no-text-for", name)
    return Tell(name, message_text(text), tag)


def _parse_slash(line: str, tag: int) -> Command:
    match = _SLASH.match(line)
    assert match is not None
    name, rest = match[1].lower(), match[2]
    if not name:
        raise Refused("no-command")
    if name in CLIENT_COMMANDS:
        raise Refused("client-command", name)
    if name not in _BY_NAME:
        raise Refused("unknown-command", name, nearest(name))
    return _BY_NAME["set-topic" if name == "topic" and rest.strip() else name].make(rest, tag)


def nearest(name: str, further: Iterable[str] = ()) -> str:
    """Return the one of COMMANDS and `further` ones that `name` is most like; empty: it is like none."""
    if name == "?":  # what other programs have for it
        return "help"
    if len(name) > 2 * _LONGEST_COMMAND:
        return ""
    return next(iter(difflib.get_close_matches(name, {*COMMANDS, *further}, n=1)), "")
