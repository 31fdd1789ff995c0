"""The screen, call by call: how messages look, how lines are cut, and what is never at the left edge."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charla.client.display import help_topics
from charla.client.display.mentions import names
from charla.client.display.phrases import CLIENT_USAGE
from charla.client.display.screen import Screen
from charla.client.display.widths import display_width
from charla.protocol.messages import (
    Acted,
    AskNick,
    AskPassword,
    Banned,
    Crowd,
    DeliveryPending,
    Goodbye,
    HelpText,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Renamed,
    Resumed,
    Said,
    Status,
    Token,
    Told,
    Topic,
    Unread,
    Welcome,
    WhoPage,
)
from charla.protocol.sentences import MODERATORS_USAGE, USAGE, usage_words
from charla.protocol.text import clean

AT = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC

many = settings(max_examples=300, deadline=None, database=None)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in UTC, whatever the machine's time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def screen(columns: int = 0, color: bool = False, now: int = AT, **options: Any) -> Screen:
    return Screen(lambda: columns, color, now=lambda: now / 1000, **options)


def plain(line: str) -> str:
    """Return `line` without its colours."""
    return re.sub(r"\x1b\[[\d;]+m", "", line)


# --------------------------------------------------------------------------------------------------
# Messages
# --------------------------------------------------------------------------------------------------

MESSAGES: list[tuple[Message, list[str]]] = [
    (Said(1, AT, 0, "beto", "hola"), ["22:13 beto: hola"]),
    (Said(1, AT, 7, "ana", "hola"), ["22:13 ana: hola"]),
    (Said(1, AT, 0, "beto", "uno\n\ndos"), ["22:13 beto: uno", " " * 12, " " * 12 + "dos"]),
    (Acted(1, AT, 0, "beto", "saluda"), ["22:13 ~ beto saluda"]),
    (Told(1, AT, 0, "beto", "ana", "hola"), ["22:13 beto -> you: hola"]),
    (Told(1, AT, 7, "ana", "beto", "hola"), ["22:13 you -> beto: hola"]),
    (Told(1, AT, 7, "ana", "ana", "nota"), ["22:13 you -> you: nota"]),
    (Joined(1, AT, "beto"), ["22:13 * beto joined"]),
    (Left(1, AT, "beto", "left"), ["22:13 * beto left"]),
    (Left(1, AT, "beto", "lost"), ["22:13 * beto left (connection lost)"]),
    (Left(1, AT, "beto", "eaten by a grue"), ["22:13 * beto left (eaten by a grue)"]),
    (Renamed(1, AT, 0, "beto", "berta"), ["22:13 * beto is now berta"]),
    (Renamed(1, AT, 7, "aina", "ana"), ["22:13 * you are now ana"]),
    (Crowd(1, AT, 12, 3, 209), ["22:13 * 12 joined, 3 left: 209 here"]),
    (
        Welcome(1, AT, "ana", 1),
        ["22:13 * Welcome to Charla.", "22:13 * You are ana. /help tells what you can type."],
    ),
    (
        Welcome(1, AT, "ana", 1, "uno\ndos"),
        ["22:13 * uno", "22:13 * dos", "22:13 * You are ana. /help tells what you can type."],
    ),
    (WhoPage(0, 1, 1, 2, ("ana", "beto")), ["      * 2 here: ana, beto"]),
    (WhoPage(0, 1, 2, 51, ("ana", "beto")), ["      * 51 here, page 1 of 2: ana, beto (/who 2 for more)"]),
    (WhoPage(0, 2, 2, 51, ("zoe",)), ["      * 51 here, page 2 of 2: zoe"]),
    (HistoryEntry(Said(1, AT, 0, "beto", "hola")), ["[22:13] beto: hola"]),
    (HistoryEntry(Said(1, AT, 0, "beto", "uno\ndos")), ["[22:13] beto: uno", " " * 14 + "dos"]),
    (HistoryEntry(Acted(1, AT, 0, "beto", "saluda")), ["[22:13] ~ beto saluda"]),
    (HistoryHeader(0, 2), ["      * What was said before, the last 2 messages:"]),
    (HistoryHeader(3, 0), ["      * There is nothing of what was said before."]),
    (DeliveryPending(1, "beto"), ["      * The connection of beto is down: that waits until they are back."]),
    (
        Unread(1, AT, "beto", 1),
        ["22:13 * beto did not come back: what you last said to them alone may not have been read."],
    ),
    (Notice(1, AT, "later", ("a-b",)), ["22:13 * later a b"]),
    (Moderated(1, AT, 0, "mod", "beto"), ["22:13 * beto is a moderator now"]),
    (Moderated(1, AT, 7, "kick", "ana", "beto", 0, "ya"), ["22:13 * ana removed beto: ya"]),
    (Moderated(1, AT, 0, "mute", "beto", "ana", 300), ["22:13 * beto muted ana for 5 min"]),
    (
        Moderated(1, AT, 0, "announce", "beto", "", 0, "uno\nana joined"),
        ["22:13 * beto announces: uno", "        ana joined"],
    ),
    (Topic(0, False, "sol"), ["      * Topic: sol"]),
    (Topic(0, False, "sol\nana joined"), ["      * Topic: sol", "        Topic: ana joined"]),
    (Topic(7, True, ""), ["      * There is no topic.", "        The room is quiet: only moderators speak."]),
    (Banned(7, 0, 0), ["      * Nobody is banned."]),
    (
        Banned(7, 1, 2, "beto", "10.0.0.1", 60, "ana", "uno\ndos"),
        ["      * 1 of 2: beto (10.0.0.1), for another 1 min, by ana: uno", "        dos"],
    ),
    (
        Status(7, ("61", "2")),
        ["      * running for: 1 min 1 s", "      * people in the room: 2"],
    ),
    (WhoPage(0, 1, 1, 2, ("ana", "@beto")), ["      * 2 here: ana, @beto"]),
    (AskPassword(), []),
    (Token("tok", 60), []),
    (Resumed("ana", 1, 0), []),
    (AskNick(), []),
    (HelpText(), []),
    (Goodbye("left"), []),
]


@pytest.mark.parametrize(("message", "lines"), MESSAGES, ids=str)
@pytest.mark.parametrize("columns", [0, 100])
def test_every_message_has_its_words(message: Message, lines: list[str], columns: int) -> None:
    assert screen(columns).lines(message, "ana") == lines


@pytest.mark.parametrize(("message", "lines"), MESSAGES, ids=str)
def test_colours_change_no_word(message: Message, lines: list[str]) -> None:
    colored = screen(100, color=True).lines(message, "ana")
    assert [plain(line) for line in colored] == lines
    for line in colored:
        assert "\x1b[" in line or line.startswith("      "), "every line that begins something has a colour"
        codes = re.findall(r"\x1b\[([\d;]+)m", line)
        assert all((code == "0") == bool(position % 2) for position, code in enumerate(codes)), line
        assert not codes or codes[-1] == "0", "a colour goes on behind its line"


def test_a_nick_has_one_colour_and_not_all_have_the_same() -> None:
    def color(nick: str) -> str:
        line = screen(80, color=True).lines(Said(1, AT, 0, nick, "hola"), "ana")[0]
        match = re.search(rf"\x1b\[([\d;]+)m{nick}\x1b\[0m: hola$", line)
        assert match is not None, line
        return match[1]

    nicks = [f"nick{number}" for number in range(30)]
    assert [color(nick) for nick in nicks] == [color(nick) for nick in nicks]
    assert len({color(nick) for nick in nicks}) > 3


def test_an_announcement_stands_out() -> None:
    lines = screen(40, color=True).lines(Moderated(1, AT, 0, "announce", "beto", "", 0, "uno " * 20), "ana")
    assert len(lines) > 1
    assert all(re.fullmatch(r"\x1b\[1m[^\x1b]+\x1b\[0m", line) for line in lines)


def test_a_notice_and_an_error_have_their_marks() -> None:
    assert screen(80).notice("uno\ndos") == ["      * uno", "      * dos"]
    assert screen(80).error("uno\ndos") == ["      ! uno", "      ! dos"]
    assert screen(18).error("uno dos tres") == ["      ! uno dos", "        tres"]


def test_a_notice_is_dim_and_an_error_plain() -> None:
    assert screen(80, color=True).notice("uno") == ["\x1b[2m      * uno\x1b[0m"]
    assert screen(80, color=True).error("uno") == ["      ! uno"]


@pytest.mark.parametrize(("terminal", "prefix"), [("xterm", ""), ("xterm-256color", "38;5;")])
def test_the_terminal_says_how_many_colours_it_has(
    monkeypatch: pytest.MonkeyPatch, terminal: str, prefix: str
) -> None:
    for name in ("COLORTERM", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", terminal)
    said, told = (
        screen(80, color=True).lines(message, "ana")[0]
        for message in (Said(1, AT, 0, "beto", "hola"), Told(1, AT, 0, "beto", "ana", "hola"))
    )
    assert re.search(rf"\x1b\[{prefix}\d+mbeto\x1b", said)
    assert re.search(rf"\x1b\[1;{prefix}\d+mbeto -> you\x1b", told)


# --------------------------------------------------------------------------------------------------
# One's own nick
# --------------------------------------------------------------------------------------------------


def test_ones_own_nick_stands_out() -> None:
    line = screen(80, color=True).lines(Said(1, AT, 0, "beto", "hola ANA, banana"), "ana")[0]
    assert line.endswith(": hola \x1b[1;7mANA\x1b[0m, banana")
    told = screen(80, color=True).lines(Told(1, AT, 0, "beto", "ana", "hola ana"), "ana")[0]
    assert told.endswith(": hola \x1b[1;7mana\x1b[0m")


def test_ones_own_nick_stands_out_on_every_line_that_has_some_of_it() -> None:
    lines = screen(20, color=True).lines(Said(1, AT, 0, "beto", "x ana bernardo-de-la y"), "bernardo-de-la")
    assert [re.sub(r"\x1b\[1;7m([^\x1b]*)\x1b\[0m", r"<\1>", line).lstrip() for line in lines[1:]] == [
        "<bernardo-de-la>",
        "y",
    ]
    lines = screen(20, color=True).lines(Said(1, AT, 0, "beto", "bernardo-de-la-fu y"), "bernardo-de-la-fu")
    marked = re.findall(r"\x1b\[1;7m([^\x1b]*)\x1b\[0m", "".join(lines))
    assert len(marked) == 2
    assert "".join(marked) == "bernardo-de-la-fu"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Said(1, AT, 0, "beto", "hola ana"), "22:13 beto (names you): hola ana"),
        (Acted(1, AT, 0, "beto", "saluda a Ana"), "22:13 ~ beto (names you) saluda a Ana"),
        (Told(1, AT, 0, "beto", "ana", "hola ana"), "22:13 beto -> you: hola ana"),
        (Said(1, AT, 7, "ana", "soy ana"), "22:13 ana: soy ana"),
        (HistoryEntry(Said(1, AT, 0, "beto", "hola ana")), "[22:13] beto: hola ana"),
    ],
)
def test_without_colours_words_say_that_one_is_named(message: Message, line: str) -> None:
    assert screen(80).lines(message, "ana") == [line]


def test_in_a_pipe_nothing_says_that_one_is_named() -> None:
    lines = screen(0, terminal=False).lines(Said(1, AT, 0, "beto", "hola ana"), "ana")
    assert lines == ["22:13 beto: hola ana"]


# --------------------------------------------------------------------------------------------------
# Days, and times
# --------------------------------------------------------------------------------------------------


DAY = 24 * 60 * 60 * 1000
MIDNIGHT = AT - AT % DAY + DAY  # the first moment of 15 November


def said(at: int) -> Said:
    return Said(1, at, 0, "beto", "hola")


def test_another_day_is_marked_before_its_first_line() -> None:
    on = screen(80)
    shown = [line for at in (AT, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + 1) for line in on.lines(said(at), "ana")]
    assert shown == [
        "22:13 beto: hola",
        "23:59 beto: hola",
        "-- Wednesday, 15 November 2023 --",
        "00:00 beto: hola",
        "00:00 beto: hola",
    ]


@pytest.mark.parametrize(
    "message",
    [
        Acted(1, AT + DAY, 0, "beto", "x"),
        Told(1, AT + DAY, 0, "beto", "ana", "x"),
        Joined(1, AT + DAY, "beto"),
        Left(1, AT + DAY, "beto", "left"),
        Renamed(1, AT + DAY, 0, "a", "b"),
        Crowd(1, AT + DAY, 1, 2, 3),
        Unread(1, AT + DAY, "beto", 1),
        Notice(1, AT + DAY, "x"),
        Moderated(1, AT + DAY, 0, "mod", "beto"),
        Welcome(1, AT + DAY, "ana", 1),
    ],
    ids=str,
)
def test_everything_that_has_a_time_can_begin_a_day(message: Message) -> None:
    on = screen(80, color=True)
    on.lines(said(AT), "ana")
    assert on.lines(message, "ana")[0] == "\x1b[2m-- Wednesday, 15 November 2023 --\x1b[0m"
    assert plain(on.lines(message, "ana")[0]).startswith("22:13 ")


def test_every_line_stands_under_its_day_also_when_a_clock_goes_back() -> None:
    on = screen(80)
    marks = [on.lines(said(at), "ana")[:-1] for at in (AT, AT + DAY, AT, AT - DAY, AT - DAY, AT + 400 * DAY)]
    assert marks == [
        [],
        ["-- Wednesday, 15 November 2023 --"],
        ["-- Tuesday, 14 November 2023 --"],
        ["-- Monday, 13 November 2023 --"],
        [],
        ["-- Wednesday, 18 December 2024 --"],
    ]


def test_what_is_from_before_marks_no_day() -> None:
    on = screen(80)
    on.lines(said(AT), "ana")
    assert len(on.lines(HistoryEntry(said(AT - DAY)), "ana")) == 1
    assert len(on.found([said(AT - DAY)], "ana")) == 1
    assert len(on.lines(said(AT), "ana")) == 1


@pytest.mark.parametrize(
    ("columns", "mark"),
    [
        (33, "-- Wednesday, 15 November 2023 --"),
        (32, "-- 15 Nov 2023 --"),
        (16, "-- 15 Nov --"),
        (8, "-- 15 N…"),
    ],
)
def test_a_day_takes_one_row(columns: int, mark: str) -> None:
    on = screen(columns)
    on.lines(said(AT), "ana")
    assert on.lines(said(AT + DAY), "ana")[0] == mark


def test_a_day_is_the_local_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "<-03>3")  # midnight is at 03:00 UTC there
    time.tzset()
    on = screen(80)
    marks = [len(on.lines(said(MIDNIGHT + hours * 3_600_000), "ana")) > 1 for hours in (0, 1, 2, 3, 4)]
    assert marks == [False, False, False, True, False]


@pytest.mark.parametrize(("message", "lines"), MESSAGES, ids=str)
def test_without_times_all_else_is_aligned_as_before(message: Message, lines: list[str]) -> None:
    on = screen(100)
    on.time_shown = False
    past = isinstance(message, HistoryEntry)
    assert on.lines(message, "ana") == [line if past else line[6:] for line in lines]


def test_times_come_and_go_while_messages_arrive() -> None:
    on = screen(80)
    assert on.lines(said(AT), "ana") == ["22:13 beto: hola"]
    on.time_shown = False
    assert on.lines(said(AT), "ana") == ["beto: hola"]
    assert on.notice("uno dos") == ["* uno dos"]
    assert on.error("uno\ndos") == ["! uno", "! dos"]
    on.time_shown = True
    assert on.lines(said(AT + 60_000), "ana") == ["22:14 beto: hola"]


@pytest.mark.parametrize(
    ("now", "clock"),
    [
        (AT, "[22:13]"),
        (AT + DAY // 24, "[22:13]"),
        (AT + DAY // 12, "[14 Nov 22:13]"),  # it is past midnight
        (AT + 40 * DAY, "[14 Nov 22:13]"),
        (AT + 365 * DAY, "[14 Nov 2023 22:13]"),
    ],
)
def test_a_message_of_another_day_has_its_date(now: int, clock: str) -> None:
    lines = screen(now=now).lines(HistoryEntry(Said(1, AT, 0, "beto", "hola")), "ana")
    assert lines == [f"{clock} beto: hola"]


def test_what_is_past_is_dim_from_one_end_to_the_other() -> None:
    lines = screen(60, color=True).lines(HistoryEntry(Said(1, AT, 0, "beto", "uno " * 30)), "ana")
    assert len(lines) == 3
    assert all(re.fullmatch(r"\x1b\[2m[^\x1b]+\x1b\[0m", line) for line in lines)


# --------------------------------------------------------------------------------------------------
# Nothing passes for somebody else's line
# --------------------------------------------------------------------------------------------------

TEXTS = st.text(
    st.one_of(
        st.sampled_from("a b ñ 日 😀 e\u0301 \u200d \ufe0f \u00ad \u3000 -"),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=120,
).map(clean)
NOT_NAMING_ANA = TEXTS.filter(lambda text: not names(text, "ana"))


@many
@given(
    st.lists(TEXTS, min_size=1, max_size=4).map("\n".join),
    st.sampled_from(["a", "beto", "日本語日本語日本語日本語", "n" * 24, "漢" * 24]),
    st.integers(20, 120),
    st.booleans(),
)
def test_only_what_the_screen_puts_there_is_at_the_left_edge(
    text: str, nick: str, columns: int, times: bool
) -> None:
    at = screen(columns)
    at.time_shown = times
    clock, margin = ("22:13 ", " " * 6) if times else ("", "")
    for message, beginning in (
        (Said(1, AT, 0, nick, text), f"{clock}{nick}"),  # perhaps: (names you)
        (Acted(1, AT, 0, nick, text), f"{clock}~ {nick}"),
        (Told(1, AT, 0, nick, "ana", text), f"{clock}{nick} -> you:"),
        (HistoryEntry(Said(1, AT, 0, nick, text)), f"[22:13] {nick}:"),
        (HistoryEntry(Acted(1, AT, 0, nick, text)), f"[22:13] ~ {nick}"),
        (Left(1, AT, nick, text.replace("\n", "")), f"{clock}* {nick} left"),
        (Moderated(1, AT, 0, "announce", nick, "", 0, text), f"{clock}* {nick} announces:"),
        (Moderated(1, AT, 0, "kick", nick, "eva", 0, text), f"{clock}* {nick} removed eva"),
        (Topic(0, True, text or "sol"), f"{margin}* Topic:"),
        (Banned(0, 1, 1, nick, "", 0, "eva", text), f"{margin}* 1 of 1: {nick}"),
    ):
        first, *others = at.lines(message, "ana")
        assert first.startswith(beginning) or beginning.startswith(first.rstrip())
        assert all(line.startswith("     " if times else "  ") for line in others)
        assert all(display_width(line) <= columns for line in (first, *others))


@many
@given(NOT_NAMING_ANA.filter(str.strip), st.integers(40, 120))
def test_what_was_said_is_all_on_the_screen(text: str, columns: int) -> None:
    lines = screen(columns).lines(Said(1, AT, 0, "beto", text), "ana")
    shown = "".join(lines).replace(" ", "")
    assert shown == f"22:13beto:{text}".replace(" ", "")


@many
@given(st.lists(NOT_NAMING_ANA, min_size=1, max_size=4).map("\n".join))
def test_without_a_width_nothing_is_cut(text: str) -> None:
    lines = screen(0).lines(Said(1, AT, 0, "beto", text), "ana")
    assert [line[12:] for line in lines] == text.split("\n")


# --------------------------------------------------------------------------------------------------
# What was found, and the help
# --------------------------------------------------------------------------------------------------


def test_what_was_found_looks_like_the_history() -> None:
    found = screen(60, color=True).found(
        [
            Said(1, AT - DAY, 0, "beto", "uno"),
            Acted(2, AT, 0, "eva", "saluda"),
            Told(3, AT, 0, "beto", "ana", "uno\ndos"),
            Told(4, AT, 0, "ana", "beto", "tres"),
        ],
        "ana",
    )
    assert all(re.fullmatch(r"\x1b\[2m[^\x1b]+\x1b\[0m", line) for line in found)
    assert [plain(line) for line in found] == [
        "[13 Nov 22:13] beto: uno",
        "[22:13] ~ eva saluda",
        "[22:13] beto -> you: uno",
        " " * 21 + "dos",
        "[22:13] you -> beto: tres",
    ]


TALK = [
    "      * Talking:",
    "        TEXT            say it to everyone",
    "        USER: TEXT      say it to USER alone",
    "        /msg USER TEXT  the same",
    "        /r TEXT         answer the one who last wrote to you alone",
    "        /say TEXT       say it to everyone as it stands: /say note: no class today",
    "        /me TEXT        tell what you do",
]


@pytest.mark.parametrize("columns", [0, 100])
def test_the_help_on_a_topic_is_in_columns(columns: int) -> None:
    assert screen(columns).help("talk") == TALK


def test_the_help_goes_on_in_its_column() -> None:
    lines = screen(60).help("talk")
    assert lines[6:8] == [
        "        /say TEXT       say it to everyone as it stands:",
        "                        /say note: no class today",
    ]


def test_on_a_narrow_screen_the_meaning_stands_under_what_is_typed() -> None:
    assert screen(30).help("talk")[:7] == [
        "      * Talking:",
        "  TEXT",
        "    say it to everyone",
        "  USER: TEXT",
        "    say it to USER alone",
        "  /msg USER TEXT",
        "    the same",
    ]


@pytest.mark.parametrize("topic", ["", *help_topics.TOPICS])
def test_the_help_fits_and_loses_nothing(topic: str) -> None:
    def words(lines: list[str]) -> str:
        return re.sub(r"\s", "", "".join(lines))

    whole = words(screen(0).help(topic, alt_enter=True))
    for columns, times in itertools.product(range(12, 130, 3), (False, True)):
        on = screen(columns)
        on.time_shown = times
        lines = on.help(topic, alt_enter=True)
        assert all(display_width(line) <= columns for line in lines), (columns, times)
        assert words(lines) == whole, (columns, times)


def test_the_help_tells_everything_that_can_be_typed() -> None:
    lines = screen().help()
    for name, usage in {**USAGE, **CLIENT_USAGE}.items():
        typed, meaning = usage_words(usage)
        rows = [line for line in lines if re.fullmatch(rf" +{re.escape(typed)} +{re.escape(meaning)}", line)]
        assert len(rows) == (name != "help"), typed
    assert not any("/kick" in line for line in lines)
    assert [line for line in lines if "*" in line][-1] == "      * Keys:"


def test_the_help_tells_what_moderators_can_do() -> None:
    lines = screen().help("mod")
    assert lines[0] == "      * For moderators:"
    assert len(lines) == 1 + len(MODERATORS_USAGE)


def test_the_keys_are_those_that_there_are() -> None:
    def told(on: Screen, key: str, **options: bool) -> bool:
        return any(line.strip().startswith(key) for line in on.help("keys", **options))

    assert told(screen(80), "Alt+Enter", alt_enter=True)
    assert not told(screen(80), "Alt+Enter")
    assert told(screen(80), "Tab")
    assert told(screen(0, plain=True), "Tab")
    assert not told(screen(0, terminal=False), "Tab")
