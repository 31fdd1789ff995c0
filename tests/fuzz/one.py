"""One target under atheris, in a process of its own: `python -m fuzz.one TARGET [libFuzzer options] CORPUS`.

It ends with the process: atheris does not come back.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import logging
import sys

COLLECT_AFTER = 1000
"""Inputs after which what is left in circles (an error and its frames) is freed: growth is the rest."""


def main() -> None:
    """Fuzz."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["charla"]):  # its branches are counted
        targets = importlib.import_module("fuzz.targets").TARGETS
    logging.getLogger("charla").setLevel(logging.ERROR)
    logging.getLogger("charla").propagate = False
    run = targets[sys.argv[1]].run
    counter = itertools.count(1)

    def one_input(data: bytes) -> None:
        run(data)
        if next(counter) % COLLECT_AFTER == 0:
            gc.collect()

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
