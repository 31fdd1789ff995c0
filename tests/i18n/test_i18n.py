"""Languages: every file is complete, and says the same; which one is spoken; the server in Spanish."""

from __future__ import annotations

import argparse
import ast
import errno
import gettext
import io
import json
import logging
import os
import re
import shutil
import signal
import string
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import NoReturn

import pytest
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from support import DEADLINE, ROOT, LineClient, ServerProgram, catalogue
from support.examples import MESSAGES, NOW, TOLD_ALIKE

from charla import i18n as languages
from charla import package_data
from charla.client.display import phrases
from charla.i18n import N_, LazyText, choose, ngettext, preferred, read_catalogue
from charla.protocol import sentences
from charla.protocol.describe import describe
from charla.protocol.greeting import read_greeting, turn_away
from charla.protocol.messages import (
    Crowd,
    Goodbye,
    HelpText,
    HistoryHeader,
    Left,
    Message,
    Moderated,
    Refusal,
    Said,
    Status,
    Told,
    Topic,
    WhoPage,
)
from charla.protocol.plain import PLAIN
from charla.server.records import ThrottledLogger, log_fields, recording
from charla.server.storage import log_file
from charla.server.storage.entries import StorageError
from charla.server.storage.transcript import Transcript

log = logging.getLogger("charla")

FILES = sorted((ROOT / "charla" / "i18n" / "languages").glob("*.po"))
SOURCES = sorted((ROOT / "charla").rglob("*.py"))


# ---- the files: complete, and the same in every language -------------------------------------------


def ids(catalog: Catalog) -> set[tuple[str, ...]]:
    return {_forms(message.id) for message in catalog if message.id}


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ())


def entries(path: Path) -> list[Entry]:
    return [message for message in catalogue.read(path) if message.id]


