"""The console client as people have it: the real program on a real terminal, or in a pipe.

Opposite it stands the real server, or, for what the real one never does, a `FakeServer` that does
line by line what the test says.
"""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, ROOT, LineClient, ServerProgram, eventually
from support.clients import WITHOUT_GNU, WITHOUT_READLINE, Start, run, start_piped, talk
from support.scripted import AT, FakeServer, Seat
from support.terminal import Line, Terminal, rows_of

from charla.client import app
from charla.client import options as client_options
from charla.client.chat.join import Fatal
from charla.client.network import link
from charla.client.script import script
from charla.client.terminal.pipe import PipeConsole
from charla.protocol import sentences
from charla.protocol.commands import NEW_SESSION, Act, Hello, History, Leave, Ping, Say, Tell, Who
from charla.protocol.greeting import turn_away
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    DeliveryPending,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Left,
    Message,
    Refusal,
    Renamed,
    Said,
    Token,
    Told,
    Welcome,
    WhoPage,
)
from charla.protocol.native import NATIVE

Serve = Callable[..., RunningServer]
StartProgram = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]
Refused = Callable[..., subprocess.CompletedProcess[str]]


# --------------------------------------------------------------------------------------------------
# Servers and clients
# --------------------------------------------------------------------------------------------------


PASTE_MODE = re.compile(r"\x1b\[\?2004[hl]")  # what the console itself tells the terminal


@pytest.fixture
def server(serve: Serve) -> RunningServer:
    """Return the real server, in this process, without a rate limit."""
    return serve()


@pytest.fixture
def start(stack: ExitStack) -> Start:
    """Return what starts clients on terminals."""
    return Start(stack)


# --------------------------------------------------------------------------------------------------
# What is seen
# --------------------------------------------------------------------------------------------------


def test_the_welcome_tells_who_one_is_and_who_is_here(serve: Serve, connect: Connect, start: Start) -> None:
    server = serve(welcome="Clase 2B: sé amable")
    connect(server).join_plain("beto")
    ana = start(server)
    ana.wait_for_prompt("Nickname: ")
    ana.enter("ana")
    ana.wait_for_prompt("ana> ")
    assert [re.sub(r"^\d\d:\d\d ", "", row) for row in ana.all_rows()] == [
        "* Clase 2B: sé amable",
        "* You are ana. /help tells what you can type.",
        "      * 2 here: ana, beto",
        "ana>",
    ]


def test_joins_leaves_and_new_nicks_are_seen(server: RunningServer, connect: Connect, start: Start) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    beto.send("/nick berta\n")
    beto.send("/me saluda\n")
    beto.send("exit\n")
    ana.wait_for("berta left")
    ana.enter("/nick aina")
    ana.wait_for_prompt("aina> ")
    carla = connect(server)
    carla.expect("NICK")
    carla.send("HELLO 1 carla\n")
    ana.wait_for("carla joined")
    carla.close()
    ana.wait_for("carla left")
    ana.enter("/who")
    ana.wait_for("1 here: aina")
    ana.wait_for_prompt("aina> ")
    assert talk(ana) == [
        "* beto joined",
        "* beto is now berta",
        "~ berta saluda",
        "* berta left",
        "* you are now aina",
        "* carla joined",
        "* carla left (connection lost)",
        "      * 1 here: aina",
        "aina>",
    ]


def test_every_message_has_the_local_time(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake, TZ="XYZ-05:45")  # as in Nepal
    seat.tell(
        Said(2, AT, 0, "beto", "hola"),
        Acted(3, AT + 60_000, 0, "beto", "saluda"),
        Told(4, AT + 120_000, 0, "beto", "ana", "hola"),
        Joined(5, AT + 180_000, "carla"),
    )
    ana.wait_for("carla joined")
    ana.wait_for_prompt("ana> ")
    assert ana.all_rows()[-5:-1] == [
        "03:58 beto: hola",
        "03:59 ~ beto saluda",
        "04:00 beto -> you: hola",
        "04:01 * carla joined",
    ]


