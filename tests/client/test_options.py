"""The client's options, whatever they come from: typed, the environment, the file."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, LineClient, ServerProgram
from support.clients import run

from charla import i18n
from charla.client.network.trust import Authority, FirstUse, Pinned, trust_of
from charla.client.options import OPTIONS, parse_options
from charla.common import config_file
from charla.common.options import yes_or_no

FINGERPRINT = "SHA256:" + ":".join(["AB"] * 32)
OTHER = "SHA256:" + ":".join(["CD"] * 32)

# Two values of each option: as it is typed, as it stands in the file, and what it means.  A switch has no
# other two than its default and the opposite.
SAMPLES: dict[str, tuple[tuple[str, str, Any], tuple[str, str, Any]]] = {
    "host": (("far", '"far"', "far"), ("near", "'near'", "near")),
    "port": (("7", "7", 7), ("65535", "65_535", 65535)),
    "nick": (("ana", '"ana"', "ana"), ("ñu", r'"\u00f1u"', "ñu")),
    "reconnect": (("off", "false", False), ("on", "true", True)),
    "ping-after": (("20", "20", 20.0), ("0.5", "0.5", 0.5)),
    "dead-after": (("100.5", "100.5", 100.5), ("1e3", "1e3", 1000.0)),
    "tls": (("on", "true", True), ("off", "false", False)),
    "tls-ca": (("/ca.pem", '"/ca.pem"', "/ca.pem"), ("/b", '"/b"', "/b")),
    "tls-fingerprint": (
        (FINGERPRINT, f'"{FINGERPRINT}"', FINGERPRINT),
        (OTHER.lower(), f'"{OTHER}"', OTHER),
    ),
    "password-file": (("/secret", '"/secret"', "/secret"), ("/other", '"/other"', "/other")),
    "insecure": (("yes", "true", True), ("no", "false", False)),
    "lang": (("es", '"es"', "es"), ("en", '"en"', "en")),
    "color": (("always", '"always"', "always"), ("never", '"never"', "never")),
    "plain": (("1", "true", True), ("0", "false", False)),
    "bell": (("off", '"off"', "off"), ("ALL", '"all"', "all")),
    "time": (("off", '"off"', False), ("on", "true", True)),
    "history": (("0", "0", 0), ("1000", "1000", 1000)),
    "console": (("stock", '"stock"', "stock"), ("prompt", '"prompt"', "prompt")),
    "send": (("hola", '"hola"', ["hola"]), ("a: b", '"a: b"', ["a: b"])),
    "json": (("true", "true", True), ("false", "false", False)),
}
TOPICS = {option.name: option for option in OPTIONS}

NO_SECTIONS = "there are no sections, the options stand alone:"

Write = Callable[[str], Path]
Refuse = Callable[..., str]


@pytest.fixture(autouse=True)
def _nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHARLA_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LANGUAGE", "en")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "argv", ["client.py"])
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes the configuration file, where it is by itself."""

    def write_file(text: str) -> Path:
        path = tmp_path / "config" / "charla" / "client.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return write_file


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Return what gives the client wrong options, and returns what it says about them."""

    def give(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            parse_options(arguments)
        assert ended.value.code == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        return shown.err

    return give


def typed(name: str, text: str) -> list[str]:
    """Return an option as it is typed."""
    if TOPICS[name].metavar:
        return [f"--{name}", text]
    return [f"--{name}" if yes_or_no()(text) else f"--no-{name}"]


def value(name: str, *arguments: str) -> Any:
    """Return what comes of an option."""
    # A script needs a nick.
    nick = () if name == "nick" else ("--nick", "bot")
    return getattr(parse_options([*nick, *arguments]), name.replace("-", "_"))


# ---- what counts -----------------------------------------------------------------------------------


def test_all_options_are_tried_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(SAMPLES) == list(TOPICS)
    with pytest.raises(SystemExit):
        parse_options(["--help"])
    shown = set(re.findall(r"(?<![\w-])--(?:no-)?([a-z-]+)", capsys.readouterr().out))
    assert shown == {*TOPICS, "help", "version", "config"}


def test_every_option_is_a_field() -> None:
    assert sorted(vars(parse_options([]))) == sorted(name.replace("-", "_") for name in TOPICS)


@pytest.mark.parametrize("name", SAMPLES)
def test_typed_over_environment_over_file_over_default(
    name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = TOPICS[name]
    for one, other in (SAMPLES[name], SAMPLES[name][::-1]):
        monkeypatch.delenv(option.variable, raising=False)
        write("")
        assert value(name) == option.default

        write(f"{name} = {one[1]}\n")
        assert value(name) == one[2]

        monkeypatch.setenv(option.variable, other[0])
        assert value(name) == other[2]

        assert value(name, *typed(name, one[0])) == one[2]


@pytest.mark.parametrize("name", SAMPLES)
def test_an_empty_variable_is_as_good_as_none(
    name: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"{name} = {SAMPLES[name][0][1]}\n")
    monkeypatch.setenv(TOPICS[name].variable, "")
    assert value(name) == SAMPLES[name][0][2]


@pytest.mark.parametrize("name", ["host", "nick", "tls-ca", "tls-fingerprint", "password-file"])
def test_an_empty_text_takes_back_what_the_file_says(name: str, write: Write) -> None:
    write(f"{name} = {SAMPLES[name][0][1]}\n")
    assert value(name, f"--{name}", "") == TOPICS[name].default
    write(f'{name} = ""\n')
    assert value(name) == TOPICS[name].default


def test_several_things_to_say_stay_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARLA_SEND", "not this one")
    assert value("send", "--send", "one", "--send", "two") == ["one", "two"]


def test_files_are_looked_for_beside_the_configuration_and_at_home(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = write('password-file = "room.secret"\ntls-ca = "~/ca.pem"\n')
    options = parse_options([])
    assert options.password_file == str(path.parent / "room.secret")
    assert options.tls_ca == str(tmp_path / "ca.pem")
    assert parse_options(["--password-file", "room.secret"]).password_file == "room.secret"


# ---- which file ------------------------------------------------------------------------------------


def test_the_file_that_is_named_counts_alone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("port = 1\nplain = true\n")
    (tmp_path / "two.toml").write_text("port = 2\n")
    (tmp_path / "three.toml").write_text("port = 3\n")
    monkeypatch.setenv("CHARLA_CONFIG", str(tmp_path / "two.toml"))
    assert parse_options([]).port == 2
    options = parse_options(["--config", str(tmp_path / "three.toml")])
    assert (options.port, options.plain) == (3, False)
    assert parse_options([f"--config={tmp_path / 'three.toml'}"]).port == 3


def test_one_that_is_named_has_to_exist(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no configuration file '/no/such.toml'" in refuse("--config", "/no/such.toml")
    monkeypatch.setenv("CHARLA_CONFIG", "/neither")
    assert "there is no configuration file '/neither'" in refuse()


def test_the_usual_one_need_not_exist(tmp_path: Path) -> None:
    assert parse_options([]).port == 9000
    (tmp_path / "config").write_text("a file where a folder should be")
    assert parse_options([]).port == 9000


@pytest.mark.parametrize(
    ("environment", "system", "path"),
    [
        ({"XDG_CONFIG_HOME": "/etc/me"}, "posix", "/etc/me/charla/client.toml"),
        ({"XDG_CONFIG_HOME": "relative"}, "posix", "/home/ana/.config/charla/client.toml"),
        ({}, "posix", "/home/ana/.config/charla/client.toml"),
        ({"APPDATA": "/Roaming", "XDG_CONFIG_HOME": "/etc/me"}, "nt", "/Roaming/charla/client.toml"),
        ({}, "nt", "/home/ana/charla/client.toml"),
    ],
)
def test_the_usual_one_is_where_the_system_wants_it(
    environment: dict[str, str], system: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    monkeypatch.setenv("USERPROFILE", "/home/ana")
    assert Path(config_file.config_folder(environment, system), "client.toml") == Path(path)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no /dev/fd here")
def test_it_may_be_a_pipe_which_can_be_read_only_once() -> None:
    out, into = os.pipe()
    try:
        os.write(into, b'port = 7\nlang = "es"\n')
        os.close(into)
        options = parse_options(["--config", f"/dev/fd/{out}"])
    finally:
        os.close(out)
    assert (options.port, options.lang) == (7, "es")


# ---- what is wrong with it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 9000\n", "there is no option 'prot'. Did you mean 'port'?"),
        ("dead_after = 9\n", "there is no option 'dead_after'. Did you mean 'dead-after'?"),
        ("Password_File = 'x'\n", "there is no option 'Password_File'. Did you mean 'password-file'?"),
        ("nothing-like-it = 1\n", "there is no option 'nothing-like-it': see --help"),
        ('config = "other.toml"\n', "config: a file names no other one, only --config does"),
        ("port = '9000'\n", "port has to be a whole number, without quotes"),
        ("port = 9000.0\n", "port has to be a whole number, without quotes"),
        ("port = true\n", "port has to be a whole number, without quotes"),
        ("ping-after = '30'\n", "ping-after has to be a number, without quotes"),
        ("nick = 5\n", "nick has to be a text, in quotes"),
        ("bell = false\n", "bell has to be a text, in quotes"),
        ("tls = 'yes'\n", "tls has to be true or false, without quotes"),
        ("tls = 1\n", "tls has to be true or false, without quotes"),
        ("time = 0\n", "time has to be true or false, without quotes"),
        ("port = 0\n", "port: '0' is not a port: give a number from 1 to 65535"),
        ("port = -5\n", "port: '-5' is not a port"),
        ("ping-after = 0\n", "ping-after: '0' is not a time: give a number of seconds above 0"),
        ("dead-after = 1e999\n", "dead-after: 'inf' is not a time"),
        ("history = 1001\n", "history: '1001' is not a number of messages: give one from 0 to 1000"),
        ("color = 'sometimes'\n", "color: 'sometimes' is not possible: give one of auto, always, never"),
        ("time = 'later'\n", "time: 'later' is neither yes nor no: give on or off"),
        ("lang = 'xx'\n", "lang: 'xx' is not a language there is: give one of en, es"),
        ("tls-fingerprint = 'AB'\n", "tls-fingerprint: 'AB' is not a fingerprint"),
        ("send = ' '\n", "send: there is nothing to say in it: give a text"),
        ("# well\nnick = ana\n", "line 2, cannot be understood"),
        ("port = 1\nport = 2\n", "line 2, cannot be understood"),
        ("port\n", "line 1, cannot be understood"),
        ("nick = 'a\n\n\n", "line 1, cannot be understood"),
        ("port = 9000 9001", "line 1, cannot be understood"),
        ("port = " + "9" * 5000, "cannot be understood"),
        ("# me\n[connection]\nnick = 'ana'\n", f"line 2: {NO_SECTIONS} take [connection] out"),
        ("nick = 'ana'\n  [[ port.x ]] # y\n", f"line 2: {NO_SECTIONS} take [[ port.x ]] out"),
        ("tls-ca = '/a'\ntls-fingerprint = '" + FINGERPRINT + "'\n", "do not go together"),
        ("tls = false\ntls-ca = '/a'\n", "do not go together"),
        ("json = true\n", "json needs a nickname: give it with --nick"),
        ("send = 'hola'\n", "send needs a nickname: give it with --nick"),
        ("nick = 'bot'\njson = true\nsend = 'hola'\n", "do not go together"),
        ("ping-after = 90\n", "ping-after: a server needs time to answer"),
    ],
)
def test_what_is_wrong_in_the_file_is_a_sentence_that_names_it(
    text: str, words: str, write: Write, refuse: Refuse
) -> None:
    path = write(text)
    told = refuse()
    assert words in told
    assert f"'{path}'" in told


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no tomllib")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server.port = 9000\n", "there is no option 'server'"),
        ("port = {x = 9000}\n", "port has to be a whole number"),
        ("nick = ['ana', 'eva']\n", "nick has to be a text, in quotes"),
        ("nick = 2026-11-20\n", "nick has to be a text, in quotes"),
        ('"a\\u001b[31m" = 1\n', "there is no option 'a�[31m'"),
        ("nick = " + "[" * 5000, "cannot be understood"),
        ('nick = """\n', "cannot be understood"),
    ],
)
def test_what_only_tomllib_reads_is_refused_too(text: str, words: str, write: Write, refuse: Refuse) -> None:
    write(text)
    assert words in refuse()


