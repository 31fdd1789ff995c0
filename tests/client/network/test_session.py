"""The client's session without a thread and a socket: the test says what comes, and what time it is."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.headless import back, said
from support.scripted import AT

from charla.client.network import session
from charla.client.network.events import Arrival, Down, Ended, Ending, JoinedAnew, Overdue, Telling
from charla.client.network.outbox import Tagged
from charla.client.network.session import Phase, Session, delay_before, wait_before_again
from charla.protocol.commands import (
    NEW_SESSION,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Command,
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
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused

HERE = WhoPage(0, 1, 1, 1, ("ana",))


def opening(id: int = 1, token: str = "tok", nick: str = "ana") -> list[Message]:  # noqa: A002
    """Return what comes with a seat; without a `token` it does not outlive the link."""
    return [Welcome(id, AT, nick, 1), *([Token(token, 60)] if token else []), HERE]


def arrivals(*messages: Message) -> list[Telling]:
    """Return what a listener is told of messages that came at a time, and answer nothing."""
    return [[Arrival(message) for message in messages]]


class Talk:
    """ana's session in the hands of a test: the test is the server, the link and the clock."""

    def __init__(self, **options: Any) -> None:
        self.session = Session("ana", **{"random": lambda: 0.5, **options})
        self.now = 1000.0

    def say(self, command: Callable[[int], Tagged], line: str) -> None:
        outbox = self.session.outbox
        outbox.add(command(outbox.new_tag()), line, self.now)

    def says(self, *texts: str) -> None:
        """Let ana say these to everyone."""
        for text in texts:
            self.say(lambda tag, text=text: Say(text, tag), text)  # type: ignore[misc]

    def sent(self, tells_secrets: bool = True) -> list[Command | None]:
        """Return all that goes out now."""
        data = b""
        while more := self.session.data_to_send(tells_secrets):
            data += more
        return [NATIVE.decode_command(line) for line in data.decode().splitlines()]

    def hear(self, *messages: Message) -> None:
        """Let messages come, all at a time."""
        self.session.receive(list(messages), self.now)

    def told(self) -> list[Telling]:
        """Return what the listener is told."""
        told, self.session.told = self.session.told, []
        self.session.outbox.answers_told()
        return told

    def look_round(self, seconds: float = 0.0) -> float | None:
        """Let time pass, and what is due happen; return in how many seconds something is due again."""
        self.now += seconds
        again = self.session.look_round(self.now)
        return None if again is None else again - self.now

    def look_after(self, seconds: float) -> None:
        """Let time pass in which nothing comes on the link."""
        self.now += seconds
        self.session.look_after(self.now)

    def lose(self, reason: str = "") -> None:
        """Lose the link, or fail to get it back."""
        self.session.link_lost(self.now, reason)

    def refuse(self, code: str, *arguments: str) -> None:
        """Refuse the link in the greeting."""
        self.session.refused(Refused(code, *arguments), self.now)

    def pause(self) -> float:
        """Return how long the session waits before it wants a link."""
        assert self.session.phase is Phase.DOWN
        return self.session.attempt_at - self.now

    def link_up(self, last: int = 1, nick: str = "ana", token: str = "tok") -> None:
        """Give it a link; it shows `token`, and has every event up to `last`."""
        self.session.begin_attempt(self.now)
        self.session.link_up(self.now)
        assert self.sent() == [Hello(nick, token, last)]

    def resume(
        self, last: int = 1, *missed: Event, lost: int = 0, nick: str = "ana", token: str = "tok"
    ) -> None:
        """Give it a link and its seat again, with what it missed."""
        self.link_up(last, nick, token)
        self.hear(Resumed(nick, 1, lost), *missed, CaughtUp(max([last, *(event.id for event in missed)])))

    def gone(self, last: int = 1) -> None:
        """Give it a link, but not its seat: it asks for another."""
        self.link_up(last)
        self.hear(Refusal(0, "no-session"))
        assert self.sent() == [Hello("ana", NEW_SESSION)]


def live(token: str = "tok", **options: Any) -> Talk:
    """Return a session that has just joined."""
    talk = Talk(**options)
    talk.session.join(talk.now)
    assert talk.sent() == [Hello("ana", NEW_SESSION)]
    talk.hear(*opening(token=token))
    assert talk.session.phase is Phase.LIVE
    return talk


