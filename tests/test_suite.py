"""What the suite promises of itself: it runs the same wherever it is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import DEADLINE, ROOT

PROBE = """
import signal, subprocess, sys

def test_what_a_program_is_started_with():
    code = "from signal import *; print(*map(getsignal, (SIGHUP, SIGQUIT)), getsignal(SIGINT).__name__)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert told.split() == [*map(str, [signal.SIG_DFL] * 2), "default_int_handler"]

def test_the_suite_itself_goes_on():
    signal.raise_signal(signal.SIGHUP)
"""


def test_programs_react_to_signals_though_the_suite_was_started_with_nohup(tmp_path: Path) -> None:
    probe = tmp_path / "test_probe.py"
    probe.write_text(PROBE)
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "conftest"]
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    done = subprocess.run(
        # What `nohup make test &` has the suite ignore, in a shell without job control.
        ["sh", "-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh", *pytest, *settings, str(probe)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=6 * DEADLINE,
    )
    assert done.returncode == 0, done.stdout
