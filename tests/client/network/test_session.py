"""The client's network thread without a console, opposite a server that does what the test says."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from support import DEADLINE, ROOT, eventually
from support.headless import Start, back, said
from support.scripted import AT, FakeServer, Seat

from charla.client.network import session as network
from charla.client.network.connect import NoConnection
from charla.client.network.events import Arrival, Ended, Ending
from charla.client.network.link import Connector, LinkLost
from charla.client.network.outbox import Outbox, Tagged
from charla.client.network.session import delay_before
from charla.protocol.commands import (
    NEW_SESSION,
    Act,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Hello,
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
from charla.protocol.greeting import turn_away
from charla.protocol.messages import (
    AlreadyDone,
    Banned,
    CaughtUp,
    DeliveryPending,
    Event,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Message,
    Moderated,
    Refusal,
    Renamed,
    Resumed,
    Said,
    Status,
    Token,
    Told,
    Topic,
    Welcome,
    WhoPage,
)
from charla.protocol.text import Refused

# --------------------------------------------------------------------------------------------------
# The outbox, and the delays
# --------------------------------------------------------------------------------------------------


def test_the_outbox_gives_each_command_once_on_each_link_in_order() -> None:
    outbox = Outbox()
    assert [outbox.new_tag() for _ in range(4)] == [1, 2, 3, 4]
    for tag in (1, 2, 3):
        outbox.add(Say(f"m{tag}", tag), f"m{tag}")
    assert [outbox.take(), outbox.take()] == [Say("m1", 1), Say("m2", 2)]
    assert outbox.remove(1) == "m1"
    assert outbox.remove(1) is None
    outbox.new_link()
    outbox.add(Say("m4", 4), "m4")
    assert [outbox.take() for _ in range(4)] == [Say("m2", 2), Say("m3", 3), Say("m4", 4), None]


def test_what_was_confirmed_before_it_was_sent_again_is_not_sent_again() -> None:
    outbox = Outbox()
    for tag in (1, 2):
        outbox.add(Say(f"m{tag}", tag), f"m{tag}")
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
        outbox.add(command, f"line {command.tag}")
    assert outbox.unsent() == ["line 1", "line 3", "line 4", "line 6", "line 10", "line 11"]
    assert [outbox.take() for _ in range(3)] == commands[:3]
    assert outbox.never_sent()
    assert outbox.forget_sent() == ["line 1", "line 3"]
    assert outbox.unsent() == ["line 4", "line 6", "line 10", "line 11"]
    outbox.new_link()
    assert [outbox.take() for _ in range(10)] == [Who(1, 2), *commands[3:], None]
    assert not outbox.never_sent()


def test_a_wait_for_the_outbox_ends_when_it_is_closed() -> None:
    outbox = Outbox()
    assert outbox.wait_below(1)
    outbox.add(Say("a", 1), "a")
    assert not outbox.wait_below(1, 0.0)
    outbox.close()
    assert outbox.wait_below(1)
    assert outbox.unsent() == ["a"]


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_delays_grow_and_are_spread_by_a_fifth(random: float, factor: float) -> None:
    delays = [delay_before(attempt, network.DELAYS, lambda: random) for attempt in range(9)]
    assert delays == pytest.approx([seconds * factor for seconds in (0, 1, 2, 4, 8, 15, 30, 30, 30)])


# --------------------------------------------------------------------------------------------------
# Networks
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def fake(stack: ExitStack) -> FakeServer:
    """Return a server that says nothing by itself."""
    server = FakeServer()
    stack.callback(server.close)
    return server


@pytest.fixture
def start(stack: ExitStack) -> Start:
    """Return what starts networks."""
    return Start(stack)


# --------------------------------------------------------------------------------------------------
# Joining
# --------------------------------------------------------------------------------------------------


def test_no_console_is_needed() -> None:
    code = (
        "import sys; from charla.client.network import session as network; "
        "sys.exit(any('display' in m or 'terminal' in m or m == 'readline' for m in sys.modules))"
    )
    assert subprocess.call([sys.executable, "-c", code], cwd=ROOT) == 0


def test_the_opening_is_everything_up_to_who_is_here(fake: FakeServer, start: Start) -> None:
    ana = start.person(fake, history=2)
    seat = start.greeted(fake, ana)
    messages: list[Message] = [
        Welcome(7, AT, "ana", 2, "hola"),
        Token("tok", 60),
        HistoryHeader(0, 2),
        HistoryEntry(said(4, "uno")),
        HistoryEntry(said(6, "dos")),
        Topic(0, True, "sol"),
        WhoPage(0, 1, 1, 2, ("ana", "@beto")),
    ]
    seat.tell(*messages, said(8, "tres"))
    assert ana.network.join() == messages
    assert seat.command() == Hello("ana", NEW_SESSION, history=2)
    ana.network.start()
    ana.ear.expect(Arrival(said(8, "tres")))
    seat.close()
    start.accept(fake).resume(8)
    ana.ear.expect(back())


def test_a_nick_that_is_refused_can_be_asked_for_again_differently(fake: FakeServer, start: Start) -> None:
    ana = start.person(fake)
    seat = start.greeted(fake, ana)
    seat.tell(Refusal(0, "nick-taken", ("ana",)))
    with pytest.raises(Refused) as refused:
        ana.network.join()
    assert (refused.value.code, refused.value.arguments) == ("nick-taken", ("ana",))
    seat.tell(Welcome(1, AT, "eva", 1), Token("tok", 60), WhoPage(0, 1, 1, 1, ("eva",)))
    ana.network.join("eva")
    assert [seat.command(), seat.command()] == [Hello("ana", NEW_SESSION), Hello("eva", NEW_SESSION)]
    ana.network.start()
    seat.close()
    start.accept(fake).resume(1, nick="eva")
    ana.ear.expect(back(nick="eva"))


def test_a_server_that_hangs_up_on_who_joins_is_told_apart_from_one_that_refuses(
    fake: FakeServer, start: Start
) -> None:
    ana = start.person(fake)
    seat = start.greeted(fake, ana)
    seat.tell(Goodbye("closing"))
    with pytest.raises(LinkLost) as lost:
        ana.network.join()
    assert lost.value.reason == "closing"


def test_a_server_that_does_not_answer_who_joins_has_a_deadline(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "ANSWER_TIME", 0.05)
    ana = start.person(fake)
    seat = start.greeted(fake, ana)
    seat.tell(Welcome(1, AT, "ana", 1))
    with pytest.raises(TimeoutError):
        ana.network.join()


def test_a_port_where_nobody_listens_is_told_in_a_sentence(fake: FakeServer, start: Start) -> None:
    fake.close()
    with pytest.raises(NoConnection, match=f"No server answers at 127.0.0.1, port {fake.port}: start one"):
        start.person(fake).network.connect()


# --------------------------------------------------------------------------------------------------
# Talking
# --------------------------------------------------------------------------------------------------


def test_what_is_said_goes_out_in_order_and_leaves_the_outbox_when_it_is_answered(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    ana.says("uno", "dos")
    ana.say(lambda tag: Tell("beto", "tres", tag), "beto: tres")
    ana.say(lambda tag: Tell("nadie", "x", tag), "nadie: x")
    ana.say(lambda tag: Rename("aina", tag), "/nick aina")
    assert [seat.command() for _ in range(5)] == [
        Say("uno", 1),
        Say("dos", 2),
        Tell("beto", "tres", 3),
        Tell("nadie", "x", 4),
        Rename("aina", 5),
    ]
    assert ana.network.outbox.unsent() == ["uno", "dos", "beto: tres", "nadie: x", "/nick aina"]
    answers: list[tuple[Message, str | None]] = [
        (said(2, "hola"), None),
        (said(3, "uno", 1), "uno"),
        (AlreadyDone(2), "dos"),
        (Told(5, AT, 3, "ana", "beto", "tres"), "beto: tres"),
        (DeliveryPending(5, "beto"), None),
        (Refusal(4, "no-such-user", ("nadie",)), "nadie: x"),
        (Renamed(6, AT, 5, "ana", "aina"), "/nick aina"),
    ]
    seat.tell(*(message for message, _ in answers))
    ana.ear.expect(*(Arrival(*answer) for answer in answers))
    assert ana.network.outbox.unsent() == []
    assert ana.network.nick == "aina"


# What moderators ask, how it is answered, and the bans of which there are three.
RULED = (7, AT)
MODERATORS: list[tuple[Callable[[int], Tagged], Callable[[int], list[Message]]]] = [
    (lambda tag: Mod("sésamo", tag), lambda tag: [Moderated(*RULED, tag, "mod", "ana")]),
    (lambda tag: Mod("sésamo", tag), lambda tag: [Refusal(tag, "wrong-password")]),
    (
        lambda tag: Kick("beto", "ya", tag),
        lambda tag: [Moderated(*RULED, tag, "kick", "ana", "beto", 0, "ya")],
    ),
    (lambda tag: Ban("beto", 60, "", tag), lambda tag: [Moderated(*RULED, tag, "ban", "ana", "beto", 60)]),
    (lambda tag: Unban("beto", tag), lambda tag: [Moderated(*RULED, tag, "unban", "ana", "beto")]),
    (lambda tag: Mute("beto", 60, tag), lambda tag: [Moderated(*RULED, tag, "mute", "ana", "beto", 60)]),
    (lambda tag: Unmute("beto", tag), lambda tag: [Refusal(tag, "not-muted", ("beto",))]),
    (lambda tag: Announce("ya", tag), lambda tag: [Moderated(*RULED, tag, "announce", "ana", "", 0, "ya")]),
    (lambda tag: SetTopic("sol", tag), lambda tag: [Moderated(*RULED, tag, "topic", "ana", "", 0, "sol")]),
    (lambda tag: SetTopic("", tag), lambda tag: [AlreadyDone(tag)]),
    (lambda tag: SetQuiet(True, tag), lambda tag: [Moderated(*RULED, tag, "quiet", "ana")]),
    (lambda tag: AskTopic(tag), lambda tag: [Topic(tag, False, "sol")]),
    (lambda tag: AskStatus(tag), lambda tag: [Status(tag, ("1", "2"))]),
    (lambda tag: AskBans(tag), lambda tag: [Banned(tag, 0, 0)]),
    (
        lambda tag: AskBans(tag),
        lambda tag: [Banned(tag, n, 3, f"b{n}", "10.0.0.1", 60, "ana", "ya") for n in (1, 2, 3)],
    ),
]


@pytest.mark.parametrize(("command", "answers"), MODERATORS)
def test_what_moderators_ask_leaves_the_outbox_when_it_is_answered(
    fake: FakeServer,
    start: Start,
    command: Callable[[int], Tagged],
    answers: Callable[[int], list[Message]],
) -> None:
    ana, seat = start(fake)
    ana.say(command, "/typed")
    assert seat.command() == command(1)
    assert not ana.network.outbox.wait_below(1, 0.0)
    seat.close()  # what is not answered is asked again
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(back())
    assert seat.command() == command(1)
    *parts, last = answers(1)
    seat.tell(*parts, last)
    ana.ear.expect(*(Arrival(part) for part in parts), Arrival(last, "/typed"))
    assert ana.network.outbox.wait_below(1, 0.0)


def test_what_moderators_decide_is_an_event_like_any_other(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    muted = Moderated(2, AT, 0, "mute", "beto", "carla", 60)
    seat.tell(muted, muted)
    ana.ear.expect(Arrival(muted))
    seat.close()
    seat = start.accept(fake)
    seat.resume(2, muted, said(3, "hola"))
    ana.ear.expect(Arrival(said(3, "hola")), back(missed=1))


def test_sending_does_not_wait_for_a_server_that_does_not_read(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    texts = [f"{number} " + "x" * 4000 for number in range(3000)]  # 12 MB: more than the kernel takes
    ana.says(*texts)
    assert [seat.command() for _ in texts] == [Say(text, tag) for tag, text in enumerate(texts, 1)]


def test_a_ping_is_answered_behind_what_came_before_it_was_handed_over(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    seat.tell(said(2, "hola"), Ping(2))
    assert seat.command() == Pong(2)
    assert ana.ear._heard.qsize() == 1, "the PONG says that it was taken"
    ana.ear.expect(Arrival(said(2, "hola")))
    seat.tell(Ping(2), said(5, "y adiós"))
    assert seat.command() in (Pong(2), Pong(5))


def test_a_server_that_says_nothing_is_asked_and_one_that_answers_is_kept(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake, ping_after=0.02, dead_after=DEADLINE)
    for _ in range(3):
        ping = seat.command()
        assert ping == Ping(1)
        seat.tell(Pong(1))
    seat.tell(said(2, "hola"))
    ana.ear.expect(Arrival(said(2, "hola")))


def test_a_server_that_does_not_answer_is_left_for_a_new_connection(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake, ping_after=0.02, dead_after=0.04)
    assert seat.command() == Ping(1)
    start.accept(fake).resume(1)
    ana.ear.expect(back())


def test_a_server_without_sessions_is_not_pinged_and_its_end_is_the_end(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake, token="", ping_after=0.01, dead_after=0.02)
    seat.silent()
    seat.close()
    ana.ear.expect(Ended(Ending.LOST))


def test_leaving_says_goodbye_behind_everything_else(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("uno", "dos")
    ana.network.leave()
    assert [seat.command() for _ in range(3)] == [Say("uno", 1), Say("dos", 2), Leave()]
    seat.tell(said(2, "uno", 1), said(3, "dos", 2), Goodbye("left"))
    ana.ear.expect(
        Arrival(said(2, "uno", 1), "uno"), Arrival(said(3, "dos", 2), "dos"), Ended(Ending.GOODBYE, "left")
    )
    assert ana.network.wait_ended(DEADLINE)


# --------------------------------------------------------------------------------------------------
# Resuming
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_lost_link_is_got_back_with_what_came_meanwhile(fake: FakeServer, start: Start, how: str) -> None:
    ana, seat = start(fake)
    seat.tell(said(2, "antes"))
    ana.ear.expect(Arrival(said(2, "antes")))
    if how == "reset":
        seat.reset()
    seat.close()
    meanwhile: list[Event] = [said(3, "uno"), Joined(4, AT, "carla"), Told(6, AT, 0, "beto", "ana", "dos")]
    seat = start.accept(fake)
    seat.resume(2, *meanwhile)
    # Nobody need be told that it was lost: it was back at once.
    ana.ear.expect(*(Arrival(event) for event in meanwhile), back(missed=2))
    seat.tell(said(7, "después"))
    ana.ear.expect(Arrival(said(7, "después")))
    seat.close()
    start.accept(fake).resume(7)
    ana.ear.expect(back())


def test_the_id_of_LIVE_is_the_last_one_even_if_the_event_was_not_for_this_client(  # noqa: N802
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    assert seat.command() == Hello("ana", "tok", 1)
    seat.tell(Resumed("ana", 1, 0), CaughtUp(40))
    ana.ear.expect(back())
    seat.close()
    start.accept(fake).resume(40)
    ana.ear.expect(back())


def test_unconfirmed_commands_go_again_in_order_behind_LIVE_and_then_new_ones(  # noqa: N802
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    ana.says("uno", "dos", "tres")
    ana.say(lambda tag: Who(1, tag), "/who")
    assert [seat.command() for _ in range(4)][-1] == Who(1, 4)
    seat.close()
    seat = start.accept(fake)
    ana.says("cinco")  # on no link yet
    seat.send("NICK\n")
    assert seat.command() == Hello("ana", "tok", 1)
    seat.tell(Resumed("ana", 1, 0), said(2, "uno", 1))
    ana.ear.expect(Arrival(said(2, "uno", 1), "uno"))
    seat.silent()
    seat.tell(CaughtUp(2))
    ana.ear.expect(back())
    assert [seat.command() for _ in range(4)] == [Say("dos", 2), Say("tres", 3), Who(1, 4), Say("cinco", 5)]
    seat.silent()
    # The server had done "dos" already: its old event confirms it, and was never seen before.
    seat.tell(said(3, "dos", 2), said(4, "tres", 3), WhoPage(4, 1, 1, 1, ("ana",)), said(5, "cinco", 5))
    ana.ear.expect(
        Arrival(said(3, "dos", 2), "dos"),
        Arrival(said(4, "tres", 3), "tres"),
        Arrival(WhoPage(4, 1, 1, 1, ("ana",)), "/who"),
        Arrival(said(5, "cinco", 5), "cinco"),
    )
    assert ana.network.outbox.unsent() == []


def test_events_that_were_seen_are_not_handed_over_again_but_confirm(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("mío")
    assert seat.command() == Say("mío", 1)
    seat.tell(said(2, "uno"), said(3, "dos"))
    ana.ear.expect(Arrival(said(2, "uno")), Arrival(said(3, "dos")))
    seat.close()
    seat = start.accept(fake)
    seat.resume(3)
    ana.ear.expect(back())
    assert seat.command() == Say("mío", 1)
    seat.tell(said(2, "uno"), said(3, "mío", 1), said(3, "dos"), said(4, "tres"))
    ana.ear.expect(Arrival(said(4, "tres")))
    assert ana.network.outbox.unsent() == []


def test_an_own_message_of_the_gap_is_handed_over_when_its_repetition_is_confirmed(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    ana.says("mío")
    seat.close()
    seat = start.accept(fake)
    seat.resume(1, said(9, "nueve"), lost=7)
    ana.ear.expect(Arrival(said(9, "nueve")), back(missed=1, lost=7))
    assert seat.command() == Say("mío", 1)
    seat.tell(said(4, "mío", 1))
    ana.ear.expect(Arrival(said(4, "mío", 1), "mío"))


def test_what_a_broken_resume_had_lost_is_told_by_the_one_that_succeeds(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    seat.close()
    with start.accept(fake) as seat:
        seat.send("NICK\n")
        seat.command()
        seat.tell(Resumed("ana", 1, 7), said(9, "nueve"))
        ana.ear.expect(Arrival(said(9, "nueve")))
    with start.accept(fake) as seat:  # broken before anything of the gap is passed: not counted twice
        seat.send("NICK\n")
        assert seat.command() == Hello("ana", "tok", 9)
        seat.tell(Resumed("ana", 1, 3))
    seat = start.accept(fake)
    seat.resume(9, said(20, "veinte"), lost=5)
    ana.ear.expect(Arrival(said(20, "veinte")), back(missed=2, lost=12))


def test_a_resume_that_takes_so_long_that_more_is_lost(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("mío")
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    seat.command()
    seat.tell(Resumed("ana", 1, 2), said(4, "cuatro"), Resumed("ana", 1, 3), said(8, "ocho"), CaughtUp(8))
    ana.ear.expect(Arrival(said(4, "cuatro")), Arrival(said(8, "ocho")), back(missed=2, lost=5))
    assert seat.command() == Say("mío", 1)
    seat.tell(said(6, "mío", 1))  # of the second gap
    ana.ear.expect(Arrival(said(6, "mío", 1), "mío"))


def test_a_history_that_was_cut_is_asked_for_again(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.say(lambda tag: History(2, tag), "/history 2")
    assert seat.command() == History(2, 1)
    one, two = HistoryEntry(said(10, "uno")), HistoryEntry(said(11, "dos"))
    seat.tell(HistoryHeader(1, 2), one)
    ana.ear.expect(Arrival(HistoryHeader(1, 2)), Arrival(one))
    seat.close()
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(back())
    assert seat.command() == History(2, 1)
    seat.tell(HistoryHeader(1, 2), one, said(12, "entretanto"), two)
    ana.ear.expect(Arrival(HistoryHeader(1, 2)), Arrival(one), Arrival(said(12, "entretanto")))
    ana.ear.expect(Arrival(two, "/history 2"))
    seat.close()
    seat = start.accept(fake)
    seat.resume(12)
    ana.ear.expect(back())
    seat.silent()


def test_a_link_that_is_lost_again_before_LIVE_is_got_back_from_where_it_was(  # noqa: N802
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    assert seat.command() == Hello("ana", "tok", 1)
    seat.tell(Resumed("ana", 1, 0), said(2, "uno"))
    ana.ear.expect(Arrival(said(2, "uno")))
    seat.close()
    start.accept(fake).resume(2, said(3, "dos"))
    ana.ear.expect(Arrival(said(3, "dos")), back(missed=2))


def test_the_nick_that_the_server_says_is_the_one_that_counts(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.say(lambda tag: Rename("aina", tag), "/nick aina")
    assert seat.command() == Rename("aina", 1)
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    seat.line()
    renamed = Renamed(2, AT, 1, "ana", "aina")
    seat.tell(Resumed("aina", 1, 0), renamed, CaughtUp(2))
    ana.ear.expect(Arrival(renamed, "/nick aina"), back(nick="aina"))
    assert ana.network.nick == "aina"


def test_a_new_nick_whose_event_is_lost_is_known_all_the_same(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    seat.line()
    seat.tell(Resumed("aina", 1, 1), CaughtUp(2))
    ana.ear.expect(back(nick="aina", lost=1))
    seat.close()
    start.accept(fake).resume(2, nick="aina")
    ana.ear.expect(back(nick="aina"))


@pytest.mark.parametrize("reason", ["restart", "slow"])
def test_who_is_dropped_with_the_seat_kept_comes_back(fake: FakeServer, start: Start, reason: str) -> None:
    ana, seat = start(fake)
    fake.close()
    seat.tell(Goodbye(reason))
    seat.close()
    ana.ear.expect(("down", reason))
    ana.says("entretanto")
    fake.listen()
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(back())
    assert seat.command() == Say("entretanto", 1)


@pytest.mark.parametrize("reason", ["replaced", "closing", "error", "kicked", "banned", "a later one"])
def test_a_goodbye_that_is_meant_is_the_end(fake: FakeServer, start: Start, reason: str) -> None:
    ana, seat = start(fake)
    seat.send(f"SAY 2 1 - beto hola\nBYE {reason}\n")
    ana.ear.expect(Arrival(Said(2, 1, 0, "beto", "hola")), Ended(Ending.GOODBYE, reason))
    assert ana.network.wait_ended(DEADLINE)


@pytest.mark.parametrize("reason", ["", "restart", "slow"])
def test_without_reconnecting_a_lost_link_is_the_end(fake: FakeServer, start: Start, reason: str) -> None:
    ana, seat = start(fake, reconnect=False)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    if reason:
        seat.tell(Goodbye(reason))
    seat.close()
    ana.ear.expect(Ended(Ending.GOODBYE, reason) if reason else Ended(Ending.LOST))
    assert ana.network.outbox.unsent() == ["uno"]


def test_last_words_are_heard_although_nothing_can_be_sent_any_more(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake, reconnect=False)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    ana.ear.may_return.clear()
    seat.tell(said(2, "hola"))
    ana.ear.expect(Arrival(said(2, "hola")))
    seat.tell(said(3, "uno", 1), Goodbye("closing"))
    seat.reset()
    ana.says("dos")  # what is sent first when the thread goes on, and fails
    ana.ear.may_return.set()
    ana.ear.expect(Arrival(said(3, "uno", 1), "uno"), Ended(Ending.GOODBYE, "closing"))


# --------------------------------------------------------------------------------------------------
# Attempts that fail
# --------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_tried_again_after_each_delay(fake: FakeServer, start: Start) -> None:
    asked: list[float] = []

    def random() -> float:
        asked.append(0.5)
        return 0.5

    ana, seat = start(fake, random=random, delays=(0.0, 0.001))
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))  # once
    eventually(lambda: len(asked) > 5, "some more attempts")
    fake.listen()
    start.accept(fake).resume(1)
    ana.ear.expect(back())


class Delays(list[float]):
    """Delays that remember which of them were used."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(seconds)
        self.used: list[int] = []

    def __getitem__(self, index: Any) -> Any:
        self.used.append(index)
        return super().__getitem__(index)


