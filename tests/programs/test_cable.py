"""A pulled cable: server and client in two network namespaces, and the link between them set down.

Nothing is closed, reset or refused then: packets go nowhere, and both sides have to find out by themselves.
Needs the right to make network namespaces (ip-netns(8)); is skipped where that is not given.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import DEADLINE, Program
from support.terminal import Terminal

from charla.client.network.session import QUIET
from charla.common.certificates import TlsError, certificate_fingerprint, own_certificate

SERVER_ADDRESS = "10.213.17.1"
CLIENT_ADDRESS = "10.213.17.2"  # of namespaces of their own: whatever else there is, nothing can clash

DEVICE = "cable"
"""What each end of the link is called, in its namespace."""

PING_AFTER = 0.5
DEAD_AFTER = 1.5
"""Seconds, of both sides."""

SERVER_LIMIT = DEAD_AFTER + PING_AFTER
"""Seconds from the cut until the server must have noticed: it looks every PING_AFTER."""

CLIENT_LIMIT = DEAD_AFTER + QUIET
"""Seconds until the client must have told its user: it tries once, in QUIET, before it does."""

SLACK = 1.5
"""Seconds for what the machine does besides."""

IN_NAMESPACE = "import os, sys; os.execvp('ip', ['ip', 'netns', 'exec', *sys.argv[1:]])"
"""`python3 -c IN_NAMESPACE NAME COMMAND...`: the process becomes the command, and gets its signals."""


@dataclass
class Cable:
    """Two namespaces, and a link between them."""

    server: str
    client: str

    def pull(self, end: str) -> None:
        """Set the link down, at the end of the "server" or of the "client"."""
        _ip("-n", getattr(self, end), "link", "set", DEVICE, "down")

    def plug_in(self, end: str) -> None:
        """Set it up again."""
        _ip("-n", getattr(self, end), "link", "set", DEVICE, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=DEADLINE)


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Make the namespaces and the link; remove them at the end, whatever happens."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip program here")
    name = f"charla{os.getpid()}"
    cable = Cable(f"{name}-s", f"{name}-c")
    made = []
    try:
        for namespace in (cable.server, cable.client):
            try:
                _ip("netns", "add", namespace)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
            made.append(namespace)
        _ip("-n", cable.server, "link", "add", DEVICE, "type", "veth",
            "peer", "name", DEVICE, "netns", cable.client)  # fmt: skip
        for namespace, address in ((cable.server, SERVER_ADDRESS), (cable.client, CLIENT_ADDRESS)):
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", DEVICE)
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", namespace, "link", "set", DEVICE, "up")
        yield cable
    finally:
        for namespace in made:
            with contextlib.suppress(subprocess.SubprocessError):
                _ip("netns", "delete", namespace)


def in_namespace(name: str, *arguments: str) -> list[str]:
    """Return the arguments for Python that run one of the programs in a namespace."""
    return ["-c", IN_NAMESPACE, name, sys.executable, *arguments]


def type_in(program: Program, line: str) -> None:
    """Give a program that reads from a pipe a line."""
    assert program.process.stdin is not None
    program.process.stdin.write(f"{line}\n")
    program.process.stdin.flush()


@pytest.mark.parametrize(("tls", "end"), [(False, "server"), (True, "client")], ids=["plain", "tls"])
def test_a_pulled_cable_is_noticed_and_nothing_is_lost(
    tls: bool, end: str, cable: Cable, tmp_path: Path, stack: ExitStack
) -> None:
    times = ("--ping-after", str(PING_AFTER), "--dead-after", str(DEAD_AFTER))
    with_tls: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    if tls:
        try:
            cert, key = own_certificate(str(tmp_path / "tls"))
        except TlsError as error:
            pytest.skip(str(error))
        with_tls = ("--tls-cert", cert, "--tls-key", key)
        trust = ("--tls-fingerprint", certificate_fingerprint(cert))
    server = stack.enter_context(
        Program(*in_namespace(cable.server, "server.py", "--host", SERVER_ADDRESS, *times, *with_tls))
    )
    server.wait_for_line("listening on ")
    client = ("client.py", "--host", SERVER_ADDRESS, *trust)
    beto = stack.enter_context(
        Program(*in_namespace(cable.server, *client, "--nick", "beto"), stdin=subprocess.PIPE)
    )
    server.wait_for_line("beto joined")
    ana = stack.enter_context(Terminal(*in_namespace(cable.client, *client, "--nick", "ana", *times)))
    ana.wait_for("beto")
    ana.enter("before")
    beto.wait_for_line("ana: before")

    cable.pull(end)
    pulled = time.monotonic()
    ana.enter("typed while it is down")
    type_in(beto, "said while it is down")

    server.wait_for_line("ana: connection lost; the seat is kept")
    assert time.monotonic() < pulled + SERVER_LIMIT + SLACK
    ana.wait_for("The connection is lost: trying to get it back")
    assert time.monotonic() < pulled + CLIENT_LIMIT + SLACK
    type_in(beto, "said later")
    cable.plug_in(end)

    ana.wait_for("beto: said later")
    beto.wait_for_line("ana: typed while it is down")
    ana.enter("after")
    beto.wait_for_line("ana: after")
    assert [row.split(": ")[-1] for row in ana.finds("beto: ")] == ["said while it is down", "said later"]
    heard = [line for line in beto.output if "ana: " in line]
    assert [line.split("ana: ")[1] for line in heard] == ["before", "typed while it is down", "after"]
    assert not [line for line in beto.output if "ana left" in line]  # it is the same session
    ana.enter("/exit")
    assert ana.status() == 0
