"""Which console fits: where standard input and output come from, what is installed, what is asked for."""

from __future__ import annotations

import contextlib
import os
import sys

from console import Console, PipeConsole


def open_console(plain: bool = False, kind: str = "auto") -> Console:
    """Return the console that fits where standard input and output come from, and what is installed.

    `plain`: for screen readers.  `kind`: "stock" or "prompt" (ImportError when prompt_toolkit cannot be
    used), or "auto": the better one of those that there are.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return PipeConsole()
    plain = plain or os.environ.get("TERM") == "dumb"
    if kind != "stock" and not plain:
        try:
            from prompt_console import PromptConsole

            return PromptConsole()
        except ImportError:
            if kind == "prompt":
                raise
    return _stock_console(plain)


def _stock_console(plain: bool) -> Console:
    """Return the console of stock Python that fits the system, for screen readers if `plain`."""
    with contextlib.suppress(ImportError):
        from windows_console import WindowsConsole

        return WindowsConsole(plain)
    if plain:
        with contextlib.suppress(ImportError):
            from plain_console import PlainConsole

            return PlainConsole()
    from readline_console import ReadlineConsole

    return ReadlineConsole()
