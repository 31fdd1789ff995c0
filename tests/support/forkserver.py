"""Programs that are forked from a process that has imported Charla already: a start takes 0.2 s less.

Hundreds of tests start the client or the server, and do not test the start.  Each process of the suite has
one *fork server*: this file as a program, with one thread, which imports what both programs need and then
waits.  At each request it forks a process that becomes what `python3 client.py ...` would be, with its
arguments, environment and standard streams, on a terminal in a session of its own too; then that process
runs client.py.

The process that runs the tests is the parent of each of them, as if it had started them itself: the process
that forks them ends at once, and a *subreaper* (prctl(2), Linux) gets the orphans of its descendants.
Elsewhere, and when a test needs another start (another encoding, hidden modules, other programs), the tests
start programs as people do.
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
from typing import Any, AnyStr

ROOT = Path(__file__).resolve().parent.parent.parent

PRELOADED = (
    "charla.client.app",
    "charla.client.chat.chat",
    "charla.client.script.jsonlines",
    "charla.client.script.script",
    "charla.client.terminal.keyboard",
    "charla.client.terminal.prompt_console",
    "charla.server.app",
    "ssl",
    "sqlite3",
)
"""What the programs import.  Not readline, which looks at the environment when it is imported."""

PROGRAMS = (
    "client.py",
    "server.py",
    "tests/support/console_program.py",
    "tests/support/console_alone.py",
    "-c",
)

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
            return self.ask([terminal], arguments, environment, str(ROOT), hidden), controller
        finally:
            os.close(terminal)

    def ask(
        self,
        descriptors: Sequence[int],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: str,
        hidden: Sequence[str] = (),
    ) -> int:
        """Ask for a process on a terminal, or with three standard streams; return its process id."""
        request = json.dumps([list(arguments), dict(environment), folder, list(hidden)]).encode()
        socket.send_fds(self._sock, [struct.pack("!I", len(request))], descriptors)
        self._sock.sendall(request)
        pid: int = struct.unpack("!I", self._sock.recv(4, socket.MSG_WAITALL))[0]
        return pid

    def close(self) -> None:
        """End it."""
        self._sock.close()
        self._process.wait()


class _Forked(subprocess.Popen[AnyStr]):
    """A program that the fork server has forked, in the form that the standard library knows."""

    def __init__(self, server: ForkServer, arguments: Sequence[str], **options: Any) -> None:
        self._server = server
        super().__init__(arguments, **options)

    def _execute_child(self, *given: Any) -> None:
        """Start the program; Popen calls this, with these arguments at the same places in 3.10 to 3.14."""
        arguments, (folder, environment), pipes = given[0], given[5:7], given[10:16]
        stdin, _, _, stdout, _, stderr = pipes
        try:
            self.pid = self._server.ask([stdin, stdout, stderr], arguments, environment, str(folder))
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


server: ForkServer | None = None
"""The fork server of this process, which conftest.py starts; without one, programs are started."""


def start_program(
    arguments: Sequence[str], given: Mapping[str, str], **options: Any
) -> subprocess.Popen[Any]:
    """Start `python3 arguments` with pipes, by the fork server if it can; `given` is the test's environment.

    The options are those of subprocess.Popen, stdin, stdout, stderr, cwd and env among them.
    """
    if server is not None and server.can_run(arguments, given):
        return _Forked(server, arguments, **options)
    return subprocess.Popen([sys.executable, *arguments], **options)


# ---- the fork server, and what it forks ------------------------------------------------------------


def serve(sock: socket.socket) -> tuple[list[str], dict[str, str], str, list[str]]:
    """Fork a process for each request; return in each of them, with what it is to run.  Exit at the end."""
    while True:
        head, descriptors, _flags, _address = socket.recv_fds(sock, 4, 3)
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
            if len(descriptors) == 1:
                os.setsid()
                fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
                descriptors *= 3
            take_streams(descriptors)
            return request  # type: ignore[no-any-return]
        for descriptor in descriptors:
            os.close(descriptor)
        os.close(pid_in)
        pid_bytes = os.read(pid_out, 4)
        os.close(pid_out)
        os.waitpid(between, 0)  # now the orphan has its new parent
        sock.sendall(pid_bytes)


def take_streams(descriptors: Sequence[int]) -> None:
    """Make these standard input, output and errors, buffered as those of a program that starts."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    for descriptor in set(descriptors):
        os.close(descriptor)
    old: Any = sys.stdin
    sys.stdin = open(0, encoding=old.encoding, errors=old.errors, closefd=False)  # noqa: SIM115
    for number, name, errors in ((1, "stdout", old.errors), (2, "stderr", "backslashreplace")):
        by_lines = number == 2 or os.isatty(number)
        stream = open(  # noqa: SIM115
            number, "w", 1 if by_lines else -1, encoding=old.encoding, errors=errors, closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.__stdin__ = sys.stdin  # type: ignore[misc]


def become(arguments: list[str], environment: dict[str, str], folder: str, hidden: list[str]) -> None:
    """Be `python3 arguments` in this environment and this folder."""
    os.chdir(folder)
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
