"""What people say and ask: the commands of the room, each done once.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from charla.i18n import N_
from charla.protocol.commands import Act, Help, Rename, Say, Tell, Who
from charla.protocol.messages import Acted, AlreadyDone, HelpText, Refusal, Renamed, Said, Told
from charla.protocol.native import NATIVE
from charla.protocol.nicks import check_nick
from charla.protocol.text import Refused
from charla.server.room.announcer import Announcer
from charla.server.room.membership import Membership
from charla.server.room.private_messages import PrivateMessages
from charla.server.room.rules import Rules
from charla.server.room.sessions import Resumable, Session

log = logging.getLogger("charla")


class Commands:
    """Does what people with a seat ask."""

    def __init__(
        self, announcer: Announcer, membership: Membership, private_messages: PrivateMessages, rules: Rules
    ) -> None:
        self._announcer = announcer
        self._log = announcer.log
        self._membership = membership
        self._sessions = membership.sessions
        self._private_messages = private_messages
        self._rules = rules
        # What changes something, and so is done once though it may be sent twice...
        self.changes: dict[type, Callable[[Session, Any], None]] = {
            Say: self._say,
            Act: self._act,
            Tell: self._tell,
            Rename: self._rename,
        }
        # ...and what only asks.
        self.questions: dict[type, Callable[[Session, Any], None]] = {Who: self._who, Help: self._help}

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
        if tag in resumable.refused:
            self._announcer.answer(session, resumable.refused[tag])
            return
        assert session.connection is not None
        logged = self._log.find(session.id, tag)
        line = logged.line_for(session.id) if logged is not None else NATIVE.encode(AlreadyDone(tag))
        self._announcer.fanout.send_raw(session.connection, line)

    # ---- to everyone, and to one -----------------------------------------------------------------

    def _say(self, session: Session, command: Say) -> None:
        self._check_may_speak(session, command.tag)
        said = Said(*self._log.next(), command.tag, session.nick, command.text)
        self._announcer.tell_everyone(said, session)

    def _act(self, session: Session, command: Act) -> None:
        self._check_may_speak(session, command.tag)
        acted = Acted(*self._log.next(), command.tag, session.nick, command.text)
        self._announcer.tell_everyone(acted, session)

    def _tell(self, session: Session, command: Tell) -> None:
        addressee = self._sessions.get(command.to)
        if addressee is None:
            raise Refused("no-such-user", command.to, tag=command.tag)
        self._private_messages.check(session, addressee, command.tag)
        told = Told(*self._log.next(), command.tag, session.nick, addressee.nick, command.text)
        logged = self._log.append(told, session.id, addressee.id)
        self._private_messages.deliver(logged, session, addressee)

    def _check_may_speak(self, session: Session, tag: int) -> None:
        """Refuse who is muted, and who is no moderator while the room is quiet."""
        if session.moderator:
            return
        seconds = self._rules.muted(session.nick)
        if seconds is not None:
            raise Refused("muted", str(seconds), tag=tag)
        if self._rules.quiet:
            raise Refused("quiet", tag=tag)

    # ---- who is who ------------------------------------------------------------------------------

    def _rename(self, session: Session, command: Rename) -> None:
        try:
            nick = check_nick(command.nick)
            if nick == session.nick:
                raise Refused("nick-same", nick)
            self._membership.check_free(nick, session)
            self._rules.check_may_enter(nick, "")
            # A nick is something to say, too, and a muted one is not shaken off.
            self._check_may_speak(session, command.tag)
        except Refused as refused:
            refused.tag = command.tag
            raise
        old = session.nick
        self._sessions.rename(session, nick)
        self._log.save_session(session.id, session.row())
        log.info(N_("%s is now %s"), old, nick)
        self._announcer.tell_everyone(Renamed(*self._log.next(), command.tag, old, nick), session)

    def _who(self, session: Session, command: Who) -> None:
        self._announcer.answer(session, self._sessions.page(command.page, command.tag))

    def _help(self, session: Session, command: Help) -> None:
        self._announcer.answer(session, HelpText(command.moderators))
