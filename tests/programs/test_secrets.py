"""The client and what is secret: passwords that nobody sees, servers that are not trusted, moderators.

The real program, on a real terminal or in a pipe, opposite a `FakeServer`.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE
from support.clients import WITHOUT_GNU, WITHOUT_READLINE, Start, start_piped, talk
from support.scripted import AT, FakeServer, Seat, fingerprint_of, make_pair
from support.terminal import Terminal

from charla.protocol.commands import (
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Hello,
    Kick,
    Leave,
    Mod,
    Say,
    SetTopic,
)
from charla.protocol.greeting import turn_away
from charla.protocol.messages import (
    Banned,
    Goodbye,
    Moderated,
    Refusal,
    Said,
    Status,
    Token,
    Topic,
    Welcome,
    WhoPage,
)

SECRET = "sésamo-abre-7"

Refused = Callable[..., subprocess.CompletedProcess[str]]
Environment = dict[str, Any]  # names and texts, as keyword arguments

CONSOLES = pytest.mark.parametrize(
    "program",
    [("client.py",), ("-c", WITHOUT_GNU), ("-c", WITHOUT_READLINE)],
    ids=["GNU", "no GNU", "no readline"],
)


@pytest.fixture
def start(stack: ExitStack) -> Start:
    """Return what starts clients on terminals."""
    return Start(stack)


def accept(fake: FakeServer, stack: ExitStack) -> Seat:
    return stack.enter_context(fake.accept())


def assert_unseen(terminal: Terminal, *secrets: str) -> None:
    """Fail if the program has printed any of these, or the terminal has echoed it."""
    for secret in secrets:
        assert secret.encode() not in terminal.printed
        assert not terminal.finds(secret)


# --------------------------------------------------------------------------------------------------
# The room's password
# --------------------------------------------------------------------------------------------------


@CONSOLES
def test_the_password_is_asked_for_unseen_until_it_is_right(
    fake: FakeServer, start: Start, stack: ExitStack, program: tuple[str, ...]
) -> None:
    ana = start(fake, "--nick", "ana", program=program)
    seat = accept(fake, stack)
    seat.send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    ana.enter("equivocada")
    seat.expect("equivocada")
    seat.send(turn_away("wrong-password"))
    seat.send("PASSWORD\n")
    ana.wait_for("That is not the password.")
    ana.wait_for_prompt("Password: ")
    ana.enter(SECRET)
    seat.expect(SECRET)
    seat.let_in()
    ana.wait_for_prompt("ana> ")
    assert_unseen(ana, "equivocada", SECRET)
    ana.enter("hola")
    assert seat.command() == Say("hola", 1)
    seat.tell(Said(2, AT, 1, "ana", "hola"))
    ana.wait_for_prompt("ana> ")
    ana.key("up")  # nor has the editor kept it
    if program != ("-c", WITHOUT_READLINE):  # which has no such keys
        ana.wait_for_prompt("ana> ", "hola")
    ana.key("Ctrl+C")
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    assert ana.status() == 0
    assert_unseen(ana, "equivocada", SECRET)


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        ("x\x15uno\r", "uno"),
        ("unx\x7fo\r", "uno"),
        ("un\x1b[D\x1bOCo\r", "uno"),
        ("ñ日\x7f\x7funo\r", "uno"),
        ("\x1b[200~uno\r\x1b[201~\r", "uno"),
        ("con espacios, y ñ\r", "con espacios, y ñ"),
        ("\r\runo\r", "uno"),  # nothing typed is none
    ],
    ids=["Ctrl+U", "backspace", "arrows", "wide", "pasted", "spaces", "nothing"],
)
def test_what_is_typed_unseen_can_be_corrected(
    fake: FakeServer, start: Start, stack: ExitStack, typed: str, password: str
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    ana.type(typed)
    seat.expect(password)


@pytest.mark.parametrize("leave", ["\x03", "\x04", "exit\r", "/SALIR\r", "a medias\x03"], ids=repr)
def test_who_is_asked_for_the_password_can_leave(
    fake: FakeServer, start: Start, stack: ExitStack, leave: str
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    ana.type(leave)
    assert ana.status() == 0
    assert seat.rest() == []
    assert_unseen(ana, "medias")


def test_a_signal_while_the_password_is_typed_restores_the_terminal(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana", program=("-c", WITHOUT_GNU))
    accept(fake, stack).send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    assert ana.is_raw()
    ana.signal(signal.SIGTERM)
    assert ana.status() == 0


def test_ctrl_z_while_the_password_is_typed_shows_nothing_of_it(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    ana.type(SECRET[:5])
    ana.suspend()
    ana.signal(signal.SIGCONT)
    ana.wait_until(ana.is_raw, "the terminal without echo")
    ana.wait_until(lambda: ana.printed.count(b"Password: ") == 2, "the prompt, drawn again")
    ana.enter(SECRET[5:])
    seat.expect(SECRET)
    assert_unseen(ana, SECRET[:5], SECRET[5:])


@pytest.mark.parametrize("source", ["file", "environment"])
@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_the_password_may_come_from_a_file_or_from_the_environment(
    fake: FakeServer, start: Start, stack: ExitStack, tmp_path: Path, source: str, kind: str
) -> None:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text(f"{SECRET}\nand a second line\n")
    options = ("--password-file", str(path)) if source == "file" else ()
    environment: Environment = {"CHARLA_PASSWORD": SECRET if source == "environment" else "another one"}
    if kind == "terminal":
        ana = start(fake, "--nick", "ana", *options, **environment)
        seat = accept(fake, stack)
        seat.ask_password(SECRET)
        seat.let_in()
        ana.wait_for_prompt("ana> ")
        assert_unseen(ana, "Password:", SECRET)
        return
    process = start_piped(fake, stack, *options, **environment)
    seat = accept(fake, stack)
    seat.ask_password(SECRET)
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, b"")
    assert SECRET.encode() not in output


def test_a_wrong_password_of_a_file_is_told_and_another_one_asked_for(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana", CHARLA_PASSWORD="de ayer")
    seat = accept(fake, stack)
    seat.ask_password("de ayer")
    seat.send(turn_away("wrong-password"))
    seat.send("PASSWORD\n")
    ana.wait_for("That is not the password.")
    ana.wait_for_prompt("Password: ")
    ana.enter(SECRET)
    seat.expect(SECRET)
    seat.let_in()
    ana.wait_for_prompt("ana> ")


@pytest.mark.parametrize(
    ("password", "answer", "words"),
    [
        ("", "", "asks for a password: give it with --password-file FILE, or in the environment, as CHARLA_"),
        ("de ayer", "wrong-password", "That is not the password."),
        ("de ayer", "too-many-passwords", "one wrong password too many"),
    ],
)
def test_a_script_without_the_right_password_is_status_4(
    fake: FakeServer, stack: ExitStack, password: str, answer: str, words: str
) -> None:
    process = start_piped(fake, stack, CHARLA_PASSWORD=password)
    seat = accept(fake, stack)
    if password:
        seat.ask_password(password)
        seat.send(turn_away(answer) + b"PASSWORD\n")
    else:
        seat.send("PASSWORD\n")
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert errors.decode().startswith("charla: ")
    assert words in errors.decode()
    assert "de ayer" not in errors.decode()


def test_enter_alone_is_no_password_and_told_in_the_clients_own_words(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.send("PASSWORD\n")
    ana.wait_for_prompt("Password: ")
    ana.key("enter")
    ana.wait_for("No: nothing was typed: type the password")
    ana.wait_for_prompt("Password: ")
    ana.enter(SECRET)
    seat.expect(SECRET)


@pytest.mark.parametrize("source", ["typed", "environment"])
def test_who_is_held_off_for_others_guesses_is_told_and_tried_again(
    fake: FakeServer, start: Start, stack: ExitStack, source: str
) -> None:
    environment: Environment = {"CHARLA_PASSWORD": SECRET} if source == "environment" else {}
    ana = start(fake, "--nick", "ana", **environment)
    for number in range(3):
        with fake.accept() as seat:
            seat.send("PASSWORD\n")
            if source == "typed" and not number:
                ana.wait_for_prompt("Password: ")
                ana.enter(SECRET)
            seat.expect(SECRET)
            seat.send(turn_away("too-many-guesses", "0"))
    seat = accept(fake, stack)
    seat.ask_password(SECRET)
    seat.let_in()
    ana.wait_for_prompt("ana> ")
    assert len(ana.finds("Too many wrong passwords came from your address")) == 3
    assert_unseen(ana, SECRET)


@pytest.mark.parametrize("times", [3, 4])
def test_a_script_is_held_off_three_times_and_then_gives_up_with_status_4(
    fake: FakeServer, stack: ExitStack, times: int
) -> None:
    process = start_piped(fake, stack, CHARLA_PASSWORD=SECRET)
    for _ in range(times):
        with fake.accept() as seat:
            seat.ask_password(SECRET)
            seat.send(turn_away("too-many-guesses", "0"))
    if times == 3:
        seat = accept(fake, stack)
        seat.ask_password(SECRET)
        seat.let_in("bot")
        seat.tell(Goodbye("left"))
    _, errors = process.communicate(b"", timeout=DEADLINE)
    assert process.returncode == (0 if times == 3 else 4)
    lines = errors.decode().splitlines()
    assert len(lines) == times
    assert all(line.startswith("charla: Too many wrong passwords came from your address") for line in lines)


def test_a_password_file_that_others_can_read_is_told_as_everything_else(
    fake: FakeServer, stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(SECRET)
    path.chmod(0o644)
    process = start_piped(fake, stack, "--password-file", str(path))
    seat = accept(fake, stack)
    seat.ask_password(SECRET)
    seat.let_in("bot")
    seat.tell(Goodbye("left"))
    _, errors = process.communicate(b"", timeout=DEADLINE)
    assert process.returncode == 0
    assert errors.decode() == (
        f"charla: others on this machine can use the password file '{path}': chmod 600 it\n"
    )


def test_a_password_file_that_cannot_be_read_is_status_2(refused: Refused, tmp_path: Path) -> None:
    done = refused("client.py", "--nick", "bot", "--password-file", str(tmp_path / "none"))
    assert done.returncode == 2
    assert done.stderr == (
        f"charla: there is no password file '{tmp_path / 'none'}': make it, with one line.\n"
    )


def test_who_types_for_so_long_that_the_server_hangs_up_notices_nothing(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake)
    with fake.accept() as seat:
        seat.send("PASSWORD\n")
        ana.wait_for_prompt("Password: ")
        seat.send("* You were dropped: no nickname came in time.\n")
    ana.enter(SECRET)
    with fake.accept() as seat:
        seat.ask_password(SECRET)
        seat.send("NICK\n")
        ana.wait_for_prompt("Nickname: ")
        seat.tell(Goodbye("nick-late"))
    ana.enter("ana")
    with fake.accept() as seat:
        seat.ask_password(SECRET)
        seat.send("NICK\n")
        assert isinstance(seat.command(), Hello)
        seat.tell(Refusal(0, "nick-taken", ("ana",)))
        ana.wait_for("'ana' is taken")
        ana.wait_for_prompt("Nickname: ")
        seat.reset()
    ana.enter("eva")
    seat = accept(fake, stack)
    seat.ask_password(SECRET)
    seat.let_in("eva")
    ana.wait_for_prompt("eva> ")
    assert len(ana.all_rows()) == 5, "the refusal, the welcome, and nothing else"


def test_a_server_that_goes_on_hanging_up_is_told(fake: FakeServer, start: Start) -> None:
    ana = start(fake)
    with fake.accept() as seat:
        seat.send("NICK\n")
        ana.wait_for_prompt("Nickname: ")
        seat.tell(Goodbye("nick-late"))
    ana.enter("ana")
    with fake.accept() as seat:
        seat.send("NICK\n")
        assert isinstance(seat.command(), Hello)
        seat.tell(Goodbye("nick-late"))
    assert ana.status() == 1
    assert ana.finds("You were dropped: no nickname came in time")


# --------------------------------------------------------------------------------------------------
# TLS
# --------------------------------------------------------------------------------------------------

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return a certificate, and its key."""
    return make_pair(tmp_path_factory.mktemp("tls") / "pair")


