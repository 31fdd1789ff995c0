"""The limits of a real server: who meets one is told in a sentence, and nobody else notices."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
from conftest import RunningServer
from support import DEADLINE, LineClient, ServerProgram, eventually

from charla.common.passwords import Password
from charla.protocol.commands import NEW_SESSION, Hello, Say
from charla.protocol.messages import Refusal, Resumed, Said, Token
from charla.protocol.sentences import GOODBYES, sentence
from charla.server import app as server_module
from charla.server.delivery.fanout import Fanout
from charla.server.network import acceptor, admission
from charla.server.options import parse_options
from charla.server.server import Limits

Serve = Callable[..., RunningServer]
Start = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]

LATE = f"* {GOODBYES['nick-late']}"
CROWDED = f"* {GOODBYES['crowded']}"


def line_for(code: str, *arguments: str) -> str:
    """Return what somebody is told who is turned away at the door."""
    return f"! {sentence(code, arguments)} [{' '.join((code, *arguments))}]"


def talk(*people: LineClient) -> None:
    """Have each say something, and all the others hear it."""
    for n, person in enumerate(people):
        person.send(f"I am number {n}\n")
        for other in people:
            if other is not person:
                other.until(f": I am number {n}$")


# ---- a nick in time ------------------------------------------------------------------------------


def test_who_gives_no_nick_in_time_is_told_and_dropped(serve: Serve, connect: Connect) -> None:
    server = serve(handshake_timeout=0.5)
    ana = connect(server).join_plain("ana")
    assert connect(server).rest() == ["NICK", LATE]
    ana.send("hola\n")
    assert connect(server).join_plain("beto")


@pytest.mark.parametrize("password", [False, True])
def test_a_byte_now_and_then_gives_no_more_time(serve: Serve, connect: Connect, password: bool) -> None:
    server = serve(handshake_timeout=0.5, password=Password("tell-nobody") if password else None)
    slow = connect(server)
    over = threading.Event()

    def drip() -> None:
        try:
            while not over.wait(0.02):
                slow.send("x")
        except OSError:  # hung up on
            pass

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        lines = slow.rest()
    except ConnectionResetError:  # a byte came to a closed socket
        lines = []
    finally:
        over.set()
        thread.join(DEADLINE)
    assert time.monotonic() - began < DEADLINE / 2
    assert not lines or lines[:2] == ["PASSWORD" if password else "NICK", LATE]


def test_refused_nicks_give_no_more_time_either(serve: Serve, connect: Connect) -> None:
    server = serve(handshake_timeout=0.5)
    slow = connect(server)
    slow.send("9\n")
    assert slow.rest()[-1] == LATE


# ---- connections that only wait ------------------------------------------------------------------


def test_those_that_never_say_anything_keep_nobody_out(serve: Serve, connect: Connect) -> None:
    server = serve(max_waiting=5)
    ana = connect(server).join_plain("ana")
    waiting = [connect(server) for _ in range(5)]
    for person in waiting:
        person.expect("NICK")
    beto = connect(server).join_plain("beto")
    # The first that came is the one that has gone, and it was told why.
    assert waiting[0].rest() == [CROWDED]
    waiting[1].send("eva\n")
    waiting[1].until("here")
    ana.expect("* beto joined", "* eva joined")
    talk(ana, beto, waiting[1])


def test_a_newcomer_is_in_while_hundreds_only_wait(serve: Serve, connect: Connect) -> None:
    server = serve(max_waiting=50)
    waiting = [connect(server) for _ in range(300)]
    connect(server).join_plain("ana")  # long before anybody's handshake is late
    assert waiting[0].rest()[-1] == CROWDED


# ---- the room is full ----------------------------------------------------------------------------


def test_a_full_room_says_so_in_both_dialects_and_those_in_it_go_on(serve: Serve, connect: Connect) -> None:
    server = serve(max_clients=2)
    ana, beto = connect(server).join_plain("ana"), connect(server)
    token = begin(beto, "beto")
    plain, native = connect(server), connect(server)
    plain.send("eva\n")
    assert plain.rest() == ["NICK", "! The room is full (2): try again later.", "* Goodbye."]
    native.expect("NICK")
    native.ask(Hello("eva"))
    assert native.rest() == ["ERROR - full 2", "BYE refused"]
    # Who has a seat comes back to it, full or not.
    beto.close()
    again = connect(server)
    again.expect("NICK")
    again.ask(Hello("x", token, 2))
    assert isinstance(again.message(), Resumed)
    again.until("^LIVE")
    ana.send("hola\n")
    assert again.line().endswith(" ana hola")
    again.ask(Say("hola", 1))
    ana.expect("* beto joined", "beto: hola")


def begin(client: LineClient, nick: str) -> str:
    """Take a seat that outlives its connection; return its token."""
    client.expect("NICK")
    client.ask(Hello(nick, NEW_SESSION))
    client.message()
    token = client.message()
    assert isinstance(token, Token)
    client.until("^WHO")
    return token.token


# ---- one address ---------------------------------------------------------------------------------


def test_a_limit_that_is_given_holds_for_this_machine_too(serve: Serve, connect: Connect) -> None:
    server = serve(max_per_address=2)
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    assert connect(server).rest() == [line_for("too-many-from-address", "2")]
    ana.expect("* beto joined")
    talk(ana, beto)
    beto.send("exit\n")
    beto.until("Goodbye")
    beto.close()

    def comes_in() -> bool:
        with LineClient(server.address) as eva:
            return eva.line() == "NICK"

    eventually(comes_in, "a place for another one")


def test_without_one_a_class_comes_from_this_machine(serve: Serve, connect: Connect) -> None:
    server = serve()
    many = max(admission.PER_ADDRESS, admission.PER_MINUTE) + 5
    for n in range(many):
        connect(server).join_plain(f"u{n}")


def test_who_connects_too_often_is_told_so(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = serve(connects_per_minute=3)
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    with LineClient(server.address) as gone:
        gone.expect("NICK")
    for _ in range(20):
        with LineClient(server.address) as other:
            assert other.rest() == [line_for("too-many-a-minute", "3")]
    ana.expect("* beto joined")
    talk(ana, beto)
    ana.close()
    beto.close()
    server.stop()
    recorded = [record.getMessage() for record in caplog.records if "too-many" in record.getMessage()]
    assert recorded[0] == "127.0.0.1 turned away: too-many-a-minute"
    assert len(recorded) == 2, "once at the beginning and once at the end"
    assert recorded[1].startswith(f"{recorded[0]} (and 18 more like it in ")


def test_the_limits_are_options_of_the_program(start_program: Start, connect: Connect) -> None:
    server = start_program(
        *("--max-per-address", "3", "--max-waiting", "2", "--handshake-timeout", "0.5", "--max-clients", "1")
    )
    ana = connect(server).join_plain("ana")
    waiting = connect(server)
    full = connect(server)
    full.send("beto\n")
    assert full.rest() == ["NICK", "! The room is full (1): try again later.", "* Goodbye."]
    assert waiting.rest() == ["NICK", LATE]
    waiting.close()
    full.close()
    server.wait_for_line("turned away: nick-late")
    often = start_program(CHARLA_CONNECTS_PER_MINUTE="1", CHARLA_MAX_PER_ADDRESS="0")
    connect(often).join_plain("ana")
    assert connect(often).rest() == [line_for("too-many-a-minute", "1")]
    ana.send("exit\n")


def test_every_limit_is_an_option() -> None:
    given = Limits(7, 8, 9.5, 10, 11, 12.5, backlog=200 * 1024)
    options = parse_options(
        [
            *("--port", "0", "--max-clients", "7", "--max-waiting", "8", "--handshake-timeout", "9.5"),
            *("--max-per-address", "10", "--connects-per-minute", "11"),
            *("--rate-limit", "12.5", "--backlog", "200"),
        ]
    )
    server = server_module._open_server(options, None)
    server.shutdown()
    server.serve_forever()
    assert server._limits == given
    usual = server_module._open_server(parse_options(["--port", "0"]), None)
    usual.shutdown()
    usual.serve_forever()
    assert usual._limits == Limits()


# ---- lines a second ------------------------------------------------------------------------------


def test_a_pasted_block_is_one_line_to_the_rate_limit(serve: Serve, connect: Connect) -> None:
    server = serve(rate_limit=0.001, burst=3)  # HELLO, and two lines
    ana, beto = connect(server), connect(server)
    beto.join_native("beto")
    ana.join_native("ana")
    block = "\n".join(f"line {n}" for n in range(50))
    for tag in (1, 2, 3):
        ana.ask(Say(block, tag))
    beto.until("^JOIN")
    for _ in (1, 2):
        said = beto.message()
        assert isinstance(said, Said)
        assert said.text == block
    # The third has to wait, for a quarter of an hour; nobody else has to.
    eva = connect(server)
    eva.join_native("eva")
    eva.ask(Say("hola", 1))
    assert "eva" in beto.line()
    said = beto.message()
    assert isinstance(said, Said)
    assert said.nick == "eva"


def test_who_waits_for_the_rate_limit_is_told_goodbye_at_once(serve: Serve, connect: Connect) -> None:
    server = serve(rate_limit=0.001, burst=3)
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.send("1\n2\n3\n4\n/who\n")
    beto.expect("ana: 1", "ana: 2")
    began = time.monotonic()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    assert ana.rest()[-1] == "* The server is closing. Goodbye!"
    assert beto.rest()[-1] == "* The server is closing. Goodbye!"
    for person in (ana, beto):
        person.close()
    stopping.join(DEADLINE)
    assert time.monotonic() - began < 1.5, "well before the connections' time to close is over"


# ---- who does not read ---------------------------------------------------------------------------


def test_who_does_not_read_is_dropped_told_so_and_comes_back_for_all_of_it(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = serve(backlog=64 * 1024, history=20_000)
    slow = connect(server, receive_buffer=4096)
    token = begin(slow, "slow")
    ana, beto = connect(server), connect(server)
    ana.join_native("ana")
    beto.join_native("beto")
    said = 0
    while "slow: dropped: not reading" not in caplog.text:
        for _ in range(100):
            said += 1
            ana.ask(Say(f"{said} " + "x" * 2000, said))
        for _ in range(100):
            beto.until(r"^SAY ")
        assert said < 20_000, "it was never dropped"
    # It gets what its socket still had, then why.
    lines = slow.rest()
    assert lines[-1] == "BYE slow"
    last = max(int(line.split()[1]) for line in lines[:-1] if line.startswith("SAY") and len(line) > 2000)
    again = connect(server)
    again.expect("NICK")
    again.ask(Hello("x", token, last))
    assert isinstance(again.message(), Resumed)
    rest = [line for line in again.until("^LIVE") if line.startswith("SAY")]
    numbers = [int(line.split()[5]) for line in (*lines[:-1], *rest) if line.startswith("SAY")]
    assert sorted(set(numbers)) == list(range(1, said + 1))
    assert numbers == sorted(numbers)


def test_in_plain_the_goodbye_of_who_does_not_read_is_a_sentence(serve: Serve, connect: Connect) -> None:
    server = serve(fanout=Fanout(backlog_limit=64 * 1024, close_time=30))
    slow = connect(server, receive_buffer=4096).join_plain("slow")
    ana = connect(server).join_plain("ana")
    said = 0
    left = False
    while not left:
        ana.send(f"{said} {'x' * 4000}\n" * 50 + "/me waits\n/who\n")
        left = any("slow left" in line for line in ana.until(r"^\* \d here"))
        said += 50
        assert said < 20_000, "it was never dropped"
    assert slow.rest()[-1] == f"* {GOODBYES['slow']}"


# ---- out of threads ------------------------------------------------------------------------------


def test_out_of_threads_nobody_who_is_in_notices_and_it_recovers(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "charla")
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 0.02)
    server = serve(max_per_address=50)
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.expect("* beto joined")
    waiting = connect(server)
    waiting.expect("NICK")
    eventually(lambda: sum(t.name.startswith("reader ") for t in threading.enumerate()) == 3, "its reader")
    exhausted = threading.Event()
    exhausted.set()
    start = threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name.startswith("reader ") and exhausted.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    turned_away = [connect(server) for _ in range(5)]
    for person in turned_away:
        assert set(person.rest()) <= {"NICK"}
    talk(ana, beto)
    assert waiting.rest() == [CROWDED], "who only waits makes place"
    assert caplog.text.count("cannot accept") == 1
    assert "cannot accept (no more threads): 3 connections; trying on" in caplog.text
    exhausted.clear()
    eva = connect(server).join_plain("eva")
    eventually(lambda: "accepting again" in caplog.text, "the news that it accepts again")
    talk(ana, beto, eva)


def test_a_refusal_of_the_room_is_counted_and_recorded_without_what_was_typed(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = serve()
    ana = connect(server)
    ana.join_native("ana")
    for tag in range(1, 30):
        ana.send(f"MSG {tag} tell-nobody hunter2\n")
        assert ana.message() == Refusal(tag, "no-such-user", ("tell-nobody",))
    recorded = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert recorded == ["refused ana: no-such-user"]
    assert "hunter2" not in caplog.text
    assert "tell-nobody" not in caplog.text
