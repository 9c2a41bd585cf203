"""The exported columns, as Arrow. With pyarrow, which takes 36 MB and a moment: it is loaded with the first export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from stockwatch.sessions import Instrument

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
QUARTER_MS = 900_000  # zones change their offset at a quarter of an hour, UTC
Int64s = npt.NDArray[np.int64]


def batch_of(schema: pa.Schema, told: Instrument, zone: ZoneInfo, at: Int64s, frame: pd.DataFrame) -> pa.RecordBatch:
    """The frame's rows, which begin at `at` (ms since the epoch), as TICKS or CANDLES."""
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
