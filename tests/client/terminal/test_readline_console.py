"""The consoles of stock Python alone, on a pseudo-terminal: what is seen of them, and what they read."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from support import DEADLINE, eventually
from support.terminal import KEYS, Terminal

PROGRAM = "tests/support/console_alone.py"


class Alone(Terminal):
    """A console on a terminal, without a client: what arrives there, and what it reads, is the test's."""

    def __init__(
        self,
        kind: str,
        *,
        program: tuple[str, ...] = (PROGRAM,),
        columns: int = 80,
        rows: int = 24,
        **environment: str,
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(DEADLINE)
            port = str(server.getsockname()[1])
            super().__init__(*program, port, kind, columns=columns, rows=rows, environment=environment)
            self._connection, _ = server.accept()
        self._connection.settimeout(DEADLINE)
        self._told = self._connection.makefile("r")

    def tell(self, *what: Any) -> None:
        """Have it do something; returns at once."""
        self._connection.sendall(json.dumps(what).encode() + b"\n")

    def arrives(self, *lines: str) -> None:
        self.tell("show", *lines)

    def read(self) -> list[Any]:
        """Return what it has read next, or how it ended: ["line", "hola"]."""
        while True:
            what = self.read_next()
            if what != ["done"]:
                return what

    def read_next(self) -> list[Any]:
        """Return what it tells next: what it has read, or that it has done what it was told."""
        line = self._told.readline()
        if not line:
            self.wait_until(lambda: False, "a word of it")  # fails, and shows the screen
        return list(json.loads(line))

    def wait_done(self) -> None:
        """Wait until it has done what it was told."""
        assert self.read_next() == ["done"]

    def wait_cursor(self, row: int, column: int) -> None:
        self.wait_until(lambda: self.cursor == (row, column), f"the cursor at {row}, {column}")

    def wait_rows(self, *rows: str) -> None:
        """Wait until these are all rows, scrolled off and on the screen."""
        self.wait_until(lambda: self.all_rows() == [row.rstrip() for row in rows], f"the rows {rows}")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        super().__exit__(kind, error, trace)
        self._told.close()
        self._connection.close()


Open = Callable[..., Alone]


@pytest.fixture
def opened(stack: ExitStack) -> Open:
    """Open consoles: `opened("gnu", columns=20)`."""

    def start(kind: str, **options: Any) -> Alone:
        alone = Alone(kind, **options)
        stack.enter_context(alone)
        return alone

    return start


# --------------------------------------------------------------------------------------------------
# The prompt follows what is typed
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 80])
def test_the_prompt_follows_what_is_typed(opened: Open, columns: int) -> None:
    ana = opened("gnu", columns=columns)
    ana.wait_for_prompt("ana> ")
    ana.type("beto")
    ana.wait_for_prompt("ana> ", "beto")
    ana.type(":")
    line = "ana -> beto (private)> beto:"
    ana.wait_until(lambda: "".join(ana.rows()) == line, "the prompt for beto")
    ana.wait_cursor(len(line) // columns, len(line) % columns)
    ana.key("home")
    ana.type("x")
    ana.wait_until(lambda: "".join(ana.rows()) == "ana -> nobody> xbeto:", "the prompt for nobody")
    ana.key("delete", 5)
    ana.wait_rows("ana> x")
    ana.key("enter")
    assert ana.read() == ["line", "x"]
    ana.wait_rows("ana>")


def test_a_longer_prompt_moves_a_text_of_several_rows(opened: Open) -> None:
    ana = opened("gnu", columns=20)
    ana.wait_for_prompt("ana> ")
    text = "李雷 un texto de varias filas, con ñandú y 👍"
    ana.type(text)
    ana.wait_until(lambda: text[-1] in "".join(ana.rows()), "the text")
    ana.key("home")
    ana.type("beto:")
    ana.wait_until(lambda: ana.rows()[0].startswith("ana -> beto"), "the prompt")
    ana.arrives("una fila", "otra fila")
    shown = ("ana -> beto (private)> beto:" + text).replace(" ", "")
    ana.wait_until(lambda: "".join(ana.all_rows()[2:]).replace(" ", "") == shown, "the line below both")
    assert ana.all_rows()[:2] == ["una fila", "otra fila"]
    ana.key("enter")
    assert ana.read() == ["line", "beto:" + text]
    ana.wait_rows("una fila", "otra fila", "ana>")


def test_the_prompt_changes_where_it_stands_when_there_is_nothing_to_show(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type("hola")
    ana.key("left", 2)
    ana.wait_cursor(0, 7)
    ana.tell("nick", "eva maría")
    ana.wait_rows("eva maría> hola")
    ana.wait_cursor(0, 13)
    ana.key("enter")
    assert ana.read() == ["line", "hola"]


@pytest.mark.parametrize(("kind", "typed"), [("prompt", ""), ("completion", "fail\t")])
def test_a_fault_of_ours_ends_it_with_a_traceback_on_a_restored_terminal(
    opened: Open, kind: str, typed: str
) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type("hola ")
    ana.wait_for_prompt("ana> ", "hola ")
    ana.type(typed)
    if kind == "prompt":
        ana.tell("fail")
    assert ana.status() == 1
    assert ana.finds(f"ZeroDivisionError: a fault in the {kind}")
    assert ana.finds("^Traceback")
    assert b"\x1b[?2004l" in ana.printed


# --------------------------------------------------------------------------------------------------
# Tab
# --------------------------------------------------------------------------------------------------


def test_tab_puts_the_best_in_and_the_next_ones_when_it_is_pressed_again(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type("B\t")
    ana.wait_rows("ana -> beto (private)> beto:")
    ana.arrives("una fila")  # in the middle of it
    ana.wait_rows("una fila", "ana -> beto (private)> beto:")
    ana.type("\t")
    ana.wait_rows("una fila", "ana -> Berta (private)> Berta:")
    ana.type("\x1b[Z")  # Shift+Tab
    ana.wait_rows("una fila", "ana -> beto (private)> beto:")
    ana.type("hola\r")
    assert ana.read() == ["line", "beto: hola"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("ñ\t", "ñandú: "),
        ("李\t", "李雷: "),
        ("hola ñ\t!", "hola ñandú !"),
        ("😀 李\t!", "😀 李雷 !"),
        ("/msg BER\t!", "/msg Berta !"),
        ("xyz\t!", "xyz!"),
        ("hola  b, b" + "\x1b[D" * 3 + "\t!", "hola  beto !, b"),
    ],
    ids=repr,
)
def test_a_nick_is_completed_in_any_script_and_case(opened: Open, typed: str, line: str) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type(typed + "\r")
    assert ana.read() == ["line", line]
    assert b"\a" not in ana.printed


@pytest.mark.parametrize("kind", ["gnu", "plain"])
@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"TERM": "nonsense"}, {"TERM": ""}], ids=str)
def test_any_character_can_be_typed_whatever_the_environment_says(
    opened: Open, kind: str, environment: dict[str, str]
) -> None:
    ana = opened(kind, **environment)
    ana.type("ñandú 漢😀x\x7f\r")
    assert ana.read() == ["line", "ñandú 漢😀"]


