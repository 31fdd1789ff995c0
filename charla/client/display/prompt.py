"""The rows beside what is typed: the prompt, and the status line.  No I/O, no thread.

Both are one row.  Where that is too narrow, what matters least goes first, step by step.
"""

from __future__ import annotations

from charla.client.display.widths import UNLIMITED, display_width, shortened
from charla.i18n import _, ngettext
from charla.protocol.text import clean


def prompt(
    nick: str,
    columns: int,
    *,
    unsent: int = 0,
    reconnecting: bool = False,
    to: str = "",
    nobody: bool = False,
) -> str:
    """Return what stands before what is typed: in at most half of `columns` and 2, where these are not 0.

    `to` is who alone is to read it; `nobody`: there is none of that nick.  These two are told to the last.
    """
    columns_left = columns // 2 + 2 if columns else UNLIMITED
    to = clean(to).replace("\n", " ")
    if to and nobody:
        steps = _to_nobody(nick, _state(unsent, reconnecting), to, columns_left)
    elif to:
        steps = _to_one(nick, _state(unsent, reconnecting), to, columns_left)
    else:
        steps = _to_all(nick, unsent, reconnecting, columns_left)
    return next((row for row in steps if display_width(row) <= columns_left), "> ")


def status(columns: int, *, server_address: str, nick: str, people: int, connection: str, unsent: int) -> str:
    """Return the row for a status line: at most `columns`, where these are not 0.

    `server_address` is host and port, `connection` how the link is ("connected, TLS");
    `people` are here, 0: not known.
    """
    here = ngettext("{n} here", "{n} here", people).format(n=people) if people else ""
    waiting = ngettext("{n} unsent", "{n} unsent", unsent).format(n=unsent) if unsent else ""
    steps = [
        (server_address, nick, here, connection, waiting or _("nothing unsent")),
        (server_address, nick, here, connection, waiting),
        (nick, here, connection, waiting),
        (here, connection, waiting),
        (connection, waiting),
        (waiting or connection,),
    ]
    rows = [" " + " \u00b7 ".join(filter(None, parts)) for parts in steps]
    columns = columns or UNLIMITED
    return next((row for row in rows if display_width(row) <= columns), shortened(rows[-1], columns))


def _state(unsent: int, reconnecting: bool) -> list[str]:
    """Return in words what there is to say of the connection, and of what is not confirmed."""
    if not reconnecting:
        return [ngettext("{n} sending", "{n} sending", unsent).format(n=unsent)] if unsent else []
    waiting = ngettext("{n} unsent", "{n} unsent", unsent).format(n=unsent)
    return [_("reconnecting"), *([waiting] if unsent else [])]


def _to_all(nick: str, unsent: int, reconnecting: bool, columns_left: int) -> list[str]:
    state = _state(unsent, reconnecting)
    brief = [_("down")] if reconnecting else []
    briefer = [*brief, *([str(unsent)] if unsent else [])]
    return [
        _row(who, state_told)
        for state_told in (state, state[:1], briefer)
        for who in (nick, shortened(nick, columns_left // 2), "")
        if who or state_told
    ] + [_row("", briefer[:1])]


def _to_one(nick: str, state: list[str], to: str, columns_left: int) -> list[str]:
    private = [_("private")]
    return [
        _row(f"{_with(nick, state)} -> {to}", private),
        _row(f"{nick} -> {to}", private),
        _row(f"-> {to}", private),
        _row(f"-> {_cut(to, columns_left - display_width(_row('-> ', private)))}", private),
        _row("", private),
        f"-> {_cut(to, columns_left - len('-> > '))}> ",
        "-> > ",
        "->> ",
    ]


def _to_nobody(nick: str, state: list[str], to: str, columns_left: int) -> list[str]:
    words = _("nobody is called {nick}")
    for_nick = columns_left - display_width(_row("", [words.format(nick="")]))
    return [
        _row(nick, [*state, words.format(nick=to)]),
        _row(nick, [words.format(nick=to)]),
        _row("", [words.format(nick=to)]),
        _row("", [words.format(nick=_cut(to, for_nick))]),
        _row("", [_("nobody")]),
        "?> ",
    ]


def _row(who: str, state: list[str]) -> str:
    return f"{_with(who, state)}> "


def _with(who: str, state: list[str]) -> str:
    return f"{who} ({', '.join(state)})".lstrip() if state else who


def _cut(nick: str, columns: int) -> str:
    """Return as much of `nick` as there are columns for; all of it where that would tell nobody anything."""
    return shortened(nick, columns) if columns >= 4 else nick
