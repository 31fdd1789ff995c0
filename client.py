#!/usr/bin/env python3
"""The console client of Charla: two threads.  `python3 client.py`, a nick, and talk.

    main       the console: typing and drawing (chat.py), or a pipe (script.py)
    network    the connection, and everything about it (session.py)

participant.py tells who owns what.  Before the network thread starts, `join` (join.py) talks to the server
step by step: greeting, password, nick, opening.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import charla  # noqa: F401 - the one beside this file, also with python3 -P; it tells if Python is too old

del sys.path[0]

from charla.client.app import main

if __name__ == "__main__":
    sys.exit(main())
