"""History, resumes and the log file, with the real server: sockets, threads, kill -9."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from support import DEADLINE, ROOT, LineClient, ServerProgram, eventually

from charla.protocol.commands import NEW_SESSION, Act, Hello, History, Leave, Ping, Pong, Say, Tell
from charla.protocol.messages import HistoryEntry, HistoryHeader, Said
from charla.protocol.native import NATIVE
from charla.server.storage.database import Storage
from charla.server.storage.entries import Logged

Start = Callable[..., ServerProgram]
Serve = Callable[..., object]
Connect = Callable[..., LineClient]


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "room.db")


def begin(client: LineClient, nick: str, history: int = 0) -> str:
    """Take a seat that outlives its connection; return its token."""
    client.expect("NICK")
    client.ask(Hello(nick, NEW_SESSION, history=history))
    lines = client.until(r"^WHO - ")
    return next(line.split()[1] for line in lines if line.startswith("SESSION "))


def resume(client: LineClient, token: str, last: int) -> list[str]:
    """Come back; return what was told up to LIVE."""
    client.expect("NICK")
    client.ask(Hello("x", token, last))
    return client.until(r"^LIVE |^ERROR")


def timeless(lines: list[str]) -> list[str]:
    """Return lines of events without their times."""
    return [re.sub(r"^(\w+ \d+) \d{13} ", r"\1 ", line) for line in lines]


def kill(program: ServerProgram) -> None:
    program.process.send_signal(signal.SIGKILL)
    assert program.status() == -signal.SIGKILL


def said(lines: list[str]) -> list[str]:
    """Return the texts of what was said to everyone."""
    return [line.split(" ", 5)[5] for line in lines if line.startswith("SAY ")]


# ---- kill -9 and start again ---------------------------------------------------------------------


def test_after_kill_9_ids_go_on_sessions_resume_and_history_is_there(
    start_program: Start, connect: Connect, db: str
) -> None:
    first = start_program("--db", db, "--rate-limit", "0")
    ana, eva = connect(first), connect(first)
    token = begin(ana, "ana")
    begin(eva, "eva")
    for number in range(1, 101):
        ana.ask(Say(f"m{number}", number))
    ana.until(r"^SAY \d+ \d+ 100 ")
    eva.ask(Tell("ana", "psst", 1))
    eva.until(r"^MSG \d+ \d+ 1 ")
    kill(first)
    second = start_program("--db", db, "--rate-limit", "0")
    again = connect(second)
    lines = timeless(resume(again, token, 52))
    assert lines[0] == "RESUMED ana 2 0"
    assert [line for line in lines if line.startswith("SAY")] == [
        f"SAY {n} {n - 2} ana m{n - 2}" for n in range(53, 103)
    ]
    assert "MSG 103 - eva ana psst" in lines
    again.ask(Say("m100", 100))
    again.ask(Say("new", 101))
    assert [line.split()[1] for line in again.until("new")] == ["102", "104"]
    leo = connect(second)
    leo.expect("NICK")
    leo.ask(Hello("leo"))
    opening = leo.until("^WHO")
    assert len([line for line in opening if line.startswith("PAST ")]) == 50
    assert opening[-2].endswith("- ana new")
    assert "psst" not in "".join(opening)


def test_an_orderly_end_keeps_the_seats_too(start_program: Start, connect: Connect, db: str) -> None:
    first = start_program("--db", db)
    ana = connect(first)
    token = begin(ana, "ana")
    first.process.send_signal(signal.SIGTERM)
    assert ana.rest() == ["BYE restart"]
    ana.close()
    assert first.status() == 0
    assert sorted(path.name for path in Path(db).parent.iterdir()) == ["room.db"]
    assert resume(connect(start_program("--db", db)), token, 1)[0] == "RESUMED ana 1 0"


def test_history_from_the_disk_is_as_long_as_one_asks(
    start_program: Start, connect: Connect, db: str
) -> None:
    with closing(Storage(db)) as storage:
        storage.write(
            [Logged.of(Said(n, 1_763_600_000_000 + n, 0, "eva", f"m{n}"), 1, 0) for n in range(1, 3001)],
            {},
            [],
        )
    ana = connect(start_program("--db", db, "--history", "10", "--rate-limit", "0"))
    ana.join_native("ana")
    ana.ask(History(1000, 7))
    header = ana.message()
    assert header == HistoryHeader(7, 1000)
    past = [ana.message() for _ in range(1000)]
    assert [message.event.text for message in past if isinstance(message, HistoryEntry)] == [
        f"m{n}" for n in range(2001, 3001)
    ]
    ana.ask(History(2, 8))
    assert ana.message() == HistoryHeader(8, 2)


def test_a_long_resume_of_a_client_that_reads_slowly_is_complete_and_holds_nobody_up(
    start_program: Start, connect: Connect, db: str
) -> None:
    server = start_program("--db", db, "--rate-limit", "0", "--history", "100")
    eva = connect(server)
    eva.join_plain("eva")
    ana = connect(server)
    token = begin(ana, "ana")
    eva.until("ana joined")
    ana.close()
    server.wait_for_line("ana: connection lost")
    total = 5000
    for start in range(0, total, 100):  # 2 MB: several times what may wait for one client
        eva.send("".join(f"m{n} {'x' * 400}\n" for n in range(start, start + 100)))
    eva.send("/who\n")
    eva.until(r"^\* 2 here")
    again = connect(server, receive_buffer=4096)
    again.expect("NICK")
    again.ask(Hello("ana", token, 2))
    eva.send("/who\n")  # while ana's client has not read a line
    eva.until(r"^\* 2 here")
    eva.send("and live\n")
    lines = again.until("and live$")
    if not any(line.startswith("LIVE") for line in lines):
        lines += again.until("^LIVE")
    assert [text.split()[0] for text in said(lines)] == [*(f"m{n}" for n in range(total)), "and"]


def test_many_resume_at_once_while_others_talk_and_nobody_misses_or_doubles_anything(
    start_program: Start, connect: Connect, db: str
) -> None:
    server = start_program("--db", db, "--rate-limit", "0", "--history", "50")
    eva = connect(server)
    eva.join_plain("eva")
    tokens = []
    for number in range(20):
        person = connect(server)
        tokens.append(begin(person, f"u{number}"))
        person.close()
    eva.send("".join(f"m{n}\n" for n in range(2000)) + "/who\n")
    eva.until(r"^\* 21 here")
    people = [connect(server) for _ in tokens]
    for person, token in zip(people, tokens, strict=True):
        person.expect("NICK")
        person.ask(Hello("x", token, 21))
    eva.send("".join(f"live{n}\n" for n in range(500)))
    for person in people:
        told = said(person.until("live499$"))
        assert told == [*(f"m{n}" for n in range(2000)), *(f"live{n}" for n in range(500))]


# ---- what is erased ------------------------------------------------------------------------------


def test_a_private_message_does_not_stay_in_the_file(start_program: Start, connect: Connect, db: str) -> None:
    server = start_program("--db", db, "--grace", "0.3")
    ana, eva = connect(server), connect(server)
    begin(ana, "ana")
    begin(eva, "eva")
    ana.until("JOIN")

    def on_disk(text: bytes) -> bool:
        return any(text in path.read_bytes() for path in Path(db).parent.iterdir())

    ana.ask(Say("public-one", 1))
    ana.ask(Tell("eva", "private-one", 2))
    for person in (ana, eva):
        person.until("private-one")
    assert on_disk(b"private-one")
    for person in (ana, eva):  # both say that they have it
        ping = NATIVE.decode(person.until("^PING")[-1])
        assert isinstance(ping, Ping)
        person.ask(Pong(ping.number))
    eventually(lambda: not on_disk(b"private-one"), "erasing")
    assert on_disk(b"public-one")


# ---- dead lines ----------------------------------------------------------------------------------


def test_a_link_that_says_nothing_is_pinged_and_then_taken_for_dead(serve: Serve, connect: Connect) -> None:
    server = serve(ping_after=0.1, dead_after=0.4, grace=0.2)
    eva = connect(server)
    eva.join_plain("eva")
    ana = connect(server)
    begin(ana, "ana")
    ana.until("^PING 2$")
    ana.rest()  # hung up on
    eva.until("ana left \\(connection lost\\)")


def test_a_link_that_answers_lives(serve: Serve, connect: Connect) -> None:
    server = serve(ping_after=0.05, dead_after=0.2)
    ana = connect(server)
    begin(ana, "ana")
    for _ in range(10):
        ping = ana.message()
        assert ping == Ping(1)
        ana.ask(Pong(1))
    ana.ask(Ping(7))
    assert ana.until("PONG")[-1] == "PONG 7"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux's option")
def test_the_kernel_watches_plain_connections(serve: Serve, connect: Connect) -> None:
    server = serve(ping_after=30.0, dead_after=90.0)
    connect(server).join_plain("ana")
    (connection,) = server.server._fanout.connections  # type: ignore[attr-defined]

    def option(level: int, name: int) -> int:
        return int(connection.sock.getsockopt(level, name))

    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    assert (
        option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) * option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        == 60
    )
    assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 90_000


def test_where_no_seat_is_kept_who_asked_for_one_is_pinged_too(serve: Serve, connect: Connect) -> None:
    ana = connect(serve(grace=0.0, ping_after=0.05, dead_after=0.2))
    ana.expect("NICK")
    ana.ask(Hello("ana", NEW_SESSION))
    assert [line.split()[0] for line in ana.until("^WHO")] == ["WELCOME", "WHO"]
    for _ in range(6):
        assert ana.message() == Ping(1)
        ana.ask(Pong(1))


def test_one_who_takes_nothing_while_catching_up_is_let_go(serve: Serve, connect: Connect) -> None:
    server = serve(ping_after=0.1, dead_after=0.4, history=10_000)
    eva = connect(server)
    eva.join_plain("eva")
    ana = connect(server)
    token = begin(ana, "ana")
    ana.close()
    eva.send("".join(f"m{n} {'x' * 1000}\n" for n in range(8000)) + "/who\n")
    eva.until(r"^\* 2 here")
    again = connect(server, receive_buffer=4096)
    again.expect("NICK")
    again.ask(Hello("x", token, 2))
    again.until("^RESUMED")
    threads = server.server._acceptor._readers  # type: ignore[attr-defined]
    eventually(lambda: sum(thread.is_alive() for thread in threads) == 1, "the end of its reader")
    assert len(said(resume(connect(server), token, 2))) == 8000


# ---- a log file that cannot be used --------------------------------------------------------------


def complaint(*options: str) -> str:
    """Start the server with options that it refuses; return the line that it says."""
    result = subprocess.run(
        [sys.executable, "server.py", "--port", "0", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_file_that_cannot_be_used_is_one_clear_line_and_status_2(db: str, start_program: Start) -> None:
    Path(db).write_text("notes, and no database at all\n" * 50)
    assert "no log of Charla" in complaint("--db", db)
    assert "cannot be opened" in complaint("--db", f"{db}/x")
    running = start_program("--db", f"{db}2")
    assert "in use by another server" in complaint("--db", f"{db}2")
    assert running.process.poll() is None


@pytest.mark.parametrize(
    "options",
    [
        ("--history", "-1"),
        ("--grace", "soon"),
        ("--keep", "nan"),
        ("--keep", "0.001"),
        ("--sync", "never"),
        ("--sync", "full"),
        ("--ping-after", "0"),
        ("--ping-after", "90"),
    ],
)
def test_wrong_options_are_explained(
    refused: Callable[..., subprocess.CompletedProcess[str]], options: tuple[str, str]
) -> None:
    result = refused("server.py", *options)
    assert result.returncode == 2
    assert options[0] in result.stderr.splitlines()[-1]


def test_a_full_disk_is_said_in_the_room_and_nothing_is_lost_silently(db: str) -> None:
    limit = "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
    limit += "sys.argv[:] = ['server.py', *sys.argv[1:]]; runpy.run_path('server.py', run_name='__main__')"
    program = _Limited(limit, "--port", "0", "--db", db, "--rate-limit", "0")
    with program:
        ana = LineClient(program.address)
        with ana:
            ana.join_native("ana")
            for number in range(1, 101):
                ana.ask(Say("x" * 4000, number))
            lines = ana.until("^NOTICE")
            assert re.match(r"NOTICE \d+ \d+ not-stored disk-", lines[-1])
            for tag in count(sum(line.startswith("SAY") for line in lines) + 1):
                if tag > 100:
                    break
                assert ana.until("^SAY")[-1].split()[3] == str(tag)
            ana.ask(Act("goes on", 101))
            assert ana.until("goes on")[-1].split()[3] == "101"
        program.wait_for_line("What is said from now on is kept in memory only")
        program.process.send_signal(signal.SIGTERM)
        assert program.status() == 0
    stored = Storage(db)
    with closing(stored):
        assert stored.load(1000).last_id > 1  # what was stored is still there


class _Limited(ServerProgram):
    """The server under a limit on the size of its files."""

    def __init__(self, program: str, *options: str) -> None:
        super(ServerProgram, self).__init__("-c", program, *options)
        self.address = ("127.0.0.1", int(self.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1]))


# ---- history for people with nc ------------------------------------------------------------------


def test_plain_history(serve: Serve, connect: Connect) -> None:
    server = serve()
    eva = connect(server)
    eva.join_plain("eva")
    eva.send("one\n/me waves\neva: to myself\n")
    eva.until("to myself")
    ana = connect(server)
    ana.expect("NICK")
    ana.send("ana\n")
    lines = ana.until(r"^\* \d+ here")
    assert lines[2] == "* What was said before, the last 2 messages:"
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d\] eva: one", lines[3])
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d\] ~ eva waves", lines[4])
    ana.send("/history 1\n/history 0\n/history x\n/history\n")
    ana.expect("* What was said before, the last message:")
    assert ana.line().endswith("~ eva waves")
    ana.expect(
        "! Give a number of messages from 1 to 1000.",
        "! Nothing was sent. It is written like this: /history [N]",
        "* What was said before, the last 2 messages:",
    )


def test_leaving_on_purpose_is_told_at_once(serve: Serve, connect: Connect) -> None:
    server = serve()
    eva = connect(server)
    eva.join_plain("eva")
    ana = connect(server)
    begin(ana, "ana")
    ana.ask(Leave())
    eva.until("^\\* ana left$")
