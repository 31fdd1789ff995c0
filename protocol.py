"""The language of Charla: bytes <-> messages, in both directions, without any I/O.

The server, the client, the tests and anybody's bot import this module; it imports none of them, and
no socket and no thread (tests/test_protocol.py checks that).  docs/PROTOCOL.md is the same in prose.

    bytes --LineFramer--> lines --decode_line--> str --Dialect.decode_command--> Command   (to the server)
    Message --Dialect.encode--> bytes                                                      (to the clients)

* A *command* is what one person asks of the room: Say, Private, Rename...
* A *message* is what the room tells a client.  Most are *events*: things that happened in the room,
  with an id one higher than the last and a Unix time in milliseconds.
* A *dialect* is a codec between messages and bytes.  PLAIN is for people with nc and telnet, NATIVE
  for client.py and for bots.  The client's first line chooses it (`read_answer`).
* `Refused` is the one exception for input that cannot be taken: the sender's fault, told to the
  sender as a stable code with arguments, and never the end of the connection.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

__version__ = "0.1.0"

PROTOCOL_VERSION = 1

MAX_TEXT = 4096
"""Bytes of UTF-8 in the text of one message: a page of prose, and small against every buffer."""

MAX_LINE = 2 * MAX_TEXT + 256
"""Bytes of a line without its LF: a text with every character escaped, and room for verb and fields."""

MAX_NICK = 24
"""Characters (code points, after NFKC) of a nick."""

MAX_NUMBER = 10**15 - 1
"""The highest id, tag, time or count on the wire: 15 digits, exact in a double and in SQLite."""

WHO_PAGE = 50
"""Nicks on a page of /who: the longest page, 50 x 24 characters of 4 bytes, fits in MAX_LINE."""


class Refused(Exception):
    """Input that cannot be taken, and why: a stable `code`, its `arguments`, and the line's `tag`.

    Raised by everything here that reads what a peer wrote.  `sentence` words it for a person.
    """

    def __init__(self, code: str, *arguments: str, tag: int = 0) -> None:
        super().__init__(code, *arguments)
        self.code = code
        self.arguments = tuple(_argument(argument) for argument in arguments if argument)
        self.tag = tag


def _argument(text: str) -> str:
    """Return `text` as one field of a line: no spaces, nothing unsafe, at most 100 characters."""
    return "_".join(clean(text).split())[:100]


# --------------------------------------------------------------------------------------------------
# Commands: what one person asks of the room.  `tag` is the client's own number for it, 0 without one.
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Take a seat under this nick (as it was asked for: `check_nick` judges it)."""

    nick: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say `text` to everyone."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Act:
    """/me: tell everyone what one does."""

    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Tell:
    """Say `text` to the one called `to` (as it was typed), and to nobody else."""

    to: str
    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Rename:
    """Be called `nick` from now on (as it was asked for)."""

    nick: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Who:
    """Ask who is here; pages count from 1 and hold WHO_PAGE nicks."""

    page: int = 1
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Help:
    """Ask what can be typed."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room on purpose."""


Command: TypeAlias = Hello | Say | Act | Tell | Rename | Who | Help | Leave


