"""The targets: functions that take any bytes, and raise when something does not hold that must.

`make fuzz` gives them millions of inputs that look for new paths (run.py), tests/test_fuzz.py a few hundred
made by hypothesis, and the seeds.  No thread and no network; a target leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz.language import framing, native, plain
from fuzz.rooms import room
from fuzz.seam import seam


@dataclass(frozen=True, slots=True)
class Target:
    """A function to be given bytes, how many at a time, and its part (of 1000) of all inputs."""

    run: Callable[[bytes], None]
    max_len: int
    share: int


TARGETS = {
    "framing": Target(framing, 256, 540),
    "plain": Target(plain, 512, 220),
    "native": Target(native, 512, 220),
    "room": Target(room, 1000, 6),
    "tls": Target(seam, 200, 14),
}
