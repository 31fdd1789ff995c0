"""The console with prompt_toolkit, on a real terminal: what a person sees who types while others talk."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import eventually
from support.console_program import EOF, INTERRUPTED, STOPPED, TERMINATED
from support.terminal import Terminal

from charla.client.terminal.prompt_console import PATIENCE

PROMPT = "ana> "

PASTE = "\x1b[200~{}\x1b[201~"
CTRL_L, CTRL_R, CTRL_U, CTRL_W, TAB, ESCAPE = "\x0c", "\x12", "\x15", "\x17", "\t", "\x1b"
ALT_ENTER = "\x1b\r"


@pytest.fixture
def start(stack: ExitStack) -> Callable[..., Terminal]:
    """Start the program on a terminal: `start(columns=20)`, `start(status="5 people")`."""

    def start(status: str = "", columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
        program = ("tests/support/console_program.py", "prompt", status)
        terminal = Terminal(*program, columns=columns, rows=rows, environment=environment)
        stack.enter_context(terminal)
        terminal.wait_for("^ana>$")
        return terminal

    return start


def wait_typed(terminal: Terminal, text: str) -> None:
    """Wait until `text` stands in the line (its blanks do not count)."""
    wanted = re.sub(r"\s", "", text)
    terminal.wait_until(lambda: terminal.typed(PROMPT) == wanted, f"{text!r} in the line")


def said(line: str) -> str:
    """Return the row that the program shows when `line` was entered."""
    return f"said {line!r}"


def enter(terminal: Terminal, line: str, times: int = 1) -> None:
    """Enter `line`, and wait until the program has it for the `times`th time, and reads the next."""
    terminal.enter(line)
    terminal.wait_until(lambda: terminal.all_rows().count(said(line)) == times, said(line))
    terminal.wait_for_prompt(PROMPT)


def heard(terminal: Terminal) -> list[str]:
    """Return all rows but those of the line that is typed."""
    return [row for row in terminal.all_rows() if row and not row.startswith("ana>")]


# ---- typing while others talk ----------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_two_hundred_lines_a_second_do_not_disturb_who_types(
    start: Callable[..., Terminal], columns: int
) -> None:
    ana = start(columns=columns)
    ana.enter("!flood 200 500")
    ana.wait_for("beto: 3 ")
    lines = []
    for number in range(30):
        ana.type("hola 你")
        wait_typed(ana, "hola 你")
        ana.key("left", 3)
        ana.type(f"{number:02} ")
        wait_typed(ana, f"hol{number:02}a你")
        ana.key("home")
        ana.type("ñX")
        ana.key("backspace")
        wait_typed(ana, f"ñhol{number:02}a你")
        ana.key("enter")
        lines.append(f"ñhol{number:02} a 你")
    ana.wait_for("flood done")
    ana.wait_for_prompt(PROMPT)
    rows = heard(ana)
    assert [row for row in rows if row.startswith("said")] == [said(line) for line in lines]
    others = [row for row in rows if not row.startswith("said")]
    assert others == [f"beto: {number} ñ 你好" for number in range(500)] + ["flood done"]


def test_each_key_is_seen_at_once_while_200_lines_a_second_arrive(start: Callable[..., Terminal]) -> None:
    """`make bench-client` measures how soon, in milliseconds."""
    ana = start(status="sala · ana · 5")
    ana.enter("!flood 200 400")
    ana.wait_for("beto: 3 ")
    text = ""
    for number in range(100):
        text += chr(ord("a") + number % 26)
        ana.type(text[-1])
        ana.wait_until(lambda text=text: ana.typed(PROMPT).startswith(text), "the key")  # type: ignore[misc]
    assert not ana.finds("flood done"), "the keys came later than the lines"


def test_the_cursor_stays_where_it_is_in_a_line_of_several_rows(start: Callable[..., Terminal]) -> None:
    ana = start(columns=20)
    ana.type("ñ" * 30 + "漢字 end")
    ana.key("left", 6)
    ana.type("|")
    ana.wait_until(
        lambda: ana.input_area(PROMPT) == (["ana> " + "ñ" * 15, "ñ" * 15 + "|漢字", " end"], (1, 16)),
        "the line with the cursor behind |",
    )
    ana.type("!")
    ana.wait_until(lambda: ana.input_area(PROMPT)[1] == (1, 17), "the cursor behind !")
    ana.key("enter")
    ana.wait_until(lambda: "".join(heard(ana)) == f"said '{'ñ' * 30}|!漢字 end'", "the line as it was typed")


@pytest.mark.parametrize("text", ["ñandú", "漢字かな", "👍🏽", "👩‍👩‍👧", "e\u0301", "नमस्ते", "\u05d0\u05d1"])
def test_all_characters_come_as_they_were_typed(start: Callable[..., Terminal], text: str) -> None:
    ana = start()
    ana.enter(text)
    ana.wait_until(lambda: said(text).encode() in ana.printed, said(text))


def test_bytes_that_are_not_utf8_cost_that_line_alone(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type(b"caf\xe9\r")
    ana.wait_for("^refused not-utf8$")
    enter(ana, "café")


@pytest.mark.parametrize("term", ["xterm-256color", "screen", "tmux-256color", "linux", "vt100"])
def test_the_terminal_is_asked_nothing_and_nothing_is_told_about_it(
    start: Callable[..., Terminal], term: str
) -> None:
    ana = start(TERM=term, status="sala")
    ana.enter("hola")
    ana.wait_for("^said 'hola'$")
    ana.key("Ctrl+D")
    assert ana.status() == EOF
    assert heard(ana) == ["said 'hola'"]
    for what in (b"\x1b[6n", b"\a", b"\x1b]", b"\x1b[?1000h", b"\x1b[?1049h"):
        assert what not in ana.printed


# ---- the window ------------------------------------------------------------------------------------


def test_the_prompt_changes_with_what_is_typed(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("beto: hola")
    ana.wait_for_prompt("to beto> beto: hola")
    ana.type(CTRL_U + "hola")
    ana.wait_for_prompt("ana> hola")


def test_the_status_stands_under_the_line_and_never_goes_on_in_a_second_row(
    start: Callable[..., Terminal],
) -> None:
    ana = start(status="sala, ana, 5 personas, sin cifrar", columns=20)
    ana.wait_until(lambda: ana.rows()[:3] == ["ana>", "sala, ana, 5 persona", ""], "the status")
    ana.type("x" * 20)
    ana.wait_until(lambda: ana.rows()[1:3] == ["x" * 5, "sala, ana, 5 persona"], "the status under two rows")
    ana.type(CTRL_U + "!status\r")
    ana.wait_until(lambda: ana.rows()[:2] == ["ana>", ""], "no status")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_window_of_hardly_a_row_has_the_line_alone(start: Callable[..., Terminal], rows: int) -> None:
    ana = start(rows=rows, status="sala")
    ana.enter("hola")
    ana.wait_for(re.escape(said("hola")))
    ana.type("be" + TAB)
    ana.wait_for_prompt(PROMPT, "beto ")
    assert b"sala" not in ana.printed


def test_the_status_has_no_colors_with_no_color(start: Callable[..., Terminal]) -> None:
    ana = start(status="sala", NO_COLOR="1")
    ana.type("be" + TAB)
    ana.wait_for("berta")
    assert not re.search(rb"\x1b\[[\d;]*[349]\d[\d;]*m", ana.printed)


def test_a_line_longer_than_the_window_is_high(start: Callable[..., Terminal]) -> None:
    ana = start(columns=20, rows=5, status="sala")
    words = " ".join(f"w{number:03}" for number in range(60))
    ana.type(words)
    ana.wait_until(lambda: "w059" in "".join(ana.rows()) and ana.rows()[-1] == "sala", "the end of the line")
    ana.enter("!")
    ana.wait_until(lambda: said(words + "!") in "".join(heard(ana)), "the line as it was typed")
    ana.wait_until(lambda: ana.rows()[-2:] == ["ana>", "sala"], "the next line")


def test_a_resized_window_has_the_line_anew(start: Callable[..., Terminal]) -> None:
    ana = start(columns=80, rows=24, status="sala")
    enter_long = "una línea de cuarenta letras, más o menos"
    ana.type(enter_long)
    wait_typed(ana, enter_long + "sala")
    for columns, rows in ((120, 10), (30, 24), (80, 5)):
        ana.resize(columns, rows)
        ana.type("x")
        enter_long += "x"
        first = (PROMPT + enter_long)[:columns].rstrip()
        ana.wait_until(lambda first=first: first in ana.rows(), "the line in the new width")  # type: ignore[misc]
    ana.key("enter")
    ana.wait_for(re.escape(said(enter_long)))


def test_ctrl_l_lets_what_is_on_the_screen_scroll_off_and_keeps_the_line(
    start: Callable[..., Terminal],
) -> None:
    ana = start(rows=10)
    enter(ana, "uno")
    ana.type("dos" + CTRL_L)
    ana.wait_until(lambda: ana.rows()[0] == "ana> dos", "the line at the top")
    assert ana.all_rows().count(said("uno")) == 1
    assert ana.finds("^said") == [said("uno")]
    ana.type("\r")
    ana.wait_for(said("dos"))
    ana.enter("!clear")
    ana.wait_until(lambda: ana.rows()[0] == "ana>", "the line at the top")
    assert ana.finds("^said") == [said("uno"), said("dos")]


def test_the_bell_rings_when_the_program_rings_it(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.key("backspace")  # at the beginning of the line: readline would ring
    enter(ana, "uno")
    assert b"\a" not in ana.printed
    ana.enter("!bell")
    ana.wait_until(lambda: b"\a" in ana.printed, "the bell")


# ---- blocks, lines ahead ---------------------------------------------------------------------------


def test_a_pasted_block_is_one_line_in_several_rows(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type(PASTE.format("one\r\ntwo\rthree\n\tfour"))
    ana.wait_until(
        lambda: ana.input_area(PROMPT)[0] == ["ana> one", "two", "three", "    four"], "the rows of the block"
    )
    ana.type("!")
    ana.key("enter")
    ana.wait_for(re.escape(said("one\ntwo\nthree\n\tfour!")))


def test_alt_enter_begins_a_new_row_of_the_same_line(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type(f"one{ALT_ENTER}two")
    ana.wait_until(lambda: ana.input_area(PROMPT) == (["ana> one", "two"], (1, 3)), "two rows")
    ana.key("up")
    ana.type("!")
    ana.key("enter")
    ana.wait_for(re.escape(said("one!\ntwo")))


def test_a_block_pasted_while_lines_arrive_is_one_line(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!flood 500 300")
    ana.wait_for("beto: 3 ")
    for number in range(20):
        ana.type(PASTE.format(f"{number}\ntwo") + "\r")
        ana.wait_for(re.escape(said(f"{number}\ntwo")))
    assert ana.printed.count(b"\x1b[?2004") == 1  # never off, not even for a moment


def test_lines_pasted_without_marks_are_lines_in_their_order(start: Callable[..., Terminal]) -> None:
    ana = start()
    lines = [f"line {number} ñ" for number in range(200)]  # far more than is read at once
    ana.type("".join(f"{line}\r" for line in lines))
    ana.wait_for("said 'line 199 ñ'")
    assert heard(ana) == [said(line) for line in lines]


def test_what_is_typed_between_two_lines_is_not_lost_and_not_echoed(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    ana = start()
    ana.enter(f"!busy {tmp_path / 'go'}")
    ana.wait_for("^busy$")
    before = len(ana.printed)
    ana.type("uno\r" + PASTE.format("dos\ntres") + "\rcua\x7fatro")
    assert ana.is_raw()
    (tmp_path / "go").touch()
    ana.wait_for_prompt("ana> cuatro")
    assert heard(ana) == ["busy", said("uno"), said("dos\ntres")]
    assert ana.printed[before:].count(b"uno") == 1


def test_typed_ahead_text_can_be_dropped(start: Callable[..., Terminal], tmp_path: Path) -> None:
    ana = start()
    ana.type(f"!drop {tmp_path / 'go'}\rkept by the editor\rthis too")
    ana.wait_for("^waiting$")
    ana.type("kept by the terminal")
    (tmp_path / "go").touch()
    ana.wait_for_prompt(PROMPT)
    assert heard(ana) == ["waiting", "dropped"]


def test_a_line_can_begin_with_a_text(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!keep de nuevo")
    ana.wait_for_prompt("ana> de nuevo")
    ana.key("backspace")
    ana.enter("a")
    ana.wait_for(re.escape(said("de nueva")))


# ---- history, search, completion -------------------------------------------------------------------


def test_arrow_keys_give_entered_lines_back_but_no_answers_and_nothing_twice(
    start: Callable[..., Terminal],
) -> None:
    ana = start()
    enter(ana, "uno")
    enter(ana, "dos")
    enter(ana, "dos", times=2)
    ana.enter("!ask")
    ana.wait_for_prompt("Sure? ")
    ana.enter("yes")
    ana.wait_for("^answer 'yes'$")
    ana.wait_for_prompt(PROMPT)
    for line in ("!ask", "dos", "uno", "uno"):
        ana.key("up")
        ana.wait_for_prompt(PROMPT, line)
    ana.type("x\r")
    ana.wait_for(re.escape(said("unox")))


def test_the_arrow_keys_may_be_typed_ahead(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("uno\r\x1b[A\r\x1b[A2\r")
    ana.wait_for(re.escape(said("uno2")))
    assert heard(ana) == [said("uno"), said("uno"), said("uno2")]


def test_a_forgotten_line_does_not_come_back(start: Callable[..., Terminal]) -> None:
    ana = start()
    enter(ana, "uno")
    ana.enter("!forget secreto")
    ana.wait_for("^forgotten$")
    ana.wait_for_prompt(PROMPT)
    ana.key("up")
    ana.wait_for_prompt(PROMPT, "uno")
    ana.type(CTRL_U + CTRL_R + "secreto")
    ana.wait_for("^Search back: secreto$")
    assert not ana.finds("!forget")


def test_ctrl_r_finds_a_line_and_enter_sends_it(start: Callable[..., Terminal]) -> None:
    ana = start()
    for line in ("la casa roja", "la CASA azul", "el perro"):
        enter(ana, line)
    ana.type(CTRL_R + "casa")
    ana.wait_until(lambda: "ana> la CASA azul" in ana.rows(), "the last one with that word")
    ana.type(CTRL_R)
    ana.wait_until(lambda: "ana> la casa roja" in ana.rows(), "the one before")
    ana.key("enter")
    ana.wait_until(lambda: ana.all_rows().count(said("la casa roja")) == 2, "the line that was found")
    ana.type("draft" + CTRL_R + "perro")
    ana.wait_until(lambda: "ana> el perro" in ana.rows(), "the line")
    ana.key("Ctrl+C")
    ana.wait_for_prompt(PROMPT, "draft")


def test_a_search_that_was_broken_off_is_over_in_the_next_line(start: Callable[..., Terminal]) -> None:
    ana = start()
    enter(ana, "uno")
    ana.type(CTRL_R + "un" + ESCAPE)
    ana.wait_until(lambda: ana.rows()[1:3] == ["ana> uno", ""], "the line without the search")
    ana.key("enter")
    ana.wait_until(lambda: ana.all_rows().count(said("uno")) == 2, "the line")
    enter(ana, "dos")


def test_an_interrupted_search_is_over_in_the_next_line(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!ask")
    ana.wait_for_prompt("Sure? ")
    ana.type(CTRL_R + "x")
    ana.wait_for("^Search back: x$")
    ana.signal(signal.SIGINT)
    ana.wait_for("^no answer$")
    enter(ana, "hola")


def test_tab_completes_the_last_word_and_goes_through_the_choices(start: Callable[..., Terminal]) -> None:
    ana = start(rows=10)
    ana.type("hola ñ" + TAB)
    ana.wait_for_prompt(PROMPT, "hola ñandú ")
    ana.type(CTRL_U + "di be" + TAB)
    wait_choices(ana, "di beto")
    ana.type(TAB)
    wait_choices(ana, "di bea")
    ana.type(TAB + TAB)
    wait_choices(ana, "di be")
    ana.type(TAB)
    wait_choices(ana, "di beto")
    ana.type("y tú\r")
    ana.wait_for(re.escape(said("di beto y tú")))
    ana.wait_for_prompt(PROMPT)
    ana.type("q" + TAB)
    ana.wait_for_prompt(PROMPT, "q")


def wait_choices(terminal: Terminal, line: str) -> None:
    """Wait until `line` stands above the menu, which has them all, the best first."""
    terminal.wait_until(
        lambda: (
            [row.strip() for row in terminal.input_area(PROMPT)[0]] == [PROMPT + line, "beto", "bea", "berta"]
        ),
        f"{line!r} and the choices",
    )


def test_text_behind_tab_comes_behind_the_completion(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("be\ty ñ\tno\r")
    ana.wait_for(re.escape(said("beto y ñandú no")))


def test_the_menu_fits_into_a_small_window(start: Callable[..., Terminal]) -> None:
    ana = start(columns=20, rows=5, status="sala, ana, 5 personas")
    ana.type("be" + TAB)
    ana.wait_until(
        lambda: (
            [row.strip() for row in ana.rows() if row]
            in (
                ["ana> beto", "beto", "bea", "sala, ana, 5 persona"],
                ["ana> beto", "beto", "bea", "berta", "sala, ana, 5 persona"],
            )
        ),
        "the menu",
    )


# ---- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "secret"),
    [
        ("contraseña", "contraseña"),
        ("abc\x7fd", "abd"),
        ("漢字\x7f\x7fx", "x"),
        ("abc\x15d", "d"),
        ("ab\x1b[D\x1b[A\x01c", "abc"),
        (PASTE.format("a\r\nb"), "ab"),
        ("", ""),
    ],
)
def test_nothing_is_seen_of_a_secret(start: Callable[..., Terminal], keys: str, secret: str) -> None:
    ana = start(status="sala")
    ana.enter("!secret")
    ana.wait_for_prompt("Password: ")
    before = len(ana.printed)
    ana.enter(keys)
    ana.wait_for("^secret ")
    shown, told, after = ana.printed[before:].decode().partition(f"secret {secret!r}")
    assert told
    for what in (secret, "*"):
        assert not what or what not in shown + after
    ana.wait_for("^ana>$")
    ana.key("up")
    ana.wait_for("^ana> !secret$")
    ana.type(CTRL_U + "\x19")  # Ctrl+Y gives back what Ctrl+U has taken
    ana.wait_for("^ana> !secret$")


def test_a_secret_may_be_typed_ahead_and_lines_arrive_meanwhile(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("!secret\rgeheim\r!flood 100 20\r!secret\rge")
    ana.wait_for("^secret 'geheim'$")
    ana.wait_for("^flood done$")
    ana.wait_for_prompt("Password: ")
    ana.enter("heim")
    ana.wait_until(lambda: ana.all_rows().count("secret 'geheim'") == 2, "the second one")
    assert ana.printed.count(b"geheim") == 2


@pytest.mark.parametrize(("key", "status"), [("Ctrl+C", INTERRUPTED), ("Ctrl+D", EOF)])
def test_a_secret_can_be_refused(start: Callable[..., Terminal], key: str, status: int) -> None:
    ana = start()
    ana.enter("!secret")
    ana.wait_for_prompt("Password: ")
    ana.key(key)
    assert ana.status() == status
    assert heard(ana) == []


def test_ctrl_z_while_a_secret_is_typed(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!secret")
    ana.wait_for_prompt("Password: ")
    ana.type("ge")
    ana.suspend()
    ana.signal(signal.SIGCONT)
    ana.wait_until(lambda: ana.printed.count(b"Password:") == 2, "the prompt again")
    ana.enter("heim")
    ana.wait_for("^secret 'geheim'$")


# ---- ending ----------------------------------------------------------------------------------------


def test_ctrl_d_ends_on_an_empty_line_and_deletes_on_another(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("ab")
    ana.key("home")
    ana.key("Ctrl+D")
    ana.wait_until(lambda: ana.typed(PROMPT) == "b", "the deletion")
    ana.key("Ctrl+D", 2)
    assert ana.status() == EOF
    assert ana.all_rows() == []


def test_ctrl_c_leaves_what_is_typed_in_sight_and_interrupts(start: Callable[..., Terminal]) -> None:
    ana = start(status="sala")
    ana.type("not sent")
    wait_typed(ana, "not sent sala")
    ana.key("Ctrl+C")
    assert ana.status() == INTERRUPTED
    assert ana.all_rows() == ["ana> not sent"]


def test_ctrl_c_right_behind_a_line_does_not_lose_it(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("uno\rdos\r\x03")
    assert ana.status() == INTERRUPTED
    assert heard(ana) == [said("uno"), said("dos")]


@pytest.mark.parametrize("end", ["\x03", signal.SIGINT])
def test_ctrl_c_between_two_lines(start: Callable[..., Terminal], end: str | signal.Signals) -> None:
    ana = start()
    ana.enter("!busy /nowhere")
    ana.wait_for("^busy$")
    if isinstance(end, str):
        ana.type(end)
    else:
        ana.signal(end)
    assert ana.status() == INTERRUPTED


def test_ctrl_c_waits_for_what_must_not_be_interrupted(
    start: Callable[..., Terminal], tmp_path: Path
) -> None:
    ana = start()
    ana.enter(f"!held {tmp_path / 'go'}")
    ana.wait_for("^held$")
    ana.signal(signal.SIGINT)
    (tmp_path / "go").touch()
    assert ana.status() == INTERRUPTED
    assert heard(ana) == ["held", "let go", "and all the rest"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED), (signal.SIGHUP, TERMINATED)],
)
@pytest.mark.parametrize("doing", ["", "typing", "!secret\r", "!busy /nowhere\r", "!flood 1000 100000\r"])
def test_signals_end_it_whatever_it_does(
    start: Callable[..., Terminal], number: signal.Signals, status: int, doing: str
) -> None:
    ana = start(status="sala")
    ana.type(doing)
    expected = {"": "ana>", "typing": "typing", "!secret\r": "Password:", "!busy /nowhere\r": "busy"}
    ana.wait_for(expected.get(doing, "beto: 20 "))
    ana.signal(number)
    assert ana.status() == status  # which looks at the terminal's mode, too
    assert b"Traceback" not in ana.printed
    assert ana.printed.rstrip().endswith(b"\x1b[?2004l")


def test_a_second_signal_ends_it_while_the_terminal_takes_nothing(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!flood 1000000 100000")
    ana.wait_for("beto: 10 ")

    time.sleep(0.3)  # nobody reads meanwhile, so the program waits; if not yet, this ends more easily
    signalled = [0.0]

    def ended() -> bool:
        if time.monotonic() > signalled[0] + PATIENCE + 0.1:
            signalled[0] = time.monotonic()
            ana.signal(signal.SIGTERM)
        return not ana._child.isalive()

    eventually(ended, "the program's end")
    assert ana.status() == TERMINATED


def test_ctrl_z_gives_the_terminal_back_and_the_line_goes_on_afterwards(
    start: Callable[..., Terminal],
) -> None:
    ana = start(status="sala")
    ana.type("ab")
    ana.key("left")
    wait_typed(ana, "ab sala")
    for typed in ("añb", "aññb"):
        ana.suspend()
        ana.type("ñ")  # before it goes on: the terminal echoes it
        ana.signal(signal.SIGCONT)
        wait_typed(ana, typed + "sala")
    ana.type("\r\x03")  # no signal, which would overtake Enter
    assert ana.status() == INTERRUPTED
    assert heard(ana) == [said("aññb")]


def test_ctrl_z_while_lines_arrive_loses_none(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!flood 1000 1000")
    for number in range(100, 500, 100):
        ana.wait_for(f"beto: {number} ")
        ana.suspend()
        ana.signal(signal.SIGCONT)
    ana.wait_for("^flood done$")
    assert heard(ana) == [f"beto: {number} ñ 你好" for number in range(1000)] + ["flood done"]


def test_ctrl_z_between_two_lines(start: Callable[..., Terminal], tmp_path: Path) -> None:
    ana = start()
    ana.enter(f"!busy {tmp_path / 'go'}")
    ana.wait_for("^busy$")
    ana.suspend()
    ana.signal(signal.SIGCONT)
    (tmp_path / "go").touch()
    ana.wait_for_prompt(PROMPT)
    assert ana.is_raw()
    enter(ana, "hola")


def test_stop_ends_the_line_and_tells_what_was_typed(start: Callable[..., Terminal]) -> None:
    ana = start(status="sala")
    ana.type("!stop")
    assert ana.status() == STOPPED
    assert ana.all_rows() == ["stopped '!stop'"]


def test_stop_between_two_lines_ends_the_next_one(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.type("!stop\r")
    assert ana.status() == STOPPED
    assert heard(ana)[-1] in ("stopped ''", "stopped '!stop'")


def test_a_mistake_in_the_program_is_a_traceback_on_a_terminal_as_it_was(
    start: Callable[..., Terminal],
) -> None:
    ana = start()
    ana.type("!crash")
    assert ana.status() == 1
    rows = ana.all_rows()
    assert rows[0].startswith("Traceback")
    assert rows[-1] == "ValueError: a mistake in the program"
    assert not ana.finds("ENTER")


def test_a_terminal_that_takes_nothing_for_a_while_loses_nothing(start: Callable[..., Terminal]) -> None:
    ana = start()
    ana.enter("!flood 1000000 6000")
    ana.wait_for("beto: 10 ")
    time.sleep(0.5)  # nobody reads from the terminal meanwhile
    ana.wait_for("^flood done$")
    assert [row for row in heard(ana) if row.startswith("beto")] == [
        f"beto: {number} ñ 你好" for number in range(6000)
    ]
    enter(ana, "hola")