def test_a_list_that_is_asked_for_stands_above_the_line(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type("be\x1b?")  # Alt+?
    ana.wait_rows("ana> be", "beto:    Berta:", "ana> be")
    ana.arrives("una fila")
    ana.wait_rows("ana> be", "beto:    Berta:", "una fila", "ana> be")
    ana.key("enter")
    assert ana.read() == ["line", "be"]


# --------------------------------------------------------------------------------------------------
# The text a line begins with, history, search
# --------------------------------------------------------------------------------------------------


def test_a_line_may_begin_with_a_text(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.enter("/again beto: ñandú")
    assert ana.read()[0] == "line"
    ana.wait_for_prompt("ana -> beto (private)> ", "beto: ñandú")
    ana.type("!\x01¡")
    ana.key("enter")
    assert ana.read() == ["line", "¡beto: ñandú!"]
    ana.wait_for_prompt("ana> ")
    ana.key("enter")
    assert ana.read() == ["line", ""], "the text is there once"


def test_a_block_may_stand_in_the_line_again(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    ana.type("\x1b[200~/again uno\ndos\ntres\x1b[201~\r")
    assert ana.read() == ["line", "/again uno\ndos\ntres"]
    ana.wait_rows("ana> uno", "dos", "tres")
    ana.arrives("una fila")
    ana.wait_rows("una fila", "ana> uno", "dos", "tres")
    ana.type("\x1b\rcuatro\r")  # Alt+Enter
    assert ana.read() == ["line", "uno\ndos\ntres\ncuatro"]


def test_the_history_has_lines_once_and_neither_answers_nor_secrets(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    for line in ("uno", "dos", "dos", "/ask", "Eva", "/forget me", " ", "tres"):
        ana.enter(line)
        assert ana.read()[1] == line
    for line in ("tres", "/ask", "dos", "uno", "uno"):
        ana.key("up")
        ana.wait_for_prompt("ana> ", line)
    ana.key("down")
    ana.type(", cambiado")
    ana.wait_for_prompt("ana> ", "dos, cambiado")
    ana.key("down", 4)
    ana.wait_for_prompt("ana> ")
    ana.enter("cuatro")
    assert ana.read() == ["line", "cuatro"]
    ana.type(KEYS["up"] * 4)
    ana.wait_for_prompt("ana> ", "dos")  # as it was entered


def test_searching_the_history_is_not_disturbed_by_what_arrives(opened: Open) -> None:
    ana = opened("gnu")
    ana.wait_for_prompt("ana> ")
    for line in ("beto: hola", "otra cosa"):
        ana.enter(line)
        assert ana.read() == ["line", line]
    ana.type("\x12ho")  # Ctrl+R
    ana.wait_rows("(reverse-i-search)`ho': beto: hola")
    ana.arrives("una fila")
    ana.tell("nick", "eva")
    ana.wait_rows("una fila", "(reverse-i-search)`ho': beto: hola")
    ana.type("l")
    ana.wait_rows("una fila", "(reverse-i-search)`hol': beto: hola")
    ana.key("end")
    ana.wait_for_prompt("eva -> beto (private)> ", "beto: hola")
    ana.type("!\r")
    assert ana.read() == ["line", "beto: hola!"]
    ana.type("\x12otra")
    ana.wait_for("`otra': otra cosa")
    ana.key("enter")
    assert ana.read() == ["line", "otra cosa"]
    ana.wait_rows("una fila", "eva>")


# --------------------------------------------------------------------------------------------------
# Bell, clearing, resizing
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "plain", "plain, no gnu"])
def test_the_bell_rings_and_moves_nothing(opened: Open, kind: str) -> None:
    ana = opened(kind)
    prompt = "" if kind.startswith("plain") else "ana> "
    eventually(ana.is_raw, "the console")
    ana.wait_for_prompt(prompt)
    ana.type("hola")
    ana.wait_for_prompt(prompt, "hola")
    ana.tell("ring")
    ana.wait_until(lambda: b"\a" in ana.printed, "the bell")
    ana.wait_for_prompt(prompt, "hola")
    ana.key("enter")
    assert ana.read() == ["line", "hola"]
    assert ana.printed.count(b"\a") == 1


@pytest.mark.parametrize("how", ["/clear\r", "\x0c"], ids=["/clear", "Ctrl+L"])
def test_what_is_cleared_has_scrolled_off(opened: Open, how: str) -> None:
    ana = opened("gnu", rows=10)
    ana.wait_for_prompt("ana> ")
    ana.arrives(*(f"fila {number}" for number in range(12)))
    ana.wait_for("fila 11")
    if how == "\x0c":
        ana.type("a medias")
        ana.key("left", 2)
    ana.type(how)
    ana.wait_until(lambda: ana.rows()[0].startswith("ana>") and not any(ana.rows()[1:]), "an empty screen")
    assert ana.all_rows()[:12] == [f"fila {number}" for number in range(12)]
    if how == "\x0c":
        ana.wait_cursor(0, len("ana> a medi"))
        ana.key("enter")
        assert ana.read() == ["line", "a medias"]
        ana.wait_until(lambda: ana.rows()[0] == "ana>", "the line entered")


def test_resizing_neither_spoils_the_line_nor_what_stands_above(opened: Open) -> None:
    ana = opened("gnu", columns=60)
    ana.wait_for_prompt("ana> ")
    ana.arrives("una fila", "otra fila")
    ana.wait_for("otra fila")
    text = "un texto largo que no cabe en una sola fila de sesenta columnas, ni en veinte"
    ana.type(text)
    ana.wait_until(lambda: ana.typed("ana>") == text.replace(" ", ""), "the text")
    ana.key("left", 10)
    for columns in (30, 20, 45, 79, 20, 100):
        ana.resize(columns, 24)

        def fits(columns: int = columns) -> bool:
            line = "ana> " + text
            rows = [line[start : start + columns].rstrip() for start in range(0, len(line), columns)]
            at = len(line) - 10
            # Of a wider line, wrapped by the terminal or not, rows may be left: above it.
            there = ana.all_rows()
            return (
                there[:2] == ["una fila", "otra fila"]
                and there[-len(rows) :] == rows
                and ana.cursor == (len(there) - len(rows) + at // columns, at % columns)
            )

        ana.wait_until(fits, f"the line in {columns} columns")
    ana.type("<\r")
    assert ana.read() == ["line", text[:-10] + "<" + text[-10:]]


def test_a_window_that_is_resized_between_two_lines_is_noticed(opened: Open) -> None:
    ana = opened("gnu", columns=60)
    ana.wait_for_prompt("ana> ")
    ana.enter("/wait")
    assert ana.read() == ["line", "/wait"]
    ana.wait_until(lambda: not ana.rows()[0], "the line entered")
    ana.resize(20, 24)
    ana.tell("go on")
    ana.arrives("una fila")
    ana.wait_rows("una fila", "ana>")
    ana.type("x" * 30)
    ana.wait_rows("una fila", "ana> " + "x" * 15, "x" * 15)


@pytest.mark.parametrize("block", ["palabra " * 60, "uno\ndos\n" * 10], ids=["one row", "rows"])
def test_a_line_higher_than_the_window_that_is_shortened_has_its_prompt_again(
    opened: Open, block: str
) -> None:
    ana = opened("gnu", columns=40, rows=8)
    ana.wait_for_prompt("ana> ")
    ana.arrives("llegó antes")
    ana.wait_for("llegó antes")
    ana.type(f"\x1b[200~{block}\x1b[201~")
    ana.wait_until(lambda: not any("ana>" in row for row in ana.rows()), "all of it")
    ana.key("erase all")
    for _ in range(block.count("\n")):
        ana.key("backspace")
        ana.key("erase all")
    ana.wait_for_prompt("ana> ")
    ana.type("hola")
    ana.wait_for_prompt("ana> ", "hola")
    ana.arrives("llega ahora")
    ana.wait_until(lambda: ana.rows()[:2] == ["llega ahora", "ana> hola"], "what arrives above the line")
    assert len(ana.finds("llegó antes")) == 1
    ana.key("enter")
    assert ana.read() == ["line", "hola"]


def test_after_a_line_higher_than_the_window_nothing_that_arrives_is_erased(opened: Open) -> None:
    ana = opened("gnu", columns=40, rows=8)
    ana.wait_for_prompt("ana> ")
    block = "palabra " * 60
    for entered in ("uno", "dos"):
        ana.type(f"\x1b[200~{block}\x1b[201~")
        ana.wait_until(lambda: not any("ana>" in row for row in ana.rows()), "all of it")
        ana.key("enter")
        assert ana.read() == ["line", block]
        ana.arrives(entered)
        ana.wait_for(f"^{entered}$")
        ana.wait_for_prompt("ana> ")
    ana.type(f"\x1b[200~{block}\x1b[201~")
    ana.wait_until(lambda: not any("ana>" in row for row in ana.rows()), "all of it")
    ana.resize(200, 24)
    ana.wait_until(lambda: any(row.startswith("ana> palabra") for row in ana.rows()), "the line anew")
    assert ana.finds("^uno$")
    assert ana.finds("^dos$")
    ana.key("erase all")
    ana.wait_for_prompt("ana> ")
    assert ana.finds("^uno$")
    assert ana.finds("^dos$")


@pytest.mark.parametrize("length", [290, 300, 308, 312, 320, 330])
def test_what_arrives_with_a_prompt_that_gets_shorter_is_not_erased(opened: Open, length: int) -> None:
    ana = opened("gnu", columns=40, rows=8)
    ana.wait_for_prompt("ana> ")
    ana.tell("nick", "ana (1 sending)")
    ana.wait_for_prompt("ana (1 sending)> ")
    ana.type(f"\x1b[200~{'x' * length}y\x1b[201~")
    ana.wait_until(lambda: ana.rows()[ana.cursor[0]].rstrip().endswith("y"), "all of it")
    ana.tell("nick", "ana", "importante")
    ana.wait_for("^importante$")
    ana.arrives("y más")
    ana.wait_for("^y más$")
    assert len(ana.finds("^importante$")) == 1


@pytest.mark.parametrize(
    "text", ["\u2764\ufe0f" * 130, "\u1112\u1161\u11ab" * 80, "\U0001f1ea\U0001f1f8" * 70]
)
def test_a_line_that_only_may_be_higher_than_the_window_erases_nothing(opened: Open, text: str) -> None:
    """Terminals and readline differ on the width of these, and we count the most."""
    ana = opened("gnu", columns=40, rows=8)
    ana.wait_for_prompt("ana> ")
    ana.type(f"\x1b[200~{text}\x1b[201~")
    for number in range(3):
        ana.arrives(f"mensaje {number}")
        ana.wait_for(f"^mensaje {number}$")
    assert b"\x1b[H" not in ana.printed


# --------------------------------------------------------------------------------------------------
# How it ends, and Ctrl+Z
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "no readline", "plain", "plain, no gnu"])
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("\x03", ["interrupted", "KeyboardInterrupt"]),
        (signal.SIGTERM, ["interrupted", "Terminated"]),
        (signal.SIGHUP, ["interrupted", "Terminated"]),
        ("stop", ["stopped", "a medias"]),
    ],
    ids=["Ctrl+C", "SIGTERM", "SIGHUP", "stop"],
)
def test_however_it_ends_the_terminal_is_as_it_was(
    opened: Open, kind: str, end: str | signal.Signals, told: list[str]
) -> None:
    ana = opened(kind)
    prompt = "" if kind.startswith("plain") else "ana> "
    eventually(lambda: kind == "no readline" or ana.is_raw(), "the console")
    ana.wait_for_prompt(prompt)
    ana.type("a medias")
    ana.wait_for_prompt(prompt, "a medias")
    if isinstance(end, signal.Signals):
        ana.signal(end)
    elif end == "stop":
        ana.tell("stop")
        if kind == "no readline":
            told = ["stopped", ""]  # the terminal has it, and tells nobody
    else:
        ana.type(end)
    assert ana.read() == told
    assert ana.status() == 0
    assert ana.printed.count(b"\x1b[?2004h") == ana.printed.count(b"\x1b[?2004l")
    assert not ana.finds("Traceback|Error")


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "no readline", "plain"])
@pytest.mark.parametrize(
    ("end", "told"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "Terminated"), (signal.SIGHUP, "Terminated")],
)
def test_what_ends_it_is_told_also_when_other_signals_come_with_it(
    opened: Open, kind: str, end: signal.Signals, told: str
) -> None:
    ana = opened(kind)
    prompt = "" if kind.startswith("plain") else "ana> "
    eventually(lambda: kind == "no readline" or ana.is_raw(), "the console")
    ana.wait_for_prompt(prompt)
    for number in (signal.SIGSTOP, end, signal.SIGUSR1, signal.SIGALRM, signal.SIGCONT):
        ana.signal(number)  # while it is stopped they gather, and come at once
    assert ana.read() == ["interrupted", told]
    assert ana.status() == 0


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "plain", "plain, no gnu"])
def test_ctrl_z_and_back(opened: Open, kind: str) -> None:
    ana = opened(kind)
    prompt = "" if kind.startswith("plain") else "ana> "
    eventually(ana.is_raw, "the console")
    ana.wait_for_prompt(prompt)
    ana.type("hola")
    ana.wait_for_prompt(prompt, "hola")
    ana.suspend()
    ana.signal(signal.SIGCONT)
    eventually(ana.is_raw, "the console again")
    ana.type(", ñandú")
    ana.wait_for("hola, ñandú")
    ana.key("enter")
    assert ana.read() == ["line", "hola, ñandú"]


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "plain", "plain, no gnu"])
def test_ctrl_c_behind_any_key_is_not_lost(opened: Open, kind: str) -> None:
    for keys in ("\x1b[D", "\x1b[A", "\t", "ñ", "\x1b", "\x12", "\x1b[D" * 20):
        ana = opened(kind)
        eventually(ana.is_raw, "the console")
        ana.type("hola" + keys + "\x03")
        assert ana.read() == ["interrupted", "KeyboardInterrupt"], f"behind {keys!r}"
        assert ana.status() == 0


