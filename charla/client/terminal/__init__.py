"""The consoles: where lines are typed and shown.

The main thread reads and draws; any thread may call `show`, `ring`, `stop` and `width`.
"""
