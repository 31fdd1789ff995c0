"""A person's session in the room: what came and what time it is -> what to send and what to tell.  No I/O.

thread.py has the socket and the clock.  It calls the session with what happens (`receive`, `link_lost`,
`look_round`...) and the time of time.monotonic; afterwards `data_to_send` is what is to go out, `told` what a
listener is to be told, `ended` says that it is over, and while the phase is DOWN a link is wanted at
`attempt_at`.

* A *link* is one connection, with what is on its way on it.  A *session* is the seat in the room: it
  outlives the link.  On a new link it shows the token and the highest id that it has taken, takes every
  later event once, and then sends again, under the same tags, what is not confirmed.  The server recognises
  a tag that it has done: so nothing is said twice.
* When the server has not kept the seat, the session joins anew.  What was sent before and not confirmed may
  have been said then, so it is not sent again: the listener is told.
"""

from __future__ import annotations

import random as randomness
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum, auto

from charla.client.network.events import Arrival, Back, Down, Ended, Ending, JoinedAnew, Overdue, Telling
from charla.client.network.outbox import Outbox
from charla.protocol.commands import HISTORY_AT_JOIN, NEW_SESSION, Command, Hello, Leave, Mod, Ping, Pong
from charla.protocol.messages import (
    Acted,
    AskNick,
    CaughtUp,
    Event,
    Goodbye,
    HistoryEntry,
    HistoryHeader,
    Message,
    Refusal,
    Renamed,
    Resumed,
    Said,
    Token,
    Told,
    Welcome,
    WhoPage,
)
from charla.protocol.native import NATIVE
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

LONGEST_WAIT = 60.0
"""Seconds that a server can have a client wait before it gives its password again, at the most."""

STEADY_AFTER = 1.0
"""Seconds that a link must have held for the delays to begin anew when it is lost."""

QUIET = 1.0
"""Seconds that a link may be down without anybody being told, if the first attempt gets it back."""

AHEAD = 4096
"""Bytes on their way to the kernel up to which more is taken from the outbox, and counts as sent."""

OVERDUE_AFTER = 10.0
"""Seconds after which the listener is told what is not confirmed yet."""

# Why a link ends, by itself or with a BYE, although the server keeps the seat.
_SEAT_KEPT = ("", "restart", "slow")
# The same before there is a seat: another attempt may fare better.
_MAY_COME_BACK = (*_SEAT_KEPT, "nick-late", "crowded")

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


def wait_before_again(refused: Refused) -> float | None:
    """Return in how many seconds to try again, where the server asks for that; None: it does not."""
    if refused.code != "too-many-guesses":
        return None
    seconds = next(iter(refused.arguments), "")
    return min(float(seconds), LONGEST_WAIT) if re.fullmatch("[0-9]{1,15}", seconds) else LONGEST_WAIT


class Phase(Enum):
    """What the session is at."""

    DOWN = auto()  # there is no link whose greeting was read
    RESUMING = auto()  # the token was shown, and is not answered
    JOINING = auto()  # a seat was asked for; its opening comes
    CATCHING_UP = auto()  # RESUMED came, and then what was missed, up to LIVE
    LIVE = auto()


