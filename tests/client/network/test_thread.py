"""The client's network thread without a console, opposite a server that does what the test says.

What the session makes of what comes is in test_session.py; here it goes through sockets, and the thread.
"""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from contextlib import ExitStack

import pytest
from support import DEADLINE, ROOT, eventually
from support.headless import Start, back, said
from support.scripted import AT, FakeServer, Seat

from charla.client.network import session, thread
from charla.client.network.connect import NoConnection
from charla.client.network.events import Arrival, Ended, Ending
from charla.client.network.link import Connector, LinkLost
from charla.protocol.commands import NEW_SESSION, Hello, Leave, Ping, Pong, Say, Who
from charla.protocol.greeting import turn_away
from charla.protocol.messages import (
    CaughtUp,
    Event,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Message,
    Refusal,
    Resumed,
    Token,
    Told,
    Topic,
    Welcome,
    WhoPage,
)
from charla.protocol.text import Refused


@pytest.fixture
def start(stack: ExitStack) -> Start:
    """Return what starts networks."""
    return Start(stack)


# --------------------------------------------------------------------------------------------------
# Joining
# --------------------------------------------------------------------------------------------------


def test_no_console_is_needed() -> None:
    code = (
        "import sys; from charla.client.network import thread; "
        "rooms = tuple(f'charla.client.{room}' for room in ('display', 'terminal', 'chat', 'script')); "
        "sys.exit(any(name.startswith(rooms) or name == 'readline' for name in sys.modules))"
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
    monkeypatch.setattr(thread, "ANSWER_TIME", 0.05)
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


def test_sending_does_not_wait_for_a_server_that_does_not_read(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake)
    texts = [f"{number} " + "x" * 4000 for number in range(3000)]  # 12 MB: more than the kernel takes
    ana.says(*texts)
    assert [seat.command() for _ in texts] == [Say(text, tag) for tag, text in enumerate(texts, 1)]


def test_who_waits_for_a_confirmation_goes_on_when_the_listener_has_it(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, seat = start(fake)
    waits: list[bool] = []
    arrived = ana.ear.arrived

    def looks(arrivals: list[Arrival]) -> None:
        waits.append(not ana.network.outbox.wait_below(1, 0.0))
        arrived(arrivals)

    monkeypatch.setattr(ana.ear, "arrived", looks)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    seat.tell(said(2, "uno", 1))
    ana.ear.expect(Arrival(said(2, "uno", 1), "uno"))
    assert ana.network.outbox.wait_below(1, DEADLINE)
    assert waits == [True]


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


def test_a_server_that_does_not_answer_is_left_for_a_new_connection(fake: FakeServer, start: Start) -> None:
    ana, seat = start(fake, ping_after=0.02, dead_after=0.04)
    assert seat.command() == Ping(1)
    start.accept(fake).resume(1)
    ana.ear.expect(back())


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
    monkeypatch.setattr(session, "HANDSHAKE_TIME", 0.05)
    ana, seat = start(fake)
    seat.close()
    start.accept(fake).send(greeting)
    seat = start.accept(fake)
    monkeypatch.setattr(session, "HANDSHAKE_TIME", DEADLINE)
    ana.ear.expect(("down", ""))
    seat.close()
    start.accept(fake).resume(1)
    ana.ear.expect(back())


def test_a_first_attempt_that_takes_long_is_told_as_a_lost_connection(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "QUIET", 0.02)
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
