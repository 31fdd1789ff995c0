"""The housekeeper: the thread that takes out of the log's file what is not to stay in it.

It erases private messages that nobody can ask for any more, deletes what is older than --keep, and copies the
write-ahead log into the file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from queue import Empty, SimpleQueue

from charla.i18n import N_
from charla.server.storage.log_file import BUSY_TIME, WAL_SIZE, explain

log = logging.getLogger("charla")

SWEEP_INTERVAL = 1.0
"""Seconds between two rounds of the housekeeper."""

PRUNE_INTERVAL = 60.0
"""Seconds between two looks for what is older than is to be kept."""

BREATH = 0.001
"""Seconds between two deletions: the room's turn."""

SWEEP_ROWS = 500
"""Rows that it deletes at a time, so that a commit of the room's waits a millisecond or two for it."""

WAL_LIMIT = 16 * 1024 * 1024
"""Bytes of write-ahead log after which it is begun anew, even if a commit has to wait a moment for that."""


class Housekeeper:
    """Sweeps the file at `path` over a connection of its own; `keep` in seconds, 0 for ever."""

    def __init__(self, path: str, connection: sqlite3.Connection, keep: float) -> None:
        # For all threads.
        self._thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)
        self._queue: SimpleQueue[list[int] | None] = SimpleQueue()  # ids to erase; None: end
        # The housekeeper's alone, once it runs.
        self._path = path
        self._keep = keep
        self._connection = connection
        # The housekeeper writes it, any thread reads it.
        self.floor = self._lowest_id() - 1  # ids up to here were deleted, but for private messages

    def start(self) -> None:
        """Start the thread, once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it runs, once it has erased what it was told to."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def erase(self, ids: list[int]) -> None:
        """Have these events erased, so that they are nowhere in the file.  Any thread; never waits."""
        self._queue.put(ids)

    def _run(self) -> None:
        unerased: list[int] = []
        residue = False  # of erased messages, in the write-ahead log
        prune_next = time.monotonic()
        ending = False
        complained = ""  # the error that was recorded last: the same one is not recorded again
        pause = SWEEP_INTERVAL
        while True:
            try:
                ids = self._queue.get(timeout=pause)
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
                    log.warning(N_("housekeeping: %s; trying on"), explain(self._path, error))
                with contextlib.suppress(sqlite3.Error):
                    self._connection.rollback()
            if ending:
                return

    def _erase(self, ids: list[int]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("DELETE FROM events WHERE id = ?", [(number,) for number in ids])
        self._connection.execute("COMMIT")

    def _prune(self) -> bool:
        """Delete some of what is older than is to be kept; say whether there was any.

        Times never go back, so these are the lowest ids.  Private messages are not among them: somebody may
        still wait for one, and `erase` takes them.
        """
        cutoff = (time.time() - self._keep) * 1000
        below = self._lowest_id() + SWEEP_ROWS
        deleted = self._connection.execute(
            "DELETE FROM events WHERE id < ? AND time < ? AND addressee <= 0", (below, int(cutoff))
        ).rowcount
        self.floor = self._lowest_id() - 1
        return deleted > 0

    def _lowest_id(self) -> int:
        (lowest,) = self._connection.execute(  # one statement: the room may write between two
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
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if not begin_anew:
            return False
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIME * 1000)}")
        return not busy
