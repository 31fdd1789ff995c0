"""The options of the client: typed, from the environment or from a file.

    --dead-after 20                       what is typed wins
    CHARLA_DEAD_AFTER=20                  over the environment,
    dead-after = 20                       and that over the file (client.toml, config_file.py has where).

`OPTIONS` has them all.  Whatever a value comes from, the same function of its option judges it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from charla import __version__
from charla import i18n as languages
from charla.client.network.connect import DEFAULT_PORT
from charla.client.network.session import DEAD_AFTER, PING_AFTER
from charla.client.network.trust import read_fingerprint
from charla.common.command_line import ArgumentParser, NotAsArgument, command, examples
from charla.common.config_file import SettingsError, check_names, default_path, read_settings, yes_or_no
from charla.i18n import N_, _
from charla.protocol.commands import HISTORY_AT_JOIN
from charla.protocol.fields import HISTORY_LIMIT
from charla.protocol.sentences import sentence

HINTS = N_("""\
What you do not want to type each time goes into a file: ~/.config/charla/client.toml (on Windows
%APPDATA%\\charla\\client.toml), a line for each option, like nick = "ana", port = 9000 or tls = true.
Options win over the environment, and that over the file.

A password that the server asks for is typed, or comes from --password-file FILE or from the environment,
CHARLA_PASSWORD; the moderators' password, for a script's /mod, from CHARLA_MODERATOR_PASSWORD, or else it
is the line behind /mod.

/help, once inside, tells what you can type.
exit status: 0 left on purpose, 1 connection lost, 2 wrong options, 3 no connection, 4 refused
""")

LONGEST_TIME = 1_000_000
"""Seconds, 11 days: epoll waits for 24 at the most."""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(
            _("'{text}' is not a port: give a number from 1 to 65535").format(text=text)
        )
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_TIME:
        raise argparse.ArgumentTypeError(
            _("'{text}' is not a time: give a number of seconds above 0, up to {most}").format(
                text=text, most=LONGEST_TIME
            )
        )
    return seconds


def _fingerprint(text: str) -> str:
    try:
        return read_fingerprint(text) if text else ""
    except ValueError:
        raise argparse.ArgumentTypeError(
            _(
                "'{text}' is not a fingerprint: give what the server printed, SHA256:AB:CD:... (32 pairs)"
            ).format(text=text)
        ) from None


def _messages(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= HISTORY_LIMIT):
        raise argparse.ArgumentTypeError(
            _("'{text}' is not a number of messages: give one from 0 to {limit}").format(
                text=text, limit=HISTORY_LIMIT
            )
        )
    return int(text)


def _to_say(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError(_("there is nothing to say in it: give a text"))
    try:
        text.encode()
    except UnicodeEncodeError:  # Python has surrogates for other bytes (PEP 383)
        raise argparse.ArgumentTypeError(sentence("not-utf8")) from None
    return text


def _switch(text: str) -> bool:
    try:
        return yes_or_no(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            _("'{text}' is neither yes nor no: give on or off").format(text=text)
        ) from None


def _one_of(*words: str) -> Callable[[str], str]:
    def judge(text: str) -> str:
        if text.lower() not in words:
            raise argparse.ArgumentTypeError(
                _("'{text}' is not possible: give one of {words}").format(text=text, words=", ".join(words))
            )
        return text.lower()

    return judge


@dataclass(frozen=True, slots=True)
class Option:
    """An option: `--name`, CHARLA_NAME in the environment, `name` in the file."""

    name: str
    help: str
    judge: Callable[[str], object] = str
    """Returns the value that a text stands for; ArgumentTypeError, a sentence, when it is none."""
    default: Any = None
    metavar: str = ""
    """What the value is, in the help; empty for a switch, which is its own value."""
    written: type | tuple[type, ...] = str
    """What stands for it in the file."""
    repeated: bool = False
    """Whether it can be given several times; its value is the list of them."""

    @property
    def field(self) -> str:
        """The name that code has for it."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its variable in the environment."""
        return f"CHARLA_{self.field.upper()}"

    def add_to(self, group: argparse._ArgumentGroup) -> None:
        """Add it to a group of a parser, which tells only what was typed."""
        about = _(self.help).format(
            default=self.default,
            people=HISTORY_AT_JOIN,
            limit=HISTORY_LIMIT,
            codes=", ".join(languages.available()),
        )
        if not self.metavar:
            group.add_argument(
                f"--{self.name}", action=argparse.BooleanOptionalAction, default=None, help=about
            )
            return
        group.add_argument(
            f"--{self.name}",
            action="append" if self.repeated else "store",
            type=self.judge,
            metavar=_(self.metavar),
            help=about,
        )


def _switch_option(name: str, about: str, default: bool = False) -> Option:
    return Option(name, about, _switch, default, written=bool)


