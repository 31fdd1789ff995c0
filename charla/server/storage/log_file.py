"""The file of the log (--db): who may use it, its schema, and what SQLite's errors mean to the operator."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat

try:
    import fcntl
except ImportError:  # not on Windows, where server.py does not start
    fcntl = None  # type: ignore[assignment]

from charla.i18n import N_, LazyText, system_words
from charla.server.storage.entries import StorageError

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

WAL_SIZE = 1024 * 1024
"""Bytes of write-ahead log from which on it is copied into the file."""


def lock_file(path: str) -> int:
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


def connect(path: str, sync: str = "normal") -> sqlite3.Connection:
    """Return a connection to the file, for any one thread at a time; sqlite3.Error when it cannot be used."""
    connection = sqlite3.connect(path, timeout=BUSY_TIME, isolation_level=None, check_same_thread=False)
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


def migrate(path: str, connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...]) -> None:
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


def explain(path: str, error: Exception) -> StorageError:
    """Return what an error of SQLite means to the operator."""
    what = str(error)
    for words, code, explanation in _EXPLANATIONS:
        if words in what:
            return StorageError(LazyText(explanation, path=path), code)
    return StorageError(
        LazyText(N_("the log '{path}' cannot be used ({what})"), path=path, what=what), "error"
    )
