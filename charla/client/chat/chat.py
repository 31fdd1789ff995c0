"""A person in the room: what they type goes out, what arrives is shown.

The main thread reads lines (`Chat.run`) and does what they ask for; the network thread tells what comes
(the Listener's methods).  Attributes that both touch say so.
"""

from __future__ import annotations

import argparse

from charla.client.chat.commands import (
    Answer,
    Bell,
    Clear,
    HelpOn,
    Ignore,
    Own,
    Search,
    ShowTime,
    Unignore,
    addressee,
    complete,
    parse_line,
)
from charla.client.chat.participant import Participant, may_hold_password, opening_order
from charla.client.chat.roster import Roster
from charla.client.chat.scrollback import Scrollback
from charla.client.display import prompt
from charla.client.display.mentions import names
from charla.client.display.phrases import down_words, sentence
from charla.client.display.screen import Screen
from charla.client.exits import ExitStatus
from charla.client.network.events import Arrival, Back
from charla.client.network.outbox import Tagged
from charla.client.terminal.console import Console, Question, Stopped, Terminated
from charla.common.passwords import PasswordError
from charla.i18n import N_, _, ngettext
from charla.protocol.commands import HISTORY_AT_JOIN, Command, Leave, Mod, Tell
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    HistoryEntry,
    HistoryHeader,
    Message,
    Moderated,
    Refusal,
    Said,
    Told,
)
from charla.protocol.nicks import nick_key
from charla.protocol.text import MAX_TEXT, Refused, clean

CONFIRM_TIME = 0.05
"""Seconds to wait for a confirmation before the prompt says that a message is being sent: it nearly
always comes first, and the prompt does not flicker."""

ASK_FROM = 6
"""Lines of a pasted block from which on it is asked whether to send it: a file that was not meant."""

SHOWN_OF_BLOCK = 12
"""Lines of such a block that are shown with the question."""

FOUND_SHOWN = 50
"""Messages that /search shows at the most, the newest."""

_BELL_WORDS = {
    "off": N_("The bell does not ring."),
    "private": N_("The bell rings for what is said to you alone."),
    "mention": N_("The bell rings for what is said to you alone, and for your nickname."),
    "all": N_("The bell rings for every message."),
}

_CORRESPONDENT = "?"  # no nick: stands for whom /r answers

_YES = ("y", "yes", "s", "si", "sí")  # in any language


