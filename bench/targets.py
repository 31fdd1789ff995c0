"""What our server has to reach, and whether it did: each target, its figure, pass or FAIL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from cases import OURS, RIVALS, TUNED_RIVALS, Case, Cases, Crowd, Result, Stalled
from load import Sample
from restart import Restart
from resume import Burst, percentile

MEBIBYTE = 1024 * 1024

THROUGHPUT_TARGETS = {100: 2.0, 500: 3.0}
"""By the number of clients: so many times the deliveries per second of the faster of ncat and ngIRCd."""

LATENCY_TARGETS = {10: 1.1, 100: 1.0}
"""By the number of clients: at most so many times the p50 of the faster of the two."""

FLOOR_TARGET = 1.35
"""With 100 clients, at most so many times the p50 of the bare loop of send."""

CROWD_BYTES = 32 * 1024
CROWD_RATE = 3e6
KEPT_RATE = 0.8

STALLED_GROWTH = 4 * MEBIBYTE
"""Bytes that the server may grow by for one client that never reads, beyond what it grows by without it."""

SILENT_TIME = 1000.0
"""Milliseconds in which the others join and talk beside a silent connection; a lock-out lasts seconds."""


LOG_TARGETS = {"": 0.9, "-db": 0.5, "-full": None, "-tls": 0.5}
"""By what follows the dialect in a key: the share that is to be left of the rate without a log, or TLS."""

BURST_DELAY = 100.0
"""Milliseconds: p99 of other people's messages while many come back."""

BEFORE_TARGET = 0.97
"""The share that is to be left of the speed of the version before; rounds differ by two per cent and more."""

RESTART_TIME = 1.0
RESTART_BYTES = 60e6


def middle(results: Sequence[Result], value: Callable[[Result], float]) -> float:
    """The median of one figure over the rounds."""
    return median(value(result) for result in results)


def p50(sample: Sample) -> float:
    return sample.p50_us


def p99(sample: Sample) -> float:
    return sample.p99_us


