"""The room's inbox: many readers put, the room takes all that is waiting.

The room sleeps in poll(), with one end of a socketpair in it: so it hears of new entries and of
sockets that were full and are writable again, in one place.  A reader writes a byte to the other end
only when the room has said that it is about to sleep.  (A lock instead of the socketpair cost 20 us a
message with 10 clients: it wakes the room while the reader still holds the interpreter's lock, so the
room goes to sleep a second time.  docs/ARCHITECTURE.md has the figures.)
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

INBOX_LIMIT = 1000
"""Entries (a chunk of a connection each, 4 KiB at most) that wait before readers are made to wait."""

_BURST_ROUNDS = 50  # of letting go, at most: nobody waits for an endless burst


class Inbox(Generic[T]):
    """A bounded queue from many threads to one: `put` is for any thread, the rest for the one that takes."""

    def __init__(self, limit: int = INBOX_LIMIT) -> None:
        self._limit = limit
        self._queue: SimpleQueue[T] = SimpleQueue()
        self._asleep = False  # set by the taker, cleared by both; see `put`
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._rung = False  # something woke the taker: there may be bytes in the socketpair
        self._bursting = False  # the last time there was more than one entry
        self._not_full = threading.Condition()  # notified by the taker when it has emptied the queue
        self._waiting = 0  # putters that wait for `_not_full`; written under its lock

    @property
    def wake_reader(self) -> socket.socket:
        """What the taker registers, for reading, in the poller that it gives to `take`."""
        return self._wake_reader

    def put(self, entry: T) -> None:
        """Append `entry`.  Blocks while the inbox is full, and so, through TCP, whoever types too fast."""
        if self._queue.qsize() >= self._limit:
            self._wait_until_not_full()
        self._queue.put(entry)
        # The taker sets the flag, then looks at the queue once more, then sleeps; we look at the flag
        # after we have put: one of the two always sees the other.  Clearing it saves the other putters
        # the system call; two bytes instead of one do no harm.
        if self._asleep:
            self._asleep = False
            with contextlib.suppress(BlockingIOError):  # full of bytes that will wake it
                self._wake_writer.send(b"\0")

    def _wait_until_not_full(self) -> None:
        with self._not_full:
            self._waiting += 1  # before the check: who empties the queue after it will see us
            while self._queue.qsize() >= self._limit:
                self._not_full.wait()
            self._waiting -= 1

    def take(self, poller: select.poll, timeout: float | None) -> list[T]:
        """Return all that is waiting, in order.

        While nothing is, sleep until something is put, until another file of `poller` is ready, or
        for `timeout` seconds (None: no limit): the list is empty then.
        """
        if self._queue.empty():
            if self._rung:
                # The bytes of the last time: taken now, and not on the way from a message to its
                # delivery.  What is left of them, or comes behind, only wakes us once more.
                with contextlib.suppress(BlockingIOError):
                    self._wake_reader.recv(4096)
            milliseconds = None if timeout is None else timeout * 1000
            self._asleep = True
            self._rung = bool(poller.poll(milliseconds if self._queue.empty() else 0))
            self._asleep = False
        if self._bursting:
            self._let_burst_arrive()
        # qsize() cannot shrink behind our back: nobody else takes.
        entries = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        if self._waiting:
            with self._not_full:
                self._not_full.notify(self._limit)  # not all: of thousands, the rest would wait again
        self._bursting = len(entries) > 1
        return entries

    def _let_burst_arrive(self) -> None:
        """Let readers that have something put it, until no more comes: one larger batch for two small ones.

        Readers wait for the interpreter's lock while the room has it; sleep(0) is how it lets go.
        Only under load: who talks alone never waits for this.
        """
        waiting = -1
        for _ in range(_BURST_ROUNDS):
            if waiting == (waiting := self._queue.qsize()):
                return
            time.sleep(0)

    def close(self) -> None:
        """Close the socketpair; the threads that put have ended by then."""
        self._wake_reader.close()
        self._wake_writer.close()
