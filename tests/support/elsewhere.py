"""The client where much of what Linux has does not exist.

`python3 tests/support/elsewhere.py SYSTEM ARGUMENTS...`

SYSTEM is "windows": with its msvcrt and its input(); or "bare": without either.  What is hidden is what the
documentation of Python's library says is for Unix alone.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - like others here: the library looks for the system when it is imported
import builtins
import getpass  # noqa: F401
import os
import select
import selectors
import shutil  # noqa: F401
import signal
import socket
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MODULES = (
    "readline",
    "termios",
    "tty",
    "pty",
    "resource",
    "fcntl",
    "pwd",
    "grp",
    "syslog",
    "prompt_toolkit",
)
_NAMES: dict[Any, tuple[str, ...]] = {
    signal: (
        *("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGHUP", "SIGTSTP", "SIGSTOP", "SIGCONT", "SIGWINCH", "SIGQUIT"),
        *("SIGPIPE", "SIGCHLD", "SIGKILL", "SIG_BLOCK", "ITIMER_REAL"),
        *("pthread_kill", "pthread_sigmask", "siginterrupt", "setitimer", "getitimer", "alarm", "pause"),
        *("sigwait", "sigpending", "sigwaitinfo", "sigtimedwait"),
    ),
    os: (
        *(
            "fork",
            "register_at_fork",
            "getuid",
            "geteuid",
            "getgid",
            "getpgid",
            "getpgrp",
            "killpg",
            "tcgetpgrp",
        ),
        *("mkfifo", "uname", "sysconf", "fchmod", "chown", "fchown", "set_blocking", "get_blocking", "nice"),
        *(
            "O_NONBLOCK",
            "O_CLOEXEC",
            "O_NOFOLLOW",
            "O_DIRECTORY",
            "O_NOCTTY",
            "ctermid",
            "getloadavg",
            "openpty",
        ),
    ),
    select: ("poll", "epoll", "EPOLLIN", "PIPE_BUF"),
    socket: ("MSG_DONTWAIT", "MSG_NOSIGNAL", "SO_REUSEPORT", "SO_PEERCRED", "send_fds", "recv_fds"),
    time: ("tzset", "clock_gettime", "pthread_getcpuclockid"),
}


def _fake_windows() -> Callable[[], None]:
    """Put an msvcrt in, and an input() that nothing interrupts, made of what the terminal has here.

    Return what undoes it.
    """
    import termios

    mode = termios.tcgetattr(0)
    keys = [
        *mode[:3],
        mode[3] & ~(termios.ICANON | termios.ECHO),
        *mode[4:],
    ]  # nothing is seen of a key
    wait = select.select
    msvcrt: Any = types.ModuleType("msvcrt")

    def kbhit() -> bool:
        termios.tcsetattr(0, termios.TCSADRAIN, keys)
        return bool(wait([0], [], [], 0)[0])

    def getwch() -> str:
        return os.read(0, 1).decode("latin-1")

    def read_line(prompt: str = "") -> str:
        print(prompt, end="", flush=True)
        line = b""
        while (key := os.read(0, 1)) not in (b"\r", b"\n"):
            if key == b"\x1a":
                raise EOFError
            line = line[:-1] if key == b"\x7f" else line + key
            os.write(1, b"\b \b" if key == b"\x7f" else key)
        os.write(1, b"\r\n")
        return line.decode()

    msvcrt.kbhit, msvcrt.getwch = kbhit, getwch
    sys.modules["msvcrt"] = msvcrt
    builtins.input = read_line  # type: ignore[assignment]
    return lambda: termios.tcsetattr(0, termios.TCSAFLUSH, mode)


def _hide() -> None:
    for module in _MODULES:
        sys.modules[module] = None  # type: ignore[assignment]
    for module, names in _NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    selectors.DefaultSelector = selectors.SelectSelector  # type: ignore[misc, assignment]
    select.select = _of_sockets(select.select)


def _of_sockets(wait: Callable[..., Any]) -> Callable[..., Any]:
    """Return a select.select that, as on Windows, takes sockets only."""

    def sockets_only(reads: Any, writes: Any, errors: Any, *timeout: Any) -> Any:
        for one in (*reads, *writes, *errors):
            number = one if isinstance(one, int) else one.fileno()
            socket.socket(fileno=os.dup(number)).close()  # OSError when it is none
        return wait(reads, writes, errors, *timeout)

    return sockets_only


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
    system = sys.argv.pop(1)
    undo = _fake_windows() if system == "windows" else lambda: None
    _hide()
    from charla.client import app
    from charla.client.chat import chat

    if system == "bare":
        chat.CONFIRM_TIME = 10  # what comes later is seen at the next Enter only, and a test may be slow

    try:
        status = app.main()
    finally:
        undo()
    sys.exit(status)
