"""docs/BOTS.md: its bots work as they stand there, and its tables are complete."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from conftest import RunningServer
from support import DEADLINE, ROOT, LineClient
from support.documents import anchors, first_column, section
from support.scripted import AT, FakeServer

from charla import protocol
from charla.client.network.events import Ended, Ending
from charla.client.script.jsonlines import COMMANDS, MAX_ID, MESSAGES, OWN, encode_event
from charla.protocol.commands import HISTORY_ASKED, Ping, Pong, Say
from charla.protocol.messages import Goodbye, HistoryEntry, Said, Welcome, WhoPage

BOTS = (ROOT / "docs/BOTS.md").read_text()

Serve = Callable[..., RunningServer]
Connect = Callable[..., LineClient]

TIME = r"\d\d:\d\d:\d\d"


def code(heading: str, language: str) -> str:
    """Return the block of code under a heading."""
    chapter = BOTS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", chapter, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, heading
    return str(blocks[0])


DICE = code("In Python, with protocol.py", "python")
CLOCK = code("With client.py --json", "python")
SHELL = code("In shell, with nc", "sh")


class Bot:
    """A bot of the document as a process: what it writes goes to a file, and is read when it has ended."""

    def __init__(self, folder: Path, program: list[str], text: str, *arguments: str) -> None:
        (folder / "bot").write_text(text)
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [*program, str(folder / "bot"), *arguments],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if not name.startswith("CHARLA_")}
                | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return the exit status, and what it wrote."""
        return self.process.wait(DEADLINE), self._output.read_text()

    def kill(self) -> None:
        """Kill it, and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)


@pytest.fixture
def start(tmp_path: Path, stack: ExitStack) -> Callable[..., Bot]:
    """Start a bot of the document: `start(["sh"], SHELL, "127.0.0.1", "9000", "clock")`."""

    def started(program: list[str], text: str, *arguments: str) -> Bot:
        bot = Bot(tmp_path, program, text, *arguments)
        stack.callback(bot.kill)
        return bot

    return started


def address(server: RunningServer) -> tuple[str, str]:
    host, port = server.address[:2]
    return host, str(port)


# ---- in Python, on protocol.py -----------------------------------------------------------------------


def test_the_bot_in_python_has_under_40_lines() -> None:
    assert len(DICE.splitlines()) < 40


def test_the_bot_in_python_builds_on_what_is_promised() -> None:
    imports = [node for node in ast.walk(ast.parse(DICE)) if isinstance(node, ast.ImportFrom)]
    assert {node.module for node in imports} == {"protocol"}
    assert {alias.name for node in imports for alias in node.names} <= set(protocol.__all__)


def test_the_bot_in_python_answers_in_the_room_and_in_private(
    serve: Serve, connect: Connect, start: Callable[..., Bot]
) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    ana.send("!time\n/say !dice\n/who\n")  # before it is here: not for it
    ana.until("^\\* 1 here")
    bot = start([sys.executable], DICE, *address(server), "dice")
    ana.expect("* dice joined")
    ana.send("hola\n!time\n")
    assert re.fullmatch(f"dice: {TIME}", ana.line())
    ana.send("dice: !dice\n")
    ana.expect("[to dice] !dice")
    assert re.fullmatch(r"\[private\] dice: [1-6]", ana.line())
    ana.send("/me !time\ndice !time\n!dice\n")
    assert re.fullmatch("dice: [1-6]", ana.line())
    bot.process.send_signal(signal.SIGINT)
    ana.expect("* dice left")  # and nothing came to what was no question
    assert bot.ended() == (0, "Welcome dice\n")


def test_the_bot_in_python_takes_another_nick_when_its_own_is_taken(
    serve: Serve, connect: Connect, start: Callable[..., Bot]
) -> None:
    server = serve()
    ana = connect(server).join_plain("dice")
    connect(server).join_plain("dice2")
    ana.expect("* dice2 joined")
    bot = start([sys.executable], DICE, *address(server), "Dice")
    ana.expect("* Dice3 joined")
    ana.send("!dice\n")
    assert ana.line().startswith("Dice3: ")
    ana.close()
    server.server.shutdown()
    assert bot.ended() == (0, "Welcome Dice3\n")


def test_the_bot_in_python_tells_why_it_is_not_in(serve: Serve, start: Callable[..., Bot]) -> None:
    status, output = start([sys.executable], DICE, *address(serve(max_clients=0)), "dice").ended()
    assert (status, output) == (1, "Refusal full\nthe server ended it: refused\n")


def test_the_bot_in_python_answers_pings_passes_over_what_it_does_not_know_and_tells_why_it_ended(
    fake: FakeServer, start: Callable[..., Bot], stack: ExitStack
) -> None:
    bot = start([sys.executable], DICE, "127.0.0.1", fake.port, "dice")
    seat = stack.enter_context(fake.accept())
    seat.send("NICK\n")
    seat.command()
    seat.tell(Welcome(1, AT, "dice", 2), WhoPage(0, 1, 1, 2, ("ana", "dice")), Ping(7))
    assert seat.command() == Pong(7)
    seat.send(b"FUTURE 1 2 3\nSAY x\n\xff\n\n" + b"x" * 10_000 + b"\n")
    seat.tell(
        HistoryEntry(Said(2, AT, 0, "ana", "!dice")), Said(3, AT, 4, "dice", "!dice")
    )  # old, and its own
    seat.tell(Said(4, AT, 0, "ana", "!dice"))
    answer = seat.command()
    assert isinstance(answer, Say)
    assert answer.tag == 1  # the first answer that it gave
    seat.send(b"PING 8\nPI")  # TCP cuts where it likes
    assert seat.command() == Pong(8)
    seat.send(b"NG 9\n")
    assert seat.command() == Pong(9)
    seat.tell(Goodbye("kicked"))
    assert bot.ended() == (1, "Welcome dice\nthe server ended it: kicked\n")


@pytest.mark.parametrize("greeting", ["PASSWORD\n", "! Not now. [full 3]\n", "SSH-2.0-x\n", ""])
def test_the_bot_in_python_says_what_it_was_told_instead_of_nick(
    fake: FakeServer, start: Callable[..., Bot], stack: ExitStack, greeting: str
) -> None:
    bot = start([sys.executable], DICE, "127.0.0.1", fake.port, "dice")
    seat = stack.enter_context(fake.accept())
    seat.send(greeting)
    seat.close()
    assert bot.ended() == (1, f"not let in: {greeting.strip().encode()!r}\n")


# ---- in shell, with nc -------------------------------------------------------------------------------


@pytest.fixture(params=["nc", "ncat", "nc.traditional"])
def shell_bot(request: pytest.FixtureRequest) -> str:
    """Return the bot in shell, for each nc that there is; it sends empty lines when there is a file `now`."""
    if not shutil.which(request.param):
        pytest.skip(f"there is no {request.param}")
    assert SHELL.count("\nnc ") == SHELL.count("while sleep 30 &&") == 1
    text = SHELL.replace("\nnc ", f"\n{request.param} ")
    return text.replace("sleep 30", 'until test -e "$TMPDIR/now"; do sleep 0.1; done; sleep 0.1')


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_bot_in_shell_answers_and_ends_with_the_server(
    serve: Serve, connect: Connect, start: Callable[..., Bot], shell: str, shell_bot: str, tmp_path: Path
) -> None:
    server = serve()
    ana = connect(server).join_plain("clock")
    ana.send("!time\n")  # the history
    bot = start([shell], shell_bot, *address(server), "clock")
    ana.expect("* clock_ joined")
    ana.send(
        "hola\n/me nota: !time\n/say nota: !time\nclock_: $(date) `date` \\ *\n$(touch x) !time\n!time\n"
    )
    ana.expect("[to clock_] $(date) `date` \\ *")
    assert re.fullmatch(f"clock_: {TIME}", ana.line())
    ana.send("clock_: !time\n")
    ana.expect("[to clock_] !time")
    assert re.fullmatch(rf"\[private\] clock_: {TIME}", ana.line())
    (tmp_path / "now").touch()
    ana.close()
    server.server.shutdown()
    status, output = bot.ended()
    assert status == 0
    assert output.startswith("! 'clock' is taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bot", "now", "output"]


# ---- with client.py --json ---------------------------------------------------------------------------


def test_the_bot_with_json_answers_and_ends_with_the_server(
    serve: Serve, connect: Connect, start: Callable[..., Bot]
) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    ana.send("!time\n")
    host, port = address(server)
    options = ("--nick", "clock", "--host", host, "--port", port, "--no-reconnect")
    bot = start([sys.executable], CLOCK, *options)
    ana.expect("* clock joined")
    ana.send("hola\n!time\n")
    assert re.fullmatch(f"clock: {TIME}", ana.line())
    ana.send("clock: !time\n!time\n")
    ana.expect("[to clock] !time")
    assert re.fullmatch(f"clock: {TIME}", ana.line())
    ana.close()
    server.server.shutdown()
    status, output = bot.ended()
    assert status == 1
    assert "'type': 'ended', 'how': 'goodbye', 'code': 'closing'" in output


@pytest.mark.parametrize("all_of_it", [True, False])
def test_the_bot_with_json_ends_quietly_on_ctrl_c(
    serve: Serve, connect: Connect, start: Callable[..., Bot], all_of_it: bool
) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    bot = start([sys.executable], CLOCK, "--nick", "clock", "--port", address(server)[1])
    ana.expect("* clock joined")
    ana.send("!time\n")
    assert re.fullmatch(f"clock: {TIME}", ana.line())
    if all_of_it:  # as a terminal does
        os.killpg(bot.process.pid, signal.SIGINT)
    else:
        bot.process.send_signal(signal.SIGINT)
        # Python sees a signal that comes right before a blocking read only after it: so it gets a line.
        ana.send("hola\n")
    ana.expect("* clock left")
    assert bot.ended() == (0, "")


def test_the_conversation_in_json_happens_so(serve: Serve, connect: Connect, stack: ExitStack) -> None:
    server = serve()
    connect(server).join_plain("ana")
    client = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "client.py", "--json", "--nick", "clock", "--port", address(server)[1]],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            bufsize=1,
        )
    )
    stack.callback(client.kill)
    assert client.stdin is not None
    assert client.stdout is not None
    told = iter(client.stdout)
    assert json.loads(next(told))["type"] == "welcome"
    assert json.loads(next(told))["type"] == "here"
    for who, line in re.findall(r"^(you|client) +(\{.*\})$", BOTS, re.MULTILINE):
        if who == "you":
            client.stdin.write(f"{line}\n")
            continue
        expected, came = json.loads(line), json.loads(next(told))
        assert list(came) == list(expected)
        for changing in ("id", "time"):
            expected.pop(changing, None), came.pop(changing, None)
        assert came == expected
    client.stdin.write('{"type": "leave"}\n')
    assert json.loads(next(told)) == {"type": "ended", "how": "goodbye", "code": "left", "arguments": []}
    assert client.wait(DEADLINE) == 4  # something was refused


def test_one_thing_is_said_without_a_bot(serve: Serve, connect: Connect) -> None:
    server = serve()
    ana = connect(server).join_plain("ana")
    (command,) = re.findall(r"`python3 (client.py [^`]*--send[^`]*)`", BOTS)
    arguments = [*shlex.split(command), "--port", address(server)[1]]
    subprocess.run([sys.executable, *arguments], cwd=ROOT, timeout=DEADLINE, check=True)
    ana.expect("* cron joined", "cron: The backup is done", "* cron left")


# ---- tables ------------------------------------------------------------------------------------------

WRITES = section("What client.py --json writes", BOTS)
TAKES = section("What client.py --json takes", BOTS)


def table(text: str) -> dict[str, list[str]]:
    """Return the fields of each type of a table as they stand there: `*` around one that may be missing."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) ?\| ", text, re.MULTILINE)
    return {name: re.findall(r"\*?`[a-z]+`\*?", fields) for name, fields in rows}


