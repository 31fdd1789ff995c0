"""Two people who talk while others come back: `python3 bench/talkers.py PORT`, told by lines on stdin.

    make N     ana says N things, as fast as they are confirmed; answered with `made ID`, of the last one
    talk       ana and beto say something in turns, until `stop`; answered with a line of JSON: for each
               message when it was sent (time.monotonic) and after how many ms the other had it, how many
               never came, and the highest id

A process of its own, of one thread that sleeps nearly always: what it measures is the server's delay.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

INTERVAL = 0.004
"""Seconds between two messages; sent on time, also when the answers are late."""

WINDOW = 200
"""Messages of `make` in flight."""

PATIENCE = 10.0
"""Seconds for what has not come yet."""

TEXT = "x" * 56  # and a number: the length of the messages of load.c

NICKS = ("ana", "beto")


class Person:
    """One connection, in the native dialect."""

    def __init__(self, port: int, nick: str) -> None:
        self.nick = nick
        self.tag = 0
        self.last = 0  # the highest id of what was said to it
        self._rest = b""
        self._sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._until("NICK")
        self._sock.sendall(f"HELLO 1 {nick}\n".encode())
        self._until("WHO")

    def fileno(self) -> int:
        return self._sock.fileno()

    def _until(self, verb: str) -> None:
        while not any(fields[0] == verb for fields in self.receive()):
            pass

    def say(self) -> None:
        self.tag += 1
        self._sock.sendall(f"SAY {self.tag} {self.tag:07} {TEXT}\n".encode())

    def receive(self) -> list[list[str]]:
        """Return the lines that have come, as fields: verb, id, time, tag, nick, text."""
        data = self._sock.recv(1 << 18)
        if not data:
            raise SystemExit(f"talkers: the server hung up on {self.nick}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = [line.decode().split(" ", 5) for line in lines]
        for fields in found:
            if fields[0] == "SAY":
                self.last = int(fields[1])
        return found


def ready(people: list[Person], timeout: float) -> tuple[list[Person], bool]:
    """Return whom something has come for, and whether there is a line on stdin."""
    readable, _, _ = select.select([*people, sys.stdin], [], [], timeout)
    return [person for person in people if person in readable], sys.stdin in readable


def make(people: list[Person], count: int) -> int:
    """Have the first one say `count` things; return the id of the last, when all have it."""
    author = people[0]
    goal, confirmed = author.tag + count, author.tag
    while confirmed < goal or any(person.last < author.last for person in people):
        while author.tag < goal and author.tag - confirmed < WINDOW:
            author.say()
        for person in ready(people, PATIENCE)[0]:
            for fields in person.receive():
                if person is author and fields[0] == "SAY" and fields[3] != "-":
                    confirmed = int(fields[3])
    return author.last


def talk(people: list[Person]) -> dict[str, object]:
    """Talk until a line comes; return when each message was sent and how long it took, and what is lost.

    A message counts as lost when it has not come within PATIENCE; `last` is the highest id of them.
    """
    sent: dict[tuple[str, int], float] = {}
    delays: list[tuple[float, float]] = []
    turn, due, stop_at = 0, time.monotonic(), 0.0
    while not stop_at or (sent and time.monotonic() < stop_at + PATIENCE):
        if not stop_at and time.monotonic() >= due:
            author = people[turn % len(people)]
            turn, due = turn + 1, due + INTERVAL
            sent[author.nick, author.tag + 1] = time.monotonic()
            author.say()
        readable, stop = ready(people, max(0.0, due - time.monotonic()) if not stop_at else PATIENCE)
        now = time.monotonic()
        for person in readable:
            for fields in person.receive():
                if fields[0] == "SAY" and fields[3] == "-":
                    at = sent.pop((fields[4], int(fields[5].split()[0])))
                    delays.append((at, (now - at) * 1000))
        if stop:
            sys.stdin.readline()
            stop_at = time.monotonic()
    return {"delays": delays, "lost": len(sent), "last": max(person.last for person in people)}


def main() -> None:
    people = [Person(int(sys.argv[1]), nick) for nick in NICKS]
    print("ready", flush=True)
    while words := sys.stdin.readline().split():  # an empty line, or the end, ends it
        if words[0] == "make":
            print(f"made {make(people, int(words[1]))}", flush=True)
        elif words[0] == "talk":
            print(json.dumps(talk(people)), flush=True)


if __name__ == "__main__":
    main()
