#!/usr/bin/env python3
"""The console client of Charla.  `python3 client.py`, a nick, and talk.

Two threads:

    thread     owns                                                      blocks in
    main       the terminal: it reads what is typed, and draws           reading a line
    network    the connection: it sends, receives, and connects again    a selector

Before the network thread starts, the main thread joins: it connects, and gives the password and a nick.

The way of a message (~> leads from one thread to the other):

    keys -> a line (terminal) -> a command (chat) -> the outbox (network) ~> bytes -> the server
    the server -> bytes -> a message (network) -> lines (chat, display) ~> drawn (terminal)

What was said stays in the outbox until the server has sent it back: that is its confirmation.

The rooms in charla/client/, in the order in which to read them.  Each imports only those before it:

    network     the connection: outbox.py, link.py, connect.py, session.py, thread.py
    display     how a message looks: screen.py
    terminal    the consoles: console.py says what one is
    chat        join.py takes a seat; participant.py; chat.py is a person who types
    script      the same for a pipe, --send and --json
    app.py      the parts put together

docs/ARCHITECTURE.md follows one message through both programs.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
try:
    import charla  # noqa: F401 - the one beside this file, also with python3 -P; it tells if Python is too old
except ImportError:
    sys.exit(
        "client.py needs the folder charla next to it: copy both. "
        "client.py necesita la carpeta charla a su lado: copia las dos cosas."
    )

del sys.path[0]

from charla.client.app import main

if __name__ == "__main__":
    sys.exit(main())
