"""Private messages: they wait until both ends have them, and are erased.  The room, call by call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.table import GRACE, Table, short

from charla.protocol.commands import (
    Leave,
    Pong,
    Say,
    Tell,
)
from charla.protocol.native import NATIVE
from charla.server.room import private_messages
from charla.server.storage.database import Storage

Sit = Callable[..., Table]


# ---- until both ends have them -----------------------------------------------------------------------


def test_a_private_message_waits_for_one_whose_link_is_down_and_its_sender_sees_it(table: Table) -> None:
    ana, token = table.begin("ana")
    eva, leo = table.join("eva", NATIVE), table.join("leo")
    table.lose(ana)
    table.do(eva, Tell("ana", "psst", 1))
    table.do(leo, Tell("ana", "oye"))
    assert short(table.told(eva)) == ["MSG 4 1 eva ana psst", "WAITS 4 ana"]
    assert table.told(leo) == [
        "[to ana] oye",
        "* The connection of ana is down: that waits until they are back.",
    ]
    assert short(table.told(table.resume(token, 3)))[2:4] == ["MSG 4 - eva ana psst", "MSG 5 - leo ana oye"]


def test_who_told_one_that_never_came_back_is_told_so(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva, leo = table.join("eva", NATIVE), table.join("leo")
    table.lose(ana)
    table.do(eva, Tell("ana", "a", 1), Tell("ana", "b", 2))
    table.do(leo, Tell("ana", "c"))
    table.told(eva)
    table.told(leo)
    table.pass_time(GRACE)
    assert short(table.told(eva)) == ["LEAVE 7 ana lost", "UNREAD 8 ana 2"]
    assert table.told(leo) == [
        "* ana left (connection lost)",
        "* ana did not come back: what you last said to them alone may not have been read.",
    ]


def test_what_was_acknowledged_is_not_called_unread(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.do(eva, Tell("ana", "a", 1))
    table.do(ana, Pong(3))
    table.lose(ana)
    table.told(eva)
    table.pass_time(GRACE)
    assert short(table.told(eva)) == ["LEAVE 4 ana lost"]


def test_of_one_who_left_nobody_is_told_that_something_was_not_read(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.do(eva, Tell("ana", "a", 1))
    table.do(ana, Tell("ana", "to herself", 1), Leave())
    assert short(table.told(eva)) == ["MSG 3 1 eva ana a", "LEAVE 5 ana left"]


def test_who_has_gone_too_is_not_told(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva, leo = table.join("eva"), table.join("leo", NATIVE)
    table.lose(ana)
    table.do(eva, Tell("ana", "a"), Leave())
    table.pass_time(GRACE)
    table.do(leo, Say("x", 1))
    assert short(table.told(leo)) == ["LEAVE 5 eva left", "LEAVE 6 ana lost", "SAY 7 1 leo x"]


def test_the_news_that_it_was_not_read_waits_too(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva, token = table.begin("eva")
    table.lose(ana)
    table.do(eva, Tell("ana", "a", 1))
    table.pass_time(GRACE - 1)
    table.lose(eva)
    table.pass_time(1)
    assert short(table.told(table.resume(token, 3)))[2:] == ["LEAVE 4 ana lost", "UNREAD 5 ana 1", "LIVE 5"]


def test_what_was_on_its_way_when_the_link_turned_out_dead_waits(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.do(eva, Tell("ana", "into the void", 1))
    table.told(eva)
    table.lose(ana)
    assert table.told(eva) == ["WAITS 3 ana"]


def test_that_it_waits_is_said_once_however_often_the_link_drops(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.do(eva, Tell("ana", "psst", 1))
    for _ in range(5):
        table.lose(ana)
        ana = table.resume(token, 2)
    assert short(table.told(eva)) == ["MSG 3 1 eva ana psst", "WAITS 3 ana"]


def test_private_messages_wait_though_the_log_has_moved_on(sit: Sit) -> None:
    table = sit(history=3)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, Tell("ana", "important"), *(Say(f"m{n}") for n in range(10)))
    assert short(table.told(table.resume(token, 2))) == [
        "NICK",
        "RESUMED ana 2 7",
        "MSG 3 - eva ana important",
        "SAY 11 - eva m7",
        "SAY 12 - eva m8",
        "SAY 13 - eva m9",
        "LIVE 13",
    ]


def test_both_ends_are_asked_whether_they_have_a_private_message(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva, _ = table.begin("eva")
    leo = table.join("leo", NATIVE)
    table.do(eva, Tell("ana", "psst", 1))
    table.do(leo, Tell("leo", "to myself", 1))
    table.told(ana), table.told(eva), table.told(leo)
    table.pass_time(private_messages.ASK_TIME)
    assert (table.told(ana), table.told(eva), table.told(leo)) == (["PING 5"], ["PING 5"], [])
    table.do(ana, Pong(5))
    table.pass_time(private_messages.ASK_TIME)
    assert (table.told(ana), table.told(eva)) == ([], [])  # eva has been asked, and has not answered
    table.do(eva, Pong(3))
    table.pass_time(private_messages.ASK_TIME)
    assert table.told(eva) == ["PING 5"]


def test_a_full_mailbox_refuses_more(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_messages, "MAILBOX_LIMIT", 2)
    ana, _ = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.lose(ana)
    table.do(eva, Tell("ana", "a", 1), Tell("ana", "b", 2), Tell("ana", "c", 3))
    assert table.told(eva)[-1] == "ERROR 3 mailbox-full ana 2"


# ---- on disk -------------------------------------------------------------------------------------


def erased(table: Table, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list in which the ids of erased messages appear."""
    ids: list[int] = []
    assert table.storage is not None
    monkeypatch.setattr(table.storage, "erase", ids.extend)
    return ids


def test_a_private_message_is_erased_the_grace_period_after_both_ends_have_it(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sit(storage=storage)
    ids = erased(table, monkeypatch)
    ana, _ = table.begin("ana")
    eva, token = table.begin("eva")
    table.do(ana, Tell("eva", "psst", 1))
    table.do(ana, Pong(3))
    table.pass_time(GRACE * 10)
    assert ids == []
    table.lose(eva)
    table.told(table.resume(token, 3))  # she comes back and says that she has it
    table.pass_time(GRACE - 1)
    assert ids == []
    table.pass_time(1)
    assert ids == [3]


def test_what_is_erased_is_erased_also_when_nothing_can_be_written_any_more(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sit(storage=storage)
    ids = erased(table, monkeypatch)
    table.do(table.join("ana"), Tell("ana", "psst"))
    table.room.announcer.log.give_up_storage()
    table.pass_time(GRACE)
    assert ids == [2]


def test_the_news_that_something_was_not_read_is_erased_like_it(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sit(storage=storage)
    ids = erased(table, monkeypatch)
    ana, _ = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, Tell("ana", "psst"))
    table.pass_time(GRACE)
    table.pass_time(GRACE)
    assert ids == [3, 5]


def test_one_between_people_who_cannot_ask_again_is_erased_the_grace_period_later(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sit(storage=storage)
    ids = erased(table, monkeypatch)
    ana, eva = table.join("ana"), table.join("eva", NATIVE)
    table.do(ana, Tell("eva", "psst"))
    table.pass_time(GRACE)
    assert ids == [3]
    assert table.session(eva) is not None


def test_one_that_was_never_fetched_is_erased_after_the_session(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = sit(storage=storage)
    ana, _ = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, Tell("ana", "psst"))
    after = sit(storage=table.storage)
    ids = erased(after, monkeypatch)
    after.pass_time(GRACE)
    assert ids == []
    after.pass_time(GRACE)
    assert ids == [3]
