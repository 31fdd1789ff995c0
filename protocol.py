"""The language of Charla: bytes <-> messages, in both directions, without any I/O.

The server, the client, the tests and anybody's bot import this module.  It imports no socket, no thread
and, of the others, only the vocabulary (messages.py), the nicks and the wording: tests/test_protocol.py
checks that.
docs/PROTOCOL.md is the same in prose.

    bytes --LineFramer--> lines --decode_line--> str --Dialect.decode_command--> Command   (to the server)
    Message --Dialect.encode--> bytes                                                      (to the clients)

* A *dialect* is a codec between messages and bytes.  PLAIN is for people with nc and telnet, NATIVE
  for client.py and for bots.  The client's first line chooses it (`read_answer`).
* Everything here that reads what a peer wrote raises `Refused` for what cannot be taken.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

from messages import (
    HISTORY_ASKED,
    HISTORY_AT_JOIN,
    HISTORY_LIMIT,
    MAX_LINE,
    MAX_TEXT,
    PROTOCOL_VERSION,
    Act,
    Acted,
    AskNick,
    Command,
    Crowd,
    Done,
    Earlier,
    Goodbye,
    Hello,
    Help,
    HelpText,
    Here,
    History,
    Joined,
    Leave,
    Left,
    Live,
    Message,
    Notice,
    Past,
    Ping,
    Pong,
    Refusal,
    Refused,
    Rename,
    Renamed,
    Resumed,
    Said,
    Say,
    Tell,
    Token,
    Told,
    Unread,
    Waits,
    Welcome,
    Who,
    clean,
)
from nicks import LEAVE_WORDS, like_a_nick
from wording import (
    GOODBYES,
    USAGE,
    crowd_words,
    earlier_words,
    here_words,
    left_words,
    notice_words,
    sentence,
    unread_words,
    waits_words,
)

__version__ = "0.1.0"

# --------------------------------------------------------------------------------------------------
# Text
# --------------------------------------------------------------------------------------------------


def _message_text(text: str) -> str:
    """Return `text`, which is clean, as the text of a message; Refused when too long or blank."""
    if len(text) * 4 > MAX_TEXT and len(text.encode()) > MAX_TEXT:
        raise Refused("too-long", str(MAX_TEXT))
    if not text or text.isspace():
        raise Refused("no-text")
    return text


# --------------------------------------------------------------------------------------------------
# The grammar of typed lines: one function, for the plain dialect in the server and for client.py
# --------------------------------------------------------------------------------------------------


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
    return Say(_message_text(line), tag)


def _parse_slash(line: str, tag: int) -> Command:
    match = _SLASH.match(line)
    assert match is not None
    name, rest = match[1].lower(), match[2]
    if name not in _SLASH_COMMANDS:
        raise Refused("unknown-command", name)
    return _SLASH_COMMANDS[name](rest, tag)


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
    return Tell(name, _message_text(text), tag)


def _with_text(make: Callable[[str, int], Command], usage: str) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        if not rest.strip():
            raise Refused("usage", usage)
        return make(_message_text(rest), tag)

    return parse


def _slash_nick(rest: str, tag: int) -> Command:
    if not rest.strip():
        raise Refused("usage", "nick")
    return Rename(rest.strip(), tag)


def _with_number(
    make: Callable[[int, int], Command], usual: int, usage: str
) -> Callable[[str, int], Command]:
    def parse(rest: str, tag: int) -> Command:
        number = rest.strip() or str(usual)
        if not _is_number(number):
            raise Refused("usage", usage)
        return make(int(number), tag)

    return parse


def _history(count: int, tag: int) -> History:
    if not 1 <= count <= HISTORY_LIMIT:
        raise Refused("history-count")
    return History(count, tag)


def _alone(command: Command, usage: str) -> Callable[[str, int], Command]:
    def parse(rest: str, _tag: int) -> Command:
        if rest.strip():
            raise Refused("usage", usage)
        return command

    return parse


_SLASH_COMMANDS: dict[str, Callable[[str, int], Command]] = {
    "say": _with_text(Say, "say"),
    "me": _with_text(Act, "me"),
    "msg": _slash_msg,
    "nick": _slash_nick,
    "who": _with_number(Who, 1, "who"),
    "history": _with_number(_history, HISTORY_ASKED, "history"),
    "help": _alone(Help(), "help"),
    **dict.fromkeys(LEAVE_WORDS, _alone(Leave(), "exit")),
}


# --------------------------------------------------------------------------------------------------
# Framing
# --------------------------------------------------------------------------------------------------


class LineFramer:
    """Cuts a stream of bytes into lines; what comes out does not depend on how TCP sliced it."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""  # a line's beginning, never longer than the limit
        self._skipping = False  # inside an over-long line that has been reported

    @property
    def unfinished(self) -> bool:
        """Whether the stream stands in the middle of a line that nobody has been told of."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the lines that `data` completes, without LF or CR LF; None stands for an over-long one.

        A line of more than `limit` bytes is reported once, as soon as it is too long, and skipped up
        to its LF: memory stays bounded by `limit`, whatever comes.
        """
        if self._skipping:
            _, newline, data = data.partition(b"\n")
            if not newline:
                return []
            self._skipping = False
        pieces = (self._rest + data).split(b"\n")
        self._rest = pieces.pop()
        lines: list[bytes | None] = [
            None if len(piece) > self._limit else piece[:-1] if piece.endswith(b"\r") else piece
            for piece in pieces
        ]
        if len(self._rest) > self._limit:
            lines.append(None)
            self._rest = b""
            self._skipping = True
        return lines


