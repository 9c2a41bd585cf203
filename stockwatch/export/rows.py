"""The store's rows as Arrow batches: ticks as they are stored, candles as the page builds them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from stockwatch import candles, sessions
from stockwatch.sessions import Instrument, Market

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW_SESSIONS, WINDOW_TICKS = 5, 250_000  # of candles at a time, at most: what bounds the memory


class Rows(Protocol):
    """What export reads of the store (see Store)."""

    def prices(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame: ...
    def bars(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame: ...
    def earliest_at(self, source: str, symbol: str) -> int | None: ...
    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None: ...
    def symbols(self, source: str) -> list[str]: ...
    def sources(self) -> list[str]: ...
    def instrument(self, source: str, symbol: str) -> Instrument | None: ...
    def iter_ticks(
        self, source: str, symbol: str | None, start_ms: int | None, end_ms: int | None, rows_per_frame: int = ...
    ) -> Iterator[pd.DataFrame]: ...


def tick_batches(
    store: Rows, told: Instrument, market: Market, start_ms: int | None, end_ms: int | None, rows_per_batch: int
) -> Iterator[pa.RecordBatch]:
    """TICKS of every tick in [start, end), by time."""
    from stockwatch.export.columns import TICKS, batch_of

    for frame in store.iter_ticks(told.source, told.symbol, start_ms, end_ms, rows_per_batch):
        if len(frame):
            yield batch_of(TICKS, told, market.timezone, frame["at"].to_numpy(np.int64), frame)


def candle_batches(
    store: Rows, told: Instrument, market: Market, minutes: int, start_ms: int | None, end_ms: int | None
) -> Iterator[pa.RecordBatch]:
    """CANDLES of every candle that starts in [start, end), some sessions at a time: fewer where they hold many ticks."""
    from stockwatch.export.columns import CANDLES, batch_of

    source, symbol = told.source, told.symbol
    first, last = store.earliest_at(source, symbol), store.latest_at(source, symbol)
    if first is None or last is None:
        return
    after = max(first, start_ms) if start_ms is not None else first
    before = last + 1 if end_ms is None else min(last + 1, end_ms + minutes * 60_000)  # the last candle is a whole one
    low, high = -(2**62) if start_ms is None else start_ms, 2**62 if end_ms is None else end_ms
    cuts = _cuts(market, after, before)
    place, size = 0, 1
    while place < len(cuts) - 1:
        begin, end = cuts[place], cuts[min(place + size, len(cuts) - 1)]
        ticks = store.prices(source, symbol, begin, end)
        made = candles.build(
            ticks,
            store.bars(source, symbol, begin, end),
            sessions.segments(market, begin, end - 1),
            minutes,
            joins_late=told.joins_late,
        )
        made = made[(made["start"] >= low) & (made["start"] < high)]
        if len(made):
            yield batch_of(CANDLES, told, market.timezone, made["start"].to_numpy(np.int64), made)
        place += size
        size = max(1, min(WINDOW_SESSIONS, size * WINDOW_TICKS // max(len(ticks), 1)))


def _cuts(market: Market, after: int, before: int) -> list[int]:
    """Where [after, before) may be cut: before whole sessions, so that volume begins at 0 and no candle is cut in two."""
    if before <= after:
        return []
    near = sessions.segments(market, after, before)
    begins = sorted({int(near.open[near.session == session].min()) for session in near.session})
    begins = [min(begin, int(session)) for begin, session in zip(begins, sorted(set(near.session.tolist())), strict=True)]
    return [min([after, *begins[:1]]), *begins[1:], before]
