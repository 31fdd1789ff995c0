#!/usr/bin/env python3
"""The console client of Charla: two threads.  `python3 client.py`, a nick, and talk.

Who owns what:

    thread     owns                                                     blocks in
    main       the console (typing and drawing)                         reading a line
    network    the connection, and everything about it (network.py)     the connection

Between them: `Outbox`, what was said and is not confirmed yet (it has a lock), and the console's
`show`, which any thread may call.  Before the network thread starts, `join` (joining.py) talks to the
server step by step: greeting, password, nick, opening.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import re
import sys
import time
from dataclasses import replace

import wording
from client_options import parse_options, password_of, trust_of
from console import Console, Stopped, Terminated, open_console
from exits import REMOVED, ExitStatus, Fatal, diagnose, silence_output
from grammar import parse_typed
from joining import LOST, join
from listener import Arrival, Back, Ended, Ending
from messages import (
    HISTORY_AT_JOIN,
    Command,
    Done,
    Earlier,
    Help,
    Leave,
    Message,
    Mod,
    Past,
    Refusal,
    Refused,
    Renamed,
    Welcome,
    clean,
)
from network import Network
from outbox import Tagged
from passwords import Password, PasswordError
from route import ANSWER_TIME
from screen import Screen, use_color
from tls import TlsError
from wording import sentence

PIPE_WINDOW = 100
"""Messages from a pipe that may be unconfirmed at a time: the rest stays in the pipe."""

GIVE_UP_AFTER = 300.0
"""Seconds after which a script does not try any more to get a lost connection back; a person decides that."""

CONFIRM_TIME = 0.05
"""Seconds to wait for a confirmation before the prompt says that a message is unsent: it nearly always
comes first, and the prompt does not flicker."""


EXCERPT = 60
"""Characters of a line that is refused in a pipe by which it is recognised there."""

MODERATOR_PASSWORD = "CHARLA_MODERATOR_PASSWORD"  # noqa: S105 - where it is, not what it is
"""Where in the environment the password for a script's /mod is."""

# In any line of a pasted block; marks before it, and a blank behind the slash, are slips of the finger.
_MAY_HOLD_PASSWORD = re.compile(r"^[^\w\n]*/\s*mod\s*\S", re.IGNORECASE | re.MULTILINE)


