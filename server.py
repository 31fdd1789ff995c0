#!/usr/bin/env python3
"""The server of Charla: threads, sockets, and a room.  `python3 server.py` and it listens.

Who owns what:

    thread           how many      owns                                        blocks in
    acceptor (main)  1             the listening socket, signals, the          select: a client, or a stop
                                   readers' threads (starts and joins them)
    reader           1 per client  its connection's incoming bytes; reads the  recv, a full inbox, the room's
    (reader.py)                    log for it; closes the socket, last         answers, the disk, its rate
    room             1             everything shared (room.py), every unsent   its inbox (inbox.py); with --db
                                   byte (fanout.py); writes the log file       a commit
    housekeeper      1, with --db  what leaves the log file (storage.py)       its queue, the disk
    log              1             the terminal: writing to it may block       its queue

A message's way: `Reader.run` receives, frames, decodes and parses it, and puts it into the inbox;
`Server._run_room` takes it; `Room.handle` makes it an event and tells the Fanout, which encodes it
once per dialect and sends it to everybody.  docs/ARCHITECTURE.md tells the whole story.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import logging
import logging.handlers
import os
import queue
import select
import selectors
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from queue import SimpleQueue
from typing import NoReturn

import protocol
from eventlog import HISTORY, EventLog, StorageError
from fanout import Connection, Fanout
from inbox import Inbox
from items import Connected, Ended, Errand
from options import DEFAULT_PORT, parse_options
from reader import BURST, DEAD_AFTER, PING_AFTER, Entry, RateLimit, Reader
from room import GRACE, Room
from storage import Storage

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger("charla")

SWITCH_INTERVAL = 2.0
"""Seconds after which a thread that waits for the interpreter's lock asks for it.  With the usual
0.005, 9,500 readers that wake at once (everybody hangs up) ask 1.9 million times a second, and nothing
else gets done: measured, 30 s and more until they had gone; in some rounds still so with 0.05; 3 s with
this.  Nobody waits that long: the room and the readers give the lock up at every send and recv."""

LISTEN_BACKLOG = 4096
"""Connections that the kernel holds until they are accepted: a class that comes in at once."""

READER_STACK = 256 * 1024
"""Bytes of address space for a thread's stack: 10,000 of the usual 8 MiB would ask for 80 GB."""

SEND_BUFFER = 128 * 1024
"""Bytes the kernel may hold for one client (Linux takes twice that): without a bound a client that
does not read takes megabytes before the first refusal."""

KEEPALIVE_PROBES = 6
"""Probes without an answer after which the kernel takes a silent link for dead."""

ACCEPT_PAUSE = 0.5
"""Seconds without accepting when descriptors or threads have run out."""


