"""The languages that Charla speaks with people: English, and one file more for each (languages/es.po).

    _("Nobody here is called {name}.").format(name=nick)        what is to be translated, and what goes in
    ngettext("{n} message", "{n} messages", n).format(n=n)
    N_("a word in a table")                                     marked here, translated with _ when used

The files are gettext's (GNU gettext manual, "The Format of PO Files"), which every translator's tool knows.
The standard library's gettext reads their compiled form alone, so `use` compiles one in memory: nothing has
to be built.  A program chooses its language once, with `use`, before it starts a thread.
"""

from __future__ import annotations

import ast
import gettext
import io
import re
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, takewhile

from charla.package_data import data_names, read_data

ENGLISH = "en"
"""The language that the programs are written in: it has no file."""

VARIABLE = "CHARLA_LANG"
"""The environment variable of --lang, for the client and the server."""

_FOLDER = "i18n/languages"
_LOCALE = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # in the order of Python's gettext.find

_spoken = gettext.NullTranslations()  # set by `use`, before there is a second thread
_learners: list[Callable[[], None]] = []  # what is to be called when it is


def _(message: str) -> str:
    """Return `message` in the language that is spoken; English where that has no words for it."""
    return _spoken.gettext(message) if message else ""  # of gettext's own that would be the file's header


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form that fits `count`, by the rules of the language that is spoken."""
    return _spoken.ngettext(one, many, count)


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark `message`, and return it as it is: it is translated where it is used, with `_`."""
    return message


class LazyText:
    """Something to tell people that is worded when it is read: by `str`, in their language.

    `template` is marked with N_; `fields` go in by their names, or `arguments` by % (as in records), and may
    be such words themselves.  For what is told to people and to programs: an error that is shown, and
    recorded as JSON as well.  Immutable.
    """

    def __init__(self, template: str, *arguments: object, **fields: object) -> None:
        self._template = template
        self._arguments = arguments
        self._fields = fields

    def __str__(self) -> str:
        return _worded(_(self._template), self._arguments, self._fields)

    def __repr__(self) -> str:
        return f"Words({self.english!r})"

    @property
    def english(self) -> str:
        """The same in English: for programs."""
        fields = {name: _in_english(value) for name, value in self._fields.items()}
        return _worded(self._template, tuple(map(_in_english, self._arguments)), fields)


def _worded(template: str, arguments: tuple[object, ...], fields: Mapping[str, object]) -> str:
    if arguments:
        return template % arguments
    return template.format(**fields) if fields else template


def _in_english(value: object) -> object:
    """Return `value`, in English where it is Words, or an error that was given Words."""
    if isinstance(value, Exception) and value.args:
        value = value.args[0] if isinstance(value.args[0], LazyText) else value
    return value.english if isinstance(value, LazyText) else value


def system_words(error: OSError) -> LazyText:
    """Return what the operating system says of an error; in English where that is not one of the usual."""
    return LazyText(error.strerror or str(error))


