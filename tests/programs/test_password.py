"""The room's password on a real server: who has it is in, and who guesses is slowed down."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, LineClient, ServerProgram

from charla.common import passwords
from charla.common.passwords import GuessThrottle, Password
from charla.protocol.commands import NEW_SESSION, Hello, Say
from charla.protocol.messages import CaughtUp, Resumed, Said, Token
from charla.server.network import password_check
from charla.server.network.password_check import PasswordCheck

Serve = Callable[..., RunningServer]
Start = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]

SECRET = "tell-nobody"
WRONG = "! That is not the password. [wrong-password]"
TOO_MANY = "! That was one wrong password too many: connect again. [too-many-passwords]"


@pytest.fixture
def server(serve: Serve) -> RunningServer:
    return serve(password=Password(SECRET), moderator_password=Password("more-secret"))


@pytest.fixture
def _swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have wrong passwords cost hundredths of a second."""
    monkeypatch.setattr(passwords, "FIRST_DELAY", 0.02)


def unlock(client: LineClient) -> LineClient:
    client.expect("PASSWORD")
    client.send(f"{SECRET}\n")
    return client


# ---- who has it ----------------------------------------------------------------------------------


def test_it_is_asked_for_before_the_nick_in_both_dialects(server: RunningServer, connect: Connect) -> None:
    ana = unlock(connect(server)).join_plain("ana")
    beto = unlock(connect(server))
    beto.join_native("beto")
    ana.expect("* beto joined")
    beto.ask(Say("hola", 1))
    ana.expect("beto: hola")


def test_all_in_one_packet(server: RunningServer, connect: Connect) -> None:
    ana = unlock(connect(server)).join_plain("ana")
    beto = connect(server)
    beto.send(f"{SECRET}\r\nbeto\r\nhola\r\n")
    ana.expect("* beto joined", "beto: hola")
    assert beto.until("here")[:2] == ["PASSWORD", "NICK"]


