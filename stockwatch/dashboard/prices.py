"""What the charts are drawn from: candles and the price line, of which only what grows is read each time."""

from __future__ import annotations

import bisect
from functools import partial

import numpy as np
import pandas as pd

from stockwatch import candles, sessions
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.shared import Shared
from stockwatch.dashboard.tails import Tails
from stockwatch.sessions import Market
from stockwatch.settings import Settings
from stockwatch.store.news import NewTick, PageStore

LINE_POINTS = 800  # a chart has about as many pixels; each point costs every viewer's browser at every price
LINE_STEPS = tuple(size * 10**power for power in range(8) for size in (1, 2, 3, 5))  # ms
AGAIN_SECONDS = 10.0  # then what is known to have come is read again, with what came late
OUTLINE_POINTS, OUTLINE_SECONDS = 40, 30.0
MOST_TRIES = 6
FILLING_SECONDS = 2.0  # while there are fewer candles than wanted, more may come at any time
BARS_SECONDS = 5.0  # between two looks whether others have come: they come once a minute
LATE_MS = 60_000  # a tick that comes so late is seen in its candle at once; a later one when all candles are read again


def _frame(ticks: list[NewTick], start: int) -> pd.DataFrame:
    """Those from `start` on, as the store's prices() gives them."""
    kept = ticks[bisect.bisect_left(ticks, (start,)) :]
    at, volume, _, price = zip(*(tick[:4] for tick in kept), strict=True) if kept else ((), (), (), ())
    return pd.DataFrame(
        {"at": np.array(at, np.int64), "price": np.array(price, np.float64), "day_volume": np.array(volume, np.int64)}
    )


def _thinned(line: pd.DataFrame, step: int) -> pd.DataFrame:
    """The last of each step, as line.sql does it."""
    steps = line["at"].to_numpy() // step
    return line[np.r_[steps[1:] != steps[:-1], np.ones(min(len(steps), 1), np.bool_)]]


