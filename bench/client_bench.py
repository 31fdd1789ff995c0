"""Measure the client on a pseudo-terminal: `make bench-client`, or `python3 bench/client_bench.py --help`.

  client_bench.py   this file: what is measured of which console, the targets, docs/CLIENT_BENCHMARKS.md
  onscreen.py       the client on a terminal, and its screen
  typist.py         somebody who types at a pace, and how long each key took to be seen
  chatter.py        somebody who talks meanwhile, in a process of its own

Needs pyte and prompt_toolkit (pip install -e '.[dev]').
Exit status: 0 all targets met, 1 one is missed, 2 nothing could be measured.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone

from machine import NOISE, OtherPrograms, processor
from onscreen import OnScreen
from processes import Failed, Process
from resume import percentile
from servers import START_TIME, TOP, charla
from tables import table, target_table
from targets import Verdict
from typist import RATE, Echo, type_paced

from bench import Progress, end_children

DOCUMENT = TOP / "docs" / "CLIENT_BENCHMARKS.md"

CONSOLES = {"stock": "stock Python", "prompt": "prompt_toolkit", "plain": "--plain"}
ECHOING = ("stock", "prompt")
"""Those that have a prompt: what is typed on the other is echoed as it is, and nothing arrives meanwhile."""

WIDTHS = (20, 80, 200)

TALK = 200
"""Messages a second that arrive while somebody types."""

TEXT = 60
"""Characters of such a message."""

SESSION = 50_000
LONG_TEXT = 200
"""Messages of an hour's session, and the characters of long ones."""

BATCH = 500
"""Messages of it that are said before the client has printed them: nobody is dropped for being slow."""

ECHO_TARGET = 50.0
START_TARGETS = {"stock": 150.0, "prompt": 400.0}
"""Milliseconds, from the issue; those of --plain are the stock console's."""

MEMORY_TARGET = 60e6

WITHOUT_PROMPT_TOOLKIT = TOP / "tests" / "without_prompt_toolkit"


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure."""

    keys: int
    starts: int
    session: int
    seconds: float  # of processor time that is looked at


FULL = Effort(keys=360, starts=40, session=SESSION, seconds=10.0)
QUICK = Effort(keys=80, starts=5, session=2_000, seconds=3.0)


@dataclass(frozen=True, slots=True)
class Session:
    """A session of many messages: bytes of memory, and how fast they were printed."""

    before: int
    resident: int
    peak: int
    a_second: float


@dataclass(slots=True)
class Results:
    """What was measured, by what it was measured of."""

    echoes: dict[tuple[str, int, int], list[Echo]] = field(default_factory=dict)  # console, width, messages/s
    starts: dict[str, list[float]] = field(default_factory=dict)  # ms, by console
    sessions: dict[tuple[str, int], list[Session]] = field(default_factory=dict)  # console, characters
    shares: dict[tuple[str, int], list[float]] = field(default_factory=dict)  # console, messages/s
    failures: list[str] = field(default_factory=list)


@contextmanager
def client(console: str, port: int, columns: int = 80) -> Iterator[OnScreen]:
    """Start the client under the nick ana; what it shows has to be waited for."""
    command = [sys.executable, "client.py", "--port", str(port), "--nick", "ana"]
    # By name: a client that is to choose takes the stock one when prompt_toolkit's cannot be loaded.
    command += {"stock": [], "prompt": ["--console", "prompt"], "plain": ["--plain"]}[console]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CHARLA_", "LC_", "PYTHON")) and name not in ("LANG", "LANGUAGE", "NO_COLOR")
    }
    environment |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "INPUTRC": os.devnull}
    environment["XDG_CONFIG_HOME"] = str(TOP / "bench")  # where no configuration is
    if console != "prompt":
        environment["PYTHONPATH"] = str(WITHOUT_PROMPT_TOOLKIT)
    with OnScreen(command, columns, cwd=TOP, environment=environment) as screen:
        yield screen


def until_ready(screen: OnScreen, console: str) -> None:
    """Wait for the prompt; for screen readers there is none, but the opening's last line: who is here."""
    if console == "plain":
        screen.wait_until(lambda: any("1 here" in row for row in screen.rows()), "opening")
    else:
        screen.wait_until(lambda: screen.shows("", 0), "prompt")


