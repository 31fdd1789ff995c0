"""A person who types at a pace, edits in the middle, and sends; and how long each key took to be seen."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from onscreen import PATIENCE, OnScreen
from processes import Failed

RATE = 12.0
"""Keys a second: somebody who types fast."""

_SENTENCES = (
    "buenas, ¿alguien tiene los apuntes de ayer?",
    "the meeting is at ten in the small room",
    "mañana no hay clase, avisad a los demás",
)
_LEFT, _RIGHT, _BACKSPACE, _DELETE, _HOME, _END = "\x1b[D", "\x1b[C", "\x7f", "\x1b[3~", "\x01", "\x05"


class Key(NamedTuple):
    """A key, and what has to be on the screen behind the prompt when it has done its work."""

    kind: str  # character, edit (in the middle, or a cursor key), or Enter
    keys: str
    text: str
    cursor: int


class Echo(NamedTuple):
    """How long a key took to be seen, in milliseconds."""

    kind: str
    ms: float


def script(seed: int = 1) -> Iterator[Key]:
    """Yield keys without end: sentences, half of their keys at the end, half in the middle."""
    choose = random.Random(seed)  # noqa: S311 - a rerun types the same
    while True:
        text, cursor = "", 0
        for character in choose.choice(_SENTENCES):
            text, cursor = text + character, cursor + 1
            yield Key("character", character, text, cursor)
        for times, key in (
            (7, _LEFT),
            (2, _BACKSPACE),
            (4, "ñ"),
            (1, _HOME),
            (3, _RIGHT),
            (2, _DELETE),
            (4, "x"),
        ):
            for _ in range(times):
                match key:
                    case "\x1b[D":
                        cursor -= 1
                    case "\x1b[C":
                        cursor += 1
                    case "\x01":
                        cursor = 0
                    case "\x7f":
                        text, cursor = text[: cursor - 1] + text[cursor:], cursor - 1
                    case "\x1b[3~":
                        text = text[:cursor] + text[cursor + 1 :]
                    case _:
                        text, cursor = text[:cursor] + key + text[cursor:], cursor + 1
                yield Key("edit", key, text, cursor)
        yield Key("edit", _END, text, len(text))
        yield Key("Enter", "\r", "", 0)


def type_paced(screen: OnScreen, count: int) -> list[Echo]:
    """Type `count` keys at RATE, whatever comes back; return the time from each to its echo.

    A key counts as seen as soon as the screen shows what it did, or what one after it did.
    """
    pause = random.Random(2)  # noqa: S311
    keys = script()
    echoes: list[Echo] = []
    waiting: deque[tuple[Key, float]] = deque()
    due = time.monotonic()
    typed = 0
    while typed < count or waiting:
        now = time.monotonic()
        if typed < count and now >= due:
            key = next(keys)
            waiting.append((key, time.monotonic()))
            screen.press(key.keys)
            typed += 1
            due += pause.uniform(0.5, 1.5) / RATE  # not in step with the messages
        elif screen.receive(min(due - now, 1.0) if typed < count else 1.0):
            shown = (n for n, (key, _) in enumerate(waiting) if screen.shows(key.text, key.cursor))
            number = next(shown, None)
            for _ in range(0 if number is None else number + 1):
                key, at = waiting.popleft()
                echoes.append(Echo(key.kind, (screen.came_at - at) * 1000))
        if waiting and now - waiting[0][1] > PATIENCE:
            raise Failed(f"{waiting[0][0]} was not seen:\n" + "\n".join(screen.rows()))
    return echoes