def test_it_imports_nothing_that_could_do_io_or_tell_the_time() -> None:
    tree = ast.parse(Path(str(session.__file__)).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    pure = {"__future__", "random", "re", "collections.abc", "dataclasses", "enum"}
    ours = {"charla.client.network.events", "charla.client.network.outbox"}
    assert imported <= pure | ours | {
        f"charla.protocol{room}" for room in (".commands", ".messages", ".native", ".text")
    }


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_delays_grow_and_are_spread_by_a_fifth(random: float, factor: float) -> None:
    delays = [delay_before(attempt, session.DELAYS, lambda: random) for attempt in range(9)]
    assert delays == pytest.approx([seconds * factor for seconds in (0, 1, 2, 4, 8, 15, 30, 30, 30)])


# --------------------------------------------------------------------------------------------------
# Joining
# --------------------------------------------------------------------------------------------------


def test_the_opening_is_everything_up_to_who_is_here() -> None:
    talk = Talk(history=2)
    talk.session.join(talk.now)
    assert talk.sent() == [Hello("ana", NEW_SESSION, history=2)]
    messages: list[Message] = [
        Welcome(7, AT, "ana", 2, "hola"),
        Token("tok", 60),
        HistoryHeader(0, 2),
        HistoryEntry(said(4, "uno")),
        HistoryEntry(said(6, "dos")),
        Topic(0, True, "sol"),
        WhoPage(0, 1, 1, 2, ("ana", "@beto")),
    ]
    talk.hear(*messages, said(8, "tres"))
    assert talk.session.opening == messages
    assert talk.told() == arrivals(said(8, "tres"))
    talk.lose()
    talk.resume(8)
    assert talk.told() == [back()]


def test_the_opening_begins_with_the_welcome_and_is_told_to_nobody_else() -> None:
    talk = Talk()
    talk.session.join(talk.now)
    talk.hear(HERE, Topic(0, True, "sol"))
    assert talk.session.opening == []
    talk.hear(*opening())
    assert talk.session.opening == opening()
    assert talk.told() == []


def test_a_nick_that_is_refused_can_be_asked_for_again_differently() -> None:
    talk = Talk()
    talk.session.join(talk.now)
    with pytest.raises(Refused) as refused:
        talk.hear(Refusal(0, "nick-taken", ("ana",)))
    assert (refused.value.code, refused.value.arguments) == ("nick-taken", ("ana",))
    talk.session.nick = "eva"
    talk.session.join(talk.now)
    assert talk.sent() == [Hello("eva", NEW_SESSION)]
    talk.hear(*opening(nick="eva"))
    talk.lose()
    talk.resume(nick="eva")
    assert talk.told() == [back(nick="eva")]


# --------------------------------------------------------------------------------------------------
# Talking
# --------------------------------------------------------------------------------------------------


def test_what_is_said_goes_out_in_order_and_leaves_the_outbox_when_it_is_answered() -> None:
    talk = live()
    talk.says("uno", "dos")
    talk.say(lambda tag: Tell("beto", "tres", tag), "beto: tres")
    talk.say(lambda tag: Tell("nadie", "x", tag), "nadie: x")
    talk.say(lambda tag: Rename("aina", tag), "/nick aina")
    assert talk.sent() == [
        Say("uno", 1),
        Say("dos", 2),
        Tell("beto", "tres", 3),
        Tell("nadie", "x", 4),
        Rename("aina", 5),
    ]
    assert talk.session.outbox.unsent() == ["uno", "dos", "beto: tres", "nadie: x", "/nick aina"]
    answers: list[tuple[Message, str | None]] = [
        (said(2, "hola"), None),
        (said(3, "uno", 1), "uno"),
        (AlreadyDone(2), "dos"),
        (Told(5, AT, 3, "ana", "beto", "tres"), "beto: tres"),
        (DeliveryPending(5, "beto"), None),
        (Refusal(4, "no-such-user", ("nadie",)), "nadie: x"),
        (Renamed(6, AT, 5, "ana", "aina"), "/nick aina"),
    ]
    talk.hear(*(message for message, _ in answers))
    assert talk.told() == [[Arrival(*answer) for answer in answers]]
    assert talk.session.outbox.unsent() == []
    assert talk.session.nick == "aina"


def test_what_goes_out_at_a_time_has_a_bound_and_what_is_not_taken_does_not_count_as_sent() -> None:
    talk = live()
    talk.says(*["x" * 1000] * 10)
    assert session.AHEAD <= len(talk.session.data_to_send(True)) < session.AHEAD + 1010
    assert talk.session.outbox.never_sent()
    assert len(talk.sent()) == 5
    assert not talk.session.outbox.never_sent()


def test_a_password_does_not_go_out_where_others_could_read_it() -> None:
    talk = live()
    talk.say(lambda tag: Mod("uno", tag), "/mod")
    talk.says("hola")
    assert talk.sent(tells_secrets=False) == [Say("hola", 2)]
    assert talk.told() == [[Arrival(Refusal(1, "password-in-clear"), "/mod")]]
    assert talk.session.outbox.unsent() == ["hola"]


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
    command: Callable[[int], Tagged], answers: Callable[[int], list[Message]]
) -> None:
    talk = live()
    talk.say(command, "/typed")
    assert talk.sent() == [command(1)]
    assert not talk.session.outbox.wait_below(1, 0.0)
    talk.lose()  # what is not answered is asked again
    talk.resume()
    assert talk.told() == [back()]
    assert talk.sent() == [command(1)]
    *parts, last = answers(1)
    talk.hear(*parts, last)
    assert talk.told() == [[*(Arrival(part) for part in parts), Arrival(last, "/typed")]]
    assert talk.session.outbox.wait_below(1, 0.0)


