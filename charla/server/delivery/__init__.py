"""The way out: the connections, what is sent on them, and what their readers ask of the room.

The room thread sends, and owns all unsent bytes.  The reader of each connection shares a Connection with it,
and hands it requests, which it answers.
"""