@pytest.fixture(scope="module")
def other_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return another certificate for the same machine."""
    return make_pair(tmp_path_factory.mktemp("tls") / "other")


@pytest.fixture
def secure(stack: ExitStack, pair: Pair) -> FakeServer:
    """Return a server that speaks TLS."""
    server = FakeServer(pair)
    stack.callback(server.close)
    return server


@pytest.fixture
def home(tmp_path: Path) -> Environment:
    """Return the environment of a user whose configuration folder is empty."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def test_the_first_certificate_is_shown_and_remembered_and_a_changed_one_refused(
    secure: FakeServer,
    pair: Pair,
    other_pair: Pair,
    start: Start,
    stack: ExitStack,
    home: Environment,
) -> None:
    ana = start(secure, "--nick", "ana", "--tls", columns=120, **home)
    with secure.accept() as seat:
        seat.let_in()
        ana.wait_for_prompt("ana> ")
        assert ana.finds("This is the first time that you connect to ")
        assert ana.finds(fingerprint_of(pair))
        seat.tell(Goodbye("closing"))
    assert ana.status() == 1
    ana = start(secure, "--nick", "ana", "--tls", columns=120, **home)
    with secure.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        assert not ana.finds("SHA256")
        secure.pair = other_pair
    seat = accept(secure, stack)  # at the reconnect
    assert ana.status() == 4
    assert seat.rest() == []
    for words in (
        "WARNING: .* HAS CHANGED",
        fingerprint_of(pair),
        fingerprint_of(other_pair),
        "delete line 1",
    ):
        assert ana.finds(words)
    # And at the next start, in a script: on standard error.
    process = start_piped(secure, stack, "--tls", **home)
    assert accept(secure, stack).rest() == []
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (4, b"")
    assert errors.decode().startswith("charla: WARNING: THE CERTIFICATE OF [127.0.0.1]")
    assert all(line.startswith("charla: ") for line in errors.decode().splitlines())


