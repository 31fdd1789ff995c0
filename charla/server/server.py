"""The server: the parts put together, and the room's thread."""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from charla.common.addresses import is_loopback
from charla.common.certificates import TlsError
from charla.common.passwords import Password
from charla.i18n import N_, _, system_words
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import BACKLOG_LIMIT, Fanout
from charla.server.delivery.requests import Close, Connected, Ended, Report, Request, Work
from charla.server.network.acceptor import Acceptor, listen
from charla.server.network.admission import Admission
from charla.server.network.inbox import Inbox
from charla.server.network.password_check import PasswordCheck
from charla.server.network.rate_limit import BURST, RateLimit
from charla.server.network.reader import DEAD_AFTER, PING_AFTER, Reader
from charla.server.options import DEFAULT_PORT
from charla.server.records import Counters, ThrottledLogger
from charla.server.room.lobby import HANDSHAKE_TIMEOUT, MAX_WAITING, Lobby
from charla.server.room.membership import GRACE
from charla.server.room.room import Room
from charla.server.storage.database import Storage
from charla.server.storage.event_log import HISTORY, EventLog
from charla.server.storage.transcript import Transcript

log = logging.getLogger("charla")

SWITCH_INTERVAL = 2.0
"""Seconds after which a thread that waits for the interpreter's lock asks for it.  With the usual
0.005, 9,500 readers that wake at once (everybody hangs up) ask 1.9 million times a second, and nothing
else gets done: measured, 30 s and more until they had gone; in some rounds still so with 0.05; 3 s with
this.  Nobody waits that long: the room and the readers give the lock up at every send and recv."""

READER_STACK = 256 * 1024
"""Bytes of address space for a thread's stack: 10,000 of the usual 8 MiB would ask for 80 GB."""


_tuning = threading.Lock()  # guards the two below
_running = 0  # servers in this process
_before = (0.0, 0)  # the switch interval and the stack size that the process had without them


@contextlib.contextmanager
def _tuned_for_many_threads() -> Iterator[None]:
    """Give the process the switch interval and the stack size above, until its last server has ended."""
    global _running, _before
    with _tuning:
        if not _running:
            _before = sys.getswitchinterval(), threading.stack_size(READER_STACK)
            sys.setswitchinterval(SWITCH_INTERVAL)
        _running += 1
    try:
        yield
    finally:
        with _tuning:
            _running -= 1
            if not _running:
                sys.setswitchinterval(_before[0])
                threading.stack_size(_before[1])


@dataclass(frozen=True, slots=True)
class Limits:
    """What keeps one client, or an outsider, from costing the others anything.  See options.py."""

    max_clients: int = 1000
    max_waiting: int = MAX_WAITING
    handshake_timeout: float = HANDSHAKE_TIMEOUT  # seconds
    max_per_address: int | None = None  # None: as admission.py has it
    connects_per_minute: int | None = None
    rate_limit: float = 5.0  # lines a second, 0: none
    burst: int = BURST
    backlog: int = BACKLOG_LIMIT  # bytes


