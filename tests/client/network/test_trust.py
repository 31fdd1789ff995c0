"""Whom a client trusts: what is remembered, what is refused, and what the user reads then."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE, ROOT

from charla.client.network import trust
from charla.client.network.trust import (
    Authority,
    Distrusted,
    FirstUse,
    KnownHosts,
    Pinned,
    known_hosts_path,
    read_fingerprint,
)


def fingerprint(number: int) -> str:
    """Return a fingerprint as certificates.py writes one."""
    return "SHA256:" + bytes([number] * 32).hex(":").upper()


ONE, TWO = fingerprint(0xA1), fingerprint(0x0B)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a user without anything would get their file."""
    return tmp_path / ".config" / "charla" / "known_hosts"


def server(path: Path, host: str = "chat.example", port: int = 9000) -> FirstUse:
    """Return the trust of a client that has just been started."""
    return FirstUse(host, port, KnownHosts(path))


def words(error: pytest.ExceptionInfo[Distrusted]) -> str:
    assert str(error.value) == "\n".join(error.value.lines)
    return str(error.value)


# ---- the first time, and from then on --------------------------------------------------------------


def test_the_first_certificate_is_shown_and_remembered_and_then_expected(path: Path) -> None:
    told = "\n".join(server(path).judge(ONE))
    assert "first time" in told
    assert ONE in told
    assert "compare it" in told
    assert path.read_text() == f"[chat.example]:9000 {ONE}\n"
    assert server(path).judge(ONE) == []
    with pytest.raises(Distrusted):
        server(path).judge(TWO)
    assert path.read_text() == f"[chat.example]:9000 {ONE}\n"