def test_every_type_that_is_written_is_there_with_its_fields() -> None:
    told = {}
    for name, kind in MESSAGES.items():
        names = [field.name for field in dataclasses.fields(kind)]
        has_author = {"id", "time", "tag"} <= set(names)
        names = [f"`{field}`" for field in names if field != "tag"]
        told[name] = names + (["`own`"] if has_author else [])
    told |= {name: [f"`{field}`" for field in names] for name, names in OWN.items()}
    ways = set(first_column(WRITES.partition("| how | means |")[2]))
    assert {name: fields for name, fields in table(WRITES).items() if name in told} == told
    assert set(first_column(WRITES)) == {*told, *ways}


def test_so_is_every_way_to_end() -> None:
    ways = first_column(WRITES.partition("| how | means |")[2])
    ended = [json.loads(encode_event("ended", **Ended(how)._asdict()))["how"] for how in Ending]
    assert ways == ended


def test_every_type_that_is_taken_is_there_with_its_fields() -> None:
    taken = {}
    for name, kind in COMMANDS.items():
        optional = [
            field.name
            for field in dataclasses.fields(kind)
            if field.default is not dataclasses.MISSING or name == "topic"
        ]
        names = [field.name for field in dataclasses.fields(kind) if field.name != "tag"]
        taken[name] = [f"*`{field}`*" if field in optional else f"`{field}`" for field in names]
    assert table(TAKES) == taken
    assert f"({HISTORY_ASKED})" in TAKES
    assert f"{MAX_ID} characters" in TAKES


def test_every_link_of_the_document_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", BOTS):
        path, _, anchor = target.partition("#")
        file = ROOT / "docs" / path if path else ROOT / "docs/BOTS.md"
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target