class Client:
    """A person in the room: what they type goes out, what arrives is shown.

    It is the Listener of its Network: those methods run in the network thread.
    """

    def __init__(self, console: Console, screen: Screen, options: argparse.Namespace) -> None:
        self._console = console
        self._screen = screen
        self.network = Network(
            options.host,
            options.port,
            options.nick or "",
            self,
            reconnect=not options.no_reconnect,
            ping_after=options.ping_after,
            dead_after=options.dead_after,
            give_up_after=None if console.interactive else GIVE_UP_AFTER,
            # What a script reads is what is said from now on.
            history=HISTORY_AT_JOIN if console.interactive else 0,
            trust=trust_of(options),
            password=password_of(options),
            insecure=options.insecure,
        )
        self._outbox = self.network.outbox
        self._nick = ""  # written by the network thread once it runs, like what follows
        self._down = False  # the connection is, and the user knows
        self._doubtful = 0  # lines of which the user was told that they were perhaps not sent
        self._ended: Ended | None = None
        self._refused = False  # something was: set by either thread
        self._without_goodbye = ""  # why it ended: set by who knows better than the network
        self._leaving = False  # written by main, once
        self._behind_mod = False  # main: the next line of a pipe may be a password that nobody asked for

    def run(self, opening: list[Message]) -> ExitStatus:
        """Talk until somebody ends it; return the exit status."""
        self._console.show(self._opening(opening))
        self.network.start()
        try:
            self._type()
            self._leave()
        except Stopped as stopped:
            if stopped.typed and not may_hold_password(stopped.typed):
                self._console.show(self._screen.notice(f"You were typing: {stopped.typed}"))
        except KeyboardInterrupt:
            self._leaving = True
            self._without_goodbye = "Left without waiting for the server."
        self.network.close()
        return self._status()

    # ---- main thread -----------------------------------------------------------------------------

    def _type(self) -> None:
        """Read lines and send them, until the user wants to leave."""
        while True:
            line = ""
            behind_mod, self._behind_mod = self._behind_mod, False
            try:
                self._wait_for_confirmation()
                line = self._read_line()
                if behind_mod and not line.lstrip().startswith("/"):
                    raise Refused("moderator-password")
                # Whoever presses Ctrl+C right behind Enter means to leave, not to lose the line.
                with self._console.uninterrupted():
                    command = self._parse(line)
                    if isinstance(command, Tagged) and not isinstance(command, Mod):
                        self.network.send(command, line)
                if isinstance(command, Mod):
                    self._become_moderator(command)
                if isinstance(command, Leave):
                    return
                if isinstance(command, Help):
                    self._console.show(self._screen.help(command.moderators))
            except (EOFError, KeyboardInterrupt):
                return
            except Refused as refused:
                code, arguments = refused.code, refused.arguments
                if behind_mod:  # what was refused may be a password, and may be in these arguments
                    code, arguments = "moderator-password", ()
                about = "" if behind_mod or may_hold_password(line) else line
                self._console.show(self._refusal(code, arguments, about))

    def _read_line(self) -> str:
        """Return the next line, without what a pasted block may end in, or an editor begins a file with."""
        return self._console.read_line(self).rstrip("\n").lstrip("\ufeff")

    def _parse(self, line: str) -> Command | None:
        """Return what a line asks for; Refused.  One with a password in it is kept nowhere."""
        if may_hold_password(line):
            self._console.forget_line()
            raise Refused("usage", "mod")
        return parse_typed(line, self._outbox.new_tag())

    def _become_moderator(self, command: Mod) -> None:
        """Ask for the moderators' password, and send it; Ctrl+C or nothing typed: nothing is sent.

        In a pipe it is the next line, as in the plain dialect, when it is not in the environment.
        """
        typed = os.environ.get(MODERATOR_PASSWORD, "")
        if not self._console.interactive:
            self._behind_mod = bool(typed)
            with contextlib.suppress(EOFError):
                typed = typed or self._read_line()
            if not typed:
                raise Refused("moderator-password")
        if not self.network.tells_secrets():
            self._console.drop_typed()
            raise Refused("password-in-clear")
        if self._console.interactive:
            try:
                typed = self._console.read_secret("Moderator password: ")
            except Terminated:
                raise
            except (EOFError, KeyboardInterrupt):
                return
            if not typed:
                return
        try:
            password = Password(typed).reveal()
        except PasswordError as error:
            self._refused = True
            self._complain(f"Nothing was sent: {error}.")
            return
        self.network.send(replace(command, password=password), "/mod")

    def _wait_for_confirmation(self) -> None:
        """Wait a moment for what was sent last; of a pipe, until not too much is unsent."""
        if self._console.interactive:
            self._outbox.wait_below(1, CONFIRM_TIME)
        else:
            self._outbox.wait_below(PIPE_WINDOW)

    def _leave(self) -> None:
        """Say goodbye; wait until the server has confirmed what was sent before, and says it too."""
        self._leaving = True
        self.network.leave()
        since = time.monotonic()
        if self._console.interactive:
            self._outbox.wait_below(1, 1.0)
            if self._outbox.unsent() and not self.network.wait_ended(0):
                what = "the connection is back" if self._down else "what you said is sent"
                self._console.show(self._screen.notice(f"Waiting until {what}. Ctrl+C: leave now."))
        while not self.network.wait_ended(0.5):
            if min(self.network.silence(), time.monotonic() - since) > ANSWER_TIME:
                self._complain("The server does not answer any more.")
                return

    def _status(self) -> ExitStatus:
        """Tell how it ended, and return the exit status."""
        unsent = self._outbox.unsent()
        if unsent:
            self._complain(*_doubts(unsent))
        # The thread is still looking for the server's address when there is no Ended.
        how, code, arguments = self._ended or Ended(Ending.CLOSED)
        if how is Ending.REFUSED:
            seat_gone = "The server did not keep your seat, and you could not join again."
            first = seat_gone if code.startswith("nick") else "The server does not let you in again."
            self._complain(first, sentence(code, arguments))
            return ExitStatus.REFUSED
        if how is Ending.UNTRUSTED:
            self._complain(*arguments)
            return ExitStatus.REFUSED
        if how is Ending.GOODBYE and code != "left":
            self._complain(wording.GOODBYES.get(code, f"The server ended it: {code}."))
            return ExitStatus.REFUSED if code in REMOVED else ExitStatus.CONNECTION_LOST
        all_confirmed = not unsent and (self._console.interactive or not self._doubtful)
        if how is Ending.GOODBYE and all_confirmed:
            return ExitStatus.REFUSED if self._refused and not self._console.interactive else ExitStatus.LEFT
        if self._leaving and all_confirmed:
            if self._down:
                self._complain("The server does not know that you left: it keeps your seat for a while.")
            return ExitStatus.LEFT
        if how is not Ending.GOODBYE:
            self._complain(self._without_goodbye or _ENDINGS[how])
        return ExitStatus.CONNECTION_LOST

    def _complain(self, *sentences: str) -> None:
        """Tell the user something of the client's own: on the screen, or as a diagnostic of a script."""
        if self._console.interactive:
            self._console.show(self._screen.error("\n".join(sentences)))
        else:
            diagnose(*sentences)

    remembered = True

    def complete(self, before: str) -> list[str]:  # noqa: ARG002
        return []

    def status(self) -> str:
        return ""

    def prompt(self, typed: str) -> str:  # noqa: ARG002
        return self._screen.prompt(self._nick, len(self._outbox.unsent()), self._down)

    # ---- network thread --------------------------------------------------------------------------

    def arrived(self, arrivals: list[Arrival]) -> None:
        self._show([line for arrival in arrivals for line in self._take(*arrival)])

    def down(self, reason: str) -> None:
        self._down = True
        text = wording.GOODBYES.get(reason, "The connection is lost: trying to get it back.")
        code, *arguments = reason.split(" ")
        if code in wording.SENTENCES:  # the server is there, but does not let us in yet
            why = sentence(code, tuple(arguments))
            text = f"The connection is lost: trying to get it back. The server does not let you in yet: {why}"
        if reason == "slow":
            text += " Your seat is kept: trying to get it back."
        typing = self._console.interactive and not self._leaving
        self._tell(text + (" You can go on typing." if typing else ""))

    def back(self, back: Back) -> None:
        self._nick = back.nick
        if self._down or back.lost:
            self._down = False
            self._tell(wording.back_words(back.missed, back.seconds, back.lost))

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:
        self._down = False
        self._doubtful += len(doubtful)
        self._show(self._opening(opening))
        self._tell(wording.anew_words(self._nick, seconds))
        if doubtful:
            try:
                self._complain(*_doubts(doubtful))
            except OSError:
                self._nobody_reads()

    def ended(self, ended: Ended) -> None:
        self._ended = ended
        if not self._leaving:
            self._console.stop()

    def _tell(self, text: str) -> None:
        """Tell the user about the connection: on the screen, or as a diagnostic of a script."""
        if self._console.interactive:
            self._show(self._screen.notice(text))
        else:
            diagnose(text)

    def _show(self, lines: list[str]) -> None:
        """Show lines, and end it when there is nobody to show them to."""
        try:
            self._console.show(lines)
        except OSError:
            self._nobody_reads()

    def _nobody_reads(self) -> None:
        silence_output()
        self._without_goodbye = "Left: nobody reads the output any more."
        self.network.end()

    def _opening(self, opening: list[Message]) -> list[str]:
        """Return the lines of an opening: what was said before first, and the welcome next to the prompt."""
        earlier = [message for message in opening if isinstance(message, (Earlier, Past))]
        if all(isinstance(message, Earlier) for message in earlier):
            earlier = []
        lines = []
        for message in earlier + [m for m in opening if not isinstance(m, (Earlier, Past))]:
            lines += self._take(message, None)
        return lines

    def _take(self, message: Message, line: str | None) -> list[str]:
        """Take note of a message, which answers `line` if any; return the lines to show for it."""
        match message:
            case Refusal(_, code, arguments):
                return self._refusal(code, arguments, line)
            case Done() if line is not None:  # it is in the room, but its event is not to be had
                return self._screen.notice(f"It was sent: {line}")
            case Welcome(nick=nick):
                self._nick = nick
            case Renamed(old=old, nick=nick) if old == self._nick:
                self._nick = nick
        return self._screen.lines(message, self._nick)

    def _refusal(self, code: str, arguments: tuple[str, ...], line: str | None) -> list[str]:
        """Note that `line` (if it is known) was refused; return the lines to show for it.  Both threads."""
        self._refused = True
        if self._console.interactive:
            return self._screen.error(sentence(code, arguments) + (f"\nIt was: {line}" if line else ""))
        self._complain(sentence(code, arguments) + (f" It was: {line[:EXCERPT]}" if line else ""))
        return []


