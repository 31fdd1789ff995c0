"""Who is named in a text.  No I/O, no thread."""

from __future__ import annotations

import re
import unicodedata

from charla.protocol.nicks import MAX_NICK, nick_key

_WORD = re.compile(r"[\w.-]+")
_AT_ONCE = 500  # characters that are normalized together: of marks that takes the square of their number
_LONGEST = 4 * MAX_NICK  # characters of a word that can be a nick, as in nicks.py


def names(text: str, nick: str) -> bool:
    """Say whether `text` has `nick` in it as a word of its own, however it is written.

    "Ana", "@ana" and "ana." name ana; "banana" and "ana-lu" do not: that is another nick.
    """
    return bool(spans(text, nick))


def spans(text: str, nick: str) -> list[tuple[int, int]]:
    """Return where in `text` the words that name `nick` begin and end."""
    key = nick_key(nick)
    if not key:
        return []
    if len(text) <= _AT_ONCE and key not in _folded(text):  # as mostly
        return []
    words = [match.span() for match in _WORD.finditer(text)] if text.isascii() else _words(text)
    return [span for word in words for span in _as_nick(text, *word, key)]


def _folded(text: str) -> str:
    """Return `text` as nick_key has it."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _words(text: str) -> list[tuple[int, int]]:
    """Return the runs of what nicks are made of: \\w has no combining marks."""
    found: list[tuple[int, int]] = []
    start = -1
    for at, character in enumerate(text):
        if character.isalnum() or character in "_-." or unicodedata.category(character)[0] == "M":
            start = at if start < 0 else start
        elif start >= 0:
            found.append((start, at))
            start = -1
    return [*found, (start, len(text))] if start >= 0 else found


def _as_nick(text: str, start: int, end: int, key: str) -> list[tuple[int, int]]:
    """Return the word from `start` to `end` when it is that nick, perhaps without what ends a sentence."""
    while start < end and text[start] in "-.":
        start += 1
    while start < end:
        if end - start <= _LONGEST and nick_key(text[start:end]) == key:
            return [(start, end)]
        if text[end - 1] not in "-.":
            break
        end -= 1
    return []
