"""The grammar of typed lines: what asks for what, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examples import REFUSED, TYPED

from charla.protocol.commands import Act, Command, Say, Tell
from charla.protocol.sentences import SENTENCES, sentence
from charla.protocol.text import MAX_TEXT, Refused, clean
from charla.protocol.typed import COMMANDS, nearest, parse_typed


@pytest.mark.parametrize(("line", "command"), TYPED)
def test_a_typed_line_asks_for(line: str, command: Command | None) -> None:
    assert parse_typed(line) == command


@pytest.mark.parametrize(("line", "code"), REFUSED)
def test_a_typed_line_is_refused(line: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_typed(line)
    assert caught.value.code == code
    assert "{" not in sentence(code, caught.value.arguments)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("/whp", ("whp", "who")),
        ("/HISTROY 5", ("histroy", "history")),
        ("/msgbeto hola", ("msgbeto", "msg")),
        ("/anounce x", ("anounce", "announce")),
        ("/slir", ("slir", "salir")),
        ("/xyzzy", ("xyzzy",)),
        ("/?", ("?", "help")),
        ("/" + "who" * 1000, ("who" * 33 + "w",)),  # no more of it than fits in an argument
    ],
)
def test_a_mistyped_command_is_told_the_nearest_one(line: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as caught:
        parse_typed(line)
    assert (caught.value.code, caught.value.arguments) == ("unknown-command", arguments)
    assert ("Did you mean" in sentence("unknown-command", arguments)) == (len(arguments) == 2)


def test_the_nearest_of_further_commands_too() -> None:
    assert nearest("serch") == ""
    assert nearest("serch", ("search", "clear")) == "search"
    assert nearest("") == ""
    assert set(COMMANDS) >= {"who", "msg", "kick", "exit", "salir"}


def test_the_longest_text_is_taken() -> None:
    assert parse_typed("x" * MAX_TEXT) == Say("x" * MAX_TEXT)
    assert parse_typed("beto: " + "ñ" * (MAX_TEXT // 2)) == Tell("beto", "ñ" * (MAX_TEXT // 2))


@given(st.text())
def test_any_typed_line_is_a_command_or_is_refused_and_never_unsafe(line: str) -> None:
    try:
        command = parse_typed(line, tag=7)
    except Refused as refused:
        assert refused.code in SENTENCES
        assert all(" " not in argument and clean(argument) == argument for argument in refused.arguments)
        return
    if isinstance(command, (Say, Act, Tell)):
        assert command.tag == 7
        assert clean(command.text) == command.text
        assert command.text.strip()
