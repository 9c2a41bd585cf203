"""Yahoo by polling: one bulk request for all tickers each poll_seconds. The time of a tick is the exchange's."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from stockwatch.component import Backoff, call_with_deadline
from stockwatch.errors import RetryableError, SourceError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources.yahoo_session import RateLimitedError, YahooSession
from stockwatch.tick import Bar, Tick

NAME = "yahoo"
POLL_DEADLINE_SECONDS = 26.0  # cookie, crumb and quote, each clamped to 8 s
LIMITED_FIRST_SECONDS, LIMITED_LONGEST_SECONDS = 30.0, 600.0
WAIT_SECONDS = 1.0
OPTIONAL = {
    "bid": "bid",
    "ask": "ask",
    "previous_close": "regularMarketPreviousClose",
    "day_open": "regularMarketOpen",
    "day_high": "regularMarketDayHigh",
    "day_low": "regularMarketDayLow",
}


class YahooPoll:
    """A Source. A poll that hangs is left behind in its thread, and no second one is sent before it is done."""

    name = NAME

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.symbols = settings.market.tickers
        self._settings, self._clock = settings, clock
        self._seconds = settings.market.poll_seconds
        self._session: YahooSession | None = None
        self._next = 0.0
        self._hanging = threading.Lock()  # held by the one poll that is under way
        self._limited = Backoff(LIMITED_FIRST_SECONDS, LIMITED_LONGEST_SECONDS)
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._told: dict[str, Metric] = {}
        self._unknown: list[str] = []

    @property
    def detail(self) -> str:
        """How it asks, and whom Yahoo does not know."""
        streaming = "streaming is not built yet, so " if self._settings.market.source == "yahoo-stream" else ""
        said = f"{streaming}Yahoo is asked every {self._seconds:g} s"
        return f"{said}; unknown to Yahoo: {', '.join(self._unknown)}" if self._unknown else said

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Requests, unknown tickers, Yahoo's delay, each market's state and each company's name."""
        return {"requests": self._session.requests if self._session else 0, **self._told}

    def instruments(self) -> list[Instrument]:
        """None: Yahoo's calendars follow from the symbols."""
        return []

    def close(self) -> None:
        """Left to the process: closing under a poll that hangs would wait for it."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """What has changed since the last poll, once the next one is due."""
        wait = self._next - self._clock()
        if wait > 0:
            stopping.wait(min(wait, WAIT_SECONDS))
            return []
        self._next = self._clock() + self._seconds
        try:
            ticks = self._ticks(call_with_deadline(self._poll, POLL_DEADLINE_SECONDS, stopping, "Yahoo"))
        except RateLimitedError as error:
            self._next = 0.0  # the caller waits retry_after; then Yahoo is asked, and only its answer ends the trouble
            delay = self._limited.next_delay()
            raise SourceError(f"{error}; asking again in {delay:.0f} s", retry_after=delay) from error
        except RetryableError as error:
            self._next = 0.0
            raise SourceError(str(error), retry_after=error.retry_after or min(self._seconds, 10)) from error
        self._limited.reset()
        return ticks

    def _poll(self) -> list[dict[str, Any]]:
        """In a thread that may be left behind."""
        if not self._hanging.acquire(blocking=False):
            raise SourceError("Yahoo has not answered the last request yet")
        try:
            if self._session is None:
                self._session = YahooSession(self._settings)
            return self._session.quotes(self.symbols)
        finally:
            self._hanging.release()

    def _ticks(self, quotes: list[dict[str, Any]]) -> list[Tick | Bar]:
        ticks: list[Tick | Bar] = []
        for quote in quotes:
            tick = tick_of(quote)
            if tick is None:
                continue
            state = (tick.at, tick.day_volume, tick.price)
            if self._seen.get(tick.symbol) != state:
                self._seen[tick.symbol] = state
                ticks.append(tick)
        known = {quote.get("symbol") for quote in quotes if tick_of(quote) is not None}
        self._unknown = [symbol for symbol in self.symbols if symbol not in known]
        named = [quote for quote in quotes if quote.get("symbol") in known]
        self._told = {
            "unknown": self._unknown,
            "delay_minutes": {quote["symbol"]: quote.get("exchangeDataDelayedBy", 0) for quote in named},
            "market_states": {quote["symbol"]: quote.get("marketState", "") for quote in named},
            "names": {quote["symbol"]: quote.get("shortName", "") for quote in named},
        }
        return ticks


def tick_of(quote: dict[str, Any]) -> Tick | None:
    """A quote of Yahoo's as a Tick; None where price or time is missing or no number."""
    at, price = _number(quote.get("regularMarketTime")), _number(quote.get("regularMarketPrice"))
    symbol = quote.get("symbol")
    if not at or not price or price <= 0 or not isinstance(symbol, str):
        return None
    optional = {name: value for name, key in OPTIONAL.items() if (value := _number(quote.get(key)))}
    volume = max(int(_number(quote.get("regularMarketVolume")) or 0), 0)
    currency = quote.get("currency")
    return Tick(symbol, int(at * 1000), price, volume, NAME, **optional, currency=currency if isinstance(currency, str) else None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
