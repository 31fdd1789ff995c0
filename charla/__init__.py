"""Charla: the server in server/, the client in client/; below both common/, protocol/ and i18n/."""

import sys

# Every start comes by here.  Nothing here, or read before it, may be more than older Pythons understand.
if sys.version_info < (3, 10):  # noqa: UP036 - it is told here
    sys.exit("Charla needs Python 3.10 or later. Charla necesita Python 3.10 o posterior.")

__version__ = "0.1.0"
"""What --version tells, and under what pip knows it."""
