"""What whoever runs a server does with it: signals, records, IPv6, and options that are wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, LineClient, Program, ServerProgram, eventually

from charla.common.certificates import certificate_fingerprint, client_context, fingerprint, own_certificate
from charla.protocol.sentences import STATUS_WORDS
from charla.server import app

Serve = Callable[..., RunningServer]
Start = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return socket.has_dualstack_ipv6()


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


# ---- signals -------------------------------------------------------------------------------------


def test_SIGUSR1_records_how_the_server_is(start_program: Start, connect: Connect) -> None:  # noqa: N802
    server = start_program()
    ana, _ = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    waiting = connect(server)
    waiting.expect("NICK")
    ana.send("hola\n/nonsense\n/who\n")
    ana.until("here")
    server.process.send_signal(signal.SIGUSR1)
    words = server.wait_for_line("status: ")
    values = dict(pair.split("=") for pair in words.string.split("status: ")[1].split())
    assert list(values) == list(STATUS_WORDS)
    assert (values["people"], values["connections"], values["waiting"]) == ("2", "3", "1")
    assert (values["events"], values["refused"], values["dropped"]) == ("3", "1", "0")
    assert (values["backlogs"], values["backlog-bytes"]) == ("0", "0")
    assert int(values["deliveries"]) > 5
    ana.send("I am still here\n")
    server.process.send_signal(signal.SIGUSR1)
    eventually(lambda: sum("status: " in line for line in server.output) == 2, "the second one")


def test_SIGHUP_opens_the_transcript_again(  # noqa: N802
    start_program: Start, connect: Connect, tmp_path: Path
) -> None:
    path, older = tmp_path / "talk.txt", tmp_path / "talk.txt.1"
    server = start_program("--transcript", str(path))
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.send("one\nbeto: psst\n/me waves\n")
    beto.until("waves")
    eventually(lambda: "waves" in path.read_text(), "what was said before")
    path.rename(older)
    server.process.send_signal(signal.SIGHUP)
    eventually(path.exists, "the new file")
    ana.send("two\n")
    beto.until("two")
    eventually(lambda: path.read_text() != "", "what is said from then on")
    server.process.terminate()
    for person in (ana, beto):
        person.until("closing")
        person.close()
    assert server.status() == 0

    def said(file: Path) -> list[str]:
        return [re.sub(r"^\S+ ", "", line) for line in file.read_text().splitlines()]

    assert said(older) == ["ana: one", "~ ana waves"]
    assert said(path) == ["ana: two"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two certificates with their keys."""
    return own_certificate(str(tmp_path_factory.mktemp("a") / "tls")), own_certificate(
        str(tmp_path_factory.mktemp("b") / "tls")
    )


def shown(address: tuple[str, int]) -> str:
    """Return the fingerprint of the certificate that a new connection is shown."""
    with (
        socket.create_connection(address, DEADLINE) as sock,
        client_context(None).wrap_socket(sock) as secured,
    ):
        return fingerprint(secured.getpeercert(binary_form=True) or b"")


def test_SIGHUP_reads_the_certificate_again(  # noqa: N802
    start_program: Start, tmp_path: Path, pairs: tuple[tuple[str, str], tuple[str, str]]
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def put(pair: tuple[str, str]) -> str:
        cert.write_bytes(Path(pair[0]).read_bytes())
        key.write_bytes(Path(pair[1]).read_bytes())
        return certificate_fingerprint(pair[0])

    first = put(pairs[0])
    server = start_program("--tls-cert", str(cert), "--tls-key", str(key))
    assert first in server.wait_for_line("with the certificate").string
    assert shown(server.address) == first
    with (
        socket.create_connection(server.address, DEADLINE) as sock,
        client_context(None).wrap_socket(sock) as ana,
    ):
        assert ana.recv(100) == b"NICK\n"
        second = put(pairs[1])
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("the certificate was read again: new connections get it")
        assert shown(server.address) == second
        key.write_bytes(Path(pairs[0][1]).read_bytes())
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("the certificate stays as it was: .* is not the key of")
        assert shown(server.address) == second
        ana.sendall(b"ana\n")  # who is in notices nothing of all that
        assert ana.recv(100).startswith(b"* Welcome")


def test_signals_without_anything_to_reload_end_nothing(start_program: Start, connect: Connect) -> None:
    server = start_program()
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    for _ in range(20):
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGUSR1)
    beto.send("hola\n")
    ana.expect("* beto joined", "beto: hola")
    server.wait_for_line("status")
    assert server.process.poll() is None


