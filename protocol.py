"""The language of Charla, for bots in a checkout: all that charla.protocol promises (docs/BOTS.md)."""

from charla.protocol import *  # noqa: F403
from charla.protocol import __all__ as __all__
from charla.protocol import __version__ as __version__
