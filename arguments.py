"""The command line: what is wrong with it is told in one sentence, and what may have been meant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from languages import _
from messages import clean


class ArgumentParser(argparse.ArgumentParser):
    """One of argparse, for options alone: its errors are one line, without the usage of 30 options above it.

    An option is never abbreviated: --password is not short for --password-file.
    """

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with status 2."""
        self.exit(2, _("%(prog)s: error: %(message)s\n") % {"prog": self.prog, "message": message})

    def parse_args(  # type: ignore[override]  # it is given no namespace to fill
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """Return the options; explain itself and exit with status 2 when one is wrong, or unknown."""
        namespace, unknown = self.parse_known_args(args)
        if unknown:
            self.error(self._about_unknown(unknown[0]))
        return namespace

    def _about_unknown(self, argument: str) -> str:
        argument = clean(argument)
        if not argument.startswith("-"):
            return _("'{argument}' is not an option: {program} --help shows those there are").format(
                argument=argument, program=self.prog
            )
        name = argument.partition("=")[0]
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        options = {option.lstrip("-"): option for action in shown for option in action.option_strings}
        meant = difflib.get_close_matches(name.lstrip("-")[:40], options, n=1)
        if meant:
            words = _("there is no option {name}: did you mean {meant}?")
            return words.format(name=name, meant=options[meant[0]])
        words = _("there is no option {name}: {program} --help shows those there are")
        return words.format(name=name, program=self.prog)


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
