"""The TLS filter over real sockets: order, endings, stalls, KeyUpdates; and its certificates."""

from __future__ import annotations

import errno
import hashlib
import random
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import DEADLINE, ROOT, eventually

from charla.common import tls
from charla.common.certificates import client_context, fingerprint, own_certificate, server_context
from charla.common.tls import TlsSocket, explain

DONTWAIT = socket.MSG_DONTWAIT


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate and its key."""
    return own_certificate(str(tmp_path_factory.mktemp("tls") / "pair"))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for the other side."""
    with ThreadPoolExecutor() as pool:
        yield pool


class Pair:
    """A server's and a client's end, and the raw sockets under them; both block, as in the server."""

    def __init__(self, files: tuple[str, str], buffer: int = 0) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        with listener:
            if buffer:  # before connecting: the window is agreed upon then
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.raw_client = socket.socket()
            if buffer:
                self.raw_client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self.raw_client.connect(listener.getsockname())
            self.raw_server, _ = listener.accept()
        for raw in (self.raw_server, self.raw_client):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.server = TlsSocket(self.raw_server, server_context(*files), server_side=True)
        context = client_context(files[0])
        self.client = TlsSocket(self.raw_client, context, server_side=False, server_hostname="localhost")

    def shake(self) -> Pair:
        """Do the handshake of both."""
        thread = threading.Thread(target=self.server.handshake)
        thread.start()
        self.client.handshake()
        thread.join(DEADLINE)
        return self

    def close(self) -> None:
        self.server.close()
        self.client.close()


@pytest.fixture
def connect_pair(files: tuple[str, str], stack: ExitStack) -> Callable[..., Pair]:
    """Make a pair, without a handshake: `connect_pair(buffer=4096)`."""

    def make(buffer: int = 0) -> Pair:
        pair = Pair(files, buffer)
        stack.callback(pair.close)
        return pair

    return make


@pytest.fixture
def pair(connect_pair: Callable[..., Pair]) -> Pair:
    """Two ends that have shaken hands."""
    return connect_pair().shake()


