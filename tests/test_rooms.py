"""The rooms of the package: which may import which, and how large a module may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support import ROOT

LONGEST = 500
"""Lines of a module: what fits in one head."""

FLOORS = (
    ("i18n",),
    ("protocol",),
    ("common",),
    # The server, and the client: neither imports the other.
    ("server.records", "client.exits"),
    ("server.storage", "client.network", "client.display"),
    ("server.delivery", "client.terminal"),
    ("server.room", "server.network", "client.chat"),
    ("server", "client.script"),
    ("client",),
    ("__main__",),
)
"""From the ground up.  A room may import itself and what is on lower floors."""

MODULES = [path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / "charla").rglob("*.py"))]


@cache  # parsed when a test asks for it: every process of the suite imports this module
def tree_of(module: Path) -> ast.Module:
    return ast.parse((ROOT / module.with_suffix(".py")).read_text())


def room_of(module: str) -> str:
    """Return the room with that module, "charla.server.room.lobby" or "charla.server"."""
    parts = module.split(".")[1:]
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if any(name in floor for floor in FLOORS):
            return name
    return ""  # charla itself


def floor_of(room: str) -> int:
    return next((number for number, floor in enumerate(FLOORS) if room in floor), -1)


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of every module of ours that is imported, wherever that stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not used here"
            # `from charla.server import app` names a module as well.
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "charla")


def is_allowed(room: str, other: str) -> bool:
    """Say whether a module of `room` may import one of the room `other`."""
    one_side = {room.partition(".")[0], other.partition(".")[0]} != {"server", "client"}
    return other in ("", room) or (one_side and floor_of(other) < floor_of(room))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_what_lies_below_its_room(path: Path) -> None:
    room = room_of(".".join(path.parts))
    wrong = [
        f"{path}.py:{line} imports {name}"
        for line, name in imports(tree_of(path))
        if not is_allowed(room, room_of(name))
    ]
    assert not wrong


def test_no_import_is_for_types_alone() -> None:
    names = {
        path: [
            node
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
        ]
        for path in MODULES
    }
    assert not [path for path, found in names.items() if found]


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    known = {".".join(path.parts).removesuffix(".__init__") for path in MODULES}
    below = {
        ".".join(path.parts).removesuffix(".__init__"): {name for _, name in imports(tree_of(path))} & known
        for path in MODULES
    }
    while below:
        ground = {name for name, others in below.items() if not (others - {name}) & below.keys()}
        assert ground, f"a circle among {sorted(below)}"
        below = {name: others for name, others in below.items() if name not in ground}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_fits_in_one_head(path: Path) -> None:
    assert len((ROOT / path.with_suffix(".py")).read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__"], ids=str)
def test_every_room_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))