_SYSTEM = (  # in the words of Linux; most are those of macOS, too
    N_("Permission denied"),
    N_("Operation not permitted"),
    N_("No such file or directory"),
    N_("Not a directory"),
    N_("Is a directory"),
    N_("File exists"),
    N_("File name too long"),
    N_("Too many levels of symbolic links"),
    N_("No such device or address"),
    N_("Device or resource busy"),
    N_("Invalid argument"),
    N_("Read-only file system"),
    N_("No space left on device"),
    N_("Disk quota exceeded"),
    N_("Input/output error"),
    N_("Broken pipe"),
    N_("Too many open files"),
    N_("Too many open files in system"),
    N_("No buffer space available"),
    N_("Cannot allocate memory"),
    N_("Resource temporarily unavailable"),
    N_("Network is down"),
    N_("Network is unreachable"),
    N_("No route to host"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
)


# ---- which language -------------------------------------------------------------------------------


def available() -> list[str]:
    """Return the codes of the languages there are: ["en", "es"]."""
    names = data_names(_FOLDER)
    return [ENGLISH, *(name.removesuffix(".po") for name in names if name.endswith(".po"))]


def choose(arguments: Sequence[str], environment: Mapping[str, str], configured: str = "") -> str:
    """Return the code of the language to `use`: the first that is asked for of these.

    `--lang` among the arguments of the program, CHARLA_LANG, `configured` (of a configuration file; empty:
    nothing), and the locale (`preferred`).  ValueError(what was asked for): there is no such language; the
    locale alone may ask for one in vain.
    """
    wanted = typed_value("--lang", arguments) or environment.get(VARIABLE, "") or configured
    if not wanted:
        return preferred(environment)
    code = _match(wanted)
    if code is None:
        raise ValueError(wanted)
    return code


def preferred(environment: Mapping[str, str]) -> str:
    """Return the language of the locale, if there is that one; else English.

    The first of LANGUAGE (which may list several), LC_ALL, LC_MESSAGES and LANG that is set counts, as in
    Python's gettext.
    """
    locales = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    codes = map(_match, filter(None, locales.split(":")))
    return next((code for code in codes if code is not None), ENGLISH)


def _match(locale: str) -> str | None:
    """Return the language, of those there are, that a locale is of: es_MX.UTF-8 is es where no es_MX is."""
    name = re.split("[.@]", locale.strip().lower())[0].replace("-", "_")
    if name.partition("_")[0] in ("c", "posix", ENGLISH):  # nothing is looked up for it
        return ENGLISH
    there = {code.lower(): code for code in available()}
    return there.get(name) or there.get(name.partition("_")[0])


def typed_value(flag: str, arguments: Sequence[str]) -> str:
    """Return what is typed behind an option, the last time; empty: nothing, or its parser will complain.

    For what has to be known before that parser is made: it speaks the language that is to be found here.
    """
    value = ""
    for argument, following in pairwise([*takewhile("--".__ne__, arguments), ""]):
        if argument == flag:
            value = "" if following.startswith("-") else following
        elif argument.startswith(f"{flag}="):
            value = argument.removeprefix(f"{flag}=")
    return value


def speak(arguments: Sequence[str], environment: Mapping[str, str], configured: str = "") -> None:
    """Use the language that is chosen, also for what argparse says; where there is none such, the locale's.

    Then somebody has to say so: the type of the option --lang is `language`.
    """
    try:
        use(choose(arguments, environment, configured))
    except ValueError:
        use(preferred(environment))
    argparse_speaks()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that its encoding lacks is no failure
        sys.stdout.reconfigure(errors="replace")


def argparse_speaks() -> None:
    """Have argparse take its own words (usage, errors) from the language that is spoken."""
    import argparse

    argparse._ = _  # type: ignore[attr-defined] # where it looks for them, since Python 3.2
    argparse.ngettext = ngettext  # type: ignore[attr-defined]
    if sys.version_info < (3, 11):  # there this one is not translated

        def worded(error: argparse.ArgumentError) -> str:
            fields = {"argument_name": error.argument_name, "message": error.message}
            if error.argument_name is None:
                return str(error.message)
            return _("argument %(argument_name)s: %(message)s") % fields

        argparse.ArgumentError.__str__ = worded  # type: ignore[assignment,method-assign]


def language(text: str) -> str:
    """Return the code of the language that `text` asks for, as the `type` of an option; ArgumentTypeError."""
    code = _match(text)
    if code is None:
        import argparse

        raise argparse.ArgumentTypeError(
            _("'{text}' is not a language there is: give one of {codes}").format(
                text=text, codes=", ".join(available())
            )
        )
    return code


# ---- its file -------------------------------------------------------------------------------------


def use(code: str) -> None:
    """Speak the language `code`, which is one of `available`, from now on.  ValueError: there is none.

    For the main thread, before it starts others.
    """
    global _spoken
    if code != ENGLISH and code not in available():
        raise ValueError(code)
    _spoken = gettext.NullTranslations()
    if code != ENGLISH:
        text = read_data(f"{_FOLDER}/{code}.po").decode("utf-8-sig")
        _spoken = gettext.GNUTranslations(io.BytesIO(_compiled(read_catalogue(text))))
    for learn in _learners:
        learn()


def when_chosen(learn: Callable[[], None]) -> None:
    """Call `learn` now, and again when another language is chosen: for words that are asked for too often."""
    _learners.append(learn)
    learn()


def read_catalogue(text: str) -> dict[str, str]:
    """Return the entries of a PO file as compiled ones have them: plural forms joined by NUL.

    Entries without a translation, fuzzy ones and those that are not used any more (#~) are left out; the
    header, which says what the plurals are, never is.
    """
    catalogue: dict[str, str] = {}
    entry: dict[str, str] = {}
    name = ""
    fuzzy = False

    def end_entry() -> None:
        forms = [entry[key] for key in sorted(entry) if key.startswith("msgstr")]  # msgstr[0], msgstr[1]...
        keys = [entry[key] for key in ("msgid", "msgid_plural") if key in entry]
        if keys and all(forms) and (not fuzzy or keys == [""]):
            context = f"{entry['msgctxt']}\4" if "msgctxt" in entry else ""
            catalogue[context + "\0".join(keys)] = "\0".join(forms)

    for line in text.split("\n"):  # a CR before it does not matter
        if name.startswith("msgstr") and not line.startswith(("msgstr", '"')):
            end_entry()
            entry, name, fuzzy = {}, "", False
        if line.startswith("#,") and "fuzzy" in line:
            fuzzy = True
        keyword, quote, rest = line.partition('"')
        if not quote or line.startswith("#"):
            continue
        name = keyword.strip() or name
        # The escapes of a PO string are those of C, and so of Python.
        quoted: str = ast.literal_eval(quote + rest) if "\\" in rest else rest.rstrip()[:-1]
        entry[name] = entry.get(name, "") + quoted
    if entry:
        end_entry()
    return catalogue


def _compiled(catalogue: dict[str, str]) -> bytes:
    """Return a catalogue in the binary form (GNU gettext manual, "The Format of GNU MO Files")."""
    pairs = sorted((key.encode(), value.encode()) for key, value in catalogue.items())
    originals = 7 * 4  # bytes of the header: then two tables of (length, offset), then all texts
    translations = originals + 8 * len(pairs)
    at = translations + 8 * len(pairs)
    texts = [text for side in zip(*pairs, strict=True) for text in side]
    table: list[int] = []
    for text in texts:
        table += (len(text), at)
        at += len(text) + 1
    numbers = [0x950412DE, 0, len(pairs), originals, translations, 0, 0, *table]
    return struct.pack(f"<{len(numbers)}I", *numbers) + b"".join(text + b"\0" for text in texts)
