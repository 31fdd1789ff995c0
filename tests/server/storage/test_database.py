"""The log on disk: what survives, what is erased, and what happens with a file that cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, eventually

from charla.protocol.messages import Acted, Joined, Said, Told
from charla.server.storage import housekeeper
from charla.server.storage.database import Storage
from charla.server.storage.entries import EVERYONE, NOBODY, Logged, SessionRow, StorageError
from charla.server.storage.log_file import BUSY_TIME, MIGRATIONS

NOW = int(time.time() * 1000)

Open = Callable[..., Storage]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "room.db")


@pytest.fixture
def open_storage(path: str, stack: ExitStack) -> Open:
    """Open the file; it is closed at the end, once."""

    def opened(**options: object) -> Storage:
        storage = Storage(path, **options)  # type: ignore[arg-type]
        stack.callback(storage.close)
        return storage

    return opened


@pytest.fixture
def _swift_housekeeper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeper, "SWEEP_INTERVAL", 0.01)


def said(number: int, text: str = "hola", at: int = NOW, author: int = 1) -> Logged:
    return Logged.of(Said(number, at, 7, "ana", text), author, EVERYONE)


def told(number: int, text: str, author: int = 1, to: int = 2) -> Logged:
    return Logged.of(Told(number, NOW, 8, "ana", "beto", text), author, to)


def ids(entries: list[Logged]) -> list[int]:
    return [logged.id for logged in entries]


def public_before(storage: Storage, before: int, count: int) -> list[Logged]:
    """Read the newest public messages before an id as a reader does, in pages of 2."""
    first, found = storage.find_public(before, count)
    entries: list[Logged] = []
    while page := storage.public_between(first, before, 2):
        entries += page
        first = page[-1].id + 1
    assert len(entries) == found
    return entries


def on_disk(path: str, text: str) -> bool:
    """Say whether `text` stands anywhere in the files of the log."""
    folder = Path(path).parent
    return any(text.encode() in file.read_bytes() for file in folder.iterdir())


# ---- what survives -------------------------------------------------------------------------------


def test_what_is_written_is_there_again(path: str) -> None:
    entries = [
        said(1, "uno\n\\dos"),
        Logged.of(Acted(2, NOW, 0, "ána", "baila 🎉"), 5, EVERYONE),
        told(3, "secreto"),
        Logged.of(Joined(4, NOW + 9, "eva"), 0, NOBODY),
    ]
    rows = {1: SessionRow(1, b"t" * 32, "ana", 12, moderator=True), 5: SessionRow(5, b"", "ána", 0)}
    with closing(Storage(path)) as storage:
        storage.write(entries, rows, [(1, 11), (1, 9)])
    with closing(Storage(path)) as storage:
        stored = storage.load(10)
    assert (stored.last_id, stored.last_time, stored.floor) == (4, NOW + 9, 0)
    assert ids(stored.public) == [1, 2]
    assert ids(stored.private) == [3]
    assert stored.sessions == [SessionRow(1, b"t" * 32, "ana", 12, 0, (9, 11), True), rows[5]]
    for before, after in zip(entries, stored.recent, strict=True):
        assert (after.id, after.time, after.author, after.to, after.tag, after.line) == (
            *(before.id, before.time, before.author, before.to, before.tag, before.line),
        )


def test_only_the_newest_are_loaded(open_storage: Open) -> None:
    storage = open_storage()
    storage.write([said(n) if n % 2 else Logged.of(Joined(n, NOW, "x"), 0, 0) for n in range(1, 21)], {}, [])
    stored = storage.load(4)
    assert ids(stored.recent) == [17, 18, 19, 20]
    assert ids(stored.public) == [13, 15, 17, 19]
    assert stored.floor == 16


def test_a_session_is_written_over_and_ends(open_storage: Open) -> None:
    storage = open_storage()
    storage.write([], {1: SessionRow(1, b"t", "ana", 1), 2: SessionRow(2, b"u", "beto", 0)}, [(1, 1)])
    storage.write([], {1: None, 2: SessionRow(2, b"u", "Beto", 3)}, [])
    assert storage.load(1).sessions == [SessionRow(2, b"u", "Beto", 3)]
    storage.write([], {1: SessionRow(1, b"t", "ana", 1)}, [])
    assert storage.load(1).sessions[0].refused == ()


def test_state_is_written_over_deleted_and_there_again(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.write([], {}, [], state={("ban", "ána"): "1", ("mute", "ána"): "2", ("topic", ""): '"té"'})
        storage.write([], {}, [], state={("ban", "ána"): None, ("mute", "ána"): "3", ("ban", "eva"): None})
    with closing(Storage(path)) as storage:
        assert sorted(storage.load(1).state) == [("mute", "ána", "3"), ("topic", "", '"té"')]


def test_a_write_is_all_or_nothing(open_storage: Open) -> None:
    storage = open_storage()
    storage.write([said(1)], {}, [], state={("topic", ""): "old"})
    rows = {9: SessionRow(9, b"t", "ana", 1)}
    with pytest.raises(StorageError):
        storage.write([said(2), said(1)], rows, [], state={("topic", ""): "new"})
    unwritable: dict[tuple[str, str], Any] = {("topic", ""): "new", ("ban", "ana"): 1j}  # it comes last
    with pytest.raises(StorageError):
        storage.write([said(2)], rows, [], state=unwritable)
    stored = storage.load(10)
    assert (ids(stored.recent), stored.last_id, stored.sessions) == ([1], 1, [])
    assert stored.state == [("topic", "", "old")]
    storage.write([said(2)], {}, [])  # and it can be written on


@pytest.mark.usefixtures("_swift_housekeeper")
def test_the_id_that_was_given_last_is_remembered_though_its_event_is_erased(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.start()
        storage.write([said(1), told(2, "x")], {}, [])
        storage.erase([2])
    with closing(Storage(path)) as storage:
        stored = storage.load(10)
        assert (ids(stored.recent), stored.last_id) == ([1], 2)


def test_it_survives_kill_9(path: str) -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); "
        "from charla.server.storage.database import Storage\n"
        "from charla.server.storage.entries import Logged; from charla.protocol.messages import Said\n"
        "s = Storage(sys.argv[2]); s.start()\n"
        "for n in range(1, 101): s.write([Logged.of(Said(n, n, 0, 'ana', 'hola'), 1, 0)], {}, [])\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(ROOT), path], check=False).returncode == -9
    with closing(Storage(path)) as storage:
        assert ids(storage.load(1000).recent) == list(range(1, 101))


def test_kill_9_leaves_an_event_and_the_state_that_goes_with_it_or_neither(path: str) -> None:
    program = (
        "import itertools, sys; sys.path.insert(0, sys.argv[1]); "
        "from charla.server.storage.database import Storage\n"
        "from charla.server.storage.entries import Logged; from charla.protocol.messages import Said\n"
        "s = Storage(sys.argv[2]); s.start()\n"
        "for n in itertools.count(1):\n"
        "    state = {('topic', ''): str(n), ('ban', str(n)): 'x', ('ban', str(n - 1)): None}\n"
        "    s.write([Logged.of(Said(n, n, 0, 'ana', 'hola'), 1, 0)], {}, [], state=state)\n"
        "    if n == 200: print('under way', flush=True)"
    )
    command = [sys.executable, "-c", program, str(ROOT), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"under way\n"
        process.kill()
    with closing(Storage(path)) as storage:
        stored = storage.load(1)
    assert stored.last_id >= 200
    assert sorted(stored.state) == [("ban", str(stored.last_id), "x"), ("topic", "", str(stored.last_id))]


def test_what_sync_means_to_sqlite(open_storage: Open, tmp_path: Path) -> None:
    def level(storage: Storage) -> object:
        return storage._writer.execute("PRAGMA synchronous").fetchone()[0]

    assert level(open_storage()) == 1  # NORMAL: sqlite.org/pragma.html#pragma_synchronous
    with closing(Storage(str(tmp_path / "full.db"), sync="full")) as storage:
        assert level(storage) == 2


@pytest.mark.parametrize("exists", [False, True])
def test_only_its_owner_can_read_the_file(path: str, open_storage: Open, exists: bool) -> None:
    if exists:
        Path(path).touch(0o666)
    storage = open_storage()
    storage.write([said(1)], {}, [])
    for file in Path(path).parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


# ---- reading beside the room ---------------------------------------------------------------------


def test_a_resume_reads_what_concerns_it_piece_by_piece(open_storage: Open) -> None:
    storage = open_storage()
    entries = [
        said(1),
        told(2, "a", author=1, to=2),
        told(3, "b", author=2, to=3),
        told(4, "c", author=3, to=1),
        Logged.of(Joined(5, NOW, "x"), 0, NOBODY),
        said(6),
        said(7),
    ]
    storage.write(entries, {}, [])
    assert ids(storage.events_after(0, 6, 1, 100)) == [1, 2, 4, 6]
    assert ids(storage.events_after(0, 7, 3, 2)) == [1, 3]
    assert ids(storage.events_after(3, 7, 3, 100)) == [4, 6, 7]
    assert storage.events_after(7, 7, 1, 100) == []


def test_older_history_is_read_backwards(open_storage: Open) -> None:
    storage = open_storage()
    storage.write([told(n, "x") if n % 3 == 0 else said(n) for n in range(1, 11)], {}, [])
    assert ids(public_before(storage, 8, 3)) == [4, 5, 7]
    assert ids(public_before(storage, 3, 100)) == [1, 2]


# ---- what does not stay --------------------------------------------------------------------------


@pytest.mark.usefixtures("_swift_housekeeper")
def test_an_erased_message_is_nowhere_in_the_files(path: str, open_storage: Open) -> None:
    storage = open_storage()
    storage.start()
    storage.write([said(1, "todos lo oyen"), told(2, "secreto-xyzzy"), told(3, "todavia-no")], {}, [])
    assert on_disk(path, "secreto-xyzzy")
    storage.erase([2])
    eventually(lambda: not on_disk(path, "secreto-xyzzy"), "erasing")
    assert on_disk(path, "todos lo oyen")
    assert on_disk(path, "todavia-no")
    assert ids(storage.events_after(0, 3, 1, 9)) == [1, 3]


def test_every_connection_overwrites_what_it_deletes(open_storage: Open) -> None:
    storage = open_storage()  # some builds of SQLite do so by default: that is why it is asked
    for connection in (storage._writer, storage._reader, storage._housekeeper._connection):
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


@pytest.mark.usefixtures("_swift_housekeeper")
def test_who_reads_the_file_meanwhile_stops_neither_the_room_nor_for_ever_the_erasing(
    path: str, open_storage: Open
) -> None:
    storage = open_storage()
    storage.start()
    storage.write([said(1), told(2, "secreto-xyzzy")], {}, [])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM events").fetchall()
        storage.erase([2])
        eventually(lambda: ids(storage.events_after(0, 2, 1, 9)) == [1], "the deletion")
        for number in range(3, 30):
            begun = time.monotonic()
            storage.write([said(number)], {}, [])
            assert time.monotonic() - begun < BUSY_TIME / 2  # it would wait for all of that
        assert on_disk(path, "secreto-xyzzy")
    eventually(lambda: not on_disk(path, "secreto-xyzzy"), "erasing")


@pytest.mark.usefixtures("_swift_housekeeper")
def test_thousands_are_erased_a_few_at_a_time(open_storage: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeper, "SWEEP_ROWS", 10)
    storage = open_storage()
    storage.write([told(n, "x") for n in range(1, 101)], {}, [])
    storage.erase(list(range(1, 96)))
    storage.start()
    eventually(lambda: ids(storage.events_after(0, 100, 1, 99)) == list(range(96, 101)), "erasing")


def test_what_is_still_to_be_erased_is_erased_before_the_end(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.start()
        storage.write([told(n, "x") for n in range(1, 2001)], {}, [])
        storage.erase(list(range(1, 2001)))
    with closing(Storage(path)) as storage:
        assert storage.load(10).private == []


@pytest.mark.usefixtures("_swift_housekeeper")
def test_what_is_too_old_goes_and_the_rest_stays(open_storage: Open) -> None:
    storage = open_storage(keep=3600.0)
    now = int(time.time() * 1000)  # NOW is when the suite began
    old, young = now - 3_700_000, now - 60_000
    waiting = Logged.of(Told(7, old, 0, "ana", "beto", "psst"), 1, 2)
    entries = [said(n, at=old if n <= 1200 else young) for n in range(1, 1301)]
    storage.write([waiting if entry.id == 7 else entry for entry in entries], {}, [])
    storage.start()
    eventually(lambda: storage.floor == 1200, "the old ones' end")
    assert ids(public_before(storage, 2000, 2000)) == list(range(1201, 1301))
    assert ids(storage.load(10).private) == [7]


@pytest.mark.usefixtures("_swift_housekeeper")
def test_without_an_end_everything_stays(open_storage: Open) -> None:
    storage = open_storage(keep=0.0)
    storage.write([said(1, at=1000), told(2, "x")], {}, [])
    storage.start()
    storage.erase([2])
    eventually(lambda: ids(storage.events_after(0, 9, 1, 9)) == [1], "a round of the housekeeper")
    assert storage.floor == 0


@pytest.mark.usefixtures("_swift_housekeeper")
def test_the_write_ahead_log_does_not_grow_for_ever(
    path: str, open_storage: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeper, "WAL_LIMIT", 100_000)
    storage = open_storage()
    storage.write([said(n, "x" * 1000) for n in range(1, 501)], {}, [])
    assert os.path.getsize(f"{path}-wal") > 100_000
    storage.start()
    eventually(lambda: os.path.getsize(f"{path}-wal") < 100_000, "a new write-ahead log")


# ---- files that cannot be used -------------------------------------------------------------------


def refusal(path: str) -> str:
    with pytest.raises(StorageError) as refused, closing(Storage(path)) as storage:
        storage.load(10)
    sentence = str(refused.value)
    assert path in sentence
    assert "\n" not in sentence
    return sentence


def test_a_file_that_is_no_database(path: str) -> None:
    Path(path).write_bytes(b"What somebody wrote, long enough to be a header of SQLite.\n" * 100)
    before = Path(path).read_bytes()
    assert "no log of Charla" in refusal(path)
    assert Path(path).read_bytes() == before


def test_another_programs_database(path: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.commit()
    assert "another program" in refusal(path)


def test_a_damaged_file(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.write([said(n, "x" * 500) for n in range(1, 501)], {}, [])
    damaged = bytearray(Path(path).read_bytes())
    damaged[4096 * 2 :] = b"\xaa" * (len(damaged) - 4096 * 2)
    Path(path).write_bytes(damaged)
    assert "damaged" in refusal(path)


def test_a_file_of_a_newer_charla(path: str) -> None:
    newer = (*MIGRATIONS, ("ALTER TABLE events ADD COLUMN mood TEXT",))
    Storage(path, migrations=newer).close()
    sentence = refusal(path)
    assert "newer Charla" in sentence
    assert f"schema is {len(newer)}" in sentence


def test_a_file_that_another_server_uses(path: str, open_storage: Open) -> None:
    open_storage().write([said(1)], {}, [])
    assert "in use by another server" in refusal(path)


def test_a_device_is_no_file() -> None:
    assert "is no file" in refusal("/dev/null")


def test_a_name_that_means_something_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with closing(Storage(":memory:")) as storage:
            storage.write([said(storage.load(9).last_id + 1)], {}, [])
    assert [file.name for file in tmp_path.iterdir()] == [":memory:"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "--db" in refusal(str(tmp_path / "nowhere" / "room.db"))
    assert "--db" in refusal(str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_read_only_file(path: str) -> None:
    Storage(path).close()
    os.chmod(path, 0o400)
    assert "cannot be opened for writing" in refusal(path)


def test_a_full_disk_is_said_and_loses_nothing_that_was_written(open_storage: Open) -> None:
    storage = open_storage()
    storage.write([said(1)], {}, [])
    (pages,) = storage._writer.execute("PRAGMA page_count").fetchone()
    storage._writer.execute(f"PRAGMA max_page_count = {pages}")  # what a full disk is to SQLite
    with pytest.raises(StorageError) as full:
        storage.write([said(n, "x" * 1000) for n in range(2, 50)], {}, [])
    assert full.value.code == "disk-full"
    assert "the disk is full" in str(full.value)
    assert ids(storage.load(10).recent) == [1]


# ---- migrations ----------------------------------------------------------------------------------


def test_a_file_of_the_first_version_keeps_what_is_there(path: str) -> None:
    Storage(path, migrations=MIGRATIONS[:1]).close()
    with closing(sqlite3.connect(path)) as file:  # as the first version wrote it
        file.executescript(
            f"""INSERT INTO events VALUES (1, {NOW}, 1, 0, 7, 'SAY 1 {NOW} 7 ana hola');
            INSERT INTO events VALUES (2, {NOW}, 1, 5, 8, 'MSG 2 {NOW} 8 ana beto psst');
            UPDATE log SET last_id = 2, last_time = {NOW};
            INSERT INTO sessions VALUES (1, x'74', 'ána', 9, 2), (5, x'', 'beto', 0, 0);
            INSERT INTO refusals VALUES (1, 9);"""
        )
    for _ in range(2):  # what was migrated is opened again as it is
        with closing(Storage(path)) as storage:
            stored = storage.load(10)
            assert (ids(stored.recent), ids(stored.private), stored.last_id) == ([1, 2], [2], 2)
            assert stored.recent[0].event == Said(1, NOW, 7, "ana", "hola")
            assert stored.sessions == [SessionRow(1, b"t", "ána", 9, 2, (9,)), SessionRow(5, b"", "beto", 0)]
            assert stored.state == []
    with closing(Storage(path)) as storage:
        storage.write(
            [said(3)], {1: SessionRow(1, b"t", "ána", 9, moderator=True)}, [], state={("a", "b"): "c"}
        )
        stored = storage.load(10)
        assert [row.moderator for row in stored.sessions] == [True, False]
        assert stored.state == [("a", "b", "c")]


def test_the_first_version_refuses_a_file_of_this_one(path: str) -> None:
    Storage(path).close()
    with pytest.raises(StorageError, match="newer Charla"):
        Storage(path, migrations=MIGRATIONS[:1])


def test_a_migration_keeps_what_is_there(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.write([said(1), told(2, "x")], {1: SessionRow(1, b"t", "ana", 3)}, [])
    newer = (*MIGRATIONS, ("ALTER TABLE sessions ADD COLUMN mood TEXT NOT NULL DEFAULT ''",))
    with closing(Storage(path, migrations=newer)) as storage:
        stored = storage.load(10)
        assert ids(stored.recent) == [1, 2]
        assert stored.sessions == [SessionRow(1, b"t", "ana", 3)]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(newer),)
        assert file.execute("SELECT mood FROM sessions").fetchall() == [("",)]


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: str) -> None:
    with closing(Storage(path)) as storage:
        storage.write([said(1)], {}, [])
    broken = (*MIGRATIONS, ("CREATE TABLE moods (mood TEXT)", "no SQL at all"))
    with pytest.raises(StorageError):
        Storage(path, migrations=broken)
    with closing(Storage(path)) as storage:
        assert ids(storage.load(10).recent) == [1]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'moods'").fetchall()
