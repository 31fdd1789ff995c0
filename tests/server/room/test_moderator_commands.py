"""What moderators can do, to whom, and what is left of it: the room call by call, then a real server."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from conftest import RunningServer
from support import LineClient, ServerProgram
from support.table import Table

from charla.common.passwords import Password
from charla.protocol.dialect import Dialect
from charla.protocol.native import NATIVE
from charla.protocol.plain import PLAIN
from charla.protocol.text import Refused
from charla.server.delivery.connection import Connection
from charla.server.delivery.requests import Close, Ended, Promote
from charla.server.storage.database import Storage

Sit = Callable[..., Table]
Serve = Callable[..., RunningServer]
Start = Callable[..., ServerProgram]
Connect = Callable[..., LineClient]

FAR, NEAR = "203.0.113.7", "127.0.0.1"
NOT_A_MODERATOR = "! Only moderators can do that: /mod makes you one, with the password."
MUTED = (
    "! Nothing was done: a moderator has muted you, for another {}. You can still write to one person alone."
)
QUIET = (
    "! Nothing was done: the room is quiet, and only moderators speak. "
    "You can still write to one person alone."
)


@pytest.fixture
def sit(stack: ExitStack) -> Sit:
    """Make rooms with moderators: `sit(storage=storage)`."""

    def make(**options: object) -> Table:
        table = Table(**{"has_moderators": True, **options})  # type: ignore[arg-type]
        stack.callback(table.close)
        return table

    return make


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "room.db")


def restart(table: Table, path: str) -> Storage:
    """End a room that is on disk; return the disk for the one that comes after it."""
    table.room.obey(Close())
    table.room.flush()
    assert table.storage is not None
    table.storage.close()
    return Storage(path)


def type_in(table: Table, connection: Connection, *lines: str) -> list[str]:
    """Have somebody send lines in their dialect; return what they are told, ids and times left out."""
    for line in lines:
        try:
            item: object = connection.dialect.decode_command(line)
        except Refused as refused:
            item = refused
        table.do(connection, item)
    return told(table, connection)


def told(table: Table, connection: Connection) -> list[str]:
    """Return what somebody was told, the ids and times of native events left out."""
    return [re.sub(r"^([A-Z]+) \d+ \d{13}\b", r"\1", line) for line in table.told(connection)]


def ends(table: Table, *connections: Connection) -> None:
    """Do what the readers of connections that were hung up on do."""
    for connection in connections:
        table.do(connection, Ended("left"))


# ---- every command, in both dialects -------------------------------------------------------------

# What is typed, what a native client sends for it, what others are told in either dialect.
RULINGS = [
    ("/kick beto", "KICK 7 beto", "mara removed beto", "kick mara beto 0"),
    (
        "/kick BETO: too loud",
        "KICK 7 BETO too loud",
        "mara removed beto: too loud",
        "kick mara beto 0 too loud",
    ),
    ("/ban beto", "BAN 7 beto 0", "mara banned beto for good", "ban mara beto 0"),
    (
        "/ban beto 30m spam",
        "BAN 7 beto 1800 spam",
        "mara banned beto for 30 min: spam",
        "ban mara beto 1800 spam",
    ),
    ("/mute beto", "MUTE 7 beto 300", "mara muted beto for 5 min", "mute mara beto 300"),
    ("/mute beto 2h", "MUTE 7 beto 7200", "mara muted beto for 2 h", "mute mara beto 7200"),
    ("/announce a pause", "ANNOUNCE 7 a pause", "mara announces: a pause", "announce mara - 0 a pause"),
    ("/topic exams", "TOPIC 7 exams", "mara set the topic: exams", "topic mara - 0 exams"),
    ("/topic -", "NOTOPIC 7", "mara removed the topic", "no-topic mara - 0"),
    ("/quiet on", "QUIET 7 on", "mara made the room quiet: only moderators speak", "quiet mara - 0"),
    ("/quiet off", "QUIET 7 off", "mara ended the quiet: everyone speaks", "not-quiet mara - 0"),
]


@pytest.mark.parametrize("dialect", [PLAIN, NATIVE], ids=["plain", "native"])
@pytest.mark.parametrize(("typed", "line", "plain", "native"), RULINGS)
def test_what_a_moderator_decides_is_told_to_all(
    table: Table, typed: str, line: str, plain: str, native: str, dialect: Dialect
) -> None:
    mara = table.moderator("mara", dialect)
    ana, nora, beto = table.join("ana"), table.join("nora", NATIVE), table.join("beto")
    table.forget()
    own = type_in(table, mara, typed if dialect is PLAIN else line)
    assert own[0] == (f"* {plain}" if dialect is PLAIN else f"MODERATED 7 {native}")
    assert told(table, ana)[0] == f"* {plain}"
    assert told(table, nora)[0] == f"MODERATED - {native}"
    assert told(table, beto)[0] == f"* {plain}"


@pytest.mark.parametrize("dialect", [PLAIN, NATIVE], ids=["plain", "native"])
@pytest.mark.parametrize(
    ("before", "typed", "line", "plain", "native"),
    [
        (
            "/ban beto",
            "/unban BETO",
            "UNBAN 7 BETO",
            "mara lifted the ban on beto",
            "unban mara beto 0",
        ),
        (
            "/ban beto",
            f"/unban {FAR}",
            f"UNBAN 7 {FAR}",
            "mara lifted the ban on beto",
            "unban mara beto 0",
        ),
        (
            "/mute beto",
            "/unmute beto",
            "UNMUTE 7 beto",
            "mara lets beto speak again",
            "unmute mara beto 0",
        ),
    ],
)
def test_what_a_moderator_lifts_is_told_to_all_and_holds_no_more(
    table: Table, before: str, typed: str, line: str, plain: str, native: str, dialect: Dialect
) -> None:
    other, mara = table.moderator("other"), table.moderator("mara", dialect)
    table.join("beto", origin=FAR)
    ana = table.join("ana")
    type_in(table, other, before)
    table.forget()
    own = type_in(table, mara, typed if dialect is PLAIN else line)
    assert own == [f"* {plain}" if dialect is PLAIN else f"MODERATED 7 {native}"]
    assert told(table, ana) == [f"* {plain}"]
    if "ban" in before:
        beto = table.join("beto", origin=FAR)
    else:
        beto = next(connection for connection in table.sockets if connection.origin == FAR)
    table.forget()
    assert type_in(table, beto, "hola") == []
    assert told(table, ana)[-1] == "beto: hola"


MODERATORS_COMMANDS = [
    *[(typed, line) for typed, line, _, _ in RULINGS],
    ("/unban beto", "UNBAN 7 beto"),
    ("/unmute beto", "UNMUTE 7 beto"),
    ("/bans", "BANS 7"),
    ("/status", "STATUS 7"),
]


@pytest.mark.parametrize(("typed", "line"), MODERATORS_COMMANDS)
def test_who_is_no_moderator_can_do_none_of_it(sit: Sit, typed: str, line: str) -> None:
    table = sit()
    beto, ana, nora = table.join("beto"), table.join("ana"), table.join("nora", NATIVE)
    table.forget()
    assert type_in(table, ana, typed) == [NOT_A_MODERATOR]
    assert type_in(table, nora, line) == ["ERROR 7 not-moderator"]
    assert told(table, beto) == [], "and nobody hears of it"
    assert type_in(table, beto, "hola") == []


@pytest.mark.parametrize(("typed", "line"), MODERATORS_COMMANDS)
def test_on_a_server_without_moderators_nobody_can(sit: Sit, typed: str, line: str) -> None:
    table = sit(has_moderators=False)
    ana, nora = table.join("ana"), table.join("nora", NATIVE)
    table.forget()
    assert type_in(table, ana, typed) == [
        "! This server has no moderators: it was started without --moderator-password-file."
    ]
    assert type_in(table, nora, line) == ["ERROR 7 no-moderators"]


def test_who_becomes_a_moderator_is_told_to_all_once_and_has_a_mark(table: Table) -> None:
    ana, nora = table.join("ana"), table.join("nora", NATIVE)
    table.forget()
    table.do(ana, Promote(0))
    assert told(table, ana) == ["* ana is a moderator now"]
    assert told(table, nora) == ["MODERATED - mod ana - 0"]
    table.do(ana, Promote(0))
    assert told(table, ana) == ["! You are a moderator already."]
    assert type_in(table, nora, "WHO 1 1") == ["WHO 1 1 1 2 @ana nora"]
    assert type_in(table, ana, "/who") == ["* 2 here: @ana, nora"]
    type_in(table, ana, "/nick anna")
    assert type_in(table, ana, "/who") == ["* 2 here: @anna, nora"]


@pytest.mark.parametrize(
    ("typed", "line", "code"),
    [
        ("/kick eva", "KICK 7 eva", "nobody-called eva"),
        ("/mute eva", "MUTE 7 eva 300", "nobody-called eva"),
        ("/unban eva", "UNBAN 7 eva", "no-ban eva"),
        ("/unmute eva", "UNMUTE 7 eva", "not-muted eva"),
        ("/ban se:ver", "BAN 7 se:ver 0", "nick-character U+003A"),
    ],
)
def test_what_cannot_be_done_is_refused_to_the_moderator_alone(
    table: Table, typed: str, line: str, code: str
) -> None:
    mara, native = table.moderator("mara"), table.moderator("nora", NATIVE)
    ana = table.join("ana")
    table.forget()
    refusal = type_in(table, mara, typed)
    assert [line[:2] for line in refusal] == ["! "]
    assert type_in(table, native, line) == [f"ERROR 7 {code}"]
    assert told(table, ana) == []


# ---- kicked, banned ------------------------------------------------------------------------------


def test_who_is_kicked_is_told_why_and_may_come_again(table: Table) -> None:
    mara, ana, beto = table.moderator("mara"), table.join("ana"), table.join("beto")
    table.forget()
    type_in(table, mara, "/kick beto too loud")
    assert told(table, beto) == [
        "* mara removed beto: too loud",
        "* A moderator has removed you from the room.",
    ]
    assert beto.closing
    assert told(table, ana) == ["* mara removed beto: too loud", "* beto left (removed)"]
    assert type_in(table, beto, "I am still here") == []
    assert told(table, ana) == []
    assert table.seat(table.connect(), "beto")


def test_a_kick_ends_a_kept_seat_for_good(table: Table) -> None:
    mara = table.moderator("mara")
    beto, token = table.begin("beto")
    table.do(beto, Ended("lost"))
    type_in(table, mara, "/kick beto")
    again = table.resume(token, 0)
    assert told(table, again)[-1] == "ERROR - no-session"
    assert table.seat(table.connect(), "beto"), "and the nick is free"


@pytest.mark.parametrize("line", ["/kick mara", "/ban MARA 5m", "/mute mara"])
def test_a_moderator_cannot_mean_themselves(table: Table, line: str) -> None:
    mara, ana = table.moderator("mara"), table.join("ana")
    told(table, ana)
    assert type_in(table, mara, line) == ["! That is you, so nothing was done."]
    assert told(table, ana) == []


@pytest.mark.parametrize("line", ["/kick beto", "/ban beto", "/mute beto"])
def test_who_has_another_nick_now_is_not_missed_without_a_word(table: Table, line: str) -> None:
    mara, beto = table.moderator("mara"), table.join("beto")
    type_in(table, beto, "/nick malo")
    told(table, mara)
    assert type_in(table, mara, line) == ["! 'beto' is called malo now, so nothing was done."]


def test_who_has_just_left_is_banned_by_address_too(table: Table) -> None:
    mara = table.moderator("mara")
    beto = table.join("beto", origin="192.0.2.7")
    type_in(table, beto, "exit")
    type_in(table, mara, "/ban beto")
    assert type_in(table, mara, "/bans")[-1] == "* 1 of 1: beto (192.0.2.7), until /unban, by mara"


@pytest.mark.parametrize("alike", ["ma1o", "MALO", "maIo"])
def test_a_ban_and_a_mute_hold_for_a_nick_that_looks_the_same(table: Table, alike: str) -> None:
    mara, malo = table.moderator("mara"), table.join("malo")
    type_in(table, mara, "/mute malo")
    type_in(table, malo, "exit")
    again = table.join(alike)
    assert type_in(table, again, "hola")[-1].startswith("! Nothing was done: a moderator has muted you")
    type_in(table, mara, f"/kick {alike}")
    type_in(table, mara, "/ban malo")
    assert not table.seat(table.connect(), alike)


def test_a_ban_is_of_the_nick_and_of_the_address(table: Table) -> None:
    mara = table.moderator("mara", origin=NEAR)
    beto = table.join("beto", origin=FAR)
    table.forget()
    type_in(table, mara, "/ban beto 30m spam")
    assert told(table, beto)[-1] == "* A moderator has banned you from the room."
    for nick, origin in (("beto", "198.51.100.1"), ("BETO", ""), ("eva", FAR)):
        again = table.connect(origin)
        assert not table.seat(again, nick)
        table.room.flush()
        assert told(table, again) == [
            "NICK",
            "! You are banned from this room, for another 30 min.",
            "* Goodbye.",
        ]
        assert again.closing
    native = table.connect(FAR)
    assert not table.seat(native, "eva", NATIVE)
    table.room.flush()
    assert told(table, native)[-2:] == ["ERROR - banned-for 1800", "BYE refused"]
    assert table.seat(table.connect("203.0.113.8"), "eva"), "a neighbour is not meant"
    table.pass_time(30 * 60)
    assert table.seat(table.connect(FAR), "beto")


def test_a_ban_from_an_ipv6_network_and_one_of_somebody_whose_address_is_not_known(table: Table) -> None:
    mara = table.moderator("mara", origin="::1")
    table.join("beto", origin="2001:db8:1:2::/64")
    table.join("eva")
    type_in(table, mara, "/ban beto", "/ban eva")
    assert not table.seat(table.connect("2001:db8:1:2::/64"), "x")
    assert table.seat(table.connect(""), "x")
    assert table.seat(table.connect("2001:db8:1:3::/64"), "y")
    table.forget()
    assert type_in(table, mara, "/unban 2001:db8:1:2::/64") == ["* mara lifted the ban on beto"]
    assert table.seat(table.connect("2001:db8:1:2::/64"), "beto")


def test_a_ban_without_a_time_holds_until_it_is_lifted(table: Table) -> None:
    mara = table.moderator("mara")
    table.join("beto", origin=FAR)
    type_in(table, mara, "/ban beto")
    table.pass_time(10 * 365 * 86400)
    again = table.connect(FAR)
    assert not table.seat(again, "x")
    table.room.flush()
    assert told(table, again)[1:] == ["! You are banned from this room.", "* Goodbye."]
    type_in(table, mara, f"/unban {FAR}")
    assert table.seat(table.connect(FAR), "beto")


@pytest.mark.parametrize("loopback", ["127.0.0.1", "127.3.2.1", "::1"])
def test_the_address_of_everybody_on_this_machine_is_not_banned(table: Table, loopback: str) -> None:
    mara = table.moderator("mara", origin="198.51.100.1")
    table.join("beto", origin=loopback)
    type_in(table, mara, "/ban beto")
    assert not table.seat(table.connect(loopback), "beto")
    assert table.seat(table.connect(loopback), "eva")


def test_nor_is_the_address_that_the_moderator_has_too(table: Table) -> None:
    mara = table.moderator("mara", origin=FAR)
    table.join("beto", origin=FAR)
    type_in(table, mara, "/ban beto")
    assert not table.seat(table.connect(FAR), "beto")
    assert table.seat(table.connect(FAR), "eva")
    table.forget()
    assert type_in(table, mara, "/bans") == ["* 1 of 1: beto, until /unban, by mara"]


def test_somebody_who_is_not_here_can_be_banned_by_nick(table: Table) -> None:
    mara = table.moderator("mara")
    assert type_in(table, mara, "/ban beto 1h") == ["* mara banned beto for 1 h"]
    assert not table.seat(table.connect(), "beto")


@pytest.mark.parametrize("time", ["30x", "30", "30 min", "0m"])
def test_a_mistyped_time_bans_nobody(table: Table, time: str) -> None:
    mara, beto = table.moderator("mara"), table.join("beto")
    table.forget()
    refusal = ["! That is not a time: nothing was done. Write it like 30s, 5m, 2h or 7d, 365d at the most."]
    assert type_in(table, mara, f"/ban beto {time} spam") == refusal
    assert type_in(table, mara, f"/mute beto {time}") == refusal
    assert told(table, beto) == []
    assert type_in(table, mara, "/bans") == ["* Nobody is banned."]


def test_a_banned_nick_cannot_be_taken_later_on(table: Table) -> None:
    mara, ana = table.moderator("mara"), table.join("ana")
    type_in(table, mara, "/ban beto")
    told(table, ana)
    assert type_in(table, ana, "/nick beto") == ["! You are banned from this room."]
    assert type_in(table, ana, "/who") == ["* 2 here: ana, @mara"]


def test_who_comes_back_from_a_banned_address_has_no_seat_any_more(table: Table) -> None:
    mara = table.moderator("mara")
    eva, token = table.begin("eva", origin="198.51.100.1")
    table.join("beto", origin=FAR)
    type_in(table, mara, "/ban beto")
    table.do(eva, Ended("lost"))
    table.forget()
    again = table.resume(token, 0, origin=FAR)
    assert told(table, again)[-2:] == ["ERROR - banned", "BYE refused"]
    assert told(table, mara) == ["* eva left (banned)"]
    elsewhere = table.resume(token, 0, origin="198.51.100.1")
    assert told(table, elsewhere)[-1] == "ERROR - no-session"


def test_who_is_banned_while_the_link_is_down_does_not_come_back(table: Table) -> None:
    mara = table.moderator("mara")
    beto, token = table.begin("beto", origin=FAR)
    table.do(beto, Ended("lost"))
    type_in(table, mara, "/ban beto 1h")
    assert told(table, table.resume(token, 0, origin=FAR))[-1] == "ERROR - no-session"
    assert not table.seat(table.connect(FAR), "somebody")


def test_the_list_of_bans_is_for_moderators_in_both_dialects(table: Table) -> None:
    mara, nora = table.moderator("mara"), table.moderator("nora", NATIVE)
    assert type_in(table, mara, "/bans") == ["* Nobody is banned."]
    assert type_in(table, nora, "BANS 7") == ["BANNED 7 0 0 - - 0 -"]
    table.join("beto", origin=FAR)
    type_in(table, mara, "/ban beto 1h spam", "/ban eva")
    table.pass_time(60)
    table.forget()
    assert type_in(table, mara, "/bans") == [
        "* 1 of 2: eva, until /unban, by mara",
        f"* 2 of 2: beto ({FAR}), for another 59 min, by mara: spam",
    ]
    assert type_in(table, nora, "BANS 7") == [
        "BANNED 7 1 2 eva - 0 mara",
        f"BANNED 7 2 2 beto {FAR} 3540 mara spam",
    ]


# ---- muted, quiet, the topic ---------------------------------------------------------------------

LOUD = ["hola", "/say hola", "/me waves", "/nick other"]


@pytest.mark.parametrize("typed", LOUD)
def test_who_is_muted_says_nothing_to_everyone(table: Table, typed: str) -> None:
    mara, beto, ana = table.moderator("mara"), table.join("beto"), table.join("ana")
    type_in(table, mara, "/mute beto")
    table.forget()
    assert type_in(table, beto, typed) == [MUTED.format("5 min")]
    assert told(table, ana) == []
    assert type_in(table, beto, "ana: psst") == ["[to ana] psst"]
    assert told(table, ana) == ["[private] beto: psst"]
    table.pass_time(5 * 60)
    assert "!" not in "".join(type_in(table, beto, typed))
    assert len(told(table, ana)) == 1


def test_who_is_muted_natively(table: Table) -> None:
    mara, beto = table.moderator("mara"), table.join("beto", NATIVE)
    type_in(table, mara, "/mute beto 1h")
    table.forget()
    for line in ("SAY 1 hola", "ME 2 waves", "NICK 3 other"):
        assert type_in(table, beto, line) == [f"ERROR {line.split()[1]} muted 3600"]


def test_to_leave_and_come_again_does_not_unmute(table: Table) -> None:
    mara, beto = table.moderator("mara"), table.join("beto")
    type_in(table, mara, "/mute beto")
    type_in(table, beto, "/exit")
    ends(table, beto)
    beto = table.join("Beto")
    assert type_in(table, beto, "hola") == [MUTED.format("5 min")]


@pytest.mark.parametrize("typed", LOUD)
def test_in_a_quiet_room_only_moderators_speak(table: Table, typed: str) -> None:
    mara, beto, ana = table.moderator("mara"), table.join("beto"), table.join("ana")
    type_in(table, mara, "/quiet on")
    table.forget()
    assert type_in(table, beto, typed) == [QUIET]
    assert told(table, ana) == []
    assert type_in(table, beto, "ana: psst") == ["[to ana] psst"]
    told(table, ana)
    assert "!" not in "".join(type_in(table, mara, typed))
    assert len(told(table, ana)) == 1
    type_in(table, mara, "/quiet off")
    table.forget()
    assert "!" not in "".join(type_in(table, beto, typed.replace("other", "another")))
    assert len(told(table, ana)) == 1


def test_who_becomes_a_moderator_in_a_quiet_room_speaks(table: Table) -> None:
    mara, beto = table.moderator("mara"), table.join("beto")
    type_in(table, mara, "/quiet on")
    table.do(beto, Promote(0))
    table.forget()
    type_in(table, beto, "hola")
    assert told(table, mara) == ["beto: hola"]


def test_the_topic_is_shown_to_who_joins_and_who_asks(table: Table) -> None:
    mara = table.moderator("mara")
    assert type_in(table, mara, "/topic") == ["* There is no topic."]
    type_in(table, mara, "/topic exams, then cake", "/quiet on")
    ana, nora = table.connect(), table.connect()
    table.seat(ana, "ana")
    table.seat(nora, "nora", NATIVE)
    table.room.flush()
    opening = ["* Topic: exams, then cake", "* The room is quiet: only moderators speak."]
    assert told(table, ana)[3:6] == [*opening, "* 2 here: ana, @mara"]
    assert [line for line in told(table, nora) if line.startswith("TOPIC")] == ["TOPIC - on exams, then cake"]
    assert type_in(table, ana, "/topic") == opening
    assert type_in(table, nora, "TOPIC 7") == ["TOPIC 7 on exams, then cake"]
    type_in(table, mara, "/topic -", "/quiet off")
    late = table.connect()
    table.seat(late, "late")
    table.room.flush()
    assert not any("opic" in line or "quiet" in line for line in told(table, late))


def test_only_moderators_set_the_topic(table: Table) -> None:
    ana = table.join("ana")
    assert type_in(table, ana, "/topic mine") == [NOT_A_MODERATOR]
    assert type_in(table, ana, "/topic") == ["* There is no topic."]


# ---- nicks ---------------------------------------------------------------------------------------

# Who is here, who comes, and why that cannot be.
CHOOSE = "choose another nickname."
FAKES = [
    ("paypal", "paypaI", "nick-alike", f"'paypaI' looks like paypal, which is taken: {CHOOSE}"),
    ("maria", "m\u0430ria", "nick-scripts", "{letters} of one alphabet: that has Latin and Cyrillic."),
    ("ana", "server", "nick-reserved", f"'server' is a word of the chat itself: {CHOOSE}"),
    ("ana", "@ana", "nick-character", "{character} '@': only letters, digits, _ - and ."),
]
WORDS = {"letters": "A nickname has letters", "character": "A nickname cannot have the character"}


@pytest.mark.parametrize(("here", "fake", "code", "sentence"), FAKES)
def test_nobody_passes_for_somebody_else_in_the_room(
    table: Table, here: str, fake: str, code: str, sentence: str
) -> None:
    table.join(here)
    eva, nora = table.join("eva"), table.join("nora", NATIVE)
    table.forget()
    assert type_in(table, eva, f"/nick {fake}") == ["! " + sentence.format(**WORDS)]
    refusal = type_in(table, nora, f"NICK 7 {fake}")
    assert [" ".join(line.split()[:3]) for line in refusal] == [f"ERROR 7 {code}"]
    assert type_in(table, eva, "/who") == ["* 3 here: " + ", ".join(sorted([here, "eva", "nora"]))]


@pytest.mark.parametrize(("here", "fake", "code", "sentence"), FAKES)
def test_nor_on_joining(
    serve: Serve, connect: Connect, here: str, fake: str, code: str, sentence: str
) -> None:
    server = serve()
    connect(server).join_plain(here)
    eva, nora = connect(server), connect(server)
    eva.send(f"{fake}\n")
    eva.expect("NICK", "! " + sentence.format(**WORDS), "NICK")
    nora.expect("NICK")
    nora.send(f"HELLO 1 {fake}\n")
    assert nora.line().startswith(f"ERROR - {code}")
    nora.send("HELLO 1 nora\n")
    assert nora.line().startswith("WELCOME")


# ---- what is kept --------------------------------------------------------------------------------


def test_who_comes_back_learns_of_what_was_decided_and_a_repetition_does_nothing(table: Table) -> None:
    mara, token = table.begin("mara")
    ana, anas_token = table.begin("ana")
    table.do(mara, Promote(1))
    seen = int(table.told(mara)[-1].split()[1])
    table.do(ana, Ended("lost"))
    assert type_in(table, mara, "ANNOUNCE 2 a pause", "TOPIC 3 exams", "MUTE 4 ana 300") == [
        "MODERATED 2 announce mara - 0 a pause",
        "MODERATED 3 topic mara - 0 exams",
        "MODERATED 4 mute mara ana 300",
    ]
    table.do(mara, Ended("lost"))
    again = table.resume(token, seen)
    assert told(table, again)[1:-1] == [
        "RESUMED mara 2 0",
        "MODERATED 2 announce mara - 0 a pause",
        "MODERATED 3 topic mara - 0 exams",
        "MODERATED 4 mute mara ana 300",
    ]
    back = table.resume(anas_token, seen)
    assert "MODERATED - announce mara - 0 a pause" in told(table, back)
    table.forget()
    # A client that has missed the answers sends it all again.
    assert type_in(table, again, "MUTE 4 ana 300") == ["MODERATED 4 mute mara ana 300"]
    assert type_in(table, again, "UNMUTE 5 ana") == ["MODERATED 5 unmute mara ana 0"]
    assert type_in(table, again, "MUTE 4 ana 300") == ["MODERATED 4 mute mara ana 300"]
    told(table, back)
    assert type_in(table, back, "SAY 1 hola")[0] == "SAY 1 ana hola", "the mute was not done a second time"


def test_being_a_moderator_is_confirmed_again_too(table: Table) -> None:
    ana, token = table.begin("ana")
    table.do(ana, Promote(1))
    assert told(table, ana) == ["MODERATED 1 mod ana - 0"]
    table.do(ana, Ended("lost"))
    again = table.resume(token, 1)
    table.forget()
    table.do(again, Promote(1))
    assert told(table, again) == ["MODERATED 1 mod ana - 0"]
    assert type_in(table, again, "QUIET 2 on") == ["MODERATED 2 quiet ana - 0"]


def test_after_a_restart_all_of_it_still_holds(sit: Sit, path: str) -> None:
    before = sit(storage=Storage(path))
    mara, token = before.begin("mara")
    before.join("beto", origin=FAR)
    before.join("eva")
    before.do(mara, Promote(1))
    type_in(
        before, mara, "BAN 2 beto 3600 spam", "MUTE 3 eva 3600", "TOPIC 4 exams", "QUIET 5 on", "BAN 6 ivo 60"
    )
    last = int(before.room.status()[5])
    with closing(restart(before, path)) as reopened:
        after = sit(storage=reopened)
        after.unix = before.unix + 61_000
        again = after.resume(token, last)
        assert told(after, again)[-1].startswith("LIVE")
        assert type_in(after, again, "WHO 7 1") == ["WHO 7 1 1 1 @mara"]
        assert type_in(after, again, "BANS 8") == [f"BANNED 8 1 1 beto {FAR} 3539 mara spam"]
        assert not after.seat(after.connect(FAR), "other")
        assert after.seat(after.connect(), "ivo"), "that ban is over"
        eva = after.connect()
        after.seat(eva, "eva")
        after.room.flush()
        opening = told(after, eva)
        assert "* Topic: exams" in opening
        assert "* The room is quiet: only moderators speak." in opening
        assert type_in(after, eva, "hola") == [MUTED.format("58 min 59 s")]
        type_in(after, again, "QUIET 9 off", "UNMUTE 10 eva")
        assert type_in(after, eva, "hola")[-1] == "* mara lets eva speak again"
        assert told(after, again)[-1] == "SAY - eva hola"


def test_who_became_a_moderator_last_of_all_is_one_after_a_restart(sit: Sit, path: str) -> None:
    before = sit(storage=Storage(path))
    mara, token = before.begin("mara")
    before.do(mara, Promote(1))
    with closing(restart(before, path)) as reopened:
        after = sit(storage=reopened)
        again = after.resume(token, 1)
        assert "MODERATED 1 mod mara - 0" in told(after, again), "and it is in the log"
        assert type_in(after, again, "ANNOUNCE 2 back") == ["MODERATED 2 announce mara - 0 back"]


def test_what_was_lifted_is_not_back_after_a_restart(sit: Sit, path: str) -> None:
    before = sit(storage=Storage(path))
    mara = before.moderator("mara")
    before.join("eva")
    type_in(before, mara, "/ban beto", "/mute eva", "/topic exams", "/quiet on")
    type_in(before, mara, "/unban beto", "/unmute eva", "/topic -", "/quiet off")
    with closing(restart(before, path)) as reopened:
        after = sit(storage=reopened)
        beto, eva = after.connect(), after.connect()
        assert after.seat(beto, "beto")
        assert after.seat(eva, "eva")
        after.room.flush()
        assert not any("opic" in line or "quiet" in line for line in told(after, eva))
        assert type_in(after, eva, "hola") == []
        assert told(after, beto)[-1] == "eva: hola"


# ---- the password, over a real connection --------------------------------------------------------


def test_a_moderator_with_nc(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "charla")
    server = serve(moderator_password=Password("tell-nobody"))
    ana, beto = connect(server).join_plain("ana"), connect(server)
    beto.join_native("beto")
    ana.send("/mod\ntell-nobody\n")
    ana.expect("* beto joined", "PASSWORD", "* ana is a moderator now")
    beto.until("^MODERATED .* mod ana")
    beto.send("MOD 1 tell-nobody\n")
    assert re.fullmatch(r"MODERATED \d+ \d+ 1 mod beto - 0", beto.line())
    ana.expect("* beto is a moderator now")
    ana.send("/announce cake\n")
    ana.expect("* ana announces: cake")
    assert beto.until("announce")[-1].endswith(" announce ana - 0 cake")
    assert "tell-nobody" not in caplog.text
    assert "moderator ana: announce" in caplog.text


@pytest.mark.parametrize("typed", ["wrong", "/exit", "ana: hola", " tell-nobody", "", "\xff"])
def test_what_stands_behind_mod_is_a_password_and_never_said(
    serve: Serve, connect: Connect, typed: str
) -> None:
    server = serve(moderator_password=Password("tell-nobody"))
    ana, beto = connect(server).join_plain("ana"), connect(server).join_plain("beto")
    ana.expect("* beto joined")
    ana.send(b"/mod\n" + typed.encode("latin-1") + b"\nhola\n")
    ana.expect("PASSWORD", "! That is not the password.")
    beto.expect("ana: hola")


def test_a_native_mod_without_a_password_takes_no_other_line_for_one(serve: Serve, connect: Connect) -> None:
    server = serve(moderator_password=Password("tell-nobody"))
    ana = connect(server)
    ana.join_native("ana")
    ana.send("MOD 1\nSAY 2 hola\n")
    ana.expect("ERROR 1 wrong-password")
    assert ana.line().endswith(" 2 ana hola")


def test_a_server_without_moderators_asks_for_no_password(serve: Serve, connect: Connect) -> None:
    server = serve()
    ana, beto = connect(server).join_plain("ana"), connect(server)
    beto.join_native("beto")
    ana.send("/mod\nhola\n")
    refusal = "This server has no moderators: it was started without --moderator-password-file."
    ana.expect("* beto joined", f"! {refusal}")
    assert beto.line().endswith(" ana hola")
    beto.send("MOD 1 secret\n")
    beto.expect("ERROR 1 no-moderators")


def test_a_kick_over_a_real_connection_is_its_end(serve: Serve, connect: Connect) -> None:
    server = serve(moderator_password=Password("tell-nobody"))
    mara, beto = connect(server).join_plain("mara"), connect(server).join_plain("beto")
    mara.send("/mod\ntell-nobody\n/kick beto too loud\n")
    assert beto.rest() == [
        "* mara is a moderator now",
        "* mara removed beto: too loud",
        "* A moderator has removed you from the room.",
    ]
    mara.until("beto left")


def test_the_status_is_shown_line_by_line(serve: Serve, connect: Connect) -> None:
    server = serve(moderator_password=Password("tell-nobody"))
    mara, nora = connect(server).join_plain("mara"), connect(server)
    nora.join_native("nora")
    waiting = connect(server)
    waiting.expect("NICK")
    mara.send("/mod\ntell-nobody\nhola\n/nonsense\n/status\n")
    shown = mara.until("people muted")[-13:]
    values = dict(line.removeprefix("* ").split(": ") for line in shown)
    assert all(line.startswith("* ") for line in shown)
    assert re.fullmatch(r"\d+ s", values["running for"])
    assert values["bans"] == values["people muted"] == "0"
    assert values["people in the room"] == "2"
    assert values["connections"] == "3"
    assert values["of these, connections without a nickname yet"] == "1"
    assert values["events since the start"] == "4"  # two joins, a moderator, a message
    assert values["lines and connections refused"] == "1"
    assert int(values["lines sent to clients"]) >= 8
    nora.send("MOD 1 tell-nobody\nSTATUS 2\n")
    status = nora.until("^STATUS")[-1].split()
    assert status[:2] == ["STATUS", "2"]
    assert len(status) == 2 + 13


def test_with_a_file_all_of_it_survives_kill_9(
    start_program: Start, connect: Connect, tmp_path: Path
) -> None:
    secret = tmp_path / "moderators.secret"
    secret.write_text("tell-nobody\n")
    secret.chmod(0o600)
    options = ("--db", str(tmp_path / "room.db"), "--moderator-password-file", str(secret))
    server = start_program(*options)
    mara, eva = connect(server), connect(server).join_plain("eva")
    mara.expect("NICK")
    mara.send("HELLO 1 mara session=new\n")
    token = mara.until("^SESSION")[-1].split()[1]
    mara.send("MOD 1 tell-nobody\nBAN 2 beto 3600\nMUTE 3 eva 3600\nTOPIC 4 exams\nANNOUNCE 5 cake\n")
    mara.until(" announce mara ")
    server.process.kill()
    eva.until("mara announces: cake")
    again = start_program(*options)
    beto, eva = connect(again), connect(again)
    beto.send("beto\n")
    assert re.fullmatch(
        r"! You are banned from this room, for another (1 h|59 min \d+ s)\.", beto.until("^!")[-1]
    )
    eva.send("eva\nhola\n")
    assert "* Topic: exams" in eva.until("here:")
    assert eva.line().startswith("! Nothing was done: a moderator has muted you, for ")
    mara = connect(again)
    mara.send(f"HELLO 1 x session={token} last=1\nQUIET 6 on\nTOPIC 4 exams\n")
    lines = mara.until("^MODERATED .* quiet ")
    assert [line.split()[4] for line in lines if line.startswith("MODERATED")] == [
        *("mod", "ban", "mute", "topic", "announce", "quiet")
    ]
    assert re.fullmatch(r"MODERATED \d+ \d+ 4 topic mara - 0 exams", mara.line()), "confirmed, not done again"
    eva.expect("* mara made the room quiet: only moderators speak")
    again.process.kill()
    third = start_program(*options)
    mara = connect(third)
    mara.send(f"HELLO 1 x session={token} last=1\nQUIET 7 off\n")
    mara.until("^MODERATED .* not-quiet ")
    assert "tell-nobody" not in "".join(server.output + again.output + third.output)
