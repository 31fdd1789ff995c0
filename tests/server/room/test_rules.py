"""What moderators have decided: whom it concerns, until when, and that a restart changes nothing."""

from __future__ import annotations

import json
import logging

import pytest

from charla.protocol.text import Refused
from charla.server.room.rules import MAX_BANS, MAX_MUTES, Ban, Rules

NOW = 1_763_600_000.25
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Disk:
    """What has been saved, as a commit would leave it on disk."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}

    def save(self, kind: str, key: str, value: str | None) -> None:
        if value is None:
            self.values.pop((kind, key), None)
        else:
            self.values[kind, key] = value

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the rows in the order in which SQLite has them."""
        return [(kind, key, value) for (kind, key), value in sorted(self.values.items())]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def decided(clock: Clock, disk: Disk) -> Rules:
    return Rules(clock, disk.save)


def restarted(clock: Clock, disk: Disk) -> Rules:
    """Return what a server that starts now finds on the disk."""
    again = Rules(clock, disk.save)
    again.restore(disk.rows())
    return again


def assert_refused(refused: pytest.ExceptionInfo[Refused], code: str, *arguments: str) -> None:
    assert (refused.value.code, refused.value.arguments) == (code, arguments)


def nicks(bans: list[Ban]) -> list[str]:
    return [ban.nick for ban in bans]


# ---- bans ----------------------------------------------------------------------------------------


def test_a_ban_keeps_out_the_nick_however_it_is_written_and_the_address(decided: Rules) -> None:
    ban = decided.ban("Ána", "203.0.113.7", HOUR, "mod", "spam")
    assert (ban.nick, ban.address, ban.by, ban.why) == ("Ána", "203.0.113.7", "mod", "spam")
    assert ban.seconds_left(NOW) == 3600
    assert decided.banned("áNA", "198.51.100.1") == ban
    assert decided.banned("a\u0301na", "") == ban
    assert decided.banned("eva", "203.0.113.7") == ban
    assert decided.banned("eva", "203.0.113.70") is None
    assert decided.banned("Ana", "") is None


def test_without_an_address_only_the_nick_counts(decided: Rules) -> None:
    decided.ban("ana", "", 0, "mod", "")
    assert decided.banned("ana", "") is not None
    assert decided.banned("eva", "") is None


def test_a_ban_is_over_when_its_time_is(decided: Rules, clock: Clock, disk: Disk) -> None:
    ban = decided.ban("ana", "203.0.113.7", 60, "mod", "")
    clock.now = NOW + 59.9
    assert decided.banned("ana", "") == decided.banned("eva", "203.0.113.7") == ban
    assert ban.seconds_left(clock.now) == 1  # 0 would be for ever
    clock.now = NOW + 60
    assert decided.banned("eva", "203.0.113.7") is None
    assert decided.banned("ana", "") is None
    assert disk.values == {}


def test_a_ban_for_ever_stays(decided: Rules, clock: Clock) -> None:
    ban = decided.ban("ana", "203.0.113.7", 0, "mod", "")
    clock.now += 100 * (365 * 86400)
    decided.expire()
    assert decided.banned("ana", "") == decided.banned("eva", "203.0.113.7") == ban
    assert (ban.until, ban.seconds_left(clock.now)) == (0, 0)


def test_to_ban_again_replaces(decided: Rules, clock: Clock, disk: Disk) -> None:
    decided.ban("ana", "203.0.113.7", 60, "mod", "one")
    decided.ban("beto", "", 0, "mod", "")
    clock.now += 1
    decided.ban("ANA", "203.0.113.8", 0, "mod", "two")
    assert nicks(decided.bans()) == ["ANA", "beto"]
    assert decided.banned("eva", "203.0.113.7") is None
    clock.now += 61
    found = decided.banned("ana", "203.0.113.8")
    assert found is not None
    assert found.why == "two"
    assert nicks(restarted(clock, disk).bans()) == ["ANA", "beto"]


def test_an_address_is_kept_out_as_long_as_one_of_its_bans_holds(decided: Rules, clock: Clock) -> None:
    address = "203.0.113.7"
    decided.ban("ana", address, HOUR, "mod", "")
    decided.ban("beto", address, 60, "mod", "")
    decided.ban("carla", address, 60, "mod", "")
    found = decided.banned("eva", address)
    assert found is not None
    assert found.nick == "carla"
    clock.now += 60
    found = decided.banned("eva", address)
    assert found is not None
    assert found.nick == "ana"
    decided.unban("ana")
    assert decided.banned("eva", address) is None


