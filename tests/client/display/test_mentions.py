"""Who is named in a text, and where."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charla.client.display.mentions import names, spans
from charla.protocol.text import MAX_TEXT


@pytest.mark.parametrize(
    ("text", "nick", "named"),
    [
        ("hola ana", "ana", ["ana"]),
        ("ana", "ana", ["ana"]),
        ("ANA, ¿estás?", "ana", ["ANA"]),
        ("hola Ana", "ANA", ["Ana"]),
        ("gracias, ana.", "ana", ["ana"]),
        ("¿ana?", "ana", ["ana"]),
        ("(ana) «ana» 'ana' @ana -ana", "ana", ["ana"] * 5),
        ("ana...", "ana", ["ana"]),
        ("ana" + "." * 200, "ana", ["ana"]),
        ("ana: hola", "ana", ["ana"]),
        ("ana\nana", "ana", ["ana", "ana"]),
        ("banana anana mañana ana2 ana_ an", "ana", []),
        ("ana-lu y ana.b", "ana", []),
        ("ana-lu y ana.b", "ana-lu", ["ana-lu"]),
        ("anaé", "ana", []),
        ("éana", "ana", []),
        ("an\u0303a y ana\u0301", "ana", []),  # añá is somebody else
        ("hola Nandu\u0301", "nandú", ["Nandu\u0301"]),
        ("hola NANDÚ", "nandu\u0301", ["NANDÚ"]),
        ("hola ａｎａ, ñ", "ana", ["ａｎａ"]),
        ("STRASSE straße", "straße", ["STRASSE", "straße"]),
        ("hola 日本。", "日本", ["日本"]),
        ("ana. y ana.", "ana.", ["ana.", "ana."]),
        ("ana y", "ana.", []),
        ("", "ana", []),
        ("hola", "", []),
        ("x" * 600 + " ana", "ana", ["ana"]),
        ("é" * 600 + " Ana", "ana", ["Ana"]),
    ],
)
def test_a_nick_is_named_by_a_word_of_its_own(text: str, nick: str, named: list[str]) -> None:
    assert [text[start:end] for start, end in spans(text, nick)] == named
    assert names(text, nick) == bool(named)


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(), st.sampled_from(["ana", "ñandú", "日本", "straße", "a.b-c"]), st.text())
def test_a_nick_between_spaces_is_named_whatever_is_around(before: str, nick: str, behind: str) -> None:
    assert names(f"{before} {nick} {behind}", nick)


@pytest.mark.parametrize("character", ["a", "é", "e\u0301", "\u0301", "\u0327\u0301", "日", ".", "ana."])
def test_the_longest_text_of_anything_costs_a_moment(character: str) -> None:
    text = (character * MAX_TEXT).encode()[:MAX_TEXT].decode(errors="ignore")
    since = time.thread_time()
    names(text, "ana")
    assert time.thread_time() - since < 0.1  # measured: 2 ms at the most
