"""The language of Charla, for bots in a checkout: all that charla.protocol has."""

from charla.protocol import *  # noqa: F403
