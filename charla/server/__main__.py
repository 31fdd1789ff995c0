"""What `python3 -m charla.server` runs."""

import sys

from charla.server.app import main

if __name__ == "__main__":
    sys.exit(main())
