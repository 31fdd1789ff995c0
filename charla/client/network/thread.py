"""The network thread: the socket and the clock around the session (session.py), and the listener's calls.

While a listener's method has not returned, nothing is received, and no PONG says that it was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from selectors import EVENT_READ

from charla.client.network.connect import ANSWER_TIME, Route
from charla.client.network.events import Back, Down, Ended, Ending, JoinedAnew, Listener, Overdue
from charla.client.network.link import Connector, LinkLost
from charla.client.network.outbox import Tagged
from charla.client.network.session import Phase, Session
from charla.client.network.trust import Distrusted
from charla.common.passwords import Password
from charla.protocol.messages import Message
from charla.protocol.text import Refused

CLOSE_TIME = 1.0
"""Seconds that `close` waits for the thread; only a resolver that does not answer takes longer."""


class _Over(Exception):
    """The session has ended: the thread has nothing left to do."""


class Network:
    """A person's line to the room.

    `connect`, `give_password` if `asks_password`, `join`, `start`; then `send`; `leave`; `close`, always.
    """

    def __init__(self, route: Route, session: Session, listener: Listener) -> None:
        self.outbox = session.outbox  # both threads: it has a lock
        # These are the caller's up to `start`, then the network thread's.
        self._route = route
        self._session = session
        self._listener = listener
        self._connector = Connector(self._look_round)
        # Set by the network thread, last; any thread may wait for it.  Not for its join alone: one that is
        # interrupted (Ctrl+C) takes the thread for ended, in Python 3.12 and before.
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"network {session.nick}", daemon=True)

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
        """Take a seat (under the session's nick when none is given); return the opening.

        That is Welcome, WhoPage, and between them what was said before.  Refused: a nick that is not to be
        had (call it again with another), or more.  LinkLost, TimeoutError: the server is not there any more.
        """
        session, deadline = self._session, time.monotonic() + ANSWER_TIME
        session.nick = nick or session.nick
        session.join(time.monotonic())
        self._send()
        while session.phase is not Phase.LIVE:
            session.receive([self._connector.next_message(deadline)], time.monotonic())
        return session.opening

    def start(self) -> None:
        """Let the network thread have the connection; from here on it calls the listener."""
        self._thread.start()

    # ---- any thread ------------------------------------------------------------------------------

    @property
    def nick(self) -> str:
        """Who one is in the room."""
        return self._session.nick

    def send(self, command: Tagged, line: str) -> None:
        """Send a command, typed as `line`, now or when there is a link again, until it is confirmed.

        Its tag is from `outbox.new_tag`.  Never waits.
        """
        self.outbox.add(command, line, time.monotonic())
        self._connector.wake()

    def tells_secrets(self) -> bool:
        """Say whether a password may be sent: nobody on the way could read it, or that is accepted."""
        return self._route.tells_secrets

    def leave(self) -> None:
        """Say goodbye when everything is sent; ends at once when there is no link and nothing unsent."""
        self._session.leaving = True
        self._connector.wake()

    def end(self) -> None:
        """End it now; does not wait for that."""
        self._session.ending = True
        self._connector.wake()

    def wait_ended(self, timeout: float | None = None) -> bool:
        """Wait until it is over; say whether it is."""
        if not self._over.wait(timeout):
            return False
        self._thread.join()
        return True

    def silence(self) -> float:
        """Return the seconds since something came; 0 while the session is not live."""
        return time.monotonic() - self._session.heard if self._session.phase is Phase.LIVE else 0.0

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
        ended = Ended(Ending.LOST)  # if a listener raises something
        try:
            while True:
                if self._session.phase is Phase.DOWN:
                    self._get_link()
                else:
                    self._talk()
        except _Over:
            ended = self._session.ended or ended
            if ended.how is Ending.CLOSED:
                self._say_goodbye()
        finally:
            try:
                self._connector.drop()
                self.outbox.close()
                self._listener.ended(ended)
            finally:
                self._over.set()

    def _get_link(self) -> None:
        """Wait for the time of the next attempt, and make it."""
        session, connector = self._session, self._connector
        self._look_round(time.monotonic())  # also when there is nothing to wait for
        while time.monotonic() < session.attempt_at:
            connector.wait(session.attempt_at)
        try:
            self._route.reconnect(connector, session.begin_attempt(time.monotonic()))
            session.link_up(time.monotonic())
            return
        except Distrusted as distrusted:
            session.ended = Ended(Ending.UNTRUSTED, "", distrusted.lines)
        except Refused as refused:
            session.refused(refused, time.monotonic())
        except (OSError, UnicodeError):  # nobody there
            session.link_lost(time.monotonic())
        connector.drop()
        self._tell()

    def _talk(self) -> None:
        """Send and receive, until the link is lost or the session has no use for it."""
        link, session = self._connector.link, self._session
        assert link is not None
        # What came right behind the greeting, or the opening.
        session.receive(link.messages(), time.monotonic())
        while session.phase is not Phase.DOWN:
            self._tell()
            self._send()
            # When nothing can be sent, only what has come already is waited for.
            events = self._connector.wait(0.0 if link.broken else session.deadline)
            try:
                if events & EVENT_READ:
                    link.receive()
                    session.receive(link.messages(), time.monotonic())
                elif link.broken:
                    raise LinkLost
                session.look_after(time.monotonic())
            except OSError:
                session.link_lost(time.monotonic())
        self._connector.drop()
        self._tell()

    def _send(self) -> None:
        """Send what the session has to say, as much as the link takes."""
        link = self._connector.link
        assert link is not None
        link.flush()
        while not link.outgoing and not link.broken:
            link.outgoing += self._session.data_to_send(self.tells_secrets())
            if not link.outgoing:
                return
            link.flush()

    def _say_goodbye(self) -> None:
        """End the session, if that can be said without waiting: nobody will come back for the seat."""
        link = self._connector.link
        if link is not None:
            link.outgoing += self._session.goodbye()
            link.flush()

    def _look_round(self, now: float) -> float | None:
        """Let the session do what is due, before each wait; _Over ends that."""
        again = self._session.look_round(now)
        self._tell()
        return again

    def _tell(self) -> None:
        """Tell the listener what the session has to tell; _Over when that has ended."""
        told, self._session.told = self._session.told, []
        for telling in told:
            match telling:
                case Down(reason):
                    self._listener.down(reason)
                case Back():
                    self._listener.back(telling)
                case JoinedAnew(opening, doubtful, seconds):
                    self._listener.joined_anew(opening, doubtful, seconds)
                case Overdue(lines):
                    self._listener.overdue(lines)
                case _:
                    self._listener.arrived(telling)
        self.outbox.answers_told()
        if self._session.ended is not None:
            raise _Over
