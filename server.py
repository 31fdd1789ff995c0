#!/usr/bin/env python3
"""The server of Charla: threads, sockets, and a room.  `python3 server.py` and it listens.

Who owns what:

    thread           how many      owns                                        blocks in
    acceptor (main)  1             the listening socket, signals, the          select: a client, or a stop
    (acceptor.py)                  readers' threads (starts and joins them)
    reader           1 per client  its connection's incoming bytes, the TLS    recv, a full inbox, the room's
    (reader.py)                    handshake, passwords; reads the log for     answers, the disk, its rate
                                   it; closes the socket, last
    room             1             everything shared (room.py), every unsent   its inbox (inbox.py); with --db
                                   byte (fanout.py); writes the log file       a commit
    housekeeper      1, with --db  what leaves the log file (housekeeper.py)   its queue, the disk
    transcript       1, if asked   the file of --transcript (transcript.py)    its queue, the disk
    log (records.py) 1             the terminal: writing to it may block       its queue

A message's way: `Reader.run` receives, frames, decodes and parses it, and puts it into the inbox;
`Server._run_room` takes it; `Room.handle` makes it an event and tells the Fanout, which encodes it
once per dialect and sends it to everybody.  docs/ARCHITECTURE.md tells the whole story.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - it is told here, before what older ones cannot read
    sys.exit("Charla needs Python 3.10 or later. Charla necesita Python 3.10 o posterior.")

from charla.server.app import main

if __name__ == "__main__":
    sys.exit(main())
