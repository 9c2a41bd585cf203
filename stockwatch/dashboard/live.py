"""One reader for all viewers: composes store, sessions and candles; short-lived answers are shared between sessions."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from stockwatch import candles, sessions
from stockwatch.dashboard.connection import Connection
from stockwatch.sessions import Instrument, Market, SessionStatus
from stockwatch.store import Store

T = TypeVar("T")
HEALTH_SECONDS = 1.0
LINE_POINTS = 1500
MOST_TRIES = 6
FILLING_SECONDS = 2.0  # while there are fewer candles than wanted, more may come at any time


@dataclass(frozen=True)
class View:
    """Everything that the page shows of one ticker. Times are ms since the epoch, UTC."""

    source: str
    symbol: str
    market: Market
    simulated: bool
    now: int
    candles: pd.DataFrame
    line: pd.DataFrame
    session: tuple[int, int]  # open and close of the session that the line shows
    quote: dict[str, Any]
    status: SessionStatus

    @property
    def is_replay(self) -> bool:
        """Whether it is a recording, whose now is its own."""
        return sessions.is_replay(self.source)


def producer(health: dict[str, Any]) -> dict[str, Any] | None:
    """The producer's metrics in GET /health's body; None where this instance has none."""
    return next((part["metrics"] for part in health.get("components", []) if part["name"] == "producer"), None)


class Reader:
    """Shared by all sessions; locked by key, so that many viewers of one ticker cost one read."""

    def __init__(self, connection: Connection) -> None:
        self.settings = connection.settings
        self._store = Store(connection.store, timeout=5.0)
        self._health_url = connection.health_url
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}
        self._kept: dict[Any, tuple[float, Any]] = {}

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

    def view(self, symbol: str) -> View | None:
        """What is to be shown now; None before the first data. Raises StockwatchError while the store cannot answer."""
        source = self.source()
        refresh = self.settings.dashboard.live_refresh_seconds
        return self._shared(("view", source, symbol), min(refresh, 10) / 2, lambda: self._read(source, symbol))

    def _read(self, source: str, symbol: str) -> View | None:
        market, told = self._shared(("market", source, symbol), 60.0, lambda: self._market(source, symbol))
        until = self._played_until(source)
        newest = None if until == 0 else self._store.latest_at(source, symbol, until)
        if newest is None:
            return None
        page = self.settings.dashboard
        width = page.candle_minutes * 60_000
        # Candles are read again each candle_refresh_seconds, and when one closes: a new bin makes a new key.
        key = ("candles", source, symbol, newest // width)
        shown = self._shared(
            key,
            lambda made: page.candle_refresh_seconds if len(made) >= page.candle_count else FILLING_SECONDS,
            lambda: self.candles(source, symbol, market, newest, joins_late=told.joins_late),
        )
        last = self._store.latest_ticks(source, [symbol], until)
        quote = {str(name): value for name, value in last.iloc[0].items()} if len(last) else {}
        near = sessions.segments(market, newest - 1, newest - 1)
        if not len(near.open):
            near = sessions.segments(market, newest - 5 * sessions.DAY_MS, newest)
        opened, closed = (int(near.open[near.session == near.session[-1]][0]), int(near.close[-1])) if len(near.open) else (0, 0)
        line = self._line(source, symbol, opened, newest)
        now = newest if sessions.is_replay(source) else int(time.time() * 1000)
        return View(
            source, symbol, market, told.simulated, now, shown, line, (opened, closed), quote, sessions.status(market, now)
        )

    def candles(self, source: str, symbol: str, market: Market, newest: int, *, joins_late: bool) -> pd.DataFrame:
        """The last candle_count candles. Reads only their window, and a longer one while that holds too few."""
        page = self.settings.dashboard
        wanted = page.candle_count
        for attempt in range(MOST_TRIES):
            start = sessions.window_start(market, newest, page.candle_minutes, wanted * 2**attempt)
            near = sessions.segments(market, start, newest)
            opened = near.open[near.open <= start]
            baseline = self._store.baseline_volume(source, symbol, int(opened[0]), start) if len(opened) else None
            made = candles.build(
                self._store.prices(source, symbol, start, newest + 1),
                self._store.bars(source, symbol, start, newest + 1),
                near,
                page.candle_minutes,
                count=wanted,
                baseline=baseline,
                joins_late=joins_late,
            )
            if len(made) >= wanted or start <= (self._store.earliest_at(source, symbol) or 0):
                break
        return made

    def _line(self, source: str, symbol: str, start: int, newest: int) -> pd.DataFrame:
        """The session's price: ticks, and before the first of them the closes of bars."""
        earliest = self._shared(("earliest", source, symbol), 60.0, lambda: self._store.earliest_at(source, symbol))
        step = max((newest - max(start, earliest or start)) // LINE_POINTS, 1)
        ticks = self._store.line(source, symbol, start, newest + 1, step)
        first = int(ticks["at"].iloc[0]) if len(ticks) else newest
        bars = self._store.bars(source, symbol, start, first)
        closes = pd.DataFrame({"at": bars["start"] + bars["minutes"] * 60_000, "price": bars["close"]})
        return pd.concat([closes[closes["at"] < first], ticks], ignore_index=True)

    def _market(self, source: str, symbol: str) -> tuple[Market, Instrument]:
        instrument = self._store.instrument(source, symbol) if sessions.is_replay(source) else None
        return sessions.market_for(source, symbol, instrument), sessions.told_of(source, symbol, instrument)

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

    def _shared(self, key: Any, seconds: float | Callable[[T], float], read: Callable[[], T]) -> T:
        """The answer of `read`, kept for `seconds` (which may depend on it) and shared; one reader at a time for each key."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            if kept and time.monotonic() < kept[0]:
                answer: T = kept[1]
                return answer
            answer = read()
            with self._lock:
                if len(self._kept) > 500:  # candles leave a key each bin
                    now = time.monotonic()
                    self._kept = {name: item for name, item in self._kept.items() if item[0] > now}
                    self._locks = {name: item for name, item in self._locks.items() if name in self._kept}
                keep = seconds(answer) if callable(seconds) else seconds
                self._kept[key] = (time.monotonic() + keep, answer)
            return answer
