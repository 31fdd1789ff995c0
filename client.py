#!/usr/bin/env python3
"""The console client of Charla: two threads.  `python3 client.py`, a nick, and talk.

Who owns what:

    thread     owns                                                     blocks in
    main       the console (typing and drawing), sending on the socket  reading a line
    receiver   receiving from the socket, who I am in the room          recv

Between them: `Outbox`, what was sent and is not confirmed yet (it has a lock), and the console's
`show`, which any thread may call.  Before the receiver starts, `Connection.join` talks to the server
step by step: greeting, nick, welcome.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from enum import IntEnum

import protocol
import wording
from console import Console, Stopped, open_console
from messages import (
    Act,
    AskNick,
    Command,
    Goodbye,
    Hello,
    Help,
    Leave,
    Message,
    Refusal,
    Refused,
    Rename,
    Renamed,
    Say,
    Tell,
    Welcome,
)
from protocol import NATIVE, LineFramer, check_nick, decode_line, parse_typed, read_greeting
from screen import Screen, use_color
from wording import sentence

DEFAULT_PORT = 9000

CONNECT_TIME = 10.0
"""Seconds in which a server must accept the connection, and then again in which it must greet."""

ANSWER_TIME = 30.0
"""Seconds without a sign of life after which a leaving client does not wait for the server any more."""

PIPE_WINDOW = 100
"""Messages from a pipe that may be unconfirmed at a time: the rest stays in the pipe."""

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


class Outbox:
    """What was sent and not yet confirmed: tag -> the line typed, in the order sent.  For both threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards the rest; notified when something leaves
        self._lines: dict[int, str] = {}
        self._last_tag = 0
        self._closed = False

    def new_tag(self) -> int:
        """Return the number for the next command: 1, 2, 3..."""
        with self._changed:
            self._last_tag += 1
            return self._last_tag

    def add(self, tag: int, line: str) -> None:
        """Keep what is about to be sent under `tag`."""
        with self._changed:
            self._lines[tag] = line

    def remove(self, tag: int) -> str | None:
        """Forget what was confirmed or refused, and return it; None if nothing was sent under `tag`."""
        with self._changed:
            line = self._lines.pop(tag, None)
            self._changed.notify_all()
            return line

    def wait_below(self, count: int, timeout: float | None = None) -> bool:
        """Wait until fewer than `count` are unsent; say whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._lines) < count or self._closed, timeout)

    def close(self) -> None:
        """Nothing will be confirmed any more: end every wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def unsent(self) -> list[str]:
        """Return the lines that are not confirmed, in the order sent."""
        with self._changed:
            return list(self._lines.values())