def test_what_moderators_decide_is_an_event_like_any_other() -> None:
    talk = live()
    muted = Moderated(2, AT, 0, "mute", "beto", "carla", 60)
    talk.hear(muted, muted)
    assert talk.told() == arrivals(muted)
    talk.lose()
    talk.resume(2, muted, said(3, "hola"))
    assert talk.told() == [*arrivals(said(3, "hola")), back(missed=1)]


def test_a_ping_is_answered_behind_all_that_came_with_it() -> None:
    talk = live()
    talk.hear(said(2, "hola"), Ping(2), said(5, "y adiós"))
    assert talk.sent() == [Pong(5)]
    assert talk.told() == arrivals(said(2, "hola"), said(5, "y adiós"))


def test_a_server_that_says_nothing_is_asked_and_one_that_answers_is_kept() -> None:
    talk = live(ping_after=30, dead_after=90)
    for _ in range(3):
        talk.look_after(29)
        assert talk.sent() == []
        talk.look_after(1)
        assert talk.sent() == [Ping(1)]
        talk.look_after(59)
        talk.hear(Pong(1))
    talk.hear(said(2, "hola"))
    assert talk.told() == arrivals(said(2, "hola"))
    assert talk.session.deadline == talk.now + 30


def test_a_server_that_does_not_answer_is_left_for_a_new_connection() -> None:
    talk = live(ping_after=30, dead_after=90)
    talk.look_after(30)
    assert talk.sent() == [Ping(1)]
    assert talk.session.deadline == talk.now + 60
    talk.look_after(60)
    assert talk.pause() == 0
    talk.resume()
    assert talk.told() == [back()]


def test_a_server_is_asked_first_however_late_it_is() -> None:
    talk = live(ping_after=30, dead_after=90)
    talk.look_after(3600)  # the client was stopped
    assert talk.sent() == [Ping(1)]
    assert talk.session.phase is Phase.LIVE


def test_a_server_is_not_asked_while_it_lets_one_catch_up() -> None:
    talk = live(ping_after=30, dead_after=90)
    talk.lose()
    talk.link_up()
    talk.hear(Resumed("ana", 1, 0))
    talk.look_after(89)
    assert talk.sent() == []
    talk.hear(said(2, "hola"))
    talk.look_after(89)
    assert talk.session.phase is Phase.CATCHING_UP
    talk.look_after(1)
    assert talk.pause() == 1


def test_a_server_without_sessions_is_not_pinged_and_its_end_is_the_end() -> None:
    talk = live(token="", ping_after=0.01, dead_after=0.02)
    assert talk.session.deadline is None
    talk.look_after(3600)
    assert talk.sent() == []
    talk.lose()
    assert talk.session.ended == Ended(Ending.LOST)


def test_what_is_not_confirmed_for_long_is_told_once_also_while_the_link_is_down() -> None:
    talk = live(overdue_after=10)
    assert talk.look_round() is None
    talk.says("uno")
    talk.say(lambda tag: Who(1, tag), "/who")
    assert talk.look_round() == 10
    talk.look_round(4)
    talk.says("dos")
    assert talk.look_round(5) == 1
    assert talk.told() == []
    assert talk.look_round(1) == 4
    assert talk.told() == [Overdue(["uno"])]
    talk.lose()
    talk.look_round(4)
    assert talk.told() == [Overdue(["dos"]), Down("")]
    talk.look_round(3600)
    assert talk.told() == []


# --------------------------------------------------------------------------------------------------
# Resuming
# --------------------------------------------------------------------------------------------------


def test_what_came_meanwhile_is_handed_over_once_before_the_session_goes_on() -> None:
    talk = live()
    talk.hear(said(2, "antes"))
    assert talk.told() == arrivals(said(2, "antes"))
    talk.lose()
    talk.now += 0.5
    meanwhile: list[Event] = [said(3, "uno"), Joined(4, AT, "carla"), Told(6, AT, 0, "beto", "ana", "dos")]
    talk.resume(2, *meanwhile)
    # Nobody need be told that it was lost: it was back at once.
    assert talk.told() == [*arrivals(*meanwhile), back(missed=2)._replace(seconds=0.5)]
    talk.hear(said(7, "después"))
    assert talk.told() == arrivals(said(7, "después"))
    talk.lose()
    talk.resume(7)
    assert talk.told() == [back()]


