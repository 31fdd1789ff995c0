"""How the client ends: its exit statuses, and what goes to standard error on the way."""

from __future__ import annotations

import contextlib
import sys
from enum import IntEnum

REMOVED = ("kicked", "banned")
"""Why a server says BYE to somebody whom it does not want."""


class ExitStatus(IntEnum):
    """Exit statuses."""

    LEFT = 0
    CONNECTION_LOST = 1
    USAGE = 2
    NO_CONNECTION = 3
    REFUSED = 4


def diagnose(*lines: object) -> None:
    """Write diagnostics of a script, if anybody reads them."""
    with contextlib.suppress(OSError):
        for text in lines:
            print(f"charla: {text}", file=sys.stderr, flush=True)
