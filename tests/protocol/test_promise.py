"""What bots may build on: the names of charla.protocol, and the same ones in a checkout's protocol.py."""

from __future__ import annotations

import ast
import inspect

import pytest
from support import ROOT

import protocol as in_a_checkout
from charla import protocol

# Bots import these.  A name may come to them on purpose; none is taken away.
NAMES = """
    __version__ PROTOCOL_VERSION
    PLAIN NATIVE Dialect PlainDialect NativeDialect
    LineFramer decode_line read_greeting read_answer turn_away
    Refused sentence clean parse_typed check_nick nick_key
    MAX_LINE MAX_TEXT MAX_NICK MAX_WHY MAX_NUMBER WHO_PAGE BANS_SHOWN
    HISTORY_AT_JOIN HISTORY_ASKED HISTORY_LIMIT NEW_SESSION
    Command Hello Say Act Tell Rename Who History AskTopic Ping Pong Help Leave
    Mod Kick Ban AskBans Unban Mute Unmute Announce SetTopic SetQuiet AskStatus
    Message Event Said Acted Told Joined Left Renamed Crowd Unread Notice Moderated
    AskNick AskPassword Welcome Token Resumed CaughtUp HistoryHeader HistoryEntry Topic Banned Status
    DeliveryPending AlreadyDone WhoPage HelpText Refusal Goodbye
"""
PROMISED = NAMES.split()


def test_bots_may_build_on_these_names() -> None:
    assert sorted(protocol.__all__) == sorted(PROMISED)


def test_a_checkout_has_the_same_ones() -> None:
    assert in_a_checkout.__all__ == protocol.__all__
    assert all(getattr(in_a_checkout, name) is getattr(protocol, name) for name in PROMISED)
    public = {name for name in vars(in_a_checkout) if not name.startswith("_")}
    assert public == {name for name in PROMISED if not name.startswith("_")}


def described(source: str) -> set[str]:
    """Return the names of a module that it says something of: behind an assignment, or first in a body."""
    names = set()
    body = ast.parse(source).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            names.add(node.name)
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
            continue
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


SOURCES = [ROOT / "charla/__init__.py", *(ROOT / "charla/protocol").glob("*.py")]
DESCRIBED = set().union(*(described(path.read_text()) for path in SOURCES))


@pytest.mark.parametrize("name", PROMISED)
def test_each_of_them_says_what_it_is(name: str) -> None:
    assert name in DESCRIBED


@pytest.mark.parametrize("dialect", [protocol.PlainDialect, protocol.NativeDialect])
def test_so_does_each_method_of_a_dialect(dialect: type) -> None:
    for name, method in inspect.getmembers(dialect, inspect.isfunction):
        assert name.startswith("_") or inspect.getdoc(method), name