@contextmanager
def chatter(port: int) -> Iterator[Process]:
    """Somebody who talks when told to."""
    with Process([sys.executable, str(TOP / "bench" / "chatter.py"), str(port)]) as process:
        process.wait_for("ready", time.monotonic() + START_TIME)
        yield process


# ---- what is measured --------------------------------------------------------------------------------


def echoes(console: str, width: int, rate: int, effort: Effort) -> list[Echo]:
    """Type while `rate` messages a second arrive."""
    with charla(sys.executable)() as server, client(console, server.port, width) as screen:
        until_ready(screen, console)
        with chatter(server.port) as other:
            if rate:
                other.write_line(f"talk {rate} {TEXT}")
                screen.wait_until(lambda: any(re.search(r"\bm\d+", row) for row in screen.rows()), "message")
            return type_paced(screen, effort.keys)


def start(console: str) -> float:
    """Return the milliseconds from fork to the prompt."""
    with charla(sys.executable)() as server, client(console, server.port) as screen:
        until_ready(screen, console)
        return (screen.came_at - screen.started_at) * 1000


def session(console: str, characters: int, effort: Effort) -> Session:
    """Let many messages arrive, as fast as they are printed."""
    with charla(sys.executable)() as server, client(console, server.port) as screen:
        until_ready(screen, console)
        with chatter(server.port) as other:
            screen.wait_until(lambda: any("beto" in row for row in screen.rows()), "beto")
            before, since = screen.memory("VmRSS"), time.monotonic()
            for said in range(BATCH, effort.session + 1, BATCH):
                other.write_line(f"say {BATCH} {characters}")
                screen.wait_for_bytes(f"m{said - 1} ".encode())
                other.next_line(time.monotonic() + START_TIME)
            seconds = time.monotonic() - since
        return Session(before, screen.memory("VmRSS"), screen.memory("VmHWM"), effort.session / seconds)


