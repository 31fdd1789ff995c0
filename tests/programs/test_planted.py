"""Planted secrets: passwords, tokens and private words that are marked, and must turn up nowhere.

A real server, which records all it can (`--log-level debug`, as text and as JSON, with a transcript and a
log file), meets everything that people do with secrets, right and wrong.  Then all that it has written is
searched.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from attacks.wire import Line
from support import DEADLINE, ROOT, Program
from support.table import Table

from charla.common.certificates import TlsError, own_certificate
from charla.protocol.commands import Tell

MARK = "planted"
"""In every secret, in some case: one search finds them all."""

ROOM = "PLANTED! room, the right one"
MODERATORS = "PLANTED! moderators, the right one"
PRIVATE = "PLANTED private words"
TOKEN = "PLANTED-token-PLANTED"  # of no session
LONG = "PLANTED" * 2000  # longer than a line may be

BROKEN = """\
import sys
from charla.server.room import sessions

get = sessions.Sessions.get

def broken_get(self, nick):
    if nick == "ghost":
        raise RuntimeError("broken on purpose")
    return get(self, nick)

sessions.Sessions.get = broken_get
from charla.server import app
sys.exit(app.main(sys.argv[1:]))
"""
"""server.py with a bug: a private message to `ghost` is an internal error."""


class Planted:
    """A server with everything switched on, and what it was told that must not be found again."""

    def __init__(self, stack: ExitStack, folder: Path, log_format: str, pair: tuple[str, str] | None) -> None:
        self.folder = folder
        self.ca = pair[0] if pair else None
        self.tokens: list[str] = []
        for name, password in (("room", ROOM), ("moderators", MODERATORS)):
            path = folder / f"{name}.secret"
            path.write_text(f"{password}\n")
            path.chmod(0o600)
        tls = ("--tls-cert", pair[0], "--tls-key", pair[1]) if pair else ()
        program = Program(
            *("-c", BROKEN, "--port", "0", "--log-level", "debug", "--log-format", log_format),
            *("--db", str(folder / "log.db"), "--transcript", str(folder / "transcript")),
            *("--password-file", str(folder / "room.secret")),
            *("--moderator-password-file", str(folder / "moderators.secret"), *tls),
        )
        self.program = stack.enter_context(program)
        self.port = int(self.program.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1])

    def connect(self, stack: ExitStack) -> Line:
        """Return a connection that was not greeted yet."""
        return stack.enter_context(Line(self.port, self.ca))

    def enter(self, stack: ExitStack) -> Line:
        """Return a connection that has given the room's password."""
        line = self.connect(stack)
        line.until(b"PASSWORD")
        line.send(f"{ROOM}\n".encode())
        line.until(b"NICK")
        return line

    def join_native(self, stack: ExitStack, nick: str, token: str = "new") -> Line:
        """Take a seat that is kept, or come back to it."""
        line = self.enter(stack)
        last = "" if token == "new" else " last=1"
        line.send(f"HELLO 1 {nick} session={token}{last} history=0\n".encode())
        for row in line.until(b"WHO" if token == "new" else b"LIVE"):
            if row.startswith(b"SESSION "):
                self.tokens.append(row.split()[1].decode())
        return line

    def recorded(self, words: str) -> None:
        """Wait until the server has recorded that."""
        self.program.wait_for_line(words)

    def search(self, data: bytes, what: str) -> None:
        """Fail when a secret is in what was written."""
        found = re.search(f"(?i).*{MARK}.*".encode(), data)
        assert found is None, f"{what}: {found[0][:300]!r}"
        for token in self.tokens:
            assert token.encode() not in data, f"{what} has a token"


@pytest.fixture(params=["text", "json"])
def planted(request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack) -> Planted:
    """Return a server without TLS that records text, or one with TLS that records JSON."""
    pair = None
    if request.param == "json":
        try:
            pair = own_certificate(str(tmp_path / "tls"))
        except TlsError as error:
            pytest.skip(str(error))
    return Planted(stack, tmp_path, request.param, pair)


