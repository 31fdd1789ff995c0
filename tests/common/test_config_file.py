"""The subset of TOML that is read on every Python: what it takes, tomllib takes too, and for the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charla.common import config_file

_WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=["Cc"]), max_size=9
)
_ESCAPES = st.sampled_from([r"\n", r"\t", r"\"", r"\\", r"\u00f1", r"\U0001F600", r"\b", r"\f", r"\r"])
_TEXTS = st.lists(_WORDS.map(lambda text: re.sub(r'["\\]', "", text)) | _ESCAPES).map("".join)
_VALUES = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["true", "false", "+1", "-0", "1_000", "6.5e+1_0", "-0.0", "1e999"]),
    _TEXTS.map(lambda text: f'"{text}"'),
    _WORDS.map(lambda text: "'" + text.replace("'", "") + "'"),
)
_SPACE = st.sampled_from(["", " ", "\t "])
_COMMENTS = st.just("") | _WORDS.map("#{}".format)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Draw a file such as people write."""
    names = draw(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,5}", fullmatch=True), unique=True, max_size=5))
    lines = []
    for name in names:
        before, left, right, behind = (draw(_SPACE) for _ in range(4))
        lines.append(f"{before}{name}{left}={right}{draw(_VALUES)}{behind}{draw(_COMMENTS)}")
        lines.append(draw(_COMMENTS))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


def by_tomllib(text: str) -> Any:
    """Return what the standard library's reader makes of `text`."""
    tomllib = pytest.importorskip("tomllib")
    return tomllib.loads(text)


@given(documents())
def test_lines_such_as_people_write_are_read_as_tomllib_reads_them(text: str) -> None:
    values = config_file.parse_simple(text)
    assert repr(values) == repr(by_tomllib(text))  # 1 is not True, and 0.0 is not -0.0


_SCRAPS = st.sampled_from(
    [
        *("a", "b", "=", " = ", '"', "'", '"""', "'''", "\\", "\\u", "d800", "00e9", "\\U", "0010FFFF", "#"),
        *(
            "\n",
            "\r\n",
            "\r",
            "\t",
            " ",
            "0",
            "1",
            "_",
            ".",
            "+",
            "-",
            "e",
            "E",
            "true",
            "false",
            "inf",
            "nan",
        ),
        *(
            "[",
            "]",
            "{",
            "}",
            ",",
            "\0",
            "\x1f",
            "\x7f",
            "\x85",
            "\u2028",
            "\ufeff",
            "ñ",
            "0x1f",
            "1979-05-27",
        ),
    ]
)


@given(st.lists(_SCRAPS, max_size=12).map("".join), st.sampled_from(["", "a=", 'a="', "a='", "a=1"]))
def test_whatever_it_takes_tomllib_takes_too_and_for_the_same(rest: str, start: str) -> None:
    text = start + rest
    try:
        values = config_file.parse_simple(text)
    except config_file.NotSimple as error:
        assert 1 <= error.line <= text.count("\n") + 1
        return
    assert repr(values) == repr(by_tomllib(text))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "[t]",
            "a.b = 1",
            '"a" = 1',
            "a = [1]",
            "a = {}",
            "a = 1979-05-27",
            "a = inf",
            "a = 0x1f",
            'a = """x"""',
        ),
        *("a", "a =", "a = b", "a = 1 2", "a = 01", "a = 1_", "a = 1.", "a = True", "a = 'x", 'a = "x\\"'),
        *('a = "\x01"', "a = '\x7f'", "# \x1f", "a = 1\r# no end of a line", 'a = "\\x41"', 'a = "\\ud800"'),
        *('a = "\\U00110000"', "first = 2", f"a = {'9' * 5000}"),
    ],
)
def test_anything_else_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(config_file.NotSimple) as refused:
        config_file.parse_simple(f"first = 1 # of all\n{text}\n")
    assert refused.value.line == 2