@pytest.mark.parametrize("program", ["nc", "ncat"])
def test_with_the_real(program: str, server: RunningServer, connect: Connect) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    ana = unlock(connect(server)).join_plain("ana")
    host, port = server.address
    finished = subprocess.run(
        [program, host, str(port)],
        input=f"guess\n{SECRET}\nbeto\nhola\n/exit\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert finished.stdout.splitlines()[:4] == ["PASSWORD", WRONG, "PASSWORD", "NICK"]
    assert finished.stdout.splitlines()[-1] == "* Goodbye!"
    ana.expect("* beto joined", "beto: hola", "* beto left")


@pytest.mark.parametrize("leave", ["exit", "/exit", "SALIR", "/quit\r"])
def test_one_can_leave_at_the_question(server: RunningServer, connect: Connect, leave: str) -> None:
    ana = connect(server)
    ana.send(f"{leave}\n")
    assert ana.rest() == ["PASSWORD", "* Goodbye!"]


# ---- who has not ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_swift")
@pytest.mark.parametrize(
    "guess",
    [
        "guess",
        "Tell-nobody",
        "tell-nobody ",
        " tell-nobody",
        "",
        "HELLO 1 eva",
        "ana",
        "more-secret",
        "x" * 9000,
    ],
)
def test_nothing_else_opens_and_nothing_of_it_is_said(
    server: RunningServer, connect: Connect, guess: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "charla")
    ana = unlock(connect(server)).join_plain("ana")
    eva = connect(server)
    eva.send(f"{guess}\n")
    eva.expect("PASSWORD", WRONG, "PASSWORD")
    eva.send(f"{SECRET}\n")
    eva.join_plain("eva")
    ana.expect("* eva joined")
    assert "wrong password from 127.0.0.1:" in caplog.text
    if guess.strip() not in ("", "ana"):
        assert guess not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("_swift")
def test_bytes_that_are_no_text_are_a_wrong_one(server: RunningServer, connect: Connect) -> None:
    eva = connect(server)
    eva.send(b"\xff\xfe\n")
    eva.expect("PASSWORD", WRONG, "PASSWORD")


@pytest.mark.usefixtures("_swift")
def test_three_wrong_ones_and_it_is_over(server: RunningServer, connect: Connect) -> None:
    eva = connect(server)
    eva.send("one\ntwo\nthree\n" + f"{SECRET}\neva\n")
    assert eva.rest() == ["PASSWORD", WRONG, "PASSWORD", WRONG, "PASSWORD", TOO_MANY, "* Goodbye."]
    ana = unlock(connect(server)).join_plain("ana")
    ana.send("/who\n")
    ana.expect("* 1 here: ana")


def test_without_it_nothing_is_seen_of_the_room(server: RunningServer, connect: Connect) -> None:
    eva = connect(server)
    ana = unlock(connect(server)).join_plain("ana")
    ana.send("hola\n/exit\n")
    ana.rest()
    eva.send("exit\n")
    assert eva.rest() == ["PASSWORD", "* Goodbye!"]


# ---- who comes back ------------------------------------------------------------------------------


def test_a_seat_is_taken_up_again_with_the_password_alone(server: RunningServer, connect: Connect) -> None:
    ana = unlock(connect(server))
    ana.expect("NICK")
    ana.ask(Hello("ana", NEW_SESSION))
    welcome, token = ana.message(), ana.message()
    assert isinstance(token, Token)
    ana.close()
    thief = connect(server)
    thief.expect("PASSWORD")
    thief.ask(Hello("x", token.token, 1))  # who has no more than the token
    thief.expect(WRONG, "PASSWORD")
    again = unlock(connect(server))
    again.expect("NICK")
    again.ask(Hello("x", token.token, 1))
    assert isinstance(again.message(), Resumed)
    assert isinstance(again.message(), CaughtUp), welcome


# ---- who guesses ---------------------------------------------------------------------------------


class Watched(GuessThrottle):
    """A throttle that remembers when it judged, and whether that was right."""

    def __init__(self) -> None:
        super().__init__(self._look)
        self.judged: list[tuple[float, bool]] = []
        self._watching = threading.Lock()
        self._now = 0.0  # what the throttle goes by: to look again would be later

    def _look(self) -> float:
        self._now = time.monotonic()
        return self._now

    def judge(self, origin: str, right: bool) -> float:
        with self._watching:
            seconds = super().judge(origin, right)
            if not seconds:
                self.judged.append((self._now, right))
        return seconds

    def gaps(self) -> list[float]:
        """Return the seconds between one that was judged and the next."""
        return [later - earlier for (earlier, _), (later, _) in pairwise(self.judged)]


def watch(server: RunningServer, monkeypatch: pytest.MonkeyPatch, first: float) -> Watched:
    """Put a throttle of the test's own before the room's password."""
    monkeypatch.setattr(passwords, "FIRST_DELAY", first)
    throttle = Watched()
    server.server._room_check = PasswordCheck(Password(SECRET), throttle)
    return throttle


def test_each_wrong_one_makes_the_next_one_wait_longer(
    server: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = watch(server, monkeypatch, 0.02)
    eva = connect(server)
    eva.send("one\ntwo\n")
    eva.expect("PASSWORD", WRONG, "PASSWORD", WRONG, "PASSWORD")
    again = connect(server)  # it goes by the address: a new connection is no new start
    again.send("three\n")
    again.expect("PASSWORD", WRONG)
    assert all(gap >= least for gap, least in zip(throttle.gaps(), (0.02, 0.04), strict=True))


def test_parallel_guesses_are_judged_one_after_the_other(
    server: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = watch(server, monkeypatch, 0.02)
    first = connect(server)
    first.send("wrong\n")
    first.expect("PASSWORD", WRONG)
    guessing = [connect(server) for _ in range(5)]
    for person in guessing:
        person.expect("PASSWORD")

    def guess(person: LineClient) -> None:
        person.send("wrong\n")
        person.expect(WRONG)

    with ThreadPoolExecutor(len(guessing)) as pool:
        list(pool.map(guess, guessing))
    assert len(throttle.judged) == 1 + len(guessing)
    assert all(gap >= 0.02 * 2**n for n, gap in enumerate(throttle.gaps()))


def test_who_would_have_to_wait_long_is_told_for_how_long_and_takes_no_place(
    server: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = watch(server, monkeypatch, 5.0)
    monkeypatch.setattr(password_check, "PATIENCE", 1.0)
    eva = connect(server)
    eva.send("wrong\n")
    eva.expect("PASSWORD", WRONG, "PASSWORD")
    for _ in range(20):
        ana = connect(server)
        ana.send(f"{SECRET}\n")
        ana.expect("PASSWORD", BESIDE_A_GUESSER, "* Goodbye.")
        assert ana.rest() == []
    assert len(throttle.judged) == 1


BESIDE_A_GUESSER = "! Too many wrong passwords came from your address: try again in 5 s. [too-many-guesses 5]"


def test_a_moderator_beside_one_who_guesses_is_told_so_and_can_go_on(
    server: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "FIRST_DELAY", 5.0)
    monkeypatch.setattr(password_check, "PATIENCE", 1.0)
    server.server._moderators_check = PasswordCheck(Password("more-secret"))
    ana, eva = (unlock(connect(server)) for _ in range(2))
    eva.join_plain("eva")
    eva.send("/mod\nguess\n")
    eva.expect("PASSWORD", "! That is not the password.")
    ana.join_native("ana")
    ana.send("MOD 1 more-secret\nSAY 2 hola\n")
    ana.expect("ERROR 1 too-many-guesses 5")
    assert isinstance(ana.message(), Said)


def test_who_shares_the_address_of_one_who_guesses_and_is_in_notices_nothing(
    server: RunningServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, beto = (unlock(connect(server)) for _ in range(2))
    ana.join_plain("ana")
    beto.join_plain("beto")
    watch(server, monkeypatch, 30.0)
    eva = connect(server)
    eva.send("one\ntwo\n")
    eva.expect("PASSWORD", WRONG, "PASSWORD")  # the second one waits
    beto.send("hola\n")
    ana.expect("* beto joined", "beto: hola")


def test_who_waits_to_be_judged_holds_up_neither_the_end_nor_its_own_deadline(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(password=Password(SECRET), handshake_timeout=0.5)
    watch(server, monkeypatch, 30.0)
    late = connect(server)
    late.send("one\ntwo\n")
    assert late.rest()[-1].startswith("* You were dropped: no nickname came in time.")
    late.close()
    eva = connect(server)
    eva.expect("PASSWORD")
    eva.send("three\n")
    began = time.monotonic()
    eva.sock.shutdown(socket.SHUT_WR)
    server.server.shutdown()
    assert eva.rest()[-1] in ("* The server is closing. Goodbye!", LATE_TOO)
    eva.close()
    server.stop()
    assert time.monotonic() - began < DEADLINE / 2


LATE_TOO = "* You were dropped: no nickname came in time. Connect again when you have one."


@pytest.mark.usefixtures("_swift")
def test_guesses_at_the_moderators_password_are_slowed_down_too(
    server: RunningServer, connect: Connect
) -> None:
    throttle = Watched()
    server.server._moderators_check = PasswordCheck(Password("more-secret"), throttle)
    ana = unlock(connect(server))
    ana.join_native("ana")
    ana.send("MOD 1 one\nMOD 2 two\nMOD 3 tell-nobody\nSAY 4 hola\n")
    ana.expect(*(f"ERROR {tag} wrong-password" for tag in (1, 2, 3)))
    assert all(gap >= least for gap, least in zip(throttle.gaps(), (0.02, 0.04), strict=True))
    said = ana.message()
    assert isinstance(said, Said)
    assert said.text == "hola"
    # Who guesses at one does not make the other harder.
    beto = unlock(connect(server))
    beto.expect("NICK")


# ---- the program ---------------------------------------------------------------------------------


def test_from_a_file_or_the_environment_and_the_file_wins(
    start_program: Start, connect: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "room.secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    for server in (
        start_program("--password-file", str(path), CHARLA_PASSWORD="another"),
        start_program(CHARLA_PASSWORD_FILE=str(path)),
        start_program(CHARLA_PASSWORD=SECRET),
    ):
        unlock(connect(server)).join_plain("ana")
