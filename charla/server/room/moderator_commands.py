"""What moderators do: they remove people, keep them out or quiet, announce, and set the topic.

Each of it is an event, told to everyone and logged; what still holds (rules.py) is on disk with it.

Belongs to the room thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from charla.common.addresses import is_loopback
from charla.i18n import N_
from charla.protocol.commands import (
    BANS_SHOWN,
    Announce,
    AskBans,
    AskStatus,
    AskTopic,
    Ban,
    Kick,
    Mute,
    SetQuiet,
    SetTopic,
    Unban,
    Unmute,
)
from charla.protocol.messages import AskPassword, Banned, Event, Moderated, Status, Topic
from charla.protocol.nicks import check_nick
from charla.protocol.text import Refused
from charla.server.delivery.fanout import Fanout
from charla.server.delivery.requests import AskForPassword, Promote
from charla.server.records import log_fields
from charla.server.room import rules as moderation
from charla.server.room.sessions import Session, Sessions
from charla.server.storage.event_log import EventLog

log = logging.getLogger("charla")


class Room(Protocol):
    """What moderators need of the room."""

    def tell_everyone(self, event: Event, author: Session) -> None:
        """Log an event and tell everyone."""

    def expel(self, session: Session, reason: str) -> None:
        """End a session, and say goodbye to its connection."""

    def status(self) -> tuple[str, ...]:
        """Return the values of STATUS_WORDS."""


class ModeratorCommands:
    """Does what moderators ask; `allowed`: this server has any."""

    def __init__(
        self,
        room: Room,
        log: EventLog,
        sessions: Sessions,
        fanout: Fanout,
        *,
        allowed: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = moderation.Rules(clock, log.save_state)
        self._room = room
        self._log = log
        self._sessions = sessions
        self._fanout = fanout
        self.allowed = allowed
        self._clock = clock
        # What changes something, and so is done once though it may be sent twice...
        self.rulings: dict[type, Callable[[Session, Any], None]] = {
            Promote: self._promote,
            Kick: self._for_moderators(self._kick),
            Ban: self._for_moderators(self._ban),
            Unban: self._for_moderators(self._unban),
            Mute: self._for_moderators(self._mute),
            Unmute: self._for_moderators(self._unmute),
            Announce: self._for_moderators(self._announce),
            SetTopic: self._for_moderators(self._set_topic),
            SetQuiet: self._for_moderators(self._set_quiet),
        }
        # ...and what only asks.
        self.questions: dict[type, Callable[[Session, Any], None]] = {
            AskForPassword: self._ask_for_password,
            AskTopic: self._topic,
            AskBans: self._for_moderators(self._bans),
            AskStatus: self._for_moderators(self._status),
        }

    # ---- what it means for the others ------------------------------------------------------------

    def check_may_enter(self, nick: str, origin: str) -> None:
        """Refuse who is banned, by nick or by address."""
        ban = self.rules.banned(nick, origin)
        if ban is not None:
            seconds = ban.seconds_left(self._clock())
            raise Refused("banned-for", str(seconds)) if seconds else Refused("banned")

    def check_may_speak(self, session: Session, tag: int) -> None:
        """Refuse who is muted, and who is no moderator while the room is quiet."""
        if session.moderator:
            return
        seconds = self.rules.muted(session.nick)
        if seconds is not None:
            raise Refused("muted", str(seconds), tag=tag)
        if self.rules.quiet:
            raise Refused("quiet", tag=tag)

    def topic_for_who_joins(self) -> Topic | None:
        """Return what somebody who joins is told; None when there is nothing."""
        if self.rules.topic or self.rules.quiet:
            return Topic(0, self.rules.quiet, self.rules.topic)
        return None

    # ---- becoming one ----------------------------------------------------------------------------

    def _ask_for_password(self, session: Session, _: AskForPassword) -> None:
        assert session.connection is not None
        self._fanout.send_to(session.connection, AskPassword())

    def _promote(self, session: Session, promote: Promote) -> None:
        if session.moderator:
            raise Refused("moderator-already", tag=promote.tag)
        session.moderator = True
        self._log.save_session(session.id, session.row())
        self._tell("mod", session, promote.tag)

    def _for_moderators(self, do: Callable[[Session, Any], None]) -> Callable[[Session, Any], None]:
        def do_for_moderators(session: Session, command: Any) -> None:
            if not self.allowed:
                raise Refused("no-moderators", tag=command.tag)
            if not session.moderator:
                raise Refused("not-moderator", tag=command.tag)
            try:
                do(session, command)
            except Refused as refused:
                refused.tag = command.tag
                raise

        return do_for_moderators

    # ---- people ----------------------------------------------------------------------------------

    def _kick(self, moderator: Session, command: Kick) -> None:
        target = self._target(moderator, command.nick)
        self._tell("kick", moderator, command.tag, target.nick, text=command.why)
        self._room.expel(target, "kicked")

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
        self.rules.ban(nick, address, command.seconds, moderator.nick, command.why)
        self._tell("ban", moderator, command.tag, nick, command.seconds, command.why)
        if target is not None:
            self._room.expel(target, "banned")

    def _unban(self, moderator: Session, command: Unban) -> None:
        lifted = self.rules.unban(command.nick)
        self._tell("unban", moderator, command.tag, lifted.nick)

    def _mute(self, moderator: Session, command: Mute) -> None:
        target = self._target(moderator, command.nick)
        self.rules.mute(target.nick, command.seconds, moderator.nick)
        self._tell("mute", moderator, command.tag, target.nick, command.seconds)

    def _unmute(self, moderator: Session, command: Unmute) -> None:
        mute = self.rules.unmute(command.nick)
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
        self.rules.set_topic(command.text)
        self._tell("topic" if command.text else "no-topic", moderator, command.tag, text=command.text)

    def _set_quiet(self, moderator: Session, command: SetQuiet) -> None:
        self.rules.set_quiet(command.on)
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
        self._room.tell_everyone(event, moderator)

    # ---- questions -------------------------------------------------------------------------------

    def _topic(self, session: Session, command: AskTopic) -> None:
        assert session.connection is not None
        self._fanout.send_to(session.connection, Topic(command.tag, self.rules.quiet, self.rules.topic))

    def _bans(self, session: Session, command: AskBans) -> None:
        assert session.connection is not None
        now = self._clock()
        bans = self.rules.bans()[:BANS_SHOWN]
        for number, ban in enumerate(bans, start=1):
            left = ban.seconds_left(now)
            banned = Banned(command.tag, number, len(bans), ban.nick, ban.address, left, ban.by, ban.why)
            self._fanout.send_to(session.connection, banned)
        if not bans:
            self._fanout.send_to(session.connection, Banned(command.tag, 0, 0))

    def _status(self, session: Session, command: AskStatus) -> None:
        assert session.connection is not None
        self._fanout.send_to(session.connection, Status(command.tag, self._room.status()))


def _is_everybodys(origin: str) -> bool:
    """Say whether all people on the server's machine have that origin; one of IPv6 may be a network."""
    return origin != "" and "/" not in origin and is_loopback(origin)