@pytest.mark.parametrize("steady", [False, True])
def test_delays_begin_anew_only_behind_a_link_that_held(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch, steady: bool
) -> None:
    monkeypatch.setattr(network, "STEADY_AFTER", 0.0 if steady else 3600.0)
    delays = Delays(0.0, 0.001, 0.002)
    ana, seat = start(fake, delays=delays)
    fake.close()
    seat.close()
    eventually(lambda: len(delays.used) >= 4, "some attempts")
    fake.listen()
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(("down", ""), back())
    assert delays.used[:4] == [0, 1, 2, 2]
    del delays.used[:]
    seat.close()
    start.accept(fake).resume(1)
    ana.ear.expect(back())
    assert delays.used == [0 if steady else 2]


@pytest.mark.parametrize(
    "greeting",
    [
        b"! The room is full (5): try again later. [full 5]\n",
        b"! Too many. [too-many-from-address 32]\n",
        b"! Too often. [too-many-a-minute 60]\n",
        b"* You were dropped: too many connections wait.\n",
        b"NICK\nBYE crowded\n",
        b"NICK\nBYE slow\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\xff\n",
        b"",
    ],
    ids=["full", "address", "minute", "notice", "crowded", "slow", "ssh", "bytes", "nothing"],
)
def test_whoever_turns_the_client_away_is_asked_again(
    fake: FakeServer, start: Start, greeting: bytes
) -> None:
    ana, seat = start(fake)
    seat.close()
    with fake.accept() as other:
        other.send(greeting)
    # Why, where it is something that people can wait for.
    refusal = re.search(rb"\[(.+)\]", greeting)
    ana.ear.expect(("down", refusal[1].decode() if refusal else ""))
    start.accept(fake).resume(1)
    ana.ear.expect(back())