class Link:
    """The connection to the server: lines out, messages in."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._framer = LineFramer()
        self._lines: list[bytes | None] = []  # received, not yet read
        self._broken_off = False  # in the middle of a `send`
        self.last_sign = time.monotonic()  # of life; written by the thread that receives

    @classmethod
    def connect(cls, host: str, port: int) -> Link:
        """Return a link to the server; Fatal when there is none."""
        where = f"{host}, port {port}"
        try:
            sock = socket.create_connection((host, port), timeout=CONNECT_TIME)
        except (socket.gaierror, UnicodeError):
            raise Fatal(
                Status.NO_CONNECTION, f"No machine is called '{host}': look at what --host says."
            ) from None
        except ConnectionRefusedError:
            raise Fatal(
                Status.NO_CONNECTION,
                f"No server answers at {where}: start one there (python3 server.py"
                + (f" --port {port}" if port != DEFAULT_PORT else "")
                + "), or look at --host and --port.",
            ) from None
        except TimeoutError:
            raise Fatal(
                Status.NO_CONNECTION,
                f"Nothing answers at {where}: the machine is off, or a firewall is in between.",
            ) from None
        except OSError as error:
            raise Fatal(
                Status.NO_CONNECTION, f"{where} cannot be reached: {error.strerror or error}."
            ) from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def send(self, command: Command) -> None:
        """Send one command; OSError when the connection is lost."""
        self._broken_off = True
        self._sock.sendall(NATIVE.encode_command(command))
        self._broken_off = False

    def leave(self) -> None:
        """Say goodbye to the server; OSError when the connection is lost.

        When a second Ctrl+C has broken off a `send`, half a line may be under way, and a goodbye behind
        it would become part of what was said.  So the stream ends instead, and the server drops what is cut.
        """
        if self._broken_off:
            self._sock.shutdown(socket.SHUT_WR)
        else:
            self.send(Leave())

    def greeting(self) -> AskNick | Refusal:
        """Return the server's first line; Fatal when it is not one of Charla's."""
        try:
            line = self._next_line()
            if line is not None:
                self._sock.settimeout(None)
                return read_greeting(decode_line(line))
            reason = "closed the connection"
        except TimeoutError:
            reason = "says nothing"
        except OSError:
            reason = "closed the connection"
        except Refused:
            reason = "speaks another language"
        raise Fatal(
            Status.NO_CONNECTION, f"That is not a Charla server: it {reason}. Look at --host and --port."
        )

    def _next_line(self) -> bytes | None:
        """Return the next line, None at the end of the stream; over-long ones are passed over."""
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if line is not None:
                    return line
            data = self._sock.recv(65536)
            if not data:
                return None
            self.last_sign = time.monotonic()
            self._lines = self._framer.feed(data)

    def next_message(self) -> Message | None:
        """Return the next message, None at the end of the stream; OSError when the connection is lost."""
        while (line := self._next_line()) is not None:
            # What cannot be read is of a later version of the protocol: passed over, as it says.
            with contextlib.suppress(Refused):
                return NATIVE.decode(decode_line(line))
        return None

    def messages(self) -> Iterator[list[Message]]:
        """Yield the messages, all that have come at a time; ends with the stream; OSError when it is lost."""
        while (message := self.next_message()) is not None:
            batch = [message]
            while self._lines:
                line = self._lines.pop(0)
                with contextlib.suppress(Refused):
                    batch.append(NATIVE.decode(decode_line(line)))
            yield batch

    def close(self) -> None:
        """Wake whoever receives, and close.  For the main thread, after the receiver was joined or woken."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class Client:
    """A person in the room: what they type goes out, what arrives is shown."""

    def __init__(self, link: Link, console: Console, screen: Screen, nick: str) -> None:
        self._link = link
        self._console = console
        self._screen = screen
        self._outbox = Outbox()
        self._nick = nick  # written by the receiver once it runs
        self._goodbye: str | None = None  # the server's last word; the receiver's, until it is joined
        self._refused = False  # something was: set by either thread
        self._without_goodbye = "The connection to the server is lost."  # set by who knows better
        self._leaving = False  # written by main, once
        self._receiver = threading.Thread(target=self._receive, name="receiver", daemon=True)

    def run(self) -> Status:
        """Talk until somebody ends it; return the exit status."""
        self._receiver.start()
        try:
            self._type()
            self._leave()
        except Stopped as stopped:
            if stopped.typed:
                self._console.show(self._screen.notice(f"You were typing: {stopped.typed}"))
        except KeyboardInterrupt:
            self._leaving = True
            self._without_goodbye = "Left without waiting for the server."
        self._link.close()
        self._receiver.join()
        return self._status()

    # ---- main thread -----------------------------------------------------------------------------

    def _type(self) -> None:
        """Read lines and send them, until the user wants to leave."""
        while True:
            line = ""
            try:
                self._wait_for_confirmation()
                line = self._console.read_line(self._prompt)
                command = parse_typed(line, self._outbox.new_tag())
                if isinstance(command, Leave):
                    return
                if isinstance(command, Help):
                    self._console.show(self._screen.help())
                elif command is not None:
                    self._send(command, line)
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

    def _send(self, command: Command, line: str) -> None:
        """Send what was typed as `line`; it counts as unsent until the room confirms or refuses it."""
        match command:
            case Say(tag=tag) | Act(tag=tag) | Tell(tag=tag) | Rename(tag=tag):
                self._outbox.add(tag, line)
        # A line that is cut would run into the next one, and sendall lets Ctrl+C cut it.
        with self._console.uninterrupted(), contextlib.suppress(OSError):  # lost: the receiver tells
            self._link.send(command)

    def _leave(self) -> None:
        """Say goodbye; wait until the server has confirmed what was sent before, and says it too."""
        self._leaving = True
        with contextlib.suppress(OSError):
            self._link.leave()
        if self._console.interactive and not self._outbox.wait_below(1, 1.0):
            self._console.show(self._screen.notice("Waiting until what you said is sent. Ctrl+C: leave now."))
        while self._receiver.is_alive():
            self._receiver.join(0.5)
            if time.monotonic() - self._link.last_sign > ANSWER_TIME:
                self._complain("The server does not answer any more.")
                return

    def _status(self) -> Status:
        """Tell how it ended, and return the exit status."""
        unsent = self._outbox.unsent()
        if unsent:
            self._complain(f"Not confirmed, so perhaps not sent ({len(unsent)}):")
            for text in unsent:
                self._complain(f"    {text}")
        if self._goodbye == "left" and not unsent:
            return Status.REFUSED if self._refused and not self._console.interactive else Status.LEFT
        if self._goodbye is None:
            if self._leaving and not unsent:
                return Status.LEFT
            self._complain(self._without_goodbye)
        elif self._goodbye != "left":
            self._complain(wording.GOODBYES.get(self._goodbye, f"The server ended it: {self._goodbye}."))
        return Status.CONNECTION_LOST

    def _complain(self, text: str) -> None:
        """Tell the user something of the client's own: on the screen, or as a diagnostic of a script."""
        if self._console.interactive:
            self._console.show(self._screen.error(text))
        else:
            print(f"charla: {text}", file=sys.stderr)

    def _prompt(self) -> str:
        return self._screen.prompt(self._nick, len(self._outbox.unsent()))

    # ---- receiver --------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            for messages in self._link.messages():
                lines = []
                for message in messages:
                    lines += self._take(message)
                if not self._show(lines) or self._goodbye is not None:
                    break
        except OSError:
            pass  # lost: `_status` says so
        finally:
            self._outbox.close()
            if not self._leaving:
                self._console.stop()

    def _show(self, lines: list[str]) -> bool:
        """Show lines; say whether there was anybody to show them to."""
        try:
            self._console.show(lines)
        except OSError:
            _silence_output()
            self._without_goodbye = "Left: nobody reads the output any more."
            return False
        return True

    def _take(self, message: Message) -> list[str]:
        """Take note of a message; return the lines to show for it."""
        own = getattr(message, "tag", 0)
        unsent = self._outbox.remove(own) if own else None
        match message:
            case Goodbye(reason):
                self._goodbye = reason
                return []
            case Refusal(_, code, arguments):
                return self._refusal(code, arguments, unsent)
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


