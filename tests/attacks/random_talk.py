"""An hour's worth of random text over TLS, both ways at once: every byte is compared.

    {"port": 9000, "ca": "server.crt", "kind": "project", "number": 0, "lines": 180000, "people": 4}

What one person's client sees in an hour in a brisk room, 100 people who say two lines a second each, is
720,000 lines.  Four people say these in equal parts, as fast as it goes: texts of 1 to LONGEST bytes, short
ones more often than long ones (the logarithm is spread evenly).  Each of them gets all the lines, its own
as well, and compares them with what they must be.  Nobody is ahead of anybody by more than WINDOW lines.

Each of the four is another kind of client, and a process of its own:

    project    the project's TlsSocket, with one thread that sends and one that receives
    ssl        Python's ssl.SSLSocket, with one thread
    openssl    `openssl s_client`
    ncat       `ncat --ssl` (where there is none: another s_client)
"""

from __future__ import annotations

import contextlib
import math
import random
import select
import shutil
import signal
import socket
import ssl
import string
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

from attacks.processes import Attacker, Victim, options, say
from attacks.targets import Effort, Verdict, mebibytes
from attacks.wire import HOST, PATIENCE, hello
from charla.common.certificates import client_context
from charla.common.tls import TlsSocket

KINDS = ("project", "ssl", "openssl", "ncat")

WINDOW = 40
"""Lines by which one may be ahead of another: with all of them the server's backlog must not overflow."""

LONGEST = 4096
"""Bytes of the longest text."""

TIME = 240.0
"""Seconds that it may take."""

STALL = 15.0
"""Seconds in which something must come: if not, a line is missing, for which all wait."""

_SEED = 20
_POOL_SIZE = 1 << 17


# ---- clients -----------------------------------------------------------------------------------------


