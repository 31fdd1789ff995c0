"""The documents say what the programs do: their tables are complete, and their conversations happen so."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import RunningServer
from support import ROOT, LineClient
from support.documents import DOCUMENTS, PROTOCOL, anchors, first_column, section

from charla.client import options as client_options
from charla.common import passwords
from charla.common.config_file import parse_simple
from charla.common.passwords import Password
from charla.protocol import native, nicks, sentences, typed
from charla.server import options

Serve = Callable[..., RunningServer]
Connect = Callable[..., LineClient]

READMES = ("README.md", "docs/README.es.md")


# ---- tables --------------------------------------------------------------------------------------


def test_every_code_of_a_refusal_has_its_row() -> None:
    assert sorted(first_column(section("Codes"))) == sorted(sentences.SENTENCES)


def test_so_has_every_goodbye_every_reason_and_every_action() -> None:
    assert sorted(first_column(section("Server: BYE"))) == sorted(sentences.GOODBYES)
    assert sorted(first_column(section("Server: LEAVE"))) == sorted(sentences.LEAVE_REASONS)
    assert sorted(first_column(section("Server: NOTICE"))) == sorted(sentences.NOTICES)
    actions = first_column(section("Server: MODERATED").partition("| action | nick")[2])
    assert sorted(actions) == sorted(sentences.ACTIONS)


def test_the_fields_of_status_stand_in_their_order() -> None:
    rows = re.findall(r"^\| (\d+) \| `([a-z-]+)` \|", section("Server: STATUS"), re.MULTILINE)
    assert rows == [(str(number), name) for number, name in enumerate(sentences.STATUS_WORDS, 1)]


def test_every_verb_has_its_paragraph_and_its_rule() -> None:
    rules = section("Grammar")
    for verb in native._MESSAGES:
        assert f"`{verb}" in section(f"Server: {verb}")
        assert f'%s"{verb}"' in rules
    told = "".join(re.findall(r"^### Client: .*?(?=^##+ [^C]|\Z)", PROTOCOL, re.DOTALL | re.MULTILINE))
    for verb in native._TAGGED:
        assert f"`{verb} tag" in told
        assert f'%s"{verb}" SP tag' in rules


@pytest.mark.parametrize("name", READMES)
def test_every_command_is_in_the_readme_and_in_the_protocol(name: str) -> None:
    for command in typed.COMMANDS:
        assert f"/{command}" in DOCUMENTS[name]
        assert f"/{command}" in section("Commands")


def test_the_reserved_words_are_all_there() -> None:
    assert set(re.findall("`([^` ]+)`", section("Reserved words").partition("What looks")[0])) == (
        nicks.RESERVED_NICKS
    )


@pytest.mark.parametrize("name", READMES)
@pytest.mark.parametrize("parse", [options.parse_options, client_options.parse_options])
def test_every_option_is_in_the_readme(
    name: str, parse: Callable[[Sequence[str]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help", "--version"}
    assert flags
    for flag in flags:
        assert re.search(rf"`{flag}[ `,]", DOCUMENTS[name]), flag


@pytest.mark.parametrize(
    ("name", "title"), [("README.md", "The client"), ("docs/README.es.md", "Opciones del cliente")]
)
def test_every_option_of_the_client_has_its_row_with_its_variable_and_its_line_of_the_file(
    name: str, title: str
) -> None:
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
        for row in re.findall(r"^\|( `--.*)\|$", section(title, DOCUMENTS[name]), re.MULTILINE)
    ]
    assert all(len(row) == 5 for row in rows)
    by_flag = {row[0].split("`")[1].split(" ")[0]: row for row in rows}
    assert list(by_flag) == [f"--{option.name}" for option in client_options.OPTIONS] + [
        "--config",
        "--version",
    ]
    for option in client_options.OPTIONS:
        flags, variable, line, *_ = by_flag[f"--{option.name}"]
        assert f"`{option.variable}`" in variable
        ((written, value),) = parse_simple(line.strip("`")).items()
        assert written == option.name
        assert isinstance(value, option.written)
        assert (f"`--no-{option.name}`" in flags) is (not option.metavar)


# ---- modules -------------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """Return the name by which a file of the checkout is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def test_every_module_is_in_the_architecture_below_all_that_it_imports() -> None:
    table = first_column(section("The files", DOCUMENTS["docs/ARCHITECTURE.md"]))
    order = [module_name(Path(name)) for name in table]
    modules = {
        module_name(path.relative_to(ROOT)): path
        for path in (ROOT / "charla").rglob("*.py")
        if len(ast.parse(path.read_text()).body) > 1  # not only a docstring
    }
    assert sorted(order) == sorted(modules)
    for name, path in modules.items():
        tree = ast.parse(path.read_text())
        only_for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            for other in imported:
                if other in modules and id(node) not in only_for_types:
                    assert order.index(other) < order.index(name), f"{name} imports {other}"