def test_the_id_of_LIVE_is_the_last_one_even_if_the_event_was_not_for_this_client() -> None:  # noqa: N802
    talk = live()
    talk.lose()
    talk.link_up(1)
    talk.hear(Resumed("ana", 1, 0), CaughtUp(40))
    assert talk.told() == [back()]
    talk.lose()
    talk.resume(40)
    assert talk.told() == [back()]


def test_unconfirmed_commands_go_again_in_order_behind_LIVE_and_then_new_ones() -> None:  # noqa: N802
    talk = live()
    talk.says("uno", "dos", "tres")
    talk.say(lambda tag: Who(1, tag), "/who")
    assert talk.sent() == [Say("uno", 1), Say("dos", 2), Say("tres", 3), Who(1, 4)]
    talk.lose()
    talk.says("cinco")  # on no link yet
    talk.link_up(1)
    talk.hear(Resumed("ana", 1, 0), said(2, "uno", 1))
    assert talk.told() == [[Arrival(said(2, "uno", 1), "uno")]]
    assert talk.sent() == []
    talk.hear(CaughtUp(2))
    assert talk.told() == [back()]
    assert talk.sent() == [Say("dos", 2), Say("tres", 3), Who(1, 4), Say("cinco", 5)]
    # The server had done "dos" already: its old event confirms it, and was never seen before.
    talk.hear(said(3, "dos", 2), said(4, "tres", 3), WhoPage(4, 1, 1, 1, ("ana",)), said(5, "cinco", 5))
    assert talk.told() == [
        [
            Arrival(said(3, "dos", 2), "dos"),
            Arrival(said(4, "tres", 3), "tres"),
            Arrival(WhoPage(4, 1, 1, 1, ("ana",)), "/who"),
            Arrival(said(5, "cinco", 5), "cinco"),
        ]
    ]
    assert talk.session.outbox.unsent() == []
    assert talk.sent() == []


def test_events_that_were_seen_are_not_handed_over_again_but_confirm() -> None:
    talk = live()
    talk.says("mío")
    assert talk.sent() == [Say("mío", 1)]
    talk.hear(said(2, "uno"), said(3, "dos"))
    assert talk.told() == arrivals(said(2, "uno"), said(3, "dos"))
    talk.lose()
    talk.resume(3)
    assert talk.told() == [back()]
    assert talk.sent() == [Say("mío", 1)]
    talk.hear(said(2, "uno"), said(3, "mío", 1), said(3, "dos"), said(4, "tres"))
    assert talk.told() == arrivals(said(4, "tres"))
    assert talk.session.outbox.unsent() == []


def test_an_own_message_of_the_gap_is_handed_over_when_its_repetition_is_confirmed() -> None:
    talk = live()
    talk.says("mío")
    talk.lose()
    talk.resume(1, said(9, "nueve"), lost=7)
    assert talk.told() == [*arrivals(said(9, "nueve")), back(missed=1, lost=7)]
    assert talk.sent() == [Say("mío", 1)]
    talk.hear(said(4, "mío", 1))
    assert talk.told() == [[Arrival(said(4, "mío", 1), "mío")]]


def test_what_a_broken_resume_had_lost_is_told_by_the_one_that_succeeds() -> None:
    talk = live()
    talk.lose()
    talk.link_up(1)
    talk.hear(Resumed("ana", 1, 7), said(9, "nueve"))
    assert talk.told() == arrivals(said(9, "nueve"))
    talk.lose()
    talk.link_up(9)
    talk.hear(Resumed("ana", 1, 3))
    talk.lose()  # before anything of the gap is passed: not counted twice
    talk.resume(9, said(20, "veinte"), lost=5)
    assert talk.told() == [*arrivals(said(20, "veinte")), back(missed=2, lost=12)]


def test_a_resume_that_takes_so_long_that_more_is_lost() -> None:
    talk = live()
    talk.says("mío")
    talk.lose()
    talk.link_up()
    talk.hear(Resumed("ana", 1, 2), said(4, "cuatro"), Resumed("ana", 1, 3), said(8, "ocho"), CaughtUp(8))
    assert talk.told() == [*arrivals(said(4, "cuatro"), said(8, "ocho")), back(missed=2, lost=5)]
    assert talk.sent() == [Say("mío", 1)]
    talk.hear(said(6, "mío", 1))  # of the second gap
    assert talk.told() == [[Arrival(said(6, "mío", 1), "mío")]]


