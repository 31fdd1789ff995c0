"""Fixtures: a server inside the test's process, and the watch that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE, LineClient, ServerProgram, eventually, forkserver
from support.forkserver import ForkServer
from support.scripted import FakeServer
from support.table import Table
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from charla import i18n
from charla.client import app as client
from charla.server import app as server_module
from charla.server.server import Limits, Server
from charla.server.storage.database import Storage


def pytest_configure() -> None:
    """Make the suite the same wherever it is started.

    Bytecode is kept, whatever PYTHONDONTWRITEBYTECODE says: without it pytest compiles every test again,
    in each of its processes (8 s), and hundreds of programs compile all that they import.

    The programs under test react to signals, though nohup or a shell's & has this process ignore them.
    A child inherits the signals that its parent ignores, not those that it handles.  So this process handles
    SIGHUP, and does nothing: whoever said nohup wants the suite to go on.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


_LOADING = ("test_attacks", "test_cable", "test_chaos", "test_planted", "test_typing")
"""Modules that load the machine, or measure on it."""

_PROGRAMS = (
    *("test_command_line", "test_bots", "test_chat", "test_client", "test_elsewhere", "test_history"),
    *("test_operations", "test_password", "test_prompt_console", "test_readline_console", "test_secrets"),
    *("test_server", "test_start", "test_tls_server"),
)
"""Modules most of whose tests start programs, and wait for them."""


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Says which tests one process of `pytest -n` runs together, one after the other.

    The tests that load the machine are one group.  Tests of programs are handed out one by one.  The tests of
    any other module stay together, because to hand one out takes longer than to run it.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = Path(nodeid.partition("::")[0]).stem
        return "load" if module in _LOADING else nodeid if module in _PROGRAMS else module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduling:
    """Hand tests out by `_Scheduling`, in the order of `pytest_collection_modifyitems`."""
    config.option.loadscopereorder = False
    return _Scheduling(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` starts: more than there are cores, because tests wait a lot."""
    return min(2 * (os.cpu_count() or 1) + 1, 12)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the group that takes longest, and end with the tests that are handed out one by one."""
    items.sort(key=lambda item: (item.path.stem not in _LOADING, item.path.stem in _PROGRAMS))


def descriptors() -> set[str]:
    """Return the open descriptors of this process, where that can be seen."""
    return set(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else set()


@pytest.fixture(autouse=True, scope="session")
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the settings of whoever runs the tests have no say in them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CHARLA_")]:
            patch.delenv(name)
        for name in ("XDG_CONFIG_HOME", "APPDATA"):
            patch.setenv(name, str(tmp_path_factory.mktemp("settings")))
        patch.setenv("LANGUAGE", "en")
        yield


@pytest.fixture(autouse=True, scope="session")
def _fork_server(request: pytest.FixtureRequest, _nobodys_settings: None) -> Iterator[None]:
    """Start the fork server, if any test may start a program."""
    wanted = any(
        "stack" in getattr(item, "fixturenames", ()) or item.path.stem in _PROGRAMS
        for item in request.session.items
    )
    forkserver.server = server = ForkServer.start() if wanted else None
    yield
    if server is not None:
        server.close()


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """Let no test speak the language of another."""
    yield
    i18n.use(i18n.ENGLISH)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread or a descriptor behind."""
    threads, files = set(threading.enumerate()), descriptors()
    yield
    eventually(lambda: set(threading.enumerate()) <= threads, "every thread's end")
    eventually(lambda: len(descriptors()) <= len(files), "every descriptor's closing")


_LIMITS = {field.name for field in fields(Limits)}


class RunningServer:
    """A Server in a thread of its own, without a rate limit unless asked for one."""

    def __init__(self, **options: Any) -> None:
        limits = {name: options.pop(name) for name in _LIMITS & options.keys()}
        self.server = Server(port=0, limits=Limits(**{"rate_limit": 0, **limits}), **options)
        self.address = self.server.address
        self._thread = threading.Thread(target=self.server.serve_forever, name="acceptor of the test")
        self._thread.start()

    @property
    def port(self) -> str:
        """Return the port, as an option for the client."""
        return str(self.address[1])

    def stop(self) -> None:
        """End the server; returns when it has ended."""
        self.server.shutdown()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), "the server did not end"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close what a test has opened, last things first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(stack: ExitStack) -> Callable[..., RunningServer]:
    """Start servers in this process: `serve(max_clients=2)`."""

    def start(**options: Any) -> RunningServer:
        server = RunningServer(**options)
        stack.callback(server.stop)
        return server

    return start


@pytest.fixture
def start_program(stack: ExitStack) -> Callable[..., ServerProgram]:
    """Start the real server as a process: `start_program("--rate-limit", "0")`."""

    def start(*options: str, **environment: str) -> ServerProgram:
        return stack.enter_context(ServerProgram(*options, **environment))

    return start


@pytest.fixture
def connect(stack: ExitStack) -> Callable[..., LineClient]:
    """Connect to a server: `connect(server)`, `connect(server, receive_buffer=4096)`."""

    def open_client(server: RunningServer | ServerProgram, **options: Any) -> LineClient:
        return stack.enter_context(LineClient(server.address, **options))

    return open_client


@pytest.fixture
def fake(stack: ExitStack) -> FakeServer:
    """Return a server that says nothing by itself."""
    server = FakeServer()
    stack.callback(server.close)
    return server


@pytest.fixture
def sit(stack: ExitStack) -> Callable[..., Table]:
    """Make rooms without threads: `sit(history=5)`."""

    def make(**options: Any) -> Table:
        table = Table(**options)
        stack.callback(table.close)
        return table

    return make


@pytest.fixture
def table(sit: Callable[..., Table]) -> Table:
    """Return a room without threads."""
    return sit()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """Return a new log file."""
    with closing(Storage(str(tmp_path / "room.db"))) as storage:
        yield storage


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program in this process with options that it refuses: `refused("server.py", "--port", "x")`.

    It ends before it starts a thread or opens anything; standard input is no terminal.
    """
    programs: dict[str, Callable[[list[str]], int]] = {
        "client.py": client.main,
        "server.py": server_module.main,
    }
    monkeypatch.setattr(server_module, "_raise_descriptor_limit", lambda _connections: None)

    def run(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [program, *arguments])
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                status = programs[program](list(arguments))
            except SystemExit as ended:
                assert isinstance(ended.code, int)
                status = ended.code
        printed = capsys.readouterr()
        return subprocess.CompletedProcess([program, *arguments], status, printed.out, printed.err)

    return run
