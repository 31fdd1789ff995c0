"""jsonlines.py: messages to JSON and commands from it, without any I/O."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charla.client.network.events import Back, Ended, Ending
from charla.client.script import jsonlines
from charla.client.script.jsonlines import (
    COMMANDS,
    MAX_JSON,
    MESSAGES,
    OWN,
    Request,
    RequestRefused,
    decode,
    encode,
    encode_event,
)
from charla.protocol.commands import (
    MAX_NUMBER,
    Act,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Command,
    History,
    Kick,
    Leave,
    Mod,
    Mute,
    Ping,
    Pong,
    Rename,
    Say,
    SetQuiet,
    SetTopic,
    Tell,
    Unban,
    Unmute,
    Who,
)
from charla.protocol.fields import HISTORY_LIMIT, LONGEST_TIME
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    AskNick,
    AskPassword,
    CaughtUp,
    Event,
    Goodbye,
    HelpText,
    HistoryEntry,
    Joined,
    Message,
    Refusal,
    Resumed,
    Said,
    Token,
    Told,
    Topic,
    WhoPage,
)
from charla.protocol.native import NativeDialect
from charla.protocol.text import MAX_TEXT, clean

TAG = 9

# The network's own: a token is a secret, and no program has anything to do for the others.
NOT_TOLD = (AskPassword, AskNick, Token, Resumed, CaughtUp, HelpText, Ping, Pong, Goodbye)


def refusal(line: str) -> tuple[str, ...]:
    """Return code and arguments of what comes of a line that cannot be taken."""
    with pytest.raises(RequestRefused) as caught:
        decode(line, TAG)
    assert caught.value.tag == TAG
    return (caught.value.code, *caught.value.arguments)


def wrong(**given: Any) -> tuple[str, ...]:
    return refusal(json.dumps(given))


def test_it_imports_nothing_that_could_do_io() -> None:
    tree = ast.parse(Path(str(jsonlines.__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    upward = {"charla.client.network.thread", "charla.client.app", "charla.client.script.script"}
    assert not imported & {"os", "sys", "socket", "threading", *upward}


# ---- to a program ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            Said(3, 5, 0, "ana", "hola, señor"),
            '{"type": "said", "id": 3, "time": 5, "nick": "ana", "text": "hola, señor", "own": false}',
        ),
        (
            Told(3, 5, 7, "ana", "beto", "psst"),
            '{"type": "told", "re": "mine", "id": 3, "time": 5, "nick": "ana", "to": "beto", "text": "psst",'
            ' "own": true}',
        ),
        (Joined(3, 5, "ana"), '{"type": "joined", "id": 3, "time": 5, "nick": "ana"}'),
        (
            WhoPage(7, 1, 1, 2, ("@ana", "beto")),
            '{"type": "here", "re": "mine", "page": 1, "pages": 1, "people": 2, "nicks": ["@ana", "beto"]}',
        ),
        (
            HistoryEntry(Said(3, 5, 0, "ana", "hola")),
            '{"type": "past", "event": {"type": "said", "id": 3, "time": 5, "nick": "ana", "text": "hola"}}',
        ),
        (
            Refusal(7, "no-such-user", ("anna",)),
            '{"type": "refused", "re": "mine", "code": "no-such-user", "arguments": ["anna"]}',
        ),
        (Topic(7, True, ""), '{"type": "topic", "re": "mine", "quiet": true, "text": ""}'),
        (AlreadyDone(7), '{"type": "done", "re": "mine"}'),
    ],
)
def test_a_message_becomes_one_object_with_its_fields(message: Message, line: str) -> None:
    assert encode(message, re="mine" if getattr(message, "tag", 0) else None) == line


@pytest.mark.parametrize("number", [0, -1, 1.5])
def test_every_kind_of_id_comes_back(number: float) -> None:
    assert json.loads(encode(AlreadyDone(7), re=number)) == {"type": "done", "re": number}


def test_every_message_is_told_or_is_the_networks_own() -> None:
    assert {*MESSAGES.values(), *NOT_TOLD} == set(get_args(Message))
    assert encode(Token("secret", 60)) == encode(Ping(3)) == encode(AskNick()) == ""


def test_an_event_says_whether_it_is_ones_own() -> None:
    for event in get_args(Event):
        has_tag = "tag" in {field.name for field in dataclasses.fields(event)}
        values = {kind: ("ana" if kind is str else 7) for kind in (int, str)}
        hints = get_type_hints(event)
        made = event(**{name: values.get(kind, ()) for name, kind in hints.items()})
        assert json.loads(encode(made)).get("own") == (True if has_tag else None)


def test_a_line_is_one_line_for_whoever_splits_it_and_steers_no_terminal() -> None:
    line = encode(Said(3, 5, 0, "ana", "a\nb\u2028c\u0085d\x1b[2Je\u202ef\x9b2J"))
    assert line.splitlines() == [line]
    assert clean(line) == line
    assert json.loads(line)["text"] == "a\nb c d\x1b[2Jef\ufffd2J"  # an escape of JSON is harmless as it is


def test_what_happened_to_the_client_is_told_too() -> None:
    back = Back("ana", 3, 1.5, 0)
    assert json.loads(encode_event("back", **back._asdict())) == {"type": "back", **back._asdict()}
    ended = Ended(Ending.GAVE_UP)
    line = '{"type": "ended", "how": "gave-up", "code": "", "arguments": []}'
    assert encode_event("ended", **ended._asdict()) == line
    with pytest.raises(AssertionError):
        encode_event("ended", how="left")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(clean)
VALUES: dict[object, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(0, MAX_NUMBER),
    bool: st.booleans(),
    tuple[str, ...]: st.lists(TEXTS).map(tuple),
}


def instances(kind: type, tag: int = 0, **special: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return instances of a message or command, with anything in the fields that are not `special`."""
    hints = get_type_hints(kind)
    values = {name: special.get(name, VALUES[hint]) for name, hint in hints.items() if name != "tag"}
    return st.builds(kind, **values, **({"tag": st.just(tag)} if "tag" in hints else {}))


