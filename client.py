#!/usr/bin/env python3
"""The console client of Charla: two threads.  `python3 client.py`, a nick, and talk.

Who owns what:

    thread     owns                                                     blocks in
    main       the console (typing and drawing)                         reading a line
    network    the connection, and everything about it (network.py)     the connection

Between them: `Outbox`, what was said and is not confirmed yet (it has a lock), and the console's
`show`, which any thread may call.  Before the network thread starts, `join` talks to the server step by
step: greeting, nick, opening.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import sys
import time
from enum import IntEnum

import protocol
import wording
from console import Console, Stopped, open_console
from grammar import parse_typed
from link import LinkLost
from listener import Arrival, Back, Ended, Ending
from messages import (
    HISTORY_AT_JOIN,
    Done,
    Earlier,
    Help,
    Leave,
    Message,
    Past,
    Refusal,
    Refused,
    Renamed,
    Welcome,
)
from network import ANSWER_TIME, DEAD_AFTER, DEFAULT_PORT, PING_AFTER, Network, NoConnection
from nicks import check_nick
from outbox import Tagged
from screen import Screen, use_color
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


class Status(IntEnum):
    """Exit statuses."""

    LEFT = 0
    CONNECTION_LOST = 1
    USAGE = 2
    NO_CONNECTION = 3
    REFUSED = 4


class Fatal(Exception):
    """The client cannot go on: a sentence for the user, and the exit status."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status


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
        )
        self._outbox = self.network.outbox
        self._nick = ""  # written by the network thread once it runs, like what follows
        self._down = False  # the connection is, and the user knows
        self._doubtful = 0  # lines of which the user was told that they were perhaps not sent
        self._ended: Ended | None = None
        self._refused = False  # something was: set by either thread
        self._without_goodbye = ""  # why it ended: set by who knows better than the network
        self._leaving = False  # written by main, once

    def run(self, opening: list[Message]) -> Status:
        """Talk until somebody ends it; return the exit status."""
        self._console.show(self._opening(opening))
        self.network.start()
        try:
            self._type()
            self._leave()
        except Stopped as stopped:
            if stopped.typed:
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
            try:
                self._wait_for_confirmation()
                line = self._console.read_line(self._prompt).rstrip("\n")  # a pasted block may end in some
                # Whoever presses Ctrl+C right behind Enter means to leave, not to lose the line.
                with self._console.uninterrupted():
                    command = parse_typed(line, self._outbox.new_tag())
                    if isinstance(command, Tagged):
                        self.network.send(command, line)
                if isinstance(command, Leave):
                    return
                if isinstance(command, Help):
                    self._console.show(self._screen.help())
            except (EOFError, KeyboardInterrupt):
                return
            except Refused as refused:
                self._console.show(self._refusal(refused.code, refused.arguments, line))

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

    def _status(self) -> Status:
        """Tell how it ended, and return the exit status."""
        unsent = self._outbox.unsent()
        if unsent:
            self._complain(*_doubts(unsent))
        # The thread is still looking for the server's address when there is no Ended.
        how, code, arguments = self._ended or Ended(Ending.CLOSED)
        if how is Ending.REFUSED:
            self._complain(
                "The server did not keep your seat, and you could not join again.", sentence(code, arguments)
            )
            return Status.REFUSED
        if how is Ending.GOODBYE and code != "left":
            self._complain(wording.GOODBYES.get(code, f"The server ended it: {code}."))
            return Status.CONNECTION_LOST
        all_confirmed = not unsent and (self._console.interactive or not self._doubtful)
        if how is Ending.GOODBYE and all_confirmed:
            return Status.REFUSED if self._refused and not self._console.interactive else Status.LEFT
        if self._leaving and all_confirmed:
            if self._down:
                self._complain("The server does not know that you left: it keeps your seat for a while.")
            return Status.LEFT
        if how is not Ending.GOODBYE:
            self._complain(self._without_goodbye or _ENDINGS[how])
        return Status.CONNECTION_LOST

    def _complain(self, *sentences: str) -> None:
        """Tell the user something of the client's own: on the screen, or as a diagnostic of a script."""
        if self._console.interactive:
            self._console.show(self._screen.error("\n".join(sentences)))
        else:
            _diagnose(*sentences)

    def _prompt(self) -> str:
        return self._screen.prompt(self._nick, len(self._outbox.unsent()), self._down)

    # ---- network thread --------------------------------------------------------------------------

    def arrived(self, arrivals: list[Arrival]) -> None:
        self._show([line for arrival in arrivals for line in self._take(*arrival)])

    def down(self, reason: str) -> None:
        self._down = True
        text = wording.GOODBYES["restart"] if reason == "restart" else ""
        text = text or "The connection is lost: trying to get it back."
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
            _diagnose(text)

    def _show(self, lines: list[str]) -> None:
        """Show lines, and end it when there is nobody to show them to."""
        try:
            self._console.show(lines)
        except OSError:
            self._nobody_reads()

    def _nobody_reads(self) -> None:
        _silence_output()
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
    Ending.LOST: "The connection to the server is lost.",
    Ending.CLOSED: "The connection to the server is lost.",
    Ending.GAVE_UP: f"The connection to the server is lost: {GIVE_UP_AFTER / 60:.0f} minutes of trying "
    "did not get it back.",
    Ending.SEAT_GONE: "The server did not keep your seat.",
}


