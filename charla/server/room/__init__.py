"""The room: all that is shared, and the one thread that changes it."""
