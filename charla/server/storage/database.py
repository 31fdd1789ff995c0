"""The log on disk: one SQLite file (--db), written by the room, read by readers, swept by a housekeeper.

    thread        does                                                      with the connection
    room          `write`: one transaction for all that is waiting          _writer
    a reader      `events_after`, `public_before`: long resumes, history    _reader, one at a time (_reading)
    housekeeper   erases private messages that nobody can ask for any       _keeper
                  more, deletes what is older than --keep, checkpoints

The file is in WAL mode: readers do not wait for the writer, nor it for them, and a commit appends to one
file.  With synchronous=NORMAL a commit survives the end of the process, kill -9 too, because it is with
the operating system then; a power cut may take the last ones, in order, and damages nothing.  With FULL it
is on the disk (sqlite.org/pragma.html#pragma_synchronous).  The write-ahead log is copied into the file by
the housekeeper, not by a commit: a commit syncs one page at most, when it is the first one after that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterable, Mapping
from queue import Empty, SimpleQueue

try:
    import fcntl
except ImportError:  # not on Windows, where server.py does not start
    fcntl = None  # type: ignore[assignment]

from charla.i18n import N_, LazyText, system_words
from charla.server.storage.entries import Logged, SessionRow, StorageError, Stored

log = logging.getLogger("charla")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # `line` is the event in the native dialect, as others are told it: docs/PROTOCOL.md.
        "CREATE TABLE events (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, author INTEGER NOT NULL,"
        " addressee INTEGER NOT NULL, tag INTEGER NOT NULL, line TEXT NOT NULL)",
        "CREATE INDEX private ON events (id) WHERE addressee > 0",
        # `token` is a SHA-256, empty for a session that ends with its connection.
        "CREATE TABLE sessions (id INTEGER PRIMARY KEY, token BLOB NOT NULL, nick TEXT NOT NULL,"
        " last_tag INTEGER NOT NULL, claimed INTEGER NOT NULL)",
        "CREATE TABLE refusals (session INTEGER NOT NULL, tag INTEGER NOT NULL,"
        " PRIMARY KEY (session, tag)) WITHOUT ROWID",
        # Events are deleted, also the newest: so the id that was given last is written down.
        "CREATE TABLE log (last_id INTEGER NOT NULL, last_time INTEGER NOT NULL)",
        "INSERT INTO log VALUES (0, 0)",
    ),
    (
        # What moderators have decided: rules.py knows the kinds, and the values, which are JSON.
        "CREATE TABLE state (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
        " PRIMARY KEY (kind, key)) WITHOUT ROWID",
        "ALTER TABLE sessions ADD COLUMN moderator INTEGER NOT NULL DEFAULT 0",
    ),
)
"""What makes version n of the schema of version n - 1 (1 of an empty file), statement by statement."""

APPLICATION_ID = 0x43686C61  # "Chla", in the file's header: not another program's database

BUSY_TIME = 5.0
"""Seconds that a write waits for another one: the housekeeper's take milliseconds."""

SWEEP_INTERVAL = 1.0
"""Seconds between two rounds of the housekeeper."""

PRUNE_INTERVAL = 60.0
"""Seconds between two looks for what is older than is to be kept."""

BREATH = 0.001
"""Seconds between two deletions: the room's turn."""

SWEEP_ROWS = 500
"""Rows that it deletes at a time, so that a commit of the room's waits a millisecond or two for it."""

WAL_SIZE = 1024 * 1024
"""Bytes of write-ahead log from which on it is copied into the file."""

