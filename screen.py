"""The screen: how a message looks to a person.  Messages in, finished lines out; nothing is printed here.

Every line begins with the local time, and a long one goes on under its own text, never at the left
edge: so no text, however long or full of line breaks, can pass for another person's line.
"""

from __future__ import annotations

import os
import re
import sys
import time
import unicodedata
import zlib
from collections.abc import Callable

from messages import (
    Acted,
    Banned,
    Crowd,
    Earlier,
    Here,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Past,
    Renamed,
    Said,
    Status,
    Told,
    Topic,
    Unread,
    Waits,
    Welcome,
)
from wording import (
    MODERATORS_USAGE,
    USAGE,
    banned_words,
    crowd_words,
    earlier_words,
    here_words,
    left_words,
    moderated_words,
    notice_words,
    status_words,
    topic_words,
    unread_words,
    waits_words,
)

_BOLD, _DIM, _RED, _MAGENTA = "1", "2", "31", "35"
_NICK_COLORS = ("32", "33", "34", "36", "92", "94", "96")  # of the 16: every theme makes them readable

_MARGIN = " " * 6  # the width of a time and a space


def use_color(choice: str) -> bool:
    """Say whether to colour, by --color (auto, always or never), NO_COLOR (no-color.org) and TERM."""
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


class Screen:
    """Words and colours for messages; `width()` in columns, 0 for lines that are not to be wrapped."""

    def __init__(self, width: Callable[[], int], color: bool, now: Callable[[], float] = time.time) -> None:
        self._width = width
        self._color = color
        self._now = now

    def lines(self, message: Message, me: str) -> list[str]:
        """Return the lines to print for a message, as `me` sees it; none for what is not to be seen."""
        match message:
            case Said(_, at, _, nick, text):
                return self._talk(_clock(at), self._nick(nick), f"{nick}: ", text)
            case Acted(_, at, _, nick, text):
                return self._talk(_clock(at), "~ " + self._nick(nick), f"~ {nick} ", text)
            case Told(_, at, _, nick, to, text):
                who = f"{'you' if nick == me else nick} -> {'you' if to == me else to}"
                return self._talk(_clock(at), self._paint(_MAGENTA, who), f"{who}: ", text)
            case Joined(_, at, nick):
                return self._notices(at, f"{nick} joined")
            case Left(_, at, nick, reason):
                return self._notices(at, left_words(nick, reason))
            case Renamed(_, at, _, old, nick):
                return self._notices(at, f"you are now {nick}" if nick == me else f"{old} is now {nick}")
            case Crowd(_, at):
                return self._notices(at, crowd_words(message))
            case Unread(_, at):
                return self._notices(at, unread_words(message))
            case Notice(_, at):
                return self._notices(at, notice_words(message))
            case Moderated(_, at, action=action):
                color = _BOLD if action == "announce" else _DIM
                return self._marked(color, f"{_clock(at)} ", "* ", moderated_words(message), under=True)
            case Past(event):
                return self._past(event)
            case Welcome(_, at, nick, _, text):
                return self._notices(
                    at, f"{text or 'Welcome to Charla.'}\nYou are {nick}. /help tells what you can type."
                )
            case Here():
                return self.notice(here_words(message))
            case Earlier():
                return self.notice(earlier_words(message))
            case Waits():
                return self.notice(waits_words(message))
            case Topic():
                return self._marked(_DIM, _MARGIN, "* ", topic_words(message), under=True)
            case Banned():
                return self._marked(_DIM, _MARGIN, "* ", banned_words(message), under=True)
            case Status():
                return self.notice(status_words(message))
            case _:
                return []

    def help(self, moderators: bool = False) -> list[str]:
        """Return what can be typed, by everyone or by moderators."""
        usage = MODERATORS_USAGE if moderators else USAGE
        width = max(len(typed) for typed, _ in usage.values()) + 2
        return [
            line for typed, meaning in usage.values() for line in self.notice(f"{typed:<{width}}{meaning}")
        ]

    def notice(self, text: str) -> list[str]:
        """Return what the client itself has to say."""
        return self._marked(_DIM, _MARGIN, "* ", text)

    def error(self, text: str) -> list[str]:
        """Return what went wrong."""
        return self._marked(_RED, _MARGIN, "! ", text)

    def prompt(self, nick: str, unsent: int, reconnecting: bool = False) -> str:
        """Return what stands before what is typed."""
        state = ["reconnecting"] if reconnecting else []
        if unsent:
            state.append(f"{unsent} unsent")
        return f"{nick} ({', '.join(state)})> " if state else f"{nick}> "

    def _past(self, event: Said | Acted) -> list[str]:
        """Lay a message of the history out like a live one, but all dim, and its time in brackets."""
        colorless = Screen(self._width, color=False)
        acts = isinstance(event, Acted)
        painted, head = (f"~ {event.nick}", f"~ {event.nick} ") if acts else (event.nick, f"{event.nick}: ")
        lines = colorless._talk(f"[{self._date(event.time)}]", painted, head, event.text)
        return [self._paint(_DIM, line) for line in lines]

    def _date(self, at: int) -> str:
        """Return the local time, with the day when that is not today, and the year when not this one."""
        then, today = time.localtime(at / 1000), time.localtime(self._now())
        year = f" {then.tm_year}" if then.tm_year != today.tm_year else ""
        day = f"{then.tm_mday} {_MONTHS[then.tm_mon - 1]}{year} "
        return ("" if then[:3] == today[:3] else day) + time.strftime("%H:%M", then)

    def _talk(self, clock: str, painted: str, head: str, text: str) -> list[str]:
        """Lay `text` out behind the time and `head`, which looks like `painted` but for the colon."""
        painted += head[len(head.rstrip(": ")) :]
        taken = display_width(f"{clock} {head}")
        columns = self._width()
        if columns and taken >= columns:  # not even the name fits on a row: it is wrapped with the text
            painted, text, taken = "", head + text, len(clock) + 1
        indent = taken
        if columns and taken > columns // 2:  # a narrow screen, or a long nick
            indent = min(len(_MARGIN), columns // 4)
        laid_out: list[str] = []
        for paragraph in text.split("\n"):
            first = columns - (indent if laid_out else taken)
            laid_out += wrap(paragraph, first, columns - indent) if columns else [paragraph]
        margin = " " * indent
        return [
            f"{self._paint(_DIM, clock)} {painted}{laid_out[0]}",
            *(margin + line for line in laid_out[1:]),
        ]

    def _notices(self, at: int, text: str) -> list[str]:
        return self._marked(_DIM, f"{_clock(at)} ", "* ", text)

    def _marked(self, color: str, clock: str, mark: str, text: str, under: bool = False) -> list[str]:
        """Lay `text` out behind the mark: each of its paragraphs, or (`under`) only the first.

        `under` is for what somebody has typed: its second paragraph must not pass for another notice.
        """
        columns = self._width()
        lines: list[str] = []
        for paragraph in text.split("\n"):
            width = columns - len(_MARGIN) - len(mark)
            pieces = wrap(paragraph, width, width) if columns else [paragraph]
            begin = f"{_MARGIN}  " if under and lines else f"{clock}{mark}"
            lines += [f"{begin}{pieces[0]}", *(f"{_MARGIN}  {piece}" for piece in pieces[1:])]
        return [self._paint(color, line) for line in lines]

    def _nick(self, nick: str) -> str:
        return self._paint(_NICK_COLORS[zlib.crc32(nick.encode()) % len(_NICK_COLORS)], nick)

    def _paint(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self._color else text


def _clock(at: int) -> str:
    return time.strftime("%H:%M", time.localtime(at / 1000))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def display_width(text: str) -> int:
    """Return the columns that `text` takes on a terminal (UAX #11: wide ones take two)."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    """Return the columns of one character: where terminals differ, what the widest of them takes.

    A line that is wrapped early is only short; one that the terminal wraps goes on at the left edge.
    """
    if character.isascii():
        return 1
    if character == "\ufe0f":  # makes an emoji of the symbol before it, and that is wide in some terminals
        return 1
    category = unicodedata.category(character)
    if category in ("Mn", "Me") or _JOINERS.match(character):
        return 0
    if category == "Cn" or _WIDE_SYMBOLS.match(character):  # Cn: perhaps an emoji newer than Python's tables
        return 2
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


# Of the format characters (Cf) those without a form of their own.  Others have one: soft hyphens...
_JOINERS = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\U000e0000-\U000e007f]")

# Wide since Unicode 16, or in some terminals, and not by the tables of older Pythons.
_WIDE_SYMBOLS = re.compile(
    "[\u2630-\u2637\u268a-\u268f\u3248-\u324f\u4dc0-\u4dff\U0001d300-\U0001d376\U0001f1e6-\U0001f1ff]"
)


def wrap(text: str, first: int, rest: int) -> list[str]:
    """Cut `text` into lines of at most `first`, then `rest`, columns: at spaces where there are any.

    At least one character goes on a line, however narrow.  Spaces inside are kept as they are; the one
    at which a line is cut is dropped.
    """
    lines: list[str] = []
    room = first
    while True:
        used = 0
        for end, character in enumerate(text):  # noqa: B007 - where it stopped is what is wanted
            used += _character_width(character)
            if used > room:
                break
        else:
            return [*lines, text] if text or not lines else lines
        space = text.rfind(" ", 1, end + 1)
        if space > 0 and text[:space].strip():
            lines.append(text[:space])
            text = text[space + 1 :]
        else:
            if end == 0 and lines:  # not even one fits
                end = 1
            lines.append(text[:end])  # may be empty, when the first line has no room at all
            text = text[end:]
        room = max(rest, 1)