@pytest.mark.parametrize(
    "text",
    [
        "password = 'tres tigres'\n",
        "password = tres tigres\n",
        'PASSWORD = "tres tigres\n',
        "moderator-password = 'tres tigres'\n",
        "passwd = 'tres tigres'\n",
    ],
)
def test_a_password_in_it_is_refused_and_not_shown(text: str, write: Write, refuse: Refuse) -> None:
    write(text)
    told = refuse()
    assert "tigres" not in told
    if text.endswith("s'\n"):
        assert "a password does not belong here" in told
        assert "password-file" in told


def test_a_file_that_cannot_be_read_is_a_sentence(
    write: Write, refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"'{tmp_path}' cannot be read: Is a directory" in refuse("--config", str(tmp_path))
    assert "cannot be read: embedded null byte" in refuse("--config", "a\0b")
    assert "es una carpeta" in refuse("--config", str(tmp_path), "--lang", "es")
    path = write("")
    path.write_bytes("nick = 'ñu'\n".encode("latin-1"))
    assert f"'{path}' is not UTF-8: save it as such" in refuse()
    path.write_bytes(b"#" * (config_file.LARGEST_FILE + 1))
    assert f"'{path}' is too long for a configuration file" in refuse()

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", forbidden)  # root may read everything
    assert f"'{path}' cannot be read: Permission denied" in refuse()


@pytest.mark.parametrize("text", ["port = 7\r\nplain = true\r\n", "\ufeffport = 7\nplain = true"])
def test_it_may_have_been_written_on_windows(text: str, write: Write) -> None:
    write(text)
    options = parse_options([])
    assert (options.port, options.plain) == (7, True)


@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_whoever_asks_for_help_gets_it_whatever_the_file_is(
    asked: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("port = [\n")
    with pytest.raises(SystemExit) as ended:
        parse_options([asked])
    assert ended.value.code == 0
    assert capsys.readouterr().err == ""


# ---- what is wrong elsewhere -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("CHARLA_PORT", "0", "CHARLA_PORT: '0' is not a port: give a number from 1 to 65535"),
        ("CHARLA_TLS", "maybe", "CHARLA_TLS: 'maybe' is neither yes nor no: give on or off"),
        ("CHARLA_HISTORY", "5000", "CHARLA_HISTORY: '5000' is not a number of messages"),
        ("CHARLA_LANG", "tlh", "CHARLA_LANG: 'tlh' is not a language there is"),
        ("CHARLA_DEAD_AFTER", "20", "CHARLA_DEAD_AFTER must be more than --ping-after"),
        ("CHARLA_JSON", "1", "CHARLA_JSON needs a nickname: give it with --nick"),
    ],
)
def test_what_is_wrong_in_the_environment_names_the_variable(
    variable: str, text: str, words: str, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
) -> None:
    monkeypatch.setenv(variable, text)
    assert words in refuse()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "'70000' is not a port: give a number from 1 to 65535"),
        (["--history", "-1"], "--history"),
        (["--history", "1001"], "'1001' is not a number of messages"),
        (["--time", "maybe"], "'maybe' is neither yes nor no: give on or off"),
        (["--bell", "loud"], "'loud' is not possible: give one of off, private, mention, all"),
        (["--console", "curses"], "'curses' is not possible: give one of auto, stock, prompt"),
        (["--lang", "xx"], "'xx' is not a language there is: give one of en, es"),
        (["--lang"], "--lang"),
        (["--config"], "--config"),
        (["--dead-after", "1000001"], "is not a time: give a number of seconds above 0, up to 1000000"),
        (["--send", ""], "there is nothing to say in it"),
        (["--send", "hola \udcff"], "not UTF-8"),
        (["--send", "hola"], "--send needs a nickname: give it with --nick"),
        (["--json"], "--json needs a nickname: give it with --nick"),
        (["--json", "--nick", ""], "--json needs a nickname"),
        (["--nick", "a", "--json", "--send", "x"], "--send and --json do not go together"),
        (["--tls-ca", "f", "--tls-fingerprint", OTHER], "--tls-ca and --tls-fingerprint do not go together"),
        (["--no-tls", "--tls-ca", "f"], "--no-tls and --tls-ca do not go together"),
        (["--no-tls", "--tls-fingerprint", OTHER], "--no-tls and --tls-fingerprint do not go together"),
        (["--dead-after", "30"], "--dead-after must be more than --ping-after"),
        (["--password", "tigres"], "a password is never an argument"),
    ],
)
def test_what_is_typed_wrong_is_a_sentence(arguments: list[str], words: str, refuse: Refuse) -> None:
    assert words in refuse(*arguments)


