"""A wrong command line: one sentence that says what to do, and exit status 2."""

from __future__ import annotations

import pytest

import client_options
import options
from languages import use

SHOWS = "--help shows those there are"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--prot", "5"], "there is no option --prot: did you mean --port?"),
        (["--prot=5"], "there is no option --prot: did you mean --port?"),
        (["-port", "5"], "there is no option -port: did you mean --port?"),
        (["--tls-fingerprnt", "x"], "there is no option --tls-fingerprnt: did you mean --tls-fingerprint?"),
        (["--frobnicate", "--more"], f"there is no option --frobnicate: client.py {SHOWS}"),
        (["--x\x1b[2Jx=\x07"], f"there is no option --x\ufffd[2Jx: client.py {SHOWS}"),
        (["-x"], f"there is no option -x: client.py {SHOWS}"),
        (["ana"], f"'ana' is not an option: client.py {SHOWS}"),
        (["--port"], "argument --port: expected one argument"),
        (["--port", "x"], "argument --port: 'x' is not a port: give a number from 1 to 65535"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        client_options.parse_options(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"client.py: error: {sentence}\n")


def test_a_password_is_not_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    """The option that is only there to be refused is not offered."""
    with pytest.raises(SystemExit):
        client_options.parse_options(["--pasword", "hunter2"])
    said = capsys.readouterr().err
    assert said == "client.py: error: there is no option --pasword: did you mean --password-file?\n"


def test_the_server_says_it_in_the_language_that_is_spoken(capsys: pytest.CaptureFixture[str]) -> None:
    use("es")
    with pytest.raises(SystemExit) as ended:
        options.parse_options(["--max-client", "3"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said == "server.py: error: no existe la opción --max-client: ¿querías decir --max-clients?\n"