class Prices:
    """Shared by all viewers: many who look at one ticker cost one read."""

    def __init__(self, settings: Settings, store: PageStore) -> None:
        self.settings = settings
        self._store = store
        self._shared = Shared()
        self._tails = Tails()  # fed by who asks the store for what is new

    def candles_of(self, facts: Facts, minutes: int, count: int) -> pd.DataFrame:
        """The last `count` candles: all are read each candle_refresh_seconds, when one closes and when bars have come (they win
        over ticks, of whatever minute they are); at each call those that ticks may still change.
        """
        stored = self._bars_stored(facts)
        key = ("candles", facts.source, facts.symbol, minutes, count, stored, facts.newest // (minutes * 60_000))  # of its bin
        refresh = self.settings.dashboard.candle_refresh_seconds
        read = partial(self._candles, facts, minutes, count)
        made: pd.DataFrame = self._shared(key, lambda made: refresh if len(made) >= count else FILLING_SECONDS, read)
        newest = self._growing(facts, minutes, made)
        if newest is None:
            return self._candles(facts, minutes, count)
        both: list[pd.DataFrame] = [made[made["start"] < newest["start"].iloc[0]], newest]
        return pd.concat(both, ignore_index=True).tail(count)

    def _growing(self, facts: Facts, minutes: int, made: pd.DataFrame) -> pd.DataFrame | None:
        """The newest candle, and what ended less than LATE_MS before now, built again; None where no session is known."""
        if made.empty:
            return None
        start = int(made["start"][made["end"] > min(facts.newest - LATE_MS, int(made["end"].iloc[-1]) - 1)].iloc[0])
        near = sessions.segments(facts.market, start, facts.newest)
        opened = near.open[near.open <= start]
        if not len(opened):
            return None
        baseline = None
        if start > int(opened[0]):
            key = ("baseline", facts.source, facts.symbol, start, self._bars_stored(facts))
            read = partial(self._baseline, facts.source, facts.symbol, int(opened[0]), start)
            baseline = self._shared(key, AGAIN_SECONDS, read)
        bars = self._bars(facts, start, facts.newest + 1)
        newest = candles.build(self._ticks(facts, start), bars, near, minutes, baseline=baseline, joins_late=facts.joins_late)
        return newest if len(newest) else None

    def _baseline(self, source: str, symbol: str, opened: int, start: int) -> int | None:
        """The session's volume before `start`; None where no tick tells of it."""
        last = self._store.baseline_volume(source, symbol, opened, start)
        if last is None:
            return None
        bars = self._store.bars(source, symbol, last[1] - candles.LONGEST_MINUTES * 60_000, start)
        return candles.volume_at(start, *last, bars)

    def _bars_stored(self, facts: Facts) -> int:
        of = facts.source, facts.symbol
        return self._shared(("bars stored", *of), BARS_SECONDS, lambda: self._store.bars_stored(*of))

    def _ticks(self, facts: Facts, start: int) -> pd.DataFrame:
        """at, price and day_volume of [start, newest]: of the tail, and what is before it read now and then."""
        of = facts.source, facts.symbol
        tail = self._tails.of(*of, facts.at)
        if tail is not None and tail[0] <= start:
            return _frame(tail[1], start)

        def read() -> tuple[int, pd.DataFrame]:
            return facts.at, self._store.prices(*of, start, facts.newest + 1)

        if tail is None:
            return read()[1]
        until, before = self._shared(("ticks", *of, start), AGAIN_SECONDS, read)
        if tail[0] > until:
            return read()[1]
        both: list[pd.DataFrame] = [before[before["at"] < tail[0]], _frame(tail[1], tail[0])]
        return pd.concat(both, ignore_index=True)

    def _candles(self, facts: Facts, minutes: int, count: int) -> pd.DataFrame:
        of = facts.source, facts.symbol, facts.market, facts.newest
        return self.read_candles(*of, minutes, count, joins_late=facts.joins_late)

    def read_candles(
        self, source: str, symbol: str, market: Market, newest: int, minutes: int, wanted: int, *, joins_late: bool
    ) -> pd.DataFrame:
        """The last `wanted` candles, read anew. Only their window is read, and a longer one while that holds too few."""
        for attempt in range(MOST_TRIES):
            start = sessions.window_start(market, newest, minutes, wanted * 2**attempt)
            near = sessions.segments(market, start, newest)
            opened = near.open[near.open <= start]
            baseline = self._baseline(source, symbol, int(opened[0]), start) if len(opened) else None
            made = candles.build(
                self._store.prices(source, symbol, start, newest + 1),
                self._store.bars(source, symbol, start, newest + 1),
                near,
                minutes,
                count=wanted,
                baseline=baseline,
                joins_late=joins_late,
            )
            if len(made) >= wanted or start <= (self._store.earliest_at(source, symbol) or 0):
                break
        return made

    def line_of(self, facts: Facts, minutes: int | None = None) -> pd.DataFrame:
        """The price of the session, or of its last `minutes`: ticks, and before the first of them the closes of bars.

        Thinned to at most LINE_POINTS by a round step, so that what is drawn stays where it is when more comes.
        """
        source, symbol, newest = facts.source, facts.symbol, facts.newest
        start = facts.session[0] if minutes is None else max(facts.session[0], newest - minutes * 60_000)
        earliest = self._shared(("earliest", source, symbol), 60.0, lambda: self._store.earliest_at(source, symbol))
        step = next(size for size in LINE_STEPS if size * LINE_POINTS >= newest - max(start, earliest or start))
        key = ("line", source, symbol, start if minutes is None else minutes, step)
        whole: pd.DataFrame = self._shared(key, AGAIN_SECONDS, lambda: self._line(facts, start, step))
        last = int(whole["at"].iloc[-1]) if len(whole) else start
        since = last // step * step  # where a step begins: its last price may change
        tail = self._tails.of(source, symbol, facts.at)
        begun = -(-tail[0] // step) * step if tail is not None else 0
        if tail is not None and begun <= since:
            since, grown = begun, _thinned(_frame(tail[1], begun)[["at", "price"]], step)
        else:
            grown = self._store.line(source, symbol, since, newest + 1, step)
        both = [whole[(whole["at"] < since) & (whole["at"] >= start)], grown]
        return pd.concat(both, ignore_index=True) if len(grown) else whole[whole["at"] >= start]

    def _line(self, facts: Facts, start: int, step: int) -> pd.DataFrame:
        ticks = self._store.line(facts.source, facts.symbol, start, facts.newest + 1, step)
        first = int(ticks["at"].iloc[0]) if len(ticks) else facts.newest
        bars = self._bars(facts, start, first)
        closes = pd.DataFrame({"at": bars["start"] + bars["minutes"] * 60_000, "price": bars["close"]})
        return pd.concat([_thinned(closes[closes["at"] < first], step), ticks], ignore_index=True)

    def _bars(self, facts: Facts, start: int, end: int) -> pd.DataFrame:
        """Those that start in [start, end); read again when others have come."""
        of = facts.source, facts.symbol, start
        read = partial(self._store.bars, *of, facts.newest + 1)
        keep = self.settings.dashboard.candle_refresh_seconds
        bars: pd.DataFrame = self._shared(("bars", *of, self._bars_stored(facts)), keep, read)
        return bars[bars["start"] < end]

    def outline(self, facts: Facts) -> list[float]:
        """The session's price in about OUTLINE_POINTS values; may be half a minute old."""
        key = ("outline", facts.source, facts.symbol)

        def read() -> list[float]:
            line = self.line_of(facts)["price"]
            return [float(price) for price in line.iloc[:: max(len(line) // OUTLINE_POINTS, 1)]]

        return self._shared(key, OUTLINE_SECONDS, read)
