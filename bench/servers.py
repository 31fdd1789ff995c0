"""The servers that are measured: how each is started, and how it says that it is ready.

Each is started freshly for each measurement, on a free port of 127.0.0.1, and ended by its pid.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from processes import Failed, Process

TOP = Path(__file__).resolve().parent.parent
BUILD = Path(__file__).resolve().parent / "build"

START_TIME = 15.0
"""Seconds in which a server has to be ready: an interpreter's start, on a busy machine."""

START_ATTEMPTS = 5
"""ncat and ngIRCd have to be told a port: somebody else can take it between our asking and their binding."""

MAX_CLIENTS = 10_000
"""For our server: more than any case connects."""

NCAT_CLIENTS = 600
"""For ncat, which takes 100 unless told: more than any case connects to it."""

PORT = re.compile(r":(\d+)\s*$")

NGIRCD_CONFIG = """\
[Global]
Name = bench.local
Info = benchmark
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = benchmark
{run_as}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
PingTimeout = 3600
[Options]
Ident = no
DNS = no
PAM = no
"""
"""ngIRCd at its fastest: it slows nobody down, and asks nobody else who the clients are."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    process: Process
    port: int
    ready_at: float = field(default_factory=time.monotonic)


Starter = Callable[[], contextlib.AbstractContextManager[Server]]
Preparation = Callable[[Path], None]


def started(process: Process, ready: str) -> Server:
    """Wait for the line with `ready` in it, which ends with the port."""
    line = process.wait_for(ready, time.monotonic() + START_TIME)
    port = PORT.search(line)
    if port is None:
        raise Failed(f"{process.name} did not say on which port it listens: {line}")
    return Server(process, int(port[1]))


def charla(python: str, *options: str, top: Path = TOP) -> Starter:
    """Our server, run by the interpreter `python`, with no limit on how fast one may talk.

    `top` is the folder with server.py in it: another one for another version.
    """
    command = [python, "server.py", "--port", "0", "--rate-limit", "0"]
    command += ["--max-clients", str(MAX_CLIENTS), "--log-level", "warning", *options]

    @contextmanager
    def start() -> Iterator[Server]:
        with Process(command, cwd=top) as process:
            yield started(process, " 127.0.0.1:")  # "listening on", in whatever language
            status = process.end()
            if status != 0:
                raise Failed(f"our server ended with status {status}, not 0{process.last_words()}")

    return start


def charla_with_db(python: str, folder: Path, *options: str, prepare: Preparation | None = None) -> Starter:
    """Our server with a log file, new in `folder` and gone afterwards; `prepare` puts one there first."""

    @contextmanager
    def start() -> Iterator[Server]:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            path = Path(own) / "log.db"
            if prepare is not None:
                prepare(path)
            with charla(python, "--db", str(path), *options)() as server:
                yield server

    return start


def charla_with_tls(python: str, folder: Path) -> Starter:
    """Our server with TLS, and a certificate of its own that is made in `folder` once."""

    @contextmanager
    def start() -> Iterator[Server]:
        cert, key = folder / "bench.crt", folder / "bench.key"
        if not key.exists():
            command = [
                found("openssl"),
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ]
            command += [
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-keyout",
                str(key),
                "-out",
                str(cert),
            ]
            with Process(command) as process:
                if process.wait(START_TIME) != 0:
                    raise Failed(f"openssl makes no certificate{process.last_words()}")
        with charla(python, "--tls-cert", str(cert), "--tls-key", str(key))() as server:
            yield server

    return start


def floor(*, batch: int = 0) -> Starter:
    """The bare loop of send in C; with `batch`, one send per client for so many messages."""

    @contextmanager
    def start() -> Iterator[Server]:
        command = [str(BUILD / "floor"), "--port", "0"] + (["--batch", str(batch)] if batch else [])
        with Process(command) as process:
            yield started(process, "listening on")

    return start


def ncat() -> Starter:
    """`ncat --broker`: what one client sends, all others get."""

    @contextmanager
    def start() -> Iterator[Server]:
        def command(port: int) -> list[str]:
            limit = ["--max-conns", str(NCAT_CLIENTS)]
            return [found("ncat"), "--broker", "-4", "-v", "--listen", "127.0.0.1", str(port), *limit]

        with on_free_port(command, "Listening on") as server:
            yield server

    return start


def ngircd() -> Starter:
    """ngIRCd in the foreground, with its configuration in a temporary folder."""

    @contextmanager
    def start() -> Iterator[Server]:
        with tempfile.TemporaryDirectory(prefix="charla-bench-") as folder:
            config = Path(folder) / "ngircd.conf"

            def command(port: int) -> list[str]:
                # Started by root it would become nobody, who may not read a folder of ours.
                run_as = "ServerUID = root\nServerGID = root\n" if os.geteuid() == 0 else ""
                config.write_text(NGIRCD_CONFIG.format(port=port, run_as=run_as))
                return [found("ngircd"), "-n", "-f", str(config)]

            with on_free_port(command, "ready.") as server:
                yield server

    return start


@contextmanager
def on_free_port(command: Callable[[int], list[str]], ready: str) -> Iterator[Server]:
    """Start `command(port)` with a port that is free, and wait for `ready` in what it says."""
    for attempt in range(START_ATTEMPTS):
        port = free_port()
        with Process(command(port)) as process:
            try:
                process.wait_for(ready, time.monotonic() + START_TIME)
            except Failed:
                if attempt + 1 == START_ATTEMPTS:
                    raise
                continue
            yield Server(process, port)
            return


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def found(program: str) -> str:
    """Return the path of an installed program; /usr/sbin is not on everybody's PATH, and ngIRCd is there."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")
    if path is None:
        raise Failed(f"{program} is not installed")
    return path


def is_installed(program: str) -> bool:
    with contextlib.suppress(Failed):
        return bool(found(program))
    return False


def missing_rivals() -> list[str]:
    return [program for program in ("ngircd", "ncat") if not is_installed(program)]


def version(program: str) -> str:
    """Return the first line that `program --version` says."""
    try:
        with Process([found(program), "--version"]) as process:
            return process.next_line(time.monotonic() + START_TIME)
    except Failed as failed:
        return str(failed)


def python_version(python: str) -> str:
    """Say which interpreter runs our server."""
    if python == sys.executable:
        return sys.version.split()[0]
    return version(python).removeprefix("Python ")
