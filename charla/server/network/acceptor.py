"""The acceptor: the thread that owns the listening socket, and starts and joins the readers.

It never does anything that a client could make last: no handshake, no name lookup, no blocking send.  Who is
too many is turned away here (admission.py); when descriptors or threads have run out it rests, says so once,
and goes on by itself.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from queue import SimpleQueue

from charla.common.addresses import origin_of
from charla.common.tls import TlsSocket
from charla.i18n import N_, system_words
from charla.protocol.greeting import turn_away
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import Connected, Ended, MakePlace, Work
from charla.server.network.admission import Admission
from charla.server.network.inbox import Inbox
from charla.server.network.reader import Reader
from charla.server.records import Counters, ThrottledLogger, record_turned_away

log = logging.getLogger("charla")

LISTEN_BACKLOG = 4096
"""Connections that the kernel holds until they are accepted: a class that comes in at once."""

SEND_BUFFER = 128 * 1024
"""Bytes the kernel may hold for one client (Linux takes twice that): without a bound a client that
does not read takes megabytes before the first refusal."""

KEEPALIVE_PROBES = 6
"""Probes without an answer after which the kernel takes a silent link for dead."""

ACCEPT_PAUSE = 0.5
"""Seconds without accepting when descriptors or threads have run out."""

_TRANSIENT = frozenset(
    {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH}
    | {errno.EHOSTDOWN, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ETIMEDOUT}
)
"""Errors of accept that are about the one connection (accept(2), "Error handling")."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})
"""Errors of accept that pass when somebody leaves."""


