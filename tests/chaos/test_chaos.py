"""The fault test, tested: the proxy breaks what it should; a short run.  (Its checker: test_checker.py.)

`make chaos` is the long one.
"""

from __future__ import annotations

import random
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE, eventually

from chaos.proxy import CLIENT, CUTS, SERVER, Plan, Proxy, plan
from chaos.records import (
    load,
)
from chaos.run import Options, Person, Run, chaos, forgetful
from charla.client.network.events import Arrival

# --------------------------------------------------------------------------------------------------
# The proxy
# --------------------------------------------------------------------------------------------------

NEVER = 10**9


def plan_of(kind: str = "fin", ends: tuple[int, ...] = (CLIENT, SERVER), **fields: Any) -> Plan:
    """Return a plan that does nothing but what is asked for."""
    usual: dict[str, Any] = {"after_bytes": NEVER, "after_seconds": NEVER, "keep": False}
    return Plan(kind, ends, **{**usual, **fields})


class Wire:
    """A connection through a proxy, both of its ends in the test's hands."""

    def __init__(self, stack: ExitStack, what: Plan, cuts: int = 1) -> None:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.proxy = stack.enter_context(Proxy(lambda _: what, cuts, listener.getsockname()))
        self.client = stack.enter_context(socket.create_connection(self.proxy.address, DEADLINE))
        listener.settimeout(DEADLINE)
        server, _ = listener.accept()
        self.server = stack.enter_context(server)
        self.server.settimeout(DEADLINE)

    def read(self, end: int) -> bytes | None:
        """Return what an end receives up to the end of the stream; None when it is reset."""
        sock = (self.client, self.server)[end]
        data = b""
        try:
            while more := sock.recv(65536):
                data += more
        except ConnectionResetError:
            return None
        return data

    def hears_nothing(self, end: int, seconds: float = 0.1) -> bool:
        """Say whether nothing comes to an end, not even an end of the stream."""
        sock = (self.client, self.server)[end]
        sock.settimeout(seconds)
        try:
            sock.recv(1)
        except TimeoutError:
            return True
        finally:
            sock.settimeout(DEADLINE)
        return False


@pytest.mark.parametrize(
    "what",
    [
        plan_of(),
        plan_of(delay=0.02),
        plan_of(pieces=True),
        plan_of(stalls=((CLIENT, 1000, 0.1), (SERVER, 100_000, 0.1))),
        plan_of(delay=0.01, pieces=True, stalls=((SERVER, 1, 0.05),)),
    ],
)
def test_what_passes_a_proxy_is_whole_and_in_order(stack: ExitStack, what: Plan) -> None:
    wire = Wire(stack, what)
    data = random.Random(1).randbytes(300_000)

    def send() -> None:
        wire.client.sendall(data)
        wire.client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    assert wire.read(SERVER) == data
    sender.join()
    wire.server.sendall(data[:50_000])
    wire.server.close()
    assert wire.read(CLIENT) == data[:50_000]
    assert wire.proxy.counts["cuts"] == 0


@pytest.mark.parametrize("keep", [True, False])
def test_a_fin_comes_in_the_midst_of_a_line(stack: ExitStack, keep: bool) -> None:
    wire = Wire(stack, plan_of("fin", after_bytes=9, keep=keep))
    wire.client.sendall(b"SAY 1 hello\n")
    assert wire.read(SERVER) == b"SAY 1 hel"
    assert wire.read(CLIENT) == b""
    assert wire.proxy.counts["fin"] == wire.proxy.counts["cuts"] == 1


def test_a_fin_passes_on_what_waits_or_does_not(stack: ExitStack) -> None:
    for keep, passed in ((True, b"0123456789"), (False, b"")):
        wire = Wire(stack, plan_of("fin", after_bytes=10, delay=5.0, keep=keep))
        wire.client.sendall(b"0123456789")
        assert wire.read(SERVER) == passed


def test_a_reset_is_one(stack: ExitStack) -> None:
    wire = Wire(stack, plan_of("reset", after_bytes=4))
    wire.client.sendall(b"0123456789")
    assert wire.read(CLIENT) is None
    assert wire.read(SERVER) is None


@pytest.mark.parametrize(("kind", "heard"), [("fin", b""), ("reset", None)])
@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_one_end_may_hear_of_a_cut_alone(stack: ExitStack, kind: str, heard: bytes | None, end: int) -> None:
    wire = Wire(stack, plan_of(kind, (end,), after_seconds=0.01))
    assert wire.read(end) == heard
    sock, other = (wire.client, wire.server) if end == CLIENT else (wire.server, wire.client)
    other.sendall(b"is anybody there?")
    assert wire.hears_nothing(1 - end)
    sock.close()
    assert wire.hears_nothing(1 - end)
    other.close()
    eventually(lambda: not wire.proxy.open_lines, "the line's end")