WAL_LIMIT = 16 * 1024 * 1024
"""Bytes of write-ahead log after which it is begun anew, even if a commit has to wait a moment for that."""


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
        self._keep = keep
        # The lock's descriptor is closed last: to close any descriptor of a file lets go of the locks
        # (fcntl) that SQLite has on it.
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, _lock_file(path))
            try:
                self._writer = opened.enter_context(contextlib.closing(self._connect(sync)))
                _migrate(path, self._writer, migrations)
                self._reader = opened.enter_context(contextlib.closing(self._connect()))
                self._reader.execute("PRAGMA query_only = ON")
                self._keeper = opened.enter_context(contextlib.closing(self._connect()))
                # Ids up to here were deleted, but for private messages; the housekeeper's to change.
                self.floor = self._lowest_id() - 1
            except sqlite3.Error as error:
                raise _error(path, error) from error
            self._opened = opened.pop_all()
        self._reading = threading.Lock()  # guards `_reader`
        self._to_erase: SimpleQueue[list[int] | None] = SimpleQueue()  # ids; None: end
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeper", daemon=True)

    def _connect(self, sync: str = "normal") -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIME, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = bytes  # lines go to sockets as they are
        try:
            # What is deleted is overwritten, also where the writer moves it from page to page.
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if sync == 'full' else 'NORMAL'}")
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            # When it is begun anew it is cut to this size: so its size tells whether it has grown since.
            connection.execute(f"PRAGMA journal_size_limit = {WAL_SIZE // 2}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def start(self) -> None:
        """Start the housekeeper, once."""
        self._housekeeper.start()

    def close(self) -> None:
        """End the housekeeper and close the file.  Nobody writes or reads any more."""
        if self._housekeeper.is_alive():
            self._to_erase.put(None)
            self._housekeeper.join()
        self._opened.close()

    # ---- before the threads ----------------------------------------------------------------------

    def load(self, limit: int) -> Stored:
        """Return what a server begins with, `limit` events and `limit` public messages at the most."""
        try:
            last_id, last_time = self._writer.execute("SELECT last_id, last_time FROM log").fetchone()
            recent = self._select(self._writer, "TRUE", (), limit, newest=True)
            refusals: dict[int, list[int]] = {}
            for session, tag in self._writer.execute("SELECT session, tag FROM refusals ORDER BY tag"):
                refusals.setdefault(session, []).append(tag)
            return Stored(
                last_id,
                last_time,
                recent[0].id - 1 if len(recent) == limit and recent else self.floor if recent else last_id,
                recent,
                self._select(self._writer, _PUBLIC, (), limit, newest=True),
                self._select(self._writer, "addressee > 0", (), -1),
                [
                    SessionRow(
                        number,
                        token,
                        nick.decode(),
                        last_tag,
                        claimed,
                        tuple(refusals.get(number, ())),
                        bool(moderator),
                    )
                    for number, token, nick, last_tag, claimed, moderator in self._writer.execute(
                        "SELECT id, token, nick, last_tag, claimed, moderator FROM sessions ORDER BY id"
                    )
                ],
                [
                    (kind.decode(), key.decode(), value.decode())
                    for kind, key, value in self._writer.execute("SELECT kind, key, value FROM state")
                ],
            )
        except (sqlite3.Error, UnicodeDecodeError, TypeError) as error:
            raise _error(self._path, error) from error

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
            raise _error(self._path, error) from error

    def erase(self, ids: list[int]) -> None:
        """Have the housekeeper erase these events, so that they are nowhere in the file."""
        self._to_erase.put(ids)

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
            raise _error(self._path, error) from error
        return first or before, found

    def public_between(self, first: int, before: int, limit: int) -> list[Logged]:
        """Return public messages with first <= id < before, `limit` at the most, in order."""
        return self._read(f"id >= ? AND id < ? AND {_PUBLIC}", (first, before), limit)

    def _read(self, condition: str, values: tuple[int, ...], limit: int) -> list[Logged]:
        try:
            with self._reading:
                return self._select(self._reader, condition, values, limit)
        except sqlite3.Error as error:
            raise _error(self._path, error) from error

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

    # ---- housekeeper -----------------------------------------------------------------------------

    def _keep_house(self) -> None:
        unerased: list[int] = []
        residue = False  # of erased messages, in the write-ahead log
        prune_next = time.monotonic()
        ending = False
        complained = ""  # of what; once is enough
        pause = SWEEP_INTERVAL
        while True:
            try:
                ids = self._to_erase.get(timeout=pause)
            except Empty:
                ids = []
            pause = SWEEP_INTERVAL
            ending = ending or ids is None
            unerased += ids or []
            try:
                if unerased:
                    self._erase(unerased[:SWEEP_ROWS])
                    del unerased[:SWEEP_ROWS]
                    residue = True
                    if unerased:
                        pause = BREATH
                        continue
                if self._keep and not ending and time.monotonic() >= prune_next:
                    if self._prune():  # there may be more
                        pause = BREATH
                    else:
                        prune_next = time.monotonic() + PRUNE_INTERVAL
                residue = not self._checkpoint(begin_anew=residue) and residue
            except sqlite3.Error as error:
                # The room will meet the same when it writes, and says so; here it is tried again.
                if str(error) != complained:
                    complained = str(error)
                    log.warning(N_("housekeeping: %s; trying on"), _error(self._path, error))
                with contextlib.suppress(sqlite3.Error):
                    self._keeper.rollback()
            if ending:
                return

    def _erase(self, ids: list[int]) -> None:
        self._keeper.execute("BEGIN IMMEDIATE")
        self._keeper.executemany("DELETE FROM events WHERE id = ?", [(number,) for number in ids])
        self._keeper.execute("COMMIT")

    def _prune(self) -> bool:
        """Delete some of what is older than is to be kept; say whether there was any.

        Times never go back, so that is the lowest ids.

        Private messages are not among it: these may still be waited for, and go their own way (`erase`).
        """
        cutoff = (time.time() - self._keep) * 1000
        below = self._lowest_id() + SWEEP_ROWS
        deleted = self._keeper.execute(
            "DELETE FROM events WHERE id < ? AND time < ? AND addressee <= 0", (below, int(cutoff))
        ).rowcount
        self.floor = self._lowest_id() - 1
        return deleted > 0

    def _lowest_id(self) -> int:
        (lowest,) = self._keeper.execute(  # one statement: the room may write between two
            "SELECT COALESCE((SELECT MIN(id) FROM events WHERE addressee <= 0), last_id + 1) FROM log"
        ).fetchone()
        return int(lowest)

    def _checkpoint(self, begin_anew: bool) -> bool:
        """Copy the write-ahead log into the file; say whether it was begun anew.

        PASSIVE, which syncs, stops nobody; what is left for TRUNCATE, which a commit waits for, is little.
        Nor may TRUNCATE wait: it would, for whoever reads, and have the room wait with it.
        """
        size = 0
        with contextlib.suppress(OSError):
            size = os.path.getsize(f"{self._path}-wal")
        begin_anew = begin_anew or size > WAL_LIMIT
        if size > WAL_SIZE or begin_anew:
            self._keeper.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if not begin_anew:
            return False
        self._keeper.execute("PRAGMA busy_timeout = 0")
        try:
            busy, _, _ = self._keeper.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._keeper.execute(f"PRAGMA busy_timeout = {round(BUSY_TIME * 1000)}")
        return not busy


def _lock_file(path: str) -> int:
    """Return a descriptor of the file at `path`, made if there is none, that holds its lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # it has private messages
    except OSError as error:
        words = LazyText(
            N_("the log '{path}' cannot be opened for writing ({reason}): look at --db"),
            path=path,
            reason=system_words(error),
        )
        raise StorageError(words) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StorageError(LazyText(N_("'{path}' is no file: look at --db"), path=path))
    with contextlib.suppress(OSError):  # somebody else's, whose group we are in
        os.fchmod(descriptor, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        words = LazyText(
            N_("the log '{path}' is in use by another server: give each its own --db"), path=path
        )
        raise StorageError(words) from error
    return descriptor


def _migrate(path: str, connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...]) -> None:
    """Bring the file to the newest version of the schema, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    try:
        if tables and application != APPLICATION_ID:
            words = N_("'{path}' is the database of another program: give another file with --db")
            raise StorageError(LazyText(words, path=path))
        if version > len(migrations):
            words = N_(
                "the log '{path}' was written by a newer Charla (its schema is {version}, this one knows "
                "{known}): use that one, or give another file with --db"
            )
            raise StorageError(LazyText(words, path=path, version=version, known=len(migrations)))
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.rollback()


# What SQLite says (error codes are not to be had before Python 3.11), a code for it, and words for a person.
_EXPLANATIONS = (
    (
        *("not a database", "damaged"),
        N_("the log '{path}' is damaged, or no log of Charla: move it away, or give another file"),
    ),
    (
        *("malformed", "damaged"),
        N_("the log '{path}' is damaged: move it away and start anew, or put a copy in its place"),
    ),
    (
        *("readonly", "read-only"),
        N_("the log '{path}' cannot be written: look at its permissions and those of its folder"),
    ),
    (
        *("unable to open", "not-opened"),
        N_("the log '{path}' cannot be opened: look at the permissions of its folder"),
    ),
    (
        *("full", "disk-full"),
        N_("the log '{path}' cannot be written, the disk is full: make room"),
    ),
    (
        *("disk I/O", "disk-error"),
        N_("the log '{path}' cannot be read or written: the disk fails, or is full"),
    ),
    (
        *("locked", "locked"),
        N_("the log '{path}' is held by another program: end that"),
    ),
)


def _error(path: str, error: Exception) -> StorageError:
    """Return what an error of SQLite means to the operator."""
    what = str(error)
    for words, code, explanation in _EXPLANATIONS:
        if words in what:
            return StorageError(LazyText(explanation, path=path), code)
    return StorageError(
        LazyText(N_("the log '{path}' cannot be used ({what})"), path=path, what=what), "error"
    )
