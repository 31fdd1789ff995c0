"""From the results to what people read: tables, and docs/BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Sequence

from cases import COMPANY, CROWD, WINDOW, Case, Cases, Crowd, Result, Stalled
from load import Sample
from machine import NOISE, facts
from servers import TOP, missing_rivals
from targets import MEBIBYTE, Verdict, extra_growth, middle, p50, p99, rate

DOCUMENT = TOP / "docs" / "BENCHMARKS.md"
CHART = TOP / "docs" / "benchmarks.svg"

NEAR_CEILING = 0.7
"""A figure above this share of the generator's own ceiling says as much of the generator as of the server."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table, readable also as it stands: `words` columns to the left, then figures, right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells[:words], widths, strict=False)]
        padded += [cell.rjust(width) for cell, width in zip(cells[words:], widths[words:], strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width + 2) for width in widths[:words]]
    rule += ["-" * (width + 1) + ":" for width in widths[words:]]
    return "\n".join([line(head), "|" + "|".join(rule) + "|", *map(line, rows)])


def measured(case: Case[Result]) -> list[tuple[str, str, list[Result]]]:
    """Key, title and results of the contestants of whom there are any, in their order."""
    return [
        (contestant.key, contestant.title, case.results[contestant.key])
        for contestant in case.contestants
        if contestant.key in case.results
    ]


def times(figure: float, other: float | None) -> str:
    return f"{figure / other:.2f} x" if other else ""


def spread(samples: Sequence[Sample]) -> str:
    """The slowest and the fastest round."""
    rates = [sample.deliveries_per_second / 1e6 for sample in samples]
    return f"{min(rates):.2f} .. {max(rates):.2f}"


def lost_cell(samples: Sequence[Sample]) -> str:
    """What was lost, and what came twice, in all rounds together."""
    lost, surplus = sum(sample.lost for sample in samples), sum(sample.surplus for sample in samples)
    return f"{lost:,}" + (f" ({surplus:,} twice)" if surplus else "")


def latency_table(case: Case[Sample]) -> str:
    bare = middle(case.results["floor"], p50) if "floor" in case.results else None
    return table(
        ["server", "p50 (us)", "p99 (us)", "p50 to the bare loop's", "lost"],
        [
            [
                title,
                f"{middle(samples, p50):.0f}",
                f"{middle(samples, p99):.0f}",
                times(middle(samples, p50), bare),
                lost_cell(samples),
            ]
            for _, title, samples in measured(case)
        ],
    )


def throughput_table(case: Case[Sample]) -> str:
    plain = middle(case.results["plain"], rate) if "plain" in case.results else None
    head = ["server", "M deliveries/s", "slowest .. fastest", "to charla, plain", "p50 (us)", "load's CPU"]
    return table(
        [*head, "lost"],
        [
            [
                title,
                f"{middle(samples, rate) / 1e6:.2f}",
                spread(samples),
                times(middle(samples, rate), plain),
                f"{middle(samples, p50):.0f}",
                f"{middle(samples, lambda sample: sample.generator_cpu):.0%}",
                lost_cell(samples),
            ]
            for _, title, samples in measured(case)
        ],
    )


def crowd_table(case: Case[Crowd]) -> str:
    rows = []
    for key, title, results in measured(case):
        samples = [result.sample for result in results]
        weight = middle(results, lambda result: result.bytes_per_client) / 1024
        gone = middle(results, lambda result: result.seconds_to_let_go)
        left = max(result.threads_left + result.descriptors_left for result in results)
        login = middle(samples, lambda sample: sample.login_ms) / 1000
        rows.append(
            [
                title,
                "" if key == "ceiling" else f"{weight:.1f}",
                f"{middle(samples, rate) / 1e6:.2f}",
                f"{login:.1f}",
                f"{gone:.1f}",
                str(max(left, 0)),
                lost_cell(samples),
            ]
        )
    head = ["server", "KiB a client", "M deliveries/s", "all in (s)", "all gone (s)", "threads, fds", "lost"]
    return table(head, rows)


def stalled_table(case: Case[Stalled]) -> str:
    rows = []
    for _, title, results in measured(case):
        beside = [result.beside for result in results]
        kept = middle(results, lambda result: result.kept)
        rows.append(
            [
                title,
                f"{middle([result.alone for result in results], rate) / 1e6:.2f}",
                f"{middle(beside, rate) / 1e6:.2f}",
                "stops" if any(sample.lost for sample in beside) else f"{kept:.0%}",
                f"{middle(results, extra_growth) / MEBIBYTE:.1f}",
                lost_cell(beside),
            ]
        )
    head = ["server", "without it, M/s", "beside it, M/s", "rate kept", "memory for it (MiB)", "lost"]
    return table(head, rows)


def silent_table(case: Case[float]) -> str:
    rows = [[title, f"{middle(results, float):.1f}"] for _, title, results in measured(case)]
    return table(["server", "two join and one is heard (ms)"], rows)


def target_table(verdicts: Sequence[Verdict]) -> str:
    rows = [[verdict.target, verdict.figure, verdict.word] for verdict in verdicts]
    return table(["target", "figure", ""], rows, words=3)


def sections(cases: Cases) -> list[tuple[str, str]]:
    """Title and table of each case that has results."""
    found = [(case.title, latency_table(case)) for case in cases.latency.values() if case.results]
    found += [(case.title, throughput_table(case)) for case in cases.throughput.values() if case.results]
    if cases.crowd.results:
        found.append((cases.crowd.title, crowd_table(cases.crowd)))
    if cases.stalled.results:
        found.append((cases.stalled.title, stalled_table(cases.stalled)))
    if cases.silent.results:
        found.append((cases.silent.title, silent_table(cases.silent)))
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


def document(cases: Cases, verdicts: Sequence[Verdict], python: str, others: float) -> str:
    """The text of docs/BENCHMARKS.md."""
    parts = [INTRODUCTION, "![Deliveries per second and delays, by server](benchmarks.svg)", "## Targets"]
    parts.append(target_table(verdicts))
    for title, text in sections(cases):
        parts += [f"## {title[0].upper()}{title[1:]}", note(title), text]
    said = remarks(cases, others)
    if said:
        parts += ["## Remarks", "\n".join(f"- {remark}" for remark in said)]
    parts += ["## The machine, and the versions", table(["", ""], facts(python), words=2)]
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
    return ""
