"""Widths, call by call: how wide text is, where lines are cut, and what is never cut."""

from __future__ import annotations

import functools
import itertools
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wcwidth import wcwidth

from charla.client.display.widths import cluster_end, cuts, display_width, shortened, wrap
from charla.protocol.text import MAX_TEXT, clean

many = settings(max_examples=300, deadline=None, database=None)

FAMILY = "👩\u200d👩\u200d👧"
PIRATES = "🏴\u200d☠\ufe0f"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
CLUSTERS = [
    "a",
    "ñ",
    "n\u0303",
    "e\u0323\u0301",
    "日",
    "が",
    "か\u3099",
    "ｶ\uff9e",
    "한",
    "\u1112\u1161\u11ab",  # the same in its parts
    "ก\u0e33",
    "กิ่",
    "क\u094dष",  # two consonants joined by a virama
    "नि",
    "👍",
    "👍🏽",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    FAMILY,
    PIRATES,
    SCOTLAND,
    "🇦🇷",
    " ",
    "¿",
]


@functools.cache
def characters() -> list[str]:
    """Return every character of the planes in which Unicode has characters, and some of the other planes.

    There each is unassigned, or private, like its neighbours.
    """
    return [
        character
        for plane in range(0x11)
        for number in range(plane << 16, (plane + 1) << 16, 1 if plane in (0, 1, 2, 3, 14) else 97)
        if number >= 0x20 and not 0xD800 <= number < 0xE000 and clean(character := chr(number)) == character
    ]


def clusters(text: str) -> list[str]:
    found = []
    start = 0
    while start < len(text):
        end = cluster_end(text, start)
        found.append(text[start:end])
        start = end
    return found


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("hola", 4),
        ("ñandú ¿qué?", 11),
        ("n\u0303", 1),  # a combining tilde
        ("日本語", 6),
        ("한국어", 6),
        ("Привет", 6),
        ("ａｂ", 4),  # full width
        ("😀", 2),
        ("🇦🇷", 4),  # two where a terminal shows flags
        (FAMILY, 6),  # two where a terminal joins emojis
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
    assert [hex(ord(one)) for one in characters() if wcwidth(one) > display_width(one)] == []


def test_the_width_of_a_text_is_that_of_its_characters() -> None:
    # Alone and beside one that is not Latin: two ways to count, for speed.
    differing = [one for one in characters() if display_width(one) + 2 != display_width(f"{one}日")]
    assert list(map(ord, differing)) == []


# --------------------------------------------------------------------------------------------------
# What a person sees as one character
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CLUSTERS)
def test_what_is_seen_as_one_character_is_one(one: str) -> None:
    for another in CLUSTERS:
        assert clusters(one + another) == [one, another]


def test_flags_are_pairs_from_the_left() -> None:
    assert clusters("🇦🇷🇪🇸🇺") == ["🇦🇷", "🇪🇸", "🇺"]


@many
@given(st.lists(st.sampled_from(CLUSTERS), max_size=30), st.integers(8, 40))
def test_no_line_begins_or_ends_inside_of_one(characters: list[str], columns: int) -> None:
    text = "".join(characters)
    edges = set(itertools.accumulate(map(len, characters), initial=0))
    for start, end in cuts(text, columns, columns):
        assert {start, end} <= edges
        assert display_width(text[start:end]) <= columns


def test_a_pile_of_marks_is_not_one_character() -> None:
    assert 30 < cluster_end("e" + "\u0301" * 1000, 0) < 100


def test_what_is_too_wide_for_a_line_is_cut_all_the_same() -> None:
    assert wrap(FAMILY * 2, 4, 4) == ["👩\u200d👩\u200d", "👧", "👩\u200d👩\u200d", "👧"]


def test_a_line_is_not_cut_at_a_space_with_an_accent_on_it() -> None:
    assert wrap("uno dos \u0301tres", 8, 8) == ["uno", "dos \u0301tres"]


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
        ("larga y corta", 3, 8, ["", "larga y", "corta"]),  # a word that is whole on the next line
        ("¡ñandúes!", 3, 12, ["", "¡ñandúes!"]),
        ("otorrinolaringólogo", 3, 8, ["oto", "rrinolar", "ingólogo"]),
        ("日本語", 4, 8, ["日本", "語"]),  # words without spaces
        ("日本語テキスト", 5, 5, ["日本", "語テ", "キス", "ト"]),
        ("日本 語", 5, 5, ["日本", "語"]),
        ("e\u0301e\u0301e\u0301", 2, 2, ["e\u0301e\u0301", "e\u0301"]),
        ("日本", 1, 1, ["", "日", "本"]),  # nothing fits: one to a line
        ("か\u3099か\u3099", 1, 1, ["", "か\u3099", "か\u3099"]),
        ("abc", 0, 2, ["", "ab", "c"]),
        ("abc", -3, 0, ["", "a", "b", "c"]),
        ("", -3, -3, [""]),
        ("hola ", 4, 4, ["hola"]),
    ],
)
def test_wrap_cuts_at_spaces_where_there_are_any(text: str, first: int, rest: int, lines: list[str]) -> None:
    assert wrap(text, first, rest) == lines


TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*CLUSTERS, " ", " ", "hola", "\u200d", "\ufe0f", "\u0301", "\u00ad", "\u3000", "-"]),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=80,
).map(lambda parts: clean("".join(parts)))


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
@example("aaaaaaaa\U0001f3fb", 2)
def test_wrap_fills_lines_without_spaces_as_far_as_it_can(text: str, width: int) -> None:
    for (start, end), (following, _) in itertools.pairwise(cuts(text, width, width)):
        one = text[following : cluster_end(text, following)]
        if display_width(one) <= width:  # what is wider than a line is cut somewhere
            assert display_width(text[start:end] + one) > width


@pytest.mark.parametrize(
    "character", ["a", "ñ", "日", "\u0301", "\u0903", "\u200d", "👩\u200d", "🇦", " ", "a "]
)
def test_the_longest_text_of_anything_costs_a_moment(character: str) -> None:
    text = (character * MAX_TEXT).encode()[:MAX_TEXT].decode(errors="ignore")
    since = time.thread_time()
    wrap(text, 14, 10)
    assert time.thread_time() - since < 0.1  # measured: 3 ms at the most


# --------------------------------------------------------------------------------------------------
# Shortening
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns", "short"),
    [
        ("ana", 3, "ana"),
        ("bernardo", 5, "bern…"),
        ("bernardo", 1, "…"),
        ("bernardo", 0, ""),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("n\u0303n\u0303n\u0303", 2, "n\u0303…"),
    ],
)
def test_what_is_shortened_says_so(text: str, columns: int, short: str) -> None:
    assert shortened(text, columns) == short
