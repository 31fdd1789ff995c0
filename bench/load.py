"""The load generator from Python's side: compile it, start it, read its result. What it does is in load.c."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from processes import Failed, Process
from servers import BUILD, Server

SOURCES = Path(__file__).resolve().parent
COMPILER = "cc"
FLAGS = ("-O3", "-Wall", "-Wextra", "-Werror")

LOGIN_TIME = 90.0
"""Seconds for all clients to log in; 9,500 take about three."""

STALL_LIMIT = 3.0
"""Seconds without a byte from the server after which what has not come is lost."""

SLACK = 10.0
"""Seconds beyond its own time limit that the generator gets to say its result."""

ENDLESS = 1_000_000_000
"""Messages, where the time is what limits a measurement."""

DEFAULT_GROUP = 8
"""Connections opened at a time: what the listen backlog of ncat and ngIRCd holds."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to do to a server: `clients` that keep at most `window` messages in flight for `seconds`.

    `ack`: "sent" is how a socket acknowledges that does not talk all the time, as people's do not; "each"
    acknowledges each thing received at once (see acknowledge() in load.c).
    """

    dialect: str
    clients: int
    window: int
    seconds: float
    ack: str = "sent"
    messages: int = ENDLESS
    warmup: int | None = None  # None: as many as load.c thinks right
    group: int = DEFAULT_GROUP
    login_time: float = LOGIN_TIME
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one measurement; times in microseconds unless named otherwise."""

    messages: int
    login_ms: float  # until all were in, one group of connections after the other
    deliveries_per_second: float  # of messages to clients; what a sender is not sent back does not count
    p50_us: float  # from the send until the last client had it
    p99_us: float
    lost: int  # deliveries that never came
    surplus: int  # deliveries that came twice
    hung_up: bool  # the server closed a connection
    generator_cpu: float  # of one core


def compile_all() -> None:
    """Compile load.c and floor.c into bench/build/, unless what is there is newer."""
    BUILD.mkdir(exist_ok=True)
    for name in ("load", "floor"):
        source, program = SOURCES / f"{name}.c", BUILD / name
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            continue
        compiler = shutil.which(COMPILER)
        if compiler is None:
            raise Failed(
                "The load generator is a C program, and there is no C compiler (cc): "
                "install gcc or clang (Debian, Ubuntu: apt install gcc libc6-dev)."
            )
        command = [compiler, *FLAGS, "-o", str(program), str(source)]
        if name == "load" and has_tls():
            command += ["-DWITH_TLS", "-lssl", "-lcrypto"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own file
        if done.returncode != 0:
            raise Failed(f"{name}.c does not compile: {done.stderr.strip()}")


def has_tls() -> bool:
    """Say whether OpenSSL's headers are here, so that the generator can speak TLS."""
    compiler = shutil.which(COMPILER)
    if compiler is None:
        return False
    command = [compiler, "-fsyntax-only", "-x", "c", "-include", "openssl/ssl.h", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own


class Generator:
    """A running load generator; a context manager, which ends it.

    `log_in`, `measure`, `hang_up`: in this order, and between them the server can be looked at.
    """

    def __init__(self, server: Server, load: Load) -> None:
        self._load = load
        command = [str(BUILD / "load"), "--handshake", "--port", str(server.port)]
        command += ["--dialect", load.dialect, "--clients", str(load.clients), "--window", str(load.window)]
        command += ["--seconds", str(load.seconds), "--messages", str(load.messages), "--ack", load.ack]
        command += ["--group", str(load.group), "--stall-limit", str(STALL_LIMIT)]
        if load.tls:
            command.append("--tls")
        if load.warmup is not None:
            command += ["--warmup", str(load.warmup)]
        self._time_limit = 3 * load.seconds + 2 * STALL_LIMIT
        command += ["--time-limit", str(self._time_limit)]
        self.process = Process(command)

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def log_in(self) -> None:
        """Return when all clients are in and nothing more comes."""
        self.process.wait_for("ready", time.monotonic() + self._load.login_time)

    def measure(self) -> Sample:
        """Send, and return when all is received, or given up."""
        self.process.write_line()
        deadline = time.monotonic() + 2 * self._time_limit + SLACK  # twice: it warms up first
        result = json.loads(self.process.next_line(deadline, "stdout"))
        return Sample(**{field: result[field] for field in Sample.__dataclass_fields__})

    def hang_up(self) -> None:
        """Close all connections."""
        self.process.write_line()
        self.process.wait(SLACK)


def measure(server: Server, load: Load) -> Sample:
    """Log in, measure, hang up."""
    with Generator(server, load) as generator:
        generator.log_in()
        sample = generator.measure()
        generator.hang_up()
    return sample
