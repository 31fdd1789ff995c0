"""The files that belong to the package: read where they are, in a folder or inside a zip file."""

from __future__ import annotations

import os
from typing import Any

_FOLDER = os.path.dirname(__file__)


def read_data(path: str) -> bytes:
    """Return the file at `path`, as in "i18n/languages/es.po".  OSError: there is none."""
    loader: Any = __spec__.loader  # that of folders or that of zip files: both can read
    return bytes(loader.get_data(_place(path)))


def data_names(path: str) -> list[str]:
    """Return the names of the files in the folder at `path`, in order; none where there is no such folder."""
    try:
        return sorted(os.listdir(_place(path)))
    except OSError:  # it may be inside a zip file
        from importlib import resources  # takes 10 ms, so it is left to those who need it

        folder = resources.files(__package__).joinpath(path)
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def _place(path: str) -> str:
    return os.path.join(_FOLDER, *path.split("/"))
