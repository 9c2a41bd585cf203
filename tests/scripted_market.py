"""A market with a script, for the loopback Yahoo: every trade is made up beforehand, so what is true is known.

A quote is the last trade; a bar is made of all trades of its minute. So polls and bars disagree as Yahoo's do: a poll each
10 s misses the highest and lowest trades in between, and sees a volume in the middle of a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from yahoo_stub import Row, quote

from stockwatch import sessions
from stockwatch.sessions import DAY_MS, Segments


class ScriptedMarket:
    """Trades of each symbol in its own exchange's sessions of [start, end). `now` (s, UTC): nothing later is told."""

    def __init__(self, symbols: list[str], start: int, end: int, now: Callable[[], float], seed: int = 1) -> None:
        self._now = now
        self.markets = {symbol: sessions.market_of(symbol) for symbol in symbols}
        self.trades: dict[str, pd.DataFrame] = {}
        for number, symbol in enumerate(symbols):
            near = sessions.segments(self.markets[symbol], start * 1000, end * 1000 - 1)
            self.trades[symbol] = _trades(near, np.random.default_rng(seed + number), 100.0 + 50 * number)
        self.closed: set[str] = set()  # symbols whose market Yahoo calls closed, whatever the calendar says
        self.changed: dict[tuple[str, int], float] = {}  # (symbol, minute's start in s): its high, corrected

    def zone(self, symbol: str) -> str:
        return str(self.markets[symbol].timezone)

    def periods(self, symbol: str, start: int, end: int) -> list[tuple[int, int]]:
        """One a session, as Yahoo gives them: from its open to its close, over the lunch."""
        near = sessions.segments(self.markets[symbol], start * 1000, max(end, start + 1) * 1000)
        whole = pd.DataFrame(near._asdict()).groupby("session").agg(open=("open", "min"), close=("close", "max"))
        return [(opened // 1000, closed // 1000) for opened, closed in whole.itertuples(index=False)]

    def quotes(self, symbols: list[str]) -> list[dict[str, Any]]:
        """The last trade of each known symbol, and whether it trades."""
        found, now = [], int(self._now() * 1000)
        for symbol in symbols:
            if symbol not in self.trades:
                continue
            seen = self.trades[symbol]
            seen = seen[seen["at"] <= now]
            if seen.empty:
                continue
            last = seen.iloc[-1]
            is_open = sessions.status(self.markets[symbol], now).is_open and symbol not in self.closed
            more = {"marketState": "REGULAR" if is_open else "CLOSED", "exchangeDataDelayedBy": 0}
            found.append(quote(symbol, int(last["at"]) // 1000, float(last["price"]), int(last["day_volume"]), **more))
        return found

    def bars(self, symbol: str, start: int, end: int, minutes: int) -> list[Row]:
        """All trades of each minute so far; the forming one too, as Yahoo gives it."""
        whole = self.candles(symbol, minutes, int(self._now() * 1000))
        chosen = whole[(whole.index >= start * 1000) & (whole.index < end * 1000)]
        columns = (chosen.index // 1000, chosen["open"], chosen["high"], chosen["low"], chosen["close"], chosen["volume"])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def candles(self, symbol: str, minutes: int, until_ms: int) -> pd.DataFrame:
        """What is true: candles of `minutes` from all trades up to a moment, by start (ms). NSE opens on a whole 5 minutes."""
        trades = self.trades[symbol]
        trades = trades[trades["at"] <= until_ms]
        width = minutes * 60_000
        bins = trades["open"] + (trades["at"] - trades["open"]) // width * width
        made = trades.groupby(bins).agg(
            open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"), volume=("size", "sum")
        )
        for (name, minute), high in self.changed.items():
            if name == symbol:
                place = made.index[made.index <= minute * 1000][-1]
                made.loc[place, "high"] = max(float(made.loc[place, "high"]), high)
        return made


def _trades(near: Segments, chance: np.random.Generator, level: float) -> pd.DataFrame:
    """About one trade a second, none in some minutes: at (ms, whole seconds), price, size, day_volume, open of its segment."""
    parts = []
    for opened, closed, session in zip(*(column.tolist() for column in near), strict=True):
        at = np.arange(opened, min(closed, opened + DAY_MS), 1000)
        kept = (chance.random(len(at)) < 0.8) & (chance.random(len(at) // 60 + 1)[np.arange(len(at)) // 60] < 0.97)
        at = at[kept]
        price = np.round(level + np.cumsum(chance.normal(0, 0.03, len(at))), 2)
        size = chance.integers(1, 200, len(at))
        parts.append(pd.DataFrame({"at": at, "price": price, "size": size, "open": opened, "session": session}))
        level = float(price[-1])
    whole = pd.concat(parts, ignore_index=True)
    whole["day_volume"] = whole.groupby("session")["size"].cumsum()
    return whole