def test_a_ban_is_lifted(decided: Rules, clock: Clock, disk: Disk) -> None:
    ban = decided.ban("ana", "203.0.113.7", 0, "mod", "")
    assert decided.unban("ANA") == ban
    assert decided.banned("ana", "203.0.113.7") is None
    assert decided.bans() == restarted(clock, disk).bans() == []
    with pytest.raises(Refused) as refused:
        decided.unban("ANA")
    assert_refused(refused, "no-ban", "ANA")


def test_an_address_of_the_list_lifts_every_ban_of_it(decided: Rules, disk: Disk) -> None:
    decided.ban("ana", "2001:db8::7", 0, "mod", "")
    newest = decided.ban("beto", "2001:db8::7", 0, "mod", "")
    decided.ban("eva", "", 0, "mod", "")
    assert decided.unban(decided.bans()[1].address) == newest
    assert decided.banned("ana", "2001:db8::7") is None
    assert nicks(decided.bans()) == ["eva"]
    assert list(disk.values) == [("ban", "eva")]
    with pytest.raises(Refused) as refused:
        decided.unban("")  # is no address
    assert_refused(refused, "no-ban")


def test_what_is_over_cannot_be_lifted(decided: Rules, clock: Clock) -> None:
    decided.ban("ana", "203.0.113.7", 60, "mod", "")
    clock.now += 60
    for name in ("ana", "203.0.113.7"):
        with pytest.raises(Refused) as refused:
            decided.unban(name)
        assert_refused(refused, "no-ban", name)


def test_there_is_a_limit_to_bans_and_those_that_are_over_do_not_count(decided: Rules, clock: Clock) -> None:
    for number in range(MAX_BANS):
        decided.ban(f"n{number}", "203.0.113.7", 60 if number == 500 else 0, "mod", "")
    with pytest.raises(Refused) as refused:
        decided.ban("ana", "", 0, "mod", "")
    assert_refused(refused, "ban-limit", "1000")
    assert decided.banned("ana", "") is None
    decided.ban("N7", "", 0, "mod", "again")  # is not one more
    clock.now += 60
    decided.ban("ana", "", 0, "mod", "")
    assert len(decided.bans()) == MAX_BANS


def test_a_lookup_does_not_go_through_all_bans(decided: Rules) -> None:
    for number in range(MAX_BANS):
        decided.ban(f"n{number}", "203.0.113.7", 0, "mod", "")

    class Untouchable(dict[str, Ban]):
        def values(self) -> None:  # type: ignore[override]
            raise AssertionError

        items = __iter__ = values  # type: ignore[assignment]

    decided._bans = Untouchable(decided._bans)
    assert decided.banned("n3", "") is not None
    assert decided.banned("ana", "203.0.113.7") is not None
    assert decided.banned("ana", "203.0.113.8") is None


# ---- mutes ---------------------------------------------------------------------------------------


def test_a_mute_holds_for_its_time(decided: Rules, clock: Clock, disk: Disk) -> None:
    decided.mute("Ána", 300, "mod")
    assert decided.muted("ánA") == 300
    assert decided.muted("ana") is None
    clock.now += 299.9
    assert decided.muted("ána") == 1
    clock.now = NOW + 300
    assert decided.muted("ána") is None
    assert disk.values == {}


def test_a_mute_for_ever_is_told_from_none(decided: Rules, clock: Clock) -> None:
    decided.mute("ana", 0, "mod")
    clock.now += 100 * (365 * 86400)
    assert decided.muted("ana") == 0
    assert decided.muted("beto") is None


def test_who_was_muted_speaks_again(decided: Rules, clock: Clock, disk: Disk) -> None:
    decided.mute("ana", 300, "mod")
    decided.unmute("ANA")
    assert decided.muted("ana") is None
    assert restarted(clock, disk).mutes() == []
    with pytest.raises(Refused) as refused:
        decided.unmute("ANA")
    assert_refused(refused, "not-muted", "ANA")
    decided.mute("ana", 300, "mod")
    clock.now += 300
    with pytest.raises(Refused):
        decided.unmute("ana")


def test_there_is_a_limit_to_mutes_and_those_that_are_over_do_not_count(decided: Rules, clock: Clock) -> None:
    for number in range(MAX_MUTES):
        decided.mute(f"n{number}", 60 if number == 500 else 0, "mod")
    with pytest.raises(Refused) as refused:
        decided.mute("ana", 0, "mod")
    assert_refused(refused, "mute-limit", "1000")
    decided.mute("N7", 10, "mod")
    clock.now += 60
    decided.mute("ana", 0, "mod")
    assert decided.muted("ana") == 0


# ---- what a restart changes ----------------------------------------------------------------------


