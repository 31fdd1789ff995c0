"""The cases: what is measured of which server, one fresh server for each measurement."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from load import Generator, Load, Sample, has_tls, measure
from processes import Failed, Process
from restart import MESSAGES, LongLog, Restart, restart
from resume import GRACE, GUESTS, MEMORY, MISSED, Burst, burst, percentile
from servers import (
    Server,
    Starter,
    charla,
    charla_with_db,
    charla_with_tls,
    floor,
    is_installed,
    ncat,
    ngircd,
)

Result = TypeVar("Result")

WINDOW = 100
"""Messages in flight where deliveries per second are measured."""

CROWD = 9_500
CROWD_GROUP = 256
"""Connections opened at a time: thousands one by one would mostly measure the joining."""

CROWD_DESCRIPTORS = CROWD + 200
"""Descriptors that the generator and the server each need for it."""

COMPANY = 50
"""Clients that talk, beside the one that never reads."""

STALLED_RECEIVE_BUFFER = 4096
"""Bytes; with the usual megabytes the kernel would read for it longer than the case lasts."""

GONE_TIME = 30.0
"""Seconds for the server to let go of what it held for 9,500 clients that are gone."""

QUIET_TIME = 0.3
"""Seconds without a change after which a server is taken to be at rest."""

POLL = 0.02
"""Seconds between two looks at /proc."""

HELLO_TIME = 5.0
"""Seconds for one connection to be let in."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, in one of the ways it is talked to."""

    key: str
    title: str
    start: Starter
    dialect: str
    ack: str = "sent"
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Crowd:
    """9,500 clients; memory in bytes."""

    sample: Sample
    bytes_per_client: float  # growth of the server's resident memory, all connected and quiet
    seconds_to_let_go: float
    threads_left: int  # more than before the first client came
    descriptors_left: int


@dataclass(frozen=True, slots=True)
class Stalled:
    """The same talk without and with a client that never reads; memory in bytes."""

    alone: Sample
    beside: Sample
    growth_alone: int
    growth_beside: int
    told: int  # bytes of text that it should have read

    @property
    def kept(self) -> float:
        """The share of their rate that the others keep."""
        return self.beside.deliveries_per_second / self.alone.deliveries_per_second


@dataclass(slots=True)
class Case(Generic[Result]):
    """What is measured, of whom; the results of the rounds gather in `results`, by the contestant's key."""

    key: str
    title: str
    contestants: list[Contestant]
    rounds: int
    run: Callable[[Contestant], Result]
    brief: Callable[[Result], str]  # for the progress
    results: dict[str, list[Result]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)  # why, by the contestant's key; the latest

    def run_once(self, contestant: Contestant) -> str:
        """Measure once, keep the result, and return it in brief."""
        try:
            result = self.run(contestant)
        except Failed as failed:
            self.failures[contestant.key] = str(failed)
            return f"not measured: {failed}"
        self.results.setdefault(contestant.key, []).append(result)
        return self.brief(result)


AnyCase: TypeAlias = Case[Sample] | Case[Crowd] | Case[Stalled] | Case[float] | Case[Burst] | Case[Restart]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    few_rounds: int  # of the cases that take long
    log_rounds: int  # where a tenth matters
    crowd_rounds: int  # which takes longest
    seconds: float
    crowd_seconds: float
    stalled_seconds: float
    alone_seconds: float  # of talk before a burst of resumes

    def with_rounds(self, rounds: int) -> Effort:
        """The same, with as many rounds of each case."""
        return replace(self, rounds=rounds, few_rounds=rounds, log_rounds=rounds, crowd_rounds=rounds)


FULL = Effort(
    rounds=5,
    few_rounds=3,
    log_rounds=7,
    crowd_rounds=2,
    seconds=1.2,
    crowd_seconds=3.0,
    stalled_seconds=3.0,
    alone_seconds=3.0,
)
QUICK = Effort(
    rounds=1,
    few_rounds=1,
    log_rounds=1,
    crowd_rounds=1,
    seconds=0.6,
    crowd_seconds=1.5,
    stalled_seconds=1.0,
    alone_seconds=1.0,
)


