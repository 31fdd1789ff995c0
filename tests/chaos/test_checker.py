"""The checker of the fault test: it finds what is planted, and nothing in what is right."""

from __future__ import annotations

import contextlib
import functools
import pickle
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.checker import RULES, check, summary
from chaos.records import (
    Asked,
    Before,
    Confirmed,
    Declined,
    Ended,
    Entered,
    Entry,
    Heard,
    Record,
    TakenUp,
    load,
    save,
)


class PerfectRoom:
    """Makes the records of a room that does everything right, with people who come, go and are cut off."""

    def __init__(self, seed: int, people: int = 6, steps: int = 400, before: int = 0) -> None:
        self.random = random.Random(seed)
        self.records: list[Record] = []
        self.end = before  # the id of the newest event
        self.time = 1_000
        self._nicks: dict[Record, str] = {}  # who is in
        self._tags: dict[Record, int] = {}
        self._cut: set[Record] = set()  # who is in and hears nothing any more
        self._texts = 0
        self._told: list[tuple[Record, Record, int]] = []  # author, addressee, id
        for number in range(people):
            self._join(f"c{number}", 1)
        for _ in range(steps):
            self._step()
        self._event("say", self._pick(cut=False), text="the end")
        for record in self._nicks:
            record.entries.append(Ended("cut" if record in self._cut else "live"))

    def _pick(self, cut: bool | None = None) -> Record:
        return self.random.choice([r for r in self._nicks if cut is None or (r in self._cut) == cut])

    def _step(self) -> None:
        record = self._pick()
        match self.random.choices(
            ("say", "me", "msg", "nick", "refused", "leave", "cut", "gone"), (60, 5, 20, 5, 5, 2, 1, 4)
        )[0]:
            case "msg":
                self._event("msg", record, to=self._pick())
            case "refused":
                tag = self._ask(record, Asked(0, "msg", "nobody", self._text()))
                record.entries.append(Declined(tag, "no-such-user"))
            case "leave" if record not in self._cut and len(self._nicks) > 3:
                self._leave(record, "left")
                record.entries.append(Ended("left"))
                self._join(record.client, record.number + 1)
            case "cut" if len(self._nicks) - len(self._cut) > 3:
                self._cut.add(record)
            case "gone" if record in self._cut:
                self._cut.discard(record)
                self._leave(record, "lost")
                record.entries.append(Ended("gone"))
                self._join(record.client, record.number + 1)
            case "say" | "me" | "nick" as kind:
                self._event(kind, record)
            case _:
                self._event("say", record)

    def _text(self) -> str:
        self._texts += 1
        return f"text {self._texts}"

    def _next(self) -> tuple[int, int]:
        self.end += 1
        self.time += self.random.choice((0, 0, 3))
        return self.end, self.time

    def _ask(self, record: Record, asked: Asked) -> int:
        tag = self._tags[record] = self._tags[record] + 1
        record.entries.append(replace(asked, tag=tag))
        return tag

    def _join(self, client: str, number: int) -> None:
        record = Record(client, number)
        self.records.append(record)
        nick = f"{client}x{number}"
        at, when = self._next()
        self._tell(Heard(at, when, "join", nick, "", ""))
        self._nicks[record], self._tags[record] = nick, 0
        record.entries.append(Entered(at, when, nick))

    def _leave(self, record: Record, reason: str) -> None:
        nick = self._nicks.pop(record)
        self._tell(Heard(*self._next(), "leave", nick, "", reason))
        if reason == "lost":
            self._tell_unread(record, nick)

    def _tell_unread(self, lost: Record, nick: str) -> None:
        last = max(entry.id for entry in lost.entries if isinstance(entry, (Heard, Entered)))
        for record in list(self._nicks):
            missed = sum(1 for author, to, at in self._told if (author, to) == (record, lost) and at > last)
            if missed:
                event = Heard(*self._next(), "unread", nick, "", str(missed))
                if record not in self._cut:
                    record.entries.append(event)

    def _event(self, kind: str, author: Record, to: Record | None = None, text: str = "") -> None:
        nick = self._nicks[author]
        text = text or self._text()
        if kind == "nick":
            text = f"{author.client}y{self._texts}"
        tag = self._ask(author, Asked(0, kind, self._nicks[to] if to else "", text))
        if author in self._cut and self.random.random() < 0.5:
            return  # never came through: neither confirmed nor refused
        at, when = self._next()
        if to is not None:
            self._told.append((author, to, at))
        if kind == "nick":
            self._nicks[author] = text
            event = Heard(at, when, "nick", nick, text, "")
        else:
            event = Heard(at, when, kind, nick, self._nicks[to] if to else "", text)
        self._tell(event, author, tag, [author, to] if to else None)

    def _tell(
        self, event: Heard, author: Record | None = None, tag: int = 0, only: list[Record] | None = None
    ) -> None:
        for record in self._nicks:
            if record not in self._cut and (only is None or record in only):
                own = record is author
                record.entries.append(replace(event, tag=tag) if own else event)
                if own:
                    record.entries.append(Confirmed(tag, event.id))

    # ---- for planting ----------------------------------------------------------------------------

    def find(self, kind: str, own: bool | None = None) -> tuple[Record, int, Heard]:
        """Return a record, a place in it, and the event of this kind there."""
        found = [
            (record, place, entry)
            for record in self.records
            for place, entry in enumerate(record.entries)
            if isinstance(entry, Heard) and entry.kind == kind and (own is None or bool(entry.tag) == own)
            if record in self._nicks and record not in self._cut
        ]
        return self.random.choice(found[len(found) // 4 :])

    def change(self, number: int, **fields: object) -> None:
        """Change the event with this id in every record."""
        for record in self.records:
            record.entries[:] = [
                replace(e, **fields) if isinstance(e, Heard) and e.id == number else e  # type: ignore[arg-type]
                for e in record.entries
            ]


@functools.cache
def _kept_room(seed: int) -> bytes:
    return pickle.dumps(PerfectRoom(seed))


def perfect_room(seed: int) -> PerfectRoom:
    """Return a room of one's own, to plant something in; to copy one is quicker than to make it again."""
    room = pickle.loads(_kept_room(seed))
    assert isinstance(room, PerfectRoom)
    return room


SEEDS = range(8)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_found_in_what_is_right(seed: int) -> None:
    room = PerfectRoom(seed)
    assert check(room.records, room.end) == []


def test_whom_nobody_recorded_and_nobody_met_leaves_no_gap() -> None:
    """The very first one was cut off before the welcome, and was gone before the others came: two events."""
    room = PerfectRoom(1, before=2)
    assert check(room.records, room.end) == []


def test_whom_nobody_recorded_and_nobody_saw_come_may_leave_once() -> None:
    """The very first one was cut off before the welcome; the others see that seat given up."""
    room = PerfectRoom(1, before=1)
    for wrong in (0, 1):
        room.end += 1
        for record in room.records:
            if record.entries[-1] == Ended("live"):
                record.entries.insert(-1, Heard(room.end, room.time, "leave", "early", "", "lost"))
        assert [finding.rule for finding in check(room.records, room.end)] == ["nick"] * wrong


def test_the_right_records_have_every_case_in_them() -> None:
    rooms = [PerfectRoom(seed) for seed in range(40)]
    kinds = {e.kind for room in rooms for r in room.records for e in r.of(Heard)}
    assert kinds == {"say", "me", "msg", "nick", "join", "leave", "unread"}
    gaps = 0
    for room in rooms:
        ids = {e.id for r in room.records for e in r.entries if isinstance(e, (Heard, Entered))}
        gaps += room.end - len(ids)
    assert gaps > 5  # private messages between two who were cut off


def plant_loss(room: PerfectRoom) -> None:
    record, place, _ = room.find("say", own=False)
    del record.entries[place]


def plant_loss_of_a_private_message(room: PerfectRoom) -> None:
    record, place, event = room.find("msg", own=False)
    while sum(e.id == event.id for r in room.records for e in r.of(Heard)) < 2:
        record, place, event = room.find("msg", own=False)
    del record.entries[place]


def plant_loss_of_a_join(room: PerfectRoom) -> None:
    record, place, _ = room.find("join")
    del record.entries[place]


def plant_loss_of_a_confirmed_message_everywhere(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    for record in room.records:
        record.entries[:] = [e for e in record.entries if not (isinstance(e, Heard) and e.id == event.id)]


def plant_loss_without_an_answer(room: PerfectRoom) -> None:
    record = next(r for r in room.records if any(e.how == "live" for e in r.of(Ended)))
    record.entries.insert(-1, Asked(10_000, "say", "", "never answered"))


def plant_loss_of_an_unread(room: PerfectRoom) -> None:
    record, place, _ = room.find("unread")
    del record.entries[place]


def plant_loss_told_at_a_resume(room: PerfectRoom) -> None:
    room.records[0].entries.insert(-1, TakenUp("x", 1))


def plant_hole_in_the_history(room: PerfectRoom) -> None:
    record, _, event = room.find("say", own=False)
    room.find("say")
    late = Record("late", 1)
    said = [e for e in record.of(Heard) if e.kind == "say"]
    shown = [Before(e.id, e.time, e.kind, e.nick, e.text) for e in said if e.id != event.id]
    room.records.append(late)
    join = Heard(room.end + 1, room.time, "join", "late", "", "")
    late.entries += [*shown, Entered(join.id, join.time, "late"), Ended("live")]
    for other in room.records[:-1]:
        if any(e.how == "live" for e in other.of(Ended)):
            other.entries.insert(-1, join)
    room.end += 1


def plant_double(room: PerfectRoom) -> None:
    record, place, event = room.find("say", own=False)
    record.entries.insert(place + room.random.randrange(1, 4), event)


def plant_double_under_a_new_id(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    room.end += 1
    for record in room.records:
        if any(e.how == "live" for e in record.of(Ended)):
            record.entries.insert(-1, replace(event, id=room.end, time=room.time, tag=0))


def plant_swap(room: PerfectRoom) -> None:
    record, place, event = room.find("say", own=False)
    other = next(
        i for i, e in enumerate(record.entries) if i > place and isinstance(e, Heard) and e.id > event.id
    )
    record.entries[place], record.entries[other] = record.entries[other], record.entries[place]


def plant_swap_of_ids_everywhere(room: PerfectRoom) -> None:
    """Two messages of one sender in the other order, in every record alike."""
    record, _, first = room.find("say", own=True)
    says = [e for e in record.of(Heard) if e.kind == "say" and e.tag and e.id != first.id]
    second = room.random.choice(says)
    room.change(first.id, text=second.text)
    room.change(second.id, text=first.text)
    room.change(first.id, time=first.time)


def plant_leak(room: PerfectRoom) -> None:
    _, _, event = room.find("msg")
    third, _, _ = room.find("say")
    while any(e.id == event.id for e in third.of(Heard)):
        third, _, _ = room.find("say")
    # In its place in the order, so that nothing but the leak is wrong.
    later = [i for i, e in enumerate(third.entries) if isinstance(e, Heard) and e.id > event.id]
    third.entries.insert(later[0] if later else len(third.entries) - 1, replace(event, tag=0))


def plant_leak_to_everyone(room: PerfectRoom) -> None:
    _, _, event = room.find("msg", own=True)
    room.change(event.id, kind="say", to="")


def plant_leak_of_an_unread(room: PerfectRoom) -> None:
    record, _, event = room.find("unread")
    for other in room.records:
        at = next((i for i, e in enumerate(other.entries) if isinstance(e, Heard) and e.id > event.id), None)
        if other is not record and at:
            other.entries.insert(at, event)
            return
    raise AssertionError("nobody to leak to")


def plant_another_text(room: PerfectRoom) -> None:
    record, place, event = room.find("say", own=False)
    record.entries[place] = replace(event, text=event.text + "!")


def plant_another_text_everywhere(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    room.change(event.id, text="forged")


def plant_another_author(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    nicks = {e.nick for r in room.records for e in r.of(Heard) if e.kind == "say"}
    before = check(room.records, room.end)
    assert before == []
    for nick in sorted(nicks - {event.nick}):
        room.change(event.id, nick=nick)
        if not any(finding.rule == "nick" for finding in check(room.records, room.end)):
            return
    raise AssertionError("nobody else was in")


def plant_a_refusal_of_what_was_said(room: PerfectRoom) -> None:
    record, _, event = room.find("say", own=True)
    record.entries.insert(-1, Declined(event.tag, "refused-before"))


def plant_a_gap(room: PerfectRoom) -> None:
    """A private message that neither of the two has, and that nobody can have been cut off from."""
    event = min(
        (e for r in room.records for e in r.of(Heard) if e.kind == "msg" and e.tag), key=lambda e: e.id
    )
    for record in room.records:
        record.entries[:] = [
            e
            for e in record.entries
            if not (isinstance(e, Heard) and e.id == event.id)
            and not (isinstance(e, Asked) and e.text == event.text)
            and not (isinstance(e, Confirmed) and e.id == event.id)
        ]


def plant_a_shared_nick(room: PerfectRoom) -> None:
    """Somebody is renamed to the nick of one who speaks before and afterwards."""
    event = min((e for r in room.records for e in r.of(Heard) if e.kind == "nick"), key=lambda e: e.id)
    says = [e for r in room.records for e in r.of(Heard) if e.kind == "say" and e.nick != event.nick]
    before = {e.nick for e in says if e.id < event.id}
    room.change(event.id, to=next(e.nick for e in says if e.id > event.id and e.nick in before).upper())


def plant_time_going_back(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    room.change(event.id, time=event.time - 100)


def plant_a_join_under_a_nick_that_is_in(room: PerfectRoom) -> None:
    joins = [(r, e) for r in room.records for e in r.of(Entered) if r.number > 1]
    record, entered = joins[0]
    says = [e for r in room.records for e in r.of(Heard) if e.kind == "say"]
    before = {e.nick for e in says if e.id < entered.id}
    nick = next(e.nick for e in says if e.id > entered.id and e.nick in before).upper()
    room.change(entered.id, nick=nick)
    record.entries[record.entries.index(entered)] = replace(entered, nick=nick)


def plant_a_private_message_to_nobody(room: PerfectRoom) -> None:
    _, _, event = room.find("msg", own=True)
    room.change(event.id, to="nobody")


def plant_another_kind(room: PerfectRoom) -> None:
    _, _, event = room.find("say", own=True)
    room.change(event.id, kind="me")


def plant_another_addressee(room: PerfectRoom) -> None:
    _, _, event = room.find("msg", own=True)
    while event.to == event.nick:
        _, _, event = room.find("msg", own=True)
    room.change(event.id, to=event.nick)


def plant_a_confirmation_of_nothing(room: PerfectRoom) -> None:
    room.records[0].entries.insert(-1, Confirmed(9_999, 1))


def plant_a_second_confirmation(room: PerfectRoom) -> None:
    record, place, event = room.find("say", own=True)
    record.entries.insert(place + 2, Confirmed(event.tag, event.id - 1))


def plant_loss_of_an_own_message(room: PerfectRoom) -> None:
    record, place, _ = room.find("say", own=True)
    del record.entries[place]


def plant_swapped_tags(room: PerfectRoom) -> None:
    record, place, event = room.find("say", own=True)
    other = next(i for i, e in enumerate(record.entries) if isinstance(e, Heard) and e.tag and i != place)
    was = record.entries[other]
    assert isinstance(was, Heard)
    record.entries[place], record.entries[other] = replace(event, tag=was.tag), replace(was, tag=event.tag)


def plant_a_history_in_disorder(room: PerfectRoom) -> None:
    record = next(r for r in room.records if r.number > 1)
    entered = next(record.of(Entered))
    said = [e for r in room.records for e in r.of(Heard) if e.kind == "say" and e.id < entered.id]
    said.sort(key=lambda e: -e.id)
    record.entries[:0] = [Before(e.id, e.time, e.kind, e.nick, e.text) for e in (said[0], said[-1])]


def plant_a_private_message_in_the_history(room: PerfectRoom) -> None:
    record = next(r for r in room.records if r.number > 1)
    entered = next(record.of(Entered))
    told = [e for r in room.records for e in r.of(Heard) if e.kind == "msg" and e.id < entered.id]
    record.entries.insert(0, Before(told[-1].id, told[-1].time, "msg", told[-1].nick, told[-1].text))


# What is planted, and what is to be found: each time by another part of the checker.
PLANTED: list[tuple[Callable[[PerfectRoom], None], str]] = [
    (plant_loss, "lost: .* does not have .*'say'"),
    (plant_loss_of_a_private_message, "lost: .* does not have .*'msg'"),
    (plant_loss_of_a_join, "lost: .* does not have .*'join'"),
    (plant_loss_of_an_own_message, "lost: .* not in its own record"),
    (plant_loss_of_a_confirmed_message_everywhere, "lost: .* not in the log"),
    (plant_loss_without_an_answer, "lost: .* is neither confirmed nor refused"),
    (plant_loss_of_an_unread, "lost: .* who never came back"),
    (plant_loss_told_at_a_resume, "lost: .* resumed with 1 events lost"),
    (plant_hole_in_the_history, "lost: .* history does not have"),
    (plant_double, "doubled: .* twice"),
    (plant_double_under_a_new_id, "doubled: .* has the ids"),
    (plant_a_second_confirmation, "doubled: .* confirmed as two events"),
    (plant_swap, "order: .* behind [0-9]+$"),
    (plant_swap_of_ids_everywhere, "order: .* one before it"),
    (plant_swapped_tags, "order: .* comes behind its tag"),
    (plant_a_history_in_disorder, "order: .* shown a history in this order"),
    (plant_leak, "leaked: .* has .*'msg'"),
    (plant_leak_to_everyone, "leaked: .* was asked for as"),
    (plant_leak_of_an_unread, "leaked: .* is in the records of"),
    (plant_a_private_message_in_the_history, "leaked: .* was shown"),
    (plant_another_text, "altered: .* others have"),
    (plant_another_text_everywhere, "altered: .* asked for by nobody"),
    (plant_another_author, "altered: .* who is another"),
    (plant_another_kind, "altered: .*'me'.* was asked for as .*'say'"),
    (plant_another_addressee, "altered: .*'msg'.* was asked for as .*'msg'"),
    (plant_a_confirmation_of_nothing, "altered: .* which it never asked"),
    (plant_a_refusal_of_what_was_said, "altered: .* and done"),
    (plant_a_gap, "gap: nobody has"),
    (plant_a_shared_nick, "nick: .*'nick'.* but somebody"),
    (plant_a_join_under_a_nick_that_is_in, "nick: .*'join'.* but somebody"),
    (plant_a_private_message_to_nobody, "nick: .* but no addressee"),
    (plant_time_going_back, "time: .* is earlier"),
]


def test_every_rule_has_something_planted() -> None:
    assert {pattern.partition(":")[0] for _, pattern in PLANTED} == set(RULES)


@pytest.mark.parametrize(("plant", "pattern"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_what_is_planted_is_caught(plant: Callable[[PerfectRoom], None], pattern: str) -> None:
    for seed in SEEDS:
        for room in map(perfect_room, range(100 * seed, 100 * seed + 20)):
            with contextlib.suppress(IndexError, StopIteration):  # this room has nothing of the kind
                plant(room)
                break
        else:
            raise AssertionError(f"no room to plant this in, from seed {seed} on")
        findings = check(room.records, room.end)
        assert any(re.match(pattern, str(finding)) for finding in findings), (seed, summary(findings))


def test_what_a_forgetful_server_may_do_and_what_not() -> None:
    for seed in SEEDS:
        room = PerfectRoom(seed)
        record, place, event = room.find("say", own=False)
        del record.entries[place]
        record.entries.insert(-1, TakenUp("x", 1))
        assert check(room.records, room.end) != []
        assert check(room.records, room.end, forgetful=True) == []
        other, place, _ = room.find("say", own=False)
        while other is record:
            other, place, _ = room.find("say", own=False)
        del other.entries[place]  # nobody told this one
        assert [finding.rule for finding in check(room.records, room.end, forgetful=True)] == ["lost"]
        record.entries.insert(-1, event)
        assert "order" in {finding.rule for finding in check(room.records, room.end, forgetful=True)}


def test_records_are_kept_as_they_are(tmp_path: Path) -> None:
    room = PerfectRoom(1)
    text = "two\nlines, \u2028, \0 and \U0001f600"
    room.records[0].entries.insert(-1, Asked(9_999, "say", "", text))
    save(room.records, tmp_path / "kept")
    again = {record.name: record for record in load(tmp_path / "kept")}
    assert len(again) == len(room.records)
    for record in room.records:
        entries: list[Entry] = again[record.name].entries
        assert (again[record.name].client, again[record.name].number) == (record.client, record.number)
        assert entries == record.entries
