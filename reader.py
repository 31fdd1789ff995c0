"""A reader: the thread of one connection, and everything that its incoming bytes cost.

    recv -> LineFramer -> decode_line -> Dialect.decode_command -> its rate limit -> the room's inbox

Nothing here is shared: a reader and its rate limit belong to one thread.  It talks to the room
through the inbox alone, and hears from it in two ways: the answers to its errands (items.py), and
`wait_let_go`.
"""

from __future__ import annotations

import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from eventlog import Logged, StorageError
from fanout import Connection
from inbox import Inbox
from items import (
    Answer,
    AskHistory,
    CatchUp,
    Chunk,
    Ended,
    Errand,
    Item,
    NoSeat,
    Read,
    ReadPast,
    Silent,
    TakeSeat,
)
from messages import Command, Earlier, Hello, History, Leave, Past, Refused
from nicks import check_nick
from protocol import NATIVE, PLAIN, Dialect, LineFramer, decode_line, is_native, read_answer

if TYPE_CHECKING:
    from storage import Storage

log = logging.getLogger("charla")

RECEIVE_SIZE = 4096
"""Bytes of one recv: allocated, for every idle client, before it blocks."""

BURST = 20
"""Lines a client may send at once before the rate limit slows it down."""

PING_AFTER = 30.0
"""Seconds of silence after which a client is asked whether it is there."""

DEAD_AFTER = 90.0
"""Seconds of silence, or without taking anything, after which a link is taken for dead."""

CHUNK_SIZE = 16 * 1024
"""Bytes that a client who catches up is sent at a time: a hundred of these, and the room's next batch, are
what somebody else's message may have to wait for."""

_ROWS = 200  # read from the disk at a time

Entry: TypeAlias = tuple[Connection, list[Item]]
"""What is in the inbox: what one chunk of a connection asked for, in order."""


