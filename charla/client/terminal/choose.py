"""Which console fits: where standard input and output come from, what is installed, what is asked for."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from charla.client.terminal.console import Console
from charla.client.terminal.pipe import PipeConsole


def open_console(plain: bool = False, kind: str = "auto") -> Console:
    """Return the console that fits where standard input and output come from, and what is installed.

    `plain`: for screen readers.  `kind`: "stock" or "prompt" (ImportError when prompt_toolkit cannot be
    used), or "auto": the better one of those that there are.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return PipeConsole()
    plain = plain or os.environ.get("TERM") == "dumb"
    # Asked first: to find out by trying costs 7 ms of other imports.
    if not plain and (kind == "prompt" or (kind == "auto" and find_spec("prompt_toolkit") is not None)):
        try:
            from charla.client.terminal.prompt_console import PromptConsole

            return PromptConsole()
        except ImportError as error:
            if kind == "prompt" or not _lacks(error, "prompt_toolkit", "wcwidth"):
                raise
    try:
        from charla.client.terminal.windows_console import WindowsConsole

        return WindowsConsole(plain)
    except ImportError as error:
        if not _lacks(error, "msvcrt"):
            raise
    if plain:
        try:
            from charla.client.terminal.plain_console import PlainConsole

            return PlainConsole()
        except ImportError as error:
            if not _lacks(error, "termios"):
                raise
    from charla.client.terminal.readline_console import ReadlineConsole

    return ReadlineConsole()


def _lacks(error: ImportError, *names: str) -> bool:
    """Say whether it is one of these that is not there, or too old; otherwise the mistake is ours."""
    return (error.name or "").partition(".")[0] in names
