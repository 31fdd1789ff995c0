"""Who counts as one origin, and how many connections an origin may have."""

from __future__ import annotations

import pytest

from charla.protocol.text import Refused
from charla.server.network import admission as door
from charla.server.network.admission import PER_ADDRESS, PER_MINUTE, Admission, is_loopback, is_near, origin

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


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::ffff:102:304", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::1%1", "fe80::/64"),
        ("::1%lo", "::1"),
        ("::ffff:1.2.3.4%eth0", "1.2.3.4"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_an_origin_is_an_ipv4_address_or_a_network_of_64_bits(address: str, who: str) -> None:
    assert origin(address) == who


def test_neighbours_in_one_network_of_64_bits_are_one_and_beyond_it_two() -> None:
    assert origin("2001:db8:1:2::1") == origin("2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert origin("2001:db8:1:2::1") != origin("2001:db8:1:3::1")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "::ffff:192.168.1.1", "169.254.3.4", "fd12:3456::1", "fc00::1", "fe80::1%eth0"),
    ],
)
def test_near_is_this_machine_and_private_networks(address: str) -> None:
    assert is_near(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "100.64.0.1",
            "::ffff:8.8.8.8",
        ),
        *("2001:db8::1", "2600::1", "fec0::1", "fbff::1", "0.0.0.0", "::"),
    ],
)
def test_the_rest_is_not_near(address: str) -> None:
    assert not is_near(address)


def test_loopback_is_of_both_kinds() -> None:
    for address in ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(address)
    for address in ("10.0.0.1", "fe80::1%lo", "2001:db8::1", "128.0.0.1"):
        assert not is_loopback(address)


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "1.2.3.4:80", "[::1]"])
def test_what_is_no_numeric_address_is_an_error(address: str) -> None:
    for function in (origin, is_near, is_loopback):
        with pytest.raises(ValueError, match=r"\S"):
            function(address)


# ---- the limits -----------------------------------------------------------------------------------


def test_from_afar_so_many_at_a_time_and_one_more_when_one_has_gone(clock: Clock) -> None:
    door = Admission(clock=clock)
    for _ in range(PER_ADDRESS):
        assert door.come_in(FAR) is None
    assert said(door.come_in(FAR)) == ("too-many-from-address", (str(PER_ADDRESS),))
    assert door.come_in("203.0.113.8") is None, "somebody else pays for it"
    door.gone(FAR)
    assert door.come_in(FAR) is None
    assert door.come_in(FAR) is not None


def test_a_network_of_64_bits_is_counted_as_one_and_an_address_in_ipv6_clothes_as_itself(
    clock: Clock,
) -> None:
    door = Admission(per_address=2, per_minute=0, clock=clock)
    assert door.come_in("2001:db8:1:2::1") is None
    assert door.come_in("2001:db8:1:2::2") is None
    assert said(door.come_in("2001:db8:1:2:3::")) == ("too-many-from-address", ("2",))
    assert door.come_in("2001:db8:1:3::1") is None
    door.gone("2001:db8:1:2::2")
    assert door.come_in("2001:db8:1:2::9") is None
    assert door.come_in(FAR) is None
    assert door.come_in(f"::ffff:{FAR}") is None
    assert door.come_in(FAR) is not None


def test_from_afar_so_many_a_minute_and_then_one_a_second(clock: Clock) -> None:
    door = Admission(clock=clock)
    for _ in range(PER_MINUTE):
        assert door.come_in(FAR_6) is None
        door.gone(FAR_6)
    assert said(door.come_in(FAR_6)) == ("too-many-a-minute", (str(PER_MINUTE),))
    assert door.come_in(FAR) is None, "somebody else pays for it"
    clock.now += 60 / PER_MINUTE
    assert door.come_in(FAR_6) is None
    assert said(door.come_in(FAR_6))[0] == "too-many-a-minute"
    door.gone(FAR_6)
    clock.now += 60
    for _ in range(PER_ADDRESS):
        assert door.come_in(FAR_6) is None


@pytest.mark.parametrize("limit", [1, 7, 13, 59, 1000])
def test_any_limit_a_minute_lets_exactly_so_many_in_at_once(clock: Clock, limit: int) -> None:
    door = Admission(per_address=0, per_minute=limit, clock=clock)
    for _ in range(limit):
        assert door.come_in(FAR) is None
    assert said(door.come_in(FAR)) == ("too-many-a-minute", (str(limit),))


def test_who_is_refused_is_not_charged_for_it(clock: Clock) -> None:
    door = Admission(per_address=1, per_minute=2, clock=clock)
    assert door.come_in(FAR) is None
    for _ in range(100):
        assert said(door.come_in(FAR))[0] == "too-many-from-address"
    door.gone(FAR)
    assert door.come_in(FAR) is None, "refused ones were counted as new ones"
    door.gone(FAR)
    for _ in range(100):
        assert said(door.come_in(FAR))[0] == "too-many-a-minute"
    clock.now += 30
    assert door.come_in(FAR) is None, "who knocks on is shut out for ever"


def test_near_addresses_have_no_limit_unless_one_is_given(clock: Clock) -> None:
    door = Admission(clock=clock)
    for address in ("127.0.0.1", "::1", "192.168.1.5", "fe80::1%eth0"):
        for _ in range(PER_MINUTE + 1):
            assert door.come_in(address) is None
    limited = Admission(per_address=1, clock=clock)
    assert limited.come_in("127.0.0.1") is None
    assert said(limited.come_in("127.0.0.1")) == ("too-many-from-address", ("1",))


def test_zero_is_no_limit_for_anybody(clock: Clock) -> None:
    door = Admission(per_address=0, per_minute=0, clock=clock)
    for _ in range(PER_MINUTE + PER_ADDRESS):
        assert door.come_in(FAR) is None
    door.gone(FAR)


def test_who_was_never_counted_may_go(clock: Clock) -> None:
    door = Admission(per_address=1, clock=clock)
    door.gone(FAR)
    assert door.come_in(FAR) is None
    assert door.come_in(FAR) is not None


def test_a_flood_from_many_networks_takes_bounded_memory(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_ORIGINS", 100)
    lobby = Admission(per_minute=20, clock=clock)
    for n in range(1000):
        address = f"2001:db8:0:{n:x}::1"
        assert lobby.come_in(address) is None
        lobby.gone(address)
        if n % 50 == 0:
            assert lobby.come_in(FAR) is None
            lobby.gone(FAR)
        clock.now += 0.001
    assert len(lobby._full_at) == 100
    assert not lobby._connections
    assert origin("2001:db8:0:3e7::1") in lobby._full_at, "the newest was forgotten"
    assert said(lobby.come_in(FAR))[0] == "too-many-a-minute", "who comes again and again was forgotten"


def test_who_has_gone_is_forgotten_after_its_minute(clock: Clock) -> None:
    door = Admission(clock=clock)
    for n in range(200):
        door.come_in(f"203.0.113.{n}")
        door.gone(f"203.0.113.{n}")
    clock.now += 61
    door.come_in(FAR_6)
    assert set(door._full_at) == {origin(FAR_6)}
