"""Draw what is on a terminal's screen as SVG: `Screen` takes what a program prints, `draw` makes the picture.

Text stays text, on a grid: each run of characters says how wide it is, so that it fits whatever monospace
font the reader has; a wide character stands in the middle of its two columns.  Nothing is loaded from
elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from xml.sax.saxutils import escape

import pyte

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
FONT_SIZE = 15.0
CELL_WIDTH, CELL_HEIGHT = 9.0, 20.0
BASELINE = 15.0
"""Where letters stand in a cell, from its top."""

PADDING = 16.0
BAR = 36.0
"""The height of the bar with the title."""


@dataclass(frozen=True)
class Theme:
    """The colours of a window; `palette` has pyte's names for the 16."""

    name: str
    text: str
    background: str
    bar: str
    border: str
    title: str
    dim: str
    cursor: str
    palette: dict[str, str]


_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")


def _palette(colors: str) -> dict[str, str]:
    """Return 16 colours under pyte's names: yellow is brown there."""
    names = [*_NAMES, *(f"bright{name}" for name in _NAMES)]
    return dict(zip(names, colors.split(), strict=True))


# The two themes are GitHub's, where the pictures are shown.
DARK = Theme(
    name="dark",
    text="#e6edf3",
    background="#0d1117",
    bar="#161b22",
    border="#30363d",
    title="#8b949e",
    dim="#8b949e",
    cursor="#58a6ff",
    palette=_palette(
        "#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 "
        "#6e7681 #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #ffffff"
    ),
)
LIGHT = Theme(
    name="light",
    text="#1f2328",
    background="#ffffff",
    bar="#f6f8fa",
    border="#d0d7de",
    title="#57606a",
    dim="#656d76",
    cursor="#0969da",
    palette=_palette(
        "#24292f #cf222e #116329 #4d2d00 #0969da #8250df #1b7c83 #6e7781 "
        "#57606a #a40e26 #1a7f37 #633c01 #218bff #a475f9 #3192aa #8c959f"
    ),
)


class Screen(pyte.Screen):
    """pyte's, which knows no dim text: here that is kept where blinking is, which nobody uses."""

    def select_graphic_rendition(self, *attrs: int) -> None:
        dims = {2: 5, 22: 25}
        kept: list[int] = []
        numbers = iter(attrs or (0,))
        for number in numbers:
            if number in (38, 48):  # what follows is a colour, and not dim
                kind = next(numbers, 0)
                kept += [number, kind, *(next(numbers, 0) for _ in range(3 if kind == 2 else 1))]
            else:
                kept += [number, dims[number]] if number == 22 else [dims.get(number, number)]
        super().select_graphic_rendition(*kept)


class Look(NamedTuple):
    """What the cells of a run have in common."""

    color: str
    background: str
    bold: bool
    italic: bool
    underlined: bool


class Run(NamedTuple):
    """Characters side by side that look alike; `column` is that of the first, `columns` what they take."""

    row: int
    column: int
    columns: int
    text: str
    look: Look


def screen_of(printed: bytes, columns: int, rows: int) -> Screen:
    """Return the screen after a program has printed these bytes."""
    screen = Screen(columns, rows)
    pyte.ByteStream(screen).feed(printed)
    return screen


