"""Letters, digits and marks that look alike: the table behind `nicks.look`.

It is confusables.txt here, made from the confusables data of Unicode Technical Standard #39, version 13.0.0,
by tests/support/make_confusables.py.  That program

* follows every prototype to its end, and keeps the characters that can stand in a nick (after NFKC, NFD);
* takes the first character of a class for its prototype where Unicode has several letters for one (m is
  like rn, but "corn" and "com" are two names) or something that cannot stand in a nick;
* leaves out Hangul, the Greek sigma (Unicode has it look like an o), the Armenian gim and ra, and those
  letters and marks of other living scripts that share a prototype with another one of their own script
  (Thai, Arabic, Tamil...): their readers tell them apart.  The forms of the Arabic heh, kaf and yeh stay.

ICU 72 (Unicode 15.0) gave the same skeleton as version 13.0 for every single character.
"""

from __future__ import annotations

from functools import cache

from charla.package_data import read_data


@cache
def prototypes() -> dict[int, str]:
    """Return the table for `str.translate`: code point -> what it looks like.  Read-only, for any thread.

    The first call reads it, which takes 2 ms.
    """
    table: dict[int, str] = {}
    for line in read_data("protocol/confusables.txt").decode("ascii").splitlines():
        shape, colon, members = line.partition("#")[0].partition(":")
        if colon:
            looks_like = "".join(chr(int(code, 16)) for code in shape.split("+"))
            table.update(dict.fromkeys((int(code, 16) for code in members.split()), looks_like))
    return table