def test_a_restart_changes_nothing_but_what_is_over_by_then(decided: Rules, clock: Clock, disk: Disk) -> None:
    decided.ban("zoe", "203.0.113.7", HOUR, "mod", "spam 🎉\nand more")
    clock.now += 1
    decided.ban("ana", "", 0, "mod", "")
    decided.ban("beto", "203.0.113.8", 60, "mod", "")
    decided.mute("eva", 600, "mod")
    decided.mute("iris", 60, "mod")
    decided.set_topic("tea & ☕")
    decided.set_quiet(True)
    before = decided.bans()
    assert nicks(before) == ["beto", "ana", "zoe"]
    clock.now += 60
    again = restarted(clock, disk)
    assert sorted(disk.values) == [
        ("ban", "ana"),
        ("ban", "zoe"),
        ("mute", "eva"),
        ("quiet", ""),
        ("topic", ""),
    ]
    assert again.bans() == before[1:]
    assert again.banned("carla", "203.0.113.7") == before[2]
    assert again.banned("beto", "203.0.113.8") is None
    assert again.muted("eva") == 540
    assert (again.topic, again.quiet) == ("tea & ☕", True)


def test_topic_and_quiet_come_to_an_end(decided: Rules, clock: Clock, disk: Disk) -> None:
    assert (decided.topic, decided.quiet) == ("", False)
    decided.set_topic("tea")
    decided.set_quiet(True)
    assert (decided.topic, decided.quiet) == ("tea", True)
    decided.set_topic("")
    decided.set_quiet(False)
    again = restarted(clock, disk)
    assert (decided.topic, decided.quiet) == (again.topic, again.quiet) == ("", False)
    assert disk.values == {}


def test_what_is_over_is_dropped_from_memory_and_disk(decided: Rules, clock: Clock, disk: Disk) -> None:
    for number in range(10):
        decided.ban(f"n{number}", "203.0.113.7", 60, "mod", "")
        decided.mute(f"n{number}", 60, "mod")
    clock.now += 60
    decided.expire()
    assert disk.values == {}
    assert (decided._bans, decided._keys, decided._mutes) == ({}, {}, {})


BAN = {"nick": "ana", "address": "", "until": 0, "by": "mod", "why": "", "since": 1.0}
MUTE = {"nick": "ana", "until": 0, "by": "mod"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *[("ban", json.dumps({**BAN, field: 7})) for field in ("nick", "address", "by", "why")],
        *[("ban", json.dumps({**BAN, "until": until})) for until in (-1, "7", None, True, 10**400)],
        *[("ban", json.dumps({**BAN, "since": since})) for since in (float("nan"), float("inf"))],
        *[("mute", json.dumps({key: MUTE[key] for key in MUTE if key != field})) for field in MUTE],
        ("ban", '{"nick": "\\ud800", "address": "", "until": 0, "by": "", "why": "", "since": 0}'),
        ("ban", "[" * 100_000),
        *[(kind, value) for kind in ("ban", "mute") for value in ("", "{", "[]", "7", '"x"', "null")],
        *[("topic", value) for value in ("7", "tea", '"\\ud800"')],
        *[("quiet", value) for value in ("7", '"on"', "")],
        ("mood", '"good"'),
    ],
)
def test_damaged_rows_are_left_alone_with_a_warning(
    decided: Rules, disk: Disk, caplog: pytest.LogCaptureFixture, kind: str, value: str
) -> None:
    key = "ana" if kind in ("ban", "mute") else ""
    good = ("ban", "eva", json.dumps({**BAN, "nick": "eva"}))
    with caplog.at_level(logging.WARNING, "charla"):
        decided.restore([(kind, key, value), good])
    assert nicks(decided.bans()) == ["eva"]
    assert (decided.mutes(), decided.topic, decided.quiet) == ([], "", False)
    assert disk.values == {}
    (record,) = caplog.records
    assert repr((kind, key)) in record.getMessage()


def test_nicks_that_are_compared_otherwise_today_are_saved_anew(
    decided: Rules, clock: Clock, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    disk.values = {
        ("ban", "Eva"): json.dumps({**BAN, "nick": "Eva", "since": 2}),
        ("ban", "eva"): json.dumps({**BAN, "nick": "eva", "since": 1}),
        ("mute", "old"): json.dumps(MUTE),
    }
    decided.restore(disk.rows())
    assert not caplog.records
    assert nicks(decided.bans()) == ["Eva"]
    assert decided.muted("ana") == 0
    assert sorted(disk.values) == [("ban", "eva"), ("mute", "ana")]
    assert nicks(restarted(clock, disk).bans()) == ["Eva"]
