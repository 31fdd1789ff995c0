"""What a message tells, in sentences: the plain dialect and the client's screen both say it so."""

from __future__ import annotations

from charla.i18n import N_, _, ngettext
from charla.protocol.messages import (
    Banned,
    Crowd,
    DeliveryPending,
    HistoryHeader,
    Joined,
    Left,
    Message,
    Moderated,
    Notice,
    Renamed,
    Status,
    Topic,
    Unread,
    Welcome,
    WhoPage,
)
from charla.protocol.sentences import (
    ACTIONS,
    FOR_A_TIME,
    NOTICES,
    STATUS_WORDS,
    STORAGE_WORDS,
    duration_words,
    leaving,
    seconds_words,
)


def describe(message: Message, me: str = "") -> str:
    """Return what a message tells the one who is called `me`, in lines; empty for what has no such words.

    What people say has none: where it stands, and under whose name, is a matter of who shows it.
    """
    match message:
        case Joined(nick=nick):
            return _("{nick} joined").format(nick=nick)
        case Left(nick=nick, reason=reason):
            return str(leaving(nick, reason))
        case Renamed(old=old, nick=nick):
            words = _("you are now {nick}") if nick == me else _("{old} is now {nick}")
            return words.format(old=old, nick=nick)
        case Crowd(joined=joined, left=left, people=people):
            words = _("{joined} joined, {left} left: {people} here")
            return words.format(joined=joined, left=left, people=people)
        case Welcome(nick=nick, text=text):
            hint = _("You are {nick}. /help tells what you can type.").format(nick=nick)
            return f"{text or _('Welcome to Charla.')}\n{hint}"
        case WhoPage():
            return _page(message)
        case HistoryHeader(count=0):
            return _("There is nothing of what was said before.")
        case HistoryHeader(count=count):
            words = ngettext(
                "What was said before, the last message:",
                "What was said before, the last {n} messages:",
                count,
            )
            return words.format(n=count)
        case DeliveryPending(nick=nick):
            words = _("The connection of {nick} is down: that waits until they are back.")
            return words.format(nick=nick)
        case Unread(nick=nick, count=count):
            words = ngettext(
                "{nick} did not come back: what you last said to them alone may not have been read.",
                "{nick} did not come back: the last {n} things that you said to them alone may not have "
                "been read.",
                count,
            )
            return words.format(nick=nick, n=count)
        case Notice():
            return _notice(message)
        case Moderated():
            return _decision(message)
        case Topic():
            return _topic(message)
        case Banned():
            return _ban(message)
        case Status():
            return _status(message)
    return ""


def _page(here: WhoPage) -> str:
    nicks = ", ".join(here.nicks)
    if here.pages == 1:
        words = _("{people} here: {nicks}")
    elif here.page < here.pages:
        words = _("{people} here, page {page} of {pages}: {nicks} (/who {next} for more)")
    else:
        words = _("{people} here, page {page} of {pages}: {nicks}")
    return words.format(people=here.people, page=here.page, pages=here.pages, nicks=nicks, next=here.page + 1)


def _notice(notice: Notice) -> str:
    """Return the sentence of a notice; for a code of a later version, the code and its arguments."""
    arguments = [argument.replace("-", " ") for argument in notice.arguments]
    words = [_(word) if word in STORAGE_WORDS else word for word in arguments]
    try:
        return _(NOTICES[notice.code]).format(*words)
    except (KeyError, IndexError):
        return " ".join((notice.code, *arguments))


def _decision(event: Moderated) -> str:
    """Return the sentence that tells what a moderator has decided."""
    words = _(ACTIONS.get(event.action, "{by}: {action} {nick}"))
    if event.seconds:
        words = _(FOR_A_TIME.get(event.action, N_("{by}: {action} {nick} for {time}")))
    time = duration_words(event.seconds)
    told = words.format(by=event.by, action=event.action, nick=event.nick, time=time)
    return f"{told}: {event.text}" if event.text else told


def _topic(topic: Topic) -> str:
    """Return the sentences that tell what the room is about."""
    lines = [_("There is no topic.")]
    if topic.text:  # each line says what it is
        lines = [_("Topic: {text}").format(text=line) for line in topic.text.split("\n")]
    if topic.quiet:
        lines.append(_("The room is quiet: only moderators speak."))
    return "\n".join(lines)


def _ban(ban: Banned) -> str:
    """Return the line that tells of one ban."""
    if not ban.total:
        return _("Nobody is banned.")
    words = _("{number} of {total}: {who}, until /unban, by {by}")
    if ban.seconds:
        words = _("{number} of {total}: {who}, for another {time}, by {by}")
    who = f"{ban.nick} ({ban.address})" if ban.address else ban.nick
    time = duration_words(ban.seconds)
    told = words.format(number=ban.number, total=ban.total, who=who, time=time, by=ban.by)
    return f"{told}: {ban.why}" if ban.why else told


def _status(status: Status) -> str:
    """Return the lines that tell how the server is."""
    told = dict(zip(STATUS_WORDS, status.values, strict=False))
    if "uptime" in told:
        told["uptime"] = seconds_words(told["uptime"])
    return "\n".join(f"{_(STATUS_WORDS[name])}: {value}" for name, value in told.items())
