"""What is new in the store, asked by the page many times a second: one query for all symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from stockwatch.store import FOREVER, OPTIONAL, _query
from stockwatch.store.alerts import AlertStore
from stockwatch.store.trouble import named_trouble

NAMES = ("price", "day_volume", *OPTIONAL)
MOST_NEWS = 3_000  # ticks of a symbol in one answer; news.sql has it too


class NewTick(NamedTuple):
    """What charts need of a tick. They sort as prices.sql does."""

    at: int  # ms
    day_volume: int
    offset: int
    price: float

    @property
    def identity(self) -> tuple[int, int, float]:
        """As the table's, within a symbol."""
        return self.at, self.day_volume, self.price


class PageStore(AlertStore):
    """A Store with the alerts, and with what is new."""

    def news(
        self, source: str, symbols: Sequence[str], start_ms: int, end_ms: int | None = None, stored_since: int | None = None
    ) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick in [start, end), NaN or "" for what it lacks; those without one are left out.

        `ingested` is when (ms) the last of its ticks in there was stored, which may be another one: it tells of late ticks.
        `news`: those that were stored from `stored_since` (ms, the store's clock) on, in no order, MOST_NEWS at most.
        None: none.
        """
        end = FOREVER[1] if end_ms is None else end_ms
        since = FOREVER[1] if stored_since is None else stored_since
        parameters = {"source": source, "symbols": list(symbols), "start": start_ms, "end": end, "stored_since": since}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("news"), parameters=parameters).result_rows
        return {
            symbol: {
                "at": at,
                "ingested": ingested,
                "news": [NewTick(*tick) for tick in news],
                **dict(zip(NAMES, newest, strict=True)),
            }
            for symbol, at, ingested, newest, news in rows
        }

    def bars_stored(self, source: str, symbol: str) -> int:
        """When the newest of its bars was stored (ms, the store's clock); 0 without any."""
        return self._number("bars_stored", source, symbol) or 0
