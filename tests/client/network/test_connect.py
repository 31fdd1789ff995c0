"""The way to a server, for the first time and again: the password, TLS, and who is not talked to."""

from __future__ import annotations

import re
import select
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE
from support.headless import Person, Start, back, said
from support.scripted import AT, FakeServer, Seat, fingerprint_of, make_pair

from charla.client.network import connect as route
from charla.client.network import link, session
from charla.client.network.connect import NoConnection
from charla.client.network.events import Arrival, Ended, Ending
from charla.client.network.link import Connector, Link
from charla.client.network.trust import Authority, Distrusted, FirstUse, KnownHosts, Pinned, Trust
from charla.common import certificates
from charla.common.certificates import TlsError
from charla.common.passwords import Password
from charla.common.tls import TlsSocket
from charla.protocol.commands import Mod, Say
from charla.protocol.greeting import turn_away
from charla.protocol.messages import Goodbye, Message, Refusal, Token, Welcome, WhoPage
from charla.protocol.native import NATIVE
from charla.protocol.text import Refused

Pair = tuple[str, str]

SECRET = Password("sésamo abre")


@pytest.fixture
def start(stack: ExitStack) -> Start:
    """Return what starts networks."""
    return Start(stack)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return a certificate, and its key."""
    return make_pair(tmp_path_factory.mktemp("tls") / "pair")


@pytest.fixture(scope="module")
def other_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return another certificate for the same machine."""
    return make_pair(tmp_path_factory.mktemp("tls") / "other")


@pytest.fixture
def secure(stack: ExitStack, pair: Pair) -> FakeServer:
    """Return a server that speaks TLS."""
    server = FakeServer(pair)
    stack.callback(server.close)
    return server


def opposite(server: FakeServer, does: Callable[[Seat], None], call: Callable[[], Any]) -> Seat:
    """Let the server take the next connection and do its part, while `call` does the client's."""
    seats: list[Seat] = []

    def serve() -> None:
        seats.append(server.accept())
        does(seats[0])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        call()
    finally:
        thread.join()
    return seats[0]


def opening(token: str = "tok") -> list[Message]:
    return [Welcome(1, AT, "ana", 1), Token(token, 60), WhoPage(0, 1, 1, 1, ("ana",))]


# --------------------------------------------------------------------------------------------------
# The password
# --------------------------------------------------------------------------------------------------


def seated(start: Start, stack: ExitStack, server: FakeServer, **options: Any) -> tuple[Person, Seat]:
    """Let ana in, who knows the password, and start her."""
    ana = start.person(server, **options)

    def serve(seat: Seat) -> None:
        seat.ask_password(SECRET.reveal())
        seat.let_in(token="tok")

    def join() -> None:
        ana.network.connect()
        assert ana.network.asks_password
        ana.network.give_password(SECRET)
        assert not ana.network.asks_password
        assert ana.network.join() == opening()

    seat = stack.enter_context(opposite(server, serve, join))
    ana.network.start()
    return ana, seat


