"""Arrow batches → the bytes of a CSV or a Parquet file, written as they come."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stockwatch.export.columns import TEXT, Int64s
from stockwatch.export.plan import refuse_formulas

ROW_GROUP = 131_072


class Sink(Protocol):
    """Where bytes go: a file that is open for writing, or what a download takes from."""

    def write(self, data: bytes, /) -> int: ...


class Writer(Protocol):
    """One file in the making. After close() it is whole; abandon() gives back what a writer holds without that."""

    def write(self, batch: pa.RecordBatch) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class Csv:
    """Both times as ISO texts with their offsets; what is absent is empty. Texts are as stored: none that is a formula passes."""

    def __init__(self, sink: Sink, schema: pa.Schema) -> None:
        self._sink = sink
        self._write([schema.names])

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Raises UnavailableError for a text that a spreadsheet would run."""
        for field, column in zip(batch.schema, batch.columns, strict=True):
            if field.type == TEXT:
                refuse_formulas([text for text in column.dictionary.to_pylist() if text])
        self._write(zip(*_cells(batch), strict=False))  # what is the same in every row is repeated without an end

    def _write(self, rows: Iterable[Iterable[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._sink.write(text.getvalue().encode())

    def close(self) -> None:
        """Nothing is left to write."""

    def abandon(self) -> None:
        """Nothing is held."""


class Parquet:
    """Typed: UTC and the exchange's clock as timestamps in ms, texts as dictionaries; about() in the metadata. zstd."""

    def __init__(self, sink: Sink, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd")
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; a row group is written when there are enough for it."""
        self._batches.append(batch.replace_schema_metadata(self._schema.metadata))
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches, self._schema).unify_dictionaries())
        self._batches, self._rows = [], 0

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Give back the writer; its footer goes nowhere any more."""
        self._batches = []
        with contextlib.suppress(OSError, pa.ArrowException):
            self._writer.close()


def same(column: pa.Array) -> tuple[Any] | None:
    """The one value of a whole column, or None where rows differ."""
    if column.null_count == len(column):
        return (None,)
    if pa.types.is_dictionary(column.type) and len(column.dictionary) == 1 and not column.null_count:
        return (column.dictionary[0].as_py(),)
    return None


def _cells(batch: pa.RecordBatch) -> list[Iterable[Any]]:
    utc = _ms(batch.column("time_utc"))
    cells: list[Iterable[Any]] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if field.name == "time_utc":
            cells.append(_iso(utc, np.zeros_like(utc)))
        elif field.name == "time_exchange":
            cells.append(_iso(_ms(column), _ms(column) - utc))
        elif (one := same(column)) is not None:
            cells.append(itertools.repeat(one[0]))
        else:
            cells.append(column.to_pylist())
    return cells


def _ms(column: pa.Array) -> Int64s:
    found: Int64s = column.cast(pa.int64()).to_numpy()
    return found


def _iso(wall: Int64s, ahead: Int64s) -> list[str]:
    """Wall clocks with what each is ahead of UTC: 2026-11-16T09:15:00.000+05:30."""
    texts = np.datetime_as_string(wall.astype("datetime64[ms]"), unit="ms")
    kinds, which = np.unique(ahead // 60_000, return_inverse=True)
    ends = [f"{'-' if kind < 0 else '+'}{abs(kind) // 60:02d}:{abs(kind) % 60:02d}" for kind in kinds.tolist()]
    found: list[str] = np.char.add(texts, np.array(ends)[which]).tolist()
    return found
