"""A reader: the thread of one connection, and everything that its incoming bytes cost.

    recv -> LineFramer -> decode_line -> Dialect.decode_command -> its rate limit -> the room's inbox

Nothing here is shared: a reader and its rate limit belong to one thread.  It talks to the room
through the inbox alone, and hears from it in two ways: the answer to a nick, and `wait_let_go`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

from fanout import Connection
from inbox import Inbox
from messages import Command, Hello, Leave, Refused
from protocol import NATIVE, PLAIN, Dialect, LineFramer, check_nick, decode_line, is_native, read_answer
from room import Ended, Item, NoSeat, TakeSeat

log = logging.getLogger("charla")

RECEIVE_SIZE = 4096
"""Bytes of one recv: allocated, for every idle client, before it blocks."""

BURST = 20
"""Lines a client may send at once before the rate limit slows it down."""

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

    def __init__(self, connection: Connection, inbox: Inbox[Entry | None], rate_limit: RateLimit) -> None:
        self._connection = connection
        self._inbox = inbox
        self._rate_limit = rate_limit
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
        while data := self._connection.sock.recv(RECEIVE_SIZE):
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
        if item is not None:
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
            nick = check_nick(command.nick)
        except Refused as refused:
            self._pending.append(NoSeat(refused, self._dialect or PLAIN))
            return
        assert self._dialect is not None
        # Whether the next line is a message or another try depends on the answer.
        answer: SimpleQueue[bool] = SimpleQueue()
        self._pending.append(TakeSeat(nick, self._dialect, answer))
        self._hand_over()
        self._seated = answer.get()

    def _decode_answer(self, text: str) -> Command | None:
        if self._dialect is NATIVE:
            return self._dialect.decode_command(text)
        self._dialect = NATIVE if is_native(text) else PLAIN
        return read_answer(text)[1]