# ---- options that contradict each other ------------------------------------------------------------


def test_of_two_that_contradict_each_other_the_one_counts_that_was_said_nearer(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(f"nick = 'bot'\ntls-fingerprint = '{FINGERPRINT}'\njson = true\n")
    options = parse_options([])
    assert isinstance(trust_of(options), Pinned)

    options = parse_options(["--tls-ca", "/ca"])
    assert isinstance(trust_of(options), Authority)
    assert options.tls_fingerprint is None

    options = parse_options(["--no-tls"])
    assert trust_of(options) is None

    options = parse_options(["--tls"])  # says nothing about whom to trust
    assert isinstance(trust_of(options), Pinned)

    options = parse_options(["--tls", "--tls-fingerprint", ""])
    assert isinstance(trust_of(options), FirstUse)

    options = parse_options(["--send", "hola"])
    assert (options.send, options.json) == (["hola"], False)

    monkeypatch.setenv("CHARLA_TLS", "off")
    assert trust_of(parse_options([])) is None
    options = parse_options(["--tls-ca", "/ca"])
    assert isinstance(trust_of(options), Authority)


# ---- languages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "environment", "text", "spanish"),
    [
        ([], {}, "", False),
        ([], {}, 'lang = "es"', True),
        ([], {"CHARLA_LANG": "es"}, 'lang = "en"', True),
        (["--lang", "en"], {"CHARLA_LANG": "es"}, 'lang = "es"', False),
        (["--lang=es"], {}, "", True),
        ([], {"LANGUAGE": "es_MX:en"}, "", True),
        ([], {}, "lang = 5", False),  # wrong, as is the port: but that one comes first
        ([], {"LANGUAGE": "es"}, 'lang = "xx"', True),
    ],
)
def test_errors_come_in_the_language_that_is_asked_for_also_those_of_the_file(
    arguments: list[str],
    environment: dict[str, str],
    text: str,
    spanish: bool,
    write: Write,
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, setting in environment.items():
        monkeypatch.setenv(name, setting)
    write(f"{text}\nprot = 1\n")
    told = refuse(*arguments)
    assert ("there is no option 'prot'" in told) is not spanish
    assert re.search(r"\bprot\b.*\bport\b", told)


def test_help_is_in_spanish_from_the_first_word_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for code in i18n.available():
        with pytest.raises(SystemExit) as ended:
            parse_options(["--help", "--lang", code])
        assert ended.value.code == 0
        shown[code] = capsys.readouterr().out
    english = {line.strip() for line in shown["en"].splitlines() if re.search(r"[a-z]{3} [a-z]{2}", line)}
    for code in set(shown) - {"en"}:
        same = english & {line.strip() for line in shown[code].splitlines()}
        assert not {line for line in same if not re.match(r"python3 client\.py|--[a-z]+ [a-z]+\|", line)}
        assert re.findall(r"--[a-z-]+", shown[code]) == re.findall(r"--[a-z-]+", shown["en"])


def test_on_python_3_10_the_file_is_read_in_that_way(
    write: Write, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    write('nick = "ana" # that is me\nport = 7\n')
    options = parse_options([])
    assert (options.nick, options.port) == ("ana", 7)
    path = write("nick = 'ana'\n[table]\n")
    assert f"'{path}', line 2: {NO_SECTIONS} take [table] out" in refuse()
    write("[table\n")
    assert "line 1, cannot be understood" in refuse()


# ---- the program -----------------------------------------------------------------------------------


def test_the_client_finds_everything_it_needs_in_a_file(tmp_path: Path) -> None:
    with ServerProgram() as server, LineClient(server.address) as eva:
        eva.join_plain("eva")
        path = tmp_path / "bot.toml"
        path.write_text(f'port = {server.port}\nnick = "bot"\nsend = "the build is green"\n')
        done = run("--config", str(path))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert eva.until("the build is green")

        done = run("--config", str(path), "--send", "")
        assert done.returncode == 2
        assert "there is nothing to say in it" in done.stderr


# ---- the example -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_the_example_has_every_option_and_each_line_of_it_works(name: str, write: Write) -> None:
    text = (ROOT / "docs" / "client.toml").read_text()
    lines = {line.split(" ")[0]: line for line in re.findall(r"^# ([a-z-]+ = .*)$", text, re.MULTILINE)}
    assert sorted(lines) == sorted(TOPICS)
    assert config_file.parse_simple(text) == {}, "the example changes nothing as it is"
    write(lines[name])
    assert isinstance(parse_options(["--nick", "bot"]), argparse.Namespace)
