#!/usr/bin/env python3
"""The server of Charla: threads, sockets, and a room.  `python3 server.py` and it listens.

    thread           how many      owns                                        blocks in
    acceptor (main)  1             the listening socket, signals, the          select: a client, or a stop
                                   readers' threads (starts and joins them)
    reader           1 per client  its connection's incoming bytes, the TLS    recv, a full inbox, the room's
                                   handshake, passwords; reads the log for     replies, the disk, its rate
                                   it; closes the socket, last                 limit
    room             1             everything shared: sessions, the log, all   its inbox; with --db a commit
                                   unsent bytes; the only one that sends
    housekeeper      1, with --db  what leaves the log file                    its queue, the disk
    transcript       1, if asked   the file of --transcript                    its queue, the disk
    log              1             the terminal: writing to it may block       its queue

A message's way: its `Reader` receives bytes and makes them a command, which it puts into the `Inbox`.
The room's thread (`Server._serve_room`) takes all that waits and gives it to `Room.handle`; the command
becomes an event (`Commands._say`), which `Announcer.tell_everyone` logs and has the `Fanout` encode, once
per dialect; at the end of the batch `Room.flush` has it written to the disk and sent to everybody.

Read charla/ in this order: `protocol` (bytes and messages), then of `server` `storage` (the log),
`delivery` (connections, and the only code that sends), `room` (what happens, and to whom), `network` (who
comes in, and what they send), `server.py` (all put together) and `app.py` (the command).
docs/ARCHITECTURE.md tells the whole story.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
try:
    import charla  # noqa: F401 - the one beside this file, also with python3 -P; it tells if Python is too old
except ImportError:
    sys.exit(
        "server.py needs the folder charla next to it: copy both. "
        "server.py necesita la carpeta charla a su lado: copia las dos cosas."
    )

del sys.path[0]

from charla.server.app import main

if __name__ == "__main__":
    sys.exit(main())
