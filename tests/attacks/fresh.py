"""3,000 TLS connections, one after the other and some at once, on which both sides talk at the same time.

    {"port": 9000, "ca": "server.crt", "kind": "project", "connections": 1500}

Somebody in the room talks without a pause (`{"kind": "talker", ...}`).  Each connection takes a seat, says
LINES messages while it is being told others', gets its own back, and says goodbye; at the end there must be
the server's BYE and TLS's own goodbye behind it.  Half of them are the project's TlsSocket, which one thread
sends on while another receives, and half Python's ssl.SSLSocket, used by one thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from attacks.processes import Attacker, Victim, options, say
from attacks.targets import Effort, Verdict
from attacks.wire import HOST, PATIENCE, Line, hello
from charla.common.certificates import client_context
from charla.common.tls import TlsSocket

KINDS = ("project", "ssl")

AT_ONCE = 4
"""Connections at a time, of each kind."""

LINES = 20

BLOCK = 5
"""Lines that the one who talks says at once."""

_SAYING = [f"SAY {tag} line {tag}\n".encode() for tag in range(1, LINES + 1)]


# ---- the attacker's process --------------------------------------------------------------------------


class Failure(Exception):
    """What should have come has not."""


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection((HOST, port), PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Heard:
    """What has come on one connection."""

    def __init__(self, nick: str) -> None:
        self._mark = f" {nick} line ".encode()
        self._rest = b""
        self._own: list[bytes] = []
        self.others = 0
        self.seen: set[bytes] = set()  # verbs

    def take(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            verb = line.partition(b" ")[0]
            self.seen.add(verb)
            if verb == b"SAY":
                _, mark, number = line.partition(self._mark)
                if mark:
                    self._own.append(number)
                else:
                    self.others += 1

    def check(self) -> None:
        """Failure unless all of it has come."""
        wanted = [str(tag).encode() for tag in range(1, LINES + 1)]
        if self._own != wanted or b"BYE" not in self.seen or self._rest:
            raise Failure(f"{len(self._own)} of {LINES} lines, {sorted(self.seen)}")


def with_two_threads(port: int, context: ssl.SSLContext, nick: str) -> int:
    """Use the project's TlsSocket: what is said is sent by a thread of its own.

    Returns how many lines of others were heard; OSError, Failure.
    """
    heard = Heard(nick)
    with _connected(port) as sock:
        tls = TlsSocket(sock, context, server_side=False, server_hostname=HOST)
        tls.handshake()

        def speak() -> None:
            with contextlib.suppress(OSError):  # what is missing is seen by who receives
                for line in _SAYING:
                    tls.send(line)
                tls.send(b"BYE\n")

        speaker: threading.Thread | None = None
        try:
            while (data := tls.recv(65536)) != b"":
                heard.take(data or b"")
                if speaker is None and b"NICK" in heard.seen:
                    speaker = threading.Thread(target=speak)
                    tls.send(hello(nick))
                    speaker.start()
        finally:
            if speaker is not None:
                speaker.join()
    heard.check()
    return heard.others


def with_one_thread(port: int, context: ssl.SSLContext, nick: str) -> int:
    """Use an ssl.SSLSocket; sending and receiving take turns.  As above."""
    heard = Heard(nick)
    unsaid: list[bytes] = []
    with context.wrap_socket(_connected(port), server_hostname=HOST, suppress_ragged_eofs=False) as sock:
        while data := sock.recv(65536):
            heard.take(data)
            if b"NICK" in heard.seen:
                heard.seen.remove(b"NICK")
                sock.sendall(hello(nick))
                unsaid = [*_SAYING, b"BYE\n"]
            elif unsaid:
                sock.sendall(unsaid.pop(0))
    heard.check()
    return heard.others


def connect_again_and_again(kind: str, port: int, ca: str, connections: int) -> None:
    """Make so many connections; say which failures there were, and how much was heard of others."""
    context = client_context(ca)
    use = with_two_threads if kind == "project" else with_one_thread
    numbers = iter(range(connections))
    lock = threading.Lock()  # guards all three
    failures: list[str] = []
    others = 0

    def work() -> None:
        nonlocal others
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                heard = use(port, context, f"{kind}{number}")
                with lock:
                    others += heard
            except (OSError, Failure) as error:
                with lock:
                    failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say({"failures": failures, "others": others, "seconds": time.monotonic() - start})


def talk(port: int, ca: str) -> None:
    """Say something all the time, until there is a line on stdin."""
    ended = threading.Event()

    def wait() -> None:
        input()
        ended.set()

    with Line(port, ca) as line:
        line.join("talker")
        say("ready")
        thread = threading.Thread(target=wait)
        thread.start()
        tag = 0
        while not ended.wait(0.001):
            line.send(b"".join(b"SAY %d all the time\n" % (tag + n) for n in range(1, BLOCK + 1)))
            tag += BLOCK
            line.until(b"SAY ")
        thread.join()
    say({"said": tag})


def main() -> None:
    asked = options()
    if asked["kind"] == "talker":
        talk(asked["port"], asked["ca"])
    else:
        connect_again_and_again(asked["kind"], asked["port"], asked["ca"], asked["connections"])


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None], pair: tuple[str, str]) -> list[Verdict]:
    """Make the attack; `pair` are the server's certificate and key; return what it shows."""
    tell(f"{effort.connections:,} connections")
    cert, key = pair
    each = effort.connections // len(KINDS)
    with Victim("--rate-limit", "0", "--tls-cert", cert, "--tls-key", key) as victim, ExitStack() as stack:
        talker = stack.enter_context(Attacker("fresh", port=victim.port, ca=cert, kind="talker"))
        talker.hear()
        attackers = [
            stack.enter_context(Attacker("fresh", port=victim.port, ca=cert, kind=kind, connections=each))
            for kind in KINDS
        ]
        found: list[dict[str, Any]] = [attacker.hear(240) for attacker in attackers]
        for attacker in attackers:
            attacker.wait()
        talker.finish()
        fault = victim.end()
    failures = [failure for came in found for failure in came["failures"]]
    seconds = max(came["seconds"] for came in found)
    others = sum(came["others"] for came in found)
    return [
        Verdict(
            f"TLS: {effort.connections:,} fresh connections, both sides talking at once: failures",
            fault
            or f"{len(failures)}{f' ({failures[0]})' if failures else ''}, in {seconds:.0f} s; "
            f"{others / effort.connections:.0f} lines of others each",
            "0, exit status 0",
            not failures and not fault and others >= effort.connections,
        )
    ]


if __name__ == "__main__":
    main()
