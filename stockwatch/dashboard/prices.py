"""What the charts are drawn from: candles and the price line, of which only what grows is read each time."""

from __future__ import annotations

from functools import partial

import pandas as pd

from stockwatch import candles, sessions
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.shared import Shared
from stockwatch.sessions import Market
from stockwatch.settings import Settings
from stockwatch.store.news import PageStore

LINE_POINTS = 1500
LINE_STEPS = tuple(size * 10**power for power in range(8) for size in (1, 2, 5))  # ms
LINE_SECONDS = 5.0  # then all of it is read again, with what came late
OUTLINE_POINTS, OUTLINE_SECONDS = 40, 30.0
MOST_TRIES = 6
FILLING_SECONDS = 2.0  # while there are fewer candles than wanted, more may come at any time
BARS_SECONDS = 1.0


class Prices:
    """Shared by all viewers: many who look at one ticker cost one read."""

    def __init__(self, settings: Settings, store: PageStore) -> None:
        self.settings = settings
        self._store = store
        self._shared = Shared()

    def candles_of(self, facts: Facts, minutes: int, count: int) -> pd.DataFrame:
        """The last `count` candles: all are read each candle_refresh_seconds and when one closes, the newest at each call."""
        key = ("candles", facts.source, facts.symbol, minutes, count, facts.newest // (minutes * 60_000))  # of its bin
        refresh = self.settings.dashboard.candle_refresh_seconds
        read = partial(self._candles, facts, minutes, count)
        made: pd.DataFrame = self._shared(key, lambda made: refresh if len(made) >= count else FILLING_SECONDS, read)
        newest = self._growing(facts, minutes, made)
        if newest is None:
            return self._candles(facts, minutes, count)
        both: list[pd.DataFrame] = [made[made["start"] < newest["start"].iloc[0]], newest]
        return pd.concat(both, ignore_index=True).tail(count)

    def _growing(self, facts: Facts, minutes: int, made: pd.DataFrame) -> pd.DataFrame | None:
        """The newest candle, built again from what has come since it began; None where what was before it is not known."""
        if made.empty:
            return None
        start = int(made["start"].iloc[-1])
        near = sessions.segments(facts.market, start, facts.newest)
        opened = near.open[near.open <= start]
        if not len(opened):
            return None
        baseline = None
        if start > int(opened[0]):
            key = ("baseline", facts.source, facts.symbol, start)
            read = partial(self._store.baseline_volume, facts.source, facts.symbol, int(opened[0]), start)
            baseline = self._shared(key, FILLING_SECONDS, read)
            if baseline is None:
                return None
        ticks = self._store.prices(facts.source, facts.symbol, start, facts.newest + 1)
        bars = self._bars(facts, start, facts.newest + 1)
        newest = candles.build(ticks, bars, near, minutes, baseline=baseline, joins_late=facts.joins_late)
        return newest if len(newest) else None

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
            baseline = self._store.baseline_volume(source, symbol, int(opened[0]), start) if len(opened) else None
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
        whole: pd.DataFrame = self._shared(key, LINE_SECONDS, lambda: self._line(facts, start, step))
        since = (
            int(whole["at"].iloc[-1]) // step * step if len(whole) else start
        )  # where a step begins: its last price may change
        grown = self._store.line(source, symbol, since, newest + 1, step)
        both = [whole[(whole["at"] < since) & (whole["at"] >= start)], grown]
        return pd.concat(both, ignore_index=True) if len(grown) else whole[whole["at"] >= start]

    def _line(self, facts: Facts, start: int, step: int) -> pd.DataFrame:
        ticks = self._store.line(facts.source, facts.symbol, start, facts.newest + 1, step)
        first = int(ticks["at"].iloc[0]) if len(ticks) else facts.newest
        bars = self._bars(facts, start, first)
        closes = pd.DataFrame({"at": bars["start"] + bars["minutes"] * 60_000, "price": bars["close"]})
        return pd.concat([closes[closes["at"] < first], ticks], ignore_index=True)

    def _bars(self, facts: Facts, start: int, end: int) -> pd.DataFrame:
        """Those that start in [start, end); they come once a minute, so many who ask share an answer."""
        of = facts.source, facts.symbol, start
        read = partial(self._store.bars, *of, facts.newest + 1)
        bars: pd.DataFrame = self._shared(("bars", *of), BARS_SECONDS, read)
        return bars[bars["start"] < end]

    def outline(self, facts: Facts) -> list[float]:
        """The session's price in about OUTLINE_POINTS values; may be half a minute old."""
        key = ("outline", facts.source, facts.symbol)

        def read() -> list[float]:
            line = self.line_of(facts)["price"]
            return [float(price) for price in line.iloc[:: max(len(line) // OUTLINE_POINTS, 1)]]

        return self._shared(key, OUTLINE_SECONDS, read)
