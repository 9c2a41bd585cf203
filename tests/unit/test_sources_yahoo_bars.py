"""Yahoo's frames to bars, and the thread's turns: what is given on, what is kept from start to start, what is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stockwatch.errors import SourceError, StoreError
from stockwatch.settings import load
from stockwatch.sources.bar_plan import SETTLE_MS
from stockwatch.sources.yahoo_bars import PAUSE_SECONDS, YahooBars, bars_of

MINUTE = 60_000
DAY = 1_795_564_800_000  # 2026-11-25 00:00 UTC, where the days of BTC-USD begin
NOW = DAY + 90 * MINUTE + 40_000


def frame(starts: list[int], volume: float = 10.0) -> pd.DataFrame:
    index = pd.DatetimeIndex(pd.to_datetime(starts, unit="ms", utc=True)).tz_convert("Asia/Kolkata")
    price = 100.0 + np.arange(len(starts))
    return pd.DataFrame({"Open": price, "High": price + 2, "Low": price - 2, "Close": price + 1, "Volume": volume}, index=index)


class Yahoo:
    """All minutes of the day up to `now`, as asked; and the store that holds what was taken."""

    def __init__(self) -> None:
        self.now = NOW
        self.asked: list[tuple[str, int, int | None, int]] = []
        self.trouble: dict[str, SourceError] = {}
        self.volume = 10.0
        self.span: tuple[int, int] | None = None
        self.away = False

    def bars(self, symbol: str, start_ms: int, end_ms: int | None, minutes: int) -> pd.DataFrame:
        self.asked.append((symbol, start_ms, end_ms, minutes))
        if symbol in self.trouble:
            raise self.trouble[symbol]
        return frame(list(range(start_ms, end_ms or self.now, minutes * MINUTE)), self.volume)

    def bar_span(self, source: str, symbol: str) -> tuple[int, int] | None:
        if self.away:
            raise StoreError("ClickHouse cannot be reached")
        return self.span

    def tick_counts(self, source: str) -> dict[str, tuple[int, int, int]]:
        return {}


@pytest.fixture
def yahoo() -> Yahoo:
    return Yahoo()


def life(folder: Path, yahoo: Yahoo, symbols: tuple[str, ...] = ("BTC-USD",), days: int = 1) -> YahooBars:
    settings = load(folder / "settings.toml", {"market": {"tickers": list(symbols), "backfill_days": days}})
    settings.data_dir.mkdir(exist_ok=True)
    return YahooBars(settings, yahoo, lambda: yahoo, lambda _symbol: 0, list, lambda: yahoo.now)  # type: ignore[arg-type, return-value]


def turns(bars: YahooBars) -> Iterator[float]:
    while (wait := bars.turn()) <= PAUSE_SECONDS:
        yield wait


def test_only_whole_closed_minutes_with_prices_are_bars() -> None:
    starts = [DAY, DAY + MINUTE, DAY + 2 * MINUTE, DAY + 3 * MINUTE, DAY + 3 * MINUTE + 25_000]  # the last trade as a row
    table = frame(starts)
    table.iloc[1, 0] = np.nan
    table.iloc[2, 4] = np.nan
    found = bars_of(table, "X", 1, DAY + 3 * MINUTE + 30_000)
    assert [(bar.start, bar.volume) for bar in found] == [(DAY, 10), (DAY + 2 * MINUTE, 0)]
    assert (found[0].open, found[0].high, found[0].low, found[0].close) == (100.0, 102.0, 98.0, 101.0)
    assert bars_of(pd.DataFrame(), "X", 1, DAY) == []


def test_a_hair_of_rounding_does_not_make_a_bar_invalid() -> None:
    table = frame([DAY])
    table.loc[:, ["Open", "High", "Low", "Close"]] = [100.0, 99.9999, 100.0001, 100.0002]
    bar = bars_of(table, "X", 1, DAY + MINUTE)[0]
    assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high


def test_the_day_is_filled_and_then_only_what_is_new_or_corrected_is_given_on(tmp_path: Path, yahoo: Yahoo) -> None:
    bars = life(tmp_path, yahoo)
    assert bars.metrics == {"backfill": None}  # nothing is planned yet
    list(turns(bars))
    assert [bar.start for bar in bars.take()] == [DAY + n * MINUTE for n in range(90)]
    assert bars.metrics == {"backfill": {"done": 1, "of": 1, "bars": 90}}
    assert bars.take() == []
    yahoo.now = DAY + 96 * MINUTE + 40_000  # the candle of 1:30 has closed
    list(turns(bars))
    assert [bar.start for bar in bars.take()] == [DAY + n * MINUTE for n in range(90, 96)]
    yahoo.volume = 11.0
    yahoo.now += 5 * MINUTE
    list(turns(bars))
    assert len(bars.take()) == 101  # all of them were corrected


def test_a_minute_is_taken_once_it_is_settled_and_the_candle_that_closed_half_a_minute_ago_with_it(
    tmp_path: Path, yahoo: Yahoo
) -> None:
    bars = life(tmp_path, yahoo, ("BTC-USD", "ETH-USD"))
    list(turns(bars))
    bars.take()
    closed = DAY + 95 * MINUTE
    newest: dict[str, tuple[int, int]] = {}  # of each: when it came, and its end
    for yahoo.now in range(closed, closed + 2 * MINUTE, 1_000):
        list(turns(bars))
        newest |= {bar.symbol: (yahoo.now - closed, bar.start + MINUTE) for bar in bars.take()}
    assert newest == {"BTC-USD": (SETTLE_MS, closed), "ETH-USD": (2 * SETTLE_MS, closed)}  # not the minute that ends just then


def test_a_second_start_goes_on_where_the_table_ends(tmp_path: Path, yahoo: Yahoo) -> None:
    first = life(tmp_path, yahoo)
    list(turns(first))
    yahoo.now += 3 * MINUTE
    yahoo.span = (DAY, DAY + 90 * MINUTE)  # all that was given on is in the table
    list(turns(life(tmp_path, yahoo)))
    assert yahoo.asked[-1] == ("BTC-USD", DAY + 90 * MINUTE, None, 1)
    yahoo.span = (DAY, DAY + 40 * MINUTE)  # killed: some of it never got there
    list(turns(life(tmp_path, yahoo)))
    assert yahoo.asked[-1] == ("BTC-USD", DAY + 40 * MINUTE, None, 1)


def test_a_broken_memory_is_no_trouble(tmp_path: Path, yahoo: Yahoo) -> None:
    list(turns(life(tmp_path, yahoo)))
    (tmp_path / ".stockwatch" / "yahoo-bars.json").write_text("{broken")
    yahoo.span = (DAY, DAY + 50 * MINUTE)
    list(turns(life(tmp_path, yahoo)))
    assert yahoo.asked[-1][1] == DAY + 50 * MINUTE


def test_nothing_is_asked_before_the_store_says_what_it_holds(tmp_path: Path, yahoo: Yahoo) -> None:
    yahoo.away = True
    bars = life(tmp_path, yahoo)
    assert bars.turn() == 1.0
    assert yahoo.asked == []
    yahoo.away = False
    list(turns(bars))
    assert len(bars.take()) == 90


def test_a_trouble_with_one_ticker_is_named_tried_again_and_holds_up_no_other(tmp_path: Path, yahoo: Yahoo) -> None:
    bars = life(tmp_path, yahoo, ("BTC-USD", "ETH-USD"))
    yahoo.trouble["BTC-USD"] = SourceError("Yahoo's answer is not understood")
    list(turns(bars))
    assert {bar.symbol for bar in bars.take()} == {"ETH-USD"}
    said = "no bars of BTC-USD now, so closed candles are from ticks: Yahoo's answer is not understood"
    assert bars.detail == said
    asked = len(yahoo.asked)
    list(turns(bars))
    assert len(yahoo.asked) == asked  # not at once
    yahoo.trouble.clear()
    yahoo.now += 6_000
    list(turns(bars))
    assert {bar.symbol for bar in bars.take()} == {"BTC-USD"}
    assert bars.detail == ""


def test_a_shut_gate_is_respected(tmp_path: Path, yahoo: Yahoo) -> None:
    bars = life(tmp_path, yahoo)
    yahoo.trouble["BTC-USD"] = SourceError("rate limited", retry_after=45.0)
    assert bars.turn() > PAUSE_SECONDS
    yahoo.now += 44_000
    list(turns(bars))
    assert len(yahoo.asked) == 1
    yahoo.now += 1_100
    list(turns(bars))
    assert len(yahoo.asked) == 2
