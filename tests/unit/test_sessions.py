"""Symbols to exchanges, and sessions in their own time: holidays, lunch, early closes, both changes of the clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from stockwatch import sessions
from stockwatch.sessions import Instrument, Market, market_for, market_of, segments, status, window_start

pytestmark = pytest.mark.filterwarnings("ignore:Series.values:Warning")  # exchange_calendars on pandas 3.1


def at(market: Market, text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=market.timezone).timestamp() * 1000)


def clocks(market: Market, start: str, end: str) -> list[tuple[str, str, str]]:
    """(date, open, close) in the market's time."""
    found = segments(market, at(market, start), at(market, end))
    local = [[datetime.fromtimestamp(moment / 1000, market.timezone) for moment in column.tolist()] for column in found]
    return [(f"{day:%Y-%m-%d}", f"{opened:%H:%M}", f"{closed:%H:%M}") for opened, closed, day in zip(*local, strict=True)]


@pytest.mark.parametrize(
    ("symbol", "code", "zone", "currency"),
    [
        ("RELIANCE.NS", "NSE", "Asia/Kolkata", "INR"),
        ("AAPL", "US", "America/New_York", "USD"),
        ("BRK-B", "US", "America/New_York", "USD"),
        ("7203.T", "TSE", "Asia/Tokyo", "JPY"),
        ("VOD.L", "LSE", "Europe/London", "GBP"),
        ("BTC-USD", "Crypto", "UTC", "USD"),
        ("EURUSD=X", "FX", "UTC", "USD"),
        ("ES=F", "CME", "America/Chicago", "USD"),
    ],
)
def test_a_symbol_has_its_exchange(symbol: str, code: str, zone: str, currency: str) -> None:
    market = market_of(symbol)
    assert (market.code, str(market.timezone), market.currency) == (code, zone, currency)


def test_every_exchange_in_the_data_has_a_calendar_that_is_known() -> None:
    for suffix in ("NS", "L", "DE", "F", "PA", "AS", "BR", "MI", "MC", "SW", "ST", "CO", "HE", "OL", "T", "HK", "SS", "KS", "TW", "SI",
                   "AX", "NZ", "TO", "SA", "MX", "JO"):  # fmt: skip
        market = market_of(f"X.{suffix}")
        assert market.calendar is not None
        assert sessions.is_calendar(market.calendar), suffix


@pytest.mark.parametrize(
    ("symbol", "start", "end", "expected"),
    [
        ("TCS.NS", "2026-11-23 10:00", "2026-11-23 10:00", [("2026-11-23", "09:15", "15:30")]),
        ("TCS.NS", "2026-11-24 10:00", "2026-11-24 10:00", []),  # Guru Nanak's birthday
        ("TCS.NS", "2025-10-21 14:00", "2025-10-21 14:00", [("2025-10-21", "13:45", "14:45")]),  # Muhurat
        ("TCS.NS", "2025-02-01 12:00", "2025-02-01 12:00", [("2025-02-01", "09:15", "15:30")]),  # a Saturday with a budget
        ("AAPL", "2026-11-27 10:00", "2026-11-27 12:00", [("2026-11-27", "09:30", "13:00")]),  # early close
        ("AAPL", "2026-03-06 12:00", "2026-03-09 12:00", [("2026-03-06", "09:30", "16:00"), ("2026-03-09", "09:30", "16:00")]),
        ("AAPL", "2026-10-30 12:00", "2026-11-02 12:00", [("2026-10-30", "09:30", "16:00"), ("2026-11-02", "09:30", "16:00")]),
        ("7203.T", "2026-11-20 10:00", "2026-11-20 10:00", [("2026-11-20", "09:00", "11:30"), ("2026-11-20", "12:30", "15:30")]),
        ("BTC-USD", "2026-11-21 10:00", "2026-11-21 10:00", [("2026-11-21", "00:00", "00:00")]),
    ],
)
def test_sessions(symbol: str, start: str, end: str, expected: list[tuple[str, str, str]]) -> None:
    assert clocks(market_of(symbol), start, end) == expected


def test_a_round_the_clock_day_is_local_midnight_to_midnight_also_when_the_clock_changes() -> None:
    market = market_for("simulator", "AAPL")
    found = segments(market, at(market, "2026-11-01 12:00"), at(market, "2026-11-01 12:00"))
    assert (found.close - found.open).tolist() == [25 * 3_600_000]
    assert market.calendar is None


def test_a_recording_brings_its_own_calendar() -> None:
    market = market_for("replay:ES", "ES", Instrument("replay:ES", "ES", "24/7", "America/Chicago"))
    assert (market.calendar, market.timezone) == (None, ZoneInfo("America/Chicago"))
    assert market_for("replay:ES", "ES", Instrument("replay:ES", "ES", "XNYS", "America/New_York")).calendar == "XNYS"


def test_open_and_closed_and_when_it_changes() -> None:
    market = market_of("TCS.NS")
    during = status(market, at(market, "2026-11-23 10:00"))
    assert (during.is_open, during.closes_at, during.holidays_known) == (True, at(market, "2026-11-23 15:30"), True)
    weekend = status(market, at(market, "2026-11-21 10:00"))
    assert (weekend.is_open, weekend.opens_at) == (False, at(market, "2026-11-23 09:15"))
    before_a_holiday = status(market, at(market, "2026-11-23 16:00"))
    assert before_a_holiday.opens_at == at(market, "2026-11-25 09:15")


def test_past_the_calendars_end_weekdays_are_sessions_and_holidays_unknown() -> None:
    market = market_of("TCS.NS")
    assert clocks(market, "2027-03-03 10:00", "2027-03-03 10:00") == [("2027-03-03", "09:15", "15:30")]
    assert not status(market, at(market, "2027-03-03 10:00")).holidays_known
    assert clocks(market, "2027-03-06 10:00", "2027-03-06 10:00") == []


@pytest.mark.parametrize(
    ("symbol", "end", "minutes", "count", "expected"),
    [
        ("TCS.NS", "2026-11-23 10:17", 5, 3, "2026-11-23 10:05"),
        ("TCS.NS", "2026-11-23 09:20", 5, 3, "2026-11-20 15:20"),
        ("TCS.NS", "2026-11-23 15:30", 60, 7, "2026-11-23 09:15"),
        ("7203.T", "2026-11-20 12:40", 5, 4, "2026-11-20 11:20"),
        ("BTC-USD", "2026-11-20 00:05", 5, 2, "2026-11-19 23:55"),
    ],
)
def test_a_window_walks_back_over_trading_time(symbol: str, end: str, minutes: int, count: int, expected: str) -> None:
    market = market_of(symbol)
    assert window_start(market, at(market, end), minutes, count) == at(market, expected)
