"""The server under attack, and the attackers: processes of their own, of which nothing is left.

Linux only: what the server costs is read from /proc (proc(5)).
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from support import ROOT, Program, eventually

from attacks.targets import Failed

_Self = TypeVar("_Self")

ATTACKER_TIME = 60.0
"""Seconds in which an attacker must answer, where nothing else is said."""

_LIMITED = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
from charla.server import app
sys.exit(app.main(sys.argv[2:]))
"""
"""What the shell's `ulimit -n N` does, and then server.py."""

_FAULTS = ("Traceback", "internal error", "the room has failed", "Fatal Python error")


class Victim(Program):
    """`server.py` as a process on a free port of the loopback; `descriptors`: it may have so many."""

    def __init__(self, *options: str, descriptors: int | None = None) -> None:
        program = ["server.py"] if descriptors is None else ["-c", _LIMITED, str(descriptors)]
        super().__init__(*program, "--port", "0", *options)
        try:
            self.port = int(self.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._proc = Path("/proc", str(self.process.pid))

    # ---- what it costs ---------------------------------------------------------------------------

    def memory(self) -> int:
        """Return its resident memory in bytes."""
        return self._kibibytes("VmRSS")

    def forget_peak(self) -> None:
        """Have `peak` count from now on."""
        (self._proc / "clear_refs").write_text("5")

    def peak(self) -> int:
        """Return the most resident memory that it has had, in bytes."""
        return self._kibibytes("VmHWM")

    def threads(self) -> int:
        """Return how many threads it has."""
        return int(self._field("Threads"))

    def descriptors(self) -> int:
        """Return how many descriptors it has open."""
        return len(os.listdir(self._proc / "fd"))

    def processor_time(self) -> float:
        """Return the seconds that it has computed."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _kibibytes(self, name: str) -> int:
        return int(self._field(name).split()[0]) * 1024

    def _field(self, name: str) -> str:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        raise Failed(f"{self._proc}/status has no {name}")

    # ---- what it says ----------------------------------------------------------------------------

    def state(self) -> dict[str, int]:
        """Return what it records at SIGUSR1."""
        before = len(self.told("status: "))
        self.process.send_signal(signal.SIGUSR1)
        eventually(lambda: len(self.told("status: ")) > before, "the server's status")
        words = self.told("status: ")[before].partition("status: ")[2].split()
        return {name: int(value) for name, _, value in (word.partition("=") for word in words)}

    def told(self, words: str) -> list[str]:
        """Return the lines of its output with `words` in them."""
        return [line for line in list(self.output) if words in line]

    def end(self) -> str:
        """End it in order; return what was wrong with it: nothing, if it is empty."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.status()
        except subprocess.TimeoutExpired:
            return "it did not end"
        faults = [line for line in self.output if any(word in line for word in _FAULTS)]
        if status:
            faults.insert(0, f"it ended with status {status}")
        return "; ".join(faults[:3])


class Attacker:
    """`python3 -m attacks.MODULE OPTIONS` as a process: told things, and heard, in lines of JSON."""

    def __init__(self, module: str, **options: object) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
        self._what = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"attacks.{module}", json.dumps(options)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        self._received = b""

    def tell(self, order: str = "") -> None:
        """Tell it a line; what that means is its own affair."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())

    def hear(self, seconds: float = ATTACKER_TIME) -> Any:
        """Return what it says next; Failed when it says nothing for so long, or has ended."""
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise Failed(f"{self._what} has said nothing for {seconds:g} s")
                data = self._process.stdout.read(65536)
                if not data:
                    raise Failed(f"{self._what} has ended, with status {self._process.wait(10)}")
                self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return json.loads(line)

    def finish(self, order: str = "", seconds: float = ATTACKER_TIME) -> Any:
        """Tell it to end; return its last word.  Failed when it does not end as it should."""
        self.tell(order)
        last = self.hear(seconds)
        self.wait()
        return last

    def wait(self) -> None:
        """Wait for its end; Failed unless all was well: a crash is a signal, not an exception."""
        status = self._process.wait(10)
        if status:
            raise Failed(f"{self._what} has ended with status {status}")

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


# ---- in the attacker's process -----------------------------------------------------------------------


def options() -> dict[str, Any]:
    """Return the options that an attacker was started with."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def stand_back() -> None:
    """Take the processor only where nobody else wants it: as if this attacker had a machine of its own."""
    os.nice(19)


def say(what: object) -> None:
    """Say something to who started this attacker."""
    print(json.dumps(what), flush=True)


def order() -> str:
    """Wait for the next thing that it is told; "" also when who started it is gone."""
    return os.read(0, 4096).decode().strip()
