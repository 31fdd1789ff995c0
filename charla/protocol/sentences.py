"""The words for people: what codes, counts and commands mean, in sentences.  No I/O, no thread.

The tables are in English; the functions return what is said in the language that is spoken (i18n).
"""

from __future__ import annotations

import re

from charla.i18n import N_, LazyText, _
from charla.protocol.commands import HISTORY_ASKED, MODERATORS_ONLY, TYPED, Mod
from charla.protocol.fields import HISTORY_LIMIT

# What /help shows, and what "usage" quotes: how it is typed, and what it does.  `usage_words` translates it.
USAGE: dict[str, tuple[str, str]] = {
    "text": (N_("TEXT"), N_("say it to everyone")),
    "colon": (N_("USER: TEXT"), N_("say it to USER alone")),
}
# The same for moderators.
MODERATORS_USAGE: dict[str, tuple[str, str]] = {}
for _name, _row in TYPED.items():
    (MODERATORS_USAGE if _row.kind in {Mod, *MODERATORS_ONLY} else USAGE)[_name] = _row.usage


def usage_words(usage: tuple[str, str]) -> tuple[str, str]:
    """Return an entry of these tables in the language that is spoken: how it is typed, and what it does."""
    typed, meaning = usage
    return _(typed), _(meaning).format(asked=HISTORY_ASKED)


# --------------------------------------------------------------------------------------------------
# Sentences: what the codes mean to a person
# --------------------------------------------------------------------------------------------------

SENTENCES: dict[str, str] = {
    "nick-empty": N_("A nickname is needed: 1 to 24 letters, digits, _ - or . with a letter first."),
    "nick-space": N_("A nickname has no spaces: use _ or - instead."),
    "nick-long": N_("That nickname is too long: at most {0} characters."),
    "nick-start": N_("A nickname begins with a letter."),
    "nick-character": N_("A nickname cannot have the character {0}: only letters, digits, _ - and ."),
    "nick-reserved": N_("'{0}' is a word of the chat itself: choose another nickname."),
    "nick-taken": N_("'{0}' is taken: choose another nickname."),
    "nick-kept": N_(
        "'{0}' is taken: the seat is kept for somebody whose connection is lost, for another {1} s. "
        "Choose another nickname, or wait for that."
    ),
    "nick-same": N_("You are called {0} already."),
    "no-such-user": N_(
        "Nobody here is called '{0}', so nothing was sent, to anyone. "
        "/who tells who is here; for everyone to read it, begin with /say."
    ),
    "no-text": N_("Nothing was sent: there is no text."),
    "no-text-for": N_(
        "Nothing was sent: there is no text for '{0}'. For everyone to read it, begin with /say."
    ),
    "no-page": N_("There is no such page: the last one is {0}."),
    "no-session": N_("The server does not have your seat any more."),
    "refused-before": N_("Nothing was sent: the server had refused it before the connection was lost."),
    "mailbox-full": N_(
        "Nothing was sent: {1} private messages to or from {0} are still on their way. Try again in a while."
    ),
    "history-count": N_("Give a number of messages from 1 to {most}."),
    "usage": N_("Nothing was sent. It is written like this: {0}"),
    "no-command": N_(
        "A / alone is no command, so nothing was sent. /help lists the commands; "
        "for everyone to read the line, begin with /say."
    ),
    "unknown-command": N_(
        "There is no command /{0}, so nothing was sent. /help lists them; "
        "for everyone to read the line, begin with /say."
    ),
    "client-command": N_(
        "/{0} works only in Charla's client on a terminal, so nothing was sent. "
        "/help lists what works here; for everyone to read the line, begin with /say."
    ),
    "too-long": N_("Nothing was sent: that is longer than {0} bytes. Send it in parts."),
    "not-utf8": N_("Nothing was sent: that line is not UTF-8 text. Set your terminal to UTF-8."),
    "unfinished": N_("Your last line was not sent: it had no line end."),
    "malformed": N_("That line is not of the protocol ({0}): see docs/PROTOCOL.md."),
    "hello-first": N_("Nothing was sent: HELLO comes first."),
    "version": N_("This server speaks version {0} of the protocol only: use a client of the same version."),
    "full": N_("The room is full ({0}): try again later."),
    "nick-scripts": N_("A nickname has letters of one alphabet: that has {0} and {1}."),
    "nick-digits": N_("A nickname has digits of one kind: choose those of one alphabet."),
    "nick-alike": N_("'{0}' looks like {1}, which is taken: choose another nickname."),
    "too-many-from-address": N_(
        "There are too many connections from your address ({0} is the limit): close one, and try again."
    ),
    "too-many-a-minute": N_("Your address connects too often (more than {0} times a minute): wait a minute."),
    "tls-needed": N_("This server speaks TLS only: give the client --tls, too; or take ncat --ssl."),
    "wrong-password": N_("That is not the password."),
    "too-many-passwords": N_("That was one wrong password too many: connect again."),
    "too-many-guesses": N_("Too many wrong passwords came from your address: try again in {0} s."),
    "banned": N_("You are banned from this room."),
    "banned-for": N_("You are banned from this room, for another {0}."),
    "muted": N_(
        "Nothing was done: a moderator has muted you, for another {0}. "
        "You can still write to one person alone."
    ),
    "quiet": N_(
        "Nothing was done: the room is quiet, and only moderators speak. "
        "You can still write to one person alone."
    ),
    "no-moderators": N_("This server has no moderators: it was started without --moderator-password-file."),
    "not-moderator": N_("Only moderators can do that: /mod makes you one, with the password."),
    "moderator-already": N_("You are a moderator already."),
    "nobody-called": N_("Nobody here is called '{0}', so nothing was done. /who tells who is here."),
    "called-now": N_("'{0}' is called {1} now, so nothing was done."),
    "yourself": N_("That is you, so nothing was done."),
    "duration": N_(
        "That is not a time: nothing was done. Write it like 30s, 5m, 2h or 7d, 365d at the most."
    ),
    "ban-limit": N_("Nothing was done: there are {0} bans already. /unban lifts one."),
    "mute-limit": N_("Nothing was done: {0} people are muted already."),
    "password-needed": N_(
        "This server asks for a password: give it with --password-file FILE, "
        "or in the environment, as CHARLA_PASSWORD."
    ),
    "password-changed": N_("Its password has been changed: start again, with the new one."),
    "password-in-clear": N_(
        "The password was not sent: without TLS, everybody between here and the server "
        "could read it. Use --tls. Where the server has no TLS, --insecure sends it all the same, "
        "for everybody to read."
    ),
    "moderator-password": N_(
        "Nothing was sent: the password for a script's /mod is in the environment "
        "(CHARLA_MODERATOR_PASSWORD), and then a command comes behind /mod (/say TEXT, to say something); "
        "otherwise it is the line behind /mod."
    ),
    "no-ban": N_("Nobody called '{0}' is banned: /bans tells who is."),
    "not-muted": N_("'{0}' is not muted."),
}