def rate(sample: Sample) -> float:
    return sample.deliveries_per_second


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target; `met` is None for a figure that is none, or could not be judged."""

    target: str
    figure: str
    met: bool | None

    @property
    def word(self) -> str:
        return {True: "pass", False: "FAIL", None: "-"}[self.met]


def verdicts(cases: Cases) -> list[Verdict]:
    """Judge each target for both dialects of our server, in the cases that were run."""
    found: list[Verdict] = []
    for key in OURS:
        for clients, times in THROUGHPUT_TARGETS.items():
            found += judge_throughput(cases.throughput[clients], key, times)
        for clients in sorted(LATENCY_TARGETS, reverse=True):
            found += judge_latency(cases.latency[clients], key, clients)
        for clients, talk in cases.latency.items():
            found += judge_against_before(
                talk, key, f"{clients} clients, p50", lambda sample: 1 / p50(sample)
            )
        for clients, flood in cases.throughput.items():
            found += judge_against_before(flood, key, f"{clients} clients, deliveries", rate)
        found += judge(cases.crowd, key, judge_crowd)
        found += judge(cases.stalled, key, judge_stalled)
        found += judge(cases.silent, key, judge_silent)
    for case in (*cases.log.values(), cases.tls):
        found += judge_logs(case)
    for contestant in cases.resume.contestants:
        found += judge(cases.resume, contestant.key, judge_resume)
    for contestant in cases.restart.contestants:
        found += judge(cases.restart, contestant.key, judge_restart)
    return found


def judge(
    case: Case[Result], key: str, each: Callable[[str, Sequence[Result]], list[Verdict]]
) -> list[Verdict]:
    """Judge `case` with `each`, unless our server failed in it, which is a FAIL, or it was not run."""
    name = f"{case.title} ({key})"
    if key in case.failures:
        return [Verdict(name, case.failures[key], False)]
    return each(name, case.results[key]) if key in case.results else []


def judge_throughput(case: Case[Sample], key: str, times: float) -> list[Verdict]:
    def each(name: str, samples: Sequence[Sample]) -> list[Verdict]:
        ours, best = middle(samples, rate), best_rival(case, rate, RIVALS, most=True)
        if not all(map(intact, samples)):
            return [Verdict(f"{name}: nothing lost", losses(samples), False)]
        target = f"{name}: at least {times} x the faster of ncat and ngIRCd"
        if best is None:
            return [Verdict(target, f"{ours / 1e6:.2f} M/s; neither is installed", None)]
        figure = f"{ours / 1e6:.2f} M/s against {best[1] / 1e6:.2f} ({best[0]}): {ours / best[1]:.2f} x"
        found = [Verdict(target, figure, ours >= times * best[1])]
        if tuned := best_rival(case, rate, TUNED_RIVALS, most=True):
            figure = (
                f"{ours / 1e6:.2f} M/s against {tuned[1] / 1e6:.2f} ({tuned[0]}): {ours / tuned[1]:.2f} x"
            )
            found.append(Verdict(f"{name}: the same, their clients acknowledging at once", figure, None))
        return found

    return judge(case, key, each)


def judge_latency(case: Case[Sample], key: str, clients: int) -> list[Verdict]:
    times = LATENCY_TARGETS[clients]

    def each(name: str, samples: Sequence[Sample]) -> list[Verdict]:
        ours, best = middle(samples, p50), best_rival(case, p50, RIVALS, most=False)
        if not all(map(intact, samples)):
            return [Verdict(f"{name}: nothing lost", losses(samples), False)]
        target = f"{name}: p50 at most {times} x the faster of ncat and ngIRCd"
        if best is None:
            judged = [Verdict(target, f"{ours:.0f} us; neither is installed", None)]
        else:
            figure = f"{ours:.0f} us against {best[1]:.0f} ({best[0]}): {ours / best[1]:.2f} x"
            judged = [Verdict(target, figure, ours <= times * best[1])]
        if clients == 100 and "floor" in case.results:
            bare = middle(case.results["floor"], p50)
            figure = f"{ours:.0f} us against {bare:.0f}: {ours / bare:.2f} x"
            target = f"{name}: p50 at most {FLOOR_TARGET} x the bare loop of send"
            judged.append(Verdict(target, figure, ours <= FLOOR_TARGET * bare))
        return judged

    return judge(case, key, each)


def judge_against_before(
    case: Case[Sample], key: str, what: str, speed: Callable[[Sample], float]
) -> list[Verdict]:
    """Judge our server against its older version; `speed` is a figure that is better the higher it is."""
    if key not in case.results or f"{key}-before" not in case.results:
        return []
    ratio = share(case, key, f"{key}-before", speed)
    target = f"{what} ({key}): at least {BEFORE_TARGET} x the version before"
    return [Verdict(target, f"{ratio:.2f} x", ratio >= BEFORE_TARGET)]


def judge_crowd(name: str, results: Sequence[Crowd]) -> list[Verdict]:
    samples = [result.sample for result in results]
    weight = middle(results, lambda result: result.bytes_per_client)
    threads = max(result.threads_left for result in results)
    descriptors = max(result.descriptors_left for result in results)
    seconds = max(result.seconds_to_let_go for result in results)
    left = f"{max(threads, 0)} threads, {max(descriptors, 0)} descriptors, after {seconds:.1f} s"
    return [
        Verdict(f"{name}: nothing lost", losses(samples), all(map(intact, samples))),
        Verdict(
            f"{name}: at most {CROWD_BYTES // 1024} KiB a client",
            f"{weight / 1024:.1f} KiB",
            weight <= CROWD_BYTES,
        ),
        Verdict(
            f"{name}: at least {CROWD_RATE / 1e6:.0f} M deliveries/s",
            f"{middle(samples, rate) / 1e6:.2f} M/s",
            middle(samples, rate) >= CROWD_RATE,
        ),
        Verdict(f"{name}: nothing left when all have gone", left, threads <= 0 and descriptors <= 0),
    ]


def judge_stalled(name: str, results: Sequence[Stalled]) -> list[Verdict]:
    samples = [sample for result in results for sample in (result.alone, result.beside)]
    kept = middle(results, lambda result: result.kept)
    growth = middle(results, extra_growth)
    told = middle(results, lambda result: result.told)
    return [
        Verdict(f"{name}: the others lose nothing", losses(samples), all(map(intact, samples))),
        Verdict(f"{name}: they keep {KEPT_RATE:.0%} of their rate", f"{kept:.0%}", kept >= KEPT_RATE),
        Verdict(
            f"{name}: memory grows by at most {STALLED_GROWTH // MEBIBYTE} MiB for it",
            f"{growth / MEBIBYTE:.1f} MiB, of {told / MEBIBYTE:.1f} MiB that it was told",
            growth <= STALLED_GROWTH,
        ),
    ]


def judge_silent(name: str, results: Sequence[float]) -> list[Verdict]:
    slowest = max(results)
    target = f"{name}: others join and talk within {SILENT_TIME / 1000:.0f} s"
    return [Verdict(target, f"{slowest:.1f} ms", slowest <= SILENT_TIME)]


def reference(case: Case[Sample], dialect: str) -> str | None:
    """The key of what a kind is compared with: the version before if there is one, or no log; no TLS."""
    # Seats that are kept there were not before.
    keys = [f"{dialect.replace('session', 'native')}-{kind}" for kind in ("before", "without", "clear")]
    return next((key for key in keys if key in case.results), None)


def share(case: Case[Sample], key: str, other: str, speed: Callable[[Sample], float] = rate) -> float:
    """The speed of `key` to that of `other`: the median over the rounds, in which they ran side by side."""
    ours, theirs = case.results[key], case.results[other]
    if len(ours) != len(theirs):
        return middle(ours, speed) / middle(theirs, speed)
    return median(speed(our) / speed(their) for our, their in zip(ours, theirs, strict=True))


def judge_logs(case: Case[Sample]) -> list[Verdict]:
    """Judge each kind of log; where seats are kept, and with --sync full, there is only a figure."""
    found: list[Verdict] = []
    for contestant in case.contestants:
        dialect = contestant.key.partition("-")[0]
        suffix = contestant.key.removeprefix(dialect)
        if suffix in LOG_TARGETS:
            least = LOG_TARGETS[suffix] if dialect in OURS else None
            found += judge(case, contestant.key, judge_log(case, contestant.key, dialect, least))
    return found


def judge_log(
    case: Case[Sample], key: str, dialect: str, least: float | None
) -> Callable[[str, Sequence[Sample]], list[Verdict]]:
    titles = {contestant.key: contestant.title for contestant in case.contestants}

    def each(name: str, samples: Sequence[Sample]) -> list[Verdict]:
        if not all(map(intact, samples)):
            return [Verdict(f"{name}: nothing lost", losses(samples), False)]
        other = reference(case, dialect)
        if other is None:
            return []
        left = share(case, key, other)
        theirs = middle(case.results[other], rate)
        figure = f"{middle(samples, rate) / 1e6:.2f} M/s against {theirs / 1e6:.2f}: {left:.0%}"
        at_least = "share" if least is None else f"at least {least:.0%}"
        target = f"{name}: {at_least} of {titles[other].partition(': ')[2]}"
        return [Verdict(target, figure, None if least is None else left >= least)]

    return each


def judge_resume(name: str, results: Sequence[Burst]) -> list[Verdict]:
    delays = [ms for result in results for ms in result.beside]
    alone = [ms for result in results for ms in result.alone]
    worst = max(percentile(result.beside, 0.99) for result in results)
    p99_beside, lost = percentile(delays, 0.99), sum(result.lost for result in results)
    faults = [fault for result in results for fault in result.faults]
    figure = f"{p99_beside:.1f} ms (worst round {worst:.1f}; alone {percentile(alone, 0.99):.1f})"
    kept = f"{len(faults)} faults: {faults[0]}" if faults else f"in all of {len(results)} rounds"
    return [
        Verdict(
            f"{name}: p99 of others' messages under {BURST_DELAY:.0f} ms",
            figure + (f", {lost} lost" if lost else ""),
            p99_beside < BURST_DELAY and not lost,
        ),
        Verdict(f"{name}: each gets every event once, in order", kept, not faults),
    ]


def judge_restart(name: str, results: Sequence[Restart]) -> list[Verdict]:
    slowest = max(result.listening for result in results)
    heaviest = max(max(result.at_rest, result.after) for result in results)
    return [
        Verdict(
            f"{name}: listening within {RESTART_TIME:.0f} s", f"{slowest:.2f} s", slowest <= RESTART_TIME
        ),
        Verdict(
            f"{name}: resident memory under {RESTART_BYTES / 1e6:.0f} MB",
            f"{heaviest / 1e6:.1f} MB",
            heaviest < RESTART_BYTES,
        ),
    ]


def extra_growth(result: Stalled) -> float:
    return max(0, result.growth_beside - result.growth_alone)


def intact(sample: Sample) -> bool:
    return not (sample.lost or sample.surplus or sample.hung_up)


def losses(samples: Iterable[Sample]) -> str:
    """Say what was lost, over all rounds."""
    samples = list(samples)
    lost, surplus = sum(sample.lost for sample in samples), sum(sample.surplus for sample in samples)
    words = [f"{lost:,} lost", f"{surplus:,} came twice"] if surplus else [f"{lost:,} lost"]
    if any(sample.hung_up for sample in samples):
        words.append("hung up on")
    return ", ".join(words) + f", of {sum(sample.messages for sample in samples):,} messages"


def best_rival(
    case: Case[Sample], figure: Callable[[Sample], float], rivals: Sequence[str], *, most: bool
) -> tuple[str, float] | None:
    """The best of the others: its title and figure."""
    titles = {contestant.key: contestant.title for contestant in case.contestants}
    figures = {titles[key]: middle(case.results[key], figure) for key in rivals if key in case.results}
    if not figures:
        return None
    return (max if most else min)(figures.items(), key=lambda item: item[1])
