"""Holds every client's record against every other's.  `check` returns what does not fit; nothing is best.

How it works: the union of what all records heard is the *log* that they must all be readings of.  The log is
replayed in the order of its ids, so that for every id it is known who sat under which nick.  Then each
record is held against the log.

What is demanded:

* altered   An id is the same event in every record: time, kind, names, text.  Every text was asked for by the
            session that the log says it is from, as that kind, for that addressee.
* nick      Nobody joins or is renamed to a nick (by its key) that somebody has; who speaks, leaves or is
            renamed is in.
* doubled   No record has an id twice; no text has two ids; no tag is confirmed as two events.
* order     In every record the ids rise, from its own join on.  What a session asked for has ids that rise in
            the order asked.
* lost      A record that was present has every event that concerns it (see below), once.  What was confirmed
            is in the log.  What was refused is not (that is "altered").  A session that lived to the end has
            nothing that is neither confirmed nor refused.  No resume says that events are lost.  The history
            shown at a join has no hole up to that join, or up to where the link was cut.  Who was told
            privately, was cut off and never came back: the author is told by UNREAD.
* leaked    A private message is in its author's and its addressee's records alone; and it never is public.
* gap       Every id behind the first one that somebody has is in somebody's record, unless nobody who could
            have it was there to the end.
* time      A higher id never has a lower time.

*Present*: a record is answerable for the ids after its own join, up to

    ended live    the `end` of the run: the id of an event that every live client had when the run was over
    left          its own leave: the server says goodbye behind everything else
    cut, gone     the last id that it heard.  Events come in order, so below that nothing may be missing; what
                  was on its way behind it may be.  (Others may have it or not have it.)

What may not be demanded:

* A message that was never confirmed may be in the log or not.  But if one record has it, everybody has.
* A message of a session that ended may be in the log although its author did not hear it, as long as it is
  before the author's leave.
* An id that nobody recorded may be a private message between two who both were not there to the end of
  it (or the UNREAD of one who was not).  So a gap needs a witness of its own: a private message that was
  asked for, neither confirmed nor refused nor heard by anybody, whose author and whose addressee both sat in
  the room and have no answerable record that far; or, behind the leave of a lost one, a seat that told them
  something and has no answerable record that far.  Each explains one gap.
* A seat that nobody recorded may exist: the connection broke between HELLO and WELCOME.  It can be joined
  under, told to, and lost, but it cannot speak.  If nobody else was in, nobody was told that it came, or that
  it came and went: so a gap before the first id that somebody has is none, and explains one leave.
* A server without --db, short of memory (`forgetful`), may say at a resume that events are lost; and of who
  did not come back nobody knows what the last resume, which broke, had said.  So of these nothing is
  demanded then but that nothing in the record is doubled, swapped, altered or leaked; and gaps are nobody's
  fault.
* Below room.CROWD people joins and leaves are told by name; with more, this checker does not know who is in.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from chaos.records import (
    Asked,
    Before,
    Confirmed,
    Declined,
    Ended,
    Entered,
    Heard,
    Record,
    TakenUp,
    load,
)
from charla.protocol.nicks import nick_key

_SPOKEN = ("say", "me", "msg")
_PUBLIC = ("say", "me")

MANY_GAPS = 1000
"""Gaps beyond which none of them is explained any more."""

RULES = ("altered", "nick", "doubled", "order", "lost", "leaked", "gap", "time")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit: which of RULES it breaks, and where."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(eq=False, slots=True)
class _Seat:
    """A nick's holder, from its join to its leave; `record` is None when nobody recorded it."""

    record: Record | None
    joined: int
    left: int | None = None  # the id of its leave, None while it sits
    reason: str = ""
    nicks: set[str] = field(default_factory=set)  # every nick_key it had


_Witness: TypeAlias = Callable[[int], bool]
"""Says whether it explains a gap, given its id."""


def check(records: Iterable[Record], end: int, forgetful: bool = False) -> list[Finding]:
    """Return what is wrong with the records; ids above `end` are not looked at.

    `forgetful`: the server may have told at a resume that events are lost; what that excuses is excused.
    """
    return _Check(list(records), end, forgetful).run()


