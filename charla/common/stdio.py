"""Standard input, output and error where they are closed: from the start (`>&-`; cron, daemons), or since."""

from __future__ import annotations

import os
import sys


def have_streams() -> None:
    """Open what is closed on /dev/null: it would be None, and its number that of the next socket or file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115


def silence_output() -> None:
    """Let nothing complain at exit that standard output is closed, or takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
