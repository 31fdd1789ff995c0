"""The options of the client: the table `OPTIONS`, and what does not go together."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from charla import i18n as languages
from charla.client.network.connect import DEFAULT_PORT
from charla.client.network.session import DEAD_AFTER, PING_AFTER
from charla.client.network.trust import read_fingerprint
from charla.common.command_line import ArgumentParser, command, examples
from charla.common.config_file import ConfigFile, SettingsError
from charla.common.options import Choice, Option, WrongValue, number, one_of, whole, yes_or_no
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

_PORT = whole(N_("'{text}' is not a port: give a number from 1 to 65535"), 1, 65535)
_SECONDS = number(
    N_("'{text}' is not a time: give a number of seconds above 0, up to {most}"),
    1_000_000,  # 11 days: epoll waits for 24 at the most
    above_0=True,
)
_MESSAGES = whole(N_("'{text}' is not a number of messages: give one from 0 to {most}"), 0, HISTORY_LIMIT)


def _fingerprint(text: str) -> str:
    try:
        return read_fingerprint(text) if text else ""
    except ValueError:
        words = N_("'{text}' is not a fingerprint: give what the server printed, SHA256:AB:CD:... (32 pairs)")
        raise WrongValue(words, text=text) from None


def _to_say(text: str) -> str:
    if not text.strip():
        raise WrongValue(N_("there is nothing to say in it: give a text"))
    try:
        text.encode()
    except UnicodeEncodeError:  # Python has surrogates for other bytes (PEP 383)
        raise argparse.ArgumentTypeError(sentence("not-utf8")) from None
    return text


def _switch(name: str, about: str, default: bool = False) -> Option:
    return Option(name, about, yes_or_no(), default, written=bool)


CONNECTION = (
    Option(
        "host", N_("the server's machine ({default}: this one)"), default="127.0.0.1", metavar=N_("ADDRESS")
    ),
    Option("port", N_("its port ({default})"), _PORT, DEFAULT_PORT, "N", int),
    Option("nick", N_("your nickname; asked for when not given"), metavar=N_("NICK")),
    _switch("reconnect", N_("get a lost connection back (unless told not to), or end with it"), default=True),
    Option(
        "ping-after",
        N_("ask a server that has said nothing for so long whether it is there ({default:g})"),
        _SECONDS,
        PING_AFTER,
        N_("SECONDS"),
        (int, float),
    ),
    Option(
        "dead-after",
        N_("the connection is lost when nothing has come for so long ({default:g})"),
        _SECONDS,
        DEAD_AFTER,
        N_("SECONDS"),
        (int, float),
    ),
)
SECURITY = (
    _switch(
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
    _switch(
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
        fields={"codes": ", ".join(languages.available())},
    ),
    Option(
        "color",
        N_("colours (auto: on a terminal, unless NO_COLOR is set)"),
        one_of("auto", "always", "never"),
        "auto",
        "auto|always|never",
    ),
    _switch("plain", N_("for screen readers: words instead of signs, no colour, nothing drawn twice")),
    Option(
        "bell",
        N_(
            "when the terminal's bell rings: for what is said to you alone ({default}), also when somebody "
            "names you, or for everything"
        ),
        one_of("off", "private", "mention", "all"),
        "private",
        "off|private|mention|all",
    ),
    Option("time", N_("show when something was said (on)"), yes_or_no(), True, "on|off", (str, bool)),
    Option(
        "history",
        N_("messages from before that are shown first ({people}; in a pipe 0; up to {limit})"),
        _MESSAGES,
        metavar="N",
        written=int,
        fields={"people": HISTORY_AT_JOIN, "limit": HISTORY_LIMIT},
    ),
    Option(
        "console",
        N_(
            "what reads the keys: prompt_toolkit (prompt), or what Python has (stock); auto: the first if it "
            "is there"
        ),
        one_of("auto", "stock", "prompt"),
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
    _switch("json", N_("one JSON object a line, in and out, for programs: docs/BOTS.md in Charla's sources")),
)
OPTIONS = (*CONNECTION, *SECURITY, *SCREEN, *SCRIPTS)


def _epilog() -> str:
    client = command("charla")
    shown = examples(
        (
            (client, _("join the server on this machine")),
            (f"{client} --host 192.168.1.20 --nick ana", ""),
            (f"{client} --host chat.example --tls", _("nobody on the way can read or change what is said")),
            (f"{client} --nick bot --send hola", _("say it, wait until it is confirmed, leave")),
            (f"CHARLA_NICK=ana {client}", _("every option is also an environment variable")),
        )
    )
    return "\n".join([_("examples:"), shown, "", _(HINTS)])


def _parser() -> ArgumentParser:
    parser = ArgumentParser("charla", _("Charla, a chat room for terminals: the client."), _epilog())
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
    file = ConfigFile(arguments, os.environ)
    languages.speak(arguments, os.environ, file.language())
    parser = _parser()
    typed = parser.parse_args(arguments)
    try:
        choice = Choice(parser, OPTIONS, typed, file.texts(OPTIONS), file.path)
    except SettingsError as error:
        parser.error(str(error))
    if choice["tls-ca"] and choice["tls-fingerprint"]:
        choice.forbid("tls-ca", "tls-fingerprint")
    for name in ("tls-ca", "tls-fingerprint"):
        if choice[name] and choice.refused("tls"):
            choice.forbid("tls", name)
    if choice["send"] and choice["json"]:
        choice.forbid("send", "json")
    for name in ("send", "json"):
        if choice[name] and not choice["nick"]:
            words = _("{option} needs a nickname: give it with --nick")
            parser.error(words.format(option=choice.place(name)))
    if choice["dead-after"] <= choice["ping-after"]:
        words = _("{dead} must be more than {ping}: a server needs time to answer")
        parser.error(words.format(dead=choice.place("dead-after"), ping=choice.place("ping-after")))
    return choice.namespace()