# --------------------------------------------------------------------------------------------------
# Many arrive while something is typed
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [20, 80, 200])
def test_a_flood_changes_nothing_in_what_is_typed(opened: Open, columns: int) -> None:
    ana = opened("gnu", columns=columns)
    ana.wait_for_prompt("ana> ")
    lines = [f"beto: línea {number} con ñ, 漢字 y 😀, larga para veinte columnas" for number in range(10)]
    ana.tell("flood", "fila ", 500)
    for line in lines:
        ana.type(line[:-6])
        ana.key("left", 9)
        ana.key("backspace")
        ana.type(line[-16])
        ana.key("end")
        ana.enter(line[-6:])
    assert [ana.read() for _ in lines] == [["line", line] for line in lines]
    ana.wait_for("^fila 499$")
    ana.wait_until(lambda: ana.rows()[ana.cursor[0]] == "ana>", "the prompt")
    assert ana.all_rows() == [*(f"fila {number}" for number in range(500)), "ana>"]


# --------------------------------------------------------------------------------------------------
# For screen readers
# --------------------------------------------------------------------------------------------------


PASTED_BLOCKS_ON, PASTED_BLOCKS_OFF = b"\x1b[?2004h", b"\x1b[?2004l"

ON_ANY_TERMINAL = pytest.mark.parametrize("terminal", ["xterm", "dumb"])