def decode_line(line: bytes | None) -> str:
    """Return the text of a line from LineFramer; Refused when it was too long or is not UTF-8."""
    if line is None:
        raise Refused("too-long", str(MAX_TEXT))
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise Refused("not-utf8") from None


# --------------------------------------------------------------------------------------------------
# Dialects
# --------------------------------------------------------------------------------------------------


class Dialect(Protocol):
    """A codec for one kind of client.  Stateless: one instance serves every connection."""

    name: str

    def encode(self, message: Message, own: bool = False) -> bytes:
        """Return the bytes that tell `message`: whole lines, or b"" where this dialect tells nothing.

        `own` is for the copy of the one whose command caused the event.
        """

    def decode_command(self, line: str) -> Command | None:
        """Return what a line of a client asks for, None for nothing at all; raises Refused."""


class PlainDialect:
    """For people with nc or telnet: they type what the client's user types, and read lines.

    Every line a person caused begins with that person's nick or with a mark (* ! ~ [), and no nick
    can hold a mark, a colon or a space: so nobody can forge a notice or another one's words.
    """

    name = "plain"

    def decode_command(self, line: str) -> Command | None:
        return parse_typed(line)

    def encode(self, message: Message, own: bool = False) -> bytes:
        match message:
            case Said(nick=nick, text=text):  # first: the path of nearly everything
                return b"" if own else _under(f"{nick}: ", text)
            case Acted(nick=nick, text=text):
                return b"" if own else _under(f"~ {nick} ", text)
            case Told(nick=nick, to=to, text=text):
                return _under(f"[to {to}] " if own else f"[private] {nick}: ", text)
            case Past(event):
                return self._past(event)
            case AskNick():
                return b"NICK\n"
            case Token() | Resumed() | Live() | Ping() | Pong() | Done():  # a session is for programs
                return b""
            case Refusal(code=code, arguments=arguments):
                return _under("! ", sentence(code, arguments))
            case _:
                return _under("* ", self._notice(message, own))

    def _past(self, event: Said | Acted) -> bytes:
        """Return a message of the history: the server's local time, in brackets, makes it one."""
        at = time.strftime("[%Y-%m-%d %H:%M]", time.localtime(event.time / 1000))
        if isinstance(event, Said):
            return _under(f"{at} {event.nick}: ", event.text)
        return _under(f"{at} ~ {event.nick} ", event.text)

    def _notice(self, message: Message, own: bool) -> str:
        match message:
            case Joined(nick=nick):
                return f"{nick} joined"
            case Left(nick=nick, reason=reason):
                return left_words(nick, reason)
            case Renamed(old=old, nick=nick):
                return f"you are now {nick}" if own else f"{old} is now {nick}"
            case Crowd():
                return crowd_words(message)
            case Welcome(nick=nick, text=text):
                return f"{text or 'Welcome to Charla.'}\nYou are {nick}. /help tells what you can type."
            case Here():
                return here_words(message)
            case Earlier():
                return earlier_words(message)
            case Waits():
                return waits_words(message)
            case Unread():
                return unread_words(message)
            case Notice():
                return notice_words(message)
            case HelpText():
                return "\n".join(f"{typed:<16}{meaning}" for typed, meaning in USAGE.values())
            case Goodbye(reason=reason):
                return GOODBYES.get(reason, "Goodbye!")
            case _:
                raise TypeError(message)


