"""The client's own phrases: what it refuses, what its commands do, how the link is.  No I/O, no thread."""

from __future__ import annotations

from contextlib import suppress

from charla.i18n import N_, _, ngettext
from charla.protocol import sentences
from charla.protocol.sentences import GOODBYES, SENTENCES, duration_words, goodbye_words, usage_words

# What client.py does by itself, as USAGE of charla/protocol has the rest: how it is typed, and what it does.
CLIENT_USAGE: dict[str, tuple[str, str]] = {
    "r": (N_("/r TEXT"), N_("answer the one who last wrote to you alone")),
    "ignore": (N_("/ignore [USER]"), N_("show nothing more of somebody; alone: who is ignored")),
    "unignore": (N_("/unignore USER"), N_("show what they say again")),
    "search": (N_("/search WORDS"), N_("look for words in what was seen here")),
    "bell": ("/bell off|private|mention|all", N_("when the terminal's bell rings")),
    "time": ("/time on|off", N_("show the time of messages")),
    "clear": ("/clear", N_("clear the screen; nothing is lost")),
    "help-topics": (N_("/help [TOPIC]"), N_("this help; by topic: talk, people, screen, keys, mod")),
}

# What client.py refuses by itself: no codes of the wire.
CLIENT_SENTENCES: dict[str, str] = {
    "no-help-on": N_("There is no help on '{0}'. There is help on these: talk, people, screen, keys, mod."),
    "not-ignored": N_("'{0}' is not ignored."),
    "nobody-to-answer": N_("Nobody has written to you alone yet."),
    "leaves": N_("'{0}' is a word that leaves, so nothing was sent: /say {0} says it."),
    "ignore-yourself": N_("That is you: nobody ignores themselves here."),
}

# "no-help-on" where there is a topic that may have been meant: the second argument.
_NO_HELP_BUT_NEAR = N_(
    "There is no help on '{0}'. Did you mean /help {1}? "
    "There is help on these: talk, people, screen, keys, mod."
)


def sentence(code: str, arguments: tuple[str, ...] = ()) -> str:
    """Return the sentence for a refusal: the server's, or one of the client's own."""
    if code == "usage" and arguments and arguments[0] in CLIENT_USAGE:
        arguments = usage_words(CLIENT_USAGE[arguments[0]])[:1]
    near = code == "no-help-on" and len(arguments) > 1
    template = _NO_HELP_BUT_NEAR if near else CLIENT_SENTENCES.get(code, "")
    with suppress(IndexError):  # a server of a later version may have such a code, too
        if template:
            return _(template).format(*arguments)
    return sentences.sentence(code, arguments)


def down_words(reason: str) -> str:
    """Return what to tell when the link is lost: `reason` as Listener.down has it."""
    trying = _("The connection is lost: trying to get it back.")
    code, *arguments = reason.split(" ")
    if code in SENTENCES:  # the server is there, but does not let us in yet
        why = sentence(code, tuple(arguments))
        return f"{trying} " + _("The server does not let you in yet: {why}").format(why=why)
    if reason == "slow":
        return f"{goodbye_words(reason)} " + _("Your seat is kept: trying to get it back.")
    return goodbye_words(reason) if reason in GOODBYES else trying


def doubts(lines: list[str]) -> list[str]:
    """Return what to tell of lines of which nobody knows whether they were said."""
    count = ngettext(
        "Not confirmed, so perhaps not sent ({n}):", "Not confirmed, so perhaps not sent ({n}):", len(lines)
    )
    return [count.format(n=len(lines)), *(f"    {line}" for line in lines)]


def back_words(missed: int, seconds: float, lost: int) -> str:
    """Return the sentences that tell that the connection is back, and what there was meanwhile."""
    words = _("Back after {time}: nothing was said meanwhile.")
    if missed:
        words = ngettext(
            "Back after {time}: {n} message came meanwhile.",
            "Back after {time}: {n} messages came meanwhile.",
            missed,
        )
    text = words.format(time=duration_words(seconds), n=missed)
    if lost:
        missing = ngettext(
            "{n} thing that happened meanwhile is missing here: the server does not hold that any more.",
            "{n} things that happened meanwhile are missing here: the server does not hold that any more.",
            lost,
        )
        text += " " + missing.format(n=lost)
    return text


def anew_words(nick: str, seconds: float) -> str:
    """Return the sentence that tells that somebody had to join again."""
    words = _(
        "The server did not keep your seat: after {time} you joined again, as {nick}. "
        "What was said to you alone meanwhile may not have reached you."
    )
    return words.format(time=duration_words(seconds), nick=nick)