def heard(ana: Alone) -> str:
    """Return what a plain console has printed; fails when that has an escape sequence that does anything."""
    printed = ana.printed.replace(PASTED_BLOCKS_ON, b"").replace(PASTED_BLOCKS_OFF, b"")
    assert b"\x1b" not in printed
    return printed.decode()


@ON_ANY_TERMINAL
def test_plain_prints_no_escape_sequence_and_nothing_twice(opened: Open, terminal: str) -> None:
    ana = opened("plain", columns=20, TERM=terminal)
    ana.arrives("una fila")
    ana.wait_rows("una fila")
    ana.type("hola, ")
    ana.wait_rows("una fila", "hola,")
    ana.arrives("otra fila", "y otra")
    ana.wait_done()
    ana.type("ñandú 漢字 y mucho más, ")
    ana.wait_for("^ucho más,$")
    ana.resize(40, 24)
    ana.tell("ring")
    ana.wait_until(lambda: b"\a" in ana.printed, "the bell: it has noticed")
    ana.type("de una fila\r")
    assert ana.read() == ["line", "hola, ñandú 漢字 y mucho más, de una fila"]
    ana.wait_for("^y otra$")
    ana.type("/exit\r")
    assert ana.status() == 0
    assert heard(ana) == (
        "una fila\r\nhola, ñandú 漢字 y mucho más, \ade una fila\r\notra fila\r\ny otra\r\n/exit\r\n"
    )
    brackets = (PASTED_BLOCKS_ON, PASTED_BLOCKS_OFF)
    assert [ana.printed.count(each) for each in brackets] == ([1, 1] if terminal == "xterm" else [0, 0])


