"""The client's network: one thread that owns the connection, and gets it back when it is lost.

Who owns what:

    thread     owns                                                         blocks in
    caller's   joining: `connect` and `join`; from `start` on, nothing      `connect`, `join`
    network    the socket, sending and receiving, who I am in the room,     a selector: the link, or
               the session's token, the highest id taken                    a byte from the caller
    both       `Outbox` (it has a lock); two flags that are only ever set

  What the caller only reads then: whether secrets may be sent (`tells_secrets`), and when the link was
  `heard` last (`silence`).

* The caller puts commands into the outbox and wakes the thread (link.py); nobody else touches the socket.
  So no Ctrl+C can cut a line, and sending never waits for a server that does not read.
* A *link* is one connection, with what is on its way on it.  A *session* is the seat in the room: it
  outlives the link.  When the link is lost the thread connects again (`delay_before`), shows the token and
  the highest id it has taken, takes every later event once, and then sends again, under the same tags,
  what is not confirmed.  The server recognises a tag that it has done: so nothing is said twice.
* When the server has not kept the seat, the thread joins anew.  What was sent before and not confirmed
  may have been said then, so it is not sent again: the listener is told.

Everything that the thread learns it tells a `Listener`, from the thread itself; while a listener's method
has not returned, nothing is received, and no PONG says that it was.  No console is needed for any of this.
"""

from __future__ import annotations

import random as randomness
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from selectors import EVENT_READ

from charla.client.network.connect import ANSWER_TIME, Route, wait_before_again
from charla.client.network.connect import NoConnection as NoConnection  # `connect` raises it
from charla.client.network.events import Arrival, Back, Ended, Ending, Listener
from charla.client.network.link import Connector, Link, LinkLost
from charla.client.network.outbox import Outbox, Tagged
from charla.client.network.trust import Distrusted, Trust
from charla.common.passwords import Password
from charla.protocol.commands import HISTORY_AT_JOIN, NEW_SESSION, Hello, Leave, Mod, Ping, Pong
from charla.protocol.messages import (
    Acted,
    AskNick,
    CaughtUp,
    Crowd,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Refusal,
    Renamed,
    Resumed,
    Said,
    Token,
    Told,
    Unread,
    Welcome,
    WhoPage,
)
from charla.protocol.text import Refused

HANDSHAKE_TIME = 10.0
"""Seconds that one attempt to get the link back may take, from connecting to the greeting, and then again
from the nick to the server's answer; in between, where a password is given, ANSWER_TIME (connect.py)."""

PING_AFTER = 30.0
"""Seconds without anything from the server after which it is asked whether it is there."""

DEAD_AFTER = 90.0
"""Seconds without anything from the server after which the link counts as lost."""

DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each attempt to get the link back; the last one again and again."""

SPREAD = 0.2
"""A delay is up to this part shorter or longer, so that a room full of clients comes not all at once."""

STEADY_AFTER = 1.0
"""Seconds that a link must have held for the delays to begin anew when it is lost."""

QUIET = 1.0
"""Seconds that a link may be down without anybody being told, if the first attempt gets it back."""

AHEAD = 4096
"""Bytes on their way to the kernel up to which more is taken from the outbox, and counts as sent."""

OVERDUE_AFTER = 10.0
"""Seconds after which the listener is told what is not confirmed yet."""

CLOSE_TIME = 1.0
"""Seconds that `close` waits for the thread; only a resolver that does not answer takes longer."""

_EVENTS = (Said, Acted, Told, Joined, Left, Renamed, Crowd, Unread, Notice, Moderated)

# Why a server says BYE to somebody who may come back at once, and whose seat it keeps.
_SEAT_KEPT = ("restart", "slow")
# The same before there is a seat: another attempt may fare better.
_MAY_COME_BACK = ("", *_SEAT_KEPT, "nick-late", "crowded")

# Refusals that no further attempt would change.
_FINAL = (
    *("banned", "banned-for", "version", "tls-needed"),
    *("password-changed", "password-in-clear", "too-many-passwords"),
)
# Refusals that people are told of, while it is tried again.
_TOLD = ("full", "too-many-from-address", "too-many-a-minute", "too-many-guesses")
# Refusals of a new seat that may be over soon.
_FOR_NOW = ("full", "nick-kept", "too-many-from-address", "too-many-a-minute")


def delay_before(attempt: int, delays: Sequence[float], random: Callable[[], float]) -> float:
    """Return the seconds to wait before an attempt (0, 1, 2...) to get the link back."""
    return delays[min(attempt, len(delays) - 1)] * (1 - SPREAD + 2 * SPREAD * random())


class _Over(Exception):
    """The thread has nothing left to do."""

    def __init__(self, how: Ending, code: str = "", arguments: tuple[str, ...] = ()) -> None:
        super().__init__(how)
        self.ended = Ended(how, code, arguments)


class Network:
    """A person's line to the room: `connect`, `give_password` if `asks_password`, `join`, `start`; then
    `send`; `leave`; `close`, always.

    `reconnect`: get a lost link back (only servers that give sessions let one).  `delays` are in seconds
    (see DELAYS), `random` returns numbers from 0 to 1; `give_up_after` seconds without a link it is over
    (None: never).  `history`: show so many messages from before at the join.  `overdue_after`: see
    OVERDUE_AFTER.  `trust`, `password` and
    `insecure` are of the Route; TlsError when the certificates of `trust` cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        nick: str,
        listener: Listener,
        *,
        reconnect: bool = True,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
        delays: Sequence[float] = DELAYS,
        random: Callable[[], float] = randomness.random,
        give_up_after: float | None = None,
        history: int = HISTORY_AT_JOIN,
        overdue_after: float = OVERDUE_AFTER,
        trust: Trust | None = None,
        password: Password | None = None,
        insecure: bool = False,
    ) -> None:
        self.outbox = Outbox()
        self._listener = listener
        self._reconnect = reconnect
        self._ping_after, self._dead_after = ping_after, dead_after
        self._delays, self._random = delays, random
        self._give_up_after = give_up_after
        self._history = history
        self._overdue_after = overdue_after
        # Set once, by the caller's thread or by a listener; read by the network thread.
        self._leaving = self._ending = False
        # The rest is the caller's up to `start`, then the network thread's.
        self.nick = nick
        self._route = Route(host, port, trust=trust, password=password, insecure=insecure)
        self._connector = Connector(self._look_round)
        self._token: str | None = None
        self._grace = 0  # seconds that the server keeps the seat without a link
        self._ghost_until = 0.0  # until then a nick that is taken may be by a seat of ours
        self._last = 0  # highest id of an event that was handed over
        self._last_time = 0  # its time
        self._gaps: list[range] = []  # ids that the server did not hold any more
        # From the loss of a link until everything is caught up; None: the session is live.
        self._down_since: float | None = None
        self._down_reason = ""
        self._told = False  # the listener knows that it is down
        self._told_refusal = False  # and that the server does not let us in yet
        self._resumed: Resumed | None = None  # the server's answer, until LIVE
        self._resumed_after = 0  # the highest id then
        self._caught_up = 0  # events taken since then
        self._lost = 0  # what was not held any more, at resumes that broke before LIVE
        self._missed = 0
        self._attempt = 0
        self._live_since = 0.0
        # Set by the network thread, last.  Not its join alone: one that is interrupted (Ctrl+C) takes the
        # thread for ended, in Python 3.12 and before.
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"network {nick}", daemon=True)

    # ---- the caller's thread, before `start` -----------------------------------------------------

    def connect(self, tell: Callable[[list[str]], None] = lambda _: None) -> None:
        """Connect, also once more, and read the greeting; `tell` what people should know (Route.connect)."""
        self._route.connect(self._connector, tell)

    @property
    def asks_password(self) -> bool:
        """Whether the server waits for a password, before it takes a nick."""
        return self._route.asks_password

    @property
    def password(self) -> Password | None:
        """The server's password, as far as it is known."""
        return self._route.password

    def give_password(self, password: Password) -> None:
        """Give the password that the server asks for (Route.give_password)."""
        self._route.give_password(self._connector, password)

    def join(self, nick: str = "") -> list[Message]:
        """Take a seat (under the nick of the constructor when none is given); return the opening.

        That is Welcome, Here, and between them what was said before.  Refused: a nick that is not to be
        had (call it again with another), or more.  LinkLost, TimeoutError: the server is not there any more.
        """
        self.nick = nick or self.nick
        opening: list[Message] = []
        self._join(opening, time.monotonic() + ANSWER_TIME)
        return opening

    def start(self) -> None:
        """Let the network thread have the connection; from here on it calls the listener."""
        self._live_since = time.monotonic()
        self._thread.start()

    # ---- any thread ------------------------------------------------------------------------------

    def send(self, command: Tagged, line: str) -> None:
        """Send a command, typed as `line`, now or when there is a link again, until it is confirmed.

        Its tag is from `outbox.new_tag`.  Never waits.
        """
        self.outbox.add(command, line)
        self._connector.wake()

    def tells_secrets(self) -> bool:
        """Say whether a password may be sent: nobody on the way could read it, or that is accepted."""
        return self._route.tells_secrets

    def leave(self) -> None:
        """Say goodbye when everything is sent; ends at once when there is no link and nothing unsent."""
        self._leaving = True
        self._connector.wake()

    def end(self) -> None:
        """End it now; does not wait for that."""
        self._ending = True
        self._connector.wake()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait until it is over; say whether it is."""
        if not self._over.wait(timeout):
            return False
        self._thread.join()
        return True

    def silence(self) -> float:
        """Return the seconds since something came; 0 while there is no link to come on."""
        link = self._connector.link
        return 0.0 if link is None or self._down_since is not None else time.monotonic() - link.heard

    def close(self) -> None:
        """End it, and close everything; for the caller's thread, once, last."""
        self.end()
        if self._thread.ident is None:
            self._say_goodbye()
        elif not self.wait_ended(CLOSE_TIME):
            return
        self._connector.close()

    # ---- network thread --------------------------------------------------------------------------

    def _run(self) -> None:
        ended = Ended(Ending.LOST)
        try:
            while True:
                try:
                    self._talk()
                except OSError as error:
                    reason = error.reason if isinstance(error, LinkLost) else ""
                self._lose_link(reason)
                self._get_back()
        except _Over as over:
            ended = over.ended
            if ended.how is Ending.CLOSED:
                self._say_goodbye()
        finally:
            try:
                self._connector.drop()
                self.outbox.close()
                self._listener.ended(ended)
            finally:
                self._over.set()

    def _talk(self) -> None:
        """Send and receive until the link is lost (OSError)."""
        link = self._connector.link
        assert link is not None
        self._take(link.messages())  # what came right behind the opening
        while True:
            self._send(link)
            # When nothing can be sent, only what has come already is waited for.
            events = self._connector.wait(0.0 if link.broken else self._silent_until(link))
            if events & EVENT_READ:
                link.receive()
                self._take(link.messages())
            elif link.broken:
                raise LinkLost
            else:
                self._look_after(link)

    def _send(self, link: Link) -> None:
        """Send what is in the outbox, as much as the link takes: not before all is caught up."""
        link.flush()
        while self._down_since is None and not link.outgoing and not link.broken:
            while len(link.outgoing) < AHEAD and (command := self.outbox.take()) is not None:
                if isinstance(command, Mod) and not self.tells_secrets():
                    line = self.outbox.remove(command.tag)
                    self._hand_over([Arrival(Refusal(command.tag, "password-in-clear"), line)])
                else:
                    link.put(command)
            if not link.outgoing and self._leaving and not link.said_goodbye:
                link.said_goodbye = True
                link.put(Leave())
            if not link.outgoing:
                return
            link.flush()

    def _say_goodbye(self) -> None:
        """End the session, if that can be said without waiting: nobody will come back for the seat."""
        link = self._connector.link
        seated = self._token is not None and (self._down_since is None or self._resumed is not None)
        if link is not None and seated and not link.said_goodbye:
            link.put(Leave())
            link.flush()

    def _silent_until(self, link: Link) -> float | None:
        """Return when to look after a server that says nothing."""
        if self._token is None:  # nor may it know what a PING is
            return None
        if self._down_since is not None:  # not caught up: it would not read a PING
            return link.heard + self._dead_after
        if link.pinged is None:
            return link.heard + self._ping_after
        return link.pinged + self._dead_after - self._ping_after

    def _look_after(self, link: Link) -> None:
        """Ask a server that says nothing whether it is there; LinkLost when it did not answer.

        It is always asked first: whoever was stopped for an hour (Ctrl+Z) need not have lost anything.
        """
        until = self._silent_until(link)
        if until is None or time.monotonic() < until:
            return
        if link.pinged is not None or self._down_since is not None:
            raise LinkLost
        link.pinged = time.monotonic()
        link.put(Ping(self._last))

    # ---- what comes ------------------------------------------------------------------------------

    def _take(self, messages: list[Message]) -> None:
        """Hand messages over; answer a PING, behind them.  LinkLost, _Over: a BYE."""
        arrivals: list[Arrival] = []
        pinged, goodbye = False, None
        for message in messages:
            match message:
                case Ping():
                    pinged = True
                case CaughtUp(id):
                    self._hand_over(arrivals)
                    arrivals = []
                    self._live(id)
                case Goodbye(reason):
                    goodbye = reason
                    break
                case _:
                    arrivals += self._arrival(message)
        self._hand_over(arrivals)
        if pinged and self._connector.link is not None:
            self._connector.link.put(Pong(self._last))
        if goodbye in _SEAT_KEPT:
            raise LinkLost(goodbye)
        if goodbye is not None:
            raise _Over(Ending.GOODBYE, goodbye)

    def _hand_over(self, arrivals: list[Arrival]) -> None:
        if arrivals:
            self._listener.arrived(arrivals)

    def _arrival(self, message: Message) -> list[Arrival]:
        """Take note of a message; return what there is to hand over: nothing for what was seen before."""
        line = self.outbox.settle(message)
        if isinstance(message, _EVENTS):
            # A repetition is confirmed with its old event; in the gap that one has never been seen.
            seen = message.id <= self._last and not (
                line is not None and any(message.id in gap for gap in self._gaps)
            )
            if message.id > self._last:
                self._last, self._last_time = message.id, message.time
            if seen and self._token is not None:
                return []
            if isinstance(message, Renamed) and message.old == self.nick:
                self.nick = message.nick
            if self._resumed is not None:
                self._caught_up += 1
                if isinstance(message, (Said, Acted, Told)) and not message.tag:
                    self._missed += 1
        elif isinstance(message, Resumed):
            if self._resumed is not None:  # in the middle: it took so long that more is not held any more
                self._note_gap(message.lost)
                self._resumed = replace(message, lost=self._resumed.lost + message.lost)
            return []
        elif isinstance(message, (AskNick, Pong, Token)):
            return []
        return [Arrival(message, line)]

    def _live(self, id: int) -> None:  # noqa: A002 - what it is
        """Everything is caught up: the session goes on."""
        resumed, since = self._resumed, self._down_since
        if resumed is None or since is None:
            return
        self._last = max(self._last, id)
        self.nick = resumed.nick
        back = Back(resumed.nick, self._missed, time.monotonic() - since, self._lost + resumed.lost)
        self._is_up()
        self._listener.back(back)

    def _note_gap(self, lost: int) -> None:
        if lost:
            self._gaps.append(range(self._last + 1, self._last + 1 + lost))

    def _is_up(self) -> None:
        self._resumed = self._down_since = None
        self._live_since = time.monotonic()
        self.outbox.new_link()

    # ---- losing the link, and getting it back ----------------------------------------------------

    def _lose_link(self, reason: str) -> None:
        """Take note that the link is lost; _Over when that is the end."""
        self._connector.drop()
        if self._token is None or not self._reconnect:
            raise _Over(Ending.GOODBYE, reason) if reason else _Over(Ending.LOST)
        now = time.monotonic()
        if self._down_since is None:
            if now - self._live_since >= STEADY_AFTER:
                self._attempt = 0
            self._down_since, self._missed, self._lost = now, 0, 0
            self._told = self._told_refusal = False
        if self._resumed is not None:
            # The next resume begins behind what was taken of this one, and will not tell of its gap again.
            behind = self._last - self._resumed_after - self._caught_up
            self._lost += max(0, min(self._resumed.lost, behind))
        self._down_reason = reason
        self._resumed = None

    def _get_back(self) -> None:
        """Connect and resume, as often as it takes; _Over when that is not to be."""
        at_least = 0.0
        while True:
            self._pause(max(at_least, delay_before(self._attempt, self._delays, self._random)))
            self._attempt += 1
            at_least = 0.0
            try:
                deadline = time.monotonic() + HANDSHAKE_TIME
                self._route.reconnect(self._connector, deadline)
                self._resume(time.monotonic() + HANDSHAKE_TIME)
                return
            except LinkLost as lost:
                if lost.reason not in _MAY_COME_BACK:
                    raise _Over(Ending.GOODBYE, lost.reason) from None
            except Distrusted as distrusted:
                raise _Over(Ending.UNTRUSTED, "", distrusted.lines) from None
            except Refused as refused:  # it is full, or not Charla's
                if refused.code in _FINAL:
                    raise _Over(Ending.REFUSED, refused.code, refused.arguments) from None
                at_least = wait_before_again(refused) or 0.0
                if refused.code in _TOLD and not self._told_refusal:
                    self._told = self._told_refusal = True
                    self._listener.down(" ".join((refused.code, *refused.arguments)))
            except (OSError, UnicodeError):  # nobody there
                pass
            self._connector.drop()
            self._tell_down()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self._look_round(time.monotonic())  # also when there is nothing to wait for
        while time.monotonic() < until:
            self._connector.wait(until)

    def _resume(self, deadline: float) -> None:
        """Ask for the seat; when it is gone, for another one."""
        assert self._token is not None
        self._connector.put(Hello(self.nick, self._token, self._last))
        while True:
            match self._connector.next_message(deadline):
                case Resumed() as resumed:
                    self._resumed, self._resumed_after, self._caught_up = resumed, self._last, 0
                    self._note_gap(resumed.lost)
                    return
                case Refusal(_, "no-session"):
                    self._join_anew()
                    return
                case Refusal(_, code, arguments):
                    raise Refused(code, *arguments)

    def _join_anew(self) -> None:
        """Take another seat under the same nick, on the same link."""
        if self._leaving and not self.outbox.never_sent():
            raise _Over(Ending.SEAT_GONE)
        since, last, last_time = self._down_since, self._last, self._last_time
        assert since is not None
        opening: list[Message] = []
        broken = None
        try:
            self._join(opening, time.monotonic() + HANDSHAKE_TIME)
        except Refused as refused:
            if refused.code in _FOR_NOW or time.monotonic() < self._ghost_until:
                raise  # it may be free soon: this attempt has failed, and there will be others
            raise _Over(Ending.REFUSED, refused.code, refused.arguments) from None
        except OSError as error:
            if not any(isinstance(message, Token) for message in opening):
                # The server may have made the seat all the same, and keep it for somebody without a token.
                self._ghost_until = time.monotonic() + self._grace
                raise
            broken = error  # the seat is ours: the next attempt resumes it
        # A server that was started anew counts from 1 again: that an id was seen says nothing then.
        fresh = [
            message
            for message in opening
            if not (
                isinstance(message, HistoryEntry)
                and message.event.id <= last
                and message.event.time <= last_time
            )
        ]
        past = sum(isinstance(message, HistoryEntry) for message in fresh)
        opening = [replace(m, count=past) if isinstance(m, HistoryHeader) else m for m in fresh]
        doubtful = self.outbox.forget_sent()
        if broken is None:
            self._is_up()
        self._listener.joined_anew(opening, doubtful, time.monotonic() - since)
        if broken is not None:
            self._told = False
            raise broken

    def _join(self, opening: list[Message], deadline: float) -> None:
        """Ask for a seat, and read the opening, up to who is here."""
        self._connector.put(Hello(self.nick, NEW_SESSION, history=self._history))
        welcome, newest, has_seat = None, (0, 0), False
        while not (opening and isinstance(opening[-1], WhoPage)):
            message = self._connector.next_message(deadline)
            match message:
                case Refusal(_, code, arguments) if not opening:
                    raise Refused(code, *arguments)
                case Welcome():
                    welcome, newest = message, (message.id, message.time)
                case Token() | WhoPage() if welcome is not None and not has_seat:
                    # Not before: until there is another token the old one has to do.
                    has_seat = True
                    self._token = message.token if isinstance(message, Token) else None
                    self._grace = message.grace if isinstance(message, Token) else 0
                    self.nick, self._gaps = welcome.nick, []
            if isinstance(message, _EVENTS):
                newest = (message.id, message.time)
            if has_seat:
                self._last, self._last_time = newest
            opening.append(message)

    # ---- while the link is down --------------------------------------------------------------------

    def _look_round(self, now: float) -> float | None:
        """Do what is due, most of it while the link is down; return when to look again, if ever."""
        if self._ending:
            raise _Over(Ending.CLOSED)
        lines, next_since = self.outbox.overdue(now - self._overdue_after)
        if lines:
            self._listener.overdue(lines)
        times = [] if next_since is None else [next_since + self._overdue_after]
        if self._down_since is None:
            return min(times, default=None)
        if self._leaving and not self.outbox.unsent():
            raise _Over(Ending.CLOSED)
        if self._give_up_after is not None and self._resumed is None:
            times.append(self._down_since + self._give_up_after)
            if now >= times[-1]:
                raise _Over(Ending.GAVE_UP)
        if not self._told:
            if now >= self._down_since + QUIET:
                self._tell_down()
            else:
                times.append(self._down_since + QUIET)
        return min(times, default=None)

    def _tell_down(self) -> None:
        if not self._told:
            self._told = True
            self._listener.down(self._down_reason)