# ---- records -------------------------------------------------------------------------------------


def test_records_as_json_are_an_object_a_line(start_program: Start, connect: Connect) -> None:
    server = start_program("--log-format", "json", "--log-level", "debug")
    ana = connect(server).join_plain("ana")
    ana.send("hola\n/exit\n")
    ana.rest()
    ana.close()
    server.wait_for_line("ana left")
    server.process.terminate()
    assert server.status() == 0
    lines = server.output[server.output.index(next(line for line in server.output if line[0] == "{")) :]
    records = [json.loads(line) for line in lines]
    assert all({"time", "level", "thread", "message"} <= record.keys() for record in records)
    joined = next(record for record in records if "joined" in record["message"])
    assert joined["level"] == "info"
    assert joined["thread"] == "room"
    assert re.fullmatch(r"ana joined from 127\.0\.0\.1:\d+ \(plain\); 1 here", joined["message"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", joined["time"])
    assert not any("hola" in record["message"] for record in records)


# ---- IPv6 ----------------------------------------------------------------------------------------


@needs_ipv6
def test_both_kinds_of_ip_meet_in_one_room(
    serve: Serve, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "charla")
    server = serve(host="::", max_per_address=1)
    port = server.address[1]
    four = stack.enter_context(LineClient(("127.0.0.1", port))).join_plain("four")
    six = stack.enter_context(LineClient(("::1", port))).join_plain("six")
    four.send("hola\n")
    six.expect("four: hola")
    # The one limit of an IPv4 address holds for it in IPv6 clothes, and for it alone.
    with LineClient(("127.0.0.1", port)) as another:
        assert "[too-many-from-address 1]" in another.line()
    assert re.search(r"four joined from 127\.0\.0\.1:\d+ ", caplog.text)
    assert re.search(r"six joined from \[::1\]:\d+ ", caplog.text)
    assert "127.0.0.1 turned away" in caplog.text
    assert "ffff" not in caplog.text


@needs_ipv6
def test_who_is_near_is_not_limited_on_both_kinds_of_ip(serve: Serve) -> None:
    server = serve(host="::")
    for address in ("127.0.0.1", "::1"):
        for n in range(70):
            with LineClient((address, server.address[1])) as client:
                assert client.line() == "NICK", n


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "join"), [("::1", r"client\.py --host ::1 --port \d+ "), ("::", r"nc \S+ \d+$")]
)
def test_it_says_how_to_join_by_ipv6(host: str, join: str) -> None:
    with Program("server.py", "--host", host, "--port", "0") as server:
        port = int(server.wait_for_line(r"listening on \[" + host + r"\]:(\d+)$")[1])
        server.wait_for_line(join)
        with LineClient(("::1", port)) as ana:
            ana.join_plain("ana")


# ---- options that are wrong ----------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, pairs: tuple[tuple[str, str], tuple[str, str]]) -> dict[str, str]:
    """Paths that the options below name."""
    empty = tmp_path / "empty"
    empty.touch(0o600)
    for name in ("secret", "other"):
        (tmp_path / name).write_text("tell-nobody\n")
        (tmp_path / name).chmod(0o600)
    return {
        "missing": str(tmp_path / "missing"),
        "empty": str(empty),
        "secret": str(tmp_path / "secret"),
        "other": str(tmp_path / "other"),
        "folder": str(tmp_path),
        "cert": pairs[0][0],
        "key": pairs[0][1],
        "other-key": pairs[1][1],
    }