class Far:
    """A peer whose ciphertext the test carries itself: a client that has shaken hands with `near`."""

    def __init__(self, files: tuple[str, str], first: bytes = b"") -> None:
        raw, self.wire = socket.socketpair()
        self.near = TlsSocket(raw, server_context(*files), server_side=True)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = client_context(files[0]).wrap_bio(self._in, self._out, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            self.ssl.do_handshake()
        self.wire.send(self._out.read())
        assert not self.near.handshake_step()
        assert not self.near.handshake_step()
        self._in.write(self.wire.recv(65536))
        self.ssl.do_handshake()
        self.wire.send(self._out.read() + (self.say(first) if first else b""))
        assert self.near.handshake_step()

    def say(self, text: bytes) -> bytes:
        """Return `text` as ciphertext."""
        self.ssl.write(text)
        return self._out.read()

    def goodbye(self) -> bytes:
        with suppress(ssl.SSLWantReadError):
            self.ssl.unwrap()
        return self._out.read()

    def __enter__(self) -> Far:
        return self

    def __exit__(self, *_: object) -> None:
        self.near.close()
        self.wire.close()


def receive(end: TlsSocket, size: int) -> bytes:
    """Receive `size` bytes of text, on a blocking socket."""
    text = b""
    while len(text) < size:
        more = end.recv(4096)
        assert more != b"", "the end came too early"
        text += more or b""
    return text


def receive_to_end(end: TlsSocket) -> bytes:
    """Receive all that is said before the goodbye."""
    parts = []
    while (text := end.recv(4096)) != b"":
        parts.append(text or b"")
    return b"".join(parts)


def fill(end: TlsSocket) -> bytes:
    """Send until nothing more is taken; return what was."""
    taken = bytearray()
    generator = random.Random(1)
    with suppress(BlockingIOError):
        while True:
            data = generator.randbytes(generator.randrange(1, 40_000))
            taken += data[: end.send(data, DONTWAIT)]
    return bytes(taken)


def wait_writable(end: TlsSocket) -> None:
    poller = select.poll()
    poller.register(end.fileno(), select.POLLOUT)
    assert poller.poll(DEADLINE * 1000), "it never became writable"


# ---- handshake -----------------------------------------------------------------------------------


def test_both_sides_talk_and_know_the_certificate(pair: Pair, files: tuple[str, str]) -> None:
    assert pair.server.send(b"hola") == 4
    assert receive(pair.client, 4) == b"hola"
    assert pair.client.send(b"buenas") == 6
    assert receive(pair.server, 6) == b"buenas"
    assert pair.client.getpeername() == pair.raw_server.getsockname()
    command = ["openssl", "x509", "-in", files[0], "-noout", "-fingerprint", "-sha256"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout
    assert fingerprint(pair.client.peer_certificate()) == "SHA256:" + shown.strip().partition("=")[2]
    assert pair.server.peer_certificate() == b""


def test_the_server_says_nothing_of_its_own(pair: Pair) -> None:
    """No session tickets, which would cost a client that never reads its place."""
    with pytest.raises(BlockingIOError):
        pair.raw_client.recv(1, DONTWAIT)


def test_a_client_that_never_blocks(connect_pair: Callable[..., Pair], pool: ThreadPoolExecutor) -> None:
    pair = connect_pair()

    def serve() -> None:
        pair.server.handshake()
        pair.server.send(b"NICK\n")

    served = pool.submit(serve)
    client = pair.client
    client.setblocking(False)
    poller = select.poll()
    while not client.handshake_step():
        poller.register(client.fileno(), select.POLLIN | (select.POLLOUT if client.pending else 0))
        assert poller.poll(DEADLINE * 1000)
    text: bytes | None = None
    while not text:
        try:
            text = client.recv(65536)  # first, and only then wait
        except BlockingIOError:
            assert poller.poll(DEADLINE * 1000)
    assert text == b"NICK\n"
    served.result(DEADLINE)


def test_words_that_come_with_the_end_of_the_handshake(files: tuple[str, str]) -> None:
    with Far(files, first=b"ana\n") as far:
        assert far.near.recv(4096) == b"ana\n"  # it would hang here: nothing more comes


def test_nothing_is_sent_before_the_handshake(connect_pair: Callable[..., Pair]) -> None:
    pair = connect_pair()
    for end in (pair.server, pair.client):
        with pytest.raises(OSError, match="not done") as caught:
            end.send(b"secret")
        assert caught.value.errno == errno.ENOTCONN
        with pytest.raises(OSError, match="not done"):
            end.recv(100)
    pair.server.shutdown(socket.SHUT_WR)
    assert pair.raw_client.recv(100) == b""


def test_a_handshake_that_is_hung_up_on_ends(
    connect_pair: Callable[..., Pair], pool: ThreadPoolExecutor
) -> None:
    pair = connect_pair()
    ended = pool.submit(pair.server.handshake)
    pair.server.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError, match=r"."):
        ended.result(DEADLINE)


def test_a_peer_that_hangs_up_during_the_handshake(connect_pair: Callable[..., Pair]) -> None:
    pair = connect_pair()
    pair.raw_client.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError) as caught:
        pair.server.handshake()
    assert "hung up" in explain(caught.value, "host")


def test_a_handshake_goes_on_after_a_timeout_of_the_socket(
    connect_pair: Callable[..., Pair], pool: ThreadPoolExecutor
) -> None:
    pair = connect_pair()
    pair.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 1000))
    with pytest.raises(BlockingIOError):
        pair.server.handshake()
    pair.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", 0, 0))
    done = pool.submit(pair.client.handshake)
    pair.server.handshake()
    done.result(DEADLINE)


def test_a_handshake_through_a_full_socket(files: tuple[str, str], pool: ThreadPoolExecutor) -> None:
    raw, far = socket.socketpair()
    with raw, far:
        junk = 0
        with suppress(BlockingIOError):
            while True:
                junk += raw.send(b"j", DONTWAIT)
        server = TlsSocket(raw, server_context(*files), server_side=True)
        client = TlsSocket(far, client_context(files[0]), server_side=False, server_hostname="localhost")
        assert not client.handshake_step()
        done = pool.submit(server.handshake)
        eventually(lambda: server.pending, "an answer that does not fit")
        while junk:
            junk -= len(far.recv(junk))
        client.handshake()
        done.result(DEADLINE)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b"NICK\n", "does not speak TLS: leave out --tls"), (b"HTTP/1.1 400 Bad\r\n", "does not speak TLS")],
)
def test_a_server_of_plain_text(connect_pair: Callable[..., Pair], answer: bytes, words: str) -> None:
    pair = connect_pair()
    pair.raw_server.send(answer)
    with pytest.raises(ssl.SSLError) as caught:
        pair.client.handshake()
    assert explain(caught.value, "mesa") == f"mesa {words}" or words in explain(caught.value, "mesa")


