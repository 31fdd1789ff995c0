"""Programs on a terminal, forked from a process that has imported Charla already: a start takes 0.2 s less.

Hundreds of tests start the client on a terminal of their own, and do not test the start.  Each process of
the suite has one *fork server*: this file as a program, with one thread, which imports what the client
needs and then waits.  For each terminal it forks a process that becomes what `python3 client.py ...` would
be: a session of its own with the terminal, its arguments, environment and standard streams; then it runs
client.py.

The process that runs the tests is the parent of each of them, as if it had started them itself: the process
that forks them ends at once, and a *subreaper* (prctl(2), Linux) gets the orphans of its descendants.
Elsewhere, and where a test needs another start (another encoding, hidden modules, other programs), programs
are started as people start them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent

PRELOADED = (
    "charla.client.app",
    "charla.client.chat.chat",
    "charla.client.script.jsonlines",
    "charla.client.script.script",
    "charla.client.terminal.keyboard",
    "charla.client.terminal.prompt_console",
)
"""Modules that a client needs.  Not readline, which looks at the environment when it is imported."""

PROGRAMS = ("client.py", "tests/support/console_program.py", "tests/support/console_alone.py", "-c")

LATER = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHON")
"""Python looks at these when it starts: a program with such a variable of its own is started, not forked."""

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


# ---- the process that runs the tests ---------------------------------------------------------------


class ForkServer:
    """The fork server of this process; for its main thread."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._sock = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
            )

    @classmethod
    def start(cls) -> ForkServer | None:
        """Start it; None where a process cannot be made the parent of the programs."""
        if not sys.platform.startswith("linux"):
            return None
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            return None
        return cls()

    @staticmethod
    def can_run(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Say whether `python3 arguments`, with this beside the usual environment, can be forked."""
        return arguments[0] in PROGRAMS and not any(name.startswith(LATER) for name in environment)

    def fork(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        dimensions: tuple[int, int],
        hidden: Sequence[str],
    ) -> tuple[int, int]:
        """Run `python3 arguments` on a new terminal of (rows, columns), where modules may be `hidden`.

        Return the process, a child of this one, and the descriptor of the terminal's other side.
        """
        controller, terminal = os.openpty()
        try:
            fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *dimensions, 0, 0))
            request = json.dumps([list(arguments), dict(environment), list(hidden)]).encode()
            socket.send_fds(self._sock, [struct.pack("!I", len(request))], [terminal])
            self._sock.sendall(request)
            (pid,) = struct.unpack("!I", self._sock.recv(4, socket.MSG_WAITALL))
        finally:
            os.close(terminal)
        return pid, controller

    def close(self) -> None:
        """End it."""
        self._sock.close()
        self._process.wait()


# ---- the fork server, and what it forks ------------------------------------------------------------


def serve(sock: socket.socket) -> tuple[list[str], dict[str, str], list[str]]:
    """Fork a process for each request; return in each of them, with what it is to run.  Exit at the end."""
    while True:
        head, descriptors, _flags, _address = socket.recv_fds(sock, 4, 1)
        if not head:
            os._exit(0)
        (size,) = struct.unpack("!I", head)
        request = json.loads(sock.recv(size, socket.MSG_WAITALL))
        pid_out, pid_in = os.pipe()
        between = os.fork()
        if not between:
            pid = os.fork()
            if pid:
                os.write(pid_in, struct.pack("!I", pid))
                os._exit(0)
            sock.close()
            os.close(pid_out)
            os.close(pid_in)
            take_terminal(descriptors[0])
            return request  # type: ignore[no-any-return]
        os.close(descriptors[0])
        os.close(pid_in)
        pid_bytes = os.read(pid_out, 4)
        os.close(pid_out)
        os.waitpid(between, 0)  # now the orphan has its new parent
        sock.sendall(pid_bytes)


def take_terminal(terminal: int) -> None:
    """Begin a session on the terminal, with new standard streams."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in (0, 1, 2):
        os.dup2(terminal, number)
    os.close(terminal)
    old: Any = sys.stdin
    sys.stdin = open(0, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
    for number, name, errors in ((1, "stdout", old.errors), (2, "stderr", "backslashreplace")):
        stream = open(number, "w", 1, encoding=old.encoding, errors=errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.__stdin__ = sys.stdin  # type: ignore[misc]


def become(arguments: list[str], environment: dict[str, str], hidden: list[str]) -> None:
    """Be `python3 arguments` in this environment."""
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # to import it is an ImportError
    program, *rest = arguments
    if program == "-c":
        code, *rest = rest
        sys.argv = ["-c", *rest]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
        return
    sys.argv = [program, *rest]
    runpy.run_path(program, run_name="__main__")


def main() -> None:
    """Import what the programs need; then be one of them, in each of the processes that are forked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = str(ROOT)
    for name in PRELOADED:
        with contextlib.suppress(ImportError):  # prompt_toolkit
            __import__(name)
    assert "readline" not in sys.modules
    gc.freeze()  # what is here is not looked through, nor copied for that, in each of the processes
    become(*serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
