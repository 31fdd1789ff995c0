"""Those who come back all at once: `python3 bench/returning.py PORT COUNT`, told by lines on stdin.

It takes COUNT seats that outlive their connection, drops the connections, and says `dropped`. Then:

    resume     all come back at once, and read as fast as they can; answered with `live` when all are
    check ID   read on until nothing more comes; answered with a line of JSON: when the first of them
               connected and when each was live (time.monotonic), and what was not as it has to be: every
               event up to ID once, in order

One thread, and while it reads it does nothing else: it looks through the lines only at the end.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time

PATIENCE = 60.0
"""Seconds without a byte for anybody, before all are live, after which it is given up."""

QUIET = 0.3
"""Seconds without a byte after which nothing more comes."""

RECEIVE = 1 << 18  # bytes per recv

EVENTS = (b"WELCOME", b"SAY", b"ME", b"JOIN", b"LEAVE", b"NICK", b"CROWD", b"NOTICE")
"""Verbs of what has an id, and is told to all, but for one's own join."""

LIVE = b"\nLIVE "


def event_id(fields: list[bytes]) -> int:
    """The id of the event in these fields of a line; 0 if it is none (NICK alone is the greeting)."""
    return int(fields[1]) if fields[0] in EVENTS and len(fields) > 1 else 0


class Guest:
    """One seat."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number
        self._chunks: list[bytes] = []
        self._tail = b""  # the end of them
        self._sock = socket.socket()
        self._greeted = False
        self._hello = f"HELLO 1 r{number} session=new history=0\n"
        self.last = 0  # the highest id it has
        self.live_at = 0.0

    def fileno(self) -> int:
        return self._sock.fileno()

    def connect(self) -> None:
        self._sock = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        self._chunks, self._tail, self._greeted = [], b"", False

    def drop(self) -> None:
        """End the connection without a word, and remember what is needed to come back."""
        self._sock.close()
        token = ""
        for line in self.lines():
            fields = line.split(b" ")
            self.last = max(self.last, event_id(fields))
            if fields[0] == b"SESSION":
                token = fields[1].decode()
        self._hello = f"HELLO 1 r{self._number} session={token} last={self.last}\n"

    def receive(self) -> None:
        """Take what has come; greet, if it is time; notice when all that was missed is here."""
        chunk = self._sock.recv(RECEIVE)
        if not chunk:
            raise SystemExit(f"returning: the server hung up on r{self._number}: {self.lines()[-3:]}")
        self._chunks.append(chunk)
        if not self._greeted:
            if b"NICK\n" in b"".join(self._chunks):
                self._sock.sendall(self._hello.encode())
                self._greeted = True
        elif not self.live_at and (LIVE in chunk or LIVE in self._tail + chunk[: len(LIVE)]):
            self.live_at = time.monotonic()
        self._tail = (self._tail + chunk[-len(LIVE) :])[-len(LIVE) :]

    def lines(self) -> list[bytes]:
        return b"".join(self._chunks).split(b"\n")[:-1]

    def is_in(self) -> bool:
        return b"\nWHO " in b"".join(self._chunks)

    def faults(self, upto: int) -> list[str]:
        """Say what is not as it has to be, of the events after `last` and up to `upto`."""
        found: list[str] = []
        expected = self.last + 1
        for line in self.lines():
            fields = line.split(b" ", 4)
            if fields[0] == b"RESUMED" and fields[3] != b"0":
                found.append(f"r{self._number} was told that {fields[3].decode()} events are lost")
            if number := event_id(fields):
                if number != expected:
                    found.append(f"r{self._number} got {number}, not {expected}")
                expected = number + 1
        if expected <= upto:
            found.append(f"r{self._number} got {expected - 1} last, not {upto}")
        return found


class Guests:
    """All of them, in one selector."""

    def __init__(self, port: int, count: int) -> None:
        self.all = [Guest(port, number) for number in range(count)]

    def connect(self) -> selectors.DefaultSelector:
        selector = selectors.DefaultSelector()
        for guest in self.all:
            guest.connect()
            selector.register(guest, selectors.EVENT_READ, guest)
        return selector

    def take(self, selector: selectors.DefaultSelector, timeout: float) -> bool:
        """Take what comes; return whether anything did."""
        events = selector.select(timeout)
        for key, _ in events:
            key.data.receive()
        return bool(events)


def main() -> None:
    guests = Guests(int(sys.argv[1]), int(sys.argv[2]))
    with guests.connect() as selector:
        while not all(guest.is_in() for guest in guests.all):
            if not guests.take(selector, PATIENCE):
                raise SystemExit("returning: not all are let in")
        while guests.take(selector, QUIET):
            pass
    for guest in guests.all:
        guest.drop()
    print("dropped", flush=True)
    if sys.stdin.readline().strip() != "resume":
        return
    started = time.monotonic()
    with guests.connect() as selector:
        while not all(guest.live_at for guest in guests.all):
            if not guests.take(selector, PATIENCE):
                many = sum(1 for guest in guests.all if not guest.live_at)
                raise SystemExit(f"returning: {many} are not live, and nothing comes")
        print("live", flush=True)
        # Until all is said; who does not read meanwhile would be hung up on.
        selector.register(sys.stdin, selectors.EVENT_READ)
        upto = 0
        while not upto:
            for key, _ in selector.select(PATIENCE):
                if key.data is not None:
                    key.data.receive()
                elif words := sys.stdin.readline().split():
                    upto = int(words[1])
                else:
                    return
        selector.unregister(sys.stdin)
        while guests.take(selector, QUIET):
            pass
    faults = [fault for guest in guests.all for fault in guest.faults(upto)]
    live_at = sorted(guest.live_at for guest in guests.all)
    print(json.dumps({"started": started, "live_at": live_at, "faults": faults}), flush=True)


if __name__ == "__main__":
    main()
