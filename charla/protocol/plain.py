"""The plain dialect: for people with nc or telnet.  Text and bytes in and out."""

from __future__ import annotations

import time
from dataclasses import replace

from charla.i18n import _, when_chosen
from charla.protocol.commands import Command, Ping, Pong
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
from charla.protocol.typed import parse_typed


class PlainDialect(Dialect):
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
"""The one instance that everybody uses."""
