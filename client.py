#!/usr/bin/env python3
"""The console client of Charla: two threads.  `python3 client.py`, a nick, and talk.

    main       the console: typing and drawing (chat.py), or a pipe (script.py)
    network    the connection, and everything about it (thread.py)

participant.py tells who owns what.  Before the network thread starts, `join` (join.py) talks to the server
step by step: greeting, password, nick, opening.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - it is told here, before what older ones cannot read
    sys.exit("Charla needs Python 3.10 or later. Charla necesita Python 3.10 o posterior.")

from charla.client.app import main

if __name__ == "__main__":
    sys.exit(main())
