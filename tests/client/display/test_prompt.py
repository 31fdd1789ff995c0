"""The prompt and the status line, at every width."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charla.client.display.prompt import prompt, status
from charla.client.display.widths import display_width

many = settings(max_examples=500, deadline=None, database=None)

NICKS = st.sampled_from(["a", "ana", "bernardo-de-la-fuente-xy", "漢" * 24, "n\u0303" * 8])


@pytest.mark.parametrize("columns", [0, 80, 200])
@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("ana> ", {}),
        ("ana (2 sending)> ", {"unsent": 2}),
        ("ana (reconnecting)> ", {"reconnecting": True}),
        ("ana (reconnecting, 2 unsent)> ", {"unsent": 2, "reconnecting": True}),
        ("ana -> beto (private)> ", {"to": "beto"}),
        ("ana (2 sending) -> beto (private)> ", {"to": "beto", "unsent": 2}),
        ("ana (nobody is called beot)> ", {"to": "beot", "nobody": True}),
        ("ana (reconnecting, nobody is called b)> ", {"to": "b", "nobody": True, "reconnecting": True}),
    ],
)
def test_the_prompt_tells_who_one_is_and_how_it_is(columns: int, row: str, state: dict[str, int]) -> None:
    assert prompt("ana", columns, **state) == row  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (40, ["ana (2 sending)> ", "ana (reconnecting)> ", "-> beto (private)> ", "(nobody)> "]),
        (30, ["ana (2 sending)> ", "(reconnecting)> ", "(private)> ", "(nobody)> "]),
        (20, ["ana (2)> ", "(down, 2)> ", "(private)> ", "(nobody)> "]),
        (16, ["ana (2)> ", "(down)> ", "-> beto> ", "(nobody)> "]),
        (10, ["(2)> ", "> ", "-> > ", "?> "]),
        (4, ["> ", "> ", "->> ", "?> "]),
        (1, ["> ", "> ", "> ", "> "]),
    ],
)
def test_a_narrow_prompt_keeps_what_matters(columns: int, rows: list[str]) -> None:
    assert [
        prompt("ana", columns, unsent=2),
        prompt("ana", columns, unsent=2, reconnecting=True),
        prompt("ana", columns, unsent=2, to="beto"),
        prompt("ana", columns, unsent=2, to="beot", nobody=True),
    ] == rows


def test_a_long_nick_is_shortened() -> None:
    assert prompt("n" * 24, 40) == "nnnnnnnnnn…> "
    assert prompt("n" * 24, 60, unsent=2) == "nnnnnnnnnnnnnnn… (2 sending)> "
    assert prompt("ana", 40, to="bernard") == "-> bernard (private)> "
    assert prompt("ana", 40, to="bernardo-f") == "-> bernar… (private)> "
    assert prompt("ana", 60, to="b" * 24, nobody=True) == "(nobody is called bbbbbbbbbb…)> "


@many
@given(NICKS, st.integers(10, 200), st.integers(0, 1000), st.booleans(), NICKS | st.just(""), st.booleans())
def test_a_prompt_takes_half_of_a_row_at_the_most(
    nick: str, columns: int, unsent: int, reconnecting: bool, to: str, nobody: bool
) -> None:
    row = prompt(nick, columns, unsent=unsent, reconnecting=reconnecting, to=to, nobody=nobody)
    assert display_width(row) <= columns // 2 + 2
    assert row.endswith("> ")
    if to and nobody:
        assert "nobody" in row or row == "?> "
    elif to:
        assert "private" in row or row.startswith("-> ")
    assert columns < 20 or not to or "nobody" in row or "private" in row, "there is room for a word"


def test_what_is_typed_as_a_nick_cannot_steer_the_terminal() -> None:
    assert (
        prompt("ana", 80, to="be\x1b[2J\u202eto\nx", nobody=True)
        == "ana (nobody is called be\ufffd[2Jto x)> "
    )


ADDRESS = "192.168.1.20:9000"


@pytest.mark.parametrize(
    ("columns", "unsent", "row"),
    [
        (0, 0, " 192.168.1.20:9000 · ana · 12 here · connected, TLS · nothing unsent"),
        (80, 0, " 192.168.1.20:9000 · ana · 12 here · connected, TLS · nothing unsent"),
        (80, 2, " 192.168.1.20:9000 · ana · 12 here · connected, TLS · 2 unsent"),
        (60, 0, " 192.168.1.20:9000 · ana · 12 here · connected, TLS"),
        (60, 2, " ana · 12 here · connected, TLS · 2 unsent"),
        (40, 0, " ana · 12 here · connected, TLS"),
        (40, 2, " 12 here · connected, TLS · 2 unsent"),
        (30, 2, " connected, TLS · 2 unsent"),
        (20, 0, " connected, TLS"),
        (20, 2, " 2 unsent"),
        (10, 0, " connecte…"),
    ],
)
def test_the_status_tells_what_there_is_room_for(columns: int, unsent: int, row: str) -> None:
    told = status(
        columns, server_address=ADDRESS, nick="ana", people=12, connection="connected, TLS", unsent=unsent
    )
    assert told == row


def test_the_status_leaves_out_what_is_not_known() -> None:
    assert (
        status(80, server_address="", nick="ana", people=0, connection="x", unsent=0)
        == " ana · x · nothing unsent"
    )


@many
@given(NICKS, st.integers(1, 200), st.integers(0, 1000), st.integers(0, 1000))
def test_a_status_is_never_wider_than_the_terminal(nick: str, columns: int, people: int, unsent: int) -> None:
    row = status(
        columns, server_address=ADDRESS, nick=nick, people=people, connection="connected", unsent=unsent
    )
    assert display_width(row) <= columns