def _silence_output() -> None:
    """Let nothing complain at exit that standard output is closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ask_nick(console: Console) -> str:
    """Return what is typed as a nick; EOFError for what leaves."""
    typed = console.read_line(lambda: "Nickname: ")
    if isinstance(parse_typed(typed), Leave):
        raise EOFError
    return typed


def join(link: Link, console: Console, nick: str | None) -> Welcome:
    """Take a seat in the room, asking for a nick until one is taken; Fatal when that cannot be."""
    greeting = link.greeting()
    if isinstance(greeting, Refusal):
        raise Fatal(Status.REFUSED, sentence(greeting.code, greeting.arguments))
    while True:
        try:
            asked = nick if nick is not None else _ask_nick(console)
            link.send(Hello(check_nick(asked.strip(" "))))
            answer = link.next_message()
        except Refused as refused:
            answer = Refusal(0, refused.code, refused.arguments)
        except OSError:
            answer = None
        match answer:
            case Welcome():
                return answer
            case Refusal(_, code, arguments) if console.interactive and code.startswith("nick"):
                console.show([sentence(code, arguments)])
                nick = None
            case Refusal(_, code, arguments):
                raise Fatal(Status.REFUSED, sentence(code, arguments))
            case Goodbye(reason):
                raise Fatal(Status.CONNECTION_LOST, wording.GOODBYES.get(reason, reason))
            case None:
                raise Fatal(Status.CONNECTION_LOST, "The connection to the server is lost.")


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
    parser.add_argument("--version", action="version", version=f"Charla {protocol.__version__}")
    return parser.parse_args(arguments)


def talk(options: argparse.Namespace, console: Console) -> Status:
    """Connect, join and talk; return the exit status, or raise Fatal."""
    link = Link.connect(options.host, options.port)
    try:
        welcome = join(link, console, options.nick)
        screen = Screen(console.width, use_color(options.color))
        console.show(screen.lines(welcome, welcome.nick))
        return Client(link, console, screen, welcome.nick).run()
    finally:
        link.close()


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
