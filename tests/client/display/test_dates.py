"""Days in words, in every language there is."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from charla import i18n
from charla.client.display.dates import MONTHS, SHORT_MONTHS, WEEKDAYS, clock, day_of, day_words, when
from charla.i18n import _
from charla.protocol.commands import MAX_NUMBER

SATURDAY = 1_795_266_000_000  # 21 November 2026, 13:00 UTC
DAY = 24 * 60 * 60 * 1000


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def test_a_day_in_words_from_the_longest_to_the_shortest() -> None:
    assert day_words(SATURDAY) == ["Saturday, 21 November 2026", "21 Nov 2026", "21 Nov"]
    assert day_words(SATURDAY + 2 * DAY)[0] == "Monday, 23 November 2026"


def test_a_time_has_its_day_when_that_is_another() -> None:
    assert when(SATURDAY, SATURDAY / 1000) == "13:00"
    assert when(SATURDAY, SATURDAY / 1000 + 86_400) == "21 Nov 13:00"
    assert when(SATURDAY, SATURDAY / 1000 + 60 * 86_400) == "21 Nov 2026 13:00"


@pytest.mark.parametrize("code", i18n.available())
def test_every_language_has_the_days_and_the_months(code: str) -> None:
    i18n.use(code)
    for table, count in ((WEEKDAYS, 7), (MONTHS, 12), (SHORT_MONTHS, 12)):
        words = _(table).split(", ")
        assert len(set(words)) == count
        assert all(word == word.strip() for word in words)
    for month in range(12):
        full, dated, short = day_words(SATURDAY + month * 30 * DAY)
        assert len(full) > len(dated) > len(short)
        assert "{" not in full + dated + short


def test_spanish_days_are_told_as_in_spanish() -> None:
    i18n.use("es")
    assert "21 de noviembre de 2026" in day_words(SATURDAY)[0]


def test_a_time_that_is_beyond_every_calendar_is_told_as_some_time() -> None:
    assert day_of(MAX_NUMBER)[0] == 3000
    assert len(clock(MAX_NUMBER)) == len("00:00")
