"""What is new in the store, asked by the page many times a second: one query for all symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stockwatch.store import FOREVER, OPTIONAL, _query
from stockwatch.store.alerts import AlertStore
from stockwatch.store.trouble import named_trouble

NAMES = ("price", "day_volume", *OPTIONAL)


class PageStore(AlertStore):
    """A Store with the alerts, and with what is new."""

    def news(self, source: str, symbols: Sequence[str], start_ms: int, end_ms: int | None = None) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick in [start, end), NaN or "" for what it lacks; those without one are left out.

        `ingested` is when (ms) the last of its ticks in there was stored, which may be another one: it tells of late ticks.
        """
        end = FOREVER[1] if end_ms is None else end_ms
        parameters = {"source": source, "symbols": list(symbols), "start": start_ms, "end": end}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("news"), parameters=parameters).result_rows
        return {
            symbol: {"at": at, "ingested": ingested, **dict(zip(NAMES, newest, strict=True))}
            for symbol, at, ingested, newest in rows
        }
