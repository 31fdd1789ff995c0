"""What a client of the fault test notes down: one record per session, entry after entry as things happen.

A record is evidence: it holds what the client was handed, never what it ought to have been handed.
Records are kept as JSON lines (`save`, `load`): a file each, its first line whose it is, the others an entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from charla.protocol.messages import (
    Acted,
    Crowd,
    Event,
    Joined,
    Left,
    Moderated,
    Notice,
    Renamed,
    Said,
    Told,
    Unread,
)

_Entry = TypeVar("_Entry", bound="Entry")


@dataclass(frozen=True, slots=True)
class Asked:
    """The client handed this to its outbox; `kind` as in Heard (say, me, msg, nick), or who.

    Every `text` of say, me and msg is unique in the whole run; of nick it is the nick asked for.
    """

    tag: int
    kind: str
    to: str
    text: str


@dataclass(frozen=True, slots=True)
class Entered:
    """WELCOME: the session began, with the join that has this id.

    `whole`: the opening came up to its end; else the link was cut within it, and then resumed.
    """

    id: int
    time: int
    nick: str
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that the listener was handed.

    kind    nick    to      text
    say me  author          text
    msg     author  to      text
    join    who
    leave   who             reason
    nick    old     new
    crowd                   "joined left people"
    unread  who             count
    notice                  code and arguments

    `tag` is not 0 in the author's own copy alone.
    """

    id: int
    time: int
    kind: str
    nick: str
    to: str
    text: str
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Before:
    """A message of the history, shown at the join."""

    id: int
    time: int
    kind: str
    nick: str
    text: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The outbox let go of this tag because the room had done it; `id` 0 when it does not say as what."""

    tag: int
    id: int


@dataclass(frozen=True, slots=True)
class Declined:
    """The outbox let go of this tag because the room had refused it."""

    tag: int
    code: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection was lost; the session is to be resumed."""


@dataclass(frozen=True, slots=True)
class TakenUp:
    """RESUMED, under this nick, with so many events lost."""

    nick: str
    lost: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The session's end; the last entry of every record.  `how`:

    live     the run was over, and this session was live, with nothing unconfirmed
    left     the client asked to leave, and the server said goodbye
    cut      the client asked to leave, and the connection broke before it heard the goodbye
    gone     the server did not have the seat any more
    """

    how: str


Entry: TypeAlias = Asked | Entered | Heard | Before | Confirmed | Declined | LinkDown | TakenUp | Ended

_CLASSES: tuple[type[Entry], ...] = (
    Asked,
    Entered,
    Heard,
    Before,
    Confirmed,
    Declined,
    LinkDown,
    TakenUp,
    Ended,
)


@dataclass(eq=False, slots=True)
class Record:
    """What one session of one client noted down.  Owned by whoever drives the client, until its end."""

    client: str  # whose; stays when the nick changes and when the client comes again
    number: int  # of the client's sessions, from 1
    entries: list[Entry] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what findings and files call it."""
        return f"{self.client}-{self.number}"

    def of(self, kind: type[_Entry]) -> Iterator[_Entry]:
        """Yield the entries of one class, in order."""
        return (entry for entry in self.entries if isinstance(entry, kind))


def heard(event: Event) -> Heard:
    """Return the entry for an event."""
    match event:
        case Said():
            return Heard(event.id, event.time, "say", event.nick, "", event.text, event.tag)
        case Acted():
            return Heard(event.id, event.time, "me", event.nick, "", event.text, event.tag)
        case Told():
            return Heard(event.id, event.time, "msg", event.nick, event.to, event.text, event.tag)
        case Joined():
            return Heard(event.id, event.time, "join", event.nick, "", "")
        case Left():
            return Heard(event.id, event.time, "leave", event.nick, "", event.reason)
        case Renamed():
            return Heard(event.id, event.time, "nick", event.old, event.nick, "", event.tag)
        case Crowd():
            return Heard(event.id, event.time, "crowd", "", "", f"{event.joined} {event.left} {event.people}")
        case Unread():
            return Heard(event.id, event.time, "unread", event.nick, "", str(event.count))
        case Notice():
            return Heard(event.id, event.time, "notice", "", "", " ".join((event.code, *event.arguments)))
        case Moderated():
            return Heard(event.id, event.time, event.action, event.by, event.nick, event.text, event.tag)


def save(records: Iterable[Record], folder: Path) -> None:
    """Write each record to a file of its own in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in records:
        with (folder / f"{record.name}.jsonl").open("w", encoding="utf-8") as file:
            for line in ([record.client, record.number], *map(_fields, record.entries)):
                file.write(json.dumps(line) + "\n")


def _fields(entry: Entry) -> list[object]:
    return [type(entry).__name__, *astuple(entry)]


def load(folder: Path) -> list[Record]:
    """Read what `save` wrote."""
    classes = {kind.__name__: kind for kind in _CLASSES}
    records = []
    for path in sorted(folder.glob("*.jsonl")):
        (client, number), *entries = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        records.append(Record(client, number, [classes[name](*fields) for name, *fields in entries]))
    return records
