"""A reader: the thread of one connection, and everything that its incoming bytes cost.

    recv -> TLS -> LineFramer -> its rate limit -> decode_line -> Dialect.decode_command -> the room's inbox

It talks to the room through the inbox alone, and hears from it in three ways: the replies to its requests
(requests.py), `wait_closing` (nothing more is taken) and `wait_released` (the socket may be closed).
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from dataclasses import replace
from queue import SimpleQueue

from charla.i18n import N_, LazyText
from charla.protocol.commands import Command, Hello, History, Leave, Mod
from charla.protocol.dialect import Dialect
from charla.protocol.framing import LineFramer, decode_line
from charla.protocol.greeting import is_native, read_answer, turn_away
from charla.protocol.native import NATIVE
from charla.protocol.nicks import LEAVE_WORDS, check_nick
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import (
    AskForPassword,
    Ended,
    Item,
    NoSeat,
    PasswordGiven,
    Promote,
    Reply,
    Request,
    Secured,
    Silent,
    TakeSeat,
    Work,
)
from charla.server.network.inbox import Inbox
from charla.server.network.password_check import PASSWORD_TRIES, PasswordCheck, typed_password
from charla.server.network.rate_limit import RateLimit
from charla.server.network.replay_reader import ReplayReader
from charla.server.records import ThrottledLogger, log_fields

log = logging.getLogger("charla")

RECEIVE_SIZE = 4096
"""Bytes of one recv: allocated, for every idle client, before it blocks."""

PING_AFTER = 30.0
"""Seconds of silence after which a client is asked whether it is there."""

DEAD_AFTER = 90.0
"""Seconds of silence, or without taking anything, after which a link is taken for dead."""

HELLO_TIME = 3.0
"""Seconds in which a client must begin to speak TLS, before it is told that this server does."""

CONTROL_SIZE = 512
"""Bytes of one recv behind one in which TLS held no text: 19 KeyUpdates, some 0.3 ms of work, and
not 150.  The rest of a record that came in parts takes a few more of them."""

EMPTY_READS = 3
"""Receptions in a row without the end of a line that are charged as one: our longest line comes in as many.
With TLS one can hold 150 KeyUpdates, each of which is to be answered."""


class Reader:
    """Reads one connection: all that a client's bytes cost, and nothing of anybody else's.

    A thread of its own runs `run`; what it understands it puts into the room's inbox, a chunk's worth
    at a time.  It closes the socket, after the room has released it.
    """

    def __init__(
        self,
        connection: Connection,
        inbox: Inbox[Work],
        rate_limit: RateLimit,
        *,
        replay_lock: threading.Lock | None = None,
        room_check: PasswordCheck | None = None,
        moderators_check: PasswordCheck | None = None,
        throttled: ThrottledLogger | None = None,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        # Shared with other threads: each has a lock, or is one, or says who may touch what (Connection).
        self._connection = connection
        self._inbox = inbox
        self._replay_lock = replay_lock or threading.Lock()
        self._room_check = room_check
        self._moderators_check = moderators_check
        self._throttled = throttled or ThrottledLogger(log)  # outsiders can cause records at any rate
        # This reader's alone.
        self._rate_limit = rate_limit
        self._ping_after = ping_after
        self._dead_after = dead_after
        self._framer = LineFramer()
        self._empty = 0  # receptions since the last end of a line
        self._dialect: Dialect | None = None  # None until the first line has chosen it
        self._locked = room_check is not None  # the room's password has not come yet
        self._tries = 0  # at it
        self._mod_tag: int | None = None  # the tag of a /mod whose password is to come
        self._seated = False
        self._pending: list[Item] = []  # understood, not yet handed over

    def run(self) -> None:
        """Read until the end of the stream or of the connection; then close the socket."""
        reason = "lost"
        try:
            if self._secure():
                self._read_all()
            reason = "left" if self._dialect is PLAIN else "lost"
        except OSError as error:  # reset, timed out, unreachable
            log.debug("%s: %s", self._connection.peer, error)
        except Exception:
            log.exception(N_("internal error while reading from %s: hung up on"), self._connection.peer)
            reason = "error"
        finally:
            self._pending.append(Ended(reason))
            self._hand_over()
            self._connection.wait_released()
            self._connection.sock.close()

    def _secure(self) -> bool:
        """With TLS, do its handshake; say whether there is something to read then.

        Its deadline is the room's, which hangs up.  Nothing else is sent before it is done, but to a client
        that speaks no TLS.
        """
        tls = self._connection.tls
        if tls is None:
            return True
        self._return_from_recv_after(HELLO_TIME)
        if not tls.begins_like_tls():
            self._record("tls-needed", N_("%s turned away: it does not speak TLS"))
            tls.send_in_the_clear(turn_away("tls-needed"))
            return False
        while True:
            try:
                tls.handshake()
                break
            except BlockingIOError:  # SO_RCVTIMEO has passed
                continue
        self._return_from_recv_after(0)
        self._pending.append(Secured())
        self._hand_over()
        return True

    def _record(self, code: str, words: str) -> None:
        peer = self._connection.peer
        key = f"{self._connection.origin} {code}"
        self._throttled.record(logging.WARNING, key, words, peer, extra=log_fields(code, peer=peer))

    def _read_all(self) -> None:
        while data := self._receive():
            lines = self._framer.feed(data)
            if lines:
                self._empty = 0
            elif not self._charge_empty():
                return
            for line in lines:
                if not self._charge_rate_limit():
                    return
                self._read_line(line)
            self._hand_over()
        if self._framer.unfinished:
            # A line that was cut may say something else than was meant: it is not guessed at.
            self._pending.append(Refused("unfinished"))

    def _charge_empty(self) -> bool:
        """Charge what completes no line: one without an end, one byte at a time, TLS that holds no text."""
        self._empty += 1
        if self._framer.skipping or self._empty % EMPTY_READS == 0:
            return self._charge_rate_limit()
        return True

    def _charge_rate_limit(self) -> bool:
        """Charge a line to the rate limit, and wait as long as that says; False when nobody would take it."""
        return self._wait(self._rate_limit.charge())

    def _wait(self, seconds: float) -> bool:
        """Wait; False at once when the connection is over.

        What still comes of one that is closing is read and passed over, without any waiting: bytes that
        nobody has read would take the goodbye away from the client (a reset, RFC 1122, 4.2.2.13).
        """
        if not seconds:
            return True
        self._hand_over()
        if not self._connection.wait_closing(seconds):
            return True
        while not self._connection.wait_released(0) and self._connection.sock.recv(RECEIVE_SIZE) != b"":
            pass
        return False

    def _receive(self) -> bytes:
        """Return what comes next; OSError when the link is lost, or silent for too long."""
        heard, size = time.monotonic(), RECEIVE_SIZE
        while True:
            try:
                data = self._connection.sock.recv(size)
                if data is not None:
                    return data
                size = CONTROL_SIZE
                heard = time.monotonic()
                if not self._charge_empty():
                    return b""
            except BlockingIOError:  # SO_RCVTIMEO has passed
                if time.monotonic() - heard >= self._dead_after:
                    raise TimeoutError(LazyText(N_("silent for %g s"), self._dead_after)) from None
                self._pending.append(Silent())
                self._hand_over()

    def _return_from_recv_after(self, silence: float) -> None:
        """Have `recv` return after so many seconds of silence (0: never).

        Sends are not concerned, as they would be by settimeout().
        """
        seconds = int(silence)
        timeout = struct.pack("@ll", seconds, round((silence - seconds) * 1e6))
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def _hand_over(self) -> None:
        if self._pending:
            self._inbox.put((self._connection, self._pending))
            self._pending = []

    def _read_line(self, line: bytes | None) -> None:
        if self._locked:
            self._read_password(line)
            return
        if not self._seated:
            self._read_answer(line)
            return
        if self._mod_tag is not None:
            self._read_moderators_password(line)
            return
        assert self._dialect is not None
        try:
            item: Item | None = self._dialect.decode_command(decode_line(line))
        except Refused as refused:
            item = refused
        if isinstance(item, Hello):
            item = Refused("malformed", "HELLO")
        if isinstance(item, History):
            self._replay_reader().show_history(item, self._dialect, self._charge_rate_limit)
        elif isinstance(item, Mod):
            self._become_moderator(item)
        elif item is not None:
            self._pending.append(item)

    def _read_answer(self, line: bytes | None) -> None:
        """Take a line that answers NICK; returns when the room has said whether that is a seat."""
        try:
            command = self._decode_answer(decode_line(line))
            if isinstance(command, Leave):
                self._pending.append(command)
                return
            if not isinstance(command, Hello):
                raise Refused("hello-first", tag=getattr(command, "tag", 0))
            hello = command if command.resumes else replace(command, nick=check_nick(command.nick))
        except Refused as refused:
            self._pending.append(NoSeat(refused, self._dialect or PLAIN))
            return
        assert self._dialect is not None
        # Whether the next line is a message or another try depends on the answer.
        reply = self._ask(TakeSeat(hello, self._dialect, SimpleQueue()))
        self._seated = self._replay_reader().catch_up(reply)
        if self._seated and hello.session:
            self._return_from_recv_after(self._ping_after)

    def _decode_answer(self, text: str) -> Command | None:
        if self._dialect is NATIVE:
            return self._dialect.decode_command(text)
        self._dialect = NATIVE if is_native(text) else PLAIN
        return read_answer(text)[1]

    def _ask(self, request: Request, timeout: float | None = None) -> Reply:
        """Hand the room a request, behind all that came before; return its reply.

        Empty when there is none after `timeout` seconds (None: wait for ever).
        """
        self._pending.append(request)
        self._hand_over()
        return request.reply.get(timeout=timeout)

    def _replay_reader(self) -> ReplayReader:
        return ReplayReader(self._ask, self._replay_lock, self._dead_after)

    # ---- passwords -------------------------------------------------------------------------------

    def _read_password(self, line: bytes | None) -> None:
        """Take a line that answers PASSWORD, before there is a seat."""
        assert self._room_check is not None
        typed = typed_password(line)
        if typed.strip().lower().removeprefix("/") in LEAVE_WORDS:
            self._pending.append(Leave())
            return
        self._tries += 1
        refused = self._judge(self._room_check, typed)
        self._locked = refused is not None
        if refused is not None and refused.code == "wrong-password" and self._tries >= PASSWORD_TRIES:
            refused = Refused("too-many-passwords")
        self._pending.append(PasswordGiven(refused, refused is None or refused.code == "wrong-password"))
        self._hand_over()

    def _become_moderator(self, mod: Mod) -> None:
        """Judge the password that came with it, or ask a person for one."""
        if self._moderators_check is None:
            self._pending.append(Refused("no-moderators", tag=mod.tag))
        elif mod.password or self._dialect is NATIVE:
            self._promote(mod.password, mod.tag)
        else:
            self._mod_tag = mod.tag
            self._pending.append(AskForPassword())

    def _read_moderators_password(self, line: bytes | None) -> None:
        """Take the line behind a /mod: whatever it is, it is never shown or said."""
        assert self._mod_tag is not None
        tag, self._mod_tag = self._mod_tag, None
        self._promote(typed_password(line), tag)

    def _promote(self, password: str, tag: int) -> None:
        assert self._moderators_check is not None
        refused = self._judge(self._moderators_check, password)
        if refused is not None:
            refused.tag = tag
        self._pending.append(refused or Promote(tag))

    def _judge(self, check: PasswordCheck, typed: str) -> Refused | None:
        """Return why a password is refused, None when it is right; a wrong one is recorded."""
        refused = check.judge(typed, self._connection.origin, self._wait)
        if refused is not None and refused.code == "wrong-password":
            self._record("wrong-password", N_("wrong password from %s"))
        return refused
