"""Sessions that outlive their connection, and history: the room, call by call."""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from support.table import GRACE, Table, short

from charla.protocol.commands import (
    HISTORY_AT_JOIN,
    NEW_SESSION,
    Act,
    Hello,
    Leave,
    Ping,
    Pong,
    Rename,
    Say,
    Tell,
    Who,
)
from charla.protocol.messages import Refusal
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused
from charla.server.delivery.requests import (
    AskHistory,
    CatchUp,
    Chunk,
    Close,
    Ended,
    Silent,
    TakeSeat,
)
from charla.server.room import sessions
from charla.server.storage.database import Storage
from charla.server.storage.slices import DiskSlice, HistorySlice, ReplaySlice

Sit = Callable[..., Table]


# ---- a link that drops ---------------------------------------------------------------------------


def test_a_dropped_link_is_told_to_nobody_and_the_seat_is_kept(table: Table) -> None:
    ana, _ = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.pass_time(GRACE - 1)
    assert table.told(eva) == []
    other = table.connect()
    table.told(other)
    assert not table.seat(other, "ANA")
    table.room.flush()
    assert table.told(other)[1] == (
        "! 'ANA' is taken: the seat is kept for somebody whose connection is lost, for another 1 s. "
        "Choose another nickname, or wait for that."
    )
    table.do(eva, Who())
    assert table.told(eva) == ["* 2 here: ana, eva"]


def test_who_comes_back_gets_what_was_missed_once_and_in_order_then_lives(table: Table) -> None:
    ana, token = table.begin("ana")
    eva, leo = table.join("eva"), table.join("leo")
    table.do(ana, Say("one", 1))
    assert short(table.told(ana))[-1] == "SAY 4 1 ana one"
    table.do(eva, Say("two"))
    table.lose(ana)
    table.do(eva, Say("three"), Tell("ana", "psst"), Tell("leo", "not for ana"), Act("waves"))
    table.do(leo, Rename("Leo"))
    again = table.resume(token, 4)
    assert short(table.told(again)) == [
        "NICK",
        "RESUMED ana 3 0",
        "SAY 5 - eva two",
        "SAY 6 - eva three",
        "MSG 7 - eva ana psst",
        "ME 9 - eva waves",
        "NICK 10 - leo Leo",
        "LIVE 10",
    ]
    table.do(eva, Say("four"))
    table.do(again, Say("five", 2))
    table.do(eva, Tell("ana", "live again"))
    assert short(table.told(again)) == [
        "SAY 11 - eva four",
        "SAY 12 2 ana five",
        "MSG 13 - eva ana live again",
    ]
    assert "ana: five" in table.told(eva)
    table.pass_time(GRACE)
    table.do(eva, Who())
    assert table.told(eva)[-1] == "* 3 here: ana, eva, Leo"


