"""A reader on one end of a socketpair, and a list instead of the room."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import (
    AskHistory,
    CatchUp,
    Chunk,
    Ended,
    Item,
    Reply,
    Request,
    TakeSeat,
    Work,
)
from charla.server.network.rate_limit import RateLimit
from charla.server.network.reader import Reader
from support import DEADLINE


def release(connection: Connection) -> None:
    """Do what the room does when it is done with a connection."""
    connection.gone = True
    connection.release()


class ListInbox:
    """Keeps the items; answers whether a seat is free."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self.items: list[Item] = []
        self.chunks: list[list[Item]] = []
        self.changed = threading.Condition()
        self._taken = taken
        self.steps: list[Reply] = []  # what comes instead of True
        self.takes_chunks = True

    def put(self, entry: Work) -> None:
        assert isinstance(entry, tuple)
        connection, items = entry
        with self.changed:
            self.items += items
            self.chunks.append(items)
            self.changed.notify_all()
        for item in items:
            if isinstance(item, (TakeSeat, CatchUp, AskHistory, Chunk)):
                self.answer(item)
            if isinstance(item, Ended) and not connection.gone:
                release(connection)

    def answer(self, request: Request) -> None:
        """Do a request of the reader as the room does."""
        if isinstance(request, TakeSeat):
            request.reply.put(self.steps.pop(0) if self.steps else request.hello.nick not in self._taken)
        elif isinstance(request, Chunk):
            if self.takes_chunks:
                request.reply.put(True)
        else:
            request.reply.put(self.steps.pop(0) if self.steps else True)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE)


class Running:
    """A reader in its thread, and the client's end of its socket."""

    def __init__(self, inbox: ListInbox, rate_limit: RateLimit | None = None, **options: Any) -> None:
        self.client, server = socket.socketpair()
        self.connection = Connection(server, "peer")
        self.inbox = inbox
        limit = rate_limit or RateLimit(0)
        reader = Reader(self.connection, inbox, limit, **options)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=reader.run)
        self._thread.start()

    def finish(self) -> list[Item]:
        """End the stream; return all items but the seat's, once the thread has ended."""
        self.client.shutdown(socket.SHUT_WR)
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        assert self.connection.sock.fileno() == -1
        self.client.close()
        return [item for item in self.inbox.items if not isinstance(item, TakeSeat)]