def test_a_history_that_was_cut_is_asked_for_again() -> None:
    talk = live()
    talk.say(lambda tag: History(2, tag), "/history 2")
    assert talk.sent() == [History(2, 1)]
    one, two = HistoryEntry(said(10, "uno")), HistoryEntry(said(11, "dos"))
    talk.hear(HistoryHeader(1, 2), one)
    assert talk.told() == arrivals(HistoryHeader(1, 2), one)
    talk.lose()
    talk.resume()
    assert talk.told() == [back()]
    assert talk.sent() == [History(2, 1)]
    talk.hear(HistoryHeader(1, 2), one, said(12, "entretanto"), two)
    assert talk.told() == [
        [
            Arrival(HistoryHeader(1, 2)),
            Arrival(one),
            Arrival(said(12, "entretanto")),
            Arrival(two, "/history 2"),
        ]
    ]
    talk.lose()
    talk.resume(12)
    assert talk.told() == [back()]
    assert talk.sent() == []


def test_a_link_that_is_lost_again_before_LIVE_is_got_back_from_where_it_was() -> None:  # noqa: N802
    talk = live()
    talk.lose()
    talk.link_up(1)
    talk.hear(Resumed("ana", 1, 0), said(2, "uno"))
    assert talk.told() == arrivals(said(2, "uno"))
    talk.lose()
    talk.resume(2, said(3, "dos"))
    assert talk.told() == [*arrivals(said(3, "dos")), back(missed=2)]


def test_the_nick_that_the_server_says_is_the_one_that_counts() -> None:
    talk = live()
    talk.say(lambda tag: Rename("aina", tag), "/nick aina")
    assert talk.sent() == [Rename("aina", 1)]
    talk.lose()
    talk.link_up()
    renamed = Renamed(2, AT, 1, "ana", "aina")
    talk.hear(Resumed("aina", 1, 0), renamed, CaughtUp(2))
    assert talk.told() == [[Arrival(renamed, "/nick aina")], back(nick="aina")]
    assert talk.session.nick == "aina"


def test_a_new_nick_whose_event_is_lost_is_known_all_the_same() -> None:
    talk = live()
    talk.lose()
    talk.link_up()
    talk.hear(Resumed("aina", 1, 1), CaughtUp(2))
    assert talk.told() == [back(nick="aina", lost=1)]
    talk.lose()
    talk.resume(2, nick="aina")
    assert talk.told() == [back(nick="aina")]


@pytest.mark.parametrize("reason", ["restart", "slow"])
def test_who_is_dropped_with_the_seat_kept_comes_back(reason: str) -> None:
    talk = live()
    talk.hear(Goodbye(reason))
    assert talk.pause() == 0
    talk.lose()  # nobody is there yet
    assert talk.told() == [Down(reason)]
    talk.says("entretanto")
    talk.resume()
    assert talk.told() == [back()]
    assert talk.sent() == [Say("entretanto", 1)]


@pytest.mark.parametrize("reason", ["replaced", "closing", "error", "kicked", "banned", "a later one"])
def test_a_goodbye_that_is_meant_is_the_end(reason: str) -> None:
    talk = live()
    talk.hear(said(2, "hola"), Goodbye(reason), said(3, "behind it"))
    assert talk.told() == arrivals(said(2, "hola"))
    assert talk.session.ended == Ended(Ending.GOODBYE, reason)


@pytest.mark.parametrize("reason", ["", "restart", "slow"])
def test_without_reconnecting_a_lost_link_is_the_end(reason: str) -> None:
    talk = live(reconnect=False)
    talk.says("uno")
    assert talk.sent() == [Say("uno", 1)]
    talk.lose(reason)
    assert talk.session.ended == (Ended(Ending.GOODBYE, reason) if reason else Ended(Ending.LOST))
    assert talk.session.outbox.unsent() == ["uno"]


# --------------------------------------------------------------------------------------------------
# Attempts that fail
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.9, 1.0])
def test_delays_begin_anew_only_behind_a_link_that_held(seconds: float) -> None:
    assert session.STEADY_AFTER == 1
    talk = live(delays=(0.0, 1.0, 2.0))
    talk.lose()
    pauses = [talk.pause()]
    for _ in range(3):
        talk.session.begin_attempt(talk.now)
        talk.lose()
        pauses.append(talk.pause())
    assert pauses == [0, 1, 2, 2]
    talk.resume()
    assert talk.told() == [Down(""), back()]
    talk.now += seconds
    talk.lose()
    assert talk.pause() == (2 if seconds < 1 else 0)


@pytest.mark.parametrize("code", ["full", "too-many-from-address", "too-many-a-minute", "malformed"])
def test_whoever_turns_the_client_away_is_asked_again(code: str) -> None:
    talk = live()
    talk.lose()
    talk.session.begin_attempt(talk.now)
    talk.refuse(code, "5")
    # Why, where it is something that people can wait for.
    assert talk.told() == [Down("" if code == "malformed" else f"{code} 5")]
    assert talk.pause() == 1
    talk.resume()
    assert talk.told() == [back()]


