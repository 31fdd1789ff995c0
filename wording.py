"""The words for people: what codes, counts and commands mean, in sentences.  No I/O, no thread."""

from __future__ import annotations

import re

from messages import (
    HISTORY_ASKED,
    HISTORY_LIMIT,
    Banned,
    Crowd,
    Earlier,
    Here,
    Moderated,
    Notice,
    Status,
    Topic,
    Unread,
    Waits,
)

# What /help shows, and what "usage" quotes: how it is typed, and what it does.
USAGE: dict[str, tuple[str, str]] = {
    "text": ("TEXT", "say it to everyone"),
    "colon": ("USER: TEXT", "say it to USER alone"),
    "msg": ("/msg USER TEXT", "the same"),
    "say": ("/say TEXT", "say it to everyone as it stands: /say note: no class today"),
    "me": ("/me TEXT", "tell what you do"),
    "nick": ("/nick NEW", "change your nickname"),
    "who": ("/who [PAGE]", "who is here"),
    "history": ("/history [N]", f"what was said before: the last N messages ({HISTORY_ASKED})"),
    "topic": ("/topic", "what the room is about"),
    "help": ("/help", "this help, or /help mod: what moderators can do"),
    "exit": ("/exit", "leave; so do exit, quit, salir alone on a line, and Ctrl+C"),
}

# The same for moderators.
MODERATORS_USAGE: dict[str, tuple[str, str]] = {
    "mod": ("/mod", "become a moderator: the password is asked for"),
    "kick": ("/kick USER [WHY]", "remove somebody"),
    "ban": ("/ban USER [30m] [WHY]", "remove somebody, and keep nick and address out"),
    "bans": ("/bans", "who is banned"),
    "unban": ("/unban USER", "lift a ban; an address of /bans does, too"),
    "mute": ("/mute USER [5m]", "let somebody say nothing to everyone"),
    "unmute": ("/unmute USER", "let them speak again"),
    "announce": ("/announce TEXT", "tell everyone, as an announcement"),
    "set-topic": ("/topic TEXT", "say what the room is about; /topic - removes it"),
    "quiet": ("/quiet on|off", "only moderators speak"),
    "status": ("/status", "how the server is"),
}


# --------------------------------------------------------------------------------------------------
# Sentences: what the codes mean to a person
# --------------------------------------------------------------------------------------------------

SENTENCES: dict[str, str] = {
    "nick-empty": "A nickname is needed: 1 to 24 letters, digits, _ - or . with a letter first.",
    "nick-space": "A nickname has no spaces: use _ or - instead.",
    "nick-long": "That nickname is too long: at most {0} characters.",
    "nick-start": "A nickname begins with a letter.",
    "nick-character": "A nickname cannot have the character {0}: only letters, digits, _ - and .",
    "nick-reserved": "'{0}' is a word of the chat itself: choose another nickname.",
    "nick-taken": "'{0}' is taken: choose another nickname.",
    "nick-kept": "'{0}' is taken: the seat is kept for somebody whose connection is lost, for {1} s yet. "
    "Choose another nickname, or wait for that.",
    "nick-same": "You are called {0} already.",
    "no-such-user": "Nobody here is called '{0}', so nothing was sent, to anyone. "
    "/who tells who is here; for everyone to read it, begin with /say.",
    "no-text": "Nothing was sent: there is no text.",
    "no-text-for": "Nothing was sent: there is no text for '{0}'. For everyone to read it, begin with /say.",
    "no-page": "There is no such page: the last one is {0}.",
    "no-session": "The server does not have your seat any more.",
    "refused-before": "Nothing was sent: the server had refused it before the connection was lost.",
    "mailbox-full": "Nothing was sent: {1} private messages to or from {0} are still on their way. "
    "Try again in a while.",
    "history-count": f"Give a number of messages from 1 to {HISTORY_LIMIT}.",
    "usage": "Nothing was sent. It is written like this: {0}",
    "unknown-command": "There is no command /{0}, so nothing was sent. /help lists them; "
    "for everyone to read the line, begin with /say.",
    "too-long": "Nothing was sent: that is longer than {0} bytes. Send it in parts.",
    "not-utf8": "Nothing was sent: that line is not UTF-8 text. Set your terminal to UTF-8.",
    "unfinished": "Your last line was not sent: it had no line end.",
    "malformed": "That line is not of the protocol ({0}): see docs/PROTOCOL.md.",
    "hello-first": "Nothing was sent: HELLO comes first.",
    "version": "This server speaks version {0} of the protocol only: use a client of the same version.",
    "full": "The room is full ({0}): try again later.",
    "nick-scripts": "A nickname has letters of one alphabet: that has {0} and {1}.",
    "nick-digits": "A nickname has digits of one kind: choose those of one alphabet.",
    "nick-alike": "'{0}' looks like {1}, which is taken: choose another nickname.",
    "too-many-from-address": "There are too many connections from your address ({0} is the limit): "
    "close one, and try again.",
    "too-many-a-minute": "Your address connects too often (more than {0} times a minute): wait a minute.",
    "tls-needed": "This server speaks TLS only: python3 client.py --tls, or ncat --ssl.",
    "wrong-password": "That is not the password.",
    "too-many-passwords": "That was one wrong password too many: connect again.",
    "too-many-guesses": "Too many wrong passwords came from your address: try again in {0} s.",
    "banned": "You are banned from this room.",
    "banned-for": "You are banned from this room, for another {0}.",
    "muted": "Nothing was done: a moderator has muted you, for another {0}. "
    "You can still write to one person alone.",
    "quiet": "Nothing was done: the room is quiet, and only moderators speak. "
    "You can still write to one person alone.",
    "no-moderators": "This server has no moderators: it was started without --moderator-password-file.",
    "not-moderator": "Only moderators can do that: /mod makes you one, with the password.",
    "moderator-already": "You are a moderator already.",
    "nobody-called": "Nobody here is called '{0}', so nothing was done. /who tells who is here.",
    "called-now": "'{0}' is called {1} now, so nothing was done.",
    "yourself": "That is you, so nothing was done.",
    "duration": "That is not a time: write it like 30s, 5m, 2h or 7d, 365d at the most.",
    "ban-limit": "Nothing was done: there are {0} bans already. /unban lifts one.",
    "mute-limit": "Nothing was done: {0} people are muted already.",
    "password-needed": "This server asks for a password: give it with --password-file FILE, "
    "or in the environment, as CHARLA_PASSWORD.",
    "password-changed": "Its password has been changed: start again, with the new one.",
    "password-in-clear": "The password was not sent: without TLS, everybody between here and the server "
    "could read it. Use --tls. Where the server has no TLS, --insecure sends it all the same, "
    "for everybody to read.",
    "moderator-password": "Nothing was sent: the password for a script's /mod is in the environment "
    "(CHARLA_MODERATOR_PASSWORD), and then a command comes behind /mod (/say TEXT, to say something); "
    "otherwise it is the line behind /mod.",
    "no-ban": "Nobody called '{0}' is banned: /bans tells who is.",
    "not-muted": "'{0}' is not muted.",
}

