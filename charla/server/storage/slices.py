"""Slices of the log: what the room has a reader read for its client, in memory or on the disk.

The room thread takes a slice, and gives it to the reader, which iterates over it: so the disk is read on the
reader's thread.  A slice never changes, and the reader does not see where its events lie.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from charla.server.storage.database import Storage
from charla.server.storage.entries import Logged, StorageError

log = logging.getLogger("charla")

_ROWS = 200  # read from the disk at a time


@dataclass(frozen=True, slots=True)
class ReplaySlice:
    """The events with after < id <= upto that `session` is told of, in order, and perhaps others.

    Iterating may raise StorageError, also when a part of it was yielded already.
    """

    session: int
    after: int
    upto: int

    def __iter__(self) -> Iterator[Logged]:
        raise NotImplementedError

    @property
    def pruned(self) -> int:
        """How many of its events, at the most, were deleted while it was read."""
        return 0


@dataclass(frozen=True, slots=True)
class MemorySlice(ReplaySlice):
    """Such a slice that was in memory when it was taken."""

    entries: tuple[Logged, ...]

    def __iter__(self) -> Iterator[Logged]:
        return iter(self.entries)


@dataclass(frozen=True, slots=True)
class DiskSlice(ReplaySlice):
    """Such a slice that is on the disk."""

    storage: Storage

    def __iter__(self) -> Iterator[Logged]:
        after = self.after
        while entries := self.storage.events_after(after, self.upto, self.session, _ROWS):
            yield from entries
            after = entries[-1].id

    @property
    def pruned(self) -> int:
        return max(0, min(self.storage.floor, self.upto) - self.after)


@dataclass(frozen=True, slots=True)
class HistorySlice:
    """The newest public messages: `entries`, and before these `more` from the disk, of ids below `before`."""

    entries: tuple[Logged, ...]
    before: int
    more: int
    storage: Storage | None

    def read(self) -> tuple[int, Iterator[Logged]]:
        """Return how many messages there are, and them in order; iterating may raise StorageError."""
        first, found = self.before, 0
        if self.storage is not None and self.more:
            try:
                first, found = self.storage.find_public(self.before, self.more)
            except StorageError as error:  # what is in memory is shown
                log.error("%s", error)
        return found + len(self.entries), itertools.chain(self._on_disk(first), self.entries)

    def _on_disk(self, first: int) -> Iterator[Logged]:
        while first < self.before:
            assert self.storage is not None
            entries = self.storage.public_between(first, self.before, _ROWS)
            yield from entries
            first = entries[-1].id + 1 if entries else self.before
