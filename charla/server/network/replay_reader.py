"""What a client has missed, or wants to see again: its reader reads that from the log, a chunk at a time.

The room answers the reader with a slice of the log.  The reader makes lines of it, joins them to chunks, and
hands these to the room, each when the client has taken the one before (requests.py shows the conversation).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

from charla.i18n import N_, LazyText
from charla.protocol.commands import History
from charla.protocol.dialect import Dialect
from charla.protocol.messages import HistoryEntry, HistoryHeader
from charla.server.delivery.requests import AskHistory, CatchUp, Chunk, Reply, Request
from charla.server.storage.entries import StorageError
from charla.server.storage.slices import HistorySlice, ReplaySlice

log = logging.getLogger("charla")

CHUNK_SIZE = 16 * 1024
"""Bytes that a client who catches up is sent at a time: a hundred of these, and the room's next batch, are
what somebody else's message may have to wait for."""


class ReplayReader:
    """Sends one client what was before; made by its reader, for one request, and used on that thread alone.

    `ask` hands the room a request and returns its reply, or raises Empty when that takes longer than so many
    seconds (None: for ever).  `replay_lock` is held while a chunk is made, by one reader at a time: of a
    hundred whose clients come back at once, the others wait without the interpreter's lock, and the room
    competes with one.  A client that takes no chunk for `dead_after` seconds is dead: TimeoutError.
    """

    def __init__(
        self,
        ask: Callable[[Request, float | None], Reply],
        replay_lock: threading.Lock,
        dead_after: float,
    ) -> None:
        self._ask = ask
        self._replay_lock = replay_lock
        self._dead_after = dead_after

    def catch_up(self, reply: Reply) -> bool:
        """Send slice by slice what a session has missed, from `reply` on; say whether it is live then."""
        while isinstance(reply, ReplaySlice):
            reply = self._replay(reply)
        return reply is True

    def _replay(self, missed: ReplaySlice) -> Reply:
        """Send the client a slice; return what the room replies to that."""
        reached, failed = missed.after, False

        def lines() -> Iterator[bytes]:
            nonlocal reached, failed
            try:
                for logged in missed:
                    reached = logged.id
                    yield logged.line_for(missed.session)
                reached = missed.upto
            except StorageError as error:  # what was read before it is sent
                log.error("%s", error)
                failed = True

        for chunk in self._chunks(lines()):
            if not self._send(chunk):
                return False
        return self._ask(CatchUp(reached, SimpleQueue(), failed, 0 if failed else missed.pruned), None)

    def show_history(self, history: History, dialect: Dialect, charge: Callable[[], bool]) -> None:
        """Send the client the newest public messages, as far as the log can be read.

        `charge` charges a line to the client's rate limit, and returns False when the connection ends: twelve
        bytes ask for megabytes, so each chunk counts as a line.
        """
        read = self._ask(AskHistory(history.count, SimpleQueue()), None)
        if not isinstance(read, HistorySlice):
            return

        def lines() -> Iterator[bytes]:
            count, messages = read.read()
            yield dialect.encode(HistoryHeader(history.tag, count))
            try:
                for logged in messages:
                    yield dialect.encode(HistoryEntry(logged.event))  # type: ignore[arg-type] # public ones are such
            except StorageError as error:
                log.error("%s", error)

        for chunk in self._chunks(lines()):
            if not (charge() and self._send(chunk)):
                return

    def _chunks(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Join lines to chunks of some CHUNK_SIZE bytes, each made under the replay lock."""
        while True:
            chunk: list[bytes] = []
            size = 0
            with self._replay_lock:
                for line in lines:
                    chunk.append(line)
                    size += len(line)
                    if size >= CHUNK_SIZE:
                        break
            if not chunk:
                return
            yield b"".join(chunk)

    def _send(self, chunk: bytes) -> bool:
        """Have the room send a chunk; return True when the client has taken it, or False when it is gone."""
        try:
            return self._ask(Chunk(chunk, SimpleQueue()), self._dead_after) is True
        except Empty:
            words = N_("has not taken what it was sent for %g s")
            raise TimeoutError(LazyText(words, self._dead_after)) from None
