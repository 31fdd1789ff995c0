"""A proxy that breaks connections, by a seed: what a bad network does to a chat, many times a minute.

Between clients and a server, on the loopback.  One thread owns every socket; `counts` is written by it alone.
A *line* is one client's connection through the proxy: two sockets, and a *way* in each direction.  The n-th
line gets the n-th plan of the seed: the same seed, the same plans (when they strike depends on timing).

What is done to a line, once, at its moment (after so many bytes, in the midst of a line of text as a rule,
or after so many seconds): this is what `cuts` counts, and exactly so many are done.

    fin          the stream ends, for both ends or for one; the other one hears nothing any more
    reset        the same with an RST
    blackhole    what is sent is swallowed, both ways or one; the connection stays open

And all the time, to some lines: what passes is delayed (in order), comes in pieces of a few bytes, or is
not read for a while (so that the sender's buffers fill).  None of these three is a cut.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import random
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

QUEUE = 64 * 1024
"""Bytes that wait in one way of a line, at the most; beyond that the sender is not read."""

OPENING = 400
"""Bytes within which an early cut comes: the greeting, HELLO, WELCOME or RESUMED, the first events."""

LATE = 150_000
"""Bytes within which a later one comes, unless its time comes before."""

HALF_DEAD_TIME = 30.0
"""Seconds after which what was left open and silent is reset: nothing of ours stays for ever."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s

CUTS = ("fin", "reset", "blackhole")
CLIENT, SERVER = 0, 1
_BOTH = (CLIENT, SERVER)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done to a line.  Times in seconds."""

    kind: str  # of CUTS
    ends: tuple[int, ...]  # who is told by fin or reset; whose bytes a blackhole swallows
    after_bytes: int
    after_seconds: float
    keep: bool  # what waits in the line is still passed on before a fin
    delay: float = 0.0  # of every chunk, at the most
    pieces: bool = False
    stalls: tuple[tuple[int, int, float], ...] = ()  # (whose bytes, after so many of them, how long)


def plan(seed: object, number: int, lifetime: float) -> Plan:
    """Return the plan of the line with this number; lines are cut after `lifetime` seconds on average."""
    dice = random.Random(f"{seed} line {number}")
    early = dice.random() < 0.2
    return Plan(
        kind=dice.choices(CUTS, (40, 40, 20))[0],
        ends=dice.choices((_BOTH, (CLIENT,), (SERVER,)), (50, 25, 25))[0],
        after_bytes=dice.randrange(OPENING if early else LATE),
        after_seconds=dice.expovariate(1 / lifetime),
        keep=dice.random() < 0.5,
        delay=dice.uniform(0.002, 0.15) if dice.random() < 0.25 else 0.0,
        pieces=dice.random() < 0.2,
        stalls=tuple(
            (dice.choice(_BOTH), dice.randrange(LATE), dice.uniform(0.05, 0.8))
            for _ in range(dice.choice((0, 0, 0, 1, 2)))
        ),
    )


class _Way:
    """What goes from one end of a line to the other."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.pending: deque[tuple[float, bytes]] = deque()  # (not before, what)
        self.waiting = 0  # bytes in `pending`
        self.passed = 0  # bytes ever read
        self.swallows = False
        self.stalled = False
        self.armed = False  # a timer will send on
        self.ended = False  # the source has sent its end
        self.passed_end = False  # and the sink has been told


class _Line:
    """One client's connection through the proxy."""

    def __init__(self, number: int, client: socket.socket, server: socket.socket, what: Plan) -> None:
        self.plan = what
        self.dice = random.Random(f"pieces of line {number}")
        self.sockets = (client, server)
        self.ways = (_Way(client, server), _Way(server, client))
        self.stalls = list(what.stalls)
        self.cut = False  # its plan was carried out, or will not be
        self.broken = False  # what is left of it is two ends that know nothing of each other
        self.closed = False

    @property
    def passed(self) -> int:
        """Bytes that came, from both ends."""
        return self.ways[0].passed + self.ways[1].passed


