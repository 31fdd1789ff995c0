"""A whole room under any bytes: people in both dialects, moderators, links that break, seats taken up again.

The input is a script of lines; the first byte says what is done, the second, for all but lines of talk, whom
it concerns:

    0-5   that person sends the rest as a line (and connects before, without a connection)
    a-f   the same, but the room goes on before it sends anything
    -     the person's link is lost
    =     the person comes back on a new connection, and resumes
    ~     the person's socket takes only 16 times so many bytes as the third byte says; `~0`: all again
    +     time passes: as many seconds as the code of the second byte
"""

from __future__ import annotations

import logging
import math
import re
import socket
from dataclasses import replace

from support.table import GRACE, FakeSocket, Table

from charla.common.passwords import GuessThrottle, Password
from charla.protocol.framing import LineFramer
from charla.protocol.messages import (
    Acted,
    Crowd,
    Event,
    Joined,
    Left,
    Message,
    Moderated,
    Renamed,
    Resumed,
    Said,
    Token,
    Told,
    Unread,
    Welcome,
)
from charla.protocol.native import NATIVE
from charla.protocol.nicks import check_nick
from charla.protocol.plain import PLAIN
from charla.protocol.sentences import STATUS_WORDS
from charla.protocol.text import MAX_LINE, clean
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import AskHistory, CatchUp, Chunk, Connected, Ended, TakeSeat, Work
from charla.server.network.inbox import Inbox
from charla.server.network.password_check import PasswordCheck
from charla.server.network.rate_limit import RateLimit
from charla.server.network.reader import Reader
from charla.server.room.announcer import Announcer
from charla.server.room.room import Room
from charla.server.room.sessions import Session

PEOPLE = 6
PASSWORD = "sesame"
STEPS = 200
"""Lines of a script that are looked at."""

EVENTS = (Said, Acted, Told, Joined, Left, Renamed, Crowd, Unread, Moderated)


class _Patient(GuessThrottle):
    """A guard that makes nobody wait: no time passes here."""

    def judge(self, origin: str, right: bool) -> float:
        super().judge(origin, right)
        return 0.0


class _Socket(FakeSocket):
    def setsockopt(self, *_: object) -> None:
        pass  # how long the reader waits in recv, which is not called


class _Direct(Inbox[Work]):
    """An inbox that hands the room at once what is put into it."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def put(self, entry: Work) -> None:
        assert isinstance(entry, tuple)
        connection, items = entry
        self._room.handle(connection, items)
        if any(isinstance(item, (TakeSeat, CatchUp, AskHistory, Chunk)) for item in items):
            self._room.flush()


class _Errors(logging.Handler):
    """Keeps what is recorded as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))


class _Link:
    """One connection with its reader, and what it was told, read as a client would."""

    def __init__(self, table: Table, number: int, resumed_after: int = 0) -> None:
        self.sock = _Socket()
        self.connection = Connection(self.sock, f"peer{number}", f"192.0.2.{number}")  # type: ignore[arg-type]
        table.sockets[self.connection] = self.sock
        table.room.handle(self.connection, [Connected()])
        check = PasswordCheck(Password(PASSWORD), _Patient())
        self.reader = Reader(
            self.connection, _Direct(table.room), RateLimit(0), moderators_check=check, dead_after=0.0
        )
        self.framer = LineFramer()
        self.ended = False
        self._table = table
        self.session = 0  # the id of the last that it had
        self.resumed_after = resumed_after

    def feed(self, data: bytes) -> None:
        """Have the reader read `data`."""
        if self.ended:
            return
        try:
            for line in self.framer.feed(data):
                self.reader._read_line(line)
            self.reader._hand_over()
        except OSError:  # its client takes nothing
            self.end()
        session = self._table.session(self.connection)
        if session is not None:
            self.session = session.id

    def end(self) -> None:
        """Have the reader end, as when the link is lost."""
        if not self.ended:
            self.ended = True
            self.reader._pending.append(Ended("lost"))
            self.reader._hand_over()

    @property
    def live(self) -> bool:
        """Whether it is told what happens."""
        session = self._table.session(self.connection)
        return session is not None and session.live

    def lines(self) -> list[str]:
        """Return the whole lines that it was told."""
        *lines, _ = self.sock.sent.decode().split("\n") if self.sock.room is None else [""]
        return lines

    def messages(self) -> list[Message]:
        """Return what it was told since it speaks the native dialect."""
        lines = self.lines()
        while lines and (lines[0] in ("NICK", "PASSWORD") or lines[0][:2] in ("* ", "! ")):
            del lines[0]
        messages = []
        for line in lines:
            assert len(line.encode()) <= MAX_LINE
            assert clean(line) == line
            message = NATIVE.decode(line)
            assert NATIVE.encode(message, own=True).decode() == f"{line}\n"
            messages.append(message)
        return messages


def room(data: bytes) -> None:
    """No input makes an internal error; all are told the same in the same order; nothing is left over."""
    table = Table(crowd=PEOPLE - 1, backlog_limit=4000, has_moderators=True)
    errors = _Errors()
    logger = logging.getLogger("charla")
    logger.addHandler(errors)
    try:
        record = _Record(table.room.announcer)
        play = _Play(table)
        for line in data.split(b"\n")[:STEPS]:
            if line:
                play.step(line)
        play.catch_up()
        record.check(play.links)
        play.end()
        assert not errors.texts, errors.texts[0]
    finally:
        logger.removeHandler(errors)
        table.close()