@dataclass(frozen=True, slots=True)
class Cases:
    """All of them, in the order in which they run."""

    latency: dict[int, Case[Sample]]  # by the number of clients
    throughput: dict[int, Case[Sample]]
    log: dict[int, Case[Sample]]
    tls: Case[Sample]
    crowd: Case[Crowd]
    stalled: Case[Stalled]
    silent: Case[float]  # milliseconds
    resume: Case[Burst]
    restart: Case[Restart]

    def all(self) -> list[AnyCase]:
        talk = [*self.latency.values(), *self.throughput.values(), *self.log.values()]
        return [*talk, self.tls, self.crowd, self.stalled, self.silent, self.resume, self.restart]


OURS = ("plain", "native")
"""Keys of our server's contestants: they are its dialects."""

RIVALS = ("ngircd", "ncat")
"""Keys of the servers to be faster than, with clients that acknowledge as ordinary ones do."""

TUNED_RIVALS = ("ngircd-each", "ncat-each")
"""The same, with clients that acknowledge everything at once: which ordinary ones do not, and which
suits servers that leave Nagle's algorithm on."""


DIALECTS = {"plain": "plain dialect", "native": "native dialect", "session": "native, seats that are kept"}
"""How our server is talked to where the log is compared; the last is what client.py does."""


def with_logs(python: str, baseline: Path | None, folder: Path) -> list[Contestant]:
    """Our server with each kind of log, and without one; what is to be compared stands next to each other."""
    found = []
    for dialect, words in DIALECTS.items():
        kinds = [
            ("", "history in memory (as it is)", charla(python)),
            ("-db", "--db", charla_with_db(python, folder)),
            ("-full", "--db --sync full", charla_with_db(python, folder, "--sync", "full")),
        ]
        if dialect != "session":
            kinds.insert(0, ("-without", "--history 0", charla(python, "--history", "0")))
            if baseline is not None:
                kinds.insert(0, ("-before", "the version before", charla(python, top=baseline)))
        found += [
            Contestant(f"{dialect}{suffix}", f"{words}: {title}", starter, dialect)
            for suffix, title, starter in kinds
        ]
    return found


def with_tls(python: str, folder: Path) -> list[Contestant]:
    """Our server in the clear and with TLS, where both ends can speak it."""
    if not (is_installed("openssl") and has_tls()):
        return []
    return [
        contestant
        for dialect in OURS
        for contestant in (
            Contestant(f"{dialect}-clear", f"{DIALECTS[dialect]}: in the clear", charla(python), dialect),
            Contestant(
                f"{dialect}-tls",
                f"{DIALECTS[dialect]}: TLS 1.3",
                charla_with_tls(python, folder),
                dialect,
                tls=True,
            ),
        )
    ]


