"""What the client's user types: its own commands, the prompt's addressee, and what Tab offers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charla import i18n
from charla.client.chat.commands import (
    OWN_COMMANDS,
    Answer,
    Bell,
    Clear,
    HelpOn,
    Ignore,
    Search,
    ShowTime,
    Unignore,
    addressee,
    complete,
    parse_line,
)
from charla.client.display import help_topics
from charla.client.display.phrases import CLIENT_USAGE, sentence
from charla.protocol import typed
from charla.protocol.commands import Command, Help, History, Say, Tell, Who
from charla.protocol.sentences import usage_words
from charla.protocol.text import Refused


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/help", HelpOn()),
        ("/help KEYS", HelpOn("keys")),
        ("/help mod", HelpOn("mod")),
        ("/help /ban", HelpOn("mod")),
        ("/help ignore", HelpOn("people")),
        ("/r sí, voy", Answer("sí, voy", 7)),
        ("/R  two spaces\nand a line", Answer(" two spaces\nand a line", 7)),
        ("/ignore", Ignore()),
        ("/ignore beto", Ignore("beto")),
        ("/ignore beto:", Ignore("beto")),
        ("/unignore beto", Unignore("beto")),
        ("  /search mañana clase ", Search("mañana clase")),
        ("/bell Mention", Bell("mention")),
        ("/bell", Bell()),
        ("/time", ShowTime()),
        ("/time on", ShowTime(True)),
        ("/time off", ShowTime(False)),
        ("/clear", Clear()),
        ("hola", Say("hola", 7)),
        ("beto: hola", Tell("beto", "hola", 7)),
        ("/history 5", History(5, 7)),
        ("/who", Who(1, 7)),
        ("", None),
    ],
)
def test_what_lines_ask_for(line: str, command: object) -> None:
    assert parse_line(line, 7) == command


@pytest.mark.parametrize("language", i18n.available())
def test_topics_are_named_in_the_language_that_is_spoken_and_in_english_too(language: str) -> None:
    i18n.use(language)
    for word, topic in zip(help_topics.words(), help_topics.TOPICS, strict=True):
        assert parse_line(f"/help {word.upper()}") == parse_line(f"/help {topic}") == HelpOn(topic)
        assert offered(f"/help {word[:-1]}") == [word]
    assert offered("/help ") == list(help_topics.words())
    # Where they are listed they are all there, as this language has them.
    listed = ", ".join(help_topics.words())
    for lines in (
        sentence("no-help-on", ("nothing",)),
        sentence("no-help-on", ("kyes", "keys")),
        usage_words(CLIENT_USAGE["help-topics"])[1],
    ):
        assert listed in lines


def test_what_help_there_is_is_told_to_who_asks_for_another() -> None:
    assert sentence("no-help-on", ("kyes", "keys")) == (
        "There is no help on 'kyes'. Did you mean /help keys? "
        "There is help on these: talk, people, screen, keys, mod."
    )
    i18n.use("es")
    assert parse_line("/help gente") == HelpOn("people")
    with pytest.raises(Refused) as refused:
        parse_line("/help tecals")
    assert sentence(refused.value.code, refused.value.arguments).startswith(
        "No hay ayuda sobre «tecals». ¿Querías decir /help teclas? Sí la hay sobre esto: hablar, gente,"
    )


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("/help nothing", ("no-help-on", "nothing")),
        ("/help kyes", ("no-help-on", "kyes", "keys")),
        ("/help keys please", ("usage", "help-topics")),
        ("/r", ("usage", "r")),
        ("/r  ", ("usage", "r")),
        ("/ignore two people", ("usage", "ignore")),
        ("/unignore", ("usage", "unignore")),
        ("/search", ("usage", "search")),
        ("/bell loud", ("usage", "bell")),
        ("/time never", ("usage", "time")),
        ("/clear all", ("usage", "clear")),
        ("/r " + "x" * 4097, ("too-long", "4096")),
        ("/serach words", ("unknown-command", "serach", "search")),
        ("/hlep", ("unknown-command", "hlep", "help")),
        ("/hsitory", ("unknown-command", "hsitory", "history")),
        ("/xyzzy", ("unknown-command", "xyzzy")),
        ("/?", ("unknown-command", "?", "help")),
        ("/", ("no-command",)),
        ("/ search words", ("no-command",)),
    ],
)
def test_what_is_refused(line: str, refusal: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refused:
        parse_line(line)
    assert (refused.value.code, *refused.value.arguments) == refusal


def test_bytes_that_are_not_utf8_are_no_line() -> None:
    with pytest.raises(Refused, match="not-utf8"):
        parse_line("hola \udcff")
    assert addressee("beto: \udcff") == ""


@pytest.mark.parametrize(
    ("typed", "to"),
    [
        ("beto:", "beto"),
        ("beto: hola", "beto"),
        (" Beto:x", "Beto"),
        ("/msg beto ", "beto"),
        ("/msg beto hola", "beto"),
        ("/r ", "eva"),
        ("/r hola", "eva"),
        ("beto", ""),
        ("/msg beto", ""),
        ("/r", ""),
        ("10:30 quedamos", ""),
        ("https://x", ""),
        ("hola: que tal: todos", "hola"),
        ("a las 5: todos", ""),
        ("/say beto: hola", ""),
        ("", ""),
    ],
)
def test_whom_a_line_goes_to_is_known_while_it_is_typed(typed: str, to: str) -> None:
    assert addressee(typed, "eva") == to


@given(st.text(alphabet="ab:/ \n\\1msgrñ", max_size=30))
def test_the_prompt_never_says_private_of_what_goes_to_everyone(line: str) -> None:
    to = addressee(line)
    try:
        command: Command | object = parse_line(line)
    except Refused:
        return
    assert (to != "") == isinstance(command, Tell) or isinstance(command, Answer)
    if isinstance(command, Tell):
        assert to == command.to


NICKS = ["berta", "beto", "bea"]


def offered(before: str) -> list[str]:
    return complete(before, lambda begin: [nick for nick in NICKS if nick.startswith(begin)])


@pytest.mark.parametrize(
    ("before", "replacements"),
    [
        ("be", ["berta: ", "beto: ", "bea: "]),
        ("  bet", ["beto: "]),
        ("hola be", ["berta ", "beto ", "bea "]),
        ("/msg be", ["berta ", "beto ", "bea "]),
        ("/ignore bet", ["beto "]),
        ("/se", ["/search "]),
        ("/un", ["/unban ", "/unignore ", "/unmute "]),
        ("/bell p", ["private"]),
        ("/bell ", ["off", "private", "mention", "all"]),
        ("/help ke", ["keys"]),
        ("/time o", ["on", "off"]),
        ("hola ", []),
        ("", []),
        ("x", []),
    ],
)
def test_tab_offers_commands_choices_and_nicks(before: str, replacements: list[str]) -> None:
    assert offered(before) == replacements


def test_the_grammar_knows_the_commands_of_the_client() -> None:
    assert {*typed.CLIENT_COMMANDS, "help"} == set(OWN_COMMANDS)
    assert not set(typed.CLIENT_COMMANDS) & set(typed.COMMANDS)


def test_every_command_is_offered_once() -> None:
    offers = offered("/")
    assert len(offers) == len(set(offers))
    assert {"/help ", "/who ", "/nick ", "/me ", "/msg ", "/r ", "/say ", "/history ", "/exit "} <= set(
        offers
    )


def test_help_of_the_grammar_never_gets_here() -> None:
    assert not isinstance(parse_line("/help"), Help)
