"""The text of people: how long it may be, what it may hold, and `Refused`, for input that cannot be taken.

That is the sender's fault, and is told to the sender as a stable code with arguments; it never ends the
connection.  No I/O, no thread, and quick to import: what only shows text needs no more than this.
"""

from __future__ import annotations

import re

MAX_TEXT = 4096
"""Bytes of UTF-8 in the text of one message: a page of prose, and small against every buffer."""

MAX_LINE = 2 * MAX_TEXT + 256
"""Bytes of a line without its LF: a text with every character escaped, and room for verb and fields."""


# What could steer a terminal or reorder a line.  Everything else of Unicode is people's own business:
# combining marks, ZWJ emoji sequences, variation selectors and private-use characters stay.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


def _replacement(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\t":
        return "    "
    if character in "\x0b\x0c\x85\u2028\u2029":  # each of them breaks a line somewhere
        return " "
    return "\ufffd" if character < "\xa0" else ""  # bidi controls have no form of their own


def clean(text: str) -> str:
    """Return `text` without anything that could steer a terminal or reorder a line.

    A tab becomes four spaces, exotic line breaks a space, other controls U+FFFD; bidi controls go.
    LF stays: a message may hold newlines.  Idempotent.
    """
    # isprintable() is a plain loop in C and true for most of what people say.  It is false for every
    # character of _UNSAFE, and for harmless ones (ZWJ) that the expression then lets through.
    if text.isprintable():
        return text
    return _UNSAFE.sub(_replacement, text)


class Refused(Exception):
    """Input that cannot be taken, and why: a stable `code`, its `arguments`, and the line's `tag`.

    Raised by everything here that reads what a peer wrote.  `sentence` words it for a person.
    """

    def __init__(self, code: str, *arguments: str, tag: int = 0) -> None:
        super().__init__(code, *arguments)
        self.code = code
        self.arguments = tuple(filter(None, map(_argument, arguments)))
        self.tag = tag


def _argument(text: str) -> str:
    """Return `text` as one field of a line: no spaces, nothing unsafe, at most 100 characters."""
    return "_".join(clean(text).split())[:100]
