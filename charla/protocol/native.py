"""The native dialect: for client.py and for bots.  docs/PROTOCOL.md is the same in prose.

A verb, fields, the free text last; ids, times and confirmations.  Pure: text and bytes in and out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from charla.protocol.commands import (
    COMMAND_LAYOUTS,
    HISTORY_AT_JOIN,
    PROTOCOL_VERSION,
    AskTopic,
    Command,
    Hello,
    Help,
    Leave,
    Ping,
    Pong,
    SetTopic,
)
from charla.protocol.dialect import Dialect
from charla.protocol.fields import BAN_TIME, MUTE_TIME, OWN_TAG, Field, escape, read_number
from charla.protocol.messages import MESSAGE_LAYOUTS, Acted, HistoryEntry, Message, Said
from charla.protocol.text import Refused, clean


class NativeDialect(Dialect):
    """For client.py and for bots: a verb, fields, the free text last; ids, times and confirmations.

    It reads and writes both sides, so that a client needs nothing but this class.
    """

    name = "native"

    def encode(self, message: Message, own: bool = False) -> bytes:
        if type(message) is Said:  # the path of nearly everything
            tag = message.tag if own and message.tag else "-"
            line = f"SAY {message.id} {message.time} {tag} {message.nick} {escape(message.text)}"
        elif isinstance(message, HistoryEntry):
            return b"PAST " + self.encode(message.event)
        elif type(message) in MESSAGE_LAYOUTS:
            line, fields = MESSAGE_LAYOUTS[type(message)]
            for field, name in zip(fields, message.__match_args__, strict=True):
                line += " -" if field is OWN_TAG and not own else field.write(getattr(message, name))
        else:  # only a person needs these
            return b""
        return f"{line}\n".encode()

    def decode(self, line: str) -> Message:
        """Return the message in a line from the server, its text cleaned; Refused("malformed") if none is.

        A verb of a later version is Refused("malformed", verb) too: a client passes over it.
        """
        verb, *fields = line.split(" ", 1)
        if verb not in _MESSAGES:
            raise _not_a_verb(verb)
        make, layout = _MESSAGES[verb]
        fields = fields[0].split(" ", len(layout) - 1) if fields else []
        if len(fields) == len(layout) - 1 and layout[-1].may_be_missing:
            fields.append("")
        if len(fields) != len(layout):
            raise Refused("malformed", verb)
        return make(*(field.read(text) for field, text in zip(layout, fields, strict=True)))

    def encode_command(self, command: Command) -> bytes:
        """Return the line a client sends for `command`; tags are 1 to MAX_NUMBER."""
        match command:
            case Hello():
                line = _write_hello(command)
            case Ping(number):
                line = f"PING {number}"
            case Pong(number):
                line = f"PONG {number}"
            case Leave():
                line = "BYE"
            case Help():
                raise TypeError("help is the client's own: it is not asked of the server")
            case SetTopic("", tag):
                line = f"NOTOPIC {tag}"
            case _:
                verb, fields = COMMAND_LAYOUTS[type(command)]
                line = f"{verb} {command.tag}"
                for field, name in zip(fields, command.__match_args__, strict=False):  # the tag is the last
                    line += field.write(getattr(command, name))
        return f"{line}\n".encode()

    def decode_command(self, line: str) -> Command | None:
        verb, _, rest = line.partition(" ")
        if verb == "BYE":
            return Leave()
        if verb == "HELLO":
            return read_hello(rest)
        if verb == "PING":
            return Ping(read_number(rest))
        if verb == "PONG":
            return Pong(read_number(rest))
        if verb not in _TAGGED:
            raise _not_a_verb(verb)
        field, _, rest = rest.partition(" ")
        tag = read_number(field)
        if not tag:
            raise Refused("malformed", "tag")
        try:
            return _TAGGED[verb](rest, tag)
        except Refused as refused:
            refused.tag = tag
            raise


def _not_a_verb(verb: str) -> Refused:
    return Refused("malformed", clean(verb).strip() or "empty-line")


def _write_hello(hello: Hello) -> str:
    options = ""
    if hello.session:
        options += f" session={hello.session}"
    if hello.resumes or hello.last:
        options += f" last={hello.last}"
    if hello.history != HISTORY_AT_JOIN:
        options += f" history={hello.history}"
    return f"HELLO {PROTOCOL_VERSION} {hello.nick}{options}"


def read_hello(rest: str) -> Hello:
    """Read `1 nick [key=value ...]`: options of later versions are passed over."""
    version, _, rest = rest.partition(" ")
    if read_number(version) != PROTOCOL_VERSION:
        raise Refused("version", str(PROTOCOL_VERSION))
    nick, *fields = rest.split(" ")
    if not all("=" in field for field in fields):
        raise Refused("nick-space")
    options = dict(field.split("=", 1) for field in fields)
    session = options.get("session", "")
    if not _TOKEN.fullmatch(session):
        raise Refused("malformed", "session")
    last = read_number(options.get("last", "0"))
    history = read_number(options.get("history", str(HISTORY_AT_JOIN)))
    return Hello(nick, session, last, min(history, HISTORY_AT_JOIN))


_TOKEN = re.compile(r"[A-Za-z0-9_-]{0,64}")


def _read_past(field: str) -> Said | Acted:
    event = NATIVE.decode(field)
    if not isinstance(event, (Said, Acted)):
        raise Refused("malformed", "PAST")
    return event


# ---- commands that carry a tag -------------------------------------------------------------------


def _reader(make: Callable[..., Command], fields: tuple[Field, ...]) -> Callable[[str, int], Command]:
    """Return what reads a command, from what stands behind its tag.

    Of several mistakes the first is told, that of a time before all others.
    """
    if not fields:
        return lambda _, tag: make(tag)
    if len(fields) == 1:  # the path of nearly everything
        read = fields[0].read
        return lambda rest, tag: make(read(rest), tag)

    order = sorted(range(len(fields)), key=lambda place: fields[place] not in (BAN_TIME, MUTE_TIME))

    def read_fields(rest: str, tag: int) -> Command:
        given = [*rest.split(" ", len(fields) - 1), *[""] * len(fields)]  # those that are missing are empty
        read = {place: fields[place].read(given[place]) for place in order}
        return make(*(read[place] for place in range(len(fields))), tag)

    return read_fields


_READERS = {kind: _reader(kind, fields) for kind, (_, fields) in COMMAND_LAYOUTS.items()}
_TAGGED = {verb: _READERS[kind] for kind, (verb, _) in COMMAND_LAYOUTS.items()}
_TAGGED["TOPIC"] = lambda rest, tag: _READERS[SetTopic if rest else AskTopic](rest, tag)
_TAGGED["NOTOPIC"] = lambda _, tag: SetTopic("", tag)


# ---- messages, and how they are read -------------------------------------------------------------

_MESSAGES: dict[str, tuple[Callable[..., Message], tuple[Field, ...]]] = {
    verb: (kind, fields) for kind, (verb, fields) in MESSAGE_LAYOUTS.items()
}
_MESSAGES["PAST"] = (HistoryEntry, (Field(_read_past),))


NATIVE = NativeDialect()
"""The one instance that everybody uses."""
