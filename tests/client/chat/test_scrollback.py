"""What was seen, for /search."""

from __future__ import annotations

from support.scripted import AT

from charla.client.chat.scrollback import Scrollback, Talk
from charla.protocol.messages import Acted, Said, Told


def said(number: int, text: str, nick: str = "beto") -> Said:
    return Said(number, AT + number, 0, nick, text)


def test_all_words_in_any_case_and_in_names_too_are_found_oldest_first() -> None:
    seen = Scrollback()
    messages: list[Talk] = [
        said(1, "Mañana hay clase"),
        Told(2, AT + 2, 0, "eva", "ana", "mañana no puedo"),
        Acted(3, AT + 3, 0, "beto", "duerme"),
    ]
    for message in messages:
        seen.add(message)
    assert seen.search("MAÑANA") == messages[:2]
    assert seen.search("no mañana") == [messages[1]]
    assert seen.search("beto") == [messages[0], messages[2]]
    assert seen.search("ana eva") == [messages[1]]
    assert seen.search("pasado") == []


def test_what_was_shown_again_or_late_is_found_once_and_in_its_place() -> None:
    seen = Scrollback()
    for number in (3, 4, 1, 2, 3, 4):  # two live ones, and then a /history that begins before
        seen.add(said(number, f"a{number}"))
    assert [message.id for message in seen.search("a")] == [1, 2, 3, 4]


def test_the_oldest_are_forgotten_by_number_and_by_size() -> None:
    few = Scrollback(messages=3)
    small = Scrollback(size=len("SAY 3 1790000000003 - beto abc3\n") * 2)
    for number in range(5):
        few.add(said(number, f"a{number}"))
        small.add(said(number, f"abc{number}"))
    assert [message.id for message in few.search("a")] == [2, 3, 4]
    assert [message.id for message in small.search("abc")] == [3, 4]


def test_a_message_is_found_as_it_was_whatever_is_in_it() -> None:
    seen = Scrollback()
    messages: list[Talk] = [
        said(1, "dos\nlíneas, y C:\\nombre"),
        said(2, "  😀 ñandú 漢字  "),
        Acted(3, AT + 3, 0, "beto", "- baila"),
        said(4, ""),
    ]
    for message in messages:
        seen.add(message)
    assert seen.search("") == messages
    assert seen.search("LÍNEAS c:\\nombre") == messages[:1]
    assert seen.search("Ñandú 😀") == messages[1:2]


def test_accents_need_not_be_typed() -> None:
    seen = Scrollback()
    messages: list[Talk] = [said(1, "El Ñandú corrió"), said(2, "Ø nandu", "íñigo")]
    for message in messages:
        seen.add(message)
    assert seen.search("nandu") == messages
    assert seen.search("CORRIO el") == messages[:1]
    assert seen.search("ñandu") == messages[:1]
    assert seen.search("nandú") == messages[:1]
    assert seen.search("inigo") == messages[1:]
    assert seen.search("ñandú") == messages[:1]
