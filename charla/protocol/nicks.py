"""What a person can be called, which two nicks count as the same one, and which two look alike.

The server judges every nick here, and the client asks before it sends one.  No I/O, no thread.

* Two nicks are the same when `nick_key` is: they differ in case or in how they are encoded.
* Two nicks cannot both be in a room when `look` is the same either: nobody could tell them apart.
* The letters of a nick are of one script (UTS #39, 5.1, "single script"), its digits of one kind.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from charla.protocol.confusables import prototypes
from charla.protocol.text import Refused

MAX_NICK = 24
"""Characters (code points, after NFKC) of a nick."""

# Letters and marks by Unicode, but blank on the screen: with one of them two nicks would look alike.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Letters by Unicode that look like the marks (! : *) at the head of lines: they would forge these.
_LIKE_MARKS = re.compile("[\u0305\u0332\u0333\u033f\u01c3\u02d0\u02d1\u2d51\ua4fd\U0001031f]")
_MAX_MARKS = 3  # combining marks in a row: enough for Thai and Tibetan, too few to paint over other lines

LEAVE_WORDS = frozenset({"exit", "quit", "salir"})

# Every word of the grammar and of the wire, and names that would pass for the chat itself, for those who
# keep order in it or, in "ana -> you" and "[to beto]", for the reader.
RESERVED_NICKS = LEAVE_WORDS | {
    *("nick", "say", "who", "me", "msg", "help", "history", "hello", "bye", "welcome", "error"),
    *("server", "servidor", "charla", "system", "sistema", "root", "you", "tú", "tu", "private", "to"),
    *("mod", "moderator", "moderador", "moderadora", "operator"),
    *("admin", "administrator", "administrador", "administradora"),
    *("kick", "ban", "bans", "unban", "mute", "unmute", "announce", "topic", "quiet", "status"),
    *("password", "pass", "everyone", "nobody", "announcement"),
    *("all", "todas", "room", "sala"),
    *("todos", "nadie", "ayuda", "privado", "anuncio", "notice", "aviso"),
}


_LONGEST_ASKED = 4 * MAX_NICK
"""Characters of anything that is asked for as a nick, before NFKC, which may make fewer of them.