def test_a_script_shows_the_first_certificate_as_a_diagnostic(
    secure: FakeServer, pair: Pair, stack: ExitStack, home: Environment
) -> None:
    process = start_piped(secure, stack, "--tls", **home)
    seat = accept(secure, stack)
    seat.let_in("bot")
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(b"", timeout=DEADLINE)
    assert process.returncode == 0
    assert f"charla:     {fingerprint_of(pair)}\n" in errors.decode()
    assert b"SHA256" not in output


@pytest.mark.parametrize("how", ["--tls-fingerprint", "--tls-ca"])
@pytest.mark.parametrize("right", [True, False])
def test_who_gives_a_fingerprint_or_an_authority_needs_no_memory(
    secure: FakeServer,
    pair: Pair,
    other_pair: Pair,
    stack: ExitStack,
    tmp_path: Path,
    home: Environment,
    how: str,
    right: bool,
) -> None:
    known = pair if right else other_pair
    value = known[0] if how == "--tls-ca" else fingerprint_of(known).lower()
    process = start_piped(secure, stack, how, value, **home)
    if right:
        seat = accept(secure, stack)
        seat.let_in("bot")
        seat.tell(Goodbye("left"))
    else:
        try:
            assert accept(secure, stack).rest() == []
        except OSError:  # it broke the handshake off
            assert how == "--tls-ca"
    _, errors = process.communicate(b"", timeout=DEADLINE)
    if right:
        assert (process.returncode, errors) == (0, b"")
    else:
        assert process.returncode == 4
        assert b"Nothing was sent." in errors
        assert b"--tls-fingerprint" in errors
    assert not (tmp_path / "config").exists()


