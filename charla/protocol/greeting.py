"""The first line in either direction: what a server opens with, and what a client answers."""

from __future__ import annotations

import re

from charla.client.display.phrases import sentence
from charla.protocol.commands import Command, Hello, Leave
from charla.protocol.dialect import Dialect
from charla.protocol.messages import AskNick, AskPassword, Refusal
from charla.protocol.native import NATIVE, read_hello
from charla.protocol.nicks import LEAVE_WORDS
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused, clean


def read_answer(line: str) -> tuple[Dialect, Command]:
    """Return the dialect that a client's first line chooses, and what it asks for (Hello or Leave).

    The nick in it is judged by `check_nick`, not here.  Raises Refused for a HELLO that cannot be
    read; the dialect is native then all the same (`is_native`).
    """
    if is_native(line):
        return NATIVE, read_hello(line.partition(" ")[2])
    if line.strip().lower().removeprefix("/") in LEAVE_WORDS:
        return PLAIN, Leave()
    return PLAIN, Hello(line.strip(" "))


def is_native(line: str) -> bool:
    """Say whether a client's first line chooses the native dialect."""
    return line == "HELLO" or line.startswith("HELLO ")


def turn_away(code: str, *arguments: str) -> bytes:
    """Return what a connection is told instead of NICK: a line for people, with the code for programs."""
    return f"! {sentence(code, arguments)} [{' '.join((code, *arguments))}]\n".encode()


_TURNED_AWAY = re.compile(r"! .* \[([a-z0-9-]+)((?: [^ \]]+)*)\]")


def read_greeting(line: str) -> AskNick | AskPassword | Refusal:
    """Return what the first line from a server says; Refused("malformed") if it is no Charla's."""
    if line == "NICK":
        return AskNick()
    if line == "PASSWORD":
        return AskPassword()
    match = _TURNED_AWAY.fullmatch(clean(line))
    if match is None:
        raise Refused("malformed", "greeting")
    return Refusal(0, match[1], tuple(match[2].split()))