CONNECTION = (
    Option(
        "host", N_("the server's machine ({default}: this one)"), default="127.0.0.1", metavar=N_("ADDRESS")
    ),
    Option("port", N_("its port ({default})"), _port, DEFAULT_PORT, "N", int),
    Option("nick", N_("your nickname; asked for when not given"), metavar=N_("NICK")),
    _switch_option(
        "reconnect", N_("get a lost connection back (unless told not to), or end with it"), default=True
    ),
    Option(
        "ping-after",
        N_("ask a server that has said nothing for so long whether it is there ({default:g})"),
        _seconds,
        PING_AFTER,
        N_("SECONDS"),
        (int, float),
    ),
    Option(
        "dead-after",
        N_("the connection is lost when nothing has come for so long ({default:g})"),
        _seconds,
        DEAD_AFTER,
        N_("SECONDS"),
        (int, float),
    ),
)
SECURITY = (
    _switch_option(
        "tls",
        N_("speak TLS; the server's certificate is remembered the first time, and no other taken later"),
    ),
    Option(
        "tls-ca",
        N_("speak TLS, and take what the certificates in FILE (PEM) vouch for under the name of --host"),
        metavar=N_("FILE"),
    ),
    Option(
        "tls-fingerprint",
        N_("speak TLS, and take the certificate with this fingerprint and no other"),
        _fingerprint,
        metavar="SHA256",
    ),
    Option(
        "password-file",
        N_("the server's password is the first line of FILE; otherwise CHARLA_PASSWORD, or it is asked for"),
        metavar=N_("FILE"),
    ),
    _switch_option(
        "insecure",
        N_("send passwords even without TLS: everybody between here and the server can read them"),
    ),
)
SCREEN = (
    Option(
        "lang",
        N_("the language: {codes} (otherwise that of LANGUAGE, LC_ALL, LC_MESSAGES or LANG)"),
        languages.language,
        metavar=N_("CODE"),
    ),
    Option(
        "color",
        N_("colours (auto: on a terminal, unless NO_COLOR is set)"),
        _one_of("auto", "always", "never"),
        "auto",
        "auto|always|never",
    ),
    _switch_option("plain", N_("for screen readers: words instead of signs, no colour, nothing drawn twice")),
    Option(
        "bell",
        N_(
            "when the terminal's bell rings: for what is said to you alone ({default}), also when somebody "
            "names you, or for everything"
        ),
        _one_of("off", "private", "mention", "all"),
        "private",
        "off|private|mention|all",
    ),
    Option("time", N_("show when something was said (on)"), _switch, True, "on|off", (str, bool)),
    Option(
        "history",
        N_("messages from before that are shown first ({people}; in a pipe 0; up to {limit})"),
        _messages,
        metavar="N",
        written=int,
    ),
    Option(
        "console",
        N_(
            "what reads the keys: prompt_toolkit (prompt), or what Python has (stock); auto: the first if it "
            "is there"
        ),
        _one_of("auto", "stock", "prompt"),
        "auto",
        "auto|stock|prompt",
    ),
)
SCRIPTS = (
    Option(
        "send",
        N_("say TEXT, wait until it is confirmed, and leave; several times: several messages"),
        _to_say,
        [],
        N_("TEXT"),
        repeated=True,
    ),
    _switch_option("json", N_("one JSON object a line, in and out, for programs: docs/BOTS.md")),
)
OPTIONS = (*CONNECTION, *SECURITY, *SCREEN, *SCRIPTS)

_TYPES: dict[type | tuple[type, ...], str] = {
    str: N_("'{path}': {name} has to be a text, in quotes"),
    int: N_("'{path}': {name} has to be a whole number, without quotes"),
    (int, float): N_("'{path}': {name} has to be a number, without quotes"),
    bool: N_("'{path}': {name} has to be true or false, without quotes"),
    (str, bool): N_("'{path}': {name} has to be true or false, without quotes"),
}