class RateLimit:
    """`rate` lines a second with a burst: says how long each line has to wait.  One reader's own.

    A token bucket kept as one number, the time at which it would be full again (the generic cell rate
    algorithm of ATM networks).
    """

    def __init__(self, rate: float, burst: int = BURST, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._tolerance = (burst - 1) * self._interval
        self._clock = clock
        self._full_at = 0.0

    def charge(self) -> float:
        """Charge one line; return the seconds to wait before it may be handed on (0: at once)."""
        if not self._interval:
            return 0.0
        now = self._clock()
        full_at = max(self._full_at, now)
        self._full_at = full_at + self._interval
        delay = full_at - self._tolerance - now
        return delay if delay > 0.001 else 0.0  # a shorter sleep is not worth the rounding


class Reader:
    """Reads one connection: all that a client's bytes cost, and nothing of anybody else's.

    A thread of its own runs `run`; what it understands it puts into the room's inbox, a chunk's worth
    at a time.  It closes the socket, after the room has let go of it.
    """

    def __init__(
        self,
        connection: Connection,
        inbox: Inbox[Entry | None],
        rate_limit: RateLimit,
        *,
        storage: Storage | None = None,
        turn: threading.Lock | None = None,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        self._connection = connection
        self._inbox = inbox
        self._rate_limit = rate_limit
        self._storage = storage
        # Held while a chunk is made, one reader at a time: of a hundred that come back at once, the
        # others wait without the interpreter's lock, and the room has one to wait for, not a hundred.
        self._turn = turn or threading.Lock()
        self._ping_after = ping_after
        self._dead_after = dead_after
        self._framer = LineFramer()
        self._dialect: Dialect | None = None  # None until the first line has chosen it
        self._seated = False
        self._pending: list[Item] = []  # understood, not yet handed over

    def run(self) -> None:
        """Read until the end of the stream or of the connection; then close the socket."""
        reason = "lost"
        try:
            self._read_all()
            reason = "left" if self._dialect is PLAIN else "lost"
        except OSError as error:  # reset, timed out, unreachable
            log.debug("%s: %s", self._connection.peer, error)
        finally:
            self._pending.append(Ended(reason))
            self._hand_over()
            self._connection.wait_let_go()
            self._connection.sock.close()

    def _read_all(self) -> None:
        while data := self._receive():
            for line in self._framer.feed(data):
                delay = self._rate_limit.charge()
                if delay:
                    self._hand_over()
                    if self._connection.wait_let_go(delay):
                        return  # hung up on: nobody would take the rest
                self._read_line(line)
            self._hand_over()
        if self._framer.unfinished:
            # A line that was cut may say something else than was meant: it is not guessed at.
            self._pending.append(Refused("unfinished"))

    def _receive(self) -> bytes:
        """Return what comes next; OSError when the link is lost, or silent for too long."""
        heard = time.monotonic()
        while True:
            try:
                return self._connection.sock.recv(RECEIVE_SIZE)
            except BlockingIOError:  # SO_RCVTIMEO has passed
                if time.monotonic() - heard >= self._dead_after:
                    raise TimeoutError(f"silent for {self._dead_after:g} s") from None
                self._pending.append(Silent())
                self._hand_over()

    def _watch_silence(self) -> None:
        """Have `recv` return after a while without anything; sends are not concerned, as by settimeout()."""
        seconds = int(self._ping_after)
        microseconds = round((self._ping_after - seconds) * 1e6)
        timeout = struct.pack("@ll", seconds, microseconds)
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def _hand_over(self) -> None:
        if self._pending:
            self._inbox.put((self._connection, self._pending))
            self._pending = []

    def _read_line(self, line: bytes | None) -> None:
        if not self._seated:
            self._read_answer(line)
            return
        assert self._dialect is not None
        try:
            item: Item | None = self._dialect.decode_command(decode_line(line))
        except Refused as refused:
            item = refused
        if isinstance(item, Hello):
            item = Refused("malformed", "HELLO")
        if isinstance(item, History):
            self._show_history(item)
        elif item is not None:
            self._pending.append(item)

    def _read_answer(self, line: bytes | None) -> None:
        """Take a line that answers NICK; returns when the room has said whether that is a seat."""
        try:
            command = self._decode_answer(decode_line(line))
            if isinstance(command, Leave):
                self._pending.append(command)
                return
            if not isinstance(command, Hello):
                raise Refused("hello-first", tag=getattr(command, "tag", 0))
            hello = replace(command, nick=check_nick(command.nick))
        except Refused as refused:
            self._pending.append(NoSeat(refused, self._dialect or PLAIN))
            return
        assert self._dialect is not None
        # Whether the next line is a message or another try depends on the answer.
        step = self._do(TakeSeat(hello, self._dialect, SimpleQueue()))
        while isinstance(step, Read):
            step = self._replay(step)
        self._seated = step is True
        if self._seated and hello.session:
            self._watch_silence()

    def _do(self, errand: Errand) -> Answer:
        """Hand the room an errand, behind all that came before; return its answer."""
        self._pending.append(errand)
        self._hand_over()
        return errand.answer.get()

    # ---- what was before -------------------------------------------------------------------------

    def _replay(self, read: Read) -> Answer:
        """Send the client the events that it is to read; return what the room wants next."""
        reached, failed = read.after, False

        def lines() -> Iterator[bytes]:
            nonlocal reached, failed
            try:
                for logged in self._entries(read):
                    reached = logged.id
                    yield logged.told_to(read.session)
            except StorageError as error:  # what was read before it is sent
                log.error("%s", error)
                failed = True

        for chunk in self._chunks(lines()):
            if not self._send(chunk):
                return False
        if failed:
            return self._do(CatchUp(reached, SimpleQueue(), failed=True))
        began = read.after if read.entries is None else None
        return self._do(CatchUp(read.upto, SimpleQueue(), began=began))

    def _entries(self, read: Read) -> Iterator[Logged]:
        if read.entries is not None:
            yield from read.entries
            return
        assert self._storage is not None
        after = read.after
        while entries := self._storage.events_after(after, read.upto, read.session, _ROWS):
            yield from entries
            after = entries[-1].id

    def _show_history(self, history: History) -> None:
        """Send the client the newest public messages."""
        read = self._do(AskHistory(history.count, SimpleQueue()))
        if not isinstance(read, ReadPast):
            return
        for chunk in self._chunks(self._history_lines(read, history.tag)):
            # Twelve bytes ask for megabytes: each chunk counts as a line.
            if self._connection.wait_let_go(self._rate_limit.charge()) or not self._send(chunk):
                return

    def _history_lines(self, read: ReadPast, tag: int) -> Iterator[bytes]:
        """Yield the lines of a history, as far as the disk can be read."""
        assert self._dialect is not None
        first, found = read.before, 0
        try:
            if read.more and self._storage is not None:
                first, found = self._storage.find_public(read.before, read.more)
        except StorageError as error:
            log.error("%s", error)
        yield self._dialect.encode(Earlier(tag, found + len(read.entries)))
        try:
            for logged in itertools.chain(self._past(first, read.before), read.entries):
                yield self._dialect.encode(Past(logged.event))  # type: ignore[arg-type] # public ones are such
        except StorageError as error:
            log.error("%s", error)

    def _past(self, first: int, before: int) -> Iterator[Logged]:
        """Yield the public messages on disk with first <= id < before."""
        while first < before:
            assert self._storage is not None
            entries = self._storage.public_between(first, before, _ROWS)
            yield from entries
            first = entries[-1].id + 1 if entries else before

    def _chunks(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Join lines to chunks of some CHUNK_SIZE bytes, each made in this reader's turn."""
        iterator = iter(lines)
        ended = False
        while not ended:
            chunk: list[bytes] = []
            size = 0
            with self._turn:
                while size < CHUNK_SIZE:
                    line = next(iterator, None)
                    if line is None:
                        ended = True
                        break
                    chunk.append(line)
                    size += len(line)
            if chunk:
                yield b"".join(chunk)

    def _send(self, chunk: bytes) -> bool:
        """Have the room send a chunk; return when the client has taken it, or False when it is gone.

        TimeoutError when it takes nothing for so long that its link must be dead.
        """
        errand = Chunk(chunk, SimpleQueue())
        self._pending.append(errand)
        self._hand_over()
        try:
            return errand.answer.get(timeout=self._dead_after) is True
        except Empty:
            raise TimeoutError(f"has not taken what it was sent for {self._dead_after:g} s") from None

    def _decode_answer(self, text: str) -> Command | None:
        if self._dialect is NATIVE:
            return self._dialect.decode_command(text)
        self._dialect = NATIVE if is_native(text) else PLAIN
        return read_answer(text)[1]
