"""The colours: which there are, which nick has which.  No I/O, no thread.

A colour is the number of an escape sequence (ECMA-48, SGR): `paint("1", "hola")` is bold.  What the
background is nobody tells: each colour must be readable on black and on white.
"""

from __future__ import annotations

import functools
import os
import sys
import zlib
from collections.abc import Mapping

from charla.protocol.nicks import nick_key

BOLD, DIM, MARKED = "1", "2", "1;7"

# Of the 256 of xterm those with a contrast (WCAG 2.1, "contrast ratio") of 4 and more with black and with
# white, and of these the ones that differ most (CIELAB) from each other and from the one for private talk.
NICKS_OF_256 = (27, 28, 29, 31, 98, 129, 130, 131, 133, 161, 196)
PRIVATE_OF_256 = 164

# Of the 16 every theme has its own idea: these have a contrast above 2.5 in all of them, on black and white
# (measured: xterm, VGA, Tango, Campbell, macOS, Solarized).  Yellow, cyan and green do not on white, nor
# does blue on black.
NICKS_OF_16 = (31, 35, 91, 94, 95)
PRIVATE_OF_16 = 35


class Palette:
    """The colours for nicks and private talk, as sequences: either of 256 or of 16."""

    def __init__(self, many: bool) -> None:
        nicks, private = (NICKS_OF_256, PRIVATE_OF_256) if many else (NICKS_OF_16, PRIVATE_OF_16)
        prefix = "38;5;" if many else ""
        self._nicks = tuple(f"{prefix}{number}" for number in nicks)
        self.private = f"{BOLD};{prefix}{private}"

    def of_nick(self, nick: str) -> str:
        """Return the colour of `nick`, the same in every run, however it is written."""
        return self._nicks[_number(nick) % len(self._nicks)]


@functools.lru_cache(1024)
def _number(nick: str) -> int:
    return zlib.crc32(nick_key(nick).encode())


def paint(color: str, text: str) -> str:
    return f"\x1b[{color}m{text}\x1b[0m"


def has_many_colors(environment: Mapping[str, str]) -> bool:
    """Say whether the terminal has 256 colours, by what it says of itself in the environment."""
    return "256color" in environment.get("TERM", "") or any(
        environment.get(name) for name in ("COLORTERM", "WT_SESSION")
    )


def use_color(choice: str, plain: bool = False) -> bool:
    """Say whether to colour, by --color (auto, always or never), NO_COLOR (no-color.org), TERM, --plain."""
    if plain:
        return False
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"
