"""What `python3 -m charla` runs, and `python3 charla.pyz`, which has a copy of this file: the client.

With the word `server` in front of the options it is the server: one file is handed round for both.
"""

import sys

import charla  # noqa: F401 - which tells first that Python is too old

program = sys.argv.pop(1) if sys.argv[1:2] in (["client"], ["server"]) else "client"
if program == "server":
    from charla.server.app import main
else:
    from charla.client.app import main

if __name__ == "__main__":
    sys.exit(main())
