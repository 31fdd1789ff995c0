"""The words for people: what codes, counts and commands mean, in sentences.  No I/O, no thread."""

from __future__ import annotations

from messages import HISTORY_ASKED, HISTORY_LIMIT, Crowd, Earlier, Here, Notice, Unread, Waits

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
    "help": ("/help", "this help"),
    "exit": ("/exit", "leave; so do exit, quit, salir alone on a line, and Ctrl+C"),
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
    "full": "The room is full ({0} people): try again later.",
}

GOODBYES: dict[str, str] = {
    "left": "Goodbye!",
    "closing": "The server is closing. Goodbye!",
    "restart": "The server is closing, and keeps your seat for when it is back.",
    "replaced": "Your seat was taken over by a newer connection of yours.",
    "error": "You were dropped: the server had an internal error. It has been recorded.",
}

LEAVE_REASONS: dict[str, str] = {
    "left": "",
    "lost": "connection lost",
    "slow": "dropped: not reading",
    "restart": "the server was restarted",
    "error": "dropped: server error",
}


NOTICES: dict[str, str] = {
    "not-stored": "The server cannot write its log any more ({0}): what is said from now on "
    "is kept in its memory only, and is gone when it ends.",
}


def sentence(code: str, arguments: tuple[str, ...] = ()) -> str:
    """Return the sentence for a Refusal; for a code of a later version, the code and its arguments."""
    if code == "usage" and arguments and arguments[0] in USAGE:
        arguments = USAGE[arguments[0]][:1]
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
    """Return a time that has passed, in its two greatest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
