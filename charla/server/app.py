"""The server of Charla: threads, sockets, and a room.  `python3 server.py` and it listens.

Who owns what:

    thread           how many      owns                                        blocks in
    acceptor (main)  1             the listening socket, signals, the          select: a client, or a stop
    (acceptor.py)                  readers' threads (starts and joins them)
    reader           1 per client  its connection's incoming bytes, the TLS    recv, a full inbox, the room's
    (reader.py)                    handshake, passwords; reads the log for     answers, the disk, its rate
                                   it; closes the socket, last
    room             1             everything shared (room.py), every unsent   its inbox (inbox.py); with --db
                                   byte (fanout.py); writes the log file       a commit
    housekeeper      1, with --db  what leaves the log file (housekeeper.py)   its queue, the disk
    transcript       1, if asked   the file of --transcript (transcript.py)    its queue, the disk
    log (records.py) 1             the terminal: writing to it may block       its queue

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
import os
import select
import shlex
import signal
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from charla.common.addresses import is_loopback
from charla.common.command_line import command
from charla.common.passwords import Password, PasswordError
from charla.common.stdio import have_streams
from charla.common.tls import TlsError, certificate_fingerprint, own_certificate, server_context
from charla.i18n import N_, LazyText, _, speak, system_words
from charla.server.delivery.connection import Connection
from charla.server.delivery.fanout import BACKLOG_LIMIT, Fanout
from charla.server.delivery.requests import Close, Connected, Ended, Report, Request, Work
from charla.server.network.acceptor import Acceptor, host_port, listen
from charla.server.network.admission import Admission
from charla.server.network.inbox import Inbox
from charla.server.network.password_check import PasswordCheck
from charla.server.network.rate_limit import BURST, RateLimit
from charla.server.network.reader import DEAD_AFTER, PING_AFTER, Reader
from charla.server.options import DEFAULT_PORT, parse_options
from charla.server.records import Counters, ThrottledLogger, log_fields, recording
from charla.server.room.lobby import HANDSHAKE_TIMEOUT, MAX_WAITING, Lobby
from charla.server.room.room import GRACE, Room
from charla.server.storage.database import Storage
from charla.server.storage.entries import StorageError
from charla.server.storage.event_log import HISTORY, EventLog
from charla.server.storage.transcript import Transcript, TranscriptError

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
        self._limits = limits = limits or Limits()
        context = make_context() if make_context is not None else None
        log_of_events = EventLog(history, storage)
        self._listener = listen(host, port)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._inbox: Inbox[Work] = Inbox()
        self._fanout = fanout or Fanout(backlog_limit=limits.backlog)
        self._storage = storage
        self._transcript = transcript
        self._make_context = make_context
        self._room_check = PasswordCheck(password) if password is not None else None
        self._moderators_check = PasswordCheck(moderator_password) if moderator_password is not None else None
        self._ping_after = ping_after
        self._dead_after = dead_after
        self._throttled = ThrottledLogger(log)  # of all readers; it has a lock
        self._replay_lock = threading.Lock()  # of the readers that replay: one at a time makes a chunk
        counters = Counters()
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
        self._room_thread = threading.Thread(target=self._run_room, name="room", daemon=True)
        # Set by anybody, taken back by the acceptor.
        self._to_reload = self._to_report = False
        self._batch: deque[Work] = deque()  # the room thread's: taken, and not yet handled
        self._room_failed = False  # written by the room thread, read after it was joined

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


# --------------------------------------------------------------------------------------------------
# The command
# --------------------------------------------------------------------------------------------------


def _fail(sentence: str) -> NoReturn:
    print(f"charla-server: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def _password(path: str, text: str | None = None) -> Password | None:
    """Return the password in the file at `path`, or `text`; None when neither is given.

    An empty text is refused, as an empty file is: a secret that was not set must not open the room.
    """
    if path:
        return Password.read(path)
    return Password(text) if text is not None else None


def _certificate(options: argparse.Namespace) -> tuple[str, str] | None:
    """Return the files with the certificate and its key; None without TLS."""
    if options.tls_cert:
        return options.tls_cert, options.tls_key
    return own_certificate(options.tls_folder) if options.tls else None


_NO_LISTENING = {
    errno.EADDRINUSE: N_(
        "port {port} is in use, perhaps by another Charla: choose another with --port, or 0 for a free one"
    ),
    errno.EADDRNOTAVAIL: N_("'{host}' is not an address of this machine: try --host 0.0.0.0 for all it has"),
    errno.EACCES: N_("port {port} is for the administrator alone: choose one from 1024 on with --port"),
}


def _open_server(options: argparse.Namespace, certificate: tuple[str, str] | None) -> Server:
    """Return a listening server, or say in one line why there cannot be one and exit with status 2."""
    try:
        password = _password(options.password_file, os.environ.get("CHARLA_PASSWORD"))
        moderator_password = _password(options.moderator_password_file)
        if password is not None and password == moderator_password:
            words = N_("the room's and the moderators' password are the same: choose another one")
            raise PasswordError(LazyText(words))
        return Server(
            options.host,
            options.port,
            limits=Limits(
                max_clients=options.max_clients,
                max_waiting=options.max_waiting,
                handshake_timeout=options.handshake_timeout,
                max_per_address=options.max_per_address,
                connects_per_minute=options.connects_per_minute,
                rate_limit=options.rate_limit,
                backlog=options.backlog,
            ),
            welcome=options.welcome,
            history=options.history,
            storage=Storage(options.db, sync=options.sync, keep=options.keep) if options.db else None,
            transcript=Transcript(options.transcript) if options.transcript else None,
            make_context=(lambda: server_context(*certificate)) if certificate is not None else None,
            password=password,
            moderator_password=moderator_password,
            grace=options.grace,
            ping_after=options.ping_after,
            dead_after=options.dead_after,
        )
    except (StorageError, TlsError, PasswordError, TranscriptError) as error:
        _fail(str(error))
    except (socket.gaierror, UnicodeError):
        words = _("'{host}' is not an address or a host name that can be found: try --host 0.0.0.0")
        _fail(words.format(host=options.host))
    except OSError as error:
        words = _(_NO_LISTENING.get(error.errno or 0, N_("cannot listen on {host}, port {port}: {reason}")))
        _fail(words.format(host=options.host, port=options.port, reason=system_words(error)))


def _own_address() -> str:
    """Return the address by which other machines reach this one.  Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the route is looked up
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _announce(
    address: tuple[str, int], certificate: tuple[str, str] | None, form: str, typed: list[str]
) -> None:
    """Print where the server listens, and what to type to join it; in a log of JSON that is a record.

    `typed`: the options that it was started with.
    """
    host, port = address
    listening = LazyText(N_("listening on {address}"), address=host_port(host, port))
    if form == "json":
        tls_print = certificate_fingerprint(certificate[0]) if certificate is not None else ""
        extra = log_fields("listening", host=host, port=port, certificate=tls_print)
        log.info("%s", listening, extra=extra)
        return
    where = "" if port == DEFAULT_PORT else f" --port {port}"
    tls, nc = ("", "nc") if certificate is None else (" --tls", "ncat --ssl")
    lines = [str(listening)]
    if certificate is not None:
        words = _("TLS, with the certificate {fingerprint}")
        lines.append(words.format(fingerprint=certificate_fingerprint(certificate[0])))
    if ipaddress.ip_address(host).is_loopback:
        here = where if host == "127.0.0.1" else f" --host {host}{where}"
        join = _("To join, in another terminal: {client}   (or: {nc})")
        let_in = _("Only this machine can join. To let others in: {server}")
        again = f"{command('charla-server')} {shlex.join([*typed, '--host', '0.0.0.0'])}"
        lines += [
            join.format(client=f"{command('charla')}{here}{tls}", nc=f"{nc} {host} {port}"),
            let_in.format(server=again),
        ]
    else:
        reachable = _own_address() if ipaddress.ip_address(host).is_unspecified else host
        join = _("To join, on the other machines:")
        lines += [
            f"{join} {command('charla')} --host {reachable}{where}{tls}",
            f"{_('or:'):>{len(join)}} {nc} {reachable} {port}",
        ]
    try:
        # One write: the log's thread writes to the same terminal.
        sys.stdout.write("\n".join([*lines, ""]))
        sys.stdout.flush()
    except OSError as error:
        log.warning(N_("%s; and nobody can be told so: %s"), listening, system_words(error))
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor at exit