_ENDINGS = {
    Ending.LOST: LOST,
    Ending.CLOSED: LOST,
    Ending.GAVE_UP: f"The connection to the server is lost: {GIVE_UP_AFTER / 60:.0f} minutes of trying "
    "did not get it back.",
    Ending.SEAT_GONE: "The server did not keep your seat.",
}


def may_hold_password(line: str) -> bool:
    """Say whether somebody may have typed the moderators' password behind /mod, where it does not belong."""
    return _MAY_HOLD_PASSWORD.search(clean(line)) is not None


def _doubts(lines: list[str]) -> list[str]:
    """Return what to tell of lines of which nobody knows whether they were said."""
    return [f"Not confirmed, so perhaps not sent ({len(lines)}):", *(f"    {line}" for line in lines)]


def talk(options: argparse.Namespace, console: Console) -> ExitStatus:
    """Connect, join and talk; return the exit status, or raise Fatal."""
    client = Client(console, Screen(console.width, use_color(options.color)), options)
    try:
        return client.run(join(client.network, console, options.nick))
    finally:
        client.network.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the client as a command; return its exit status."""
    options = parse_options(arguments)
    console = open_console()
    if options.nick is None and not console.interactive:
        print("charla: give a nickname with --nick: standard input is not a terminal", file=sys.stderr)
        return ExitStatus.USAGE
    try:
        console.open()
        try:
            return talk(options, console)
        finally:
            console.close()  # first: the terminal must be itself again when something is printed on it
    except Fatal as fatal:
        diagnose(*fatal.lines)
        return fatal.status
    except (PasswordError, TlsError) as error:
        diagnose(f"{error}.")
        return ExitStatus.USAGE
    except (EOFError, KeyboardInterrupt):
        return ExitStatus.LEFT
    except BrokenPipeError:  # nobody reads our output, not even the welcome
        silence_output()
        return ExitStatus.CONNECTION_LOST
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO):  # a full disk, a terminal that is gone
            raise
        silence_output()
        diagnose(f"The output cannot be written: {error.strerror}.")
        return ExitStatus.CONNECTION_LOST


if __name__ == "__main__":
    sys.exit(main())
