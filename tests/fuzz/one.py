"""One target under atheris, in a process of its own: `python -m fuzz.one TARGET [libFuzzer options] CORPUS`.

It ends with the process: atheris does not come back.
"""

from __future__ import annotations

import importlib
import logging
import sys

MODULES = [
    *("protocol", "grammar", "native", "nicks", "messages", "wording", "tls", "room", "reader", "fanout"),
    *("catchup", "entrance", "mail", "moderation", "moderators", "seats", "eventlog"),
]
"""The modules whose branches are counted."""


def main() -> None:
    """Fuzz."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=MODULES):
        targets = importlib.import_module("fuzz.targets").TARGETS
    logging.getLogger("charla").setLevel(logging.ERROR)
    logging.getLogger("charla").propagate = False
    atheris.Setup([sys.argv[0], *sys.argv[2:]], targets[sys.argv[1]].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
