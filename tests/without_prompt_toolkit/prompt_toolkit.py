"""Found before the real one by the clients of tests that want the stock console: see clients.py."""

raise ImportError("hidden: this is a test of the console without it", name="prompt_toolkit")