def test_a_client_of_plain_text(connect_pair: Callable[..., Pair]) -> None:
    pair = connect_pair()
    pair.raw_client.send(b"ana\nhola a todos\n")
    with pytest.raises(ssl.SSLError):
        pair.server.handshake()


def test_who_does_not_trust_says_so_to_the_server(files: tuple[str, str], tmp_path: Path) -> None:
    stranger, _ = own_certificate(str(tmp_path / "other"))
    one, other = socket.socketpair()
    with one, other, ThreadPoolExecutor() as pool:
        served = pool.submit(TlsSocket(one, server_context(*files), server_side=True).handshake)
        client = TlsSocket(other, client_context(stranger), server_side=False, server_hostname="localhost")
        with pytest.raises(ssl.SSLCertVerificationError):
            client.handshake()
        other.shutdown(socket.SHUT_WR)
        with pytest.raises(ssl.SSLError, match="ALERT_UNKNOWN_CA"):
            served.result(DEADLINE)


def fail_handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> OSError:
    """Return what the client meets."""
    one, other = socket.socketpair()
    with one, other, ThreadPoolExecutor() as pool:
        served = pool.submit(TlsSocket(one, server, server_side=True).handshake)
        with pytest.raises(OSError, match=r".") as caught:
            TlsSocket(other, client, server_side=False, server_hostname=name).handshake()
        other.shutdown(socket.SHUT_RDWR)
        assert isinstance(served.exception(DEADLINE), OSError)
    return caught.value


def test_why_a_client_does_not_trust(files: tuple[str, str], tmp_path: Path) -> None:
    other_cert, _ = own_certificate(str(tmp_path / "other"))
    error = fail_handshake(server_context(*files), client_context(other_cert))
    assert "mesa is not to be trusted: self" in explain(error, "mesa")
    error = fail_handshake(server_context(*files), client_context(files[0]), "mesa.example")
    assert "not valid for 'mesa.example'" in explain(error, "mesa.example")


def test_the_oldest_version_is_1_3(files: tuple[str, str]) -> None:
    old_server, old_client = server_context(*files), client_context(files[0])
    for old in (old_server, old_client):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    error = fail_handshake(old_server, client_context(files[0]))
    assert explain(error, "mesa") == "mesa speaks no TLS 1.3, which is the oldest we speak"
    error = fail_handshake(server_context(*files), old_client)
    assert explain(error, "mesa") == "mesa speaks no TLS 1.3, which is the oldest we speak"


def test_any_other_failure_is_worded_too() -> None:
    assert explain(OSError(errno.ENETDOWN, "Network is down"), "h").endswith("Network is down")
    assert explain(TimeoutError("too late"), "h").endswith("too late")


def test_without_an_authority_the_caller_decides(files: tuple[str, str]) -> None:
    one, other = socket.socketpair()
    with one, other, ThreadPoolExecutor() as pool:
        served = pool.submit(TlsSocket(one, server_context(*files), server_side=True).handshake)
        client = TlsSocket(other, client_context(None), server_side=False, server_hostname="anything")
        client.handshake()
        served.result(DEADLINE)
        assert client.peer_certificate() == ssl.PEM_cert_to_DER_cert(Path(files[0]).read_text())


# ---- text ----------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(texts=st.lists(st.binary(min_size=1, max_size=3000), max_size=8), cuts=st.lists(st.integers(1, 900)))
def test_records_in_pieces(files: tuple[str, str], texts: list[bytes], cuts: list[int]) -> None:
    with Far(files) as far:
        wire = b"".join(map(far.say, texts)) + far.goodbye()
        got = b""
        while wire:
            size = cuts.pop() if cuts else len(wire)
            far.wire.send(wire[:size])
            wire = wire[size:]
            got += far.near.recv(size) or b""
        assert got == b"".join(texts)
        assert [far.near.recv(9), far.near.recv(9)] == [b"", b""]


def test_part_of_a_record_is_no_text_and_no_end(files: tuple[str, str]) -> None:
    with Far(files) as far:
        wire = far.say(b"hola")
        far.wire.send(wire[:-1])
        assert far.near.recv(4096) is None
        far.wire.send(wire[-1:])
        assert far.near.recv(4096) == b"hola"
        far.near.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.near.recv(4096)


