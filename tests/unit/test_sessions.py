"""Symbols to exchanges, and sessions in their own time: holidays, lunch, early closes, both changes of the clock."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from stockwatch import sessions
from stockwatch.sessions import Instrument, Market, market_for, market_of, next_close, segments, status, window_start
from stockwatch.sessions.calendars import exchanges

pytestmark = [  # exchange_calendars on pandas 3.1
    pytest.mark.filterwarnings("ignore:Series.values:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:DatetimeIndex.weekday is deprecated:DeprecationWarning"),
]


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
        ("BRK-B", "US", "America/New_York", "USD"),  # a share class
        ("BAC-PL", "US", "America/New_York", "USD"),  # a preferred share
        ("INFY", "US", "America/New_York", "USD"),  # an ADR
        ("RELIANCE.XX", "US", "America/New_York", "USD"),  # a suffix that nobody knows
        ("TCS.BO", "BSE", "Asia/Kolkata", "INR"),
        ("000001.SS", "SSE", "Asia/Shanghai", "CNY"),
        ("^NSEI", "NSE", "Asia/Kolkata", "INR"),
        ("^NSEBANK", "NSE", "Asia/Kolkata", "INR"),
        ("^BSESN", "BSE", "Asia/Kolkata", "INR"),
        ("^FTSE", "LSE", "Europe/London", "GBP"),
        ("^GDAXI", "XETRA", "Europe/Berlin", "EUR"),
        ("^STOXX50E", "XETRA", "Europe/Berlin", "EUR"),
        ("^FCHI", "Paris", "Europe/Paris", "EUR"),
        ("^N225", "TSE", "Asia/Tokyo", "JPY"),
        ("^HSI", "HKEX", "Asia/Hong_Kong", "HKD"),
        ("^AXJO", "ASX", "Australia/Sydney", "AUD"),
        ("^KS11", "KRX", "Asia/Seoul", "KRW"),
        ("^TWII", "TWSE", "Asia/Taipei", "TWD"),
        ("^GSPC", "US", "America/New_York", "USD"),
        ("^VIX", "US", "America/New_York", "USD"),
        ("7203.T", "TSE", "Asia/Tokyo", "JPY"),
        ("VOD.L", "LSE", "Europe/London", "GBP"),
        ("BTC-USD", "Crypto", "UTC", "USD"),
        ("ETH-EUR", "Crypto", "UTC", "EUR"),
        ("EURUSD=X", "FX", "UTC", "USD"),
        ("JPY=X", "FX", "UTC", "JPY"),
        ("ES=F", "CME", "America/Chicago", "USD"),
    ],
)
def test_a_symbol_has_its_exchange(symbol: str, code: str, zone: str, currency: str) -> None:
    market = market_of(symbol)
    assert (market.code, str(market.timezone), market.currency) == (code, zone, currency)


@pytest.mark.timeout(120)  # 36 s on a slow machine: every calendar is made
def test_every_exchange_in_the_data_has_a_calendar_that_is_known() -> None:
    data = exchanges()
    for entry in [*data["suffix"].values(), *data["kind"].values()]:
        assert "calendar" not in entry or sessions.is_calendar(entry["calendar"]), entry
    assert set(data["index"].values()) <= set(data["suffix"])
    assert {entry["calendar"] for name in ("regular_close", "extra_session") for entry in data[name]} == {"XBOM", "CMES"}


def test_a_calendar_that_cannot_be_made_is_none() -> None:
    assert not sessions.is_calendar("XASE2")
    assert sessions.is_calendar("24/7")
    assert sessions.is_calendar("FX")
    assert sessions.calendar_timezone("FX") == "America/New_York"


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
    assert (during.is_open, during.closes_at, during.holidays_known) == (True, at(market, "2026-11-23 15:40"), True)
    weekend = status(market, at(market, "2026-11-21 10:00"))
    assert (weekend.is_open, weekend.opens_at) == (False, at(market, "2026-11-23 09:15"))
    before_a_holiday = status(market, at(market, "2026-11-23 16:00"))
    assert before_a_holiday.opens_at == at(market, "2026-11-25 09:15")


@pytest.mark.parametrize(
    ("day", "tick", "minutes", "close"),
    [
        ("2026-07-31", "15:29", 5, "15:30"),
        ("2026-07-31", "15:29", 60, "15:30"),
        ("2026-08-03", "15:29", 5, "15:30"),
        ("2026-08-03", "15:38", 5, "15:40"),
        ("2026-08-03", "15:38", 15, "15:40"),
        ("2026-08-03", "15:38", 60, "15:40"),
        ("2026-08-03", "15:14", 60, "15:15"),
    ],
)
def test_status_and_next_close_know_nses_closing_auction(day: str, tick: str, minutes: int, close: str) -> None:
    market = market_of("TCS.NS")
    moment = at(market, f"{day} {tick}")
    assert status(market, moment).is_open
    assert status(market, moment).closes_at == at(market, f"{day} {'15:40' if day >= '2026-08-03' else '15:30'}")
    assert next_close(market, moment, minutes) == at(market, f"{day} {close}")


def test_after_the_auction_the_next_candle_closes_tomorrow() -> None:
    market = market_of("TCS.NS")
    assert not status(market, at(market, "2026-08-03 15:40")).is_open
    assert next_close(market, at(market, "2026-08-03 15:40"), 5) == at(market, "2026-08-04 09:20")


@pytest.mark.parametrize(
    ("symbol", "end", "minutes", "count", "expected"),
    [
        ("TCS.NS", "2026-11-23 10:17", 5, 3, "2026-11-23 10:05"),
        ("TCS.NS", "2026-11-23 09:20", 5, 3, "2026-11-20 15:30"),
        ("TCS.NS", "2026-11-23 15:40", 60, 7, "2026-11-23 09:15"),
        ("TCS.NS", "2026-07-31 15:30", 60, 7, "2026-07-31 09:15"),
        ("TCS.NS", "2026-11-09 09:20", 5, 3, "2026-11-08 19:05"),  # over Muhurat
        ("EURUSD=X", "2026-11-22 22:05", 5, 2, "2026-11-20 21:55"),  # over a weekend
        ("AAPL", "2026-11-30 09:35", 5, 2, "2026-11-27 12:55"),  # over a weekend, from a day that ended early
        ("7203.T", "2026-11-20 12:40", 5, 4, "2026-11-20 11:20"),
        ("BTC-USD", "2026-11-20 00:05", 5, 2, "2026-11-19 23:55"),
    ],
)
def test_a_window_walks_back_over_trading_time(symbol: str, end: str, minutes: int, count: int, expected: str) -> None:
    market = market_of(symbol)
    assert window_start(market, at(market, end), minutes, count) == at(market, expected)