def _doubts(lines: list[str]) -> list[str]:
    """Return what to tell of lines of which nobody knows whether they were said."""
    return [f"Not confirmed, so perhaps not sent ({len(lines)}):", *(f"    {line}" for line in lines)]


def _diagnose(*sentences: str) -> None:
    """Write diagnostics of a script, if anybody reads them."""
    with contextlib.suppress(OSError):
        for text in sentences:
            print(f"charla: {text}", file=sys.stderr, flush=True)


def _silence_output() -> None:
    """Let nothing complain at exit that standard output is closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ask_nick(console: Console) -> str:
    """Return what is typed as a nick; EOFError for what leaves."""
    typed = console.read_line(lambda: "Nickname: ")
    if isinstance(parse_typed(typed), Leave):
        raise EOFError
    return typed


def join(network: Network, console: Console, nick: str | None) -> list[Message]:
    """Take a seat in the room, asking for a nick until one is taken; Fatal when that cannot be."""
    try:
        network.connect()
    except NoConnection as error:
        raise Fatal(Status.NO_CONNECTION, str(error)) from None
    except Refused as refused:
        raise Fatal(Status.REFUSED, sentence(refused.code, refused.arguments)) from None
    while True:
        try:
            asked = nick if nick is not None else _ask_nick(console)
            return network.join(check_nick(asked.strip(" ")))
        except Refused as refused:
            text = sentence(refused.code, refused.arguments)
            if not (console.interactive and refused.code.startswith("nick")):
                raise Fatal(Status.REFUSED, text) from None
            console.show([text])
            nick = None
        except TimeoutError:
            raise Fatal(Status.CONNECTION_LOST, "The server does not answer any more.") from None
        except LinkLost as lost:
            raise Fatal(
                Status.CONNECTION_LOST,
                wording.GOODBYES.get(lost.reason, lost.reason) or _ENDINGS[Ending.LOST],
            ) from None
        except OSError:
            raise Fatal(Status.CONNECTION_LOST, _ENDINGS[Ending.LOST]) from None


EXAMPLES = """\
examples:
  python3 client.py                                a server on this machine
  python3 client.py --host 192.168.1.20 --nick ana
  echo hola | python3 client.py --nick bot         say it, wait until it is confirmed, leave

/help, once inside, tells what you can type.
exit status: 0 left on purpose, 1 connection lost, 2 wrong options, 3 no connection, 4 refused
"""


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port: give a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: give a number of seconds above 0")
    return seconds


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; explains itself and exits with status 2 when one is wrong."""
    parser = argparse.ArgumentParser(
        prog="charla" if sys.argv[0].endswith("charla") else "client.py",
        description="Charla, a chat room for terminals: the client.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="the server's machine (127.0.0.1: this one)"
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, metavar="N", help=f"its port ({DEFAULT_PORT})"
    )
    parser.add_argument("--nick", metavar="NICK", help="your nickname; asked for when not given")
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colours (auto: on a terminal, unless NO_COLOR is set)",
    )
    parser.add_argument(
        "--no-reconnect",
        action="store_true",
        help="end when the connection is lost, instead of getting it back",
    )
    parser.add_argument(
        "--ping-after",
        type=_seconds,
        default=PING_AFTER,
        metavar="SECONDS",
        help=f"ask a server that has said nothing for so long whether it is there ({PING_AFTER:g})",
    )
    parser.add_argument(
        "--dead-after",
        type=_seconds,
        default=DEAD_AFTER,
        metavar="SECONDS",
        help=f"the connection is lost when nothing has come for so long ({DEAD_AFTER:g})",
    )
    parser.add_argument("--version", action="version", version=f"Charla {protocol.__version__}")
    options = parser.parse_args(arguments)
    if options.dead_after <= options.ping_after:
        parser.error("--dead-after must be more than --ping-after: a server needs time to answer")
    return options


def talk(options: argparse.Namespace, console: Console) -> Status:
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
        return Status.USAGE
    try:
        console.open()
        try:
            return talk(options, console)
        finally:
            console.close()  # first: the terminal must be itself again when something is printed on it
    except Fatal as fatal:
        print(f"charla: {fatal}", file=sys.stderr)
        return fatal.status
    except (EOFError, KeyboardInterrupt):
        return Status.LEFT
    except BrokenPipeError:  # nobody reads our output, not even the welcome
        _silence_output()
        return Status.CONNECTION_LOST


if __name__ == "__main__":
    sys.exit(main())
