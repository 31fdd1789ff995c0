"""The way to the server, and the session in its room: what is said goes out once, what comes is told once.

    thread     owns                                                         blocks in
    caller's   joining: `connect` and `join`; from `start` on, nothing      `connect`, `join`
    network    the socket, sending and receiving, the session               a selector: the link, or
                                                                            a byte from the caller
    both       `Outbox` (it has a lock); two flags of the session that are
               only ever set; what the caller only reads: `nick`, whether
               secrets may be sent, and when something came last

The caller puts commands into the outbox and wakes the thread (link.py); nobody else touches the socket.  So
no Ctrl+C can cut a line, and sending never waits for a server that does not read.
"""
