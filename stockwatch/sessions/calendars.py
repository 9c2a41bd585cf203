"""One year of an exchange's calendar as rows: exchange_calendars, with what data/exchanges.toml adds."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Year:
    """One calendar's year: (date, open ms, close ms) rows, and until when (ms) its holidays are known."""

    rows: tuple[tuple[date, int, int], ...]
    known_until: int
    timezone: ZoneInfo

    def known(self, at_ms: int) -> bool:
        """Whether the holidays around a moment are known."""
        return at_ms < self.known_until


@cache
def calendar_year(calendar: str, year: int) -> Year:
    """Made once a year of a calendar: exchange_calendars takes 40 to 140 ms for it."""
    import exchange_calendars
    import pandas as pd

    january = exchange_calendars.get_calendar(calendar, start="2024-01-02", end="2024-01-31")
    kind, zone = type(january), ZoneInfo(str(january.tz))
    first, last = pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31)
    lowest, highest = kind.bound_min(), kind.bound_max()
    begin = first if lowest is None else max(first, lowest)
    end = last if highest is None else min(last, highest)
    rows: list[tuple[date, int, int]] = []
    if begin < end:
        schedule = exchange_calendars.get_calendar(calendar, start=begin, end=end).schedule
        for label, opened, pause, resumed, closed in schedule.itertuples():
            stretches = [(opened, closed)] if pd.isna(pause) else [(opened, pause), (resumed, closed)]
            rows += [(label.date(), _stamp(a), _stamp(b)) for a, b in stretches]
    if end < last:  # past its end: weekdays, with the hours of the last session that is known
        latest = highest.year if highest is not None else year
        sample = rows[-1:] if begin < end else list(calendar_year(calendar, latest).rows[-1:])
        day = max(end + pd.Timedelta(days=1), first).date()
        while sample and day <= last.date():
            if day.weekday() < 5:
                shift = local_ms(day, zone) - local_ms(sample[0][0], zone)
                rows += [(day, a + shift, b + shift) for _day, a, b in sample]
            day += timedelta(days=1)
    for extra in exchanges()["extra_session"]:
        if extra["calendar"] == calendar and extra["date"].year == year:
            rows = [row for row in rows if row[0] != extra["date"]]
            rows.append((extra["date"], *(local_ms(extra["date"], zone, extra[key]) for key in ("open", "close"))))
    known_until = 2**62 if highest is None else local_ms(highest.date() + timedelta(days=1), zone)
    return Year(tuple(sorted(rows)), known_until, zone)


def with_auction(code: str, zone: ZoneInfo, row: tuple[date, int, int]) -> tuple[date, int, int]:
    """A regular close of an exchange that goes on with an auction; its short and special sessions stay as they are."""
    for late in exchanges()["late_close"]:
        regular = local_ms(row[0], zone, late["instead_of"])
        if late["code"] == code and row[0] >= late["since"] and row[2] == regular:
            return (row[0], row[1], local_ms(row[0], zone, late["close"]))
    return row


def _stamp(moment: Any) -> int:
    return int(moment.value // 1_000_000)


def local_ms(day: date, zone: ZoneInfo, at: time = time()) -> int:
    """The moment (ms) of a local time of a day; right on both DST changes."""
    return int(datetime.combine(day, at, tzinfo=zone).timestamp() * 1000)


@cache
def exchanges() -> dict[str, Any]:
    """data/exchanges.toml."""
    return tomllib.loads(files("stockwatch").joinpath("data/exchanges.toml").read_text(encoding="utf-8"))
