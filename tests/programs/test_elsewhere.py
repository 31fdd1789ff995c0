"""The client on other systems: the real one on a terminal, with what they do not have hidden."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from conftest import RunningServer
from support import LineClient
from support.clients import Start
from support.terminal import Terminal

from charla.client.terminal import console

Connect = Callable[..., LineClient]


@pytest.fixture
def server(serve: Callable[..., RunningServer]) -> RunningServer:
    return serve()


@pytest.fixture
def start(stack: ExitStack) -> Start:
    return Start(stack)


def open_on(
    system: str, start: Start, server: RunningServer, *options: str, prompt: str = "ana> "
) -> Terminal:
    program = ("tests/support/elsewhere.py", system)
    ana = start(server, "--nick", "ana", *options, program=program)
    ana.wait_for("1 here|You are ana")
    ana.wait_for_prompt(prompt)
    return ana


@pytest.mark.parametrize("system", ["windows", "bare"])
@pytest.mark.parametrize("leave", ["/exit\r", "\x03"], ids=["/exit", "Ctrl+C"])
def test_one_talks_where_nothing_of_unix_exists(
    server: RunningServer, connect: Connect, start: Start, system: str, leave: str
) -> None:
    ana = open_on(system, start, server)
    beto = connect(server).join_plain("beto")
    ana.enter("hola, ñandú")
    beto.expect("ana: hola, ñandú")
    ana.wait_for("ana: hola, ñandú")
    ana.wait_for_prompt("ana> ")
    if system == "bare":
        ana.wait_until_it_reads()
    ana.type(leave)
    assert ana.status() == 0
    beto.expect("* ana left")
    assert not ana.finds("Traceback|Error")


def test_on_windows_what_arrives_is_shown_until_a_key_is_pressed(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = open_on("windows", start, server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.wait_for_prompt("ana> ")
    beto.send("uno\n")
    ana.wait_for("beto: uno")
    ana.wait_for_prompt("ana> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    beto.send("dos\n")
    beto.send("/who\n")
    beto.until("2 here")
    ana.type("\x7f\x7f, y más")
    ana.wait_for_prompt("ana> ", "a medi, y más")
    assert not ana.finds("beto: dos")
    ana.key("enter")
    ana.wait_for("ana: a medi, y más")
    ana.wait_for_prompt("ana> ")
    rows = [row[6:] if row[:2].isdigit() else row for row in ana.all_rows()]
    assert rows[-5:] == [
        "beto: uno",
        "ana> a medi, y más",
        "beto: dos",
        "ana: a medi, y más",
        "ana>",
    ]


def test_on_windows_a_server_that_ends_is_noticed_before_a_key_is_pressed(
    server: RunningServer, start: Start
) -> None:
    ana = open_on("windows", start, server, "--no-reconnect")
    server.server.shutdown()
    assert ana.status() == 1
    assert ana.finds("The server is closing")


def test_on_windows_a_password_is_seen_nowhere(server: RunningServer, start: Start) -> None:
    ana = open_on("windows", start, server)
    ana.enter("/mod")
    ana.wait_for("[Pp]assword")
    ana.type("geheiX\x08m\x00H\r")
    ana.wait_until(lambda: ana.rows()[ana.cursor[0]] == "ana>", "the prompt")
    assert b"geh" not in ana.printed
    ana.type("/exit\r")
    assert ana.status() == 0


def test_plain_on_windows_has_no_escape_sequence(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = open_on("windows", start, server, "--plain", prompt="")
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    beto.send("uno\n")
    ana.wait_for("beto says: uno")
    ana.enter("hola")
    beto.expect("ana: hola")
    ana.type("/exit\r")
    assert ana.status() == 0
    assert b"\x1b" not in ana.printed


class FakeKernel:
    """What `enable_colors` asks of kernel32, on a console whose mode is `mode`; None: there is none."""

    def __init__(self, mode: int | None, old: bool = False) -> None:
        self.mode = mode
        self._old = old
        self.GetStdHandle = lambda number: number  # ctypes functions have attributes

    def GetConsoleMode(self, _handle: object, mode: Any) -> int:  # noqa: N802
        if self.mode is None:
            return 0
        mode._obj.value = self.mode
        return 1

    def SetConsoleMode(self, _handle: object, mode: int) -> int:  # noqa: N802
        if self._old:
            return 0
        self.mode = mode
        return 1


def test_colours_are_switched_on_where_windows_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.enable_colors(), "elsewhere there is nothing to switch"
    monkeypatch.setattr(console, "_ON_WINDOWS", True)
    for kernel, mode, colors in (
        (FakeKernel(3), 7, True),
        (FakeKernel(3, old=True), 3, False),
        (FakeKernel(None), None, False),
    ):
        windows = type("windll", (), {"kernel32": kernel})
        monkeypatch.setattr(ctypes, "windll", windows, raising=False)
        assert console.enable_colors() == colors
        assert kernel.mode == mode
