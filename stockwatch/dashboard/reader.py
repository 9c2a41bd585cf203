"""What the page shows, composed of store, sessions and candles; short-lived answers are shared between all who ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from stockwatch import sessions
from stockwatch.cache import QuoteReader, prefix_of
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.news import News, ask
from stockwatch.dashboard.prices import Prices
from stockwatch.sessions import Instrument, Market
from stockwatch.store.alerts import Alert
from stockwatch.store.news import PageStore
from stockwatch.tick import now_ms

HEALTH_SECONDS = 1.0
NEWS_MS = 60_000  # of the source's own time: ticks that are so much older than its newest are looked for one symbol at a time
NEWER_BARS_SECONDS = 5.0  # between two looks for bars that end after the newest tick: they come once a minute
CLOCK_SECONDS = 1.0  # then what is known is made again, for its clock goes on
LOOK_SECONDS = 1.0  # at the latest the store is asked what is new, whatever the consumer says
MOST_ALERTS = 200


def producer(health: dict[str, Any]) -> dict[str, Any] | None:
    """The producer's metrics in GET /health's body; None where this instance has none."""
    return next((part["metrics"] for part in health.get("components", []) if part["name"] == "producer"), None)


def _by_symbol(ticks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    rows = ticks.drop(columns="symbol").to_dict("records")
    return {
        str(symbol): {str(name): value for name, value in row.items()} for symbol, row in zip(ticks["symbol"], rows, strict=True)
    }


class Reader(Prices):
    """Shared by all viewers: many who look at one ticker cost one read."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.settings, PageStore(connection.store, timeout=5.0))
        address, partitions = self.settings.cache.redis_url, self.settings.kafka.partitions
        self._cache = QuoteReader(address, prefix_of(self.settings), partitions) if address else None
        self._health_url = connection.health_url
        self._news = News(connection.health_url, partitions, lambda: self.heard())
        self.heard: Callable[[], None] = lambda: None  # called when something was stored, while somebody looks
        self._looked: dict[str, tuple[Any, float, dict[str, dict[str, Any]]]] = {}  # source → at which mark, when, what was found
        self._newest: dict[str, int] = {}  # source → the newest tick's time (ms)
        self._known: dict[tuple[str, str], tuple[tuple[Any, ...], float, Facts]] = {}  # of which tick, made when (monotonic)

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
            return sessions.replay_source(Path(market.replay_file))
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

        fresh: how old (s) a shared answer may be; half a refresh by default. While nothing is new it is the same object for
        CLOCK_SECONDS.
        """
        source = self.source()
        age = min(self.settings.dashboard.live_refresh_seconds, 10) / 2 if fresh is None else fresh
        at_once = 0 < age < LOOK_SECONDS and not sessions.is_replay(source)  # a replay's now goes on by itself

        def good(_kept: Any) -> float:
            return 0.0 if at_once and self._is_news(source) else age

        quote = self._shared(("quotes", source), good, lambda: self._look(source, at_once=at_once)).get(symbol)
        if quote is None:
            return self._shared(("facts", source, symbol), age, lambda: self._facts(source, symbol, {}))
        tick = tuple(quote.get(name) for name in ("at", "price", "day_volume", "ingested"))
        known = self._known.get((source, symbol))
        if known is None or known[0] != tick or not age or time.monotonic() - known[1] > CLOCK_SECONDS:
            facts = self._facts(source, symbol, quote)
            if facts is None:
                return None
            known = self._known[source, symbol] = tick, time.monotonic(), facts
        return known[2]

    def _facts(self, source: str, symbol: str, quote: dict[str, Any]) -> Facts | None:
        """quote: the newest tick where it is known already."""
        market, told = self._told(source, symbol)
        until = self._played_until(source)
        read = partial(self._store.latest_at, source, symbol, until)
        newest = (
            None
            if until == 0
            else self._shared(("newest", source, symbol), NEWER_BARS_SECONDS if quote and until is None else 0.0, read)
        )
        if newest is None:
            return None
        if not quote or quote["at"] < newest - NEWS_MS:
            quote = self._quote(source, symbol, newest, until)
            if quote:  # then the next look for what is new reaches back to it
                self._newest[source] = max(self._newest.get(source, 0), int(quote["at"]))
        newest = max(newest, int(quote["at"])) if quote else newest
        near = sessions.segments(market, newest - 1, newest - 1)
        if not len(near.open):
            near = sessions.segments(market, newest - 5 * sessions.DAY_MS, newest)
        shown = (int(near.open[near.session == near.session[-1]][0]), int(near.close[-1])) if len(near.open) else (0, 0)
        now = newest if sessions.is_replay(source) else now_ms()
        price = float(quote["price"]) if quote else self._last_close(source, symbol, newest)
        status = sessions.status(market, now)
        return Facts(source, symbol, market, told.simulated, told.joins_late, now, newest, price, shown, quote, status)

    def _last_close(self, source: str, symbol: str, newest: int) -> float:
        """Of the newest bar, where no tick has come yet."""
        return float(self._store.bars(source, symbol, newest - 600_000, newest + 1)["close"].iloc[-1])

    def _is_news(self, source: str) -> bool:
        """Whether something was stored since the last look, as far as that is known."""
        return self._news.mark() not in (None, self._looked[source][0])

    def _look(self, source: str, *, at_once: bool) -> dict[str, dict[str, Any]]:
        """quotes() of all tickers; those of the last look while the consumer has stored nothing since."""
        mark = self._news.mark() if at_once else None
        known, now = self._looked.get(source), time.monotonic()
        if known is not None and mark is not None and known[0] == mark and now - known[1] < LOOK_SECONDS:
            return known[2]
        found = self.quotes(source, self.tickers(source))
        self._looked[source] = mark, now, found
        return found

    def quotes(self, source: str, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick's fields (None, NaN or "" where one is absent): of the cache, the rest of the store.

        Symbols whose newest tick is NEWS_MS older than the newest of all may be left out.
        """
        until = self._played_until(source)
        cached = self._cache.quotes(source, symbols) if self._cache else {}
        found = {symbol: quote for symbol, quote in cached.items() if until is None or quote["at"] < until}
        missing = [symbol for symbol in symbols if symbol not in found]
        if missing and until != 0:
            now = until or now_ms()
            start = min(self._newest.get(source, now), now) - NEWS_MS
            if until is None:
                told = self._store.new_ticks(source, missing, start, self._tails.stored_since(source, missing))
                self._tails.add(source, missing, told, start)
                found.update(self._tails.quotes(source, missing, start))
            else:
                found.update(self._store.news(source, missing, start, until))
        if found:
            self._newest[source] = max(int(quote["at"]) for quote in found.values())
        return found

    def _quote(self, source: str, symbol: str, newest: int, until: int | None) -> dict[str, Any]:
        """The newest tick: the cache's if it is not older than what is stored, nor beyond what a replay has played."""
        quote = self._cache.quotes(source, [symbol]).get(symbol) if self._cache else None
        if quote is not None and quote["at"] >= newest and (until is None or quote["at"] < until):
            return quote
        return _by_symbol(self._store.latest_ticks(source, [symbol], until).assign(symbol=symbol)).get(symbol, {})

    def alerts(self, source: str) -> list[Alert]:
        """The newest alerts, the newest first; of a replay only what it has come to."""
        until = self._played_until(source)
        if until == 0:
            return []
        return self._shared(("alerts", source), 1.0, lambda: self._store.alerts(source, end_ms=until, limit=MOST_ALERTS))

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
        return ask(self._health_url, 1.0)
