"""From the verdicts to what people read: the table, and docs/ATTACKS.md."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from support import ROOT

from attacks.targets import Verdict

DOCUMENT = ROOT / "docs" / "ATTACKS.md"

INTRODUCTION = """\
# Attacks

Written by `make attacks`. It starts the real `server.py` on the loopback, freshly for each attack, with its
default limits unless the line says otherwise, and attacks it from other processes (tests/attacks/). The
server, the attackers and those who must notice nothing of it share the machine's processors: the figures are
worse for it than where the attackers have their own. (Those who flood take a processor only where nobody
else wants it: what they cost the server is what is measured.)

p99 is the time that 99 of 100 messages take at most, from the send by one until the receipt by another. Where
it is compared with quiet, both take turns, and all rounds count together.
"""


def outcome(verdict: Verdict) -> str:
    """Say whether the target is met."""
    return "met" if verdict.met else "MISSED"


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the table in Markdown, readable also as it stands."""
    head = ("What", "Measured", "Target", "")
    rows = [(v.what, v.measured, v.target, outcome(v)) for v in verdicts]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def document(verdicts: Sequence[Verdict]) -> str:
    """Return the text of docs/ATTACKS.md."""
    facts = [
        ("date", datetime.now(timezone.utc).date().isoformat()),
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_version()}, {ssl.OPENSSL_VERSION}"),
        ("command", "`make attacks`"),
    ]
    machine = "\n".join(["| | |", "|-|-|", *(f"| {name} | {value} |" for name, value in facts)])
    return f"{INTRODUCTION}\n{table(verdicts)}\n\n## The machine\n\n{machine}\n"


def _processor() -> str:
    """Return the processor's model name, as Linux gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