def test_the_password_is_given_before_the_nick_and_again_at_each_reconnect(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana, seat = seated(start, stack, fake)
    for _ in range(2):
        seat.close()
        seat = start.accept(fake)
        seat.ask_password(SECRET.reveal())
        seat.resume(1)
        ana.ear.expect(back())
    assert "abre" not in repr(vars(ana.network)) + repr(vars(ana.route))


def test_after_a_wrong_password_another_one_can_be_given(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start.person(fake)

    def give() -> None:
        ana.network.connect()
        for wrong in ("uno", "dos"):
            with pytest.raises(Refused, match="wrong-password"):
                ana.network.give_password(Password(wrong))
            assert ana.network.asks_password
            assert ana.network.password is None
        ana.network.give_password(SECRET)
        assert ana.network.password is SECRET

    def serve(seat: Seat) -> None:
        seat.ask_password("uno", "dos", SECRET.reveal())
        seat.send("NICK\n")

    stack.enter_context(opposite(fake, serve, give))


def test_one_wrong_password_too_many_is_the_end(fake: FakeServer, start: Start) -> None:
    ana = start.person(fake)

    def give() -> None:
        ana.network.connect()
        with pytest.raises(Refused, match="too-many-passwords"):
            ana.network.give_password(SECRET)

    def serve(seat: Seat) -> None:
        seat.ask_password(SECRET.reveal())
        seat.send(turn_away("too-many-passwords"))
        seat.close()

    opposite(fake, serve, give)


@pytest.mark.parametrize("last_words", [b"", b"* You were dropped: no nickname came in time.\n"])
def test_a_server_that_hangs_up_instead_of_judging_has_not_said_that_it_is_wrong(
    fake: FakeServer, start: Start, stack: ExitStack, last_words: bytes
) -> None:
    ana = start.person(fake)

    def give() -> None:
        ana.network.connect()
        with pytest.raises(OSError, match=r"^$"):
            ana.network.give_password(SECRET)
        assert ana.network.password is SECRET

    def serve(seat: Seat) -> None:
        seat.ask_password(SECRET.reveal())
        seat.send(last_words)
        seat.close()

    opposite(fake, serve, give)

    def again() -> None:
        ana.network.connect()
        ana.network.give_password(SECRET)

    def serve_again(seat: Seat) -> None:
        seat.ask_password(SECRET.reveal())
        seat.send("NICK\n")

    stack.enter_context(opposite(fake, serve_again, again))


def test_a_password_that_was_changed_meanwhile_is_the_end(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana, seat = seated(start, stack, fake)
    seat.close()
    seat = start.accept(fake)
    seat.ask_password(SECRET.reveal())
    seat.send(turn_away("wrong-password"))
    seat.send("PASSWORD\n")
    ana.ear.expect(Ended(Ending.REFUSED, "password-changed"))


def test_a_server_that_asks_for_a_password_since_it_was_restarted_is_the_end(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start(fake)
    seat.close()
    start.accept(fake).send("PASSWORD\n")
    ana.ear.expect(Ended(Ending.REFUSED, "password-changed"))


def test_who_is_held_off_for_others_guesses_tries_again_with_the_same_password(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana, seat = seated(start, stack, fake)
    seat.close()
    for number in range(2):
        with fake.accept() as seat:
            seat.ask_password(SECRET.reveal())
            seat.send(turn_away("too-many-guesses", "0"))
        if not number:
            ana.ear.expect(("down", "too-many-guesses 0"))  # once
    seat = start.accept(fake)
    seat.ask_password(SECRET.reveal())
    seat.resume(1)
    ana.ear.expect(back())


def test_a_server_that_hangs_up_behind_a_wrong_password_has_said_that_it_is_wrong(
    fake: FakeServer, start: Start
) -> None:
    ana = start.person(fake)

    def give() -> None:
        ana.network.connect()
        with pytest.raises(Refused, match="wrong-password"):
            ana.network.give_password(SECRET)
        assert ana.network.password is None

    def serve(seat: Seat) -> None:
        seat.ask_password(SECRET.reveal())
        seat.send(turn_away("wrong-password"))
        seat.close()

    opposite(fake, serve, give)


@pytest.mark.parametrize("line", [b"* A notice.", b"nothing of the protocol"], ids=["greeting", "opening"])
def test_a_server_that_goes_on_talking_has_a_deadline_all_the_same(
    monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(Link, "receive", lambda link: link.lines.append(line))
    monkeypatch.setattr(Connector, "wait", lambda _self, _deadline: selectors.EVENT_READ)
    connector = Connector(lambda _now: None)
    here, there = socket.socketpair()
    with here, there:
        connector.link = Link(here)
        read = connector.read_greeting if line.startswith(b"*") else connector.next_message
        with pytest.raises(TimeoutError):
            read(time.monotonic() + 0.05)
        connector.link = None
        connector.close()


def test_what_the_socket_does_not_take_at_once_goes_while_the_answer_is_waited_for() -> None:
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    connector = Connector(lambda _now: None)
    with there, ThreadPoolExecutor(1) as thread:
        connector.link = Link(here)
        connector._selector.register(here, selectors.EVENT_READ)
        connector.link.outgoing += b"x" * 1_000_000 + b"\n"
        connector.link.flush()
        assert connector.link.outgoing

        def answer() -> None:
            there.settimeout(DEADLINE)
            while not there.recv(65536).endswith(b"\n"):
                pass
            there.sendall(b"NICK\n")

        answered = thread.submit(answer)
        connector.read_greeting(time.monotonic() + DEADLINE)
        answered.result()
        connector.close()


# --------------------------------------------------------------------------------------------------
# In the clear
# --------------------------------------------------------------------------------------------------


class FarAway:
    """A socket whose other end is at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def setblocking(self, flag: bool) -> None:
        pass

    def getpeername(self) -> tuple[str, int]:
        return self._address, 9000


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.20", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
        ("8.8.8.8", False),
        ("", False),
    ],
)
def test_only_what_stays_on_this_machine_is_private_without_tls(address: str, private: bool) -> None:
    connector = Connector(lambda _now: None)
    connector.link = Link(FarAway(address))  # type: ignore[arg-type]
    try:
        assert connector.is_loopback() == private
    finally:
        connector.link = None
        connector.close()


def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connector, "is_loopback", lambda _self: False)
    ana = start.person(fake, password=SECRET)

    def connect() -> None:
        with pytest.raises(Refused, match="password-in-clear"):
            ana.network.connect()
        ana.network.close()

    assert opposite(fake, lambda seat: seat.send("PASSWORD\n"), connect).rest() == []


def test_at_a_reconnect_neither(
    fake: FakeServer, start: Start, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, seat = seated(start, stack, fake)
    monkeypatch.setattr(Connector, "is_loopback", lambda _self: False)
    seat.close()
    seat = start.accept(fake)
    seat.send("PASSWORD\n")
    ana.ear.expect(Ended(Ending.REFUSED, "password-in-clear"))
    assert seat.rest() == []


def test_who_is_told_to_be_insecure_sends_it(
    fake: FakeServer, start: Start, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connector, "is_loopback", lambda _self: False)
    ana, seat = seated(start, stack, fake, insecure=True)
    ana.say(lambda tag: Mod("uno", tag), "/mod")
    assert seat.command() == Mod("uno", 1)


def test_the_moderators_password_is_not_sent_in_the_clear_either_whenever_that_would_be(
    fake: FakeServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, seat = start(fake)
    ana.say(lambda tag: Mod("uno", tag), "/mod")
    assert seat.command() == Mod("uno", 1)
    monkeypatch.setattr(Connector, "is_loopback", lambda _self: False)
    seat.close()
    seat = start.accept(fake)
    seat.resume(1)
    ana.ear.expect(back(), Arrival(Refusal(1, "password-in-clear"), "/mod"))
    ana.says("hola")
    assert seat.command() == Say("hola", 2)


# --------------------------------------------------------------------------------------------------
# TLS
# --------------------------------------------------------------------------------------------------


def secured(
    start: Start, stack: ExitStack, server: FakeServer, trust: Trust, **options: Any
) -> tuple[Person, Seat]:
    """Let ana in by TLS, and start her."""
    ana = start.person(server, trust=trust, **options)

    def join() -> None:
        ana.network.connect()
        assert ana.network.join() == opening()

    seat = stack.enter_context(opposite(server, lambda seat: seat.let_in(token="tok"), join))
    ana.network.start()
    return ana, seat


def pinned(pair: Pair) -> Trust:
    return Pinned("the server", fingerprint_of(pair))


@pytest.mark.parametrize("how", ["fingerprint", "authority", "first use"])
def test_everything_goes_through_tls_and_a_lost_link_is_got_back(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack, tmp_path: Path, how: str
) -> None:
    trust: Trust = pinned(pair)
    if how == "authority":
        trust = Authority(pair[0])
    elif how == "first use":
        trust = FirstUse("127.0.0.1", int(secure.port), KnownHosts(tmp_path / "known_hosts"))
    ana, seat = secured(start, stack, secure, trust)
    assert isinstance(seat.sock, ssl.SSLSocket)
    assert seat.sock.version() == "TLSv1.3"
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    seat.tell(said(2, "uno", 1))
    ana.ear.expect(Arrival(said(2, "uno", 1), "uno"))
    seat.close()  # without a goodbye of TLS
    seat = start.accept(secure)
    seat.resume(2, said(3, "dos"))
    ana.ear.expect(Arrival(said(3, "dos")), back(missed=1))
    ana.network.leave()
    assert seat.line() == "BYE"
    seat.tell(Goodbye("left"))
    ana.ear.expect(Ended(Ending.GOODBYE, "left"))
    assert seat.rest() == [], "the end of the stream came without a goodbye of TLS"


def test_much_goes_through_tls_in_both_directions_at_once(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack
) -> None:
    ana, seat = secured(start, stack, secure, pinned(pair))
    texts = [f"{number} " + "x" * 4000 for number in range(1000)]  # 4 MB: more than the kernel takes
    ana.says(*texts)
    for tag, text in enumerate(texts, 1):
        assert seat.command() == Say(text, tag)
        seat.tell(said(tag + 1, text, tag))
    for tag, text in enumerate(texts, 1):
        ana.ear.expect(Arrival(said(tag + 1, text, tag), text))
    assert ana.network.outbox.unsent() == []


class Hasty(TlsSocket):
    """One that receives the server's first words with the last ones of its handshake."""

    spoken = threading.Event()  # the server has said its first words

    def handshake_step(self) -> bool:
        done = super().handshake_step()
        if done:
            assert self.spoken.wait(DEADLINE)
            assert select.select([self], [], [], DEADLINE)[0]
            self._incoming.write(self._sock.recv(65536))
            self._early += self._decrypt()
        return done


def test_what_comes_together_with_the_handshake_is_not_overlooked(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "TlsSocket", Hasty)
    ana = start.person(secure, trust=pinned(pair))

    def serve(seat: Seat) -> None:
        seat.send("NICK\n")
        Hasty.spoken.set()

    stack.enter_context(opposite(secure, serve, ana.network.connect))


def test_a_link_has_something_to_send_until_the_last_of_it_is_on_its_way(
    pair: Pair, stack: ExitStack
) -> None:
    here, there = socket.socketpair()
    stack.enter_context(here)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    context = certificates.server_context(*pair)

    def serve() -> ssl.SSLSocket:
        return context.wrap_socket(there, server_side=True)

    with ThreadPoolExecutor(1) as thread:
        peer = thread.submit(serve)
        sock = TlsSocket(here, certificates.client_context(None), server_side=False)
        sock.handshake()
        seat = stack.enter_context(peer.result())
    line = Link(sock)
    sent = 0
    while not line.wants_to_send:
        line.outgoing += NATIVE.encode_command(Say("x" * 4000, sent + 1))
        line.flush()
        sent += 1
    assert not line.outgoing, "only what is encrypted waits"
    seat.settimeout(DEADLINE)
    expected, received = sent * len(b"SAY 1 " + b"x" * 4000 + b"\n"), b""
    assert sent < 10, "the tags had more digits"
    while len(received) < expected:
        line.flush()
        received += seat.recv(65536)
    assert not line.wants_to_send


def test_nothing_is_said_to_a_server_that_is_not_trusted(
    secure: FakeServer, other_pair: Pair, start: Start
) -> None:
    ana = start.person(secure, trust=pinned(other_pair), password=SECRET)

    def connect() -> None:
        with pytest.raises(Distrusted, match="DOES NOT HAVE THE CERTIFICATE"):
            ana.network.connect()
        ana.network.close()

    assert opposite(secure, lambda _seat: None, connect).rest() == []


def test_an_authority_that_does_not_vouch_for_the_server_is_told(
    secure: FakeServer, other_pair: Pair, start: Start
) -> None:
    ana = start.person(secure, trust=Authority(other_pair[0]))

    def accept() -> None:
        with pytest.raises(ssl.SSLError):
            secure.accept()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with pytest.raises(Distrusted, match=r"the certificate of 127\.0\.0\.1 is not to be trusted"):
            ana.network.connect()
        assert not ana.network.tells_secrets()
        ana.network.close()
    finally:
        thread.join()


def test_the_name_of_the_host_is_checked_too(secure: FakeServer, pair: Pair, start: Start) -> None:
    ana = start.person(secure, trust=Authority(pair[0]), host="127.0.0.2")  # the certificate has 127.0.0.1

    def accept() -> None:
        with pytest.raises(ssl.SSLError):
            secure.accept()

    secure.close()
    secure.listen("127.0.0.2")
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with pytest.raises(Distrusted, match=r"not valid for '127\.0\.0\.2'"):
            ana.network.connect()
        ana.network.close()
    finally:
        thread.join()


def test_authorities_that_cannot_be_read_are_told_at_once(fake: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(TlsError, match="cannot be read"):
        Person(fake, trust=Authority(str(tmp_path / "none.pem")))


@pytest.mark.parametrize("kind", ["pinned", "first use"])
def test_a_certificate_that_changes_while_the_link_is_down_is_the_end(
    secure: FakeServer,
    pair: Pair,
    other_pair: Pair,
    start: Start,
    stack: ExitStack,
    tmp_path: Path,
    kind: str,
) -> None:
    known_hosts = tmp_path / "known_hosts"
    first_use = FirstUse("127.0.0.1", int(secure.port), KnownHosts(known_hosts))
    ana, seat = secured(start, stack, secure, pinned(pair) if kind == "pinned" else first_use)
    ana.says("uno")
    assert seat.command() == Say("uno", 1)
    secure.pair = other_pair
    if kind == "first use":
        known_hosts.unlink()  # who has the user's files does not get at a session that goes on
    seat.close()
    seat = start.accept(secure)
    ended = ana.ear.next()
    assert isinstance(ended, Ended)
    assert ended.how is Ending.UNTRUSTED
    assert ended.arguments[0].startswith("WARNING")
    assert fingerprint_of(other_pair) in "\n".join(ended.arguments)
    assert seat.rest() == []
    assert ana.network.outbox.unsent() == ["uno"]


def trusts(kind: str, fake: FakeServer, pair: Pair, folder: Path) -> Trust:
    """Return one of the ways to trust a server; of the first use without memory, or with that certificate."""
    if kind == "pinned":
        return pinned(pair)
    if kind == "authority":
        return Authority(pair[0])
    if kind == "remembered":
        FirstUse("127.0.0.1", int(fake.port), KnownHosts(folder / "known_hosts")).judge(fingerprint_of(pair))
    return FirstUse("127.0.0.1", int(fake.port), KnownHosts(folder / "known_hosts"))


def refused_in_plain(fake: FakeServer, start: Start, trust: Trust, answer: bytes) -> Exception:
    """Return what a person meets whom a server answers without TLS."""
    ana = start.person(fake, trust=trust, password=SECRET)

    def serve(seat: Seat) -> None:
        seat.send(answer)
        seat.sock.recv(1)
        seat.sock.shutdown(socket.SHUT_WR)

    met: list[Exception] = []

    def connect() -> None:
        with pytest.raises((NoConnection, Distrusted)) as error:
            ana.network.connect()
        met.append(error.value)
        ana.network.close()

    opposite(fake, serve, connect).close()
    return met[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"NICK\n", "127.0.0.1 does not speak TLS: leave out --tls"),
        (b"", "127.0.0.1 hung up during the TLS handshake: it .* or speak no TLS .then leave out --tls."),
    ],
)
def test_a_server_without_tls_is_told_in_a_sentence(
    fake: FakeServer, pair: Pair, start: Start, tmp_path: Path, answer: bytes, words: str
) -> None:
    error = refused_in_plain(fake, start, trusts("first use", fake, pair, tmp_path), answer)
    assert isinstance(error, NoConnection)
    assert re.match(f"No secure connection: {words}", str(error))


@pytest.mark.parametrize("kind", ["pinned", "authority", "remembered"])
@pytest.mark.parametrize("answer", [b"NICK\n", b"PASSWORD\n", b""], ids=repr)
def test_who_knows_that_a_server_speaks_tls_is_not_told_to_do_without(
    fake: FakeServer, pair: Pair, start: Start, tmp_path: Path, kind: str, answer: bytes
) -> None:
    error = refused_in_plain(fake, start, trusts(kind, fake, pair, tmp_path), answer)
    assert "leave out" not in str(error)
    if answer:
        assert isinstance(error, Distrusted)
        assert "DOES NOT SPEAK TLS, AND IT SHOULD" in str(error)
    else:  # who is turned away for its address sees that, too
        assert isinstance(error, NoConnection)


def test_a_server_that_speaks_no_tls_any_more_when_the_link_is_got_back_is_the_end(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack
) -> None:
    ana, seat = secured(start, stack, secure, pinned(pair), password=SECRET)
    secure.pair = None
    seat.close()
    seat = start.accept(secure)
    seat.send("PASSWORD\n")
    ended = ana.ear.next()
    assert isinstance(ended, Ended)
    assert ended.how is Ending.UNTRUSTED
    assert "DOES NOT SPEAK TLS" in ended.arguments[0]


@pytest.mark.parametrize("kind", ["first use", "remembered"])
def test_a_server_that_does_not_answer_in_tls_has_a_deadline(
    fake: FakeServer, pair: Pair, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(route, "CONNECT_TIME", 0.1)
    ana = start.person(fake, trust=trusts(kind, fake, pair, tmp_path))
    with pytest.raises(NoConnection, match="does not answer in TLS") as error:
        ana.network.connect()
    assert ("leave out --tls" in str(error.value)) == (kind == "first use")
    start.accept(fake)


@pytest.mark.parametrize("then", [b"SSH-2.0-OpenSSH_9.6\n", b""], ids=["another", "nothing"])
def test_a_certificate_that_is_remembered_has_been_shown_whatever_comes_then(
    secure: FakeServer, pair: Pair, start: Start, tmp_path: Path, then: bytes
) -> None:
    ana = start.person(secure, trust=trusts("first use", secure, pair, tmp_path))
    told: list[str] = []

    def serve(seat: Seat) -> None:
        seat.send(then)
        seat.close()

    def connect() -> None:
        with pytest.raises(NoConnection):
            ana.network.connect(told.extend)

    opposite(secure, serve, connect)
    assert fingerprint_of(pair) in (tmp_path / "known_hosts").read_text()
    assert fingerprint_of(pair) in "\n".join(told)


def test_a_server_that_speaks_tls_only_is_told_too(fake: FakeServer, start: Start, stack: ExitStack) -> None:
    ana = start.person(fake)

    def connect() -> None:
        with pytest.raises(Refused, match="tls-needed"):
            ana.network.connect()

    stack.enter_context(opposite(fake, lambda seat: seat.send(turn_away("tls-needed")), connect))


def test_a_handshake_that_stalls_at_a_reconnect_is_another_failed_attempt(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, seat = secured(start, stack, secure, pinned(pair))
    monkeypatch.setattr(session, "HANDSHAKE_TIME", 0.2)
    secure.pair = None
    seat.close()
    start.accept(secure)  # says nothing
    stalled = start.accept(secure)
    monkeypatch.setattr(session, "HANDSHAKE_TIME", DEADLINE)
    secure.pair = pair
    ana.ear.expect(("down", ""))
    stalled.close()
    start.accept(secure).resume(1)
    ana.ear.expect(back())


def test_the_end_does_not_wait_for_a_handshake(
    secure: FakeServer, pair: Pair, start: Start, stack: ExitStack
) -> None:
    ana, seat = secured(start, stack, secure, pinned(pair))
    secure.pair = None
    seat.close()
    seat = start.accept(secure)
    assert seat.sock.recv(1) == b"\x16", "no TLS"
    ana.network.end()
    ana.ear.expect(Ended(Ending.CLOSED))
    assert ana.network.wait_ended(DEADLINE)