def test_no_secret_is_in_anything_that_the_server_writes(planted: Planted) -> None:
    with ExitStack() as stack:
        ana = _plain_with_moderation(planted, stack)
        _native_and_malformed(planted, stack, ana)
        _away_and_back(planted, stack)
        _no_protocol_at_all(planted)
        ghost = planted.join_native(stack, "unlucky")
        ghost.send(f"MSG 1 ghost {PRIVATE}\n".encode())
        planted.recorded("internal error")
        _guess_the_room_password(planted, stack)
        planted.program.process.send_signal(signal.SIGHUP)
        planted.program.process.send_signal(signal.SIGUSR1)
        planted.recorded("status: ")
        _search_the_process(planted)

    planted.program.process.send_signal(signal.SIGTERM)
    assert planted.program.status() == 0
    output = "\n".join(planted.program.output).encode()
    transcript = (planted.folder / "transcript").read_bytes()
    planted.search(output, "the record")
    planted.search(transcript, "the transcript")
    _search_the_log_file(planted)
    # That all of it has taken place, and that a search finds something:
    for words in (
        b"wrong password from",
        b"internal error",
        b"broken on purpose",
        b"status: ",
        b"is back from",
    ):
        assert words in output
    assert b"for all to read" in transcript
    assert len(set(planted.tokens)) == len(planted.tokens) >= 3


def _guess_the_room_password(planted: Planted, stack: ExitStack) -> None:
    """Three wrong ones, and each of them something else that is not to be seen."""
    line = planted.connect(stack)
    for wrong in ("PLANTED wrong one", f"HELLO 1 ana session={TOKEN} last=3", LONG):
        line.until(b"PASSWORD")
        line.send(f"{wrong}\n".encode())
    line.until(b"! That was one wrong password too many")


def _plain_with_moderation(planted: Planted, stack: ExitStack) -> Line:
    """Somebody who types, and types the password where it does not belong."""
    ana = planted.enter(stack)
    ana.send(f"{ROOM}\n".encode())  # once more, in the place of the nick
    ana.until(b"! ")
    ana.send(b"ana\n")
    ana.until(b"* 1 here")
    for typed in (f"/mod {MODERATORS}", f"/mod{MODERATORS}", f"/kick {MODERATORS}", f"/nick {MODERATORS}"):
        ana.send(f"{typed}\n".encode())
        ana.until(b"! ")
    for password in ("PLANTED, the wrong one", LONG, MODERATORS):
        ana.send(b"/mod\n")
        ana.until(b"PASSWORD")
        ana.send(f"{password}\n".encode())
        ana.until(b"* " if password == MODERATORS else b"! ")
    for typed in (f"nobody: {PRIVATE}", f"/msg nobody {PRIVATE}", f"/msg {PRIVATE * 400}"):
        ana.send(f"{typed}\n".encode())
        ana.until(b"! ")
    ana.send(f"for all to read\nana: {PRIVATE}\n".encode())
    ana.until(b"[to ana]")
    return ana


def _native_and_malformed(planted: Planted, stack: ExitStack, ana: Line) -> None:
    """Commands that carry secrets, well and badly made."""
    beto = planted.join_native(stack, "beto")
    beto.send(f"MSG 1 ana {PRIVATE}\n".encode())
    beto.until(b"MSG ")
    ana.until(b"[private] beto")
    for line in (
        f"MSG 2 nobody {PRIVATE}",
        f"MSG 3 ana {PRIVATE * 300}",
        f"MSG 4 ana {LONG}",
        f"MSG x ana {PRIVATE}",
        f"MSG 5 ana {PRIVATE}\\q",
        f"msg 6 ana {PRIVATE}",
        f"MOD x {MODERATORS}",
        f"MOD {MODERATORS}",
        f"MOD 7 {MODERATORS}\\q",
        f"mod 8 {MODERATORS}",
        f"MOD 9 {LONG}",
        "MOD 10 PLANTED, the wrong one",
        f"PASSWORD {ROOM}",
        f"HELLO 1 beto session={TOKEN}",
    ):
        beto.send(f"{line}\n".encode())
        beto.until(b"ERROR ")
    beto.send(f"MSG 11 ana {PRIVATE}\xff\n".encode("latin-1"))
    beto.until(b"ERROR ")
    beto.send(f"MSG 12 ana {PRIVATE}, without an end".encode())
    beto.close()
    planted.recorded("beto: connection lost")