# Refusals and notices whose argument is a number of seconds: it is told as a duration.
_WITH_SECONDS = frozenset({"banned-for", "muted"})

GOODBYES: dict[str, str] = {
    "left": "Goodbye!",
    "closing": "The server is closing. Goodbye!",
    "restart": "The server is closing, and keeps your seat for when it is back.",
    "slow": "You were dropped: you did not read what was sent to you.",
    "nick-late": "You were dropped: no nickname came in time. Connect again when you have one.",
    "crowded": "You were dropped: too many connections wait without a nickname, and yours had waited "
    "the longest. Try again.",
    "refused": "Goodbye.",
    "kicked": "A moderator has removed you from the room.",
    "banned": "A moderator has banned you from the room.",
    "replaced": "Your seat was taken over by a newer connection of yours.",
    "error": "You were dropped: the server had an internal error. It has been recorded.",
}

LEAVE_REASONS: dict[str, str] = {
    "left": "",
    "lost": "connection lost",
    "slow": "dropped: not reading",
    "kicked": "removed",
    "banned": "banned",
    "restart": "the server was restarted",
    "error": "dropped: server error",
}


NOTICES: dict[str, str] = {
    "not-stored": "The server cannot write its log any more ({0}): what is said from now on "
    "is kept in its memory only, and is gone when it ends.",
}


# What moderators decide: {by} and {nick} are people, {time} a duration behind " for ", or empty.
ACTIONS: dict[str, str] = {
    "mod": "{by} is a moderator now",
    "kick": "{by} removed {nick}",
    "ban": "{by} banned {nick}{time}",
    "unban": "{by} lifted the ban on {nick}",
    "mute": "{by} muted {nick}{time}",
    "unmute": "{by} lets {nick} speak again",
    "announce": "{by} announces",
    "topic": "{by} set the topic",
    "no-topic": "{by} removed the topic",
    "quiet": "{by} made the room quiet: only moderators speak",
    "not-quiet": "{by} ended the quiet: everyone speaks",
}

# What /status tells, in this order: the name on the wire, and what it is.
STATUS_WORDS: dict[str, str] = {
    "uptime": "seconds since the start",
    "people": "people in the room",
    "away": "of these, people whose connection is down",
    "connections": "connections",
    "waiting": "of these, connections without a nickname yet",
    "events": "events since the start",
    "deliveries": "lines sent to clients",
    "backlogs": "connections that are behind",
    "backlog-bytes": "bytes that wait for them",
    "dropped": "connections dropped: they did not read",
    "refused": "lines and connections refused",
    "bans": "bans",
    "mutes": "people muted",
}


