"""Measure our server beside ngIRCd and ncat --broker: `make bench`, or `python3 bench/bench.py --help`.

  bench.py      this file: the command line, the order of the rounds, the progress
  cases.py      what is measured
  resume.py     the case of those who come back at once; talkers.py and returning.py are its processes
  restart.py    the case of a start on a long log; biglog.py makes one
  servers.py    the servers: how each is started
  load.py       the load generator, from Python's side; load.c is what does it, floor.c the yardstick
  processes.py  child processes: started, listened to, ended
  targets.py    what our server has to reach
  machine.py    what the figures were measured on
  report.py     docs/BENCHMARKS.md;  tables.py: its tables;  chart.py: docs/benchmarks.svg

Exit status: 0 all targets met, 1 one is missed, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import chart
import report
import targets
from cases import FULL, QUICK, AnyCase, Cases, Contestant, build, crowd_obstacle
from load import compile_all
from machine import OtherPrograms
from processes import Failed
from tables import target_table

EXAMPLES = """\
examples:
  python3 bench/bench.py                     all of it, about 15 minutes; writes docs/BENCHMARKS.md
  python3 bench/bench.py --quick             one short round, about three minutes; writes nothing
  python3 bench/bench.py --only throughput --rounds 9
  python3 bench/bench.py --only crowd --server-python python3.13
  git worktree add ../charla-before cb2bffb  and then, to compare with what that commit did:
  python3 bench/bench.py --only latency --only throughput --baseline ../charla-before
"""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure our server beside ngIRCd and ncat --broker, on 127.0.0.1.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one short round of each case")
    parser.add_argument(
        "--only",
        metavar="CASE",
        action="append",
        default=[],
        help="latency[-10 or -100], throughput[-100 or -500], log[-100 or -500], crowd, stalled, silent, "
        "resume, restart; can be given several times; writes nothing unless --write",
    )
    parser.add_argument("--rounds", metavar="N", type=int, help="of each case (5; fewer where they are long)")
    parser.add_argument(
        "--server-python",
        metavar="PATH",
        default=sys.executable,
        help="the interpreter that runs our server (this one)",
    )
    parser.add_argument(
        "--baseline",
        metavar="DIR",
        type=Path,
        help="a checkout of an older version of our server, to compare with (without it the kinds of log are "
        "compared with --history 0)",
    )
    parser.add_argument("--write", action="store_true", help="write docs/ also with --quick or --only")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.baseline is not None and not (options.baseline / "server.py").is_file():
        parser.error(f"--baseline: there is no server.py in {options.baseline}")
    return options


def chosen(cases: Cases, only: Sequence[str]) -> list[AnyCase]:
    """The cases that were asked for, by their key or the part of it before the dash; all, if none was."""
    everything = cases.all()
    names = {case.key: {case.key, case.key.partition("-")[0]} for case in everything}
    for word in only:
        if not any(word in words for words in names.values()):
            raise Failed(f"there is no case {word}; there are {', '.join(names)}")
    return [case for case in everything if not only or names[case.key] & set(only)]


class Progress:
    """Says what is being measured: on a terminal in one line that changes, else a line for each."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._count = 0
        self._terminal = sys.stderr.isatty()
        self._start = time.monotonic()
        self._line = ""

    def begin(self, what: str) -> None:
        self._count += 1
        elapsed = int(time.monotonic() - self._start)
        self._line = f"[{self._count:3}/{self._total} {elapsed // 60}:{elapsed % 60:02}] {what}"
        if self._terminal:
            print(f"\r\x1b[K{self._line} ...", end="", file=sys.stderr, flush=True)

    def end(self, outcome: str) -> None:
        before, after = ("\r\x1b[K", "") if self._terminal else ("", "\n")
        print(f"{before}{self._line}: {outcome}", end=after, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def measure_all(cases: Sequence[AnyCase]) -> None:
    """Run all rounds; within a case the servers take turns, so that a busy moment of the machine hits all."""
    steps: list[tuple[AnyCase, int, Contestant]] = [
        (case, number, contestant)
        for case in cases
        for number in range(1, case.rounds + 1)
        for contestant in case.contestants
    ]
    progress = Progress(len(steps))
    try:
        for case, number, contestant in steps:
            progress.begin(f"{case.title}, round {number} of {case.rounds}, {contestant.title}")
            progress.end(case.run_once(contestant))
    finally:
        progress.close()


def run(options: argparse.Namespace, folder: Path) -> int:
    """Measure, print, write; return the exit status.  Log files are made in `folder`."""
    compile_all()
    effort = QUICK if options.quick else FULL
    if options.rounds is not None:
        effort = effort.with_rounds(options.rounds)
    cases = build(effort, options.server_python, options.baseline, folder)
    selected = chosen(cases, options.only)
    obstacle = crowd_obstacle()
    if obstacle is not None and cases.crowd in selected:
        print(obstacle, file=sys.stderr)
        selected.remove(cases.crowd)
    others = OtherPrograms()
    measure_all(selected)
    busy = others.share()
    verdicts = targets.verdicts(cases)
    for title, text in report.sections(cases):
        print(f"\n{title}\n\n{text}")
    print(f"\ntargets\n\n{target_table(verdicts)}")
    for remark in report.remarks(cases, busy):
        print(f"\n{remark}")
    if options.write or not (options.quick or options.only):
        report.DOCUMENT.parent.mkdir(exist_ok=True)
        text = report.document(cases, verdicts, options.server_python, options.baseline, busy)
        report.DOCUMENT.write_text(text, encoding="utf-8")
        report.CHART.write_text(chart.draw(cases), encoding="utf-8")
        print(f"\nWritten: {report.DOCUMENT.name} and {report.CHART.name}, in docs/.")
    return 1 if any(verdict.met is False for verdict in verdicts) else 0


def end_children(*_: object) -> None:
    """At SIGTERM, leave through the context managers that end what was started."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, end_children)
    try:
        with tempfile.TemporaryDirectory(prefix="charla-bench-") as folder:
            return run(options, Path(folder))
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
