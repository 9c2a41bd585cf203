"""A simulated instrument: price and volume as pure functions of (seed, symbol, time), vectorised.

The price is noise summed over octaves (a random walk's spectrum), so any moment costs the same and nothing is remembered.
Each octave mixes noise of the symbol's own, of its exchange and of the world: so tickers move together. The quick octaves are
scaled by the time of day. It moves once a second, whatever the tick rate. The day, for volume and range, is local midnight
to midnight.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from stockwatch.sessions import DAY_MS, market_of
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.sources.day_shape import Floats, Int64s, by_minute

SECOND_MS = 1_000
DAILY_VOLATILITY = 0.013  # of the logarithm of the price; a liquid large company's
# Periods, each about 2.2 times the one before. Those of whole minutes are straight lines within a minute.
SECOND_OCTAVES = (4, 9, 20, 44)  # in seconds
QUICK_OCTAVES = (2, 4, 8, 17, 37)  # in minutes; these and the seconds are as lively as the time of day
SLOW_OCTAVES = (80, 177, 390, 860, 1_880, 4_140, 9_100)  # in minutes, to about 6 days
WORLD_SHARE = 0.15  # of the variance …
EXCHANGE_SHARE = (0.25, 0.45)  # … by symbol; the rest is the symbol's own. One exchange's tickers correlate by about 0.5
JUMP_BLOCK_S = 5_400  # at most one jump in each block of 90 minutes …
JUMP_ODDS = 0.06  # … and rarely: about one a day
JUMP_SIZE = 0.008
JUMP_FADES_S = 2 * JUMP_BLOCK_S  # it fades in a straight line
LEVELS = {
    "RELIANCE.NS": 1290.0, "TCS.NS": 3100.0, "INFY.NS": 1510.0, "HDFCBANK.NS": 985.0, "ICICIBANK.NS": 1370.0,
    "SBIN.NS": 940.0, "AAPL": 268.0, "MSFT": 510.0, "GOOGL": 290.0, "AMZN": 240.0, "NVDA": 185.0, "TSLA": 410.0,
    "BTC-USD": 91_000.0, "ETH-USD": 3000.0, "EURUSD=X": 1.16,
}  # fmt: skip
LARGE_UNITS = {"JPY": 20.0, "KRW": 500.0}  # currencies of small units: shares cost thousands
# Tick sizes by price; NSE's bands as of 2025 (FACTS.md): below the first bound the first size, and so on.
NSE_BOUNDS, NSE_SIZES = np.array([250.0, 1000.0, 5000.0, 10000.0, 20000.0]), np.array([0.01, 0.05, 0.10, 0.50, 1.0, 5.0])


class Day(NamedTuple):
    """One day of one instrument: midnight to midnight (ms), the price of each second; the rest by minute."""

    start: int
    end: int
    price: Floats
    minute_volume: Floats  # cumulative at each minute's start, and at the day's end
    high_before: Floats  # the day's range until each minute's start: -inf and inf at midnight
    low_before: Floats
    spread: Floats  # half of it, in tick sizes: it widens at the open
    open: float
    previous_close: float


class PricePath:
    """The simulated instrument of one symbol."""

    def __init__(self, seed: int, symbol: str) -> None:
        self.symbol = symbol
        self._market = market_of(symbol)
        self.zone, self.currency, exchange = self._market.timezone, self._market.currency, self._market.code
        own = _digest(f"{seed}/{symbol}")
        least, most = EXCHANGE_SHARE
        shared = least + (most - least) * own[10] / 255
        self._key = _key(own)
        self._parts = tuple(
            (key, math.sqrt(share))
            for key, share in (
                (self._key, 1 - shared - WORLD_SHARE),
                (_key(_digest(f"{seed}//exchange/{exchange}")), shared),
                (_key(_digest(f"{seed}//world")), WORLD_SHARE),
            )
        )
        self._in_bands, self._tick = exchange in ("NSE", "BSE"), 0.01
        if self.currency in LARGE_UNITS:
            self._tick = 1.0
        elif exchange == "FX":
            self._tick = 0.0001
        usual = (40.0 if exchange != "FX" else 0.5) * LARGE_UNITS.get(self.currency, 1.0)
        self._level = LEVELS.get(symbol, usual * 10 ** (1.6 * own[8] / 255))
        self._day_volume = 4e6 * 10 ** (own[9] / 255 - 0.5)
        self._latest: Day | None = None
        self.day = lru_cache(maxsize=3)(self._make_day)

    def price(self, at_ms: Int64s) -> Floats:
        """Prices at these moments (ms), on the exchange's tick size."""
        second = at_ms // SECOND_MS
        minute = second // 60
        part = (second - minute * 60) / 60.0
        walk = _between(self._walk_at, minute, part)
        quick = np.zeros(len(second))
        for number, period in enumerate(SECOND_OCTAVES):
            quick += self._octave(number, period, period, second)
        walk += quick * _between(lambda minutes: by_minute(self._market, minutes * MINUTE_MS).moves, minute, part)
        raw = self._level * np.exp(DAILY_VOLATILITY * walk + self._jumps(second))
        size_of_tick = self.tick_size(raw)
        return np.maximum(np.round(np.round(raw / size_of_tick) * size_of_tick, 4), size_of_tick)

    def tick_size(self, price: Floats) -> Floats:
        """The smallest step of the price on its exchange."""
        if self._in_bands:
            return NSE_SIZES[np.searchsorted(NSE_BOUNDS, price, "left")]
        return np.full(len(price), self._tick)

    def volume(self, at_ms: Int64s, day: Day) -> Int64s:
        """Cumulative volume of the day at these moments; never falls."""
        since = at_ms - day.start
        minute = since // MINUTE_MS
        low, high = day.minute_volume[minute], day.minute_volume[minute + 1]
        return np.floor(low + (high - low) * ((since % MINUTE_MS) / MINUTE_MS)).astype(np.int64)

    def day_of(self, at_ms: int) -> Day:
        """The day that a moment lies in."""
        if self._latest is None or not self._latest.start <= at_ms < self._latest.end:
            local = datetime.fromtimestamp(at_ms / 1000, self.zone).date()
            self._latest = self.day(*(_midnight_ms(local + timedelta(days=step), self.zone) for step in (0, 1)))
        return self._latest

    def _make_day(self, start: int, end: int) -> Day:
        """Computed once a day, in about 10 ms: the price of each of its seconds, so that a tick only looks it up."""
        minutes = np.arange(start, end, MINUTE_MS)
        shape = by_minute(self._market, minutes)
        weight = shape.volume * np.exp(0.7 * self._noise(self._key, 103, minutes // MINUTE_MS))
        busy = float(np.exp(0.3 * self._noise(self._key, 104, minutes[:1] // DAY_MS))[0])  # days differ
        volume = np.r_[0.0, np.cumsum(weight)] / weight.sum() * self._day_volume * busy
        price = self.price(np.arange(start - SECOND_MS, end, SECOND_MS))
        before, price = float(price[0]), price[1:]
        by_minutes = price.reshape(-1, 60)
        high = np.maximum.accumulate(np.r_[-np.inf, by_minutes.max(axis=1)[:-1]])
        low = np.minimum.accumulate(np.r_[np.inf, by_minutes.min(axis=1)[:-1]])
        spread = np.maximum(np.round(shape.moves), 1.0)
        return Day(start, end, price, volume, high, low, spread, float(price[0]), before)

    def _walk_at(self, minute: Int64s) -> Floats:
        """The octaves of whole minutes, at the starts of these minutes (since 1970)."""
        walks = []
        for first, octaves in ((10, QUICK_OCTAVES), (20, SLOW_OCTAVES)):
            walk = np.zeros(len(minute))
            for number, period in enumerate(octaves, first):
                walk += self._octave(number, period, period * 60, minute)
            walks.append(walk)
        quick, slow = walks
        return slow + quick * by_minute(self._market, minute * MINUTE_MS).moves

    def _octave(self, number: int, period: int, seconds: int, where: Int64s) -> Floats:
        """One octave: knots each `period`, straight lines between them; `seconds` says how high its waves are."""
        cell = where // period
        part = (where - cell * period) / period
        return math.sqrt(seconds / 86_400) * _between(lambda cells: self._mixed(number, cells), cell, part)

    def _mixed(self, number: int, cell: Int64s) -> Floats:
        """Noise of the symbol's own, of its exchange and of the world, added so that the variance stays the same."""
        mixed = np.zeros(len(cell))
        for key, weight in self._parts:
            mixed += weight * self._noise(key, number, cell)
        return mixed

    def _jumps(self, second: Int64s) -> Floats:
        """News of the symbol's own: the logarithm of the price leaps, then goes back over three hours."""
        total = np.zeros(len(second))
        block = np.arange(second.min() // JUMP_BLOCK_S - 2, second.max() // JUMP_BLOCK_S + 1)
        odds = (self._noise(self._key, 100, block) + 1) / 2
        block = block[odds < JUMP_ODDS]
        place, kind = (self._noise(self._key, channel, block) for channel in (101, 102))
        begins = ((block + (place + 1) / 2) * JUMP_BLOCK_S).astype(np.int64)
        sizes = JUMP_SIZE * (kind + np.sign(kind)) / 2  # never a small one
        for begin, size in zip(begins.tolist(), sizes.tolist(), strict=True):
            since = second - begin
            total += np.where(since >= 0, size * np.maximum(1 - since / JUMP_FADES_S, 0.0), 0.0)
        return total

    @staticmethod
    def _noise(key: np.uint64, channel: int, index: Int64s) -> Floats:
        """-1 … 1, hashed from (key, channel, index) by splitmix64."""
        with np.errstate(over="ignore"):
            state = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            state = state + key + np.uint64(channel) * np.uint64(0xD1B54A32D192ED03)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
        return (state >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def _between(make: Callable[[Int64s], Floats], cell: Int64s, part: Floats) -> Floats:
    """Straight lines between what make() gives for each cell and for the next one, `part` (0 … 1) of the way.

    Cells that lie close are made once each; far apart, each by itself: the same numbers.
    """
    first, last = int(cell.min()), int(cell.max())
    if last - first <= 2 * len(cell):
        values = make(np.arange(first, last + 2))
        left, right = values[cell - first], values[cell - first + 1]
    else:
        left, right = make(cell), make(cell + 1)
    return left + (right - left) * part


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _key(digest: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(digest[:8], "little"))


def _midnight_ms(day: object, zone: ZoneInfo) -> int:
    return int(datetime.fromisoformat(str(day)).replace(tzinfo=zone).timestamp() * 1000)
