"""The log on disk: one SQLite file (--db), written by the room, read by readers, swept by a housekeeper.

    thread        does                                                      with the connection
    room          `write`: one transaction for all that is waiting          _writer
    a reader      iterates over slices: long resumes, history               _reader, one at a time (_reading)
    housekeeper   takes out what is not to stay (housekeeper.py)            its own

The file is in WAL mode: readers do not wait for the writer, nor it for them, and a commit appends to one
file.  With synchronous=NORMAL a commit survives the end of the process, kill -9 too, because it is with
the operating system then; a power cut may take the last ones, in order, and damages nothing.  With FULL it
is on the disk (sqlite.org/pragma.html#pragma_synchronous).  The write-ahead log is copied into the file by
the housekeeper, not by a commit: a commit syncs one page at most, when it is the first one after that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

from charla.server.storage.entries import Logged, SessionRow, Stored
from charla.server.storage.housekeeper import Housekeeper
from charla.server.storage.log_file import MIGRATIONS, connect, explain, lock_file, migrate

_COLUMNS = "id, time, author, addressee, tag, line"
_PUBLIC = "addressee = 0 AND (line GLOB 'SAY *' OR line GLOB 'ME *')"


class Storage:
    """A log file.  StorageError when it cannot be used; `keep` in seconds, 0 for ever."""

    def __init__(
        self,
        path: str,
        *,
        sync: str = "normal",
        keep: float = 0.0,
        migrations: tuple[tuple[str, ...], ...] = MIGRATIONS,
    ) -> None:
        path = os.path.abspath(path)  # SQLite takes ":memory:" and "" for something else
        self._path = path
        # The lock's descriptor is closed last: to close any descriptor of a file gives up the locks
        # (fcntl) that SQLite has on it.
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, lock_file(path))
            try:
                # The room thread's; before that runs, its maker's.
                self._writer = opened.enter_context(contextlib.closing(connect(path, sync)))
                migrate(path, self._writer, migrations)
                # Any reader's that holds the lock.
                self._reader = opened.enter_context(contextlib.closing(connect(path)))
                self._reader.execute("PRAGMA query_only = ON")
                self._reading = threading.Lock()
                sweeper = opened.enter_context(contextlib.closing(connect(path)))
                self._housekeeper = Housekeeper(path, sweeper, keep)
            except sqlite3.Error as error:
                raise explain(path, error) from error
            self._opened = opened.pop_all()

    def start(self) -> None:
        """Start the housekeeper, once."""
        self._housekeeper.start()

    def close(self) -> None:
        """End the housekeeper and close the file.  Nobody writes or reads any more."""
        self._housekeeper.stop()
        self._opened.close()

    @property
    def floor(self) -> int:
        """The id up to which events were deleted, but for private messages.  Any thread."""
        return self._housekeeper.floor

    # ---- before the threads ----------------------------------------------------------------------

    def load(self, limit: int) -> Stored:
        """Return what a server begins with, `limit` events and `limit` public messages at the most."""
        try:
            last_id, last_time = self._writer.execute("SELECT last_id, last_time FROM log").fetchone()
            recent = self._select(self._writer, "TRUE", (), limit, newest=True)
            refusals: defaultdict[int, list[int]] = defaultdict(list)
            for session, tag in self._writer.execute("SELECT session, tag FROM refusals ORDER BY tag"):
                refusals[session].append(tag)
            sessions = self._writer.execute(
                "SELECT id, token, nick, last_tag, claimed, moderator FROM sessions ORDER BY id"
            )
            state = self._writer.execute("SELECT kind, key, value FROM state")
            return Stored(
                last_id,
                last_time,
                recent[0].id - 1 if len(recent) == limit and recent else self.floor if recent else last_id,
                recent,
                self._select(self._writer, _PUBLIC, (), limit, newest=True),
                self._select(self._writer, "addressee > 0", (), -1),
                [
                    SessionRow(
                        number, token, nick.decode(), tag, claimed, tuple(refusals[number]), bool(moderator)
                    )
                    for number, token, nick, tag, claimed, moderator in sessions
                ],
                [(kind.decode(), key.decode(), value.decode()) for kind, key, value in state],
            )
        except (sqlite3.Error, UnicodeDecodeError, TypeError) as error:
            raise explain(self._path, error) from error

    # ---- room thread -----------------------------------------------------------------------------

    def write(
        self,
        events: Iterable[Logged],
        sessions: Mapping[int, SessionRow | None],
        refusals: Iterable[tuple[int, int]],
        forgotten: Iterable[tuple[int, int]] = (),
        state: Mapping[tuple[str, str], str | None] = {},
    ) -> None:
        """Write all of it, or nothing and StorageError.  When it returns, it is committed.

        A session that is None has ended; a value of `state`, by kind and key, that is None goes.
        """
        rows = [(e.id, e.time, e.author, e.to, e.tag, e.line[:-1].decode()) for e in events]
        saved = [
            (row.id, row.token, row.nick, row.last_tag, row.claimed, row.moderator)
            for row in sessions.values()
            if row is not None
        ]
        ended = [(number,) for number, row in sessions.items() if row is None]
        stated = [(*name, value) for name, value in state.items() if value is not None]
        unstated = [name for name, value in state.items() if value is None]
        execute, execute_many = self._writer.execute, self._writer.executemany
        try:
            execute("BEGIN IMMEDIATE")
            if rows:
                execute_many("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
                execute("UPDATE log SET last_id = ?, last_time = ?", rows[-1][:2])
            if saved:
                execute_many("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?)", saved)
            execute_many("INSERT OR IGNORE INTO refusals VALUES (?, ?)", refusals)
            execute_many("DELETE FROM refusals WHERE session = ? AND tag = ?", forgotten)
            if ended:
                execute_many("DELETE FROM sessions WHERE id = ?", ended)
                execute_many("DELETE FROM refusals WHERE session = ?", ended)
            if stated:
                execute_many("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", stated)
            if unstated:
                execute_many("DELETE FROM state WHERE kind = ? AND key = ?", unstated)
            execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._writer.rollback()
            raise explain(self._path, error) from error

    def erase(self, ids: list[int]) -> None:
        """Have the housekeeper erase these events, so that they are nowhere in the file."""
        self._housekeeper.erase(ids)

    # ---- reader threads --------------------------------------------------------------------------

    def events_after(self, number: int, upto: int, session: int, limit: int) -> list[Logged]:
        """Return events that concern `session`, `limit` at the most, with number < id <= upto, in order."""
        condition = "id > ? AND id <= ? AND (addressee IN (0, ?) OR (author = ? AND addressee > 0))"
        return self._read(condition, (number, upto, session, session), limit)

    def find_public(self, before: int, count: int) -> tuple[int, int]:
        """Look for the newest public messages with an id below `before`, `count` at the most.

        Return the id of the first of them, and how many there are.
        """
        newest = f"SELECT id FROM events WHERE id < ? AND {_PUBLIC} ORDER BY id DESC LIMIT ?"  # noqa: S608
        try:
            with self._reading:
                first, found = self._reader.execute(
                    f"SELECT MIN(id), COUNT(*) FROM ({newest})",  # noqa: S608
                    (before, count),
                ).fetchone()
        except sqlite3.Error as error:
            raise explain(self._path, error) from error
        return first or before, found

    def public_between(self, first: int, before: int, limit: int) -> list[Logged]:
        """Return public messages with first <= id < before, `limit` at the most, in order."""
        return self._read(f"id >= ? AND id < ? AND {_PUBLIC}", (first, before), limit)

    def _read(self, condition: str, values: tuple[int, ...], limit: int) -> list[Logged]:
        try:
            with self._reading:
                return self._select(self._reader, condition, values, limit)
        except sqlite3.Error as error:
            raise explain(self._path, error) from error

    @staticmethod
    def _select(
        connection: sqlite3.Connection,
        condition: str,
        values: tuple[int, ...],
        limit: int,
        newest: bool = False,
    ) -> list[Logged]:
        order = "DESC" if newest else "ASC"
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM events WHERE {condition} ORDER BY id {order} LIMIT ?",  # noqa: S608
            (*values, limit),
        ).fetchall()
        if newest:
            rows.reverse()
        return [
            Logged.from_line(number, at, author, to, tag, line + b"\n")
            for number, at, author, to, tag, line in rows
        ]
