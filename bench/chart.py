"""The chart: horizontal bars in an SVG file, made by hand, readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from cases import OURS, Case, Cases
from load import Sample
from targets import middle, p50, rate

WIDTH = 860  # all in pixels, of the picture's own scale
LABEL_WIDTH = 236
VALUE_WIDTH = 96
BAR_HEIGHT = 18
BAR_GAP = 6
PANEL_GAP = 22
TITLE_HEIGHT = 30
MARGIN = 20

STYLE = """\
  .page { fill: #ffffff; stroke: #d0d7de }
  .title { fill: #1f2328; font-weight: 600 }
  .label { fill: #1f2328 }
  .value { fill: #59636e }
  .ours { fill: #1f6feb }
  .other { fill: #afb8c1 }
  text { font: 13px system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d }
    .title, .label { fill: #f0f6fc }
    .value { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .other { fill: #59636e }
  }"""
"""The picture brings its own page, so its text is readable on whatever it is put."""

LEFT_OUT = ("ceiling",)
"""What is no server does not stand among them."""


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    text: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    bars: list[Bar]


def panels(cases: Cases) -> list[Panel]:
    """One panel for each case of talk that was measured."""
    found = [
        panel(case, f"{case.title}: deliveries/s (more is better)", rate, lambda x: f"{x / 1e6:.2f} M")
        for case in cases.throughput.values()
    ]
    found += [
        panel(case, f"{case.title}: until the last has it (less is better)", p50, lambda x: f"{x:.0f} us")
        for case in cases.latency.values()
    ]
    return [panel for panel in found if panel.bars]


def panel(
    case: Case[Sample], title: str, figure: Callable[[Sample], float], text: Callable[[float], str]
) -> Panel:
    bars = []
    for contestant in case.contestants:
        samples = case.results.get(contestant.key)
        if samples and contestant.key not in LEFT_OUT:
            value = middle(samples, figure)
            bars.append(Bar(contestant.title, value, text(value), contestant.key in OURS))
    return Panel(title, bars)


def draw(cases: Cases) -> str:
    """The SVG file's text."""
    parts: list[str] = []
    y = MARGIN
    for each in panels(cases):
        y = draw_panel(parts, each, y) + PANEL_GAP
    height = y - PANEL_GAP + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="Deliveries per second and delays, by server">'
    )
    page = f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>'
    return "\n".join([head, f"<style>\n{STYLE}\n</style>", page, *parts, "</svg>"]) + "\n"


def draw_panel(parts: list[str], shown: Panel, y: int) -> int:
    """Append a panel's elements, from `y` on down; return where it ends."""
    room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH
    most = max(bar.value for bar in shown.bars)
    parts.append(text("title", MARGIN, y + 15, shown.title))
    y += TITLE_HEIGHT
    left = MARGIN + LABEL_WIDTH
    for bar in shown.bars:
        length = max(1.0, room * bar.value / most)
        kind = "ours" if bar.ours else "other"
        parts.append(text("label", left - 10, y + 14, bar.label, anchor="end"))
        place = f'x="{left}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}"'
        parts.append(f'<rect class="{kind}" {place} rx="2"/>')
        parts.append(text("value", left + length + 8, y + 14, bar.text))
        y += BAR_HEIGHT + BAR_GAP
    return y - BAR_GAP


def text(kind: str, x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