@pytest.mark.parametrize("reason", ["crowded", "slow", "restart", "nick-late"])
def test_a_goodbye_before_there_is_a_seat_is_another_failed_attempt(reason: str) -> None:
    talk = live()
    talk.lose()
    talk.link_up()
    talk.hear(Goodbye(reason))
    assert talk.told() == [Down("")]
    assert talk.pause() == 1
    talk.resume()
    assert talk.told() == [back()]


def test_a_refusal_behind_attempts_that_met_nobody_is_told_too_but_once() -> None:
    talk = live()
    talk.lose()
    talk.lose()
    assert talk.told() == [Down("")]
    talk.refuse("full", "5")
    assert talk.told() == [Down("full 5")]
    talk.refuse("full", "5")
    talk.look_round(3600)
    talk.resume()
    assert talk.told() == [back()._replace(seconds=3600)]


@pytest.mark.parametrize(
    ("refusal", "arguments"),
    [("banned", ()), ("banned-for", ("300",)), ("tls-needed", ()), ("version", ("2",))],
)
@pytest.mark.parametrize("where", ["greeting", "resuming", "joining anew"])
def test_a_refusal_that_no_attempt_would_change_is_the_end(
    refusal: str, arguments: tuple[str, ...], where: str
) -> None:
    talk = live()
    talk.lose()
    if where == "greeting":
        talk.refuse(refusal, *arguments)
    elif where == "joining anew":
        talk.gone()
        talk.hear(Refusal(0, refusal, arguments))
    else:
        talk.link_up()
        talk.hear(Refusal(0, refusal, arguments))
    assert talk.session.ended == Ended(Ending.REFUSED, refusal, arguments)
    assert talk.told() == []


@pytest.mark.parametrize(
    ("refused", "seconds"),
    [
        (Refused("too-many-guesses", "8"), 8),
        (Refused("too-many-guesses", "3600"), session.LONGEST_WAIT),
        (Refused("too-many-guesses", "9" * 5000), session.LONGEST_WAIT),
        (Refused("too-many-guesses", "soon"), session.LONGEST_WAIT),
        (Refused("too-many-guesses"), session.LONGEST_WAIT),
        (Refused("full", "8"), None),
    ],
    ids=["8", "3600", "digits", "word", "nothing", "full"],
)
def test_how_long_a_server_may_have_one_wait_has_a_bound(refused: Refused, seconds: float | None) -> None:
    assert wait_before_again(refused) == seconds


def test_who_is_held_off_waits_as_long_as_the_server_says() -> None:
    talk = live()
    talk.lose()
    talk.session.begin_attempt(talk.now)
    talk.refuse("too-many-guesses", "7")
    assert talk.pause() == 7
    talk.session.begin_attempt(talk.now)
    talk.refuse("too-many-guesses", "0")
    assert talk.pause() == 2  # as before any other attempt
    talk.resume()
    assert talk.told() == [Down("too-many-guesses 7"), back()]


@pytest.mark.parametrize("where", ["greeting", "resuming", "joining anew"])
def test_each_part_of_a_handshake_has_a_deadline(where: str) -> None:
    talk = live()
    talk.lose()
    talk.now += 5
    if where == "greeting":
        assert talk.session.begin_attempt(talk.now) == talk.now + session.HANDSHAKE_TIME
        return
    if where == "resuming":
        talk.link_up()
    else:
        talk.gone()
    assert talk.session.deadline == talk.now + session.HANDSHAKE_TIME
    talk.now += 6
    talk.hear(Topic(0, True, "no answer"))  # nor does what it says besides put it off
    talk.look_after(session.HANDSHAKE_TIME - 6)
    assert talk.told() == [Down("")]
    assert talk.pause() == 1


def test_a_first_attempt_that_takes_long_is_told_as_a_lost_connection() -> None:
    talk = live()
    talk.lose()
    assert talk.look_round() == session.QUIET
    talk.look_round(session.QUIET - 0.25)
    assert talk.told() == []
    assert talk.look_round(0.25) is None
    assert talk.told() == [Down("")]
    talk.resume()
    assert talk.told() == [back()._replace(seconds=session.QUIET)]


@pytest.mark.parametrize("catching_up", [False, True])
def test_after_a_while_without_a_link_it_is_given_up(catching_up: bool) -> None:
    talk = live(give_up_after=5)
    talk.says("uno")
    assert talk.sent() == [Say("uno", 1)]
    talk.lose()
    talk.lose()
    assert talk.told() == [Down("")]
    assert talk.look_round() == 5
    talk.look_round(4)
    talk.link_up()
    if catching_up:
        talk.hear(Resumed("ana", 1, 0))
    assert talk.session.ended is None
    talk.look_round(1)
    assert talk.session.ended == (None if catching_up else Ended(Ending.GAVE_UP))
    assert talk.session.outbox.unsent() == ["uno"]


