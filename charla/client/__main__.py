"""What `python3 -m charla.client` runs."""

import sys

from charla.client.app import main

if __name__ == "__main__":
    sys.exit(main())
