"""The plain dialect: for people with nc or telnet.  Text and bytes in and out."""

from __future__ import annotations

import time
from dataclasses import replace

from charla.client.display.phrases import sentence
from charla.i18n import _, when_chosen
from charla.protocol.commands import Command
from charla.protocol.describe import describe
from charla.protocol.dialect import Dialect
from charla.protocol.messages import (
    Acted,
    AskNick,
    AskPassword,
    Goodbye,
    HelpText,
    HistoryEntry,
    Message,
    Moderated,
    Refusal,
    Renamed,
    Said,
    Told,
)
from charla.protocol.sentences import MODERATORS_USAGE, USAGE, goodbye_words, usage_words
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
            case Refusal(code=code, arguments=arguments):
                return _under("! ", sentence(code, arguments))
            case Goodbye(reason=reason):
                told = goodbye_words(reason)
            case HelpText(moderators):
                told = _help(moderators)
            case Moderated(text=text):  # each line of it says whose it is
                told = "\n".join(describe(replace(message, text=line)) for line in text.split("\n"))
            case Renamed(nick=nick) if own:
                told = describe(message, nick)
            case _:
                told = describe(message)
        # A session (Token, Ping, ...) is for programs: there is nothing to tell of it.
        return _under("* ", told) if told else b""

    def _past(self, event: Said | Acted) -> bytes:
        """Return a message of the history: the server's local time, in brackets, makes it one."""
        at = time.strftime("[%Y-%m-%d %H:%M]", time.localtime(event.time / 1000))
        if isinstance(event, Said):
            return _under(f"{at} {event.nick}: ", event.text)
        return _under(f"{at} ~ {event.nick} ", event.text)


def _help(moderators: bool) -> str:
    """Return what can be typed, in two columns."""
    lines = [usage_words(usage) for usage in (MODERATORS_USAGE if moderators else USAGE).values()]
    width = max(24, max(len(typed) for typed, _meaning in lines) + 2)
    return "\n".join(f"{typed:<{width}}{meaning}" for typed, meaning in lines)


def _under(head: str, text: str) -> bytes:
    """Return the lines of `text`, each under `head`."""
    if "\n" not in text:
        return f"{head}{text}\n".encode()
    return "".join(f"{head}{line}\n" for line in text.split("\n")).encode()


PLAIN = PlainDialect()
"""The one instance that everybody uses."""
