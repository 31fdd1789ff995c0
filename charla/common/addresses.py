"""Numeric addresses: whom one belongs to, and whether that is near.

An *origin* is what one subscriber of the internet can be told by: an IPv4 address, or the /64 network of
an IPv6 address.  Limits, bans and the delays after wrong passwords go by it.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_NEAR = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
        *("169.254.0.0/16", "fe80::/10"),  # link-local: RFC 3927, RFC 4291
        "fc00::/7",  # unique local addresses: RFC 4193
    )
)
# Not ipaddress's is_private: what that says of the networks for documentation, among others, depends
# on the version of Python.


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address without its scope id, an IPv4 address where it stands for one."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return parsed if mapped is None else mapped


@lru_cache(maxsize=1024)  # to read an address takes 20 us, and a flood comes from few
def origin_of(address: str) -> str:
    """Return whom a numeric address belongs to, as `accept` gives it; ValueError if it is none.

    An IPv4 address stays; so does one in IPv6 clothes (::ffff:192.0.2.1, what a dual-stack socket shows),
    without these.  Other IPv6 addresses are their /64 network, "2001:db8:1:2::/64": the lower half is an
    interface's own to choose (RFC 4291, 2.5.4), and a subscriber has one such network at least (RFC 6177).
    """
    parsed = _read(address)
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.is_loopback:
        return str(parsed)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))


def is_loopback(address: str) -> bool:
    """Say whether a numeric address is of this machine; ValueError if it is none."""
    return _read(address).is_loopback


@lru_cache(maxsize=1024)
def is_near(address: str) -> bool:
    """Say whether a numeric address is of this machine or of a private network; ValueError if it is none."""
    parsed = _read(address)
    return parsed.is_loopback or any(parsed in network for network in _NEAR)
