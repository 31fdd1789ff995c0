"""The native dialect: for client.py and for bots.  docs/PROTOCOL.md is the same in prose.

A verb, fields, the free text last; ids, times and confirmations.  Pure: text and bytes in and out.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from charla.protocol.commands import (
    HISTORY_AT_JOIN,
    PROTOCOL_VERSION,
    Act,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Command,
    Hello,
    Help,
    History,
    Kick,
    Leave,
    Mod,
    Mute,
    Ping,
    Pong,
    Rename,
    Say,
    SetQuiet,
    SetTopic,
    Tell,
    Unban,
    Unmute,
    Who,
)
from charla.protocol.dialect import Dialect
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    AskNick,
    AskPassword,
    Banned,
    CaughtUp,
    Crowd,
    DeliveryPending,
    Goodbye,
    HelpText,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Refusal,
    Renamed,
    Resumed,
    Said,
    Status,
    Token,
    Told,
    Topic,
    Unread,
    Welcome,
    WhoPage,
)
from charla.protocol.text import Refused, clean
from charla.protocol.typed import check_duration, history, is_number, message_text, why_text


class NativeDialect(Dialect):
    """For client.py and for bots: a verb, fields, the free text last; ids, times and confirmations.

    It reads and writes both sides, so that a client needs nothing but this class.
    """

    name = "native"

    def encode(self, message: Message, own: bool = False) -> bytes:
        match message:
            case Said(id, at, tag, nick, text):  # first: the path of nearly everything
                line = f"SAY {id} {at} {_tag_field(tag, own)} {nick} {_escape(text)}"
            case Acted(id, at, tag, nick, text):
                line = f"ME {id} {at} {_tag_field(tag, own)} {nick} {_escape(text)}"
            case Told(id, at, tag, nick, to, text):
                line = f"MSG {id} {at} {_tag_field(tag, own)} {nick} {to} {_escape(text)}"
            case Joined(id, at, nick):
                line = f"JOIN {id} {at} {nick}"
            case Left(id, at, nick, reason):
                line = f"LEAVE {id} {at} {nick} {reason}"
            case Renamed(id, at, tag, old, nick):
                line = f"NICK {id} {at} {_tag_field(tag, own)} {old} {nick}"
            case Crowd(id, at, joined, left, people):
                line = f"CROWD {id} {at} {joined} {left} {people}"
            case Unread(id, at, nick, count):
                line = f"UNREAD {id} {at} {nick} {count}"
            case Notice(id, at, code, arguments):
                line = " ".join((f"NOTICE {id} {at} {code}", *arguments))
            case Moderated(id, at, tag, action, by, nick, seconds, text):
                who = f"{by} {nick or '-'} {seconds}"
                line = f"MODERATED {id} {at} {_tag_field(tag, own)} {action} {who}{_last_field(text)}"
            case HistoryEntry(event):
                return b"PAST " + self.encode(event)
            case Topic(tag, quiet, text):
                line = f"TOPIC {_tag_field(tag, True)} {'on' if quiet else 'off'}{_last_field(text)}"
            case Banned(tag, number, total, nick, address, seconds, by, why):
                who = f"{nick or '-'} {address or '-'} {seconds} {by or '-'}"
                line = f"BANNED {_tag_field(tag, True)} {number} {total} {who}{_last_field(why)}"
            case Status(tag, values):
                line = " ".join(("STATUS", _tag_field(tag, True), *values))
            case HistoryHeader(tag, count):
                line = f"HISTORY {_tag_field(tag, True)} {count}"
            case Token(token, grace):
                line = f"SESSION {token} {grace}"
            case Resumed(nick, people, lost):
                line = f"RESUMED {nick} {people} {lost}"
            case CaughtUp(id):
                line = f"LIVE {id}"
            case DeliveryPending(id, nick):
                line = f"WAITS {id} {nick}"
            case AlreadyDone(tag):
                line = f"DONE {tag}"
            case Ping(number):
                line = f"PING {number}"
            case Pong(number):
                line = f"PONG {number}"
            case Welcome(id, at, nick, people, text):
                line = f"WELCOME {id} {at} {nick} {people}{_last_field(text)}"
            case WhoPage(tag, page, pages, people, nicks):
                line = " ".join(("WHO", _tag_field(tag, True), f"{page} {pages} {people}", *nicks))
            case Refusal(tag, code, arguments):
                line = " ".join(("ERROR", _tag_field(tag, True), code, *arguments))
            case Goodbye(reason):
                line = f"BYE {reason}"
            case AskNick() | AskPassword() | HelpText():  # only a person needs these
                return b""
        return f"{line}\n".encode()

    def decode(self, line: str) -> Message:
        """Return the message in a line from the server, its text cleaned; Refused("malformed") if none is.

        A verb of a later version is Refused("malformed", verb) too: a client passes over it.
        """
        verb, *fields = line.split(" ", 1)
        if verb not in _LAYOUTS:
            raise _not_a_verb(verb)
        make, readers = _LAYOUTS[verb]
        fields = fields[0].split(" ", len(readers) - 1) if fields else []
        if len(fields) == len(readers) - 1 and readers[-1] in (_read_text, _read_words):
            fields.append("")  # the last field may be empty, and its space gone
        if len(fields) != len(readers):
            raise Refused("malformed", verb)
        return make(*(read(field) for read, field in zip(readers, fields, strict=True)))

    def encode_command(self, command: Command) -> bytes:
        """Return the line a client sends for `command`; tags are 1 to MAX_NUMBER."""
        match command:
            case Hello():
                line = _write_hello(command)
            case Say(text, tag):
                line = f"SAY {tag} {_escape(text)}"
            case Act(text, tag):
                line = f"ME {tag} {_escape(text)}"
            case Tell(to, text, tag):
                line = f"MSG {tag} {to} {_escape(text)}"
            case Rename(nick, tag):
                line = f"NICK {tag} {nick}"
            case Who(page, tag):
                line = f"WHO {tag} {page}"
            case History(count, tag):
                line = f"HISTORY {tag} {count}"
            case AskTopic(tag):
                line = f"TOPIC {tag}"
            case SetTopic(text, tag):
                line = f"TOPIC {tag} {_escape(text)}" if text else f"NOTOPIC {tag}"
            case Mod(password, tag):
                line = f"MOD {tag} {_escape(password)}"
            case Kick(nick, why, tag):
                line = f"KICK {tag} {nick}{_last_field(why)}"
            case Ban(nick, seconds, why, tag):
                line = f"BAN {tag} {nick} {seconds}{_last_field(why)}"
            case AskBans(tag):
                line = f"BANS {tag}"
            case Unban(nick, tag):
                line = f"UNBAN {tag} {nick}"
            case Mute(nick, seconds, tag):
                line = f"MUTE {tag} {nick} {seconds}"
            case Unmute(nick, tag):
                line = f"UNMUTE {tag} {nick}"
            case Announce(text, tag):
                line = f"ANNOUNCE {tag} {_escape(text)}"
            case SetQuiet(on, tag):
                line = f"QUIET {tag} {'on' if on else 'off'}"
            case AskStatus(tag):
                line = f"STATUS {tag}"
            case Ping(number):
                line = f"PING {number}"
            case Pong(number):
                line = f"PONG {number}"
            case Leave():
                line = "BYE"
            case Help():
                raise TypeError("help is the client's own: it is not asked of the server")
        return f"{line}\n".encode()

    def decode_command(self, line: str) -> Command | None:
        verb, _, rest = line.partition(" ")
        if verb == "BYE":
            return Leave()
        if verb == "HELLO":
            return read_hello(rest)
        if verb == "PING":
            return Ping(_read_number(rest))
        if verb == "PONG":
            return Pong(_read_number(rest))
        if verb not in _TAGGED:
            raise _not_a_verb(verb)
        field, _, rest = rest.partition(" ")
        tag = _read_number(field)
        if not tag:
            raise Refused("malformed", "tag")
        try:
            return _TAGGED[verb](rest, tag)
        except Refused as refused:
            refused.tag = tag
            raise


def _not_a_verb(verb: str) -> Refused:
    return Refused("malformed", clean(verb).strip() or "empty-line")


def _tag_field(tag: int, own: bool) -> str:
    return str(tag) if own and tag else "-"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\\" in text or "\n" in text else text


def _last_field(text: str) -> str:
    """Return a text that may be empty, with the space before it."""
    return f" {_escape(text)}" if text else ""


_ESCAPE = re.compile(r"\\(.?)")


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        if match[1] not in ("\\", "n"):
            raise Refused("malformed", "escape")
        return "\n" if match[1] == "n" else "\\"

    return _ESCAPE.sub(character, text)


def _read_number(field: str) -> int:
    if not is_number(field):
        raise Refused("malformed", "number")
    return int(field)


def _read_tag(field: str) -> int:
    return 0 if field == "-" else _read_number(field)


def _read_text(field: str) -> str:
    return clean(_unescape(field))


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


def _read_switch(field: str) -> bool:
    if field not in ("on", "off"):
        raise Refused("malformed", "switch")
    return field == "on"


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
    if _read_number(version) != PROTOCOL_VERSION:
        raise Refused("version", str(PROTOCOL_VERSION))
    nick, *fields = rest.split(" ")
    if not all("=" in field for field in fields):
        raise Refused("nick-space")
    options = dict(field.split("=", 1) for field in fields)
    session = options.get("session", "")
    if not _TOKEN.fullmatch(session):
        raise Refused("malformed", "session")
    last = _read_number(options.get("last", "0"))
    history = _read_number(options.get("history", str(HISTORY_AT_JOIN)))
    return Hello(nick, session, last, min(history, HISTORY_AT_JOIN))


_TOKEN = re.compile(r"[A-Za-z0-9_-]{0,64}")


def _read_past(field: str) -> Said | Acted:
    event = NATIVE.decode(field)
    if not isinstance(event, (Said, Acted)):
        raise Refused("malformed", "PAST")
    return event


def _read_msg(rest: str, tag: int) -> Command:
    to, _, text = rest.partition(" ")
    return Tell(_one_nick(to), message_text(_read_text(text)), tag)


def _read_kick(rest: str, tag: int) -> Command:
    nick, _, why = rest.partition(" ")
    return Kick(_one_nick(nick), why_text(_read_text(why)), tag)


def _read_ban(rest: str, tag: int) -> Command:
    nick, _, rest = rest.partition(" ")
    seconds, _, why = rest.partition(" ")
    duration = check_duration(_read_number(seconds))
    return Ban(_one_nick(nick), duration, why_text(_read_text(why)), tag)


def _read_mute(rest: str, tag: int) -> Command:
    nick, _, seconds = rest.partition(" ")
    duration = check_duration(_read_number(seconds))
    if not duration:
        raise Refused("duration")
    return Mute(_one_nick(nick), duration, tag)


def _one_nick(field: str) -> str:
    if clean(field).split() != [field]:
        raise Refused("malformed", "nick")
    return field


# The commands that carry a tag: what stands behind it.
_TAGGED: dict[str, Callable[[str, int], Command]] = {
    "SAY": lambda rest, tag: Say(message_text(_read_text(rest)), tag),
    "ME": lambda rest, tag: Act(message_text(_read_text(rest)), tag),
    "MSG": _read_msg,
    "NICK": lambda rest, tag: Rename(rest, tag),
    "WHO": lambda rest, tag: Who(_read_number(rest), tag),
    "HISTORY": lambda rest, tag: history(_read_number(rest), tag),
    "TOPIC": lambda rest, tag: SetTopic(message_text(_read_text(rest)), tag) if rest else AskTopic(tag),
    "NOTOPIC": lambda _, tag: SetTopic("", tag),
    "MOD": lambda rest, tag: Mod(_unescape(rest), tag),
    "KICK": _read_kick,
    "BAN": _read_ban,
    "BANS": lambda _, tag: AskBans(tag),
    "UNBAN": lambda rest, tag: Unban(_one_nick(rest), tag),
    "MUTE": _read_mute,
    "UNMUTE": lambda rest, tag: Unmute(_one_nick(rest), tag),
    "ANNOUNCE": lambda rest, tag: Announce(message_text(_read_text(rest)), tag),
    "QUIET": lambda rest, tag: SetQuiet(_read_switch(rest), tag),
    "STATUS": lambda _, tag: AskStatus(tag),
}

# What the server says: the class behind each verb, and what reads its fields, one by one.
_EVENT = (_read_number, _read_number)  # id, time
_LAYOUTS: dict[str, tuple[Callable[..., Message], tuple[Callable[[str], object], ...]]] = {
    "SAY": (Said, (*_EVENT, _read_tag, _read_word, _read_text)),
    "ME": (Acted, (*_EVENT, _read_tag, _read_word, _read_text)),
    "MSG": (Told, (*_EVENT, _read_tag, _read_word, _read_word, _read_text)),
    "JOIN": (Joined, (*_EVENT, _read_word)),
    "LEAVE": (Left, (*_EVENT, _read_word, clean)),
    "NICK": (Renamed, (*_EVENT, _read_tag, _read_word, _read_word)),
    "CROWD": (Crowd, (*_EVENT, _read_number, _read_number, _read_number)),
    "UNREAD": (Unread, (*_EVENT, _read_word, _read_number)),
    "NOTICE": (Notice, (*_EVENT, _read_code, _read_words)),
    "MODERATED": (
        Moderated,
        (*_EVENT, _read_tag, _read_code, _read_word, _read_name, _read_number, _read_text),
    ),
    "TOPIC": (Topic, (_read_tag, _read_switch, _read_text)),
    "BANNED": (
        Banned,
        (
            *(_read_tag, _read_number, _read_number, _read_name, _read_name),
            *(_read_number, _read_name, _read_text),
        ),
    ),
    "STATUS": (Status, (_read_tag, _read_words)),
    "PAST": (HistoryEntry, (_read_past,)),
    "HISTORY": (HistoryHeader, (_read_tag, _read_number)),
    "SESSION": (Token, (_read_word, _read_number)),
    "RESUMED": (Resumed, (_read_word, _read_number, _read_number)),
    "LIVE": (CaughtUp, (_read_number,)),
    "WAITS": (DeliveryPending, (_read_number, _read_word)),
    "DONE": (AlreadyDone, (_read_number,)),
    "PING": (Ping, (_read_number,)),
    "PONG": (Pong, (_read_number,)),
    "WELCOME": (Welcome, (*_EVENT, _read_word, _read_number, _read_text)),
    "WHO": (WhoPage, (_read_tag, _read_number, _read_number, _read_number, _read_words)),
    "ERROR": (Refusal, (_read_tag, _read_code, _read_words)),
    "BYE": (Goodbye, (clean,)),
}

NATIVE = NativeDialect()
"""The one instance that everybody uses."""