def test_a_blackhole_swallows_and_stays_open(stack: ExitStack) -> None:
    wire = Wire(stack, plan_of("blackhole", after_bytes=3))
    wire.client.sendall(b"0123456789")
    assert wire.server.recv(100) == b"012"
    wire.server.sendall(b"hello?")
    assert wire.hears_nothing(SERVER)
    assert wire.hears_nothing(CLIENT)
    wire.client.close()
    assert wire.hears_nothing(SERVER)


def test_a_blackhole_may_be_of_one_way(stack: ExitStack) -> None:
    wire = Wire(stack, plan_of("blackhole", (CLIENT,), after_bytes=3))
    wire.server.sendall(b"0123456789")  # the other way: not a byte of it is missing
    received = b""
    while len(received) < 10:
        received += wire.client.recv(100)
    assert received == b"0123456789"
    wire.client.sendall(b"hello?")
    assert wire.hears_nothing(SERVER)
    wire.server.sendall(b"more")
    assert wire.client.recv(100) == b"more"


def test_no_cut_is_done_beyond_those_asked_for(stack: ExitStack) -> None:
    wire = Wire(stack, plan_of("reset", after_bytes=4), cuts=0)
    wire.client.sendall(b"0123456789")
    wire.client.shutdown(socket.SHUT_WR)
    assert wire.read(SERVER) == b"0123456789"
    assert wire.proxy.counts["cuts"] == 0


def test_who_connects_while_the_server_is_down_is_reset(stack: ExitStack) -> None:
    proxy = stack.enter_context(Proxy(lambda _: plan_of(), 0))
    with pytest.raises(ConnectionResetError):  # if not from one of the two, then from the other
        stack.enter_context(socket.create_connection(proxy.address, DEADLINE)).recv(1)
    assert proxy.counts["refused"] == 1


def test_the_same_seed_makes_the_same_plans() -> None:
    plans = [plan(7, number, 1.0) for number in range(300)]
    assert plans == [plan(7, number, 1.0) for number in range(300)]
    assert plans != [plan(8, number, 1.0) for number in range(300)]
    assert {what.kind for what in plans} == set(CUTS)


# --------------------------------------------------------------------------------------------------
# All of it, short
# --------------------------------------------------------------------------------------------------

SHORT = Options(
    clients=12,
    cuts=60,
    kills=2,
    messages=1000,
    seed=20,
    lifetime=0.8,
    grace=2.0,
    ping_after=0.3,
    dead_after=0.9,
    deadline=40.0,
    calm_time=15.0,
    quiet=True,
)


def test_nothing_is_lost_doubled_swapped_or_leaked(capsys: pytest.CaptureFixture[str]) -> None:
    status = chaos(SHORT)
    report = capsys.readouterr().out
    assert status == 0, report
    assert "60 cuts (" in report, report
    assert "2 kills, " in report, report


def test_nothing_is_said_twice_to_a_server_that_forgets(capsys: pytest.CaptureFixture[str]) -> None:
    options = replace(forgetful(SHORT), cuts=25, messages=600)
    status = chaos(options)
    report = capsys.readouterr().out
    assert status == 0, report
    assert " 0 DONE" not in report, report


UNDISTURBED = replace(SHORT, clients=3, cuts=0, kills=0, messages=60)


def test_a_client_that_loses_an_event_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    original = Person.arrived

    def lose(person: Person, arrivals: list[Arrival]) -> None:
        for one in arrivals:
            if person.name == "c00" or not getattr(one.message, "text", "").startswith("c00/1"):
                original(person, [one])

    monkeypatch.setattr(Person, "arrived", lose)
    assert chaos(replace(UNDISTURBED, keep=tmp_path / "kept", calm_time=3.0)) == 1
    report = capsys.readouterr().out
    assert "lost: " in report
    assert "seed 20: WRONG" in report
    assert f"records: {tmp_path / 'kept'}" in report
    assert len(load(tmp_path / "kept")) >= 3


def test_a_thread_that_fails_is_a_fault_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(person: Person) -> None:
        raise RuntimeError(f"a bug of {person.name}")

    monkeypatch.setattr(Person, "say_last_words", fail)
    run = Run(UNDISTURBED)
    with pytest.raises(RuntimeError):
        run.run()
    monkeypatch.undo()
    run = Run(UNDISTURBED)
    monkeypatch.setattr(Person, "_talk", fail)
    run.run()
    assert any("a bug of c01" in fault for fault in run.faults)
