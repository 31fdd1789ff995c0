"""The server: what it keeps (storage), the way out (delivery), what happens (room), the way in (network).

The room and the network do not know each other: between them are the inbox and the items in it, and above
both server.py, which starts the room's thread and runs the acceptor.  The root's server.py has a table of all
threads.
"""
