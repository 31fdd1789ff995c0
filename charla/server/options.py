"""The options of the server: the table `OPTIONS`, and what does not go together."""

from __future__ import annotations

import argparse
import os

from charla import i18n as languages
from charla.common.command_line import ArgumentParser, command, examples
from charla.common.config_file import config_folder
from charla.common.options import Choice, Option, WrongValue, number, one_of, whole, yes_or_no
from charla.i18n import N_, _
from charla.protocol.text import MAX_TEXT, clean
from charla.server.delivery.fanout import BACKLOG_LIMIT, FLUSH_SIZE
from charla.server.network.admission import PER_ADDRESS, PER_MINUTE
from charla.server.network.rate_limit import BURST
from charla.server.network.reader import DEAD_AFTER, PING_AFTER
from charla.server.room.lobby import HANDSHAKE_TIMEOUT, MAX_WAITING
from charla.server.room.membership import GRACE
from charla.server.storage.event_log import HISTORY

DEFAULT_PORT = 9000

SECONDS_A_DAY = 24 * 60 * 60

LOWEST_BACKLOG = 2 * FLUSH_SIZE // 1024  # KiB: a client that reads must never be dropped for one batch

LOG_LEVELS = ("debug", "info", "warning", "error")

_MOST = 9_999_999

_PORT = whole(N_("'{text}' is not a port: give a number from 0 to 65535"), 0, 65535)
_CLIENTS = whole(N_("'{text}' is not a number of clients: give 1 or more"), 1, _MOST)
_LIMIT = whole(N_("'{text}' is not a limit: give a number, or 0 for none"), 0, _MOST)
_EVENTS = whole(N_("'{text}' is not a number of events: give 0 or more"), 0, _MOST)
_KIBIBYTES = whole(N_("'{text}' is not a backlog: give {least} KiB or more"), LOWEST_BACKLOG, _MOST, 1024)
_RATE = number(N_("'{text}' is not a rate: give lines a second, or 0 for no limit"), 1_000_000)
_SECONDS = number(N_("'{text}' is not a number of seconds: give 0 or more"), 1_000_000)
_SECONDS_ABOVE_0 = number(
    N_("'{text}' is not a number of seconds: give more than 0"), 1_000_000, above_0=True
)
_DAYS = number(N_("'{text}' is not a number of days: give 0 or more"), 100_000, SECONDS_A_DAY)
_SYNC = one_of("normal", "full", complaint=N_("'{text}' is not a way to write: give normal or full"))
_LEVEL = one_of(*LOG_LEVELS, complaint=N_("'{text}' is not a level: give one of {words}"))
_LOG_FORMAT = one_of("text", "json", complaint=N_("'{text}' is not a format: give text or json"))


def _welcome(text: str) -> str:
    text = clean(text).strip()
    if len(text.encode()) > MAX_TEXT:
        raise WrongValue(N_("the welcome is longer than {most} bytes: shorten it"), most=MAX_TEXT)
    return text


def _file(name: str, about: str) -> Option:
    return Option(name, about, default="", metavar=N_("FILE"))


