"""Standard input, output and error, where whoever started us has closed them (`>&-`; cron, daemons)."""

from __future__ import annotations

import os
import sys


def have_streams() -> None:
    """Open what is closed on /dev/null: it would be None, and its number that of the next socket or file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
