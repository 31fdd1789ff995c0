"""The language of Charla: bytes <-> messages, in both directions, without any I/O.

The server, the client, the tests and anybody's bot import this module.  It imports no socket, no thread
and, of the others, only what is as pure: the vocabulary (messages.py), the grammar of what people type
(typed.py), the native dialect (native.py), the nicks and the wording: tests/test_protocol.py checks that.
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
from dataclasses import replace
from typing import Protocol

from charla.i18n import _, when_chosen
from charla.protocol.framing import LineFramer as LineFramer
from charla.protocol.framing import decode_line as decode_line
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    AskNick,
    AskPassword,
    Banned,
    CaughtUp,
    Command,
    Crowd,
    DeliveryPending,
    Goodbye,
    Hello,
    HelpText,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Leave,
    Left,
    Message,
    Moderated,
    Notice,
    Ping,
    Pong,
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
from charla.protocol.native import NativeDialect, read_hello
from charla.protocol.nicks import LEAVE_WORDS
from charla.protocol.sentences import (
    MODERATORS_USAGE,
    USAGE,
    banned_words,
    crowd_words,
    earlier_words,
    goodbye_words,
    here_words,
    left_words,
    moderated_words,
    notice_words,
    sentence,
    status_words,
    topic_words,
    unread_words,
    usage_words,
    waits_words,
)
from charla.protocol.text import Refused, clean
from charla.protocol.typed import parse_typed

__version__ = "0.1.0"


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

    def __init__(self) -> None:
        when_chosen(self._learn_language)  # once, and not for each message

    def _learn_language(self) -> None:
        self._private, _nick, self._behind_private = _("[private] {nick}: ").partition("{nick}")
        self._to, _nick, self._behind_to = _("[to {nick}] ").partition("{nick}")

    def decode_command(self, line: str) -> Command | None:
        return parse_typed(line)

    def encode(self, message: Message, own: bool = False) -> bytes:
        match message:
            case Said(nick=nick, text=text):  # first: the path of nearly everything
                return b"" if own else _under(f"{nick}: ", text)
            case Acted(nick=nick, text=text):
                return b"" if own else _under(f"~ {nick} ", text)
            case Told(nick=nick, to=to, text=text):
                if own:
                    return _under(f"{self._to}{to}{self._behind_to}", text)
                return _under(f"{self._private}{nick}{self._behind_private}", text)
            case HistoryEntry(event):
                return self._past(event)
            case AskNick():
                return b"NICK\n"
            case AskPassword():
                return b"PASSWORD\n"
            case (
                Token() | Resumed() | CaughtUp() | Ping() | Pong() | AlreadyDone()
            ):  # a session is for programs
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
                return _("{nick} joined").format(nick=nick)
            case Left(nick=nick, reason=reason):
                return left_words(nick, reason)
            case Renamed(old=old, nick=nick):
                return (_("you are now {nick}") if own else _("{old} is now {nick}")).format(
                    old=old, nick=nick
                )
            case Crowd():
                return crowd_words(message)
            case Welcome(nick=nick, text=text):
                you = _("You are {nick}. /help tells what you can type.").format(nick=nick)
                return f"{text or _('Welcome to Charla.')}\n{you}"
            case WhoPage():
                return here_words(message)
            case HistoryHeader():
                return earlier_words(message)
            case DeliveryPending():
                return waits_words(message)
            case Unread():
                return unread_words(message)
            case Notice():
                return notice_words(message)
            case Moderated(text=text):  # each line of it says whose it is
                return "\n".join(moderated_words(replace(message, text=line)) for line in text.split("\n"))
            case Topic():
                return topic_words(message)
            case Banned():
                return banned_words(message)
            case Status():
                return status_words(message)
            case HelpText(moderators):
                usage = MODERATORS_USAGE if moderators else USAGE
                lines = [usage_words(line) for line in usage.values()]
                width = max(24, max(len(typed) for typed, _meaning in lines) + 2)
                return "\n".join(f"{typed:<{width}}{meaning}" for typed, meaning in lines)
            case Goodbye(reason=reason):
                return goodbye_words(reason)
            case _:
                raise TypeError(message)


def _under(head: str, text: str) -> bytes:
    """Return the lines of `text`, each under `head`."""
    if "\n" not in text:
        return f"{head}{text}\n".encode()
    return "".join(f"{head}{line}\n" for line in text.split("\n")).encode()


PLAIN = PlainDialect()
NATIVE = NativeDialect()


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
