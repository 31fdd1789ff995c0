"""A server in the hands of a test: it does line by line what that says, what the real one never does too."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
from pathlib import Path

import pytest

from charla.common import tls
from charla.protocol.commands import NEW_SESSION, Command, Hello
from charla.protocol.greeting import turn_away
from charla.protocol.messages import CaughtUp, Event, Message, Resumed, Token, Welcome, WhoPage
from charla.protocol.native import NATIVE
from support import DEADLINE, LineClient

AT = 1_700_000_000_000  # 14 November 2023, 22:13:20 UTC


class Seat(LineClient):
    """The server's end of one connection, in the hands of a test."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(DEADLINE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is told is under way at once
        self._received = b""

    def tell(self, *messages: Message) -> None:
        """Send messages, tags included."""
        self.send(b"".join(NATIVE.encode(message, own=True) for message in messages))

    def command(self) -> Command | None:
        """Return the next command of the client."""
        return NATIVE.decode_command(self.line())

    def ask_password(self, *passwords: str) -> None:
        """Ask for the password until the last of `passwords` comes; expect each of them."""
        for number, password in enumerate(passwords):
            if number:
                self.send(turn_away("wrong-password"))
            self.send("PASSWORD\n")
            self.expect(password)

    def let_in(self, nick: str = "ana", welcome: str = "", token: str = "") -> None:
        """Greet the client, and give it the seat it asks for; with a `token` it outlives the connection."""
        self.send("NICK\n")
        hello = self.command()
        assert isinstance(hello, Hello)
        assert (hello.nick, hello.session) == (nick, NEW_SESSION)
        session = [Token(token, 60)] if token else []
        self.tell(Welcome(1, AT, nick, 1, welcome), *session, WhoPage(0, 1, 1, 1, (nick,)))

    def resume(self, last: int, *missed: Event, lost: int = 0, nick: str = "ana", token: str = "tok") -> None:
        """Greet a client that has every event up to `last`, and give it its seat again."""
        self.send("NICK\n")
        assert self.command() == Hello(nick, token, last)
        newest = max([last, *(event.id for event in missed)])
        self.tell(Resumed(nick, 1, lost), *missed, CaughtUp(newest))

    def silent(self) -> None:
        """Fail if the client sends anything."""
        self.sock.settimeout(0.1)  # too short may only miss a fault, not find one
        try:
            line = self.line()
        except TimeoutError:
            self.sock.settimeout(DEADLINE)
            return
        raise AssertionError(f"the client sent {line!r}")

    def reset(self) -> None:
        """Break the connection, as a machine that was switched off and on does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def make_pair(folder: Path) -> tuple[str, str]:
    """Return a certificate for this machine, and its key, made in a new `folder`; skips without openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl program to make a certificate with")
    return tls.own_certificate(str(folder))


def fingerprint_of(pair: tuple[str, str]) -> str:
    """Return the fingerprint of a certificate."""
    return tls.fingerprint(ssl.PEM_cert_to_DER_cert(Path(pair[0]).read_text()))


class FakeServer:
    """Listens on a free port, with TLS if it has a `pair`; what it says is up to the test."""

    def __init__(self, pair: tuple[str, str] | None = None) -> None:
        self.port = "0"
        self.pair = pair
        self.listen()
        self.port = str(self._listener.getsockname()[1])

    def listen(self, address: str = "127.0.0.1") -> None:
        """Listen, on the same port as before if there was one."""
        self._listener = socket.create_server((address, int(self.port)))
        self._listener.settimeout(DEADLINE)

    def accept(self) -> Seat:
        """Return the server's end of the next connection, its TLS handshake done."""
        sock = self._listener.accept()[0]
        if self.pair is None:
            return Seat(sock)
        sock.settimeout(DEADLINE)
        context = tls.server_context(*self.pair)
        context.num_tickets = 2  # as most servers have it: they come behind the handshake, and are no text
        # One thread alone uses it: then an SSLSocket will do.  It says when TLS ends without a goodbye.
        return Seat(context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False))

    def close(self) -> None:
        """Stop listening: who connects is refused."""
        self._listener.close()