VALUES[get_type_hints(HistoryEntry)["event"]] = st.one_of(instances(Said), instances(Acted))


@given(st.one_of(*map(instances, MESSAGES.values())))
def test_no_message_loses_anything(message: Any) -> None:
    def made(told: dict[str, Any]) -> Any:
        kind = MESSAGES[told.pop("type")]
        assert not told.pop("own", False)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        if kind is HistoryEntry:
            values["event"] = made(told["event"])
        return kind(**values, **({"tag": 0} if "tag" in get_type_hints(kind) else {}))

    line = encode(message)
    assert line.splitlines() == [line]
    assert made(json.loads(line)) == message


# ---- from a program --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ('{"type": "say", "text": "hola"}', Say("hola", TAG)),
        ('{"type": "say", "text": "uno\\ndos\\ttres"}', Say("uno\ndos    tres", TAG)),
        ('{"type": "say", "text": "salir"}', Say("salir", TAG)),
        ('{"type": "say", "text": "\\ud83d\\ude00"}', Say("😀", TAG)),
        ('\ufeff {"text":"a\\\\n\\\\b","type":"say"}\r\n', Say("a\\n\\b", TAG)),
        ('{"type": "act", "text": "ríe"}', Act("ríe", TAG)),
        ('{"type": "tell", "to": "beto", "text": "psst"}', Tell("beto", "psst", TAG)),
        ('{"type": "nick", "nick": "eva"}', Rename("eva", TAG)),
        ('{"type": "who"}', Who(1, TAG)),
        ('{"type": "who", "page": 2}', Who(2, TAG)),
        ('{"type": "history"}', History(100, TAG)),
        ('{"type": "history", "count": 5}', History(5, TAG)),
        ('{"type": "topic"}', AskTopic(TAG)),
        ('{"type": "topic", "text": "aula"}', SetTopic("aula", TAG)),
        ('{"type": "topic", "text": ""}', SetTopic("", TAG)),
        ('{"type": "mod"}', Mod("", TAG)),
        ('{"type": "mod", "password": " a\\\\b "}', Mod(" a\\b ", TAG)),
        ('{"type": "kick", "nick": "eva"}', Kick("eva", "", TAG)),
        ('{"type": "kick", "nick": "eva", "why": "spam"}', Kick("eva", "spam", TAG)),
        ('{"type": "ban", "nick": "eva"}', Ban("eva", 0, "", TAG)),
        ('{"type": "ban", "nick": "eva", "seconds": 60, "why": "x y"}', Ban("eva", 60, "x y", TAG)),
        ('{"type": "bans"}', AskBans(TAG)),
        ('{"type": "unban", "nick": "2001:db8::/64"}', Unban("2001:db8::/64", TAG)),
        ('{"type": "mute", "nick": "eva", "seconds": 60}', Mute("eva", 60, TAG)),
        ('{"type": "unmute", "nick": "eva"}', Unmute("eva", TAG)),
        ('{"type": "announce", "text": "ya"}', Announce("ya", TAG)),
        ('{"type": "quiet", "on": true}', SetQuiet(True, TAG)),
        ('{"type": "status"}', AskStatus(TAG)),
        ('{"type": "line", "text": "beto: hola"}', Tell("beto", "hola", TAG)),
        ('{"type": "line", "text": "/history 3"}', History(3, TAG)),
        ('{"type": "line", "text": "salir"}', Leave()),
        ('{"type": "leave"}', Leave()),
    ],
)
def test_an_object_asks_for_what_its_type_says(line: str, command: Command) -> None:
    assert decode(line, TAG) == (command, None)


