"""Joining: from nothing to a seat in the room, step by step, with what has to be asked on the way.

Connect (and trust the server), give the password if it asks for one, give a nick that is free.  All in the
main thread, before the network thread starts.
"""

from __future__ import annotations

import contextlib
import time

from charla.client.exits import REMOVED, ExitStatus, diagnose
from charla.client.network.connect import NoConnection
from charla.client.network.events import Ended, Ending
from charla.client.network.link import LinkLost
from charla.client.network.session import wait_before_again
from charla.client.network.thread import Network
from charla.client.network.trust import Distrusted
from charla.client.terminal.console import Console, Question
from charla.common.passwords import Password, PasswordError
from charla.i18n import N_, _
from charla.protocol.commands import Leave
from charla.protocol.messages import Message
from charla.protocol.nicks import check_nick
from charla.protocol.sentences import goodbye_words, sentence
from charla.protocol.text import Refused
from charla.protocol.typed import parse_typed

LOST = N_("The connection to the server is lost.")

PASSWORD_WAITS = 3
"""How often a server may have the client wait, for others who guessed from its address, at the most."""

_NOT_PATIENT = ("", "nick-late", "crowded")  # why a server hangs up on who types for long


class Fatal(Exception):
    """There is no seat to be had: the exit status, how it ended, and lines for the user."""

    def __init__(self, status: ExitStatus, ended: Ended, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.status = status
        self.ended = ended
        self.lines = lines


def join(network: Network, console: Console, nick: str | None) -> list[Message]:
    """Take a seat in the room, asking for what is missing; return the opening.  Fatal when that cannot be."""
    try:
        _enter(network, console)
        return _sit_down(network, console, nick)
    except NoConnection as error:
        raise Fatal(ExitStatus.NO_CONNECTION, Ended(Ending.LOST), str(error)) from None
    except Distrusted as distrusted:
        ended = Ended(Ending.UNTRUSTED, arguments=distrusted.lines)
        raise Fatal(ExitStatus.REFUSED, ended, *distrusted.lines) from None
    except Refused as refused:
        ended = Ended(Ending.REFUSED, refused.code, refused.arguments)
        raise Fatal(ExitStatus.REFUSED, ended, sentence(refused.code, refused.arguments)) from None
    except TimeoutError:
        words = _("The server does not answer any more.")
        raise Fatal(ExitStatus.CONNECTION_LOST, Ended(Ending.LOST), words) from None
    except OSError as error:
        reason = error.reason if isinstance(error, LinkLost) else ""
        status = ExitStatus.REFUSED if reason in REMOVED else ExitStatus.CONNECTION_LOST
        ended = Ended(Ending.GOODBYE, reason) if reason else Ended(Ending.LOST)
        raise Fatal(status, ended, goodbye_words(reason) if reason else _(LOST)) from None


def _enter(network: Network, console: Console) -> None:
    """Connect, and give the password, which is asked for until it is the right one."""
    _connect(network, console)
    asked, waits = False, 0
    while network.asks_password:
        try:
            if network.password is None and not console.interactive:
                raise Refused("password-needed")
            if network.password is None:
                asked = True
            network.give_password(network.password or _ask_password(console))
        except PasswordError as error:
            console.show([_("No: {error}.").format(error=error)])
        except Refused as refused:
            seconds = wait_before_again(refused)
            if seconds is not None and waits < PASSWORD_WAITS:
                waits += 1
                why = sentence(refused.code, refused.arguments)
                _tell(console, [f"{why} " + _("That is done now, by itself.")])
                time.sleep(seconds)
                _connect(network, console)
                continue
            if not (console.interactive and refused.code == "wrong-password"):
                raise
            console.show([sentence(refused.code)])
        except TimeoutError:
            raise
        except OSError:
            if not asked:
                raise
            asked = False
            _connect(network, console)  # the server was not patient enough for who types


def _connect(network: Network, console: Console) -> None:
    network.connect(lambda notices: _tell(console, notices))


def _sit_down(network: Network, console: Console, nick: str | None) -> list[Message]:
    """Ask for a seat, under nicks that are asked for until one is free."""
    while True:
        try:
            if nick is not None:
                return network.join(_checked(nick))
            typed = _checked(_ask_nick(console))
            try:
                return network.join(typed)
            except LinkLost as lost:
                if lost.reason not in _NOT_PATIENT:
                    raise
                failure: OSError = lost
            except TimeoutError:
                raise
            except OSError as error:
                failure = error
            try:
                _enter(network, console)
            except NoConnection:
                raise failure from None
            return network.join(typed)
        except Refused as refused:
            if not (console.interactive and refused.code.startswith("nick")):
                raise
            console.show([sentence(refused.code, refused.arguments)])
            nick = None


def _checked(nick: str) -> str:
    return check_nick(nick.strip(" "))


def _ask_nick(console: Console) -> str:
    """Return what is typed as a nick; EOFError for what leaves."""
    typed = console.read_line(Question(_("Nickname: ")))
    if isinstance(parse_typed(typed), Leave):
        raise EOFError
    return typed


def _ask_password(console: Console) -> Password:
    """Return what is typed as a password; EOFError for what leaves, PasswordError for what is none."""
    typed = console.read_secret(_("Password: "))
    if not typed:
        raise PasswordError(N_("nothing was typed: type the password that the server asks for, or exit"))
    with contextlib.suppress(Refused):
        if isinstance(parse_typed(typed), Leave):
            raise EOFError
    return Password(typed)


def _tell(console: Console, lines: list[str]) -> None:
    if console.interactive:
        console.show(lines)
    else:
        diagnose(*lines)
