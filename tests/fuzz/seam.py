"""The TLS filter between two ends under any traffic: sliced, stalled, crossed, cut short and damaged.

The wire is in memory.  The input is a script: after one byte (0xc0 and above: it begins before the handshake)
steps of three bytes each: what is done (the lowest bit: by which end), and a number for how much.
"""

from __future__ import annotations

import functools
import socket
import ssl
import tempfile
from collections.abc import Callable

from charla.common.certificates import client_context, own_certificate, server_context
from charla.common.tls import AHEAD, TlsSocket

STEPS = 100
"""Things done of a script."""

_TEXT = bytes(range(251)) * 400  # no two places within 251 bytes look the same
_RECORD_COST = 22  # bytes of a record besides its text (RFC 8446, 5.2)


class _Wire:
    """One end's socket: what it sends waits in `sent` until it is carried to the other end's `came`."""

    def __init__(self) -> None:
        self.room: int | None = None  # bytes that it takes yet; None: any
        self.sent = bytearray()
        self.came = bytearray()
        self.ended = False  # nothing comes behind `came`
        self.shut = False  # end of stream was sent
        self.total = 0  # bytes that were ever sent

    def send(self, data: bytes, _flags: int = 0) -> int:
        taken = len(data) if self.room is None else min(self.room, len(data))
        if data and not taken:
            raise BlockingIOError
        if self.shut:
            raise BrokenPipeError
        if self.room is not None:
            self.room -= taken
        self.sent += data[:taken]
        self.total += taken
        return taken

    def recv(self, size: int, _flags: int = 0) -> bytes:
        if not self.came and not self.ended:
            raise BlockingIOError
        data = bytes(self.came[:size])
        del self.came[:size]
        return data

    def shutdown(self, _how: int) -> None:
        self.shut = True


class _End:
    """One end: its filter, what was said into it and what has come out."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.wire = _Wire()
        name = None if server_side else "localhost"
        self.tls = TlsSocket(
            self.wire,  # type: ignore[arg-type]
            context,
            server_side=server_side,
            server_hostname=name,
        )
        self.secured = False
        self.broken = False
        self.said = 0  # bytes of _TEXT that were taken
        self.heard = 0  # bytes of the other's _TEXT that came out
        self.left = False  # it has said goodbye
        self.finished = False  # the other has

    def do(self, act: Callable[[], None]) -> None:
        """Do something that may fail in the ways that it is allowed to."""
        try:
            act()
        except BlockingIOError:
            pass
        except OSError:  # ssl.SSLError is one
            self.broken = True

    def shake(self) -> None:
        if not self.secured and self.tls.handshake_step():
            self.secured = True

    def say(self, size: int) -> None:
        at = self.said % 251
        if not self.secured or self.left:
            return
        self.said += self.tls.send(_TEXT[at : at + size], socket.MSG_DONTWAIT)

    def flush(self) -> None:
        if self.secured:
            self.tls.send(b"", socket.MSG_DONTWAIT)
        else:
            self.shake()

    def hear(self, size: int = 65536) -> None:
        if not self.secured:
            self.shake()
            return
        text = self.tls.recv(size)
        if text is None:
            return
        assert text or self.wire.ended or self.finished or not self.broken
        self.finished = self.finished or not text
        at = self.heard % 251
        assert text == _TEXT[at : at + len(text)], "that was not said"
        self.heard += len(text)


@functools.cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    with tempfile.TemporaryDirectory() as folder:
        cert, key = own_certificate(f"{folder}/pair")
        return server_context(cert, key), client_context(cert)


def seam(data: bytes) -> None:
    """What comes out of one end is what went into the other, or its beginning, and soon an OSError."""
    contexts = _contexts()
    ends = _End(contexts[0], server_side=True), _End(contexts[1], server_side=False)
    damaged = False
    if data[:1] < b"\xc0":  # else the script begins before the handshake
        _settle(ends)
        assert all(end.secured for end in ends)
    steps = [data[at : at + 3] for at in range(1, len(data) - 2, 3)][:STEPS]
    for do, high, low in steps:
        end, other = (ends[0], ends[1]) if do & 1 else (ends[1], ends[0])
        damaged |= _step(do >> 1, end, other, high << 8 | low)
        for each, far in ((end, other), (other, end)):
            assert each.heard <= far.said
    for end in ends:
        end.wire.room = None
    _settle(ends)
    for each, far in (ends, ends[::-1]):
        if not damaged:
            assert each.secured
            assert each.heard == far.said
            assert each.finished == far.left
            assert not each.broken
    for end in ends:
        end.tls.shutdown(socket.SHUT_RDWR)


def _step(do: int, end: _End, other: _End, number: int) -> bool:
    """Do one thing; return whether it damages the traffic."""
    wire = end.wire
    match do % 10:
        case 0 | 1:
            before, sent = end.said, wire.total
            end.do(lambda: end.say(number))
            assert end.said - before <= wire.total - sent + AHEAD, "too much is encrypted ahead"
        case 2:
            end.do(lambda: end.hear(number % 5000 + 1))
        case 3:
            _carry(end, other, number)
        case 4:
            _carry(end, other, len(wire.sent))
            other.do(other.hear)
        case 5:
            wire.room = None if number > 60000 else number
        case 6:
            if end.secured and number % 4 == 0:
                end.left = True
                end.do(lambda: end.tls.shutdown(socket.SHUT_WR))
        case 7:
            end.do(end.shake)
        case 8 if wire.came:
            wire.came[number % len(wire.came)] ^= 1 << number % 8
            return True
        case 9:
            if number % 3 == 0:
                wire.ended = True
            elif number % 3 == 1:
                del wire.came[number % (len(wire.came) + 1) :]
            else:
                wire.came += number.to_bytes(2, "big") * 9
            return True
    return False


def _carry(end: _End, other: _End, size: int) -> None:
    other.wire.came += end.wire.sent[:size]
    del end.wire.sent[:size]
    if end.wire.shut and not end.wire.sent:
        other.wire.ended = True


def _settle(ends: tuple[_End, _End]) -> None:
    """Carry and read until nothing moves any more."""
    idle = 0
    for _ in range(100):
        before = _standing(ends)
        for end, other in (ends, ends[::-1]):
            if end.tls.pending:
                end.do(end.flush)
            _carry(end, other, len(end.wire.sent))
            if not other.broken and not other.finished:
                other.do(other.hear)
        idle = idle + 1 if before == _standing(ends) else 0
        if idle == 2:  # the first step of a handshake receives nothing
            return
    raise AssertionError("this goes on for ever")


def _standing(ends: tuple[_End, _End]) -> list[object]:
    return [(end.heard, end.secured, end.finished, len(end.wire.came), end.wire.total) for end in ends]