OPTIONS = (
    Option(
        "host",
        N_('where to listen (127.0.0.1: this machine only; 0.0.0.0: everywhere; "::": with IPv6, too)'),
        default="127.0.0.1",
        metavar=N_("ADDRESS"),
    ),
    Option("port", N_("the port ({default}; 0 takes a free one)"), _PORT, DEFAULT_PORT, "N"),
    Option("max-clients", N_("people at the same time (1000)"), _CLIENTS, 1000, "N"),
    Option(
        "max-waiting",
        N_("connections without a nickname at the same time ({default}); with more the oldest goes"),
        _CLIENTS,
        MAX_WAITING,
        "N",
    ),
    Option(
        "handshake-timeout",
        N_("how long a connection may take to give a nickname ({default:g})"),
        _SECONDS_ABOVE_0,
        HANDSHAKE_TIMEOUT,
        N_("SECONDS"),
    ),
    Option(
        "max-per-address",
        N_(
            "connections from one address (no limit for this machine and private networks, {usual} for "
            "others; 0: none for anybody)"
        ),
        _LIMIT,
        None,
        "N",
        fields={"usual": PER_ADDRESS},
    ),
    Option(
        "connects-per-minute",
        N_("new connections a minute from one address (the same, {usual})"),
        _LIMIT,
        None,
        "N",
        fields={"usual": PER_MINUTE},
    ),
    Option(
        "backlog",
        N_("KiB that may wait for a client that does not read, before it is dropped ({usual})"),
        _KIBIBYTES,
        BACKLOG_LIMIT,
        "KIB",
        fields={"usual": BACKLOG_LIMIT // 1024},
    ),
    Option(
        "rate-limit",
        N_(
            "lines a second one client may send (5, after a burst of {burst}; 0: no limit); "
            "what is over waits, and is not lost"
        ),
        _RATE,
        5.0,
        "N",
        fields={"burst": BURST},
    ),
    Option(
        "history",
        N_("events kept in memory, for who joins and who comes back ({default})"),
        _EVENTS,
        HISTORY,
        "N",
    ),
    Option(
        "grace",
        N_("how long a seat is kept when its connection is lost ({default:g}; 0: not at all)"),
        _SECONDS,
        GRACE,
        N_("SECONDS"),
    ),
    _file(
        "db", N_("keep the log in this file: history and seats survive the end of the server, kill -9 too")
    ),
    Option(
        "sync",
        N_(
            "what a confirmed message in --db survives: normal (default): a crash of the server, not a power "
            "cut; full: a power cut too, and the room waits for the disk at each batch"
        ),
        _SYNC,
        "normal",
        N_("WHEN"),
    ),
    Option(
        "keep",
        N_(
            "how long --db keeps what is said to everyone (30; 0: for ever); private messages only until "
            "--grace after both ends have them"
        ),
        _DAYS,
        30.0 * SECONDS_A_DAY,
        N_("DAYS"),
    ),
    Option(
        "ping-after",
        N_("silence after which a client is asked whether it is there ({default:g})"),
        _SECONDS,
        PING_AFTER,
        N_("SECONDS"),
    ),
    Option(
        "dead-after",
        N_("silence after which its connection counts as lost ({default:g})"),
        _SECONDS,
        DEAD_AFTER,
        N_("SECONDS"),
    ),
    _file("tls-cert", N_("speak TLS, with this certificate (PEM, with what vouches for it behind it)")),
    _file("tls-key", N_("and this key")),
    Option(
        "tls",
        N_(
            "speak TLS, with a certificate of one's own that is made and kept in the folder of the user's "
            "configuration"
        ),
        yes_or_no(N_("'{text}' is neither yes nor no: give 1 or 0")),
        default=False,
        negative=False,
    ),
    _file("password-file", N_("whoever joins has to give the password in the first line of this file")),
    _file(
        "moderator-password-file",
        N_("whoever gives the password in the first line of this file to /mod is a moderator"),
    ),
    _file("transcript", N_("write what is said to everyone into this file, one line each")),
    Option("welcome", N_("what everybody who joins is told first"), _welcome, "", N_("TEXT")),
    Option(
        "log-level",
        N_("what is recorded: debug, info (default), warning, error"),
        _LEVEL,
        "info",
        N_("LEVEL"),
    ),
    Option(
        "log-format", N_("how: text (default), or json, an object a line"), _LOG_FORMAT, "text", N_("FORMAT")
    ),
    Option(
        "lang",
        N_("the language: {codes} (that of the environment: LANGUAGE, LC_ALL, LANG)"),
        languages.language,
        metavar=N_("CODE"),
        fields={"codes": ", ".join(languages.available())},
    ),
)


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


def _check_different(parser: argparse.ArgumentParser, choice: Choice) -> None:
    """Refuse one file for two purposes: but for a PEM file with certificate and key, that is a mistake."""
    seen: dict[str, str] = {}
    for name in (option.name for option in OPTIONS if option.metavar == "FILE" and choice[option.name]):
        other = seen.setdefault(os.path.realpath(choice[name]), name)
        if other != name and (other, name) != ("tls-cert", "tls-key"):
            words = _("{one} and {two} are the same file: give each its own")
            parser.error(words.format(one=f"--{other}", two=f"--{name}"))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options, and tls_folder; explains itself and exits with status 2 when one is wrong.

    In the language that is spoken: it has to be chosen before (`languages.speak`).
    """
    parser = ArgumentParser("charla-server", _("Charla, a chat room for terminals: the server."), _epilog())
    for option in OPTIONS:
        option.add_to(parser, tells_variable=True)
    choice = Choice(parser, OPTIONS, parser.parse_args(arguments))
    _check_different(parser, choice)
    options = choice.namespace()
    # Not the folder in which the client remembers servers: own_certificate wants one for itself.
    options.tls_folder = os.path.join(config_folder(os.environ), "server")
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