@pytest.mark.parametrize("kind", ["plain", "plain, no gnu"])
def test_plain_shows_what_was_held_back_when_all_is_rubbed_out(opened: Open, kind: str) -> None:
    ana = opened(kind, TERM="dumb")
    eventually(ana.is_raw, "the console")
    ana.type("ñ漢😀")
    ana.wait_rows("ñ漢😀")
    ana.arrives("una fila")
    ana.wait_done()
    ana.key("backspace", 2)
    ana.wait_rows("ñ")
    ana.key("backspace")
    ana.wait_rows("una fila")
    ana.type("a\x7f\x7f\x7fhola\r")
    assert ana.read() == ["line", "hola"]
    ana.wait_rows("una fila", "hola")
    assert b"\x1b" not in ana.printed


def test_plain_holds_back_what_arrives_while_one_searches(opened: Open) -> None:
    ana = opened("plain")
    eventually(ana.is_raw, "the console")
    ana.type("\x12")  # Ctrl+R
    ana.wait_rows("(reverse-i-search)`':")
    ana.arrives("una fila")
    ana.tell("ring")
    ana.wait_until(lambda: b"\a" in ana.printed, "the bell")
    assert ana.all_rows() == ["(reverse-i-search)`':"]
    ana.type("\x07")  # Ctrl+G
    ana.wait_rows("una fila")
    heard(ana)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("uno dos\x17tres", "uno tres"),
        ("uno dos\x15tres", "tres"),
        ("be\t\t!", "Berta: !"),
        ("Ñ\thola", "ñandú: hola"),
        ("hola ñ\t!", "hola ñandú !"),
        ("hla" + KEYS["left"] * 2 + "o" + KEYS["end"] + "!", "hola!"),
        ("漢字" + KEYS["home"] + "ñ" + KEYS["delete"], "ñ字"),
        ("x" * 19 + "\x7f\x7fy", "x" * 17 + "y"),
        ("adiós\x15" + KEYS["up"] + "!", "ayer!"),
        ("\x12ye" + KEYS["end"] + "!", "ayer!"),
    ],
    ids=repr,
)
@ON_ANY_TERMINAL
def test_plain_edits_the_line_on_its_row(opened: Open, terminal: str, keys: str, line: str) -> None:
    ana = opened("plain", columns=60, TERM=terminal)
    eventually(ana.is_raw, "the console")
    ana.enter("ayer")
    assert ana.read() == ["line", "ayer"]
    ana.type(keys)
    ana.wait_rows("ayer", line)
    ana.key("enter")
    assert ana.read() == ["line", line]
    ana.arrives("una fila")
    ana.wait_rows("ayer", line, "una fila")
    heard(ana)


