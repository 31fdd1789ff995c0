"""The pictures of the READMEs: a screen is drawn as it is, and the pictures that there are show the scene."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pictures import FOLDER, LANGUAGES, TITLE, Words
from support import ROOT
from terminal_svg import CELL_HEIGHT, CELL_WIDTH, DARK, LIGHT, PADDING, Theme, draw, screen_of

_SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str, name: str) -> list[ET.Element]:
    """Return the elements of that name, in order."""
    return list(ET.fromstring(svg).iter(_SVG + name))


def texts(svg: str) -> dict[str, dict[str, str]]:
    """Return the texts of a picture, without that of its bar, and their attributes."""
    return {text.text or "": text.attrib for text in elements(svg, "text")[1:]}


def drawn(printed: str, theme: Theme = DARK) -> str:
    return draw(screen_of(printed.encode(), 40, 10), theme, "a title", "a description")


def test_colours_and_faces_are_drawn_as_the_program_asks_for_them() -> None:
    found = texts(
        drawn(
            "plain \x1b[31mred\x1b[0m \x1b[38;5;27mone of 256\x1b[0m \x1b[2mdim\x1b[22m \x1b[1mbold\x1b[0m "
            "\x1b[1;4;3mall\x1b[0m"
        )
    )
    assert {text: attributes["fill"] for text, attributes in found.items()} == {
        "plain": DARK.text,
        "red": DARK.palette["red"],
        "one of 256": "#005fff",
        "dim": DARK.dim,
        "bold": DARK.text,
        "all": DARK.text,
    }
    assert [text for text, attributes in found.items() if attributes.get("font-weight") == "bold"] == [
        "bold",
        "all",
    ]
    assert found["all"]["text-decoration"] == "underline"
    assert found["all"]["font-style"] == "italic"


@pytest.mark.parametrize(("number", "color"), [("38;5;22", "#005f00"), ("38;2;2;22;2", "#021602")])
def test_a_number_that_belongs_to_a_colour_is_not_taken_for_dim(number: str, color: str) -> None:
    (attributes,) = texts(drawn(f"\x1b[{number}mhola\x1b[0m")).values()
    assert attributes["fill"] == color


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_reverse_text_has_the_colour_of_the_window_on_one_rectangle(theme: Theme) -> None:
    svg = drawn("\x1b[7mana:  hola\x1b[0m", theme)
    assert {text: attributes["fill"] for text, attributes in texts(svg).items()} == dict.fromkeys(
        ("ana:", "hola"), theme.background
    )
    (behind,) = (box for box in elements(svg, "rect") if box.get("fill") == theme.text)
    assert float(behind.attrib["width"]) == 10 * CELL_WIDTH


def test_a_wide_character_stands_in_the_middle_of_its_two_columns_and_moves_nothing() -> None:
    found = texts(drawn("ab 日😀 cd"))
    assert found["ab"]["x"] == f"{PADDING:g}"
    assert found["日"] == found["日"] | {"text-anchor": "middle", "x": f"{PADDING + 4 * CELL_WIDTH:g}"}
    assert found["😀"]["x"] == f"{PADDING + 6 * CELL_WIDTH:g}"
    assert found["cd"]["x"] == f"{PADDING + 8 * CELL_WIDTH:g}"


def test_a_text_is_as_wide_as_its_columns_in_any_font() -> None:
    found = texts(drawn("a few words      and more"))
    assert float(found["a few words"]["textLength"]) == 11 * CELL_WIDTH
    assert float(found["and more"]["textLength"]) == 8 * CELL_WIDTH
    assert float(found["and more"]["x"]) == PADDING + 17 * CELL_WIDTH


def test_the_window_is_as_high_as_what_is_in_it_and_has_the_cursor() -> None:
    one, three = drawn("uno"), drawn("uno\r\ndos\r\n\x1b[31m<&>")
    heights = [float(ET.fromstring(svg).attrib["height"]) for svg in (one, three)]
    assert heights[1] - heights[0] == 2 * CELL_HEIGHT
    assert texts(three)["<&>"]["fill"] == DARK.palette["red"]
    (cursor,) = (box for box in elements(three, "rect") if box.get("fill") == DARK.cursor)
    assert float(cursor.attrib["x"]) == PADDING + 3 * CELL_WIDTH
    hidden = drawn("uno\x1b[?25l")
    assert not [box for box in elements(hidden, "rect") if box.get("fill") == DARK.cursor]


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
@pytest.mark.parametrize("words", LANGUAGES, ids=lambda words: words.language)
def test_the_pictures_are_of_the_scene(words: Words, theme: Theme) -> None:
    svg = (FOLDER / f"{words.language}-{theme.name}.svg").read_text(encoding="utf-8")
    assert [title.text for title in elements(svg, "title")] == [TITLE]
    assert [description.text for description in elements(svg, "desc")] == [words.description]
    shown = "".join(text.text or "" for text in elements(svg, "text"))
    for said in (
        words.hello,
        words.answer,
        words.from_nc,
        words.private,
        words.reply.removeprefix("/r "),
        words.acted.removeprefix("/me "),
        words.mistyped,
        words.everywhere,
        words.typing,
    ):
        assert blankless(said) in blankless(shown)


def blankless(text: str) -> str:
    """Return `text` without its blanks: it is laid out on rows, and in pieces."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize(("name", "language"), [("README.md", "en"), ("docs/README.es.md", "es")])
def test_the_readme_shows_both_pictures_and_tells_what_is_on_them(name: str, language: str) -> None:
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    dark = re.search(r'<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">', text)
    light = re.search(r'<img src="([^"]+)" alt="([^"]+)">', text)
    assert dark is not None
    assert light is not None
    assert [(path.parent / found).resolve() for found in (dark[1], light[1])] == [
        Path(FOLDER / f"{language}-{theme}.svg").resolve() for theme in ("dark", "light")
    ]
    (words,) = (words for words in LANGUAGES if words.language == language)
    assert light[2] == words.description
