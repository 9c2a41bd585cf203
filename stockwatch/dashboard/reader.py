"""What the page shows, composed of store, sessions and candles; short-lived answers are shared between all who ask."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from stockwatch import candles, sessions
from stockwatch.cache import QuoteReader, prefix_of
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.facts import Facts, View
from stockwatch.dashboard.shared import Shared
from stockwatch.sessions import Instrument, Market
from stockwatch.store.alerts import Alert, AlertStore

HEALTH_SECONDS = 1.0
LINE_POINTS = 1500
LINE_STEPS = tuple(size * 10**power for power in range(8) for size in (1, 2, 5))  # ms
MOST_ALERTS = 200
OUTLINE_POINTS, OUTLINE_SECONDS = 40, 30.0
MOST_TRIES = 6
FILLING_SECONDS = 2.0  # while there are fewer candles than wanted, more may come at any time


def producer(health: dict[str, Any]) -> dict[str, Any] | None:
    """The producer's metrics in GET /health's body; None where this instance has none."""
    return next((part["metrics"] for part in health.get("components", []) if part["name"] == "producer"), None)


def _by_symbol(ticks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = ticks.drop(columns="symbol").to_dict("records")
    return {
        str(symbol): {str(name): value for name, value in row.items()} for symbol, row in zip(ticks["symbol"], rows, strict=True)
    }


class Reader:
    """Shared by all viewers: many who look at one ticker cost one read."""

    def __init__(self, connection: Connection) -> None:
        self.settings = connection.settings
        self._store = AlertStore(connection.store, timeout=5.0)
        address, partitions = self.settings.cache.redis_url, self.settings.kafka.partitions
        self._cache = QuoteReader(address, prefix_of(self.settings), partitions) if address else None
        self._health_url = connection.health_url
        self._shared = Shared()

    def health(self) -> dict[str, Any]:
        """The body of GET /health; empty when nobody answers."""
        return self._shared("health", HEALTH_SECONDS, self._ask_health)

    def source(self) -> str:
        """The name in the tables of what is shown."""
        said = self.health().get("source")
        market = self.settings.market
        if said and (said in ("simulator", "yahoo") or sessions.is_replay(said)):
            return str(said)
        if market.source == "replay":
            return f"replay:{Path(market.replay_file).name.split('.')[0]}"
        return market.source if market.source == "simulator" else "yahoo"

    def tickers(self, source: str) -> list[str]:
        """The symbols to choose from: the settings', or the recording's."""
        if sessions.is_replay(source):
            return self._shared(("symbols", source), 5.0, lambda: self._store.symbols(source))
        return list(self.settings.market.tickers)

    def market(self, source: str, symbol: str) -> Market:
        """Its exchange, or the recording's."""
        return self._told(source, symbol)[0]

    def facts(self, symbol: str, fresh: float | None = None) -> Facts | None:
        """What is known of it now; None before the first data. Raises StockwatchError while the store cannot answer.

        fresh: how old (s) a shared answer may be; half a refresh by default.
        """
        source = self.source()
        age = min(self.settings.dashboard.live_refresh_seconds, 10) / 2 if fresh is None else fresh
        return self._shared(("facts", source, symbol), age, lambda: self._facts(source, symbol))

    def view(self, symbol: str) -> View | None:
        """facts(), candles_of() and line_of() as one, with the settings' candles and the whole session."""
        facts = self.facts(symbol)
        if facts is None:
            return None
        page = self.settings.dashboard
        shown = self.candles_of(facts, page.candle_minutes, page.candle_count)
        return View(**vars(facts), candles=shown, line=self.line_of(facts))

    def _facts(self, source: str, symbol: str) -> Facts | None:
        market, told = self._told(source, symbol)
        until = self._played_until(source)
        newest = None if until == 0 else self._store.latest_at(source, symbol, until)
        if newest is None:
            return None
        near = sessions.segments(market, newest - 1, newest - 1)
        if not len(near.open):
            near = sessions.segments(market, newest - 5 * sessions.DAY_MS, newest)
        shown = (int(near.open[near.session == near.session[-1]][0]), int(near.close[-1])) if len(near.open) else (0, 0)
        quote = self._quote(source, symbol, newest, until)
        now = newest if sessions.is_replay(source) else int(time.time() * 1000)
        price = float(quote["price"]) if quote else self._last_close(source, symbol, newest)
        status = sessions.status(market, now)
        return Facts(source, symbol, market, told.simulated, told.joins_late, now, newest, price, shown, quote, status)

    def _last_close(self, source: str, symbol: str, newest: int) -> float:
        """Of the newest bar, where no tick has come yet."""
        return float(self._store.bars(source, symbol, newest - 600_000, newest + 1)["close"].iloc[-1])

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
        bars = self._store.bars(facts.source, facts.symbol, start, facts.newest + 1)
        newest = candles.build(ticks, bars, near, minutes, baseline=baseline, joins_late=facts.joins_late)
        return newest if len(newest) else None

    def quotes(self, source: str, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick's fields (None, NaN or "" where one is absent): of the cache, the rest of the store."""
        found = self._cache.quotes(source, symbols) if self._cache else {}
        missing = [symbol for symbol in symbols if symbol not in found]
        return {**found, **_by_symbol(self._store.latest_ticks(source, missing))} if missing else found

    def _quote(self, source: str, symbol: str, newest: int, until: int | None) -> dict[str, Any]:
        """The newest tick: the cache's if it is not older than what is stored, nor beyond what a replay has played."""
        quote = self._cache.quotes(source, [symbol]).get(symbol) if self._cache else None
        if quote is not None and quote["at"] >= newest and (until is None or quote["at"] < until):
            return quote
        return _by_symbol(self._store.latest_ticks(source, [symbol], until).assign(symbol=symbol)).get(symbol, {})

    def candles(self, source: str, symbol: str, market: Market, newest: int, *, joins_late: bool) -> pd.DataFrame:
        """The last candle_count candles, read anew. Only their window is read, and a longer one while that holds too few."""
        page = self.settings.dashboard
        return self._read(source, symbol, market, newest, page.candle_minutes, page.candle_count, joins_late=joins_late)

    def _candles(self, facts: Facts, minutes: int, count: int) -> pd.DataFrame:
        of = facts.source, facts.symbol, facts.market, facts.newest
        return self._read(*of, minutes, count, joins_late=facts.joins_late)

    def _read(
        self, source: str, symbol: str, market: Market, newest: int, minutes: int, wanted: int, *, joins_late: bool
    ) -> pd.DataFrame:
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
        ticks = self._store.line(source, symbol, start, newest + 1, step)
        first = int(ticks["at"].iloc[0]) if len(ticks) else newest
        bars = self._store.bars(source, symbol, start, first)
        closes = pd.DataFrame({"at": bars["start"] + bars["minutes"] * 60_000, "price": bars["close"]})
        return pd.concat([closes[closes["at"] < first], ticks], ignore_index=True)

    def alerts(self, source: str) -> list[Alert]:
        """The newest alerts, the newest first; of a replay only what it has come to."""
        until = self._played_until(source)
        if until == 0:
            return []
        return self._shared(("alerts", source), 1.0, lambda: self._store.alerts(source, end_ms=until, limit=MOST_ALERTS))

    def outline(self, facts: Facts) -> list[float]:
        """The session's price in about OUTLINE_POINTS values; may be half a minute old."""
        key = ("outline", facts.source, facts.symbol)

        def read() -> list[float]:
            line = self.line_of(facts)["price"]
            return [float(price) for price in line.iloc[:: max(len(line) // OUTLINE_POINTS, 1)]]

        return self._shared(key, OUTLINE_SECONDS, read)

    def _told(self, source: str, symbol: str) -> tuple[Market, Instrument]:
        def read() -> tuple[Market, Instrument]:
            brought = self._store.instrument(source, symbol) if sessions.is_replay(source) else None
            return sessions.market_for(source, symbol, brought), sessions.told_of(source, symbol, brought)

        return self._shared(("market", source, symbol), 60.0, read)

    def _played_until(self, source: str) -> int | None:
        """A replay's own now (ms), not included: what an earlier start has stored beyond it is not shown. None: no such limit.

        0: it has not begun. Without a producer in this instance everything that is stored is shown.
        """
        told = producer(self.health())
        if not sessions.is_replay(source) or told is None:
            return None
        return int(told["now"]) + 1 if told.get("now") else 0

    def _ask_health(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(self._health_url, timeout=1.0) as answer:  # noqa: S310 - always http on loopback
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:  # 503: it answers, and not all is well
            return dict(json.load(error))
        except (OSError, ValueError):
            return {}
