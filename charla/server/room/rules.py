"""What moderators have decided, and still holds: bans, mutes, the topic, and whether the room is quiet.

State of the room thread; no I/O.  What changes is handed to `save`, which has the next commit write it: so a
decision and the event that announces it are on disk together, or not at all.  Times are Unix times in
seconds: they hold across a restart.

Nicks are compared by nick_key, and by what they look like.  Addresses are compared as they are: whoever
asks gives them in one form.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from charla.i18n import N_
from charla.protocol.messages import Topic
from charla.protocol.nicks import look, nick_key
from charla.protocol.text import Refused

log = logging.getLogger("charla")

MAX_BANS = 1000
"""Bans at a time: they are held in memory, and a moderator has to find one among them."""

MAX_MUTES = 1000
"""People who are muted at a time."""


@dataclass(frozen=True, slots=True)
class Ban:
    """`nick` is kept out, and `address` unless it is empty, `until` then (0: for ever)."""

    nick: str
    address: str
    until: float
    by: str
    why: str
    since: float

    def seconds_left(self, now: float) -> int:
        """Return how long it holds yet: 0 for ever, else 1 at the least."""
        return _seconds_left(self.until, now)


@dataclass(frozen=True, slots=True)
class Mute:
    """`nick` may not speak to everyone `until` then (0: for ever)."""

    nick: str
    until: float
    by: str


def _seconds_left(until: float, now: float) -> int:
    return max(1, round(until - now)) if until else 0


def _ignore(_kind: str, _key: str, _value: str | None) -> None:
    pass


class Rules:
    """All that is decided.

    `clock`: Unix time in seconds.  `save(kind, key, value)` has the next commit write `value`, which is JSON,
    or delete what was written (None).
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        save: Callable[[str, str, str | None], None] = _ignore,
    ) -> None:
        self._clock = clock
        self._save = save
        self._bans: dict[str, Ban] = {}  # by nick_key, the newest last
        self._keys: dict[str, dict[str, None]] = {}  # by address: those of `_bans`, the newest last
        self._mutes: dict[str, Mute] = {}  # by nick_key
        # What their nicks look like, to their nick_key: who takes one that looks the same is meant, too.
        self._ban_looks: dict[str, str] = {}
        self._mute_looks: dict[str, str] = {}
        self.topic = ""  # changed with set_topic
        self.quiet = False  # changed with set_quiet

    # ---- bans ------------------------------------------------------------------------------------

    def ban(self, nick: str, address: str, seconds: float, by: str, why: str) -> Ban:
        """Keep `nick` out, and `address` unless it is empty, for `seconds` (0: for ever); return the ban.

        It replaces an earlier one of this nick.  Refused("ban-limit") when there are MAX_BANS others.
        """
        now = self._clock()
        if nick_key(nick) not in self._bans and len(self._bans) >= MAX_BANS:
            self.expire()
            if len(self._bans) >= MAX_BANS:
                raise Refused("ban-limit", str(MAX_BANS))
        ban = Ban(nick, address, now + seconds if seconds else 0.0, by, why, since=now)
        self._put_ban(ban)
        self._save("ban", nick_key(nick), _json(asdict(ban)))
        return ban

    def unban(self, nick: str) -> Ban:
        """Lift the ban of `nick`, or every ban of the address that it is; return the newest of them.

        Refused("no-ban") when there is none.
        """
        self.expire()
        key = nick_key(nick)
        lifted = [key] if key in self._bans else list(self._keys.get(nick, ()))
        if not lifted:
            raise Refused("no-ban", nick)
        return [self._end_ban(key) for key in lifted][-1]

    def banned(self, nick: str, address: str) -> Ban | None:
        """Return the ban that keeps this nick out or else, unless it is empty, this address: the newest."""
        now = self._clock()
        key: str | None = nick_key(nick)
        if key not in self._bans:
            key = self._ban_looks.get(look(nick), key)
        while key is not None:
            ban = self._bans.get(key)
            if ban is not None and not _is_over(ban, now):
                return ban
            if ban is not None:
                self._end_ban(key)
            key = next(reversed(self._keys.get(address, {})), None)
        return None

    def check_may_enter(self, nick: str, address: str) -> None:
        """Refuse who is banned, by nick or by address."""
        ban = self.banned(nick, address)
        if ban is not None:
            seconds = ban.seconds_left(self._clock())
            raise Refused("banned-for", str(seconds)) if seconds else Refused("banned")

    def bans(self) -> list[Ban]:
        """Return all bans, the newest first."""
        self.expire()
        return list(reversed(self._bans.values()))

    def _put_ban(self, ban: Ban) -> None:
        key = nick_key(ban.nick)
        self._take_ban(key)
        self._bans[key] = ban
        self._ban_looks[look(ban.nick)] = key
        if ban.address:
            self._keys.setdefault(ban.address, {})[key] = None

    def _take_ban(self, key: str) -> Ban | None:
        ban = self._bans.pop(key, None)
        if ban is not None:
            self._ban_looks.pop(look(ban.nick), None)
        if ban is not None and ban.address:
            keys = self._keys[ban.address]
            del keys[key]
            if not keys:
                del self._keys[ban.address]
        return ban

    def _end_ban(self, key: str) -> Ban:
        ban = self._take_ban(key)
        assert ban is not None
        self._save("ban", key, None)
        return ban

    # ---- mutes -----------------------------------------------------------------------------------

    def mute(self, nick: str, seconds: float, by: str) -> None:
        """Have `nick` be muted for `seconds` (0: for ever), instead of for how long it was before.

        Refused("mute-limit") when MAX_MUTES others are.
        """
        key = nick_key(nick)
        if key not in self._mutes and len(self._mutes) >= MAX_MUTES:
            self.expire()
            if len(self._mutes) >= MAX_MUTES:
                raise Refused("mute-limit", str(MAX_MUTES))
        self._put_mute(key, Mute(nick, self._clock() + seconds if seconds else 0.0, by))

    def unmute(self, nick: str) -> Mute:
        """Let `nick` speak again, and return its mute; Refused("not-muted") when it may."""
        if self.muted(nick) is None:
            raise Refused("not-muted", nick)
        key = nick_key(nick)
        return self._end_mute(key if key in self._mutes else self._mute_looks[look(nick)])

    def muted(self, nick: str) -> int | None:
        """Return for how many seconds yet `nick` is muted, 0 for ever; None: it is not."""
        if not self._mutes:  # asked for everything that is said
            return None
        key = nick_key(nick)
        if key not in self._mutes:
            key = self._mute_looks.get(look(nick), key)
        mute = self._mutes.get(key)
        if mute is None:
            return None
        now = self._clock()
        if _is_over(mute, now):
            self._end_mute(key)
            return None
        return _seconds_left(mute.until, now)

    def mutes(self) -> list[Mute]:
        """Return all mutes."""
        self.expire()
        return list(self._mutes.values())

    def _put_mute(self, key: str, mute: Mute) -> None:
        self._hold_mute(mute)
        self._save("mute", key, _json(asdict(mute)))

    def _hold_mute(self, mute: Mute) -> None:
        key = nick_key(mute.nick)
        self._mutes[key] = mute
        self._mute_looks[look(mute.nick)] = key

    def _end_mute(self, key: str) -> Mute:
        self._save("mute", key, None)
        mute = self._mutes.pop(key)
        self._mute_looks.pop(look(mute.nick), None)
        return mute

    # ---- the room --------------------------------------------------------------------------------

    def set_topic(self, text: str) -> None:
        """Make `text` the topic; empty: there is none."""
        self.topic = text
        self._save("topic", "", _json(text) if text else None)

    def set_quiet(self, on: bool) -> None:
        """Let only moderators speak to everyone, or everyone again."""
        self.quiet = on
        self._save("quiet", "", _json(on) if on else None)

    def topic_for_who_joins(self) -> Topic | None:
        """Return what somebody who joins is told; None when there is nothing."""
        return Topic(0, self.quiet, self.topic) if self.topic or self.quiet else None

    # ---- time, and the disk ----------------------------------------------------------------------

    def expire(self) -> None:
        """Drop what is over; bounded by MAX_BANS and MAX_MUTES."""
        now = self._clock()
        for key in [key for key, ban in self._bans.items() if _is_over(ban, now)]:
            self._end_ban(key)
        for key in [key for key, mute in self._mutes.items() if _is_over(mute, now)]:
            self._end_mute(key)

    def restore(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Take over what was saved, as (kind, key, value); to be called once, before anything else.

        What cannot be read is left alone, with a warning.  A key may not be what nick_key makes of the nick
        today: the tables of Unicode grow with every Python.  Then all is saved anew under today's.
        """
        bans: list[Ban] = []
        mutes: list[Mute] = []
        moved: list[tuple[str, str]] = []
        for kind, key, value in rows:
            try:
                match kind, key, json.loads(value):
                    case "ban", _, fields:
                        bans.append(_read_ban(fields))
                        nick = bans[-1].nick
                    case "mute", _, fields:
                        mutes.append(_read_mute(fields))
                        nick = mutes[-1].nick
                    case "topic", "", text:
                        self.topic, nick = _text(text), ""
                    case "quiet", "", bool(on):
                        self.quiet, nick = on, ""
                    case _:
                        raise ValueError(kind)
            except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
                log.warning(N_("the log holds a decision of moderators that cannot be read: %a"), (kind, key))
                continue
            if nick_key(nick) != key:
                moved.append((kind, key))
        for kind, key in moved:
            self._save(kind, key, None)
        for ban in sorted(bans, key=lambda ban: ban.since):
            self._put_ban(ban)
        for mute in mutes:
            self._hold_mute(mute)
        if moved:
            for key, ban in self._bans.items():
                self._save("ban", key, _json(asdict(ban)))
            for key, mute in self._mutes.items():
                self._save("mute", key, _json(asdict(mute)))
        self.expire()


def _is_over(decision: Ban | Mute, now: float) -> bool:
    return 0 < decision.until <= now


# --------------------------------------------------------------------------------------------------
# Values as they are saved.  ValueError, TypeError, LookupError or OverflowError when they are damaged.
# --------------------------------------------------------------------------------------------------


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read_ban(fields: dict[str, object]) -> Ban:
    return Ban(
        _text(fields["nick"]),
        _text(fields["address"]),
        _time(fields["until"]),
        _text(fields["by"]),
        _text(fields["why"]),
        _time(fields["since"]),
    )


def _read_mute(fields: dict[str, object]) -> Mute:
    return Mute(_text(fields["nick"]), _time(fields["until"]), _text(fields["by"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # JSON may hold half a character (\ud800), which no line can
    return value


def _time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    if not 0 <= float(value) < math.inf:  # nor is it NaN
        raise ValueError(value)
    return float(value)
