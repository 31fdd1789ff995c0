"""The machine that the figures are from: what it is, and what else it did meanwhile."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from processes import Process
from servers import START_TIME, found, python_version, version

NOISE = 0.05
"""The share of the processors' time from which on other programs are worth a warning."""


def processor() -> str:
    """The processor's model name, as Linux gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def file_system(path: str) -> str:
    """The type of the file system that `path` is on."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(fields[1]), fields[2]) for fields in mounts if Path(path).is_relative_to(fields[1])]
    return max(above)[1] if above else "unknown"


def commit(folder: Path) -> str:
    """The commit that is checked out in `folder`."""
    if not (folder / ".git").exists():  # git would look for one in the folders above
        return "no checkout, so not known"
    with Process([found("git"), "-C", str(folder), "log", "-1", "--format=%h, %cs: %s"]) as git:
        return git.next_line(time.monotonic() + START_TIME)


def facts(python: str, baseline: Path | None) -> list[tuple[str, str]]:
    """The machine and the versions by name; `python` runs our server, `baseline` is the older one."""
    before = [] if baseline is None else [("the version before", commit(baseline))]
    return [
        *before,
        ("date", datetime.now(timezone.utc).date().isoformat()),
        ("processor", f"{processor()}, {os.cpu_count()} cores, shared by server and generator"),
        ("log files (--db)", f"{file_system(tempfile.gettempdir())}, in the folder for temporary files"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", python_version(python)),
        ("C compiler", version("cc")),
        ("ngIRCd", version("ngircd")),
        ("ncat", version("ncat")),
    ]


class OtherPrograms:
    """How much of the processors others use from here on.

    Only what they compute (user time), and what the hypervisor gives to other machines: how time in the
    kernel is attributed differs between kernels, and ours could be taken for theirs.  So it is the least.
    """

    def __init__(self) -> None:
        self._start = self._seconds()

    @staticmethod
    def _seconds() -> tuple[float, float]:
        """Return the seconds that others have used, and those that there were, of all processors."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        times = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        user, nice, _, _, _, _, _, stolen = times
        own = os.times()
        return user + nice + stolen - own.user - own.children_user, sum(times)

    def share(self) -> float:
        """The share of the processors' time since the start; our children have to have ended."""
        others, total = self._seconds()
        return max(0.0, others - self._start[0]) / max(total - self._start[1], 1e-9)
