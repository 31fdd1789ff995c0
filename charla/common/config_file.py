"""The client's configuration file: options that are not typed each time.

The file is TOML (toml.io) with a line for each option, `name = value`.  Python 3.10 has no tomllib: there
only such lines are taken, whose value is a text, a number, true or false; no option needs more.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from charla.common.options import Option
from charla.i18n import N_, LazyText, system_words, typed_value
from charla.protocol.text import clean

LARGEST_FILE = 100_000
"""Bytes of a configuration file, which has some twenty lines: another one was meant."""

_CONTROL = r"\x00-\x08\x0a-\x1f\x7f"  # which TOML takes nowhere; a tab it does
_INTEGER = r"[+-]? (?: 0 | [1-9](?:_?[0-9])* )"
_DIGITS = r"[0-9](?:_?[0-9])*"
_LINE = rf"""[ \t]*
    (?: (?P<name> [A-Za-z0-9_-]+) [ \t]*=[ \t]*
        (?: "(?P<text> (?: [^"\\{_CONTROL}] | \\[btnfr"\\] | \\u[0-9A-Fa-f]{{4}} | \\U[0-9A-Fa-f]{{8}} )*)"
          | '(?P<literal> [^'{_CONTROL}]*)'
          | (?P<float> {_INTEGER} (?: \.{_DIGITS} (?:[eE][+-]?{_DIGITS})? | [eE][+-]?{_DIGITS} ))
          | (?P<integer> {_INTEGER})
          | (?P<switch> true | false)
        ) [ \t]*
    )?
    (?: \# [^{_CONTROL}]* )?"""
_HEADER = re.compile(r"^[ \t]*(\[\[?[^\[\]\n]*\]\]?)", re.MULTILINE)
_ESCAPE = re.compile(r"\\(?:u(.{4})|U(.{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class SettingsError(Exception):
    """Settings that cannot be used.

    Its text is a sentence for a person, in the language that is spoken when it is told: the file is
    read before that is known, for it may say so itself.
    """

    def __init__(self, template: str, **fields: object) -> None:
        super().__init__(LazyText(template, **fields))


class NotSimple(ValueError):
    """A line that is not `name = value`, or names what an earlier one has; `line` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class HasSections(NotSimple):
    """There is a line such as [connection], `header`: TOML has sections, these settings have none."""

    def __init__(self, line: int, header: str) -> None:
        super().__init__(line)
        self.header = header


def config_folder(environment: Mapping[str, str], system: str = os.name) -> str:
    """Return where the files of the user's configuration are (XDG Base Directory Specification).

    On Windows (`system`: "nt") they are in the folder for that of the user.
    """
    if system == "nt":
        folder = environment.get("APPDATA", "") or os.path.expanduser("~")
    else:
        folder = environment.get("XDG_CONFIG_HOME", "")
        if not os.path.isabs(folder):  # the specification: such a one is to be ignored
            folder = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(folder, "charla")


_TYPES: dict[type | tuple[type, ...], str] = {
    str: N_("'{path}': {name} has to be a text, in quotes"),
    int: N_("'{path}': {name} has to be a whole number, without quotes"),
    (int, float): N_("'{path}': {name} has to be a number, without quotes"),
    bool: N_("'{path}': {name} has to be true or false, without quotes"),
    (str, bool): N_("'{path}': {name} has to be true or false, without quotes"),
}


class ConfigFile:
    """The configuration file: what is in it, or why it cannot be used.  It is read once: it may be a pipe."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        named = typed_value("--config", arguments) or environment.get("CHARLA_CONFIG", "")
        usual = os.path.join(config_folder(environment), "client.toml")
        self.path = os.path.expanduser(named) or usual
        self._error: SettingsError | None = None
        self._values: dict[str, Any] = {}
        try:
            self._values = _read(self.path, needed=bool(named))
        except SettingsError as error:
            self._error = error

    def language(self) -> str:
        """Return the language that it asks for; empty: none.  This much of a wrong file does, too."""
        code = self._values.get("lang", "")
        return code if isinstance(code, str) else ""

    def texts(self, options: Sequence[Option]) -> dict[str, str]:
        """Return what stands in it, by the options' names, as it would be typed; SettingsError."""
        if self._error is not None:
            raise self._error
        _check_names(self.path, self._values, [option.name for option in options])
        return {option.name: self._text(option) for option in options if option.name in self._values}

    def _text(self, option: Option) -> str:
        value = self._values[option.name]
        written = option.written if isinstance(option.written, tuple) else (option.written,)
        if type(value) not in written:  # and not isinstance: True is no number
            raise SettingsError(_TYPES[option.written], path=self.path, name=option.name)
        if isinstance(value, bool):
            return "on" if value else "off"
        if option.metavar == "FILE" and value:  # of its own folder: one starts the client anywhere
            return os.path.join(os.path.dirname(os.path.abspath(self.path)), os.path.expanduser(value))
        return str(value)


def _check_names(path: str, names: Iterable[str], known: Collection[str]) -> None:
    """Raise SettingsError for the first of `names` that is not `known`, with what to do about it."""
    for name in names:
        if name in known:
            continue
        usual = name.lower().replace("_", "-")
        nearest = difflib.get_close_matches(usual, known, 1)
        if usual == "config":
            words = N_("'{path}': {name}: a file names no other one, only --config does")
        elif "pass" in usual and usual not in known:
            words = N_(
                "'{path}': {name}: a password does not belong here. Write it into a file of its own, and the "
                "name of that here (password-file), or the password into the environment's CHARLA_PASSWORD"
            )
        elif nearest:
            words = N_("'{path}': there is no option '{name}'. Did you mean '{nearest}'?")
        else:
            words = N_("'{path}': there is no option '{name}': see --help")
        raise SettingsError(words, path=path, name=clean(name), nearest=nearest[0] if nearest else "")


def _read(path: str, *, needed: bool) -> dict[str, Any]:
    """Return the names and values in a file; none when it does not exist and is not `needed`.

    SettingsError when it cannot be read, or cannot be understood.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        if not needed:
            return {}
        raise SettingsError(N_("there is no configuration file '{path}'"), path=path) from None
    except (OSError, ValueError) as error:
        reason = system_words(error) if isinstance(error, OSError) else error
        words = N_("the configuration file '{path}' cannot be read: {reason}")
        raise SettingsError(words, path=path, reason=reason) from None
    if len(data) > LARGEST_FILE:
        raise SettingsError(N_("'{path}' is too long for a configuration file: is it one?"), path=path)
    try:
        return _parse(data.decode("utf-8-sig"))  # some editors begin a file with a byte order mark
    except UnicodeDecodeError:
        words = N_("the configuration file '{path}' is not UTF-8: save it as such")
        raise SettingsError(words, path=path) from None
    except HasSections as error:
        words = N_("'{path}', line {line}: there are no sections, the options stand alone: take {header} out")
        raise SettingsError(words, path=path, line=error.line, header=clean(error.header)) from None
    except NotSimple as error:
        words = N_(
            "'{path}', line {line}, cannot be understood: each option stands once, in a line like "
            'port = 9000, tls = true or nick = "ana", text in quotes'
        )
        raise SettingsError(words, path=path, line=error.line) from None


def _parse(text: str) -> dict[str, Any]:
    """Return the names and values in TOML; HasSections.

    NotSimple where it is none (without a word of it: it may be a secret).
    """
    if sys.version_info >= (3, 11):
        import tomllib  # 5 ms, for which only those wait who have a file

        try:
            values = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            # "... (at line 3, column 7)", or "... (at end of document)"
            match = re.search(r"\(at line (\d+)", str(error))
            raise NotSimple(int(match[1]) if match else text.rstrip("\n").count("\n") + 1) from None
        for header in _HEADER.finditer(text):
            name = header[1].strip("[] \t\"'").split(".")[0]
            if isinstance(values.get(name), (dict, list)):
                raise HasSections(text.count("\n", 0, header.start()) + 1, header[1])
        return values
    return parse_simple(text)


def parse_simple(text: str) -> dict[str, Any]:
    """Return the names and values in lines `name = value`.

    HasSections, or NotSimple for anything else that TOML may have.  What it returns, tomllib returns too.
    """
    pattern = re.compile(_LINE, re.VERBOSE)  # 2 ms, for which nobody waits at the start
    values: dict[str, Any] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        match, header = pattern.fullmatch(line), _HEADER.match(line)
        if header is not None:
            raise HasSections(number, header[1])
        if match is None or match["name"] in values:
            raise NotSimple(number)
        if match["name"] is not None:
            try:
                values[match["name"]] = _value(match)
            except ValueError:  # half of a surrogate pair, or thousands of digits
                raise NotSimple(number) from None
    return values


def _value(match: re.Match[str]) -> str | int | float | bool:
    if match["text"] is not None:
        text = _ESCAPE.sub(_unescaped, match["text"])
        text.encode()  # UnicodeEncodeError is a ValueError
        return text
    if match["literal"] is not None:
        return match["literal"]
    if match["float"] is not None:
        return float(match["float"])
    return int(match["integer"]) if match["integer"] is not None else match["switch"] == "true"


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else _ESCAPED[match[3]]
