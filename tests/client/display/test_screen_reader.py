"""--plain: what a screen reader reads aloud."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charla.client.display.screen import Screen
from charla.protocol.messages import (
    Acted,
    Banned,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Message,
    Moderated,
    Renamed,
    Said,
    Status,
    Told,
    Topic,
    Welcome,
    WhoPage,
)
from charla.protocol.text import clean

AT = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC
DAY = 24 * 60 * 60 * 1000


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def screen(times: bool = False) -> Screen:
    on = Screen(lambda: 0, color=True, plain=True, now=lambda: AT / 1000)
    on.time_shown = times
    return on


HEARD: list[tuple[Message, list[str]]] = [
    (Said(1, AT, 0, "beto", "hola"), ["beto says: hola"]),
    (Said(1, AT, 7, "ana", "hola"), ["You say: hola"]),
    (Said(1, AT, 0, "beto", "hola Ana"), ["beto says, naming you: hola Ana"]),
    (Said(1, AT, 0, "beto", "uno\n\n{dos}"), ["beto says: uno", "beto continues: {dos}"]),
    (Said(1, AT, 0, "beto", "\n \n"), ["beto says: "]),
    (Said(1, AT, 7, "ana", "uno\ndos"), ["You say: uno", "You continue: dos"]),
    (Acted(1, AT, 0, "beto", "saluda"), ["Action: beto saluda"]),
    (Acted(1, AT, 0, "beto", "saluda a ana"), ["Action, naming you: beto saluda a ana"]),
    (Acted(1, AT, 7, "ana", "saluda"), ["Action: ana saluda"]),
    (Told(1, AT, 0, "beto", "ana", "hola ana"), ["beto says to you alone: hola ana"]),
    (Told(1, AT, 7, "ana", "beto", "hola"), ["You say to beto alone: hola"]),
    (Told(1, AT, 7, "ana", "ana", "nota"), ["You say to yourself alone: nota"]),
    (Told(1, AT, 0, "beto", "ana", "uno\ndos"), ["beto says to you alone: uno", "beto continues: dos"]),
    (Joined(1, AT, "beto"), ["Notice: beto joined"]),
    (Renamed(1, AT, 7, "aina", "ana"), ["Notice: you are now ana"]),
    (
        Welcome(1, AT, "ana", 1, "uno\ndos"),
        ["Notice: uno", "Notice: dos", "Notice: You are ana. /help tells what you can type."],
    ),
    (
        Moderated(1, AT, 0, "announce", "beto", "", 0, "uno\nana joined"),
        ["Notice: beto announces: uno", "Notice continues: ana joined"],
    ),
    (WhoPage(0, 1, 1, 2, ("ana", "beto")), ["Notice: 2 here: ana, beto"]),
    (Topic(0, True, "sol\nluna"), ["Topic: sol", "Topic: luna", "The room is quiet: only moderators speak."]),
    (Banned(7, 0, 0), ["Notice: Nobody is banned."]),
    (Status(7, ("61", "2")), ["Notice: running for: 1 min 1 s", "Notice: people in the room: 2"]),
    (HistoryHeader(0, 2), ["Notice: What was said before, the last 2 messages:"]),
    (
        HistoryEntry(Said(1, AT, 0, "beto", "uno\ndos")),
        ["Earlier, 22:13: beto says: uno", "beto continues: dos"],
    ),
    (HistoryEntry(Acted(1, AT - DAY, 0, "beto", "va")), ["Earlier, 13 Nov 22:13: Action: beto va"]),
]


@pytest.mark.parametrize(("message", "lines"), HEARD, ids=str)
def test_every_message_is_told_in_words(message: Message, lines: list[str]) -> None:
    assert screen().lines(message, "ana") == lines


def test_the_time_is_told_once_a_message() -> None:
    on = screen(times=True)
    assert on.lines(Said(1, AT, 0, "beto", "uno\ndos"), "ana") == [
        "22:13 beto says: uno",
        "beto continues: dos",
    ]
    assert on.lines(Joined(1, AT, "beto"), "ana") == ["22:13 Notice: beto joined"]
    assert on.notice("uno") == ["Notice: uno"]


def test_a_new_day_is_told() -> None:
    on = screen()
    on.lines(Joined(1, AT, "beto"), "ana")
    assert on.lines(Joined(1, AT + DAY, "eva"), "ana") == [
        "Notice: Wednesday, 15 November 2023",
        "Notice: eva joined",
    ]


def test_what_goes_wrong_is_told_line_by_line() -> None:
    assert screen(times=True).error("No.\nIt was: x") == ["Error: No.", "Error: It was: x"]


def test_the_help_is_told_in_sentences() -> None:
    assert screen().help("talk")[:4] == [
        "Talking:",
        "TEXT. Say it to everyone.",
        "USER: TEXT. Say it to USER alone.",
        "/msg USER TEXT. The same.",
    ]
    assert all(line == line.strip() and "  " not in line for line in screen(times=True).help())


def test_there_are_no_colours_and_nothing_is_wrapped() -> None:
    on = Screen(lambda: 20, color=True, plain=True)
    text = "uno dos tres ana " * 9
    for lines in (on.lines(Said(1, AT, 0, "beto", text), "ana"), on.notice(text), on.error(text)):
        assert len(lines) == 1
    assert "\x1b" not in "".join(on.lines(Said(1, AT, 0, "beto", text), "ana") + on.help())


TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n {}:"), max_size=20)
    | st.sampled_from(["\nana says: x", "\nNotice: x", "\nError: x", "\nEarlier, 22:13: x"]),
    max_size=6,
).map(lambda parts: clean("".join(parts)))


@settings(max_examples=300, deadline=None, database=None)
@given(TEXTS, st.booleans())
def test_no_line_passes_for_somebody_elses(text: str, times: bool) -> None:
    clock = "22:13 " if times else ""
    for message, first, others in (
        (Said(1, AT, 0, "beto", text), f"{clock}beto says(, naming you)?: ", "beto continues: "),
        (Acted(1, AT, 0, "beto", text), f"{clock}Action(, naming you)?: beto ", "beto continues: "),
        (Told(1, AT, 0, "beto", "ana", text), f"{clock}beto says to you alone: ", "beto continues: "),
        (
            HistoryEntry(Said(1, AT, 0, "beto", text)),
            "Earlier, 22:13: beto says(, naming you)?: ",
            "beto continues: ",
        ),
        (
            Moderated(1, AT, 0, "announce", "beto", "", 0, text),
            f"{clock}Notice: beto announces",
            "Notice continues: ",
        ),
    ):
        lines = screen(times).lines(message, "ana")
        assert re.match(first, lines[0])
        assert all(line.startswith(others) for line in lines[1:])
        assert not any("\n" in line for line in lines)
