"""A wrong command line: one sentence that says what to do, and exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE, ROOT, Program

from charla.client import options as client_options
from charla.common.command_line import command
from charla.i18n import use
from charla.server import options

SHOWS = "--help shows those there are"


def test_what_is_given_as_a_password_is_never_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--password", "-hunter2"], ["--password=-hunter2"], ["--password", "hunter2"]):
        with pytest.raises(SystemExit):
            client_options.parse_options(arguments)
        assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prot", "5"], "there is no option --prot: did you mean --port?"),
        (["--prot=5"], "there is no option --prot: did you mean --port?"),
        (["-host", "x"], "there is no option -host: did you mean --host?"),
        (["--tls", "-host", "x"], "there is no option -host: did you mean --host?"),
        (["-hx"], "there is no option -hx: did you mean -h?"),
        (["-port", "5"], "there is no option -port: did you mean --port?"),
        (["--tls-fingerprnt", "x"], "there is no option --tls-fingerprnt: did you mean --tls-fingerprint?"),
        (["--frobnicate", "--more"], f"there is no option --frobnicate: python3 client.py {SHOWS}"),
        (["--x\x1b[2Jx=\x07"], f"there is no option --x\ufffd[2Jx: python3 client.py {SHOWS}"),
        (["-x"], f"there is no option -x: python3 client.py {SHOWS}"),
        (["ana"], f"'ana' is not an option: python3 client.py {SHOWS}"),
        (["client"], "'client' is not an option: leave it out"),
        (["--tls", "server"], "'server' is not an option: to run the server, type python3 server.py"),
        (["--send", "-hola"], "-hola looks like an option: to give it to --send, write --send=-hola"),
        (["--send", "a", "--send", "--a\tb"], "'--a    b' looks like an option: to give it to --send, write "
         "--send='--a    b'"),
        (["--send", "--port", "5"], "argument --send: expected one argument"),
        (["--port", "5", "--send"], "argument --send: expected one argument"),
        (["--port"], "argument --port: expected one argument"),
        (["--port", "x"], "argument --port: 'x' is not a port: give a number from 1 to 65535"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        client_options.parse_options(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"charla: {sentence}\n")


def test_a_password_is_not_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """The option that is only there to be refused is not offered."""
    with pytest.raises(SystemExit):
        client_options.parse_options(["--pasword", "hunter2"])
    said = capsys.readouterr().err
    assert said == "charla: there is no option --pasword: did you mean --password-file?\n"


def test_the_server_says_it_in_the_language_that_is_spoken(capsys: pytest.CaptureFixture[str]) -> None:
    use("es")
    with pytest.raises(SystemExit) as ended:
        options.parse_options(["--max-client", "3"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == "charla-server: no existe la opción --max-client: ¿querías decir --max-clients?\n"


def test_what_begins_with_a_dash_is_given_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARLA_NICK", "ana")
    assert client_options.parse_options(["--send=-hola"]).send == ["-hola"]


# ---- what they are called -------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with what people run in a checkout, and what pip makes, and links of other names."""
    for name in ("client.py", "server.py"):
        (tmp_path / name).touch()
        (tmp_path / f"my-{name[:6]}").symlink_to(name)
    (tmp_path / "charla").touch()  # as pip makes it
    (tmp_path / "chat").symlink_to("charla")
    return tmp_path


@pytest.mark.parametrize(
    ("called", "client", "server"),
    [
        ("client.py", "python3 client.py", "python3 server.py"),
        ("./server.py", "python3 ./client.py", "python3 ./server.py"),
        ("../mi sala/client.py", "python3 '../mi sala/client.py'", "python3 '../mi sala/server.py'"),
        ("{checkout}/my-client", "python3 {checkout}/client.py", "python3 {checkout}/server.py"),
        ("{checkout}/my-server", "python3 {checkout}/client.py", "python3 {checkout}/server.py"),
        ("{checkout}/chat", "{checkout}/charla", "{checkout}/charla-server"),
        # Not one of ours: somebody else's program that has imported it.
        ("-c", "python3 client.py", "python3 server.py"),
        ("", "python3 client.py", "python3 server.py"),
        ("/home/ana/charla/test", "python3 client.py", "python3 server.py"),
        ("/lib/python3.12/site-packages/pytest/__main__.py", "python3 client.py", "python3 server.py"),
        # The commands that pip makes, in a folder of the PATH and elsewhere.
        ("/opt/bin/charla", "charla", "charla-server"),
        ("/opt/bin/charla-server", "charla", "charla-server"),
        ("charla.exe", "charla", "charla-server"),
        (r"C:\Python312\Scripts\charla-server.exe", "charla", "charla-server"),
        ("/venv/bin/charla", "/venv/bin/charla", "/venv/bin/charla-server"),
        ("../a b/charla-server", "'../a b/charla'", "'../a b/charla-server'"),
        # python3 -m
        ("/lib/site-packages/charla/__main__.py", "python3 -m charla", "python3 -m charla server"),
        ("/opt/charla/charla/client/__main__.py", "python3 -m charla.client", "python3 -m charla.server"),
        ("/opt/charla/charla/server/__main__.py", "python3 -m charla.client", "python3 -m charla.server"),
        (r"C:\charla\charla\server\__main__.py", "python3 -m charla.client", "python3 -m charla.server"),
    ],
)
def test_the_command_is_named_as_people_have_called_it(
    called: str, client: str, server: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [called.format(checkout=checkout)])
    monkeypatch.setattr(os, "pathsep", ";")  # as on Windows, whose paths have colons
    folders = ("/usr/bin", "/opt/bin", r"C:\Python312\Scripts", os.path.dirname(sys.executable))
    monkeypatch.setenv("PATH", ";".join(folders))
    assert command("charla") == client.format(checkout=checkout)
    assert command("charla-server") == server.format(checkout=checkout)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the PATH, with the commands as pip makes them."""
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], str(tmp_path)]))
    for name, module in (("charla", "client"), ("charla-server", "server")):
        text = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
            f"from charla.{module}.app import main; sys.exit(main())"
        )
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "example"), [("charla", "--nick bot --send hola "), ("charla-server", "--host 0.0.0.0 ")]
)
def test_the_help_of_what_is_installed_names_that(name: str, example: str, installed: Path) -> None:
    command = [sys.executable, str(installed / name), "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout
    assert told.startswith(f"usage: {name} ")
    assert f"\n  {name} {example}" in told
    assert ".py" not in told


def test_so_do_the_hints(installed: Path) -> None:
    with Program(str(installed / "charla-server"), "--port", "0", "--welcome", "hola a todos") as server:
        port = server.wait_for_line(r"listening on .*:(\d+)")[1]
        server.wait_for_line(rf"To join, in another terminal: charla --port {port} ")
        server.wait_for_line("in: charla-server --port 0 --welcome 'hola a todos' --host 0.0.0.0$")
        server.process.terminate()
        assert server.status() == 0
    with Program(str(installed / "charla-server"), "--port", "0", "--host", "0.0.0.0") as server:
        server.wait_for_line("To join, on the other machines: charla --host ")
        server.process.terminate()
        assert server.status() == 0
    with Program(str(installed / "charla"), "--nick", "ana", "--port", port) as client:
        client.wait_for_line(rf"^charla: No server answers .* \(charla-server --port {port}\)")
        assert client.status() == 3