def share(console: str, rate: int, effort: Effort) -> float:
    """Return the share of one processor that the client uses while messages arrive and nobody types."""
    with charla(sys.executable)() as server, client(console, server.port) as screen:
        until_ready(screen, console)
        with chatter(server.port) as other:
            if rate:
                other.write_line(f"talk {rate} {TEXT}")
            end = time.monotonic() + 1.0  # until it runs evenly
            while time.monotonic() < end:
                screen.receive(end - time.monotonic(), draw=True)
            used, since = screen.processor_seconds(), time.monotonic()
            while (now := time.monotonic()) < since + effort.seconds:
                screen.receive(since + effort.seconds - now)
            return (screen.processor_seconds() - used) / (time.monotonic() - since)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement; `run` keeps its result, and returns it in brief."""

    case: str
    title: str
    run: Callable[[], str]


def steps(results: Results, consoles: Sequence[str], effort: Effort, rounds: int) -> Iterator[Step]:
    """Yield all measurements; the consoles take turns, so that a busy moment of the machine hits all."""
    for number in range(1, rounds + 1):
        of = f"round {number} of {rounds}"
        for width in WIDTHS:
            for rate in (0, TALK):
                for console in (console for console in consoles if console in ECHOING):

                    def typed(console: str = console, width: int = width, rate: int = rate) -> str:
                        found = echoes(console, width, rate, effort)
                        results.echoes.setdefault((console, width, rate), []).extend(found)
                        return f"p99 {percentile(milliseconds(found), 0.99):.1f} ms"

                    title = f"keys to echo, {width} columns, {rate} messages/s, {CONSOLES[console]}, {of}"
                    yield Step("echo", title, typed)
        for rate in (0, TALK):
            for console in consoles:

                def shared(console: str = console, rate: int = rate) -> str:
                    found = share(console, rate, effort)
                    results.shares.setdefault((console, rate), []).append(found)
                    return f"{found:.1%}"

                yield Step("cpu", f"processor time, {rate} messages/s, {CONSOLES[console]}, {of}", shared)
        for _ in range(effort.starts):
            for console in consoles:

                def started(console: str = console) -> str:
                    found = start(console)
                    results.starts.setdefault(console, []).append(found)
                    return f"{found:.0f} ms"

                yield Step("start", f"start to prompt, {CONSOLES[console]}, {of}", started)
        for characters in (TEXT, LONG_TEXT):
            for console in consoles:

                def sat(console: str = console, characters: int = characters) -> str:
                    found = session(console, characters, effort)
                    results.sessions.setdefault((console, characters), []).append(found)
                    return f"{found.peak / 1e6:.1f} MB"

                title = f"{effort.session:,} messages of {characters} characters, {CONSOLES[console]}, {of}"
                yield Step("session", title, sat)


CASES = ("echo", "cpu", "start", "session")


def milliseconds(found: Sequence[Echo], *kinds: str) -> list[float]:
    return [echo.ms for echo in found if not kinds or echo.kind in kinds]


# ---- what people read --------------------------------------------------------------------------------

KEYS = ("character", "edit")


def spread(values: Sequence[float], digits: int = 1) -> list[str]:
    """The cells of median, p99 and the most."""
    return [f"{percentile(list(values), part):.{digits}f}" for part in (0.5, 0.99, 1.0)]


def echo_table(results: Results) -> str:
    rows = []
    for (console, width, rate), found in sorted(results.echoes.items(), key=lambda item: _order(item[0])):
        keys, enters = milliseconds(found, *KEYS), milliseconds(found, "Enter")
        times = [*spread(keys), *(spread(enters) if enters else ["", "", ""])]
        rows.append([CONSOLES[console], f"{width}", f"{rate}", f"{len(keys):,}", *times])
    head = ["console", "columns", "messages/s", "keys", "p50", "p99", "most", "Enter, p50", "p99", "most"]
    return table(head, rows)


def start_table(results: Results) -> str:
    head = ["console", "starts", "p50 (ms)", "p99 (ms)", "most (ms)"]
    rows = [[CONSOLES[c], f"{len(found)}", *spread(found, 0)] for c, found in results.starts.items()]
    return table(head, rows)


def session_table(results: Results) -> str:
    rows = []
    for (console, characters), found in sorted(results.sessions.items(), key=lambda item: _order(item[0])):
        sizes = [max(getattr(one, name) for one in found) for name in ("before", "resident", "peak")]
        speed = percentile([one.a_second for one in found], 0.5)
        rows.append(
            [CONSOLES[console], f"{characters}", *(f"{size / 1e6:.1f}" for size in sizes), f"{speed:,.0f}"]
        )
    head = ["console", "characters", "before (MB)", "then (MB)", "peak (MB)", "messages/s"]
    return table(head, rows)


def share_table(results: Results) -> str:
    rows = [
        [CONSOLES[console], f"{rate}", f"{percentile(found, 0.5):.1%}", f"{max(found):.1%}"]
        for (console, rate), found in sorted(results.shares.items(), key=lambda item: _order(item[0]))
    ]
    return table(["console", "messages/s", "of one processor", "most"], rows)


def _order(key: tuple[str, int] | tuple[str, int, int]) -> tuple[int, ...]:
    return (list(CONSOLES).index(key[0]), *key[1:])


def verdicts(results: Results) -> list[Verdict]:
    found = []
    for console, name in CONSOLES.items():
        keys = {
            width: percentile(milliseconds(echoes, *KEYS), 0.99)
            for (of, width, rate), echoes in results.echoes.items()
            if of == console and rate
        }
        if keys:
            figure = ", ".join(f"{ms:.1f} ({width} columns)" for width, ms in keys.items())
            target = f"{name}: keystroke to echo under {ECHO_TARGET:.0f} ms at {TALK} messages/s (p99)"
            found.append(Verdict(target, figure, max(keys.values()) < ECHO_TARGET))
        if starts := results.starts.get(console):
            limit = START_TARGETS.get(console, START_TARGETS["stock"])
            ms = percentile(starts, 0.5)
            found.append(
                Verdict(f"{name}: start to prompt under {limit:.0f} ms (p50)", f"{ms:.0f} ms", ms < limit)
            )
        peaks = [s.peak for (of, _), sessions in results.sessions.items() if of == console for s in sessions]
        if peaks:
            target = f"{name}: a session of many messages in under {MEMORY_TARGET / 1e6:.0f} MB"
            found.append(Verdict(target, f"{max(peaks) / 1e6:.1f} MB", max(peaks) < MEMORY_TARGET))
    return found


def sections(results: Results, effort: Effort) -> list[tuple[str, str, str]]:
    """Title, a sentence or two, and table of each case that has results."""
    found = []
    if results.echoes:
        found.append(("Keystroke to echo, in milliseconds", ECHO_NOTE, echo_table(results)))
    if results.starts:
        found.append(("Start to prompt", START_NOTE, start_table(results)))
    if results.sessions:
        title = f"A session of {effort.session:,} messages"
        found.append((title, SESSION_NOTE, session_table(results)))
    if results.shares:
        found.append(("Processor time", SHARE_NOTE, share_table(results)))
    return found


INTRODUCTION = """\
# Benchmarks of the client

