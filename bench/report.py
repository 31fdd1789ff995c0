"""From the results to what people read: tables (tables.py), remarks, and docs/BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cases import COMPANY, CROWD, DIALECTS, WINDOW, Cases
from machine import NOISE, facts
from restart import ASKED, JOINS, LONGEST, MESSAGES, SHORTEST
from resume import GUESTS, MISSED
from servers import TOP, missing_rivals
from tables import (
    crowd_table,
    latency_table,
    log_table,
    restart_table,
    resume_table,
    silent_table,
    stalled_table,
    table,
    target_table,
    throughput_table,
)
from talkers import INTERVAL
from targets import Verdict, middle, rate

DOCUMENT = TOP / "docs" / "BENCHMARKS.md"
CHART = TOP / "docs" / "benchmarks.svg"

NEAR_CEILING = 0.7
"""A figure above this share of the generator's own ceiling says as much of the generator as of the server."""


def sections(cases: Cases) -> list[tuple[str, str]]:
    """Title and table of each case that has results."""
    found = [(case.title, latency_table(case)) for case in cases.latency.values() if case.results]
    found += [(case.title, throughput_table(case)) for case in cases.throughput.values() if case.results]
    found += [(case.title, log_table(case)) for case in cases.log.values() if case.results]
    if cases.tls.results:
        found.append((cases.tls.title, log_table(cases.tls)))
    if cases.crowd.results:
        found.append((cases.crowd.title, crowd_table(cases.crowd)))
    if cases.stalled.results:
        found.append((cases.stalled.title, stalled_table(cases.stalled)))
    if cases.silent.results:
        found.append((cases.silent.title, silent_table(cases.silent)))
    if cases.resume.results:
        found.append((cases.resume.title, resume_table(cases.resume)))
    if cases.restart.results:
        found.append((cases.restart.title, restart_table(cases.restart)))
    return found


def remarks(cases: Cases, others: float) -> list[str]:
    """What a reader has to know beyond the tables.

    What failed, where the generator is what limits, and whether other programs took a share `others` of the
    processors that matters.
    """
    said = [
        f"{case.title}, {contestant.title}: {case.failures[contestant.key]}"
        for case in cases.all()
        for contestant in case.contestants
        if contestant.key in case.failures
    ]
    said += [f"{program} is not installed, and not compared." for program in missing_rivals()]
    if others > NOISE:
        said.append(
            f"Other programs took at least {others:.0%} of the processors' time while this was measured: the "
            "figures are worse for it, and vary."
        )
    for case in cases.throughput.values():
        rates = {key: middle(samples, rate) for key, samples in case.results.items()}
        said += near_ceiling(case.title, rates)
    logs = [case for case in cases.log.values() if case.results]
    if logs and not any(key.endswith("-before") for case in logs for key in case.results):
        said.append("By kind of log: no older version was given (--baseline) to compare with.")
    crowds = {
        key: middle([result.sample for result in results], rate)
        for key, results in cases.crowd.results.items()
    }
    return said + near_ceiling(cases.crowd.title, crowds)


def near_ceiling(title: str, rates: dict[str, float]) -> list[str]:
    ceiling = rates.get("ceiling")
    return [
        f"{title}, {key} dialect: {figure / 1e6:.2f} M/s is {figure / ceiling:.0%} of the most that the "
        "generator can measure; the server may be faster than the figure."
        for key, figure in rates.items()
        if ceiling and key in ("plain", "native") and figure > NEAR_CEILING * ceiling
    ]


