"""A peer that changes its keys all the time (TLS 1.3, KeyUpdate: RFC 8446, 4.6.3), by `openssl s_client`.

    {"port": 9000, "ca": "server.crt", "kind": "talk"}     text goes both ways meanwhile, and is compared
    {"port": 9000, "ca": "server.crt", "kind": "flood"}    nothing else, at line speed

s_client takes `K` and `k` at the beginning of what it reads for orders to update its keys (and, for `K`, to
ask the server to update its own).  It forgets the rest of what it has read with it, so its standard input
is a socket that keeps each order apart (SOCK_SEQPACKET).
"""

from __future__ import annotations

import itertools
import select
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from attacks.company import People
from attacks.flood import INTERVAL, Noticed
from attacks.processes import Attacker, Victim, options, say, stand_back
from attacks.targets import Effort, Verdict
from attacks.wire import HOST, PATIENCE, Line, hello

UPDATES = 5
"""Orders between two lines of text."""

AHEAD = 50
"""Lines that are on their way, in each direction."""


# ---- the attacker's process --------------------------------------------------------------------------


class Updater:
    """`openssl s_client`, and the orders to it."""

    def __init__(self, port: int, ca: str) -> None:
        self._near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = ["openssl", "s_client", "-connect", f"{HOST}:{port}", "-CAfile", ca, "-tls1_3"]
        with far:
            self._process = subprocess.Popen(
                [*command, "-quiet", "-no_ign_eof"],
                stdin=far.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        self._near.setblocking(False)
        assert self._process.stdout is not None
        self.output = self._process.stdout
        self._rest = b""
        self.updates = 0
        self._orders = itertools.cycle((b"K\n", b"k\n"))

    @property
    def input(self) -> socket.socket:
        return self._near

    def update(self) -> bool:
        """Give an order; say whether s_client takes it now."""
        if self.send(next(self._orders)):
            self.updates += 1
            return True
        return False

    def send(self, data: bytes) -> bool:
        """Say something, in one piece; say whether s_client takes it now."""
        try:
            return bool(self._near.send(data))
        except BlockingIOError:
            return False

    def receive(self) -> list[bytes]:
        """Return the lines that have come; EOFError at the end."""
        data: bytes | None = self.output.read(65536)
        if not data:
            raise EOFError("the connection ended")
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        return lines

    def join(self, nick: str) -> None:
        """Take a seat."""
        seen: list[bytes] = []
        while b"NICK" not in seen:
            seen += self.receive()
        self.send(hello(nick))
        while not any(line.startswith(b"WHO") for line in seen):
            seen += self.receive()

    def close(self) -> None:
        """End it."""
        self._near.close()
        self._process.kill()
        self._process.wait(PATIENCE)
        self.output.close()


class Direction:
    """Numbered lines from one to the other, and back to the one as confirmations."""

    def __init__(self, nick: str, updater: bool) -> None:
        self.said = self.confirmed = self.heard = 0
        self.wrong = ""
        self.updater = updater  # it is said by the one with s_client
        self._mark = f" {nick} number ".encode()

    def may_say(self) -> bool:
        """Say whether there is not too much on its way."""
        return self.said < min(self.confirmed, self.heard) + AHEAD

    def next_line(self) -> bytes:
        """Return the next line to say; call `went` when it has gone."""
        return b"SAY %d number %d\n" % (self.said + 1, self.said + 1)

    def take(self, line: bytes, own: bool) -> None:
        """Take a line that one of the two was sent; `own`: it is the one who speaks."""
        _, mark, number = line.partition(self._mark)
        if not mark:
            return
        before = self.confirmed if own else self.heard
        if int(number) != before + 1:
            self.wrong = self.wrong or f"line {before + 1} is missing"
        if own:
            self.confirmed = int(number)
        else:
            self.heard = int(number)

    @property
    def done(self) -> bool:
        return self.said == self.confirmed == self.heard


def talk(port: int, ca: str) -> dict[str, Any]:
    """Update keys and talk both ways until there is a line on stdin; return what came of it."""
    from_updater, to_updater = Direction("updater", True), Direction("partner", False)
    directions = (from_updater, to_updater)
    updater = Updater(port, ca)
    turn = 0
    end = float("inf")
    try:
        with Line(port, ca) as partner:
            updater.join("updater")
            partner.join("partner")
            say("ready")
            poll = select.poll()
            for readable in (0, updater.output, partner):
                poll.register(readable, select.POLLIN)
            while not any(direction.wrong for direction in directions):
                stopping = end < float("inf")
                if (stopping and all(direction.done for direction in directions)) or time.monotonic() > end:
                    break
                if to_updater.may_say() and not stopping:
                    partner.send(to_updater.next_line())
                    to_updater.said += 1
                speak = from_updater.may_say() and not stopping and turn % (UPDATES + 1) == 0
                taken = updater.send(from_updater.next_line()) if speak else updater.update()
                if taken:
                    turn += 1
                    from_updater.said += speak
                for descriptor, _ in poll.poll(0 if taken else 1):
                    if descriptor == 0:
                        input()
                        poll.unregister(0)
                        end = time.monotonic() + PATIENCE
                    elif descriptor == partner.fileno():
                        for line in partner.receive():
                            from_updater.take(line, own=False)
                            to_updater.take(line, own=True)
                    else:
                        for line in updater.receive():
                            from_updater.take(line, own=True)
                            to_updater.take(line, own=False)
    finally:
        updater.close()
    wrong = [direction.wrong for direction in directions if direction.wrong]
    wrong += [f"{d.said - min(d.confirmed, d.heard)} lines have not come" for d in directions if not d.done]
    return {"updates": updater.updates, "lines": sum(d.heard for d in directions), "wrong": "; ".join(wrong)}


def flood(port: int, ca: str) -> dict[str, Any]:
    """Update keys at line speed until there is a line on stdin."""
    updater = Updater(port, ca)
    try:
        updater.join("flooder")
        say("ready")
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(updater.input, select.POLLOUT)
        poll.register(updater.output, select.POLLIN)
        while True:
            for descriptor, events in poll.poll():
                if descriptor == 0:
                    return {"updates": updater.updates}
                if descriptor == updater.output.fileno():
                    updater.receive()
                elif events & select.POLLOUT:
                    updater.update()
    finally:
        updater.close()


def main() -> None:
    asked = options()
    if asked["kind"] == "flood":
        stand_back()
    try:
        say((talk if asked["kind"] == "talk" else flood)(asked["port"], asked["ca"]))
    except EOFError as error:
        say({"updates": 0, "lines": 0, "wrong": str(error)})
    input()


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None], pair: tuple[str, str]) -> list[Verdict]:
    """Make the attack; `pair` are the server's certificate and key; return what it shows."""
    tell(f"{effort.updating_time:g} s")
    return [_talk_meanwhile(effort, pair), _flood(effort, tell, pair)]


