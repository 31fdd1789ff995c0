"""What must hold for any bytes in the language: framing, the plain dialect and the native one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

from charla.client.display.phrases import sentence
from charla.protocol.commands import Act, Announce, Command, Help, Kick, Rename, Say, SetTopic, Tell
from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.greeting import read_answer, read_greeting, turn_away
from charla.protocol.messages import (
    Acted,
    HistoryEntry,
    Joined,
    Message,
    Moderated,
    Refusal,
    Renamed,
    Said,
    Told,
    Topic,
)
from charla.protocol.native import NATIVE
from charla.protocol.nicks import check_nick, like_a_nick, look, nick_key
from charla.protocol.plain import PLAIN
from charla.protocol.sentences import SENTENCES
from charla.protocol.text import MAX_LINE, Refused, clean
from charla.protocol.typed import parse_typed

NOW = 1_763_600_000_000

_Given = TypeVar("_Given")
_Taken = TypeVar("_Taken")


# ---- framing -------------------------------------------------------------------------------------


def framing(data: bytes) -> None:
    """Lines do not depend on the slicing, and memory is bounded by the limit.

    First byte: the limit; second: how many bytes behind it are sizes of slices; then the stream.
    """
    if len(data) < 2:
        return
    limit, count = data[0] % 32 + 1, data[1] % 16
    sizes, stream = data[2 : 2 + count], data[2 + count :]
    framer = LineFramer(limit)
    lines: list[bytes | None] = []
    at = 0
    for size in (*sizes, len(stream)):
        lines += framer.feed(stream[at : at + size])
        at += size
        assert len(framer._rest) <= limit
    expected, unfinished = _cut(stream, limit)
    assert lines == expected, (lines, expected)
    assert framer.unfinished == unfinished
    for line in lines:
        try:
            text = decode_line(line)
        except Refused as refused:
            assert refused.code == ("too-long" if line is None else "not-utf8")
        else:
            assert text.encode() == line
            assert "\n" not in text


def _cut(stream: bytes, limit: int) -> tuple[list[bytes | None], bool]:
    """Return the lines of a whole stream, and whether one is left unfinished: the simplest way."""
    *whole, rest = stream.split(b"\n")
    lines = [None if len(line) > limit else line.removesuffix(b"\r") for line in whole]
    return ([*lines, None], False) if len(rest) > limit else (lines, bool(rest))


# ---- what people type ----------------------------------------------------------------------------


def plain(data: bytes) -> None:
    """What is typed becomes a command or is refused; no line that comes of it can be forged.

    The input is a typed line, or a pasted block.
    """
    text = _taken(decode_line, data)
    if text is None:
        return
    _nick(text)
    if "\n" not in text:
        _taken(read_answer, text)
        _taken(PLAIN.decode_command, text)
    command = _taken(lambda line: parse_typed(line, tag=7), text)
    if command is None or isinstance(command, Help):
        return
    _safe_fields(command)
    sent = NATIVE.encode_command(command)  # as client.py does
    _one_line(sent)
    if len(sent) <= MAX_LINE + 1:
        assert NATIVE.decode_command(sent[:-1].decode()) == command
    for event in _events(command):
        _told(event)


def _nick(text: str) -> None:
    nick = _taken(check_nick, text)
    assert like_a_nick(text) or nick is None, "a message to that nick would be public"
    if nick is None:
        return
    assert check_nick(nick) == nick
    assert clean(nick) == nick
    assert not set(nick) & set(" :*!~[@")
    assert look(nick)
    assert nick_key(nick) == nick_key(text)
    for event in (Joined(1, NOW, nick), Renamed(1, NOW, 7, "ana", nick), Said(1, NOW, 7, nick, "hola")):
        _told(event)


def _events(command: Command) -> list[Message]:
    """Return what a room would tell for `command`, of ana."""
    match command:
        case Say(text, tag):
            return [Said(9, NOW, tag, "ana", text), HistoryEntry(Said(9, NOW, 0, "ana", text))]
        case Act(text, tag):
            return [Acted(9, NOW, tag, "ana", text), HistoryEntry(Acted(9, NOW, 0, "ana", text))]
        case Tell(_, text, tag):
            return [Told(9, NOW, tag, "ana", "beto", text)]
        case Announce(text, tag):
            return [Moderated(9, NOW, tag, "announce", "ana", text=text)]
        case Kick(_, why, tag):
            return [Moderated(9, NOW, tag, "kick", "ana", "beto", text=why)]
        case SetTopic(text, tag):
            return [Moderated(9, NOW, tag, "topic", "ana", text=text), Topic(tag, False, text)]
        case Rename(nick, tag):
            checked = _taken(check_nick, nick)
            return [Renamed(9, NOW, tag, "ana", checked)] if checked else []
        case _:
            return []


def _told(event: Message) -> None:
    """Check what both dialects make of an event."""
    wire = NATIVE.encode(event, own=True)
    _one_line(wire)
    assert len(wire) <= MAX_LINE + 1
    assert NATIVE.decode(wire[:-1].decode()) == event
    nick = event.nick if isinstance(event, Said) else "ana"
    heads = ("* ", "! ", "~ ana ", "[private] ana: ", "[to beto] ", f"{nick}: ")
    for own in (False, True):
        text = PLAIN.encode(event, own).decode()
        _safe(text)
        assert text.endswith("\n") or not text
        for line in text.split("\n")[:-1]:
            assert line.startswith("[" if isinstance(event, HistoryEntry) else heads), line


# ---- the native dialect --------------------------------------------------------------------------


def native(data: bytes) -> None:
    """A line of either side means something or is refused; what was read can be written and read again."""
    line = _taken(decode_line, data.partition(b"\n")[0])
    if line is None:
        return
    command = _taken(NATIVE.decode_command, line)
    if command is not None:
        sent = NATIVE.encode_command(command)
        _one_line(sent, safe=False)  # names are as they were typed: the room judges them
        assert NATIVE.decode_command(sent[:-1].decode()) == command
    _taken(read_answer, line)
    _taken(read_greeting, line)
    message = _taken(NATIVE.decode, line)
    if message is None:
        return
    _safe_fields(message)
    PLAIN.encode(message)
    if isinstance(message, HistoryEntry):
        message = HistoryEntry(dataclasses.replace(message.event, tag=0))
    told = NATIVE.encode(message, own=True)
    _one_line(told)
    assert NATIVE.decode(told[:-1].decode()) == message


# ---- what they share -----------------------------------------------------------------------------


def _taken(read: Callable[[_Given], _Taken], given: _Given) -> _Taken | None:
    """Return what `read` makes of `given`, None when it refuses as it should."""
    try:
        return read(given)
    except Refused as refused:
        _refusal(refused)
        return None


def _refusal(refused: Refused) -> None:
    """Check that a refusal can be told, in both dialects and to who is turned away."""
    code, arguments = refused.code, refused.arguments
    assert code in SENTENCES
    assert sentence(code, arguments) != " ".join((code, *arguments)), "a code instead of a sentence"
    for argument in arguments:
        _safe(argument)
        assert argument
        assert len(argument.split()) == 1
        assert len(argument) <= 100
    refusal = Refusal(refused.tag, code, arguments)
    _told(refusal)
    if not set("[]") & set("".join(arguments)):  # it is told constants alone
        assert read_greeting(turn_away(code, *arguments)[:-1].decode()) == dataclasses.replace(refusal, tag=0)


def _safe(text: str) -> None:
    assert clean(text) == text, text


def _safe_fields(thing: Command | Message) -> None:
    for field in dataclasses.fields(thing):
        value = getattr(thing, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                _safe(text)


def _one_line(line: bytes, *, safe: bool = True) -> None:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    if safe:
        _safe(line.decode())