def sentence(code: str, arguments: tuple[str, ...] = ()) -> str:
    """Return the sentence for a Refusal; for a code of a later version, the code and its arguments."""
    if code == "usage" and arguments and arguments[0] in USAGE:
        arguments = USAGE[arguments[0]][:1]
    elif code == "usage" and arguments and arguments[0] in MODERATORS_USAGE:
        arguments = MODERATORS_USAGE[arguments[0]][:1]
    if code in _WITH_SECONDS and arguments and re.fullmatch("[0-9]{1,15}", arguments[0]):
        arguments = (duration_words(int(arguments[0])),)
    try:
        return SENTENCES[code].format(*arguments)
    except (KeyError, IndexError):
        return " ".join((code, *arguments))


def left_words(nick: str, reason: str) -> str:
    """Return the sentence that tells that somebody is gone, and why."""
    why = LEAVE_REASONS.get(reason, reason)
    return f"{nick} left ({why})" if why else f"{nick} left"


def here_words(here: Here) -> str:
    """Return the sentence that tells who is here."""
    nicks = ", ".join(here.nicks)
    if here.pages == 1:
        return f"{here.people} here: {nicks}"
    following = f" (/who {here.page + 1} for more)" if here.page < here.pages else ""
    return f"{here.people} here, page {here.page} of {here.pages}: {nicks}{following}"


def crowd_words(crowd: Crowd) -> str:
    """Return the sentence that tells how a crowd has changed."""
    return f"{crowd.joined} joined, {crowd.left} left: {crowd.people} here"


def notice_words(notice: Notice) -> str:
    """Return the sentence of a notice; for a code of a later version, the code and its arguments."""
    words = tuple(argument.replace("-", " ") for argument in notice.arguments)
    try:
        return NOTICES[notice.code].format(*words)
    except (KeyError, IndexError):
        return " ".join((notice.code, *words))


def moderated_words(event: Moderated) -> str:
    """Return the sentence that tells what a moderator has decided."""
    duration = f" for {duration_words(event.seconds)}" if event.seconds else ""
    words = ACTIONS.get(event.action, "{by}: {action} {nick}{time}")
    told = words.format(by=event.by, action=event.action, nick=event.nick, time=duration)
    return f"{told}: {event.text}" if event.text else told


def topic_words(topic: Topic) -> str:
    """Return the sentences that tell what the room is about."""
    lines = [f"Topic: {line}" for line in topic.text.split("\n")]  # each says what it is
    words = "\n".join(lines) if topic.text else "There is no topic."
    return f"{words}\nThe room is quiet: only moderators speak." if topic.quiet else words


def banned_words(ban: Banned) -> str:
    """Return the line that tells of one ban."""
    if not ban.total:
        return "Nobody is banned."
    who = f"{ban.nick} ({ban.address})" if ban.address else ban.nick
    until = f"for another {duration_words(ban.seconds)}" if ban.seconds else "until /unban"
    words = f"{ban.number} of {ban.total}: {who}, {until}, by {ban.by}"
    return f"{words}: {ban.why}" if ban.why else words


def status_words(status: Status) -> str:
    """Return the lines that tell how the server is."""
    names = zip(STATUS_WORDS.values(), status.values, strict=False)
    return "\n".join(f"{value:>12}  {words}" for words, value in names)


def earlier_words(earlier: Earlier) -> str:
    """Return the sentence that stands before messages of the history."""
    match earlier.count:
        case 0:
            return "There is nothing of what was said before."
        case 1:
            return "What was said before, the last message:"
        case count:
            return f"What was said before, the last {count} messages:"


def waits_words(waits: Waits) -> str:
    """Return the sentence that tells that a private message waits."""
    return f"The connection of {waits.nick} is down: that waits until they are back."


def unread_words(unread: Unread) -> str:
    """Return the sentence that tells that private messages were not fetched."""
    what = "what you last said" if unread.count == 1 else f"the last {unread.count} things that you said"
    return f"{unread.nick} did not come back: {what} to them alone may not have been read."


def back_words(missed: int, seconds: float, lost: int) -> str:
    """Return the sentences that tell that the connection is back, and what there was meanwhile."""
    what = {0: "nothing was said meanwhile", 1: "1 message came meanwhile"}
    text = f"Back after {duration_words(seconds)}: {what.get(missed, f'{missed} messages came meanwhile')}."
    if lost:
        things = (
            "1 thing that happened meanwhile is"
            if lost == 1
            else f"{lost} things that happened meanwhile are"
        )
        text += f" {things} missing here: the server does not hold that any more."
    return text


def anew_words(nick: str, seconds: float) -> str:
    """Return the sentence that tells that somebody had to join again."""
    return (
        f"The server did not keep your seat: after {duration_words(seconds)} you joined again, as {nick}. "
        "What was said to you alone meanwhile may not have reached you."
    )


def duration_words(seconds: float) -> str:
    """Return a time in its two greatest units: "2 h 5 min", "30 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    while len(units) > 1 and not units[0][0]:
        del units[0]
    return " ".join(f"{count} {unit}" for count, unit in units[:2] if count) or "0 s"
