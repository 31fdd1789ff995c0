"""The table of what looks alike, and the program that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import make_confusables
from support.make_confusables import TABLE, head, make, read, write

from charla.protocol.confusables import prototypes

# Some lines as they stand in Unicode's file.
UNICODES = """\
# Version: 13.0.0
0031 ;\t006C ;\tMA\t# ( 1 → l ) DIGIT ONE → LATIN SMALL LETTER L\t#
0661 ;\t006C ;\tMA\t#*
0627 ;\t006C ;\tMA\t# ARABIC LETTER ALEF
ff29 ;\t006C ;\tMA\t# a form of I that NFKC makes one
01c0 ;\t0031 ;\tMA\t# by way of 1
006d ;\t0072 006E ;\tMA\t# m is like rn
20a5 ;\t006D 0338 ;\tMA\t# no letter
118e3 ;\t0072 006E ;\tMA\t#
03c3 ;\t006F ;\tMA\t# sigma
0647 ;\t006F ;\tMA\t# a heh
06be ;\t006F ;\tMA\t# another heh
05d5 ;\t006C ;\tMA\t# vav
05df ;\t006C ;\tMA\t# final nun
0903 ;\t003A ;\tMA\t# like a colon
0a83 ;\t003A ;\tMA\t# too
00f8 ;\t006F 0338 ;\tMA\t# o with a stroke
11a8 ;\t1100 ;\tMA\t# Hangul
"""


def test_the_table_is_made_by_these_rules() -> None:
    assert make(read(UNICODES)) == {
        "l": [
            "1",
            "\u01c0",
            "\u0627",
            "\u0661",
        ],  # to the end of its way; not what NFKC changes, nor vav and nun
        "m": ["\U000118e3"],  # in place of "rn"
        "o": ["\u0647", "\u06be"],  # not the sigma
        "\u0903": ["\u0a83"],  # in place of ":"
        "o\u0338": ["\u00f8"],
    }


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"13\.0\.0"):
        read(UNICODES.replace("13.0.0", "16.0.0"))


def test_the_file_is_as_the_program_writes_it() -> None:
    table: dict[str, list[str]] = {}
    for code, shape in prototypes().items():
        table.setdefault(shape, []).append(chr(code))
    text = TABLE.read_text("ascii")
    assert write({shape: sorted(table[shape]) for shape in table}, head(text)) == text


def test_the_program_keeps_the_head_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "confusables.txt"
    there.write_text("# a notice\n6f: 0  # LATIN SMALL LETTER O\n")
    monkeypatch.setattr(make_confusables, "TABLE", there)
    unicodes = tmp_path / "unicodes.txt"
    unicodes.write_text(UNICODES, "utf-8-sig")
    make_confusables.main(str(unicodes))
    lines = there.read_text().splitlines()
    assert lines[:2] == ["# a notice", "6c: 31 1c0 627 661  # LATIN SMALL LETTER L"]
    assert lines[-1] == "6f+338: f8  # LATIN SMALL LETTER O + COMBINING LONG SOLIDUS OVERLAY"
