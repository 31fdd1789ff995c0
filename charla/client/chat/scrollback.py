"""What was seen: the messages that this client has shown, for /search.  Bounded, and in memory only."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import deque
from typing import TypeAlias

from charla.protocol.messages import Acted, Said, Told
from charla.protocol.native import NativeDialect

Talk: TypeAlias = Said | Acted | Told

MOST_MESSAGES = 50_000
"""Messages that are kept, the last to come: an hour of a busy room (14 a second)."""

MOST_BYTES = 12_000_000
"""Bytes of these, all together: 50,000 of 200 characters."""


class Scrollback:
    """The messages that came last.  The network thread adds, the main thread searches.

    They are kept as lines of the wire: an emoji makes a `str` take four bytes a character.  Measured with one
    in each of 50,000 messages of 200 characters: the client takes 46 MB, and 74 with the messages as they
    are.  To search these takes 0.3 s.
    """

    def __init__(self, messages: int = MOST_MESSAGES, size: int = MOST_BYTES) -> None:
        self._lock = threading.Lock()  # guards the rest; a leaf
        self._most_messages, self._most_bytes = messages, size
        self._dialect = NativeDialect()
        self._lines: deque[bytes] = deque()
        self._size = 0  # bytes

    def add(self, message: Talk) -> None:
        """Keep a message; one from before (/history) may come late, or again."""
        line = self._dialect.encode(message)
        with self._lock:
            self._lines.append(line)
            self._size += len(line)
            while len(self._lines) > self._most_messages or self._size > self._most_bytes:
                self._size -= len(self._lines.popleft())

    def search(self, words: str) -> list[Talk]:
        """Return the messages that have all the `words`, in any case, in text or names: by time, each once.

        "nandu" and "ñandu" find "ñandú"; accents that are typed have to be there.  The tags are 0: the nick
        tells whose they are.
        """
        wanted = [_pattern(word) for word in words.split()]
        with self._lock:
            lines = list(self._lines)
        found = {
            (message.time, message.id): message
            for message in map(self._message, lines)
            if _has(message, wanted)
        }
        return [found[when] for when in sorted(found)]

    def _message(self, line: bytes) -> Talk:
        message = self._dialect.decode(line[:-1].decode())
        assert isinstance(message, Said | Acted | Told), message
        return message


_MORE_ACCENTS = "[\u0300-\u036f]*"


def _pattern(word: str) -> re.Pattern[str]:
    """Return what finds `word` in what `_decomposed` returns, also where that has more accents."""
    return re.compile("".join(re.escape(character) + _MORE_ACCENTS for character in _decomposed(word)))


def _decomposed(text: str) -> str:
    """Return `text` in small letters, each accent behind its letter."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKD", text.casefold())


def _has(message: Talk, wanted: list[re.Pattern[str]]) -> bool:
    to = message.to if isinstance(message, Told) else ""
    text = _decomposed(f"{message.nick} {to} {message.text}")
    return all(pattern.search(text) for pattern in wanted)
