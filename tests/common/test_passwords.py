"""Passwords: what can be one, what is never shown, and the throttle that slows down who guesses."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import traceback
from pathlib import Path

import pytest
from support import DEADLINE

from charla.common import passwords
from charla.common.passwords import LONGEST_DELAY, MAX_PASSWORD, GuessThrottle, Password, PasswordError

SECRET = "marked-s3cret-ñ"
LEAVING = ["exit", "QUIT", "Salir", "/exit", " salir "]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "password"


def write(path: Path, data: bytes, mode: int = 0o600) -> str:
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


# ---- a password -----------------------------------------------------------------------------------


def test_it_matches_itself_and_nothing_else() -> None:
    password = Password(SECRET)
    assert password.matches(SECRET)
    for typed in (
        "",
        SECRET[:-1],
        SECRET + "x",
        SECRET.upper(),
        " " + SECRET,
        SECRET + "\0",
        "\udc80",
        "x" * 10**6,
    ):
        assert not password.matches(typed)


def test_an_accent_made_of_two_characters_is_the_same() -> None:
    assert Password("caf\u00e9").matches("cafe\u0301")
    assert Password("cafe\u0301").matches("caf\u00e9")


def test_it_is_compared_in_constant_time_and_by_digests_of_one_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    password = Password(SECRET)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for typed in ("a", SECRET, "a" * 900):
        password.matches(typed)
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * 3


def test_it_is_never_shown() -> None:
    password = Password(SECRET)
    for shown in (repr(password), str(password), f"{password}", repr([password]), f"{password!r}"):
        assert SECRET not in shown
    assert repr(password) == "Password(***)"
    assert password.reveal() == SECRET


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("x" * (MAX_PASSWORD + 1), "longer than 1000 bytes"),
        ("ñ" * (MAX_PASSWORD // 2 + 1), "longer than 1000 bytes"),
        ("a\x1bb", "cannot be typed"),
        ("a\tb", "cannot be typed"),
        ("a\nb", "cannot be typed"),
        ("a\u202eb", "cannot be typed"),
        ("a\udc80b", "not UTF-8"),
        ("HELLO", "a command"),
        ("HELLO 1 ana", "a command"),
    ]
    + [(word, "a command") for word in LEAVING],
)
def test_what_cannot_be_one(text: str, why: str) -> None:
    with pytest.raises(PasswordError, match=why) as error:
        Password(text)
    assert not text or text not in str(error.value).split()


@pytest.mark.parametrize(
    "text", ["x", "x" * MAX_PASSWORD, "con espacios", "exits", "hello", "👩‍🚀", "/slash"]
)
def test_what_can_be_one(text: str) -> None:
    assert Password(text).matches(text)


# ---- a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "password"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\nsecond line\n", "abc"),
        (b" abc \n", " abc "),
        (b"a\xc3\xb1o\n", "año"),
        (b"\xef\xbb\xbfabc\n", "abc"),
        (b"x" * MAX_PASSWORD + b"\r\n", "x" * MAX_PASSWORD),
        (b"abc\n" + b"\xff" * 5000, "abc"),
    ],
)
def test_the_first_line_of_a_file_is_the_password(path: Path, data: bytes, password: str) -> None:
    assert Password.read(write(path, data)).matches(password)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\nabc\n", "empty"),
        (b"\r\n", "empty"),
        (b"a\xffb\n", "not UTF-8"),
        (b"x" * (MAX_PASSWORD + 1), "longer than 1000 bytes"),
        (b"x" * 100_000, "longer than 1000 bytes"),
        (b"x" + "ñ".encode() * 1000, "longer than 1000 bytes"),
        (b"a\rb\n", "cannot be typed"),
        (b"a\0b\n", "cannot be typed"),
        (b"salir\n", "a command"),
    ],
)
def test_a_file_without_a_usable_password_is_told_in_a_sentence(path: Path, data: bytes, why: str) -> None:
    with pytest.raises(PasswordError, match=why) as error:
        Password.read(write(path, data))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_told_in_a_sentence(path: Path, tmp_path: Path) -> None:
    with pytest.raises(PasswordError, match="there is no password file"):
        Password.read(str(path))
    with pytest.raises(PasswordError, match="cannot be read: Is a directory"):
        Password.read(str(tmp_path))
    with pytest.raises(PasswordError, match="cannot be read"):
        Password.read("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator can read everything")
def test_a_file_that_is_somebody_elses_is_told_in_a_sentence(path: Path) -> None:
    with pytest.raises(PasswordError, match="cannot be read: Permission denied"):
        Password.read(write(path, b"abc\n", 0o000))


def test_no_error_shows_the_password(path: Path) -> None:
    for data in (SECRET.encode() + b"\xff", SECRET.encode() * 100, SECRET.encode() + b"\x1b"):
        with pytest.raises(PasswordError) as error:
            Password.read(write(path, data))
        told = "".join(traceback.format_exception(error.type, error.value, error.tb))
        assert "marked" not in told


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o644])
def test_a_file_that_others_can_use_is_warned_of(
    path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "charla")
    Password.read(write(path, SECRET.encode(), mode))
    assert "chmod 600" in caplog.text
    assert "marked" not in caplog.text


def test_a_file_of_ones_own_and_one_of_systemds_are_not_warned_of(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "charla")
    Password.read(write(path, b"abc\n"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path.parent))
    Password.read(write(path, b"abc\n", 0o440))
    assert not caplog.text


# ---- the throttle ------------------------------------------------------------------------------------


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_who_was_never_wrong_does_not_wait(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    for _ in range(100):
        assert throttle.judge("a", right=True) == 0


def fail(throttle: GuessThrottle, clock: Clock, origin: str, times: int = 1) -> None:
    """Have wrong ones judged, each as soon as it may be."""
    for _ in range(times):
        while seconds := throttle.judge(origin, right=False):
            clock.now += seconds


def test_each_wrong_one_doubles_the_wait_up_to_8_s(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    waits = []
    for _ in range(10):
        assert throttle.judge("a", right=False) == 0
        waits.append(throttle.judge("a", right=False))
        clock.now += waits[-1]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert throttle.judge("b", right=False) == 0, "somebody else pays for it"


def test_who_waits_is_told_how_long_and_takes_no_place(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a")
    clock.now += 0.4
    for _ in range(100):  # they hang up meanwhile
        assert throttle.judge("a", right=False) == pytest.approx(0.1)
    clock.now += 0.11
    assert throttle.judge("a", right=True) == 0


def test_of_those_that_wait_one_is_judged_and_a_wrong_one_has_the_others_wait_on(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a", times=2)
    assert [throttle.judge("a", right=False) for _ in range(4)] == [1, 1, 1, 1]
    clock.now += 1
    assert [throttle.judge("a", right=False) for _ in range(4)] == [0, 2, 2, 2]


def test_a_class_that_knows_the_password_comes_in_at_once_behind_a_typo(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a")
    clock.now += 0.5
    assert [throttle.judge("a", right=True) for _ in range(30)] == [0] * 30


def test_a_thousand_guesses_at_once_are_one_guess(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    assert [throttle.judge("a", right=False) for _ in range(1000)] == [0] + [0.5] * 999


def test_a_thousand_wrong_ones_wait_8_s_and_no_more(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a", times=5000)
    assert throttle.judge("a", right=True) == LONGEST_DELAY


def test_a_right_one_makes_up_for_one_wrong_one_alone(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a", times=4)
    clock.now += 4
    assert throttle.judge("a", right=True) == 0
    fail(throttle, clock, "a")
    assert throttle.judge("a", right=True) == 4, "as the fourth, not as the fifth"
    clock.now += 4
    for _ in range(10):
        assert throttle.judge("a", right=True) == 0
    fail(throttle, clock, "a")
    assert throttle.judge("a", right=True) == 0.5, "right ones were saved up"


def test_it_is_forgotten_ten_minutes_after_the_last_wrong_one(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    fail(throttle, clock, "a", times=8)
    clock.now += 599
    fail(throttle, clock, "a")
    assert throttle.judge("a", right=True) == 8
    clock.now += 601
    fail(throttle, clock, "a")
    assert throttle.judge("a", right=True) == 0.5


def test_a_flood_of_origins_takes_bounded_memory_and_the_newest_are_kept(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "MAX_ORIGINS", 100)
    throttle = GuessThrottle(clock)
    for n in range(1000):
        fail(throttle, clock, str(n))
        if n % 50 == 0:
            fail(throttle, clock, "stubborn")
    assert len(throttle._suspects) == 100
    fail(throttle, clock, "stubborn")
    assert throttle.judge("stubborn", right=True) == LONGEST_DELAY
    assert throttle._suspects.keys() >= {"999"}
    assert throttle.judge("0", right=False) == 0


def test_of_many_threads_at_once_one_is_judged(clock: Clock) -> None:
    throttle = GuessThrottle(clock)
    answers: list[float] = []
    together = threading.Barrier(8)

    def attempt() -> None:
        together.wait(DEADLINE)
        for _ in range(500):
            answers.append(throttle.judge("a", right=False))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(answers) == [0] + [0.5] * 3999