def test_plain_takes_a_pasted_block_for_one_line(opened: Open) -> None:
    ana = opened("plain")
    ana.wait_until(lambda: PASTED_BLOCKS_ON in ana.printed, "the console")
    ana.type("\x1b[200~uno\ndos\n\ttres\x1b[201~\r")
    assert ana.read() == ["line", "uno\ndos\n\ttres"]
    ana.type("/exit\r")
    assert ana.status() == 0
    heard(ana)


def test_plain_has_the_lines_before_and_begins_with_a_text(opened: Open) -> None:
    ana = opened("plain")
    eventually(ana.is_raw, "the console")
    for line in ("uno", "dos", "dos", "/ask", "Eva", "/forget me", "tres"):
        ana.enter(line)
        assert ana.read()[1] == line
    ana.type(KEYS["up"] * 4 + "!\r")
    assert ana.read() == ["line", "uno!"]
    ana.enter("/again hola")
    ana.read()
    ana.wait_for("^hola$")
    ana.enter(", beto")
    assert ana.read() == ["line", "hola, beto"]
    ana.wait_for("^hola, beto$")
    assert ana.finds("^Nickname: Eva$")
    heard(ana)


@pytest.mark.parametrize("kind", ["plain", "plain, no gnu"])
def test_plain_asks_again_behind_what_arrives(opened: Open, kind: str) -> None:
    ana = opened(kind, TERM="dumb")
    eventually(ana.is_raw, "the console")
    ana.enter("/ask")
    assert ana.read() == ["line", "/ask"]
    ana.wait_rows("/ask", "Nickname:")
    ana.arrives("una fila")
    ana.wait_rows("/ask", "Nickname:", "una fila", "Nickname:")
    ana.tell("ring")
    ana.arrives()
    ana.enter("Eva")
    assert ana.read() == ["answer", "Eva"]
    ana.arrives("otra fila")
    ana.wait_for("^otra fila$")
    rows = ["/ask", "Nickname:", "una fila", "Nickname: Eva", "otra fila"]
    assert [row for row in ana.all_rows() if row] == rows


