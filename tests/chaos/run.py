"""The fault test: clients talk through a proxy that breaks their links, to a server that is killed with -9.

`make chaos` runs it: 50 clients, 2,000 cuts, 20 kills, 20,000 messages.  What takes part is real: `server.py`
as a process on a log file of its own, and the client's `Network` with its outbox, resumes and pings.  In the
place of the person at the screen is a `Person`, who notes down in a record all that is handed over.

    thread          how many           does
    main            1                  kills and restarts the server, sets the pace, ends the run
    driver          1 per person       joins, says what is due, leaves, comes again
    network         1 per person       the client's own; calls the person's listener
    proxy           1                  see proxy.py

The seed sets who says what to whom in which order, when the server is killed (after so many cuts), and what
is done to the n-th connection.  The pace follows the cuts: messages go on until the last cut and the last
kill.  Then comes the calm: everybody must become live again and have everything confirmed; one last message,
and who has heard it has heard everything.  Then the records are held against one another (checker.py).

A second, shorter run follows, with a server that has no log file and forgets (`forgetful`).
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from support import ServerProgram

from chaos.checker import Finding, check, summary
from chaos.proxy import CUTS, Proxy, plan
from chaos.records import (
    Asked,
    Before,
    Confirmed,
    Declined,
    Ended,
    Entered,
    Heard,
    LinkDown,
    Record,
    TakenUp,
    heard,
    save,
)
from charla.client.network import connect as route
from charla.client.network import session as network_session
from charla.client.network import thread as network_thread
from charla.client.network.connect import NoConnection, Route
from charla.client.network.events import Arrival, Back, Ending
from charla.client.network.events import Ended as NetworkEnded
from charla.client.network.link import LinkLost
from charla.client.network.outbox import Outbox, Tagged
from charla.client.network.session import Session
from charla.client.network.thread import Network
from charla.protocol.commands import Act, Rename, Say, Tell, Who
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    Crowd,
    DeliveryPending,
    HistoryEntry,
    Joined,
    Left,
    Message,
    Notice,
    Refusal,
    Renamed,
    Said,
    Told,
    Unread,
    Welcome,
    WhoPage,
)
from charla.protocol.text import Refused

WINDOW = 40
"""Messages of one person that may be unconfirmed: enough that a lost link always finds some on their way."""

HANDSHAKE_TIME = 2.0
"""Seconds for connecting, greeting, joining, resuming: people wait 10 and 30, but a test has no time."""

DELAYS = (0.0, 0.05, 0.1, 0.2, 0.4)
"""Seconds before the attempts to get a link back; short for the same reason."""

_KINDS = ("say", "me", "lines", "msg", "nick", "who", "leave", "vanish")
_WEIGHTS = (660, 60, 60, 180, 30, 10, 6, 3)


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how hard.  Times in seconds."""

    clients: int = 50
    cuts: int = 2000
    kills: int = 20
    messages: int = 20_000
    seed: int = 1
    keep: Path | None = None  # a folder for the records; without one they are kept when something is found
    lifetime: float = 2.0  # of a connection, on average, before it is cut
    grace: float = 3.0
    ping_after: float = 0.7
    dead_after: float = 2.0
    deadline: float = 1200.0
    calm_time: float = 60.0  # in which everybody must have become live
    quiet: bool = False
    forgetful: bool = False  # a server without --db that holds 10 events: resumes lose some; no kills then