def test_replaced_while_it_reconnects_is_the_end_too() -> None:
    talk = live()
    talk.lose()
    talk.link_up()
    talk.hear(Goodbye("replaced"))
    assert talk.session.ended == Ended(Ending.GOODBYE, "replaced")


# --------------------------------------------------------------------------------------------------
# The seat is gone
# --------------------------------------------------------------------------------------------------


def test_without_the_seat_one_joins_anew_and_what_was_sent_is_in_doubt() -> None:
    talk = live()
    talk.says("uno", "dos")
    talk.say(lambda tag: Who(1, tag), "/who")
    assert talk.sent() == [Say("uno", 1), Say("dos", 2), Who(1, 3)]
    talk.hear(said(2, "uno", 1))
    assert talk.told() == [[Arrival(said(2, "uno", 1), "uno")]]
    talk.lose()
    talk.lose()
    assert talk.told() == [Down("")]
    talk.says("cuatro")  # on no link yet: it is certain that it was not said
    talk.now += 90
    talk.gone(2)
    talk.hear(*opening(9, "tok2"))
    assert talk.told() == [JoinedAnew(opening(9, "tok2"), ["dos"], 90)]
    assert talk.sent() == [Who(1, 3), Say("cuatro", 4)]
    assert talk.session.outbox.unsent() == ["cuatro"]
    # The new session is as good as the old one.
    talk.hear(said(10, "cuatro", 4))
    assert talk.told() == [[Arrival(said(10, "cuatro", 4), "cuatro")]]
    talk.lose()
    talk.resume(10, token="tok2")
    assert talk.told() == [back()]


@pytest.mark.parametrize("server", ["the same", "a new one"])
def test_the_history_of_a_new_seat_is_without_what_was_seen_in_the_old_one(server: str) -> None:
    talk = live()
    seen: list[Event] = [said(2, "uno"), said(3, "dos")]
    talk.hear(*seen)
    assert talk.told() == arrivals(*seen)
    talk.lose()
    talk.gone(3)
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
    talk.hear(welcome, Token("tok2", 60), HistoryHeader(0, len(past)), *past, HERE)
    shown: list[Message] = [welcome, Token("tok2", 60), HistoryHeader(0, len(fresh)), *fresh, HERE]
    assert talk.told() == [JoinedAnew(shown, [], 0.0)]
    # What happens from here on is new, whatever its id.
    talk.hear(said(welcome.id + 1, "hola"))
    assert talk.told() == arrivals(said(welcome.id + 1, "hola"))


def test_a_nick_that_was_taken_meanwhile_is_the_end() -> None:
    talk = live()
    talk.says("uno")
    assert talk.sent() == [Say("uno", 1)]
    talk.lose()
    talk.gone()
    talk.hear(Refusal(0, "nick-taken", ("ana",)))
    assert talk.session.ended == Ended(Ending.REFUSED, "nick-taken", ("ana",))
    assert talk.session.outbox.unsent() == ["uno"]


def test_a_link_that_is_lost_while_joining_anew_loses_no_doubt() -> None:
    talk = live()
    talk.says("uno")
    assert talk.sent() == [Say("uno", 1)]
    talk.lose()
    talk.gone()
    talk.lose()
    assert talk.told() == [Down("")]
    talk.gone()
    talk.hear(*opening(1, "tok2"))
    assert talk.told() == [JoinedAnew(opening(1, "tok2"), ["uno"], 0.0)]


@pytest.mark.parametrize("reason", ["", "kicked"])
def test_a_new_seat_whose_opening_was_cut_is_resumed(reason: str) -> None:
    talk = live()
    talk.says("uno")
    assert talk.sent() == [Say("uno", 1)]
    talk.lose()
    talk.lose()
    assert talk.told() == [Down("")]
    talk.gone()
    cut = opening(5, "tok2")[:2]
    talk.hear(*cut)
    talk.lose(reason)
    if reason:  # or not, as the server says
        assert talk.told() == [JoinedAnew(cut, ["uno"], 0.0)]
        assert talk.session.ended == Ended(Ending.GOODBYE, reason)
        return
    assert talk.told() == [JoinedAnew(cut, ["uno"], 0.0), Down("")]
    talk.resume(5, said(6, "hola"), token="tok2")
    assert talk.told() == [*arrivals(said(6, "hola")), back(missed=1)]
    assert talk.sent() == []


@pytest.mark.parametrize("seconds", [59, 60])
def test_a_nick_that_a_seat_of_ours_may_have_is_tried_again_as_long_as_it_may_be_kept(seconds: float) -> None:
    talk = live()
    talk.lose()
    talk.gone()
    talk.lose()  # it may have made the seat, and nobody has its token
    assert talk.told() == [Down("")]
    talk.now += seconds
    talk.gone()
    talk.hear(Refusal(0, "nick-taken", ("ana",)))
    if seconds == 60:
        assert talk.session.ended == Ended(Ending.REFUSED, "nick-taken", ("ana",))
        return
    talk.gone()
    talk.hear(*opening(5, "tok2"))
    assert talk.told() == [JoinedAnew(opening(5, "tok2"), [], seconds)]


