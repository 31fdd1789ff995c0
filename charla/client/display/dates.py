"""Times and days in words, in local time.  No I/O, no thread."""

from __future__ import annotations

import time

from charla.i18n import N_, _

WEEKDAYS = N_("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday")
MONTHS = N_(
    "January, February, March, April, May, June, July, August, September, October, November, December"
)
SHORT_MONTHS = N_("Jan, Feb, Mar, Apr, May, Jun, Jul, Aug, Sep, Oct, Nov, Dec")

_LATEST = 32_503_680_000  # seconds: the year 3000; of later ones Windows has no local time


def _local(at: int) -> time.struct_time:
    return time.localtime(min(at / 1000, _LATEST))


def clock(at: int) -> str:
    """Return the time of day of `at`, in ms of Unix time: "22:13"."""
    return time.strftime("%H:%M", _local(at))


def day_of(at: int) -> tuple[int, int, int]:
    """Return the year, month and day of `at`, in ms of Unix time."""
    then = _local(at)
    return then.tm_year, then.tm_mon, then.tm_mday


def day_words(at: int) -> list[str]:
    """Return the day of `at` in words, from "Saturday, 21 November 2026" to "21 Nov"."""
    then = _local(at)
    short = _(SHORT_MONTHS).split(", ")[then.tm_mon - 1]
    full = _("{weekday}, {day} {month} {year}").format(
        weekday=_(WEEKDAYS).split(", ")[then.tm_wday],
        day=then.tm_mday,
        month=_(MONTHS).split(", ")[then.tm_mon - 1],
        year=then.tm_year,
    )
    return [full, _dated(then, short, with_year=True), _dated(then, short, with_year=False)]


def when(at: int, now: float) -> str:
    """Return the time of `at` (ms); with the day, and the year, when these are not those of `now` (s)."""
    then, today = _local(at), time.localtime(now)
    told = time.strftime("%H:%M", then)
    if then[:3] == today[:3]:
        return told
    month = _(SHORT_MONTHS).split(", ")[then.tm_mon - 1]
    return f"{_dated(then, month, with_year=then.tm_year != today.tm_year)} {told}"


def _dated(then: time.struct_time, month: str, with_year: bool) -> str:
    words = _("{day} {month} {year}") if with_year else _("{day} {month}")
    return words.format(day=then.tm_mday, month=month, year=then.tm_year)