What is longer is none.  To normalise 8 KB of combining marks takes 30 ms (it is quadratic): all would wait.
"""


_OVER_ALL = {1, 233, 234}
"""Combining classes (UAX #44) of marks that lie over a letter, or over two: strokes and bars, no accents."""


def nick_key(nick: str) -> str:
    """Return what two nicks have in common exactly when they count as the same one."""
    nick = nick[:_LONGEST_ASKED]
    if nick.isascii():
        return nick.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", nick).casefold())


_SMALL = {ord(capital): capital.lower() for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_SMALL_BUT_L = {code: small for code, small in _SMALL.items() if small != "l"}


def look(nick: str) -> str:
    """Return what two nicks have in common when they cannot be told apart on a screen.

    The skeleton of UTS #39 (4), with the case of ASCII folded, so that it is not the case alone that tells
    a fake from what it fakes.  But L stays: its small form is a stroke, as I and 1 are.  A stroke is read as
    I among capitals and as l elsewhere: so ALlCE and aIice look like Alice, and "ali" not like "all".
    """
    if not nick.isascii():
        nick = unicodedata.normalize("NFKD", nick)
    shape = nick.translate(prototypes())
    if not shape.isascii():
        shape = unicodedata.normalize("NFD", shape)
    if shape.encode("ascii", "ignore").replace(b"l", b"").isupper():
        return shape.replace("l", "i").translate(_SMALL)
    return shape.translate(_SMALL_BUT_L)


def check_nick(nick: str) -> str:
    """Return `nick` in the form everybody will see (NFKC), or raise Refused with a nick-... code."""
    if len(nick) > _LONGEST_ASKED:
        raise Refused("nick-long", str(MAX_NICK))
    if not _ASCII_NICK.fullmatch(nick):  # else nearly everything below is true of it
        nick = unicodedata.normalize("NFKC", nick)
        _check_characters(nick)
    if len(nick) > MAX_NICK:
        raise Refused("nick-long", str(MAX_NICK))
    if not nick.isascii():
        _check_scripts(nick)
        _check_digits(nick)
    if nick_key(nick) in RESERVED_NICKS or _disguise(nick) in _reserved_disguises():
        raise Refused("nick-reserved", nick)
    return nick


def _check_characters(nick: str) -> None:
    if not nick:
        raise Refused("nick-empty")
    if " " in nick:
        raise Refused("nick-space")
    marks = 0
    for character in nick:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        letter_digit_mark = category[0] == "L" or category in ("Nd", "Mn", "Mc") or character in "_-."
        blank_or_forging = _INVISIBLE.match(character) or _LIKE_MARKS.match(character)
        struck = unicodedata.combining(character) in _OVER_ALL
        if not letter_digit_mark or marks > _MAX_MARKS or blank_or_forging or struck:
            raise Refused("nick-character", f"U+{ord(character):04X}")
    if not nick[0].isalpha():
        raise Refused("nick-start")


def _disguise(nick: str) -> str:
    """Return `look`, wider still: to pass for a reserved word, any stroke and a mark at the end will do."""
    return look(nick).casefold().replace("i", "l").strip("_-.")


@cache
def _reserved_disguises() -> frozenset[str]:
    return frozenset(map(_disguise, RESERVED_NICKS - {"all"}))  # Ali is a name


# ---- scripts -------------------------------------------------------------------------------------

# Scripts that are written together (UTS #39, 5.1): Japanese, Korean, Chinese.
_TOGETHER = (
    frozenset({"Han", "Hiragana", "Katakana"}),
    frozenset({"Han", "Hangul"}),
    frozenset({"Han", "Bopomofo"}),
)

# The standard library knows no scripts, but a character's name begins with its script.  These differ:
_ANY_SCRIPT = {"CARON", "COMBINING", "DIGIT", "MODIFIER", "MUSICAL", "PHAISTOS", "VEDIC", "ZNAMENNY"}
_NOT_ANY = {"CYRILLIC", "DEVANAGARI", "GLAGOLITIC", "GRANTHA", "OLD"}  # COMBINING CYRILLIC LETTER BE
_TWO_WORDS = {"INSCRIPTIONAL", "LINEAR", "MEROITIC", "NEW", "OLD", "TAI"}
_OTHER_NAMES = {
    **dict.fromkeys(("CJK", "IDEOGRAPHIC", "VIETNAMESE"), "Han"),
    **dict.fromkeys(("KATAKANA-HIRAGANA", "VERTICAL", "MASU"), "Katakana"),  # the long sound, repeat marks
    **dict.fromkeys(("ARABIC-INDIC", "EXTENDED"), "Arabic"),
    **dict.fromkeys(("ROMAN", "TURNED"), "Latin"),
    "HENTAIGANA": "Hiragana",
}


def script_of(character: str) -> str:
    """Return the script of a letter, digit or mark, as a name for people; "" when it fits any script."""
    words = unicodedata.name(character, "TANGUT").split()  # Tangut has no names in Python
    if words[0] == "COMBINING" and words[1] in _NOT_ANY:
        del words[0]
    if words[0] in _ANY_SCRIPT:
        return ""
    name = " ".join(words[:2]) if words[0] in _TWO_WORDS else words[0]
    return _OTHER_NAMES.get(name, name.title())


def _check_scripts(nick: str) -> None:
    """Refuse letters of two scripts that are not written together."""
    scripts: set[str] = set()
    for character in nick:
        script = script_of(character) if character not in "0123456789_-." else ""
        if script and script not in scripts:
            if scripts and not any(scripts | {script} <= together for together in _TOGETHER):
                raise Refused("nick-scripts", min(scripts), script)
            scripts.add(script)


def _check_digits(nick: str) -> None:
    """Refuse digits of two kinds: those of ASCII and those of Devanagari, say."""
    zeros = {ord(digit) - unicodedata.decimal(digit) for digit in nick if digit.isdecimal()}
    if len(zeros) > 1:
        raise Refused("nick-digits")


# ---- the grammar of typed lines ------------------------------------------------------------------

_ASCII_NICK = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


def like_a_nick(name: str) -> bool:
    """Say whether `name` is written like a nick, of any length, invisible characters not counted.

    Wider than `check_nick` on purpose: a slip in the name must not make a secret public.
    """
    if name.isascii():
        return _ASCII_NICK.fullmatch(name) is not None
    if len(name) <= _LONGEST_ASKED:  # in a longer one each character is looked at as it stands
        name = unicodedata.normalize("NFKC", name)
    categories = [(c, unicodedata.category(c)) for c in name]
    visible = [(c, category) for c, category in categories if category != "Cf"]
    return bool(visible) and all(
        category[0] in "LM" or (position and (category == "Nd" or c in "_-."))
        for position, (c, category) in enumerate(visible)
    )