def build(effort: Effort, python: str, baseline: Path | None, folder: Path) -> Cases:
    """Return the cases, for the servers that are installed.

    `python` runs ours; `baseline` is a folder with an older version of it; log files are made in `folder`.
    """
    ours = [
        Contestant("plain", "charla, plain dialect", charla(python), "plain"),
        Contestant("native", "charla, native dialect", charla(python), "native"),
    ]
    compared = []  # each beside the older version of it
    for our in ours:
        compared.append(our)
        if baseline is not None:
            title = f"{our.title}: the version before"
            compared.append(Contestant(f"{our.key}-before", title, charla(python, top=baseline), our.dialect))
    rivals, rivals_each = [], []
    if is_installed("ngircd"):
        rivals.append(Contestant("ngircd", "ngIRCd", ngircd(), "irc"))
        rivals_each.append(Contestant("ngircd-each", "ngIRCd, acknowledged at once", ngircd(), "irc", "each"))
    if is_installed("ncat"):
        rivals.append(Contestant("ncat", "ncat --broker", ncat(), "raw"))
        rivals_each.append(Contestant("ncat-each", "ncat, acknowledged at once", ncat(), "raw", "each"))
    bare = Contestant("floor", "bare loop of send in C", floor(), "raw")
    ceiling = Contestant("ceiling", "ceiling of the generator", floor(batch=WINDOW), "raw")
    latency = [*compared, *rivals, bare]
    throughput = [*compared, *rivals, *rivals_each, bare, ceiling]
    logs = with_logs(python, baseline, folder)
    long_log = LongLog(folder)
    return Cases(
        latency={clients: latency_case(clients, latency, effort) for clients in (10, 100)},
        throughput={clients: throughput_case(clients, throughput, effort) for clients in (100, 500)},
        log={clients: log_case(clients, logs, effort) for clients in (100, 500)},
        tls=flood_case(
            "tls",
            f"100 clients, {WINDOW} in flight, with TLS",
            100,
            with_tls(python, folder),
            effort.log_rounds,
            effort.seconds,
        ),
        crowd=Case(
            "crowd",
            f"{CROWD:,} clients, {WINDOW} in flight",
            [*ours, ceiling],
            effort.crowd_rounds,
            lambda contestant: crowd(contestant, effort.crowd_seconds),
            lambda result: f"{result.sample.deliveries_per_second / 1e6:.2f} M deliveries/s",
        ),
        stalled=Case(
            "stalled",
            f"one that never reads, among {COMPANY}",
            [*ours, *rivals],
            effort.few_rounds,
            lambda contestant: stalled(contestant, effort.stalled_seconds),
            lambda result: f"{result.kept:.0%} of the rate kept, {result.beside.lost} lost",
        ),
        silent=Case(
            "silent",
            "one that never says its name",
            [*ours, *rivals],
            effort.few_rounds,
            silent,
            lambda result: f"{result:.1f} ms",
        ),
        resume=Case(
            "resume",
            f"{GUESTS} come back at once to {MISSED:,} missed events",
            [
                Contestant(
                    "disk", "--db: read from the disk", charla_with_db(python, folder, *KEEP_SEATS), "native"
                ),
                Contestant(
                    "memory",
                    f"--history {MEMORY}: from memory",
                    charla(python, "--history", str(MEMORY), *KEEP_SEATS),
                    "native",
                ),
            ],
            effort.few_rounds,
            lambda contestant: burst(contestant.start, effort.alone_seconds),
            lambda result: (
                f"p99 {percentile(result.beside, 0.99):.1f} ms, all live in {result.all_live:.2f} s"
            ),
        ),
        restart=Case(
            "restart",
            f"start on a log of {MESSAGES:,} messages",
            [
                Contestant(key, title, charla_with_db(python, folder, prepare=prepare), "native")
                for key, title, prepare in long_log.kinds()
            ],
            effort.few_rounds,
            lambda contestant: restart(contestant.start),
            lambda result: f"listening after {result.listening:.2f} s, {result.after / 1e6:.1f} MB",
        ),
    )


KEEP_SEATS = ("--grace", str(GRACE))


def latency_case(clients: int, contestants: list[Contestant], effort: Effort) -> Case[Sample]:
    """One message at a time."""

    def run(contestant: Contestant) -> Sample:
        return talk(contestant, clients, 1, effort.seconds)

    def brief(sample: Sample) -> str:
        return f"p50 {sample.p50_us:.0f} us"

    title = f"{clients} clients, one message at a time"
    return Case(f"latency-{clients}", title, contestants, effort.rounds, run, brief)


def throughput_case(clients: int, contestants: list[Contestant], effort: Effort) -> Case[Sample]:
    """As many messages as go through, with a window of them in flight."""

    title = f"{clients} clients, {WINDOW} in flight"
    return flood_case(f"throughput-{clients}", title, clients, contestants, effort.rounds, effort.seconds)


def log_case(clients: int, contestants: list[Contestant], effort: Effort) -> Case[Sample]:
    """The same, by what our server does with its log."""
    title = f"{clients} clients, {WINDOW} in flight, by kind of log"
    return flood_case(f"log-{clients}", title, clients, contestants, effort.log_rounds, effort.seconds)


def flood_case(
    key: str, title: str, clients: int, contestants: list[Contestant], rounds: int, seconds: float
) -> Case[Sample]:
    def run(contestant: Contestant) -> Sample:
        return talk(contestant, clients, WINDOW, seconds)

    def brief(sample: Sample) -> str:
        return f"{sample.deliveries_per_second / 1e6:.2f} M deliveries/s"

    return Case(key, title, contestants, rounds, run, brief)


def talk(contestant: Contestant, clients: int, window: int, seconds: float) -> Sample:
    with contestant.start() as server:
        load = Load(contestant.dialect, clients, window, seconds, ack=contestant.ack, tls=contestant.tls)
        return measure(server, load)


