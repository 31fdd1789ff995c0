"""Inputs to begin with, made from the tables of tests/examples.py: every verb, every kind of line."""

from __future__ import annotations

from support.examples import COMMANDS, MESSAGES, REFUSED, STREAMS, TOLD_ALIKE, TYPED

from fuzz.rooms import PASSWORD

_IN = ["0ana", "1HELLO 1 beto session=new", "2HELLO 1 eva", "0/mod", f"0{PASSWORD}", f"1MOD 900 {PASSWORD}"]
_COMES_AND_GOES = [
    *("0hola", "1SAY 901 hola", "2MSG 902 beto psst", "-1", "0beto: psst", "a/me x", "cSAY 903 y"),
    *("=1", "~0 ", *("2SAY 904 " + "x" * 300,) * 5, "~0", "3luz", "4HELLO 1 sol", "5mar", "+1", "0/kick mar"),
    *("=1\x02", "1BYE", "+\x05"),
]
_MODERATES = [
    *("0/mute eva 90s", "2SAY 905 muted", "0/unmute eva", "0/quiet on", "2ME 906 quiet", "0/quiet off"),
    *("0/topic hoy", "0/ban sol 30m spam", "0/bans", "0/unban sol", "0/announce ya", "1NICK 907 bea"),
    *(
        "-1",
        "0bea: psst",
        "0bea: again",
        "2MSG 908 bea x",
        "+~",
        "=1",
        "1HELLO 1 bea session=new",
        "0/status",
    ),
]


def seeds() -> dict[str, list[bytes]]:
    """Return inputs for each target."""
    typed = [line for line, _ in [*TYPED, *REFUSED]]
    sent = [line for _, line in COMMANDS]
    told = [line for _, *lines in MESSAGES for line in lines[:2]] + [line for _, line, _ in TOLD_ALIKE]
    return {
        "framing": [b"\x0b\x03\x01\x02\x05" + stream for stream, _, _ in STREAMS],
        "plain": [line.encode() for line in typed],
        "native": [line.encode() for line in sent + told],
        "room": [
            "\n".join([*_IN, *_COMES_AND_GOES]).encode(),
            "\n".join([*_IN, *_MODERATES]).encode(),
            *("\n".join([*_IN, *("0" + line for line in part)]).encode() for part in _parts(typed)),
            *("\n".join([*_IN, *("1" + line for line in part)]).encode() for part in _parts(sent)),
        ],
        "tls": [
            bytes(_script(0, (0, 500), (9, 0), (1, 70), (8, 0), (3, 65000), (6, 70), (5, 9), (4, 9), (7, 9))),
            bytes(_script(0, (10, 100), (0, 40000), (0, 5), (8, 0), (10, 65000), (0, 0), (8, 0), (12, 0))),
            bytes(_script(0, (0, 100), (6, 300), (17, 40), (9, 0), (8, 0), (19, 1), (5, 9))),
            bytes(_script(255, (15, 0), (7, 30), (4, 0), (14, 0), (7, 500), (9, 0), (8, 0), (8, 0), (9, 0))),
        ],
    }


def _parts(lines: list[str], size: int = 15) -> list[list[str]]:
    short = [line for line in lines if len(line) < 200 and "\n" not in line]
    return [short[at : at + size] for at in range(0, len(short), size)]


def _script(first: int, *steps: tuple[int, int]) -> list[int]:
    return [first, *(byte for do, number in steps for byte in (do, number >> 8, number & 255))]