def each_form(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what is translated, and each form of its translation."""
    for message in entries(path):
        for form in _forms(message.string):
            yield _forms(message.id), form


def slots(text: str) -> list[str]:
    """Return the places in which something is put into `text`: those of % in order, those of {} sorted."""
    percents = re.findall(r"%(?:\([a-z_]+\))?[-.0-9]*[a-zA-Z]", text)
    if percents:
        return percents if all("(" not in slot for slot in percents) else sorted(set(percents))
    parsed = string.Formatter().parse(text)
    return sorted({f"{{{name}:{spec}}}" for _text, name, spec, _how in parsed if name is not None})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_is_missing_in_a_language_and_nothing_too_much(path: Path) -> None:
    assert ids(catalogue.read(path)) == ids(catalogue.template()), f"catalogue.py {path.stem}"
    assert [message.id for message in entries(path) if message.fuzzy] == []
    assert [wanted for wanted, form in each_form(path) if not form] == []
    assert "#~" not in path.read_text(encoding="utf-8"), "what is not used any more only misleads"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_goes_into_a_sentence_is_the_same_in_every_language(path: Path) -> None:
    for wanted, form in each_form(path):
        expected = [slots(text) for text in wanted]
        assert slots(form) in expected, f"{wanted} has {expected[-1]}, and not: {form}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_translation_begins_and_ends_like_what_it_stands_for(path: Path) -> None:
    for (first, *_others), form in each_form(path):
        for end in (r"\A\s*", r"\s*\Z", r"\n"):
            assert re.findall(end, form) == re.findall(end, first), (first, form)
        assert "  " not in form.strip() or "  " in first, form


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_plural_has_all_its_forms(path: Path) -> None:
    catalog = catalogue.read(path)
    assert {len(_forms(message.string)) for message in entries(path) if message.pluralizable} <= {
        catalog.num_plurals
    }
    assert str(catalog.locale) == path.stem
    assert catalog.charset.lower() == "utf-8"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_people_have_to_type_is_not_translated(path: Path) -> None:
    for wanted, form in each_form(path):
        for text in wanted[:1]:
            typed = set(re.findall(r"(?<![\w/])(?:--[a-z-]+|/[a-z]+\b(?!/)|CHARLA_[A-Z_]+)", text))
            assert {word for word in typed if word not in form} == set(), (wanted, form)


def test_the_script_makes_a_file_for_a_language_and_brings_it_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "fr.po"
    catalogue.update(path)
    assert ids(catalogue.read(path)) == ids(catalogue.template())
    text = path.read_text(encoding="utf-8")
    text = text.replace('msgid "Goodbye."\nmsgstr ""', 'msgid "Goodbye."\nmsgstr "Au revoir."')
    path.write_text(text + '\nmsgid "This is not said any more."\nmsgstr "?"\n', encoding="utf-8")
    catalogue.update(path)
    assert path.read_text(encoding="utf-8") == text
    assert read_catalogue(text)["Goodbye."] == "Au revoir."
    # How many plurals French has, and which, is Babel's to say: it has been two, and three.
    plurals = int(re.search(r'"Plural-Forms: nplurals=(\d+);', text)[1])  # type: ignore[index]
    forms = {len(re.findall(r"^msgstr\[", entry, re.M)) for entry in text.split("\n\n")}
    assert forms == {0, plurals}


# ---- the sources: everything that people read is marked ---------------------------------------------

_NOT_TOLD = {
    "OSError",
    "ConnectionResetError",
    "SSLEOFError",
    "BlockingIOError",
    "TypeError",
    "ValueError",
    "AssertionError",
}
"""What takes words that only programmers read."""


def unmarked(module: ast.AST) -> list[tuple[int, str]]:
    """Return what looks like words for people, with their lines, and is neither marked nor a docstring."""
    passed_over: set[ast.AST] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed_over.add(node.value)
        if isinstance(node, ast.Assert):
            passed_over.update(ast.walk(node))
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if name in _NOT_TOLD or name in ("_", "N_", "ngettext"):
                passed_over.update(ast.walk(node))
    return [
        (node.lineno, node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in passed_over
        if re.search(r"\b[A-Za-z]+,? [a-z]{2,},? [a-z]+\b|^ [a-z]+ [a-z]+", node.value)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_a_module_tells_people_is_marked(path: Path) -> None:
    found = unmarked(ast.parse(path.read_text(encoding="utf-8")))
    assert [words for words in found if not re.search("SELECT|addressee|unable to open", words[1])] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_a_module_records_is_marked(path: Path) -> None:
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args):
            continue
        message = call.args[0]
        if getattr(call.func.value, "id", "") == "log" and isinstance(message, ast.Constant):
            assert not re.search("[a-z]{2}", str(message.value)), f"line {call.lineno}"


def test_all_that_the_tables_say_is_marked() -> None:
    marked = {form for forms in ids(catalogue.template()) for form in forms}
    tables = [
        *(sentences.SENTENCES, phrases.CLIENT_SENTENCES, sentences.GOODBYES, sentences.LEAVE_REASONS),
        *(sentences.NOTICES, sentences.ACTIONS, sentences.STATUS_WORDS),
    ]
    assert {words for table in tables for words in table.values()} - marked == {""}
    for usage in (sentences.USAGE, sentences.MODERATORS_USAGE, phrases.CLIENT_USAGE):
        assert {meaning for _typed, meaning in usage.values()} <= marked
        assert {typed for typed, _meaning in usage.values() if re.search("[A-Z]{3}", typed)} <= marked


def test_the_marks_of_a_module_are_found_wherever_they_stand() -> None:
    module = ast.parse("f'{_(\"a\")}'; _('b' 'c'); N_('d'); ngettext('e', 'f', n); _(name); other('g')")
    assert list(catalogue.messages(module)) == ["a", "bc", "d", ("e", "f")]
    with pytest.raises(ValueError, match="line 1"):
        list(catalogue.messages(ast.parse("_(f'hello {nick}')")))


def test_what_argparse_says_that_is_not_translated_is_told() -> None:
    """Releases of Python may word it anew: that is no failure; until it is translated, it is in English."""
    source = Path(argparse.__file__).read_text(encoding="utf-8")
    said = set()
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        if getattr(call.func, "id", "") in ("_", "ngettext"):
            said.add(tuple(argument.value for argument in call.args if isinstance(argument, ast.Constant)))
    to_programmers = re.compile(
        "merge actions|invalid argument for positionals|invalid option string|dest= is required|"
        "conflict|mutually exclusive arguments must|not callable|__call__|with mode|sub|parser|can't open|"
        "default|deprecated|warning|^$"
    )
    unknown = [words for words in said if not to_programmers.search(" ".join(map(str, words[:1])))]
    known = {_forms(words) for words in catalogue.ARGPARSE}
    assert ("usage: ",) in said, "they are looked for in the wrong place"
    new = {tuple(map(str, words)) for words in unknown if words} - known
    if new:
        warnings.warn(f"argparse says what tests/support/catalogue.py does not have: {new}", stacklevel=1)


def test_the_words_of_the_system_are_translated() -> None:
    other = set(languages._SYSTEM) - {os.strerror(number) for number in errno.errorcode}
    if sys.platform == "linux" and other:  # another C library, or a later one: then it is said in English
        warnings.warn(f"this system does not say {other}", stacklevel=1)
    languages.use("es")
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert str(languages.system_words(refused)) == "conexión rechazada"
    assert str(languages.system_words(OSError("no errno at all"))) == "no errno at all"


# ---- which language is spoken -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({}, "en"),
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "es_MX.UTF-8@euro"}, "es"),
        ({"LANG": "ES_ar"}, "es"),
        ({"LANG": "es-CL"}, "es"),
        ({"LANG": "eso_XX"}, "en"),
        ({"LANG": "tlh"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": ""}, "en"),
        ({"LANG": "es_ES", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "es_ES.UTF-8"}, "es"),
        ({"LC_MESSAGES": "en_US", "LC_ALL": "es_ES.UTF-8"}, "es"),
        ({"LC_ALL": "", "LANG": "es_ES"}, "es"),
        ({"LC_CTYPE": "es_ES.UTF-8"}, "en"),  # that is about letters
        ({"LANGUAGE": "es", "LC_ALL": "en_US.UTF-8"}, "es"),
        ({"LANGUAGE": "tlh:es:en"}, "es"),
        ({"LANGUAGE": "en:es"}, "en"),
        ({"LANGUAGE": "tlh:xx"}, "en"),
        ({"LANGUAGE": "::es"}, "es"),
        ({"LANGUAGE": "../../etc/passwd"}, "en"),
    ],
)
def test_the_language_of_the_locale(environment: dict[str, str], code: str) -> None:
    assert preferred(environment) == code
    assert choose([], environment) == code


@pytest.mark.parametrize(
    ("arguments", "environment", "configured", "code"),
    [
        (["--lang", "es"], {}, "", "es"),
        (["--lang=es"], {"CHARLA_LANG": "en"}, "en", "es"),
        (["--lang", "en"], {"CHARLA_LANG": "es", "LANG": "es_ES"}, "es", "en"),
        (["--port", "7000", "--tls", "--lang", "ES", "--bogus"], {}, "", "es"),
        (["--lang", "en", "--lang", "es"], {}, "", "es"),  # as argparse has it: the last one
        ([], {"CHARLA_LANG": "es", "LANG": "en_GB"}, "en", "es"),
        ([], {"CHARLA_LANG": "", "LANG": "en_GB"}, "es", "es"),
        ([], {"LANG": "es_ES"}, "en", "en"),
        (["--lan", "es"], {}, "", "en"),  # no option is abbreviated
        (["--", "--lang", "es"], {}, "", "en"),
        (["--lang"], {"LANG": "es"}, "", "es"),  # the program itself complains, in the locale's language
        (["--lang", "--help"], {"LANG": "es"}, "", "es"),
        (["-h", "--help", "--version", "--lang", "es_MX"], {}, "", "es"),
    ],
)
def test_what_is_asked_for_comes_before_the_locale(
    arguments: list[str], environment: dict[str, str], configured: str, code: str
) -> None:
    before = list(arguments)
    assert choose(arguments, environment, configured) == code
    assert arguments == before


@pytest.mark.parametrize(
    ("arguments", "environment", "configured", "asked"),
    [
        (["--lang", "tlh"], {"CHARLA_LANG": "es"}, "es", "tlh"),
        ([], {"CHARLA_LANG": "tlh", "LANG": "es"}, "es", "tlh"),
        ([], {}, "tlh_XX", "tlh_XX"),
        (["--lang", "../es"], {}, "", "../es"),
    ],
)
def test_a_language_that_there_is_not(
    arguments: list[str], environment: dict[str, str], configured: str, asked: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(asked)}$"):
        choose(arguments, environment, configured)


def test_a_language_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_data, "_FOLDER", str(tmp_path))
    folder = tmp_path / "i18n/languages"
    folder.mkdir(parents=True)
    assert languages.available() == ["en"]
    (folder / "pt_BR.po").write_text('msgid "Goodbye!"\nmsgstr "Tchau"\n', encoding="utf-8-sig")
    assert languages.available() == ["en", "pt_BR"]
    assert choose(["--lang", "pt-br"], {}) == "pt_BR"
    assert preferred({"LANG": "pt_PT.UTF-8"}) == "en"
    languages.use("pt_BR")
    assert sentences.goodbye_words("left") == "Tchau"
    assert sentences.goodbye_words("slow").startswith("You were dropped")  # what is missing is in English
    with pytest.raises(ValueError, match="es"):
        languages.use("es")
    assert sentences.goodbye_words("left") == "Tchau"
    assert languages.language("PT_br") == "pt_BR"
    with pytest.raises(argparse.ArgumentTypeError, match=r"'es' is not a language there is.*en, pt_BR"):
        languages.language("es")


@pytest.mark.parametrize("packed", [False, True], ids=["in a folder", "in a zip file"])
def test_the_package_finds_its_files_where_it_is(tmp_path: Path, packed: bool) -> None:
    shutil.copytree(ROOT / "charla", tmp_path / "charla", ignore=shutil.ignore_patterns("__pycache__"))
    place = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path) if packed else str(tmp_path)
    program = """if True:
        import sys
        from charla import i18n
        assert i18n.available() == ["en", "es"] and i18n.preferred({"LANG": "es_MX.UTF-8"}) == "es"
        from charla.protocol import PLAIN, nicks
        assert nicks.look("Аna") == nicks.look("Ana")
        i18n.use("en"), i18n.use("es")
        print(i18n._("Goodbye!"), i18n.__file__)
    """
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": place, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path.parent,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.startswith(f"¡Hasta luego! {place}")


def test_for_english_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: str) -> NoReturn:
        raise AssertionError(path)

    monkeypatch.setattr(languages, "data_names", read)
    monkeypatch.setattr(languages, "read_data", read)
    for environment in ({}, {"LANG": "C"}, {"LC_ALL": "en_US.UTF-8"}, {"CHARLA_LANG": "en"}):
        languages.use(choose([], environment))
        languages.use(choose(["--lang", "en"], environment))


# ---- the compiled form ------------------------------------------------------------------------------

SAMPLE = r"""# a translator's remark
#, fuzzy
msgid ""
msgstr ""
"Language: es\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

#: some.py
msgid "two "
"pieces"
msgstr ""
"dos \"trozos\" \\ y\ttab\n"
"y otra línea\n"

#, fuzzy, python-format
#| msgid "before"
msgid "a guess: %s"
msgstr "una suposición: %s"

msgid "not done yet"
msgstr ""

msgid "{n} thing"
msgid_plural "{n} things"
msgstr[0] "{n} cosa"
msgstr[1] "{n} cosas"

msgid "{n} half"
msgid_plural "{n} halves"
msgstr[0] "{n} mitad"
msgstr[1] ""

#~ msgid "gone"
#~ msgstr "ido"

msgid "no blank line before the next"
msgstr "sin línea en blanco"
msgid "the next"
msgstr "la siguiente"
"""


def answers(compiled: gettext.GNUTranslations) -> dict[object, object]:
    return {key: text for key, text in vars(compiled)["_catalog"].items() if key}


def ours(text: str) -> gettext.GNUTranslations:
    return gettext.GNUTranslations(io.BytesIO(languages._compiled(read_catalogue(text))))


def babels(text: str) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.StringIO(text)))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_reads_as_babel_reads_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert answers(ours(text)) == answers(babels(text))
    assert len(answers(ours(text))) >= len(ids(catalogue.template()))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_kind_of_entry_is_read(end: str) -> None:
    compiled = ours(SAMPLE.replace("\n", end))
    assert answers(compiled) == {
        "two pieces": 'dos "trozos" \\ y\ttab\ny otra línea\n',
        ("{n} thing", 0): "{n} cosa",
        ("{n} thing", 1): "{n} cosas",
        "no blank line before the next": "sin línea en blanco",
        "the next": "la siguiente",
    }
    assert [compiled.ngettext("{n} thing", "{n} things", n) for n in (0, 1, 2)] == [
        "{n} cosas",
        "{n} cosa",
        "{n} cosas",
    ]
    assert compiled.gettext("a guess: %s") == "a guess: %s"
    assert compiled.ngettext("{n} half", "{n} halves", 2) == "{n} halves"


def test_a_file_of_nothing() -> None:
    assert read_catalogue("") == read_catalogue("\n\n# only a remark\n") == {}
    assert answers(ours("")) == {}


# ---- words --------------------------------------------------------------------------------------------


def test_words_have_their_language_when_they_are_read() -> None:
    why = LazyText(N_("disk full"))
    words = LazyText(N_("no certificate can be kept in {folder}: {reason}"), folder="{x} 100 %s", reason=why)
    error = StorageError(words, "disk-full")
    assert str(error) == "no certificate can be kept in {x} 100 %s: disk full"
    languages.use("es")
    assert str(error) == "no se puede guardar ningún certificado en {x} 100 %s: disco lleno"
    assert words.english == "no certificate can be kept in {x} 100 %s: disk full"
    assert repr(why) == "Words('disk full')"


def test_words_of_a_record_take_what_goes_into_them_as_it_stands() -> None:
    languages.use("es")
    words = LazyText(N_("%s turned away: %s"), "100 % {sure} %d", LazyText(N_("locked")))
    assert str(words) == "100 % {sure} %d se queda fuera: bloqueado"
    assert words.english == "100 % {sure} %d turned away: locked"


def test_no_words_are_no_words() -> None:
    languages.use("es")
    assert languages._("") == ""  # gettext itself says what the file's header says


def test_plurals() -> None:
    languages.use("es")
    assert [describe(HistoryHeader(0, n)) for n in (0, 1, 2)] == [
        "No hay nada de lo que se dijo antes.",
        "Lo que se dijo antes, el último mensaje:",
        "Lo que se dijo antes, los 2 últimos mensajes:",
    ]
    assert ngettext("never marked", "never marked, many", 2) == "never marked, many"


# ---- the plain dialect ----------------------------------------------------------------------------------

MARK = re.compile(r"(NICK|PASSWORD)$|\* |! |\[|~ |[\w.-]+: ")
"""How every line of the plain dialect begins: docs/PROTOCOL.md."""

ALL: list[tuple[Message, bool]] = [
    *((line[0], own) for table in (MESSAGES, TOLD_ALIKE) for line in table for own in (False, True)),
    *((Refusal(0, code, ("1", "beto", "x")), False) for code in sentences.SENTENCES),
    *((Goodbye(reason), False) for reason in (*sentences.GOODBYES, "later")),
    *((Left(9, NOW, "ana", reason), False) for reason in (*sentences.LEAVE_REASONS, "later")),
    *((Moderated(9, NOW, 0, action, "ana", "beto", 60, "a\nb"), False) for action in sentences.ACTIONS),
    *((WhoPage(0, page, 2, 60, ("ana", "beto")), False) for page in (1, 2)),
    *((HelpText(moderators), False) for moderators in (False, True)),
    (Crowd(9, NOW, 3, 2, 201), False),
    (Topic(0, True, "a\n* beto left"), False),
]


@pytest.mark.parametrize("code", languages.available())
def test_nobody_can_forge_a_line_in_any_language(code: str) -> None:
    languages.use(code)
    assert len(ALL) > 100
    for message, own in ALL:
        for line in PLAIN.encode(message, own).decode().split("\n")[:-1]:
            assert MARK.match(line), (message, line)
    refusal = turn_away("full", "3")
    assert refusal.startswith(b"! ")
    assert read_greeting(refusal.decode().rstrip("\n")) == Refusal(0, "full", ("3",))


def test_no_line_of_the_dialect_is_left_in_english() -> None:
    told = {}
    for code in ("en", "es"):
        languages.use(code)
        told[code] = [PLAIN.encode(message, own) for message, own in ALL]
    same = {
        line.decode()
        for english, spanish in zip(told["en"], told["es"], strict=True)
        for line in set(english.split(b"\n")) & set(spanish.split(b"\n"))
    }
    # What people have said, and what is of no version that this one knows.
    assert {line for line in same if line.startswith(("* ", "! "))} <= {
        "* ana: of-a-later-version beto",
        "* later-code a b",
        *(line for line in same if re.match(r"\* (Sé amable|sí)$", line)),
    }, same


@pytest.mark.parametrize("usage", [sentences.USAGE, sentences.MODERATORS_USAGE], ids=["people", "moderators"])
def test_the_columns_of_the_help_stand_apart(usage: dict[str, tuple[str, str]]) -> None:
    languages.use("es")
    lines = PLAIN.encode(HelpText(usage is sentences.MODERATORS_USAGE)).decode().splitlines()
    columns = [re.fullmatch(r"\* (\S.*?)  +(\S.*)", line) for line in lines]
    told = [(match[1], match[2]) for match in columns if match is not None]
    assert told == [sentences.usage_words(entry) for entry in usage.values()]
    assert len({line.index(meaning) for line, (_typed, meaning) in zip(lines, told, strict=True)}) == 1


def test_the_marks_of_private_messages_follow_the_language() -> None:
    told = Told(9, NOW, 0, "ana", "beto", "hola")
    assert (PLAIN.encode(told), PLAIN.encode(told, own=True)) == (
        b"[private] ana: hola\n",
        b"[to beto] hola\n",
    )
    languages.use("es")
    assert (PLAIN.encode(told), PLAIN.encode(told, own=True)) == (
        b"[privado] ana: hola\n",
        b"[a beto] hola\n",
    )


def test_a_ban_says_how_long_it_holds() -> None:
    languages.use("es")
    told = [Moderated(3, NOW, 0, "ban", "ana", "eva", seconds, "spam") for seconds in (0, 604_800)]
    assert [PLAIN.encode(event).decode() for event in told] == [
        "* ana ha prohibido la entrada a eva para siempre: spam\n",
        "* ana ha prohibido la entrada a eva durante 7 d: spam\n",
    ]


def test_the_status_is_right_for_any_number() -> None:
    values = ("93784", *"1110", "1234567", *"11111111")
    languages.use("es")
    lines = describe(Status(7, values)).split("\n")
    assert len(lines) == len(sentences.STATUS_WORDS)
    assert lines[:2] == ["en marcha desde hace: 1 d 2 h", "personas en la sala: 1"]
    assert lines[5] == "sucesos desde el arranque: 1234567"
    assert lines[-2:] == ["prohibiciones: 1", "personas silenciadas: 1"]


def test_a_status_of_a_later_version_is_told_as_far_as_it_is_known() -> None:
    told = describe(Status(7, ("lately", *"2" * 20))).split("\n")
    assert told[:2] == ["running for: lately", "people in the room: 2"]
    assert len(told) == len(sentences.STATUS_WORDS)
    assert describe(Status(7, ())) == ""


def test_a_refusal_is_worded_in_spanish() -> None:
    languages.use("es")
    assert sentences.sentence("nick-scripts", ("Cyrillic", "Tifinagh")).endswith(
        "ese mezcla cirílico y Tifinagh."
    )
    assert sentences.sentence("unknown-command", ("whp",)).startswith("No existe la orden /whp, así")
    assert sentences.sentence("client-command", ("r",)).startswith("/r solo funciona en el cliente")
    assert "¿Querías decir /who?" in sentences.sentence("unknown-command", ("whp", "who"))


# ---- the server, end to end -------------------------------------------------------------------------------


def test_a_conversation_with_a_server_in_spanish() -> None:
    server = SpanishServer("--lang", "es")
    with server:
        with LineClient(server.address) as ana, LineClient(server.address) as beto:
            ana.expect("NICK")
            ana.send("1ana\n")
            ana.expect("! Un apodo empieza por una letra.", "NICK")
            ana.send("ana\n")
            ana.expect(
                "* Te damos la bienvenida a Charla.", "* Te llamas ana. /help te dice qué puedes escribir."
            )
            ana.expect("* 1 aquí: ana")
            beto.expect("NICK")
            beto.send("beto\n")
            beto.until("^[*] 2 aquí: ana, beto$")
            ana.expect("* ha entrado beto")
            ana.send("hola\nbeto: un secreto\n")
            ana.expect("[a beto] un secreto")
            beto.expect("ana: hola", "[privado] ana: un secreto")
            ana.send("/help\n")
            help_lines = ana.until("/exit")
            assert help_lines[0] == "* TEXTO                   lo dice a todos"
            assert help_lines[1] == "* USUARIO: TEXTO          lo dice solo a USUARIO"
            ana.send("/whp\nbteo: hola\n/me\n")
            ana.until("^! No existe la orden /whp, así que no se ha enviado nada. ¿Querías decir /who[?]")
            ana.until("^! Aquí nadie se llama «bteo»")
            ana.expect("! No se ha enviado nada. Se escribe así: /me TEXTO")
            ana.send("/nick anita\n")
            ana.expect("* ahora te llamas anita")
            beto.expect("* ana ahora se llama anita")
            ana.send("salir\n")
            assert ana.rest() == ["* ¡Hasta luego!"]
            beto.expect("* ha salido anita")
            server.process.send_signal(signal.SIGTERM)
            assert beto.rest() == ["* El servidor se cierra. ¡Hasta luego!"]
        assert server.status() == 0
    port = server.address[1]
    told = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", "\n".join(server.output))
    assert (
        f"Para entrar, en otra terminal: python3 client.py --port {port}   (o: nc 127.0.0.1 {port})" in told
    )
    assert re.search(r"^ha entrado ana desde 127\.0\.0\.1:\d+ \(plain\); aquí: 1$", told, re.MULTILINE)
    assert "ana ahora se llama anita" in told
    assert "ha salido anita; aquí: 1" in told
    assert "rechazado a ana: unknown-command" in told
    assert "terminando: se avisa a todos" in told


class SpanishServer(ServerProgram):
    """`server.py`, listening on a free port of the loopback, and saying so in Spanish."""

    def __init__(self, *options: str, **environment: str) -> None:
        super(ServerProgram, self).__init__("server.py", "--port", "0", *options, environment=environment)
        self.address = ("127.0.0.1", int(self.wait_for_line(r"escuchando en 127\.0\.0\.1:(\d+)")[1]))


@pytest.mark.parametrize(
    "environment",
    [{"CHARLA_LANG": "es"}, {"LANG": "es_ES.UTF-8"}, {"LANGUAGE": "es:en", "LC_ALL": "en_US.UTF-8"}],
    ids=["CHARLA_LANG", "LANG", "LANGUAGE"],
)
def test_the_environment_has_the_server_speak_spanish(environment: dict[str, str]) -> None:
    with SpanishServer(**environment) as server, LineClient(server.address) as ana:
        ana.expect("NICK")
        ana.send("exit\n")
        assert ana.rest() == ["* ¡Hasta luego!"]


def test_a_native_client_is_told_codes_in_every_language() -> None:
    with SpanishServer("--lang", "es") as server, LineClient(server.address) as ana:
        assert ana.join_native("ana").text == ""
        ana.send("MSG 1 nobody hola\n")
        ana.expect("ERROR 1 no-such-user nobody")
        ana.send("BYE\n")
        assert ana.rest()[-1] == "BYE left"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=DEADLINE,
    )


@pytest.mark.parametrize("program", ["server.py", "client.py"])
def test_no_line_of_the_help_is_left_in_english(program: str) -> None:
    english, spanish = (run(program, "--lang", code, "--help") for code in ("en", "es"))
    assert english.returncode == spanish.returncode == 0
    assert english.stderr == spanish.stderr == ""
    same = set(english.stdout.splitlines()) & set(spanish.stdout.splitlines())
    typed = r"python3 \S+\.py .*|--[a-z-]+|CHARLA_\w+|\b[A-Z0-9]+\b|[a-z]+(\|[a-z]+)+"
    left = [re.sub(typed, "", line) for line in same]
    assert [line for line in left if re.search("[a-z]", line)] == []
    for option in re.findall(r"(?m)^  (?:-h, )?(--[a-z-]+)", english.stdout):
        assert option in spanish.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "error"),
    [
        (["--port", "x"], {}, "argumento --port: «x» no es un puerto: da un número del 0 al 65535"),
        (["--port"], {}, "argumento --port: falta su valor"),
        (["--bogus", "1"], {}, "no existe la opción --bogus"),
        (["--tls=yes"], {}, "argumento --tls: no lleva ningún valor, y se ha dado 'yes'"),
        (["--password", "my secret"], {}, "una contraseña nunca va en un argumento"),
        (["--rate-limit", "fast"], {}, "«fast» no es un ritmo: da líneas por segundo"),
        (["--sync", "full"], {}, "--sync full se refiere al archivo de --db: dalo también"),
        (["--db", "a", "--transcript", "a"], {}, "--db y --transcript son el mismo archivo"),
        ([], {"CHARLA_TLS": "maybe"}, "CHARLA_TLS: «maybe» no es ni sí ni no: da 1 o 0"),
        ([], {"CHARLA_PORT": "70000"}, "CHARLA_PORT: «70000» no es un puerto"),
        (["--lang"], {}, "argumento --lang: falta su valor"),
        (["--lang", "tlh"], {}, "argumento --lang: «tlh» no es un idioma que haya: da uno de estos: en, es"),
        ([], {"CHARLA_LANG": "tlh"}, "CHARLA_LANG: «tlh» no es un idioma que haya: da uno de estos: en, es"),
        (["--db", "/nowhere/room.db"], {}, "no se puede abrir para escribir el registro «/nowhere/room.db» "
         "(no existe ese archivo o carpeta): revisa --db"),
        (["--password-file", "/nowhere/secret"], {}, "no existe el archivo de contraseña «/nowhere/secret»"),
        (["--transcript", "/nowhere/t"], {}, "no se puede crear la transcripción «/nowhere/t»"),
        (["--tls-cert", "/nowhere/c", "--tls-key", "k"], {}, "no se puede leer el certificado /nowhere/c"),
        (["--host", "nowhere.invalid"], {}, "«nowhere.invalid» no es una dirección ni un nombre"),
        (["--host", "192.0.2.1"], {}, "«192.0.2.1» no es una dirección de este equipo"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_option_is_told_in_spanish(
    refused: Callable[..., subprocess.CompletedProcess[str]],
    arguments: list[str],
    environment: dict[str, str],
    error: str,
) -> None:
    locale = {"LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "es_ES.UTF-8"}
    done = refused("server.py", *arguments, **locale, **environment)
    assert done.returncode == 2
    assert error in " ".join(done.stderr.split())
    assert "my secret" not in done.stderr
    assert done.stdout == ""
    if done.stderr.startswith("u"):
        assert done.stderr.startswith("uso: server.py")


def test_argparse_takes_its_plurals_from_the_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("_", "ngettext"):
        monkeypatch.setattr(argparse, name, getattr(argparse, name))
    monkeypatch.setattr(argparse.ArgumentError, "__str__", argparse.ArgumentError.__str__)
    languages.speak(["--lang", "es"], {})
    parser = argparse.ArgumentParser(prog="x")
    parser.add_argument("--size", nargs=2)
    with pytest.raises(SystemExit):
        parser.parse_args(["--size", "1"])
    assert capsys.readouterr().err.endswith("x: error: argumento --size: lleva 2 valores\n")


def test_a_language_that_there_is_not_is_told_in_the_one_of_the_locale() -> None:
    done = run("server.py", "--lang", "tlh")
    assert done.returncode == 2
    assert "argument --lang: 'tlh' is not a language there is: give one of en, es" in done.stderr


def test_a_terminal_without_those_letters_is_no_failure() -> None:
    done = run("server.py", "--lang", "es", "--help", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "mostrar esta ayuda y terminar" in done.stdout
    assert "DIRECCI?N" in done.stdout


# ---- records: text for the operator, JSON for programs -----------------------------------------------------


def recorded(form: str, write: Callable[[], None]) -> str:
    languages.use("es")
    terminal = io.StringIO()
    with redirect_stderr(terminal), recording("info", form):
        write()
    return terminal.getvalue()


def some_records() -> None:
    log.info(N_("%s is now %s"), "ana", "100 %s")
    log.error(
        N_("the certificate stays as it was: %s"), log_file.explain("room.db", OSError("disk I/O error"))
    )
    log.info(N_("%s; %d here"), sentences.leaving("ana", "lost"), 3)
    log.warning(LazyText(N_("there is no password file '{path}': make it, with one line"), path="x"))
    log.info("not marked %d", 1)


def test_the_text_is_in_the_language_of_the_operator() -> None:
    lines = [line[9:] for line in recorded("text", some_records).splitlines()]
    assert lines == [
        "ana ahora se llama 100 %s",
        "el certificado sigue como estaba: no se puede leer o escribir el registro «room.db»: "
        "el disco falla, o está lleno",
        "ha salido ana (conexión perdida); aquí: 3",
        "no existe el archivo de contraseña «x»: créalo, con una línea",
        "not marked 1",
    ]


def test_json_is_in_english_for_programs() -> None:
    records = [json.loads(line)["message"] for line in recorded("json", some_records).splitlines()]
    assert records == [
        "ana is now 100 %s",
        "the certificate stays as it was: the log 'room.db' cannot be read or written: the disk fails, "
        "or is full",
        "ana left (connection lost); 3 here",
        "there is no password file 'x': make it, with one line",
        "not marked 1",
    ]


def counted_records() -> None:
    clock = iter([0.0, 1.0, 2.0, 90.0, 90.0])
    seldom = ThrottledLogger(log, clock=lambda: next(clock))
    for _ in range(4):
        seldom.record(
            logging.WARNING, "x", N_("%s turned away: %s"), "203.0.113.7", "100 %", extra=log_fields("x")
        )


def test_a_count_of_records_is_in_one_language_too() -> None:
    text = [line[9:] for line in recorded("text", counted_records).splitlines()]
    assert text == [
        "203.0.113.7 se queda fuera: 100 %",
        "203.0.113.7 se queda fuera: 100 % (y 2 más como esta en 90 s)",
    ]
    objects = [json.loads(line) for line in recorded("json", counted_records).splitlines()]
    assert [record["message"] for record in objects] == [
        "203.0.113.7 turned away: 100 %",
        "203.0.113.7 turned away: 100 % (and 2 more like it in 90 s)",
    ]


def test_a_server_in_spanish_records_json_in_english() -> None:
    server = ServerJson("--lang", "es", "--log-format", "json")
    with server:
        with LineClient(server.address) as ana:
            ana.expect("NICK")
            ana.send("ana\n")
            ana.until("aquí: ana")
            ana.send("salir\n")
            ana.rest()
        server.process.send_signal(signal.SIGTERM)
        assert server.status() == 0
    messages = [json.loads(line)["message"] for line in server.output]
    assert messages[0].startswith("listening on 127.0.0.1:")
    assert re.fullmatch(r"ana joined from 127\.0\.0\.1:\d+ \(plain\); 1 here", messages[1])
    assert messages[2:] == ["ana left; 0 here", "ending: everybody is told; once more ends it at once"]


class ServerJson(ServerProgram):
    """A server that says in JSON where it listens."""

    def __init__(self, *options: str) -> None:
        super(ServerProgram, self).__init__("server.py", "--port", "0", *options)
        self.address = ("127.0.0.1", int(self.wait_for_line(r'"port": (\d+)')[1]))


def test_the_transcript_is_in_the_language_of_the_operator(tmp_path: Path) -> None:
    languages.use("es")
    path = tmp_path / "transcript"
    transcript = Transcript(str(path))
    transcript.start()
    transcript.write(Said(1, NOW, 0, "ana", "hola"))
    transcript.write(Moderated(2, NOW, 0, "announce", "mara", text="a las 5"))
    transcript.close()
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW / 1000))
    assert path.read_text(encoding="utf-8") == f"{at} ana: hola\n{at} * mara anuncia: a las 5\n"
