"""Charla: the server in server/, the client in client/; below both common/, protocol/ and i18n/."""

__version__ = "0.1.0"
"""What --version tells, and under what pip knows it."""
