"""A script in the room: a pipe, --send, or a program that speaks JSON.

    Script       each line of standard input is said; what arrives is printed as a person would read it
    Sender       --send: the texts of the command line are said; nothing is printed but what they ask for
    JsonScript   --json: an object a line, both ways (jsonlines.py)

All of them wait, at the end, until what they said is confirmed, and tell by their exit status whether it
was.
"""

from __future__ import annotations

import argparse
from contextlib import suppress

from charla.client.chat.participant import (
    NOBODY_READS,
    Participant,
    may_hold_password,
    moderator_password,
    opening_order,
)
from charla.client.display.phrases import doubts, down_words, sentence
from charla.client.display.screen import Screen
from charla.client.exits import ExitStatus, diagnose
from charla.client.network.events import Arrival, Back, Ended, Ending
from charla.client.network.outbox import Tagged
from charla.client.script import jsonlines
from charla.client.terminal.console import Console, Question, Stopped
from charla.common.passwords import PasswordError
from charla.common.stdio import silence_output
from charla.i18n import _
from charla.protocol.commands import Command, Help, Leave, Mod
from charla.protocol.messages import (
    AlreadyDone,
    Banned,
    HistoryEntry,
    HistoryHeader,
    Message,
    Refusal,
    Status,
    Topic,
    WhoPage,
)
from charla.protocol.text import Refused, clean
from charla.protocol.typed import parse_typed

PIPE_WINDOW = 100
"""Messages from a pipe that may be unconfirmed at a time: the rest stays in the pipe."""

GIVE_UP_AFTER = 300.0
"""Seconds after which a script does not try any more to get a lost connection back; a person decides that."""

_ANSWERS = (WhoPage, HistoryHeader, HistoryEntry, Topic, Banned, Status)
"""What comes because it was asked for, and only then."""

EXCERPT = 60
"""Characters of a line that is refused in a pipe by which it is recognised there."""


