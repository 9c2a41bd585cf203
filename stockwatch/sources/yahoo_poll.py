"""Yahoo by polling: one bulk request for all tickers each poll_seconds. The time of a tick is the exchange's."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stockwatch import sessions
from stockwatch.component.call import LOOK_SECONDS, Call
from stockwatch.errors import RetryableError, SourceError
from stockwatch.health import Metric
from stockwatch.settings import Settings
from stockwatch.tick import Tick, now_ms

NAME = "yahoo"
POLL_DEADLINE_SECONDS = 26.0  # cookie, crumb and quote, each clamped to 8 s
AGAIN_SECONDS = 10.0  # after a trouble, at the most
SLOW_SECONDS = 60.0  # while every market is closed
BEFORE_OPEN_MS = 150_000  # back to speed this long before the open, so that a slow poll may still be under way
WAIT_SECONDS = 1.0
OLD_SECONDS = 300.0  # then what Yahoo said of a market's state tells nothing of now
OPTIONAL = {
    "bid": "bid",
    "ask": "ask",
    "previous_close": "regularMarketPreviousClose",
    "day_open": "regularMarketOpen",
    "day_high": "regularMarketDayHigh",
    "day_low": "regularMarketDayLow",
}


class Quotes(Protocol):
    """What it asks of Yahoo (see YahooSession)."""

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]: ...


class YahooPoll:
    """Live ticks by asking. A poll that hangs is left behind in its thread, and no second one is sent before it is done.

    clock: monotonic seconds; wall: ms since the epoch. relaxed: set by the stream, which tells the same sooner.
    """

    def __init__(
        self,
        settings: Settings,
        session: Quotes,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = now_ms,
    ) -> None:
        self.symbols = settings.market.tickers
        self.relaxed = False
        self.answered = False  # whether Yahoo has ever answered
        self._session, self._clock, self._wall = session, clock, wall
        self._seconds = settings.market.poll_seconds
        self._next = 0.0
        self._asked: Call[list[dict[str, Any]]] | None = None
        self._began = 0.0
        self.troubled = False  # the last request was not answered
        self._told_at = 0.0  # when the last one was
        self._slow = False  # every market is closed
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._told: dict[str, Metric] = {}
        self.unknown: list[str] = []
        self.states: dict[str, str] = {}  # Yahoo's marketState by symbol
        self._delays: dict[str, float] = {}

    @property
    def detail(self) -> str:
        """How it asks."""
        if self._slow:
            return f"every market is closed: Yahoo is asked every {max(SLOW_SECONDS, self._seconds):g} s"
        return f"Yahoo is asked every {self._seconds:g} s"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Unknown tickers, Yahoo's delay, each market's state and each company's name."""
        return self._told

    def delay_ms(self, symbol: str) -> int:
        """By how much Yahoo's data of a symbol is late, as it says itself."""
        return int(self._delays.get(symbol, 0) * 60_000)

    def is_open(self, symbol: str) -> bool:
        """Whether a symbol trades now: Yahoo's own state, the calendar where that is missing."""
        state = self.states.get(symbol) if self._clock() - self._told_at < OLD_SECONDS else None
        return state == "REGULAR" if state else sessions.status(sessions.market_of(symbol), self._wall()).is_open

    def all_closed(self) -> bool:
        """Whether every known ticker's market is closed and none opens in a moment."""
        known = [symbol for symbol in self.symbols if symbol not in self.unknown]
        return not any(self.is_open(symbol) or self._opens_soon(symbol) for symbol in known)

    def _opens_soon(self, symbol: str) -> bool:
        now = self._wall()
        opens = sessions.status(sessions.market_of(symbol), now).opens_at
        return opens is not None and opens - now <= BEFORE_OPEN_MS

    def read(
        self, stopping: threading.Event, wait: float = WAIT_SECONDS, enough: Callable[[], bool] = lambda: False
    ) -> list[Tick]:
        """What has changed since the last poll, once it is due and answered; waits for that at most `wait` seconds.

        After a trouble it waits for the answer: only that ends the trouble. Raises SourceError, with retry_after.
        """
        if self._asked is None:
            left = self._next - self._clock()
            if left > 0:
                for _look in range(math.ceil(min(left, wait) / LOOK_SECONDS)):
                    if enough() or stopping.wait(LOOK_SECONDS):
                        break
                return []
            self._began = self._clock()
            self._asked = Call(lambda: self._session.quotes(self.symbols), "asking Yahoo")
        patience = POLL_DEADLINE_SECONDS if self.troubled and wait else wait
        if not self._asked.wait(patience, lambda: stopping.is_set() or enough()):
            if self._clock() - self._began >= POLL_DEADLINE_SECONDS:
                self.troubled = True
                raise SourceError("Yahoo has not answered the last request yet", retry_after=AGAIN_SECONDS)
            return []
        asked, self._asked = self._asked, None
        try:
            quotes = asked.result()
        except RetryableError as error:
            self.troubled = True
            wait_for = error.retry_after or min(self._seconds, AGAIN_SECONDS)
            self._next = self._clock() + (wait_for if self.relaxed else 0)  # a caller that is not relaxed waits by itself
            raise SourceError(str(error), retry_after=wait_for) from error
        self.troubled, self.answered, self._told_at = False, True, self._clock()
        ticks = self._ticks(quotes)
        self._slow = self.all_closed()
        self._next = self._began + (max(SLOW_SECONDS, self._seconds) if self._slow or self.relaxed else self._seconds)
        return ticks

    def hurry(self) -> None:
        """Ask at once, at the next read: the stream is lost."""
        self.relaxed, self._next = False, 0.0

    def _ticks(self, quotes: list[dict[str, Any]]) -> list[Tick]:
        ticks: list[Tick] = []
        known: dict[str, dict[str, Any]] = {}
        for quote in quotes:
            tick = tick_of(quote)
            if tick is None or tick.symbol not in self.symbols:
                continue
            known[tick.symbol] = quote
            state = (tick.at, tick.day_volume, tick.price)
            if self._seen.get(tick.symbol) != state:
                self._seen[tick.symbol] = state
                ticks.append(tick)
        self.unknown = [symbol for symbol in self.symbols if symbol not in known]
        self.states = {symbol: str(quote["marketState"]) for symbol, quote in known.items() if quote.get("marketState")}
        self._delays = {symbol: _number(quote.get("exchangeDataDelayedBy")) or 0 for symbol, quote in known.items()}
        self._told = {
            "unknown": self.unknown,
            "delay_minutes": self._delays,
            "market_states": self.states,
            "names": {symbol: quote.get("shortName", "") for symbol, quote in known.items()},
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
