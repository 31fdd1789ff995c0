"""A real server with TLS: everybody's clients join, and a bad one costs nobody else anything."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, LineClient, ServerProgram, eventually

from charla.client.display.phrases import sentence
from charla.common.passwords import Password
from charla.common.tls import certificate_fingerprint, client_context, own_certificate, server_context
from charla.protocol.commands import NEW_SESSION, Hello, Leave, Say, Tell
from charla.protocol.messages import CaughtUp, Goodbye, Joined, Resumed, Said, Token, Told
from charla.protocol.sentences import GOODBYES
from charla.protocol.text import MAX_TEXT
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import Item
from charla.server.network import reader

Start = Callable[..., ServerProgram]
Pair = tuple[str, str]

TLS_NEEDED = f"! {sentence('tls-needed')} [tls-needed]"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A certificate and its key."""
    return own_certificate(str(tmp_path_factory.mktemp("tls") / "pair"))


class TlsClient(LineClient):
    """A LineClient that speaks TLS, and trusts one certificate."""

    def __init__(self, address: tuple[str, int], cert: str, *, receive_buffer: int | None = None) -> None:
        super().__init__(address, receive_buffer)
        try:
            self.sock = client_context(cert).wrap_socket(
                self.sock, server_hostname=address[0], suppress_ragged_eofs=False
            )
        except OSError:
            self.close()
            raise


Serve = Callable[..., RunningServer]
Connect = Callable[..., TlsClient]


@pytest.fixture
def secure(serve: Serve, pair: Pair) -> Serve:
    """Start servers with TLS in this process."""
    return lambda **options: serve(make_context=lambda: server_context(*pair), **options)


@pytest.fixture
def join(stack: ExitStack, pair: Pair) -> Connect:
    """Connect with TLS: `join(server)`."""

    def connect(server: RunningServer | ServerProgram, **options: int) -> TlsClient:
        return stack.enter_context(TlsClient(server.address, pair[0], **options))

    return connect


@pytest.fixture
def knock(stack: ExitStack) -> Callable[..., LineClient]:
    """Connect without TLS."""
    return lambda server: stack.enter_context(LineClient(server.address))


# ---- everybody's clients -------------------------------------------------------------------------


