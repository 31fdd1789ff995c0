"""The vocabulary: each command says how it is typed, and each class how it is written."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from charla.protocol.commands import (
    COMMAND_LAYOUTS,
    MODERATORS_ONLY,
    TYPED,
    Command,
    Hello,
    Help,
    Leave,
    Ping,
    Pong,
)
from charla.protocol.messages import MESSAGE_LAYOUTS, AskNick, AskPassword, HelpText, HistoryEntry, Message

COMMANDS = set(get_args(Command))


def test_every_command_can_be_typed_but_what_a_program_does_by_itself() -> None:
    assert {typed.kind for typed in TYPED.values()} == COMMANDS - {Hello, Ping, Pong}
    assert len({typed.kind for typed in TYPED.values()}) == len(TYPED)
    assert [typed.name for typed in TYPED.values()] == list(TYPED)


def test_every_command_with_a_tag_has_a_layout_that_fits_its_class() -> None:
    assert set(COMMAND_LAYOUTS) == COMMANDS - {Hello, Ping, Pong, Help, Leave}
    for kind, (_verb, layout) in COMMAND_LAYOUTS.items():
        names = [field.name for field in fields(kind)]
        assert names[-1] == "tag"
        assert len(names) == len(layout) + 1, kind


def test_every_message_has_a_layout_that_fits_its_class_but_what_only_a_person_needs() -> None:
    others = {HistoryEntry, AskNick, AskPassword, HelpText}  # the first is written like the event in it
    assert set(MESSAGE_LAYOUTS) == set(get_args(Message)) - others
    for kind, (verb, layout) in MESSAGE_LAYOUTS.items():
        assert len(fields(kind)) == len(layout), verb
        assert not any(field.may_be_missing for field in layout[:-1]), verb


def test_what_only_moderators_may_ask_are_commands() -> None:
    assert MODERATORS_ONLY < COMMANDS
    assert {typed.name for typed in TYPED.values() if typed.kind in MODERATORS_ONLY} == {
        *("kick", "ban", "bans", "unban", "mute", "unmute", "announce", "set-topic", "quiet", "status")
    }
