"""What a person can be called, and which two nicks count as the same one.

The server judges every nick here, and the client asks before it sends one.  No I/O, no thread.
"""

from __future__ import annotations

import re
import unicodedata

from messages import MAX_NICK, Refused

# Letters and marks by Unicode, but blank on the screen: with one of them two nicks would look alike.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_MAX_MARKS = 3  # combining marks in a row: enough for Thai and Tibetan, too few to paint over other lines

LEAVE_WORDS = frozenset({"exit", "quit", "salir"})

# Every word of the grammar and of the wire, and names that would pass for the chat itself or, in
# "ana -> you" and "[to beto]", for the reader.
RESERVED_NICKS = LEAVE_WORDS | {
    *("nick", "say", "who", "me", "msg", "help", "history", "hello", "bye", "welcome", "error"),
    *("server", "servidor", "charla", "you", "tú", "private", "to"),
}


def nick_key(nick: str) -> str:
    """Return what two nicks have in common exactly when they count as the same one."""
    if nick.isascii():
        return nick.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nick).casefold())


def check_nick(nick: str) -> str:
    """Return `nick` in the form everybody will see (NFKC), or raise Refused with a nick-... code."""
    nick = unicodedata.normalize("NFKC", nick)
    if not nick:
        raise Refused("nick-empty")
    if " " in nick:
        raise Refused("nick-space")
    marks = 0
    for character in nick:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        letter_digit_mark = category[0] == "L" or category in ("Nd", "Mn", "Mc") or character in "_-."
        if not letter_digit_mark or marks > _MAX_MARKS or _INVISIBLE.match(character):
            raise Refused("nick-character", f"U+{ord(character):04X}")
    if not nick[0].isalpha():
        raise Refused("nick-start")
    if len(nick) > MAX_NICK:
        raise Refused("nick-long", str(MAX_NICK))
    if nick_key(nick) in RESERVED_NICKS:
        raise Refused("nick-reserved", nick)
    return nick


_ASCII_NICK = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def like_a_nick(name: str) -> bool:
    """Say whether `name` is written like a nick, of any length, invisible characters not counted.

    Wider than `check_nick` on purpose: a slip in the name must not make a secret public.
    """
    if name.isascii():
        return _ASCII_NICK.fullmatch(name) is not None
    categories = [(c, unicodedata.category(c)) for c in unicodedata.normalize("NFKC", name)]
    visible = [(c, category) for c, category in categories if category != "Cf"]
    return bool(visible) and all(
        category[0] in "LM" or (position and (category == "Nd" or c in "_-."))
        for position, (c, category) in enumerate(visible)
    )
