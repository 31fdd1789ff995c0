"""Options, in a table for each program; and what each comes to, whatever its value comes from:

    --dead-after 20                       what is typed wins
    CHARLA_DEAD_AFTER=20                  over the environment,
    dead-after = 20                       and that over the file, which only the client has (config_file.py).

Whatever a value comes from, the same function of its option judges it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from charla.i18n import N_, _

Judge: TypeAlias = Callable[[str], object]
"""Returns the value that a text stands for; ArgumentTypeError, a sentence, when it stands for none."""


# ---- the table ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """An option: `--name`, CHARLA_NAME in the environment, `name` in the file."""

    name: str
    about: str
    """Its help, marked with N_; {default} and `fields` go in."""
    judge: Judge = str
    default: Any = None
    metavar: str = ""
    """What the value is, in the help, marked with N_; empty for a switch, which is its own value."""
    written: type | tuple[type, ...] = str
    """What stands for it in the file."""
    repeated: bool = False
    """Whether it can be given several times; its value is the list of them."""
    negative: bool = True
    """Whether a switch has --no-NAME, too."""
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def attribute(self) -> str:
        """The name that code has for it."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its variable in the environment."""
        return f"CHARLA_{self.attribute.upper()}"

    def add_to(self, parser: argparse._ActionsContainer, *, tells_variable: bool = False) -> None:
        """Add it to a parser, or a group of one, which tells only what was typed."""
        flag, about = f"--{self.name}", _(self.about).format(default=self.default, **self.fields)
        if tells_variable:
            about += f" [{self.variable}]" if self.metavar else f" [{self.variable}=1]"
        if not self.metavar:
            action = argparse.BooleanOptionalAction if self.negative else "store_true"
            parser.add_argument(flag, action=action, default=None, help=about)
            return
        kind = "append" if self.repeated else "store"
        parser.add_argument(flag, action=kind, type=self.judge, metavar=_(self.metavar), help=about)


# ---- what a value may be -----------------------------------------------------------------------------


class WrongValue(argparse.ArgumentTypeError):
    """A text that stands for no value; the complaint, marked with N_, says what would."""

    def __init__(self, complaint: str, **fields: object) -> None:
        super().__init__(_(complaint).format(**fields))


def whole(complaint: str, least: int, most: int, unit: int = 1) -> Judge:
    """Return the judge of a whole number of `unit`s; {text}, {least} and {most} go into its complaint."""

    def judge(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(most))
        if not (digits and least <= int(text) <= most):
            raise WrongValue(complaint, text=text, least=least, most=most)
        return int(text) * unit

    return judge


def number(complaint: str, most: int, unit: int = 1, *, above_0: bool = False) -> Judge:
    """Return the judge of a number of `unit`s from 0 to `most`, or of one above 0."""

    def judge(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most or (above_0 and not value):
            raise WrongValue(complaint, text=text, most=most)
        return value * unit

    return judge


def one_of(*words: str, complaint: str = N_("'{text}' is not possible: give one of {words}")) -> Judge:
    """Return the judge of one of a few words, in any case."""

    def judge(text: str) -> str:
        if text.lower() not in words:
            raise WrongValue(complaint, text=text, words=", ".join(words))
        return text.lower()

    return judge


_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def yes_or_no(complaint: str = N_("'{text}' is neither yes nor no: give on or off")) -> Judge:
    """Return the judge of a switch: 1, true, yes or on; 0, false, no or off, in any case."""

    def judge(text: str) -> bool:
        if text.lower() not in _YES + _NO:
            raise WrongValue(complaint, text=text)
        return text.lower() in _YES

    return judge


# ---- what they come to -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Given:
    """The value of an option, and where it is from."""

    value: Any
    rank: int
    """0: nobody has said anything; 1: the file, 2: the environment, 3: the command line."""
    place: str
    """What it is called in a sentence, so that people find it."""


class Choice:
    """What the options of a program come to: each is what counts most of what was said about it.

    `typed` is what the parser returns, with None for what was not typed; `file` has the texts of the file, by
    the names of options, and its path.  What is wrong ends the program with status 2, as the parser does it.
    """

    def __init__(
        self,
        parser: argparse.ArgumentParser,
        options: Sequence[Option],
        typed: argparse.Namespace,
        file: Mapping[str, str] | None = None,
        path: str = "",
    ) -> None:
        self._parser = parser
        self._options = {option.name: option for option in options}
        written = file or {}
        self._given = {
            option.name: self._weigh(option, getattr(typed, option.attribute), written.get(option.name), path)
            for option in options
        }

    def _weigh(self, option: Option, typed: Any, written: str | None, path: str) -> _Given:
        if typed is not None:
            place = f"--no-{option.name}" if typed is False else f"--{option.name}"
            # An empty text says that there is to be none, whatever the file says.
            return _Given(option.default if typed == "" else typed, 3, place)
        if os.environ.get(option.variable):  # an empty one is as good as none
            return self._judged(option, os.environ[option.variable], 2, option.variable)
        if written:
            place = _("'{path}': {name}").format(path=path, name=option.name)
            return self._judged(option, written, 1, place)
        return _Given(option.default, 0, f"--{option.name}")

    def _judged(self, option: Option, text: str, rank: int, place: str) -> _Given:
        try:
            value = option.judge(text)
        except argparse.ArgumentTypeError as error:
            self._parser.error(f"{place}: {error}")
        return _Given([value] if option.repeated else value, rank, place)

    def __getitem__(self, name: str) -> Any:
        return self._given[name].value

    def forbid(self, one: str, other: str) -> None:
        """Let only one of two options hold that contradict each other: the one that counts more.

        When both were given in the same place, that is a mistake.
        """
        first, second = self._given[one], self._given[other]
        if first.rank == second.rank:
            words = _("{one} and {other} do not go together: give one of them")
            self._parser.error(words.format(one=first.place, other=second.place))
        weaker = one if first.rank < second.rank else other
        self._given[weaker] = _Given(self._options[weaker].default, 0, f"--{weaker}")

    def refused(self, name: str) -> bool:
        """Say whether somebody has said no to a switch."""
        return self._given[name].rank > 0 and not self._given[name].value

    def place(self, name: str) -> str:
        """Return what an option is called where it was given."""
        return self._given[name].place

    def namespace(self) -> argparse.Namespace:
        """Return the values by their names in code."""
        values = {option.attribute: self._given[option.name].value for option in self._options.values()}
        return argparse.Namespace(**values)
