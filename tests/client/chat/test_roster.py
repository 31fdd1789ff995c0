"""Who is here, as a client knows it: what Tab, the prompt, /r and /ignore go by."""

from __future__ import annotations

from support.scripted import AT

from charla.client.chat.roster import Roster
from charla.protocol.messages import Acted, Crowd, Joined, Left, Renamed, Said, Told, Welcome, WhoPage


def room(*nicks: str, pages: int = 1, people: int = 0) -> Roster:
    """Return what ana knows who has just come in."""
    known = Roster()
    known.take(Welcome(1, AT, "ana", people or len(nicks)), "")
    known.take(WhoPage(0, 1, pages, people or len(nicks), nicks), "ana")
    return known


def test_who_is_here_is_found_in_any_case_and_who_is_not_is_nobody() -> None:
    people = room("@ana", "Beto", "ñu")
    assert people.find("BETO") == ("Beto", True)
    assert people.find("Ñu") == ("ñu", True)
    assert people.find("ana") == ("ana", True)  # the @ is not part of it
    assert people.find("eva") == ("", True)
    assert people.count() == 3


def test_who_comes_goes_and_is_renamed_is_followed() -> None:
    people = room("ana")
    people.take(Joined(2, AT, "beto"), "ana")
    assert (people.find("beto"), people.count()) == (("beto", True), 2)
    people.take(Renamed(3, AT, 0, "beto", "berta"), "ana")
    assert (people.find("beto"), people.find("berta")) == (("", True), ("berta", True))
    people.take(Left(4, AT, "berta", "left"), "ana")
    assert (people.find("berta"), people.count()) == (("", True), 1)


def test_in_a_great_room_nobody_is_surely_nobody() -> None:
    people = room("ana", "beto", pages=3, people=120)
    assert people.find("beto") == ("beto", True)
    assert people.find("eva") == ("", False)
    people.take(Said(5, AT, 0, "eva", "hola"), "ana")  # but who speaks is here
    assert people.find("eva") == ("eva", True)
    assert people.count() == 120


def test_in_a_crowd_only_the_number_is_known() -> None:
    people = room("ana", "beto")
    people.take(Crowd(2, AT, 300, 1, 301), "ana")
    assert people.find("eva") == ("", False)
    assert people.count() == 301


def test_after_a_gap_nothing_is_sure_until_all_are_listed() -> None:
    people = room("ana")
    people.missed()
    assert people.find("eva") == ("", False)
    people.take(WhoPage(7, 1, 1, 2, ("ana", "beto")), "ana")
    assert people.find("eva") == ("", True)


def test_after_a_gap_nobody_knows_how_many_are_here_until_that_is_told() -> None:
    people = room("ana", "beto")
    people.missed()
    people.take(Joined(5, AT, "eva"), "ana")
    assert people.count() == 0
    people.take(Left(6, AT, "eva", "left"), "ana")
    assert people.count() == 0
    people.take(WhoPage(7, 1, 1, 1, ("ana",)), "ana")
    assert people.count() == 1


def test_who_spoke_and_is_not_here_any_more_is_not_completed() -> None:
    people = room("ana", "beto", "eva")
    people.take(Said(2, AT, 0, "beto", "uno"), "ana")
    people.take(Said(3, AT, 0, "eva", "dos"), "ana")
    people.take(WhoPage(7, 1, 1, 2, ("ana", "eva")), "ana")  # that beto left was in a gap
    assert people.beginning_with("", "ana") == ["eva"]
    people.take(Welcome(1, AT, "ana", 1), "ana")  # a new session
    people.take(WhoPage(0, 1, 1, 1, ("ana",)), "ana")
    assert people.beginning_with("", "ana") == []


