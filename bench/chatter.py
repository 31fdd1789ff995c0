"""Somebody who talks to the measured client: `python3 bench/chatter.py PORT`, told by lines on stdin.

    talk R L     says R things a second, of about L characters, until the next line, whatever that is;
                 answered with `said N`, how many it were
    say N L      says N things of L characters, as fast as they are confirmed; answered with `said N`

Each begins with `m` and its number (from 0), so that it can be found again, and has an emoji, with which a
Python string takes four bytes a character.  A process of its own, of one
thread that sleeps nearly always.
"""

from __future__ import annotations

import sys
import time

from talkers import PATIENCE, WINDOW, Person, ready

_WORDS = "la vida es sueño y los sueños 😀 sueños son "


class Chatter(Person):
    """Somebody whose texts are as long as wanted, and numbered."""

    said = 0

    def say_text(self, characters: int) -> None:
        self.tag += 1
        text = f"m{self.said} {_WORDS * (characters // len(_WORDS) + 1)}"[:characters].rstrip()
        self._sock.sendall(f"SAY {self.tag} {text}\n".encode())
        self.said += 1

    def confirmed(self) -> int:
        """Return how many more of its own messages have come back."""
        return sum(1 for fields in self.receive() if fields[0] == "SAY" and fields[3] != "-")


def talk(chatter: Chatter, rate: float, characters: int) -> None:
    """Talk until a line comes; on time, also when the answers are late."""
    due = time.monotonic()
    while True:
        readable, stop = ready([chatter], max(0.0, due - time.monotonic()))
        if readable:
            chatter.receive()
        if stop:
            sys.stdin.readline()
            return
        if time.monotonic() >= due:
            due += 1 / rate
            chatter.say_text(characters)


def say(chatter: Chatter, count: int, characters: int) -> None:
    """Say `count` things; return when all are in the room."""
    goal, confirmed = chatter.said + count, chatter.said
    while confirmed < goal:
        while chatter.said < goal and chatter.said - confirmed < WINDOW:
            chatter.say_text(characters)
        if not ready([chatter], PATIENCE)[0]:
            raise SystemExit("chatter: the server does not answer")
        confirmed += chatter.confirmed()


def main() -> None:
    chatter = Chatter(int(sys.argv[1]), "beto")
    print("ready", flush=True)
    while words := sys.stdin.readline().split():  # an empty line, or the end, ends it
        if words[0] == "talk":
            talk(chatter, float(words[1]), int(words[2]))
        elif words[0] == "say":
            say(chatter, int(words[1]), int(words[2]))
        print(f"said {chatter.said}", flush=True)


if __name__ == "__main__":
    main()