class _File:
    """The configuration file: what is in it, or why it cannot be used.  It is read once: it may be a pipe."""

    def __init__(self, arguments: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--config", nargs="?")  # without its file: the parser proper will complain
        named = parser.parse_known_args(arguments)[0].config or os.environ.get("CHARLA_CONFIG", "")
        self.path = os.path.expanduser(named) if named else default_path(os.environ)
        self._error: SettingsError | None = None
        self._values: dict[str, Any] = {}
        try:
            self._values = read_settings(self.path, needed=bool(named))
        except SettingsError as error:
            self._error = error

    def language(self) -> str:
        """Return the language that it asks for; empty: none.  This much of a wrong file does, too."""
        code = self._values.get("lang", "")
        return code if isinstance(code, str) else ""

    def texts(self) -> dict[str, str]:
        """Return what stands in it, by the options' names, as it would be typed; SettingsError."""
        if self._error is not None:
            raise self._error
        check_names(self.path, self._values, [option.name for option in OPTIONS])
        return {option.name: self._text(option) for option in OPTIONS if option.name in self._values}

    def _text(self, option: Option) -> str:
        value = self._values[option.name]
        written = option.written if isinstance(option.written, tuple) else (option.written,)
        if type(value) not in written:  # and not isinstance: True is no number
            raise SettingsError(_TYPES[option.written], path=self.path, name=option.name)
        if isinstance(value, bool):
            return "on" if value else "off"
        if option.metavar == "FILE" and value:  # of its own folder: one starts the client anywhere
            return os.path.join(os.path.dirname(os.path.abspath(self.path)), os.path.expanduser(value))
        return str(value)


@dataclass(frozen=True, slots=True)
class _Given:
    """The value of an option, and where it is from."""

    value: Any
    rank: int
    """0: nobody has said anything; 1: the file, 2: the environment, 3: the command line."""
    place: str
    """What it is called in a sentence, so that people find it."""


class _Choice:
    """What all options come to: each is what counts most of what was said about it."""

    def __init__(self, parser: argparse.ArgumentParser, file: _File, typed: dict[str, Any]) -> None:
        self._parser = parser
        self._given: dict[str, _Given] = {}
        try:
            texts = file.texts()
        except SettingsError as error:
            parser.error(str(error))
        for option in OPTIONS:
            flag, variable = f"--{option.name}", option.variable
            if option.field in typed:
                value = typed[option.field]
                # An empty text says that there is to be none, whatever the file says.
                value = option.default if value == "" else value
                self._given[option.name] = _Given(value, 3, f"--no-{option.name}" if value is False else flag)
            elif os.environ.get(variable):  # an empty one is as good as none
                self._given[option.name] = self._judged(option, os.environ[variable], 2, variable)
            elif texts.get(option.name):
                place = _("'{path}': {name}").format(path=file.path, name=option.name)
                self._given[option.name] = self._judged(option, texts[option.name], 1, place)
            else:
                self._given[option.name] = _Given(option.default, 0, flag)

    def _judged(self, option: Option, text: str, rank: int, place: str) -> _Given:
        try:
            value = option.judge(text)
        except argparse.ArgumentTypeError as error:
            self._parser.error(f"{place}: {error}")
        return _Given([value] if option.repeated else value, rank, place)

    def __getitem__(self, name: str) -> Any:
        return self._given[name].value

    def forbid(self, one: str, other: str) -> None:
        """Let only one of two options hold that contradict each other: the one that counts more.

        When both were given in the same place, that is a mistake.
        """
        first, second = self._given[one], self._given[other]
        if first.rank == second.rank:
            self._parser.error(
                _("{one} and {other} do not go together: give one of them").format(
                    one=first.place, other=second.place
                )
            )
        weaker = one if first.rank < second.rank else other
        default = next(option.default for option in OPTIONS if option.name == weaker)
        self._given[weaker] = _Given(default, 0, f"--{weaker}")

    def refused(self, name: str) -> bool:
        """Say whether somebody has said no to a switch."""
        return self._given[name].rank > 0 and not self._given[name].value

    def place(self, name: str) -> str:
        """Return what an option is called where it was given."""
        return self._given[name].place

    def namespace(self) -> argparse.Namespace:
        """Return the values by their names in code."""
        return argparse.Namespace(**{option.field: self._given[option.name].value for option in OPTIONS})


def _epilog() -> str:
    client = command("charla")
    shown = examples(
        (
            (client, _("a server on this machine")),
            (f"{client} --host 192.168.1.20 --nick ana", ""),
            (f"{client} --host chat.example --tls", _("nobody on the way can read or change what is said")),
            (f"{client} --nick bot --send hola", _("say it, wait until it is confirmed, leave")),
            (f"CHARLA_NICK=ana {client}", _("every option is also an environment variable")),
        )
    )
    return "\n".join([_("examples:"), shown, "", _(HINTS)])


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "charla",
        description=_("Charla, a chat room for terminals: the client."),
        epilog=_epilog(),
    )
    parser.add_argument("--password", action=NotAsArgument, help=argparse.SUPPRESS)
    parser.add_argument(
        "--version",
        action="version",
        version=f"Charla {__version__}",
        help=_("show the version and exit"),
    )
    parser.add_argument("--config", metavar=_("FILE"), help=_("read the settings in FILE (see below)"))
    for title, options in (
        (_("connection"), CONNECTION),
        (_("security"), SECURITY),
        (_("screen"), SCREEN),
        (_("scripts"), SCRIPTS),
    ):
        group = parser.add_argument_group(title)
        for option in options:
            option.add_to(group)
    return parser


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Choose the language, and return the options: a field for each of `OPTIONS`.

    Explains itself and exits with status 2 when one is wrong.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    file = _File(arguments)
    languages.speak(arguments, os.environ, file.language())
    parser = _parser()
    typed = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    choice = _Choice(parser, file, typed)
    if choice["tls-ca"] and choice["tls-fingerprint"]:
        choice.forbid("tls-ca", "tls-fingerprint")
    for name in ("tls-ca", "tls-fingerprint"):
        if choice[name] and choice.refused("tls"):
            choice.forbid("tls", name)
    if choice["send"] and choice["json"]:
        choice.forbid("send", "json")
    for name in ("send", "json"):
        if choice[name] and not choice["nick"]:
            parser.error(
                _("{option} needs a nickname: give it with --nick").format(option=choice.place(name))
            )
    if choice["dead-after"] <= choice["ping-after"]:
        parser.error(
            _("{dead} must be more than {ping}: a server needs time to answer").format(
                dead=choice.place("dead-after"), ping=choice.place("ping-after")
            )
        )
    return choice.namespace()
