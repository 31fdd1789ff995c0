"""The screen, call by call: how messages look, how lines are cut, and what is never at the left edge."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wcwidth import wcwidth

from messages import (
    Acted,
    AskNick,
    AskPassword,
    Banned,
    Crowd,
    Earlier,
    Goodbye,
    HelpText,
    Here,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Past,
    Renamed,
    Resumed,
    Said,
    Status,
    Token,
    Told,
    Topic,
    Unread,
    Waits,
    Welcome,
    clean,
)
from screen import Screen, display_width, use_color, wrap
from wording import MODERATORS_USAGE, USAGE

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


def screen(columns: int = 0, color: bool = False, now: int = AT) -> Screen:
    return Screen(lambda: columns, color, lambda: now / 1000)


def plain(line: str) -> str:
    """Return `line` without its colours."""
    return re.sub(r"\x1b\[\d+m", "", line)


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
    (Here(0, 1, 1, 2, ("ana", "beto")), ["      * 2 here: ana, beto"]),
    (Here(0, 1, 2, 51, ("ana", "beto")), ["      * 51 here, page 1 of 2: ana, beto (/who 2 for more)"]),
    (Here(0, 2, 2, 51, ("zoe",)), ["      * 51 here, page 2 of 2: zoe"]),
    (Past(Said(1, AT, 0, "beto", "hola")), ["[22:13] beto: hola"]),
    (Past(Said(1, AT, 0, "beto", "uno\ndos")), ["[22:13] beto: uno", " " * 14 + "dos"]),
    (Past(Acted(1, AT, 0, "beto", "saluda")), ["[22:13] ~ beto saluda"]),
    (Earlier(0, 2), ["      * What was said before, the last 2 messages:"]),
    (Earlier(3, 0), ["      * There is nothing of what was said before."]),
    (Waits(1, "beto"), ["      * The connection of beto is down: that waits until they are back."]),
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
        ["      *           61  seconds since the start", "      *            2  people in the room"],
    ),
    (Here(0, 1, 1, 2, ("ana", "@beto")), ["      * 2 here: ana, @beto"]),
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
        codes = re.findall(r"\x1b\[(\d+)m", line)
        assert all((code == "0") == bool(position % 2) for position, code in enumerate(codes)), line
        assert not codes or codes[-1] == "0", "a colour goes on behind its line"


def test_a_nick_has_one_colour_and_not_all_have_the_same() -> None:
    def color(nick: str) -> str:
        line = screen(80, color=True).lines(Said(1, AT, 0, nick, "hola"), "ana")[0]
        match = re.search(rf"\x1b\[(\d+)m{nick}\x1b\[0m: hola$", line)
        assert match is not None, line
        return match[1]

    nicks = [f"nick{number}" for number in range(30)]
    assert [color(nick) for nick in nicks] == [color(nick) for nick in nicks]
    assert len({color(nick) for nick in nicks}) > 3


def test_help_tells_everything_that_can_be_typed() -> None:
    lines = screen().help()
    assert len(lines) == len(USAGE)
    for (typed, meaning), line in zip(USAGE.values(), lines, strict=True):
        assert line.startswith(f"      * {typed} ")
        assert line.endswith(f" {meaning}")


def test_help_tells_what_moderators_can_do_in_columns() -> None:
    lines = screen().help(moderators=True)
    assert len(lines) == len(MODERATORS_USAGE)
    starts = set()
    for (typed, meaning), line in zip(MODERATORS_USAGE.values(), lines, strict=True):
        assert line.startswith(f"      * {typed} ")
        assert line.endswith(f"  {meaning}")
        starts.add(len(line) - len(meaning))
    assert len(starts) == 1


def test_an_announcement_stands_out() -> None:
    lines = screen(40, color=True).lines(Moderated(1, AT, 0, "announce", "beto", "", 0, "uno " * 20), "ana")
    assert len(lines) > 1
    assert all(re.fullmatch(r"\x1b\[1m[^\x1b]+\x1b\[0m", line) for line in lines)


def test_a_notice_and_an_error_have_their_marks() -> None:
    assert screen(80).notice("uno\ndos") == ["      * uno", "      * dos"]
    assert screen(80).error("uno\ndos") == ["      ! uno", "      ! dos"]
    assert screen(18).error("uno dos tres") == ["      ! uno dos", "        tres"]


def test_the_prompt_tells_who_one_is_and_what_is_unsent() -> None:
    assert screen().prompt("ana", 0) == "ana> "
    assert screen().prompt("ana", 3) == "ana (3 unsent)> "

    assert screen().prompt("ana", 0, reconnecting=True) == "ana (reconnecting)> "
    assert screen().prompt("ana", 3, reconnecting=True) == "ana (reconnecting, 3 unsent)> "


DAY = 24 * 60 * 60 * 1000


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
    lines = screen(now=now).lines(Past(Said(1, AT, 0, "beto", "hola")), "ana")
    assert lines == [f"{clock} beto: hola"]


def test_what_is_past_is_dim_from_one_end_to_the_other() -> None:
    lines = screen(60, color=True).lines(Past(Said(1, AT, 0, "beto", "uno " * 30)), "ana")
    assert len(lines) == 3
    assert all(re.fullmatch(r"\x1b\[2m[^\x1b]+\x1b\[0m", line) for line in lines)


@pytest.mark.parametrize(
    ("choice", "terminal", "environment", "colored"),
    [
        ("auto", True, {}, True),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", False, {}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {}, False),
    ],
)
def test_when_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, choice: str, terminal: bool, environment: dict[str, str], colored: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert use_color(choice) == colored


# --------------------------------------------------------------------------------------------------
# Widths
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("hola", 4),
        ("ñandú ¿qué?", 11),
        ("n\u0303", 1),  # a combining tilde
        ("日本語", 6),
        ("한국어", 6),
        ("ａｂ", 4),  # full width
        ("😀", 2),
        ("a\u200db\u200c\u200b", 2),
        ("สวัสดี", 4),
        ("\u00ad", 1),  # a soft hyphen is seen
        ("\u2764\ufe0f", 2),  # a heart: a symbol of one column, with the selector an emoji of two
    ],
)
def test_the_width_of_a_text(text: str, width: int) -> None:
    assert display_width(text) == width


def test_no_character_is_taken_for_narrower_than_a_terminal_makes_it() -> None:
    # Wider is harmless: a line is wrapped early.  Narrower would let the terminal wrap it, to the left edge.
    narrower = [
        f"U+{number:04X}"
        for number in (*range(0x20, 0xD800), *range(0xE000, 0x110000))
        if clean(chr(number)) == chr(number) and wcwidth(chr(number)) > display_width(chr(number))
    ]
    assert narrower == []


# --------------------------------------------------------------------------------------------------
# Cutting lines
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "first", "rest", "lines"),
    [
        ("", 10, 10, [""]),
        ("hola", 4, 4, ["hola"]),
        ("hola a todos", 6, 6, ["hola a", "todos"]),
        ("hola a todos", 7, 7, ["hola a", "todos"]),
        ("hola  todos", 6, 6, ["hola ", "todos"]),
        ("a b  c", 99, 99, ["a b  c"]),
        ("   hola todos", 8, 8, ["   hola", "todos"]),
        ("otorrinolaringólogo", 8, 8, ["otorrino", "laringól", "ogo"]),
        ("un otorrinolaringólogo", 8, 8, ["un", "otorrino", "laringól", "ogo"]),
        ("corta y larga", 5, 8, ["corta", "y larga"]),
        ("日本語テキスト", 5, 5, ["日本", "語テ", "キス", "ト"]),
        ("日本 語", 5, 5, ["日本", "語"]),
        ("e\u0301e\u0301e\u0301", 2, 2, ["e\u0301e\u0301", "e\u0301"]),
        ("日本", 1, 1, ["", "日", "本"]),  # nothing fits: one to a line
        ("abc", 0, 2, ["", "ab", "c"]),
        ("abc", -3, 0, ["", "a", "b", "c"]),
        ("", -3, -3, [""]),
        ("hola ", 4, 4, ["hola"]),
    ],
)
def test_wrap_cuts_at_spaces_where_there_are_any(text: str, first: int, rest: int, lines: list[str]) -> None:
    assert wrap(text, first, rest) == lines


TEXTS = st.text(
    st.one_of(
        st.sampled_from("a b ñ 日 😀 e\u0301 \u200d \ufe0f \u00ad \u3000 -"),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=120,
).map(clean)


@many
@given(TEXTS, st.integers(-3, 40), st.integers(-3, 40))
@example("a" * 20 + " " * 30 + "b", 7, 5)
def test_wrap_loses_nothing_but_one_space_at_each_cut(text: str, first: int, rest: int) -> None:
    lines = wrap(text, first, rest)
    assert re.fullmatch("".join(re.escape(line) + " ?" for line in lines), text)


@many
@given(TEXTS, st.integers(-3, 40), st.integers(-3, 40))
def test_wrap_fills_no_line_beyond_its_width_where_a_character_fits(text: str, first: int, rest: int) -> None:
    lines = wrap(text, first, rest)
    assert lines[0] == "" or display_width(lines[0]) <= max(first, 0)
    for line in lines[1:]:
        fits = display_width(line) <= max(rest, 1)
        assert fits or rest < 2, f"{line!r} is wider than {rest}"


@many
@given(TEXTS.map(lambda text: text.replace(" ", "")), st.integers(2, 40))
def test_wrap_fills_lines_without_spaces_as_far_as_it_can(text: str, width: int) -> None:
    lines = wrap(text, width, width)
    for line, following in itertools.pairwise(lines):
        assert display_width(line) + display_width(following[:1]) > width


@many
@given(
    st.lists(TEXTS, min_size=1, max_size=4).map("\n".join),
    st.sampled_from(["a", "beto", "日本語日本語日本語日本語", "n" * 24, "漢" * 24]),
    st.integers(20, 120),
)
def test_only_what_the_screen_puts_there_is_at_the_left_edge(text: str, nick: str, columns: int) -> None:
    at = screen(columns)
    for message, beginning in (
        (Said(1, AT, 0, nick, text), f"22:13 {nick}:"),
        (Acted(1, AT, 0, nick, text), f"22:13 ~ {nick}"),
        (Told(1, AT, 0, nick, "ana", text), f"22:13 {nick} -> you:"),
        (Past(Said(1, AT, 0, nick, text)), f"[22:13] {nick}:"),
        (Past(Acted(1, AT, 0, nick, text)), f"[22:13] ~ {nick}"),
        (Left(1, AT, nick, text.replace("\n", "")), f"22:13 * {nick} left"),
        (Moderated(1, AT, 0, "announce", nick, "", 0, text), f"22:13 * {nick} announces:"),
        (Moderated(1, AT, 0, "kick", nick, "eva", 0, text), f"22:13 * {nick} removed eva"),
        (Topic(0, True, text or "sol"), "      * Topic:"),
        (Banned(0, 1, 1, nick, "", 0, "eva", text), f"      * 1 of 1: {nick}"),
    ):
        first, *others = at.lines(message, "ana")
        assert first.startswith(beginning) or beginning.startswith(first.rstrip())
        assert all(line.startswith("     ") for line in others)
        assert all(display_width(line) <= columns for line in (first, *others))


@many
@given(TEXTS.filter(str.strip), st.integers(40, 120))
def test_what_was_said_is_all_on_the_screen(text: str, columns: int) -> None:
    lines = screen(columns).lines(Said(1, AT, 0, "beto", text), "ana")
    shown = "".join(lines).replace(" ", "")
    assert shown == f"22:13beto:{text}".replace(" ", "")


@many
@given(st.lists(TEXTS, min_size=1, max_size=4).map("\n".join))
def test_without_a_width_nothing_is_cut(text: str) -> None:
    lines = screen(0).lines(Said(1, AT, 0, "beto", text), "ana")
    assert [line[12:] for line in lines] == text.split("\n")