def _may_have_been_resumed(record: Record) -> bool:
    """Whether one may have missed events that a server without memory did not hold any more.

    Who is live at the end, or left, was told at each resume how many: a record that was told of none has none
    missing.  Of the others nobody knows what the last resume, which broke, had told.
    """
    ended = next((entry.how for entry in record.of(Ended)), "cut")
    return ended not in ("live", "left") or any(entry.lost for entry in record.of(TakenUp))


class _Check:
    def __init__(self, records: list[Record], end: int, forgetful: bool) -> None:
        self._records = records
        self._end = end
        self._forgetful = forgetful
        self._forgotten: set[Record] = set()  # who may have lost events, and it is nobody's fault
        self._findings: list[Finding] = []
        self._log: dict[int, Heard] = {}  # by id, without tags
        self._entered: dict[Record, Entered] = {}
        self._seats: dict[Record, _Seat] = {}
        self._all_seats: list[_Seat] = []
        self._authors: dict[int, _Seat] = {}  # who spoke, by id
        self._addressees: dict[int, _Seat] = {}
        self._sitting_at: dict[int, dict[str, _Seat]] = {}  # who sat where, at every gap
        self._before: dict[int, int] = {}  # the last event before a gap that is no UNREAD
        self._ids_of: dict[str, list[int]] = defaultdict(list)  # by text
        self._asked: dict[str, tuple[Record, Asked]] = {}  # by text
        self._declined: dict[Record, dict[int, str]] = {}
        self._confirmed: dict[Record, dict[int, int]] = {}
        self._complete_to: dict[Record, int] = {}

    def run(self) -> list[Finding]:
        """Apply every rule, in the order in which they build on one another."""
        self._merge()
        self._replay()
        self._check_texts()
        self._find_presence()
        for record in self._records:
            self._check_promises(record)
            self._check_order(record)
            if record in self._entered:
                self._check_presence(record)
                self._check_history(record)
        self._check_unread()
        if not self._forgotten:
            self._check_gaps()
        return self._findings

    def _found(self, rule: str, what: str) -> None:
        self._findings.append(Finding(rule, what))

    # ---- the log ---------------------------------------------------------------------------------

    def _merge(self) -> None:
        """Make the log: whatever any record has, and it must be the same in all of them."""
        for record in self._records:
            if self._forgetful and _may_have_been_resumed(record):
                self._forgotten.add(record)
            for entry in record.entries:
                match entry:
                    case Entered():
                        self._entered[record] = entry
                        self._take(record, Heard(entry.id, entry.time, "join", entry.nick, "", ""))
                    case Heard():
                        self._take(record, entry if not entry.tag else replace(entry, tag=0))
                    case Before():
                        self._take(
                            record, Heard(entry.id, entry.time, entry.kind, entry.nick, "", entry.text)
                        )
                    case Asked(kind=kind) if kind in _SPOKEN:
                        self._asked[entry.text] = (record, entry)

    def _take(self, record: Record, event: Heard) -> None:
        if event.id > self._end:
            return
        known = self._log.setdefault(event.id, event)
        if known != event:
            rule = "leaked" if "msg" in (known.kind, event.kind) else "altered"
            self._found(rule, f"{record.name} has {event}, others have {known}")

    def _replay(self) -> None:
        """Go through the log in order: who sits under which nick when something happens."""
        sitting: dict[str, _Seat] = {}
        owners = {entered.id: record for record, entered in self._entered.items()}
        time = 0
        unseen = 0  # ids that may be the join of a seat that nobody recorded, and whose leave has not come
        for number in range(1, self._end + 1):
            event = self._log.get(number)
            if event is None:
                unseen += self._forgetful or not sitting
                self._sitting_at[number] = dict(sitting)
                continue
            if event.time < time:
                self._found("time", f"{event} is earlier than the event before it ({time})")
            time = event.time
            key = nick_key(event.nick)
            if event.kind in _SPOKEN:
                self._ids_of[event.text].append(number)
            match event.kind:
                case "join":
                    if key in sitting:
                        self._found("nick", f"{event} but somebody with that nick is in")
                    seat = _Seat(owners.get(number), number, nicks={key})
                    sitting[key] = seat
                    self._all_seats.append(seat)
                    if seat.record is not None:
                        self._seats[seat.record] = seat
                case "leave" if key not in sitting and unseen:
                    unseen -= 1
                case "leave" | "nick" | "say" | "me" | "msg" if key not in sitting:
                    self._found("nick", f"{event} but nobody with that nick is in")
                case "leave":
                    left = sitting.pop(key)
                    left.left, left.reason = number, event.text
                case "nick":
                    renamed = sitting.pop(key)
                    if nick_key(event.to) in sitting:
                        self._found("nick", f"{event} but somebody with that nick is in")
                    sitting[nick_key(event.to)] = renamed
                    renamed.nicks.add(nick_key(event.to))
                case "say" | "me" | "msg":
                    self._authors[number] = sitting[key]
                    if event.kind == "msg":
                        addressee = sitting.get(nick_key(event.to))
                        if addressee is None:
                            self._found("nick", f"{event} but no addressee with that nick is in")
                        else:
                            self._addressees[number] = addressee

    def _check_texts(self) -> None:
        """Everything that was said was asked for, so, by the one it is from, and once."""
        for text, ids in self._ids_of.items():
            if len(ids) > 1:
                self._found("doubled", f"{text!r} has the ids {ids}")
            if text not in self._asked:
                self._found("altered", f"{self._log[ids[0]]} was asked for by nobody")
                continue
            record, asked = self._asked[text]
            for event in map(self._log.__getitem__, ids):
                if asked.kind == "msg" and event.kind != "msg":
                    self._found("leaked", f"{event} was asked for as {asked} by {record.name}")
                elif asked.kind != event.kind or nick_key(asked.to) != nick_key(event.to):
                    self._found("altered", f"{event} was asked for as {asked} by {record.name}")
                elif event.id in self._authors and self._authors[event.id].record is not record:
                    self._found("altered", f"{event} was asked for by {record.name}, who is another")

    # ---- one record ------------------------------------------------------------------------------

    def _find_presence(self) -> None:
        """Find up to which id each record is answerable for everything."""
        for record in self._records:
            entered = self._entered.get(record)
            if entered is None:
                self._complete_to[record] = 0
                continue
            last = max((entry.id for entry in record.of(Heard)), default=entered.id)
            how = next((entry.how for entry in record.of(Ended)), "cut")
            seat = self._seats.get(record)
            if how == "live":
                last = self._end
            elif how == "left" and seat is not None and seat.left is not None:
                last = max(last, seat.left - 1)
            self._complete_to[record] = min(last, self._end)

    def _check_promises(self, record: Record) -> None:
        """What the server said of a tag is true."""
        asked = {entry.tag: entry for entry in record.of(Asked)}
        declined = {entry.tag: entry.code for entry in record.of(Declined)}
        confirmed: dict[int, int] = {}
        heard = {entry.id for entry in record.of(Heard)}
        for entry in record.of(Confirmed):
            if entry.tag not in asked:
                self._found("altered", f"{record.name} was confirmed tag {entry.tag}, which it never asked")
                continue
            if entry.id and confirmed.get(entry.tag, entry.id) not in (0, entry.id):
                self._found("doubled", f"{record.name}'s tag {entry.tag} is confirmed as two events")
            confirmed[entry.tag] = entry.id
            was = asked[entry.tag]
            if was.kind == "who" or record in self._forgotten:
                continue  # a question: answered is answered
            ids = [entry.id] if was.kind == "nick" else self._ids_of.get(was.text, [])
            if not ids or (entry.id and entry.id not in ids):
                self._found("lost", f"{record.name}'s {was} was confirmed as {entry.id}: not in the log")
            elif ids[0] and ids[0] <= self._end and not heard.intersection(ids):
                self._found("lost", f"{record.name}'s {was} was confirmed as {ids}: not in its own record")
        for tag in declined.keys() & asked.keys():
            if tag in confirmed or (asked[tag].kind in _SPOKEN and asked[tag].text in self._ids_of):
                self._found("altered", f"{record.name}'s {asked[tag]} was refused ({declined[tag]}) and done")
        if any(entry.how == "live" for entry in record.of(Ended)):
            for tag in asked.keys() - declined.keys() - confirmed.keys():
                self._found("lost", f"{record.name}'s {asked[tag]} is neither confirmed nor refused")
        for taken_up in record.of(TakenUp):
            if taken_up.lost and not self._forgetful:
                self._found("lost", f"{record.name} was resumed with {taken_up.lost} events lost")
        self._confirmed[record] = confirmed
        self._declined[record] = declined

    def _check_order(self, record: Record) -> None:
        """The ids of a record rise; and those of what it asked for rise in the order asked."""
        entered = self._entered.get(record)
        last = entered.id if entered is not None else 0
        seen: set[int] = set()
        for entry in record.of(Heard):
            if entry.id in seen:
                self._found("doubled", f"{record.name} has {entry} twice")
            elif entry.id <= last:
                self._found("order", f"{record.name} has {entry} behind {last}")
            seen.add(entry.id)
            last = max(last, entry.id)
        highest = 0
        for asked in record.of(Asked):
            for number in self._ids_of.get(asked.text, []) if asked.kind in _SPOKEN else []:
                if number < highest:
                    self._found("order", f"{record.name}'s {asked} has id {number}, one before it {highest}")
                highest = max(highest, number)
        tag = 0
        for own in sorted((entry for entry in record.of(Heard) if entry.tag), key=lambda entry: entry.id):
            if own.tag < tag:
                self._found("order", f"{record.name}'s {own} comes behind its tag {tag}")
            tag = max(tag, own.tag)

    def _check_presence(self, record: Record) -> None:
        """The record has everything that concerned it while it was there, and nothing that did not."""
        entered, seat = self._entered[record], self._seats.get(record)
        heard = {entry.id for entry in record.of(Heard)}
        to = self._complete_to[record] if record not in self._forgotten else 0
        for number in range(entered.id + 1, to + 1):
            event = self._log.get(number)
            if event is None or number in heard or event.kind == "unread":  # (see `_check_unread`)
                continue
            if event.kind != "msg" or self._is_between(seat, number):
                self._found("lost", f"{record.name} does not have {event}")
        for number in sorted(heard & self._log.keys()):
            if self._log[number].kind == "msg" and not self._is_between(seat, number):
                self._found("leaked", f"{record.name} has {self._log[number]}")

    def _is_between(self, seat: _Seat | None, number: int) -> bool:
        """Say whether the private message with this id is from or to who sits there."""
        return seat is not None and seat in (self._authors.get(number), self._addressees.get(number))

    def _check_history(self, record: Record) -> None:
        """What is shown of before has public messages only, in order, and no hole up to the join."""
        shown = [entry.id for entry in record.of(Before)]
        if shown != sorted(set(shown)):
            self._found("order", f"{record.name} was shown a history in this order: {shown}")
        for entry in record.of(Before):
            if entry.kind not in _PUBLIC:
                self._found("leaked", f"{record.name} was shown {entry}")
        if shown:
            entered = self._entered[record]
            to = entered.id if entered.whole else max(shown)
            for number in range(min(shown), min(to, self._end + 1)):
                event = self._log.get(number)
                if event is not None and event.kind in _PUBLIC and number not in shown:
                    self._found("lost", f"{record.name}'s history does not have {event}")

    # ---- private messages that nobody came for, and gaps -----------------------------------------

    def _check_unread(self) -> None:
        """UNREAD goes to one alone; and whose private message was never fetched is told so."""
        had: dict[int, list[Record]] = defaultdict(list)
        told: dict[Record, list[Heard]] = defaultdict(list)
        for record in self._records:
            for entry in record.of(Heard):
                if entry.kind == "unread" and entry.id <= self._end:
                    had[entry.id].append(record)
                    told[record].append(entry)
        for number, owners in had.items():
            if len(owners) > 1:
                names = [record.name for record in owners]
                self._found("leaked", f"{self._log[number]} is in the records of {names}")
        missed: dict[tuple[_Seat, _Seat], list[int]] = defaultdict(list)
        for number, addressee in self._addressees.items():
            author = self._authors[number]  # there: an addressee is found only with an author
            far = self._complete_to[addressee.record] if addressee.record is not None else 0
            # Who was told and lost its link before it could hear it; on purpose is another matter.
            if addressee.reason not in ("", "left") and far < number and author is not addressee:
                missed[author, addressee].append(number)
        for (author, addressee), numbers in missed.items():
            assert addressee.left is not None
            teller = author.record
            # Ids behind the leave: as many as there may be authors to tell.
            if (
                teller is None
                or teller in self._forgotten
                or self._complete_to[teller] < min(addressee.left + len(self._records), self._end)
            ):
                continue
            nick = self._log[addressee.left].nick
            counts = [int(entry.text) for entry in told[teller] if entry.nick == nick]
            if max(counts, default=0) < len(numbers):
                self._found(
                    "lost", f"{teller.name} told {nick}, who never came back, {numbers}: UNREAD says {counts}"
                )

    def _check_gaps(self) -> None:
        """Every id that nobody has needs a witness of its own that explains it."""
        before = 0
        for number in range(1, self._end + 1):
            if number not in self._log:
                self._before[number] = before
            elif self._log[number].kind != "unread":
                before = number
        first = min(self._log, default=0)
        gaps = [gap for gap in self._sitting_at if gap > first]
        witnesses = [*self._possible_messages(), *self._possible_unreads()]
        # So many have no innocent explanation, and would take for ever to match.
        for gap in _unmatched(gaps, witnesses) if len(gaps) < MANY_GAPS else gaps:
            self._found("gap", f"nobody has {gap}")

    def _possible_messages(self) -> Iterator[_Witness]:
        """Yield the private messages that may have been said without anybody hearing of it."""
        for text, (record, asked) in self._asked.items():
            unknown = text not in self._ids_of
            answered = asked.tag in self._declined[record] or asked.tag in self._confirmed[record]
            if asked.kind == "msg" and unknown and not answered:
                yield partial(self._may_be_told, record, nick_key(asked.to))

    def _may_be_told(self, author: Record, to: str, gap: int) -> bool:
        addressee = self._sitting_at[gap].get(to)
        return (
            self._is_deaf_at(self._seats.get(author), gap)
            and addressee is not None
            and (addressee.record is None or self._complete_to[addressee.record] < gap)
        )

    def _possible_unreads(self) -> Iterator[_Witness]:
        """Yield the UNREADs that may have gone to who was cut off: each stands behind a lost one's leave."""
        for lost in self._all_seats:
            if lost.reason in ("", "left"):
                continue
            authors = {
                author
                for author, asked in self._asked.values()
                if asked.kind == "msg" and nick_key(asked.to) in lost.nicks
            }
            for author in authors:
                yield partial(self._may_be_unread, lost, author)

    def _may_be_unread(self, lost: _Seat, author: Record, gap: int) -> bool:
        return self._before[gap] == lost.left and self._is_deaf_at(self._seats.get(author), gap)

    def _is_deaf_at(self, seat: _Seat | None, gap: int) -> bool:
        """Say whether who has this seat sat in it at a gap, but hears nothing any more."""
        return (
            seat is not None
            and seat.record is not None
            and self._complete_to[seat.record] < gap
            and seat in self._sitting_at[gap].values()
        )


def _unmatched(gaps: list[int], witnesses: list[_Witness]) -> list[int]:
    """Return the gaps that are left when every witness explains one (a maximum matching)."""
    owner: dict[int, int] = {}  # witness -> gap

    def place(gap: int, tried: set[int]) -> bool:
        for number, explains in enumerate(witnesses):
            if number in tried or not explains(gap):
                continue
            tried.add(number)
            if number not in owner or place(owner[number], tried):
                owner[number] = gap
                return True
        return False

    return [gap for gap in gaps if not place(gap, set())]


def summary(findings: list[Finding]) -> str:
    """Return the counts of all rules, in one line."""
    counts = Counter(finding.rule for finding in findings)
    return ", ".join(f"{counts[rule]} {rule}" for rule in RULES)


def main(arguments: list[str]) -> int:
    """Check records that were kept: FOLDER END [forgetful]."""
    folder, end, *how = arguments
    findings = check(load(Path(folder)), int(end), how == ["forgetful"])
    for finding in findings:
        print(finding)
    print(summary(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