@pytest.mark.parametrize(
    ("code", "arguments"), [("nick-kept", ("ana", "3")), ("full", ("5",)), ("too-many-from-address", ("3",))]
)
def test_a_seat_that_is_refused_for_now_is_tried_again(code: str, arguments: tuple[str, ...]) -> None:
    talk = live()
    talk.lose()
    talk.gone()
    talk.hear(Refusal(0, code, arguments))
    assert talk.told() == [Down("" if code == "nick-kept" else " ".join((code, *arguments)))]
    assert talk.pause() == 1
    talk.gone()
    talk.hear(*opening(5, "tok2"))
    assert talk.told() == [JoinedAnew(opening(5, "tok2"), [], 0.0)]


# --------------------------------------------------------------------------------------------------
# Leaving
# --------------------------------------------------------------------------------------------------


def test_leaving_says_goodbye_behind_everything_else_and_once() -> None:
    talk = live()
    talk.says("uno", "dos")
    talk.session.leaving = True
    assert talk.sent() == [Say("uno", 1), Say("dos", 2), Leave()]
    assert talk.session.goodbye() == b""
    talk.hear(said(2, "uno", 1), said(3, "dos", 2), Goodbye("left"))
    assert talk.told() == [[Arrival(said(2, "uno", 1), "uno"), Arrival(said(3, "dos", 2), "dos")]]
    assert talk.session.ended == Ended(Ending.GOODBYE, "left")


def test_who_leaves_a_server_without_sessions_says_so() -> None:
    talk = live(token="")
    assert talk.session.goodbye() == b""  # there, to hang up is to leave
    talk.session.leaving = True
    assert talk.sent() == [Leave()]


def test_who_leaves_does_not_join_anew_for_what_is_in_doubt() -> None:
    talk = live()
    talk.says("uno")
    talk.session.leaving = True
    assert talk.sent() == [Say("uno", 1), Leave()]
    talk.lose()
    talk.link_up()
    talk.hear(Refusal(0, "no-session"))
    assert talk.session.ended == Ended(Ending.SEAT_GONE)
    assert talk.session.outbox.unsent() == ["uno"]


def test_but_for_what_was_never_sent() -> None:
    talk = live()
    talk.lose()
    talk.says("uno")
    talk.session.leaving = True
    talk.gone()
    talk.hear(*opening(5, "tok2"))
    assert talk.sent() == [Say("uno", 1), Leave()]


def test_leaving_ends_at_once_when_the_link_is_down_and_nothing_unsent() -> None:
    talk = live()
    talk.lose()
    talk.say(lambda tag: Who(1, tag), "/who")
    talk.session.leaving = True
    talk.look_round()
    assert talk.session.ended == Ended(Ending.CLOSED)
    assert talk.session.goodbye() == b""


def test_leaving_waits_for_the_link_when_something_is_unsent() -> None:
    talk = live()
    talk.lose()
    talk.says("uno")
    talk.session.leaving = True
    talk.look_round()
    assert talk.session.ended is None
    talk.resume()
    assert talk.told() == [back()]
    assert talk.sent() == [Say("uno", 1), Leave()]
    talk.hear(said(2, "uno", 1), Goodbye("left"))
    assert talk.told() == [[Arrival(said(2, "uno", 1), "uno")]]
    assert talk.session.ended == Ended(Ending.GOODBYE, "left")


def test_a_goodbye_that_a_lost_link_took_along_is_said_again() -> None:
    talk = live()
    talk.says("uno")
    talk.session.leaving = True
    assert talk.sent() == [Say("uno", 1), Leave()]
    talk.lose()
    talk.resume()
    assert talk.sent() == [Say("uno", 1), Leave()]


def test_the_end_comes_at_once() -> None:
    talk = live()
    talk.says("uno")
    talk.session.ending = True
    assert talk.look_round() is None
    assert talk.session.ended == Ended(Ending.CLOSED)
    assert talk.session.outbox.unsent() == ["uno"]


def test_the_end_is_told_to_a_server_that_has_a_seat_for_us_and_to_no_other() -> None:
    bye = NATIVE.encode_command(Leave())
    talk = Talk()
    talk.session.join(talk.now)
    assert talk.session.goodbye() == b""
    talk.hear(*opening()[:2])
    assert talk.session.goodbye() == bye
    talk = live()
    talk.lose()
    assert talk.session.goodbye() == b"", "a BYE would be taken for a nick"
    talk.link_up()
    assert talk.session.goodbye() == b""
    talk.hear(Resumed("ana", 1, 0))
    assert talk.session.goodbye() == bye