def test_every_type_is_among_these() -> None:
    (mark,) = test_an_object_asks_for_what_its_type_says.pytestmark  # type: ignore[attr-defined]
    taken = {json.loads(line.strip("\ufeff"))["type"] for line, _ in mark.args[1]}
    assert taken == set(COMMANDS)


@pytest.mark.parametrize("own", ["a", "", "ñ 😀", 0, -7, 2.5, MAX_NUMBER, "x" * 100])
def test_a_program_gives_its_commands_ids_of_its_own(own: jsonlines.Id) -> None:
    assert decode(json.dumps({"type": "leave", "id": own}), TAG) == Request(Leave(), own)
    with pytest.raises(RequestRefused) as caught:
        decode(json.dumps({"type": "say", "text": " ", "id": own}), TAG)
    assert caught.value.id == own


@pytest.mark.parametrize("own", [True, [], {}, MAX_NUMBER + 1, "x" * 101, "a\x1b[2J", "\ud800", "a\u202eb"])
def test_an_id_that_could_not_be_given_back_is_refused(own: object) -> None:
    assert wrong(type="leave", id=own) == ("malformed", "id")
    assert refusal('{"type": "leave", "id": 1e400}') == ("malformed", "id")  # which is no number any more


@pytest.mark.parametrize(
    "line",
    [
        *("", " ", "hola", "null", "[]", "3", '"say"', '{"type": "leave"', '{"type": "leave"} {}', "\x00"),
        *('{"type": "say", "text": NaN}', '{"type": "say", "id": -Infinity}', "{'type': 'leave'}"),
        '{"type": "say", "text": "a\nb"}',  # a newline in a string has to be escaped
        '{"type": "who", "page": ' + "1" * 5000 + "}",
        "[" * 30_000,
        '{"type":' * 4000,
    ],
)
def test_what_is_no_object_of_json_is_refused(line: str) -> None:
    assert refusal(line) == ("malformed", "json")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("{}", "type"),
        ('{"type": null}', "type"),
        ('{"type": ["say"]}', "type"),
        ('{"type": "shout"}', "type"),
        ('{"type": "Say", "text": "x"}', "type"),
        ('{"type": "say"}', "text"),
        ('{"type": "say", "text": null}', "text"),
        ('{"type": "say", "text": 3}', "text"),
        ('{"type": "say", "text": ["x"]}', "text"),
        ('{"type": "say", "text": "\\ud800"}', "text"),
        ('{"type": "say", "text": "\\udc00\\ud83d"}', "text"),
        ('{"type": "say", "text": "x", "colour": "red"}', "colour"),
        ('{"type": "say", "text": "x", "tag": 3}', "tag"),
        ('{"type": "say", "text": "x", "text": "y"}', "text"),
        ('{"type": "say", "type": "say"}', "type"),
        ('{"type": "say", "text": "x", "": 1}', "field"),
        ('{"type": "say", "text": "x", "\\ud800": 1}', "field"),
        ('{"type": "say", "text": "x", "\\ud800a b\\u001b": 1}', "a_b\ufffd"),
        ('{"type": "who", "page": true}', "page"),
        ('{"type": "who", "page": 1.0}', "page"),
        ('{"type": "who", "page": "1"}', "page"),
        ('{"type": "who", "page": -1}', "page"),
        ('{"type": "who", "page": 1000000000000000}', "page"),
        ('{"type": "quiet", "on": 1}', "on"),
        ('{"type": "quiet"}', "on"),
        ('{"type": "mute", "nick": "eva"}', "seconds"),
        ('{"type": "tell", "to": "a\\u0000b", "text": "x"}', "to"),
        ('{"type": "leave", "nick": "ana"}', "nick"),
    ],
)
def test_what_is_wrong_is_named(line: str, name: str) -> None:
    assert refusal(line) == ("malformed", name)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"type": "say", "text": ""}', ("no-text",)),
        ('{"type": "say", "text": " \\n"}', ("no-text",)),
        ('{"type": "say", "text": "%s"}' % ("x" * (MAX_TEXT + 1)), ("too-long", "4096")),
        ('{"type": "say", "text": "%s"}' % ("\\t" * MAX_TEXT), ("too-long", "4096")),
        ('{"type": "nick", "nick": "%s"}' % ("x" * 9000), ("too-long", "4096")),
        ('{"type": "say", "text": "%s"}' % ("x" * MAX_JSON), ("too-long", "4096")),
        ('{"type": "kick", "nick": "eva", "why": "%s"}' % ("x" * 501), ("too-long", "500")),
        ('{"type": "topic", "text": " "}', ("no-text",)),
        ('{"type": "nick", "nick": ""}', ("nick-empty",)),
        ('{"type": "tell", "to": "eva hola", "text": "x"}', ("nick-space",)),
        ('{"type": "tell", "to": "eva\\nSAY", "text": "x"}', ("nick-space",)),
        ('{"type": "ban", "nick": "eva 60", "why": "x"}', ("nick-space",)),
        ('{"type": "ban", "nick": "eva", "seconds": 31536001}', ("duration",)),
        ('{"type": "mute", "nick": "eva", "seconds": 0}', ("duration",)),
        ('{"type": "history", "count": 0}', ("history-count",)),
        ('{"type": "history", "count": 1001}', ("history-count",)),
        ('{"type": "line", "text": ""}', ("no-text",)),
        ('{"type": "line", "text": "/baila"}', ("unknown-command", "baila")),
        ('{"type": "line", "text": "/help"}', ("unknown-command", "help")),
        ('{"type": "line", "text": "ana:"}', ("no-text-for", "ana")),
        ('{"type": "line", "text": "/mod hunter2"}', ("usage", "mod")),
    ],
)
def test_commands_are_judged_as_everywhere(line: str, code: tuple[str, ...]) -> None:
    assert refusal(line) == code


