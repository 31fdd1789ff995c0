"""How messages look and sound: messages in, finished lines out.

Nothing here prints, waits or starts a thread.  The network thread lays out what arrives, the main thread
the rest.
"""