# --------------------------------------------------------------------------------------------------
# Messages: what the room tells a client.  The first seven are events, with an id and a time in ms.
# Fields stand in the order of the native dialect.  `tag` is the author's, 0 without one: it is written
# only into the author's own copy, where it confirms the command.
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """`nick` said `text` to everyone."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@dataclass(frozen=True, slots=True)
class Acted:
    """`nick` did something, told with /me."""

    id: int
    time: int
    tag: int
    nick: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """`nick` said `text` to `to` alone: only these two are told."""

    id: int
    time: int
    tag: int
    nick: str
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Joined:
    """`nick` came in."""

    id: int
    time: int
    nick: str


@dataclass(frozen=True, slots=True)
class Left:
    """`nick` is gone; `reason` is a code of LEAVE_REASONS."""

    id: int
    time: int
    nick: str
    reason: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """`old` is called `nick` from now on."""

    id: int
    time: int
    tag: int
    old: str
    nick: str


@dataclass(frozen=True, slots=True)
class Crowd:
    """In a full room joins and leaves are told as counts; `people` are in now."""

    id: int
    time: int
    joined: int
    left: int
    people: int


@dataclass(frozen=True, slots=True)
class AskNick:
    """The server waits for a nickname."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """You are in, as `nick`; `id` and `time` are of your own join.  `text` is the operator's, or empty."""

    id: int
    time: int
    nick: str
    people: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """Who is here: one page of nicks in alphabetical order, of `people` in all."""

    tag: int
    page: int
    pages: int
    people: int
    nicks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HelpText:
    """What can be typed (plain dialect only: a native client has its own)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command was refused: nothing of it was done.  Codes and their arguments: SENTENCES."""

    tag: int
    code: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last message of a connection; `reason` is a code of GOODBYES."""

    reason: str


Event: TypeAlias = Said | Acted | Told | Joined | Left | Renamed | Crowd
Message: TypeAlias = Event | AskNick | Welcome | Here | HelpText | Refusal | Goodbye


# --------------------------------------------------------------------------------------------------
# Text and nicks
# --------------------------------------------------------------------------------------------------

# What could steer a terminal or reorder a line.  Everything else of Unicode is people's own business:
# combining marks, ZWJ emoji sequences, variation selectors and private-use characters stay.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


def _replacement(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\t":
        return "    "
    if character in "\x0b\x0c\x85\u2028\u2029":  # each of them breaks a line somewhere
        return " "
    return "\ufffd" if character < "\xa0" else ""  # bidi controls have no form of their own


def clean(text: str) -> str:
    """Return `text` without anything that could steer a terminal or reorder a line.

    A tab becomes four spaces, exotic line breaks a space, other controls U+FFFD; bidi controls go.
    LF stays: a message may hold newlines.  Idempotent.
    """
    # isprintable() is a plain loop in C and true for most of what people say.  It is false for every
    # character of _UNSAFE, and for harmless ones (ZWJ) that the expression then lets through.
    if text.isprintable():
        return text
    return _UNSAFE.sub(_replacement, text)


def _message_text(text: str) -> str:
    """Return `text`, which is clean, as the text of a message; Refused when too long or blank."""
    if len(text) * 4 > MAX_TEXT and len(text.encode()) > MAX_TEXT:
        raise Refused("too-long", str(MAX_TEXT))
    if not text or text.isspace():
        raise Refused("no-text")
    return text


# Letters and marks by Unicode, but blank on the screen: with one of them two nicks would look alike.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MAX_MARKS = 3  # combining marks in a row: enough for Thai and Tibetan, too few to paint over other lines

LEAVE_WORDS = frozenset({"exit", "quit", "salir"})

# Every word of the grammar and of the wire, and names that would pass for the chat itself or, in
# "ana -> you" and "[to beto]", for the reader.
RESERVED_NICKS = LEAVE_WORDS | {
    *("nick", "say", "who", "me", "msg", "help", "hello", "bye", "welcome", "error"),
    *("server", "servidor", "charla", "you", "tú", "private", "to"),
}


def nick_key(nick: str) -> str:
    """Return what two nicks have in common exactly when they count as the same one."""
    if nick.isascii():
        return nick.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nick).casefold())


def check_nick(nick: str) -> str:
    """Return `nick` in the form everybody will see (NFKC), or raise Refused with a nick-... code."""
    nick = unicodedata.normalize("NFKC", nick)
    if not nick:
        raise Refused("nick-empty")
    if " " in nick:
        raise Refused("nick-space")
    marks = 0
    for character in nick:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        letter_digit_mark = category[0] == "L" or category in ("Nd", "Mn", "Mc") or character in "_-."
        if not letter_digit_mark or marks > _MAX_MARKS or _INVISIBLE.match(character):
            raise Refused("nick-character", f"U+{ord(character):04X}")
    if not nick[0].isalpha():
        raise Refused("nick-start")
    if len(nick) > MAX_NICK:
        raise Refused("nick-long", str(MAX_NICK))
    if nick_key(nick) in RESERVED_NICKS:
        raise Refused("nick-reserved", nick)
    return nick


_ASCII_NICK = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def _like_a_nick(name: str) -> bool:
    """Say whether `name` is written like a nick, of any length, invisible characters not counted.

    Wider than `check_nick` on purpose: a slip in the name must not make a secret public.
    """
    if name.isascii():
        return _ASCII_NICK.fullmatch(name) is not None
    categories = [(c, unicodedata.category(c)) for c in unicodedata.normalize("NFKC", name)]
    visible = [(c, category) for c, category in categories if category != "Cf"]
    return bool(visible) and all(
        category[0] in "LM" or (position and (category == "Nd" or c in "_-."))
        for position, (c, category) in enumerate(visible)
    )


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
        if name and not rest.startswith(("//", "\\")) and _like_a_nick(name):
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


def _slash_who(rest: str, tag: int) -> Command:
    page = rest.strip() or "1"
    if not _is_number(page):
        raise Refused("usage", "who")
    return Who(int(page), tag)


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
    "who": _slash_who,
    "help": _alone(Help(), "help"),
    **dict.fromkeys(LEAVE_WORDS, _alone(Leave(), "exit")),
}

# What /help shows, and what "usage" quotes: how it is typed, and what it does.
USAGE: dict[str, tuple[str, str]] = {
    "text": ("TEXT", "say it to everyone"),
    "colon": ("USER: TEXT", "say it to USER alone"),
    "msg": ("/msg USER TEXT", "the same"),
    "say": ("/say TEXT", "say it to everyone as it stands: /say note: no class today"),
    "me": ("/me TEXT", "tell what you do"),
    "nick": ("/nick NEW", "change your nickname"),
    "who": ("/who [PAGE]", "who is here"),
    "help": ("/help", "this help"),
    "exit": ("/exit", "leave; so do exit, quit, salir alone on a line, and Ctrl+C"),
}


# --------------------------------------------------------------------------------------------------
# Sentences: what the codes mean to a person
# --------------------------------------------------------------------------------------------------

SENTENCES: dict[str, str] = {
    "nick-empty": "A nickname is needed: 1 to 24 letters, digits, _ - or . with a letter first.",
    "nick-space": "A nickname has no spaces: use _ or - instead.",
    "nick-long": "That nickname is too long: at most {0} characters.",
    "nick-start": "A nickname begins with a letter.",
    "nick-character": "A nickname cannot have the character {0}: only letters, digits, _ - and .",
    "nick-reserved": "'{0}' is a word of the chat itself: choose another nickname.",
    "nick-taken": "'{0}' is taken: choose another nickname.",
    "nick-same": "You are called {0} already.",
    "no-such-user": "Nobody here is called '{0}', so nothing was sent, to anyone. "
    "/who tells who is here; for everyone to read it, begin with /say.",
    "no-text": "Nothing was sent: there is no text.",
    "no-text-for": "Nothing was sent: there is no text for '{0}'. For everyone to read it, begin with /say.",
    "no-page": "There is no such page: the last one is {0}.",
    "usage": "Nothing was sent. It is written like this: {0}",
    "unknown-command": "There is no command /{0}, so nothing was sent. /help lists them; "
    "for everyone to read the line, begin with /say.",
    "too-long": "Nothing was sent: that is longer than {0} bytes. Send it in parts.",
    "not-utf8": "Nothing was sent: that line is not UTF-8 text. Set your terminal to UTF-8.",
    "unfinished": "Your last line was not sent: it had no line end.",
    "malformed": "That line is not of the protocol ({0}): see docs/PROTOCOL.md.",
    "hello-first": "Nothing was sent: HELLO comes first.",
    "version": "This server speaks version {0} of the protocol only: use a client of the same version.",
    "full": "The room is full ({0} people): try again later.",
}

GOODBYES: dict[str, str] = {
    "left": "Goodbye!",
    "closing": "The server is closing. Goodbye!",
    "error": "You were dropped: the server had an internal error. It has been recorded.",
}

LEAVE_REASONS: dict[str, str] = {
    "left": "",
    "lost": "connection lost",
    "slow": "dropped: not reading",
    "error": "dropped: server error",
}


def sentence(code: str, arguments: tuple[str, ...] = ()) -> str:
    """Return the sentence for a Refusal; for a code of a later version, the code and its arguments."""
    if code == "usage" and arguments and arguments[0] in USAGE:
        arguments = USAGE[arguments[0]][:1]
    try:
        return SENTENCES[code].format(*arguments)
    except (KeyError, IndexError):
        return " ".join((code, *arguments))


def left_words(nick: str, reason: str) -> str:
    """Return the sentence that tells that somebody is gone, and why."""
    why = LEAVE_REASONS.get(reason, reason)
    return f"{nick} left ({why})" if why else f"{nick} left"


def here_words(here: Here) -> str:
    """Return the sentence that tells who is here."""
    nicks = ", ".join(here.nicks)
    if here.pages == 1:
        return f"{here.people} here: {nicks}"
    following = f" (/who {here.page + 1} for more)" if here.page < here.pages else ""
    return f"{here.people} here, page {here.page} of {here.pages}: {nicks}{following}"


def crowd_words(crowd: Crowd) -> str:
    """Return the sentence that tells how a crowd has changed."""
    return f"{crowd.joined} joined, {crowd.left} left: {crowd.people} here"


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
            case AskNick():
                return b"NICK\n"
            case Refusal(code=code, arguments=arguments):
                return _under("! ", sentence(code, arguments))
            case _:
                return _under("* ", self._notice(message, own))

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
            case Said(id, time, tag, nick, text):  # first: the path of nearly everything
                line = f"SAY {id} {time} {_tag_field(tag, own)} {nick} {_escape(text)}"
            case Acted(id, time, tag, nick, text):
                line = f"ME {id} {time} {_tag_field(tag, own)} {nick} {_escape(text)}"
            case Told(id, time, tag, nick, to, text):
                line = f"MSG {id} {time} {_tag_field(tag, own)} {nick} {to} {_escape(text)}"
            case Joined(id, time, nick):
                line = f"JOIN {id} {time} {nick}"
            case Left(id, time, nick, reason):
                line = f"LEAVE {id} {time} {nick} {reason}"
            case Renamed(id, time, tag, old, nick):
                line = f"NICK {id} {time} {_tag_field(tag, own)} {old} {nick}"
            case Crowd(id, time, joined, left, people):
                line = f"CROWD {id} {time} {joined} {left} {people}"
            case Welcome(id, time, nick, people, text):
                line = f"WELCOME {id} {time} {nick} {people} {_escape(text)}".rstrip()
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
            case Hello(nick):
                line = f"HELLO {PROTOCOL_VERSION} {nick}"
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


def _read_hello(rest: str) -> Hello:
    """Read `1 nick [key=value ...]`: options of later versions are passed over."""
    version, _, rest = rest.partition(" ")
    if _read_number(version) != PROTOCOL_VERSION:
        raise Refused("version", str(PROTOCOL_VERSION))
    nick, *options = rest.split(" ")
    if not all("=" in option for option in options):
        raise Refused("nick-space")
    return Hello(nick)


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
