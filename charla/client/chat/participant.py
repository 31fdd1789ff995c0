"""What a person (chat.py) and a script (script.py) have in common: a network, leaving, and how it ends."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace

from charla.client.chat.join import LOST
from charla.client.display.phrases import anew_words, back_words, doubts
from charla.client.exits import REMOVED, ExitStatus, diagnose
from charla.client.network.connect import ANSWER_TIME, Route
from charla.client.network.events import Back, Ended, Ending, Listener
from charla.client.network.session import OVERDUE_AFTER, Session
from charla.client.network.thread import Network
from charla.client.network.trust import trust_of
from charla.client.terminal.console import Console
from charla.common.passwords import Password
from charla.common.stdio import silence_output
from charla.i18n import N_, _
from charla.protocol.commands import Mod
from charla.protocol.messages import HistoryEntry, HistoryHeader, Message, Renamed, Welcome
from charla.protocol.sentences import goodbye_words, sentence
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
            password=server_password(options),
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
        # Written by the network thread once it runs, and read by both, like what follows.
        self.nick = ""
        self.is_down = False  # the connection is, and the user knows
        self.doubtful = 0  # lines of which the user was told that they were perhaps not sent
        self._ended: Ended | None = None
        self.leaving = False  # written by the main thread, once; read by both
        # Why it ended: set by who knows better than the network, in either thread.
        self._without_goodbye = ""

    def run(self, opening: list[Message]) -> ExitStatus:
        """Show the opening, talk until somebody ends it, and return the exit status.  Main thread."""
        raise NotImplementedError

    def no_seat(self, ended: Ended) -> None:
        """Take note that it is over before `run`.  Main thread."""

    def show_opening(self, opening: list[Message]) -> None:
        """Show what comes with a seat.  Network thread; before it runs, main."""
        raise NotImplementedError

    def complain(self, *sentences: str) -> None:
        """Tell the user what went wrong.  Either thread."""
        raise NotImplementedError

    def tell(self, text: str) -> None:
        """Tell the user how the link is.  Network thread."""
        self.complain(text)

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
            self.complain(goodbye_words(code))
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

    def back(self, back: Back) -> None:
        self.nick = back.nick
        if self.is_down or back.lost:
            self.is_down = False
            self.tell(back_words(back.missed, back.seconds, back.lost))

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:
        self.is_down = False
        self.doubtful += len(doubtful)
        try:
            self.show_opening(opening)
        except OSError:
            self.nobody_reads()
        self.tell(anew_words(self.nick, seconds))
        if doubtful:
            self.complain(*doubts(doubtful))

    def note_nick(self, message: Message) -> None:
        """Take note of a message that says how we are called; of an opening in the main thread."""
        match message:
            case Welcome(nick=nick):
                self.nick = nick
            case Renamed(old=old, nick=nick) if old == self.nick:
                self.nick = nick

    def show(self, lines: list[str]) -> None:
        """Show lines, and end it when there is nobody to show them to.  Either thread."""
        try:
            self.console.show(lines)
        except OSError:
            self.nobody_reads()

    def nobody_reads(self) -> None:
        """End it: standard output is closed, or full.  Either thread."""
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


def may_hold_password(line: str, refused: Refused | None = None) -> bool:
    """Say whether somebody may have typed the moderators' password behind /mod, where it does not belong.

    Also behind /mdo: `refused` is why the line was, if that is known.
    """
    mistyped = refused is not None and refused.code == "unknown-command" and refused.arguments[1:] == ("mod",)
    return mistyped or _MAY_HOLD_PASSWORD.search(clean(line)) is not None


def server_password(options: argparse.Namespace) -> Password | None:
    """Return the server's password, if there is one in a file or in the environment; PasswordError."""
    if options.password_file is not None:
        return Password.read(options.password_file, diagnose)
    typed = os.environ.get("CHARLA_PASSWORD")
    return Password(typed) if typed else None


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
