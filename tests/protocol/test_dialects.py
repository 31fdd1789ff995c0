"""Both dialects, one table drives the writer and the reader; the greeting; and no I/O in any of it."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT
from support.examples import COMMANDS, MESSAGES, NOW, TOLD_ALIKE

from charla.protocol.commands import MAX_NUMBER, WHO_PAGE, Command, Hello, Leave, Say, Tell
from charla.protocol.dialect import Dialect
from charla.protocol.fields import MAX_WHY
from charla.protocol.greeting import read_answer, read_greeting, turn_away
from charla.protocol.messages import (
    Acted,
    AskNick,
    AskPassword,
    HelpText,
    Message,
    Moderated,
    Refusal,
    Renamed,
    Said,
    Told,
    Welcome,
    WhoPage,
)
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.protocol.sentences import SENTENCES, sentence
from charla.protocol.text import MAX_LINE, MAX_TEXT, Refused, clean


def test_protocol_imports_nothing_that_could_do_io_and_none_of_the_other_modules() -> None:
    sources = [path.read_text() for path in (ROOT / "charla/protocol").glob("*.py")]
    imported = {
        name
        for source in sources
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    pure = {"__future__", "re", "time", "unicodedata", "collections.abc", "dataclasses", "difflib", "typing"}
    # charla.i18n reads a file when a program chooses a language, which these modules do not; confusables.py
    # reads the table that it has.
    pure |= {"functools", "charla", "charla.i18n", "charla.package_data"}
    assert {name for name in imported if not name.startswith("charla.protocol.")} <= pure
    assert "use(" not in "".join(sources)


# message, its native bytes for the others, for its author, its plain bytes for the others, for its author


@pytest.mark.parametrize(("message", "others", "own", "_plain", "_plain_own"), MESSAGES)
def test_a_message_in_the_native_dialect_both_ways(
    message: Message, others: str, own: str, _plain: str, _plain_own: str
) -> None:
    assert NATIVE.encode(message) == f"{others}\n".encode()
    assert NATIVE.encode(message, own=True) == f"{own}\n".encode()
    assert NATIVE.decode(own) == message
    untagged = replace(message, tag=0) if isinstance(message, (Said, Acted, Told, Renamed)) else message
    assert NATIVE.decode(others) == untagged


@pytest.mark.parametrize(("message", "_native", "_own", "others", "own"), MESSAGES)
def test_a_message_in_the_plain_dialect(
    message: Message, _native: str, _own: str, others: str, own: str
) -> None:
    assert PLAIN.encode(message) == "".join(f"{line}\n" for line in others.split("|")).encode()
    assert PLAIN.encode(message, own=True) == (own.replace("|", "\n") + "\n" if own else "").encode()


# What everybody is told alike, author or not: in the native dialect, and in the plain one (lines).


@pytest.mark.parametrize(("message", "native", "plain"), TOLD_ALIKE)
def test_a_message_that_is_the_same_for_everybody(message: Message, native: str, plain: list[str]) -> None:
    for own in (False, True):
        assert NATIVE.encode(message, own) == f"{native}\n".encode()
        assert PLAIN.encode(message, own) == "".join(f"{line}\n" for line in plain).encode()
    assert NATIVE.decode(native) == message


def test_what_only_one_dialect_has() -> None:
    assert PLAIN.encode(AskNick()) == b"NICK\n"
    assert NATIVE.encode(AskNick()) == NATIVE.encode(HelpText()) == b""
    for line in PLAIN.encode(HelpText()).decode().splitlines():
        assert line.startswith("* ")


@pytest.mark.parametrize(("command", "line"), COMMANDS)
def test_a_command_in_the_native_dialect_both_ways(command: Command, line: str) -> None:
    assert NATIVE.encode_command(command) == f"{line}\n".encode()
    assert NATIVE.decode_command(line) == command


@pytest.mark.parametrize(
    ("line", "code", "tag"),
    [
        ("", "malformed", 0),
        ("say 1 x", "malformed", 0),
        ("PING", "malformed", 0),
        ("PONG x", "malformed", 0),
        ("HISTORY 4 0", "history-count", 4),
        ("HISTORY 4 1001", "history-count", 4),
        ("HISTORY 4 x", "malformed", 4),
        ("HELLO 1 ana session=a.b", "malformed", 0),
        ("HELLO 1 ana session=" + "a" * 65, "malformed", 0),
        ("HELLO 1 ana session=new last=-1", "malformed", 0),
        ("HELLO 1 ana history=all", "malformed", 0),
        ("SAY", "malformed", 0),
        ("SAY x hola", "malformed", 0),
        ("SAY -1 hola", "malformed", 0),
        ("SAY 0 hola", "malformed", 0),
        ("MSG 3  hola", "malformed", 3),
        ("SAY １ hola", "malformed", 0),
        ("SAY 1_0 hola", "malformed", 0),
        ("SAY 1234567890123456 hola", "malformed", 0),
        ("SAY 5", "no-text", 5),
        ("SAY 5 ", "no-text", 5),
        ("SAY 5  \u3000", "no-text", 5),
        ("SAY 5 a\\x", "malformed", 5),
        ("SAY 5 a\\", "malformed", 5),
        ("SAY 5 " + "x" * (MAX_TEXT + 1), "too-long", 5),
        ("MSG 6 beto", "no-text", 6),
        ("WHO 7 x", "malformed", 7),
        ("WHO 7", "malformed", 7),
        ("HELLO", "malformed", 0),
        ("HELLO x ana", "malformed", 0),
        ("HELLO 2 ana", "version", 0),
        ("HELLO 1 ana garcía", "nick-space", 0),
        ("NICK ana", "malformed", 0),
    ],
)
def test_a_native_line_is_refused(line: str, code: str, tag: int) -> None:
    with pytest.raises(Refused) as caught:
        NATIVE.decode_command(line)
    assert (caught.value.code, caught.value.tag) == (code, tag)


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("BAN 1", ("malformed", "number")),
        ("BAN 1  x", ("malformed", "number")),
        ("BAN 1  99999999 why", ("duration",)),
        ("BAN 1  0 why", ("malformed", "nick")),
        ("MUTE 1  0", ("duration",)),
        ("MUTE 1  5", ("malformed", "nick")),
    ],
)
def test_of_several_mistakes_that_of_a_time_is_told(line: str, refusal: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as caught:
        NATIVE.decode_command(line)
    assert (caught.value.code, *caught.value.arguments) == refusal


@pytest.mark.parametrize(
    ("line", "dialect", "command"),
    [
        ("ana", PLAIN, Hello("ana")),
        (" ana ", PLAIN, Hello("ana")),
        ("", PLAIN, Hello("")),
        ("hello there", PLAIN, Hello("hello there")),
        ("exit", PLAIN, Leave()),
        ("/Salir", PLAIN, Leave()),
        ("HELLO 1 ana", NATIVE, Hello("ana")),
        ("HELLO 1 ana lang=es x=y", NATIVE, Hello("ana")),
        ("HELLO 1", NATIVE, Hello("")),
    ],
)
def test_the_first_line_chooses_the_dialect(line: str, dialect: Dialect, command: Command) -> None:
    assert read_answer(line) == (dialect, command)


TEXTS = st.text(min_size=1, max_size=60).map(clean).filter(lambda text: bool(text.strip()))
NICKS = st.sampled_from(["ana", "Ωμέγα", "नमस्ते", "b_2.x"])
NUMBERS = st.integers(1, MAX_NUMBER)


@given(TEXTS, NICKS, NUMBERS, NUMBERS, NUMBERS)
def test_any_text_comes_through_the_native_dialect_unchanged(
    text: str, nick: str, number: int, time: int, tag: int
) -> None:
    for message in (Said(number, time, tag, nick, text), Told(number, time, tag, nick, nick, text)):
        line = NATIVE.encode(message, own=True)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert NATIVE.decode(line[:-1].decode()) == message
    for command in (Say(text, tag), Tell(nick, text, tag)):
        assert NATIVE.decode_command(NATIVE.encode_command(command)[:-1].decode()) == command


@given(TEXTS, NICKS)
def test_in_the_plain_dialect_every_line_a_person_causes_bears_their_name(text: str, nick: str) -> None:
    for message in (
        Said(1, NOW, 0, nick, text),
        Acted(1, NOW, 0, nick, text),
        Told(1, NOW, 0, nick, "beto", text),
    ):
        lines = PLAIN.encode(message).decode().split("\n")
        assert lines.pop() == ""
        assert "".join(lines).isprintable() or clean("".join(lines)) == "".join(lines)
        for line in lines:
            assert line.startswith((f"{nick}: ", f"~ {nick} ", f"[private] {nick}: "))


def test_the_longest_messages_fit_in_a_line() -> None:
    nick = "\U0002f800" * 24
    longest = "\\" * MAX_TEXT
    for message in (
        Told(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, nick, nick, longest),
        WhoPage(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, (nick,) * WHO_PAGE),
        Welcome(MAX_NUMBER, MAX_NUMBER, nick, MAX_NUMBER, longest),
        Moderated(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, "announce", nick, "", 0, longest),
        Moderated(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, "unmute", nick, nick, MAX_NUMBER, "\\" * MAX_WHY),
    ):
        assert len(NATIVE.encode(message, own=True)) <= MAX_LINE + 1
    assert len(NATIVE.encode_command(Tell(nick, longest, MAX_NUMBER))) <= MAX_LINE + 1


@given(
    st.one_of(
        st.text(),
        st.sampled_from([line for _, _, line, _, _ in MESSAGES]).flatmap(
            lambda line: st.integers(0, len(line)).map(lambda cut: line[:cut])
        ),
    )
)
def test_any_line_from_a_server_is_a_message_or_refused(line: str) -> None:
    try:
        message = NATIVE.decode(line)
    except Refused as refused:
        assert refused.code == "malformed"
    else:
        assert NATIVE.encode(message, own=True)


@given(st.text())
def test_any_line_from_a_client_is_a_command_or_refused(line: str) -> None:
    for dialect in (PLAIN, NATIVE):
        try:
            dialect.decode_command(line)
        except Refused as refused:
            assert refused.code in SENTENCES


def test_what_a_server_says_is_cleaned_by_the_client_too() -> None:
    said = NATIVE.decode(f"SAY 1 {NOW} - a\x1bna x\x1b[2J\u202e\\ny")
    assert said == Said(1, NOW, 0, "a\ufffdna", "x\ufffd[2J\ny")


def test_who_is_turned_away_is_told_a_sentence_and_a_code() -> None:
    line = turn_away("full", "1000").decode()
    assert line == "! The room is full (1000): try again later. [full 1000]\n"
    assert read_greeting(line[:-1]) == Refusal(0, "full", ("1000",))
    assert read_greeting("NICK") == AskNick()
    assert read_greeting("PASSWORD") == AskPassword()
    for other in ("", "SSH-2.0-OpenSSH", "! no code", "nick"):
        with pytest.raises(Refused, match="malformed"):
            read_greeting(other)


def test_a_code_of_a_later_version_still_says_something() -> None:
    assert sentence("moon-phase", ("full",)) == "moon-phase full"
    assert sentence("no-such-user") == "no-such-user"
