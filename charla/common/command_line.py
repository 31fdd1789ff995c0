"""The command line: what is wrong with it is told in one sentence, and what may have been meant.

And what people type to run the programs: `python3 client.py`, `charla`, `python3 charla.pyz`...
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, NoReturn, TypeAlias

import charla
from charla.i18n import N_, _
from charla.protocol.text import clean

Program: TypeAlias = Literal["charla", "charla-server"]
"""The programs, as pip installs them (pyproject.toml)."""

_SCRIPTS: dict[Program, str] = {"charla": "client.py", "charla-server": "server.py"}

# Words that people put among the options.
_WORDS: dict[str, tuple[Program, str]] = {
    "client": ("charla", N_("'client' is not an option: to run the client, type {program}")),
    "server": ("charla-server", N_("'server' is not an option: to run the server, type {program}")),
}

_EXAMPLE_WIDTH = 44  # columns; what a longer one does is told below it


def command(program: Program) -> str:
    """Return what people type to run `program`, named as they ran this one (sys.argv[0])."""
    called = sys.argv[0]
    module = re.search(r"[/\\]charla[/\\](?:(client|server)[/\\])?__main__\.py$", called)
    if module is not None:
        words = ("charla.client", "charla.server") if module[1] else ("charla", "charla server")
        return f"{_python()} -m {words[program == 'charla-server']}"
    if hasattr(getattr(charla.__spec__, "loader", None), "archive"):  # charla.pyz, however it is called now
        return f"python3 {shlex.quote(called)}" + (" server" if program == "charla-server" else "")
    behind = [os.path.realpath(called)] if os.path.islink(called) else []  # such as /usr/local/bin/chat
    for path in (called, *behind):
        folder, name = re.fullmatch(r"(.*[/\\])?(.*)", path, re.DOTALL).groups("")  # type: ignore[union-attr]
        if name in _SCRIPTS.values():
            return f"python3 {shlex.quote(folder + _SCRIPTS[program])}"
        if name.removesuffix(".exe") in _SCRIPTS:
            return program if _is_on_path(folder) else shlex.quote(folder + program)
    return f"python3 {_SCRIPTS[program]}"


def _python() -> str:
    """Return what people type to run this Python: its path, if `python3` may be one without Charla."""
    in_environment = sys.prefix != sys.base_prefix
    is_found = not in_environment or _is_on_path(os.path.dirname(sys.executable))
    return "python3" if is_found else shlex.quote(sys.executable)


def _is_on_path(folder: str) -> bool:
    return folder.rstrip("/\\") in os.environ.get("PATH", "").split(os.pathsep)


def examples(typed_and_meant: Iterable[tuple[str, str]]) -> str:
    """Return lines of a help: what can be typed, and what that does, if it does not say so itself."""
    lines = []
    for typed, meaning in typed_and_meant:
        if meaning and len(typed) > _EXAMPLE_WIDTH:
            lines += [f"  {typed}", f"  {'':<{_EXAMPLE_WIDTH}} {meaning}"]
        else:
            lines.append(f"  {typed:<{_EXAMPLE_WIDTH}} {meaning}".rstrip())
    return "\n".join(lines)


class ArgumentParser(argparse.ArgumentParser):
    """One of argparse, for options alone: its errors are one line, without the usage of 30 options above it.

    An option is never abbreviated: --password is not short for --password-file.  It has --version, too.
    """

    def __init__(self, program: Program, description: str, epilog: str) -> None:
        self._program = program
        self._given: list[str] = []
        super().__init__(
            prog=command(program),
            description=description,
            epilog=epilog,
            # For each option argparse makes one of these, which imports shutil (4 ms) for the width.
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=80),
            allow_abbrev=False,
        )
        self.add_argument("--password", action=NotAsArgument, help=argparse.SUPPRESS)
        version = f"Charla {charla.__version__}"
        self.add_argument("--version", action="version", version=version, help=_("show the version and exit"))

    def format_help(self) -> str:
        """Return the help, as wide as the terminal."""
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with status 2."""
        self.exit(2, f"{self._program}: {self._about_dash(message) or message}\n")

    def parse_args(  # type: ignore[override]  # it is given no namespace to fill
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """Return the options; explain itself and exit with status 2 when one is wrong, or unknown."""
        self._given = list(sys.argv[1:] if args is None else args)
        self._refuse_one_dash()
        namespace, unknown = self.parse_known_args(self._given)
        if unknown:
            self.error(self._about_unknown(unknown[0]))
        return namespace

    def _refuse_one_dash(self) -> None:
        """Refuse -host here: argparse would take it for -h, with "ost" behind it."""
        for before, argument in pairwise(["", *self._given]):
            if before.startswith("--password"):  # what follows may be one
                return
            action = self._option_string_actions.get(before)
            takes_it = action is not None and action.nargs != 0  # then it is told how to give that value
            if re.match("-[a-z][a-z]", argument) and not takes_it:
                self.error(self._about_unknown(argument))

    def _about_dash(self, message: str) -> str:
        """Return what to say when an option lacks its value because that begins with a dash.

        "" when `message`, which is argparse's, is about something else.
        """
        for name, value in pairwise(self._given):
            action = self._option_string_actions.get(name)
            if action is None or isinstance(action, NotAsArgument):  # whose value is not repeated
                continue
            lacks = argparse.ArgumentError(action, _("expected one argument"))
            is_option = value.partition("=")[0] in self._option_string_actions
            if message == str(lacks) and value.startswith("-") and not is_option:
                words = _("{value} looks like an option: to give it to {name}, write {name}={value}")
                return words.format(name=name, value=shlex.quote(clean(value)))
        return ""

    def _about_unknown(self, argument: str) -> str:
        argument = clean(argument)
        if argument in _WORDS:
            program, words = _WORDS[argument]
            if program == self._program:
                words = N_("'{argument}' is not an option: leave it out")
            return _(words).format(argument=argument, program=command(program))
        if not argument.startswith("-"):
            return _("'{argument}' is not an option: {program} --help shows those there are").format(
                argument=argument, program=command(self._program)
            )
        name = argument.partition("=")[0]
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        options = {option.lstrip("-"): option for action in shown for option in action.option_strings}
        meant = difflib.get_close_matches(name.lstrip("-")[:40], options, n=1)
        if meant:
            words = _("there is no option {name}: did you mean {meant}?")
            return words.format(name=name, meant=options[meant[0]])
        words = _("there is no option {name}: {program} --help shows those there are")
        return words.format(name=name, program=command(self._program))


class NotAsArgument(argparse.Action):
    """An option that is refused, whatever it is given, without repeating that."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> NoReturn:
        """Explain what to do instead, and exit with status 2."""
        parser.error(
            _(
                "a password is never an argument, others would see it (ps): write it into a file for "
                "--password-file, or into CHARLA_PASSWORD; and choose another one, if this was it"
            )
        )