def _raise_descriptor_limit(connections: int) -> None:
    """Raise the soft limit on descriptors to the hard one; warn when it is too low for `connections`."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a limit of its own below "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft != resource.RLIM_INFINITY and soft < connections + 20:
        log.warning(
            N_("only %d descriptors: room for some %d connections, not %d (ulimit -n)"),
            *(soft, soft - 20, connections),
        )


def _in_foreground() -> bool:
    """Say whether this program has a terminal and is what that talks to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _terminal_is_closed() -> bool:
    """Say whether there is no terminal any more; it takes no lock, and no lack of descriptors for that."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        return error.errno == errno.ENXIO
    return False


def _obey_signals(server: Server) -> None:
    """Ctrl+C and SIGTERM end the server in order, a second one at once; SIGHUP reloads, SIGUSR1 reports.

    SIGHUP is also what says that the terminal is closed: then that is the end, too.  It is in order however
    often that is said: the kernel says so, and the shell may once more.
    """
    asked = False
    # Not in the background, and not with nohup: there it is somebody's wish, or nothing.
    ends_with_terminal = _in_foreground() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    def end(number: int, _frame: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        server.shutdown()  # and nothing that takes a lock: this comes in the middle of anything

    def hang_up(_number: int, _frame: object) -> None:
        if ends_with_terminal and _terminal_is_closed():
            server.shutdown()
        else:
            server.reload()

    server.wake_on_signals()
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, hang_up)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: server.report())


def main(arguments: list[str] | None = None) -> int:
    """Run the server as a command; return its exit status."""
    have_streams()
    speak(sys.argv[1:] if arguments is None else arguments, os.environ)
    options = parse_options(arguments)
    if not hasattr(socket, "MSG_DONTWAIT"):
        _fail(_("the server needs Linux, macOS or another Unix (on Windows: WSL); the client does not"))
    with recording(options.log_level, options.log_format):
        _raise_descriptor_limit(options.max_clients + options.max_waiting)
        try:
            certificate = _certificate(options)
        except TlsError as error:
            _fail(str(error))
        server = _open_server(options, certificate)
        if server.sends_passwords_in_the_clear:
            words = N_("there is a password and no TLS: everybody on the way can read it; give --tls")
            log.warning(words)
        _obey_signals(server)
        typed = sys.argv[1:] if arguments is None else arguments
        _announce(server.address, certificate, options.log_format, typed)
        try:
            server.serve_forever()
        except RuntimeError as error:
            print(f"charla-server: {error}", file=sys.stderr)
            return 1
    return 0
