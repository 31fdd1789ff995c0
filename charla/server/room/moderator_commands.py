"""What moderators do: they remove people, keep them out or quiet, announce, and set the topic.

Each of it is an event, told to everyone and logged; what still holds (rules.py) is on disk with it.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from charla.common.addresses import is_loopback
from charla.i18n import N_
from charla.protocol.commands import (
    BANS_SHOWN,
    MODERATORS_ONLY,
    Announce,
    AskBans,
    AskTopic,
    Ban,
    Kick,
    Mute,
    SetQuiet,
    SetTopic,
    Unban,
    Unmute,
)
from charla.protocol.messages import AskPassword, Banned, Moderated, Topic
from charla.protocol.nicks import check_nick
from charla.protocol.text import Refused
from charla.server.delivery.requests import AskForPassword, Promote
from charla.server.records import log_fields
from charla.server.room.announcer import Announcer
from charla.server.room.membership import Membership
from charla.server.room.rules import Rules
from charla.server.room.sessions import Session

log = logging.getLogger("charla")


class ModeratorCommands:
    """Does what moderators ask; `allowed`: this server has any."""

    def __init__(
        self,
        announcer: Announcer,
        membership: Membership,
        rules: Rules,
        *,
        allowed: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._announcer = announcer
        self._log = announcer.log
        self._membership = membership
        self._sessions = membership.sessions
        self._rules = rules
        self._allowed = allowed
        self._clock = clock
        # What changes something, and so is done once though it may be sent twice...
        self.changes: dict[type, Callable[[Session, Any], None]] = {
            Promote: self._promote,
            Kick: self._kick,
            Ban: self._ban,
            Unban: self._unban,
            Mute: self._mute,
            Unmute: self._unmute,
            Announce: self._announce,
            SetTopic: self._set_topic,
            SetQuiet: self._set_quiet,
        }
        # ...and what only asks.
        self.questions: dict[type, Callable[[Session, Any], None]] = {
            AskForPassword: self._ask_for_password,
            AskTopic: self._topic,
            AskBans: self._bans,
        }

    # ---- becoming one ----------------------------------------------------------------------------

    def _ask_for_password(self, session: Session, _: AskForPassword) -> None:
        self._announcer.answer(session, AskPassword())

    def _promote(self, session: Session, promote: Promote) -> None:
        if session.moderator:
            raise Refused("moderator-already", tag=promote.tag)
        session.moderator = True
        self._log.save_session(session.id, session.row())
        self._tell("mod", session, promote.tag)

    def permit(self, kind: type, do: Callable[[Session, Any], None]) -> Callable[[Session, Any], None]:
        """Return `do`; if commands of that kind are for moderators only, what refuses them to others."""
        if kind not in MODERATORS_ONLY:
            return do

        def do_for_moderator(session: Session, command: Any) -> None:
            if not self._allowed:
                raise Refused("no-moderators", tag=command.tag)
            if not session.moderator:
                raise Refused("not-moderator", tag=command.tag)
            try:
                do(session, command)
            except Refused as refused:
                refused.tag = command.tag
                raise

        return do_for_moderator

    # ---- people ----------------------------------------------------------------------------------

    def _kick(self, moderator: Session, command: Kick) -> None:
        target = self._target(moderator, command.nick)
        self._tell("kick", moderator, command.tag, target.nick, text=command.why)
        self._membership.expel(target, "kicked")

    def _ban(self, moderator: Session, command: Ban) -> None:
        try:
            target = self._target(moderator, command.nick)
            nick, address = target.nick, target.origin
        except Refused as refused:
            if refused.code != "nobody-called":
                raise
            former = self._sessions.formerly(command.nick)
            target, nick = None, check_nick(command.nick)
            address = former.origin if former is not None else ""
        if address == moderator.origin or _is_everybodys(address):
            address = ""  # the moderator, or everybody on this machine, would be kept out, too
        self._rules.ban(nick, address, command.seconds, moderator.nick, command.why)
        self._tell("ban", moderator, command.tag, nick, command.seconds, command.why)
        if target is not None:
            self._membership.expel(target, "banned")

    def _unban(self, moderator: Session, command: Unban) -> None:
        lifted = self._rules.unban(command.nick)
        self._tell("unban", moderator, command.tag, lifted.nick)

    def _mute(self, moderator: Session, command: Mute) -> None:
        target = self._target(moderator, command.nick)
        self._rules.mute(target.nick, command.seconds, moderator.nick)
        self._tell("mute", moderator, command.tag, target.nick, command.seconds)

    def _unmute(self, moderator: Session, command: Unmute) -> None:
        mute = self._rules.unmute(command.nick)
        self._tell("unmute", moderator, command.tag, mute.nick)

    def _target(self, moderator: Session, nick: str) -> Session:
        """Return the session that a moderator means; Refused when that is nobody, or called otherwise now."""
        target = self._sessions.get(nick)
        if target is moderator:
            raise Refused("yourself")
        if target is not None:
            return target
        former = self._sessions.formerly(nick)
        if former is not None and not former.over:
            raise Refused("called-now", nick, former.nick)
        raise Refused("nobody-called", nick)

    # ---- the room --------------------------------------------------------------------------------

    def _announce(self, moderator: Session, command: Announce) -> None:
        self._tell("announce", moderator, command.tag, text=command.text)

    def _set_topic(self, moderator: Session, command: SetTopic) -> None:
        self._rules.set_topic(command.text)
        self._tell("topic" if command.text else "no-topic", moderator, command.tag, text=command.text)

    def _set_quiet(self, moderator: Session, command: SetQuiet) -> None:
        self._rules.set_quiet(command.on)
        self._tell("quiet" if command.on else "not-quiet", moderator, command.tag)

    def _tell(
        self, action: str, moderator: Session, tag: int, nick: str = "", seconds: int = 0, text: str = ""
    ) -> None:
        event = Moderated(*self._log.next(), tag, action, moderator.nick, nick, seconds, text)
        log.info(
            N_("moderator %s: %s"),
            *(moderator.nick, f"{action} {nick}".strip()),
            extra=log_fields("moderated", moderator=moderator.nick, action=action, nick=nick),
        )
        self._announcer.tell_everyone(event, moderator)

    # ---- questions -------------------------------------------------------------------------------

    def _topic(self, session: Session, command: AskTopic) -> None:
        self._announcer.answer(session, Topic(command.tag, self._rules.quiet, self._rules.topic))

    def _bans(self, session: Session, command: AskBans) -> None:
        now = self._clock()
        bans = self._rules.bans()[:BANS_SHOWN]
        for number, ban in enumerate(bans, start=1):
            left = ban.seconds_left(now)
            banned = Banned(command.tag, number, len(bans), ban.nick, ban.address, left, ban.by, ban.why)
            self._announcer.answer(session, banned)
        if not bans:
            self._announcer.answer(session, Banned(command.tag, 0, 0))


def _is_everybodys(origin: str) -> bool:
    """Say whether all people on the server's machine have that origin; one of IPv6 may be a network."""
    return origin != "" and "/" not in origin and is_loopback(origin)
