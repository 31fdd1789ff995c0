"""The server: what is kept (storage), who is sent to (delivery), what happens (room), who comes in (network).

The room and the network do not know each other: between them are the inbox and the items in it, and above
both server.py, which starts the room's thread and runs the acceptor.  The root's server.py has a table of all
threads.
"""