def test_a_refusal_behind_attempts_that_met_nobody_is_told_too_but_once(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))
    fake.listen()
    for number in range(2):
        with fake.accept() as seat:
            seat.send(turn_away("full", "5"))
        if not number:
            ana.ear.expect(("down", "full 5"))
    start.accept(fake).resume(1)
    ana.ear.expect(back())


@pytest.mark.parametrize(
    ("refusal", "arguments"),
    [("banned", ()), ("banned-for", ("300",)), ("tls-needed", ()), ("version", ("2",))],
)
@pytest.mark.parametrize("where", ["greeting", "resuming", "joining anew"])
def test_a_refusal_that_no_attempt_would_change_is_the_end(
    fake: FakeServer, start: Start, refusal: str, arguments: tuple[str, ...], where: str
) -> None:
    ana, seat = start(fake)
    seat.close()
    if where == "greeting":
        start.accept(fake).send(turn_away(refusal, *arguments))
    elif where == "joining anew":
        gone(start, fake).tell(Refusal(0, refusal, arguments))
    else:
        seat = start.accept(fake)
        seat.send("NICK\n")
        assert seat.command() == Hello("ana", "tok", 1)
        seat.tell(Refusal(0, refusal, arguments))
    ana.ear.expect(Ended(Ending.REFUSED, refusal, arguments))