def listen(host: str, port: int) -> socket.socket:
    """Return a non-blocking listening socket, of both kinds of IP for `::`.

    OSError when it cannot be (gaierror for a name that nobody knows).
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server(address[:2], family=family, backlog=LISTEN_BACKLOG, dualstack_ipv6=both)
    listener.setblocking(False)
    return listener


def host_port(host: str, port: int) -> str:
    """Return an address and a port as people write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Acceptor:
    """Accepts connections until `stop`; everything but `stop` and `wake` is for its own thread.

    `make_reader` makes the reader of a connection.  `do_asked` is called whenever it was woken: signal
    handlers only set flags.  `keep_alive`: seconds of silence, and until a link counts as dead.
    """

    def __init__(
        self,
        listener: socket.socket,
        inbox: Inbox[Work],
        admission: Admission,
        make_reader: Callable[[Connection], Reader],
        do_asked: Callable[[], None],
        counters: Counters,
        *,
        keep_alive: tuple[float, float],
        context: ssl.SSLContext | None = None,
    ) -> None:
        # Its own thread's, but for what says so.
        self.context = context  # of TLS, for new connections; None: no TLS
        self._listener = listener
        self._inbox = inbox  # any thread's
        self._admission = admission
        self._make_reader = make_reader
        self._do_asked = do_asked
        self._counters = counters
        self._keep_alive_times = keep_alive
        self._throttled = ThrottledLogger(log)
        self._stopping = False  # set by any thread, once
        self._wake_reader, self._wake_writer = socket.socketpair()  # any thread's: a byte wakes `run`
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._readers: dict[threading.Thread, str] = {}  # and the address of its connection
        self._finished: SimpleQueue[threading.Thread] = SimpleQueue()  # readers put in their own

    # ---- any thread ------------------------------------------------------------------------------

    def stop(self) -> None:
        """End `run`; from any thread or signal handler, any number of times."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """Have `run` look at what is asked of it."""
        with contextlib.suppress(OSError):  # full, or closed: it is awake, or has ended
            self._wake_writer.send(b"\0")

    @property
    def wake_descriptor(self) -> int:
        """The descriptor that wakes the acceptor when a byte is written to it: for signals."""
        return self._wake_writer.fileno()

    # ---- its own thread --------------------------------------------------------------------------

    def run(self) -> None:
        """Accept connections until it is stopped."""
        exhausted = False  # out of descriptors or threads, and said so
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_reader, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while True:
                ready = selector.select(0 if exhausted else None)
                if any(key.fileobj is self._wake_reader for key, _ in ready):
                    self._wake_reader.recv(4096)
                if self._stopping:
                    return
                self._do_asked()
                try:
                    for _ in range(LISTEN_BACKLOG):
                        if not self._accept():
                            break
                except OSError as error:
                    if error.errno not in _EXHAUSTED:
                        raise
                    if not exhausted:
                        exhausted = True
                        many = len(self._readers)
                        why = system_words(error)
                        log.error(N_("cannot accept (%s): %d connections; trying on"), why, many)
                    self._inbox.put(MakePlace())
                    # The listener stays readable: without a pause this would be a busy loop.
                    selector.unregister(self._listener)
                    selector.select(ACCEPT_PAUSE)
                    selector.register(self._listener, selectors.EVENT_READ)
                    self._reap()
                    continue
                if exhausted:  # and now nobody waits: accept wants a descriptor even then
                    exhausted = False
                    log.warning(N_("accepting again"))

    def close(self) -> None:
        """Join the readers, and close everything; after `run`, and when the room has ended."""
        for thread in self._readers:
            thread.join()
        self._throttled.flush()
        self._wake_reader.close()
        self._wake_writer.close()

    def _accept(self) -> bool:
        """Accept one client and start its reader, or turn it away; return whether there was one.

        Raises OSError as accept does, but for errors that are about the one client.
        """
        try:
            sock, peer = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _TRANSIENT:
                return True
            raise
        self._reap()
        if not peer:  # macOS: it is gone already
            sock.close()
            return True
        address, port, *_ = peer
        refused = self._admission.come_in(address)
        if refused is not None:
            self._turn_away(sock, origin_of(address), refused)
            return True
        try:
            connection = self._connection(sock, address, port)
        except OSError:  # already reset
            self._admission.gone(address)
            sock.close()
            return True
        self._start(connection, address)
        return True

    def _turn_away(self, sock: socket.socket, who: str, refused: Refused) -> None:
        self._counters.turned_away += 1
        record_turned_away(self._throttled, who, refused.code)
        with sock, contextlib.suppress(OSError):
            if self.context is None:
                sock.send(turn_away(refused.code, *refused.arguments), socket.MSG_DONTWAIT)

    def _connection(self, sock: socket.socket, address: str, port: int) -> Connection:
        # One send per batch: to wait for more to go with it (Nagle) would only delay it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._keep_alive(sock)
        who = origin_of(address)
        peer = host_port(address.removeprefix("::ffff:") if "." in address else address, port)
        if self.context is None:
            return Connection(sock, peer, who)
        tls = TlsSocket(sock, self.context, server_side=True)
        return Connection(tls, peer, who, tls)

    def _start(self, connection: Connection, address: str) -> None:
        """Start the reader of a connection.  OSError when there are no more threads."""
        reader = self._make_reader(connection)
        thread = threading.Thread(
            target=self._run_reader, args=(reader,), name=f"reader {connection.peer}", daemon=True
        )
        # Before anything that the reader puts.
        self._inbox.put((connection, [Connected(secured=connection.tls is None)]))
        self._readers[thread] = address
        try:
            thread.start()
        except RuntimeError:  # can't start new thread
            del self._readers[thread]
            self._admission.gone(address)
            self._inbox.put((connection, [Ended("error")]))
            connection.wait_released()
            connection.sock.close()
            raise OSError(errno.EAGAIN, N_("no more threads")) from None

    def _keep_alive(self, sock: socket.socket) -> None:
        """Have the kernel notice a dead link: most clients cannot be pinged in any other way."""
        ping_after, dead_after = self._keep_alive_times
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        probe_interval = max(1, round((dead_after - ping_after) / KEEPALIVE_PROBES))
        for name, value in (
            ("TCP_KEEPIDLE", max(1, round(ping_after))),
            ("TCP_KEEPALIVE", max(1, round(ping_after))),  # what macOS calls it
            ("TCP_KEEPINTVL", probe_interval),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
            # While something is unacknowledged there are no probes, and retransmitting takes 15 minutes.
            ("TCP_USER_TIMEOUT", max(1, round(dead_after * 1000))),
        ):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def _run_reader(self, reader: Reader) -> None:
        try:
            reader.run()
        finally:
            self._finished.put(threading.current_thread())

    def _reap(self) -> None:
        """Join the readers that have finished, as a process does with its children."""
        while not self._finished.empty():
            thread = self._finished.get()
            thread.join()
            self._admission.gone(self._readers.pop(thread))
