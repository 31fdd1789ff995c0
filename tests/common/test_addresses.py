"""Which addresses are one origin, near, or this machine's own."""

from __future__ import annotations

import pytest

from charla.common.addresses import is_loopback, is_near, origin_of


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
    assert origin_of(address) == who


def test_neighbours_in_one_network_of_64_bits_are_one_and_beyond_it_two() -> None:
    assert origin_of("2001:db8:1:2::1") == origin_of("2001:db8:1:2:ffff:ffff:ffff:ffff")
    assert origin_of("2001:db8:1:2::1") != origin_of("2001:db8:1:3::1")


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
    for function in (origin_of, is_near, is_loopback):
        with pytest.raises(ValueError, match=r"\S"):
            function(address)
