"""A server that starts on a long log: how soon it listens, and how much memory it takes."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from processes import Failed, Process
from servers import Preparation, Starter

MESSAGES = 1_000_000
UNFINISHED = 45_000
"""Of them, in the write-ahead log after a kill -9: 16 MB, as much as the housekeeper lets it grow to."""

SHORTEST, LONGEST = 20, 200  # characters of text

JOINS = 50
SHOWN = 50  # of the history, to who joins
ASKED = 1000  # by one of them

MAKE_TIME = 180.0
"""Seconds to make such a log; about ten."""

REST_TIME = 1.5
"""Seconds after which the housekeeper has been round, and a server that started is at rest."""

ANSWER_TIME = 15.0
"""Seconds for an answer."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One start; times in seconds, memory in bytes."""

    listening: float  # from exec until it says so
    greeting: float  # from exec until a client is asked for its name
    at_rest: int
    after: int  # 50 have joined, and one has asked for the longest history
    peak: int
    history: float  # until it had that


class LongLog:
    """Log files with so many messages, in `folder`: each kind is made once, and copied to be measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def after_an_end(self, path: Path) -> None:
        self._copy("ended", path)

    def after_a_kill(self, path: Path) -> None:
        self._copy("killed", path, str(UNFINISHED))

    def on_disk_only(self, path: Path) -> None:
        """As after the machine was started anew: the kernel has nothing of the file in memory."""
        self._copy("ended", path)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)

    def kinds(self) -> list[tuple[str, str, Preparation]]:
        return [
            ("ended", "after an orderly end", self.after_an_end),
            ("killed", f"after kill -9, {UNFINISHED:,} messages not copied yet", self.after_a_kill),
            ("cold", "after an orderly end, the file on disk only", self.on_disk_only),
        ]

    def _copy(self, kind: str, path: Path, *arguments: str) -> None:
        original = self._folder / f"{kind}.db"
        if not original.exists():
            script = Path(__file__).resolve().parent / "biglog.py"
            unfinished = self._folder / f"{kind}-unfinished.db"
            command = [
                sys.executable,
                str(script),
                str(unfinished),
                str(MESSAGES),
                str(SHORTEST),
                str(LONGEST),
            ]
            with Process([*command, *arguments]) as maker:
                maker.wait_for("made", time.monotonic() + MAKE_TIME)
            for suffix in ("-wal", ""):  # the file last: it is what says that all is there
                if (part := Path(f"{unfinished}{suffix}")).exists():
                    part.rename(f"{original}{suffix}")
        for suffix in ("", "-wal"):
            if (part := Path(f"{original}{suffix}")).exists():
                shutil.copyfile(part, f"{path}{suffix}")


class Visitor:
    """One client, who is asked for a name."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), ANSWER_TIME)
        self._lines = self._sock.makefile("rb")
        self._next("NICK")

    def join(self, nick: str, number: int) -> None:
        """Join: event `number`, so that the log goes on from where it ended, and the history before."""
        self._sock.sendall(f"HELLO 1 {nick}\n".encode())
        self._next(f"WELCOME {number} ")
        self._next(f"HISTORY - {SHOWN}")
        self._past(SHOWN)
        self._next("WHO")

    def ask_history(self) -> None:
        self._sock.sendall(f"HISTORY 1 {ASKED}\n".encode())
        self._next(f"HISTORY 1 {ASKED}")
        self._past(ASKED)

    def _past(self, count: int) -> None:
        """Take so many messages: the newest of the log."""
        for number in range(MESSAGES - count + 1, MESSAGES + 1):
            self._next(f"PAST SAY {number} ")

    def _next(self, beginning: str) -> None:
        line = self._lines.readline().decode()
        if not line.startswith(beginning):
            raise Failed(f"a client is told {line[:80]!r}, not {beginning}")

    def close(self) -> None:
        self._lines.close()
        self._sock.close()


def restart(start: Starter) -> Restart:
    """Start it, look, let fifty join and one ask for the history, look again."""
    with start() as server:
        process = server.process
        listening = server.ready_at - process.started_at
        visitors = [Visitor(server.port)]
        greeting = time.monotonic() - process.started_at
        time.sleep(REST_TIME)
        at_rest = process.resident_bytes()
        try:
            for number in range(JOINS):
                if number:
                    visitors.append(Visitor(server.port))
                visitors[-1].join(f"v{number}", MESSAGES + 1 + number)
            asked = time.monotonic()
            visitors[-1].ask_history()
            history = time.monotonic() - asked
            after = process.resident_bytes()
            return Restart(
                listening=listening,
                greeting=greeting,
                at_rest=at_rest,
                after=after,
                peak=process.peak_bytes(),
                history=history,
            )
        finally:
            for visitor in visitors:
                visitor.close()
