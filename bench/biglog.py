"""Make a log file with many messages: `python3 bench/biglog.py FILE COUNT SHORTEST LONGEST [UNFINISHED]`.

Their texts have SHORTEST to LONGEST characters. Written as the server writes it, by storage.py, in large
transactions. The last UNFINISHED messages stay in
the write-ahead log, as after a kill -9.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from charla.server.storage.database import Storage
from charla.server.storage.entries import EVERYONE, Logged

BATCH = 20_000
SMALL_BATCH = 100  # as of a busy room

PEOPLE = 40
SEED = 1

DAY = 24 * 60 * 60 * 1000  # ms: the messages are of the last day, so that none is deleted as too old


chance = random.Random(SEED)  # noqa: S311 - texts


def some_texts(shortest: int, longest: int) -> Iterator[str]:
    """Words that mean nothing, without end."""
    letters = "abcdefghijklmnñopqrstuvwxyzé"
    words = " ".join("".join(chance.choices(letters, k=chance.randint(1, 11))) for _ in range(5000))
    while True:
        length = chance.randint(shortest, longest)
        start = chance.randrange(len(words) - length)
        yield words[start : start + length].strip()


def messages(texts: Iterator[str], first: int, last: int, count: int) -> Iterator[Logged]:
    """Messages first..last of `count`."""
    now = time.time_ns() // 1_000_000
    for number in range(first, last + 1):
        author = number % PEOPLE + 1
        at = now - DAY + DAY * number // (count + 1)
        line = f"SAY {number} {at} - person{author} {next(texts)}\n"
        yield Logged.from_line(number, at, author, EVERYONE, 0, line.encode())


def write(storage: Storage, texts: Iterator[str], first: int, last: int, count: int, batch: int) -> None:
    for begin in range(first, last + 1, batch):
        storage.write(messages(texts, begin, min(last, begin + batch - 1), count), {}, [])


def main() -> None:
    path, (count, shortest, longest, *more) = sys.argv[1], map(int, sys.argv[2:])
    unfinished = more[0] if more else 0
    texts = some_texts(shortest, longest)
    storage = Storage(path)
    write(storage, texts, 1, count - unfinished, count, BATCH)
    storage.close()
    if unfinished:
        write(Storage(path), texts, count - unfinished + 1, count, count, SMALL_BATCH)
    print("made", flush=True)
    os._exit(0)  # nothing is closed any more


if __name__ == "__main__":
    main()