WRONG = [
    (["--tls-cert", "{cert}"], "--tls-cert and --tls-key go together: give both, or --tls alone"),
    (["--tls-key", "{key}"], "--tls-cert and --tls-key go together: give both, or --tls alone"),
    (["--tls-cert", "{missing}", "--tls-key", "{key}"], "the certificate .* cannot be read: No such file"),
    (["--tls-cert", "{cert}", "--tls-key", "{missing}"], "the key .* cannot be read: No such file"),
    (["--tls-cert", "{cert}", "--tls-key", "{other-key}"], "is not the key of the certificate"),
    (["--tls-cert", "{key}", "--tls-key", "{key}"], "(are|is) not a|no certificate"),
    (["--tls-cert", "{empty}", "--tls-key", "{empty}"], "(are|is) not a|no certificate"),
    (["--password-file", "{missing}"], "there is no password file '.*': make it, with one line"),
    (["--password-file", "{empty}"], "the password in '.*' is empty: give one"),
    (["--password-file", "{folder}"], "the password file '.*' cannot be read: Is a directory"),
    (["--password", "xxxxxxx"], "a password is never an argument, others would see it"),
    (["--password=xxxxxxx"], "a password is never an argument, others would see it"),
    (["--moderator-password-file", "{missing}"], "there is no password file"),
    (["--transcript", "{folder}"], "{folder}.*"),
    (["--handshake-timeout", "0"], "'0' is not a number of seconds: give more than 0"),
    (["--handshake-timeout", "nan"], "'nan' is not a number of seconds"),
    (["--backlog", "10"], "'10' is not a backlog: give 128 KiB or more"),
    (["--max-waiting", "0"], "'0' is not a number of clients: give 1 or more"),
    (["--max-per-address", "-1"], "'-1' is not a limit: give a number, or 0 for none"),
    (["--connects-per-minute", "many"], "'many' is not a limit"),
    (["--log-format", "xml"], "'xml' is not a format: give text or json"),
    (["CHARLA_LOG_FORMAT=xml"], "CHARLA_LOG_FORMAT: 'xml' is not a format"),
    (["CHARLA_BACKLOG=x"], "CHARLA_BACKLOG: 'x' is not a backlog"),
    (["CHARLA_TLS=maybe"], "CHARLA_TLS: 'maybe' is neither yes nor no: give 1 or 0"),
    (["CHARLA_PASSWORD="], "the password is empty"),
    (
        ["--password-file", "{secret}", "--moderator-password-file", "{secret}"],
        "are the same file: give each",
    ),
    (["--password-file", "{secret}", "--transcript", "{secret}"], "--password-file and --transcript are the"),
    (
        ["--password-file", "{secret}", "--moderator-password-file", "{other}"],
        "password are the same: choose",
    ),
    (["CHARLA_PASSWORD=exit"], "the password is a word that the chat takes for a command"),
    (["CHARLA_PASSWORD=" + "x" * 2000], "the password is longer than 1000 bytes"),
]


@pytest.mark.parametrize(("options", "says"), WRONG)
def test_a_wrong_option_is_one_sentence_and_status_2(
    options: list[str],
    says: str,
    files: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(app, "_raise_descriptor_limit", lambda _clients: None)
    monkeypatch.setattr(sys, "argv", ["server.py"])
    arguments = []
    for option in options:
        if option.startswith("CHARLA_"):
            monkeypatch.setenv(*option.split("=", 1))
        else:
            arguments.append(re.sub(r"^\{(.*)\}$", lambda match: files[match[1]], option))
    with pytest.raises(SystemExit) as ended:
        app.main(["--port", "0", *arguments])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    sentence = printed.err.splitlines()[-1]
    assert re.search(says.replace("{folder}", files["folder"]), sentence)
    assert sentence.startswith("charla-server: ")
    assert "Traceback" not in printed.err
    assert "xxxxxxx" not in printed.err, "and no password is shown"


def test_tls_without_the_openssl_program_says_what_to_do(tmp_path: Path) -> None:
    with Program(
        *("server.py", "--port", "0", "--tls"), environment={"PATH": "", "XDG_CONFIG_HOME": str(tmp_path)}
    ) as server:
        assert server.status() == 2
    assert server.output == [
        "charla-server: the openssl program, which makes the certificate, is not installed: "
        "install openssl, or give --tls-cert FILE and --tls-key FILE"
    ]


def test_the_oldest_tls_is_1_3(start_program: Start, pairs: tuple[tuple[str, str], tuple[str, str]]) -> None:
    server = start_program(CHARLA_TLS_CERT=pairs[0][0], CHARLA_TLS_KEY=pairs[0][1])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(server.address, DEADLINE) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock)
    assert shown(server.address) == certificate_fingerprint(pairs[0][0])
