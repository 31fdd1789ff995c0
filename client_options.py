"""The options of the client, and what they make: whom to trust, and the password."""

from __future__ import annotations

import argparse
import math
import os
import sys

import protocol
from exits import diagnose
from network import DEAD_AFTER, PING_AFTER
from passwords import NotAsArgument, Password
from route import DEFAULT_PORT
from trust import Authority, FirstUse, Pinned, Trust, read_fingerprint

EXAMPLES = """\
examples:
  python3 client.py                                a server on this machine
  python3 client.py --host 192.168.1.20 --nick ana
  python3 client.py --host chat.example --tls      nobody on the way can read or change what is said
  echo hola | python3 client.py --nick bot         say it, wait until it is confirmed, leave

A password that the server asks for is typed, or comes from --password-file FILE or from the environment,
CHARLA_PASSWORD; the moderators' password, for a script's /mod, from CHARLA_MODERATOR_PASSWORD, or else it
is the line behind /mod.

/help, once inside, tells what you can type.
exit status: 0 left on purpose, 1 connection lost, 2 wrong options, 3 no connection, 4 refused
"""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: give a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: give a number of seconds above 0")
    return seconds


def _fingerprint(text: str) -> str:
    try:
        return read_fingerprint(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not a fingerprint: give what the server printed, SHA256:AB:CD:... (32 pairs)"
        ) from None


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; explains itself and exits with status 2 when one is wrong."""
    parser = argparse.ArgumentParser(
        prog="charla" if sys.argv[0].endswith("charla") else "client.py",
        description="Charla, a chat room for terminals: the client.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --password is not short for --password-file
    )
    parser.add_argument("--password", action=NotAsArgument, help=argparse.SUPPRESS)
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="the server's machine (127.0.0.1: this one)"
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help=f"its port ({DEFAULT_PORT})"
    )
    parser.add_argument("--nick", metavar="NICK", help="your nickname; asked for when not given")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="the server's password is the first line of FILE; otherwise CHARLA_PASSWORD, or it is asked for",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="send passwords even without TLS: everybody between here and the server can read them",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak TLS; the server's certificate is remembered the first time, and no other taken later",
    )
    parser.add_argument(
        "--tls-ca",
        metavar="FILE",
        help="speak TLS, and take what the certificates in FILE (PEM) vouch for under the name of --host",
    )
    parser.add_argument(
        "--tls-fingerprint",
        type=_fingerprint,
        metavar="SHA256",
        help="speak TLS, and take the certificate with this fingerprint and no other",
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours (auto: on a terminal, unless NO_COLOR is set)",
    )
    parser.add_argument(
        "--no-reconnect",
        action="store_true",
        help="end when the connection is lost, instead of getting it back",
    )
    parser.add_argument(
        "--ping-after",
        type=_seconds,
        default=PING_AFTER,
        metavar="SECONDS",
        help=f"ask a server that has said nothing for so long whether it is there ({PING_AFTER:g})",
    )
    parser.add_argument(
        "--dead-after",
        type=_seconds,
        default=DEAD_AFTER,
        metavar="SECONDS",
        help=f"the connection is lost when nothing has come for so long ({DEAD_AFTER:g})",
    )
    parser.add_argument("--version", action="version", version=f"Charla {protocol.__version__}")
    options = parser.parse_args(arguments)
    if options.dead_after <= options.ping_after:
        parser.error("--dead-after must be more than --ping-after: a server needs time to answer")
    if options.tls_ca is not None and options.tls_fingerprint is not None:
        parser.error("--tls-ca and --tls-fingerprint do not go together: either of them is enough")
    return options


def trust_of(options: argparse.Namespace) -> Trust | None:
    """Return whom the options trust; None without TLS."""
    if options.tls_ca is not None:
        return Authority(options.tls_ca)
    if options.tls_fingerprint is not None:
        return Pinned(f"{options.host}, port {options.port},", options.tls_fingerprint)
    return FirstUse(options.host, options.port) if options.tls else None


def password_of(options: argparse.Namespace) -> Password | None:
    """Return the server's password, if there is one in a file or in the environment; PasswordError."""
    if options.password_file is not None:
        return Password.read(options.password_file, diagnose)
    typed = os.environ.get("CHARLA_PASSWORD")
    return Password(typed) if typed else None
