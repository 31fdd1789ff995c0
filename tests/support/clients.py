"""The client as people have it, as a process: on a terminal, or with pipes at all its ends."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from typing import Literal, Protocol

from support import DEADLINE, ROOT, forkserver
from support.scripted import FakeServer, Seat
from support.terminal import Terminal

ConsoleKind = Literal["stock", "prompt", "plain"]


class Listening(Protocol):
    """A server of the tests: the real one as a process or in this one, or one in the hands of the test."""

    @property
    def port(self) -> str:
        """Return the port, as an option for the client."""


# Clients on consoles without GNU readline's extra calls, and without readline.
WITHOUT_GNU = (
    "import sys; from charla.client import app as client; "
    "from charla.client.terminal import readline_console;"
    "readline_console.GnuReadline.find = classmethod(lambda cls: None);"
    "sys.exit(client.main())"
)
WITHOUT_READLINE = (
    "import sys; sys.modules['readline'] = None;"
    "from charla.client.chat import chat; from charla.client import app as client; chat.CONFIRM_TIME = 10;"
    # ^ what comes later is seen at the next Enter only
    "sys.exit(client.main())"
)


class Start:
    """Starts clients on terminals: `start(server, "--nick", "ana", columns=20)`."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(
        self,
        server: Listening,
        *options: str,
        program: tuple[str, ...] = ("client.py",),
        console: ConsoleKind = "stock",
        columns: int = 80,
        rows: int = 24,
        **environment: str,
    ) -> Terminal:
        """Start the client on one of its consoles; what it shows has to be waited for."""
        arguments = (*program, "--port", server.port, *options)
        if console == "plain":
            arguments += ("--plain",)
        return self._stack.enter_context(
            Terminal(
                *arguments,
                columns=columns,
                rows=rows,
                environment=environment,
                prompt_toolkit=console == "prompt",
            )
        )

    def ana(self, server: Listening, **options: int) -> Terminal:
        """Start a client, and wait until ana is in."""
        terminal = self(server, "--nick", "ana", **options)  # type: ignore[arg-type]
        terminal.wait_for_prompt("ana> ")
        return terminal

    def seated(self, fake: FakeServer, *options: str, **environment: str) -> tuple[Terminal, Seat]:
        """Start a client, and let ana in."""
        terminal = self(fake, "--nick", "ana", *options, **environment)  # type: ignore[arg-type]
        seat = self._stack.enter_context(fake.accept())
        seat.let_in()
        if environment.get("TERM") == "dumb" or environment.get("console") == "plain":
            terminal.wait_for("ana")  # there is no prompt
        else:
            terminal.wait_for_prompt("ana> ")
        return terminal, seat


def talk(terminal: Terminal) -> list[str]:
    """Return the rows since the welcome, the times taken off."""
    rows = terminal.all_rows()
    first = next(number for number, row in enumerate(rows) if re.search(r"\* \d+ here", row))
    return [re.sub(r"^\d\d:\d\d ", "", row) for row in rows[first + 1 :]]


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name != "NO_COLOR" and not name.startswith("CHARLA_")
    }


def run(*arguments: str, text: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the client with pipes at all its ends."""
    with _start(("client.py", *arguments), environment) as process:
        try:
            output, errors = process.communicate(text, timeout=DEADLINE)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, output.decode(), errors.decode())


def start_piped(
    server: Listening,
    stack: ExitStack,
    *options: str,
    program: tuple[str, ...] = ("client.py",),
    **environment: str,
) -> subprocess.Popen[bytes]:
    """Start the client with pipes at all its ends."""
    process = _start((*program, "--port", server.port, "--nick", "bot", *options), environment)
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def _start(arguments: tuple[str, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return forkserver.start_program(
        arguments,
        environment,
        cwd=ROOT,
        env=_environment() | {"TZ": "UTC"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
