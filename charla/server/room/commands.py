"""What people say and ask: the commands of the room, each done once.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from charla.i18n import N_
from charla.protocol.commands import WHO_PAGE, Act, Help, Rename, Say, Tell, Who
from charla.protocol.messages import (
    Acted,
    AlreadyDone,
    DeliveryPending,
    Event,
    HelpText,
    Message,
    Refusal,
    Renamed,
    Said,
    Told,
    WhoPage,
)
from charla.protocol.native import NATIVE
from charla.protocol.nicks import check_nick
from charla.protocol.text import Refused
from charla.server.delivery.fanout import Fanout
from charla.server.room.moderator_commands import ModeratorCommands
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.sessions import Mail, Resumable, Session, Sessions
from charla.server.storage.entries import Logged
from charla.server.storage.event_log import EventLog

log = logging.getLogger("charla")


class Room(Protocol):
    """What those who talk need of the room."""

    def tell_everyone(self, event: Event, author: Session) -> None:
        """Log an event and tell everyone."""

    def tell_alone(self, session: Session, logged: Logged) -> None:
        """Tell one session an event."""

    def check_free(self, nick: str, asking: Session) -> None:
        """Refuse a nick that somebody else has."""


class Commands:
    """Does what people with a seat ask; `asked` has it by the kind of command."""

    def __init__(
        self,
        room: Room,
        log: EventLog,
        sessions: Sessions,
        fanout: Fanout,
        mail: PrivateMessages,
        moderators: ModeratorCommands,
    ) -> None:
        self._room = room
        self._log = log
        self._sessions = sessions
        self._fanout = fanout
        self._mail = mail
        self._moderators = moderators
        self.asked: dict[type, Callable[[Session, Any], None]] = {
            Say: self.once(self._say),
            Act: self.once(self._act),
            Tell: self.once(self._tell),
            Rename: self.once(self._rename),
            Who: self._who,
            Help: self._help,
        }

    # ---- once ------------------------------------------------------------------------------------

    def once(self, do: Callable[[Session, Any], None]) -> Callable[[Session, Any], None]:
        """Return `do` for commands that a client sends again when it has missed the answer.

        The tags of a session that resumes rise: one that is not higher than the last one was seen before.
        """

        def do_once(session: Session, command: Any) -> None:
            resumable = session.resumable
            if resumable is None:
                do(session, command)
                return
            if command.tag <= resumable.last_tag:
                self._repeat(session, resumable, command.tag)
                return
            resumable.last_tag = command.tag
            self._log.save_session(session.id, session.row())
            try:
                do(session, command)
            except Refused as refused:
                # Not the exception: that would hold what was typed, and everything around it.
                forgotten = resumable.refuse(Refusal(refused.tag, refused.code, refused.arguments))
                self._log.save_refusal(session.id, refused.tag, forgotten)
                raise

        return do_once

    def _repeat(self, session: Session, resumable: Resumable, tag: int) -> None:
        """Answer again what was done or refused before."""
        assert session.connection is not None
        if tag in resumable.refused:
            self._fanout.send_to(session.connection, resumable.refused[tag])
            return
        logged = self._log.find(session.id, tag)
        line = logged.line_for(session.id) if logged is not None else NATIVE.encode(AlreadyDone(tag))
        self._fanout.send_raw(session.connection, line)

    # ---- to everyone, and to one -----------------------------------------------------------------

    def _say(self, session: Session, command: Say) -> None:
        self._moderators.check_may_speak(session, command.tag)
        self._room.tell_everyone(Said(*self._log.next(), command.tag, session.nick, command.text), session)

    def _act(self, session: Session, command: Act) -> None:
        self._moderators.check_may_speak(session, command.tag)
        self._room.tell_everyone(Acted(*self._log.next(), command.tag, session.nick, command.text), session)

    def _tell(self, session: Session, command: Tell) -> None:
        addressee = self._sessions.get(command.to)
        if addressee is None:
            raise Refused("no-such-user", command.to, tag=command.tag)
        self._mail.check(session, addressee, command.tag)
        told = Told(*self._log.next(), command.tag, session.nick, addressee.nick, command.text)
        logged = self._log.append(told, session.id, addressee.id)
        mail = self._mail.add(logged, session, addressee)
        self._room.tell_alone(session, logged)
        if addressee is not session:
            self._room.tell_alone(addressee, logged)
            if addressee.connection is None:
                self.say_that_it_waits(mail, addressee)

    def say_that_it_waits(self, mail: Mail, addressee: Session) -> None:
        """Tell the author of a private message, once, that its addressee's link is down."""
        author = mail.author
        if author is not None and author.live and not mail.told_waiting:
            assert author.connection is not None
            mail.told_waiting = True
            self._fanout.send_to(author.connection, DeliveryPending(mail.logged.id, addressee.nick))

    # ---- who is who ------------------------------------------------------------------------------

    def _rename(self, session: Session, command: Rename) -> None:
        try:
            nick = check_nick(command.nick)
            if nick == session.nick:
                raise Refused("nick-same", nick)
            self._room.check_free(nick, session)
            self._moderators.check_may_enter(nick, "")
            # A nick is something to say, too, and a muted one is not shaken off.
            self._moderators.check_may_speak(session, command.tag)
        except Refused as refused:
            refused.tag = command.tag
            raise
        old = session.nick
        self._sessions.rename(session, nick)
        self._log.save_session(session.id, session.row())
        log.info(N_("%s is now %s"), old, nick)
        self._room.tell_everyone(Renamed(*self._log.next(), command.tag, old, nick), session)

    def _who(self, session: Session, command: Who) -> None:
        assert session.connection is not None
        self._fanout.send_to(session.connection, self.here(command.page, command.tag))

    def _help(self, session: Session, command: Help) -> None:
        assert session.connection is not None
        self._fanout.send_to(session.connection, HelpText(command.moderators))

    def here(self, page: int, tag: int) -> Message:
        """Return a page of who is here; Refused when there is no such page."""
        people = len(self._sessions)
        pages = max(1, -(-people // WHO_PAGE))
        if not 1 <= page <= pages:
            raise Refused("no-page", str(pages), tag=tag)
        return WhoPage(tag, page, pages, people, self._sessions.page(page, WHO_PAGE))