class Session:
    """A session, from joining to the end.  Times are of time.monotonic, periods in seconds.

    `reconnect`: get a lost link back (only servers that give sessions let one).  `delays`: see DELAYS;
    `random` returns numbers from 0 to 1.  `give_up_after` seconds without a link it is over (None: never).
    `history`: show so many messages from before at the join.  `overdue_after`: see OVERDUE_AFTER.
    """

    def __init__(
        self,
        nick: str,
        *,
        reconnect: bool = True,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
        delays: Sequence[float] = DELAYS,
        random: Callable[[], float] = randomness.random,
        give_up_after: float | None = None,
        history: int = HISTORY_AT_JOIN,
        overdue_after: float = OVERDUE_AFTER,
    ) -> None:
        # Both threads: it has a lock.
        self.outbox = Outbox()
        # Set once, by any thread; read by the one that has the link.
        self.leaving = False  # say goodbye when everything is sent
        self.ending = False  # end it now
        # The rest belongs to the thread that has the link: the caller's until the network thread starts,
        # then that one.  Even then the caller's may read `nick`, `phase` and `heard`.
        self.nick = nick
        self.phase = Phase.DOWN
        self.opening: list[Message] = []  # of the seat that was asked for last
        self.told: list[Telling] = []  # what the listener is still to be told, in order
        self.ended: Ended | None = None  # there is nothing left to do
        self.attempt_at = 0.0  # DOWN: when to try to get the link back
        self.heard = 0.0  # when something came last
        self._reconnect = reconnect
        self._ping_after, self._dead_after = ping_after, dead_after
        self._delays, self._random = delays, random
        self._give_up_after = give_up_after
        self._history = history
        self._overdue_after = overdue_after
        self._token: str | None = None
        self._grace = 0  # seconds that the server keeps the seat without a link
        self._ghost_until = 0.0  # until then a nick that is taken may be by a seat of ours
        self._last = 0  # highest id of an event that was handed over
        self._last_time = 0  # its time
        self._gaps: list[range] = []  # ids that the server did not hold any more
        # Of the link that is up.
        self._outgoing = bytearray()
        self._pinged: float | None = None  # when a PING was sent that nothing has come after
        self._said_goodbye = False
        self._answer_until = 0.0  # RESUMING, JOINING: the server must have answered
        self._live_since = 0.0
        # From the loss of a link until everything is caught up; None: LIVE, or not yet joined.
        self._down_since: float | None = None
        self._down_reason = ""
        self._attempt = 0
        self._told_down = False  # the listener knows that it is down
        self._told_refusal = False  # and that the server does not let us in yet
        self._missed = 0
        self._lost = 0  # what was not held any more, at resumes that broke before LIVE
        # CATCHING_UP: what the server says of the seat, the highest id before it, and the events taken since.
        self._resumed = Resumed("", 0, 0)
        self._resumed_after = self._caught_up = 0

    # ---- what happens ----------------------------------------------------------------------------

    def join(self, now: float) -> None:
        """Ask for a new seat under `nick`, on a link whose greeting was read; LIVE: `opening` is complete."""
        self._ask(Phase.JOINING, Hello(self.nick, NEW_SESSION, history=self._history), now)

    def begin_attempt(self, now: float) -> float:
        """Count an attempt to get the link back; return until when its greeting must have been read."""
        self._attempt += 1
        return now + HANDSHAKE_TIME

    def link_up(self, now: float) -> None:
        """Ask for the seat on a new link, whose greeting was read."""
        assert self._token is not None
        self._said_goodbye = False
        self._ask(Phase.RESUMING, Hello(self.nick, self._token, self._last), now)

    def receive(self, messages: list[Message], now: float) -> None:
        """Take the messages that came at a time: none, if that was less than a line.

        A PING is answered behind all of them.  Refused: the first seat; `join` may ask for another.
        """
        self.heard, self._pinged = now, None
        pinged = False
        for message in messages:
            if isinstance(message, Goodbye):
                self.link_lost(now, message.reason)
            elif self.phase is Phase.RESUMING:
                self._take_answer(message, now)
            elif self.phase is Phase.JOINING:
                self._take_opening(message, now)
            elif isinstance(message, Ping):
                pinged = True
            elif isinstance(message, CaughtUp):
                self._catch_up(message.id, now)
            else:
                self._take(message)
            if self.phase is Phase.DOWN or self.ended is not None:
                return
        if pinged:
            self._put(Pong(self._last))

    def link_lost(self, now: float, reason: str = "") -> None:
        """Take note that the link is lost, or was not got back; `reason` is that of a BYE."""
        before, self.phase = self.phase, Phase.DOWN
        if before in (Phase.LIVE, Phase.CATCHING_UP):
            if reason not in _SEAT_KEPT or self._token is None or not self._reconnect:
                self.ended = Ended(Ending.GOODBYE if reason else Ending.LOST, reason)
                return
            self._lose_link(now, reason, was_live=before is Phase.LIVE)
        else:
            if before is Phase.JOINING:
                self._break_opening(now)
            if reason not in _MAY_COME_BACK:
                self.ended = Ended(Ending.GOODBYE, reason)
                return
            self._tell_down()
        self._wait(now)

    def refused(self, refused: Refused, now: float) -> None:
        """Take note that the server does not let us in, or that it is none of Charla's."""
        self.phase = Phase.DOWN
        if refused.code in _FINAL:
            self.ended = Ended(Ending.REFUSED, refused.code, refused.arguments)
            return
        if refused.code in _TOLD and not self._told_refusal:
            self._told_down = self._told_refusal = True
            self.told.append(Down(" ".join((refused.code, *refused.arguments))))
        self._tell_down()
        self._wait(now, wait_before_again(refused) or 0.0)

    def look_round(self, now: float) -> float | None:
        """Do what is due whether there is a link or not; return when to look again, if ever."""
        if self.ending:
            self.ended = Ended(Ending.CLOSED)
            return None
        lines, next_since = self.outbox.overdue(now - self._overdue_after)
        if lines:
            self.told.append(Overdue(lines))
        times = [] if next_since is None else [next_since + self._overdue_after]
        if self._down_since is None:
            return min(times, default=None)
        if self.leaving and not self.outbox.unsent():
            self.ended = Ended(Ending.CLOSED)
        elif self._give_up_after is not None and self.phase is not Phase.CATCHING_UP:
            times.append(self._down_since + self._give_up_after)
            if now >= times[-1]:
                self.ended = Ended(Ending.GAVE_UP)
        if not self._told_down and self.ended is None:
            if now >= self._down_since + QUIET:
                self._tell_down()
            else:
                times.append(self._down_since + QUIET)
        return min(times, default=None)

    @property
    def deadline(self) -> float | None:
        """When to `look_after` the link, if the server has said nothing by then."""
        if self.phase in (Phase.RESUMING, Phase.JOINING):
            return self._answer_until
        if self._token is None:  # nor may it know what a PING is
            return None
        if self.phase is Phase.CATCHING_UP:  # it would not read a PING
            return self.heard + self._dead_after
        if self._pinged is None:
            return self.heard + self._ping_after
        return self._pinged + self._dead_after - self._ping_after

    def look_after(self, now: float) -> None:
        """If the `deadline` has passed, ask the server whether it is there, or count the link as lost.

        For when all that has come was received.  Once LIVE, the server is always asked first: whoever was
        stopped for an hour (Ctrl+Z) need not have lost anything.
        """
        deadline = self.deadline
        if deadline is None or now < deadline:
            return
        if self.phase is Phase.LIVE and self._pinged is None:
            self._pinged = now
            self._put(Ping(self._last))
        else:
            self.link_lost(now)

    # ---- what is to be sent ----------------------------------------------------------------------

    def data_to_send(self, tells_secrets: bool) -> bytes:
        """Return what is to go out next: of the outbox some AHEAD bytes, and not before all is caught up.

        `tells_secrets`: the link is one on which a password may be sent.
        """
        data, self._outgoing = self._outgoing, bytearray()
        if self.phase is not Phase.LIVE:
            return bytes(data)
        while len(data) < AHEAD and (command := self.outbox.take()) is not None:
            if isinstance(command, Mod) and not tells_secrets:
                line = self.outbox.remove(command.tag)
                self._arrived(Refusal(command.tag, "password-in-clear"), line)
            else:
                data += NATIVE.encode_command(command)
        if not data and self.leaving:
            data += self._leave()
        return bytes(data)

    def goodbye(self) -> bytes:
        """Return what ends the session, as nobody will come back for the seat; nothing when there is none."""
        seated = self._token is not None and self.phase in (Phase.LIVE, Phase.CATCHING_UP)
        return self._leave() if seated or (self.phase is Phase.JOINING and self._has_token()) else b""

    def _leave(self) -> bytes:
        if self._said_goodbye:
            return b""
        self._said_goodbye = True
        return NATIVE.encode_command(Leave())

    def _put(self, command: Command) -> None:
        self._outgoing += NATIVE.encode_command(command)

    # ---- a seat ----------------------------------------------------------------------------------

    def _ask(self, phase: Phase, hello: Hello, now: float) -> None:
        self.phase, self.opening, self._answer_until = phase, [], now + HANDSHAKE_TIME
        self._outgoing = bytearray(NATIVE.encode_command(hello))

    def _take_answer(self, message: Message, now: float) -> None:
        """Take the answer to the token."""
        match message:
            case Resumed():
                self.phase, self._resumed = Phase.CATCHING_UP, message
                self._resumed_after, self._caught_up = self._last, 0
                self._note_gap(message.lost)
            case Refusal(_, "no-session"):
                if self.leaving and not self.outbox.never_sent():
                    self.ended = Ended(Ending.SEAT_GONE)
                else:
                    self.join(now)
            case Refusal(_, code, arguments):
                self.refused(Refused(code, *arguments), now)

    def _take_opening(self, message: Message, now: float) -> None:
        """Take a message of the opening: from WELCOME up to who is here."""
        if self.opening or isinstance(message, Welcome):
            self.opening.append(message)
            if isinstance(message, WhoPage):
                self._take_seat(now)
                self._go_live(now)
        elif isinstance(message, Refusal):
            refused = Refused(message.code, *message.arguments)
            if self._down_since is None:
                raise refused
            if refused.code in _FOR_NOW or now < self._ghost_until:
                self.refused(refused, now)  # it may be free soon: this attempt has failed, and others follow
            else:
                self.ended = Ended(Ending.REFUSED, refused.code, refused.arguments)

    def _has_token(self) -> bool:
        return any(isinstance(message, Token) for message in self.opening)

    def _break_opening(self, now: float) -> None:
        """The link was lost within the opening.  If the seat is known to be ours, the next one resumes it."""
        if self._has_token():
            self._take_seat(now)
            self._told_down = False
        else:  # the server may have made the seat all the same, and keep it for somebody without a token
            self._ghost_until = now + self._grace

    def _take_seat(self, now: float) -> None:
        """Take the seat of the opening, and leave out of that what was handed over before."""
        # A server that was started anew counts from 1 again: that an id was seen says nothing then.
        fresh = [
            message
            for message in self.opening
            if not (
                isinstance(message, HistoryEntry)
                and message.event.id <= self._last
                and message.event.time <= self._last_time
            )
        ]
        past = sum(isinstance(message, HistoryEntry) for message in fresh)
        self.opening = [replace(m, count=past) if isinstance(m, HistoryHeader) else m for m in fresh]
        self._token, self._gaps = None, []
        for message in self.opening:
            if isinstance(message, Event | Welcome):
                self._last, self._last_time = message.id, message.time
            if isinstance(message, Welcome):
                self.nick = message.nick
            elif isinstance(message, Token):
                self._token, self._grace = message.token, message.grace
        if self._down_since is not None:
            doubtful = self.outbox.forget_sent()
            self.told.append(JoinedAnew(self.opening, doubtful, now - self._down_since))

    def _catch_up(self, id: int, now: float) -> None:  # noqa: A002 - what it is
        """Everything up to `id` is caught up: the session goes on."""
        if self._down_since is None:
            return
        self._last = max(self._last, id)
        self.nick = self._resumed.nick
        lost = self._lost + self._resumed.lost
        self.told.append(Back(self.nick, self._missed, now - self._down_since, lost))
        self._go_live(now)

    def _go_live(self, now: float) -> None:
        self.phase = Phase.LIVE
        self._down_since = None
        self._live_since = now
        self.outbox.new_link()

    # ---- what comes with a seat ------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        """Take note of a message, and hand it over, unless it was seen before."""
        line = self.outbox.settle(message)
        if isinstance(message, Event):
            # A repetition is confirmed with its old event; in the gap that one has never been seen.
            seen = message.id <= self._last and not (
                line is not None and any(message.id in gap for gap in self._gaps)
            )
            if message.id > self._last:
                self._last, self._last_time = message.id, message.time
            if seen and self._token is not None:
                return
            if isinstance(message, Renamed) and message.old == self.nick:
                self.nick = message.nick
            if self.phase is Phase.CATCHING_UP:
                self._caught_up += 1
                if isinstance(message, (Said, Acted, Told)) and not message.tag:
                    self._missed += 1
        elif isinstance(message, Resumed):
            if self.phase is Phase.CATCHING_UP:  # it took so long that more is not held any more
                self._note_gap(message.lost)
                self._resumed = replace(message, lost=self._resumed.lost + message.lost)
            return
        elif isinstance(message, (AskNick, Pong, Token)):
            return
        self._arrived(message, line)

    def _arrived(self, message: Message, line: str | None) -> None:
        """Let the listener have a message, together with those right before it."""
        last = self.told[-1] if self.told else None
        if isinstance(last, list):
            last.append(Arrival(message, line))
        else:
            self.told.append([Arrival(message, line)])

    def _note_gap(self, lost: int) -> None:
        if lost:
            self._gaps.append(range(self._last + 1, self._last + 1 + lost))

    # ---- while there is no link ------------------------------------------------------------------

    def _lose_link(self, now: float, reason: str, was_live: bool) -> None:
        if was_live:
            if now - self._live_since >= STEADY_AFTER:
                self._attempt = 0
            self._down_since, self._missed, self._lost = now, 0, 0
            self._told_down = self._told_refusal = False
        else:  # the next resume begins behind what was taken of this one, and does not tell of its gap again
            behind = self._last - self._resumed_after - self._caught_up
            self._lost += max(0, min(self._resumed.lost, behind))
        self._down_reason = reason

    def _wait(self, now: float, at_least: float = 0.0) -> None:
        """Let the next attempt wait for its time."""
        self.attempt_at = now + max(at_least, delay_before(self._attempt, self._delays, self._random))

    def _tell_down(self) -> None:
        if not self._told_down:
            self._told_down = True
            self.told.append(Down(self._down_reason))
