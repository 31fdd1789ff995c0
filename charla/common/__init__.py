"""What both programs need and is no word of their language: the command line, options, passwords, TLS.

No thread is started here.  What threads share is `TlsSocket` (a connection's reader, and whoever sends on it)
and `GuessThrottle` (all readers); each has a lock, and no other lock is taken under it.
"""