def test_only_its_owner_can_read_what_is_remembered(path: Path) -> None:
    server(path).judge(ONE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_changed_certificate_is_refused_loudly_with_the_line_to_delete(path: Path) -> None:
    server(path, "other").judge(TWO)
    server(path).judge(ONE)
    with pytest.raises(Distrusted) as error:
        server(path).judge(TWO)
    text = words(error)
    assert text.startswith("WARNING: THE CERTIFICATE OF [chat.example]:9000 HAS CHANGED.")
    assert f"remembered: {ONE}" in text
    assert f"shown now:  {TWO}" in text
    assert f"delete line 2 of {path}" in text
    path.write_text(path.read_text().splitlines(keepends=True)[0])  # as it was told
    assert ONE not in path.read_text()
    assert "first time" in server(path).judge(TWO)[0]


@pytest.mark.parametrize("then", ["as it was", "deleted", "damaged", "rewritten"])
def test_a_process_holds_on_to_what_it_has_seen_whatever_happens_to_the_file(path: Path, then: str) -> None:
    client = server(path)
    assert client.judge(ONE)
    if then == "deleted":
        path.unlink()
    elif then != "as it was":
        path.write_text("rubbish\n" if then == "damaged" else f"[chat.example]:9000 {TWO}\n")
    assert client.judge(ONE) == []
    with pytest.raises(Distrusted, match="HAS CHANGED") as error:
        client.judge(TWO)
    assert ("delete line 1 of" in words(error)) == (then == "as it was")


def test_each_host_and_each_port_has_its_own(path: Path) -> None:
    for host, port, seen in (("a", 1, ONE), ("a", 2, TWO), ("b", 1, TWO), ("::1", 1, TWO), ("ñandú", 1, TWO)):
        assert server(path, host, port).judge(seen)
        assert server(path, host, port).judge(seen) == []
    assert server(path, "A", 1).judge(ONE) == [], "names of hosts have no case"
    assert path.read_text().count("\n") == 5


@pytest.mark.parametrize(
    ("host", "same"),
    [
        ("chat.example", "Chat.Example."),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("2001:db8::a", "2001:DB8:0::A"),
        ("ñandú.example", "xn--and-6ma2c.example"),
    ],
)
def test_a_host_has_one_name_however_it_is_written(path: Path, host: str, same: str) -> None:
    assert server(path, host).judge(ONE)
    assert server(path, same).judge(ONE) == []
    with pytest.raises(Distrusted):
        server(path, same).judge(TWO)


# ---- what the file may look like ---------------------------------------------------------------------


def test_what_is_already_in_the_file_stays(path: Path) -> None:
    path.parent.mkdir(parents=True)
    before = f"# mine\r\n\r\n[b]:1 {TWO}\r\n[c]:1 {TWO}"  # an editor's, without an end of its last line
    path.write_bytes(before.encode())
    assert server(path).judge(ONE)
    assert path.read_bytes() == f"{before}\n[chat.example]:9000 {ONE}\n".encode()
    assert server(path, "b", 1).judge(TWO) == server(path, "c", 1).judge(TWO) == []


def test_of_two_lines_the_first_counts(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"[chat.example]:9000 {ONE}\n[chat.example]:9000 {TWO}\n")
    assert server(path).judge(ONE) == []
    with pytest.raises(Distrusted):
        server(path).judge(TWO)


@pytest.mark.parametrize(
    "damage",
    [
        b"[chat.example]:9000 SHA256:A1\n",
        f"[chat.example]:9000 {ONE} more\n".encode(),
        f"Chat.Example {ONE}\n".encode(),
        b"\xff\xfe\n",
        b"\0" * 50,
    ],
    ids=["cut", "longer", "host", "bytes", "zeros"],
)
def test_a_damaged_file_is_told_and_nothing_is_trusted(path: Path, damage: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(f"[b]:1 {TWO}\n".encode() + damage)
    with pytest.raises(Distrusted) as error:
        server(path).judge(ONE)
    assert words(error).startswith(f"Line 2 of {path} is damaged")
    assert path.read_bytes().endswith(damage)


@pytest.mark.parametrize(
    "damage", [f"[c]:1 {ONE[:20]}", f"other.example {ONE}", "SHA256"], ids=["cut", "host", "word"]
)
def test_a_damaged_line_of_another_server_costs_that_line(path: Path, damage: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"{damage}\n[b]:1 {TWO}\n")
    assert server(path).judge(ONE)
    assert server(path).judge(ONE) == []
    assert path.read_text() == f"{damage}\n[b]:1 {TWO}\n[chat.example]:9000 {ONE}\n"


def test_a_byte_order_mark_of_an_editor_is_no_damage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"[chat.example]:9000 {ONE}\n", encoding="utf-8-sig")
    assert server(path).judge(ONE) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_the_place_of_the_file_is_not_waited_for(path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(Distrusted, match="that is no file"):
        server(path).judge(ONE)


def test_a_link_that_leads_nowhere_is_named_by_where_it_leads(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "gone" / "hosts")
    with pytest.raises(Distrusted) as error:
        server(path).judge(ONE)
    assert f"remembered in {tmp_path / 'gone' / 'hosts'}: No such file" in words(error)


def test_a_file_that_stays_locked_is_not_waited_for_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(trust, "LOCK_TIME", 0.05)
    path.parent.mkdir(parents=True)
    with open(path, "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Distrusted, match="another program keeps it locked"):
            server(path).judge(ONE)
    assert server(path).judge(ONE)


@pytest.mark.parametrize("what", ["a folder", "a file for a folder", "a folder that is not to be written"])
def test_a_file_that_cannot_be_used_is_told_and_nothing_is_trusted(path: Path, what: str) -> None:
    if what == "a folder":
        path.mkdir(parents=True)
    elif what == "a file for a folder":
        path.parent.parent.write_text("")
    else:
        path.parent.mkdir(parents=True)
        path.parent.chmod(0o500)
        if os.access(path.parent, os.W_OK):
            pytest.skip("nothing is forbidden to root")
    with pytest.raises(Distrusted) as error:
        server(path).judge(ONE)
    assert "could not be looked up or remembered" in words(error)
    assert "--tls-fingerprint" in words(error)
    assert ONE in words(error)


@pytest.mark.parametrize("host", ["a b", "a\nb"])
def test_a_name_that_would_damage_the_file_is_not_written(path: Path, host: str) -> None:
    with pytest.raises(Distrusted):
        server(path, host).judge(ONE)
    assert path.read_bytes() == b""


# Remembers 20 servers: argv has the path, and a number that makes the names its own.
MANY = """
import pathlib, sys
from charla.client.network import trust
path, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
fingerprint = "SHA256:" + bytes([number] * 32).hex(":").upper()
sys.stdin.readline()
for port in range(1, 21):
    trust.FirstUse(f"host{number}", port, trust.KnownHosts(path)).judge(fingerprint)
"""


def test_clients_at_the_same_time_do_not_lose_each_others_lines(path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(path), str(number)], cwd=ROOT, stdin=subprocess.PIPE
        )
        for number in range(4)
    ]
    for process in processes:  # all have been started: now they begin
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(DEADLINE) for process in processes] == [0] * 4
    expected = {
        f"[host{number}]:{port + 1} {fingerprint(number)}" for number in range(4) for port in range(20)
    }
    lines = path.read_text().splitlines()
    assert len(lines) == 80
    assert set(lines) == expected