# ---- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text()), target


# ---- conversations -------------------------------------------------------------------------------


class Conversation:
    """One connection's part of a recorded conversation, held again with a server."""

    def __init__(self, recorded: str, open_client: Callable[[], LineClient]) -> None:
        self._lines = [line.replace("␠", " ") for line in recorded.splitlines() if not _is_timed(line)]
        self._open = open_client
        self._client: LineClient | None = None
        self._native = False

    def go_on(self) -> None:
        """Hear what comes before the next line of the client, say that, and hear the answer to it."""
        self._hear()
        kind, line = self._lines.pop(0).split(" ", 1)
        assert kind == "C:"
        self._native = self._native or line.startswith("HELLO ")
        self._connected().send(f"{line}\n")
        if self._lines and self._lines[0].startswith("S: ") and self._is_answered():
            self._hear(1)

    def finish(self) -> None:
        """Say what is left to say, and hear what is left to hear."""
        while any(line.startswith("C: ") for line in self._lines):
            self.go_on()
        self._hear()
        if self._lines == ["   (end of stream)"]:
            assert self._connected().rest() == []
            self._connected().close()
        else:
            assert self._lines == []

    def _is_answered(self) -> bool:
        """Say whether the next line is an answer: in plain, what is said to everyone has none."""
        return self._native or re.match(r"S: ([*!]|\[to |NICK|PASSWORD)", self._lines[0]) is not None

    def _hear(self, count: int = -1) -> None:
        while count and self._lines and self._lines[0].startswith("S: "):
            line = self._connected().line()
            if _is_timed(f"S: {line}"):
                continue
            assert _timeless(line) == _timeless(self._lines.pop(0)[3:])
            count -= 1

    def _connected(self) -> LineClient:
        if self._client is None:
            self._client = self._open()
        return self._client


def _is_timed(line: str) -> bool:
    """Say whether a line comes by the clock: the server's PING, a second after a private message."""
    return line.startswith("S: PING ")


def _timeless(line: str) -> str:
    """Return a line without what is another one each time."""
    if line.startswith("STATUS "):
        return re.sub(r" \d+", " N", line)
    line = re.sub(r"^(\* [a-z, ]+): \d+( s)?$", r"\1: N", line)  # a row of /status
    line = re.sub(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d\]", "[WHEN]", line)
    line = re.sub(r"^SESSION \S+", "SESSION TOKEN", line)
    return re.sub(r"\d{3,}", "N", line)


@pytest.fixture
def hold(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what holds the conversation under a heading.

    `order`: a letter for each line of a client, of the first connection shown (a), the second (b)...; all
    lines that are left come after these, connection by connection.
    """
    monkeypatch.setattr(passwords, "FIRST_DELAY", 0.02)

    def hold_conversation(
        title: str, server: RunningServer, order: str = "", which: slice = slice(None)
    ) -> None:
        blocks = re.findall(r"^```\n(.*?)^```", section(title), re.DOTALL | re.MULTILINE)
        recorded = [block for block in blocks if block.startswith("S: ")]
        parts = [Conversation(block, lambda: connect(server)) for block in recorded[which]]
        assert parts
        for letter in order:
            parts["abcdef".index(letter)].go_on()
        for part in parts:
            part.finish()

    return hold_conversation


Hold = Callable[..., None]


def test_a_password_is_given(serve: Serve, hold: Hold) -> None:
    hold("A password", serve(password=Password("tres tigres")))


def test_moderators_at_work(serve: Serve, hold: Hold) -> None:
    order = "abcaaaaabbacaaacaaaaadaaaa"
    hold("Moderators at work", serve(moderator_password=Password("mil grullas")), order, slice(4))


def test_a_moderator_in_plain(serve: Serve, hold: Hold) -> None:
    hold("Moderators at work", serve(moderator_password=Password("mil grullas")), "ab", slice(4, 6))


def test_the_room_is_full(serve: Serve, connect: Connect, hold: Hold) -> None:
    server = serve(max_clients=1)
    connect(server).join_plain("ana")
    hold("The room is full", server)


def test_somebody_is_turned_away_at_the_door(serve: Serve, connect: Connect, hold: Hold) -> None:
    server = serve(max_per_address=1)
    connect(server).join_plain("ana")
    hold("Turned away at the door", server)


def test_no_nick_comes_in_time(serve: Serve, hold: Hold) -> None:
    hold("No nick in time", serve(handshake_timeout=0.3))


def test_a_nick_is_refused_twice(serve: Serve, connect: Connect, hold: Hold) -> None:
    server = serve()
    connect(server).join_native("ana")
    hold("A nick refused twice, then taken", server)


def test_a_native_conversation(serve: Serve, hold: Hold) -> None:
    hold("Native: a conversation", serve(), "ababaaaaaaaaabb")
