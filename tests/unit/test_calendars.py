"""The table of sessions: each exchange's own hours on the days that are unlike the others, in its own time and in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from test_sessions import at, clocks

from stockwatch.sessions import market_of, segments, status

pytestmark = [  # exchange_calendars on pandas 3.1
    pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:DatetimeIndex.weekday is deprecated:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("symbol", "day", "expected"),
    [
        # India
        ("TCS.NS", "2026-07-31", ["09:15-15:30"]),
        ("TCS.NS", "2026-08-03", ["09:15-15:40"]),  # the first day with a closing auction
        ("TCS.BO", "2026-08-03", ["09:15-15:40"]),
        ("TCS.NS", "2026-11-23", ["09:15-15:40"]),
        ("TCS.NS", "2026-11-24", []),  # Guru Nanak's birthday
        ("TCS.NS", "2026-11-21", []),  # a Saturday
        ("TCS.NS", "2023-11-12", ["18:15-19:15"]),  # Muhurat, on a Sunday
        ("TCS.NS", "2024-11-01", ["18:00-19:00"]),  # Muhurat
        ("TCS.NS", "2025-10-21", ["13:45-14:45"]),  # Muhurat, in the afternoon
        ("TCS.NS", "2026-11-08", ["18:15-19:15"]),  # Muhurat, on a Sunday (its hours are the usual ones, not the circular's)
        ("TCS.NS", "2024-01-20", ["09:15-15:30"]),  # a whole Saturday
        ("TCS.NS", "2024-01-22", []),  # … for this Monday
        ("TCS.NS", "2024-03-02", ["09:15-10:00", "11:30-12:30"]),  # disaster recovery
        ("TCS.NS", "2024-05-18", ["09:15-10:00", "11:45-12:40"]),
        ("TCS.NS", "2025-02-01", ["09:15-15:30"]),  # a Saturday with a budget
        ("TCS.NS", "2026-02-01", ["09:15-15:30"]),  # a Sunday with a budget
        ("TCS.NS", "2026-01-15", []),  # elections
        # New York
        ("AAPL", "2026-11-25", ["09:30-16:00"]),
        ("AAPL", "2026-11-26", []),  # Thanksgiving
        ("AAPL", "2026-11-27", ["09:30-13:00"]),
        ("AAPL", "2026-12-24", ["09:30-13:00"]),
        ("AAPL", "2026-12-25", []),
        # Tokyo: a lunch, and half an hour more since 5 November 2024
        ("7203.T", "2024-11-01", ["09:00-11:30", "12:30-15:00"]),
        ("7203.T", "2024-11-05", ["09:00-11:30", "12:30-15:30"]),
        ("7203.T", "2026-11-20", ["09:00-11:30", "12:30-15:30"]),
        ("7203.T", "2026-11-23", []),  # Labour Thanksgiving
        # Hong Kong: a lunch, and no afternoon on Christmas Eve
        ("0700.HK", "2026-11-20", ["09:30-12:00", "13:00-16:00"]),
        ("0700.HK", "2026-12-24", ["09:30-12:00"]),
        # London: Christmas Eve
        ("VOD.L", "2026-12-24", ["08:00-12:30"]),
        # Round the clock, also on Saturday and Sunday
        ("BTC-USD", "2026-11-21", ["00:00-00:00"]),
        ("ETH-EUR", "2026-11-22", ["00:00-00:00"]),
        # Indices keep their exchange's hours
        ("^NSEI", "2026-11-23", ["09:15-15:40"]),
        ("^N225", "2026-11-20", ["09:00-11:30", "12:30-15:30"]),
    ],
)
def test_hours(symbol: str, day: str, expected: list[str]) -> None:
    found = clocks(market_of(symbol), f"{day} 00:00", f"{day} 23:59")
    assert [f"{opened}-{closed}" for date, opened, closed in found if date == day] == expected


@pytest.mark.parametrize(
    ("symbol", "before", "after"),
    [
        ("AAPL", ("2026-03-06", "14:30", "21:00"), ("2026-03-09", "13:30", "20:00")),
        ("AAPL", ("2026-10-30", "13:30", "20:00"), ("2026-11-02", "14:30", "21:00")),
        ("VOD.L", ("2026-03-27", "08:00", "16:30"), ("2026-03-30", "07:00", "15:30")),
        ("VOD.L", ("2026-10-23", "07:00", "15:30"), ("2026-10-26", "08:00", "16:30")),
        ("TCS.NS", ("2026-03-06", "03:45", "10:00"), ("2026-03-09", "03:45", "10:00")),  # India has no summer time
    ],
)
def test_the_open_moves_in_utc_when_the_clock_changes(symbol: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    market = market_of(symbol)
    for day, *expected in (before, after):
        found = segments(market, at(market, f"{day} 12:00"), at(market, f"{day} 12:00"))
        assert [f"{datetime.fromtimestamp(int(column[0]) / 1000, UTC):%H:%M}" for column in found[:2]] == expected


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("symbol", "moment", "is_open", "opens_at"),
    [
        ("EURUSD=X", "2026-11-20 21:59", True, "2026-11-22 22:00"),  # Friday, New York on winter time
        ("EURUSD=X", "2026-11-20 22:00", False, "2026-11-22 22:00"),
        ("EURUSD=X", "2026-11-21 12:00", False, "2026-11-22 22:00"),
        ("EURUSD=X", "2026-11-22 21:59", False, "2026-11-22 22:00"),
        ("EURUSD=X", "2026-11-22 22:00", True, "2026-11-23 22:00"),  # Sunday evening
        ("EURUSD=X", "2026-07-17 20:59", True, "2026-07-19 21:00"),  # and on summer time
        ("EURUSD=X", "2026-07-17 21:00", False, "2026-07-19 21:00"),
        ("EURUSD=X", "2026-10-30 21:00", False, "2026-11-01 22:00"),  # New York's clock changes in between
        ("ES=F", "2026-11-20 21:59", True, "2026-11-22 23:00"),  # Friday 15:59 in Chicago
        ("ES=F", "2026-11-20 22:00", False, "2026-11-22 23:00"),
        ("ES=F", "2026-11-22 23:00", True, "2026-11-23 23:00"),
        ("ES=F", "2026-11-23 22:30", False, "2026-11-23 23:00"),  # the daily stop from 16:00 to 17:00
        ("BTC-USD", "2026-11-21 12:00", True, None),
    ],
)
def test_weeks_that_begin_on_sunday_evening(symbol: str, moment: str, is_open: bool, opens_at: str | None) -> None:
    said = status(market_of(symbol), utc(moment))
    assert (said.is_open, said.opens_at) == (is_open, utc(opens_at) if opens_at else None)


def test_mondays_session_on_globex_opens_on_sunday_evening() -> None:
    market = market_of("ES=F")
    found = segments(market, utc("2026-11-22 23:30"), utc("2026-11-22 23:30"))
    assert [column.tolist() for column in found] == [
        [utc("2026-11-22 23:00")],
        [utc("2026-11-23 22:00")],
        [at(market, "2026-11-23 00:00")],
    ]


@pytest.mark.parametrize(
    ("symbol", "day", "expected"),
    [
        ("TCS.NS", "2027-03-03", ["09:15-15:40"]),
        ("TCS.NS", "2027-03-06", []),  # a Saturday
        ("TCS.NS", "2031-01-01", ["09:15-15:40"]),
        ("600000.SS", "2027-03-03", ["09:30-11:30", "13:00-15:00"]),  # with its lunch
        ("D05.SI", "2027-01-01", ["09:00-17:00"]),  # not the short day before the calendar's end
    ],
)
def test_past_the_calendars_end_weekdays_are_sessions_and_holidays_unknown(symbol: str, day: str, expected: list[str]) -> None:
    market = market_of(symbol)
    found = clocks(market, f"{day} 00:00", f"{day} 23:59")
    assert [f"{opened}-{closed}" for date, opened, closed in found if date == day] == expected
    assert not status(market, at(market, f"{day} 12:00")).holidays_known


def test_a_calendar_ends_with_its_last_day() -> None:
    market = market_of("TCS.NS")
    assert status(market, at(market, "2026-12-31 23:59")).holidays_known
    assert not status(market, at(market, "2027-01-01 00:00")).holidays_known
    assert status(market, at(market, "2026-12-31 16:00")).opens_at == at(market, "2027-01-01 09:15")  # a Friday like others


def test_before_a_calendars_start_there_is_no_session_and_nothing_is_known() -> None:
    market = market_of("TCS.NS")
    said = status(market, at(market, "1990-03-05 12:00"))
    assert (said.is_open, said.opens_at, said.closes_at, said.holidays_known) == (False, None, None, False)
    assert clocks(market, "1990-03-05 00:00", "1990-03-05 23:59") == []
