"""How many connections an origin may have, and how many new ones a minute."""

from __future__ import annotations

import pytest

from charla.common.addresses import origin_of
from charla.protocol.text import Refused
from charla.server.network.admission import PER_ADDRESS, PER_MINUTE, Admission

FAR = "203.0.113.7"
FAR_6 = "2001:db8:1:2::7"


class Clock:
    """A clock that is moved by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def said(refused: Refused | None) -> tuple[str, tuple[str, ...]]:
    assert refused is not None, "it was let in"
    return refused.code, refused.arguments


def test_from_afar_so_many_at_a_time_and_one_more_when_one_has_gone(clock: Clock) -> None:
    admission = Admission(clock=clock)
    for _ in range(PER_ADDRESS):
        assert admission.come_in(FAR) is None
    assert said(admission.come_in(FAR)) == ("too-many-from-address", (str(PER_ADDRESS),))
    assert admission.come_in("203.0.113.8") is None, "somebody else pays for it"
    admission.gone(FAR)
    assert admission.come_in(FAR) is None
    assert admission.come_in(FAR) is not None


def test_a_network_of_64_bits_is_counted_as_one_and_an_address_in_ipv6_clothes_as_itself(
    clock: Clock,
) -> None:
    admission = Admission(per_address=2, per_minute=0, clock=clock)
    assert admission.come_in("2001:db8:1:2::1") is None
    assert admission.come_in("2001:db8:1:2::2") is None
    assert said(admission.come_in("2001:db8:1:2:3::")) == ("too-many-from-address", ("2",))
    assert admission.come_in("2001:db8:1:3::1") is None
    admission.gone("2001:db8:1:2::2")
    assert admission.come_in("2001:db8:1:2::9") is None
    assert admission.come_in(FAR) is None
    assert admission.come_in(f"::ffff:{FAR}") is None
    assert admission.come_in(FAR) is not None


def test_from_afar_so_many_a_minute_and_then_one_a_second(clock: Clock) -> None:
    admission = Admission(clock=clock)
    for _ in range(PER_MINUTE):
        assert admission.come_in(FAR_6) is None
        admission.gone(FAR_6)
    assert said(admission.come_in(FAR_6)) == ("too-many-a-minute", (str(PER_MINUTE),))
    assert admission.come_in(FAR) is None, "somebody else pays for it"
    clock.now += 60 / PER_MINUTE
    assert admission.come_in(FAR_6) is None
    assert said(admission.come_in(FAR_6))[0] == "too-many-a-minute"
    admission.gone(FAR_6)
    clock.now += 60
    for _ in range(PER_ADDRESS):
        assert admission.come_in(FAR_6) is None


@pytest.mark.parametrize("limit", [1, 7, 13, 59, 1000])
def test_any_limit_a_minute_lets_exactly_so_many_in_at_once(clock: Clock, limit: int) -> None:
    admission = Admission(per_address=0, per_minute=limit, clock=clock)
    for _ in range(limit):
        assert admission.come_in(FAR) is None
    assert said(admission.come_in(FAR)) == ("too-many-a-minute", (str(limit),))


def test_who_is_refused_is_not_charged_for_it(clock: Clock) -> None:
    admission = Admission(per_address=1, per_minute=2, clock=clock)
    assert admission.come_in(FAR) is None
    for _ in range(100):
        assert said(admission.come_in(FAR))[0] == "too-many-from-address"
    admission.gone(FAR)
    assert admission.come_in(FAR) is None, "refused ones were counted as new ones"
    admission.gone(FAR)
    for _ in range(100):
        assert said(admission.come_in(FAR))[0] == "too-many-a-minute"
    clock.now += 30
    assert admission.come_in(FAR) is None, "who knocks on is shut out for ever"


def test_near_addresses_have_no_limit_unless_one_is_given(clock: Clock) -> None:
    admission = Admission(clock=clock)
    for address in ("127.0.0.1", "::1", "192.168.1.5", "fe80::1%eth0"):
        for _ in range(PER_MINUTE + 1):
            assert admission.come_in(address) is None
    limited = Admission(per_address=1, clock=clock)
    assert limited.come_in("127.0.0.1") is None
    assert said(limited.come_in("127.0.0.1")) == ("too-many-from-address", ("1",))


def test_zero_is_no_limit_for_anybody(clock: Clock) -> None:
    admission = Admission(per_address=0, per_minute=0, clock=clock)
    for _ in range(PER_MINUTE + PER_ADDRESS):
        assert admission.come_in(FAR) is None
    admission.gone(FAR)


def test_who_was_never_counted_may_go(clock: Clock) -> None:
    admission = Admission(per_address=1, clock=clock)
    admission.gone(FAR)
    assert admission.come_in(FAR) is None
    assert admission.come_in(FAR) is not None


def test_a_flood_from_many_networks_takes_bounded_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("charla.server.network.admission.MAX_ORIGINS", 100)
    admission = Admission(per_minute=20, clock=clock)
    for n in range(1000):
        address = f"2001:db8:0:{n:x}::1"
        assert admission.come_in(address) is None
        admission.gone(address)
        if n % 50 == 0:
            assert admission.come_in(FAR) is None
            admission.gone(FAR)
        clock.now += 0.001
    assert len(admission._full_at) == 100
    assert not admission._connections
    assert origin_of("2001:db8:0:3e7::1") in admission._full_at, "the newest was forgotten"
    assert said(admission.come_in(FAR))[0] == "too-many-a-minute", "who comes again and again was forgotten"


def test_who_has_gone_is_forgotten_after_its_minute(clock: Clock) -> None:
    admission = Admission(clock=clock)
    for n in range(200):
        admission.come_in(f"203.0.113.{n}")
        admission.gone(f"203.0.113.{n}")
    clock.now += 61
    admission.come_in(FAR_6)
    assert set(admission._full_at) == {origin_of(FAR_6)}
