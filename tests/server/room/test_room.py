"""The room and its fan-out, call by call: no thread, and sockets that only remember."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from support.table import Table

from charla.protocol import sentences
from charla.protocol.commands import Act, Help, Leave, Rename, Say, Tell, Who
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused
from charla.server.delivery.requests import Close, Ended, NoSeat


def test_everyone_is_told_and_the_author_gets_a_confirmation_or_nothing(table: Table) -> None:
    ana, beto, eva = table.join("ana"), table.join("beto", NATIVE), table.join("eva", NATIVE)
    table.do(ana, Say("hola"))
    table.do(beto, Say("buenas", 17))
    assert table.told(ana) == ["beto: buenas"]
    assert table.told(beto) == [
        f"SAY 4 {table.unix} - ana hola",
        f"SAY 5 {table.unix} 17 beto buenas",
    ]
    assert table.told(eva) == [f"SAY 4 {table.unix} - ana hola", f"SAY 5 {table.unix} - beto buenas"]


def test_one_batch_is_one_send_per_client_in_the_same_order_for_all(table: Table) -> None:
    people = [table.join(f"u{n}", NATIVE if n % 2 else PLAIN) for n in range(6)]
    for n in range(20):
        table.room.handle(people[n % 6], [Say(f"message {n}", n + 1)])
    table.room.flush()
    orders = set()
    for index, person in enumerate(people):
        assert table.sockets[person].sends == 1
        lines = table.told(person)
        said = [line.rsplit(" ", 1)[1] for line in lines]
        mine = [str(n) for n in range(20) if n % 6 == index]
        if person.dialect is NATIVE:
            confirmed = [line.split()[3] for line in lines if line.split()[3] != "-"]
            assert confirmed == [str(int(n) + 1) for n in mine]
        else:
            said = sorted([*said, *mine], key=int)
        orders.add(tuple(said))
    assert orders == {tuple(str(n) for n in range(20))}


def test_ids_are_one_higher_each_and_time_never_goes_back(table: Table) -> None:
    ana = table.join("ana", NATIVE)
    table.do(ana, Say("one", 1))
    table.unix -= 5000
    table.do(ana, Act("two", 2), Rename("anita", 3))
    first = 1_763_600_000_000
    assert table.told(ana) == [
        f"SAY 2 {first} 1 ana one",
        f"ME 3 {first} 2 ana two",
        f"NICK 4 {first} 3 ana anita",
    ]


def test_a_private_message_reaches_two_people_and_its_place_in_the_order(table: Table) -> None:
    ana, beto, eva = table.join("ana"), table.join("Beto"), table.join("eva", NATIVE)
    table.do(eva, Say("before", 1), Tell("BETO", "psst", 2), Say("after", 3))
    assert table.told(ana) == ["eva: before", "eva: after"]
    assert table.told(beto) == ["eva: before", "[private] eva: psst", "eva: after"]
    assert [line.split(" ", 3)[3] for line in table.told(eva)] == [
        "1 eva before",
        "2 eva Beto psst",
        "3 eva after",
    ]
    table.do(ana, Tell("eva", "a\nb"))
    assert table.told(ana) == ["[to eva] a", "[to eva] b"]
    assert table.told(beto) == []


def test_a_private_message_to_oneself_comes_once(table: Table) -> None:
    ana = table.join("ana", NATIVE)
    table.do(ana, Tell("ana", "note", 9))
    assert table.told(ana) == [f"MSG 2 {table.unix} 9 ana ana note"]


def test_an_absent_addressee_and_nobody_sees_the_line(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    ana, beto = table.join("ana"), table.join("beto")
    table.do(ana, Tell("bteo", "my secret"))
    assert table.told(ana) == ["! " + sentences.sentence("no-such-user", ("bteo",))]
    assert table.told(beto) == []
    table.do(ana, Tell("beto", "my secret"))
    assert "secret" not in caplog.text


def test_a_nick_is_unique_without_regard_to_case_and_free_again_later(table: Table) -> None:
    ana, other = table.join("Ana"), table.connect()
    table.told(other)
    assert not table.seat(other, "aNA", NATIVE)
    table.room.flush()
    assert table.told(other) == ["NICK", "ERROR - nick-taken aNA"]
    table.do(ana, Leave())
    assert table.seat(other, "aNA", NATIVE)


def test_renaming(table: Table) -> None:
    ana, beto = table.join("ana"), table.join("beto")
    table.do(ana, Rename("BETO"), Rename("ana"), Rename("1x"), Rename("ANA"), Rename("eva"))
    taken, same, start = (
        "! " + sentences.sentence(*why)
        for why in (("nick-taken", ("BETO",)), ("nick-same", ("ana",)), ("nick-start", ()))
    )
    assert table.told(ana) == [taken, same, start, "* you are now ANA", "* you are now eva"]
    assert table.told(beto) == ["* ana is now ANA", "* ANA is now eva"]
    table.do(beto, Tell("eva", "x"), Tell("ana", "y"))
    assert table.told(ana) == ["[private] beto: x"]
    assert table.told(beto)[1].startswith("! Nobody here is called 'ana'")
    table.do(ana, Who())
    assert table.told(ana) == ["* 2 here: beto, eva"]
    assert table.seat(table.connect(), "ana")


def test_joining_tells_the_others_then_the_newcomer_who_is_here(table: Table) -> None:
    ana = table.join("ana")
    beto = table.connect()
    assert table.seat(beto, "Beto", NATIVE)
    table.do(ana, Say("hola"))
    assert table.told(ana) == ["* Beto joined"]
    assert table.told(beto) == [
        "NICK",
        f"WELCOME 2 {table.unix} Beto 2",
        "WHO - 1 1 2 ana Beto",
        f"SAY 3 {table.unix} - ana hola",
    ]


def test_who_pages_in_alphabetical_order(table: Table) -> None:
    people = [table.join(f"u{n:03}") for n in range(119, -1, -1)]
    table.do(people[0], Who(1), Who(3), Who(4), Who(0))
    lines = table.told(people[0])
    assert lines[0].startswith("* 120 here, page 1 of 3: u000, u001,")
    assert lines[0].endswith("u049 (/who 2 for more)")
    assert lines[1] == "* 120 here, page 3 of 3: " + ", ".join(f"u{n:03}" for n in range(100, 120))
    assert lines[2] == lines[3] == "! There is no such page: the last one is 3."


def test_leaving_on_purpose_and_the_ways_of_being_lost(table: Table) -> None:
    ana = table.join("ana")
    for nick, item, told in (
        ("beto", Leave(), "* beto left"),
        ("eva", Ended("left"), "* eva left"),
        ("leo", Ended("lost"), "* leo left (connection lost)"),
    ):
        person = table.join(nick)
        table.told(ana)
        table.do(person, item, Say("from beyond"))
        assert table.told(ana) == [told]
        assert table.told(person) == (["* Goodbye!"] if isinstance(item, Leave) else [])


def test_after_a_goodbye_comes_end_of_stream_and_the_socket_is_let_go_when_the_reader_ends(
    table: Table,
) -> None:
    ana = table.join("ana")
    sock = table.sockets[ana]
    table.do(ana, Leave(), Leave())
    assert table.told(ana) == ["* Goodbye!"]
    assert sock.shutdowns == [socket.SHUT_WR]
    assert not ana.wait_released(0)
    table.do(ana, Ended("left"))
    assert ana.wait_released(0)
    assert not table.fanout.connections


def test_who_does_not_hang_up_after_goodbye_is_hung_up_on(table: Table) -> None:
    ana = table.join("ana")
    table.do(ana, Leave())
    assert table.room.next_deadline() == 102.0
    table.now = 101.9
    table.room.tick()
    assert not ana.wait_released(0)
    table.now = 102.0
    table.room.tick()
    assert ana.wait_released(0)
    assert table.sockets[ana].shutdowns[-1] == socket.SHUT_RDWR
    table.do(ana, Say("late"), Ended("lost"))
    assert not table.fanout.connections
    assert table.room.next_deadline() is None


def test_what_a_full_socket_does_not_take_waits_in_order_for_it(table: Table) -> None:
    ana, beto = table.join("ana"), table.join("beto")
    sock = table.sockets[beto]
    sock.room = 8
    table.do(ana, Say("first"))
    table.do(ana, Say("second"))
    assert sock.sent == b"ana: fir"
    sock.room = None
    table.room.send_backlogs()
    assert table.told(beto) == ["ana: first", "ana: second"]
    assert not table.fanout.full
    table.do(ana, Say("third"))
    assert table.told(beto) == ["ana: third"]


def test_a_full_backlog_drops_that_one_and_tells_the_others(table: Table) -> None:
    ana, slow, eva = table.join("ana"), table.join("slow"), table.join("eva")
    table.sockets[slow].room = 0
    for n in range(60):
        table.do(ana, Say(f"{n:03} and some text"))
    lines = table.told(eva)
    assert "* slow left (dropped: not reading)" in lines
    lines.remove("* slow left (dropped: not reading)")
    assert lines == [f"ana: {n:03} and some text" for n in range(60)]
    table.sockets[slow].room = None  # it reads on: the line that it had a part of, and why it was dropped
    table.room.send_backlogs()
    assert table.told(slow)[-2:] == ["ana: 000 and some text", f"* {sentences.GOODBYES['slow']}"]
    assert table.sockets[slow].shutdowns == [socket.SHUT_WR]
    table.now += 2.0
    table.room.tick()
    assert slow.wait_released(0)
    assert slow.backlog == []
    assert table.seat(table.connect(), "slow"), "the nick is free again"


def test_a_connection_that_breaks_while_sent_to_leaves(table: Table) -> None:
    ana, beto = table.join("ana"), table.join("beto")
    table.sockets[beto].error = ConnectionResetError()
    table.do(ana, Say("hola"))
    assert table.told(ana) == ["* beto left (connection lost)"]
    table.do(beto, Say("not heard"), Ended("lost"))
    assert table.told(ana) == []
    assert list(table.fanout.connections) == [ana]


def test_two_that_break_on_the_news_of_each_other(table: Table) -> None:
    ana, beto, eva = table.join("ana"), table.join("beto"), table.join("eva")
    table.sockets[beto].error = table.sockets[eva].error = BrokenPipeError()
    table.do(ana, Say("hola"))
    assert sorted(table.told(ana)) == ["* beto left (connection lost)", "* eva left (connection lost)"]


def test_a_large_batch_is_sent_in_portions_so_that_nobody_who_reads_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table(backlog_limit=256 * 1024)
    ana, beto, eva = table.join("ana"), table.join("beto"), table.join("eva")
    waiting = []
    flush = table.room.flush

    def flush_and_read() -> None:
        """Beto reads between two portions; his socket is full while one is sent."""
        table.sockets[beto].room = 0
        flush()
        waiting.append(beto.backlog_size)
        table.sockets[beto].room = None
        table.room.send_backlogs()

    monkeypatch.setattr(table.room, "flush", flush_and_read)
    for _ in range(100):
        table.room.handle(ana, [Say("x" * 4096)])
        table.room.handle(eva, [Tell("beto", "y" * 4096)])
    table.room.flush()
    assert len(table.told(beto)) == 200
    assert 0 < max(waiting) < 128 * 1024
    table.close()


def test_in_a_crowd_joins_and_leaves_are_told_as_counts_once_a_second() -> None:
    table = Table(crowd=3)
    ana, beto = table.join("ana"), table.join("beto", NATIVE)
    table.told(ana)
    late = [table.join(f"u{n}") for n in range(4)]
    table.do(late[0], Leave())
    assert table.told(ana) == table.told(beto) == []
    assert table.room.next_deadline() == 101.0
    table.now = 101.0
    table.room.tick()
    table.room.flush()
    assert table.told(ana) == ["* 4 joined, 1 left: 5 here"]
    # Ids 3 to 7 are the joins and the leave that the counts stand for.
    assert table.told(beto) == [f"CROWD 8 {table.unix} 4 1 5"]
    for person in late[1:]:
        table.do(person, Ended("left"))
    assert table.told(ana) == ["* u3 left"]
    table.now = 102.5
    table.room.tick()
    table.room.flush()
    assert table.told(ana) == ["* 0 joined, 2 left: 2 here"]
    table.close()


def test_closing_tells_everyone_once_even_who_has_no_nick(table: Table) -> None:
    ana, nobody, gone = table.join("ana", NATIVE), table.connect(), table.join("gone")
    table.do(gone, Leave())
    table.forget()
    table.room.obey(Close())
    table.room.flush()
    assert table.told(ana) == ["BYE closing"]
    assert table.told(nobody) == ["* The server is closing. Goodbye!"]
    assert table.told(gone) == []
    late = table.connect()
    assert not table.seat(late, "late")
    table.room.flush()
    assert table.told(late) == ["* The server is closing. Goodbye!"]
    assert not table.room.idle
    for person in (ana, nobody, gone, late):
        table.do(person, Ended("lost"))
    assert table.room.idle
    assert table.told(ana) == []


def test_refusals_go_to_who_is_to_blame_alone(table: Table) -> None:
    ana, beto, newcomer = table.join("ana", NATIVE), table.join("beto"), table.connect()
    table.told(newcomer)
    table.do(ana, Refused("too-long", "4096", tag=5))
    table.do(newcomer, NoSeat(Refused("nick-start"), PLAIN))
    table.do(beto, Help())
    assert table.told(ana) == ["ERROR 5 too-long 4096"]
    assert table.told(newcomer) == ["NICK", "! A nickname begins with a letter.", "NICK"]
    assert all(line.startswith("* ") for line in table.told(beto))


def test_a_bug_costs_one_client_and_not_the_room(
    table: Table, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ana, beto = table.join("ana"), table.join("beto")
    monkeypatch.setitem(table.room._asked, Tell, lambda *_: 1 / 0)
    table.do(beto, Tell("ana", "boom"))
    assert table.told(beto) == ["* " + sentences.GOODBYES["error"]]
    assert table.told(ana) == ["* beto left (dropped: server error)"]
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.setattr(table.room.membership, "take_seat", lambda *_: 1 / 0)
    assert not table.seat(table.connect(), "eva"), "its reader gets an answer all the same"
    table.do(ana, Say("hola"))


def test_what_comes_from_the_network_is_escaped_in_the_log(
    table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    newcomer = table.connect()
    table.do(newcomer, NoSeat(Refused("nick-reserved", "a\x1b[2J\nfake line"), PLAIN))
    assert "\x1b" not in caplog.text
    assert "\nfake" not in caplog.text


def test_the_operators_welcome() -> None:
    table = Table(welcome="Sé amable")
    ana = table.connect()
    table.seat(ana, "ana")
    table.room.flush()
    assert table.told(ana)[1:3] == ["* Sé amable", "* You are ana. /help tells what you can type."]
    table.close()


def test_nobody_but_its_thread_may_call_the_room(table: Table) -> None:
    ana = table.join("ana")
    table.fanout.owner = threading.get_ident() + 1
    calls: list[Callable[[], None]] = [
        lambda: table.room.handle(ana, []),
        table.room.flush,
        table.fanout.flush,
    ]
    for call in calls:
        with pytest.raises(AssertionError, match="only the room's thread"):
            call()
    table.fanout.owner = threading.get_ident()
    table.do(ana, Say("hola"))
