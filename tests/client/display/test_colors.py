"""The colours: readable on black and on white, told apart, and always the same for a nick."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import pytest

from charla.client.display.colors import (
    NICKS_OF_16,
    NICKS_OF_256,
    PRIVATE_OF_16,
    PRIVATE_OF_256,
    Palette,
    has_many_colors,
    use_color,
)

Color = tuple[int, int, int]

# What the 16 colours are in terminals that people have: 31 to 36, then 91 to 96.
THEMES = {
    "VGA": "aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa ff5555 55ff55 ffff55 5555ff ff55ff 55ffff",
    "xterm": "cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff",
    "Tango": "cc0000 4e9a06 c4a000 3465a4 75507b 06989a ef2929 8ae234 fce94f 729fcf ad7fa8 34e2e2",
    "Campbell": "c50f1f 13a10e c19c00 0037da 881798 3a96dd e74856 16c60c f9f1a5 3b78ff b4009e 61d6d6",
    "macOS": "c23621 25bc24 adad27 492ee1 d338d3 33bbc8 fc391f 31e722 eaec23 5833ff f935f8 14f0f0",
    "Solarized": "dc322f 859900 b58900 268bd2 d33682 2aa198 cb4b16 586e75 657b83 839496 6c71c4 93a1a1",
}


def of_256(number: int) -> Color:
    """Return a colour of xterm's palette: a cube of 6 x 6 x 6, and greys."""
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    steps = (0, 95, 135, 175, 215, 255)
    number -= 16
    return steps[number // 36], steps[number // 6 % 6], steps[number % 6]


def linear(color: Color) -> list[float]:
    return [c / 12.92 if (c := part / 255) <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for part in color]


def contrasts(color: Color) -> tuple[float, float]:
    """Return the contrast with black and with white (WCAG 2.1)."""
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear(color), strict=True))
    return (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)


def lab(color: Color) -> tuple[float, float, float]:
    """Return a colour in CIELAB, where distances are about those that are seen."""
    red, green, blue = linear(color)
    whites = [
        (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
        0.2126 * red + 0.7152 * green + 0.0722 * blue,
        (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
    ]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in whites)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_the_256_are_readable_on_black_and_on_white() -> None:
    for number in (*NICKS_OF_256, PRIVATE_OF_256):
        assert min(contrasts(of_256(number))) >= 3.9, number


def test_the_256_are_told_apart() -> None:
    assert len(NICKS_OF_256) >= 10
    for one, another in itertools.combinations((*NICKS_OF_256, PRIVATE_OF_256), 2):
        assert math.dist(lab(of_256(one)), lab(of_256(another))) > 25, (one, another)


def test_the_16_are_readable_in_every_theme_on_black_and_on_white() -> None:
    for theme, codes in THEMES.items():
        colors = [(int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)) for code in codes.split()]
        numbers = dict(zip((*range(31, 37), *range(91, 97)), colors, strict=True))
        for number in (*NICKS_OF_16, PRIVATE_OF_16):
            assert min(contrasts(numbers[number])) > 2.5, (theme, number)


@pytest.mark.parametrize("many", [False, True])
def test_a_nick_has_one_colour_however_it_is_written(many: bool) -> None:
    palette = Palette(many)
    assert palette.of_nick("Ana") == palette.of_nick("ana") == palette.of_nick("ＡＮＡ")
    colors = {palette.of_nick(f"nick{number}") for number in range(200)}
    assert len(colors) == len(NICKS_OF_256 if many else NICKS_OF_16)


def test_a_nick_has_the_same_colour_in_every_run() -> None:
    code = "from charla.client.display import colors; print(colors.Palette(True).of_nick('ana'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == Palette(True).of_nick("ana")


@pytest.mark.parametrize(
    ("environment", "many"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "screen.256color"}, True),
        ({"TERM": "xterm"}, False),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm", "COLORTERM": ""}, False),
        ({"WT_SESSION": "1"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_256_colours_are_for_terminals_that_say_so(environment: dict[str, str], many: bool) -> None:
    assert has_many_colors(environment) == many


@pytest.mark.parametrize(
    ("choice", "terminal", "environment", "colored"),
    [
        ("auto", True, {}, True),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", False, {}, False),
        ("always", False, {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", True, {}, False),
    ],
)
def test_when_there_are_colours(
    monkeypatch: pytest.MonkeyPatch, choice: str, terminal: bool, environment: dict[str, str], colored: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert use_color(choice) == colored
    assert not use_color(choice, plain=True)
