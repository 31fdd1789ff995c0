"""What a person has of the client: prompt, commands, bell, pasted blocks.  On both consoles, on a terminal.

Opposite stands a `FakeServer` that does line by line what the test says.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest
from support import DEADLINE, LineClient, ServerProgram, eventually
from support.clients import WITHOUT_GNU, ConsoleKind, Start, start_piped
from support.scripted import AT, FakeServer, Seat
from support.terminal import Terminal

from charla.protocol.commands import Ban, History, Leave, Ping, Pong, Say, Tell, Who
from charla.protocol.messages import (
    Acted,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Left,
    Moderated,
    Refusal,
    Renamed,
    Said,
    Told,
    WhoPage,
)

DAY = 24 * 60 * 60 * 1000

PASTE = "\x1b[200~{}\x1b[201~"


@pytest.fixture(params=["stock", "prompt"])
def kind(request: pytest.FixtureRequest) -> ConsoleKind:
    """Return which console the client has."""
    if request.param == "prompt":
        pytest.importorskip("prompt_toolkit")
    return request.param  # type: ignore[no-any-return]


class Ana:
    """ana's client on a terminal, and the server's end of her connection."""

    def __init__(self, terminal: Terminal, seat: Seat) -> None:
        self.terminal = terminal
        self.seat = seat

    def line_is(self, line: str) -> None:
        """Wait until the cursor stands at the end of `line`, prompt and all."""

        def there() -> bool:
            row, column = self.terminal.cursor
            return self.terminal.rows()[row] == line.rstrip() and column == len(line)

        self.terminal.wait_until(there, f"the line {line!r}")

    def sees(self, row: str) -> None:
        """Wait for a row that is `row` behind its time or margin."""
        self.terminal.wait_for(rf"^(?:\d\d:\d\d |      ){re.escape(row)}$")

    def rows(self) -> list[str]:
        """Return all rows behind the welcome, which has three, without their times and margins."""
        return [re.sub(r"^(?:\d\d:\d\d |      )", "", row) for row in self.terminal.all_rows()][3:]


@pytest.fixture
def ana(fake: FakeServer, stack: ExitStack, kind: ConsoleKind) -> Ana:
    """Let ana in: beto, Berta and eva are there."""
    return let_in(fake, stack, kind)


def let_in(fake: FakeServer, stack: ExitStack, kind: ConsoleKind) -> Ana:
    terminal = Start(stack)(fake, "--nick", "ana", console=kind)
    seat = stack.enter_context(fake.accept())
    seat.let_in()
    seat.tell(*(Joined(n, AT, nick) for n, nick in ((2, "beto"), (3, "Berta"), (4, "eva"))))
    person = Ana(terminal, seat)
    person.sees("* eva joined")
    person.line_is("ana> ")
    return person


# --------------------------------------------------------------------------------------------------
# The prompt
# --------------------------------------------------------------------------------------------------


def test_the_prompt_says_whom_alone_a_line_goes_to_while_it_is_typed(ana: Ana) -> None:
    ana.terminal.type("BETO")
    ana.line_is("ana> BETO")
    ana.terminal.type(":")
    ana.line_is("ana -> beto (private)> BETO:")
    ana.terminal.type(" hola")
    ana.line_is("ana -> beto (private)> BETO: hola")
    ana.terminal.key("backspace", 6)
    ana.line_is("ana> BETO")


def test_the_prompt_says_that_nobody_has_that_nick(ana: Ana) -> None:
    ana.terminal.type("beot: secret")
    ana.line_is("ana (nobody is called beot)> beot: secret")
    ana.seat.tell(Joined(5, AT, "beot"))
    ana.line_is("ana -> beot (private)> beot: secret")
    ana.seat.tell(Left(6, AT, "beot", "left"))
    ana.line_is("ana (nobody is called beot)> beot: secret")


def test_what_is_being_sent_is_in_the_prompt_until_it_is_confirmed(ana: Ana) -> None:
    ana.terminal.enter("uno")
    ana.terminal.enter("dos")
    assert [ana.seat.command(), ana.seat.command()] == [Say("uno", 1), Say("dos", 2)]
    ana.line_is("ana (2 sending)> ")
    ana.seat.tell(Said(5, AT, 1, "ana", "uno"))
    ana.line_is("ana (1 sending)> ")
    ana.seat.tell(Said(6, AT, 2, "ana", "dos"))
    ana.line_is("ana> ")


def test_what_is_not_confirmed_for_long_is_named_once(
    fake: FakeServer, stack: ExitStack, kind: ConsoleKind
) -> None:
    impatient = (
        "from charla.client.chat import participant; participant.OVERDUE_AFTER = 0.2; "
        "import sys; from charla.client import app as client; sys.exit(client.main())"
    )
    start = Start(stack)
    terminal = start(fake, "--nick", "ana", program=("-c", impatient), console=kind)
    seat = stack.enter_context(fake.accept())
    seat.let_in()
    person = Ana(terminal, seat)
    person.line_is("ana> ")
    terminal.enter("are you there?")
    person.sees("* Not confirmed yet: are you there?")
    terminal.enter("/who")  # a question is not a message: it is not named
    terminal.enter("second")
    person.sees("* Not confirmed yet: second")
    assert len(terminal.finds("Not confirmed yet")) == 2


# --------------------------------------------------------------------------------------------------
# Typing
# --------------------------------------------------------------------------------------------------


def test_tab_completes_nicks_recent_speakers_first_and_commands(ana: Ana) -> None:
    ana.terminal.type("ev\t")
    ana.line_is("ana -> eva (private)> eva: ")
    ana.terminal.key("erase all")
    ana.seat.tell(Said(5, AT, 0, "beto", "hola"))
    ana.sees("beto: hola")
    ana.terminal.type("hola be\t")
    ana.terminal.wait_until(
        lambda: ana.terminal.rows()[ana.terminal.cursor[0]].startswith("ana> hola beto"), "beto"
    )
    ana.terminal.key("Ctrl+C")


def test_a_line_that_is_too_long_stays_in_the_line(ana: Ana) -> None:
    text = "ñ" * 100 + "x" * 3997  # 4197 bytes
    ana.terminal.type(PASTE.format(text))
    ana.terminal.wait_until(lambda: ana.terminal.rows()[ana.terminal.cursor[0]].endswith("xxx"), "the text")
    ana.terminal.key("enter")
    ana.terminal.wait_for("has 4197 bytes, and is in the line again")
    ana.terminal.key("backspace", 101)
    ana.terminal.key("enter")
    assert ana.seat.command() == Say(text[:-101], 2)


def test_a_pasted_block_is_one_message(ana: Ana) -> None:
    ana.terminal.type(PASTE.format("uno\ndos\ntres"))
    ana.terminal.wait_for("tres")
    ana.terminal.key("enter")
    assert ana.seat.command() == Say("uno\ndos\ntres", 1)
    ana.seat.tell(Said(5, AT, 1, "ana", "uno\ndos\ntres"))
    ana.line_is("ana> ")
    assert ana.rows()[-4:-1] == ["ana: uno", "     dos".strip(), "tres"] or ana.terminal.finds("ana: uno")


BLOCK = "\n".join(f"line {number}" for number in range(1, 8))


@pytest.mark.parametrize("answer", ["y", "Sí"])
def test_a_block_over_five_lines_is_sent_when_the_answer_is_yes(ana: Ana, answer: str) -> None:
    ana.terminal.type(PASTE.format(BLOCK))
    ana.terminal.wait_for("line 7")
    ana.terminal.key("enter")
    ana.line_is("Send these 7 lines as one message? (y/n) ")
    ana.terminal.enter(answer)
    assert ana.seat.command() == Say(BLOCK, 1)


def test_a_block_over_five_lines_is_in_the_line_again_when_the_answer_is_no(ana: Ana) -> None:
    ana.terminal.type(PASTE.format(BLOCK))
    ana.terminal.wait_for("line 7")
    ana.terminal.key("enter")
    ana.line_is("Send these 7 lines as one message? (y/n) ")
    ana.terminal.enter("no")
    ana.sees("* Nothing was sent: it is in the line again.")
    ana.terminal.key("erase all", 8)
    ana.terminal.key("backspace", 80)
    ana.terminal.enter("hola")
    assert ana.seat.command() == Say("hola", 2)


def test_what_steers_a_terminal_is_not_printed_when_a_block_is_shown_before_it_is_sent(ana: Ana) -> None:
    ana.terminal.type(PASTE.format("uno \x1b]0;title\x07\n2\n3\n4\n5\n6") + "\r")
    ana.line_is("Send these 6 lines as one message? (y/n) ")
    assert ana.terminal.finds(r"\* uno .\]0;title.$")
    assert b"\x1b]0;title" not in ana.terminal.printed


def test_a_block_is_not_lost_when_the_server_ends_before_it_is_answered(ana: Ana) -> None:
    ana.terminal.type(PASTE.format("\n".join(f"row {number}" for number in range(1, 21))) + "\r")
    ana.line_is("Send these 20 lines as one message? (y/n) ")
    ana.terminal.type("y")
    ana.seat.tell(Goodbye("closing"))
    assert ana.terminal.status() == 1
    ana.sees("* You were typing: row 1")
    ana.sees("* row 20")


def test_a_block_of_five_lines_is_not_asked_about(ana: Ana) -> None:
    block = "\n".join("12345")
    ana.terminal.type(PASTE.format(block))
    ana.terminal.wait_for("5")
    ana.terminal.key("enter")
    assert ana.seat.command() == Say(block, 1)


def test_ctrl_u_takes_back_a_pasted_block(ana: Ana) -> None:
    ana.terminal.type(PASTE.format("uno\ndos\ntres"))
    ana.terminal.wait_for("^tres")
    ana.terminal.type("\x15")
    ana.line_is("ana> ")
    ana.terminal.enter("hola")
    assert ana.seat.command() == Say("hola", 1)


def test_what_is_found_in_the_history_can_be_edited(ana: Ana) -> None:
    for tag, text in enumerate(("apple", "other"), 1):
        ana.terminal.enter(text)
        assert ana.seat.command() == Say(text, tag)
        ana.seat.tell(Said(4 + tag, AT, tag, "ana", text))
        ana.line_is("ana> ")
    ana.terminal.type("\x12app")
    ana.terminal.wait_until(lambda: any("app" in row for row in ana.terminal.rows()[-18:]), "the search")
    ana.terminal.key("end")
    ana.terminal.type(" pie")
    ana.line_is("ana> apple pie")
    ana.terminal.key("enter")
    assert ana.seat.command() == Say("apple pie", 3)


def test_what_was_typed_stays_in_sight_when_one_leaves_with_ctrl_c(ana: Ana) -> None:
    ana.terminal.type("not entered")
    ana.line_is("ana> not entered")
    ana.terminal.key("Ctrl+C")
    assert ana.seat.command() == Leave()
    ana.seat.tell(Goodbye("left"))
    assert ana.terminal.status() == 0
    assert "ana> not entered" in ana.terminal.all_rows()


def test_ctrl_z_stops_what_has_started_the_client_too(
    fake: FakeServer, stack: ExitStack, kind: ConsoleKind
) -> None:
    wrapper = (
        "import subprocess, sys; sys.exit(subprocess.call([sys.executable, 'client.py', *sys.argv[1:]]))"
    )
    terminal = Start(stack)(fake, "--nick", "ana", program=("-c", wrapper), console=kind)
    seat = stack.enter_context(fake.accept())
    seat.let_in()
    ana = Ana(terminal, seat)
    terminal.type("a medias")
    ana.line_is("ana> a medias")
    terminal.suspend()  # waits for the wrapper's stop
    terminal.resume()
    seat.tell(Said(5, AT, 0, "beto", "hola"))
    ana.sees("beto: hola")
    ana.line_is("ana> a medias")
    terminal.type(" y más")
    ana.line_is("ana> a medias y más")


# --------------------------------------------------------------------------------------------------
# Commands
# --------------------------------------------------------------------------------------------------


def test_r_answers_who_last_wrote_to_one_alone(ana: Ana) -> None:
    ana.terminal.enter("/r hola")
    ana.sees("! Nobody has written to you alone yet.")
    ana.seat.tell(Told(5, AT, 0, "beto", "ana", "psst"))
    ana.sees("beto -> you: psst")
    ana.terminal.type("/r que")
    ana.line_is("ana -> beto (private)> /r que")
    ana.terminal.key("enter")
    assert ana.seat.command() == Tell("beto", "que", 2)
    ana.seat.tell(Told(6, AT, 2, "ana", "beto", "que"))
    ana.sees("you -> beto: que")


def test_r_answers_whom_it_was_begun_for(ana: Ana) -> None:
    ana.seat.tell(Told(5, AT, 0, "beto", "ana", "psst"))
    ana.sees("beto -> you: psst")
    ana.terminal.type("/r para be")
    ana.line_is("ana -> beto (private)> /r para be")
    ana.seat.tell(Told(6, AT, 0, "eva", "ana", "hola"))
    ana.sees("eva -> you: hola")
    ana.terminal.type("to")
    ana.line_is("ana -> beto (private)> /r para beto")
    ana.terminal.key("enter")
    assert ana.seat.command() == Tell("beto", "para beto", 1)
    ana.seat.tell(Told(7, AT, 1, "ana", "beto", "para beto"))
    ana.line_is("ana> ")
    ana.terminal.type("/r para eva")
    ana.line_is("ana -> eva (private)> /r para eva")
    ana.terminal.key("enter")
    assert ana.seat.command() == Tell("eva", "para eva", 2)


def test_r_that_is_put_back_and_one_whose_addressee_is_renamed_go_where_they_were_to(ana: Ana) -> None:
    ana.seat.tell(Told(5, AT, 0, "beto", "ana", "psst"))
    ana.sees("beto -> you: psst")
    ana.terminal.type("/r ")
    ana.line_is("ana -> beto (private)> /r ")
    ana.terminal.type(PASTE.format("a" + "\nb" * 6))
    ana.terminal.wait_for("b$")
    ana.seat.tell(Told(6, AT, 0, "eva", "ana", "hola"), Renamed(7, AT, 0, "beto", "roberto"))
    ana.sees("* beto is now roberto")
    ana.terminal.key("enter")
    ana.line_is("Send these 7 lines as one message? (y/n) ")
    ana.terminal.enter("n")
    ana.terminal.wait_for("it is in the line again")
    ana.terminal.key("backspace", 12)
    ana.line_is("ana -> roberto (private)> /r a")
    ana.terminal.key("enter")
    command = ana.seat.command()
    assert isinstance(command, Tell)
    assert (command.to, command.text) == ("roberto", "a")


@pytest.mark.parametrize("program", [("client.py", "--plain"), ("-c", WITHOUT_GNU)], ids=["plain", "no GNU"])
def test_r_does_not_answer_who_is_not_shown_yet(
    fake: FakeServer, stack: ExitStack, program: tuple[str, ...]
) -> None:
    """Where what arrives waits while something is typed."""
    terminal = Start(stack)(fake, "--nick", "ana", program=program)
    seat = stack.enter_context(fake.accept())
    seat.let_in()
    seat.tell(Told(5, AT, 0, "beto", "ana", "psst"))
    terminal.wait_for("psst")
    eventually(terminal.is_raw, "a line that is read again")  # before that the terminal itself echoes
    terminal.type("/r para beto")
    terminal.wait_for("/r para beto$")
    seat.tell(Told(6, AT, 0, "eva", "ana", "hola"), Ping(1))
    assert isinstance(seat.command(), Pong)
    terminal.key("enter")
    command = seat.command()
    assert isinstance(command, Tell)
    assert (command.to, command.text) == ("beto", "para beto")
    seat.tell(Told(7, AT, 1, "ana", "beto", "para beto"))
    terminal.wait_for("para beto$")
    terminal.wait_for("hola")
    terminal.enter("/r para eva")
    command = seat.command()
    assert isinstance(command, Tell)
    assert command.to == "eva"


def test_who_is_ignored_is_not_seen_nor_heard_until_that_is_ended(ana: Ana) -> None:
    ana.terminal.enter("/ignore BETO")
    ana.terminal.wait_for("What beto says is not shown any more")
    ana.seat.tell(
        Said(5, AT, 0, "beto", "one"),
        Told(6, AT, 0, "beto", "ana", "two"),
        Acted(7, AT, 0, "beto", "three"),
        Renamed(8, AT, 0, "beto", "otro"),
        Said(9, AT, 0, "otro", "four"),
        HistoryEntry(Said(1, AT, 0, "beto", "five")),
        Said(10, AT, 0, "eva", "hola"),
    )
    ana.sees("eva: hola")
    assert not ana.terminal.finds("one|two|three|four|five")
    ana.terminal.enter("/history 2")
    assert ana.seat.command() == History(2, 2)
    ana.seat.tell(
        HistoryHeader(2, 2),
        HistoryEntry(Said(5, AT, 0, "beto", "one")),
        HistoryEntry(Said(10, AT, 0, "eva", "hola")),
    )
    ana.sees("* Those whom you ignore are left out.")
    ana.terminal.wait_until(lambda: len(ana.terminal.finds("eva: hola")) == 2, "the history")
    assert not ana.terminal.finds("one")
    ana.terminal.enter("/ignore")
    ana.sees("* Ignored: otro")
    ana.terminal.enter("/unignore otro")
    ana.sees("* What otro says is shown again.")
    ana.seat.tell(Said(11, AT, 0, "otro", "six"))
    ana.sees("otro: six")
    ana.terminal.enter("/unignore otro")
    ana.sees("! 'otro' is not ignored.")
    ana.terminal.enter("/ignore ana")
    ana.terminal.wait_for("^      ! ")
    ana.terminal.enter("/ignore carla")
    ana.terminal.wait_for("Nobody called carla is here: who comes is ignored")
    ana.seat.tell(Joined(12, AT, "carla"), Said(13, AT, 0, "carla", "seven"), Said(14, AT, 0, "eva", "bye"))
    ana.sees("eva: bye")
    assert not ana.terminal.finds("seven")


def test_ones_own_is_seen_also_under_a_nick_that_is_ignored(ana: Ana) -> None:
    ana.terminal.enter("/ignore beto")
    ana.terminal.wait_for("What beto says is not shown any more")
    ana.seat.tell(Left(5, AT, "beto", "left"), Renamed(6, AT, 0, "ana", "beto"))
    ana.line_is("beto> ")
    ana.seat.tell(Said(7, AT, 0, "beto", "this is me"))
    ana.sees("beto: this is me")


def test_search_finds_what_was_said_before_and_shown_once(ana: Ana) -> None:
    ana.seat.tell(Said(5, AT, 0, "beto", "clase"), HistoryHeader(0, 2))
    ana.seat.tell(
        HistoryEntry(Said(1, AT - DAY, 0, "eva", "clase uno")), HistoryEntry(Said(5, AT, 0, "beto", "clase"))
    )
    ana.terminal.wait_for("clase uno")
    ana.terminal.enter("/search clase")
    ana.sees("* 2 messages seen here have 'clase':")


def test_search_finds_what_was_seen(ana: Ana) -> None:
    ana.seat.tell(
        Said(5, AT, 0, "beto", "mañana hay clase"),
        Told(6, AT, 0, "eva", "ana", "mañana no puedo"),
        Said(7, AT, 0, "beto", "hasta luego"),
    )
    ana.sees("beto: hasta luego")
    ana.terminal.enter("/search MAÑANA")
    ana.sees("* 2 messages seen here have 'MAÑANA':")
    ana.line_is("ana> ")
    assert len(ana.terminal.finds("mañana hay clase")) == 2
    assert len(ana.terminal.finds("eva -> you: mañana no puedo")) == 2
    ana.terminal.enter("/search pasado")
    ana.sees("* 0 messages seen here have 'pasado'.")


def bells(ana: Ana) -> int:
    """Return how often the bell has rung: not the BEL that ends a title or so."""
    return ana.terminal.printed.count(b"\a")


def test_the_bell_rings_when_it_is_to(ana: Ana) -> None:
    def hear(*messages: Said | Told | Acted) -> int:
        """Return how often these let the bell ring, each for itself."""
        before = bells(ana)
        for message in messages:
            ana.seat.tell(message)
            ana.terminal.wait_for(f"n{message.id}")
        ana.seat.tell(mark := Said(messages[-1].id + 1, AT, 0, "eva", f"m{messages[-1].id}"))
        ana.sees(f"eva: {mark.text}")
        return bells(ana) - before

    first = 5

    def all_kinds(begin: int) -> tuple[Said | Told | Acted, ...]:
        return (
            Said(begin, AT, 0, "beto", f"n{begin}"),
            Said(begin + 1, AT, 0, "beto", f"hola Ana, n{begin + 1}"),
            Told(begin + 2, AT, 0, "beto", "ana", f"n{begin + 2}"),
            Said(begin + 3, AT, 1, "ana", f"ana n{begin + 3}"),
        )

    assert hear(*all_kinds(first)) == 1
    for number, (when, rings) in enumerate([("off", 0), ("mention", 2), ("private", 1)]):
        ana.terminal.enter(f"/bell {when}")
        ana.terminal.wait_for("[Bb]ell")
        ana.line_is("ana> ")
        assert hear(*all_kinds(20 * (number + 1))) == rings, when
    ana.terminal.enter("/bell all")
    ana.terminal.wait_for("every message")
    ana.terminal.enter("/bell")
    ana.terminal.wait_until(lambda: len(ana.terminal.finds("every message")) == 2, "when the bell rings")
    before = bells(ana)
    ana.seat.tell(Said(200, AT, 0, "beto", "n200"))
    ana.terminal.wait_until(lambda: bells(ana) == before + 1, "the bell")


def test_times_are_shown_or_not(ana: Ana) -> None:
    ana.terminal.enter("/time off")
    ana.terminal.wait_for("Messages have no time")
    ana.seat.tell(Said(5, AT, 0, "beto", "sin hora"))
    ana.terminal.wait_for("^ *beto: sin hora$")
    ana.terminal.enter("/time on")
    ana.terminal.wait_for("have their time")
    ana.terminal.enter("/time")
    ana.terminal.wait_until(
        lambda: len(ana.terminal.finds("have their time")) == 2, "whether times are shown"
    )
    ana.seat.tell(Said(6, AT, 0, "beto", "con hora"))
    ana.terminal.wait_for(r"^22:13 beto: con hora$")


def test_clear_leaves_an_empty_screen_and_loses_nothing(ana: Ana) -> None:
    ana.seat.tell(Said(5, AT, 0, "beto", "hola"))
    ana.sees("beto: hola")
    ana.terminal.enter("/clear")
    ana.terminal.wait_until(lambda: ana.terminal.rows()[0] == "ana>", "an empty screen")
    assert ana.terminal.finds("beto: hola")  # scrolled off, and still to be had
    ana.terminal.type("x")
    ana.line_is("ana> x")


def test_help_is_by_topic(ana: Ana) -> None:
    ana.terminal.enter("/help screen")
    ana.terminal.wait_for("/bell off")
    ana.line_is("ana> ")
    assert not ana.terminal.finds("/msg")
    ana.terminal.enter("/help keys")
    ana.terminal.wait_for("Ctrl.R")
    ana.terminal.enter("/help")
    ana.terminal.wait_for("/msg")
    ana.terminal.enter("/help mod")
    ana.terminal.wait_for("/kick")


def test_a_mistyped_command_suggests_the_nearest(ana: Ana) -> None:
    ana.terminal.enter("/serach x")
    ana.terminal.wait_for("/search\\?")
    ana.terminal.enter("/hsitory")
    ana.terminal.wait_for("/history\\?")


def test_who_bans_a_nick_that_nobody_has_is_told_so(ana: Ana) -> None:
    ana.seat.tell(WhoPage(0, 1, 1, 2, ("@ana", "eva")))
    ana.seat.tell(Moderated(5, AT, 0, "ban", "eva", "zoe"), Moderated(6, AT, 0, "mod", "ana"))
    ana.sees("* ana is a moderator now")
    ana.terminal.enter("/ban eva")
    assert ana.seat.command() == Ban("eva", tag=1)
    ana.seat.tell(Moderated(7, AT, 1, "ban", "ana", "eva"), Left(8, AT, "eva", "banned"))
    ana.sees("* eva left (banned)")
    ana.terminal.enter("/ban zeo")
    assert ana.seat.command() == Ban("zeo", tag=2)
    ana.seat.tell(Moderated(9, AT, 2, "ban", "ana", "zeo"))
    ana.sees("* ana banned zeo for good")
    ana.terminal.wait_for(r"\* Nobody is called zeo now")
    assert len(ana.terminal.finds("Nobody is called")) == 1


def test_what_may_be_a_password_behind_a_mistyped_mod_is_not_shown_again(ana: Ana) -> None:
    ana.terminal.enter("/mdo secret")
    ana.terminal.wait_for("Did you mean /mod")
    ana.line_is("ana> ")
    assert not ana.terminal.finds("It was")
    ana.terminal.key("up")
    ana.terminal.type("x")
    ana.line_is("ana> x")


def test_a_refusal_that_comes_later_shows_the_line(ana: Ana) -> None:
    ana.terminal.enter("beot: mi secreto")
    assert ana.seat.command() == Tell("beot", "mi secreto", 1)
    ana.seat.tell(Refusal(1, "no-such-user", ("beot",)))
    ana.sees("! It was: beot: mi secreto")


# --------------------------------------------------------------------------------------------------
# What arrives
# --------------------------------------------------------------------------------------------------


def test_the_change_of_a_day_is_marked(ana: Ana) -> None:
    ana.seat.tell(Said(5, AT + DAY, 0, "beto", "buenos días"))
    ana.sees("beto: buenos días")
    rows = [row for row in ana.terminal.all_rows() if row]
    day = next(n for n, row in enumerate(rows) if "15 November 2023" in row)
    assert rows[day + 1].endswith("beto: buenos días")
    ana.seat.tell(Said(6, AT + DAY, 0, "beto", "otra"))
    ana.sees("beto: otra")
    assert len(ana.terminal.finds("November 2023")) == 1


SESSION = {
    "en": [
        "* beto joined",
        "beto -> you: psst",
        "you -> beto: te digo",
        "* beto is now berta",
        "! Nobody here is called 'beot', so nothing was sent, to anyone. /who tells who is here; for "
        "everyone to read it, begin with /say.",
        "! It was: beot: secreto",
        "* berta left (connection lost)",
        "! There is no command /whoo, so nothing was sent. Did you mean /who? /help lists them; for "
        "everyone to read the line, begin with /say.",
        "! It was: /whoo",
        "* 1 here: ana",
    ],
    "es": [
        "* ha entrado beto",
        "beto -> tú: psst",
        "tú -> beto: te digo",
        "* beto ahora se llama berta",
        "! Aquí nadie se llama «beot», así que no se ha enviado nada, a nadie. /who dice quién está; para "
        "que lo lean todos, empieza por /say.",
        "! Era: beot: secreto",
        "* ha salido berta (conexión perdida)",
        "! No existe la orden /whoo, así que no se ha enviado nada. ¿Querías decir /who? /help las enumera; "
        "para que todos lean la línea, empieza por /say.",
        "! Era: /whoo",
        "* 1 aquí: ana",
    ],
}


@pytest.mark.parametrize("language", SESSION)
def test_the_same_session_in_each_language(
    fake: FakeServer, stack: ExitStack, kind: ConsoleKind, language: str
) -> None:
    terminal = Start(stack)(
        fake, "--nick", "ana", console=kind, columns=200, LANG=f"{language}_XX.UTF-8", LC_ALL=""
    )
    seat = stack.enter_context(fake.accept())
    seat.let_in()
    person = Ana(terminal, seat)
    person.line_is("ana> ")
    seat.tell(Joined(2, AT, "beto"), Told(3, AT, 0, "beto", "ana", "psst"))
    terminal.wait_for("psst")
    terminal.enter("/r te digo")
    assert seat.command() == Tell("beto", "te digo", 1)
    seat.tell(Told(4, AT, 1, "ana", "beto", "te digo"), Renamed(5, AT, 0, "beto", "berta"))
    terminal.enter("beot: secreto")
    assert seat.command() == Tell("beot", "secreto", 2)
    seat.tell(Refusal(2, "no-such-user", ("beot",)), Left(6, AT, "berta", "lost"))
    terminal.wait_for("berta.*\\(")
    terminal.enter("/whoo")
    terminal.wait_for("/whoo$")
    terminal.enter("/who")
    assert seat.command() == Who(1, 4)
    seat.tell(WhoPage(4, 1, 1, 1, ("ana",)))
    person.line_is("ana> ")
    terminal.enter("SALIR")
    assert seat.command() == Leave()
    seat.tell(Goodbye("left"))
    assert terminal.status() == 0
    assert [row for row in person.rows() if row] == SESSION[language]


def test_the_history_that_is_asked_for_at_the_join(
    fake: FakeServer, stack: ExitStack, kind: ConsoleKind
) -> None:
    Start(stack)(fake, "--nick", "ana", "--history", "7", console=kind)
    seat = stack.enter_context(fake.accept())
    seat.send("NICK\n")
    hello = seat.command()
    assert getattr(hello, "history", None) == 7


# --------------------------------------------------------------------------------------------------
# Scripts: --send and --json
# --------------------------------------------------------------------------------------------------


def test_send_says_its_texts_and_its_status_tells_that_they_were_confirmed(
    fake: FakeServer, stack: ExitStack
) -> None:
    process = start_piped(fake, stack, "--send", "hola", "--send", "beto: psst")
    with fake.accept() as seat:
        seat.let_in("bot")
        assert [seat.command(), seat.command()] == [Say("hola", 1), Tell("beto", "psst", 2)]
        seat.tell(Said(5, AT, 0, "eva", "not for scripts"))
        seat.tell(Said(6, AT, 1, "bot", "hola"), Told(7, AT, 2, "bot", "beto", "psst"))
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_send_that_is_refused_is_status_4(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack, "--send", "beto: psst")
    with fake.accept() as seat:
        seat.let_in("bot")
        assert seat.command() == Tell("beto", "psst", 1)
        seat.tell(Refusal(1, "no-such-user", ("beto",)))
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (4, b"")
    assert b"Nobody here is called 'beto'" in err


def test_a_script_whose_output_nobody_reads_any_more_leaves_when_all_is_said(
    start_program: Callable[..., ServerProgram], connect: Callable[..., LineClient], stack: ExitStack
) -> None:
    server = start_program("--rate-limit", "60")
    beto = connect(server).join_plain("beto")
    process = start_piped(server, stack)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.stdin.write(b"".join(b"%d\n" % number for number in range(30)))  # more than pass at once
    process.stdin.flush()
    beto.expect("* bot joined", *(f"bot: {number}" for number in range(30)), "* bot left")
    assert process.wait(10) == 1
    assert process.stderr is not None
    assert process.stderr.read().endswith(b"charla: Left: nobody reads the output any more.\n")


def test_the_help_of_a_script_has_no_command_that_a_script_has_not(
    fake: FakeServer, stack: ExitStack
) -> None:
    process = start_piped(fake, stack)
    with fake.accept() as seat:
        seat.let_in("bot")
        assert process.stdin is not None
        process.stdin.write(b"/help\nexit\n")
        process.stdin.flush()
        assert seat.command() == Leave()
        seat.tell(Goodbye("left"))
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, b"")
    assert b"/msg USER TEXT" in out
    assert not re.search(rb"/(r|search|bell|time|clear|ignore)\b", out)


def test_a_command_of_the_terminals_client_is_refused_to_a_script(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack, "--send", "/search x", "--send", "/help talk")
    with fake.accept() as seat:
        seat.let_in("bot")
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (4, b"")
    refused, usage = err.decode().splitlines()
    assert refused.startswith(
        "charla: /search works only in Charla's client on a terminal, so nothing was sent"
    )
    assert usage.endswith("It is written like this: /help [mod] (it was: /help talk)")


def test_send_of_a_word_that_leaves_is_refused_and_the_rest_is_said(
    fake: FakeServer, stack: ExitStack
) -> None:
    process = start_piped(fake, stack, "--send", "exit", "--send", "hola")
    with fake.accept() as seat:
        seat.let_in("bot")
        command = seat.command()
        assert isinstance(command, Say)
        seat.tell(Said(5, AT, command.tag, "bot", "hola"))
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (4, b"")
    assert err == (
        b"charla: 'exit' is a word that leaves, so nothing was sent: /say exit says it. (it was: exit)\n"
    )


def test_send_prints_what_it_asks_for_and_nothing_else(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack, "--send", "/who", "--send", "/history 1")
    with fake.accept() as seat:
        seat.let_in("bot")
        who, history = seat.command(), seat.command()
        assert isinstance(who, Who)
        assert isinstance(history, History)
        seat.tell(Joined(5, AT, "eva"), Said(6, AT, 0, "eva", "hola"))
        seat.tell(WhoPage(who.tag, 1, 1, 2, ("bot", "eva")))
        seat.tell(HistoryHeader(history.tag, 1), HistoryEntry(Said(4, AT, 0, "beto", "ayer")))
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, b"")
    assert re.sub(r"\[[^]]*\]", "[]", out.decode()) == (
        "      * 2 here: bot, eva\n      * What was said before, the last message:\n[] beto: ayer\n"
    )


@pytest.mark.parametrize(
    ("texts", "goodbye", "status"),
    [((), "closing", 0), (("/nothing",), "closing", 4), (("/nothing",), "", 4)],
)
def test_send_is_no_failure_when_the_server_ends_between_confirmation_and_goodbye(
    fake: FakeServer, stack: ExitStack, texts: tuple[str, ...], goodbye: str, status: int
) -> None:
    options = (argument for text in (*texts, "hola") for argument in ("--send", text))
    process = start_piped(fake, stack, *options)
    with fake.accept() as seat:
        seat.let_in("bot", token="tok")
        command = seat.command()
        assert isinstance(command, Say)
        seat.tell(Said(5, AT, command.tag, "bot", "hola"))
        assert seat.command() == Leave()
        if goodbye:
            seat.tell(Goodbye(goodbye))
    process.communicate(timeout=10)
    assert process.returncode == status


def test_send_does_not_wait_for_ever_for_a_server_that_talks_and_does_not_answer(
    fake: FakeServer, stack: ExitStack
) -> None:
    program = (
        "-c",
        "from charla.client.script import script; script.GIVE_UP_AFTER = 0.2; import sys; "
        "from charla.client import app as client; sys.exit(client.main())",
    )
    process = start_piped(fake, stack, "--send", "hola", program=program)
    with fake.accept() as seat:
        seat.let_in("bot")
        assert seat.command() == Say("hola", 1)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert b"The server does not answer any more.\n" in err
    assert b"perhaps not sent (1):\ncharla:     hola\n" in err


def test_send_that_is_ended_before_all_is_said_is_status_1(fake: FakeServer, stack: ExitStack) -> None:
    program = (
        "-c",
        "from charla.client.script import script; script.PIPE_WINDOW = 1; import sys; "
        "from charla.client import app as client; sys.exit(client.main())",
    )
    process = start_piped(fake, stack, "--send", "uno", "--send", "dos", "--send", "tres", program=program)
    with fake.accept() as seat:
        seat.let_in("bot")
        assert seat.command() == Say("uno", 1)
        process.send_signal(signal.SIGTERM)
        assert seat.command() == Leave()
        seat.tell(Said(5, AT, 1, "bot", "uno"))
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert b"perhaps not sent (2):\ncharla:     dos\ncharla:     tres\n" in err


def test_send_whose_connection_is_lost_before_the_confirmation_is_status_1(
    fake: FakeServer, stack: ExitStack
) -> None:
    process = start_piped(fake, stack, "--send", "hola")
    with fake.accept() as seat:
        seat.let_in("bot")
        assert seat.command() == Say("hola", 1)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, b"")
    assert b"perhaps not sent (1):\ncharla:     hola" in err


def test_json_goes_both_ways(fake: FakeServer, stack: ExitStack) -> None:
    process = start_piped(fake, stack, "--json")
    assert process.stdin is not None
    assert process.stdout is not None
    read = partial(json.loads)
    with fake.accept() as seat:
        seat.let_in("bot")
        assert read(process.stdout.readline())["type"] == "welcome"
        assert read(process.stdout.readline())["nicks"] == ["bot"]
        process.stdin.write(
            b'{"type": "say", "text": "hola", "id": "a"}\n'
            b"rubbish\n"
            b'{"type": "tell", "to": "beto", "text": "psst", "id": 2}\n'
            b'{"type": "line", "text": "eva: ho\xc3\xb1a"}\n'
        )
        process.stdin.flush()
        refused = read(process.stdout.readline())
        assert (refused["type"], refused["code"], refused["arguments"]) == ("refused", "malformed", ["json"])
        commands = [seat.command() for _ in range(3)]
        say, tell, line = commands
        assert isinstance(say, Say)
        assert isinstance(tell, Tell)
        assert line == Tell("eva", "hoña", getattr(line, "tag", 0))
        seat.tell(Said(5, AT, say.tag, "bot", "hola"), Refusal(tell.tag, "no-such-user", ("beto",)))
        seat.tell(Told(6, AT, getattr(line, "tag", 0), "bot", "eva", "hoña"))
        said = read(process.stdout.readline())
        assert said == {
            "type": "said",
            "re": "a",
            "id": 5,
            "time": AT,
            "nick": "bot",
            "text": "hola",
            "own": True,
        }
        refused = read(process.stdout.readline())
        assert (refused["type"], refused["re"], refused["code"]) == ("refused", 2, "no-such-user")
        assert read(process.stdout.readline())["text"] == "hoña"
        seat.tell(WhoPage(0, 1, 1, 1, ("bot",)))
        assert read(process.stdout.readline())["type"] == "here"
        process.stdin.write(b'{"type": "leave"}\n')
        process.stdin.flush()
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        last = read(process.stdout.readline())
        assert (last["type"], last["how"], last["code"]) == ("ended", "goodbye", "left")
    assert process.wait(10) == 4  # something was refused


@pytest.mark.parametrize(
    ("event", "status", "how", "code", "arguments", "words"),
    [
        ("refused", 4, "refused", "nick-taken", ["bot"], b"'bot' is taken"),
        ("goodbye", 1, "goodbye", "closing", [], b"The server is closing."),
        ("cut", 1, "lost", "", [], b"The connection to the server is lost."),
        ("no server", 3, "lost", "", [], b"No server answers"),
        ("Ctrl+C", 1, "closed", "", [], b""),
    ],
)
def test_ended_is_the_last_line_of_json_also_without_a_seat(
    fake: FakeServer,
    stack: ExitStack,
    event: str,
    status: int,
    how: str,
    code: str,
    arguments: list[str],
    words: bytes,
) -> None:
    if event == "no server":
        fake.close()
    process = start_piped(fake, stack, "--json")
    if event != "no server":
        with fake.accept() as seat:
            seat.send("NICK\n")
            seat.command()
            if event == "refused":
                seat.tell(Refusal(0, "nick-taken", ("bot",)))
            elif event == "goodbye":
                seat.tell(Goodbye("closing"))
            elif event == "Ctrl+C":
                process.send_signal(signal.SIGINT)
                process.wait(DEADLINE)
    out, err = process.communicate(timeout=DEADLINE)
    assert json.loads(out) == {"type": "ended", "how": how, "code": code, "arguments": arguments}
    assert process.returncode == status
    assert words in err
    assert b"Traceback" not in err


@pytest.mark.parametrize("kind", ["say", "act", "announce", "topic", "line"])
def test_what_may_be_a_password_in_json_is_not_said(fake: FakeServer, stack: ExitStack, kind: str) -> None:
    process = start_piped(fake, stack, "--json")
    with fake.accept() as seat:
        seat.let_in("bot")
        assert process.stdin is not None
        process.stdin.write(json.dumps({"type": kind, "text": "/mod sesame", "id": 1}).encode() + b"\n")
        process.stdin.close()
        process.stdin = None
        assert seat.command() == Leave()
        seat.send("BYE left\n")
        out, err = process.communicate(timeout=10)
    assert process.returncode == 4
    assert b'{"type": "refused", "re": 1, "code": "usage", "arguments": ["mod"]}\n' in out
    assert b"sesame" not in out + err
