"""One TCP link of a client, as the room and the connection's reader share it."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field

from charla.common.tls import TlsSocket
from charla.protocol.dialect import Dialect
from charla.protocol.plain import PLAIN


@dataclass(eq=False, slots=True)
class Connection:
    """One TCP link of a client.

    Two locks tell the reader what the room has done.  Both are held from the beginning; the room thread
    releases each once, and the reader waits for that.
    """

    # Set once, for all threads.  The reader alone receives from `sock` and closes it, the room alone sends on
    # it and shuts it down.
    sock: socket.socket | TlsSocket
    peer: str  # address and port, for the record
    origin: str = ""  # who counts as one (admission.py): what is limited, slowed down and banned
    tls: TlsSocket | None = None  # the same as `sock`, where that speaks TLS
    _closing: threading.Lock = field(default_factory=threading.Lock)  # held until `closing`
    _released: threading.Lock = field(default_factory=threading.Lock)  # held until `gone`

    # The room thread's alone.
    dialect: Dialect = PLAIN  # what an undecided client is spoken to in
    inserts: list[tuple[int, int, bytes]] = field(default_factory=list)  # (place, lines replaced, bytes)
    first: int = 0  # its part of this batch's lines begins here...
    last: int | None = 0  # ...and ends here; None: open, as for every member
    apart: bool = False  # the next `flush` serves it apart from the others
    backlog: list[bytes] = field(default_factory=list)
    backlog_size: int = 0
    closing: bool = False  # nothing more is taken from it: it is told goodbye, then end of stream
    half_closed: bool = False  # end of stream has been sent
    ended: bool = False  # its reader has handed over all there was
    dropped: bool = False  # it did not read: nothing is added to what it is still sent
    gone: bool = False  # released: the room does not touch the socket any more

    def __post_init__(self) -> None:
        self._closing.acquire()
        self._released.acquire()

    def begin_closing(self) -> None:
        """Tell the reader that nothing more is taken from it.  Room thread, any number of times."""
        if not self.closing:
            self.closing = True
            self._closing.release()

    def wait_closing(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for `begin_closing`; say whether it came.  Reader thread."""
        if self._closing.acquire(timeout=timeout):
            self._closing.release()
            return True
        return False

    def release(self) -> None:
        """Tell the reader that the room does not touch the socket any more.  Room thread, once."""
        self.begin_closing()
        self._released.release()

    def wait_released(self, timeout: float = -1) -> bool:
        """Wait up to `timeout` seconds (-1: for ever) for `release`; say whether it came.  Reader thread."""
        if self._released.acquire(timeout=timeout):
            self._released.release()
            return True
        return False