def test_json_tells_of_a_server_that_is_not_trusted(
    secure: FakeServer, other_pair: Pair, stack: ExitStack, home: Environment
) -> None:
    print_ = fingerprint_of(other_pair)
    process = start_piped(secure, stack, "--json", "--tls-fingerprint", print_, **home)
    assert accept(secure, stack).rest() == []
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    ended = json.loads(output)
    assert (ended["type"], ended["how"], ended["code"]) == ("ended", "untrusted", "")
    assert [f"charla: {line}" for line in ended["arguments"]] == errors.decode().splitlines()


def test_a_damaged_memory_is_told_and_nothing_trusted(
    secure: FakeServer, stack: ExitStack, tmp_path: Path, home: Environment
) -> None:
    path = tmp_path / "config" / "charla" / "known_hosts"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\x1b[2J rubbish\n")
    process = start_piped(secure, stack, "--tls", **home)
    assert accept(secure, stack).rest() == []
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert errors.decode().startswith(f"charla: Line 1 of {path} is damaged")
    assert b"\x1b" not in errors


def test_tls_and_none_are_told_apart_in_sentences(
    fake: FakeServer, stack: ExitStack, home: Environment
) -> None:
    process = start_piped(fake, stack, "--tls", **home)
    accept(fake, stack).send("NICK\n")
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 3
    assert b"does not speak TLS: leave out --tls" in errors
    process = start_piped(fake, stack, "--tls-fingerprint", "ab" * 32, **home)
    accept(fake, stack).send("PASSWORD\n")
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert errors.startswith(b"charla: WARNING: 127.0.0.1, port ")
    assert b"leave out --tls" not in errors
    process = start_piped(fake, stack)
    accept(fake, stack).send(turn_away("tls-needed"))
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert b"This server speaks TLS only: give the client --tls" in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tls-fingerprint", "SHA256:AB"), "is not a fingerprint: give what the server printed"),
        (("--tls-ca", "a.pem", "--tls-fingerprint", "ab" * 32), "do not go together"),
        (("--tls-ca", "/none.pem"), "/none.pem cannot be read"),
    ],
    ids=str,
)
def test_wrong_options_of_tls_are_status_2(refused: Refused, options: tuple[str, ...], words: str) -> None:
    done = refused("client.py", "--nick", "bot", *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_handshake_that_does_not_go_on(
    secure: FakeServer, start: Start, stack: ExitStack, home: Environment
) -> None:
    secure.pair = None
    ana = start(secure, "--nick", "ana", "--tls", **home)
    seat = accept(secure, stack)
    assert seat.sock.recv(1) == b"\x16", "no TLS"
    ana.key("Ctrl+C")
    assert ana.status() == 0


# --------------------------------------------------------------------------------------------------
# Moderators
# --------------------------------------------------------------------------------------------------


@CONSOLES
def test_the_moderators_password_is_asked_for_unseen(
    fake: FakeServer, start: Start, stack: ExitStack, program: tuple[str, ...]
) -> None:
    ana = start(fake, "--nick", "ana", program=program)
    seat = accept(fake, stack)
    seat.let_in()
    ana.wait_for_prompt("ana> ")
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    ana.enter("equivocada")
    assert seat.command() == Mod("equivocada", 1)
    seat.tell(Refusal(1, "wrong-password"))
    if program != ("-c", WITHOUT_READLINE):  # which shows it with the next line
        ana.wait_for("That is not the password.")
        ana.wait_for("It was: /mod$")
    ana.wait_for_prompt("ana> ")
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    ana.enter(SECRET)
    command = seat.command()
    assert isinstance(command, Mod)
    assert command.password == SECRET
    seat.tell(Moderated(2, AT, command.tag, "mod", "ana"))
    ana.wait_for_prompt("ana> ")
    ana.enter("/who")
    seat.line()
    ana.wait_for("ana is a moderator now")
    assert_unseen(ana, "equivocada", SECRET)


@pytest.mark.parametrize("how", ["\r", "\x03", "a medias\x03", "\x04"], ids=repr)
def test_who_gives_no_password_to_mod_stays_in_the_chat_and_nothing_is_sent(
    fake: FakeServer, start: Start, how: str
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    ana.type(how)
    ana.wait_for_prompt("ana> ")
    ana.enter("hola")
    assert seat.command() == Say("hola", 2)
    assert_unseen(ana, "medias")


def test_a_signal_that_ends_the_client_ends_it_at_that_question_too(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    ana.signal(signal.SIGTERM)
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    assert ana.status() == 0


def test_the_chat_goes_on_above_the_question_and_what_is_typed_is_kept(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    for number in range(20):
        ana.type(SECRET[number % len(SECRET)])
        seat.tell(Said(number + 2, AT, 0, "beto", f"m{number}"))
        ana.wait_for(f"m{number}$")
        ana.wait_for_prompt("Moderator password: ")
    ana.key("enter")
    assert seat.command() == Mod((SECRET * 2)[:20], 1)
    seat.tell(Moderated(30, AT, 1, "mod", "ana"))
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == [*(f"beto: m{number}" for number in range(20)), "* ana is a moderator now", "ana>"]


def test_a_server_that_ends_meanwhile_ends_the_question(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/mod")
    ana.wait_for_prompt("Moderator password: ")
    ana.type(SECRET)
    seat.tell(Goodbye("closing"))
    assert ana.status() == 1
    assert ana.finds("The server is closing. Goodbye!")
    assert_unseen(ana, SECRET, "You were typing")


@pytest.mark.parametrize(
    "line",
    [
        f"/mod {SECRET}",
        f"  /MOD   {SECRET}",
        f"/mod{SECRET}",
        f"/mod\x16\t{SECRET}",
        f"//mod {SECRET}",
        f"/ mod {SECRET}",
        f"\ufeff/mod {SECRET}",
        f">> /mod {SECRET}",
        f"\x1b[200~hola\n/mod {SECRET}\x1b[201~",
        f"\x1b[200~/mod\n{SECRET}\x1b[201~",
    ],
    ids=repr,
)
def test_a_password_behind_mod_is_not_sent_shown_again_or_kept_for_the_arrow_keys(
    fake: FakeServer, start: Start, line: str
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("antes")
    assert seat.command() == Say("antes", 1)
    seat.tell(Said(2, AT, 1, "ana", "antes"))
    ana.wait_for_prompt("ana> ")
    ana.enter(line)
    ana.wait_for("It is written like this: /mod$")
    ana.wait_for_prompt("ana> ")
    assert not ana.finds(SECRET)
    ana.key("up")
    ana.wait_for_prompt("ana> ", "antes")
    ana.key("enter")
    command = seat.command()
    assert isinstance(command, Say)
    assert command.text == "antes"
    assert not ana.finds("It was")


def test_what_stood_behind_mod_when_it_ended_is_not_shown(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.type(f"/mod {SECRET}")
    ana.wait_for_prompt("ana> ", f"/mod {SECRET}")
    seat.tell(Goodbye("closing"))
    assert ana.status() == 1
    assert not ana.finds(SECRET)


def test_a_mod_of_which_nobody_knows_whether_it_was_done_is_told_without_the_password(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.enter("/mod")
        ana.wait_for_prompt("Moderator password: ")
        ana.enter(SECRET)
        assert seat.command() == Mod(SECRET, 1)
    seat = accept(fake, stack)
    seat.send("NICK\n")
    seat.line()
    seat.tell(Refusal(0, "no-session"))
    seat.line()
    seat.tell(Welcome(1, AT, "ana", 1), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",)))
    ana.wait_for("Not confirmed, so perhaps not sent")
    ana.wait_for(r"!     /mod$")
    assert_unseen(ana, SECRET)


def test_a_script_has_the_moderators_password_from_the_environment(
    fake: FakeServer, stack: ExitStack
) -> None:
    process = start_piped(fake, stack, CHARLA_MODERATOR_PASSWORD=SECRET)
    seat = accept(fake, stack)
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.write(b"/mod\n/topic sol\n")
    process.stdin.flush()
    assert [seat.command(), seat.command()] == [Mod(SECRET, 1), SetTopic("sol", 2)]
    seat.tell(Moderated(2, AT, 1, "mod", "bot"), Moderated(3, AT, 2, "topic", "bot", "", 0, "sol"))
    process.stdin.close()
    process.stdin = None
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, b"")
    assert output.decode().splitlines()[-2:] == [
        "22:13 * bot is a moderator now",
        "22:13 * bot set the topic: sol",
    ]


@pytest.mark.parametrize("begins", ["", "\ufeff"], ids=["as it is", "a byte order mark"])
def test_without_it_a_script_has_the_moderators_password_in_the_line_behind_mod(
    fake: FakeServer, stack: ExitStack, begins: str
) -> None:
    process = start_piped(fake, stack)
    seat = accept(fake, stack)
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.write(f"{begins}/mod\n{SECRET}\nhola\n".encode())
    process.stdin.flush()
    assert seat.command() == Mod(SECRET, 1)
    assert seat.command() == Say("hola", 2)
    seat.tell(Moderated(2, AT, 1, "mod", "bot"), Said(3, AT, 2, "bot", "hola"))
    process.stdin.close()
    process.stdin = None
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, b"")
    assert SECRET.encode() not in output


# A client that takes the server for one on another machine.
FAR_AWAY = "from charla.client.network import link; link.Connector.is_loopback = lambda _self: False;"
ELSEWHERE = ("-c", FAR_AWAY + "import sys; from charla.client import app as client; sys.exit(client.main())")


@pytest.mark.parametrize(
    ("program", "environment", "text", "words"),
    [
        (("client.py",), "", f"/mod {SECRET}\nhola\n", "like this: /mod"),
        (("client.py",), "", "hola\n/mod\n", "CHARLA_MODERATOR_PASSWORD"),
        (("client.py",), "", "hola\n/mod\n\n", "CHARLA_MODERATOR_PASSWORD"),
        (("client.py",), "", f"hola\n/mod\n\n{SECRET}\n", "CHARLA_MODERATOR_PASSWORD"),
        (("client.py",), "", f"hola\n/mdo {SECRET}\n", "Did you mean /mod?"),
        (ELSEWHERE, "", f"/mod\n{SECRET}\nhola\n", "The password was not sent: without TLS"),
        (ELSEWHERE, "uno", f"/mod\n{SECRET}\nhola\n", "The password was not sent: without TLS"),
    ],
    ids=[
        *("behind it", "the last line", "an empty line", "behind an empty line"),
        *("mistyped", "in the clear", "in the clear, environment"),
    ],
)
def test_in_a_script_a_password_that_is_not_sent_is_not_said_either_and_status_4(
    fake: FakeServer, stack: ExitStack, program: tuple[str, ...], environment: str, text: str, words: str
) -> None:
    process = start_piped(fake, stack, program=program, CHARLA_MODERATOR_PASSWORD=environment)
    seat = accept(fake, stack)
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.write(text.encode())
    process.stdin.close()
    process.stdin = None
    command = seat.command()
    assert isinstance(command, Say)
    assert command.text == "hola"
    seat.tell(Said(2, AT, command.tag, "bot", "hola"))
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert words in errors.decode()
    assert SECRET.encode() not in errors + output


@pytest.mark.parametrize("line", [SECRET, f"/{SECRET}", f"\n{SECRET}"])
def test_with_it_in_the_environment_only_a_command_may_stand_behind_mod(
    fake: FakeServer, stack: ExitStack, line: str
) -> None:
    process = start_piped(fake, stack, CHARLA_MODERATOR_PASSWORD="uno")
    seat = accept(fake, stack)
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.write(f"/mod\n{line}\nhola\n".encode())
    process.stdin.close()
    process.stdin = None
    assert seat.command() == Mod("uno", 1)
    command = seat.command()
    assert isinstance(command, Say)
    assert command.text == "hola"
    seat.tell(Moderated(2, AT, 1, "mod", "bot"), Said(3, AT, command.tag, "bot", "hola"))
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert b"a command comes behind /mod" in errors
    assert SECRET.encode() not in errors + output


@pytest.mark.parametrize("console", ["GNU", "no GNU"])
def test_a_password_that_was_typed_ahead_is_not_said_when_mod_does_not_ask_for_it(
    fake: FakeServer, start: Start, stack: ExitStack, console: str
) -> None:
    program = ELSEWHERE if console == "GNU" else ("-c", FAR_AWAY + WITHOUT_GNU)
    ana = start(fake, "--nick", "ana", program=program)
    seat = accept(fake, stack)
    seat.let_in()
    ana.wait_for_prompt("ana> ")
    ana.type(f"/mod\r{SECRET}\r")
    ana.wait_for("The password was not sent: without TLS")
    ana.wait_for_prompt("ana> ")
    ana.enter("hola")
    command = seat.command()
    assert isinstance(command, Say)
    assert command.text == "hola"


def test_what_moderators_ask_and_decide_is_shown(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/topic")
    assert seat.command() == AskTopic(1)
    seat.tell(Topic(1, True, "sol\ny playa"))
    ana.enter("/bans")
    assert seat.command() == AskBans(2)
    seat.tell(Banned(2, 1, 2, "beto", "10.0.0.1", 60, "ana", "ya"), Banned(2, 2, 2, "carla", "", 0, "ana"))
    ana.enter("/status")
    assert seat.command() == AskStatus(3)
    seat.tell(Status(3, ("61", "2")))
    ana.enter("/kick beto por pesado")
    assert seat.command() == Kick("beto", "por pesado", 4)
    seat.tell(Moderated(5, AT, 4, "kick", "ana", "beto", 0, "por pesado"))
    ana.enter("/announce todos a casa")
    assert seat.command() == Announce("todos a casa", 5)
    seat.tell(Moderated(6, AT, 5, "announce", "ana", "", 0, "todos a casa"))
    ana.wait_for("todos a casa")
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == [
        "      * Topic: sol",
        "        Topic: y playa",
        "        The room is quiet: only moderators speak.",
        "      * 1 of 2: beto (10.0.0.1), for another 1 min, by ana: ya",
        "      * 2 of 2: carla, until /unban, by ana",
        "      * running for: 1 min 1 s",
        "      * people in the room: 2",
        "* ana removed beto: por pesado",
        "* ana announces: todos a casa",
        "ana>",
    ]
    ana.enter("/help mod")
    ana.wait_for("/announce TEXT .*as an announcement")


def test_the_topic_is_shown_to_who_joins(fake: FakeServer, start: Start, stack: ExitStack) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.send("NICK\n")
    seat.line()
    seat.tell(Welcome(1, AT, "ana", 2), Topic(0, False, "sol"), WhoPage(0, 1, 1, 2, ("ana", "@beto")))
    ana.wait_for_prompt("ana> ")
    assert ana.all_rows()[-3:] == ["      * Topic: sol", "      * 2 here: ana, @beto", "ana>"]


@pytest.mark.parametrize(("reason", "words"), [("kicked", "removed you"), ("banned", "banned you")])
@pytest.mark.parametrize("token", ["", "tok"])
def test_who_is_removed_is_told_and_status_4(
    fake: FakeServer, start: Start, stack: ExitStack, reason: str, words: str, token: str
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.let_in(token=token)
    ana.wait_for_prompt("ana> ")
    seat.tell(Moderated(2, AT, 0, "kick", "beto", "ana", 0, "por pesada"), Goodbye(reason))
    assert ana.status() == 4
    assert ana.finds("beto removed ana: por pesada")
    assert ana.finds(f"A moderator has {words} from the room.")


def test_who_is_dropped_for_not_reading_is_told_when_it_takes_a_while_and_comes_back(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana")
    seat = accept(fake, stack)
    seat.let_in(token="tok")
    ana.wait_for_prompt("ana> ")
    fake.close()
    seat.tell(Goodbye("slow"))
    seat.close()
    ana.wait_for("You were dropped: you did not read what was sent to you.")
    ana.wait_for_prompt("ana (reconnecting)> ")
    fake.listen()
    seat = accept(fake, stack)
    seat.resume(1)
    ana.wait_for_prompt("ana> ")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("banned", "You are banned from this room."),
        ("banned-for 300", "You are banned from this room, for another 5 min."),
        ("full 5", "The room is full (5): try again later."),
        ("too-many-a-minute 60", "Your address connects too often (more than 60 times a minute)"),
    ],
)
def test_who_is_turned_away_at_the_door_is_told_and_status_4(
    fake: FakeServer, stack: ExitStack, code: str, words: str
) -> None:
    process = start_piped(fake, stack)
    accept(fake, stack).send(turn_away(*code.split()))
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 4
    assert errors.decode().startswith(f"charla: {words}")


def test_who_is_banned_while_the_connection_is_lost_is_told_at_the_reconnect(
    fake: FakeServer, start: Start, stack: ExitStack
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
    accept(fake, stack).send(turn_away("banned-for", "300"))
    assert ana.status() == 4
    assert ana.finds("The server does not let you in again.")
    assert ana.finds("You are banned from this room, for another 5 min.")