class Server:
    """A room on a listening socket.  `serve_forever` runs it; `shutdown`, from anywhere, ends it.

    Raises OSError when it cannot listen on `host` and `port` (0: a free one; `address` tells which), and
    StorageError when `storage`, which it closes at its end, cannot be read.  `history` in events; `grace`,
    `ping_after` and `dead_after` in seconds.  `make_context` returns the TLS context: at the beginning, and
    again at each `reload`; TlsError when it cannot.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        limits: Limits | None = None,
        welcome: str = "",
        fanout: Fanout | None = None,
        history: int = HISTORY,
        storage: Storage | None = None,
        transcript: Transcript | None = None,
        make_context: Callable[[], ssl.SSLContext] | None = None,
        password: Password | None = None,
        moderator_password: Password | None = None,
        grace: float = GRACE,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        context = make_context() if make_context is not None else None
        log_of_events = EventLog(history, storage)
        counters = Counters()
        self._listener = listen(host, port)  # the acceptor's
        # Any thread's: never changed, or safe for all.
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._limits = limits = limits or Limits()
        self._inbox: Inbox[Work] = Inbox()
        self._storage = storage
        self._transcript = transcript
        self._ping_after = ping_after
        self._dead_after = dead_after
        # The readers', each with a lock.
        self._room_check = PasswordCheck(password) if password is not None else None
        self._moderators_check = PasswordCheck(moderator_password) if moderator_password is not None else None
        self._throttled = ThrottledLogger(log)
        self._replay_lock = threading.Lock()  # one at a time makes a chunk
        # The room thread's.
        self._batch: deque[Work] = deque()  # taken, and not yet handled
        self._room_failed = False  # read by the acceptor when that thread was joined
        self._fanout = fanout or Fanout(backlog_limit=limits.backlog)
        self._room = Room(
            self._fanout,
            log_of_events,
            welcome=welcome,
            has_moderators=moderator_password is not None,
            grace=grace,
            max_people=limits.max_clients,
            max_absent=limits.max_clients,
            lobby=Lobby(
                self._fanout,
                counters,
                has_password=password is not None,
                limit=limits.max_waiting,
                timeout=limits.handshake_timeout,
            ),
            counters=counters,
            transcript=transcript,
        )
        # The acceptor's.
        self._make_context = make_context
        self._room_thread = threading.Thread(target=self._run_room, name="room", daemon=True)
        self._to_reload = self._to_report = False  # set by anybody, taken back by the acceptor
        self._acceptor = Acceptor(
            self._listener,
            self._inbox,
            Admission(limits.max_per_address, limits.connects_per_minute),
            self._make_reader,
            self._do_asked,
            counters,
            keep_alive=(ping_after, dead_after),
            context=context,
        )

    @property
    def sends_passwords_in_the_clear(self) -> bool:
        """Whether clients on other machines send a password for everybody on the way to see."""
        asked = self._room_check is not None or self._moderators_check is not None
        return asked and self._make_context is None and not is_loopback(self.address[0])

    # ---- any thread, and signal handlers ---------------------------------------------------------

    def shutdown(self) -> None:
        """Ask `serve_forever` to end; any number of times."""
        self._acceptor.stop()

    def reload(self) -> None:
        """Ask for the certificate to be read again, and the transcript to be opened again."""
        self._to_reload = True
        self._acceptor.wake()

    def report(self) -> None:
        """Ask for the status to be recorded."""
        self._to_report = True
        self._acceptor.wake()

    def wake_on_signals(self) -> None:
        """Have every signal with a handler wake the acceptor, so that the handler runs.  Main thread.

        A signal that comes just before the acceptor sleeps interrupts nothing: it would be seen when
        the next client comes.
        """
        signal.set_wakeup_fd(self._acceptor.wake_descriptor, warn_on_full_buffer=False)

    # ---- acceptor --------------------------------------------------------------------------------

    def serve_forever(self) -> None:
        """Accept clients until `shutdown`; returns when everything is flushed, closed and joined.

        While it runs, the process has the SWITCH_INTERVAL and the stack size of a server with many threads.
        """
        if self._storage is not None:
            self._storage.start()
        if self._transcript is not None:
            self._transcript.start()
        with _tuned_for_many_threads():
            self._serve()
        if self._room_failed:
            raise RuntimeError(_("the room has failed; what happened is in the log"))

    def _serve(self) -> None:
        self._room_thread.start()
        try:
            self._acceptor.run()
            log.info(N_("ending: everybody is told; once more ends it at once"))
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.set_wakeup_fd(-1)
            self._listener.close()
            self._inbox.put(Close())
            self._room_thread.join()
            self._acceptor.close()
            self._throttled.flush()
            if self._transcript is not None:
                self._transcript.close()
            if self._storage is not None:
                self._storage.close()
            self._inbox.close()

    def _make_reader(self, connection: Connection) -> Reader:
        return Reader(
            connection,
            self._inbox,
            RateLimit(self._limits.rate_limit, self._limits.burst),
            replay_lock=self._replay_lock,
            room_check=self._room_check,
            moderators_check=self._moderators_check,
            throttled=self._throttled,
            ping_after=self._ping_after,
            dead_after=self._dead_after,
        )

    def _do_asked(self) -> None:
        """Do what signals have asked for."""
        if self._to_report:
            self._to_report = False
            self._inbox.put(Report())
        if self._to_reload:
            self._to_reload = False
            if self._transcript is not None:
                self._transcript.reopen()
            if self._make_context is not None:
                try:
                    self._acceptor.context = self._make_context()
                    log.info(N_("the certificate was read again: new connections get it"))
                except (TlsError, OSError) as error:
                    why = system_words(error) if isinstance(error, OSError) else error
                    log.error(N_("the certificate stays as it was: %s"), why)

    # ---- room ------------------------------------------------------------------------------------

    def _run_room(self) -> None:
        try:
            self._serve_room()
        except Exception:
            log.critical(N_("the room has failed: the server ends"), exc_info=True)
            self._room_failed = True
            self.shutdown()
            self._abandon_room()

    def _serve_room(self) -> None:
        """Hand the room what comes in, a batch at a time, until it is closed and everybody has gone."""
        room, fanout, inbox = self._room, self._fanout, self._inbox
        fanout.owner = threading.get_ident()
        fanout.poller.register(inbox.wake_reader, select.POLLIN)
        while not room.idle:
            deadline = room.next_deadline()
            timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
            batch = self._batch = deque(inbox.take(fanout.poller, timeout))
            if fanout.full:
                room.send_backlogs()
            while batch:
                work = batch.popleft()
                if isinstance(work, tuple):
                    connection, items = work
                    room.handle(connection, items)
                else:
                    room.obey(work)
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
        left = list(self._batch)  # what it did not come to
        while not closed or fanout.connections:
            for work in left or self._inbox.take(fanout.poller, None):
                if not isinstance(work, tuple):
                    closed = closed or isinstance(work, Close)
                    continue
                connection, items = work
                for item in items:
                    if isinstance(item, Connected):
                        fanout.open(connection)
                        fanout.hang_up(connection)
                    elif isinstance(item, Request):
                        item.reply.put(False)
                    elif isinstance(item, Ended):
                        fanout.end(connection)
            left = []