def test_who_shows_more_than_is_held_back_waits(opened: Open) -> None:
    ana = opened("plain", TERM="dumb")
    eventually(ana.is_raw, "the console")
    ana.type("a medias")
    ana.wait_rows("a medias")
    ana.arrives(*(f"fila {number}" for number in range(10_000)))
    ana.wait_done()
    ana.arrives("una más")
    line = "a medias"
    for character in ", y todavía a medias, y más":  # time enough for it to come back
        ana.type(character)
        line += character
        ana.wait_rows(line)
    ana.key("enter")
    assert ana.read_next() == ["line", line], "it came back before that"
    ana.wait_for("^una más$")
    ana.wait_done()
    assert len(ana.all_rows()) == 10_002


def test_plain_without_readline_shows_what_arrives_behind_a_line(opened: Open) -> None:
    ana = opened("plain, no readline", TERM="dumb")
    ana.arrives("una fila")
    ana.wait_done()
    ana.enter("hola")
    assert ana.read() == ["line", "hola"]
    ana.wait_for("^una fila$")  # before the line, or behind it
    assert not ana.finds("ana>")
    assert b"\x1b" not in ana.printed


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "no readline", "plain"])
def test_a_line_that_is_no_utf8_is_refused_and_not_had_again(opened: Open, kind: str) -> None:
    ana = opened(kind)
    ana.enter("hola")
    assert ana.read() == ["line", "hola"]
    eventually(lambda: kind == "no readline" or ana.is_raw(), "the console")
    ana.type(b"\xf1and\xfa\r")
    assert ana.read() == ["refused", "not-utf8"]
    if kind != "no readline":
        ana.type(KEYS["up"] + "\r")
        assert ana.read() == ["line", "hola"]


