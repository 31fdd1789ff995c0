"""protocol.py: grammar, text, framing and both dialects, without any I/O."""

from __future__ import annotations

import ast
import random
import sys
import time
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import framing
import grammar
import messages
import native
import nicks
import protocol
import text
import wording
from grammar import parse_typed
from messages import (
    MAX_NUMBER,
    MAX_WHY,
    NEW_SESSION,
    Act,
    Acted,
    Announce,
    AskBans,
    AskNick,
    AskPassword,
    AskStatus,
    AskTopic,
    Ban,
    Banned,
    Command,
    Crowd,
    Done,
    Earlier,
    Goodbye,
    Hello,
    Help,
    HelpText,
    Here,
    History,
    Joined,
    Kick,
    Leave,
    Left,
    Live,
    Message,
    Mod,
    Moderated,
    Mute,
    Notice,
    Past,
    Ping,
    Pong,
    Refusal,
    Rename,
    Renamed,
    Resumed,
    Said,
    Say,
    SetQuiet,
    SetTopic,
    Status,
    Tell,
    Token,
    Told,
    Topic,
    Unban,
    Unmute,
    Unread,
    Waits,
    Welcome,
    Who,
)
from protocol import (
    NATIVE,
    PLAIN,
    LineFramer,
    decode_line,
    read_answer,
    read_greeting,
    turn_away,
)
from text import MAX_LINE, MAX_TEXT, Refused, clean
from wording import sentence

NOW = 1_763_600_000_000
EARLIER = time.strftime("[%Y-%m-%d %H:%M]", time.localtime(NOW / 1000))  # of a line of the history


