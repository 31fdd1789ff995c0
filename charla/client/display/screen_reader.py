"""How a message sounds: for --plain, where a screen reader reads every line aloud.  No I/O, no thread.

Words instead of marks, and the shortest there are: they are heard all day.  Where a line stands nobody
hears, so every line says whose it is, also the second one of a message: none can pass for another's.
"""

from __future__ import annotations

from charla.client.display.mentions import names
from charla.i18n import _
from charla.protocol.messages import Acted, Said, Told


def talk(event: Said | Acted | Told, me: str) -> list[str]:
    """Return what somebody said or did, as `me` hears it: a line for each of its own that is not blank."""
    first, *others = [line for line in event.text.split("\n") if line.strip()] or [""]
    words = _talk_words(event, me)
    further = _("You continue: {text}") if event.nick == me else _("{nick} continues: {text}")
    to = event.to if isinstance(event, Told) else ""
    return [
        words.format(nick=event.nick, to=to, text=first),
        *(further.format(nick=event.nick, text=line) for line in others),
    ]


def _talk_words(event: Said | Acted | Told, me: str) -> str:
    mine = event.nick == me
    if isinstance(event, Told):
        if mine:
            return (
                _("You say to yourself alone: {text}")
                if event.to == me
                else _("You say to {to} alone: {text}")
            )
        return (
            _("{nick} says to you alone: {text}")
            if event.to == me
            else _("{nick} says to {to} alone: {text}")
        )
    named = not mine and names(event.text, me)
    if isinstance(event, Acted):
        return _("Action, naming you: {nick} {text}") if named else _("Action: {nick} {text}")
    if mine:
        return _("You say: {text}")
    return _("{nick} says, naming you: {text}") if named else _("{nick} says: {text}")


def earlier(event: Said | Acted | Told, when: str, me: str) -> list[str]:
    """Return what somebody said or did before, at the time `when`."""
    first, *others = talk(event, me)
    return [_("Earlier, {when}: {line}").format(when=when, line=first), *others]


def notice(text: str, under: bool = False) -> list[str]:
    """Return a notice; `under`: what follows its first line is what somebody has typed."""
    first, *others = _lines(text)
    words = _("Notice continues: {text}") if under else _("Notice: {text}")
    return [_("Notice: {text}").format(text=first), *(words.format(text=line) for line in others)]


def error(text: str) -> list[str]:
    """Return what went wrong."""
    return [_("Error: {text}").format(text=line) for line in _lines(text)]


def usage(typed: str, meaning: str) -> str:
    """Return a row of the help as two sentences."""
    return f"{typed}. {meaning[:1].upper()}{meaning[1:].rstrip('.')}."


def _lines(text: str) -> list[str]:
    """Return the lines that are not blank, without the blanks that make columns."""
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()] or [""]