@pytest.mark.parametrize("kind", ["gnu", "no gnu", "no readline", "plain", "plain, no gnu"])
def test_a_password_is_seen_nowhere_and_what_arrives_is(opened: Open, kind: str) -> None:
    ana = opened(kind)
    eventually(lambda: kind == "no readline" or ana.is_raw(), "the console")
    ana.wait_for_prompt("" if kind.startswith("plain") else "ana> ")
    ana.enter("/secret")
    assert ana.read() == ["line", "/secret"]
    ana.wait_for("^Password:$")
    eventually(ana.is_raw, "no echo")
    ana.type("geheiX\x7fm")
    ana.arrives("una fila")
    ana.wait_for("^una fila$")
    ana.wait_until(lambda: ana.rows()[ana.cursor[0]] == "Password:", "the question again")
    ana.type("\x1b[D\t\r")
    assert ana.read()[1].rstrip("\t") == "geheim"
    ana.type(KEYS["up"] + "\r")
    assert ana.read()[1] in ("/secret", "", KEYS["up"])  # no readline: the terminal's own mode
    assert b"geh" not in ana.printed
    if kind == "plain":
        heard(ana)


def test_plain_in_an_emacs_shell_does_not_echo_what_that_has_shown(opened: Open) -> None:
    quiet = (
        "import sys, termios, runpy;"
        "mode = termios.tcgetattr(0); mode[3] &= ~termios.ECHO; termios.tcsetattr(0, termios.TCSANOW, mode);"
        f"sys.argv[0] = {PROGRAM!r}; runpy.run_path({PROGRAM!r}, run_name='__main__')"
    )
    ana = opened("gnu", program=("-c", quiet), TERM="dumb")
    ana.enter("hola")
    assert ana.read() == ["line", "hola"]
    ana.arrives("una fila")
    ana.wait_rows("una fila")
    ana.enter("/ask")
    ana.wait_rows("una fila", "Nickname:")
    assert b"\x1b" not in ana.printed
