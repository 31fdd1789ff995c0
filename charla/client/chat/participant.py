"""What a person (chat.py) and a script (script.py) have in common: a network, leaving, and how it ends.

Who owns what:

    thread     owns                                                     blocks in
    main       the console (typing and drawing)                         reading a line
    network    the connection, and everything about it (thread.py)      the connection

Between them: `Outbox`, what was said and is not confirmed yet (it has a lock), and the console's
`show`, which any thread may call.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace

from charla.client.chat.join import LOST
from charla.client.exits import REMOVED, ExitStatus, silence_output
from charla.client.network.connect import ANSWER_TIME, Route
from charla.client.network.events import Ended, Ending, Listener
from charla.client.network.session import OVERDUE_AFTER, Session
from charla.client.network.thread import Network
from charla.client.options import password_of, trust_of
from charla.client.terminal.console import Console
from charla.common.passwords import Password
from charla.i18n import N_, _, ngettext
from charla.protocol import sentences as wording
from charla.protocol.messages import HistoryEntry, HistoryHeader, Message, Mod, Renamed, Welcome
from charla.protocol.sentences import sentence
from charla.protocol.text import Refused, clean

MODERATOR_PASSWORD = "CHARLA_MODERATOR_PASSWORD"  # noqa: S105 - where it is, not what it is
"""Where in the environment the password for a script's /mod is."""

# In any line of a pasted block; marks before it, and a blank behind the slash, are slips of the finger.
_MAY_HOLD_PASSWORD = re.compile(r"^[^\w\n]*/\s*mod\s*\S", re.IGNORECASE | re.MULTILINE)


class Participant(Listener):
    """Somebody in the room: what their network tells (Listener: in its thread), and how it ends.

    `history`: so many messages from before are to be shown; `give_up_after`: as Session has it, and the
    seconds that a server may talk on without a goodbye.
    """

    def __init__(
        self, console: Console, options: argparse.Namespace, *, history: int, give_up_after: float | None
    ) -> None:
        self.console = console
        self._give_up_after = give_up_after
        route = Route(
            options.host,
            options.port,
            trust=trust_of(options),
            password=password_of(options),
            insecure=options.insecure,
        )
        session = Session(
            options.nick or "",
            reconnect=options.reconnect,
            ping_after=options.ping_after,
            dead_after=options.dead_after,
            give_up_after=give_up_after,
            history=history,
            overdue_after=OVERDUE_AFTER,
        )
        self.network = Network(route, session, self)
        self.outbox = self.network.outbox
        self.nick = ""  # written by the network thread once it runs, like what follows
        self.is_down = False  # the connection is, and the user knows
        self.doubtful = 0  # lines of which the user was told that they were perhaps not sent
        self._ended: Ended | None = None
        self.leaving = False  # written by the main thread, once
        # Why it ended: set by who knows better than the network.
        self._without_goodbye = ""

    def run(self, opening: list[Message]) -> ExitStatus:
        """Show the opening, talk until somebody ends it, and return the exit status.  Main thread."""
        raise NotImplementedError

    def no_seat(self, ended: Ended) -> None:
        """Take note that it is over before `run`.  Main thread."""

    def complain(self, *sentences: str) -> None:
        """Tell the user something of the client's own."""
        raise NotImplementedError

    # ---- main thread -----------------------------------------------------------------------------

    def leave(self, waiting: Callable[[], None] = lambda: None) -> None:
        """Say goodbye; wait until the server has confirmed what was sent before, and says it too.

        `waiting` is called when that takes more than a moment.
        """
        self.leaving = True
        self.network.leave()
        since = time.monotonic()
        self.outbox.wait_below(1, 1.0)
        if self.outbox.unsent() and not self.network.wait_ended(0):
            waiting()
        while not self.network.wait_ended(0.5):
            waited = time.monotonic() - since
            patient = self._give_up_after is None or waited < self._give_up_after
            if min(self.network.silence(), waited) > ANSWER_TIME or not patient:
                self.complain(_("The server does not answer any more."))
                return

    def leave_at_once(self) -> None:
        """Note that the user does not want to wait for the server."""
        self.leaving = True
        self._without_goodbye = _("Left without waiting for the server: it may keep your seat for a while.")

    def send_password(self, command: Mod, typed: str) -> None:
        """Send the moderators' password; PasswordError for what is none."""
        password = Password(typed).reveal()
        self.network.send(replace(command, password=password), "/mod")

    def check_tells_secrets(self) -> None:
        """Raise Refused when a password could be read by others on its way."""
        if not self.network.tells_secrets():
            raise Refused("password-in-clear")

    def exit_status(self, doubtful_counts: bool, refused: bool) -> ExitStatus:
        """Tell how it ended, and return the exit status.

        `doubtful_counts`: lines that were perhaps not sent, in a session before this one, are a failure;
        `refused`: something was, and that is one.
        """
        unsent = self.outbox.unsent()
        if unsent:
            self.complain(*doubts(unsent))
        # The thread is still looking for the server's address when there is no Ended.
        how, code, arguments = self._ended or Ended(Ending.CLOSED)
        if how is Ending.REFUSED:
            seat_gone = _("The server did not keep your seat, and you could not join again.")
            first = seat_gone if code.startswith("nick") else _("The server does not let you in again.")
            self.complain(first, sentence(code, arguments))
            return ExitStatus.REFUSED
        if how is Ending.UNTRUSTED:
            self.complain(*arguments)
            return ExitStatus.REFUSED
        all_confirmed = not unsent and not (doubtful_counts and self.doubtful)
        success = ExitStatus.REFUSED if refused else ExitStatus.LEFT
        if how is Ending.GOODBYE and code != "left":
            self.complain(wording.goodbye_words(code))
            if code == "closing" and self.leaving and all_confirmed:  # they met
                return success
            return ExitStatus.REFUSED if code in REMOVED else ExitStatus.CONNECTION_LOST
        if how is Ending.GOODBYE and all_confirmed:
            return success
        if self.leaving and all_confirmed:
            if self.is_down:
                self.complain(_("The server does not know that you left: it keeps your seat for a while."))
            return success
        if how is not Ending.GOODBYE:
            minutes = (self._give_up_after or 0) / 60
            self.complain(self._without_goodbye or _(_ENDINGS[how]).format(minutes=minutes))
        return ExitStatus.CONNECTION_LOST

    # ---- network thread --------------------------------------------------------------------------

    def ended(self, ended: Ended) -> None:
        self._ended = ended
        if not self.leaving:
            self.console.stop()

    def note_nick(self, message: Message) -> None:
        """Take note of a message that says how we are called; of an opening in the main thread."""
        match message:
            case Welcome(nick=nick):
                self.nick = nick
            case Renamed(old=old, nick=nick) if old == self.nick:
                self.nick = nick

    def show(self, lines: list[str]) -> None:
        """Show lines, and end it when there is nobody to show them to.  Network thread."""
        try:
            self.console.show(lines)
        except OSError:
            self.nobody_reads()

    def nobody_reads(self) -> None:
        """End it: standard output is closed, or full."""
        silence_output()
        self._without_goodbye = _(NOBODY_READS)
        self.network.end()