# "unknown-command" where there is a command that may have been meant: the second argument.
_UNKNOWN_BUT_NEAR = N_(
    "There is no command /{0}, so nothing was sent. Did you mean /{1}? /help lists them; "
    "for everyone to read the line, begin with /say."
)

# Refusals and notices whose argument is a number of seconds: it is told as a duration.
_WITH_SECONDS = frozenset({"banned-for", "muted"})

# Scripts that nicks are often written in: arguments of "nick-scripts".
_SCRIPTS = frozenset(
    {
        *(N_("Arabic"), N_("Armenian"), N_("Bengali"), N_("Cyrillic"), N_("Devanagari"), N_("Georgian")),
        *(N_("Greek"), N_("Han"), N_("Hangul"), N_("Hebrew"), N_("Hiragana"), N_("Katakana"), N_("Latin")),
        *(N_("Thai"),),
    }
)

GOODBYES: dict[str, str] = {
    "left": N_("Goodbye!"),
    "closing": N_("The server is closing. Goodbye!"),
    "restart": N_("The server is closing, and keeps your seat for when it is back."),
    "slow": N_("You were dropped: you did not read what was sent to you."),
    "nick-late": N_("You were dropped: no nickname came in time. Connect again when you have one."),
    "crowded": N_(
        "You were dropped: too many connections wait without a nickname, and yours had waited "
        "the longest. Try again."
    ),
    "refused": N_("Goodbye."),
    "kicked": N_("A moderator has removed you from the room."),
    "banned": N_("A moderator has banned you from the room."),
    "replaced": N_("Your seat was taken over by a newer connection of yours."),
    "error": N_("You were dropped: the server had an internal error. It has been recorded."),
}

LEAVE_REASONS: dict[str, str] = {
    "left": "",
    "lost": N_("connection lost"),
    "slow": N_("dropped: not reading"),
    "kicked": N_("removed"),
    "banned": N_("banned"),
    "restart": N_("the server was restarted"),
    "error": N_("dropped: server error"),
}