class Server:
    """A room on a listening socket.  `serve_forever` runs it; `shutdown`, from anywhere, ends it.

    Raises OSError when it cannot listen on `host` and `port` (0: a free one; `address` tells which), and
    StorageError when `storage`, which it closes at its end, cannot be read.  `rate_limit` in lines a
    second, 0 for none; `history` in events; `grace`, `ping_after` and `dead_after` in seconds.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        max_clients: int = 1000,
        rate_limit: float = 5.0,
        burst: int = BURST,
        welcome: str = "",
        fanout: Fanout | None = None,
        history: int = HISTORY,
        storage: Storage | None = None,
        grace: float = GRACE,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        log_of_events = EventLog(history, storage)
        self._listener = _listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._max_clients = max_clients
        self._rate_limit = rate_limit
        self._burst = burst
        self._inbox: Inbox[Entry | None] = Inbox()  # None: the last of the acceptor, close the room
        self._fanout = fanout or Fanout()
        self._storage = storage
        self._ping_after = ping_after
        self._dead_after = dead_after
        self._turn = threading.Lock()  # of the readers that replay: one at a time makes a chunk
        self._room = Room(
            self._fanout,
            log_of_events,
            welcome=welcome,
            grace=grace,
            max_absent=max_clients,
        )
        self._room_thread = threading.Thread(target=self._run_room, name="room", daemon=True)
        self._stopping = False  # set by any thread, once
        self._wake_reader, self._wake_writer = socket.socketpair()  # a byte in it wakes the acceptor
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._readers: set[threading.Thread] = set()  # the acceptor's alone
        self._finished: SimpleQueue[threading.Thread] = SimpleQueue()  # readers that want to be joined
        self._batch: deque[Entry | None] = deque()  # the room thread's: taken, and not yet handled
        self._room_failed = False  # written by the room thread, read after it was joined

    # ---- acceptor --------------------------------------------------------------------------------

    def serve_forever(self) -> None:
        """Accept clients until `shutdown`; returns when everything is flushed, closed and joined."""
        if self._storage is not None:
            self._storage.start()
        threading.stack_size(READER_STACK)  # of the threads that are started from here on
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._room_thread.start()
        try:
            self._accept_until_stopped()
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.set_wakeup_fd(-1)
            self._listener.close()
            self._inbox.put(None)
            self._room_thread.join()
            for thread in self._readers:
                thread.join()
            if self._storage is not None:
                self._storage.close()
            self._inbox.close()
            self._wake_reader.close()
            self._wake_writer.close()
        if self._room_failed:
            raise RuntimeError("the room has failed; what happened is in the log")

    def shutdown(self) -> None:
        """Ask `serve_forever` to end; from any thread or signal handler, any number of times."""
        self._stopping = True
        with contextlib.suppress(OSError):  # full, or closed: it is ending already
            self._wake_writer.send(b"\0")

    def wake_on_signals(self) -> None:
        """Have every signal with a handler wake the acceptor, so that the handler runs.  Main thread.

        A signal that comes just before the acceptor sleeps interrupts nothing: it would be seen when
        the next client comes.
        """
        signal.set_wakeup_fd(self._wake_writer.fileno(), warn_on_full_buffer=False)

    def _accept_until_stopped(self) -> None:
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
                        log.error("cannot accept (%s): %d connections; trying on", error.strerror, many)
                    # The listener stays readable: without a pause this would be a busy loop.
                    selector.unregister(self._listener)
                    selector.select(ACCEPT_PAUSE)
                    selector.register(self._listener, selectors.EVENT_READ)
                    continue
                if exhausted:  # and now nobody waits: accept wants a descriptor even then
                    exhausted = False
                    log.warning("accepting again")

    def _accept(self) -> bool:
        """Accept one client and start its reader, or turn it away; return whether there was one.

        Raises OSError as accept does, but for errors that are about the one client.
        """
        try:
            sock, address = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _TRANSIENT:
                return True
            raise
        self._reap()
        peer = _host_port(address[0], address[1])
        if len(self._readers) >= self._max_clients:
            log.warning("%s turned away: %d connections are the limit", peer, self._max_clients)
            with sock, contextlib.suppress(OSError):
                sock.send(protocol.turn_away("full", str(self._max_clients)), socket.MSG_DONTWAIT)
            return True
        try:
            # One send per batch: to wait for more to go with it (Nagle) would only delay it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._keep_alive(sock)
        except OSError:
            sock.close()  # already reset
            return True
        connection = Connection(sock, peer)
        reader = Reader(
            connection,
            self._inbox,
            RateLimit(self._rate_limit, self._burst),
            storage=self._storage,
            turn=self._turn,
            ping_after=self._ping_after,
            dead_after=self._dead_after,
        )
        thread = threading.Thread(target=self._run_reader, args=(reader,), name=f"reader {peer}", daemon=True)
        self._inbox.put((connection, [Connected()]))  # before anything the reader puts
        self._readers.add(thread)
        try:
            thread.start()
        except RuntimeError:  # can't start new thread
            self._readers.discard(thread)
            self._inbox.put((connection, [Ended("error")]))
            connection.wait_let_go()
            sock.close()
            raise OSError(errno.EAGAIN, "no more threads") from None
        return True

    def _keep_alive(self, sock: socket.socket) -> None:
        """Have the kernel notice a dead link: most clients cannot be pinged in any other way."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        probe_interval = max(1, round((self._dead_after - self._ping_after) / KEEPALIVE_PROBES))
        for name, value in (
            ("TCP_KEEPIDLE", max(1, round(self._ping_after))),
            ("TCP_KEEPALIVE", max(1, round(self._ping_after))),  # what macOS calls it
            ("TCP_KEEPINTVL", probe_interval),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
            # While something is unacknowledged there are no probes, and retransmitting takes 15 minutes.
            ("TCP_USER_TIMEOUT", max(1, round(self._dead_after * 1000))),
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
            self._readers.discard(thread)

    # ---- room ------------------------------------------------------------------------------------

    def _run_room(self) -> None:
        try:
            self._serve_room()
        except Exception:
            log.critical("the room has failed: the server ends", exc_info=True)
            self._room_failed = True
            self.shutdown()
            self._abandon_room()

    def _serve_room(self) -> None:
        """Hand the room what comes in, a batch at a time, until it is closed and everybody has gone."""
        room, fanout, inbox = self._room, self._fanout, self._inbox
        fanout.poller.register(inbox.wake_reader, select.POLLIN)
        while not room.idle:
            deadline = room.next_deadline()
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            batch = self._batch = deque(inbox.take(fanout.poller, timeout))
            if fanout.full:
                room.send_backlogs()
            while batch:
                entry = batch.popleft()
                if entry is None:
                    room.close()
                else:
                    connection, items = entry
                    room.handle(connection, items)
            if deadline is not None:
                room.tick()
            room.flush()

    def _abandon_room(self) -> None:
        """After a failure of the room itself: hang up on everybody, and let every reader end."""
        fanout = self._fanout
        self._room.abandon()
        for connection in list(fanout.connections):
            fanout.hang_up(connection)
        closed = False
        entries = list(self._batch)  # what it did not come to
        while not closed or fanout.connections:
            for entry in entries or self._inbox.take(fanout.poller, None):
                if entry is None:
                    closed = True
                    continue
                connection, items = entry
                for item in items:
                    if isinstance(item, Connected):
                        fanout.open(connection)
                        fanout.hang_up(connection)
                    elif isinstance(item, Errand):
                        item.answer.put(False)
                    elif isinstance(item, Ended):
                        fanout.end(connection)
            entries = []


_TRANSIENT = frozenset(
    {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH}
    | {errno.EHOSTDOWN, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.ETIMEDOUT}
)
"""Errors of accept that are about the one connection (accept(2), "Error handling")."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN})
"""Errors of accept that pass when somebody leaves."""


def _listen(host: str, port: int) -> socket.socket:
    """Return a non-blocking listening socket; OSError (gaierror for a name nobody knows) when it cannot."""
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.create_server(address[:2], family=family, backlog=LISTEN_BACKLOG)
    listener.setblocking(False)
    return listener


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --------------------------------------------------------------------------------------------------
# The command
# --------------------------------------------------------------------------------------------------


def _fail(sentence: str) -> NoReturn:
    print(f"charla-server: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def _open_storage(options: argparse.Namespace) -> Storage | None:
    """Return the log file if one is asked for; when it cannot be used, say why and exit with status 2."""
    if not options.db:
        return None
    try:
        return Storage(options.db, sync=options.sync, keep=options.keep)
    except StorageError as error:
        _fail(str(error))


def _open_server(options: argparse.Namespace, storage: Storage | None) -> Server:
    """Return a listening server, or say in one line why there cannot be one and exit with status 2."""
    where = f"{options.host}, port {options.port}"
    try:
        return Server(
            options.host,
            options.port,
            max_clients=options.max_clients,
            rate_limit=options.rate_limit,
            welcome=options.welcome,
            history=options.history,
            storage=storage,
            grace=options.grace,
            ping_after=options.ping_after,
            dead_after=options.dead_after,
        )
    except StorageError as error:
        _fail(str(error))
    except (socket.gaierror, UnicodeError):
        _fail(f"'{options.host}' is not an address or a host name that can be found: try --host 0.0.0.0")
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                _fail(
                    f"port {options.port} is in use, perhaps by another Charla: "
                    "choose another with --port, or 0 for a free one"
                )
            case errno.EADDRNOTAVAIL:
                _fail(
                    f"'{options.host}' is not an address of this machine: try --host 0.0.0.0 for all it has"
                )
            case errno.EACCES:
                _fail(
                    f"port {options.port} is for the administrator alone: choose one from 1024 on with --port"
                )
            case _:
                _fail(f"cannot listen on {where}: {error.strerror or error}")


def _own_address() -> str:
    """Return the address by which other machines reach this one.  Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _announce(address: tuple[str, int]) -> None:
    """Print where the server listens, and what to type to join it."""
    host, port = address
    where = "" if port == DEFAULT_PORT else f" --port {port}"
    lines = [f"listening on {_host_port(host, port)}"]
    if ipaddress.ip_address(host).is_loopback:
        here = where if host == "127.0.0.1" else f" --host {host}{where}"
        lines += [
            f"To join, in another terminal: python3 client.py{here}   (or: nc {host} {port})",
            f"Only this machine can join. To let others in: python3 server.py --host 0.0.0.0{where}",
        ]
    else:
        reachable = _own_address() if ipaddress.ip_address(host).is_unspecified else host
        lines += [
            f"To join, on the other machines: python3 client.py --host {reachable}{where}",
            f"                            or: nc {reachable} {port}",
        ]
    # One write: the log's thread writes to the same terminal.
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def _raise_descriptor_limit(clients: int) -> None:
    """Raise the soft limit on descriptors to the hard one; warn when it is too low for `clients`."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own below "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft != resource.RLIM_INFINITY and soft < clients + 20:
        log.warning(
            "only %d descriptors: room for some %d clients, not %d (ulimit -n)", soft, soft - 20, clients
        )


class _DroppingQueueHandler(logging.handlers.QueueHandler):
    """Hands records to the log thread; drops them, and counts, when that thread's terminal is stuck."""

    dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


@contextlib.contextmanager
def _recording(level: str) -> Iterator[None]:
    """Record on the terminal, from a thread of its own: a stopped terminal (Ctrl+S) stops nobody else."""
    terminal = logging.StreamHandler()
    terminal.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    handler = _DroppingQueueHandler(queue.Queue(10_000))
    listener = logging.handlers.QueueListener(handler.queue, terminal)
    log.addHandler(handler)
    log.setLevel(level.upper())
    log.propagate = False
    listener.start()
    try:
        yield
    finally:
        if handler.dropped:
            log.warning("%d records were dropped: the terminal did not take them", handler.dropped)
        listener.stop()
        log.removeHandler(handler)


def _end_on_signals(server: Server) -> None:
    """Ctrl+C and SIGTERM end the server in order; a second one ends it at once."""
    asked = False

    def end(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        log.info("ending: everybody is told; once more ends it at once")
        server.shutdown()

    server.wake_on_signals()
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)


def main(arguments: list[str] | None = None) -> int:
    """Run the server as a command; return its exit status."""
    options = parse_options(arguments)
    if not hasattr(socket, "MSG_DONTWAIT"):
        _fail("the server needs Linux, macOS or another Unix (on Windows: WSL); the client does not")
    with _recording(options.log_level):
        _raise_descriptor_limit(options.max_clients)
        storage = _open_storage(options)
        server = _open_server(options, storage)
        _end_on_signals(server)
        _announce(server.address)
        try:
            server.serve_forever()
        except RuntimeError as error:
            print(f"charla-server: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
