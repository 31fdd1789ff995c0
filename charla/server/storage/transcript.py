"""The transcript (--transcript): what was said to everyone, one line each, in a file that is safe to show.

    2026-11-20T11:10:02Z ana: hola
    2026-11-20T11:10:09Z ~ ana waves
    2026-11-20T11:11:00Z * mara announces: at five
    # 12 messages are missing here

The time is UTC.  In a text a newline is written as \\n and a backslash as two, as in the native dialect, so a
line is always one message, and what begins with "#" was said by nobody.  Private messages, joins and leaves
are not in it.

    thread        does
    room          `write`: hands an event over, and never waits
    transcript    everything with the file
    any           `reopen`
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from queue import Empty, SimpleQueue
from typing import TypeAlias, TypeGuard

from charla.i18n import N_, LazyText, _, ngettext, system_words
from charla.protocol.messages import Acted, Event, Moderated, Said
from charla.protocol.text import clean

log = logging.getLogger("charla")

QUEUE_LIMIT = 32 * 1024 * 1024
"""Bytes of memory for messages that wait for the disk (some 100,000 of talk), before more are left out."""

RETRY_PAUSE = 1.0
"""Seconds between two attempts to write to a disk that does not take anything."""

CLOSE_TIME = 5.0
"""Seconds that `close` gives the disk to take what waits."""

_CHUNK = 16 * 1024  # bytes that are written at a time: the room waits for the interpreter's lock meanwhile

_OVERHEAD = 200  # bytes of an event in the queue, besides its text


class TranscriptError(Exception):
    """A file that cannot be written to; its text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """Here `count` messages were left out."""

    count: int


@dataclass(frozen=True, slots=True)
class _Reopen:
    """Here the path is to be opened anew."""


@dataclass(frozen=True, slots=True)
class _End:
    """Nothing comes after this."""


_Entry: TypeAlias = Said | Acted | Moderated | _Missing | _Reopen | _End


class Transcript:
    """A file that public messages are appended to, by a thread of its own.

    Made if it is not there, for its owner alone (0600).  TranscriptError when it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        # For all threads.
        self._path = path
        self._queue: SimpleQueue[_Entry] = SimpleQueue()
        self._urgent: SimpleQueue[None] = SimpleQueue()  # something in it ends a pause between attempts
        self._thread = threading.Thread(target=self._run, name="transcript", daemon=True)
        # One thread writes each, and others read it.  How much waits is the difference of the first two.
        self._put = 0  # bytes: the room
        self._taken = 0  # bytes: the transcript's thread
        self._closing = False  # `close`, once
        # The room's, and after the room's end `close`'s.
        self._left_out = 0  # messages that are not told of yet
        # The transcript's thread's, once that runs.
        try:
            self._file: int | None = _open(path)
        except (OSError, ValueError) as error:
            raise TranscriptError(_explain(path, error)) from None
        self._chunk = b""  # whole lines...
        self._at = 0  # ...of which so many bytes are written
        self._failing = False  # the file does not take anything, and that is recorded

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread.start()

    def write(self, event: Event) -> None:
        """Have a public message written, and pass over all other events.  Room thread; never waits."""
        if not (isinstance(event, (Said, Acted)) or _is_announcement(event)):
            return
        size = _size(event)
        if self._put - self._taken + size > QUEUE_LIMIT:
            if not self._left_out:
                words = N_("the transcript '%s' is not written fast enough: messages are left out")
                log.error(words, self._path)
            self._left_out += 1
            return
        self._tell_left_out()
        self._put += size
        self._queue.put(event)

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._queue.put(_Missing(self._left_out))
            self._left_out = 0

    def reopen(self) -> None:
        """Open the path anew, behind all that was handed over: the file may have been renamed.

        What the old file did not take goes into the new one.  Any thread, also from a signal handler.
        """
        self._queue.put(_Reopen())  # SimpleQueue.put may interrupt another one
        self._urgent.put(None)

    def close(self) -> None:
        """Write out what waits, for CLOSE_TIME at most; close the file.  Once, after the room's end."""
        self._tell_left_out()
        self._queue.put(_End())
        self._closing = True
        self._urgent.put(None)
        if self._thread.ident is None:
            self._thread.start()
        self._thread.join(CLOSE_TIME)
        if self._thread.is_alive():  # in a write that does not end: a daemon, it ends with the process
            log.error(N_("the transcript '%s' lacks what was said last: it is not written"), self._path)

    # ---- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        last: _Entry | None = None
        while not isinstance(last, _End):
            last = self._make_chunk()
            while True:
                closing = self._closing  # the last attempt is one that began after `close`
                if self._write_chunk():
                    break
                if closing:
                    self._give_up()
                    return
                self._pause()
            if isinstance(last, _Reopen):
                with suppress(Empty):
                    self._urgent.get_nowait()
                self._close_file()
                self._write_chunk()  # of nothing: the new file is made now
        self._close_file()

    def _make_chunk(self) -> _Entry:
        """Wait for something to write, and make lines of it; return the last entry that was taken.

        Nothing comes behind a _Reopen or an _End.
        """
        lines: list[bytes] = []
        size = 0
        entry = self._queue.get()
        with suppress(Empty):
            while not isinstance(entry, (_Reopen, _End)):
                lines.append(_line(entry))
                size += len(lines[-1])
                self._taken += _size(entry)
                if size >= _CHUNK:
                    break
                entry = self._queue.get_nowait()
        self._chunk = b"".join(lines)
        self._at = 0
        return entry

    def _write_chunk(self) -> bool:
        """Write what is left of the chunk; say whether that is done.  The first failure is recorded."""
        try:
            if self._file is None:
                self._file = _open(self._path)
            while self._at < len(self._chunk):
                self._at += os.write(self._file, self._chunk[self._at :])
        except OSError as error:
            if not self._failing:
                why = system_words(error)
                log.error(N_("the transcript '%s' cannot be written (%s): trying on"), self._path, why)
            self._failing = True
            return False
        if self._failing:
            log.warning(N_("the transcript '%s' is written again"), self._path)
        self._failing = False
        return True

    def _pause(self) -> None:
        """Wait before the next attempt; a `reopen` ends that, and is obeyed before its turn."""
        with suppress(Empty):
            self._urgent.get(timeout=RETRY_PAUSE)
            if not self._closing:
                self._close_file()

    def _close_file(self) -> None:
        """Close the file; a line that it has a part of will be written anew, as a whole."""
        if self._file is not None:
            with suppress(
                OSError
            ):  # some disks report errors of earlier writes here, and close it all the same
                os.close(self._file)
        self._file = None
        if self._at < len(self._chunk):
            self._at = self._chunk.rfind(b"\n", 0, self._at) + 1

    def _give_up(self) -> None:
        """The server ends, and the file takes nothing: record how much is not in it."""
        lost = self._chunk.count(b"\n", self._at)
        with suppress(Empty):
            while True:
                entry = self._queue.get_nowait()
                if isinstance(entry, (Said, Acted, Moderated)):
                    lost += 1
                elif isinstance(entry, _Missing):
                    lost += entry.count
        log.error(N_("the transcript '%s' lacks the last messages: %d"), self._path, lost)
        self._close_file()


