"""The keyboard where no editor reads it: the terminal's mode, and a secret that is not shown.

For POSIX; where termios is not to be had (Windows) nothing here is called.
"""

from __future__ import annotations

import os
import re
import select
from typing import Any

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

_KEY_SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^[O])", re.DOTALL)
"""What a key sends that stands for no character (ECMA-48, control sequences; Alt and a key)."""

_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


def keys_one_by_one(mode: list[Any]) -> list[Any]:
    """Return a terminal's mode (see termios.tcgetattr) as readline wants it: each key at once, and unseen."""
    keys = [*mode[:6], list(mode[6])]
    keys[0] &= ~(termios.ICRNL | termios.INLCR)
    # NOFLSH: without it Ctrl+C throws away what is printed and not on the screen yet.
    keys[3] = keys[3] & ~(termios.ICANON | termios.ECHO) | termios.ISIG | termios.NOFLSH
    keys[6][termios.VMIN], keys[6][termios.VTIME] = 1, 0
    keys[6][termios.VLNEXT] = b"\0"  # Ctrl+V is readline's
    return keys


def read_unseen(descriptor: int) -> str:
    """Return what is typed up to Enter on a terminal that echoes nothing.  EOFError: Ctrl+D, hung up.

    Backspace and Ctrl+U work; arrow keys and the line ends of what is pasted do not count.
    """
    typed = bytearray()
    while True:
        # select and not read alone: signals end it, and Python's handlers run.  One byte at a time: what
        # was typed ahead is for the next line.
        select.select([descriptor], [], [])
        key = os.read(descriptor, 1)
        pasting = typed.rfind(_PASTE_BEGINS) > typed.rfind(_PASTE_ENDS)
        if not key or (key == b"\x04" and not typed):
            raise EOFError
        if key in b"\r\n":
            if not pasting:
                return _KEY_SEQUENCE.sub(b"", typed).decode(errors="replace")
        elif key in b"\x7f\b":
            text = _KEY_SEQUENCE.sub(b"", typed).decode(errors="replace")
            typed[:] = text[:-1].encode()
        elif key == b"\x15":
            typed.clear()
        else:
            typed += key