def test_a_text_of_the_greatest_length_can_be_written_in_every_way() -> None:
    for text in ("x" * MAX_TEXT, "ñ" * (MAX_TEXT // 2), "😀" * (MAX_TEXT // 4), "\\" * MAX_TEXT):
        escaped = "".join(f"\\u{ord(character):04x}" for character in text if ord(character) < 0x10000)
        for line in (json.dumps(text), json.dumps(text, ensure_ascii=False), f'"{escaped or text}"'):
            written = f'{{"type": "say", "text": {line}, "id": "{"x" * 100}"}}'
            assert decode(written, TAG).command == Say(text, TAG)


@pytest.mark.parametrize("password", ["hunter2\ud800", ["hunter2"], "hunter2" * 2000])
def test_no_refusal_repeats_a_password(password: object) -> None:
    with pytest.raises(RequestRefused) as caught:
        decode(json.dumps({"type": "mod", "password": password, "id": 1}), TAG)
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__context__ is None  # nor does what it came of


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=8,
)
ANY_FIELDS = st.dictionaries(
    st.sampled_from(["id", "text", "to", "nick", "page", "count", "seconds", "why", "on", "password"]), JSON
)
OBJECTS = st.builds(
    lambda kind, given: json.dumps({"type": kind, **given}), st.sampled_from([*COMMANDS, "shout"]), ANY_FIELDS
)


@given(st.one_of(st.text(st.characters()), st.binary().map(lambda b: b.decode("latin-1")), OBJECTS))
def test_nothing_but_refusals_comes_of_anything(line: str) -> None:
    try:
        request = decode(line, TAG)
    except RequestRefused as refused:
        told = encode(Refusal(0, refused.code, refused.arguments), re=refused.id)
        told.encode()
    else:
        sent = NativeDialect().encode_command(request.command)
        assert sent.count(b"\n") == 1
        assert NativeDialect().decode_command(sent[:-1].decode()) == request.command


GOOD: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS.filter(lambda text: text and not text.isspace()),
    "nick": st.from_regex("[a-zñ_]{1,24}", fullmatch=True),
    "to": st.from_regex("[a-zñ_]{1,24}", fullmatch=True),
    "count": st.integers(1, HISTORY_LIMIT),
    "seconds": st.integers(1, LONGEST_TIME),
}


@given(st.one_of(*(instances(kind, TAG, **GOOD) for kind in COMMANDS.values() if kind is not jsonlines.Line)))
def test_every_command_of_a_program_arrives_as_it_was_given(command: Any) -> None:
    name = next(name for name, kind in COMMANDS.items() if type(command) is kind)
    given = {key: value for key, value in dataclasses.asdict(command).items() if key != "tag"}
    assert decode(json.dumps({"type": name, **given}), TAG).command == command


def test_the_tables_are_of_what_there_is() -> None:
    assert set(OWN["back"]) == set(Back._fields)
    assert set(OWN["ended"]) == set(Ended._fields)
    assert not {kind.__name__ for kind in MESSAGES.values()} & {kind.__name__ for kind in COMMANDS.values()}