def _open(path: str) -> int:
    """Return a descriptor that appends to `path`, behind a whole line.  OSError, as os.open."""
    # Without O_NONBLOCK a FIFO would be waited for until somebody reads it.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
    file = os.open(path, flags, 0o600)
    try:
        os.set_blocking(file, True)
        if stat.S_ISREG(os.fstat(file).st_mode) and not _ends_with_newline(path):
            os.write(file, b"\n")
    except OSError:
        os.close(file)
        raise
    return file


def _ends_with_newline(path: str) -> bool:
    """Say whether a file ends with a whole line, or has none; also when it cannot be read."""
    try:
        with open(path, "rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True


def _explain(path: str, error: OSError | ValueError) -> LazyText:
    """Return why the file cannot be opened, and what to do."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EISDIR:
        return LazyText(N_("the transcript '{path}' is a folder: give a file"), path=path)
    if number == errno.ENOENT:
        return LazyText(N_("the transcript '{path}' cannot be made: there is no such folder"), path=path)
    if number == errno.ENXIO:
        return LazyText(
            N_("the transcript '{path}' is a pipe that nobody reads: start its reader first"), path=path
        )
    reason = system_words(error) if isinstance(error, OSError) else error
    return LazyText(N_("the transcript '{path}' cannot be written: {reason}"), path=path, reason=reason)


def _size(entry: Said | Acted | Moderated | _Missing) -> int:
    """Return the bytes of memory that an entry counts for."""
    return 0 if isinstance(entry, _Missing) else _OVERHEAD + sys.getsizeof(entry.text)


def _is_announcement(event: Event) -> TypeGuard[Moderated]:
    return isinstance(event, Moderated) and event.action == "announce"


def _line(entry: Said | Acted | Moderated | _Missing) -> bytes:
    """Return an entry as one line of UTF-8, with its LF."""
    if isinstance(entry, _Missing):
        words = ngettext("{n} message is missing here", "{n} messages are missing here", entry.count)
        line = "# " + words.format(n=entry.count)
    else:
        nick = _escape(entry.by if isinstance(entry, Moderated) else entry.nick)
        mark = f"{nick}:"
        if isinstance(entry, Acted):
            mark = f"~ {nick}"
        elif isinstance(entry, Moderated):
            mark = f"* {_('{by} announces').format(by=nick)}:"
        line = f"{_moment(entry.time // 1000)} {mark} {_escape(entry.text)}"
    return line.encode("utf-8", "replace") + b"\n"


def _escape(text: str) -> str:
    """Return `text` as part of a line: steers no terminal, and can be turned back."""
    return clean(text).replace("\\", "\\\\").replace("\n", "\\n")


@lru_cache(maxsize=16)
def _moment(seconds: int) -> str:
    """Return a Unix time as ISO 8601 has it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
