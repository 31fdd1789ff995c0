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
import os
import site
import struct
import sysconfig
from collections.abc import Mapping

ENGLISH = "en"
"""The language that the programs are written in: it has no file."""

_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # as Python's gettext.find has them

_spoken: gettext.NullTranslations = (
    gettext.NullTranslations()
)  # set by `use`, before there is a second thread


def _(message: str) -> str:
    """Return `message` in the language that is spoken; English where that has no words for it."""
    return _spoken.gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form that fits `count`, by the rules of the language that is spoken."""
    return _spoken.ngettext(one, many, count)


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark `message`, and return it as it is: it is translated where it is used, with `_`."""
    return message


def available() -> list[str]:
    """Return the codes of the languages there are: ["en", "es"]."""
    found = {
        name.removesuffix(".po")
        for folder in _folders()
        if os.path.isdir(folder)
        for name in os.listdir(folder)
        if name.endswith(".po")
    }
    return [ENGLISH, *sorted(found)]


def preferred(environment: Mapping[str, str]) -> str:
    """Return the language that the environment asks for, of those there are: English where it says nothing.

    As gettext has it: the first of LANGUAGE (which may list several), LC_ALL, LC_MESSAGES and LANG that
    is set; es_MX.UTF-8 is es where there is no es_MX.
    """
    wanted = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    there = {code.lower(): code for code in available()}
    for locale in wanted.split(":"):
        code = locale.partition(".")[0].partition("@")[0].lower()
        if code in ("c", "posix"):
            return ENGLISH
        for candidate in (code, code.partition("_")[0]):
            if candidate in there:
                return there[candidate]
    return ENGLISH


def use(code: str) -> None:
    """Speak the language `code`, which is one of `available`, from now on.  ValueError: there is none.

    For the main thread, before it starts others.
    """
    global _spoken
    if code == ENGLISH:
        _spoken = gettext.NullTranslations()
        return
    for folder in _folders():
        path = os.path.join(folder, f"{code}.po")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                _spoken = gettext.GNUTranslations(io.BytesIO(_compiled(read_catalogue(file.read()))))
            return
    raise ValueError(code)


def _folders() -> list[str]:
    """Return where language files may be: beside this file, or where pip puts them."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "languages")
    return [here, *(os.path.join(base, "share", "charla", "languages") for base in _bases() if base)]


def _bases() -> list[str | None]:
    return [sysconfig.get_path("data"), site.getuserbase() if site.ENABLE_USER_SITE else None]


def read_catalogue(text: str) -> dict[str, str]:
    """Return the entries of a PO file as compiled ones have them: plural forms joined by NUL.

    Entries without a translation, fuzzy ones and those that are not used any more (#~) are left out.
    """
    catalogue: dict[str, str] = {}
    for entry in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        fuzzy = False
        for line in entry.split("\n"):
            if line.startswith("#"):
                fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
                continue
            keyword, quote, rest = line.partition('"')
            name = keyword.strip() or name
            if quote:  # the escapes of a PO string are those of C, and so of Python
                fields[name] = fields.get(name, "") + ast.literal_eval(quote + rest)
        forms = [fields[key] for key in ("msgstr", *(f"msgstr[{n}]" for n in range(6))) if key in fields]
        if "msgid" in fields and forms and all(forms) and not fuzzy:
            keys = (
                [fields["msgid"], fields["msgid_plural"]] if "msgid_plural" in fields else [fields["msgid"]]
            )
            catalogue["\0".join(keys)] = "\0".join(forms)
    return catalogue


def _compiled(catalogue: dict[str, str]) -> bytes:
    """Return a catalogue in the binary form (GNU gettext manual, "The Format of GNU MO Files")."""
    pairs = sorted((key.encode(), value.encode()) for key, value in catalogue.items())
    header = 7 * 4
    tables = [header, header + 8 * len(pairs)]
    at = header + 16 * len(pairs)
    lengths: list[list[int]] = [[], []]
    texts = b""
    for side in (0, 1):
        for pair in pairs:
            lengths[side] += [len(pair[side]), at + len(texts)]
            texts += pair[side] + b"\0"
    numbers = [0x950412DE, 0, len(pairs), *tables, 0, at, *lengths[0], *lengths[1]]
    return struct.pack(f"<{len(numbers)}I", *numbers) + texts