class Script(Participant):
    """Standard input is said, line by line; what arrives is printed.  Diagnostics go to standard error."""

    def __init__(self, console: Console, screen: Screen, options: argparse.Namespace) -> None:
        # What a script reads is what is said from now on, if it does not ask for more.
        super().__init__(console, options, history=options.history or 0, give_up_after=GIVE_UP_AFTER)
        self._screen = screen  # both threads: see screen.py
        self._refused = False  # something was: set by either thread
        self._unread = False  # nobody reads the output any more: set by either thread
        self._behind_mod = False  # main: the next line may be a password that nobody asked for

    def run(self, opening: list[Message]) -> ExitStatus:
        """Say everything, and leave; return the exit status."""
        self.show_opening(opening)
        self.network.start()
        try:
            self._say_all()
            self.leave()
        except Stopped:
            if self._unread:
                self.leave()  # what was said before is to be in the room
        except KeyboardInterrupt:
            self.leave_at_once()
        self.network.close()
        return self._end()

    def complain(self, *sentences: str) -> None:
        diagnose(*sentences)

    # ---- main thread -----------------------------------------------------------------------------

    def _say_all(self) -> None:
        """Say line after line, until there is none or one that leaves."""
        while True:
            try:
                self.outbox.wait_below(PIPE_WINDOW)
                if not self._do(self._read_line()):
                    return
            except (EOFError, KeyboardInterrupt):
                return
            except Refused as refused:  # the line itself is no text
                behind_mod, self._behind_mod = self._behind_mod, False
                self._refuse_line(refused, "", behind_mod)

    def _read_line(self) -> str:
        """Return the next line, without what an editor begins a file with; EOFError, Refused."""
        return self.console.read_line(Question("")).rstrip("\n").lstrip("\ufeff")

    def _do(self, line: str) -> bool:
        """Do what a line asks for; False when that is to leave."""
        line = clean(line)  # it is shown, perhaps on a terminal
        behind_mod = self._behind_mod
        self._behind_mod = behind_mod and not line.strip()  # behind an empty line it may come yet
        try:
            if behind_mod and not line.lstrip().startswith("/"):
                raise Refused("moderator-password")
            with self.console.uninterrupted():
                command = self._parse(line)
                if isinstance(command, Tagged) and not isinstance(command, Mod):
                    self.network.send(command, line)
            if isinstance(command, Mod):
                self._become_moderator(command)
            elif isinstance(command, Help):
                self.show(self._screen.help("mod" if command.moderators else ""))
        except Refused as refused:
            self._refuse_line(refused, line, behind_mod)
            return True
        return not isinstance(command, Leave)

    def _refuse_line(self, refused: Refused, line: str, behind_mod: bool) -> None:
        """Tell why a line was not sent, without what may be a password in it."""
        if behind_mod:  # it may be in the refusal's arguments, too
            self._refuse("moderator-password", ())
        else:
            secret = may_hold_password(line, refused)
            self._refuse(refused.code, refused.arguments, "" if secret else line)

    def _parse(self, line: str) -> Command | None:
        """Return what a line asks for; Refused.  One with a password in it is not repeated anywhere."""
        if may_hold_password(line):
            raise Refused("usage", "mod")
        return parse_typed(line, self.outbox.new_tag())

    def _become_moderator(self, command: Mod) -> None:
        """Send the moderators' password: that of the environment, or else the next line; Refused."""
        typed = known = moderator_password()
        with suppress(EOFError):
            typed = known or self._read_line()
        self._behind_mod = bool(known) or not typed
        if not typed:
            raise Refused("moderator-password")
        self.check_tells_secrets()
        try:
            self.send_password(command, typed)
        except PasswordError as error:
            self._refused = True
            self.complain(_("Nothing was sent: {why}.").format(why=error))

    def nobody_reads(self) -> None:
        """Say nothing more, and leave as at the end of the input: standard output is closed, or full."""
        silence_output()
        self._unread = True
        self.console.stop()

    def _end(self) -> ExitStatus:
        status = self.exit_status(doubtful_counts=True, refused=self._refused)
        if self._unread and status is ExitStatus.LEFT:
            self.complain(_(NOBODY_READS))
            return ExitStatus.CONNECTION_LOST
        return status

    # ---- network thread; before it runs, main ------------------------------------------------------

    def show_opening(self, opening: list[Message]) -> None:
        self._tell([Arrival(message) for message in opening_order(opening)])

    def arrived(self, arrivals: list[Arrival]) -> None:
        try:
            self._tell(arrivals)
        except OSError:
            self.nobody_reads()

    def _tell(self, arrivals: list[Arrival]) -> None:
        """Print what has arrived."""
        self.console.show([line for arrival in arrivals for line in self._take(*arrival)])

    def _take(self, message: Message, line: str | None) -> list[str]:
        """Take note of a message, which answers `line` if any; return the lines to print for it."""
        match message:
            case Refusal(_, code, arguments):
                self._refuse(code, arguments, line or "")
                return []
            case AlreadyDone() if line is not None:  # it is in the room, but its event is not to be had
                return self._screen.notice(_("It was sent: {line}").format(line=line))
        self.note_nick(message)
        return self._screen.lines(message, self.nick)

    def _refuse(self, code: str, arguments: tuple[str, ...], line: str = "") -> None:
        """Note that `line` (if it is known) was refused, and say so.  Both threads."""
        self._refused = True
        text = sentence(code, arguments)
        if line:  # may be of several rows; a diagnostic is one
            excerpt = line.replace("\n", " ")[:EXCERPT]
            text = _("{sentence} (it was: {line})").format(sentence=text, line=excerpt)
        self.complain(text)

    def overdue(self, lines: list[str]) -> None:
        """A script waits for the end."""

    def down(self, reason: str) -> None:
        self.is_down = True
        self.tell(down_words(reason))


class Sender(Script):
    """--send: says its texts, and prints nothing but what they ask for (/who), and what went wrong."""

    def __init__(self, console: Console, screen: Screen, options: argparse.Namespace) -> None:
        super().__init__(console, screen, options)
        self._texts: list[str] = list(reversed(options.send))  # main: what is still to be said

    def _read_line(self) -> str:
        if not self._texts:
            raise EOFError
        return self._texts.pop()

    def _parse(self, line: str) -> Command | None:
        command = super()._parse(line)
        if isinstance(command, Leave):  # nothing would be said, nor what comes behind it: no success
            raise Refused("leaves", line.strip())
        return command

    def _end(self) -> ExitStatus:
        status = super()._end()
        if not self._texts:
            return status
        self.complain(*doubts(self._texts[::-1]))  # a signal came before these had their turn
        return status or ExitStatus.CONNECTION_LOST

    def show_opening(self, opening: list[Message]) -> None:
        for message in opening:
            self._take(message, None)

    def _tell(self, arrivals: list[Arrival]) -> None:
        shown: list[str] = []
        for message, line in arrivals:
            lines = self._take(message, line)
            shown += lines if isinstance(message, _ANSWERS) else []
        self.console.show(shown)


