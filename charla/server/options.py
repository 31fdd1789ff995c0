"""The options of the server: flags, environment variables, and what is wrong with them, in a sentence."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from charla import __version__
from charla import i18n as languages
from charla.common.command_line import ArgumentParser, NotAsArgument, command, examples
from charla.i18n import _
from charla.protocol.text import MAX_TEXT, clean
from charla.server.delivery.fanout import BACKLOG_LIMIT, FLUSH_SIZE
from charla.server.network.admission import PER_ADDRESS, PER_MINUTE
from charla.server.network.rate_limit import BURST
from charla.server.network.reader import DEAD_AFTER, PING_AFTER
from charla.server.room.lobby import HANDSHAKE_TIMEOUT, MAX_WAITING
from charla.server.room.room import GRACE
from charla.server.storage.event_log import HISTORY

DEFAULT_PORT = 9000

SECONDS_A_DAY = 24 * 60 * 60


def _epilog() -> str:
    server = command("charla-server")
    shown = examples(
        (
            (server, _("a room for the clients on this machine")),
            (f"{server} --host 0.0.0.0", _("for everybody on the network")),
            (f'{server} --port 7000 --welcome "{_("Class 2B: be kind")}"', ""),
            (f"{server} --db room.db", _("what is said survives the server")),
            (f"{server} --host :: --tls --password-file room.secret", _("for friends, over the internet")),
            (f"CHARLA_PORT=7000 {server}", _("every option is also an environment variable")),
        )
    )
    hints = _(
        "Ctrl+C tells everybody goodbye and ends the server.  SIGHUP reads the certificate again and opens\n"
        "the transcript again; SIGUSR1 records how the server is.\n"
        "The room's password can be in CHARLA_PASSWORD, too; never in an argument, which others see (ps)."
    )
    return "\n".join([_("examples:"), shown, "", hints, ""])


def _wrong(words: str, text: str, **fields: object) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(words.format(text=text, **fields))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise _wrong(_("'{text}' is not a port: give a number from 0 to 65535"), text)
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 7 and int(text) >= 1):
        raise _wrong(_("'{text}' is not a number of clients: give 1 or more"), text)
    return int(text)


def _policy(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise _wrong(_("'{text}' is not a limit: give a number, or 0 for none"), text)
    return int(text)


LOWEST_BACKLOG = 2 * FLUSH_SIZE // 1024  # KiB: a client that reads must never be dropped for one batch


def _kibibytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) >= LOWEST_BACKLOG):
        words = _("'{text}' is not a backlog: give {lowest} KiB or more")
        raise _wrong(words, text, lowest=LOWEST_BACKLOG)
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
    return _number(text, 1_000_000, _("'{text}' is not a rate: give lines a second, or 0 for no limit"))


def _events(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        raise _wrong(_("'{text}' is not a number of events: give 0 or more"), text)
    return int(text)


def _seconds(text: str) -> float:
    return _number(text, 1_000_000, _("'{text}' is not a number of seconds: give 0 or more"))


def _seconds_above_0(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise _wrong(_("'{text}' is not a number of seconds: give more than 0"), text)
    return seconds


def _days(text: str) -> float:
    return _number(text, 100_000, _("'{text}' is not a number of days: give 0 or more")) * SECONDS_A_DAY


def _number(text: str, highest: float, complaint: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= highest:
        raise _wrong(complaint, text)
    return number


def _sync(text: str) -> str:
    if text.lower() not in ("normal", "full"):
        raise _wrong(_("'{text}' is not a way to write: give normal or full"), text)
    return text.lower()


def _welcome(text: str) -> str:
    text = clean(text).strip()
    if len(text.encode()) > MAX_TEXT:
        raise _wrong(_("the welcome is longer than {most} bytes: shorten it"), text, most=MAX_TEXT)
    return text


def _level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise _wrong(_("'{text}' is not a level: give one of {levels}"), text, levels=", ".join(LOG_LEVELS))
    return text.lower()


def _log_format(text: str) -> str:
    if text.lower() not in ("text", "json"):
        raise _wrong(_("'{text}' is not a format: give text or json"), text)
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
            one, two = (f"--{flag.replace('_', '-')}" for flag in (other, name))
            parser.error(_("{one} and {two} are the same file: give each its own").format(one=one, two=two))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; explains itself and exits with status 2 when one is wrong.

    In the language that is spoken: it has to be chosen before (`languages.speak`).
    """
    parser = ArgumentParser(
        "charla-server",
        description=_("Charla, a chat room for terminals: the server."),
        epilog=_epilog(),
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
        _("ADDRESS"),
        _('where to listen (127.0.0.1: this machine only; 0.0.0.0: everywhere; "::": with IPv6, too)'),
    )
    add(
        "--port",
        _port,
        DEFAULT_PORT,
        "N",
        _("the port ({usual}; 0 takes a free one)").format(usual=DEFAULT_PORT),
    )
    add("--max-clients", _count, 1000, "N", _("people at the same time (1000)"))
    add(
        "--max-waiting",
        _count,
        MAX_WAITING,
        "N",
        _("connections without a nickname at the same time ({usual}); with more the oldest goes").format(
            usual=MAX_WAITING
        ),
    )
    add(
        "--handshake-timeout",
        _seconds_above_0,
        HANDSHAKE_TIMEOUT,
        _("SECONDS"),
        _("how long a connection may take to give a nickname ({usual:g})").format(usual=HANDSHAKE_TIMEOUT),
    )
    add(
        "--max-per-address",
        _policy,
        None,
        "N",
        _(
            "connections from one address (no limit for this machine and private networks, {usual} for "
            "others; 0: none for anybody)"
        ).format(usual=PER_ADDRESS),
    )
    add(
        "--connects-per-minute",
        _policy,
        None,
        "N",
        _("new connections a minute from one address (the same, {usual})").format(usual=PER_MINUTE),
    )
    add(
        "--backlog",
        _kibibytes,
        BACKLOG_LIMIT,
        "KIB",
        _("KiB that may wait for a client that does not read, before it is dropped ({usual})").format(
            usual=BACKLOG_LIMIT // 1024
        ),
    )
    add(
        "--rate-limit",
        _rate,
        5.0,
        "N",
        _(
            "lines a second one client may send (5, after a burst of {burst}; 0: no limit); "
            "what is over waits, and is not lost"
        ).format(burst=BURST),
    )
    add(
        "--history",
        _events,
        HISTORY,
        "N",
        _("events kept in memory, for who joins and who comes back ({usual})").format(usual=HISTORY),
    )
    add(
        "--grace",
        _seconds,
        GRACE,
        _("SECONDS"),
        _("how long a seat is kept when its connection is lost ({usual:g}; 0: not at all)").format(
            usual=GRACE
        ),
    )
    add(
        "--db",
        str,
        "",
        _("FILE"),
        _("keep the log in this file: history and seats survive the end of the server, kill -9 too"),
    )
    add(
        "--sync",
        _sync,
        "normal",
        _("WHEN"),
        _(
            "what a confirmed message in --db survives: normal (default): a crash of the server, not a power "
            "cut; full: a power cut too, and the room waits for the disk at each batch"
        ),
    )
    add(
        "--keep",
        _days,
        30.0 * SECONDS_A_DAY,
        _("DAYS"),
        _(
            "how long --db keeps what is said to everyone (30; 0: for ever); private messages only until "
            "--grace after both ends have them"
        ),
    )
    add(
        "--ping-after",
        _seconds,
        PING_AFTER,
        _("SECONDS"),
        _("silence after which a client is asked whether it is there ({usual:g})").format(usual=PING_AFTER),
    )
    add(
        "--dead-after",
        _seconds,
        DEAD_AFTER,
        _("SECONDS"),
        _("silence after which its connection counts as lost ({usual:g})").format(usual=DEAD_AFTER),
    )
    add(
        "--tls-cert",
        str,
        "",
        _("FILE"),
        _("speak TLS, with this certificate (PEM, with what vouches for it behind it)"),
    )
    add("--tls-key", str, "", _("FILE"), _("and this key"))
    parser.add_argument(
        "--tls",
        action="store_true",
        default=None,
        help=_(
            "speak TLS, with a certificate of one's own that is made and kept in the folder of the user's "
            "configuration"
        )
        + " [CHARLA_TLS=1]",
    )
    add(
        "--password-file",
        str,
        "",
        _("FILE"),
        _("whoever joins has to give the password in the first line of this file"),
    )
    add(
        "--moderator-password-file",
        str,
        "",
        _("FILE"),
        _("whoever gives the password in the first line of this file to /mod is a moderator"),
    )
    add(
        "--transcript",
        str,
        "",
        _("FILE"),
        _("write what is said to everyone into this file, one line each"),
    )
    add("--welcome", _welcome, "", _("TEXT"), _("what everybody who joins is told first"))
    add(
        "--log-level",
        _level,
        "info",
        _("LEVEL"),
        _("what is recorded: debug, info (default), warning, error"),
    )
    add("--log-format", _log_format, "text", _("FORMAT"), _("how: text (default), or json, an object a line"))
    add(
        "--lang",
        languages.language,
        languages.preferred(os.environ),
        _("CODE"),
        _("the language: {codes} (that of the environment: LANGUAGE, LC_ALL, LANG)").format(
            codes=", ".join(languages.available())
        ),
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"Charla {__version__}",
        help=_("show the version and exit"),
    )
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
            parser.error("CHARLA_TLS: " + _("'{text}' is neither yes nor no: give 1 or 0").format(text=value))
        options.tls = value in _YES
    _check_different(parser, options)
    options.tls_folder = _tls_folder()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error(_("--tls-cert and --tls-key go together: give both, or --tls alone"))
    if not 0 < options.ping_after < options.dead_after:
        parser.error(_("--ping-after must be more than 0, and --dead-after more than that"))
    if options.sync == "full" and not options.db:
        parser.error(_("--sync full is about the file of --db: give that too"))
    if 0 < options.keep <= options.grace + options.dead_after:
        parser.error(
            _("--keep must be longer than --grace and --dead-after together: who is away reads it then")
        )
    return options
