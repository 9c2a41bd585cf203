"""What is new in the store, asked by the page many times a second: one query for all symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from stockwatch.store import OPTIONAL, _query
from stockwatch.store.alerts import AlertStore
from stockwatch.store.trouble import named_trouble

NAMES = ("price", "day_volume", *OPTIONAL)
MOST_NEWS = 3_000  # ticks of a symbol in one answer; new_ticks.sql has it too


class NewTick(NamedTuple):
    """A tick and where it comes from. They sort as prices.sql does."""

    at: int  # ms
    day_volume: int
    offset: int
    price: float
    stored: int = 0  # when (ms, the store's clock)
    bid: float = math.nan
    ask: float = math.nan
    previous_close: float = math.nan
    day_open: float = math.nan
    day_high: float = math.nan
    day_low: float = math.nan
    currency: str = ""

    @property
    def identity(self) -> tuple[int, int, float]:
        """As the table's, within a symbol."""
        return self.at, self.day_volume, self.price

    @property
    def quote(self) -> dict[str, Any]:
        """As news() tells it."""
        return {"at": self.at, "ingested": self.stored, **{name: getattr(self, name) for name in NAMES}}


class PageStore(AlertStore):
    """A Store with the alerts, and with what is new."""

    def news(self, source: str, symbols: Sequence[str], start_ms: int, end_ms: int) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick in [start, end), NaN or "" for what it lacks; those without one are left out.

        `ingested` is when (ms) the last of its ticks in there was stored, which may be another one: it tells of late ticks.
        """
        parameters = {"source": source, "symbols": list(symbols), "start": start_ms, "end": end_ms}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("news"), parameters=parameters).result_rows
        return {
            symbol: {"at": at, "ingested": ingested, **dict(zip(NAMES, newest, strict=True))}
            for symbol, at, ingested, newest in rows
        }

    def new_ticks(self, source: str, symbols: Sequence[str], start_ms: int, stored_since: int) -> dict[str, list[NewTick]]:
        """Symbol → its ticks from `start` on that were stored from `stored_since` (ms, the store's clock) on, the newest first.

        MOST_NEWS of a symbol at most, the newest; symbols without any are left out.
        """
        parameters = {"source": source, "symbols": list(symbols), "start": start_ms, "stored_since": stored_since}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("new_ticks"), parameters=parameters).result_rows
        found: dict[str, list[NewTick]] = {}
        for symbol, *tick in rows:
            found.setdefault(symbol, []).append(NewTick(*tick))
        return found

    def bars_stored(self, source: str, symbol: str) -> int:
        """When the newest of its bars was stored (ms, the store's clock); 0 without any."""
        return self._number("bars_stored", source, symbol) or 0