class JsonScript(Script):
    """--json: an object a line, both ways."""

    def __init__(self, console: Console, screen: Screen, options: argparse.Namespace) -> None:
        super().__init__(console, screen, options)
        # tag -> what the program calls that command.  Main adds before it sends, the network thread reads
        # and takes out.
        self._ids: dict[int, jsonlines.Id] = {}
        self._history_tag = 0  # network thread: of the HISTORY whose messages are coming

    def _do(self, line: str) -> bool:
        if not line.strip():
            return True
        tag = self.outbox.new_tag()
        try:
            request = jsonlines.decode(line, tag)
            if may_hold_password(getattr(request.command, "text", "")):
                raise jsonlines.RequestRefused(Refused("usage", "mod"), tag, request.id)
        except jsonlines.RequestRefused as refused:
            self._refuse_request(refused, refused.id)
            return True
        if isinstance(request.command, Leave):
            return False
        if request.id is not None:
            self._ids[tag] = request.id
        try:
            with self.console.uninterrupted():
                if isinstance(request.command, Mod):
                    self.check_tells_secrets()
                    typed = request.command.password or moderator_password()
                    if not typed:
                        raise Refused("moderator-password")
                    self.send_password(request.command, typed)
                else:
                    self.network.send(request.command, clean(line))
        except PasswordError:
            self._refuse_request(Refused("malformed", "password"), request.id)
        except Refused as refused:
            self._refuse_request(refused, request.id)
        return True

    def _refuse_request(self, refused: Refused, own_id: jsonlines.Id | None) -> None:
        self._refused = True
        self._write(jsonlines.encode(Refusal(0, refused.code, refused.arguments), re=own_id))

    def _refuse(self, code: str, arguments: tuple[str, ...], line: str = "") -> None:  # noqa: ARG002
        self._refuse_request(Refused(code, *arguments), None)

    def _write(self, line: str) -> None:
        """Write a line, if there is one.  Either thread: a line is one write."""
        if line:
            self.show([line])

    def show_opening(self, opening: list[Message]) -> None:
        self._tell([Arrival(message) for message in opening])  # as it came

    def _tell(self, arrivals: list[Arrival]) -> None:
        lines = []
        for message, line in arrivals:
            self.note_nick(message)
            self._refused = self._refused or isinstance(message, Refusal)
            tag = getattr(message, "tag", 0)
            lines.append(jsonlines.encode(message, re=self._ids.get(tag)))
            if isinstance(message, HistoryHeader):
                self._history_tag = tag
            if line is not None:  # answered, all of it
                self._ids.pop(self._history_tag if isinstance(message, HistoryEntry) else tag, None)
        self.console.show([line for line in lines if line])

    def down(self, reason: str) -> None:
        self.is_down = True
        self._write(jsonlines.encode_event("down", reason=reason))

    def back(self, back: Back) -> None:
        self.nick, self.is_down = back.nick, False
        self._write(jsonlines.encode_event("back", **back._asdict()))

    def joined_anew(self, opening: list[Message], doubtful: list[str], seconds: float) -> None:  # noqa: ARG002
        self.is_down = False
        self.doubtful += len(doubtful)
        try:
            self.show_opening(opening)
        except OSError:
            self.nobody_reads()
        self._write(jsonlines.encode_event("joined-anew", nick=self.nick, doubtful=doubtful))

    def _end(self) -> ExitStatus:
        self._write_end(self._ended or Ended(Ending.CLOSED))
        return super()._end()

    def no_seat(self, ended: Ended) -> None:
        self._write_end(ended)

    def _write_end(self, ended: Ended) -> None:
        self._write(jsonlines.encode_event("ended", **ended._asdict()))
