"""The server over real sockets: what people on both ends of them would notice."""

from __future__ import annotations

import errno
import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, ROOT, LineClient, Program, ServerProgram, eventually

from charla import __version__
from charla.protocol import sentences
from charla.protocol.commands import Leave, Say, Tell
from charla.protocol.messages import Goodbye, Refusal, Said, Told
from charla.protocol.text import MAX_TEXT
from charla.server import app
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import Item, Work
from charla.server.network import acceptor
from charla.server.server import READER_STACK, Limits, Server

Serve = Callable[..., RunningServer]
Start = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]


needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="reads /proc")


def absent(name: str) -> str:
    return "! " + sentences.sentence("no-such-user", (name,))


# ---- talking -------------------------------------------------------------------------------------


def test_people_talk_in_both_dialects(serve: Serve, connect: Connect) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    beto = connect(server)
    beto.join_native("beto")
    ana.expect("* beto joined")
    beto.ask(Say("hola ñandú 👩‍👩‍👧", 1))
    ana.expect("beto: hola ñandú 👩‍👩‍👧")
    said = beto.message()
    assert isinstance(said, Said)
    assert (said.tag, said.nick, said.text) == (1, "beto", "hola ñandú 👩‍👩‍👧")
    ana.send("Beto: psst\n")
    ana.expect("[to beto] psst")
    told = beto.message()
    assert isinstance(told, Told)
    assert (told.nick, told.to, told.text, told.tag) == ("ana", "beto", "psst", 0)
    assert told.id == said.id + 1
    beto.ask(Leave())
    assert beto.message() == Goodbye("left")
    assert beto.rest() == []
    ana.expect("* beto left")
    ana.send("SALIR\n")
    assert ana.rest() == ["* Goodbye!"]