Written by `make bench-client`. It runs the real client on a pseudo-terminal of 24 rows against our server
(`--rate-limit 0`), all of it on one machine, and reads what it prints as a terminal does: through pyte, a
terminal emulator, whose own time is in the figures. The consoles take turns.
"""

ECHO_NOTE = f"""\
Somebody types {RATE:.0f} keys a second, at uneven intervals, whatever comes back: sentences, then cursor
keys, insertions and deletions in the middle, Enter. A key counts as echoed when the screen shows the line and
the cursor as they have to be after it. Beside that another client says {TALK} messages a second of {TEXT}
characters, or nothing. Enter is looked at apart: until the prompt is back, and empty."""

START_NOTE = """\
From just before fork until the prompt is on the screen, or, where there is none, who is here: interpreter,
imports, joining."""

SESSION_NOTE = """\
As fast as the client prints them, each with an emoji, with which a Python string takes four bytes a
character. Resident memory, of all rounds the most."""

SHARE_NOTE = "User and system time of the client, while nobody types."


def facts() -> list[tuple[str, str]]:
    return [
        ("date", datetime.now(timezone.utc).date().isoformat()),
        ("processor", f"{processor()}, {os.cpu_count()} cores, shared by all"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("Python", sys.version.split()[0]),
        *((name, importlib.metadata.version(name)) for name in ("prompt_toolkit", "pyte")),
    ]


def document(results: Results, effort: Effort, remarks: Sequence[str]) -> str:
    """The text of docs/CLIENT_BENCHMARKS.md."""
    parts = [INTRODUCTION, "## Targets", target_table(verdicts(results))]
    for title, words, text in sections(results, effort):
        parts += [f"## {title}", words, text]
    if remarks:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in remarks)]
    parts += ["## The machine, and the versions", table(["", ""], facts(), words=2)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


# ---- the command -------------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the client on a pseudo-terminal.")
    parser.add_argument("--quick", action="store_true", help="little of each case; writes nothing")
    parser.add_argument(
        "--only",
        metavar="CASE",
        action="append",
        default=[],
        choices=CASES,
        help=f"{', '.join(CASES)}; writes nothing",
    )
    parser.add_argument(
        "--console",
        metavar="KIND",
        action="append",
        default=[],
        choices=CONSOLES,
        help=f"{', '.join(CONSOLES)}",
    )
    parser.add_argument("--rounds", metavar="N", type=int, default=1, help="of all of it (1)")
    parser.add_argument(
        "--write", action="store_true", help="write docs/ also with --quick, --only or --console"
    )
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    return options


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; return the exit status."""
    effort = QUICK if options.quick else FULL
    results = Results()
    chosen = list(steps(results, options.console or list(CONSOLES), effort, options.rounds))
    chosen = [step for step in chosen if not options.only or step.case in options.only]
    progress = Progress(len(chosen))
    others = OtherPrograms()
    try:
        for step in chosen:
            progress.begin(step.title)
            try:
                progress.end(step.run())
            except Failed as failed:
                results.failures.append(f"{step.title}: not measured: {failed}")
                progress.end(f"not measured: {failed}")
    finally:
        progress.close()
    remarks = list(results.failures)
    busy = others.share()
    if busy > NOISE:
        remarks.append(f"Other programs took at least {busy:.0%} of the processors' time meanwhile.")
    judged = verdicts(results)
    for title, _, text in sections(results, effort):
        print(f"\n{title}\n\n{text}")
    print(f"\ntargets\n\n{target_table(judged)}")
    for remark in remarks:
        print(f"\n{remark}")
    if options.write or not (options.quick or options.only or options.console):
        DOCUMENT.write_text(document(results, effort, remarks), encoding="utf-8")
        print(f"\nWritten: docs/{DOCUMENT.name}.")
    if not judged:
        return 2
    return 1 if results.failures or any(verdict.met is False for verdict in judged) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, end_children)
    try:
        return run(options)
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nbench: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
