"""Catching up: what a client is sent of what happened before, the history and what a resume has missed.

All of it is read from the log.  What is little the room thread sends itself; what may be long is read by the
connection's reader, a chunk at a time, as fast as its client takes it (requests.py tells how).

The seam between what is replayed and what is live: a session that catches up is not told what happens; all
of it is in the log.  When so little is left that the room can send it itself, it does so and subscribes the
connection to the fan-out in one step, between two events.  So each event is replayed or live, never both and
never neither.

Belongs to the room thread.
"""

from __future__ import annotations

from queue import SimpleQueue

from charla.protocol.dialect import Dialect
from charla.protocol.messages import CaughtUp, HistoryEntry, HistoryHeader, Resumed
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import FLUSH_SIZE, Fanout
from charla.server.delivery.requests import AskHistory, CatchUp, Chunk, Reply
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.sessions import Session, Sessions
from charla.server.storage.event_log import EventLog
from charla.server.storage.slices import MemorySlice

SEAM = 500
"""Events that a client may lack for the room to send them itself: a millisecond's work."""


class CatchingUp:
    """Sends what was before to those who join, resume or ask."""

    def __init__(
        self, fanout: Fanout, log: EventLog, sessions: Sessions, private_messages: PrivateMessages
    ) -> None:
        self._fanout = fanout
        self._log = log
        self._sessions = sessions
        self._private_messages = private_messages
        self._opening: dict[tuple[Dialect, int], tuple[int, bytes]] = {}  # newest id in it, bytes
        self._chunks: list[tuple[Connection, SimpleQueue[Reply]]] = []  # not taken by the socket yet

    # ---- history ---------------------------------------------------------------------------------

    def opening_history(self, dialect: Dialect, count: int) -> bytes:
        """Return the newest `count` public messages, fewer when they are long, as a join shows them."""
        newest = self._log.last_public_id
        known, data = self._opening.get((dialect, count), (0, b""))
        if known == newest:  # a class comes in while nobody talks
            return data
        lines: list[bytes] = []
        size = 0
        for logged in reversed(self._log.newest_public(count)):
            line = dialect.encode(HistoryEntry(logged.event))  # type: ignore[arg-type] # public ones are such
            size += len(line)
            if size > FLUSH_SIZE:
                break
            lines.append(line)
        if lines:
            lines.append(dialect.encode(HistoryHeader(0, len(lines))))
        data = b"".join(reversed(lines))
        self._opening[dialect, count] = newest, data
        return data

    def history(self, _: Session, item: AskHistory) -> None:
        """Have the reader show the history: it may be long, and on disk."""
        item.reply.put(self._log.history(item.count))

    # ---- resume ----------------------------------------------------------------------------------

    def begin(self, session: Session, after: int, reply: SimpleQueue[Reply]) -> None:
        """Tell a session, which has a connection again, that it goes on, and what it has missed."""
        self._go_on(session, after, reply, resumed=True)

    def go_on(self, session: Session, item: CatchUp) -> None:
        """Have the reader send on, or send the rest and let the session live."""
        self._go_on(session, item.after, item.reply, from_disk=not item.failed, lost=item.lost)
        self._private_messages.ask_soon(session)

    def _go_on(
        self,
        session: Session,
        after: int,
        reply: SimpleQueue[Reply],
        *,
        from_disk: bool = True,
        resumed: bool = False,
        lost: int = 0,
    ) -> None:
        connection = session.connection
        assert connection is not None
        floor = self._log.lowest(on_disk=from_disk)
        waiting = self._private_messages.waiting_for(session, after, floor)
        lost += max(0, floor - after - len(waiting))
        if lost or resumed:
            self._fanout.send_to(connection, Resumed(session.nick, len(self._sessions), lost))
        missed = self._log.missed(session.id, after, floor, waiting)
        newest = self._log.last_id
        if isinstance(missed, MemorySlice) and missed.upto == newest and len(missed.entries) <= SEAM:
            data = b"".join([logged.line_for(session.id) for logged in missed])
            if len(data) <= FLUSH_SIZE:
                self._fanout.send_raw(connection, data)
                self._fanout.send_to(connection, CaughtUp(newest))
                self._fanout.subscribe(connection)
                session.live = True
                reply.put(True)
                return
        reply.put(missed)

    # ---- chunks ----------------------------------------------------------------------------------

    def send(self, session: Session, chunk: Chunk) -> None:
        """Send what a reader has prepared, and reply to it when the socket has taken that."""
        assert session.connection is not None
        self._fanout.send_raw(session.connection, chunk.data)
        self._chunks.append((session.connection, chunk.reply))

    def answer_chunks(self) -> None:
        """Tell the readers whose client has taken what waited for it to go on.  After each flush."""
        if not self._chunks:
            return
        waiting = []
        for connection, reply in self._chunks:
            if connection.backlog:
                waiting.append((connection, reply))
            else:
                reply.put(not connection.closing)
        self._chunks = waiting

    def abandon(self) -> None:
        """Let no reader wait for a reply."""
        for _, reply in self._chunks:
            reply.put(False)
        self._chunks = []
