"""The outbox: what is sent once on each link, and what of it can be lost."""

from __future__ import annotations

from charla.client.network.outbox import Outbox, Tagged
from charla.protocol.commands import (
    Act,
    AskBans,
    AskStatus,
    AskTopic,
    History,
    Kick,
    Mod,
    Rename,
    Say,
    Tell,
    Who,
)
from charla.protocol.messages import Said


def test_the_outbox_gives_each_command_once_on_each_link_in_order() -> None:
    outbox = Outbox()
    assert [outbox.new_tag() for _ in range(4)] == [1, 2, 3, 4]
    for tag in (1, 2, 3):
        outbox.add(Say(f"m{tag}", tag), f"m{tag}", 0.0)
    assert [outbox.take(), outbox.take()] == [Say("m1", 1), Say("m2", 2)]
    assert outbox.remove(1) == "m1"
    assert outbox.remove(1) is None
    outbox.new_link()
    outbox.add(Say("m4", 4), "m4", 0.0)
    assert [outbox.take() for _ in range(4)] == [Say("m2", 2), Say("m3", 3), Say("m4", 4), None]


def test_what_was_confirmed_before_it_was_sent_again_is_not_sent_again() -> None:
    outbox = Outbox()
    for tag in (1, 2):
        outbox.add(Say(f"m{tag}", tag), f"m{tag}", 0.0)
    outbox.take()
    outbox.new_link()
    outbox.remove(1)
    assert [outbox.take(), outbox.take()] == [Say("m2", 2), None]


def test_questions_are_asked_but_are_no_messages_that_can_be_lost() -> None:
    outbox = Outbox()
    commands: list[Tagged] = [
        *(Say("a", 1), Who(1, 2), Act("b", 3), Tell("beto", "c", 4), History(5, 5), Rename("d", 6)),
        *(AskTopic(7), AskBans(8), AskStatus(9), Mod("sésamo", 10), Kick("beto", "ya", 11)),
    ]
    for command in commands:
        outbox.add(command, f"line {command.tag}", 0.0)
    assert outbox.unsent() == ["line 1", "line 3", "line 4", "line 6", "line 10", "line 11"]
    assert [outbox.take() for _ in range(3)] == commands[:3]
    assert outbox.never_sent()
    assert outbox.forget_sent() == ["line 1", "line 3"]
    assert outbox.unsent() == ["line 4", "line 6", "line 10", "line 11"]
    outbox.new_link()
    assert [outbox.take() for _ in range(10)] == [Who(1, 2), *commands[3:], None]
    assert not outbox.never_sent()


def test_a_wait_for_the_outbox_ends_when_the_answer_has_been_told() -> None:
    outbox = Outbox()
    outbox.add(Say("a", 1), "a", 0.0)
    assert outbox.settle(Said(2, 0, 1, "ana", "a")) == "a"
    assert outbox.unsent() == []
    assert not outbox.wait_below(1, 0.0)
    outbox.answers_told()
    assert outbox.wait_below(1, 0.0)


def test_a_wait_for_the_outbox_ends_when_it_is_closed() -> None:
    outbox = Outbox()
    assert outbox.wait_below(1)
    outbox.add(Say("a", 1), "a", 0.0)
    assert not outbox.wait_below(1, 0.0)
    outbox.close()
    assert outbox.wait_below(1)
    assert outbox.unsent() == ["a"]
