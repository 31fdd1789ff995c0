"""The tables: one function for each kind of case."""

from __future__ import annotations

from collections.abc import Sequence

from cases import Case, Crowd, Result, Stalled
from load import Sample
from restart import Restart
from resume import Burst, percentile
from targets import MEBIBYTE, Verdict, extra_growth, middle, p50, p99, rate, reference, share


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


def log_table(case: Case[Sample]) -> str:
    rows = []
    for key, title, samples in measured(case):
        other = reference(case, key.partition("-")[0])
        rows.append(
            [
                title,
                f"{middle(samples, rate) / 1e6:.2f}",
                spread(samples),
                f"{share(case, key, other):.0%}" if other else "",
                f"{middle(samples, p50):.0f}",
                f"{middle(samples, lambda sample: sample.generator_cpu):.0%}",
                lost_cell(samples),
            ]
        )
    head = [
        "charla",
        "M deliveries/s",
        "slowest .. fastest",
        "to the first",
        "p50 (us)",
        "load's CPU",
        "lost",
    ]
    return table(head, rows)


def resume_table(case: Case[Burst]) -> str:
    rows = []
    for _, title, results in measured(case):
        for words, delays in (
            ("alone", [ms for result in results for ms in result.alone]),
            ("beside", [ms for result in results for ms in result.beside]),
        ):
            came = words == "beside"
            rows.append(
                [
                    title if not came else "",
                    words,
                    f"{len(delays):,}",
                    *(f"{percentile(delays, part):.1f}" for part in (0.5, 0.99, 1.0)),
                    f"{middle(results, lambda result: result.first_live):.2f}" if came else "",
                    f"{middle(results, lambda result: result.all_live):.2f}" if came else "",
                    f"{sum(len(result.faults) for result in results)}" if came else "",
                ]
            )
    head = ["charla", "others talk", "messages", "p50 (ms)", "p99 (ms)", "most (ms)", "first live (s)"]
    return table([*head, "all live (s)", "faults"], rows, words=2)


def restart_table(case: Case[Restart]) -> str:
    rows = [
        [
            title,
            f"{middle(results, lambda result: result.listening):.2f}",
            f"{max(result.listening for result in results):.2f}",
            f"{middle(results, lambda result: result.greeting):.2f}",
            f"{middle(results, lambda result: result.at_rest) / 1e6:.1f}",
            f"{middle(results, lambda result: result.after) / 1e6:.1f}",
            f"{middle(results, lambda result: result.peak) / 1e6:.1f}",
            f"{middle(results, lambda result: result.history) * 1000:.0f}",
        ]
        for _, title, results in measured(case)
    ]
    head = ["the log was left", "listening (s)", "slowest", "first greeting (s)", "at rest (MB)", "then (MB)"]
    return table([*head, "peak (MB)", "1,000 shown (ms)"], rows)


def target_table(verdicts: Sequence[Verdict]) -> str:
    rows = [[verdict.target, verdict.figure, verdict.word] for verdict in verdicts]
    return table(["target", "figure", ""], rows, words=3)