class _CountingOutbox(Outbox):
    """An outbox that counts what is sent a second time."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts
        self._sent: set[int] = set()  # the network thread's

    def take(self) -> Tagged | None:
        command = super().take()
        if command is not None:
            if command.tag in self._sent:
                self._counts["re-sends"] += 1
            self._sent.add(command.tag)
        return command


class Person:
    """One who chats: a driver thread that speaks, and the listener of what the network hands over."""

    def __init__(self, run: Run, number: int, quota: int) -> None:
        self.name = f"c{number:02}"
        self.counts: Counter[str] = Counter()
        self.confirmed = 0  # messages; the network thread's
        self.done = quota == 0  # everything it has to say is confirmed; the driver's
        self.heard_end = 0  # the id of the run's last message, once it was heard
        self.network: Network | None = None  # the driver's; others may read it
        self.thread = threading.Thread(target=self._drive, name=f"driver {self.name}")
        self._run = run
        self._quota = quota
        self._late = number % 12 == 11  # comes back when its seat is gone
        self._dice = random.Random(f"{run.options.seed} person {number}")
        self._changed = threading.Condition()  # guards the rest; notified at every change of it
        self._record = Record(self.name, 0)
        self._sessions = 0
        self._said = 0  # numbers the texts
        self._pending: dict[int, Asked] = {}  # by tag: neither confirmed nor refused
        self._over = False  # the network has ended
        self._frozen = False  # the run is over: nothing is noted down any more

    # ---- main thread -----------------------------------------------------------------------------

    def poke(self) -> None:
        """Have the driver look whether there is something to do."""
        with self._changed:
            self._changed.notify_all()

    @property
    def settled(self) -> bool:
        """Whether it is in the room, and everything it asked for is answered."""
        with self._changed:
            return self.done and not self._pending and not self._over and self._sessions > 0

    @property
    def pending(self) -> list[Asked]:
        """What it asked for that is not answered."""
        with self._changed:
            return list(self._pending.values())

    def say_last_words(self) -> None:
        """Say what everybody must hear; the driver has nothing to say any more."""
        assert self.network is not None
        self._hand_over(self.network, "say", self._run.last_words)

    def freeze(self) -> None:
        """Note down nothing more: the run is over, and this person is live (or has ended)."""
        with self._changed:
            if not self._frozen and not self._over:
                self._record.entries.append(Ended("live" if self.heard_end else "cut"))
            self._frozen = True
            self._record = Record(self.name, 0)  # what still comes is looked at by nobody

    # ---- driver thread ---------------------------------------------------------------------------

    def _drive(self) -> None:
        try:
            nick = self.name
            while not self._run.over and self._join(nick):
                self._talk()
                nick = self.name if self._dice.random() < 0.5 else self._other_nick()
        except Exception:
            self._run.fail(f"the driver of {self.name} failed: {traceback.format_exc()}")
        finally:
            if self.network is not None:
                self.network.close()

    def _other_nick(self) -> str:
        return f"{self.name}-{self._dice.randrange(1000)}"

    def _join(self, nick: str) -> bool:
        """Take a seat, however often that takes; False when the run is over."""
        options = self._run.options
        while not self._run.over:
            session = Session(
                nick,
                ping_after=options.ping_after,
                dead_after=options.dead_after,
                delays=(1.5 * options.grace,) if self._late else DELAYS,
                random=self._dice.random,
            )
            session.outbox = _CountingOutbox(self.counts)
            line = Network(Route(*self._run.proxy.address), session, self)
            try:
                line.connect()
                opening = line.join()
            except (NoConnection, LinkLost, OSError):
                line.close()
                self._pause(0.05)
                continue
            except Refused as refused:
                line.close()
                if refused.code not in ("nick-taken", "nick-kept"):
                    self._run.fault(f"{self.name} cannot join: {refused!r}")
                nick = self._other_nick()  # the seat may be its own: the welcome to it was cut off
                continue
            with self._changed:
                self._over = False
                self._pending.clear()
                self._begin_session(opening)
            self.network = line
            line.start()
            return True
        return False

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def _talk(self) -> None:
        """Say what is to be said, until the session ends or the run does."""
        line = self.network
        assert line is not None
        while not self._run.over:
            with self._changed:
                if self._over:
                    break
                self.done = self.done or self.confirmed >= self._quota
                open_messages = sum(asked.kind in ("say", "me", "msg") for asked in self._pending.values())
                allowed = min(self._quota, int(self._quota * self._run.progress) + 2)
                due = self.confirmed + open_messages < allowed and len(self._pending) < WINDOW
                if not due:
                    self._changed.wait(1.0)
                    continue
            kind = self._dice.choices(_KINDS, _WEIGHTS)[0]
            if kind == "leave":
                line.leave()
            elif kind == "vanish":
                line.end()
            else:
                self._say(line, kind)
                continue
            self.counts[kind] += 1
            while not line.wait_ended(0.2) and not self._run.over:
                pass
            break
        line.close()

    def _say(self, line: Network, kind: str) -> None:
        dice = self._dice
        self._said += 1
        text = f"{self.name}/{self._said}"
        match kind:
            case "say":
                text += dice.choice((" hola", " ¿qué tal?", " \U0001f469\u200d\U0001f680", " a:  b\\n", ""))
                self._hand_over(line, "say", text)
            case "lines":
                self._hand_over(line, "say", f"{text} one\n  two\n\nfour {'x' * dice.randrange(300)}")
            case "msg":
                self._hand_over(line, "msg", text, self._run.somebody(dice))
            case "nick":
                self._hand_over(line, "nick", self._run.pool_nick(dice))
            case "me" | "who":
                self._hand_over(line, kind, text)

    def _hand_over(self, line: Network, kind: str, text: str, to: str = "") -> None:
        """Put something into the outbox, and note it down.

        Under the lock: so tags go into the outbox in their order, and into the record of their session.
        """
        with self._changed:
            if self._over:
                return
            tag = line.outbox.new_tag()
            command: Tagged
            match kind:
                case "say":
                    command = Say(text, tag)
                case "me":
                    command = Act(text, tag)
                case "msg":
                    command = Tell(to, text, tag)
                case "nick":
                    command = Rename(text, tag)
                case _:
                    command = Who(1, tag)
            asked = Asked(tag, kind, to, text)
            self._record.entries.append(asked)
            self._pending[tag] = asked
            line.send(command, str(tag))

    # ---- the listener: network thread ------------------------------------------------------------

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Note down what came."""
        with self._changed:
            for message, line in arrivals:
                self._take(message)
                if line is not None:
                    self._settle(int(line), message)
            self._changed.notify_all()

    def _take(self, message: Message, whole: bool = True) -> None:
        match message:
            case Said() | Acted() | Told() | Joined() | Left() | Renamed() | Crowd() | Unread() | Notice():
                event = heard(message)
                self._record.entries.append(self._run.same(event) if not event.tag else event)
                if event.text == self._run.last_words:
                    self.heard_end = event.id
                self.counts["heard"] += 1
                self.counts["unread told"] += isinstance(message, Unread)
                if isinstance(message, Notice):
                    self._run.fault(f"{self.name} was given notice: {message}")
            case HistoryEntry(event=said):
                kind = "say" if isinstance(said, Said) else "me"
                self._record.entries.append(Before(said.id, said.time, kind, said.nick, said.text))
                if said.text == self._run.last_words:
                    self.heard_end = said.id
            case Welcome():
                self._record.entries.append(Entered(message.id, message.time, message.nick, whole))
            case DeliveryPending():
                self.counts["waits told"] += 1
            case Refusal(0):
                self._run.fault(f"{self.name} was refused what it never asked: {message}")

    def _settle(self, tag: int, message: Message) -> None:
        asked = self._pending.pop(tag, None)
        match message:
            case Refusal(code=code):
                self._record.entries.append(Declined(tag, code))
                self.counts[f"refused {code}"] += 1
                return
            case Said(id=number) | Acted(id=number) | Told(id=number) | Renamed(id=number):
                self._record.entries.append(Confirmed(tag, number))
            case AlreadyDone() | WhoPage():
                self._record.entries.append(Confirmed(tag, 0))
                self.counts["done before"] += isinstance(message, AlreadyDone)
            case _:
                self._run.fault(f"{self.name}'s {tag} was answered with {message}")
        if asked is not None and asked.kind in ("say", "me", "msg"):
            self.confirmed += 1

    def down(self, reason: str) -> None:  # noqa: ARG002 - the protocol's
        """Note that the link is lost."""
        with self._changed:
            self._record.entries.append(LinkDown())

    def back(self, back: Back) -> None:
        """Note that the session goes on."""
        with self._changed:
            self._record.entries.append(TakenUp(back.nick, back.lost))
            self.counts["lost at resumes"] += back.lost
            self.counts["resumes"] += 1

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:  # noqa: ARG002
        """Begin another record: the session was gone.  What was never sent is of the new one."""
        with self._changed:
            old, unsaid = self._record, set(map(int, doubtful))
            never_sent = [asked for tag, asked in self._pending.items() if tag not in unsaid]
            old.entries[:] = [entry for entry in old.entries if entry not in never_sent]
            old.entries.append(Ended("gone"))
            self._begin_session(opening)
            self._record.entries.extend(never_sent)
            self._pending = {asked.tag: asked for asked in never_sent}
            self.counts["joined anew"] += 1
            self.counts["doubtful"] += len(unsaid)
            self._changed.notify_all()

    def overdue(self, lines: list[str]) -> None:
        """While a link is down for long that is to be expected."""

    def ended(self, ended: NetworkEnded) -> None:
        """Note how the session ended."""
        with self._changed:
            match ended.how:
                case Ending.GOODBYE if ended.code == "left":
                    how = "left"
                case Ending.SEAT_GONE | Ending.REFUSED:
                    how = "gone"
                    if ended.code not in ("", "nick-taken", "nick-kept"):
                        self._run.fault(f"{self.name} could not join anew: {ended}")
                case Ending.CLOSED | Ending.LOST:
                    how = "cut"
                case _:
                    how = "cut"
                    self._run.fault(f"{self.name}'s session ended with {ended}")
            self._record.entries.append(Ended(how))
        with self._changed:
            self._pending.clear()
            self._over = True
            self._changed.notify_all()

    def _begin_session(self, opening: list[Message]) -> None:
        self._sessions += 1
        self._record = Record(self.name, self._sessions)
        if not self._frozen:
            self._run.records.append(self._record)
        whole = any(isinstance(message, WhoPage) for message in opening)
        for message in opening:
            self._take(message, whole)


