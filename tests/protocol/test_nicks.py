"""nicks.py: what a person can be called, and which nicks count as the same one."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charla.client.display.phrases import sentence
from charla.protocol.confusables import prototypes
from charla.protocol.nicks import RESERVED_NICKS, check_nick, like_a_nick, look, nick_key, script_of
from charla.protocol.text import Refused, clean


def refusal(asked: str) -> tuple[str, ...]:
    """Return the code with which a nick is refused, and its arguments; () when it is taken."""
    try:
        check_nick(asked)
    except Refused as refused:
        return (refused.code, *refused.arguments)
    return ()


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
        ("@ana", "nick-character"),
        ("ana@", "nick-character"),
        ("＠ana", "nick-character"),
        ("﹫ana", "nick-character"),
        ("ǃ", "nick-character"),
        ("anaː", "nick-character"),
        ("ⵑa", "nick-character"),
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


# ---- one script ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nick",
    [
        "María_José-2.b",
        "Łukasz",
        "Владимир7",
        "Ελένη",
        "שרה",
        "محمد",
        "محمد٣",
        "فاطمة۳",
        "अनिता",
        "अनिता२",
        "อนันต์",
        "தமிழ்",
        "ሰላም",
        "山田たろう",
        "ニコー",
        "佐々木",
        "김철수",
        "金철수",
        "王ㄅㄆ",
        "x\u0301",
        "Hawaiʻi",
    ],
)
def test_a_nick_of_one_script_or_of_those_that_are_written_together(nick: str) -> None:
    assert refusal(nick) == ()


@pytest.mark.parametrize(
    ("nick", "one", "other"),
    [
        ("pаul", "Latin", "Cyrillic"),
        ("аpple", "Cyrillic", "Latin"),
        ("αna", "Greek", "Latin"),
        ("anaо", "Latin", "Cyrillic"),
        ("sеrver", "Latin", "Cyrillic"),
        ("Аρα", "Cyrillic", "Greek"),
        ("Анա", "Cyrillic", "Armenian"),
        ("anaＡа", "Latin", "Cyrillic"),
        ("ana李", "Latin", "Han"),
        ("ana٣", "Latin", "Arabic"),
        ("한たろう", "Hangul", "Hiragana"),
        ("ㄅㄆ한", "Bopomofo", "Hangul"),
        ("𐌰𐌀", "Gothic", "Old_Italic"),
        ("aー", "Latin", "Katakana"),
        ("anaⷠ", "Latin", "Cyrillic"),
        ("ana\u064b", "Latin", "Arabic"),
    ],
)
def test_a_nick_of_two_scripts_is_refused(nick: str, one: str, other: str) -> None:
    assert refusal(nick) == ("nick-scripts", one, other)


@pytest.mark.parametrize("nick", ["محمد1٣", "محمد٣۳", "अनिता1२"])
def test_digits_of_two_kinds_are_refused(nick: str) -> None:
    assert refusal(nick) == ("nick-digits",)


# Of the Unicode Character Database (Scripts.txt): where a script's letters begin, and exceptions.
@pytest.mark.parametrize(
    ("characters", "script"),
    [
        ("azÀſɐꞰꭀↄ", "Latin"),
        ("Ͱωἀᾳ", "Greek"),
        ("ЀжӀⷠꙀ", "Cyrillic"),
        ("Աև", "Armenian"),
        ("את", "Hebrew"),
        ("ءي٠۰ݐ", "Arabic"),
        ("ऄॿ०ꣲ", "Devanagari"),
        ("一㐀𠀀々", "Han"),
        ("ぁゞ𛀂", "Hiragana"),
        ("ァヾㇰー", "Katakana"),
        ("가ᄀ힣", "Hangul"),
        ("ㄅㆠ", "Bopomofo"),
        ("𐌀", "Old Italic"),
        ("𐐀", "Deseret"),
        ("ᥐ", "Tai Le"),
        ("ᨠ", "Tai Tham"),
        ("𗀀", "Tangut"),
        ("0\u0301ʻʹ", ""),
    ],
)
def test_the_script_of_a_character(characters: str, script: str) -> None:
    assert {script_of(character) for character in characters} == {script}


def test_every_character_has_a_script_or_fits_any() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] in "LMN":
            assert isinstance(script_of(chr(code)), str)


SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "HEBREW")
LETTERS = [
    chr(code)
    for code in range(0x20, 0x2000)
    if unicodedata.category(chr(code))[0] in "LMN" and unicodedata.name(chr(code)).startswith(SCRIPTS)
]


@given(st.text(st.sampled_from([*LETTERS, *"aeo0-."]), min_size=1, max_size=4))
def test_whoever_gets_in_has_one_script(asked: str) -> None:
    if refusal(asked) == ():
        names = [unicodedata.name(character) for character in check_nick(asked)]
        assert sum(any(name.startswith(script) for name in names) for script in SCRIPTS) == 1


# ---- what looks the same -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("асе", "ace"),
        ("АСЕ", "ACE"),
        ("ΑΒΕ", "ABE"),
        ("ΑΒΕ", "АВЕ"),
        ("ѕсоре", "scope"),
        ("օոօ", "ono"),
        ("ᎪᏴᎬ", "ABE"),
        ("ΝΙΚΟ", "niko"),
        ("ali", "aIi"),
        ("aIice", "alice"),
        ("a1ice", "Alice"),
        ("ALlCE", "alice"),
        ("AL1CE", "Alice"),
        ("b0b", "bob"),
        ("B0B", "bob"),
        ("Ian", "lan"),
        ("ニコ", "二コ"),
        ("ロ", "口"),
        ("へ", "ヘ"),
        ("Aydın", "Aydin"),
        ("ș", "ş"),
        ("ø", "o\u0338"),
        ("Đuro", "Ðuro"),
        ("ｂｏｂ", "bob"),
        ("e\u0301va", "éva"),
        ("علی", "علي"),
        ("كريم", "کریم"),
        ("а\u0308", "ä"),
    ],
)
def test_two_nicks_look_the_same(one: str, other: str) -> None:
    assert look(one) == look(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ali", "all"),
        ("Ali", "All"),
        ("ALI", "all"),
        ("corn", "com"),
        ("vv", "w"),
        ("ana", "ána"),
        ("nino", "niño"),
        ("dan1", "dani"),
        ("Ian", "Lan"),
        ("user1", "user2"),
        ("Вова", "Boba"),
        ("анна", "anna"),
        ("Иван", "Ivan"),
        ("ตา", "คา"),
        ("ثنا", "پنا"),
        ("김", "김수"),
        ("æ", "ae"),
        ("θ", "ο"),
    ],
)
def test_two_ordinary_names_can_be_there_together(one: str, other: str) -> None:
    assert look(one) != look(other)
    assert nick_key(one) != nick_key(other)


@given(st.text(st.sampled_from([*LETTERS, *map(chr, prototypes()), *"IlLiOo01aA._-"]), max_size=24))
def test_look_is_stable_and_the_same_in_every_form(nick: str) -> None:
    assert look(nick) == look(nick)
    assert look(look(nick)) == look(nick)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert look(unicodedata.normalize(form, nick)) == look(nick)


def test_a_prototype_is_at_the_end_of_its_way() -> None:
    for code, shape in prototypes().items():
        assert shape.translate(prototypes()) == shape
        assert unicodedata.normalize("NFKD", chr(code)) == chr(code)
        assert look(chr(code)) == look(shape)


# ---- reserved names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nick",
    [
        *("server", "Server", "SERVER", "ｓｅｒｖｅｒ", "server_", "Server.", "servidor", "charIa"),
        *("mod", "Moderator", "moderador", "moderadora", "m0d", "admin", "ADMlN", "adm1n", "Admin-"),
        *("administrator", "administrador", "administradora", "operator", "Operat0r"),
        *("system", "sistema", "root", "r00t", "topic", "announce", "kick", "ban", "bans", "unban"),
        *("mute", "unmute", "quiet", "QUlET", "status", "password", "passw0rd", "pass", "To"),
        *("ѕау", "МЕ", "ΤΟ"),
    ],
)
def test_nobody_takes_a_name_that_reads_like_the_chat_or_its_moderators(nick: str) -> None:
    assert refusal(nick) == ("nick-reserved", unicodedata.normalize("NFKC", nick))


@pytest.mark.parametrize(
    "nick", ["modesto", "bantu", "serverina", "Al", "tom", "Adam", "Rooth", "kim", "Helen"]
)
def test_names_that_only_begin_like_a_reserved_one_are_free(nick: str) -> None:
    assert refusal(nick) == ()


def test_every_reserved_word_is_refused_in_any_case() -> None:
    for word in RESERVED_NICKS:
        for nick in (word, word.upper(), word.title()):
            assert refusal(nick)[0] == "nick-reserved"


# ---- a slip in a name ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pаul", "ana٣", "ana1٣", "server", "moderator", "ana李", "ǃana", "anaː"])
def test_what_nobody_can_be_called_is_still_written_like_a_name(name: str) -> None:
    assert like_a_nick(name)


@pytest.mark.parametrize("use", [nick_key, check_nick, like_a_nick])
def test_a_name_of_kilobytes_is_not_normalised(
    use: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # So many marks, in an order that NFKC has to mend, take 30 ms: measured; and the room would wait for it.
    lengths: list[int] = []

    def normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
        lengths.append(len(text))
        return real(form, text)

    real = unicodedata.normalize
    monkeypatch.setattr(unicodedata, "normalize", normalize)
    with contextlib.suppress(Refused):
        use("a" + "\u0301" * 2000 + "\u0316" * 2000)
    assert max(lengths, default=0) <= 100


def test_a_nick_of_kilobytes_is_too_long() -> None:
    assert refusal("\u00e1" * 4000) == ("nick-long", "24")
    assert refusal("\ufdfa" * 90) == ("nick-space",), "it is one that NFKC makes longer"


def test_a_name_of_kilobytes_is_still_somebodys_and_no_public_text() -> None:
    assert like_a_nick("\u00e1" * 2000)
    assert not like_a_nick("\u00e1" * 2000 + "!")


@pytest.mark.parametrize("mark", ["\u0338", "\u0332", "\u0305", "\u035c"])
def test_a_mark_over_or_under_letters_is_no_letter(mark: str) -> None:
    assert refusal(f"a{mark}na") == ("nick-character", f"U+{ord(mark):04X}")


@pytest.mark.parametrize("nick", ["ali", "Nadia", "Todor", "mala", "ọ̀la"])
def test_names_near_reserved_ones_and_accents_that_have_no_letter_of_their_own_are_names(nick: str) -> None:
    assert refusal(nick) == ()


@pytest.mark.parametrize(
    ("nick", "shown"), [("ana!", "'!'"), ("a:b", "':'"), ("a\x7f", "U+007F"), ("a\u200d", "U+200D")]
)
def test_the_character_that_cannot_be_is_shown_where_it_can_be(nick: str, shown: str) -> None:
    with pytest.raises(Refused) as refused:
        check_nick(nick)
    words = f"A nickname cannot have the character {shown}: only letters, digits, _ - and ."
    assert sentence(refused.value.code, refused.value.arguments) == words
