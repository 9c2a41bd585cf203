"""The simulator: made-up prices round the clock, so that everything runs without a network. Always marked as simulated.

Ticks lie on a grid of 1 / ticks_per_second aligned to the epoch, so a restart repeats the same ticks, which identity makes
invisible. Each minute that is closed comes as a bar too, made of the same path as by one tick a second: so candles are the same
whatever the rate. History comes as bars alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.settings import Settings
from stockwatch.sources.day_shape import Floats, Int64s
from stockwatch.sources.price_path import SECOND_MS, Day, PricePath
from stockwatch.tick import Bar, Tick, now_ms

NAME = "simulator"
WIDEST_MINUTES = 60  # of the candles that the page offers
CATCH_UP_MS = 600_000  # after a longer pause the closed minutes come as bars
MAX_HISTORY_MINUTES = 5_000
WAIT_SECONDS = 1.0
GRAIN_SECONDS = 0.02  # many ticks a second are handed over in pieces of this


class Simulator:
    """A Source. `clock` gives ms since the epoch."""

    name = NAME

    def __init__(
        self,
        symbols: tuple[str, ...],
        seed: int,
        ticks_per_second: float,
        history_minutes: int,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.symbols = symbols
        self._step = 1000 / ticks_per_second  # ms
        self._history_minutes = min(history_minutes, MAX_HISTORY_MINUTES)
        self._clock = clock
        self._paths = [PricePath(seed, symbol) for symbol in symbols]
        self._history: Iterator[list[Tick | Bar]] | None = None
        self._last = 0  # ms: everything up to here is given
        self._closed = 0  # ms: the minutes before this are given as bars

    @classmethod
    def of(cls, settings: Settings) -> Simulator:
        """As the settings say: enough history for the candles that the page shows, also when another width is chosen there."""
        market, page = settings.market, settings.dashboard
        widest = max(page.candle_minutes, WIDEST_MINUTES)
        return cls(market.tickers, market.seed, market.ticks_per_second, (page.candle_count + 1) * widest)

    @property
    def detail(self) -> str:
        """Plain words."""
        return f"simulated prices of {len(self.symbols)} tickers"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """None of its own."""
        return {}

    def instruments(self) -> list[Instrument]:
        """None: it trades round the clock in the exchange's zone."""
        return []

    def close(self) -> None:
        """Nothing to give back."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """First the history, newest part first; then what has become due."""
        now = self._clock()
        if self._history is None:
            self._history = self._past(now)
        if (part := next(self._history, None)) is not None:
            return part
        if now - self._last > CATCH_UP_MS:
            return [*self._closed_minutes(now), *self._ticks(_minute(now) - round(self._step) - 1, now)]
        due = self._last + self._step - now
        stopping.wait(min(max(due / 1000, GRAIN_SECONDS), WAIT_SECONDS))
        now = self._clock()
        return [*self._ticks(self._last, now), *self._closed_minutes(now)]

    def _past(self, now: int) -> Iterator[list[Tick | Bar]]:
        """The candles that the page shows at first, with the minute that is forming; then the rest of the day."""
        minute = _minute(now)
        shown = minute - self._history_minutes * MINUTE_MS
        self._closed = shown
        bars = self._closed_minutes(now)
        # From one tick before the minute on: that one lies in a bar and only says where the volume stands.
        yield [*bars, *self._ticks(minute - round(self._step) - 1, now)]
        for path in self._paths:
            midnight = path.day_of(now).start
            if midnight < shown:
                yield list(self._bars(path, midnight, shown))

    def _closed_minutes(self, now: int) -> list[Tick | Bar]:
        """The bars of the minutes that have closed since the last ones; never of the minute that is forming."""
        start, end = max(self._closed, _minute(now) - MAX_HISTORY_MINUTES * MINUTE_MS), _minute(now)
        if start >= end:
            return []
        self._closed = end
        return [bar for path in self._paths for bar in self._bars(path, start, end)]

    def _ticks(self, after: int, until: int) -> list[Tick | Bar]:
        """Every tick of the grid in (after, until], symbol by symbol."""
        numbers = np.arange(np.floor(after / self._step) + 1, np.floor(until / self._step) + 1)
        at = np.ceil(numbers * self._step).astype(np.int64)
        self._last = until
        return [tick for path in self._paths for part, day in _by_day(path, at) for tick in _make_ticks(path, part, day)]

    def _bars(self, path: PricePath, start: int, end: int) -> Iterator[Bar]:
        """One-minute bars of [start, end), both on whole minutes."""
        for minutes, day in _by_day(path, np.arange(start, end, MINUTE_MS)):
            first = (int(minutes[0]) - day.start) // SECOND_MS
            price = day.price[first : first + 60 * len(minutes)].reshape(-1, 60)
            # A tick's volume is what was traded until it: a bar's is what its own 60 ticks add.
            edges = np.r_[max(int(minutes[0]) - SECOND_MS, day.start), minutes + MINUTE_MS - SECOND_MS]
            volume = np.diff(path.volume(edges, day))
            columns = (minutes, price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1], volume)
            for at, opened, high, low, last, traded in zip(*(column.tolist() for column in columns), strict=True):
                yield Bar(path.symbol, at, 1, opened, high, low, last, traded, NAME)


def _minute(at: int) -> int:
    return at // MINUTE_MS * MINUTE_MS


def _by_day(path: PricePath, at: Int64s) -> Iterator[tuple[Int64s, Day]]:
    """The moments, cut at the local midnights."""
    while len(at):
        day = path.day_of(int(at[0]))
        inside = int(np.searchsorted(at, day.end, "left"))
        yield at[:inside], day
        at = at[inside:]


def _make_ticks(path: PricePath, at: Int64s, day: Day) -> list[Tick]:
    second = (at - day.start) // SECOND_MS
    price = day.price[second]
    away = path.tick_size(price) * day.spread[second // 60]
    high, low = _range_until(day, second)
    columns = (at, price, path.volume(at, day), np.round(price - away, 4), np.round(price + away, 4), high, low)
    return [
        Tick(path.symbol, moment, last, volume, NAME, bid, ask, day.previous_close, day.open, most, least, path.currency)
        for moment, last, volume, bid, ask, most, least in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _range_until(day: Day, second: Int64s) -> tuple[Floats, Floats]:
    """The day's high and low up to each of these seconds of the day, which rise."""
    minute = int(second[0]) // 60
    price = day.price[minute * 60 : int(second[-1]) + 1]
    high = np.maximum.accumulate(np.r_[day.high_before[minute], price])
    low = np.minimum.accumulate(np.r_[day.low_before[minute], price])
    place = second - minute * 60 + 1
    return high[place], low[place]