@pytest.mark.parametrize("greeting", [b"", b"NICK\n"], ids=["no greeting", "no answer"])
def test_a_handshake_that_stalls_has_a_deadline(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch, greeting: bytes
) -> None:
    monkeypatch.setattr(network, "HANDSHAKE_TIME", 0.05)
    ana, seat = start(fake)
    seat.close()
    start.accept(fake).send(greeting)
    seat = start.accept(fake)
    monkeypatch.setattr(network, "HANDSHAKE_TIME", DEADLINE)
    ana.ear.expect(("down", ""))
    seat.close()
    start.accept(fake).resume(1)
    ana.ear.expect(back())


def test_a_first_attempt_that_takes_long_is_told_as_a_lost_connection(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "QUIET", 0.02)
    ana, seat = start(fake)
    seat.close()
    seat = start.accept(fake)
    ana.ear.expect(("down", ""))
    seat.resume(1)
    ana.ear.expect(back())


def test_after_a_while_without_a_link_it_is_given_up(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake, give_up_after=0.05)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""), Ended(Ending.GAVE_UP))
    assert ana.network.outbox.unsent() == ["uno"]


def test_replaced_while_it_reconnects_is_the_end_too(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    seat.close()
    start.accept(fake).send("NICK\nBYE replaced\n")
    ana.ear.expect(Ended(Ending.GOODBYE, "replaced"))


# --------------------------------------------------------------------------------------------------
# The seat is gone
# --------------------------------------------------------------------------------------------------


def gone(start: Start, fake: FakeServer, last: int = 1) -> Seat:
    """Take the next connection, and tell it that there is no such session; up to the next HELLO."""
    seat = start.accept(fake)
    seat.send("NICK\n")
    assert seat.command() == Hello("ana", "tok", last)
    seat.tell(Refusal(0, "no-session"))
    assert seat.command() == Hello("ana", NEW_SESSION)
    return seat


def test_without_the_seat_one_joins_anew_and_what_was_sent_is_in_doubt(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    ana.says("uno", "dos")
    ana.say(lambda tag: Who(1, tag), "/who")
    assert [seat.command() for _ in range(3)] == [Say("uno", 1), Say("dos", 2), Who(1, 3)]
    seat.tell(said(2, "uno", 1))
    ana.ear.expect(Arrival(said(2, "uno", 1), "uno"))
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))
    ana.says("cuatro")  # on no link yet: it is certain that it was not said
    fake.listen()
    seat = gone(start, fake, 2)
    opening: list[Message] = [Welcome(9, AT, "ana", 2), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",))]
    seat.tell(*opening)
    ana.ear.expect((opening, ["dos"]))
    assert [seat.command(), seat.command()] == [Who(1, 3), Say("cuatro", 4)]
    assert ana.network.outbox.unsent() == ["cuatro"]
    # The new session is as good as the old one.
    seat.tell(said(10, "cuatro", 4))
    ana.ear.expect(Arrival(said(10, "cuatro", 4), "cuatro"))
    seat.close()
    start.accept(fake).resume(10, token="tok2")
    ana.ear.expect(back())


@pytest.mark.parametrize("server", ["the same", "a new one"])
def test_the_history_of_a_new_seat_is_without_what_was_seen_in_the_old_one(
    fake: FakeServer, start: Start, server: str
) -> None:
    ana, seat = start(fake)
    seen: list[Event] = [said(2, "uno"), said(3, "dos")]
    seat.tell(*seen)
    ana.ear.expect(*(Arrival(event) for event in seen))
    seat.close()
    seat = gone(start, fake, 3)
    here = WhoPage(0, 1, 1, 1, ("ana",))
    if server == "the same":
        welcome = Welcome(6, AT + 9, "ana", 1)
        past = [HistoryEntry(said(2, "uno")), HistoryEntry(said(3, "dos")), HistoryEntry(said(5, "cinco"))]
        fresh = past[2:]
    else:  # its ids begin anew
        welcome = Welcome(3, AT + 9, "ana", 1)
        fresh = past = [
            HistoryEntry(Said(1, AT + 7, 0, "beto", "otra")),
            HistoryEntry(Said(2, AT + 8, 0, "beto", "vez")),
        ]
    seat.tell(welcome, Token("tok2", 60), HistoryHeader(0, len(past)), *past, here)
    ana.ear.expect(([welcome, Token("tok2", 60), HistoryHeader(0, len(fresh)), *fresh, here], []))
    # What happens from here on is new, whatever its id.
    seat.tell(said(welcome.id + 1, "hola"))
    ana.ear.expect(Arrival(said(welcome.id + 1, "hola")))


def test_a_nick_that_was_taken_meanwhile_is_the_end(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    seat.close()
    seat = gone(start, fake)
    seat.tell(Refusal(0, "nick-taken", ("ana",)))
    ana.ear.expect(Ended(Ending.REFUSED, "nick-taken", ("ana",)))
    assert ana.network.outbox.unsent() == ["uno"]


def test_a_link_that_is_lost_while_joining_anew_loses_no_doubt(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    seat.close()
    gone(start, fake).close()
    ana.ear.expect(("down", ""))
    seat = gone(start, fake)
    opening: list[Message] = [Welcome(1, AT, "ana", 1), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",))]
    seat.tell(*opening)
    ana.ear.expect((opening, ["uno"]))


def test_a_new_seat_whose_opening_was_cut_is_resumed(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))
    fake.listen()
    seat = gone(start, fake)
    opening: list[Message] = [Welcome(5, AT, "ana", 1), Token("tok2", 60)]
    seat.tell(*opening)
    seat.close()
    ana.ear.expect((opening, ["uno"]), ("down", ""))
    seat = start.accept(fake)
    seat.resume(5, said(6, "hola"), token="tok2")
    ana.ear.expect(Arrival(said(6, "hola")), back(missed=1))
    seat.silent()


def test_a_nick_that_a_seat_of_ours_may_have_is_tried_again(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    seat.close()
    gone(start, fake).close()  # it may have made the seat, and nobody has its token
    ana.ear.expect(("down", ""))
    gone(start, fake).tell(Refusal(0, "nick-taken", ("ana",)))
    seat = gone(start, fake)
    opening: list[Message] = [Welcome(5, AT, "ana", 1), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",))]
    seat.tell(*opening)
    ana.ear.expect((opening, []))


@pytest.mark.parametrize(
    ("code", "arguments"), [("nick-kept", ("ana", "3")), ("full", ("5",)), ("too-many-from-address", ("3",))]
)
def test_a_seat_that_is_refused_for_now_is_tried_again(
    fake: FakeServer, start: Start, code: str, arguments: tuple[str, ...]
) -> None:
    ana, seat = start(fake)
    seat.close()
    with gone(start, fake) as seat:
        seat.tell(Refusal(0, code, arguments))
        ana.ear.expect(("down", "" if code == "nick-kept" else " ".join((code, *arguments))))
    seat = gone(start, fake)
    opening: list[Message] = [Welcome(5, AT, "ana", 1), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",))]
    seat.tell(*opening)
    ana.ear.expect((opening, []))


def test_who_leaves_does_not_join_anew_for_what_is_in_doubt(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    ana.says("uno")
    ana.network.leave()
    assert [seat.command(), seat.command()] == [Say("uno", 1), Leave()]
    seat.close()
    seat = start.accept(fake)
    seat.send("NICK\n")
    assert seat.command() == Hello("ana", "tok", 1)
    seat.tell(Refusal(0, "no-session"))
    ana.ear.expect(Ended(Ending.SEAT_GONE))
    assert ana.network.outbox.unsent() == ["uno"]


# --------------------------------------------------------------------------------------------------
# Leaving without a link
# --------------------------------------------------------------------------------------------------


def test_leaving_ends_at_once_when_the_link_is_down_and_nothing_unsent(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake, delays=(0.0, 3600.0))
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))
    ana.say(lambda tag: Who(1, tag), "/who")
    ana.network.leave()
    ana.ear.expect(Ended(Ending.CLOSED))


def test_leaving_waits_for_the_link_when_something_is_unsent(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    fake.close()
    seat.close()
    ana.ear.expect(("down", ""))
    ana.says("uno")
    ana.network.leave()
    fake.listen()
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(back())
    assert [seat.command(), seat.command()] == [Say("uno", 1), Leave()]
    seat.tell(said(2, "uno", 1), Goodbye("left"))
    ana.ear.expect(Arrival(said(2, "uno", 1), "uno"), Ended(Ending.GOODBYE, "left"))


def test_the_end_comes_also_between_attempts_without_any_delay(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_arguments: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    ana, seat = start(fake, delays=(0.0,))
    monkeypatch.setattr(Connector, "dial", unreachable)
    seat.close()
    ana.ear.expect(("down", ""))
    ana.network.end()
    ana.ear.expect(Ended(Ending.CLOSED))


@pytest.mark.parametrize("started", [True, False])
def test_the_end_is_told_to_the_server_as_nobody_will_come_back(
    fake: FakeServer, start: Start, started: bool
) -> None:
    ana = start.person(fake)
    seat, _ = start.join(fake, ana, "tok")
    if started:
        ana.network.start()
    ana.network.close()
    assert seat.command() == Leave()
    assert seat.rest() == []


def test_who_has_no_seat_yet_ends_without_a_word(fake: FakeServer, start: Start) -> None:
    ana = start.person(fake)
    seat = start.greeted(fake, ana)
    ana.network.close()
    assert seat.rest() == [], "a BYE would be taken for a nick"


@pytest.mark.parametrize("where", ["talking", "waiting", "connecting", "greeting", "resuming"])
def test_the_end_does_not_wait_for_anything(fake: FakeServer, start: Start, where: str) -> None:
    ana, seat = start(fake, delays=(0.0, 3600.0))
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    if where != "talking":
        if where == "waiting":
            fake.close()
        seat.close()
    if where == "waiting":
        ana.ear.expect(("down", ""))
    if where in ("greeting", "resuming"):
        seat = start.accept(fake)
    if where == "resuming":
        seat.send("NICK\n")
        assert seat.command() == Hello("ana", "tok", 1)
    ana.network.end()
    ana.ear.expect(Ended(Ending.CLOSED))
    assert ana.network.wait_ended(DEADLINE)
    assert ana.network.outbox.unsent() == ["uno"]