def draw(screen: Screen, theme: Theme, title: str, description: str) -> str:
    """Return the picture of a window, as SVG: a title in its bar, a description for who cannot see it.

    The window is as high as what is in it: down to the last row in use.
    """
    runs = list(_runs(screen, theme))
    rows = 1 + max([screen.cursor.y, *(run.row for run in runs if run.text.strip())])
    width = screen.columns * CELL_WIDTH + 2 * PADDING
    height = BAR + rows * CELL_HEIGHT + 2 * PADDING
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(description)}</desc>',
        f'<rect x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="10" '
        f'fill="{theme.background}" stroke="{theme.border}"/>',
        f'<path d="M0.5 {BAR:g}V10.5a10 10 0 0 1 10-10H{width - 10.5:g}a10 10 0 0 1 10 10V{BAR:g}z" '
        f'fill="{theme.bar}" stroke="{theme.border}"/>',
        *(
            f'<circle cx="{20 + 20 * n}" cy="{BAR / 2:g}" r="6" fill="{color}"/>'
            for n, color in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
        f'<g font-family="{FONT}" font-size="{FONT_SIZE:g}">',
        f'<text x="{width / 2:g}" y="{BAR / 2 + 5:g}" text-anchor="middle" font-size="13" '
        f'fill="{theme.title}">{escape(title)}</text>',
        *_rectangles(runs, theme),
        _cursor(screen, theme),
        *(_text(run) for run in runs if run.text.strip()),
        "</g>",
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _runs(screen: Screen, theme: Theme) -> Iterator[Run]:
    """Yield what is on the screen, row by row; wide characters one by one."""
    for row in range(screen.lines):
        run: Run | None = None
        cells = screen.buffer[row]
        for column in range(screen.columns):
            cell = cells[column]
            if not cell.data:  # the second half of a wide character
                continue
            wide = column + 1 < screen.columns and not cells[column + 1].data
            look = _look(cell, theme)
            joins = run is not None and not wide and run.look == look and run.column + run.columns == column
            # Two spaces would become one; and runs that are wide themselves end here.
            apart = cell.data == " " and run is not None and run.text.endswith(" ") and run.text.strip() != ""
            if run is not None and joins and not apart and len(run.text) == run.columns:
                run = run._replace(columns=run.columns + 1, text=run.text + cell.data)
            else:
                if run is not None:
                    yield run
                run = Run(row, column, 2 if wide else 1, cell.data, look)
        if run is not None:
            yield run


def _look(cell: pyte.screens.Char, theme: Theme) -> Look:
    color, background = _color(cell.fg, theme, theme.text), _color(cell.bg, theme, theme.background)
    if cell.blink and cell.fg == "default":
        color = theme.dim
    if cell.reverse:
        color, background = background, color
    return Look(color, background, cell.bold, cell.italics, cell.underscore)


def _color(name: str, theme: Theme, default: str) -> str:
    """Return a colour of pyte's (a name of the 16, or six digits) as SVG has it."""
    return default if name == "default" else theme.palette.get(name) or f"#{name}"


def _at(row: int, column: int) -> tuple[float, float]:
    """Return x and y of the upper left corner of a cell."""
    return PADDING + column * CELL_WIDTH, BAR + PADDING + row * CELL_HEIGHT


def _rectangles(runs: list[Run], theme: Theme) -> Iterator[str]:
    """Yield what is behind the text: one rectangle for runs side by side, or a seam would be seen."""
    for (row, color), same in itertools.groupby(runs, lambda run: (run.row, run.look.background)):
        first, *others = same
        if color != theme.background:
            columns = first.columns + sum(run.columns for run in others)
            x, y = _at(row, first.column)
            size = f'width="{columns * CELL_WIDTH:g}" height="{CELL_HEIGHT:g}"'
            yield f'<rect x="{x:g}" y="{y:g}" {size} fill="{color}"/>'


def _cursor(screen: Screen, theme: Theme) -> str:
    if screen.cursor.hidden:
        return ""
    x, y = _at(screen.cursor.y, screen.cursor.x)
    return (
        f'<rect x="{x:g}" y="{y + 1:g}" width="{CELL_WIDTH:g}" height="{CELL_HEIGHT - 2:g}" '
        f'fill="{theme.cursor}" fill-opacity="0.75"/>'
    )


def _text(run: Run) -> str:
    """Return a run as text of exactly its width; without the blanks at its ends, which SVG would drop."""
    blanks = len(run.text) - len(run.text.lstrip())
    text = run.text.strip()
    wide = len(run.text) != run.columns
    columns = run.columns if wide else len(text)
    x, y = _at(run.row, run.column + blanks)
    look = run.look
    attributes = [f'x="{x:g}"', f'y="{y + BASELINE:g}"', f'textLength="{columns * CELL_WIDTH:g}"']
    if wide or len(text) == 1:  # there is nothing between its characters that could be stretched
        attributes[0::2] = [f'x="{x + columns * CELL_WIDTH / 2:g}"', 'text-anchor="middle"']
    if look.bold:
        attributes.append('font-weight="bold"')
    if look.italic:
        attributes.append('font-style="italic"')
    if look.underlined:
        attributes.append('text-decoration="underline"')
    return f'<text {" ".join(attributes)} fill="{look.color}">{escape(text)}</text>'