INTRODUCTION = f"""\
# Benchmarks

Written by `make bench`. It starts our server, ngIRCd and `ncat --broker` in turns on 127.0.0.1, each freshly
for each measurement, and loads them with the same generator, a C program of one thread (bench/load.c).
Figures are medians of the rounds; the rounds of the servers are interleaved, so that what else the machine
does hits all of them.

- **One message at a time**: the time from the send until the last client has the message.
- **{WINDOW} in flight**: as many deliveries as go through, while at most {WINDOW} messages are sent that
  somebody has not got yet. The senders take turns; a message is 64 bytes of text. What a sender is not sent
  back does not count.
- Every message is counted at every client: a measurement ends when all have all, or says what is lost.
- **Bare loop of send in C** (bench/floor.c): no lines, no names, no order. Nothing that sends each message to
  each client does less. **Ceiling of the generator**: all that is in flight in one send; the most that it can
  measure.
- **Acknowledged at once**: ngIRCd and ncat leave Nagle's algorithm on, so that how soon the *clients*
  acknowledge decides how soon they send. With {WINDOW} in flight both ways are measured. The targets are
  about clients as people use them; the ratio to the other way is given below each.
- ngIRCd runs with its penalties, connection limits and look-ups off. ncat knows no lines and no names.
"""


LOG_NOTE = f"""\
Our server alone, by what it keeps: nothing (*the version before* the log, from a checkout; `--history 0`),
the newest events in memory, as it does unless told otherwise, and all of them in a new file (`--db`), to
which each batch is committed before anybody is told; with `--sync full` it is on the disk, too, before. The
kinds take turns within each round. *To the first*: the median over the rounds of the ratio to the first
kind, in the same dialect and the same round. *{DIALECTS["session"]}* is what client.py does: more
is written for each message, the number of its command. Its ratio is to the first of the native dialect, where
there were no such seats."""

TLS_NOTE = """\
Our server alone, in the clear and with TLS 1.3 (an EC certificate, P-256), in turns within each round. Each
client has keys of its own, so what is encoded once for all of a dialect is encrypted for each; the generator
decrypts on the other core. *To the first*: as above."""

RESUME_NOTE = f"""\
{GUESTS} native clients take a seat, and their connections drop. {MISSED:,} messages are said. Two people, in
a process of their own, talk on, one message every {INTERVAL * 1000:.0f} ms, sent on time whatever comes back.
Then the {GUESTS} connect all at once and resume. They read as fast as they can, in one other process, and
check afterwards that they have every event once and in order, also across the seam between what was missed
and what is live. *Beside* are the messages that were sent or on their way from the first connection until
the last of the {GUESTS} was live; *alone*, those before. Their times are of all rounds together, from the
send until the other one has it. With `--db` the server has its usual 1,000 events in memory, and reads the
rest from the file."""

RESTART_NOTE = f"""\
A log of {MESSAGES:,} messages of {SHORTEST} to {LONGEST} characters, some 170 MB. Times are from exec, the
interpreter's start included, until the server says that it listens, and until a client is asked for its name.
Memory is resident memory: at rest, and then after {JOINS} joins, each with its history, and one
`/history {ASKED}`, whose answer is timed; every line of these is checked."""


def document(
    cases: Cases, verdicts: Sequence[Verdict], python: str, baseline: Path | None, others: float
) -> str:
    """The text of docs/BENCHMARKS.md."""
    parts = [INTRODUCTION, "![Deliveries per second and delays, by server](benchmarks.svg)", "## Targets"]
    parts.append(target_table(verdicts))
    for title, text in sections(cases):
        words = note(title)
        parts += [f"## {title[0].upper()}{title[1:]}", "" if words in parts else words, text]
    said = remarks(cases, others)
    if said:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in said)]
    parts += ["## The machine, and the versions", table(["", ""], facts(python, baseline), words=2)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def note(title: str) -> str:
    """A sentence on what a case is, where its title does not say it."""
    if title.startswith(f"{CROWD:,}"):
        return "Memory: the growth of the server's resident memory, all connected and quiet, by client."
    if "never reads" in title:
        return (
            f"{COMPANY} clients talk, {WINDOW} messages in flight, without and then beside a client that was "
            "let in and reads nothing from then on."
        )
    if "never says" in title:
        return "A connection that answers nothing at all; then two clients come, and one says something."
    if "by kind of log" in title:
        return LOG_NOTE
    if "with TLS" in title:
        return TLS_NOTE
    if "come back" in title:
        return RESUME_NOTE
    if title.startswith("start on"):
        return RESTART_NOTE
    return ""