def test_megabytes_in_both_directions_arrive_in_order(connect_pair: Callable[..., Pair]) -> None:
    """The peer is a process of its own with two threads: the failure that is looked for is a signal."""
    pair = connect_pair()
    address = pair.raw_client
    program = f"""
import socket, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(Path(__file__).parent)!r}]
import test_tls
from charla.common import certificates, tls
raw = socket.socket(fileno={address.fileno()})
end = tls.TlsSocket(raw, certificates.client_context(None), server_side=False)
end.handshake()
print(test_tls.talk_both_ways(end, 1, 2))
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, pass_fds=[address.fileno()], stdout=subprocess.PIPE) as peer:
        pair.client.close()
        pair.server.handshake()
        assert talk_both_ways(pair.server, 2, 1)
        assert peer.stdout is not None
        assert peer.stdout.read() == b"True\n"
        assert peer.wait(DEADLINE) == 0


def talk_both_ways(end: TlsSocket, mine: int, theirs: int, size: int = 6_000_000) -> bool:
    """Send one sequence of bytes while receiving another; say whether that was as it should be."""

    def send() -> None:
        data = random.Random(mine).randbytes(size)
        sizes = random.Random(mine)
        while data:
            part = data[: sizes.choice([1, 80, 500, 5000, 50_000, 300_000])]
            try:
                data = data[end.send(part, DONTWAIT) :]
            except BlockingIOError:
                wait_writable(end)
        while end.pending:
            wait_writable(end)
            end.send(b"", DONTWAIT)
        end.shutdown(socket.SHUT_WR)

    with ThreadPoolExecutor() as pool:
        sent = pool.submit(send)
        digest = hashlib.sha256()
        received = 0
        while (text := end.recv(4096)) != b"":
            digest.update(text or b"")
            received += len(text or b"")
        sent.result(DEADLINE)
    return (
        received == size and digest.digest() == hashlib.sha256(random.Random(theirs).randbytes(size)).digest()
    )


# ---- a peer that does not read -------------------------------------------------------------------


def test_a_send_never_waits_and_encrypts_late(
    connect_pair: Callable[..., Pair], pool: ThreadPoolExecutor
) -> None:
    pair = connect_pair(buffer=4096).shake()
    assert not pair.server.pending
    megabyte = random.Random(2).randbytes(1_000_000)
    taken = megabyte[
        : pair.server.send(megabyte, DONTWAIT)
    ]  # on a blocking socket: one that waits hangs here
    assert len(taken) < len(megabyte)
    taken += fill(pair.server)
    assert pair.server.pending
    waiting = len(pair.server._unsent) + pair.server._outgoing.pending
    assert 0 < waiting <= tls.AHEAD + 200
    assert pair.server.send(b"", DONTWAIT) == 0
    received = pool.submit(receive, pair.client, len(taken) + 1)
    while pair.server.pending:
        wait_writable(pair.server)
        pair.server.send(b"", DONTWAIT)
    pair.server.send(b"!", DONTWAIT)
    assert received.result(DEADLINE) == taken + b"!"


def test_goodbye_goes_behind_what_waits(connect_pair: Callable[..., Pair], pool: ThreadPoolExecutor) -> None:
    pair = connect_pair(buffer=4096).shake()
    taken = fill(pair.server)
    pair.server.shutdown(socket.SHUT_WR)
    assert pair.server.pending
    received = pool.submit(receive_to_end, pair.client)
    while pair.server.pending:
        wait_writable(pair.server)
        pair.server.send(b"", DONTWAIT)
    assert received.result(DEADLINE) == taken
    assert pair.raw_client.recv(1) == b""  # and the end of the stream


def test_hanging_up_does_not_wait_for_what_waits(connect_pair: Callable[..., Pair]) -> None:
    pair = connect_pair(buffer=4096).shake()
    fill(pair.server)
    pair.server.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ssl.SSLEOFError):
        pair.server.recv(100)
    with pytest.raises(ssl.SSLEOFError):
        receive_to_end(pair.client)


# ---- endings -------------------------------------------------------------------------------------


def test_a_goodbye_with_the_last_words_comes_after_them(files: tuple[str, str]) -> None:
    with Far(files) as far:
        far.wire.send(far.say(b"adios") + far.goodbye())
        assert far.near.recv(4096) == b"adios"
        assert far.near.recv(4096) == b""
        assert far.near.send(b"y tu") == 4  # half of it is open still
        far.near.shutdown(socket.SHUT_WR)
        assert far.wire.recv(4096)
        assert far.wire.recv(4096) == b""


def test_who_said_goodbye_still_hears(pair: Pair) -> None:
    pair.client.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError, match=r"."):
        pair.client.send(b"more")
    assert pair.server.recv(100) == b""
    pair.server.send(b"one")
    pair.server.send(b"two")
    pair.server.shutdown(socket.SHUT_WR)
    assert receive_to_end(pair.client) == b"onetwo"


@pytest.mark.parametrize("cut", [0, 1, 7])
def test_an_end_without_goodbye_is_a_dropped_line(files: tuple[str, str], cut: int) -> None:
    with Far(files) as far:
        far.wire.send(far.say(b"hola") + far.say(b"cortado")[:cut])
        far.wire.shutdown(socket.SHUT_WR)
        assert far.near.recv(4096) == b"hola"
        for _ in range(2):
            with pytest.raises(ssl.SSLEOFError):
                far.near.recv(4096)


def test_a_record_that_was_changed_breaks_the_connection_behind_what_was_good(files: tuple[str, str]) -> None:
    with Far(files) as far:
        wire = far.say(b"hola") + far.say(b"adios")
        far.wire.send(wire[:-1] + bytes([wire[-1] ^ 1]))
        assert far.near.recv(4096) == b"hola"
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match="MAC"):
                far.near.recv(4096)
        far._in.write(far.wire.recv(4096))
        with pytest.raises(ssl.SSLError, match="ALERT"):  # it was told
            far.ssl.read()


def test_a_peer_that_is_gone_is_an_error_to_the_sender(pair: Pair) -> None:
    linger = struct.pack("ii", 1, 0)
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    pair.client.close()
    with pytest.raises(ConnectionError):  # a reset
        fill(pair.server)


# ---- KeyUpdate -----------------------------------------------------------------------------------


class Program:
    """`openssl s_client`, which sends a KeyUpdate for a line "K" (one that asks for an answer) or "k".

    It must read each of these alone: `step` waits until it has come.  The test is between the two, so that it
    can keep back what the server's end says.
    """

    def __init__(self, files: tuple[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", files[0], "-brief"]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0
            )
            self.raw, _ = listener.accept()

    def step(self, line: bytes, end: TlsSocket) -> bytes | None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        return end.recv(4096)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)


def test_key_updates_while_both_sides_talk(files: tuple[str, str], pool: ThreadPoolExecutor) -> None:
    with Program(files) as program:
        end = TlsSocket(program.raw, server_context(*files), server_side=True)
        end.handshake()
        steps, burst = 1000, 20
        turns = threading.Semaphore(0)  # the program does not look at its input while there is any output

        def talk() -> None:
            for number in range(steps * burst):
                if number % burst == 0:
                    assert turns.acquire(timeout=DEADLINE)
                assert end.send(b"line %07d\n" % number, DONTWAIT) == 13

        def read_all() -> bytes:
            assert program.process.stdout is not None
            return b"".join(iter(lambda: program.process.stdout.read(65536), b""))  # type: ignore[union-attr]

        output, talked = pool.submit(read_all), pool.submit(talk)
        for number in range(steps):
            turns.release()
            line = [b"K\n", b"k\n", b"hola %d\n" % number][number % 3]
            assert program.step(line, end) == (line if number % 3 == 2 else None)
        talked.result(DEADLINE)
        end.shutdown(socket.SHUT_WR)
        assert end.recv(4096) == b""
        assert output.result(DEADLINE) == b"".join(b"line %07d\n" % n for n in range(steps * burst))
        assert program.process.wait(DEADLINE) == 0


def test_answers_that_are_never_read_are_bounded(files: tuple[str, str], pool: ThreadPoolExecutor) -> None:
    near, far = socket.socketpair()
    with near, far, Program(files) as program:
        end = TlsSocket(near, server_context(*files), server_side=True)

        def carry() -> None:
            with suppress(ConnectionResetError):  # there is much that the program has not read
                while data := program.raw.recv(4096):
                    far.sendall(data)

        carried = pool.submit(carry)
        done = pool.submit(end.handshake)
        program.raw.sendall(far.recv(65536))  # its part of the handshake, and nothing that it says later
        done.result(DEADLINE)
        largest = 0

        def flood() -> None:
            nonlocal largest
            for _ in range(100_000):
                assert program.step(b"K\n", end) is None
                largest = max(largest, len(end._unsent))

        with pytest.raises(OSError, match="more TLS answers than it reads") as caught:
            flood()
        assert caught.value.errno == errno.ENOBUFS
        assert tls.CIPHERTEXT_LIMIT - 1000 < largest <= tls.CIPHERTEXT_LIMIT
        with pytest.raises(OSError, match="more TLS answers than it reads"):
            end.recv(4096)
        program.raw.shutdown(socket.SHUT_RDWR)
        carried.result(DEADLINE)
