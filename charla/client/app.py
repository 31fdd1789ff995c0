"""The client put together: its options, a console, the network, and a person or a script that talks.

All of it runs in the main thread.  What only some need is imported where they need it: so the client starts
sooner.
"""

from __future__ import annotations

import argparse
import errno

from charla.client.chat.join import Fatal, join
from charla.client.chat.participant import Participant
from charla.client.display.colors import use_color
from charla.client.display.screen import Screen
from charla.client.exits import ExitStatus, diagnose
from charla.client.network.events import Ended, Ending
from charla.client.options import parse_options
from charla.client.terminal.choose import open_console
from charla.client.terminal.console import Console, enable_colors
from charla.client.terminal.pipe import PipeConsole
from charla.common.certificates import TlsError
from charla.common.passwords import PasswordError
from charla.common.stdio import have_streams, silence_output
from charla.i18n import _, system_words
from charla.protocol.messages import Message

# A full disk (or one's part of it), a file that is large enough, a terminal that is gone.
_NOT_WRITTEN = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EIO}


def talk(options: argparse.Namespace, console: Console) -> ExitStatus:
    """Connect, join and talk; return the exit status, or raise Fatal."""
    color = use_color(options.color, plain=options.plain) and enable_colors()
    screen = Screen(console.width, color, plain=options.plain, terminal=console.interactive)
    screen.time_shown = options.time
    participant = _participant(options, console, screen)
    try:
        return participant.run(_join(participant, console, options.nick))
    finally:
        participant.network.close()


def _join(participant: Participant, console: Console, nick: str | None) -> list[Message]:
    """Take a seat, and return the opening; tell the participant when there is none to be had."""
    try:
        return join(participant.network, console, nick)
    except Fatal as fatal:
        participant.no_seat(fatal.ended)
        raise
    except KeyboardInterrupt:
        participant.no_seat(Ended(Ending.CLOSED))
        raise


def _participant(options: argparse.Namespace, console: Console, screen: Screen) -> Participant:
    """Return what fits: a person, or a script.  Imported here, to start sooner without the other."""
    if console.interactive:
        from charla.client.chat.chat import Chat

        return Chat(console, screen, options)
    from charla.client.script.script import JsonScript, Script, Sender

    kind = JsonScript if options.json else Sender if options.send else Script
    return kind(console, screen, options)


def main(arguments: list[str] | None = None) -> int:
    """Run the client as a command; return its exit status."""
    have_streams()
    options = parse_options(arguments)
    if options.json:
        from charla.client.script.jsonlines import MAX_JSON

        console: Console = PipeConsole(MAX_JSON)
    else:
        try:
            console = PipeConsole() if options.send else open_console(options.plain, options.console)
        except ImportError as error:
            text = _("prompt_toolkit cannot be used ({why}): install it, or leave out --console prompt")
            diagnose(text.format(why=error))
            return ExitStatus.USAGE
    if options.nick is None and not console.interactive:
        diagnose(_("give a nickname with --nick: standard input is not a terminal"))
        return ExitStatus.USAGE
    try:
        try:
            console.open()
            return talk(options, console)
        finally:
            console.close()  # first: the terminal must be itself again when something is printed on it
    except Fatal as fatal:
        diagnose(*fatal.lines)
        return fatal.status
    except (PasswordError, TlsError) as error:
        diagnose(f"{error}.")
        return ExitStatus.USAGE
    except (EOFError, KeyboardInterrupt):  # a script that is ended before it is in has said nothing
        return ExitStatus.LEFT if console.interactive else ExitStatus.CONNECTION_LOST
    except BrokenPipeError:  # nobody reads our output, not even the welcome
        silence_output()
        return ExitStatus.CONNECTION_LOST
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        silence_output()
        diagnose(_("The output cannot be written: {why}.").format(why=system_words(error)))
        return ExitStatus.CONNECTION_LOST
