"""The lobby, call by call: deadlines, passwords, and connections that only wait."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from support.table import HANDSHAKE, Table

from charla.protocol.commands import Leave
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import Close, Ended, MakePlace, NoSeat, PasswordGiven, Secured

Sit = Callable[..., Table]

CROWDED = (
    "* You were dropped: too many connections wait without a nickname, and yours had waited "
    "the longest. Try again."
)
LATE = "* You were dropped: no nickname came in time. Connect again when you have one."


def told(table: Table, connection: Connection) -> list[str]:
    table.room.flush()
    return table.told(connection)


# ---- time ----------------------------------------------------------------------------------------


def test_a_nick_has_to_come_in_time(sit: Sit) -> None:
    table = sit()
    ana = table.connect()
    assert table.room.next_deadline() == table.now + HANDSHAKE
    table.pass_time(HANDSHAKE - 0.1)
    assert told(table, ana) == ["NICK"]
    table.pass_time(0.1)
    assert told(table, ana) == [LATE]
    assert ana.closing
    assert not table.seat(ana, "ana")


def test_what_comes_meanwhile_gives_no_more_time(sit: Sit) -> None:
    table = sit(has_password=True)
    ana = table.connect()
    for _ in range(int(HANDSHAKE) - 1):
        table.pass_time(1)
        table.do(ana, PasswordGiven(Refused("wrong-password")))
    table.do(ana, PasswordGiven(), NoSeat(Refused("nick-empty"), PLAIN))
    table.told(ana)
    table.pass_time(1)
    assert told(table, ana) == [LATE]


def test_who_has_a_seat_has_all_the_time(sit: Sit) -> None:
    table = sit()
    ana = table.join("ana")
    table.pass_time(10 * HANDSHAKE)
    assert told(table, ana) == []
    assert not ana.closing
    assert table.room.next_deadline() is None


def test_who_has_gone_is_not_waited_for(sit: Sit) -> None:
    table = sit()
    ana, beto, eva = (table.connect() for _ in range(3))
    table.do(ana, Ended("lost"))
    table.do(beto, Leave())
    table.do(eva, NoSeat(Refused("nick-empty"), NATIVE))
    assert len(table.room.lobby) == 1
    table.pass_time(HANDSHAKE)
    assert told(table, eva)[-1] == "BYE nick-late", "in the dialect it has chosen"
    assert LATE not in told(table, beto)
    assert len(table.room.lobby) == 0


def test_each_has_a_deadline_of_its_own(sit: Sit) -> None:
    table = sit()
    first = table.connect()
    table.pass_time(HANDSHAKE / 2)
    second = table.connect()
    table.pass_time(HANDSHAKE / 2)
    assert (first.closing, second.closing) == (True, False)
    table.pass_time(HANDSHAKE / 2)
    assert second.closing


# ---- too many ------------------------------------------------------------------------------------


def test_with_one_too_many_the_one_that_waits_longest_goes_at_once(sit: Sit) -> None:
    table = sit(max_waiting=3)
    ana = table.join("ana")
    waiting = [table.connect() for _ in range(3)]
    told(table, waiting[0])
    newest = table.connect()
    assert table.told(waiting[0]) == [CROWDED], "without waiting for the end of the batch"
    assert waiting[0].gone
    assert told(table, newest) == ["NICK"]
    assert not waiting[1].closing
    assert not ana.closing, "who has a seat does not count"
    assert table.seat(newest, "beto")
    table.connect()
    assert not waiting[1].gone, "nor who has got one meanwhile"
    table.connect()
    assert waiting[1].gone


def test_who_is_dropped_before_the_question_came_is_told_in_order(sit: Sit) -> None:
    table = sit(max_waiting=1)
    ana = table.connect()
    table.connect()
    assert table.told(ana) == ["NICK", CROWDED]


def test_a_flood_leaves_no_more_than_the_limit(sit: Sit) -> None:
    table = sit(max_waiting=5)
    for _ in range(200):
        connection = table.connect()
        table.room.flush()
        assert len(table.room.lobby) <= 5
        assert not connection.gone, "a newcomer is in"
    gone = [connection for connection in table.sockets if connection.gone]
    assert len(gone) == 195
    for connection in gone:
        table.do(connection, Ended("lost"))
    assert len(table.fanout.connections) == 5


def test_when_threads_run_out_a_quarter_makes_place_the_first_ones(sit: Sit) -> None:
    table = sit()
    waiting = [table.connect() for _ in range(10)]
    ana = table.join("ana")
    table.room.obey(MakePlace())
    assert [connection.gone for connection in waiting] == [True] * 3 + [False] * 7
    assert not ana.gone
    for _ in range(10):
        table.room.obey(MakePlace())
    assert all(connection.gone for connection in waiting)
    table.room.obey(MakePlace())
    assert not ana.gone


def test_a_flood_is_recorded_once_and_counted(sit: Sit, caplog: pytest.LogCaptureFixture) -> None:
    table = sit(max_waiting=1)
    with caplog.at_level(logging.INFO, "charla"):
        for _ in range(50):
            table.connect("203.0.113.7")
    assert [record.getMessage() for record in caplog.records] == ["203.0.113.7 turned away: crowded"]
    assert table.counters.refused == 49


# ---- passwords -----------------------------------------------------------------------------------


def test_the_password_comes_before_the_nick(sit: Sit) -> None:
    table = sit(has_password=True)
    ana = table.connect()
    assert told(table, ana) == ["PASSWORD"]
    table.do(ana, PasswordGiven())
    assert table.told(ana) == ["NICK"]
    assert table.seat(ana, "ana")


def test_a_wrong_password_can_be_given_better_until_it_was_wrong_too_often(sit: Sit) -> None:
    table = sit(has_password=True)
    ana = table.connect()
    told(table, ana)
    table.do(ana, PasswordGiven(Refused("wrong-password")))
    assert table.told(ana) == ["! That is not the password. [wrong-password]", "PASSWORD"]
    assert not ana.closing
    table.do(ana, PasswordGiven(Refused("too-many-passwords"), may_try=False))
    assert table.told(ana) == [
        "! That was one wrong password too many: connect again. [too-many-passwords]",
        "* Goodbye.",
    ]
    assert ana.closing
    table.do(ana, PasswordGiven())
    assert table.told(ana) == []
    assert table.counters.refused == 2


def test_who_leaves_at_the_password_is_told_goodbye(sit: Sit) -> None:
    table = sit(has_password=True)
    ana = table.connect()
    table.do(ana, Leave())
    assert table.told(ana) == ["PASSWORD", "* Goodbye!"]
    assert len(table.room.lobby) == 0


# ---- TLS -----------------------------------------------------------------------------------------


def test_nothing_is_said_before_the_handshake_and_its_time_counts(sit: Sit) -> None:
    table = sit()
    ana = table.connect(secured=False)
    assert told(table, ana) == []
    table.pass_time(HANDSHAKE - 1)
    table.do(ana, Secured())
    assert told(table, ana) == ["NICK"]
    table.pass_time(1)
    assert told(table, ana) == [LATE]


def test_a_handshake_that_is_done_too_late_is_not_answered(sit: Sit) -> None:
    table = sit(max_waiting=1)
    ana = table.connect(secured=False)
    table.connect()
    assert ana.gone
    table.told(ana)
    table.do(ana, Secured())
    assert told(table, ana) == []


def test_who_connects_while_the_room_closes_is_told(sit: Sit) -> None:
    table = sit(has_password=True)
    table.room.obey(Close())
    ana = table.connect()
    assert told(table, ana) == ["* The server is closing. Goodbye!"]
    assert len(table.room.lobby) == 0
