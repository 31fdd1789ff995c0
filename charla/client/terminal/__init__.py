"""The consoles: where lines are typed and shown."""
