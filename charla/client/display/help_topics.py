"""What /help tells, by topic: what can be typed, and the keys.  No I/O, no thread."""

from __future__ import annotations

import difflib
import signal

from charla.client.display.phrases import CLIENT_USAGE
from charla.i18n import N_, _
from charla.protocol.sentences import MODERATORS_USAGE, USAGE, usage_words

TOPICS = ("talk", "people", "screen", "keys", "mod")
"""What can follow /help, in every language; or the word for it in the one that is spoken (`words`)."""

_WORDS = (N_("talk"), N_("people"), N_("screen"), N_("keys"), "mod")

_HEADINGS = {
    "talk": N_("Talking:"),
    "people": N_("Who is here, and what is going on:"),
    "screen": N_("The screen, and what was said before:"),
    "keys": N_("Keys:"),
    "mod": N_("For moderators:"),
}

COMMANDS = {
    "talk": ("text", "colon", "msg", "r", "say", "me"),
    "people": ("who", "nick", "ignore", "unignore", "topic", "exit"),
    "screen": ("history", "search", "bell", "time", "clear", "help-topics"),
}
"""The keys of USAGE and CLIENT_USAGE, by topic; "help-topics" stands for "help", too."""

_KEYS = (
    (N_("Up, Down"), N_("what you typed before")),
    (N_("Ctrl+R"), N_("look for something that you typed before; Esc: edit what is found")),
    (N_("Tab"), N_("complete a command or a nickname")),
    (N_("Ctrl+U"), N_("take back what is typed, up to the cursor")),
    (N_("Ctrl+L"), N_("clear the screen")),
)
_NEW_LINE = (N_("Alt+Enter"), N_("begin another line of the same message"))
_LEAVING = (
    (N_("Ctrl+C"), N_("leave")),
    (N_("Ctrl+D"), N_("leave, when nothing is typed")),
)
_SUSPEND = (N_("Ctrl+Z"), N_("let the shell have the terminal; fg brings you back"))


def words() -> tuple[str, ...]:
    """Return what TOPICS are called in the language that is spoken, in their order."""
    return tuple(map(_, _WORDS))


def called(word: str) -> str:
    """Return the one of TOPICS that is called `word`, in any case, or tells of that command; empty: none."""
    word = word.lower().removeprefix("/")
    of_command = {command: topic for topic, commands in COMMANDS.items() for command in commands}
    by_word = dict(zip((*TOPICS, *words()), (*TOPICS, *TOPICS), strict=True))
    return by_word.get(word) or of_command.get(word) or ("mod" if word in MODERATORS_USAGE else "")


def nearest(word: str) -> str:
    """Return what can follow /help that `word` is most like; empty: it is like nothing of that."""
    return next(iter(difflib.get_close_matches(word.lower(), {*TOPICS, *words()}, n=1)), "")


def sections(
    topic: str, *, alt_enter: bool = False, script: bool = False
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return headings, and what belongs under each: how it is typed, and what it does.

    `topic` is one of TOPICS, or "": all but what is for moderators.  ValueError: there is no such topic.
    `alt_enter`: whether that key breaks the line.
    `script`: there is none, and no commands of the client's own.
    """
    if topic and topic not in TOPICS:
        raise ValueError(topic)
    wanted = [topic] if topic else [name for name in TOPICS if name != "mod"]
    if script:
        usages = MODERATORS_USAGE if topic == "mod" else USAGE
        return [(_("What can be typed:"), [usage_words(usage) for usage in usages.values()])]
    return [(_(_HEADINGS[name]), _rows(name, alt_enter)) for name in wanted]


def _rows(topic: str, alt_enter: bool) -> list[tuple[str, str]]:
    if topic == "mod":
        return [usage_words(usage) for usage in MODERATORS_USAGE.values()]
    if topic != "keys":
        usages = {**USAGE, **CLIENT_USAGE}
        return [usage_words(usages[command]) for command in COMMANDS[topic]]
    line_keys = [*_KEYS, *([_NEW_LINE] if alt_enter else [])]
    rows = [*line_keys, *_LEAVING, *([_SUSPEND] if hasattr(signal, "SIGTSTP") else [])]
    return [(_(key), _(meaning)) for key, meaning in rows]
