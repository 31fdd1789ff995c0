"""The text of people: what is cleaned out of it, and what stays."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charla.protocol.text import clean

UNSAFE_CATEGORIES = {"Cc", "Zl", "Zp"}


def test_clean_leaves_nothing_that_steers_a_terminal_or_reorders_a_line() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    for character in clean(everything):
        assert character == "\n" or unicodedata.category(character) not in UNSAFE_CATEGORIES
        assert unicodedata.bidirectional(character) not in {
            *("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        }
    assert not set("\u200e\u200f\u061c") & set(clean(everything))


@pytest.mark.parametrize(
    "text",
    [
        "ñandú",
        "👩‍👩‍👧‍👦",
        "e\u0301",
        "❤\ufe0f",
        "नमस्ते",
        "שלום",
        "مرحبا",
        "한국어",
        "🏴\U000e0067\U000e0062\U000e007f",
        "\ue000",
        "a\u200bb",
        "\u00ad",
    ],
)
def test_clean_keeps_every_visible_character(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("\t", "    "),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", "a b c d e f"),
        ("\x00\x07\x1b\x7f\x9b\r", "\ufffd" * 6),
        ("\u202eevil\u202c \u2066x\u2069 \u200e\u200f\u061c", "evil x "),
        ("a\nb", "a\nb"),
    ],
)
def test_clean_replaces(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned


@given(st.text())
def test_clean_is_idempotent(text: str) -> None:
    assert clean(clean(text)) == clean(text)