def test_protocol_imports_nothing_that_could_do_io_and_none_of_the_other_modules() -> None:
    modules = (protocol, framing, grammar, native, messages, text, nicks, wording)
    sources = [str(module.__file__) for module in modules]
    imported = {
        name
        for source in sources
        for node in ast.walk(ast.parse(Path(source).read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    pure = {"__future__", "re", "time", "unicodedata", "collections.abc", "dataclasses", "difflib", "typing"}
    # languages.py reads a file when a program chooses a language, which these modules do not.
    ours = {"framing", "grammar", "languages", "lookalikes", "messages", "native", "nicks", "text", "wording"}
    assert imported <= pure | ours
    assert "use(" not in "".join(Path(source).read_text() for source in sources)


# ---- the grammar of typed lines ------------------------------------------------------------------

TYPED: list[tuple[str, Command | None]] = [
    ("hola", Say("hola")),
    ("  indented", Say("  indented")),
    ("trailing  ", Say("trailing  ")),
    ("", None),
    ("   ", None),
    ("\u3000\xa0", None),
    *((word, Leave()) for word in ("SALIR", "salir", "exit", "quit", "/exit", "/quit", "/salir", "Exit")),
    ("  /EXIT ", Leave()),
    ("/history", History(100)),
    ("/history 7", History(7)),
    ("/HISTORY 1000", History(1000)),
    (" salir ", Leave()),
    ("exit now", Say("exit now")),
    ("exito", Say("exito")),
    ("beto: hola", Tell("beto", "hola")),
    ("beto:hola", Tell("beto", "hola")),
    ("BETO:  two spaces", Tell("BETO", " two spaces")),
    ("  beto: not public for a space", Tell("beto", "not public for a space")),
    ("maría.j-2_b: hola", Tell("maría.j-2_b", "hola")),
    ("Ωμέγα: hola", Tell("Ωμέγα", "hola")),
    ("नमस्ते: hola", Tell("नमस्ते", "hola")),
    ("be\u200bto: a slip", Tell("be\u200bto", "a slip")),
    ("\u200bbeto: a slip", Tell("\u200bbeto", "a slip")),
    ("ｂｅｔｏ: wide", Tell("ｂｅｔｏ", "wide")),
    ("a" * 40 + ": long name", Tell("a" * 40, "long name")),
    ("beto: a: b", Tell("beto", "a: b")),
    ("beto: l1\nl2", Tell("beto", "l1\nl2")),
    ("10:30 quedamos", Say("10:30 quedamos")),
    (":) hola", Say(":) hola")),
    ("a las 5: todos", Say("a las 5: todos")),
    ("https://example.org/x", Say("https://example.org/x")),
    ("C:\\dos", Say("C:\\dos")),
    ("_x: y", Say("_x: y")),
    ("¿qué?: y", Say("¿qué?: y")),
    ("/say nota: hoy no hay clase", Say("nota: hoy no hay clase")),
    ("/say exit", Say("exit")),
    ("/SAY  two", Say(" two")),
    ("/me baila", Act("baila")),
    ("/msg beto hola: tú", Tell("beto", "hola: tú")),
    ("/msg beto: hola", Tell("beto", "hola")),
    (" /msg  beto hola", Tell("beto", "hola")),
    ("/nick  nuevo ", Rename("nuevo")),
    ("/who", Who(1)),
    ("/who 3", Who(3)),
    ("/help", Help()),
    ("/help mod", Help(moderators=True)),
    ("/topic", AskTopic()),
    ("/topic  Hoy: sockets ", SetTopic("Hoy: sockets")),
    ("/topic -", SetTopic("")),
    ("/mod", Mod()),
    ("/kick beto", Kick("beto")),
    ("/kick beto: no  spam ", Kick("beto", "no  spam")),
    ("/ban beto", Ban("beto")),
    ("/ban beto 30m", Ban("beto", 1800)),
    ("/ban beto 2h spam, 30m too", Ban("beto", 7200, "spam, 30m too")),
    ("/ban beto 2h 3 strikes", Ban("beto", 7200, "3 strikes")),
    ("/ban beto three strikes", Ban("beto", 0, "three strikes")),
    ("/ban beto 365D", Ban("beto", 365 * 86400)),
    ("/bans", AskBans()),
    ("/unban beto", Unban("beto")),
    ("/unban 2001:db8::/64", Unban("2001:db8::/64")),
    ("/mute beto", Mute("beto", 300)),
    ("/mute beto 90s", Mute("beto", 90)),
    ("/mute beto 007M", Mute("beto", 420)),
    ("/ban beto spam 30m", Ban("beto", 0, "spam 30m")),
    ("/unmute beto", Unmute("beto")),
    ("/announce a las 5: todos", Announce("a las 5: todos")),
    ("/quiet ON", SetQuiet(True)),
    ("/quiet off", SetQuiet(False)),
    ("/status", AskStatus()),
    ("a\tb", Say("a    b")),
    ("a\x1b[31mb\x00", Say("a\ufffd[31mb\ufffd")),
]

REFUSED: list[tuple[str, str]] = [
    ("/foo", "unknown-command"),
    ("//", "unknown-command"),
    ("/", "no-command"),
    (" / ", "no-command"),
    ("/ x", "no-command"),
    ("/MSGbeto secreto", "unknown-command"),
    ("/search words", "client-command"),
    ("/TIME", "client-command"),
    ("/msg", "usage"),
    ("/msg beto", "usage"),
    ("/msg beto   ", "usage"),
    ("/me", "usage"),
    ("/say   ", "usage"),
    ("/nick", "usage"),
    ("/who x", "usage"),
    ("/who １", "usage"),
    ("/help me", "usage"),
    ("/exit now", "usage"),
    ("/mod my secret", "usage"),
    ("/kick", "usage"),
    ("/ban ", "usage"),
    ("/ban beto 366d", "duration"),
    ("/ban beto 0m", "duration"),
    ("/ban beto 30x", "duration"),
    ("/ban beto 30", "duration"),
    ("/ban beto: 30 min por spam", "duration"),
    ("/ban beto ３０m", "duration"),
    ("/ban beto 3 strikes", "duration"),
    ("/ban beto 9999999999s", "duration"),
    ("/kick beto " + "x" * (MAX_WHY + 1), "too-long"),
    ("/unban", "usage"),
    ("/unban beto please", "usage"),
    ("/mute beto please", "duration"),
    ("/mute beto ５m", "duration"),
    ("/mute beto " + "9" * 3000 + "s", "duration"),
    ("/announce", "usage"),
    ("/quiet", "usage"),
    ("/quiet please", "usage"),
    ("/bans 2", "usage"),
    ("/status now", "usage"),
    ("/topic " + "x" * (MAX_TEXT + 1), "too-long"),
    ("beto:", "no-text-for"),
    ("beto:   ", "no-text-for"),
    ("x" * (MAX_TEXT + 1), "too-long"),
    ("ñ" * (MAX_TEXT // 2 + 1), "too-long"),
    ("beto: " + "x" * (MAX_TEXT + 1), "too-long"),
]


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
    assert grammar.nearest("serch") == ""
    assert grammar.nearest("serch", ("search", "clear")) == "search"
    assert grammar.nearest("") == ""
    assert set(grammar.COMMANDS) >= {"who", "msg", "kick", "exit", "salir"}


def test_the_longest_text_is_taken() -> None:
    assert parse_typed("x" * MAX_TEXT) == Say("x" * MAX_TEXT)
    assert parse_typed("beto: " + "ñ" * (MAX_TEXT // 2)) == Tell("beto", "ñ" * (MAX_TEXT // 2))


@given(st.text())
def test_any_typed_line_is_a_command_or_is_refused_and_never_unsafe(line: str) -> None:
    try:
        command = parse_typed(line, tag=7)
    except Refused as refused:
        assert refused.code in wording.SENTENCES
        assert all(" " not in argument and clean(argument) == argument for argument in refused.arguments)
        return
    if isinstance(command, (Say, Act, Tell)):
        assert command.tag == 7
        assert clean(command.text) == command.text
        assert command.text.strip()


# ---- text ----------------------------------------------------------------------------------------

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


# ---- framing: the verdict does not depend on how TCP slices --------------------------------------

LIMIT = 12
STREAMS: list[tuple[bytes, list[bytes | None], bool]] = [
    (b"", [], False),
    (b"ana\n", [b"ana"], False),
    (b"ana\r\n", [b"ana"], False),
    (b"a\rb\r\r\n", [b"a\rb\r"], False),
    (b"\n\r\n\n", [b"", b"", b""], False),
    (b"nick\nhola\nunfinished", [b"nick", b"hola"], True),
    (b"x" * LIMIT + b"\ny\n", [b"x" * LIMIT, b"y"], False),
    (b"x" * (LIMIT + 1) + b"\ny\n", [None, b"y"], False),
    (b"x" * (LIMIT - 1) + b"\r\ny\n", [b"x" * (LIMIT - 1), b"y"], False),
    (b"x" * LIMIT + b"\r\ny\n", [None, b"y"], False),
    (b"x" * 100 + b"\n" + b"z" * 100 + b"\ny\n", [None, None, b"y"], False),
    (b"x" * 100, [None], False),
    ("ñé\u2028\x85\x0b\x0c\x1c".encode() + b"\n", ["ñé\u2028\x85\x0b\x0c\x1c".encode()], False),
]


def frame(stream: bytes, cuts: list[int]) -> tuple[list[bytes | None], bool]:
    framer = LineFramer(LIMIT)
    lines = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += framer.feed(stream[start:end])
    return lines, framer.unfinished


@pytest.mark.parametrize(("stream", "lines", "unfinished"), STREAMS)
def test_lines_are_the_same_whole_byte_by_byte_and_at_every_cut(
    stream: bytes, lines: list[bytes | None], unfinished: bool
) -> None:
    assert frame(stream, []) == (lines, unfinished)
    assert frame(stream, list(range(1, len(stream)))) == (lines, unfinished)
    for cut in range(len(stream) + 1):
        assert frame(stream, [cut]) == (lines, unfinished)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xc3\xb1", b"x" * LIMIT])).map(b"".join), st.randoms())
def test_lines_are_the_same_for_any_slicing(stream: bytes, chance: random.Random) -> None:
    cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(8)))
    assert frame(stream, cuts) == frame(stream, [])


def test_an_endless_line_is_refused_once_and_takes_no_memory() -> None:
    framer = LineFramer()
    verdicts = [line for _ in range(1000) for line in framer.feed(b"x" * 65536)]
    assert verdicts == [None]
    assert len(framer._rest) == 0
    assert framer.feed(b"\nhola\n") == [b"hola"]


def test_a_line_that_is_no_utf8_is_refused() -> None:
    for line, code in (
        (b"\xff", "not-utf8"),
        (b"\xed\xa0\x80", "not-utf8"),
        (b"\xc0\x80", "not-utf8"),
        (None, "too-long"),
    ):
        with pytest.raises(Refused, match=code):
            decode_line(line)


# ---- both dialects: one table drives the writer and the reader -----------------------------------


def twice(line: str) -> tuple[str, str]:
    return line, line


# message, its native bytes for the others, for its author, its plain bytes for the others, for its author
MESSAGES: list[tuple[Message, str, str, str, str]] = [
    (Said(7, NOW, 3, "ana", "hola"), f"SAY 7 {NOW} - ana hola", f"SAY 7 {NOW} 3 ana hola", "ana: hola", ""),
    (
        Said(7, NOW, 3, "ana", "  a  b "),
        f"SAY 7 {NOW} - ana   a  b ",
        f"SAY 7 {NOW} 3 ana   a  b ",
        "ana:   a  b ",
        "",
    ),
    (
        Said(7, NOW, 0, "ana", "x\n\\n\ny"),
        f"SAY 7 {NOW} - ana x\\n\\\\n\\ny",
        f"SAY 7 {NOW} - ana x\\n\\\\n\\ny",
        "ana: x|ana: \\n|ana: y",
        "",
    ),
    (
        Said(7, NOW, 0, "ana", "* beto left"),
        f"SAY 7 {NOW} - ana * beto left",
        f"SAY 7 {NOW} - ana * beto left",
        "ana: * beto left",
        "",
    ),
    (
        Acted(8, NOW, 4, "ana", "baila"),
        f"ME 8 {NOW} - ana baila",
        f"ME 8 {NOW} 4 ana baila",
        "~ ana baila",
        "",
    ),
    (
        Told(9, NOW, 5, "ana", "beto", "psst\nx"),
        f"MSG 9 {NOW} - ana beto psst\\nx",
        f"MSG 9 {NOW} 5 ana beto psst\\nx",
        "[private] ana: psst|[private] ana: x",
        "[to beto] psst|[to beto] x",
    ),
    (Joined(1, NOW, "ana"), f"JOIN 1 {NOW} ana", f"JOIN 1 {NOW} ana", "* ana joined", "* ana joined"),
    (
        Left(2, NOW, "ana", "left"),
        f"LEAVE 2 {NOW} ana left",
        f"LEAVE 2 {NOW} ana left",
        "* ana left",
        "* ana left",
    ),
    (
        Left(2, NOW, "ana", "lost"),
        f"LEAVE 2 {NOW} ana lost",
        f"LEAVE 2 {NOW} ana lost",
        "* ana left (connection lost)",
        "* ana left (connection lost)",
    ),
    (
        Renamed(3, NOW, 6, "ana", "eva"),
        f"NICK 3 {NOW} - ana eva",
        f"NICK 3 {NOW} 6 ana eva",
        "* ana is now eva",
        "* you are now eva",
    ),
    (
        Crowd(MAX_NUMBER, NOW, 10, 2, 300),
        f"CROWD {MAX_NUMBER} {NOW} 10 2 300",
        f"CROWD {MAX_NUMBER} {NOW} 10 2 300",
        "* 10 joined, 2 left: 300 here",
        "* 10 joined, 2 left: 300 here",
    ),
    (
        Welcome(1, NOW, "ana", 3, "Sé amable\nsí"),
        f"WELCOME 1 {NOW} ana 3 Sé amable\\nsí",
        f"WELCOME 1 {NOW} ana 3 Sé amable\\nsí",
        *twice("* Sé amable|* sí|* You are ana. /help tells what you can type."),
    ),
    (
        Welcome(1, NOW, "ana", 3),
        f"WELCOME 1 {NOW} ana 3",
        f"WELCOME 1 {NOW} ana 3",
        *twice("* Welcome to Charla.|* You are ana. /help tells what you can type."),
    ),
    (
        Here(2, 1, 1, 2, ("ana", "beto")),
        "WHO 2 1 1 2 ana beto",
        "WHO 2 1 1 2 ana beto",
        *twice("* 2 here: ana, beto"),
    ),
    (
        Here(0, 1, 2, 51, ("ana",)),
        "WHO - 1 2 51 ana",
        "WHO - 1 2 51 ana",
        *twice("* 51 here, page 1 of 2: ana (/who 2 for more)"),
    ),
    (
        Refusal(5, "no-such-user", ("beto",)),
        "ERROR 5 no-such-user beto",
        "ERROR 5 no-such-user beto",
        *twice("! " + wording.SENTENCES["no-such-user"].format("beto")),
    ),
    (
        Refusal(0, "nick-start"),
        "ERROR - nick-start",
        "ERROR - nick-start",
        *twice("! A nickname begins with a letter."),
    ),
    (Goodbye("left"), "BYE left", "BYE left", *twice("* Goodbye!")),
]


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
TOLD_ALIKE: list[tuple[Message, str, list[str]]] = [
    (
        Moderated(9, NOW, 0, "kick", "ana", "beto", 0, "no spam"),
        f"MODERATED 9 {NOW} - kick ana beto 0 no spam",
        ["* ana removed beto: no spam"],
    ),
    (
        Moderated(9, NOW, 0, "ban", "ana", "beto", 1800),
        f"MODERATED 9 {NOW} - ban ana beto 1800",
        ["* ana banned beto for 30 min"],
    ),
    (
        Moderated(9, NOW, 0, "ban", "ana", "beto", 0, "no spam"),
        f"MODERATED 9 {NOW} - ban ana beto 0 no spam",
        ["* ana banned beto for good: no spam"],
    ),
    (
        Moderated(9, NOW, 0, "announce", "ana", text="a las 5\nen el aula 2"),
        f"MODERATED 9 {NOW} - announce ana - 0 a las 5\\nen el aula 2",
        ["* ana announces: a las 5", "* ana announces: en el aula 2"],
    ),
    (
        Moderated(9, NOW, 0, "quiet", "ana"),
        f"MODERATED 9 {NOW} - quiet ana - 0",
        ["* ana made the room quiet: only moderators speak"],
    ),
    (
        Moderated(9, NOW, 0, "of-a-later-version", "ana", "beto"),
        f"MODERATED 9 {NOW} - of-a-later-version ana beto 0",
        ["* ana: of-a-later-version beto"],
    ),
    (Topic(0, False, "sockets"), "TOPIC - off sockets", ["* Topic: sockets"]),
    (
        Topic(3, True, ""),
        "TOPIC 3 on",
        ["* There is no topic.", "* The room is quiet: only moderators speak."],
    ),
    (
        Banned(3, 1, 2, "beto", "192.0.2.7", 1800, "ana", "spam"),
        "BANNED 3 1 2 beto 192.0.2.7 1800 ana spam",
        ["* 1 of 2: beto (192.0.2.7), for another 30 min, by ana: spam"],
    ),
    (
        Banned(3, 2, 2, "eva", "", 0, "ana"),
        "BANNED 3 2 2 eva - 0 ana",
        ["* 2 of 2: eva, until /unban, by ana"],
    ),
    (Banned(3, 0, 0), "BANNED 3 0 0 - - 0 -", ["* Nobody is banned."]),
    (
        Status(3, ("12", "3")),
        "STATUS 3 12 3",
        ["* running for: 12 s", "* people in the room: 3"],
    ),
    (
        Unread(9, NOW, "beto", 1),
        f"UNREAD 9 {NOW} beto 1",
        ["* beto did not come back: what you last said to them alone may not have been read."],
    ),
    (
        Unread(9, NOW, "beto", 3),
        f"UNREAD 9 {NOW} beto 3",
        ["* beto did not come back: the last 3 things that you said to them alone may not have been read."],
    ),
    (
        Notice(9, NOW, "not-stored", ("disk-is-full",)),
        f"NOTICE 9 {NOW} not-stored disk-is-full",
        [
            "* The server cannot write its log any more (disk is full): what is said from now on is kept in "
            "its memory only, and is gone when it ends."
        ],
    ),
    (Notice(9, NOW, "later-code", ("a", "b")), f"NOTICE 9 {NOW} later-code a b", ["* later-code a b"]),
    (
        Past(Said(7, NOW, 0, "ana", "a\nb")),
        f"PAST SAY 7 {NOW} - ana a\\nb",
        [f"{EARLIER} ana: a", f"{EARLIER} ana: b"],
    ),
    (
        Past(Acted(7, NOW, 0, "ana", "baila")),
        f"PAST ME 7 {NOW} - ana baila",
        [f"{EARLIER} ~ ana baila"],
    ),
    (Earlier(4, 2), "HISTORY 4 2", ["* What was said before, the last 2 messages:"]),
    (Earlier(0, 1), "HISTORY - 1", ["* What was said before, the last message:"]),
    (Earlier(4, 0), "HISTORY 4 0", ["* There is nothing of what was said before."]),
    (
        Waits(9, "beto"),
        "WAITS 9 beto",
        ["* The connection of beto is down: that waits until they are back."],
    ),
    (Token("a-B_9", 60), "SESSION a-B_9 60", []),
    (Resumed("ana", 3, 0), "RESUMED ana 3 0", []),
    (Live(9), "LIVE 9", []),
    (Done(3), "DONE 3", []),
    (Ping(9), "PING 9", []),
    (Pong(9), "PONG 9", []),
]


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


COMMANDS: list[tuple[Command, str]] = [
    (Hello("ana"), "HELLO 1 ana"),
    (Say("hola", 1), "SAY 1 hola"),
    (Say("a\nb\\n ", 1), "SAY 1 a\\nb\\\\n "),
    (Act("baila", 2), "ME 2 baila"),
    (Tell("beto", "psst psst", MAX_NUMBER), f"MSG {MAX_NUMBER} beto psst psst"),
    (Rename("eva", 4), "NICK 4 eva"),
    (Who(2, 5), "WHO 5 2"),
    (History(7, 6), "HISTORY 6 7"),
    (Ping(12), "PING 12"),
    (Pong(0), "PONG 0"),
    (Leave(), "BYE"),
    (AskTopic(7), "TOPIC 7"),
    (SetTopic("hoy: sockets", 8), "TOPIC 8 hoy: sockets"),
    (SetTopic("", 9), "NOTOPIC 9"),
    (Mod("pass\\word two", 10), "MOD 10 pass\\\\word two"),
    (Kick("beto", "", 11), "KICK 11 beto"),
    (Kick("beto", "no spam", 11), "KICK 11 beto no spam"),
    (Ban("beto", 1800, "no spam", 12), "BAN 12 beto 1800 no spam"),
    (Ban("beto", 0, "", 12), "BAN 12 beto 0"),
    (AskBans(13), "BANS 13"),
    (Unban("beto", 14), "UNBAN 14 beto"),
    (Mute("beto", 300, 15), "MUTE 15 beto 300"),
    (Unmute("beto", 16), "UNMUTE 16 beto"),
    (Announce("hola\na todos", 17), "ANNOUNCE 17 hola\\na todos"),
    (SetQuiet(True, 18), "QUIET 18 on"),
    (SetQuiet(False, 18), "QUIET 18 off"),
    (AskStatus(19), "STATUS 19"),
    (Hello("ana", NEW_SESSION), "HELLO 1 ana session=new"),
    (Hello("ana", "a-B_9", 17), "HELLO 1 ana session=a-B_9 last=17"),
    (Hello("ana", history=0), "HELLO 1 ana history=0"),
]


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
def test_the_first_line_chooses_the_dialect(line: str, dialect: protocol.Dialect, command: Command) -> None:
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
        Here(MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, MAX_NUMBER, (nick,) * messages.WHO_PAGE),
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
            assert refused.code in wording.SENTENCES


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