class Proxy:
    """Breaks what passes through it, `cuts` times in all.  Listens at `address`; leads to `upstream`.

    `upstream` may be set at any time by any thread; None while the server is down: who connects is reset.
    `make_plan` returns what is to be done to the line with a number.
    """

    def __init__(
        self,
        make_plan: Callable[[int], Plan],
        cuts: int,
        upstream: tuple[str, int] | None = None,
        changed: threading.Condition | None = None,
    ) -> None:
        self.upstream = upstream
        self.counts: Counter[str] = Counter()  # lines, refused, cuts, each of CUTS, delayed, ...
        self._changed = changed or threading.Condition()  # notified at every cut
        self._make_plan = make_plan
        self._cuts_left = cuts
        self._closing = False  # set by any thread, once
        self._lines: set[_Line] = set()
        self._line_of: dict[socket.socket, tuple[_Line, int]] = {}  # and which end of it
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.address: tuple[str, int] = self._listener.getsockname()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._thread.start()

    # ---- any thread ------------------------------------------------------------------------------

    def close(self) -> None:
        """Reset everything and end; returns when the thread has ended.  Once is enough."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._wake_writer.send(b"\0")
        self._thread.join()
        self._wake_writer.close()

    @property
    def open_lines(self) -> int:
        """How many lines have an end open."""
        return len(self._lines)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the proxy's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        try:
            while not self._closing:
                due = self._timers[0][0] - time.monotonic() if self._timers else 60.0
                wait = min(max(due, 0.0), 60.0)
                for key, mask in self._selector.select(wait):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif isinstance(key.fileobj, socket.socket) and key.fileobj is not self._wake_reader:
                        self._ready(key.fileobj, mask)
                while self._timers and self._timers[0][0] <= time.monotonic():
                    heapq.heappop(self._timers)[2]()
        finally:
            for line in list(self._lines):
                self._end(line)
            self._selector.close()
            self._listener.close()
            self._wake_reader.close()

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._count), what))

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        upstream = self.upstream
        server = socket.socket()
        server.setblocking(False)
        client.setblocking(False)
        code = server.connect_ex(upstream) if upstream is not None else errno.ECONNREFUSED
        if code not in (0, errno.EINPROGRESS):
            self.counts["refused"] += 1
            _close_with_reset(client)
            server.close()
            return
        number = self.counts["lines"]
        self.counts["lines"] += 1
        line = _Line(number, client, server, self._make_plan(number))
        self._lines.add(line)
        for end, sock in enumerate(line.sockets):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._line_of[sock] = (line, end)
            self._selector.register(sock, selectors.EVENT_READ)
        if self._cuts_left:
            self.counts["delayed"] += line.plan.delay > 0
            self.counts["in pieces"] += line.plan.pieces
            self._at(time.monotonic() + line.plan.after_seconds, lambda: self._strike(line))
        else:
            line.cut = True

    def _ready(self, sock: socket.socket, mask: int) -> None:
        line, end = self._line_of.get(sock, (None, 0))
        if line is None:
            return  # closed by what came before it in this round
        try:
            if mask & selectors.EVENT_WRITE:
                self._send(line, line.ways[1 - end])
            if mask & selectors.EVENT_READ and not line.closed:
                self._receive(line, end)
        except OSError:
            if line.broken:
                self._close_end(line, end)
            else:
                self._end(line)

    def _receive(self, line: _Line, end: int) -> None:
        way = line.ways[end]
        try:
            data = way.source.recv(16 * 1024)
        except BlockingIOError:
            return
        if line.broken:
            if not data:
                self._close_end(line, end)
            return
        if not data:
            way.ended = True
            self._send(line, way)
            return
        until = line.plan.after_bytes - line.passed
        if not line.cut and self._cuts_left and len(data) >= until:
            until = max(0, until)
            self._pass_on(line, way, data[:until])
            self._strike(line)
            data = data[until:]
        if not (line.broken or line.closed):
            self._pass_on(line, way, data)  # behind a cut as well, when that is for the other way alone
            self._stall(line, end)

    def _pass_on(self, line: _Line, way: _Way, data: bytes) -> None:
        way.passed += len(data)
        if not data or way.swallows:
            return
        # Whose cuts are all done is a good network.
        delay = line.dice.uniform(0, line.plan.delay) if self._cuts_left else 0.0
        due = time.monotonic() + delay
        if way.pending:
            due = max(due, way.pending[-1][0])
        way.pending.append((due, data))
        way.waiting += len(data)
        self._send(line, way)

    def _stall(self, line: _Line, end: int) -> None:
        """Do not read one end for a while, if that is planned for now."""
        for stall in line.stalls:
            whose, after, seconds = stall
            if whose == end and line.ways[end].passed >= after and self._cuts_left and not line.closed:
                line.stalls.remove(stall)
                self.counts["stalls"] += 1
                line.ways[end].stalled = True
                self._watch(line)
                self._at(time.monotonic() + seconds, lambda: self._read_again(line, end))
                return

    def _read_again(self, line: _Line, end: int) -> None:
        line.ways[end].stalled = False
        self._watch(line)

    def _send(self, line: _Line, way: _Way) -> None:
        """Pass on what is due, and the end behind it."""
        while way.pending:
            due, data = way.pending[0]
            now = time.monotonic()
            if due > now:
                if not way.armed:
                    way.armed = True
                    self._at(due, lambda: self._send_later(line, way))
                break
            if line.plan.pieces and self._cuts_left:
                most = 16 if way.passed < 2000 else 512
                piece = data[: line.dice.randint(1, most)]
            else:
                piece = data
            try:
                sent = way.sink.send(piece)
            except BlockingIOError:
                break
            way.waiting -= sent
            if sent < len(data):
                way.pending[0] = (due, data[sent:])
            else:
                way.pending.popleft()
        if way.ended and not way.pending and not way.passed_end:
            way.passed_end = True
            if not way.swallows:
                with contextlib.suppress(OSError):
                    way.sink.shutdown(socket.SHUT_WR)
        if line.ways[0].passed_end and line.ways[1].passed_end:
            self._end(line, reset=False)
        self._watch(line)

    def _send_later(self, line: _Line, way: _Way) -> None:
        way.armed = False
        if not line.closed and not line.broken:
            try:
                self._send(line, way)
            except OSError:
                self._end(line)

    def _watch(self, line: _Line) -> None:
        """Have the selector watch what there is to do."""
        now = time.monotonic()
        for end, sock in enumerate(line.sockets):
            if sock not in self._line_of:
                continue  # closed
            out, back = line.ways[end], line.ways[1 - end]
            mask = 0
            if not out.ended and not out.stalled and out.waiting < QUEUE:
                mask |= selectors.EVENT_READ
            if back.pending and back.pending[0][0] <= now:
                mask |= selectors.EVENT_WRITE
            known = self._selector.get_map().get(sock)
            if known is None:
                if mask:
                    self._selector.register(sock, mask)
            elif not mask:
                self._selector.unregister(sock)
            elif known.events != mask:
                self._selector.modify(sock, mask)

    # ---- cuts ------------------------------------------------------------------------------------

    def _strike(self, line: _Line) -> None:
        """Carry out the plan of a line; not twice, and not when all the cuts are done."""
        if line.cut or line.closed:
            return
        line.cut = True
        if not self._cuts_left:
            return
        what = line.plan
        self._cuts_left -= 1
        self.counts["cuts"] += 1
        self.counts[what.kind] += 1
        if what.kind == "blackhole" and what.ends != _BOTH:
            self._empty(line.ways[what.ends[0]])
            line.ways[what.ends[0]].swallows = True
        else:
            line.broken = True
            for end in _BOTH:
                way = line.ways[end]
                if what.keep and what.kind == "fin":
                    with contextlib.suppress(OSError):  # full: then that much is lost
                        for _, data in way.pending:
                            way.sink.send(data)
                self._empty(way)
                way.swallows, way.stalled = True, False
            for end in what.ends if what.kind != "blackhole" else ():
                if what.kind == "reset":
                    self._close_end(line, end)
                else:
                    with contextlib.suppress(OSError):
                        line.sockets[end].shutdown(socket.SHUT_WR)
        self._watch(line)
        self._at(time.monotonic() + HALF_DEAD_TIME, lambda: self._end(line))
        with self._changed:
            self._changed.notify_all()

    def _empty(self, way: _Way) -> None:
        way.pending.clear()
        way.waiting = 0

    def _close_end(self, line: _Line, end: int) -> None:
        """Close one end of a line whose other end is not to know; the line is over with the second."""
        sock = line.sockets[end]
        self._forget(sock)
        _close_with_reset(sock)
        line.ways[end].ended = True
        if line.ways[0].ended and line.ways[1].ended:
            self._end(line)

    def _forget(self, sock: socket.socket) -> None:
        if self._line_of.pop(sock, None) is not None and sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _end(self, line: _Line, reset: bool = True) -> None:
        """Close both ends of a line; with an RST unless both have said their end."""
        if line.closed:
            return
        line.closed = True
        self._lines.discard(line)
        for sock in line.sockets:
            self._forget(sock)
            if reset:
                _close_with_reset(sock)
            else:
                sock.close()


def _close_with_reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