NOTICES: dict[str, str] = {
    "not-stored": N_(
        "The server cannot write its log any more ({0}): what is said from now on "
        "is kept in its memory only, and is gone when it ends."
    ),
}

# Why it cannot: the codes of log_file.py, with spaces.
STORAGE_WORDS = frozenset(
    {
        *(N_("damaged"), N_("read only"), N_("not opened"), N_("disk full"), N_("disk error")),
        *(N_("locked"), N_("error")),
    }
)


# What moderators decide: {by} and {nick} are people.
ACTIONS: dict[str, str] = {
    "mod": N_("{by} is a moderator now"),
    "kick": N_("{by} removed {nick}"),
    "ban": N_("{by} banned {nick} for good"),
    "unban": N_("{by} lifted the ban on {nick}"),
    "mute": N_("{by} muted {nick}"),
    "unmute": N_("{by} lets {nick} speak again"),
    "announce": N_("{by} announces"),
    "topic": N_("{by} set the topic"),
    "no-topic": N_("{by} removed the topic"),
    "quiet": N_("{by} made the room quiet: only moderators speak"),
    "not-quiet": N_("{by} ended the quiet: everyone speaks"),
}

# The same where it ends by itself, after {time}.
FOR_A_TIME: dict[str, str] = {
    "ban": N_("{by} banned {nick} for {time}"),
    "mute": N_("{by} muted {nick} for {time}"),
}

# What /status tells, in this order: the name on the wire, and what stands before the number, be it 1 or more.
STATUS_WORDS: dict[str, str] = {
    "uptime": N_("running for"),
    "people": N_("people in the room"),
    "away": N_("of these, people whose connection is down"),
    "connections": N_("connections"),
    "waiting": N_("of these, connections without a nickname yet"),
    "events": N_("events since the start"),
    "deliveries": N_("lines sent to clients"),
    "backlogs": N_("connections that are behind"),
    "backlog-bytes": N_("bytes that wait for them"),
    "dropped": N_("connections dropped, for not reading"),
    "refused": N_("lines and connections refused"),
    "bans": N_("bans"),
    "mutes": N_("people muted"),
}


def sentence(code: str, arguments: tuple[str, ...] = ()) -> str:
    """Return the sentence for a Refusal; for a code of a later version, the code and its arguments."""
    words = arguments
    for table in (USAGE, MODERATORS_USAGE):
        if code == "usage" and arguments and arguments[0] in table:
            words = usage_words(table[arguments[0]])[:1]
    if code in _WITH_SECONDS and arguments:
        words = (seconds_words(arguments[0]),)
    if code == "nick-character":
        words = tuple(map(_character, arguments))
    if code == "nick-scripts":
        words = tuple(_(word) if word in _SCRIPTS else word for word in arguments)
    template = SENTENCES.get(code, "")
    if code == "unknown-command" and len(arguments) > 1:
        template = _UNKNOWN_BUT_NEAR
    try:
        return _(template).format(*words, most=HISTORY_LIMIT) or " ".join((code, *arguments))
    except IndexError:
        return " ".join((code, *arguments))


def _character(code: str) -> str:
    """Return the character of a code like U+0021, where that can be shown; else the code."""
    character = chr(int(code[2:], 16)) if re.fullmatch("U\\+00[2-7][0-9A-F]", code) else "\x7f"
    return f"'{character}'" if character.isprintable() else code


def goodbye_words(reason: str) -> str:
    """Return the sentence for a Goodbye."""
    if reason in GOODBYES:
        return _(GOODBYES[reason])
    return _("The server ended it: {reason}.").format(reason=reason)


def leaving(nick: str, reason: str) -> LazyText:
    """Return what tells that somebody is gone, and why: also for records."""
    why = LEAVE_REASONS.get(reason, reason)
    if not why:
        return LazyText(N_("{nick} left"), nick=nick)
    return LazyText(N_("{nick} left ({why})"), nick=nick, why=LazyText(why))


def duration_words(seconds: float) -> str:
    """Return a time in its two greatest units: "2 h 5 min", "30 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, N_("{n} d")), (hours, N_("{n} h")), (minutes, N_("{n} min")), (rest, N_("{n} s"))]
    while len(units) > 1 and not units[0][0]:
        del units[0]
    told = [_(words).format(n=count) for count, words in units[:2] if count]
    return " ".join(told) or _("{n} s").format(n=0)


def seconds_words(field: str) -> str:
    """Return the same for a field of the wire; in a later version that may be no number: then as it is."""
    return duration_words(int(field)) if re.fullmatch("[0-9]{1,15}", field) else field