class Run:
    """One run of the fault test.  `run` does it all, and returns what is wrong."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.records: list[Record] = []  # appended to by any thread
        self.faults: list[str] = []  # what went wrong outside of the records; appended to by any thread
        self.progress = 0.0  # of the cuts and kills, 0 to 1: that part of the messages may be said; main's
        self.over = False  # set by main, once
        self._failed = False  # set by any thread
        self.last_words = f"the end of run {options.seed}"
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.end = 0  # the id of the last words
        self._same: dict[Heard, Heard] = {}
        self._changed = threading.Condition()  # notified by the proxy at every cut
        self._folder = tempfile.TemporaryDirectory(prefix="charla-chaos-")
        self._server: ServerProgram | None = None
        self._started = time.monotonic()
        quotas = [
            options.messages // options.clients + (number < options.messages % options.clients)
            for number in range(options.clients)
        ]
        self.people = [Person(self, number, quota) for number, quota in enumerate(quotas)]
        self._dice = random.Random(f"{options.seed} main")

    # ---- what people use -------------------------------------------------------------------------

    def fault(self, what: str) -> None:
        """Take note of something that must not happen.  Any thread."""
        self.faults.append(what)

    def fail(self, what: str) -> None:
        """Take note of something after which it is of no use to go on.  Any thread."""
        self.fault(what)
        self._failed = True

    def _thread_failed(self, what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread is not None else "?"
        lines = traceback.format_exception(what.exc_type, what.exc_value, what.exc_traceback)
        self.fail(f"the thread {name} failed: {''.join(lines)}")

    def same(self, event: Heard) -> Heard:
        """Return an equal entry, the same one for all: a million of them would fill the memory."""
        return self._same.setdefault(event, event)

    def somebody(self, dice: random.Random) -> str:
        """Return the nick that somebody has, or had a moment ago, in some case."""
        network = dice.choice(self.people).network
        nick = network.nick if network is not None else "nobody"
        return nick if dice.random() < 0.9 else nick.swapcase()

    def pool_nick(self, dice: random.Random) -> str:
        """Return a nick that others are after, too."""
        nick = f"Ñandú{dice.randrange(max(2, len(self.people) // 2))}"
        return dice.choice((nick, nick.lower(), nick.upper()))

    # ---- main thread -----------------------------------------------------------------------------

    def run(self) -> list[Finding]:
        """Do it all; return what the checker found.  `faults` must be empty as well."""
        options = self.options
        with self._folder, contextlib.ExitStack() as stack:
            for module, name in (
                (network_session, "HANDSHAKE_TIME"),
                (network_thread, "ANSWER_TIME"),
                (route, "ANSWER_TIME"),
                (route, "CONNECT_TIME"),
            ):
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, HANDSHAKE_TIME)
            stack.callback(setattr, threading, "excepthook", threading.excepthook)
            threading.excepthook = self._thread_failed
            stack.callback(self._stop_server)
            self.proxy = stack.enter_context(
                Proxy(
                    lambda number: plan(options.seed, number, options.lifetime),
                    options.cuts,
                    changed=self._changed,
                )
            )
            self._start_server()
            stack.callback(self._stop_people)
            for person in self.people:
                person.thread.start()
            try:
                self._storm()
                self._calm()
            except TimeoutError as error:
                self.fault(str(error))
            for person in self.people:
                person.freeze()
        self._sum_up()
        return self.findings

    def _storm(self) -> None:
        """Kill the server as planned, and let people talk, until all cuts, kills and messages are done."""
        options = self.options
        kills = [
            (number + self._dice.uniform(0.3, 0.9)) / (options.kills + 1) for number in range(options.kills)
        ]
        told = time.monotonic()
        while not (self.progress >= 1.0 and all(person.done for person in self.people)):
            with self._changed:
                self._changed.wait(0.1)
            self.progress = self.proxy.counts["cuts"] / options.cuts if options.cuts else 1.0
            if kills and self.progress >= kills[0]:
                del kills[0]
                self._kill_server()
            if kills and self.progress >= 1.0:
                self.progress = 0.99
            for person in self.people:
                person.poke()
            if time.monotonic() - told > 10.0:
                told = time.monotonic()
                self._tell()
            self._check_deadline(self._started + options.deadline, "the storm is not over")

    def _calm(self) -> None:
        """No more faults: everybody becomes live, and hears one last message."""
        deadline = time.monotonic() + self.options.calm_time
        with self._changed:
            while not all(person.settled for person in self.people):
                self._check_deadline(deadline, "not everybody is settled")
                self._changed.wait(0.02)
        self.people[0].say_last_words()
        with self._changed:
            while not all(person.heard_end for person in self.people):
                self._check_deadline(deadline, "not everybody has heard the last words")
                self._changed.wait(0.02)
        self.end = max(person.heard_end for person in self.people)

    def _check_deadline(self, deadline: float, what: str) -> None:
        if self._failed or time.monotonic() > deadline:
            waiting = {person.name: person.pending[:3] for person in self.people if not person.heard_end}
            raise TimeoutError(f"{what} in time: cuts {self.proxy.counts['cuts']}, still waiting: {waiting}")

    def _stop_people(self) -> None:
        self.over = True
        for person in self.people:
            if person.network is not None:
                person.network.end()
            person.poke()
        for person in self.people:
            person.thread.join()

    def _tell(self) -> None:
        if not self.options.quiet:
            said = sum(person.confirmed for person in self.people)
            counts = self.proxy.counts
            seconds = time.monotonic() - self._started
            kills = self.counts["kills"]
            print(f"{seconds:5.0f} s: {said} confirmed, {counts['cuts']} cuts, {kills} kills", flush=True)

    # ---- the server ------------------------------------------------------------------------------

    def _start_server(self) -> None:
        options = self.options
        log = ("--history", "300", "--db", str(Path(self._folder.name) / "log.db"))
        self._server = ServerProgram(
            *(log if not options.forgetful else ("--history", "10")),
            *("--grace", str(options.grace), "--rate-limit", "0"),
            *("--ping-after", str(options.ping_after), "--dead-after", str(options.dead_after)),
        )
        self.proxy.upstream = self._server.address

    def _kill_server(self) -> None:
        server = self._server
        assert server is not None
        if server.process.poll() is not None:
            self.fault(f"the server has ended by itself, with status {server.process.returncode}")
        server.process.kill()
        self.proxy.upstream = None
        self._stop_server()
        self.counts["kills"] += 1
        with self._changed:
            self._changed.wait(self._dice.uniform(0, 0.5))
        self._start_server()

    def _stop_server(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.process.kill()
        server.__exit__(None, None, None)
        for number, line in enumerate(server.output):
            if any(word in line for word in ("Traceback", "internal error", "ERROR", "CRITICAL")):
                self.fault("the server said: " + " / ".join(server.output[number : number + 12]))

    # ---- what came of it -------------------------------------------------------------------------

    def _sum_up(self) -> None:
        if not self.end:  # it did not come to its end: what there is is looked at all the same
            self.end = max((e.id for record in self.records for e in record.of(Heard)), default=0)
        self.findings = check(self.records, self.end, self.options.forgetful)
        for person in self.people:
            self.counts += person.counts
        spoken = {(e.id, e.kind) for r in self.records for e in r.of(Heard) if e.kind in ("say", "me", "msg")}
        self.counts["messages"] = len(spoken)
        self.counts["private messages"] = sum(kind == "msg" for _, kind in spoken)

    def report(self) -> str:
        """Return the summary, for people."""
        counts, proxy = self.counts, self.proxy.counts
        rules = Counter(finding.rule for finding in self.findings)
        lines = [
            f"seed {self.options.seed}, {len(self.people)} clients, {len(self.records)} sessions, "
            f"{time.monotonic() - self._started:.0f} s",
            f"{counts['messages']} messages, {counts['private messages']} of them private; "
            f"{self.end} events, heard {counts['heard']} times",
            f"{proxy['cuts']} cuts ({', '.join(f'{proxy[kind]} {kind}' for kind in CUTS)}); of "
            f"{proxy['lines']} connections {proxy['delayed']} delayed, {proxy['in pieces']} in pieces, "
            f"{proxy['stalls']} stalls",
            f"{counts['kills']} kills, {counts['resumes']} resumes, {counts['re-sends']} re-sends, "
            f"{counts['joined anew']} joined anew ({counts['doubtful']} messages in doubt), "
            f"{counts['leave']} left, {counts['vanish']} vanished",
            f"{counts['waits told']} WAITS, {counts['unread told']} UNREAD, {counts['done before']} DONE, "
            f"{counts['lost at resumes']} events forgotten, "
            + ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if name.startswith("refused")),
            f"{rules['lost']} lost, {rules['doubled']} doubled, {rules['order']} out of order, "
            f"{rules['leaked']} leaked; {summary(self.findings)}",
        ]
        if self.options.forgetful:
            lines.insert(0, "the same with a server that forgets:")
        return "\n".join(lines)


def chaos(options: Options) -> int:
    """Run it, print the summary; return the exit status: 1 when anything is wrong."""
    run = Run(options)
    findings = run.run()
    print(run.report())
    for fault in run.faults[:20]:
        print(f"fault: {fault}")
    for finding in findings[:20]:
        print(finding)
    wrong = bool(findings or run.faults)
    folder = options.keep
    if wrong and folder is None:
        folder = Path(tempfile.mkdtemp(prefix=f"charla-chaos-seed-{options.seed}-"))
    if folder is not None:
        save(run.records, folder)
        how = " forgetful" if options.forgetful else ""
        print(f"records: {folder}; to check them again:")
        print(f"    PYTHONPATH=tests python3 -m chaos.checker {folder} {run.end}{how}")
    print(f"seed {options.seed}: {'WRONG' if wrong else 'nothing found'}")
    return 1 if wrong else 0


def main(arguments: list[str] | None = None) -> int:
    """Run it as a command."""
    usual = Options()
    parser = argparse.ArgumentParser(prog="chaos", description="The fault test of Charla.")
    for name in ("clients", "cuts", "kills", "messages", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name), metavar="N")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the records, whatever is found")
    options = Options(**vars(parser.parse_args(arguments)))
    return chaos(options) | chaos(forgetful(options))


def forgetful(options: Options) -> Options:
    """Return a run of a tenth of the size, with a server that forgets: there the tags must do all.

    With a log file every confirmation comes with the resume, and no tag is ever seen twice.
    """
    return replace(
        options,
        forgetful=True,
        kills=0,
        cuts=options.cuts // 10,
        messages=options.messages // 10,
        keep=options.keep and options.keep / "forgetful",
    )


if __name__ == "__main__":
    sys.exit(main())
