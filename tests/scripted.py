"""A server in the hands of a test: it does line by line what that says, what the real one never does too."""

from __future__ import annotations

import socket
import struct

from support import DEADLINE, LineClient

from messages import NEW_SESSION, Command, Event, Hello, Here, Live, Message, Resumed, Token, Welcome
from protocol import NATIVE

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

    def let_in(self, nick: str = "ana", welcome: str = "", token: str = "") -> None:
        """Greet the client, and give it the seat it asks for; with a `token` it outlives the connection."""
        self.send("NICK\n")
        hello = self.command()
        assert isinstance(hello, Hello)
        assert (hello.nick, hello.session) == (nick, NEW_SESSION)
        session = [Token(token, 60)] if token else []
        self.tell(Welcome(1, AT, nick, 1, welcome), *session, Here(0, 1, 1, 1, (nick,)))

    def resume(self, last: int, *missed: Event, lost: int = 0, nick: str = "ana", token: str = "tok") -> None:
        """Greet a client that has every event up to `last`, and give it its seat again."""
        self.send("NICK\n")
        assert self.command() == Hello(nick, token, last)
        newest = max([last, *(event.id for event in missed)])
        self.tell(Resumed(nick, 1, lost), *missed, Live(newest))

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


class FakeServer:
    """Listens on a free port; what it says is up to the test."""

    def __init__(self) -> None:
        self.port = "0"
        self.listen()
        self.port = str(self._listener.getsockname()[1])

    def listen(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._listener = socket.create_server(("127.0.0.1", int(self.port)))
        self._listener.settimeout(DEADLINE)

    def accept(self) -> Seat:
        """Return the server's end of the next connection."""
        return Seat(self._listener.accept()[0])

    def close(self) -> None:
        """Stop listening: who connects is refused."""
        self._listener.close()