def test_people_talk_in_both_dialects_also_privately(secure: Serve, join: Connect) -> None:
    server = secure()
    ana, beto = join(server).join_plain("ana"), join(server)
    beto.join_native("beto")
    long = "ñ" * (MAX_TEXT // 2)
    beto.ask(Say(long, 1))
    beto.ask(Tell("ana", "psst", 2))
    said, told = beto.message(), beto.message()
    assert isinstance(said, Said)
    assert (said.tag, said.text) == (1, long)
    assert isinstance(told, Told)
    assert (told.tag, told.to, told.text) == (2, "ana", "psst")
    ana.expect("* beto joined", f"beto: {long}", "[private] beto: psst")
    ana.send("beto: oye\n")
    ana.expect("[to beto] oye")
    assert isinstance(told := beto.message(), Told)
    assert told.text == "oye"
    beto.ask(Leave())
    assert beto.message() == Goodbye("left")
    assert beto.rest() == [], "and the stream ends as TLS wants it: nothing was cut off"
    ana.expect("* beto left")
    ana.send("salir\n")
    assert ana.rest() == ["* Goodbye!"]


PROGRAMS = {
    "ncat": ["ncat", "--ssl", "{host}", "{port}"],
    "ncat that checks": ["ncat", "--ssl-verify", "--ssl-trustfile", "{cert}", "localhost", "{port}"],
    "s_client": ["openssl", "s_client", "-quiet", "-connect", "{host}:{port}"],
    "s_client that checks": [
        *("openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", "{cert}"),
        *("-verify_ip", "{host}", "-connect", "{host}:{port}"),
    ],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_with_the_real(name: str, secure: Serve, join: Connect, pair: Pair) -> None:
    program = PROGRAMS[name]
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    server = secure()
    ana = join(server).join_plain("ana")
    host, port = server.address
    finished = subprocess.run(
        [word.format(host=host, port=port, cert=pair[0]) for word in program],
        input="beto\nhola\nana: psst\n/exit\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    lines = finished.stdout.splitlines()
    assert lines[0] == "NICK", finished.stderr
    assert lines[-2:] == ["[to ana] psst", "* Goodbye!"]
    ana.expect("* beto joined", "beto: hola", "[private] beto: psst", "* beto left")


def test_a_seat_is_taken_up_again(secure: Serve, join: Connect) -> None:
    server = secure(password=Password("tell-nobody"))
    ana, beto = join(server), join(server)
    for client in (ana, beto):
        client.expect("PASSWORD")
        client.send("tell-nobody\n")
    ana.expect("NICK")
    ana.ask(Hello("ana", NEW_SESSION))
    welcome, token = ana.message(), ana.message()
    assert isinstance(token, Token), welcome
    ana.until("^WHO")
    ana.close()
    beto.join_native("beto")
    beto.ask(Say("hola", 1))
    beto.ask(Tell("ana", "psst", 2))
    beto.until("^MSG")
    again = join(server)
    again.send("tell-nobody\n")
    again.expect("PASSWORD", "NICK")
    again.ask(Hello("x", token.token, 1))
    resumed, joined, said, told, live = (again.message() for _ in range(5))
    assert isinstance(resumed, Resumed)
    assert isinstance(joined, Joined)
    assert isinstance(said, Said)
    assert isinstance(told, Told)
    assert (joined.nick, said.text, told.text) == ("beto", "hola", "psst")
    assert isinstance(live, CaughtUp)


def test_a_long_talk_arrives_whole_in_both_directions(secure: Serve, join: Connect) -> None:
    server = secure(backlog=16 << 20)
    people = [join(server) for _ in range(4)]
    for n, person in enumerate(people):
        person.join_native(f"u{n}")
    for n, person in enumerate(people):
        person.until("JOIN .* u3$") if n < 3 else None
    said = 300
    for tag in range(1, said + 1):
        for n, person in enumerate(people):
            person.ask(Say(f"{n} {tag} " + "x" * (tag * 7 % 2000), tag))
    records = []
    for person in people:
        heard = [person.message() for _ in range(said * len(people))]
        records.append([(message.id, message.text) for message in heard if isinstance(message, Said)])
    assert all(record == records[0] for record in records)
    assert len(records[0]) == said * len(people)


# ---- who does not speak TLS, or not as it should -------------------------------------------------


@pytest.mark.parametrize("first", ["ana\n", "HELLO 1 ana\n", "GET / HTTP/1.1\r\n\r\n", "\n"])
def test_a_plain_client_is_told(secure: Serve, join: Connect, knock: Connect, first: str) -> None:
    server = secure()
    ana = join(server).join_plain("ana")
    plain = knock(server)
    plain.send(first)
    plain.expect(TLS_NEEDED)
    with suppress(ConnectionResetError):  # what it sent was not read
        assert plain.rest() == []
    join(server).join_plain("beto")
    ana.expect("* beto joined")


def test_one_that_waits_for_the_server_to_speak_is_told_after_a_while(
    secure: Serve, knock: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "HELLO_TIME", 0.1)
    plain = knock(secure())
    assert plain.rest() == [TLS_NEEDED]


def test_tls_at_a_server_without_it_fails_at_once_and_costs_nobody_anything(
    serve: Serve, knock: Connect, pair: Pair
) -> None:
    server = serve()
    ana = knock(server).join_plain("ana")
    began = time.monotonic()
    with pytest.raises(ssl.SSLError):
        TlsClient(server.address, pair[0])
    assert time.monotonic() - began < DEADLINE / 2
    knock(server).join_plain("beto")
    ana.expect("* beto joined")


def test_who_is_turned_away_at_the_door_is_hung_up_on_at_once(
    secure: Serve, join: Connect, pair: Pair
) -> None:
    server = secure(max_per_address=1)
    ana = join(server).join_plain("ana")
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(OSError, match=r"EOF|reset|pipe"):
            TlsClient(server.address, pair[0])
    assert time.monotonic() - began < DEADLINE / 2
    ana.send("/who\n")
    ana.expect("* 1 here: ana")


HELLO = bytes.fromhex("16030100")  # the beginning of a ClientHello, as it is in every one


@pytest.mark.parametrize("begin", [HELLO, HELLO + b"\xff", b"\x16"])
def test_a_handshake_that_is_slow_has_a_deadline(
    secure: Serve, join: Connect, knock: Connect, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr(reader, "HELLO_TIME", 0.05)  # and the wait for it may end more than once
    server = secure(handshake_timeout=0.5)
    ana = join(server).join_plain("ana")
    slow = knock(server)
    slow.send(begin)
    assert slow.rest() == []
    ana.send("/who\n")
    ana.expect("* 1 here: ana")


def test_handshakes_that_only_begin_keep_nobody_out(secure: Serve, join: Connect, knock: Connect) -> None:
    server = secure(max_waiting=3)
    slow = [knock(server) for _ in range(6)]
    for client in slow:
        with suppress(OSError):
            client.send(HELLO)
    join(server).join_plain("ana")
    for client in slow[:3]:
        with suppress(ConnectionResetError):
            assert client.rest() == []


def test_a_handshake_in_the_middle_does_not_hold_up_the_end(secure: Serve, knock: Connect) -> None:
    server = secure(fanout=Fanout(close_time=0.1))
    for begin in (HELLO, b""):
        slow = knock(server)
        slow.send(begin)
    server.stop()


def test_garbage_in_the_middle_breaks_that_connection_alone(secure: Serve, join: Connect) -> None:
    server = secure()
    ana, beto = join(server).join_plain("ana"), join(server).join_plain("beto")
    raw = socket.socket(fileno=beto.sock.detach())
    with raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"garbage!" * 4)
        ana.expect("* beto joined", "* beto left (connection lost)")


def test_a_line_that_is_cut_off_is_no_leave(secure: Serve, join: Connect) -> None:
    server = secure()
    ana, beto = join(server).join_plain("ana"), join(server).join_plain("beto")
    beto.close()  # without TLS's goodbye
    ana.expect("* beto joined", "* beto left (connection lost)")


def test_who_ends_the_stream_and_still_listens_gets_its_answers(
    secure: Serve, join: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = secure()
    beto = join(server).join_plain("beto")
    gate = threading.Event()

    handle = server.server._room.handle

    def be_late(connection: Connection, items: list[Item]) -> None:
        gate.wait(DEADLINE)
        handle(connection, items)

    monkeypatch.setattr(server.server._room, "handle", be_late)  # the end is there before it has answered
    beto.send("beto: psst\n/exit\n")
    with socket.fromfd(beto.sock.fileno(), socket.AF_INET, socket.SOCK_STREAM) as raw:
        raw.shutdown(socket.SHUT_WR)  # as ncat --ssl does at the end of its input

    def end_seen() -> bool:
        return all(c.tls is not None and c.tls._ended for c in list(server.server._fanout.connections))

    eventually(end_seen, "the end of the stream")
    gate.set()
    assert beto.rest() == ["[to beto] psst", "* Goodbye!"]


def test_who_ends_its_stream_properly_has_left(secure: Serve, join: Connect) -> None:
    server = secure()
    ana, beto = join(server).join_plain("ana"), join(server).join_plain("beto")
    beto.send("hola\n")
    assert isinstance(beto.sock, ssl.SSLSocket)
    beto.sock.unwrap().close()  # waits for the server's goodbye, too
    ana.expect("* beto joined", "beto: hola", "* beto left")


def test_who_does_not_read_is_dropped_and_the_others_lose_nothing(
    secure: Serve, join: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = secure(backlog=64 * 1024, history=20_000)
    slow = join(server, receive_buffer=4096)
    slow.expect("NICK")
    slow.ask(Hello("slow", NEW_SESSION))
    slow.message()
    token = slow.message()
    assert isinstance(token, Token)
    slow.until("^WHO")
    ana, beto = join(server), join(server)
    ana.join_native("ana")
    beto.join_native("beto")
    said = 0
    while "slow: dropped: not reading" not in caplog.text:
        for _ in range(100):
            said += 1
            ana.ask(Say(f"{said} " + "x" * 2000, said))
        for line in (beto.until(r"^SAY ")[-1] for _ in range(100)):
            assert int(line.split()[5]) > said - 100
        assert said < 20_000, "it was never dropped"
    ana.until(f"^SAY .* {said} x")
    lines = slow.rest()
    assert lines[-1] == "BYE slow", "told why, and the stream ends properly"
    last = max(int(line.split()[1]) for line in lines if line.startswith("SAY"))
    again = join(server)
    again.expect("NICK")
    again.ask(Hello("x", token.token, last))
    assert isinstance(again.message(), Resumed)
    rest = [line for line in again.until("^LIVE") if line.startswith("SAY")]
    numbers = [int(line.split()[5]) for line in (*lines, *rest) if line.startswith("SAY")]
    assert numbers == list(range(1, said + 1)), "all of it, once and in order"


# ---- the program ---------------------------------------------------------------------------------


def test_a_pair_of_ones_own_beside_what_the_client_remembers(
    start_program: Start, stack: ExitStack, tmp_path: Path
) -> None:
    remembered = tmp_path / "charla" / "known_hosts"  # the client was here first
    remembered.parent.mkdir()
    remembered.write_text("")
    printed = []
    for option, environment in (("--tls", {}), (None, {"CHARLA_TLS": "1"})):
        server = start_program(*[option] if option else [], XDG_CONFIG_HOME=str(tmp_path), **environment)
        printed.append(server.wait_for_line(r"TLS, with the certificate (SHA256:\S+)$")[1])
        assert server.wait_for_line(r"client\.py --port \d+ --tls   \(or: ncat --ssl")
        cert = next(tmp_path.rglob("server.crt"))
        stack.enter_context(TlsClient(server.address, str(cert))).join_plain("ana")
    assert printed == [certificate_fingerprint(str(cert))] * 2, "it is made once, and kept"
    key = next(tmp_path.rglob("server.key"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert remembered.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_the_end_all_are_told_and_the_status_is_0(
    start_program: Start, join: Connect, knock: Connect, pair: Pair, number: signal.Signals
) -> None:
    server = start_program("--tls-cert", pair[0], "--tls-key", pair[1])
    ana, beto, nobody, slow = join(server).join_plain("ana"), join(server), join(server), knock(server)
    beto.join_native("beto")
    nobody.expect("NICK")
    slow.send(HELLO)
    server.process.send_signal(number)
    assert ana.rest() == ["* beto joined", f"* {GOODBYES['closing']}"]
    assert beto.rest() == ["BYE closing"]
    assert nobody.rest() == [f"* {GOODBYES['closing']}"]
    with suppress(ConnectionResetError):  # what it sent may not have been read
        assert slow.rest() == []
    for person in (ana, beto, nobody, slow):
        person.close()
    assert server.status() == 0
    assert not any("Traceback" in line for line in server.output)


def test_connections_that_come_and_go_leave_nothing(secure: Serve, pair: Pair) -> None:
    server = secure()
    for n in range(30):
        with TlsClient(server.address, pair[0]) as client:
            if n % 3:
                client.join_plain(f"u{n}")
            if n % 2:
                client.send("exit\n")
    with TlsClient(server.address, pair[0]) as ana:
        ana.join_plain("ana")
