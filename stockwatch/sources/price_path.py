"""A simulated instrument: price and volume as pure functions of (seed, symbol, time), vectorised.

The price is noise summed over octaves (a random walk's spectrum), so any moment costs the same and nothing is remembered.
It moves once a second, whatever the tick rate. The day, for volume and range, is local midnight to midnight.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from stockwatch.sessions import market_of

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
SECOND_MS, MINUTE_MS = 1_000, 60_000
DAILY_VOLATILITY = 0.013  # of the logarithm of the price; a liquid large company's
OCTAVES = tuple(4 * 2.2**k for k in range(16))  # periods in seconds, 4 s to about 6 days
JUMP_BLOCK_S = 5_400  # at most one jump in each block of 90 minutes …
JUMP_ODDS = 0.06  # … and rarely
JUMP_SIZE = 0.008
LEVELS = {
    "RELIANCE.NS": 1290.0, "TCS.NS": 3100.0, "INFY.NS": 1510.0, "HDFCBANK.NS": 985.0, "ICICIBANK.NS": 1370.0,
    "SBIN.NS": 940.0, "AAPL": 268.0, "MSFT": 510.0, "GOOGL": 290.0, "AMZN": 240.0, "NVDA": 185.0, "TSLA": 410.0,
}  # fmt: skip
# Tick sizes by price; NSE's bands as of 2025 (FACTS.md): below the first bound the first size, and so on.
NSE_BOUNDS, NSE_SIZES = np.array([250.0, 1000.0, 5000.0, 10000.0, 20000.0]), np.array([0.01, 0.05, 0.10, 0.50, 1.0, 5.0])


class Day(NamedTuple):
    """One day of one instrument: midnight to midnight (ms), volume at each minute's start, running range each second."""

    start: int
    end: int
    minute_volume: Floats
    high: Floats
    low: Floats
    open: float
    previous_close: float


class PricePath:
    """The simulated instrument of one symbol."""

    def __init__(self, seed: int, symbol: str) -> None:
        digest = hashlib.sha256(f"{seed}/{symbol}".encode()).digest()
        self.symbol = symbol
        self._key = np.uint64(int.from_bytes(digest[:8], "little"))
        market = market_of(symbol)
        self.zone, self.currency, self._exchange = market.timezone, market.currency, market.code
        self._level = LEVELS.get(symbol, 40.0 * 10 ** (1.6 * digest[8] / 255))
        self._day_volume = 4e6 * 10 ** (digest[9] / 255 - 0.5)
        self.day = lru_cache(maxsize=3)(self._make_day)

    def price(self, at_ms: Int64s) -> Floats:
        """Prices at these moments (ms), on the exchange's tick size."""
        second = at_ms // SECOND_MS
        walk = np.zeros(len(second))
        for number, period in enumerate(OCTAVES):
            where = second / period
            cell = np.floor(where)
            weight = where - cell
            left, right = self._noise(number, cell), self._noise(number, cell + 1)
            walk += (left + (right - left) * weight) * np.sqrt(period / 86_400)
        block = second // JUMP_BLOCK_S
        for back in (0, 1, 2):  # a jump stays for its block and the two after it
            odds = (self._noise(100, block - back) + 1) / 2
            begins = (block - back) * JUMP_BLOCK_S + (self._noise(101, block - back) + 1) / 2 * JUMP_BLOCK_S
            size = JUMP_SIZE * self._noise(102, block - back)
            walk += np.where((odds < JUMP_ODDS) & (second >= begins), size / DAILY_VOLATILITY, 0.0)
        raw = self._level * np.exp(DAILY_VOLATILITY * walk)
        size_of_tick = self.tick_size(raw)
        return np.maximum(np.round(np.round(raw / size_of_tick) * size_of_tick, 4), size_of_tick)

    def tick_size(self, price: Floats) -> Floats:
        """The smallest step of the price on its exchange."""
        if self._exchange in ("NSE", "BSE"):
            return NSE_SIZES[np.searchsorted(NSE_BOUNDS, price, "left")]
        return np.full(len(price), 1.0 if self.currency in ("JPY", "KRW") else 0.01)

    def volume(self, at_ms: Int64s, day: Day) -> Int64s:
        """Cumulative volume of the day at these moments; never falls."""
        since = at_ms - day.start
        minute = since // MINUTE_MS
        low, high = day.minute_volume[minute], day.minute_volume[minute + 1]
        return np.floor(low + (high - low) * ((since % MINUTE_MS) / MINUTE_MS)).astype(np.int64)

    def day_of(self, at_ms: int) -> Day:
        """The day that a moment lies in."""
        local = datetime.fromtimestamp(at_ms / 1000, self.zone).date()
        return self.day(*(_midnight_ms(local + timedelta(days=step), self.zone) for step in (0, 1)))

    def _make_day(self, start: int, end: int) -> Day:
        """Computed once a day, in about 20 ms: the price of each of its seconds."""
        minutes = np.arange(start, end, MINUTE_MS)
        local_minute = np.arange(len(minutes)) % 1440
        # Quiet round the clock, a burst at the exchange's opening hour, a lull at noon, a rise into the close.
        opening = np.exp(-np.abs(local_minute - 570) / 35.0) * 6.0
        trading = ((local_minute >= 555) & (local_minute < 930)) * (0.9 + ((local_minute - 742) / 187.0) ** 2 * 1.4)
        weight = (0.35 + opening + trading) * np.exp(0.7 * self._noise(103, minutes / MINUTE_MS))
        volume = np.r_[0.0, np.cumsum(weight)] / weight.sum() * self._day_volume
        prices = self.price(np.arange(start, end, SECOND_MS))
        before = float(self.price(np.array([start - SECOND_MS]))[0])
        highest, lowest = np.maximum.accumulate(prices), np.minimum.accumulate(prices)
        return Day(start, end, volume, highest, lowest, float(prices[0]), before)

    def _noise(self, channel: int, index: npt.NDArray[np.generic]) -> Floats:
        """-1 … 1, hashed from (seed, symbol, channel, index) by splitmix64."""
        with np.errstate(over="ignore"):
            state = index.astype(np.int64).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            state = state + self._key + np.uint64(channel) * np.uint64(0xD1B54A32D192ED03)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
        return (state >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def _midnight_ms(day: object, zone: ZoneInfo) -> int:
    return int(datetime.fromisoformat(str(day)).replace(tzinfo=zone).timestamp() * 1000)
