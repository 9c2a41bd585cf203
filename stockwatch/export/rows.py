"""The store's rows as Arrow batches: ticks as they are stored, candles as the page builds them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from stockwatch import candles, sessions
from stockwatch.sessions import Instrument, Market

TEXT = pa.dictionary(pa.int32(), pa.string())
_HEAD = [
    pa.field("symbol", TEXT, nullable=False),
    pa.field("source", TEXT, nullable=False),
    pa.field("simulated", pa.bool_(), nullable=False),
    pa.field("time_utc", pa.timestamp("ms", "UTC"), nullable=False),
    pa.field("time_exchange", pa.timestamp("ms"), nullable=False),  # the exchange's wall clock; its zone stands in `about`
]
_MONEY = ("bid", "ask", "previous_close", "day_open", "day_high", "day_low")
TICKS = pa.schema(
    [
        *_HEAD,
        pa.field("price", pa.float64(), nullable=False),
        pa.field("day_volume", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64()) for name in _MONEY),
        pa.field("currency", TEXT),
    ]
)
CANDLES = pa.schema(
    [
        *_HEAD,
        *(pa.field(name, pa.float64(), nullable=False) for name in ("open", "high", "low", "close")),
        pa.field("volume", pa.int64(), nullable=False),
    ]
)
WINDOW_SESSIONS, WINDOW_TICKS = 5, 250_000  # of candles at a time, at most: what bounds the memory
QUARTER_MS = 900_000  # zones change their offset at a quarter of an hour, UTC
Int64s = npt.NDArray[np.int64]


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
    for frame in store.iter_ticks(told.source, told.symbol, start_ms, end_ms, rows_per_batch):
        if len(frame):
            yield _batch(TICKS, told, market.timezone, frame["at"].to_numpy(np.int64), frame)


def candle_batches(
    store: Rows, told: Instrument, market: Market, minutes: int, start_ms: int | None, end_ms: int | None
) -> Iterator[pa.RecordBatch]:
    """CANDLES of every candle that starts in [start, end), some sessions at a time: fewer where they hold many ticks."""
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
            yield _batch(CANDLES, told, market.timezone, made["start"].to_numpy(np.int64), made)
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


def _batch(schema: pa.Schema, told: Instrument, zone: ZoneInfo, at: Int64s, frame: pd.DataFrame) -> pa.RecordBatch:
    count = len(at)
    columns: list[pa.Array] = []
    for field in schema:
        if field.name in ("symbol", "source"):
            columns.append(pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [getattr(told, field.name)]))
        elif field.name == "simulated":
            columns.append(pa.array(np.full(count, told.simulated)))
        elif field.name == "time_utc":
            columns.append(pa.array(at).cast(field.type))
        elif field.name == "time_exchange":
            columns.append(pa.array(at + offsets(at, zone)).cast(field.type))
        elif field.type == TEXT:
            texts: list[Any] = [text or None for text in frame[field.name].tolist()]
            columns.append(pa.array(texts, pa.string()).dictionary_encode())
        elif field.type == pa.int64():
            columns.append(pa.array(frame[field.name].to_numpy(np.int64)))
        else:
            columns.append(pa.array(frame[field.name].to_numpy(np.float64), from_pandas=True))  # NaN: absent
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def offsets(at: Int64s, zone: ZoneInfo) -> Int64s:
    """What the zone's clock is ahead of UTC at each moment (ms); asked once for each quarter of an hour."""
    quarters, which = np.unique(at // QUARTER_MS, return_inverse=True)
    moments = (datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC).astimezone(zone) for quarter in quarters.tolist())
    ahead = [moment.utcoffset() for moment in moments]
    found: Int64s = np.array([round(offset.total_seconds() * 1000) if offset else 0 for offset in ahead], np.int64)[which]
    return found