NOBODY_READS = N_("Left: nobody reads the output any more.")

_ENDINGS = {
    Ending.LOST: LOST,
    Ending.CLOSED: LOST,
    Ending.GAVE_UP: N_(
        "The connection to the server is lost: {minutes:.0f} minutes of trying did not get it back."
    ),
    Ending.SEAT_GONE: N_("The server did not keep your seat."),
}


def down_words(reason: str) -> str:
    """Return what to tell when the link is lost: `reason` as Listener.down has it."""
    trying = _("The connection is lost: trying to get it back.")
    code, *arguments = reason.split(" ")
    if code in wording.SENTENCES:  # the server is there, but does not let us in yet
        why = sentence(code, tuple(arguments))
        return f"{trying} " + _("The server does not let you in yet: {why}").format(why=why)
    if reason == "slow":
        return f"{wording.goodbye_words(reason)} " + _("Your seat is kept: trying to get it back.")
    return wording.goodbye_words(reason) if reason in wording.GOODBYES else trying


def doubts(lines: list[str]) -> list[str]:
    """Return what to tell of lines of which nobody knows whether they were said."""
    count = ngettext(
        "Not confirmed, so perhaps not sent ({n}):", "Not confirmed, so perhaps not sent ({n}):", len(lines)
    )
    return [count.format(n=len(lines)), *(f"    {line}" for line in lines)]


def may_hold_password(line: str, refused: Refused | None = None) -> bool:
    """Say whether somebody may have typed the moderators' password behind /mod, where it does not belong.

    Also behind /mdo: `refused` is why the line was, if that is known.
    """
    mistyped = refused is not None and refused.code == "unknown-command" and refused.arguments[1:] == ("mod",)
    return mistyped or _MAY_HOLD_PASSWORD.search(clean(line)) is not None


def moderator_password() -> str:
    """Return the moderators' password of the environment; empty: there is none."""
    return os.environ.get(MODERATOR_PASSWORD, "")


def opening_order(opening: list[Message]) -> list[Message]:
    """Return an opening as it is shown: what was said before, if anything, and then the rest."""
    past = [message for message in opening if isinstance(message, HistoryEntry)]
    head = [message for message in opening if isinstance(message, HistoryHeader) and past]
    return [
        *head,
        *past,
        *(message for message in opening if not isinstance(message, (HistoryHeader, HistoryEntry))),
    ]
