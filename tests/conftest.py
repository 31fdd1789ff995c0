"""Fixtures: a server inside the test's process, and the watch that nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from typing import Any

import pytest
from support import DEADLINE, LineClient, ServerProgram, eventually

import languages
from server import Limits, Server


def pytest_configure() -> None:
    """Let the programs under test react to signals, though nohup or a shell's & has this process ignore them.

    A child inherits the signals that its parent ignores, not those that it handles.  So this process handles
    SIGHUP, and does nothing: whoever said nohup wants the suite to go on.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


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


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """Let no test speak the language of another."""
    yield
    languages.use(languages.ENGLISH)


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