def _under(head: str, text: str) -> bytes:
    """Return the lines of `text`, each under `head`."""
    if "\n" not in text:
        return f"{head}{text}\n".encode()
    return "".join(f"{head}{line}\n" for line in text.split("\n")).encode()


class NativeDialect:
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
            case Past(event):
                return b"PAST " + self.encode(event)
            case Earlier(tag, count):
                line = f"HISTORY {_tag_field(tag, True)} {count}"
            case Token(token, grace):
                line = f"SESSION {token} {grace}"
            case Resumed(nick, people, lost):
                line = f"RESUMED {nick} {people} {lost}"
            case Live(id):
                line = f"LIVE {id}"
            case Waits(id, nick):
                line = f"WAITS {id} {nick}"
            case Done(tag):
                line = f"DONE {tag}"
            case Ping(number):
                line = f"PING {number}"
            case Pong(number):
                line = f"PONG {number}"
            case Welcome(id, at, nick, people, text):
                line = f"WELCOME {id} {at} {nick} {people} {_escape(text)}".rstrip()
            case Here(tag, page, pages, people, nicks):
                line = " ".join(("WHO", _tag_field(tag, True), f"{page} {pages} {people}", *nicks))
            case Refusal(tag, code, arguments):
                line = " ".join(("ERROR", _tag_field(tag, True), code, *arguments))
            case Goodbye(reason):
                line = f"BYE {reason}"
            case AskNick() | HelpText():  # only a person needs the one after an ERROR, or the other
                return b""
        return f"{line}\n".encode()

    def decode(self, line: str) -> Message:
        """Return the message in a line from the server, its text cleaned; Refused("malformed") if none is.

        A verb of a later version is Refused("malformed", verb) too: a client passes over it.
        """
        verb, *fields = line.split(" ", 1)
        if verb not in _LAYOUTS:
            raise Refused("malformed", verb)
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
            return _read_hello(rest)
        if verb == "PING":
            return Ping(_read_number(rest))
        if verb == "PONG":
            return Pong(_read_number(rest))
        if verb not in _TAGGED:
            raise Refused("malformed", verb or "empty-line")
        field, _, rest = rest.partition(" ")
        tag = _read_number(field)
        if not tag:
            raise Refused("malformed", "tag")
        try:
            return _TAGGED[verb](rest, tag)
        except Refused as refused:
            refused.tag = tag
            raise


def _tag_field(tag: int, own: bool) -> str:
    return str(tag) if own and tag else "-"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n") if "\\" in text or "\n" in text else text


_ESCAPE = re.compile(r"\\(.?)")


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        if match[1] not in ("\\", "n"):
            raise Refused("malformed", "escape")
        return "\n" if match[1] == "n" else "\\"

    return _ESCAPE.sub(character, text)


def _is_number(field: str) -> bool:
    """Say whether `field` is 1 to 15 ASCII digits.  int() alone takes far more than the wire has."""
    return len(field) <= 15 and field.isascii() and field.isdigit()


def _read_number(field: str) -> int:
    if not _is_number(field):
        raise Refused("malformed", "number")
    return int(field)


