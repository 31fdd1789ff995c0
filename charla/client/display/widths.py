"""How wide text is on a terminal, and where a line of it may be cut.  No I/O, no thread.

A line is never cut inside what a person sees as one character: a letter with its accents, an emoji of
several characters, a flag.  These are the grapheme clusters of UAX #29, joined a little more than there:
the standard library has not all of its tables, and where nothing is cut, nothing is spoilt.
"""

from __future__ import annotations

import functools
import re
import unicodedata

# Letters and signs of one column, none of which joins what stands before it: Latin, Greek, Cyrillic.
_NARROW = re.compile(
    "[\x20-\x7e\xa0-\u02ff\u0370-\u0377\u037a-\u037f\u0384-\u038a\u038c\u038e-\u03a1\u03a3-\u0482\u048a-\u052f"
    "\u1e00-\u1eff\u2010-\u2027\u20ac]*"
)

# Of the format characters (Cf) those without a form of their own.  Others have one: soft hyphens...
_JOINERS = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff\U000e0000-\U000e007f]")

# Wide since Unicode 16, or in some terminals, and not by the tables of older Pythons.
_WIDE_SYMBOLS = re.compile(
    "[\u2630-\u2637\u268a-\u268f\u3248-\u324f\u4dc0-\u4dff\U0001d300-\U0001d376\U0001f1e6-\U0001f1ff]"
)

# No marks (M), but they belong to what stands before them all the same: ZWNJ, ZWJ and tags, vowels of Thai
# and Lao, vowels and ends of Korean syllables, voiced sounds of narrow Katakana, skin tones.
_FOLLOWERS = re.compile(
    "[\u200c\u200d\U000e0020-\U000e007f\u0e33\u0eb3\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f\U0001f3fb-\U0001f3ff]"
)
_ZWJ = "\u200d"
_VIRAMA = 9  # the combining class (UAX #44) of signs that join two consonants of Indian scripts

UNLIMITED = 1_000_000
"""Columns, where lines are not to be wrapped: more than any text takes."""

_LONGEST_CLUSTER = 32
"""Characters: longer ones than the stream-safe text of UAX #15 has (a letter and 30 marks) are an attack."""


def display_width(text: str) -> int:
    """Return the columns that `text` takes on a terminal (UAX #11: wide ones take two)."""
    if _NARROW.fullmatch(text):
        return len(text)
    return sum(map(_character_width, text))


@functools.lru_cache(4096)
def _character_width(character: str) -> int:
    """Return the columns of one character: where terminals differ, what the widest of them takes.

    A line that is wrapped early is only short; one that the terminal wraps goes on at the left edge.  So an
    emoji sequence counts as all of its emojis: not every terminal joins them.
    """
    if character.isascii():
        return 1
    if character == "\ufe0f":  # makes an emoji of the symbol before it, and that is wide in some terminals
        return 1
    category = unicodedata.category(character)
    if category in ("Mn", "Me") or _JOINERS.match(character):
        return 0
    if category == "Cn" or _WIDE_SYMBOLS.match(character):  # Cn: perhaps an emoji newer than Python's tables
        return 2
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


@functools.lru_cache(4096)
def _follows(character: str) -> bool:
    """Say whether `character` belongs to what stands before it, whatever that is."""
    if character < "\u0300":
        return False
    return unicodedata.category(character)[0] == "M" or _FOLLOWERS.match(character) is not None


def cluster_end(text: str, start: int) -> int:
    """Return where what a person sees as one character, and begins at `start`, ends."""
    end = start + 1
    if text[end : end + 1] < "\u0300":  # what mostly follows, or nothing: it joins nothing
        return end
    if _is_regional(text[start]) and _is_regional(text[end : end + 1]):
        end += 1  # two letters are a flag
    while end < min(len(text), start + _LONGEST_CLUSTER):
        character, before = text[end], text[end - 1]
        joined = character > "\u02ff" and (
            before == _ZWJ or (unicodedata.combining(before) == _VIRAMA and character.isalpha())
        )
        if not joined and not _follows(character):
            break
        end += 1
    return end


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def wrap(text: str, first: int, rest: int) -> list[str]:
    """Cut `text` into lines of at most `first`, then `rest`, columns: at spaces where there are any.

    At least one character goes on a line, however narrow.  Spaces inside are kept as they are; the one
    at which a line is cut is dropped.
    """
    return [text[start:end] for start, end in cuts(text, first, rest)]


def cuts(text: str, first: int, rest: int) -> list[tuple[int, int]]:
    """Return where the lines that `wrap` makes of `text` begin and end in it."""
    narrow = _NARROW.fullmatch(text) is not None
    if display_width(text) <= first:
        return [(0, len(text))]
    lines: list[tuple[int, int]] = []
    start, columns = 0, first
    while True:
        end = min(start + max(columns, 0), len(text)) if narrow else _filled(text, start, columns)
        if end == len(text):
            return [*lines, (start, end)] if start < end or not lines else lines
        space = _last_space(text, start, end)
        if space:
            lines.append((start, space))
            start = space + 1
        else:
            if not lines and first < rest and _word_fits(text, rest):
                end = start  # it is whole on the next line
            elif end == start and (lines or (first >= rest and _character_width(text[start]) <= first)):
                end = _filled_in_parts(text, start, columns)  # no line has room for it as it is
            lines.append((start, end))  # may be empty, when the first line has no room at all
            start = end
        columns = max(rest, 1)


def _word_fits(text: str, columns: int) -> bool:
    """Say whether the first word fits in `columns`: not where a line may end between any two (Han)."""
    words = text.lstrip(" ")
    word = text[: len(text) - len(words) + len(words.partition(" ")[0])]
    width = display_width(word)
    return width <= min(columns, len(word))


def _filled(text: str, start: int, columns: int) -> int:
    """Return up to where `text` fits in `columns`, from `start` on."""
    end = start
    while end < len(text):
        following = cluster_end(text, end)
        columns -= sum(map(_character_width, text[end:following]))
        if columns < 0:
            break
        end = following
    return end


def _filled_in_parts(text: str, start: int, columns: int) -> int:
    """Return the same for what is too wide to stay whole: here at least one character counts as fitting."""
    columns = max(columns - _character_width(text[start]), 0)
    end = start + 1
    while end < len(text) and _character_width(text[end]) <= columns:
        columns -= _character_width(text[end])
        end += 1
    return end


def _last_space(text: str, start: int, end: int) -> int:
    """Return the last space up to `end` at which a line can be cut that has more than spaces; 0: none."""
    space = text.rfind(" ", start + 1, end + 1)
    while space > 0 and _follows(text[space + 1 : space + 2]):  # an accent on its own stands on that space
        space = text.rfind(" ", start + 1, space)
    return space if space > 0 and text[start:space].strip() else 0


def shortened(text: str, columns: int) -> str:
    """Return `text`, or as much of it as fits in `columns` with an ellipsis behind it."""
    if display_width(text) <= columns:
        return text
    return text[: _filled(text, 0, columns - 1)] + "\u2026" if columns > 0 else ""
