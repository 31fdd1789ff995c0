"""The options of the server: flags, environment variables, and what is wrong with them, in a sentence."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

import messages
import protocol
from door import PER_ADDRESS, PER_MINUTE
from entrance import HANDSHAKE_TIMEOUT, MAX_WAITING
from eventlog import HISTORY
from fanout import BACKLOG_LIMIT, FLUSH_SIZE
from passwords import NotAsArgument
from reader import BURST, DEAD_AFTER, PING_AFTER
from room import GRACE

DEFAULT_PORT = 9000

SECONDS_A_DAY = 24 * 60 * 60

EXAMPLES = """\
examples:
  python3 server.py                          a room for the clients on this machine
  python3 server.py --host 0.0.0.0           for everybody on the network
  python3 server.py --port 7000 --welcome "Class 2B: be kind"
  python3 server.py --db room.db             what is said survives the server
  python3 server.py --host :: --tls --password-file room.secret
                                             for friends, over the internet
  CHARLA_PORT=7000 python3 server.py         every option is also an environment variable

Ctrl+C tells everybody goodbye and ends the server.  SIGHUP reads the certificate again and opens the
transcript again; SIGUSR1 records how the server is.
The room's password can be in CHARLA_PASSWORD, too; never in an argument, which others see (ps).
"""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: give a number from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 7 and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of clients: give 1 or more")
    return int(text)


def _policy(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise argparse.ArgumentTypeError(f"'{text}' is not a limit: give a number, or 0 for none")
    return int(text)


LOWEST_BACKLOG = 2 * FLUSH_SIZE // 1024  # KiB: a client that reads must never be dropped for one batch


def _kibibytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) >= LOWEST_BACKLOG):
        raise argparse.ArgumentTypeError(f"'{text}' is not a backlog: give {LOWEST_BACKLOG} KiB or more")
    return int(text) * 1024


def _tls_folder() -> str:
    """Return where the server's own certificate is (XDG Base Directory Specification).

    Not the folder in which the client remembers servers: tls.own_certificate wants one for itself.
    """
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # the specification: such a one is to be ignored
        folder = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(folder, "charla", "server")


def _rate(text: str) -> float:
    return _number(text, "a rate", 1_000_000, "give lines a second, or 0 for no limit")


def _events(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of events: give 0 or more")
    return int(text)


def _seconds(text: str) -> float:
    return _number(text, "a number of seconds", 1_000_000)


def _seconds_above_0(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds: give more than 0")
    return seconds


def _days(text: str) -> float:
    return _number(text, "a number of days", 100_000) * SECONDS_A_DAY


def _number(text: str, what: str, highest: float, advice: str = "give 0 or more") -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= highest:
        raise argparse.ArgumentTypeError(f"'{text}' is not {what}: {advice}")
    return number


def _sync(text: str) -> str:
    if text.lower() not in ("normal", "full"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a way to write: give normal or full")
    return text.lower()


def _welcome(text: str) -> str:
    text = messages.clean(text).strip()
    if len(text.encode()) > messages.MAX_TEXT:
        raise argparse.ArgumentTypeError(f"the welcome is longer than {messages.MAX_TEXT} bytes: shorten it")
    return text


def _level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise argparse.ArgumentTypeError(f"'{text}' is not a level: give one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _log_format(text: str) -> str:
    if text.lower() not in ("text", "json"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a format: give text or json")
    return text.lower()


LOG_LEVELS = ("debug", "info", "warning", "error")


_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")

_FILES = ("db", "tls_cert", "tls_key", "password_file", "moderator_password_file", "transcript")


def _check_different(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse one file for two purposes: but for a PEM file with certificate and key, that is a mistake."""
    seen: dict[str, str] = {}
    for name in _FILES:
        path = os.path.realpath(getattr(options, name)) if getattr(options, name) else ""
        other = seen.setdefault(path, name)
        if path and other != name and (other, name) != ("tls_cert", "tls_key"):
            flags = " and ".join(f"--{one.replace('_', '-')}" for one in (other, name))
            parser.error(f"{flags} are the same file: give each its own")


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; explains itself and exits with status 2 when one is wrong."""
    parser = argparse.ArgumentParser(
        prog="charla-server" if sys.argv[0].endswith("charla-server") else "server.py",
        description="Charla, a chat room for terminals: the server.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --password is not short for --password-file
    )
    parser.add_argument("--password", action=NotAsArgument, help=argparse.SUPPRESS)

    kinds: dict[str, Callable[[str], object]] = {}
    defaults: dict[str, object] = {}

    def add(flag: str, kind: Callable[[str], object], default: object, metavar: str, text: str) -> None:
        name = flag.strip("-").replace("-", "_")
        kinds[name], defaults[name] = kind, default
        variable = f"CHARLA_{name.upper()}"
        parser.add_argument(flag, type=kind, metavar=metavar, help=f"{text} [{variable}]")

    add(
        "--host",
        str,
        "127.0.0.1",
        "ADDRESS",
        'where to listen (127.0.0.1: this machine only; 0.0.0.0: everywhere; "::": with IPv6, too)',
    )
    add("--port", _port, DEFAULT_PORT, "N", f"the port ({DEFAULT_PORT}; 0 takes a free one)")
    add("--max-clients", _count, 1000, "N", "people at the same time (1000)")
    add(
        "--max-waiting",
        _count,
        MAX_WAITING,
        "N",
        f"connections without a nickname at the same time ({MAX_WAITING}); with more the oldest goes",
    )
    add(
        "--handshake-timeout",
        _seconds_above_0,
        HANDSHAKE_TIMEOUT,
        "SECONDS",
        f"how long a connection may take to give a nickname ({HANDSHAKE_TIMEOUT:g})",
    )
    add(
        "--max-per-address",
        _policy,
        None,
        "N",
        f"connections from one address (no limit for this machine and private networks, {PER_ADDRESS} for "
        "others; 0: none for anybody)",
    )
    add(
        "--connects-per-minute",
        _policy,
        None,
        "N",
        f"new connections a minute from one address (the same, {PER_MINUTE})",
    )
    add(
        "--backlog",
        _kibibytes,
        BACKLOG_LIMIT,
        "KIB",
        f"KiB that may wait for a client that does not read, before it is dropped ({BACKLOG_LIMIT // 1024})",
    )
    add(
        "--rate-limit",
        _rate,
        5.0,
        "N",
        f"lines a second one client may send (5, after a burst of {BURST}; 0: no limit); "
        "what is over waits, and is not lost",
    )
    add(
        "--history",
        _events,
        HISTORY,
        "N",
        f"events kept in memory, for who joins and who comes back ({HISTORY})",
    )
    add(
        "--grace",
        _seconds,
        GRACE,
        "SECONDS",
        f"how long a seat is kept when its connection is lost ({GRACE:g}; 0: not at all)",
    )
    add(
        "--db",
        str,
        "",
        "FILE",
        "keep the log in this file: history and seats survive the end of the server, kill -9 too",
    )
    add(
        "--sync",
        _sync,
        "normal",
        "WHEN",
        "what a confirmed message in --db survives: normal (default): a crash of the server, not a power "
        "cut; full: a power cut too, and the room waits for the disk at each batch",
    )
    add(
        "--keep",
        _days,
        30.0 * SECONDS_A_DAY,
        "DAYS",
        "how long --db keeps what is said to everyone (30; 0: for ever); private messages only until "
        "--grace after both ends have them",
    )
    add(
        "--ping-after",
        _seconds,
        PING_AFTER,
        "SECONDS",
        f"silence after which a client is asked whether it is there ({PING_AFTER:g})",
    )
    add(
        "--dead-after",
        _seconds,
        DEAD_AFTER,
        "SECONDS",
        f"silence after which its connection counts as lost ({DEAD_AFTER:g})",
    )
    add(
        "--tls-cert",
        str,
        "",
        "FILE",
        "speak TLS, with this certificate (PEM, with what vouches for it behind it)",
    )
    add("--tls-key", str, "", "FILE", "and this key")
    parser.add_argument(
        "--tls",
        action="store_true",
        default=None,
        help="speak TLS, with a certificate of one's own that is made and kept in the folder of the user's "
        "configuration [CHARLA_TLS=1]",
    )
    add(
        "--password-file",
        str,
        "",
        "FILE",
        "whoever joins has to give the password in the first line of this file",
    )
    add(
        "--moderator-password-file",
        str,
        "",
        "FILE",
        "whoever gives the password in the first line of this file to /mod is a moderator",
    )
    add(
        "--transcript",
        str,
        "",
        "FILE",
        "write what is said to everyone into this file, one line each",
    )
    add("--welcome", _welcome, "", "TEXT", "what everybody who joins is told first")
    add("--log-level", _level, "info", "LEVEL", "what is recorded: debug, info (default), warning, error")
    add("--log-format", _log_format, "text", "FORMAT", "how: text (default), or json, an object a line")
    parser.add_argument("--version", action="version", version=f"Charla {protocol.__version__}")
    options = parser.parse_args(arguments)
    for name, kind in kinds.items():  # an option wins over its variable, and an empty one is as good as none
        if getattr(options, name) is None:
            variable = f"CHARLA_{name.upper()}"
            value = os.environ.get(variable)
            try:
                setattr(options, name, kind(value) if value else defaults[name])
            except argparse.ArgumentTypeError as error:
                parser.error(f"{variable}: {error}")
    if options.tls is None:
        value = os.environ.get("CHARLA_TLS", "").lower()
        if value not in ("", *_YES, *_NO):
            parser.error(f"CHARLA_TLS: '{value}' is neither yes nor no: give 1 or 0")
        options.tls = value in _YES
    _check_different(parser, options)
    options.tls_folder = _tls_folder()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together: give both, or --tls alone")
    if not 0 < options.ping_after < options.dead_after:
        parser.error("--ping-after must be more than 0, and --dead-after more than that")
    if options.sync == "full" and not options.db:
        parser.error("--sync full is about the file of --db: give that too")
    if 0 < options.keep <= options.grace + options.dead_after:
        parser.error(
            "--keep must be longer than --grace and --dead-after together: who is away reads it then"
        )
    return options
