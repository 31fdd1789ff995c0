"""What was said and is not confirmed yet: the one thing that the client's two threads share.

It knows what was sent on the present link, and what was ever sent: what is to be sent again when a lost
link is back, and of what nobody can know whether it was said.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

from charla.protocol.commands import (
    Act,
    AskBans,
    AskStatus,
    AskTopic,
    History,
    Mod,
    Rename,
    Ruling,
    Say,
    Tell,
    Who,
)
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    Banned,
    HistoryEntry,
    HistoryHeader,
    Message,
    Moderated,
    Refusal,
    Renamed,
    Said,
    Status,
    Told,
    Topic,
    WhoPage,
)

Question: TypeAlias = Who | History | AskTopic | AskBans | AskStatus
Tagged: TypeAlias = Say | Act | Tell | Rename | Mod | Ruling | Question


@dataclass
class _Entry:
    command: Tagged
    line: str
    since: float  # time.monotonic()
    sent: bool = False  # on any link
    overdue: bool = False  # it has been named for that


class Outbox:
    """What was said and is not confirmed: tag -> command and typed line, in order.  For both threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the rest; notified when a wait may end
        self._entries: dict[int, _Entry] = {}
        self._untold = 0  # commands that are answered, but whose answers the listener does not have yet
        self._waiting: deque[int] = deque()  # tags that were not sent on the present link
        self._last_tag = 0
        self._closed = False
        # The network thread's: an answer to HISTORY is under way, to this tag, and so many are to come.
        self._past_to_come: tuple[int, int] | None = None

    def new_tag(self) -> int:
        """Return the number for the next command: 1, 2, 3..."""
        with self._changed:
            self._last_tag += 1
            return self._last_tag

    def add(self, command: Tagged, line: str, now: float) -> None:
        """Keep a command, typed as `line`, until it is confirmed; its tag is higher than those before.

        `now` is of time.monotonic.
        """
        with self._changed:
            self._entries[command.tag] = _Entry(command, line, now)
            self._waiting.append(command.tag)

    def take(self) -> Tagged | None:
        """Return the next command to send on the present link, which counts as sent; None: there is none."""
        with self._changed:
            while self._waiting:
                entry = self._entries.get(self._waiting.popleft())
                if entry is not None:
                    entry.sent = True
                    return entry.command
            return None

    def new_link(self) -> None:
        """Nothing was sent yet on the link that begins now.  For the network thread."""
        self._past_to_come = None
        with self._changed:
            self._waiting = deque(self._entries)

    def remove(self, tag: int) -> str | None:
        """Forget what was confirmed or refused, and return its line; None if there is none under `tag`."""
        with self._changed:
            entry = self._entries.pop(tag, None)
            if entry is None:
                return None
            self._untold += 1
            return entry.line

    def settle(self, message: Message) -> str | None:
        """Forget the command that a message answers, if any, and return its line.  For the network thread."""
        match message:
            case HistoryHeader(tag, count) if tag and count:  # answered when all of it is here
                self._past_to_come = (tag, count)
            case HistoryEntry() if self._past_to_come is not None:
                tag, count = self._past_to_come
                self._past_to_come = (tag, count - 1) if count > 1 else None
                return self.remove(tag) if count == 1 else None
            case Banned(tag=tag, number=number, total=total) if number < total:
                return None  # answered when all of them are here
            case (
                Said(tag=tag)
                | Acted(tag=tag)
                | Told(tag=tag)
                | Renamed(tag=tag)
                | WhoPage(tag=tag)
                | HistoryHeader(tag=tag)
                | Moderated(tag=tag)
                | Topic(tag=tag)
                | Banned(tag=tag)
                | Status(tag=tag)
                | Refusal(tag=tag)
                | AlreadyDone(tag=tag)
            ) if tag:
                return self.remove(tag)
        return None

    def forget_sent(self) -> list[str]:
        """Forget the messages that were sent, on any link, and return their lines."""
        with self._changed:
            sent = {
                tag: entry.line
                for tag, entry in self._entries.items()
                if entry.sent and not isinstance(entry.command, Question)
            }
            for tag in sent:
                del self._entries[tag]
            self._untold += len(sent)
            return list(sent.values())

    def answers_told(self) -> None:
        """End the waits for what was answered: the listener has the answers.  For the network thread."""
        with self._changed:
            if self._untold:
                self._untold = 0
                self._changed.notify_all()

    def wait_below(self, count: int, timeout: float | None = None) -> bool:
        """Wait until fewer than `count` commands are without an answer that the listener has.

        Say whether they are.  If the wait ended as soon as an answer came, a console that shows nothing while
        somebody types would begin the next line without it.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._entries) + self._untold < count or self._closed, timeout
            )

    def close(self) -> None:
        """Nothing will be confirmed any more: end every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def unsent(self) -> list[str]:
        """Return the lines of the messages that are not confirmed, in order.  Questions do not count."""
        with self._changed:
            return [e.line for e in self._entries.values() if not isinstance(e.command, Question)]

    def overdue(self, before: float) -> tuple[list[str], float | None]:
        """Return what waits since `before` or longer, each line once; and since when the next one does.

        Times are of time.monotonic.
        """
        lines: list[str] = []
        with self._changed:
            for entry in self._entries.values():
                if entry.overdue or isinstance(entry.command, Question):
                    continue
                if entry.since > before:
                    return lines, entry.since
                entry.overdue = True
                lines.append(entry.line)
        return lines, None

    def never_sent(self) -> bool:
        """Whether a message waits that was not sent on any link."""
        with self._changed:
            return any(not e.sent and not isinstance(e.command, Question) for e in self._entries.values())
