"""One year of an exchange's calendar as rows: exchange_calendars, with what data/exchanges.toml adds."""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

Row = tuple[date, int, int]  # a session's date, and a stretch of its trading: open and close, ms
FOREVER = 2**62


@dataclass(frozen=True)
class Year:
    """One calendar's year: its rows by time, and from when to when (ms) its holidays are known."""

    rows: tuple[Row, ...]
    known_since: int
    known_until: int
    timezone: ZoneInfo

    def known(self, at_ms: int) -> bool:
        """Whether the holidays around a moment are known."""
        return self.known_since <= at_ms < self.known_until


@cache
def calendar_year(calendar: str, year: int) -> Year:
    """Made once a year of a calendar: exchange_calendars takes 40 to 140 ms for it.

    Before a calendar's first day there are no sessions; after its last one weekdays are, with its usual hours.
    """
    own = exchanges()["calendar"].get(calendar)
    found = _own(own, year) if own else _library(calendar, year)
    rows = [_moved(calendar, found.timezone, row) for row in found.rows]
    for extra in exchanges()["extra_session"]:
        if extra["calendar"] == calendar and extra["date"].year == year:
            rows = [row for row in rows if row[0] != extra["date"]]
            for opened, closed in extra["hours"]:
                rows.append((extra["date"], *(local_ms(extra["date"], found.timezone, at) for at in (opened, closed))))
    return Year(tuple(sorted(rows)), found.known_since, found.known_until, found.timezone)


def _library(calendar: str, year: int) -> Year:
    import exchange_calendars
    import pandas as pd

    january = exchange_calendars.get_calendar(calendar, start="2024-01-02", end="2024-01-31")
    kind, zone = type(january), ZoneInfo(str(january.tz))
    first, last = pd.Timestamp(year, 1, 1), pd.Timestamp(year, 12, 31)
    lowest, highest = kind.bound_min(), kind.bound_max()
    begin = first if lowest is None else max(first, lowest)
    end = last if highest is None else min(last, highest)
    rows: list[Row] = []
    if begin < end:
        schedule = exchange_calendars.get_calendar(calendar, start=begin, end=end).schedule
        for label, opened, pause, resumed, closed in schedule.itertuples():
            stretches = [(opened, closed)] if pd.isna(pause) else [(opened, pause), (resumed, closed)]
            rows += [(label.date(), _stamp(a), _stamp(b)) for a, b in stretches]
    if highest is not None and end < last:
        known = rows or list(_library(calendar, highest.year).rows)
        rows += _weekdays(max(highest + pd.Timedelta(days=1), first).date(), last.date(), zone, known)
    since = -FOREVER if lowest is None else local_ms(lowest.date(), zone)
    until = FOREVER if highest is None else local_ms(highest.date() + timedelta(days=1), zone)
    return Year(tuple(rows), since, until, zone)


def _weekdays(day: date, last: date, zone: ZoneInfo, known: list[Row]) -> list[Row]:
    """Every weekday of [day, last], with the hours that are the most usual in the last 30 known days, lunch too."""
    hours: dict[date, tuple[tuple[int, int], ...]] = defaultdict(tuple)
    for date_, opened, closed in known:
        midnight = local_ms(date_, zone)
        hours[date_] += ((opened - midnight, closed - midnight),)
    usual = Counter([hours[date_] for date_ in sorted(hours)][-30:]).most_common(1)
    rows: list[Row] = []
    while day <= last:
        if day.weekday() < 5:
            midnight = local_ms(day, zone)
            rows += [(day, midnight + opened, midnight + closed) for opened, closed in (usual[0][0] if usual else ())]
        day += timedelta(days=1)
    return rows


def _own(rule: dict[str, Any], year: int) -> Year:
    """A calendar of the data file: each of its weekdays from `opens` on the day before to `closes`; no holidays."""
    zone, eve = ZoneInfo(rule["timezone"]), date(year - 1, 12, 31)
    days = [eve + timedelta(days=number) for number in range((date(year, 12, 31) - eve).days + 1)]
    rows = [
        (after, local_ms(before, zone, rule["opens"]), local_ms(after, zone, rule["closes"]))
        for before, after in pairwise(days)
        if after.weekday() in rule["weekdays"]
    ]
    return Year(tuple(rows), -FOREVER, FOREVER, zone)


def _moved(calendar: str, zone: ZoneInfo, row: Row) -> Row:
    """A regular close where the exchange's own is another; short and special sessions stay as they are."""
    for other in exchanges()["regular_close"]:
        if calendar == other["calendar"] and row[0] >= other["since"] and row[2] == local_ms(row[0], zone, other["instead_of"]):
            return (row[0], row[1], local_ms(row[0], zone, other["close"]))
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
