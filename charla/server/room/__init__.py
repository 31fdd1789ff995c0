"""The room: all that is shared, and what happens to it.

One thread is in here, the room's, and it alone: so nothing has a lock.  No socket and no thread is made here;
tests call the room as that thread does.
"""