class _Play:
    """A script being played."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._people: list[_Link | None] = [None] * PEOPLE
        self._tokens: dict[int, str] = {}
        self.links: list[_Link] = []

    def step(self, line: bytes) -> None:
        """Do what a line of the script says."""
        do, rest = line[:1], line[1:]
        who = (rest[0] if rest else 0) % PEOPLE
        link = self._people[who]
        if do in b"012345abcdef":
            self._talk(b"012345abcdef".index(do) % PEOPLE, rest)
            if do in b"abcdef":
                return
        elif do == b"-" and link is not None:
            link.end()
        elif do == b"=" and link is not None:
            self._resume(who, link, rest[1:])
        elif do == b"~" and link is not None:
            link.sock.room = rest[1] * 16 if len(rest) > 1 else None
            self._table.room.send_backlogs()
        elif do == b"+":
            self._table.pass_time(rest[0] if rest else 0)
        self._table.room.flush()

    def _connect(self, who: int, resumed_after: int = 0) -> _Link:
        link = _Link(self._table, who, resumed_after)
        self.links.append(link)
        self._people[who] = link
        return link

    def _talk(self, who: int, data: bytes) -> None:
        link = self._people[who]
        if link is None or link.connection.gone:
            if link is not None:
                link.end()
            link = self._connect(who)
        link.feed(data + b"\n")

    def _resume(self, who: int, link: _Link, less: bytes) -> None:
        """Come back with what the last link was told, `less` so many events (128: more than there are)."""
        if link.connection.dialect is not NATIVE or link.sock.room is not None:
            return
        messages = link.messages()
        given = [message.token for message in messages if isinstance(message, Token)]
        self._tokens[who] = token = given[-1] if given else self._tokens.get(who, "none")
        seen = max((m.id for m in messages if isinstance(m, EVENTS)), default=link.resumed_after)
        last = max(0, seen - less[0]) if less and less[0] < 128 else seen + len(less)
        self._connect(who, last).feed(f"HELLO 1 x session={token} last={last}\n".encode())

    def catch_up(self) -> None:
        """Let everybody have what waits for them."""
        for link in self.links:
            link.sock.room = None
        self._table.room.send_backlogs()
        self._table.room.flush()

    def end(self) -> None:
        """End every link, let every time pass, and see that nothing is left."""
        for link in self.links:
            link.end()
        for _ in range(4):
            self._table.pass_time(GRACE + 1)
        assert self._table.room.next_deadline() is None
        status = dict(zip(STATUS_WORDS, self._table.room.status(), strict=True))
        left = [status[name] for name in ("people", "away", "connections", "waiting", "backlogs")]
        assert left == ["0"] * len(left), status
        for link in self.links:
            assert link.connection.gone
            assert socket.SHUT_RDWR in link.sock.shutdowns


# ---- what was told -------------------------------------------------------------------------------


class _Record:
    """What the room has told everyone, and whose doing it was (a session's id, 0 for nobody's)."""

    def __init__(self, announcer: Announcer) -> None:
        self.public: dict[int, tuple[Event, int]] = {}
        self._tell_everyone = announcer.tell_everyone
        announcer.tell_everyone = self._note  # type: ignore[method-assign]

    def _note(self, event: Event, author: Session | None = None) -> None:
        assert event.id > max(self.public, default=0)
        self.public[event.id] = event, author.id if author else 0
        self._tell_everyone(event, author)

    def check(self, links: list[_Link]) -> None:
        """Check that every member was told all of it, once and in order, and private things in private."""
        line_for: dict[int, set[int]] = {}
        for link in links:
            if link.connection.dialect is NATIVE:
                for number in self._check_native(link):
                    line_for.setdefault(number, set()).add(link.session)
            else:
                self._check_plain(link)
        assert all(len(sessions) <= 2 for sessions in line_for.values())

    def _check_native(self, link: _Link) -> list[int]:
        """Return the ids of the private messages among what a link was told."""
        after = last = 0
        public: list[int] = []
        private: list[int] = []
        for message in link.messages():
            if isinstance(message, Welcome):
                after = last = message.id
            elif isinstance(message, Resumed):
                assert not message.lost
                after = last = max(link.session, link.resumed_after)
            elif isinstance(message, EVENTS):
                repeated = getattr(message, "tag", 0) and message.id <= last  # its tag was sent again
                assert message.id > last or repeated
                if message.id in self.public:
                    event, author = self.public[message.id]
                    assert message == (event if author == link.session else _for_others(event))
                    public += [] if repeated else [message.id]
                else:
                    assert isinstance(message, (Told, Unread))
                    private.append(message.id)
                last = max(last, message.id)
        upto = math.inf if link.live else max(public, default=after)
        assert public == [number for number in self.public if after < number <= upto]
        return private

    def _check_plain(self, link: _Link) -> None:
        """No line can be forged, and the public ones are there, in order."""
        lines = link.lines()
        for line in lines:
            assert clean(line) == line
            match = _HEAD.match(line)
            assert match is not None or line in ("NICK", "PASSWORD"), line
            name = match and (match[1] or match[2] or match[3])
            assert not name or check_nick(name) == name
        text = "\n" + "\n".join(lines) + "\n"
        at = 0
        for number, (event, author) in self.public.items():
            line = PLAIN.encode(event, own=author == link.session).decode()
            if link.session and number > link.session and line:
                at = text.find(f"\n{line}", at) + 1
                if not at:
                    assert not link.live, event
                    return


_HEAD = re.compile(r"[!*~] .|\[to ([^ ]+)\] |\[private\] ([^ ]+): |\[\d{4}-\d\d-\d\d \d\d:\d\d\] |([^ ]+): ")


def _for_others(event: Event) -> Event:
    return replace(event, tag=0) if isinstance(event, (Said, Acted, Renamed, Moderated)) else event
