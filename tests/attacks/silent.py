"""2,000 connections that never say a word, and somebody who wants to come in.

    {"port": 9000, "count": 2000}

The attacker keeps `count` connections open, each from one of ADDRESSES addresses of the loopback (or the
ports of one would run out); when one is dropped there is another as fast as it can.  The newcomer, in a
process of its own, connects every INTERVAL seconds, gives a nick and says something; in is who was heard by
somebody in the room.  Whoever is dropped on the way tries again, on the same clock.
"""

from __future__ import annotations

import contextlib
import select
import socket
import statistics
import time
from collections.abc import Callable

from attacks.processes import Attacker, Victim, options, say
from attacks.targets import Effort, Verdict, milliseconds
from attacks.wire import HOST, Hung, Line

TARGET = 1.0
"""Seconds after which a newcomer must be in."""

INTERVAL = 0.25

ADDRESSES = 100

EVENTS = 256  # handled before stdin is looked at


# ---- the attacker's process --------------------------------------------------------------------------


class Crowd:
    """Connections that say nothing."""

    def __init__(self, port: int) -> None:
        self.made = 0
        self._port = port
        self._epoll = select.epoll()
        self._epoll.register(0, select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}

    def connect(self) -> None:
        """Begin to connect once more."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.bind((f"127.0.1.{self.made % ADDRESSES + 1}", 0))
        with contextlib.suppress(BlockingIOError):
            sock.connect((HOST, self._port))
        self.made += 1
        self._open[sock.fileno()] = sock
        self._epoll.register(sock, select.EPOLLIN | select.EPOLLRDHUP)

    def keep_up(self) -> None:
        """Replace what is dropped, until there is a line on stdin."""
        while True:
            for descriptor, events in self._epoll.poll(maxevents=EVENTS):
                if descriptor == 0:
                    return
                if events & ~select.EPOLLIN:
                    self._open.pop(descriptor).close()
                    self.connect()
                else:
                    self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError):
            self._open[descriptor].recv(4096)

    def close(self) -> None:
        """Let go of all of them."""
        for sock in self._open.values():
            sock.close()
        self._epoll.close()


def keep_silent(port: int, count: int) -> None:
    """Keep so many connections open."""
    crowd = Crowd(port)
    for _ in range(count):
        crowd.connect()
    say("ready")
    start = time.monotonic()
    crowd.keep_up()
    seconds = time.monotonic() - start
    crowd.close()
    say({"rate": (crowd.made - count) / seconds})


def come_in(port: int, seconds: float) -> None:
    """Come in again and again; say how long each took, in seconds, and how often one was dropped."""
    times: list[float] = []
    dropped = 0
    with Line(port) as resident:
        resident.join("resident")
        say("ready")
        input()
        begin = time.monotonic()
        for number in range(round(seconds / INTERVAL)):
            time.sleep(max(0.0, begin + number * INTERVAL - time.monotonic()))
            start = time.monotonic()
            while not enter(port, f"newcomer{number}", resident):
                dropped += 1
                if time.monotonic() > start + 10:
                    break
            times.append(time.monotonic() - start)
            if times[-1] > 10:
                break
    say({"times": times, "dropped": dropped})


def enter(port: int, nick: str, resident: Line) -> bool:
    """Say whether somebody could come in, and was heard."""
    with contextlib.suppress(Hung, OSError), Line(port) as line:
        line.join(nick)
        line.send(b"SAY 1 here\n")
        while not any(heard.endswith(f" {nick} here".encode()) for heard in resident.receive()):
            pass
        line.send(b"BYE\n")
        return True
    return False


def main() -> None:
    asked = options()
    if "count" in asked:
        keep_silent(asked["port"], asked["count"])
    else:
        come_in(asked["port"], asked["seconds"])


# ---- the attack --------------------------------------------------------------------------------------


def attack(effort: Effort, tell: Callable[[str], None]) -> list[Verdict]:
    """Make the attack; return what it shows."""
    tell(f"{effort.silent:,} connections")
    with (
        Victim("--max-waiting", str(effort.silent // 2)) as victim,  # of 2,000 that is as by default
        Attacker("silent", port=victim.port, seconds=effort.silent_time) as newcomer,
    ):
        newcomer.hear()
        with Attacker("silent", port=victim.port, count=effort.silent) as crowd:
            crowd.hear()
            found = newcomer.finish("begin", effort.silent_time + 60)
            made = crowd.finish()
        fault = victim.end()
    times = found["times"]
    enough = len(times) == round(effort.silent_time / INTERVAL)
    return [
        Verdict(
            f"{effort.silent:,} connections that never say a word, {made['rate']:,.0f} new ones a second: "
            f"a newcomer is in, at {len(times)} attempts",
            fault
            or f"after {milliseconds(max(times))} at worst, median {milliseconds(statistics.median(times))}",
            f"within {TARGET:g} s",
            enough and max(times) <= TARGET and not fault,
            timed=True,
        )
    ]


if __name__ == "__main__":
    main()