def _talk_meanwhile(effort: Effort, pair: tuple[str, str]) -> Verdict:
    cert, key = pair
    with (
        Victim("--rate-limit", "0", "--tls-cert", cert, "--tls-key", key) as victim,
        Attacker("key_updates", port=victim.port, ca=cert, kind="talk") as attacker,
    ):
        attacker.hear()
        time.sleep(effort.updating_time)
        attacker.tell("stop")
        found = attacker.hear()
        attacker.tell()
        attacker.wait()
        fault = victim.end()
    what = f"{found['updates']:,} updates, {found['lines']:,} lines"
    return Verdict(
        f"TLS: {effort.updating_time:g} s of KeyUpdates from the peer while text goes both ways: failures",
        f"{found['wrong'] or fault or '0'} ({what})",
        "0, exit status 0",
        not found["wrong"] and not fault and found["updates"] > 0 and found["lines"] > 0,
    )


def _flood(effort: Effort, tell: Callable[[str], None], pair: tuple[str, str]) -> Verdict:
    cert, key = pair
    noticed = Noticed()
    updates = 0
    with Victim("--tls-cert", cert, "--tls-key", key) as victim, ExitStack() as stack:
        people = People(stack, victim.port, INTERVAL, ca=cert)
        for number in range(effort.flood_rounds):
            tell(f"round {number + 1} of {effort.flood_rounds}")
            noticed.listen_quiet(people, effort.flood_time)
            with Attacker("key_updates", port=victim.port, ca=cert, kind="flood") as attacker:
                attacker.hear()
                noticed.listen_beside(people, effort.flood_time)
                attacker.tell("stop")
                updates += attacker.hear()["updates"]
        victim.end()
    return noticed.verdict(f"TLS: {updates:,} KeyUpdates by one client at line speed")


if __name__ == "__main__":
    main()
