"""Make charla/protocol/confusables.txt of Unicode's: python3 tests/support/make_confusables.py UNICODES_FILE

It is data of Unicode Technical Standard #39, version 13.0.0, and lies in the folder "security" of Unicode's
public data.  charla/protocol/confusables.py tells by which rules it is read here.
"""

from __future__ import annotations

import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

VERSION = "13.0.0"

TABLE = Path(__file__).resolve().parents[2] / "charla/protocol/confusables.txt"

# Scripts of which two letters are told apart by who reads them: the first word of these letters' names.
SCRIPTS = """
    ARABIC BALINESE BENGALI HEBREW JAVANESE KANNADA KHMER MALAYALAM MONGOLIAN MYANMAR NEW NKO ORIYA SINHALA
    SYRIAC TAI TAMIL TELUGU THAI TIBETAN
"""
TOLD_APART = frozenset(SCRIPTS.split())

FORMS = frozenset("\u0643\u06a9\u06aa\u0647\u06be\u06c1\u06d5\u06c3\u064a\u06cc")
"""Of the Arabic kaf, heh and yeh: nobody tells these apart."""
LEFT_OUT = frozenset("\u03c3\u0563\u057c")
"""The Greek sigma, which Unicode has look like an o; the Armenian gim and ra, like za (q) and vo (n)."""


def read(text: str) -> dict[int, str]:
    """Return what Unicode's file says: code point -> what it looks like.  ValueError: of another version."""
    if f"# Version: {VERSION}\n" not in text:
        raise ValueError(f"that is no confusables.txt of version {VERSION}")
    rows = [line.partition("#")[0].split(";") for line in text.splitlines()]
    return {int(row[0], 16): _characters(row[1]) for row in rows if len(row) == 3}


def _characters(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split())


def make(confusables: dict[int, str]) -> dict[str, list[str]]:
    """Return the table: a shape, and the characters that look like it."""
    everything = {*map(chr, confusables), *"".join(confusables.values())}
    classes: defaultdict[str, list[str]] = defaultdict(list)
    for character in sorted(filter(_can_stand_in_a_nick, everything)):
        classes[_end(character, confusables)].append(character)
    table: dict[str, list[str]] = {}
    for shape, members in classes.items():
        letters = sum(unicodedata.category(character)[0] != "M" for character in shape)
        if (len(shape) > 1 and letters != 1) or not all(map(_is_of_a_nick, shape)):
            shape = members[0]
        alike = [member for member in members if member != shape and not _left_out(member, members)]
        if alike:
            table[shape] = alike
    return table


def _end(text: str, confusables: dict[int, str]) -> str:
    """Return the prototype of the prototype... until there is none."""
    while (shape := unicodedata.normalize("NFD", text.translate(confusables))) != text:
        text = shape
    return text


def _is_of_a_nick(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "L" or category in ("Nd", "Mn", "Mc") or character in "_-."


def _can_stand_in_a_nick(character: str) -> bool:
    return _is_of_a_nick(character) and unicodedata.normalize("NFKD", character) == character


def _script(character: str) -> str:
    return unicodedata.name(character, "?").split()[0]


def _left_out(member: str, members: list[str]) -> bool:
    """Say whether its readers tell this one from what looks the same."""
    script = _script(member)
    others = [other for other in members if other != member and _script(other) == script]
    told_apart = script in TOLD_APART and member not in FORMS and bool(others)
    return told_apart or member in LEFT_OUT or script == "HANGUL"


def write(table: dict[str, list[str]], above: str) -> str:
    """Return the file: `above`, then a line for each shape, with its name behind it."""
    lines = [above]
    for shape in sorted(table, key=lambda shape: (len(shape), shape)):
        members = " ".join(f"{ord(character):x}" for character in table[shape])
        name = " + ".join(unicodedata.name(character, "?") for character in shape)
        lines.append(f"{'+'.join(f'{ord(character):x}' for character in shape)}: {members}  # {name}\n")
    return "".join(lines)


def head(text: str) -> str:
    """Return what stands above the table in the text of a file: the lines that begin with #."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))


def main(path: str) -> None:
    """Replace the table by the one that is made of Unicode's file at `path`; its head stays."""
    table = make(read(Path(path).read_text("utf-8-sig")))
    TABLE.write_text(write(table, head(TABLE.read_text("ascii"))), "ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
