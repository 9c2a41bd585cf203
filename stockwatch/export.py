"""Rows → CSV: ticks or candles of one symbol. Streamed in bounded memory; the file appears whole or not at all."""

from __future__ import annotations

import csv
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pandas as pd

from stockwatch import candles, sessions
from stockwatch.errors import UnavailableError
from stockwatch.sessions import Instrument, Market

CANDLE_COLUMNS = (
    "symbol", "source", "simulated", "time_utc", "time_exchange", "open", "high", "low", "close", "volume",
)  # fmt: skip
TICK_COLUMNS = (
    "symbol", "source", "simulated", "time_utc", "time_exchange", "price", "day_volume",
    "bid", "ask", "previous_close", "day_open", "day_high", "day_low", "currency",
)  # fmt: skip
WINDOW_DAYS = 5  # of candles at a time: what bounds the memory
Row = tuple[Any, ...]


class Rows(Protocol):
    """What export reads of the store (see Store)."""

    def prices(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame: ...
    def bars(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame: ...
    def earliest_at(self, source: str, symbol: str) -> int | None: ...
    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None: ...
    def iter_ticks(
        self, source: str, symbol: str | None, start_ms: int | None, end_ms: int | None, rows_per_frame: int = ...
    ) -> Iterator[pd.DataFrame]: ...


def candle_rows(
    store: Rows, told: Instrument, market: Market, minutes: int, start_ms: int | None, end_ms: int | None
) -> Iterator[Row]:
    """CANDLE_COLUMNS of every candle that starts in [start, end), some sessions at a time."""
    source, symbol = told.source, told.symbol
    first, last = store.earliest_at(source, symbol), store.latest_at(source, symbol)
    if first is None or last is None:
        return
    after = max(first, start_ms) if start_ms is not None else first
    before = last + 1 if end_ms is None else min(last + 1, end_ms + minutes * 60_000)  # the last candle is a whole one
    for begin, end in _windows(market, after, before):
        frame = candles.build(
            store.prices(source, symbol, begin, end),
            store.bars(source, symbol, begin, end),
            sessions.segments(market, begin, end - 1),
            minutes,
            joins_late=told.joins_late,
        )
        for start, *values in zip(*(frame[name].tolist() for name in ("start", *CANDLE_COLUMNS[5:])), strict=True):
            if (start_ms is None or start >= start_ms) and (end_ms is None or start < end_ms):
                yield (symbol, source, told.simulated, _utc(start), _local(start, market.timezone), *values)


def _windows(market: Market, after: int, before: int) -> list[tuple[int, int]]:
    """[after, before) in pieces of whole sessions, so that volume begins at 0 and no candle is cut in two."""
    near = sessions.segments(market, after, before)
    begins = sorted({int(near.open[near.session == session].min()) for session in near.session})
    begins = [min(begin, int(session)) for begin, session in zip(begins, sorted(set(near.session.tolist())), strict=True)]
    cuts = [min([after, *begins[:1]]), *begins[1:][WINDOW_DAYS - 1 :: WINDOW_DAYS], before]
    return list(itertools.pairwise(cuts))


def tick_rows(store: Rows, told: Instrument, market: Market, start_ms: int | None, end_ms: int | None) -> Iterator[Row]:
    """TICK_COLUMNS of every tick in [start, end)."""
    for frame in store.iter_ticks(told.source, told.symbol, start_ms, end_ms):
        plain = frame.astype("object").where(frame.notna(), None)
        for tick in plain.to_dict("records"):
            times = (_utc(tick["at"]), _local(tick["at"], market.timezone))
            yield (told.symbol, told.source, told.simulated, *times, *(tick[name] for name in TICK_COLUMNS[5:]))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Row], check: Callable[[], None] = lambda: None) -> int:
    """Write a CSV beside `path`, then put it in its place; how many rows. Raises UnavailableError when it cannot be written."""
    path = path.resolve()  # through a link, to what it names
    if path.exists() and not path.is_file():
        raise UnavailableError(f"--out: {path} cannot be written: it is no regular file")
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise UnavailableError(f"--out: {path} cannot be written: {error.strerror}") from error
    part = Path(name)
    try:
        count = 0
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for row in rows:
                writer.writerow(["" if value is None else value for value in row])
                count += 1
            file.flush()
            os.fsync(file.fileno())
        check()
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise UnavailableError(f"--out: {path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _local(at_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(timespec="milliseconds")