class Client(Protocol):
    """A connection with TLS."""

    def fileno(self) -> int:
        """The descriptor that is readable when something has come."""

    def receive(self) -> bytes:
        """Return what has come; may wait.  b"" at the end."""

    def send(self, data: bytes) -> None:
        """Send all of it; may read meanwhile, or do it later."""

    def close(self) -> None:
        """Close everything."""


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Project:
    """The project's own, as its programs use it: another thread sends."""

    def __init__(self, port: int, ca: str) -> None:
        self._raw = _connected(port)
        self._raw.settimeout(None)
        self._tls = TlsSocket(self._raw, client_context(ca), server_side=False, server_hostname=HOST)
        self._tls.handshake()
        self._changed = threading.Condition()  # guards what follows
        self._unsent: list[bytes] = []
        self._closing = False
        self._thread = threading.Thread(target=self._send_all)
        self._thread.start()

    def fileno(self) -> int:
        return self._raw.fileno()

    def receive(self) -> bytes:
        while (data := self._tls.recv(65536)) is None:
            pass
        return data

    def send(self, data: bytes) -> None:
        with self._changed:
            self._unsent.append(data)
            self._changed.notify()

    def _send_all(self) -> None:
        """Send, without ever waiting inside of TLS: the thread that sends."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unsent or self._closing)
                if not self._unsent:
                    return
                data, self._unsent = b"".join(self._unsent), []
            with memoryview(data) as view:
                sent = 0
                while sent < len(view) or self._tls.pending:
                    try:
                        sent += self._tls.send(view[sent:], socket.MSG_DONTWAIT)
                    except BlockingIOError:
                        pass
                    except OSError:
                        return
                    if sent < len(view) or self._tls.pending:
                        select.select([], [self._raw], [], 1)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._raw.close()


class OneThread:
    """An ssl.SSLSocket, non-blocking, used by one thread."""

    def __init__(self, port: int, ca: str) -> None:
        context = ssl.create_default_context(cafile=ca)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._sock = context.wrap_socket(_connected(port), server_hostname=HOST)
        self._sock.setblocking(False)
        self._unsent = b""

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self) -> bytes:
        while True:
            self._send_some()
            try:
                return self._sock.recv(65536)
            except ssl.SSLWantReadError:
                select.select([self._sock], [self._sock] if self._unsent else [], [])
            except ssl.SSLWantWriteError:
                select.select([], [self._sock], [])

    def send(self, data: bytes) -> None:
        self._unsent += data
        self._send_some()

    def _send_some(self) -> None:
        while self._unsent:
            try:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return

    def close(self) -> None:
        self._sock.close()


class Command:
    """A program that speaks TLS between its standard input and output and the server."""

    def __init__(self, *command: str) -> None:
        self._near, far = socket.socketpair()
        with far:
            self._process = subprocess.Popen(
                command, stdin=far.fileno(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
            )
        self._near.setblocking(False)
        self._unsent = b""
        assert self._process.stdout is not None
        self._output = self._process.stdout

    def fileno(self) -> int:
        descriptor: int = self._output.fileno()
        return descriptor

    def receive(self) -> bytes:
        while True:
            self._send_some()
            ready, _, _ = select.select([self._output], [self._near] if self._unsent else [], [])
            if ready:
                return self._output.read(65536) or b""

    def send(self, data: bytes) -> None:
        self._unsent += data
        self._send_some()

    def _send_some(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self._near.send(self._unsent) :]

    def close(self) -> None:
        self._near.close()
        self._process.kill()
        self._process.wait(PATIENCE)
        self._output.close()


def connect(kind: str, port: int, ca: str) -> Client:
    """Return a connection of that kind."""
    if kind == "project":
        return Project(port, ca)
    if kind == "ssl":
        return OneThread(port, ca)
    if kind == "ncat" and shutil.which("ncat"):
        return Command("ncat", "--ssl", HOST, str(port))
    return Command(
        *("openssl", "s_client", "-connect", f"{HOST}:{port}", "-CAfile", ca, "-verify_return_error"),
        *("-quiet", "-nocommands", "-ign_eof"),
    )


# ---- the attacker's process --------------------------------------------------------------------------


def texts(author: int) -> Iterator[bytes]:
    """Yield the texts of an author, without end: the same in every process."""
    dice = random.Random(_SEED)
    letters = string.ascii_letters + string.digits + string.punctuation.replace("\\", "") + "ñ€ж語😀"
    pool = "".join(dice.choices(letters, k=_POOL_SIZE)).encode()
    dice.seed(author)
    longest = math.log(LONGEST)
    while True:
        size = round(math.exp(dice.random() * longest))
        start = dice.randrange(_POOL_SIZE - LONGEST)
        # What is cut is a character of several bytes.
        yield pool[start : start + size].decode(errors="ignore").encode() or b"-"


class Talk:
    """One of the people: says its lines, and compares what comes."""

    def __init__(self, client: Client, number: int, lines: int, people: int) -> None:
        self.size = 0  # of what was compared, in bytes
        self.wrong = ""
        self._client = client
        self._number = number
        self._lines = lines
        self._own = texts(number)
        self._expected = [texts(author) for author in range(people)]
        self._counts = [0] * people
        self._said = 0
        self._last_id = 0
        self._rest = b""

    def go_on(self) -> bool:
        """Say what may be said, and take what has come; return whether it goes on."""
        until = min(self._lines, min(self._counts) + WINDOW)
        if self._said < until:
            said = range(self._said + 1, until + 1)
            self._client.send(b"".join(b"SAY %d %s\n" % (tag, next(self._own)) for tag in said))
            self._said = until
        data = self._client.receive()
        if not data:
            self.wrong = "the connection ended"
            return False
        self.size += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"SAY "):
                self._compare(line)
            elif not line.startswith((b"PING ", b"JOIN ")):
                self.wrong = self.wrong or f"there came {line[:60]!r}"
        return not self.wrong and not self.done

    @property
    def done(self) -> bool:
        """Whether all lines of all people have come."""
        return min(self._counts) == self._lines

    def _compare(self, line: bytes) -> None:
        _, number, _, tag, nick, text = line.split(b" ", 5)
        author = int(nick.removeprefix(b"person"))
        self._counts[author] += 1
        own = str(self._counts[author]).encode() if author == self._number else b"-"
        in_order = int(number) == self._last_id + 1 or not self._last_id
        self._last_id = int(number)
        if text != next(self._expected[author]) or tag != own or not in_order:
            self.wrong = self.wrong or f"line {self._counts[author]} of {author} is not what was said"


def _read_until(words: bytes, client: Client) -> None:
    """Read up to the end of the line that `words` are in."""
    rest = b""
    while words not in rest or not rest.endswith(b"\n"):
        data = client.receive()
        if not data:
            raise EOFError(f"end of stream instead of {words!r}")
        rest += data


def _stalled(*_: object) -> None:
    raise TimeoutError(f"nothing more has come for {STALL:g} s")


def main() -> None:
    asked = options()
    signal.signal(signal.SIGALRM, _stalled)
    client = connect(asked["kind"], asked["port"], asked["ca"])
    try:
        _read_until(b"NICK\n", client)
        client.send(hello(f"person{asked['number']}"))
        _read_until(b"\nWHO - ", client)
        say("ready")
        input()
        talk = Talk(client, asked["number"], asked["lines"], asked["people"])
        start = time.monotonic()
        try:
            signal.setitimer(signal.ITIMER_REAL, STALL)
            while talk.go_on() and time.monotonic() < start + TIME:
                signal.setitimer(signal.ITIMER_REAL, STALL)
            signal.setitimer(signal.ITIMER_REAL, 0)
            if not talk.done:
                talk.wrong = talk.wrong or f"not done after {TIME:g} s"
        except TimeoutError as stalled:
            talk.wrong = str(stalled)
        say({"wrong": talk.wrong, "size": talk.size, "seconds": time.monotonic() - start})
        input()
    finally:
        client.close()


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None], pair: tuple[str, str]) -> list[Verdict]:
    """Make the attack; `pair` are the server's certificate and key; return what it shows."""
    tell(f"{effort.lines:,} lines")
    cert, key = pair
    each = effort.lines // len(KINDS)
    with Victim("--rate-limit", "0", "--tls-cert", cert, "--tls-key", key) as victim, ExitStack() as stack:
        people = []
        for number, kind in enumerate(KINDS):
            person = Attacker(
                "random_talk",
                port=victim.port,
                ca=cert,
                kind=kind,
                number=number,
                lines=each,
                people=len(KINDS),
            )
            people.append(stack.enter_context(person))
            person.hear()
        for person in people:
            person.tell()
        found: list[dict[str, Any]] = [person.hear(TIME + 60) for person in people]
        for person in people:
            person.tell()
            person.wait()
        fault = victim.end()
    wrong = [f"{kind}: {came['wrong']}" for kind, came in zip(KINDS, found, strict=True) if came["wrong"]]
    size = sum(came["size"] for came in found)
    seconds = max(came["seconds"] for came in found)
    return [
        Verdict(
            f"TLS: {effort.lines:,} lines of random text, by and to {len(KINDS)} kinds of client at once",
            "; ".join(wrong) or fault or f"none broken, {mebibytes(size)} compared in {seconds:.0f} s",
            "no connection broken, no byte changed",
            not wrong and not fault,
        )
    ]


if __name__ == "__main__":
    main()