def _read_tag(field: str) -> int:
    return 0 if field == "-" else _read_number(field)


def _read_text(field: str) -> str:
    return clean(_unescape(field))


def _read_words(field: str) -> tuple[str, ...]:
    return tuple(clean(word) for word in field.split(" ")) if field else ()


def _write_hello(hello: Hello) -> str:
    options = ""
    if hello.session:
        options += f" session={hello.session}"
    if hello.resumes:
        options += f" last={hello.last}"
    if hello.history != HISTORY_AT_JOIN:
        options += f" history={hello.history}"
    return f"HELLO {PROTOCOL_VERSION} {hello.nick}{options}"


def _read_hello(rest: str) -> Hello:
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
    if not to:
        raise Refused("malformed", "nick")
    return Tell(to, _message_text(_read_text(text)), tag)


# The commands that carry a tag: what stands behind it.
_TAGGED: dict[str, Callable[[str, int], Command]] = {
    "SAY": lambda rest, tag: Say(_message_text(_read_text(rest)), tag),
    "ME": lambda rest, tag: Act(_message_text(_read_text(rest)), tag),
    "MSG": _read_msg,
    "NICK": lambda rest, tag: Rename(rest, tag),
    "WHO": lambda rest, tag: Who(_read_number(rest), tag),
    "HISTORY": lambda rest, tag: _history(_read_number(rest), tag),
}

# What the server says: the class behind each verb, and what reads its fields, one by one.
_EVENT = (_read_number, _read_number)  # id, time
_LAYOUTS: dict[str, tuple[Callable[..., Message], tuple[Callable[[str], object], ...]]] = {
    "SAY": (Said, (*_EVENT, _read_tag, clean, _read_text)),
    "ME": (Acted, (*_EVENT, _read_tag, clean, _read_text)),
    "MSG": (Told, (*_EVENT, _read_tag, clean, clean, _read_text)),
    "JOIN": (Joined, (*_EVENT, clean)),
    "LEAVE": (Left, (*_EVENT, clean, clean)),
    "NICK": (Renamed, (*_EVENT, _read_tag, clean, clean)),
    "CROWD": (Crowd, (*_EVENT, _read_number, _read_number, _read_number)),
    "UNREAD": (Unread, (*_EVENT, clean, _read_number)),
    "NOTICE": (Notice, (*_EVENT, clean, _read_words)),
    "PAST": (Past, (_read_past,)),
    "HISTORY": (Earlier, (_read_tag, _read_number)),
    "SESSION": (Token, (clean, _read_number)),
    "RESUMED": (Resumed, (clean, _read_number, _read_number)),
    "LIVE": (Live, (_read_number,)),
    "WAITS": (Waits, (_read_number, clean)),
    "DONE": (Done, (_read_number,)),
    "PING": (Ping, (_read_number,)),
    "PONG": (Pong, (_read_number,)),
    "WELCOME": (Welcome, (*_EVENT, clean, _read_number, _read_text)),
    "WHO": (Here, (_read_tag, _read_number, _read_number, _read_number, _read_words)),
    "ERROR": (Refusal, (_read_tag, clean, _read_words)),
    "BYE": (Goodbye, (clean,)),
}

PLAIN = PlainDialect()
NATIVE = NativeDialect()


def read_answer(line: str) -> tuple[Dialect, Command]:
    """Return the dialect that a client's first line chooses, and what it asks for (Hello or Leave).

    The nick in it is judged by `check_nick`, not here.  Raises Refused for a HELLO that cannot be
    read; the dialect is native then all the same (`is_native`).
    """
    if is_native(line):
        return NATIVE, _read_hello(line.partition(" ")[2])
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


def read_greeting(line: str) -> AskNick | Refusal:
    """Return what the first line from a server says; Refused("malformed") if it is no Charla's."""
    if line == "NICK":
        return AskNick()
    match = _TURNED_AWAY.fullmatch(clean(line))
    if match is None:
        raise Refused("malformed", "greeting")
    return Refusal(0, match[1], tuple(match[2].split()))
