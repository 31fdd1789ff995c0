"""The command: options become a server, which is announced, listens to signals, and runs."""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import logging
import os
import shlex
import signal
import socket
import sys
from typing import NoReturn

from charla.common.certificates import TlsError, certificate_fingerprint, own_certificate, server_context
from charla.common.command_line import command
from charla.common.passwords import Password, PasswordError
from charla.common.stdio import have_streams
from charla.i18n import N_, LazyText, _, speak, system_words
from charla.server.network.acceptor import host_port
from charla.server.options import DEFAULT_PORT, parse_options
from charla.server.records import log_fields, recording
from charla.server.server import Limits, Server
from charla.server.storage.database import Storage
from charla.server.storage.entries import StorageError
from charla.server.storage.transcript import Transcript, TranscriptError

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

log = logging.getLogger("charla")


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
            raise PasswordError(words)
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
