"""What the charts are drawn from, on a market that is polled, and whose bars come a minute after each candle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stockwatch.component import StoreAddress
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.reader import Reader
from stockwatch.settings import load
from stockwatch.store.news import NewTick

MINUTE = 60_000
OPEN = 1_764_028_800_000  # 2025-11-25 00:00 UTC: the day of a crypto currency begins
JOINED = OPEN + 180 * MINUTE
POLL_MS, BARS_LATE_MS = 10_000, 60_000
PER_SECOND = 7  # traded, so what was traded between two moments is known
BTC = "BTC-USD"


class Polled:
    """Yahoo's table at `now`: a poll each 10 s since JOINED, one-minute bars of the whole day, in fives a minute after their end."""

    def __init__(self) -> None:
        random = np.random.default_rng(5)
        self.trades = pd.DataFrame({"at": np.arange(OPEN, JOINED + 30 * MINUTE, 1_000)})
        self.trades["price"] = (100 + np.cumsum(random.normal(0, 0.02, len(self.trades)))).round(3)
        self.trades["day_volume"] = np.arange(1, len(self.trades) + 1) * PER_SECOND
        minute = self.trades.groupby(self.trades["at"] // MINUTE * MINUTE)
        ohlc = minute["price"].agg(["first", "max", "min", "last"]).set_axis(["open", "high", "low", "close"], axis=1)
        self.all_bars = ohlc.assign(volume=60 * PER_SECOND, minutes=1).rename_axis("start").reset_index()
        landed = (self.all_bars["start"] // (5 * MINUTE) + 1) * 5 * MINUTE + BARS_LATE_MS
        self.all_bars["stored"] = landed.clip(lower=JOINED)
        self.now = JOINED

    def _ticks(self) -> pd.DataFrame:
        polled = self.trades[(self.trades["at"] >= JOINED) & (self.trades["at"] <= self.now)]
        return polled[polled["at"] % POLL_MS == 3_000]

    def candles(self, minutes: int) -> pd.DataFrame:
        """What was really traded."""
        width = minutes * MINUTE
        of = self.trades.groupby(self.trades["at"] // width * width)
        made = of["price"].agg(["first", "max", "min", "last"]).set_axis(["open", "high", "low", "close"], axis=1)
        return made.assign(volume=of.size() * PER_SECOND)

    def _between(self, frame: pd.DataFrame, name: str, start_ms: int, end_ms: int | None) -> pd.DataFrame:
        end = 2**62 if end_ms is None else end_ms
        return frame[(frame[name] >= start_ms) & (frame[name] < end)].reset_index(drop=True)

    def _bars(self) -> pd.DataFrame:
        return self.all_bars[self.all_bars["stored"] <= self.now]

    def new_ticks(self, source: str, symbols: list[str], start_ms: int, stored_since: int) -> dict[str, list[NewTick]]:
        rows = self._between(self._ticks(), "at", max(start_ms, stored_since), None)
        return {BTC: [NewTick(at, volume, 0, price, at) for at, price, volume in rows.itertuples(index=False)]}

    def prices(self, source: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return self._between(self._ticks(), "at", start_ms, end_ms)

    def bars(self, source: str, symbol: str, start_ms: int, end_ms: int) -> pd.DataFrame:
        return self._between(self._bars(), "start", start_ms, end_ms)

    def bars_stored(self, source: str, symbol: str) -> int:
        return int(self._bars()["stored"].max())

    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int:
        return max(int(self._bars()["start"].max()) + MINUTE, *self._ticks()["at"].tail(1).tolist())

    def latest_ticks(self, source: str, symbols: list[str], end_ms: int | None = None) -> pd.DataFrame:
        return self._ticks().tail(1)

    def earliest_at(self, source: str, symbol: str) -> int:
        return OPEN

    def baseline_volume(self, source: str, symbol: str, start_ms: int, end_ms: int) -> tuple[int, int] | None:
        seen = self._between(self._ticks(), "at", start_ms, end_ms)
        return (int(seen["day_volume"].max()), int(seen["at"].max())) if len(seen) else None


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Polled:
    made = Polled()
    monkeypatch.setattr("time.monotonic", lambda: made.now / 1000)
    monkeypatch.setattr("stockwatch.dashboard.reader.now_ms", lambda: made.now)
    return made


@pytest.fixture
def page(market: Polled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    settings = load(tmp_path / "settings.toml", {"market": {"source": "yahoo", "tickers": [BTC]}})
    made = Reader(Connection(settings, StoreAddress("http://127.0.0.1:9"), "http://127.0.0.1:9/health"))
    monkeypatch.setattr(made, "_store", market)
    monkeypatch.setattr(made, "_ask_health", lambda: {"source": "yahoo", "components": []})
    return made


def shown(page: Reader, minutes: int) -> tuple[Facts, pd.DataFrame]:
    facts = page.facts(BTC)
    assert facts is not None
    return facts, page.candles_of(facts, minutes, 12).set_index("start")


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_closed_candle_is_the_source_s_own_as_soon_as_its_bars_are_there(market: Polled, page: Reader, minutes: int) -> None:
    """On the page, which reads all candles only now and then; the look for bars is at most 5 s old, the refresh a few more."""
    truth = market.candles(minutes)
    compared = 0
    for market.now in range(JOINED + 5_000, JOINED + 17 * MINUTE, 5_500):
        _, candles = shown(page, minutes)
        covered = market.all_bars[market.all_bars["stored"] <= market.now - 12_000]["start"].max() + MINUTE
        closed = candles[candles["end"] <= covered]
        pd.testing.assert_frame_equal(closed[list(truth)], truth.loc[closed.index], check_dtype=False, check_names=False)
        compared += len(closed)
    assert compared > 1_000


@pytest.mark.parametrize("minutes", [5, 15])
def test_a_candle_that_forms_has_the_volume_of_its_own_minutes(market: Polled, page: Reader, minutes: int) -> None:
    """What was traded between the last poll before it and its beginning is its predecessor's."""
    compared = 0
    for market.now in range(JOINED + 6 * MINUTE, JOINED + 17 * MINUTE, 5_500):
        facts, candles = shown(page, minutes)
        start, told = int(candles.index[-1]), market._bars()["start"].max() + MINUTE
        if start <= facts.at and start <= told <= market.now - 12_000:  # the bars before it are there
            traded = market.trades.loc[market.trades["at"] < start, "day_volume"].iloc[-1]
            assert candles["volume"].iloc[-1] == facts.quote["day_volume"] - traded
            compared += 1
    assert compared > 10