def test_recent_speakers_come_first_and_the_others_by_name() -> None:
    people = room("ana", "bea", "beto", "Berta", "benito", "carla")
    people.take(Said(2, AT, 0, "beto", "uno"), "ana")
    people.take(Acted(3, AT, 0, "Berta", "dos"), "ana")
    assert people.beginning_with("BE", "ana") == ["Berta", "beto", "bea", "benito"]
    people.take(Said(4, AT, 0, "beto", "tres"), "ana")
    assert people.beginning_with("be", "ana")[:2] == ["beto", "Berta"]
    people.take(Told(5, AT, 3, "ana", "benito", "psst"), "ana")  # whom one writes to counts as much
    assert people.beginning_with("be", "ana")[0] == "benito"
    people.take(Left(6, AT, "benito", "left"), "ana")
    assert people.beginning_with("beni", "ana") == []


def test_oneself_is_not_completed() -> None:
    assert room("ana", "andrea").beginning_with("a", "ana") == ["andrea"]


def correspondent(people: Roster) -> str:
    """Return whom /r answers when all that has come is on the screen."""
    people.note_shown()
    return people.correspondent()


def test_who_wrote_to_one_alone_is_remembered_under_the_new_name() -> None:
    people = room("ana", "beto", "eva")
    assert correspondent(people) == ""
    people.take(Told(2, AT, 0, "beto", "ana", "psst"), "ana")
    people.take(Told(3, AT, 1, "ana", "eva", "mine is no answer"), "ana")
    assert correspondent(people) == "beto"
    people.take(Renamed(4, AT, 0, "beto", "berta"), "ana")
    assert correspondent(people) == "berta"


def test_who_is_ignored_stays_so_under_another_name_and_is_not_answered() -> None:
    people = room("ana", "Beto")
    assert people.ignore("beto") == "Beto"
    assert people.ignores("BETO", 1)
    people.take(Renamed(2, AT, 0, "Beto", "otro"), "ana")
    assert people.ignored() == ["otro"]
    assert people.ignores("otro", 3)
    assert not people.ignores("Beto", 3), "another Beto"
    people.take(Told(3, AT, 0, "otro", "ana", "psst"), "ana")
    assert correspondent(people) == ""
    assert people.unignore("OTRO") == "otro"
    assert people.unignore("otro") == ""
    assert not people.ignores("otro", 4)


def test_what_is_not_shown_yet_is_not_answered_and_a_renaming_is_followed() -> None:
    people = room("ana", "beto", "eva")
    people.take(Told(2, AT, 0, "beto", "ana", "psst"), "ana")
    people.note_shown()
    people.take(Told(3, AT, 0, "eva", "ana", "hola"), "ana")
    assert people.correspondent() == "beto"
    people.take(Renamed(4, AT, 0, "beto", "roberto"), "ana")
    assert people.correspondent() == "roberto"
    people.note_shown()
    assert people.correspondent() == "eva"


def test_what_was_ignored_under_another_name_is_so_in_one_server_only() -> None:
    people = room("ana", "beto")
    people.ignore("beto")
    people.take(Renamed(50, AT, 0, "beto", "otro"), "ana")
    assert people.ignores("beto", 4)
    people.take(Welcome(60, AT, "ana", 1), "ana")  # joined anew
    assert people.ignores("beto", 4)
    people.take(Welcome(1, AT, "ana", 1), "ana")  # the server has begun anew, and its ids
    assert not people.ignores("beto", 4)
    assert people.ignores("otro", 4)


def test_what_was_said_under_a_name_from_before_stays_ignored_too() -> None:
    people = room("ana", "beto")
    people.ignore("beto")
    people.take(Renamed(5, AT, 0, "beto", "otro"), "ana")
    people.take(Renamed(7, AT, 0, "otro", "tercero"), "ana")
    assert people.ignores("beto", 4)
    assert people.ignores("otro", 6)
    assert not people.ignores("beto", 6)
    assert not people.ignores("otro", 8)
    assert people.unignore("beto") == "tercero"
    assert not any(people.ignores(nick, 4) for nick in ("beto", "otro", "tercero"))
