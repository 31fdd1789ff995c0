"""What there is to translate, and the files it is translated in.

    python tests/support/catalogue.py fr

makes charla/i18n/languages/fr.po of what the sources say, or brings it up to date: what is new stands there
without a translation, what was changed as "fuzzy", to be looked at.  (With babel, which is among the
development tools.)  tests/i18n/test_languages.py fails while anything is missing.
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent.parent

_KEYWORDS = {"_": 1, "N_": 1, "ngettext": 2}  # and how many of their arguments are messages

_HEADER = """\
# Charla in {name}.
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"

"""

# What argparse says to who uses a program, in Python 3.10 to 3.13; not what it says to who writes one.
ARGPARSE: tuple[str | tuple[str, str], ...] = (
    "usage: ",
    "positional arguments",
    "options",
    "%(heading)s:",
    "show this help message and exit",
    "show program's version number and exit",
    "%(prog)s: error: %(message)s\n",
    "argument %(argument_name)s: %(message)s",
    "unrecognized arguments: %s",
    "the following arguments are required: %s",
    "one of the arguments %s is required",
    "not allowed with argument %s",
    "ignored explicit argument %r",
    "expected one argument",
    "expected at most one argument",
    "expected at least one argument",
    ("expected %s argument", "expected %s arguments"),
    "ambiguous option: %(option)s could match %(matches)s",
    "unexpected option string: %s",
    "invalid %(type)s value: %(value)r",
    "invalid choice: %(value)r (choose from %(choices)s)",
)


def template() -> Catalog:
    """Return all that there is to translate, with the names of the files that say it."""
    catalog = Catalog(project="Charla", charset="utf-8", fuzzy=False)
    for path in sorted((ROOT / "charla").rglob("*.py")):
        for message in messages(ast.parse(path.read_text())):
            catalog.add(message, locations=[(path.relative_to(ROOT / "charla").as_posix(), 0)])
    for words in ARGPARSE:
        catalog.add(words, locations=[("argparse", 0)])
    return catalog


def messages(module: ast.AST) -> Iterator[str | tuple[str, ...]]:
    """Yield what a module marks, in order.  (babel's own extraction finds nothing inside an f-string.)

    ValueError for what cannot be looked up, because it is put together first.
    """
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if not (isinstance(call.func, ast.Name) and call.func.id in _KEYWORDS):
            continue
        arguments = call.args[: _KEYWORDS[call.func.id]]
        if any(isinstance(argument, ast.JoinedStr) for argument in arguments):
            raise ValueError(f"line {call.lineno}: an f-string is never found in a language file")
        texts = tuple(str(argument.value) for argument in arguments if isinstance(argument, ast.Constant))
        if len(texts) == len(arguments):  # else a name: what it stands for was marked with N_
            yield texts if len(texts) > 1 else texts[0]


def read(path: Path) -> Catalog:
    """Return what a language file has."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def update(path: Path) -> None:
    """Bring a language file up to date; make it if there is none."""
    catalog = read(path) if path.exists() else Catalog(locale=path.stem, project="Charla", fuzzy=False)
    catalog.update(template())
    written = io.BytesIO()
    write_po(written, catalog, width=110, omit_header=True, include_lineno=False, ignore_obsolete=True)
    name = catalog.locale.english_name if catalog.locale is not None else path.stem
    header = _HEADER.format(name=name, code=path.stem, plurals=catalog.plural_forms)
    path.write_text(header + written.getvalue().decode().lstrip("\n"), encoding="utf-8")


if __name__ == "__main__":
    for code in sys.argv[1:]:
        update(ROOT / "charla" / "i18n" / "languages" / f"{code}.po")
