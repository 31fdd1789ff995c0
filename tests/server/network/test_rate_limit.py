"""The rate limit alone, with a clock that stands still."""

from __future__ import annotations

import pytest

from charla.server.network.rate_limit import RateLimit


def test_a_burst_is_free_and_then_lines_are_spaced() -> None:
    now = 0.0
    limit = RateLimit(5, burst=20, clock=lambda: now)
    assert [limit.charge() for _ in range(20)] == [0.0] * 20
    assert limit.charge() == pytest.approx(0.2)
    now += 0.2
    assert limit.charge() == pytest.approx(0.2)
    now += 100
    assert [limit.charge() for _ in range(20)] == [0.0] * 20


def test_no_limit_is_no_limit() -> None:
    limit = RateLimit(0)
    assert {limit.charge() for _ in range(10_000)} == {0.0}