def test_private_messages_say_who_speaks_to_whom(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto, carla = (connect(server).join_plain(nick) for nick in ("beto", "carla"))
    beto.send("ana: un secreto\n")
    ana.wait_for("secreto")
    ana.enter("BETO:otro")
    ana.enter("/msg beto y otro: más")
    ana.enter("ana: nota")
    ana.enter("a todos")
    ana.wait_for("a todos")
    ana.wait_for_prompt("ana> ")
    assert talk(ana)[2:] == [
        "beto -> you: un secreto",
        "you -> beto: otro",
        "you -> beto: y otro: más",
        "you -> you: nota",
        "ana: a todos",
        "ana>",
    ]
    assert beto.until("a todos")[-3:] == [
        "[private] ana: otro",
        "[private] ana: y otro: más",
        "ana: a todos",
    ]
    carla.expect("ana: a todos")


def test_help_is_shown_without_asking_the_server(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/help")
    ana.wait_for("/me TEXT .*tell what you do")
    ana.enter("hola")
    assert seat.command() == Say("hola", 2)


def test_what_is_typed_goes_out_as_the_grammar_says(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    for line, command in {
        "  ¡hola!  ": Say("  ¡hola!  ", 1),
        "10:30 quedamos": Say("10:30 quedamos", 2),
        "/me saluda": Act("saluda", 3),
        "beto: hola": Tell("beto", "hola", 4),
        "/say beto: hola": Say("beto: hola", 5),
        "/who": Who(1, 6),
        "   ": None,
        "😀 ñandú 日本語 e\u0301": Say("😀 ñandú 日本語 e\u0301", 8),
    }.items():
        ana.enter(line)
        if command is not None:
            assert seat.command() == command


# --------------------------------------------------------------------------------------------------
# What is typed and what arrives are kept apart
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_a_message_that_arrives_leaves_what_is_being_typed_and_the_cursor_as_they_were(
    server: RunningServer, connect: Connect, start: Start, columns: int
) -> None:
    ana = start.ana(server, columns=columns)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    long = 3 * columns + 7  # over several rows
    number = 0
    for text in (
        "hola",
        ("El pingüino y la cigüeña de Logroño comían piñones. " * 30)[:long],
        ("日本語のテキスト、中文、한국어 " * 30)[: long // 2],
        ("¿Qué? 😀🎉🐧 ñ 漢字 " * 30)[: long // 2],
    ):
        for left in (0, 2, len(text) // 2):  # how far the cursor stands from the end
            number += 1
            middle = len(text) - left
            ana.type(text)
            if left:
                ana.key("left", left)
            ana.type("<")
            line = Line(f"{text[:middle]}<{text[middle:]}", middle + 1).laid_out("ana> ", columns)
            ana.wait_until(lambda: ana.input_area("ana>") == line, f"what was typed: {line}")  # noqa: B023
            beto.send(f"m{number}\n")
            ana.wait_until(lambda: ana.finds(rf"beto: m{number}$"), "the message")  # noqa: B023
            ana.wait_until(lambda: ana.input_area("ana>") == line, f"the input line as it was: {line}")  # noqa: B023
            # Not only the screen: what is typed next goes where the cursor is seen.
            ana.type(">")
            typed = f"{text[:middle]}<>{text[middle:]}"
            ana.wait_until(lambda: ana.typed("ana>") == blankless(typed), "what was typed on")  # noqa: B023
            ana.key("enter")
            beto.expect(f"ana: {typed}")
            ana.wait_for_prompt("ana> ")
    assert list(rows_of(ana.all_rows(), r"\d\d:\d\d beto: (m\d+)")) == [f"m{n}" for n in range(1, number + 1)]


def blankless(text: str) -> str:
    """Return `text` without its blanks."""
    return re.sub(r"\s", "", text)


def test_thirty_lines_are_typed_while_two_hundred_messages_a_second_arrive(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    carla = connect(server).join_plain("carla")
    ana.wait_for("carla joined")
    enough = threading.Event()
    sent: list[str] = []

    def chatter() -> None:
        while not enough.wait(0.005):  # 200 a second
            text = f"m{len(sent):04} {'x' * (len(sent) % 50)} fin"
            carla.send(f"{text}\n")
            sent.append(text)

    def newest(rows: list[str]) -> int:
        return max(map(int, rows_of(rows, r"\d\d:\d\d carla: m(\d{4}) x* fin")), default=-1)

    lines = []
    thread = threading.Thread(target=chatter)
    thread.start()
    try:
        for number in range(30):
            shown = ""
            for column, chunk in (  # where the cursor is moved to, and what is typed there
                (0, f"linea {number} "),
                (6, "ñandú "),
                (3, "日本"),
                (0, "¡"),
                (9, "de en medio"),
                (1, "😀"),
            ):
                ana.key("home")
                ana.key("right", column)
                for character in chunk:
                    ana.type(character)
                shown = shown[:column] + chunk + shown[column:]
                # At least one message has come after that: the line has been drawn again.
                latest = len(sent)
                ana.wait_until(lambda: newest(ana.rows()) >= latest, f"m{latest:04}")  # noqa: B023
                ana.wait_until(lambda: ana.typed("ana>") == blankless(shown), "what was typed")  # noqa: B023
            lines.append(shown)
            ana.key("enter")
            ana.wait_for(re.escape(f"ana: {shown.rstrip()}"))
    finally:
        enough.set()
        thread.join()
    carla.send("se acabó\n")
    ana.wait_for("carla: se acabó")
    ana.wait_for_prompt("ana> ")
    seen = beto.until("se acabó")
    assert seen.pop(0) == "* carla joined"
    assert [line.removeprefix("ana: ") for line in seen if line.startswith("ana: ")] == lines
    assert [line.removeprefix("carla: ") for line in seen if line.startswith("carla: ")][:-1] == sent
    assert talk(ana)[2:-1] == [line.rstrip() for line in seen]


def test_no_key_goes_unseen_because_a_signal_came_with_it(server: RunningServer, start: Start) -> None:
    ana = start.ana(server)
    enough = threading.Event()

    def storm() -> None:
        while not enough.is_set():
            ana.signal(signal.SIGUSR1)
            ana.signal(signal.SIGALRM)
            time.sleep(0.0002)  # the load: some thousands a second, and not all that two processors can do

    thread = threading.Thread(target=storm)
    thread.start()
    try:
        for _ in range(12):
            typed = ""
            for character in "ñandú " * 10:
                ana.type(character)
                typed += character
                ana.wait_until(lambda: ana.typed("ana>") == blankless(typed), f"{typed!r}")  # noqa: B023
            ana.key("erase all")
            ana.wait_for_prompt("ana> ")
    finally:
        enough.set()
        thread.join()


def test_lines_typed_ahead_are_not_lost_and_not_echoed_in_between(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.type("uno\rdos\rtres\r/me piensa\rcinco\ry medio")
    ana.wait_for_prompt("ana> ", "y medio")
    beto.expect("ana: uno", "ana: dos", "ana: tres", "~ ana piensa", "ana: cinco")
    assert talk(ana)[1:] == [
        "ana: uno",
        "ana: dos",
        "ana: tres",
        "~ ana piensa",
        "ana: cinco",
        "ana> y medio",
    ]


def test_what_is_typed_while_a_confirmation_is_waited_for_is_not_echoed_twice(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start.seated(fake)
    ana.type("uno\rdos\rtres\rcuatro a medias")
    ana.wait_for_prompt("ana (3 sending)> ", "cuatro a medias")
    assert talk(ana) == ["ana (3 sending)> cuatro a medias"]
    seat.tell(*(Said(tag + 1, AT, tag, "ana", text) for tag, text in enumerate(("uno", "dos", "tres"), 1)))
    ana.wait_for_prompt("ana> ", "cuatro a medias")
    assert talk(ana) == ["ana: uno", "ana: dos", "ana: tres", "ana> cuatro a medias"]


def test_a_hundred_lines_at_once_are_all_confirmed_and_the_prompt_is_plain_again(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server, rows=40)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    rows = ["* beto joined"]
    for hundred in range(3):
        lines = [f"línea {hundred}.{number}" for number in range(100)]
        ana.type("".join(f"{line}\r" for line in lines))
        beto.expect(*(f"ana: {line}" for line in lines))
        ana.wait_for(f"ana: {lines[-1]}$")
        ana.wait_for_prompt("ana> ")
        rows += [f"ana: {line}" for line in lines]
        assert talk(ana) == [*rows, "ana>"]


def test_the_prompt_changes_with_the_nick_while_something_is_typed(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/nick aina")
    ana.wait_for_prompt("ana (1 sending)> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana (1 sending)> ", "a medias")
    seat.tell(Renamed(2, AT, 1, "ana", "aina"))
    ana.wait_for_prompt("aina> ", "a medias")
    seat.tell(Renamed(3, AT, 0, "beto", "berta"))
    ana.wait_for("beto is now berta")
    ana.wait_for_prompt("aina> ", "a medias")
    assert talk(ana) == ["* you are now aina", "* beto is now berta", "aina> a medias"]


def test_after_a_resize_messages_are_wrapped_at_the_new_width(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    ana.resize(columns=30, rows=24)
    seat.tell(Said(2, AT, 0, "beto", "una línea que ya no cabe en la pantalla"))
    ana.wait_for("pantalla")
    ana.wait_for_prompt("ana> ", "a medias")
    assert talk(ana) == [
        "beto: una línea que ya",
        "            no cabe en la",
        "            pantalla",
        "ana> a medias",
    ]


def test_a_word_that_leaves_also_leaves_at_the_question_for_a_nick(
    server: RunningServer, start: Start
) -> None:
    for word in ("exit", "SALIR", "/quit"):
        nobody = start(server)
        nobody.wait_for_prompt("Nickname: ")
        nobody.enter(word)
        assert nobody.status() == 0


def test_a_block_that_is_pasted_is_one_message_and_typed_on_meanwhile(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server)
    beto.join_native("beto")
    ana.wait_for("beto joined")
    ana.type("\x1b[200~def f(x):\r    return x\r\rf(1)\x1b[201~")
    ana.wait_for(r"^f\(1\)")
    beto.ask(Say("entretanto", 1))
    ana.wait_for("beto: entretanto")
    ana.type("  # tres\r")
    while not isinstance(message := beto.message(), Said) or message.nick != "ana":
        pass
    assert message.text == "def f(x):\n    return x\n\nf(1)  # tres"
    ana.wait_for_prompt("ana> ")
    assert [row for row in ana.all_rows() if "return x" in row] == [" " * 15 + "return x"]
    ana.enter("/exit")
    assert ana.status() == 0
    assert ana.printed.count(b"\x1b[?2004h") == ana.printed.count(b"\x1b[?2004l") == 1


def test_ctrl_z_gives_the_terminal_back_and_the_line_goes_on_afterwards(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.wait_for_prompt("ana> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    ana.suspend()
    beto.send("entretanto\n")
    beto.send("/who\n")
    beto.until("2 here")
    ana.signal(signal.SIGCONT)
    ana.wait_for("entretanto")
    ana.type(" y sigo")
    ana.wait_for_prompt("ana> ", "a medias y sigo")
    assert ana.is_raw()
    ana.key("enter")
    beto.expect("ana: a medias y sigo")
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == ["* beto joined", "beto: entretanto", "ana: a medias y sigo", "ana>"]
    ana.key("Ctrl+D")
    assert ana.status() == 0


def test_ctrl_z_while_much_is_printed_cuts_nothing(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    texts = [f"m{number:04} {'x' * 40}" for number in range(1000)]
    for number in range(0, len(texts), 20):  # the test reads nothing while it waits
        seat.tell(*(Said(n + 2, AT, 0, "beto", texts[n]) for n in range(number, number + 20)))
        ana.wait_for(f"beto: m{number:04}")
        ana.suspend()
        ana.signal(signal.SIGCONT)
    ana.wait_for("m0999 x+$")
    ana.wait_for_prompt("ana> ")
    assert talk(ana)[:-1] == [f"beto: {text}" for text in texts]


# --------------------------------------------------------------------------------------------------
# What was said, and whether it was heard
# --------------------------------------------------------------------------------------------------


def test_an_own_message_appears_once_and_only_when_the_room_has_confirmed_it(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("hola a todos")
    assert seat.command() == Say("hola a todos", 1)
    ana.wait_for_prompt("ana (1 sending)> ")
    assert not ana.finds("hola a todos")
    seat.tell(Said(2, AT, 0, "beto", "antes"))
    ana.wait_for("antes")
    ana.wait_for_prompt("ana (1 sending)> ")
    assert not ana.finds("hola a todos")
    ana.enter("beto: y tú")
    ana.wait_for_prompt("ana (2 sending)> ")
    seat.tell(Said(3, AT, 1, "ana", "hola a todos"))
    ana.wait_for_prompt("ana (1 sending)> ")
    seat.tell(Told(4, AT, 2, "ana", "beto", "y tú"))
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == ["beto: antes", "ana: hola a todos", "you -> beto: y tú", "ana>"]


def test_the_prompt_does_not_flicker_when_the_confirmation_comes_soon(
    server: RunningServer, start: Start
) -> None:
    patient = (
        "import sys; from charla.client.chat import chat; "
        "from charla.client import app as client; chat.CONFIRM_TIME = 10; "
        "sys.exit(client.main())"
    )
    ana = start(server, "--nick", "ana", program=("-c", patient))
    ana.wait_for_prompt("ana> ")
    for number in range(20):
        ana.enter(f"línea {number}")
    ana.wait_for("ana: línea 19")
    ana.wait_for_prompt("ana> ")
    assert b"unsent" not in ana.printed


def test_what_was_refused_is_shown_with_what_was_typed(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.enter("bteo: es un secreto")
    ana.wait_for("It was: bteo: es un secreto")
    ana.wait_for_prompt("ana> ")
    assert ana.finds("Nobody here is called 'bteo', so nothing was sent")
    ana.enter("/nick beto")
    ana.wait_for("It was: /nick beto")
    assert ana.finds("'beto' is taken")
    ana.wait_for_prompt("ana> ")
    ana.enter("sigo aquí")
    beto.expect("ana: sigo aquí")


def test_what_the_client_itself_refuses_is_shown_with_what_was_typed(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.enter("/sya hola")
    ana.wait_for("There is no command /sya, so nothing was sent")
    ana.wait_for("It was: /sya hola")
    ana.enter("beto:")
    ana.wait_for("no text for 'beto'")
    ana.enter("sigo")
    command = seat.command()
    assert isinstance(command, Say)
    assert command.text == "sigo"


def test_a_nick_that_is_refused_is_asked_for_again_with_the_reason(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    connect(server).join_plain("beto")
    ana = start(server, "--nick", "BETO")
    ana.wait_for("'BETO' is taken: choose another nickname.")
    ana.wait_for_prompt("Nickname: ")
    ana.enter("a b")
    ana.wait_for("A nickname has no spaces")
    ana.wait_for_prompt("Nickname: ")
    ana.enter("")
    ana.wait_for("A nickname is needed")
    ana.wait_for_prompt("Nickname: ")
    ana.enter("  Ana  ")
    ana.wait_for_prompt("Ana> ")
    ana.key("Ctrl+D")
    assert ana.status() == 0


# --------------------------------------------------------------------------------------------------
# How it ends: `status` checks each time that the terminal has been restored
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["/exit\r", "exit\r", "SALIR\r", "\x03", "\x04", "a medias\x03"], ids=repr)
def test_leaving_on_purpose_is_status_0(
    server: RunningServer, connect: Connect, start: Start, leave: str
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    assert ana.is_raw()
    ana.type(leave)
    assert ana.status() == 0
    beto.expect("* ana left")


def test_ctrl_c_right_behind_a_line_does_not_lose_it(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.enter("hola")
    beto.expect("ana: hola")  # it may still wait for the confirmation
    ana.key("Ctrl+C")
    assert ana.status() == 0
    beto.expect("* ana left")
    assert ana.finds("ana: hola")


# Runs the client and then reads a line, as the shell does that started it.
SHELL = (
    "import subprocess, sys;"
    "print('ended', subprocess.call([sys.executable, 'client.py', *sys.argv[1:]]), flush=True);"
    "print('read', sys.stdin.readline())"
)


def test_what_is_typed_behind_the_last_line_does_not_go_to_the_shell(
    server: RunningServer, start: Start
) -> None:
    ana = start(server, "--nick", "ana", program=("-c", SHELL))
    ana.wait_for_prompt("ana> ")
    ana.type("exit\rrm -r *\r")
    ana.wait_for("^ended 0")
    ana.type("ls\r")
    ana.wait_for("^read ls")
    assert ana.status() == 0


def test_what_stood_in_the_input_line_is_left_whole_on_the_screen(
    server: RunningServer, start: Start
) -> None:
    ana = start.ana(server)
    text = " ".join(f"palabra{number}" for number in range(30))
    ana.type(text)
    ana.wait_until(lambda: ana.typed("ana>") == blankless(text), "what was typed")
    ana.key("home")
    ana.wait_until(lambda: ana.input_area("ana>")[1] == (0, 5), "the cursor at the beginning")
    ana.key("Ctrl+C")
    assert ana.status() == 0
    assert ana.typed("ana>") == blankless(text)
    assert ana.cursor == (len(ana.all_rows()), 0), "the shell's prompt would not be on a row of its own"


def test_leaving_waits_until_what_was_said_is_confirmed(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    ana.type("hola\rexit\r")
    assert [seat.command(), seat.command()] == [Say("hola", 1), Leave()]
    ana.wait_for("Waiting until what you said is sent. Ctrl\\+C: leave now.")
    seat.tell(Said(2, AT, 1, "ana", "hola"), Goodbye("left"))
    assert ana.status() == 0
    assert ana.finds("ana: hola")


def test_a_second_ctrl_c_does_not_wait_and_tells_what_is_not_confirmed(
    fake: FakeServer, start: Start
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("hola")
    ana.wait_for_prompt("ana (1 sending)> ")
    ana.key("Ctrl+C")
    ana.wait_for("Ctrl\\+C: leave now")
    ana.key("Ctrl+C")
    assert ana.status() == 1
    assert ana.finds("Left without waiting")
    assert ana.finds("Not confirmed, so perhaps not sent \\(1\\):")
    assert ana.finds("^ +!     hola$")
    assert not ana.finds("connection to the server")
    seat.close()


@pytest.mark.parametrize("moment", ["Nickname: ", "ana> "])
def test_ctrl_c_is_status_0_while_the_nick_is_asked_for_too(
    server: RunningServer, start: Start, moment: str
) -> None:
    ana = start(server, *(() if moment == "Nickname: " else ("--nick", "ana")))
    ana.wait_for_prompt(moment)
    ana.key("Ctrl+C")
    assert ana.status() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_client_restores_the_terminal(
    server: RunningServer, connect: Connect, start: Start, number: signal.Signals
) -> None:
    ana = start.ana(server)
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    assert ana.is_raw()
    ana.signal(number)
    assert ana.status() == 0
    beto.expect("* ana left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_come_together_end_the_client_in_order(
    server: RunningServer, start: Start, number: signal.Signals
) -> None:
    ana = start.ana(server)
    # While it is stopped they wait for it: the one that ends it, and those by which it wakes itself.
    for each in (signal.SIGSTOP, number, signal.SIGUSR1, signal.SIGALRM, signal.SIGCONT):
        ana.signal(each)
    assert ana.status() == 0
    assert not ana.finds("Traceback|Error")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (signal.SIGTERM, "The server is closing. Goodbye!"),
        (signal.SIGKILL, "The connection to the server is lost."),
    ],
    ids=["SIGTERM", "SIGKILL"],
)
def test_a_server_that_ends_is_status_1_and_what_was_being_typed_is_shown(
    start_program: StartProgram, start: Start, end: signal.Signals, words: str
) -> None:
    server = start_program()
    ana = start(server, "--nick", "ana", "--no-reconnect", columns=100)
    ana.wait_for_prompt("ana> ")
    ana.type("un mensaje a medias que ocupa dos filas, " * 3)
    ana.key("left", 50)
    ana.type("<")
    ana.wait_until(lambda: "<" in ana.typed("ana>"), "what was typed")
    server.process.send_signal(end)
    assert ana.status() == 1
    assert "ana>" not in "".join(ana.all_rows()), "the input line was not taken off the screen"
    notices = ana.all_rows()[3:]
    assert all(re.match(r" {6}[*!] | {8}", row) for row in notices)
    words_at_the_end = " ".join(row[8:] for row in notices)
    assert words_at_the_end.startswith("You were typing: un mensaje a medias")
    assert "<" in words_at_the_end
    assert words_at_the_end.endswith(words)


@pytest.mark.parametrize("how", ["goodbye", "end", "reset"])
def test_what_was_not_confirmed_is_listed_when_the_connection_is_lost(
    fake: FakeServer, start: Start, how: str
) -> None:
    ana, seat = start.seated(fake)
    ana.enter("uno")
    ana.enter("beto: dos")
    ana.enter("tres")
    ana.wait_for_prompt("ana (3 sending)> ")
    assert [seat.command() for _ in range(3)] == [Say("uno", 1), Tell("beto", "dos", 2), Say("tres", 3)]
    seat.tell(Said(2, AT, 1, "ana", "uno"))
    ana.wait_for_prompt("ana (2 sending)> ")
    if how == "goodbye":
        seat.tell(Goodbye("closing"))
    if how == "reset":
        seat.reset()
    seat.close()
    assert ana.status() == 1
    assert talk(ana) == [
        "ana: uno",
        "      ! Not confirmed, so perhaps not sent (2):",
        "      !     beto: dos",
        "      !     tres",
        "      ! The server is closing. Goodbye!"
        if how == "goodbye"
        else "      ! The connection to the server is lost.",
    ]


def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(fake: FakeServer, start: Start) -> None:
    impatient = (
        "import sys; from charla.client import app as client; "
        "from charla.client.chat import participant; participant.ANSWER_TIME = 0.3; "
        "sys.exit(client.main())"
    )
    ana, seat = start.seated(fake, program=("-c", impatient))  # type: ignore[arg-type]
    ana.enter("exit")
    assert ana.status() == 0
    assert ana.finds("The server does not answer any more.")
    seat.close()


# --------------------------------------------------------------------------------------------------
# A connection that is lost, and comes back
# --------------------------------------------------------------------------------------------------


def lost(start: Start, fake: FakeServer, *options: str, **environment: str) -> tuple[Terminal, Seat]:
    """Start a client in a session; take the server away from it, and what was sent to that."""
    terminal = start(fake, "--nick", "ana", *options, **environment)  # type: ignore[arg-type]
    with fake.accept() as seat:
        seat.let_in(token="tok")
        terminal.wait_for_prompt("ana> ")
        fake.close()
    terminal.wait_for_prompt("ana (reconnecting)> ")
    return terminal, seat


def test_what_is_being_typed_stays_while_the_connection_is_lost_and_got_back(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana", columns=100)
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.type("a medias")
        ana.key("left", 3)
        ana.wait_until(lambda: ana.input_area("ana>")[1] == (0, 10), "the cursor in the text")
        fake.close()
    ana.wait_until(
        lambda: ana.rows()[ana.cursor[0]] == "ana (reconnecting)> a medias", "the prompt that tells"
    )
    ana.type("<")
    ana.wait_until(lambda: ana.rows()[ana.cursor[0]] == "ana (reconnecting)> a med<ias", "what was typed")
    ana.key("enter")
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ")
    ana.type("y más")
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ", "y más")
    fake.listen()
    with fake.accept() as seat:
        seat.resume(1, Said(2, AT, 0, "beto", "entretanto"))
        assert seat.command() == Say("a med<ias", 1)
        ana.wait_for_prompt("ana (1 sending)> ", "y más")
        seat.tell(Said(3, AT, 1, "ana", "a med<ias"))
        ana.wait_for_prompt("ana> ", "y más")
    assert [re.sub(r"after \d+ s", "after N s", row) for row in talk(ana)][:4] == [
        "      * The connection is lost: trying to get it back. You can go on typing.",
        "beto: entretanto",
        "      * Back after N s: 1 message came meanwhile.",
        "ana: a med<ias",
    ]


def test_a_connection_that_is_back_at_once_makes_no_noise(fake: FakeServer, start: Start) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.type("a medias")
        ana.wait_for_prompt("ana> ", "a medias")
    with fake.accept() as seat:
        seat.resume(1, Said(2, AT, 0, "beto", "uno"))
        seat.tell(Said(3, AT, 0, "beto", "dos"))
        ana.wait_for("dos")
        ana.wait_for_prompt("ana> ", "a medias")
        assert talk(ana) == ["beto: uno", "beto: dos", "ana> a medias"]
    assert b"reconnecting" not in ana.printed.partition(b"dos")[0]


def test_what_is_missing_is_told_even_when_the_connection_is_back_at_once(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana", columns=120)
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
    with fake.accept() as seat:
        seat.resume(1, Said(9, AT, 0, "beto", "uno"), lost=7)
        ana.wait_for(
            "Back after 0 s: 1 message came meanwhile. 7 things that happened meanwhile are missing here"
        )


def test_a_seat_that_was_not_kept_is_told_and_what_was_sent_is_in_doubt(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana", columns=120)
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.enter("uno")
        assert seat.command() == Say("uno", 1)
        ana.wait_for_prompt("ana (1 sending)> ")
        fake.close()
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ")
    ana.enter("dos")
    ana.wait_for_prompt("ana (reconnecting, 2 unsent)> ")
    fake.listen()
    with fake.accept() as seat:
        seat.send("NICK\n")
        assert seat.command() == Hello("ana", "tok", 1)
        seat.tell(Refusal(0, "no-session"))
        assert seat.command() == Hello("ana", NEW_SESSION)
        seat.tell(Welcome(1, AT, "ana", 1), Token("tok2", 60), WhoPage(0, 1, 1, 1, ("ana",)))
        assert seat.command() == Say("dos", 2)
        seat.tell(Said(2, AT, 2, "ana", "dos"))
        ana.wait_for("ana: dos")
        ana.wait_for_prompt("ana> ")
        ana.enter("exit")
        assert seat.command() == Leave()
        seat.tell(Goodbye("left"))
        assert ana.status() == 0, "what was in doubt has been told"
    assert ana.finds("! Not confirmed, so perhaps not sent \\(1\\):")
    assert ana.finds("!     uno$")
    assert ana.finds("\\* The server did not keep your seat: after \\d+ s you joined again, as ana.")


def test_a_nick_that_was_taken_meanwhile_is_status_4(fake: FakeServer, start: Start) -> None:
    ana, _ = lost(start, fake)
    ana.enter("uno")
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ")
    fake.listen()
    with fake.accept() as seat:
        seat.send("NICK\n")
        seat.tell(Refusal(0, "no-session"), Refusal(0, "nick-taken", ("ana",)))
        assert ana.status() == 4
    assert ana.finds("The server did not keep your seat, and you could not join again.")
    assert ana.finds("'ana' is taken")
    assert ana.finds("!     uno$")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("replaced", "Your seat was taken over by a newer connection of yours."),
        ("closing", "The server is closing. Goodbye!"),
    ],
)
def test_a_goodbye_that_is_meant_ends_the_client_in_a_session_too(
    fake: FakeServer, start: Start, reason: str, words: str
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.type("a medias")
        ana.wait_for_prompt("ana> ", "a medias")
        seat.tell(Goodbye(reason))
        assert ana.status() == 1
    assert talk(ana) == ["      * You were typing: a medias", f"      ! {words}"]


def test_a_server_that_does_not_answer_a_ping_is_left_for_a_new_connection(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana", "--ping-after", "0.05", "--dead-after", "0.1")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        assert seat.command() == Ping(1)
        with fake.accept() as other:
            other.resume(1, Said(2, AT, 0, "beto", "hola"))
            ana.wait_for("beto: hola")  # then this one, where nobody answers a ping either, is left too


def test_without_reconnecting_a_lost_connection_is_status_1(fake: FakeServer, start: Start) -> None:
    ana = start(fake, "--nick", "ana", "--no-reconnect")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.enter("uno")
        ana.wait_for_prompt("ana (1 sending)> ")
    assert ana.status() == 1
    assert talk(ana) == [
        "      ! Not confirmed, so perhaps not sent (1):",
        "      !     uno",
        "      ! The connection to the server is lost.",
    ]


def test_leaving_while_the_connection_is_lost_is_status_0_when_all_is_sent(
    fake: FakeServer, start: Start
) -> None:
    ana, _ = lost(start, fake)
    ana.key("Ctrl+C")
    assert ana.status() == 0
    assert ana.finds("The server does not know that you left: it keeps your seat for a while")


def test_leaving_while_the_connection_is_lost_waits_with_what_is_unsent(
    fake: FakeServer, start: Start
) -> None:
    ana, _ = lost(start, fake)
    ana.enter("uno")
    ana.enter("exit")
    ana.wait_for("Waiting until the connection is back. Ctrl\\+C: leave now.")
    fake.listen()
    with fake.accept() as seat:
        seat.resume(1)
        assert [seat.command(), seat.command()] == [Say("uno", 1), Leave()]
        seat.tell(Said(2, AT, 1, "ana", "uno"), Goodbye("left"))
        assert ana.status() == 0
    assert ana.finds("ana: uno")


def test_a_second_ctrl_c_ends_the_wait_for_the_connection(fake: FakeServer, start: Start) -> None:
    ana, _ = lost(start, fake)
    ana.enter("uno")
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ")
    ana.key("Ctrl+C")
    ana.wait_for("Ctrl\\+C: leave now")
    ana.key("Ctrl+C")
    assert ana.status() == 1
    assert ana.finds("Not confirmed, so perhaps not sent \\(1\\):")
    assert ana.finds("Left without waiting")


def test_what_was_done_before_is_shown_though_the_server_has_no_event_of_it(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.enter("uno")
        assert seat.command() == Say("uno", 1)
    with fake.accept() as seat:
        seat.resume(1)
        assert seat.command() == Say("uno", 1)
        seat.tell(AlreadyDone(1))
        ana.wait_for("\\* It was sent: uno$")
        ana.wait_for_prompt("ana> ")


def test_what_was_said_before_is_shown_first_and_the_welcome_beside_the_prompt(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.send("NICK\n")
        seat.tell(
            Welcome(9, AT, "ana", 2),
            Token("tok", 60),
            HistoryHeader(0, 2),
            HistoryEntry(Said(4, AT, 0, "beto", "uno")),
            HistoryEntry(Acted(6, AT, 0, "eva", "saluda")),
            WhoPage(0, 1, 1, 2, ("ana", "beto")),
        )
        ana.wait_for_prompt("ana> ")
        assert ana.all_rows() == [
            "      * What was said before, the last 2 messages:",
            "[14 Nov 2023 22:13] beto: uno",
            "[14 Nov 2023 22:13] ~ eva saluda",
            "22:13 * Welcome to Charla.",
            "22:13 * You are ana. /help tells what you can type.",
            "      * 2 here: ana, beto",
            "ana>",
        ]


def test_history_shows_what_was_said_before_and_is_no_message_that_waits(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
        ana.enter("/history 2")
        assert seat.command() == History(2, 1)
        ana.wait_for_prompt("ana> ")
        seat.tell(HistoryHeader(1, 1), HistoryEntry(Said(1, AT, 0, "beto", "uno")))
        ana.wait_for("uno")
        ana.wait_for_prompt("ana> ")
        assert b"unsent" not in ana.printed
        assert talk(ana) == [
            "      * What was said before, the last message:",
            "[14 Nov 2023 22:13] beto: uno",
            "ana>",
        ]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_real_server_is_started_again_and_everybody_has_everything_once(
    start_program: StartProgram, start: Start, tmp_path: Path, end: signal.Signals
) -> None:
    options = ("--rate-limit", "0", "--db", str(tmp_path / "charla.db"))
    server = start_program(*options)
    ana, beto = (start(server, "--nick", nick, columns=120) for nick in ("ana", "beto"))
    beto.wait_for_prompt("beto> ")
    ana.wait_for_prompt("ana> ")
    ana.enter("uno")
    beto.wait_for("ana: uno")
    ana.wait_for("ana: uno")
    server.process.send_signal(end)
    server.status()
    for each, nick in ((ana, "ana"), (beto, "beto")):
        each.wait_for_prompt(f"{nick} (reconnecting)> ")
    ana.enter("dos")
    beto.enter("ana: tres")
    ana.wait_for_prompt("ana (reconnecting, 1 unsent)> ")
    start_program(*options, "--port", server.port)
    for each, nick in ((ana, "ana"), (beto, "beto")):
        each.wait_for("ana: dos")
        each.wait_for("beto -> you: tres" if each is ana else "you -> ana: tres")
        each.wait_for_prompt(f"{nick}> ")
        for text in ("uno", "dos", "tres"):
            assert len(each.finds(rf": {text}$")) == 1
        each.enter("exit")
        assert each.status() == 0


def test_whoever_was_stopped_for_long_comes_back_to_everything_that_was_said(
    serve: Serve, connect: Connect, start: Start
) -> None:
    server = serve(ping_after=0.1, dead_after=0.2)
    ana = start(server, "--nick", "ana", columns=120)
    ana.wait_for_prompt("ana> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    beto = connect(server)
    beto.join_native("beto")
    ana.wait_for("beto joined")
    ana.suspend()
    tags = itertools.count(1)
    told: list[str] = []

    def waits() -> bool:
        """Tell ana something; say whether the server says that her connection is down."""
        told.append(f"m{len(told)}")
        beto.ask(Tell("ana", told[-1], next(tags)))
        beto.ask(Who(1, next(tags)))
        answers: list[Message] = []
        while not (answers and isinstance(answers[-1], WhoPage)):
            answers.append(beto.message())
        return any(isinstance(answer, DeliveryPending) for answer in answers)

    eventually(waits, "that her connection is down")
    ana.signal(signal.SIGCONT)
    ana.wait_for(f"beto -> you: {told[-1]}$")
    ana.wait_for_prompt("ana> ", "a medias")
    assert list(rows_of(ana.all_rows(), r"\d\d:\d\d beto -> you: (m\d+)")) == told
    ana.key("Ctrl+C")
    assert ana.status() == 0


def test_in_a_pipe_a_server_that_restarts_is_waited_for(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack)
    assert process.stdin is not None
    with fake.accept() as seat:
        seat.let_in("bot", token="tok")
        process.stdin.write(b"uno\ndos\n")
        process.stdin.close()
        process.stdin = None  # for `communicate`
        assert [seat.command() for _ in range(3)] == [Say("uno", 1), Say("dos", 2), Leave()]
        seat.tell(Said(2, AT, 1, "bot", "uno"))
        fake.close()
        seat.tell(Goodbye("restart"))
    assert process.stderr is not None
    assert process.stderr.readline().decode() == (
        "charla: The server is closing, and keeps your seat for when it is back.\n"
    )
    fake.listen()
    with fake.accept() as seat:
        seat.resume(2, nick="bot")
        assert [seat.command(), seat.command()] == [Say("dos", 2), Leave()]
        seat.tell(Said(3, AT, 2, "bot", "dos"), Goodbye("left"))
        output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert re.fullmatch(r"charla: Back after \d+ s: nothing was said meanwhile\.\n", errors.decode())
    assert output.decode().splitlines()[-2:] == ["22:13 bot: uno", "22:13 bot: dos"]


def test_in_a_pipe_it_is_given_up_after_a_while(fake: FakeServer, stack: ExitStack) -> None:
    impatient = (
        "import sys; from charla.client import app as client; "
        "from charla.client.script import script; script.GIVE_UP_AFTER = 0.1; "
        "sys.exit(client.main())"
    )
    process = start_piped(fake, stack, program=("-c", impatient))
    assert process.stdin is not None
    with fake.accept() as seat:
        seat.let_in("bot", token="tok")
        process.stdin.write(b"uno\n")
        process.stdin.flush()
        assert seat.command() == Say("uno", 1)
        fake.close()
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert errors.decode().splitlines() == [
        "charla: The connection is lost: trying to get it back.",
        "charla: Not confirmed, so perhaps not sent (1):",
        "charla:     uno",
        "charla: The connection to the server is lost: 0 minutes of trying did not get it back.",
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--ping-after", "0"), "'0' is not a time: give a number of seconds above 0"),
        (("--dead-after", "pronto"), "'pronto' is not a time"),
        (("--dead-after", "inf"), "'inf' is not a time"),
        (("--dead-after=-1",), "'-1' is not a time"),
        (("--dead-after", "nan"), "'nan' is not a time"),
        (("--ping-after", "5", "--dead-after", "5"), "--dead-after must be more than --ping-after"),
        (("--ping-after", "100"), "--dead-after must be more than --ping-after"),
    ],
    ids=str,
)
def test_times_that_are_none_are_status_2(refused: Refused, options: tuple[str, ...], words: str) -> None:
    done = refused("client.py", "--nick", "bot", *options)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("port", ["0", "65536", "-1", "nueve", "９０００", "9" * 5000, ""])
def test_a_port_that_is_none_is_status_2(refused: Refused, port: str) -> None:
    done = refused("client.py", "--nick", "bot", f"--port={port}")
    assert done.returncode == 2
    assert "is not a port: give a number from 1 to 65535" in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_at_the_other_end_of_the_pipe_is_a_sentence(server: RunningServer) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "client.py", "--port", str(server.address[1]), "--nick", "bot"],
            cwd=ROOT,
            input="hola\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
        )
    assert done.returncode == 1
    assert done.stderr == "charla: The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("options", [("--password", "hush-hush"), ("--password=hush-hush",)], ids=str)
def test_a_password_as_an_argument_is_status_2_and_not_repeated(
    refused: Refused, options: tuple[str, ...]
) -> None:
    done = refused("client.py", "--nick", "bot", *options)
    assert done.returncode == 2
    assert "a password is never an argument" in done.stderr
    assert "hush" not in done.stderr


def test_without_a_nick_in_a_pipe_is_status_2() -> None:
    done = run()
    assert done.returncode == 2
    assert done.stderr == "charla: give a nickname with --nick: standard input is not a terminal\n"


def test_wrong_options_are_status_2_on_a_terminal_too(fake: FakeServer, start: Start) -> None:
    terminal = start(fake, "--color", "sometimes")
    assert terminal.status() == 2
    assert terminal.finds("'sometimes' is not possible")


def test_no_server_at_the_port_is_status_3(fake: FakeServer, start: Start) -> None:
    fake.close()
    ana = start(fake, "--nick", "ana")
    assert ana.status() == 3
    assert ana.finds(f"No server answers at 127.0.0.1, port {fake.port}: start one there")


def test_a_host_that_is_not_found_is_status_3(fake: FakeServer, start: Start) -> None:
    ana = start(fake, "--nick", "ana", "--host", "x" * 64)  # longer than any label: no resolver is asked
    assert ana.status() == 3
    assert ana.finds("No machine is called 'xxx")


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "speaks another language"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks another language"),
        (b"\xff\xfe\x1b]0;evil\x07\n", "speaks another language"),
        (b"x" * 100_000, "closed the connection"),
        (b"", "closed the connection"),
    ],
    ids=["ssh", "http", "bytes", "endless line", "nothing"],
)
def test_what_is_not_a_charla_server_is_status_3(
    fake: FakeServer, start: Start, greeting: bytes, words: str
) -> None:
    ana = start(fake, "--nick", "ana", columns=120)
    with fake.accept() as seat:
        seat.send(greeting)
        seat.sock.shutdown(socket.SHUT_WR)
        assert ana.status() == 3
    assert ana.finds(f"That is not a Charla server: it {words}. Look at --host and --port.")
    assert b"evil" not in ana.printed


def test_a_server_that_says_nothing_at_all_is_status_3(fake: FakeServer, start: Start) -> None:
    impatient = (
        "import sys; from charla.client import app as client; "
        "from charla.client.network import connect as route; route.CONNECT_TIME = 0.2; "
        "sys.exit(client.main())"
    )
    ana = start(fake, "--nick", "ana", program=("-c", impatient))
    assert ana.status() == 3
    assert ana.finds("but says nothing")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "?"), "No machine is called 'far'"),
        (TimeoutError(), "Nothing answers at far, port 9"),
        (OSError(113, "No route to host"), "far, port 9 cannot be reached: No route to host."),
    ],
    ids=["name", "silence", "route"],
)
def test_what_the_network_says_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(link.Connector, "dial", fail)
    options = client_options.parse_options(["--host", "far", "--port", "9", "--nick", "ana"])
    with pytest.raises(Fatal, match=re.escape(words)) as fatal:
        app.talk(options, PipeConsole())
    assert fatal.value.status == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("90",), "for another 1 min 30 s."),
        (("9" * 5000,), f"for another {'9' * 5000}."),
        (("٣",), "for another ٣."),
        ((), "muted"),
    ],
    ids=["seconds", "too many digits", "other digits", "none"],
)
def test_a_number_of_seconds_that_is_none_is_shown_as_it_stands(
    arguments: tuple[str, ...], words: str
) -> None:
    assert words in sentences.sentence("muted", arguments)


def test_a_server_that_is_full_when_the_connection_is_got_back_is_told(
    fake: FakeServer, start: Start
) -> None:
    ana = start(fake, "--nick", "ana", columns=120)
    with fake.accept() as seat:
        seat.let_in(token="tok")
        ana.wait_for_prompt("ana> ")
    with fake.accept() as seat:
        seat.send(turn_away("full", "5"))
        ana.wait_for("The server does not let you in yet: The room is full")
        ana.wait_for_prompt("ana (reconnecting)> ")
    with fake.accept() as seat:
        seat.resume(1)
        ana.wait_for("Back after")
        ana.wait_for_prompt("ana> ")


def test_a_full_server_is_status_4(serve: Serve, connect: Connect, start: Start) -> None:
    server = serve(max_clients=1)
    connect(server).join_plain("beto")
    ana = start(server, "--nick", "ana")
    assert ana.status() == 4
    assert ana.finds("charla: The room is full \\(1\\): try again later.")


def test_a_nick_refused_in_a_pipe_is_status_4(server: RunningServer, connect: Connect) -> None:
    connect(server).join_plain("bot")
    done = run("--port", server.port, "--nick", "bot", text=b"hola\n")
    assert done.returncode == 4
    assert (done.stdout, done.stderr) == ("", "charla: 'bot' is taken: choose another nickname.\n")
    done = run("--port", server.port, "--nick", "b\x1b[1mt", text=b"hola\n")
    assert done.returncode == 4
    assert done.stderr.startswith("charla: A nickname cannot have the character U+001B")


# --------------------------------------------------------------------------------------------------
# In a pipe
# --------------------------------------------------------------------------------------------------


def in_a_pipe(server: RunningServer, text: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    return run("--port", server.port, "--nick", "bot", *options, text=text, TZ="UTC")


def test_a_line_from_a_pipe_is_said_and_confirmed_and_status_0(
    server: RunningServer, connect: Connect
) -> None:
    beto = connect(server).join_plain("beto")
    done = in_a_pipe(server, b"hola\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.sub(r"(?m)^\d\d:\d\d ", "", done.stdout) == (
        "* Welcome to Charla.\n"
        "* You are bot. /help tells what you can type.\n"
        "      * 2 here: beto, bot\n"
        "bot: hola\n"
    )
    beto.expect("* bot joined", "bot: hola", "* bot left")


def test_in_a_pipe_nothing_is_over_before_it_is_confirmed(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack)
    seat = stack.enter_context(fake.accept())
    seat.let_in("bot")
    assert process.stdin is not None
    process.stdin.write(b"hola\nadi\xc3\xb3s\n")
    process.stdin.close()
    process.stdin = None  # for `communicate`
    assert [seat.command(), seat.command(), seat.command()] == [Say("hola", 1), Say("adiós", 2), Leave()]
    seat.tell(Said(2, AT, 1, "bot", "hola"))
    seat.close()
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert errors.decode() == (
        "charla: Not confirmed, so perhaps not sent (1):\n"
        "charla:     adiós\n"
        "charla: The connection to the server is lost.\n"
    )


def test_of_a_pipe_only_so_much_is_sent_unconfirmed(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack)
    assert process.stdin is not None
    process.stdin.write(b"".join(b"%d\n" % number for number in range(script.PIPE_WINDOW + 2)))
    process.stdin.close()
    process.stdin = None  # for `communicate`
    seat = stack.enter_context(fake.accept())
    seat.let_in("bot")
    for number in range(script.PIPE_WINDOW):
        assert seat.command() == Say(str(number), number + 1)
    seat.silent()
    seat.tell(Said(2, AT, 1, "bot", "0"))
    assert seat.command() == Say(str(script.PIPE_WINDOW), script.PIPE_WINDOW + 1)
    seat.tell(Said(3, AT, 2, "bot", "1"))
    assert seat.command() == Say(str(script.PIPE_WINDOW + 1), script.PIPE_WINDOW + 2)
    seat.tell(*(Said(n, AT, n, "bot", str(n - 1)) for n in range(3, script.PIPE_WINDOW + 3)))
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, b"")


def test_the_last_line_of_a_pipe_needs_no_newline(server: RunningServer, connect: Connect) -> None:
    beto = connect(server).join_plain("beto")
    assert in_a_pipe(server, b"uno\r\n\ndos").returncode == 0
    beto.expect("* bot joined", "bot: uno", "bot: dos", "* bot left")


def test_in_a_pipe_only_what_is_said_from_now_on_is_shown(server: RunningServer, connect: Connect) -> None:
    beto = connect(server).join_plain("beto")
    beto.send("antes\n/who\n")
    beto.until(r"^\* 1 here")
    done = in_a_pipe(server, b"uno\n")
    assert "bot: uno" in done.stdout
    assert "antes" not in done.stdout


def test_a_line_that_is_not_utf8_is_refused_and_the_others_are_sent(
    server: RunningServer, connect: Connect
) -> None:
    beto = connect(server).join_plain("beto")
    done = in_a_pipe(server, b"uno\nma\xf1ana\ndos\n" + b"x" * 20_000 + b"\ntres\n")
    assert done.returncode == 4
    assert done.stderr == (
        "charla: Nothing was sent: that line is not UTF-8 text. Set your terminal to UTF-8.\n"
        "charla: Nothing was sent: that is longer than 4096 bytes. Send it in parts.\n"
    )
    beto.expect("* bot joined", "bot: uno", "bot: dos", "bot: tres", "* bot left")


def test_a_message_of_several_rows_that_is_refused_is_one_row_of_a_diagnostic(server: RunningServer) -> None:
    done = run("--port", server.port, "--nick", "bot", "--lang", "es", "--send", "nadie: uno\ndos")
    assert done.returncode == 4
    assert re.fullmatch(r"charla: Aquí nadie se llama «nadie».* \(era: nadie: uno dos\)\n", done.stderr)


def test_what_the_server_refuses_to_a_pipe_is_a_diagnostic_and_status_4(
    server: RunningServer, connect: Connect
) -> None:
    beto = connect(server).join_plain("beto")
    done = in_a_pipe(server, b"uno\nnadie: secreto\ndos\n")
    assert done.returncode == 4
    assert done.stderr.startswith("charla: Nobody here is called 'nadie'")
    assert done.stderr.endswith(" (it was: nadie: secreto)\n")
    assert "secreto" not in done.stdout
    beto.expect("* bot joined", "bot: uno", "bot: dos", "* bot left")


def test_three_hundred_lines_from_a_pipe_arrive_in_order(server: RunningServer, connect: Connect) -> None:
    beto = connect(server).join_plain("beto")
    lines = [f"línea {number}" for number in range(300)]
    done = in_a_pipe(server, "\n".join(lines).encode())
    assert (done.returncode, done.stderr) == (0, "")
    expected = [f"bot: {line}" for line in lines]
    beto.expect("* bot joined", *expected, "* bot left")
    assert [line[6:] for line in done.stdout.splitlines() if "bot: " in line] == expected


@pytest.mark.parametrize("lines_read", [0, 1, 4])
def test_a_reader_that_closes_the_pipe_early_causes_no_traceback(
    server: RunningServer, connect: Connect, stack: ExitStack, lines_read: int
) -> None:
    beto = connect(server).join_plain("beto")
    process = start_piped(server, stack)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    if lines_read == 4:
        process.stdin.write(b"uno\n")
        process.stdin.flush()
    for _ in range(lines_read):
        assert process.stdout.readline()
    process.stdout.close()
    beto.until("bot joined")
    beto.send("para ti\n")
    errors = process.stderr.read().decode()
    assert process.wait(DEADLINE) == 1
    assert errors in ("", "charla: Left: nobody reads the output any more.\n")
    beto.until("bot left")


def test_output_that_cannot_show_a_letter_does_not_end_the_client(
    server: RunningServer, connect: Connect
) -> None:
    beto = connect(server).join_plain("beto")
    done = run("--port", server.port, "--nick", "bot", text="¡ñandú!\n".encode(), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bot: ?and?!" in done.stdout.replace("??", "?")
    beto.expect("* bot joined", "bot: ¡ñandú!", "* bot left")


# --------------------------------------------------------------------------------------------------
# Colours
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "environment", "colored"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
    ids=str,
)
def test_a_terminal_has_colours_unless_they_are_not_wanted(
    fake: FakeServer, start: Start, options: tuple[str, ...], environment: dict[str, str], colored: bool
) -> None:
    ana, seat = start.seated(fake, *options, **environment)
    seat.tell(Told(2, AT, 0, "beto", "ana", "hola"))
    ana.wait_for("beto -> you: hola")
    assert ana.colors("beto -> you") == ({"magenta"} if colored else {"default"})
    assert ana.colors("hola") == {"default"}
    assert (re.search(rb"\x1b\[\d*m", ana.printed) is not None) == colored


@pytest.mark.parametrize(("option", "colored"), [("auto", False), ("never", False), ("always", True)])
def test_a_pipe_has_colours_only_when_asked_for(server: RunningServer, option: str, colored: bool) -> None:
    done = in_a_pipe(server, b"hola\n", "--color", option)
    assert done.returncode == 0
    assert ("\x1b[" in done.stdout) == colored


# --------------------------------------------------------------------------------------------------
# Against a hostile server, and hostile people
# --------------------------------------------------------------------------------------------------

# As UTF-8 and as bare bytes: ESC, BEL, CSI and NEL of C1, CR, DEL, LRM, RLO, LRI, LS, PS.
EVIL = "\x1b]0;evil\x07\x1b[2J\x9b31m\x85\r\x7f\u200e\u202e\u2066\u2028\u2029"


def steering(text: str) -> set[str]:
    """Return the characters of `text` that could steer a terminal or reorder a line."""
    return {
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Zl", "Zp")
        or character in "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    } - {"\n"}


def hostile_lines(me: str) -> list[str]:
    """Return lines, of every kind that a server can send, with EVIL in each of their fields."""
    evil = re.sub("[\x85\u2028\u2029]", "", EVIL)  # what becomes a space is in no field: passed over
    escaped = EVIL.replace("\n", "\\n")
    return [
        f"SAY 2 {AT} - {evil}x {escaped}",
        f"ME 3 {AT} - x{evil} {escaped}",
        f"MSG 4 {AT} - x{evil} {me} {escaped}",
        f"MSG 5 {AT} - {me} x{evil} {escaped}",
        f"JOIN 6 {AT} x{evil}",
        f"LEAVE 7 {AT} x{evil} {evil}",
        f"NICK 8 {AT} - x{evil} y{evil}",
        f"WHO - 1 1 2 a{evil} b{evil}",
        f"ERROR - no-such-user {evil}",
        f"ERROR - {evil} {evil}",
        f"ERROR - usage {evil}",
        f"{evil} {evil}",
    ]


def test_a_hostile_server_cannot_steer_the_terminal(fake: FakeServer, start: Start) -> None:
    ana = start(fake, "--nick", "ana", "--color", "never", "--bell", "off", columns=200)
    with fake.accept() as seat:
        seat.send("NICK\n")
        seat.line()
        seat.send(f"WELCOME 1 {AT} ana 1 {EVIL}\nWHO - 1 1 1 ana\n")
        ana.wait_for_prompt("ana> ")
        for line in hostile_lines("ana"):
            seat.send(f"{line}\n".encode())
        seat.send(b"SAY 9 1 - x \x1b[2J\xff\x9b31m\n")
        seat.tell(Said(10, AT, 0, "beto", "el último"))
        ana.wait_for_prompt("ana> ")
        ana.wait_for("el último")
        seat.send(f"BYE {EVIL}\n")
        assert ana.status() == 1
    # What the client's own editor draws with: carriage return, erase to the end of the line.
    printed = PASTE_MODE.sub("", ana.printed.decode())
    printed = printed.replace("\r\n", "\n").replace("\r\x1b[K", "").replace("\r", "")
    assert steering(printed) == set()
    assert len(ana.finds("evil")) == 12, "what was not shown tests nothing"


def test_a_hostile_server_cannot_put_controls_into_a_pipe(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack)
    seat = stack.enter_context(fake.accept())
    seat.let_in("bot", EVIL)
    for line in (*hostile_lines("bot"), f"BYE {EVIL}"):
        seat.send(f"{line}\n")
    output, errors = (data.decode() for data in process.communicate(timeout=DEADLINE))
    assert process.returncode == 1
    assert "evil" in output
    assert "evil" in errors
    assert steering(output) == steering(errors) == set()


@pytest.mark.parametrize("greeting", [f"! {EVIL} [full 5]", f"! full [full {EVIL}]".replace("\n", "")])
def test_a_hostile_greeting_cannot_steer_the_terminal(fake: FakeServer, start: Start, greeting: str) -> None:
    ana = start(fake, "--nick", "ana")
    with fake.accept() as seat:
        seat.send(f"{greeting}\n")
        assert ana.status() in (3, 4)
    assert steering(PASTE_MODE.sub("", ana.printed.decode()).replace("\r\n", "\n")) == set()


def test_lines_too_long_or_not_understood_are_passed_over(fake: FakeServer, start: Start) -> None:
    ana, seat = start.seated(fake)
    strange = (
        b"TOPIC 3 1 - something of a later version\n"
        b"\n"
        b"SAY\n"
        b"SAY x y - beto hola\n"
        b"SAY 4 99999999999999999999 - beto hola\n"
        b"SAY 5 1 - beto \xff\xfe\n"
        b"WHO - 1 1\n"
    )
    known = NATIVE.encode(Said(6, AT, 0, "beto", "hola"))
    too_long = b"SAY 2 1 - beto " + b"x" * 50_000 + b"\n"
    seat.send(strange + known + strange + known)
    ana.wait_until(lambda: len(ana.finds("beto: hola")) == 2, "both messages")
    seat.send(too_long + known)
    ana.wait_until(lambda: len(ana.finds("beto: hola")) == 3, "the third message")
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == ["beto: hola", "beto: hola", "beto: hola", "ana>"]


# Texts by which somebody would put words into carla's mouth, were they to begin at the left edge.
FORGERY = "22:13 carla: soy yo"


@pytest.mark.parametrize("columns", [20, 33, 80])
def test_no_text_can_pass_for_another_persons_line(fake: FakeServer, start: Start, columns: int) -> None:
    ana = start(fake, "--nick", "ana", "--color", "never", columns=columns)
    nick = "n" * 24
    texts = [
        f"hola\n{FORGERY}\n\n{FORGERY}",
        *(" " * (columns * 3 - offset) + FORGERY for offset in range(0, columns, 3)),
        *("x" * (columns - offset) + FORGERY for offset in range(columns)),
        *("漢" * (columns // 2 - offset) + FORGERY for offset in range(columns // 2)),
        *("a 漢 " * (columns // 2 - offset) + FORGERY for offset in range(columns // 2)),
        # Widths on which terminals and Unicode do not quite agree.
        *(
            character * (columns - offset) + FORGERY
            for character in (
                "\u00ad",
                "\u0600",
                "\u4dc0",
                "\u2764\ufe0f",
                "\u200b",
                "\U0001fadf",
                "e\u0301",
            )
            for offset in range(0, columns, 3)
        ),
    ]
    with fake.accept() as seat:
        seat.let_in(welcome=texts[0])
        ana.wait_for_prompt("ana> ")
        at = len(ana.all_rows()) - 1
        for number, text in enumerate(texts):
            seat.tell(Said(number, AT, 0, "beto", text), Acted(number, AT, 0, nick, text))
            seat.tell(Told(number, AT, 0, nick, "ana", text), Refusal(0, "no-such-user", (text[-100:],)))
            seat.tell(Joined(number, AT, nick), Left(number, AT, nick, "x" * columns + FORGERY))
        seat.tell(Said(9, AT, 0, "beto", "el último"))
        ana.wait_for("último")
        ana.wait_for_prompt("ana> ")
    rows = ana.all_rows()[at:-1]
    own_beginnings = tuple(
        f"22:13 {head}"[:columns].rstrip()
        for head in ("beto:", f"~ {nick}", f"{nick} ->", f"* {nick}", "* xxx")
    )
    assert len(rows) > 6 * len(texts)
    for row in rows:
        begins_itself = any(row.startswith(own) or own.startswith(row) for own in own_beginnings)
        assert begins_itself or row.startswith(" "), f"{row!r} is at the left edge"


# --------------------------------------------------------------------------------------------------
# Consoles without GNU readline's extra calls, and without readline
# --------------------------------------------------------------------------------------------------


def test_without_gnu_readline_what_arrives_waits_while_something_is_typed(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start(server, "--nick", "ana", program=("-c", WITHOUT_GNU))
    ana.wait_for_prompt("ana> ")
    beto = connect(server).join_plain("beto")
    ana.wait_for("beto joined")
    ana.wait_for_prompt("ana> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    beto.send("uno\n")
    beto.send("dos\n")
    beto.send("/who\n")
    beto.until("2 here")
    ana.type(", y sigo")
    ana.wait_for_prompt("ana> ", "a medias, y sigo")
    assert not ana.finds("beto: uno")
    ana.key("enter")
    beto.expect("ana: a medias, y sigo")
    ana.wait_for("ana: a medias, y sigo")
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == [
        "* beto joined",
        "ana> a medias, y sigo",
        "beto: uno",
        "beto: dos",
        "ana: a medias, y sigo",
        "ana>",
    ]
    beto.send("tres\n")
    ana.wait_for("beto: tres")
    ana.wait_for_prompt("ana> ")
    ana.key("Ctrl+D")
    assert ana.status() == 0


def test_without_readline_everything_is_said_and_shown(
    server: RunningServer, connect: Connect, start: Start
) -> None:
    ana = start(server, "--nick", "ana", program=("-c", WITHOUT_READLINE))
    ana.wait_for_prompt("ana> ")
    beto = connect(server).join_plain("beto")
    beto.send("uno\n")
    beto.send("/who\n")
    beto.until("2 here")
    ana.enter("hola, ñandú")
    beto.expect("ana: hola, ñandú")
    ana.wait_for("ana: hola, ñandú")
    ana.wait_for_prompt("ana> ")
    assert talk(ana) == ["ana> hola, ñandú", "* beto joined", "beto: uno", "ana: hola, ñandú", "ana>"]
    ana.key("Ctrl+D")
    assert ana.status() == 0


@pytest.mark.parametrize("program", [WITHOUT_GNU, WITHOUT_READLINE], ids=["no GNU", "no readline"])
def test_the_other_consoles_notice_too_that_the_server_has_gone(
    server: RunningServer, start: Start, program: str
) -> None:
    ana = start(server, "--nick", "ana", program=("-c", program))
    ana.wait_for_prompt("ana> ")
    ana.type("a medias")
    ana.wait_for_prompt("ana> ", "a medias")
    server.server.shutdown()
    assert ana.status() == 1
    assert ana.finds("The server is closing. Goodbye!")
