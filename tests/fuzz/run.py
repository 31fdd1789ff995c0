"""The fuzz test: millions of inputs, each made from one that reached something new (atheris, libFuzzer).

`make fuzz` runs it: 10 million inputs for the targets of targets.py, by their shares, on two cores.  Each
target runs in two processes of one.py, with seeds of their own.  What is found is an exception, an input that
takes longer than 10 s, or memory that grows; the input is kept, and `--target NAME --input FILE` runs it
again, without atheris.

Exit status: 0 nothing was found, 1 something was, 2 atheris is not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.seeds import seeds
from fuzz.targets import TARGETS

TESTS = Path(__file__).resolve().parent.parent

RUNS = 10_000_000
"""Inputs, of all targets together."""

TIME_LIMIT = 10
"""Seconds that one input may take."""

MEMORY_LIMIT = 512
"""MB that a process may have."""

GROWTH_LIMIT = 24
"""MB that a process may grow by after the first sixteenth of its inputs; libFuzzer's corpus takes some."""

PROCESSES = 2
"""For each target; so many run at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process reports; memory in MB, at the end and after a sixteenth of the inputs."""

    target: str
    inputs: int
    seconds: float
    edges: int
    memory: int
    memory_before: int
    finding: str  # empty: none


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as a command."""
    parser = argparse.ArgumentParser(prog="fuzz", description="The fuzz test of Charla.")
    parser.add_argument("--runs", type=int, default=RUNS, metavar="N", help="inputs in all (%(default)s)")
    parser.add_argument("--target", choices=TARGETS, action="append", help="this one alone; can be repeated")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed: other inputs")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run --target on this input, and end")
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    if options.input:
        for name in names:
            TARGETS[name].run(options.input.read_bytes())
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("fuzz: atheris is not installed, and there is none for every Python: pip install atheris")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="charla-fuzz-"))
    shares = sum(TARGETS[name].share for name in names)
    jobs = [
        (name, max(1, options.runs * TARGETS[name].share // shares // PROCESSES), options.seed + number)
        for name in names
        for number in range(PROCESSES)
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        outcomes = list(pool.map(lambda job: _fuzz(folder, *job), jobs))
    return _report(outcomes, folder)


def _fuzz(folder: Path, name: str, runs: int, seed: int) -> Outcome:
    """Run one process to its end."""
    corpus = folder / f"{name}-{seed}"
    corpus.mkdir()
    for number, data in enumerate(seeds()[name]):
        (corpus / f"seed-{number}").write_bytes(data)
    command = [
        *(sys.executable, "-m", "fuzz.one", name, f"-runs={runs}", f"-seed={seed}", str(corpus)),
        *(f"-max_len={TARGETS[name].max_len}", f"-timeout={TIME_LIMIT}", f"-rss_limit_mb={MEMORY_LIMIT}"),
        *(f"-artifact_prefix={folder}/{name}-{seed}-", "-print_final_stats=1", "-reduce_inputs=0"),
    ]
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        output, _ = process.communicate()
    (folder / f"{name}-{seed}.log").write_text(output)
    outcome = _read(output, name, runs, process.returncode)
    print(f"{name}, seed {seed}: {outcome.inputs} inputs, {outcome.finding or 'nothing found'}", flush=True)
    return outcome


_LINE = re.compile(r"^#(\d+)\t.* cov: (\d+) .* rss: (\d+)Mb", re.MULTILINE)
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_FAILED = re.compile(r"=== Uncaught Python exception: ===\n(.*)|^SUMMARY: libFuzzer: (.*)", re.MULTILINE)


def _read(output: str, name: str, runs: int, status: int) -> Outcome:
    """Return what libFuzzer's report says."""
    lines = [(int(inputs), int(edges), int(memory)) for inputs, edges, memory in _LINE.findall(output)]
    if not lines:
        return Outcome(name, 0, 0.0, 0, 0, 0, f"ended at once, with status {status}")
    inputs, edges, memory = lines[-1]
    before = next(memory for inputs, _, memory in lines if inputs >= runs / 16 or inputs == lines[-1][0])
    done = _DONE.search(output)
    finding = ""
    if done is None or status:
        failed = _FAILED.search(output)
        finding = (failed[1] or failed[2]) if failed else f"ended with status {status}"
    elif memory - before > GROWTH_LIMIT:
        finding = f"memory grew from {before} to {memory} MB"
    return Outcome(name, inputs, float(done[2]) if done else 0.0, edges, memory, before, finding)


def _report(outcomes: list[Outcome], folder: Path) -> int:
    """Print the table; return the exit status."""
    heads = ("target", "inputs", "inputs/s", "edges", "MB before", "MB after", "findings")
    print("{:<10}{:>12}{:>10}{:>8}{:>11}{:>10}{:>10}".format(*heads))
    for name in dict.fromkeys(outcome.target for outcome in outcomes):
        of_it = [outcome for outcome in outcomes if outcome.target == name]
        inputs = sum(outcome.inputs for outcome in of_it)
        rate = inputs / max(1.0, sum(outcome.seconds for outcome in of_it))
        edges = max(outcome.edges for outcome in of_it)
        before, after = (max(o.memory_before for o in of_it), max(o.memory for o in of_it))
        findings = sum(bool(outcome.finding) for outcome in of_it)
        print(f"{name:<10}{inputs:>12,}{rate:>10,.0f}{edges:>8}{before:>11}{after:>10}{findings:>10}")
    found = [outcome for outcome in outcomes if outcome.finding]
    print(f"{sum(outcome.inputs for outcome in outcomes):,} inputs, {len(found)} findings")
    for outcome in found:
        print(f"  {outcome.target}: {outcome.finding}")
    if found:
        print(f"Their inputs are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
