"""What was seen: the messages that this client has shown, for /search.  Bounded, and in memory only."""

from __future__ import annotations

import threading
from collections import deque
from typing import TypeAlias

from messages import Acted, Said, Told

Talk: TypeAlias = Said | Acted | Told

MOST_MESSAGES = 50_000
"""Messages that are kept, the last to come: an hour of a busy room (14 a second); measured: 0.3 KiB each."""

MOST_CHARACTERS = 8_000_000
"""Characters of these, all together."""


class Seen:
    """The messages that came last.  The network thread adds, the main thread searches."""

    def __init__(self, messages: int = MOST_MESSAGES, characters: int = MOST_CHARACTERS) -> None:
        self._lock = threading.Lock()  # guards the rest; a leaf
        self._most_messages, self._most_characters = messages, characters
        self._messages: deque[Talk] = deque()
        self._characters = 0

    def add(self, message: Talk) -> None:
        """Keep a message; one from before (/history) may come late, or again."""
        with self._lock:
            self._messages.append(message)
            self._characters += len(message.text)
            while len(self._messages) > self._most_messages or self._characters > self._most_characters:
                self._characters -= len(self._messages.popleft().text)

    def search(self, words: str) -> list[Talk]:
        """Return the messages that have all the `words` in text or names, in any case: by time, each once."""
        wanted = words.casefold().split()
        with self._lock:
            messages = list(self._messages)
        found = {(message.time, message.id): message for message in messages if _has(message, wanted)}
        return [found[when] for when in sorted(found)]


def _has(message: Talk, wanted: list[str]) -> bool:
    to = message.to if isinstance(message, Told) else ""
    text = f"{message.nick} {to} {message.text}".casefold()
    return all(word in text for word in wanted)