class Chat(Participant):
    """A person in the room.  It is what its console asks for prompt and completions, too (Typing)."""

    remembered = True

    def __init__(self, console: Console, screen: Screen, options: argparse.Namespace) -> None:
        history = HISTORY_AT_JOIN if options.history is None else options.history
        super().__init__(console, options, history=history, give_up_after=None)
        self._screen = screen  # both threads: see screen.py
        host = f"[{options.host}]" if ":" in options.host else options.host  # RFC 3986, 3.2.2: of IPv6
        self._server_address = f"{host}:{options.port}"
        self._encrypted = bool(options.tls or options.tls_ca or options.tls_fingerprint)
        self._roster = Roster()  # both threads, like the next: each has a lock
        self._scrollback = Scrollback()
        self._bell: str = options.bell  # main writes, the network thread reads
        self._typed = ""  # main, like what follows: what stands in the line that is read next
        self._answering = False  # what is being typed is an answer (/r): to whom does not change any more
        self._excess = 0  # bytes by which the line that is being typed is too long

    def run(self, opening: list[Message]) -> ExitStatus:
        """Talk until somebody ends it; return the exit status."""
        self.show_opening(opening)
        self.network.start()
        try:
            self._type()
            self.leave(self._tell_waiting)
        except Stopped as stopped:
            if stopped.typed and not may_hold_password(stopped.typed):
                self._notice(_("You were typing: {text}").format(text=clean(stopped.typed)))
        except KeyboardInterrupt:
            self.leave_at_once()
        self.network.close()
        return self.exit_status(doubtful_counts=False, refused=False)

    def complain(self, *sentences: str) -> None:
        self.console.show(self._screen.error("\n".join(sentences)))

    def _notice(self, text: str) -> None:
        self.console.show(self._screen.notice(text))

    # ---- main thread: typing -----------------------------------------------------------------------

    def prompt(self, typed: str) -> str:
        self._excess = len(typed.encode(errors="replace")) - MAX_TEXT
        to, nobody = addressee(typed, _CORRESPONDENT), False
        self._answering = to == _CORRESPONDENT
        self.shown()  # who wrote while an answer was typed that has been erased since
        if self._answering:
            to = self._roster.correspondent()
        if to:
            found, sure = self._roster.find(to)
            to, nobody = found or to, sure and not found
        unsent = len(self.outbox.unsent())
        return prompt.prompt(
            self.nick, self.console.width(), unsent=unsent, reconnecting=self.is_down, to=to, nobody=nobody
        )

    def shown(self) -> None:
        """Let /r answer who wrote last; but an answer that is being typed is for whom it was begun for."""
        if not (self._answering and self._roster.correspondent()):
            self._roster.note_shown()

    def status(self) -> str:
        return prompt.status(
            self.console.width(),
            server_address=self._server_address,
            nick=self.nick,
            people=self._roster.count(),
            connection=self._state(),
            unsent=len(self.outbox.unsent()),
        )

    def _state(self) -> str:
        """Return how the connection is; of a line that is too long, that it is: what matters more."""
        if self._excess > 0:
            return _("{n} bytes too long").format(n=self._excess)
        if self.is_down:
            return _("reconnecting")
        return _("connected, TLS") if self._encrypted else _("connected")

    def complete(self, before: str) -> list[str]:
        return complete(before, lambda begin: self._roster.beginning_with(begin, self.nick))

    def _type(self) -> None:
        """Read lines and do what they ask for, until the user wants to leave."""
        while True:
            line = ""
            try:
                self.outbox.wait_below(1, CONFIRM_TIME)
                typed, self._typed = self._typed, ""
                # Without what a pasted block may end in, or an editor begins a file with; clean, to be shown.
                line = clean(self.console.read_line(self, typed).rstrip("\n").lstrip("\ufeff"))
                # Whoever presses Ctrl+C right behind Enter means to leave, not to lose the line.
                with self.console.uninterrupted():
                    command = self._parse(line)
                    asks = line.count("\n") + 1 >= ASK_FROM and isinstance(command, Tagged)
                    if isinstance(command, Tagged) and not isinstance(command, Mod) and not asks:
                        self.network.send(command, line)
                if asks and isinstance(command, Tagged):
                    self._send_block(command, line)
                elif isinstance(command, Mod):
                    self._become_moderator(command)
                elif isinstance(command, Leave):
                    return
                elif command is not None and not isinstance(command, Tagged):
                    self._do(command)
            except (EOFError, KeyboardInterrupt):
                return
            except Refused as refused:
                self._refuse(refused, line)

    def _parse(self, line: str) -> Command | Own | None:
        """Return what a line asks for; Refused."""
        if may_hold_password(line):
            raise Refused("usage", "mod")
        command = parse_line(line, self.outbox.new_tag())
        if isinstance(command, Answer):
            to = self._roster.correspondent()
            if not to:
                raise Refused("nobody-to-answer")
            return Tell(to, command.text, command.tag)
        return command

    def _refuse(self, refused: Refused, line: str) -> None:
        """Tell why a line was not sent.

        What is too long stays in the line, to be shortened there; what may be a password is kept nowhere.
        """
        if may_hold_password(line, refused):
            self.console.forget_line()
            line = ""
        text = sentence(refused.code, refused.arguments)
        if refused.code == "too-long" and line and self.console.keeps_text:
            size = len(line.encode())
            self.complain(f"{text} " + _("It has {size} bytes, and is in the line again.").format(size=size))
            self.console.ring()  # so long a line may have moved that off the screen
            self._typed = line
        else:
            self.console.show(self._refusal_lines(text, line))

    def _send_block(self, command: Tagged, line: str) -> None:
        """Send a pasted block, if that is what the user wants; otherwise it is in the line again."""
        rows = line.split("\n")
        shown = rows[:SHOWN_OF_BLOCK]
        if len(rows) > len(shown):
            shown.append(_("... and {n} more").format(n=len(rows) - len(shown)))
        self._notice("\n".join(shown))
        question = _("Send these {n} lines as one message? (y/n) ").format(n=len(rows))
        try:
            answer = self.console.read_line(Question(question)).strip().lower()
        except Terminated:
            raise
        except Stopped:
            raise Stopped(line) from None  # as if it still stood there
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if answer in _YES:
            with self.console.uninterrupted():
                self.network.send(command, line)
        else:
            self._notice(_("Nothing was sent: it is in the line again."))
            self._typed = line

    def _become_moderator(self, command: Mod) -> None:
        """Ask for the moderators' password, and send it; Ctrl+C or nothing typed: nothing is sent."""
        if not self.network.tells_secrets():
            self.console.drop_typed()
            raise Refused("password-in-clear")
        try:
            typed = self.console.read_secret(_("Moderator password: "))
        except Terminated:
            raise
        except (EOFError, KeyboardInterrupt):
            return
        if not typed:
            return
        try:
            self.send_password(command, typed)
        except PasswordError as error:
            self.complain(_("Nothing was sent: {why}.").format(why=error))

    def _do(self, command: Command | Own) -> None:
        """Do what a command asks for that concerns nobody but the user."""
        match command:
            case HelpOn(topic):
                self.console.show(self._screen.help(topic, alt_enter=self.console.alt_enter))
            case Ignore(""):
                ignored = ", ".join(self._roster.ignored())
                self._notice(
                    _("Ignored: {nicks}").format(nicks=ignored) if ignored else _("Nobody is ignored.")
                )
            case Ignore(nick):
                if nick_key(nick) == nick_key(self.nick):
                    raise Refused("ignore-yourself")
                found, sure = self._roster.find(nick)
                text = _("What {nick} says is not shown any more. /unignore {nick} ends that.")
                if sure and not found:
                    text = _("Nobody called {nick} is here: who comes is ignored. /unignore {nick} ends it.")
                self._notice(text.format(nick=self._roster.ignore(nick)))
            case Unignore(nick):
                found = self._roster.unignore(nick)
                if not found:
                    raise Refused("not-ignored", nick)
                self._notice(_("What {nick} says is shown again.").format(nick=found))
            case Search(words):
                self._search(words)
            case Bell(when):
                self._bell = when or self._bell
                self._notice(_(_BELL_WORDS[self._bell]))
            case ShowTime(on):
                shown = self._screen.time_shown = self._screen.time_shown if on is None else on
                text = _("Messages have their time.")
                self._notice(text if shown else _("Messages have no time; earlier ones keep theirs."))
            case Clear():
                self.console.clear()

    def _search(self, words: str) -> None:
        found = self._scrollback.search(words)
        count = ngettext(
            "{n} message seen here has '{words}'", "{n} messages seen here have '{words}'", len(found)
        )
        text = count.format(n=len(found), words=words)
        if len(found) > FOUND_SHOWN:
            text += _(", the last {n} of them:").format(n=FOUND_SHOWN)
        else:
            text += ":" if found else "."
        self.console.show(self._screen.notice(text) + self._screen.found(found[-FOUND_SHOWN:], self.nick))

    def _tell_waiting(self) -> None:
        what = (
            _("Waiting until the connection is back. Ctrl+C: leave now.")
            if self.is_down
            else _("Waiting until what you said is sent. Ctrl+C: leave now.")
        )
        self._notice(what)

    # ---- network thread --------------------------------------------------------------------------

    def arrived(self, arrivals: list[Arrival]) -> None:
        self.show([line for arrival in arrivals for line in self._take(*arrival)])
        if any(self._rings(message) for message, _line in arrivals):
            self.console.ring()

    def overdue(self, lines: list[str]) -> None:
        texts = [_("Not confirmed yet: {line}").format(line=line) for line in lines]
        self.show([row for text in texts for row in self._screen.notice(text)])

    def down(self, reason: str) -> None:
        self.is_down = True
        text = down_words(reason)
        if not self.leaving:
            text += " " + _("You can go on typing.")
        self.tell(text)

    def back(self, back: Back) -> None:
        if back.lost:
            self._roster.missed()
        super().back(back)

    def tell(self, text: str) -> None:
        self.show(self._screen.notice(text))

    def show_opening(self, opening: list[Message]) -> None:
        lines = [line for message in opening_order(opening) for line in self._take(message, None)]
        self.console.show(lines)

    def _take(self, message: Message, line: str | None) -> list[str]:
        """Take note of a message, which answers `line` if any; return the lines to show for it."""
        self._roster.take(message, self.nick)
        self.note_nick(message)
        match message:
            case Refusal(_, code, arguments):
                return self._refusal_lines(sentence(code, arguments), line)
            case AlreadyDone() if line is not None:  # it is in the room, but its event is not to be had
                return self._screen.notice(_("It was sent: {line}").format(line=line))
            case Moderated(tag=tag, action="ban", nick=nick) if tag and self._roster.find(nick) == ("", True):
                # A slip of the finger, or a ban in advance: who has decided it is to know.
                nobody = _(
                    "Nobody is called {nick} now: it is for who takes that nickname, or has just left."
                )
                return self._screen.lines(message, self.nick) + self._screen.notice(nobody.format(nick=nick))
            case Said() | Acted() | Told() if self._hides(message):
                return []
            case HistoryEntry(event) if self._hides(event):
                return []
            case HistoryHeader() if self._roster.ignored():
                left_out = self._screen.notice(_("Those whom you ignore are left out."))
                return self._screen.lines(message, self.nick) + left_out
            case Said() | Acted() | Told():
                self._scrollback.add(message)
            case HistoryEntry(event):
                self._scrollback.add(event)
        return self._screen.lines(message, self.nick)

    def _hides(self, said: Said | Acted | Told) -> bool:
        """Say whether it is not shown.  One's own is, also under a nick that is ignored."""
        return said.nick != self.nick and self._roster.ignores(said.nick, said.id)

    def _refusal_lines(self, text: str, line: str | None) -> list[str]:
        return self._screen.error(text + ("\n" + _("It was: {line}").format(line=line) if line else ""))

    def _rings(self, message: Message) -> bool:
        """Say whether the bell rings for a message."""
        match message:
            case Told(nick=nick) if nick != self.nick and not self._hides(message):
                return self._bell != "off"
            case Said(nick=nick, text=text) | Acted(nick=nick, text=text) if nick != self.nick:
                wanted = self._bell == "all" or (self._bell == "mention" and names(text, self.nick))
                return wanted and not self._hides(message)
        return False
