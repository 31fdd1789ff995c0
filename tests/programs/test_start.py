"""Starting the two programs: by make, with an old Python, and where streams are closed."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, ROOT, LineClient, ServerProgram, eventually
from support.clients import Start

StartProgram = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]


STARTS = [
    ("client.py",),
    ("server.py",),
    ("-m", "charla"),
    ("-m", "charla.client"),
    ("-m", "charla.server"),
]


@pytest.mark.parametrize("start", STARTS, ids=" ".join)
def test_a_python_that_is_too_old_is_told_in_a_sentence(start: Sequence[str]) -> None:
    run = f"run_{'module' if start[0] == '-m' else 'path'}({start[-1]!r}, run_name='__main__')"
    old = f"import runpy, sys; sys.version_info = (3, 9, 18); runpy.{run}"
    refused_for_age([sys.executable, "-c", old])


@pytest.mark.parametrize("start", STARTS, ids=" ".join)
@pytest.mark.parametrize("version", ["3.6", "3.9"])
def test_one_that_really_is_can_read_that_far(start: Sequence[str], version: str) -> None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [*pyenv.glob(f"versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
    if not found[0]:
        pytest.skip(f"Python {version} is not on this machine")
    refused_for_age([str(found[0]), *start])


def refused_for_age(command: Sequence[str]) -> None:
    """Fail unless the program says that Python is too old, and ends."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Charla needs Python 3.10 or later.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", [("--send", "hola"), ("--json",), ()])
def test_the_client_runs_where_streams_are_closed(
    serve: Callable[..., RunningServer], connect: Connect, closed: str, arguments: tuple[str, ...]
) -> None:
    server = serve()
    eva = connect(server).join_plain("eva")
    command = [sys.executable, "client.py", "--port", server.port, "--nick", "bot", *arguments]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    eva.until(r"^\* bot left$")


def test_the_server_runs_where_its_output_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&- <&-', "sh", sys.executable, "server.py", "--port", str(port)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            eventually(lambda: process.poll() is not None or greets(port), "the server")
        finally:
            process.terminate()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(DEADLINE) == 0


def greets(port: int) -> bool:
    """Say whether a server on that port of the loopback is there for people: then it heeds signals, too."""
    with socket.socket() as client:
        client.settimeout(DEADLINE)
        return client.connect_ex(("127.0.0.1", port)) == 0 and client.recv(5) == b"NICK\n"


# ---- make ----------------------------------------------------------------------------------------

with_make = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")

# Becomes `make client CLIENT=folder ARGS="..."`.
MAKE_CLIENT = (
    "import os, shlex, sys; "
    "os.execvp('make', ['make', 'client', sys.argv[1], 'ARGS=' + shlex.join(sys.argv[2:])])"
)


@pytest.fixture
def of_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the variable of make with the folder of the client's Python: nothing has to be installed."""
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # of `make test`
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "client"
    (folder / "bin").mkdir(parents=True)
    (folder / "installed").touch()
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return f"CLIENT={folder}"


@with_make
@pytest.mark.parametrize(
    ("goal", "options", "words"),
    [
        ("client", "--nick bot --port {taken}", "That is not a Charla server"),
        ("client", "--port x", "'x' is not a port"),
        ("server", "--port {taken}", "port {taken} is in use"),
    ],
)
def test_make_adds_nothing_to_what_the_programs_say(
    goal: str, options: str, words: str, of_make: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(DEADLINE)
        port = taken.getsockname()[1]
        with subprocess.Popen(
            ["make", goal, of_make, f"PYTHON={sys.executable}", f"ARGS={options.format(taken=port)}"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            if "not a Charla server" in words:
                taken.accept()[0].close()
            out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (0, "")
    assert len(err.splitlines()) == 1
    assert words.format(taken=port) in err


@with_make
@pytest.mark.parametrize("end", ["exit", "Ctrl+C", "closing"])
def test_make_client_ends_quietly_on_a_terminal(
    start_program: StartProgram, stack: ExitStack, of_make: str, end: str
) -> None:
    server = start_program()
    ana = Start(stack)(server, "--nick", "ana", program=("-c", MAKE_CLIENT, of_make))
    ana.wait_for_prompt("ana> ")
    if end == "exit":
        ana.enter("/exit")
    elif end == "Ctrl+C":
        ana.key("Ctrl+C")
    else:
        server.process.terminate()
        ana.wait_for("The server is closing")
    assert ana.status() == (-signal.SIGINT if end == "Ctrl+C" else 0)
    assert not ana.finds("make")
