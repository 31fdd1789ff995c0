"""nicks.py: what a person can be called, and which nicks count as the same one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages import Refused, clean
from nicks import check_nick, nick_key
from wording import sentence


@pytest.mark.parametrize(
    ("asked", "nick"),
    [
        ("ana", "ana"),
        ("María_José-2.b", "María_José-2.b"),
        ("ＡＮＡ", "ANA"),
        ("Ωμέγα", "Ωμέγα"),
        ("नमस्ते", "नमस्ते"),
        ("李雷", "李雷"),
        ("a" * 24, "a" * 24),
        ("ﬁn", "fin"),
        ("e\u0301va", "éva"),
        ("a１", "a1"),
    ],
)
def test_a_nick_is_taken(asked: str, nick: str) -> None:
    assert check_nick(asked) == nick


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("", "nick-empty"),
        ("ana maria", "nick-space"),
        ("a" * 25, "nick-long"),
        ("1a", "nick-start"),
        ("_a", "nick-start"),
        ("\u0301a", "nick-start"),
        ("a:", "nick-character"),
        ("*a", "nick-character"),
        ("!a", "nick-character"),
        ("~a", "nick-character"),
        ("[a]", "nick-character"),
        ("a/b", "nick-character"),
        ("a\x1b", "nick-character"),
        ("a\u200d", "nick-character"),
        ("a\u202e", "nick-character"),
        ("a\u2028b", "nick-character"),
        ("a\u00adb", "nick-character"),
        ("a\u034f", "nick-character"),
        ("a\u115f", "nick-character"),
        ("a\u3164", "nick-character"),
        ("a\ufe0f", "nick-character"),
        ("a\uffa0", "nick-character"),
        ("a\u2800", "nick-character"),
        ("a\u17b4", "nick-character"),
        ("a👍", "nick-character"),
        ("a\x00", "nick-character"),
        ("x\u0301\u0302\u0303\u0304", "nick-character"),
        ("Exit", "nick-reserved"),
        ("SALIR", "nick-reserved"),
        ("quit", "nick-reserved"),
        ("Nick", "nick-reserved"),
        ("say", "nick-reserved"),
        ("HELLO", "nick-reserved"),
        ("ｓａｙ", "nick-reserved"),
        ("server", "nick-reserved"),
        ("You", "nick-reserved"),
        ("TÚ", "nick-reserved"),
        ("a\u3000b", "nick-space"),
        ("HELLO 1 x", "nick-space"),
    ],
)
def test_a_nick_is_refused(asked: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check_nick(asked)
    assert caught.value.code == code
    assert clean(sentence(code, caught.value.arguments)) == sentence(code, caught.value.arguments)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ana", "aNA"),
        ("ＡＮＡ", "ana"),
        ("\u212aelvin", "kelvin"),
        ("ſam", "SAM"),
        ("straße", "STRASSE"),
        ("é", "e\u0301"),
    ],
)
def test_nicks_that_count_as_the_same(one: str, other: str) -> None:
    assert nick_key(one) == nick_key(other)


@given(st.text(max_size=30))
def test_a_taken_nick_is_stable_and_cannot_forge(asked: str) -> None:
    try:
        nick = check_nick(asked)
    except Refused as refused:
        assert refused.code.startswith("nick-")
        return
    assert check_nick(nick) == nick
    assert clean(nick) == nick
    assert nick_key(nick_key(nick)) == nick_key(nick)
    assert not set(nick) & set(" :*!~[]\n")
    assert nick[0].isalpha()