def crowd_obstacle() -> str | None:
    """Say why 9,500 clients cannot be had on this machine, or None."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < CROWD_DESCRIPTORS:
        return (
            f"{CROWD:,} clients are not measured: a process may have {hard:,} descriptors here (ulimit -Hn), "
            f"and {CROWD_DESCRIPTORS:,} are needed."
        )
    return None


def crowd(contestant: Contestant, seconds: float) -> Crowd:
    """Connect the crowd, weigh it, let it talk, let it go."""
    load = Load(contestant.dialect, CROWD, WINDOW, seconds, group=CROWD_GROUP)
    with contestant.start() as server:
        process = server.process
        measure(server, Load(contestant.dialect, clients=2, window=1, seconds=1.0, messages=10))
        before = at_rest(process)
        with Generator(server, load) as generator:
            generator.log_in()
            grown = process.resident_bytes() - before.memory
            sample = generator.measure()
            generator.hang_up()
        gone = time.monotonic()
        while time.monotonic() < gone + GONE_TIME:
            if process.threads() <= before.threads and process.descriptors() <= before.descriptors:
                break
            time.sleep(POLL)
        return Crowd(
            sample=sample,
            bytes_per_client=grown / CROWD,
            seconds_to_let_go=time.monotonic() - gone,
            threads_left=process.threads() - before.threads,
            descriptors_left=process.descriptors() - before.descriptors,
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a process has; memory in bytes."""

    memory: int
    threads: int
    descriptors: int


def at_rest(process: Process) -> Holdings:
    """Return what a process has once that no longer changes: the visitors before have all left."""
    deadline = time.monotonic() + GONE_TIME
    since, before = time.monotonic(), (process.threads(), process.descriptors())
    while time.monotonic() < min(since + QUIET_TIME, deadline):
        time.sleep(POLL)
        figures = process.threads(), process.descriptors()
        if figures != before:
            since, before = time.monotonic(), figures
    return Holdings(process.resident_bytes(), *before)


def stalled(contestant: Contestant, seconds: float) -> Stalled:
    """Let fifty talk, without and then with one that never reads."""
    load = Load(contestant.dialect, COMPANY, WINDOW, seconds, ack=contestant.ack)
    with contestant.start() as server:
        alone, growth_alone = talk_and_weigh(server, load)
    with contestant.start() as server, never_reads(server, contestant.dialect):
        beside, growth_beside = talk_and_weigh(server, load)
    told = beside.messages * len("|" * 64 + "\n")
    return Stalled(alone, beside, growth_alone, growth_beside, told)


def talk_and_weigh(server: Server, load: Load) -> tuple[Sample, int]:
    """Return the sample and the growth of the server's memory, in bytes, while it was taken."""
    with Generator(server, load) as generator:
        generator.log_in()
        before = server.process.resident_bytes()
        sample = generator.measure()
        growth = server.process.resident_bytes() - before
        generator.hang_up()
    return sample, growth


def silent(contestant: Contestant) -> float:
    """Milliseconds in which two join and one is heard by the other, beside a connection that only is."""
    load = Load(contestant.dialect, 2, window=1, seconds=1.0, messages=1, warmup=0, login_time=HELLO_TIME)
    with contestant.start() as server, socket.create_connection(("127.0.0.1", server.port), HELLO_TIME):
        sample = measure(server, load)
    if sample.lost:
        raise Failed(f"{contestant.title}: a silent connection stops the others")
    return sample.login_ms + sample.p50_us / 1000


# What is said to be let in, and what ends the answer, by dialect.
LOG_IN: dict[str, list[tuple[str, str]]] = {
    "raw": [],
    "irc": [("NICK deaf\r\nUSER deaf 0 * :deaf\r\n", " 001 "), ("JOIN #room\r\n", " 366 ")],
    "plain": [("", "NICK"), ("deaf\n", "* ")],
    "native": [("", "NICK"), ("HELLO 1 deaf\n", "WELCOME ")],
}


@contextmanager
def never_reads(server: Server, dialect: str) -> Iterator[None]:
    """Keep a client connected that is let in, and from then on neither reads nor says anything."""
    with socket.socket() as mute:
        mute.settimeout(HELLO_TIME)
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_RECEIVE_BUFFER)  # counts if set before
        mute.connect(("127.0.0.1", server.port))
        for words, answer in LOG_IN[dialect]:
            mute.sendall(words.encode())
            received = b""
            while answer.encode() not in received:
                chunk = mute.recv(STALLED_RECEIVE_BUFFER)
                if not chunk:
                    raise Failed(f"{server.process.name} does not let in the client that never reads")
                received += chunk
        yield