def test_a_client_that_comes_second_to_a_new_server_compares_with_what_the_first_has_seen(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both have looked, and found nothing; the other one has written its line since.
    other = KnownHosts(path)
    monkeypatch.setattr(other, "_find", lambda _host: None)
    server(path).judge(ONE)
    assert FirstUse("chat.example", 9000, other).judge(ONE) == []
    with pytest.raises(Distrusted):
        FirstUse("chat.example", 9000, other).judge(TWO)
    assert path.read_text().count("\n") == 1


def test_where_files_have_no_locks_the_second_compares_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "fcntl", None)
    find, looks = trust._find, []

    def find_late(host: str, lines: list[str]) -> str | None:
        looks.append(host)
        if len(looks) == 2:  # it has looked twice, and is about to write: the other one is faster
            path.write_text(f"[chat.example]:9000 {ONE}\n")
            return None
        return find(host, lines)

    monkeypatch.setattr(trust, "_find", find_late)
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(Distrusted, match="HAS CHANGED"):
        server(path).judge(TWO)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_CONFIG_HOME": "/etc/me"}, "/etc/me/charla/known_hosts"),
        ({"XDG_CONFIG_HOME": "relative"}, "/home/ana/.config/charla/known_hosts"),
        ({}, "/home/ana/.config/charla/known_hosts"),
    ],
)
def test_where_it_is_remembered(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    assert known_hosts_path(environment) == Path(expected)


# ---- the other two ways --------------------------------------------------------------------------


def test_a_given_fingerprint_accepts_that_certificate_and_no_other() -> None:
    pinned = Pinned("chat.example, port 9000", ONE)
    assert pinned.ca is None
    assert pinned.judge(ONE) == []
    with pytest.raises(Distrusted) as error:
        pinned.judge(TWO)
    assert f"expected:  {ONE}" in words(error)
    assert f"shown now: {TWO}" in words(error)


def test_of_which_servers_it_is_known_that_they_speak_tls(path: Path) -> None:
    assert Pinned("chat.example", ONE).knows_tls()
    assert Authority("ca.pem").knows_tls()
    assert not server(path).knows_tls()
    seen = server(path)
    seen.judge(ONE)
    assert server(path).knows_tls()
    assert not server(path, "other").knows_tls()
    path.unlink()
    assert seen.knows_tls()
    path.mkdir()
    assert server(path).knows_tls(), "nobody can say: then nobody is told to do without"


def test_an_authority_is_asked_in_the_handshake() -> None:
    assert Authority("ca.pem").ca == "ca.pem"
    assert Authority("ca.pem").judge(ONE) == []


@pytest.mark.parametrize(
    "typed",
    [
        ONE,
        ONE.lower(),
        "SHA256:" + ONE[7:].replace(":", ""),
        ONE[7:],
        f"  {ONE}  ",
        f"sha256 Fingerprint={ONE[7:]}",
    ],
)
def test_a_fingerprint_can_be_typed_as_programs_print_it(typed: str) -> None:
    assert read_fingerprint(typed) == ONE


@pytest.mark.parametrize("typed", ["", "SHA256:", ONE[:-1], f"{ONE}0", "g" * 64, "１" * 64, f"MD5:{ONE[7:]}"])
def test_what_is_no_fingerprint_is_refused(typed: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - that is what argparse asks for
        read_fingerprint(typed)