def test_what_twenty_say_at_once_is_in_the_same_order_for_all_and_complete(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    people = []
    for n in range(20):
        person = connect(server)
        person.join_native(f"u{n}")
        people.append(person)
    for person in people:
        person.until(r"^JOIN \d+ \d+ u19$") if person is not people[-1] else None

    def talk(person: LineClient) -> None:
        person.send(b"".join(b"SAY %d line %d\n" % (tag, tag) for tag in range(1, 101)))

    threads = [threading.Thread(target=talk, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    records = []
    for person in people:
        said = [person.message() for _ in range(2000)]
        confirmed = [message.tag for message in said if isinstance(message, Said) and message.tag]
        assert confirmed == list(range(1, 101)), "each own message once, in the order sent"
        records.append([(m.id, m.nick, m.text) for m in said if isinstance(m, Said)])
    for thread in threads:
        thread.join(DEADLINE)
    assert all(record == records[0] for record in records)
    ids = [number for number, _, _ in records[0]]
    assert ids == list(range(ids[0], ids[0] + 2000))


# ---- bad input -----------------------------------------------------------------------------------


@pytest.fixture
def room(serve: Serve, connect: Connect) -> tuple[LineClient, LineClient]:
    """Two people in a room: one who misbehaves, one who sees what comes of it."""
    server = serve()
    ana = connect(server).join_plain("ana")
    beto = connect(server).join_plain("beto")
    ana.expect("* beto joined")
    return ana, beto


Room = tuple[LineClient, LineClient]


def test_a_line_and_a_character_cut_over_many_packets(room: Room) -> None:
    ana, beto = room
    for byte in "año 👍\n".encode():
        ana.send(bytes([byte]))
    beto.expect("ana: año 👍")


def test_many_lines_in_one_packet_and_cr_lf(room: Room) -> None:
    ana, beto = room
    ana.send("one\r\ntwo\n\n   \r\nthree\r\n")
    beto.expect("ana: one", "ana: two", "ana: three")


def test_nick_and_first_message_in_one_packet(room: Room) -> None:
    _, beto = room
    with LineClient(beto.sock.getpeername()[:2]) as eva:
        eva.send("eva\nhola\nSALIR\n")
        beto.expect("* eva joined", "eva: hola", "* eva left")


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        (b"a\x00b", "ana: a\ufffdb"),
        (b"\x1b[2J\x1b]0;title\x07", "ana: \ufffd[2J\ufffd]0;title\ufffd"),
        ("\x9b31m\x85x".encode(), "ana: \ufffd31m x"),
        ("\u202egnp.exe\u2066\u200f".encode(), "ana: gnp.exe"),
        ("a\u2028* beto left".encode(), "ana: a * beto left"),
        (b"a\rbeto: b", "ana: a\ufffdbeto: b"),
        (b"/me x\x1b[0m", "~ ana x\ufffd[0m"),
        (b"/say * eva joined", "ana: * eva joined"),
        (b"/say [private] eva: x", "ana: [private] eva: x"),
        (b"/say eva: x", "ana: eva: x"),
        (b"~ eva dances", "ana: ~ eva dances"),
    ],
)
def test_nothing_typed_can_steer_a_terminal_or_pass_for_something_else(
    room: Room, typed: bytes, seen: str
) -> None:
    ana, beto = room
    ana.send(typed + b"\n")
    beto.expect(seen)


def test_bytes_that_are_not_utf8_cost_that_line_only(room: Room) -> None:
    ana, beto = room
    ana.send(b"caf\xe9\nhola\n")
    ana.expect("! " + sentences.sentence("not-utf8"))
    beto.expect("ana: hola")


def test_an_over_long_line_is_refused_and_the_connection_goes_on(room: Room) -> None:
    ana, beto = room
    for length in (MAX_TEXT + 1, 100_000):
        ana.send("x" * length + "\n")
        ana.expect("! " + sentences.sentence("too-long", (str(MAX_TEXT),)))
    ana.send("y" * MAX_TEXT + "\n")
    beto.expect("ana: " + "y" * MAX_TEXT)


def test_an_absent_addressee_and_nobody_else_sees_the_line(room: Room) -> None:
    ana, beto = room
    ana.send("bteo: my secret\n/msg carla my secret\n/msgbeto my secret\nhola\n")
    unknown = sentences.sentence("unknown-command", ("msgbeto", "msg"))
    ana.expect(absent("bteo"), absent("carla"), f"! {unknown}")
    beto.expect("ana: hola")


def test_what_the_client_does_by_itself_is_told_apart_from_what_there_is_not(room: Room) -> None:
    ana, beto = room
    ana.send("/time\n/help talk\n/help mod\n/search my secret\nhola\n")
    here = "so nothing was sent. /help lists what works here; for everyone to read the line, begin with /say."
    ana.expect(f"! /time works only in Charla's client on a terminal, {here}")
    ana.expect("! Nothing was sent. It is written like this: /help [mod]")
    ana.until("^[*] /status")
    ana.expect(f"! /search works only in Charla's client on a terminal, {here}")
    beto.expect("ana: hola")


def test_half_close_after_a_message_is_delivered_then_the_leave(room: Room) -> None:
    ana, beto = room
    ana.send("hola\n/who\n")
    ana.sock.shutdown(socket.SHUT_WR)
    beto.expect("ana: hola", "* ana left")
    assert ana.rest() == ["* 2 here: ana, beto"]


def test_end_of_stream_in_mid_line_is_not_said_and_told(room: Room) -> None:
    ana, beto = room
    ana.send("hola\nbeto: my sec")
    ana.sock.shutdown(socket.SHUT_WR)
    beto.expect("ana: hola", "* ana left")
    assert ana.rest() == ["! " + sentences.sentence("unfinished")]


def test_a_cut_answer_to_the_question_for_a_nick_seats_nobody(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()
    for cut in ("ana", "HELLO 1 ana"):
        newcomer = connect(server)
        newcomer.send(cut)
        newcomer.sock.shutdown(socket.SHUT_WR)
        newcomer.expect("NICK", "! " + sentences.sentence("unfinished"))
        assert newcomer.rest() == []
    assert caplog.text == ""


def test_reset(room: Room) -> None:
    ana, beto = room
    ana.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ana.close()
    beto.expect("* ana left (connection lost)")


def test_twenty_at_once_for_one_nick_and_one_gets_it(serve: Serve, connect: Connect) -> None:
    server = serve()
    people = [connect(server) for _ in range(20)]
    for person in people:
        person.expect("NICK")
    barrier = threading.Barrier(20)

    def ask(person: LineClient) -> None:
        barrier.wait(DEADLINE)
        person.send("Ana\n")

    threads = [threading.Thread(target=ask, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    answers = [person.line() for person in people]
    for thread in threads:
        thread.join(DEADLINE)
    taken = "! " + sentences.sentence("nick-taken", ("Ana",))
    assert sorted(answers) == sorted(["* Welcome to Charla.", *[taken] * 19])
    loser = people[answers.index(taken)]
    loser.expect("NICK")
    loser.send("Beto\nhola\n")
    people[answers.index("* Welcome to Charla.")].until("^Beto: hola$")


def test_three_hundred_connections_of_random_bytes(serve: Serve, connect: Connect) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    chance = random.Random(20261120)
    pieces = [
        b"\n",
        b"\r\n",
        b"HELLO 1 ",
        b"SAY 1 ",
        b"/",
        b"/who ",
        b"BYE",
        b":",
        b"exit",
        "ñ".encode(),
        b"x" * 5000,
    ]
    for _ in range(300):
        with LineClient(server.address) as noise, suppress(OSError):
            for _ in range(chance.randrange(1, 6)):
                noise.send(chance.choice(pieces) + chance.randbytes(chance.randrange(300)))
            if chance.random() < 0.3:
                noise.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ana.send("/me is still here\n/nick eva\n")
    assert ana.until("^\\* you are now eva$")
    ana.send("/who\n")
    for line in ana.until("here: "):
        assert re.match(r"[*!~\[]|[^ :]+: ", line), "a line without its author's name"


@needs_proc
def test_64_megabytes_without_a_newline_take_no_memory_and_the_room_goes_on(
    start_program: Start, connect: Connect
) -> None:
    server = start_program("--rate-limit", "0")
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    before = resident(server.process.pid)
    block = b"x" * (1 << 20)
    for _ in range(64):
        ana.send(block)
    ana.expect("* beto joined", "! " + sentences.sentence("too-long", (str(MAX_TEXT),)))
    beto.send("hola\n")
    ana.expect("beto: hola")
    assert resident(server.process.pid) - before < 8 << 20
    ana.send("\nstill here\n")
    beto.expect("ana: still here")


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


# ---- one bad client costs nobody else anything ---------------------------------------------------


def test_one_silent_connection_keeps_nobody_out(serve: Serve, connect: Connect) -> None:
    server = serve()
    silent = connect(server)
    ana = connect(server).join_plain("ana")
    beto = connect(server).join_plain("beto")
    beto.send("hola\n")
    ana.expect("* beto joined", "beto: hola")
    silent.expect("NICK")


def test_one_that_never_reads_is_dropped_and_the_others_lose_nothing(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = serve(fanout=Fanout(backlog_limit=64 * 1024))
    slow = connect(server, receive_buffer=4096).join_plain("slow")
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.expect("* beto joined")
    # More than both kernel buffers and the backlog hold together; a reply a thousand lines, so that
    # nobody who reads is ahead of anybody.
    said = 0
    dropped = False
    while not dropped:
        ana.send(b"".join(b"%d %s\n" % (n, b"x" * 1000) for n in range(said, said + 100)))
        for line in (beto.line() for _ in range(100)):
            if line == "* slow left (dropped: not reading)":
                dropped = True
                line = beto.line()
            assert line == f"ana: {said} " + "x" * 1000
            said += 1
        assert said < 20_000, "it was never dropped"
    ana.until("slow left")
    assert "slow left (dropped: not reading)" in caplog.text
    slow.sock.setblocking(False)
    connect(server).join_plain("slow")


def test_a_client_that_reads_late_gets_everything(serve: Serve, connect: Connect) -> None:
    server = serve(fanout=Fanout(backlog_limit=64 << 20))
    late = connect(server, receive_buffer=4096).join_plain("late")
    ana = connect(server).join_plain("ana")
    count = 3000
    for n in range(count):
        ana.send(f"{n} {'x' * 1000}\n")
    ana.send("late: the end\n")
    ana.until("^\\[to late\\] the end")
    late.expect("* ana joined", *(f"ana: {n} {'x' * 1000}" for n in range(count)), "[private] ana: the end")


def test_a_flood_is_slowed_to_the_limit_and_loses_nothing(serve: Serve, connect: Connect) -> None:
    server = serve(rate_limit=100, burst=5)
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.send(b"".join(b"%d\n" % n for n in range(60)))
    beto.send("not slowed by others\n")
    ana.expect("* beto joined", "beto: not slowed by others")
    beto.expect(*(f"ana: {n}" for n in range(60)))


def test_a_reader_that_waits_for_its_rate_limit_does_not_hold_up_the_end(
    serve: Serve, connect: Connect
) -> None:
    server = serve(rate_limit=0.001, burst=2, fanout=Fanout(close_time=0.1))
    ana = connect(server).join_plain("ana")
    ana.send("one\ntwo\nthree\n")
    beto = connect(server).join_plain("beto")
    beto.send("hola\n")
    ana.expect("* beto joined", "beto: hola")
    server.stop()


# ---- coming and going ----------------------------------------------------------------------------


def test_a_full_server_says_so_and_takes_the_next_when_somebody_has_left(
    serve: Serve, connect: Connect
) -> None:
    server = serve(max_clients=2)
    ana, _beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    turned_away = connect(server)
    turned_away.expect("NICK")
    turned_away.send("eva\n")
    assert turned_away.rest() == ["! The room is full (2): try again later.", "* Goodbye."]
    ana.send("exit\n")
    ana.until("Goodbye")
    ana.close()

    def welcome() -> bool:
        with LineClient(server.address) as eva:
            eva.expect("NICK")
            eva.send("eva\n")
            return "eva" not in eva.line()

    eventually(welcome, "a free place")


@needs_proc
def test_out_of_descriptors_the_acceptor_waits_and_recovers(stack: ExitStack) -> None:
    program = (
        "import resource, sys; from charla.server import app as server; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30));"
        "sys.exit(server.main(sys.argv[1:]))"
    )
    with Program("-c", program, "--port", "0", "--rate-limit", "0") as process:
        port = int(process.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
        process.wait_for_line("descriptors: room for")
        address = ("127.0.0.1", port)
        ana, beto = (stack.enter_context(LineClient(address)).join_plain(nick) for nick in ("ana", "beto"))
        knocking = [stack.enter_context(LineClient(address)) for _ in range(40)]
        process.wait_for_line("cannot accept")
        beto.send("hola\n")
        ana.expect("* beto joined", "beto: hola")
        # Those who came first and say nothing go for those behind them.
        assert knocking[0].rest()[-1] == f"* {sentences.GOODBYES['crowded']}"
        for person in knocking:
            person.close()
        process.wait_for_line("accepting again")
        assert sum("cannot accept" in line for line in process.output) == 1
        # It accepts again with one descriptor: the next one behind it would have who waits dropped once more.
        descriptors = Path(f"/proc/{process.process.pid}/fd")
        eventually(lambda: len(list(descriptors.iterdir())) < 20, "the end of those who have gone")
        with LineClient(address) as late:
            late.join_plain("late")
        process.process.send_signal(signal.SIGTERM)
        assert process.status() == 0


class Exhausted:
    """A listening socket whose every accept meets the end of the descriptors."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.attempts = 0
        self.fileno, self.close = listener.fileno, listener.close

    def accept(self) -> tuple[socket.socket, object]:
        self.attempts += 1
        raise OSError(errno.EMFILE, "Too many open files")


def test_out_of_descriptors_the_acceptor_does_not_spin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 0.05)
    server = Server(port=0)
    listener = Exhausted(server._listener)
    monkeypatch.setattr(server._acceptor, "_listener", listener)
    begin = time.monotonic()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with LineClient(server.address):
        eventually(lambda: listener.attempts >= 4, "another try")
        assert listener.attempts <= (time.monotonic() - begin) / 0.05 + 2
    server.shutdown()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert caplog.text.count("cannot accept") == 1


def test_the_process_has_its_thread_settings_again_when_its_last_server_has_ended() -> None:
    def settings() -> tuple[float, int]:
        size = threading.stack_size()
        return round(sys.getswitchinterval(), 4), size

    usual = settings()
    ours = (0.007, 1024 * 1024)
    sys.setswitchinterval(ours[0])
    threading.stack_size(ours[1])
    try:
        first, second = RunningServer(), RunningServer()
        for server in (first, second):  # the one that began first ends first
            with LineClient(server.address) as client:
                client.expect("NICK")  # it runs
            server.stop()
        assert settings() == ours
    finally:
        sys.setswitchinterval(usual[0])
        threading.stack_size(usual[1])


@needs_proc
def test_threads_have_small_stacks(start_program: Start, connect: Connect) -> None:
    server = start_program()
    connect(server).join_plain("first")  # the room's own thread has started, too
    before = stacks(server.process.pid)
    people = [connect(server).join_plain(f"u{n}") for n in range(20)]
    after = stacks(server.process.pid)
    new = Counter(after) - Counter(before)
    assert new.total() == 20
    assert max(new) <= READER_STACK
    for person in people:
        person.close()


def stacks(pid: int) -> list[int]:
    """Return the sizes of the mappings that look like a thread's stack: one behind a guard page."""
    sizes, guarded = [], False
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        bounds, mode, _, _, inode, *_ = line.split()
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        if guarded and mode == "rw-p" and inode == "0":
            sizes.append(end - start)
        guarded = mode == "---p" and end - start == 4096
    return sizes


@needs_proc
def test_nothing_is_left_when_three_hundred_have_come_and_gone(
    start_program: Start, connect: Connect
) -> None:
    server = start_program("--rate-limit", "0")

    def left() -> tuple[int, int]:
        process = Path(f"/proc/{server.process.pid}")
        return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))

    connect(server).join_plain("first").close()
    server.wait_for_line("first left")
    eventually(lambda: left()[0] <= 3, "the first reader's end")
    before = left()
    for start in range(0, 300, 100):
        people = [LineClient(server.address) for _ in range(100)]
        for n, person in enumerate(people):
            if n % 3:
                person.join_plain(f"u{start + n}")
        for n, person in enumerate(people):
            if n % 2:
                person.send("exit\n")
            person.close()
    eventually(lambda: left() <= before, "the end of threads and descriptors")


# ---- the program ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_tells_everyone_flushes_and_ends_with_status_0(
    start_program: Start, connect: Connect, number: signal.Signals
) -> None:
    server = start_program()
    ana, beto, nobody = connect(server).join_plain("ana"), connect(server), connect(server)
    beto.join_native("beto")
    nobody.expect("NICK")
    server.process.send_signal(number)
    assert ana.rest() == ["* beto joined", "* The server is closing. Goodbye!"]
    assert beto.message() == Goodbye("closing")
    assert nobody.rest() == ["* The server is closing. Goodbye!"]
    for person in (ana, beto, nobody):
        person.close()
    assert server.status() == 0
    assert not any("Traceback" in line or "left" in line for line in server.output)


def test_a_terminal_that_is_closed_ends_the_server_and_sighup_from_elsewhere_does_not() -> None:
    # The child's terminal is one of ours; who it is told by when it is gone is the kernel.
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.execv(sys.executable, [sys.executable, "server.py", "--port", "0"])
    try:
        said = b""
        while not (listening := re.search(rb"listening on 127\.0\.0\.1:(\d+)\r\n", said)):
            said += os.read(terminal, 4096)
        with LineClient(("127.0.0.1", int(listening[1]))) as ana:
            ana.join_plain("ana")
            os.kill(pid, signal.SIGHUP)
            ana.send("/who\n")
            ana.expect("* 1 here: ana")
            os.close(terminal)
            assert ana.rest() == ["* The server is closing. Goodbye!"]
            # The kernel tells, and the shell may tell once more: that hurries nothing.  It lingers for ana.
            os.kill(pid, signal.SIGHUP)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(pid, 0)
    assert status == 0


def test_with_nohup_a_terminal_that_is_closed_ends_nothing() -> None:
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "server.py", "--port", "0"])
    try:
        said = b""
        while not (listening := re.search(rb"listening on 127\.0\.0\.1:(\d+)\r\n", said)):
            said += os.read(terminal, 4096)
        with LineClient(("127.0.0.1", int(listening[1]))) as ana:
            ana.join_plain("ana")
            os.close(terminal)
            os.kill(pid, signal.SIGHUP)  # also later, as logrotate does
            ana.send("/who\n")
            ana.expect("* 1 here: ana")
            os.kill(pid, signal.SIGTERM)
            assert ana.rest() == ["* The server is closing. Goodbye!"]
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(pid, 0)
    assert status == 0


def test_a_lack_of_descriptors_is_no_closed_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    assert not app._terminal_is_closed()


def test_a_signal_that_does_not_interrupt_the_acceptor_is_seen_all_the_same() -> None:
    # It comes to another thread, as one would that comes just before the acceptor sleeps.
    script = """if True:
        import signal, socket, sys, threading
        from charla.server import app as server
        def interrupt(address):
            with socket.create_connection(address) as client:
                client.recv(5)  # NICK: the acceptor is done with us
                signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        announce = server._announce
        def announce_and_interrupt(*arguments):
            announce(*arguments)
            threading.Thread(target=interrupt, args=arguments[:1]).start()
        server._announce = announce_and_interrupt
        sys.exit(server.main(["--port", "0"]))
    """
    with Program("-c", script) as process:
        assert process.status() == 0, process.output


def test_who_does_not_hang_up_does_not_keep_the_server_from_ending(
    start_program: Start, connect: Connect
) -> None:
    server = start_program()
    connect(server).join_plain("ana")
    server.process.terminate()
    assert server.status() == 0


def test_a_second_signal_ends_at_once(start_program: Start, connect: Connect) -> None:
    server = start_program()
    ana = connect(server).join_plain("ana")
    server.process.send_signal(signal.SIGINT)
    server.wait_for_line("ending")
    ana.until("closing")
    server.process.send_signal(signal.SIGINT)
    assert server.status() == 128 + signal.SIGINT


def failing(*options: str, **environment: str) -> tuple[int, list[str]]:
    with Program("server.py", *options, environment=environment) as process:
        return process.status(), process.output


def test_a_port_in_use_is_one_clear_line_and_status_2(start_program: Start) -> None:
    server = start_program()
    status, output = failing("--port", server.port)
    assert status == 2
    assert output == [
        f"charla-server: port {server.port} is in use, perhaps by another Charla: "
        "choose another with --port, or 0 for a free one"
    ]


@pytest.mark.parametrize(
    ("options", "environment", "says"),
    [
        (["--host", "192.0.2.1"], {}, "is not an address of this machine"),
        (["--host", "no.such.host.invalid"], {}, "cannot be found|can be found"),
        (["--port", "70000"], {}, "is not a port"),
        (["--port", "-1"], {}, "is not a port|expected one argument"),
        (["--port", "９000"], {}, "is not a port"),
        (["--max-clients", "0"], {}, "is not a number of clients"),
        (["--rate-limit", "x"], {}, "is not a rate"),
        (["--rate-limit", "nan"], {}, "is not a rate"),
        (["--log-level", "loud"], {}, "is not a level"),
        (["--welcome", "x" * 5000], {}, "longer than 4096 bytes"),
        ([], {"CHARLA_PORT": "x"}, "CHARLA_PORT: 'x' is not a port"),
        (["--nonsense"], {}, "there is no option --nonsense: python3 server.py --help shows"),
    ],
)
def test_a_wrong_option_is_explained_with_status_2(
    refused: Callable[..., subprocess.CompletedProcess[str]],
    options: list[str],
    environment: dict[str, str],
    says: str,
) -> None:
    done = refused("server.py", *options, **environment)
    assert done.returncode == 2
    assert re.search(says, done.stderr.splitlines()[-1]), done.stderr
    assert "Traceback" not in done.stderr


def test_a_privileged_port_is_one_clear_line_and_status_2() -> None:
    threshold = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if threshold.exists() and int(threshold.read_text()) <= 81:
        pytest.skip("this machine lets everybody listen on port 81")
    unprivileged: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("we are root, and there is no setpriv to be less")
        unprivileged = ["setpriv", "--bounding-set=-net_bind_service"]
    command = [*unprivileged, sys.executable, "server.py", "--port", "81"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "charla-server: port 81 is for the administrator alone: choose one from 1024 on with --port\n"
    )


def test_help_and_version() -> None:
    for options, says in ((["--help"], "examples:"), (["--version"], f"Charla {__version__}")):
        with Program("server.py", *options) as process:
            assert process.status() == 0
            assert any(says in line for line in process.output)


def test_every_option_is_also_an_environment_variable() -> None:
    environment = {
        "CHARLA_HOST": "127.0.0.1",
        "CHARLA_MAX_CLIENTS": "1",
        "CHARLA_RATE_LIMIT": "0",
        "CHARLA_WELCOME": "Sé amable",
        "CHARLA_LOG_LEVEL": "warning",
        "CHARLA_PORT": "1",
    }
    with Program("server.py", "--port", "0", environment=environment) as process:
        port = int(process.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
        with LineClient(("127.0.0.1", port)) as ana:
            ana.expect("NICK")
            ana.send("ana\n")
            ana.expect("* Sé amable")
            with LineClient(("127.0.0.1", port)) as beto:
                beto.expect("NICK")
                beto.send("beto\n")
                assert "full (1)" in beto.line()
        assert not any("joined" in line for line in process.output)
        process.process.terminate()
        assert process.status() == 0


def test_an_option_wins_over_its_variable_and_an_empty_variable_is_none() -> None:
    environment = {"CHARLA_PORT": "rubbish", "CHARLA_RATE_LIMIT": "", "CHARLA_LOG_LEVEL": ""}
    with Program("server.py", "--port", "0", environment=environment) as process:
        process.wait_for_line("listening on")
        process.process.terminate()
        assert process.status() == 0


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_on_another_loopback_address_the_client_is_told_it() -> None:
    with Program("server.py", "--port", "0", "--host", "::1") as process:
        port = process.wait_for_line(r"listening on \[::1\]:(\d+)")[1]
        process.wait_for_line(rf"in another terminal: python3 client\.py --host ::1 --port {port}")
        process.wait_for_line(r"To let others in")
        with LineClient(("::1", int(port))) as ana:
            ana.join_plain("ana")
        process.process.terminate()
        assert process.status() == 0


def test_it_says_how_to_join_from_here_and_how_to_let_others_in(start_program: Start) -> None:
    server = start_program()
    server.wait_for_line(
        rf"another terminal: python3 client\.py --port {server.port} .*nc 127\.0\.0\.1 {server.port}"
    )
    server.wait_for_line(r"To let others in: .*--host 0\.0\.0\.0")
    with Program("server.py", "--host", "0.0.0.0", "--port", "0") as process:
        port = process.wait_for_line(r"listening on 0\.0\.0\.0:(\d+)")[1]
        match = process.wait_for_line(r"on the other machines: python3 client\.py --host (\S+) --port (\d+)")
        assert match[1] != "0.0.0.0"
        assert match[2] == port
        process.process.terminate()
        assert process.status() == 0


def test_the_record_says_who_came_and_went_and_never_what_was_said_in_private(
    start_program: Start, connect: Connect
) -> None:
    server = start_program()
    ana, beto = connect(server).join_plain("ana"), connect(server)
    beto.join_native("beto")
    for line in (
        "beto: planted-secret",
        "bteo: planted-secret",
        "/msgbeto planted-secret",
        "/planted-secret",
        "planted-secret: x",
    ):
        ana.send(f"{line}\n")
    ana.send("planted-secret\n/nick eva\nexit\n")
    ana.rest()
    server.wait_for_line(r"ana joined from 127\.0\.0\.1:\d+ \(plain\); 1 here")
    server.wait_for_line(r"beto joined from 127\.0\.0\.1:\d+ \(native\); 2 here")
    server.wait_for_line(r"refused ana: no-such-user")
    server.wait_for_line(r"ana is now eva")
    server.wait_for_line(r"eva left; 1 here")
    assert not any("planted" in line for line in server.output)


def test_the_room_belongs_to_its_thread(serve: Serve, connect: Connect) -> None:
    server = serve()
    connect(server).join_plain("ana")
    assert server.server._fanout.owner == server.server._room_thread.ident


def test_a_failure_of_the_room_itself_ends_the_server_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(port=0, limits=Limits(rate_limit=0))
    failure: list[BaseException] = []

    def run() -> None:
        try:
            server.serve_forever()
        except RuntimeError as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with LineClient(server.address) as ana, LineClient(server.address) as beto:
        ana.join_plain("ana")
        beto.expect("NICK")
        monkeypatch.setattr(server._room, "handle", lambda *_: 1 / 0)
        ana.send("hola\n")
        assert ana.rest() == beto.rest() == []
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert "the room has failed" in str(failure)
    assert "ZeroDivisionError" in caplog.text


def test_a_failure_in_the_middle_of_a_batch_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(port=0, limits=Limits(rate_limit=0))
    failure: list[BaseException] = []

    def run() -> None:
        try:
            server.serve_forever()
        except RuntimeError as error:
            failure.append(error)

    take = server._inbox.take
    to_gather = threading.Event()

    def take_all(poller: select.poll, timeout: float | None) -> list[Work]:
        """Return the four at once, as under load, and the one that fails first."""
        entries = take(poller, timeout)
        if entries and to_gather.is_set():
            to_gather.clear()
            while len(entries) < 4:
                entries += take(poller, DEADLINE)
            entries.sort(key=lambda entry: not isinstance(entry, tuple) or Say("fail") not in entry[1])
        return entries

    def fail(connection: Connection, items: list[Item]) -> None:
        if Say("fail") in items:
            raise ZeroDivisionError
        handle(connection, items)

    thread = threading.Thread(target=run)
    thread.start()
    with LineClient(server.address) as ana, LineClient(server.address) as beto:
        ana.join_plain("ana")
        beto.join_plain("beto")
        eva = LineClient(server.address).join_plain("eva")
        with eva, LineClient(server.address) as leo:
            leo.expect("NICK")
            handle = server._room.handle
            monkeypatch.setattr(server._inbox, "take", take_all)
            monkeypatch.setattr(server._room, "handle", fail)
            # The room may be asleep in the real `take`, and would have one of the four by itself from that.
            eva.send("/who\n")
            eva.until("here:")
            to_gather.set()
            ana.send("fail\n")
            beto.send("/history\n")  # a request
            eva.close()  # the end of a reader
            leo.send("leo\n")  # another request
            for person in (ana, beto, leo):
                person.rest()
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert "the room has failed" in str(failure)


# ---- the real nc and telnet ----------------------------------------------------------------------


def has(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def typed_into(command: list[str], lines: str) -> list[str]:
    """Run a program with `lines` on its standard input, kept open until it ends; return its output."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines)
        process.stdin.flush()
        output = []
        for line in process.stdout:
            output.append(line.rstrip("\r\n"))
            if "Goodbye" in line:
                break
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.kill()
    return output


@pytest.mark.parametrize(
    "program", [pytest.param(name, marks=has(name)) for name in ("nc", "ncat", "telnet")]
)
def test_the_plain_dialect_with_the_real(program: str, serve: Serve, connect: Connect) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    host, port = server.address
    output = typed_into([program, host, str(port)], "exit now\nbeto\nhola\nana: psst\n/who\nSALIR\n")
    told = [line for line in output if line == "NICK" or line[:1] in "*![~"]
    assert told == [
        "NICK",
        "! " + sentences.sentence("nick-space"),
        "NICK",
        "* Welcome to Charla.",
        "* You are beto. /help tells what you can type.",
        "* 2 here: ana, beto",
        "[to ana] psst",
        "* 2 here: ana, beto",
        "* Goodbye!",
    ]
    ana.expect("* beto joined", "beto: hola", "[private] beto: psst", "* beto left")


def test_refusals_in_the_native_dialect_carry_the_tag(serve: Serve, connect: Connect) -> None:
    server = serve()
    ana = connect(server)
    ana.join_native("ana")
    ana.ask(Tell("nobody", "x", 7))
    assert ana.message() == Refusal(7, "no-such-user", ("nobody",))
    ana.send("SAY 8\nNICK 9 1x\nWHO 10 99\n")
    assert [ana.message() for _ in range(3)] == [
        Refusal(8, "no-text"),
        Refusal(9, "nick-start"),
        Refusal(10, "no-page", ("1",)),
    ]
