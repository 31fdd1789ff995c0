"""The screen: how a message looks to a person.  Messages in, finished lines out; nothing is printed here.

Every line begins with the local time, and a long one goes on under its own text, never at the left
edge: so no text, however long or full of line breaks, can pass for another person's line.

Threads: `lines` belongs to the thread that takes messages (network; main before that one runs), and so
does what it remembers, the day and the minute.  Everything else may be called by any thread: it only reads.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from charla.client.display import help_topics, screen_reader
from charla.client.display.colors import BOLD, DIM, MARKED, Palette, has_many_colors, paint
from charla.client.display.dates import clock, day_of, day_words, when
from charla.client.display.mentions import spans
from charla.client.display.widths import UNLIMITED, cuts, display_width, shortened, wrap
from charla.i18n import _
from charla.protocol.describe import describe
from charla.protocol.messages import (
    Acted,
    Banned,
    Crowd,
    HistoryEntry,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Renamed,
    Said,
    Told,
    Topic,
    Unread,
    Welcome,
)

_MARGIN = 6  # columns: the width of a time and a space
_NARROW_HELP = 50  # columns: in fewer the help begins at the left
_MEANING = 24  # columns that the help's right column has at least, or it goes under the left one

_TIMED = (Joined, Left, Renamed, Crowd, Unread, Notice, Welcome, Moderated)
"""What has a time to be told; what else is not talk is an answer."""

_TYPED = (Moderated, Topic, Banned)
"""What ends in a text that somebody has typed."""


class Screen:
    """Words and colours for messages, for a person who is called `me`.

    `width()` is in columns, 0 for lines that are not to be wrapped; `terminal`: a person looks at them, and
    no script; `plain`: a screen reader reads them aloud (screen_reader.py): no colours, nothing wrapped.
    """

    def __init__(
        self,
        width: Callable[[], int],
        color: bool,
        *,
        plain: bool = False,
        terminal: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.time_shown = True  # main writes; each method reads it once: either is as good
        self._width = width  # like what follows up to `_now`, never changed
        self._palette = Palette(has_many_colors(os.environ)) if color else None
        self._plain = plain
        self._terminal = terminal
        self._now = now
        # Of the last message with a time, and of the thread of `lines` alone: the minute since 1970, that as
        # a clock shows it, and the day.
        self._minute = -1
        self._clock = ""
        self._day: tuple[int, int, int] | None = None

    def lines(self, message: Message, me: str) -> list[str]:
        """Return the lines to print for a message, as `me` sees it; none for what is not to be seen.

        A line with the day comes first when it is not the day of the message before.
        """
        match message:
            case Said(_id, at) | Acted(_id, at) | Told(_id, at):
                return self._new_day(at) + self._talk(message, me, self._time())
            case HistoryEntry(event):
                return self._past(event, me)
        text = describe(message, me)
        if not text:
            return []
        day, begin = [], self._margin()
        if isinstance(message, _TIMED):
            day, begin = self._new_day(message.time), self._time()
        elif isinstance(message, Topic) and self._plain:
            return text.split("\n")  # each says that it is the topic
        color = BOLD if isinstance(message, Moderated) and message.action == "announce" else DIM
        return day + self._notice(color, begin, text, under=isinstance(message, _TYPED))

    def found(self, messages: Sequence[Said | Acted | Told], me: str) -> list[str]:
        """Return the lines for messages from before, as those of the history are."""
        return [line for message in messages for line in self._past(message, me)]

    def notice(self, text: str) -> list[str]:
        """Return what the client itself has to say."""
        return self._notice(DIM, self._margin(), text)

    def error(self, text: str) -> list[str]:
        """Return what went wrong."""
        return screen_reader.error(text) if self._plain else self._marked("", self._margin(), "! ", text)

    def help(self, topic: str = "", *, alt_enter: bool = False) -> list[str]:
        """Return what can be typed: on one of help_topics.TOPICS, or on all but what is for moderators.

        `alt_enter`: the console breaks a line at Alt+Enter.
        """
        sections = help_topics.sections(topic, alt_enter=alt_enter, script=not self._terminal)
        if self._plain:
            return [
                line
                for heading, rows in sections
                for line in (heading, *(screen_reader.usage(typed, meaning) for typed, meaning in rows))
            ]
        lines: list[str] = []
        for heading, rows in sections:
            lines += self._marked(BOLD, self._margin(), "* ", heading)
            column = max(display_width(typed) for typed, _meaning in rows) + 2
            for typed, meaning in rows:
                lines += self._usage(typed, meaning, column)
        return lines

    # ---- times and days ------------------------------------------------------------------------------

    def _time(self) -> str:
        """Return what a line of the minute that is noted begins with."""
        return f"{self._clock} " if self.time_shown else ""

    def _new_day(self, at: int) -> list[str]:
        """Take note of the time of a message; return the line with its day when that is another one."""
        minute = at // 60_000
        if minute == self._minute:
            return []
        self._minute, self._clock = minute, clock(at)
        before, self._day = self._day, day_of(at)
        if before in (None, self._day):
            return []
        if self._plain:
            return screen_reader.notice(day_words(at)[0])
        columns = self._columns()
        rows = [f"-- {words} --" for words in day_words(at)]
        fitting = (row for row in rows if display_width(row) <= columns)
        return [self._paint(DIM, next(fitting, shortened(rows[-1], columns)))]

    def _margin(self) -> str:
        """Return what a line without a time begins with."""
        return " " * _MARGIN if self.time_shown else ""

    # ---- talk ----------------------------------------------------------------------------------------

    def _talk(self, event: Said | Acted | Told, me: str, begin: str) -> list[str]:
        """Lay out what somebody said or did, behind `begin`."""
        if self._plain:
            first, *others = screen_reader.talk(event, me)
            return [begin + first, *others]
        head, tail = _who(event, me)
        named = event.nick != me and spans(event.text, me)
        if named and self._terminal and not self._palette and not isinstance(event, Told):
            head = _("{nick} (names you)").format(nick=head)
        color = ""
        if self._palette:
            color = self._palette.private if isinstance(event, Told) else self._palette.of_nick(event.nick)
        return self._laid_out(begin, head, tail, event.text, dim=DIM, color=color, named=me if named else "")

    def _past(self, event: Said | Acted | Told, me: str) -> list[str]:
        """Lay a message of the history out like a live one, but all dim, and its time in brackets."""
        told = when(event.time, self._now())
        if self._plain:
            return screen_reader.earlier(event, told, me)
        head, tail = _who(event, me)
        return [self._paint(DIM, line) for line in self._laid_out(f"[{told}] ", head, tail, event.text)]

    def _laid_out(
        self, begin: str, head: str, tail: str, text: str, *, dim: str = "", color: str = "", named: str = ""
    ) -> list[str]:
        """Lay `text` out behind `begin` (in the colour `dim`), `head` (in `color`) and `tail`.

        In colours, what names `named` stands out in the text.
        """
        columns = self._columns()
        width = display_width(begin)
        indent = taken = width + display_width(head) + len(tail)
        if taken > columns // 2:  # a narrow screen, or a long nick
            indent = max(1, min(_MARGIN if begin else 2, columns // 4))
        start = self._paint(dim, begin[:-1]) + begin[-1:]
        if taken < columns:
            start += self._paint(color, head) + tail
        else:  # not even the name fits on a row: it is wrapped with the text
            text, taken = head + tail + text, width
        lines: list[str] = []
        for paragraph in text.split("\n"):
            marks = spans(paragraph, named) if named and self._palette else []
            for first, last in cuts(paragraph, columns - (indent if lines else taken), columns - indent):
                line = _with_marks(paragraph, first, last, marks) if marks else paragraph[first:last]
                lines.append((" " * indent if lines else start) + line)
        return lines

    # ---- notices -------------------------------------------------------------------------------------

    def _notice(self, color: str, begin: str, text: str, under: bool = False) -> list[str]:
        if self._plain:
            first, *others = screen_reader.notice(text, under)
            return [begin.lstrip() + first, *others]
        return self._marked(color, begin, "* ", text, under)

    def _marked(self, color: str, begin: str, mark: str, text: str, under: bool = False) -> list[str]:
        """Lay `text` out behind the mark: each of its paragraphs, or (`under`) only the first.

        `under` is for what somebody has typed: its second paragraph must not pass for another notice.
        """
        width = self._columns() - len(begin) - len(mark)
        margin = " " * (len(begin) + len(mark))
        lines: list[str] = []
        for paragraph in text.split("\n"):
            pieces = wrap(paragraph, width, width)
            first = margin if under and lines else begin + mark
            lines += [first + pieces[0], *(margin + piece for piece in pieces[1:])]
        return [self._paint(color, line) for line in lines]

    def _usage(self, typed: str, meaning: str, column: int) -> list[str]:
        """Lay out a row of the help: in two columns, or one under the other."""
        columns = self._columns()
        margin = " " * (2 if columns < _NARROW_HELP else len(self._margin()) + 2)
        columns_left = columns - len(margin)
        if columns_left - column < _MEANING:
            meanings = wrap(meaning, columns_left - 2, columns_left - 2)
            lines = [*wrap(typed, columns_left, columns_left), *(f"  {line}" for line in meanings)]
        else:
            first, *others = wrap(meaning, columns_left - column, columns_left - column)
            lines = [typed + " " * (column - display_width(typed)) + first]
            lines += [" " * column + line for line in others]
        return [margin + line for line in lines]

    def _columns(self) -> int:
        return self._width() or UNLIMITED

    def _paint(self, color: str, text: str) -> str:
        return paint(color, text) if self._palette and color and text else text


def _who(event: Said | Acted | Told, me: str) -> tuple[str, str]:
    """Return who said or did it, and to whom if to one alone; and what stands between that and the text."""
    if isinstance(event, Told):
        you = _("you")
        return f"{you if event.nick == me else event.nick} -> {you if event.to == me else event.to}", ": "
    return (f"~ {event.nick}", " ") if isinstance(event, Acted) else (event.nick, ": ")


def _with_marks(text: str, start: int, end: int, marked: list[tuple[int, int]]) -> str:
    """Return `text` from `start` to `end`, with what is in `marked` standing out."""
    line = ""
    for first, last in marked:
        first, last = max(first, start), min(last, end)
        if first < last:
            line += text[start:first] + paint(MARKED, text[first:last])
            start = last
    return line + text[start:end]
