"""Starting the two programs where something of the usual is missing: an old Python, closed streams."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from support import DEADLINE, ROOT, ServerProgram, eventually

StartProgram = Callable[..., ServerProgram]


@pytest.mark.parametrize("program", ["client.py", "server.py"])
def test_a_python_that_is_too_old_is_told_in_a_sentence(program: str) -> None:
    old = (
        f"import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path({program!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", old], cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Charla needs Python 3.10 or later.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("arguments", [("--send", "hola"), ("--json",), ()])
def test_the_client_runs_where_streams_are_closed(
    start_program: StartProgram, closed: str, arguments: tuple[str, ...]
) -> None:
    server = start_program()
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
    server.wait_for_line("bot left")


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
            eventually(lambda: process.poll() is not None or listens(port), "the server")
        finally:
            process.terminate()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(DEADLINE) == 0


def listens(port: int) -> bool:
    """Say whether somebody listens on a port of the loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