def _away_and_back(planted: Planted, stack: ExitStack) -> None:
    """Private messages to somebody whose link is down, tokens right and wrong."""
    away = planted.join_native(stack, "away")
    token = planted.tokens[-1]
    away.close()
    planted.recorded("away: connection lost")
    friend = planted.join_native(stack, "friend")
    friend.send(f"MSG 1 away {PRIVATE}\n".encode())
    friend.until(b"WAITS ")
    back = planted.join_native(stack, "away", token)
    planted.recorded("away is back from")
    back.close()
    stranger = planted.enter(stack)
    stranger.send(f"HELLO 1 away session={TOKEN} last=1\n".encode())
    stranger.until(b"ERROR ")


def _no_protocol_at_all(planted: Planted) -> None:
    """What is neither TLS nor a line: a failing handshake, and an end in the middle."""
    for data in (b"\x16\x03\x01\x00\x20" + PRIVATE.encode() * 3, f"GET /{TOKEN} HTTP/1.1\r\n".encode()):
        with socket.create_connection(("127.0.0.1", planted.port), DEADLINE) as sock:
            sock.settimeout(DEADLINE)
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass


def _search_the_process(planted: Planted) -> None:
    """Search what ps shows of the server."""
    process = Path("/proc", str(planted.program.process.pid))
    if not process.exists():
        return
    shown = (process / "cmdline").read_bytes().replace(str(planted.folder).encode(), b"")
    planted.search(shown, "ps")
    for thread in (process / "task").iterdir():
        planted.search((thread / "comm").read_bytes(), "the name of a thread")


def _search_the_log_file(planted: Planted) -> None:
    """What is said is in there, for a while; passwords and tokens never are."""
    data = b"".join(path.read_bytes() for path in planted.folder.glob("log.db*"))
    assert b"for all to read" in data
    for secret in (ROOM, MODERATORS, "wrong one", TOKEN, *planted.tokens):
        assert secret.encode() not in data


def test_a_bug_is_recorded_without_what_somebody_said(table: Table, caplog: pytest.LogCaptureFixture) -> None:
    """A message of somebody without a seat: no reader hands that over."""
    table.room.handle(table.connect(), [Tell("ana", PRIVATE, 1)])

    assert "internal error" in caplog.text
    assert "Tell before a seat" in caplog.text
    assert PRIVATE not in caplog.text


# ---- the client ------------------------------------------------------------------------------------------


def test_no_password_is_in_anything_that_the_client_writes(planted: Planted, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHARLA_")}
    environment |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
    tls = ("--tls",) if planted.ca else ()
    command = [sys.executable, "client.py", "--port", str(planted.port), "--nick", "carla", *tls]

    def run(typed: str, **more: str) -> str:
        """Return all that a client says that is given these lines."""
        done = subprocess.run(
            command,
            input=typed.encode(),
            capture_output=True,
            cwd=ROOT,
            env=environment | more,
            timeout=DEADLINE,
        )
        return (done.stdout + done.stderr).decode()

    lines = f"/mod {MODERATORS}\n/mod\n/mod{MODERATORS}\nhello\n"
    outputs = [
        run(lines, CHARLA_PASSWORD=ROOM, CHARLA_MODERATOR_PASSWORD=MODERATORS),
        run(lines, CHARLA_PASSWORD=ROOM, CHARLA_MODERATOR_PASSWORD="PLANTED, the wrong one"),
        run(lines, CHARLA_PASSWORD="PLANTED, the wrong one"),
        run(lines, CHARLA_PASSWORD=LONG),
    ]

    for output in outputs:
        planted.search(output.encode(), "the client's output")
    assert "That is not the password" in outputs[1]
    assert "That is not the password" in outputs[2]
    for path in home.rglob("*"):
        if path.is_file():
            planted.search(path.read_bytes(), path.name)
    planted.recorded("carla is now a moderator|carla .*moderator|wrong password")
    planted.search("\n".join(planted.program.output).encode(), "the server's record")