def test_what_was_sent_and_not_confirmed_is_recognised(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.do(ana, Say("one", 1), Say("two", 2), Tell("nobody", "x", 3), Tell("eva", "psst", 4))
    table.lose(ana)
    table.told(eva)
    again = table.resume(token, 3)
    assert short(table.told(again))[2:] == ["SAY 4 2 ana two", "MSG 5 4 ana eva psst", "LIVE 5"]
    table.do(again, Say("two", 2), Tell("nobody", "x", 3), Tell("eva", "psst", 4), Say("three", 5))
    assert short(table.told(again)) == [
        "SAY 4 2 ana two",
        "ERROR 3 no-such-user nobody",
        "MSG 5 4 ana eva psst",
        "SAY 6 5 ana three",
    ]
    assert short(table.told(eva)) == ["SAY 6 - ana three"]


def test_refusals_are_remembered_without_what_was_typed_and_not_for_ever(
    sit: Sit, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "REFUSALS_KEPT", 5)
    table = sit(storage=storage)
    ana, _ = table.begin("ana")
    table.do(ana, *(Tell("nobody", "a secret", tag) for tag in range(1, 9)))
    table.do(ana, *(Tell("nobody", "a secret", 8) for _ in range(3)))
    assert table.told(ana)[-3:] == ["ERROR 8 no-such-user nobody"] * 3
    session = table.session(ana)
    assert session is not None
    assert session.resumable is not None
    assert session.resumable.refused == {
        tag: Refusal(tag, "no-such-user", ("nobody",)) for tag in range(4, 9)
    }
    assert storage.load(1).sessions[0].refused == (4, 5, 6, 7, 8)


def test_a_repetition_whose_event_is_not_at_hand_is_confirmed_all_the_same(sit: Sit) -> None:
    table = sit(history=2)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.do(ana, Say("one", 1))
    table.lose(ana)
    table.do(eva, Say("a"), Say("b"), Say("c"))
    table.told(eva)
    again = table.resume(token, 2)
    assert short(table.told(again)) == [
        "NICK",
        "RESUMED ana 2 2",
        "SAY 5 - eva b",
        "SAY 6 - eva c",
        "LIVE 6",
    ]
    table.do(again, Say("one", 1))
    assert table.told(again) == ["DONE 1"]
    assert table.told(eva) == []


def test_a_session_without_a_token_ends_with_its_connection(table: Table) -> None:
    ana, eva = table.join("ana", NATIVE), table.join("eva")
    table.lose(ana)
    assert table.told(eva) == ["* ana left (connection lost)"]


def test_after_the_grace_period_the_others_are_told_and_the_nick_is_free(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.pass_time(GRACE)
    assert table.told(eva) == ["* ana left (connection lost)"]
    late = table.resume(token, 1)
    assert table.told(late) == ["NICK", "ERROR - no-session"]
    assert table.ask(late, TakeSeat(Hello("ana", history=0), NATIVE, SimpleQueue())) is True


def test_leaving_on_purpose_ends_the_session_at_once(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.do(ana, Leave())
    assert table.told(ana) == ["BYE left"]
    assert table.told(eva) == ["* ana left"]
    assert "ERROR - no-session" in table.told(table.resume(token, 1))


def test_of_two_links_the_newer_one_wins_and_the_older_is_told(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva")
    newer = table.resume(token, 2)
    assert table.told(ana)[-1] == "BYE replaced"
    table.do(ana, Say("from the old link", 1), Ended("lost"))
    table.do(newer, Say("from the new one", 1))
    assert table.told(eva) == ["ana: from the new one"]
    assert short(table.told(newer))[-1] == "SAY 3 1 ana from the new one"


@pytest.mark.parametrize("token", ["x", "a" * 22])
def test_a_token_that_nobody_was_given(table: Table, token: str) -> None:
    table.begin("ana")
    assert table.told(table.resume(token, 1)) == ["NICK", "ERROR - no-session"]


def test_tokens_differ_and_are_long(table: Table) -> None:
    tokens = {table.begin(f"u{n}")[1] for n in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 22  # 128 bits in base64


def test_an_event_that_never_was_is_no_way_back(table: Table) -> None:
    ana, token = table.begin("ana")
    table.lose(ana)
    assert "ERROR - no-session" in table.told(table.resume(token, 99))


def test_a_link_whose_session_somebody_spoils_is_told(table: Table) -> None:
    ana, token = table.begin("ana")
    assert "ERROR - no-session" in table.told(table.resume(token, 99))
    assert table.told(ana) == ["BYE replaced"]
    table.do(ana, Say("too late", 1))
    assert table.told(ana) == []


def test_the_nick_that_one_comes_back_under_is_the_one_it_has_now(table: Table) -> None:
    ana, token = table.begin("ana")
    table.do(ana, Rename("ann", 1))
    table.lose(ana)
    assert short(table.told(table.resume(token, 1)))[1:] == ["RESUMED ann 1 0", "NICK 2 1 ana ann", "LIVE 2"]


def test_too_many_absent_ones_and_the_youngest_ends(sit: Sit) -> None:
    table = sit(max_absent=2)
    people = [table.begin(nick)[0] for nick in ("ana", "beto", "eva")]
    leo = table.join("leo")
    for person in people:
        table.lose(person)
    assert table.told(leo) == ["* eva left (connection lost)"]


def test_one_that_is_dropped_for_not_reading_can_come_back_for_all_of_it(sit: Sit) -> None:
    table = sit(backlog_limit=500)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.sockets[ana].room = 0
    for n in range(30):
        table.do(eva, Say(f"m{n}"))
    assert ana.closing
    assert table.session(ana) is None
    assert table.told(eva) == []
    table.fanout._backlog_limit = 10_000
    again = table.resume(token, 2)
    assert [line.split()[-1] for line in table.told(again)][2:-1] == [f"m{n}" for n in range(30)]


def test_an_internal_error_ends_the_session_or_it_would_come_again(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    ana, token = table.begin("ana")
    with caplog.at_level(logging.CRITICAL, "charla"):
        table.do(ana, object())
    assert table.told(ana) == ["BYE error"]
    assert "ERROR - no-session" in table.told(table.resume(token, 1))


# ---- catching up: the seam -----------------------------------------------------------------------


def test_what_happens_while_one_catches_up_comes_once_behind_what_was_missed(table: Table) -> None:
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    for n in range(1200):
        table.do(eva, Say(f"m{n}"))
    again = table.connect()
    step = table.ask(again, TakeSeat(Hello("x", token, 2), NATIVE, SimpleQueue()))
    during = 0
    while isinstance(step, ReplaySlice):  # too much for the room to send itself
        table.do(eva, Say(f"during {during}"), Tell("ana", f"private {during}"))
        during += 1
        step = table.read(again, step)
        assert during < 5
    assert step is True
    table.do(eva, Say("after"))
    lines = table.told(again)
    ids = [int(line.split()[1]) for line in lines if line.startswith(("SAY", "MSG"))]
    assert ids == list(range(1200 + 2 - 1000 + 1, 1200 + 2 + 2 * during + 2))
    assert lines[1] == "RESUMED ana 2 200"  # of which the memory holds a thousand
    assert lines[-2].startswith("LIVE ")
    assert lines[-1].endswith(" - eva after")


def test_a_chunk_is_answered_when_the_socket_has_taken_it(sit: Sit) -> None:
    table = sit(backlog_limit=10_000)
    ana, _ = table.begin("ana")
    table.sockets[ana].room = 10
    answer: SimpleQueue[object] = SimpleQueue()
    table.do(ana, Chunk(b"x" * 100 + b"\n", answer))  # type: ignore[arg-type]
    assert answer.empty()
    table.sockets[ana].room = None
    table.room.send_backlogs()
    table.room.flush()
    assert answer.get_nowait() is True


def test_a_request_that_fails_for_a_bug_is_answered(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ana, _ = table.begin("ana")
    monkeypatch.setattr(table.room.announcer.log, "newest_public", None)
    with caplog.at_level(logging.CRITICAL, "charla"):
        assert table.ask(ana, AskHistory(5, SimpleQueue())) is False


def test_the_requests_of_a_link_that_is_gone_are_answered(table: Table) -> None:
    ana, _ = table.begin("ana")
    table.sockets[ana].room = 0
    waiting: SimpleQueue[object] = SimpleQueue()
    table.do(ana, Chunk(b"x\n", waiting))  # type: ignore[arg-type]
    table.lose(ana)
    table.pass_time(10)
    assert waiting.get_nowait() is False
    for request in (Chunk(b"x\n", SimpleQueue()), CatchUp(1, SimpleQueue()), AskHistory(5, SimpleQueue())):
        assert table.ask(ana, request) is False


# ---- signs of life -------------------------------------------------------------------------------


def test_a_silent_client_is_pinged(table: Table) -> None:
    ana, _ = table.begin("ana")
    table.join("eva", NATIVE)
    table.do(ana, Silent())
    assert table.told(ana)[-1] == "PING 2"


def test_a_client_may_ping_and_is_answered(table: Table) -> None:
    eva = table.join("eva", NATIVE)
    table.do(eva, Ping(77))
    assert table.told(eva) == ["PONG 77"]


def test_nobody_has_what_has_not_happened(table: Table) -> None:
    ana, _ = table.begin("ana")
    table.do(ana, Pong(1000))
    assert table.told(ana) == ["ERROR - malformed number"]


# ---- history -------------------------------------------------------------------------------------


def opening(table: Table, hello: Hello) -> list[str]:
    """Return what one is told that joins with `hello`."""
    connection = table.connect()
    table.ask(connection, TakeSeat(hello, NATIVE, SimpleQueue()))
    table.room.flush()
    return short(table.told(connection))[1:]


def test_who_joins_sees_what_was_said_but_nothing_private(table: Table) -> None:
    eva = table.join("eva")
    table.do(eva, Say("one"), Tell("eva", "private"), Act("waves"))
    assert opening(table, Hello("ana")) == [
        "WELCOME 5 ana 2",
        "HISTORY - 2",
        "PAST SAY 2 - eva one",
        "PAST ME 4 - eva waves",
        "WHO - 1 1 2 ana eva",
    ]
    assert opening(table, Hello("leo", history=1))[1:3] == ["HISTORY - 1", "PAST ME 4 - eva waves"]
    bot = opening(table, Hello("bot", NEW_SESSION, history=0))
    assert [line.split()[0] for line in bot] == ["WELCOME", "SESSION", "WHO"]


def test_who_joins_in_plain_sees_it_too(table: Table) -> None:
    table.do(table.join("eva"), Say("one"))
    ana = table.connect()
    table.ask(ana, TakeSeat(Hello("ana"), PLAIN, SimpleQueue()))
    table.room.flush()
    lines = table.told(ana)
    assert lines[3] == "* What was said before, the last message:"
    assert lines[4].startswith("[20")
    assert lines[4].endswith("] eva: one")
    assert lines[5] == "* 2 here: ana, eva"


def test_the_first_one_sees_no_history(table: Table) -> None:
    assert [line.split()[0] for line in opening(table, Hello("ana"))] == ["WELCOME", "WHO"]


def test_who_joins_is_shown_the_newest_only_and_never_too_much(sit: Sit) -> None:
    table = sit(backlog_limit=100_000)
    eva = table.join("eva")
    table.do(eva, *(Say(f"m{n}") for n in range(HISTORY_AT_JOIN + 5)))
    lines = opening(table, Hello("ana"))
    assert lines[1] == f"HISTORY - {HISTORY_AT_JOIN}"
    assert lines[2].endswith("m5")
    table.do(eva, *(Say("x" * 4000) for _ in range(HISTORY_AT_JOIN)))
    long = opening(table, Hello("leo"))
    assert long[1] == "HISTORY - 16"
    assert sum(map(len, long)) < 70_000


def test_history_that_is_asked_for_is_read_by_the_reader(table: Table) -> None:
    eva = table.join("eva")
    table.do(eva, *(Say(f"m{n}") for n in range(5)))
    read = table.ask(eva, AskHistory(3, SimpleQueue()))
    assert isinstance(read, HistorySlice)
    count, messages = read.read()
    assert [logged.line.split()[-1] for logged in messages] == [b"m2", b"m3", b"m4"]
    assert count == 3  # there is no disk


# ---- on disk -------------------------------------------------------------------------------------


def test_nothing_is_told_before_it_is_stored(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    ana, eva = table.join("ana", NATIVE), table.join("eva")
    table.room.handle(ana, [Say("hola", 1)])
    assert table.told(ana) == table.told(eva) == []
    table.room.flush()
    assert [logged.id for logged in storage.load(10).public] == [3]
    assert short(table.told(ana)) == ["SAY 3 1 ana hola"]


def test_after_a_restart_everything_goes_on(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    ana, token = table.begin("ana")
    eva, leo = table.join("eva", NATIVE), table.join("leo")
    table.do(ana, Say("one", 1), Tell("nobody", "x", 2), Tell("eva", "psst", 3))
    table.do(leo, Tell("ana", "oye"))
    assert short(table.told(eva)) == ["SAY 4 - ana one", "MSG 5 - ana eva psst"]
    after = sit(storage=table.storage)
    again = after.resume(token, 3)
    assert short(after.told(again)) == [
        "NICK",
        "RESUMED ana 1 0",
        "SAY 4 1 ana one",
        "MSG 5 3 ana eva psst",
        "MSG 6 - leo ana oye",
        "LEAVE 7 eva restart",
        "LEAVE 8 leo restart",
        "LIVE 8",
    ]
    after.do(again, Say("one", 1), Tell("nobody", "x", 2), Say("two", 4))
    assert short(after.told(again)) == ["SAY 4 1 ana one", "ERROR 2 refused-before", "SAY 9 4 ana two"]
    assert "PAST SAY 9 - ana two" in opening(after, Hello("eva"))


def test_a_seat_that_was_kept_over_a_restart_ends_too(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    table.begin("ana")
    after = sit(storage=table.storage)
    eva = after.join("eva")
    after.pass_time(GRACE)
    assert after.told(eva) == ["* ana left (connection lost)"]
    assert sit(storage=after.storage).room.membership.sessions.get("ana") is None


def test_a_session_that_has_seen_what_was_never_stored_is_not_misled(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    _, token = table.begin("ana")
    eva = table.join("eva")
    table.room.announcer.log.storage = None  # as if nothing could be written any more
    table.do(eva, Say("lost with the server"))
    after = sit(storage=table.storage)
    leo = after.join("leo")
    after.do(leo, Say("of the new log"), Say("and more"))
    once_more = sit(storage=after.storage)
    assert "ERROR - no-session" in once_more.told(once_more.resume(token, 3))


def test_a_batch_that_is_not_stored_yet_is_in_memory_however_small_that_is(
    sit: Sit, storage: Storage
) -> None:
    table = sit(storage=storage, history=1, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    again = table.connect()
    table.room.handle(eva, [Say(f"m{n}") for n in range(300)])
    assert table.ask(again, TakeSeat(Hello("x", token, 2), NATIVE, SimpleQueue())) is True
    table.room.flush()
    assert len([line for line in table.told(again) if line.startswith("SAY")]) == 300


def test_a_long_resume_reads_the_disk_and_the_seam_has_neither_gap_nor_overlap(
    sit: Sit, storage: Storage
) -> None:
    table = sit(storage=storage, history=10, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    for n in range(3000):
        table.room.handle(eva, [Say(f"m{n}"), *([Tell("ana", "psst")] if n % 100 == 0 else [])])
    table.room.flush()
    again = table.connect()
    step = table.ask(again, TakeSeat(Hello("x", token, 2), NATIVE, SimpleQueue()))
    assert isinstance(step, DiskSlice)
    rounds = 0
    while isinstance(step, ReplaySlice):
        table.do(eva, Say("during"))
        step = table.read(again, step)
        rounds += 1
    table.room.flush()
    lines = table.told(again)
    ids = [int(line.split()[1]) for line in lines if line.startswith(("SAY", "MSG"))]
    assert ids == list(range(3, 3 + 3000 + 30 + rounds))
    assert lines[1] == "RESUMED ana 2 0"


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_resume_from_where_the_memory_begins(sit: Sit, storage: Storage, beyond: int) -> None:
    table = sit(storage=storage, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, *(Say(f"m{n}") for n in range(1500)))
    last = table.room.announcer.log.floor + beyond
    lines = table.told(table.resume(token, last))
    ids = [int(line.split()[1]) for line in lines if line.startswith("SAY")]
    assert ids == list(range(last + 1, 1503))


def test_what_waits_for_one_comes_though_the_disk_has_moved_on(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, Tell("ana", "important"), *(Say(f"m{n}") for n in range(1500)))
    storage._housekeeper._connection.execute("DELETE FROM events WHERE id <= 100 AND addressee <= 0")
    storage._housekeeper.floor = 100
    lines = short(table.told(table.resume(token, 2)))
    assert lines[1:4] == ["RESUMED ana 2 97", "MSG 3 - eva ana important", "SAY 101 - eva m97"]
    assert lines[-2:] == ["SAY 1503 - eva m1499", "LIVE 1503"]


def test_a_session_that_was_kept_over_a_restart_comes_back_as_often_as_it_likes(
    sit: Sit, storage: Storage
) -> None:
    table = sit(storage=storage)
    _, token = table.begin("ana")
    after = sit(storage=table.storage)
    again = after.resume(token, 1)
    after.do(again, Say("one", 1), Ended("lost"))
    assert "RESUMED ana 1 0" in after.told(after.resume(token, 2))


def test_what_is_pruned_while_one_catches_up_is_told_as_lost(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, *(Say(f"m{n}") for n in range(3000)))
    again = table.connect()
    step = table.ask(again, TakeSeat(Hello("x", token, 2), NATIVE, SimpleQueue()))
    assert isinstance(step, ReplaySlice)
    storage._housekeeper._connection.execute("DELETE FROM events WHERE id <= 1000")
    storage._housekeeper.floor = 1000
    data = b"".join(logged.line_for(step.session) for logged in step)
    assert table.ask(again, Chunk(data, SimpleQueue())) is True
    assert table.ask(again, CatchUp(step.upto, SimpleQueue(), lost=step.pruned)) is True
    table.room.flush()
    lines = table.told(again)
    assert [line for line in lines if line.startswith("RESUMED")] == ["RESUMED ana 2 0", "RESUMED ana 2 998"]
    assert len([line for line in lines if line.startswith("SAY")]) == 2002


def test_what_the_memory_has_is_not_lost_though_the_disk_has_not(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    table.do(eva, *(Say(f"m{n}") for n in range(5)))
    storage._housekeeper.floor = 6
    lines = table.told(table.resume(token, 2))
    assert lines[1] == "RESUMED ana 2 0"
    assert len(lines) == 8


def test_a_damaged_event_costs_only_who_asks_for_it(
    sit: Sit, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    table = sit(storage=storage)
    table.do(table.join("eva"), Say("x"))
    storage._writer.execute("UPDATE events SET line = 'SAY x' WHERE id = 2")
    after = sit(storage=table.storage)
    leo = after.connect()
    with caplog.at_level(logging.CRITICAL, "charla"):
        assert after.ask(leo, TakeSeat(Hello("leo"), NATIVE, SimpleQueue())) is False
    after.room.flush()
    assert after.told(leo)[-1] == "BYE error"


def test_a_disk_that_cannot_be_read_is_told_as_a_gap(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage, backlog_limit=10_000_000)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    table.lose(ana)
    for n in range(3000):
        table.room.handle(eva, [Say(f"m{n}")])
    table.room.flush()
    again = table.connect()
    step = table.ask(again, TakeSeat(Hello("x", token, 2), NATIVE, SimpleQueue()))
    assert isinstance(step, ReplaySlice)
    step = table.ask(again, CatchUp(step.after, SimpleQueue(), failed=True))
    while isinstance(step, ReplaySlice):
        step = table.read(again, step)
    lines = [line for line in table.told(again) if line.startswith(("RESUMED", "SAY"))]
    assert lines[:2] == ["RESUMED ana 2 0", "RESUMED ana 2 2000"]
    assert lines[2].endswith("m2000")
    assert lines[-1].endswith("m2999")


def test_a_log_that_cannot_be_written_is_said_in_the_room_and_it_goes_on(
    sit: Sit, storage: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    table = sit(storage=storage)
    ana, token = table.begin("ana")
    eva = table.join("eva")
    (pages,) = storage._writer.execute("PRAGMA page_count").fetchone()
    storage._writer.execute(f"PRAGMA max_page_count = {pages}")
    with caplog.at_level(logging.CRITICAL, "charla"):
        table.do(eva, *(Say("x" * 4000) for _ in range(3)))
    lines = short(table.told(ana))
    assert [line.split()[0] for line in lines] == ["SAY", "SAY", "SAY", "NOTICE"]
    assert lines[-1] == "NOTICE 6 not-stored disk-full"
    assert "The server cannot write its log any more (disk full)" in table.told(eva)[-1]
    table.do(ana, Say("on we go", 1))
    assert short(table.told(ana)) == ["SAY 7 1 ana on we go"]
    assert opening(table, Hello("leo", history=0))[-1] == "NOTICE 9 not-stored disk-full"
    table.lose(ana)
    assert "RESUMED ana 3 0" in table.told(table.resume(token, 7))
    table.room.obey(Close())
    table.room.flush()
    assert table.told(eva)[-1].startswith("* The server is closing.")


def test_closing_keeps_the_seats_that_are_stored(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage)
    ana, token = table.begin("ana")
    eva = table.join("eva", NATIVE)
    table.room.obey(Close())
    table.room.flush()
    assert table.told(ana) == ["BYE restart"]
    assert table.told(eva) == ["BYE closing"]
    table.do(ana, Say("too late", 1), Ended("lost"))
    table.do(eva, Ended("lost"))
    after = sit(storage=table.storage)
    assert short(after.told(after.resume(token, 2)))[1:] == [
        "RESUMED ana 1 0",
        "LEAVE 3 eva restart",
        "LIVE 3",
    ]


def test_without_a_disk_closing_keeps_nothing(table: Table) -> None:
    ana, _ = table.begin("ana")
    table.room.obey(Close())
    table.room.flush()
    assert table.told(ana) == ["BYE closing"]


def test_in_a_crowd_the_log_keeps_to_itself_who_came_and_went(sit: Sit, storage: Storage) -> None:
    table = sit(storage=storage, crowd=2)
    ana, token = table.begin("ana")
    table.lose(ana)
    eva = table.join("eva")
    table.do(eva, Say("hola"))
    table.pass_time(1)
    lines = short(table.told(table.resume(token, 1)))
    assert lines[2:] == ["SAY 3 - eva hola", "CROWD 4 1 0 2", "LIVE 4"]


def test_refusals_before_the_last_tag_are_repeated_whatever_has_become_possible(table: Table) -> None:
    ana, _ = table.begin("ana")
    table.do(ana, Tell("leo", "x", 1), Say("y", 2))
    table.join("leo")
    table.told(ana)
    table.do(ana, Tell("leo", "x", 1), Refused("too-long", "4096", tag=3))
    assert table.told(ana) == ["ERROR 1 no-such-user leo", "ERROR 3 too-long 4096"]
