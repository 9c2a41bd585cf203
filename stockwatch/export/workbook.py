"""Arrow batches → an Excel workbook, row by row on disk: what is in memory does not grow with the rows.

Excel has no zones: both times are plain Excel times, their names and the sheet "about" say which. A sheet holds 1,048,576 rows;
more go on in "ticks 2", "ticks 3", … . Every text is written as a text, so that none is run as a formula or made a link.
A million ticks take about half a gigabyte of disk, beside the file, until it is packed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xlsxwriter  # type: ignore[import-untyped]
from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

from stockwatch.errors import UnavailableError
from stockwatch.export.columns import TEXT
from stockwatch.export.formats import same

SHEET_ROWS = 1_048_576  # Excel's limit, the header's row among them
EPOCH_DAYS, DAY_MS = 25_569, 86_400_000  # 1970-01-01 in Excel's days
WIDTHS = {"time_utc": 24, "time_exchange": 24, "symbol": 16, "source": 14, "volume": 14, "day_volume": 14}
WHOLE = 2**53  # above it Excel's numbers are not exact: written as text
KEPT_FREE = 512 * 2**20  # bytes of disk: the store on the same disk must go on
Column = tuple[Callable[..., Any], Any, Any]  # how a cell is written, its values (or the one of all rows), its look


class Exact(float):
    """A number that is written with all its digits: xlsxwriter's 16 are too few for one float in some."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return float.__repr__(self)


class Excel:
    """One workbook in the making at `path`; `scratch`: a folder for what is on its way."""

    def __init__(self, path: Path, scratch: Path, schema: pa.Schema, what: str, about: dict[str, str]) -> None:
        options = {"constant_memory": True, "tmpdir": str(scratch), "strings_to_formulas": False, "strings_to_urls": False,
                   "strings_to_numbers": False}  # fmt: skip
        self._book = xlsxwriter.Workbook(str(path), options)
        self._book.use_zip64()
        self._schema, self._what, self._about, self._scratch = schema, what, about, scratch
        self._head = self._book.add_format({"bold": True, "bottom": 1})
        self._looks = {
            pa.float64(): self._book.add_format({"num_format": "#,##0.00######"}),
            pa.int64(): self._book.add_format({"num_format": "#,##0"}),
            None: self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        }
        self._sheets = 0
        self._next_sheet()

    def _next_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(self._what if self._sheets == 1 else f"{self._what} {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        for place, name in enumerate(self._schema.names):
            self._sheet.set_column(place, place, WIDTHS.get(name, 12))
            self._sheet.write_string(0, place, name, self._head)
        self._row = 1

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows. Raises UnavailableError when the disk is nearly full."""
        if shutil.disk_usage(self._scratch).free < KEPT_FREE:
            raise UnavailableError(f"less than {KEPT_FREE >> 20} MB of disk are free: no room for an Excel file of so many rows")
        done = 0
        while done < batch.num_rows:
            if self._row >= SHEET_ROWS:
                self._next_sheet()
            piece = batch.slice(done, SHEET_ROWS - self._row)
            self._write(piece)
            done += piece.num_rows

    def _write(self, batch: pa.RecordBatch) -> None:
        columns = [self._column(field, column) for field, column in zip(batch.schema, batch.columns, strict=True)]
        for number in range(batch.num_rows):
            row = self._row + number
            for place, (write, values, look) in enumerate(columns):
                value = values[number] if isinstance(values, list) else values
                if value is not None:
                    write(row, place, value, look)
        self._row += batch.num_rows

    def _column(self, field: pa.Field, column: pa.Array) -> Column:
        sheet = self._sheet
        if field.type == TEXT:
            one = same(column)
            return sheet.write_string, column.to_pylist() if one is None else one[0], None
        if field.type == pa.bool_():
            return sheet.write_boolean, column.to_pylist(), None
        if pa.types.is_timestamp(field.type):
            days = column.cast(pa.int64()).to_numpy() / DAY_MS + EPOCH_DAYS
            return sheet.write_number, days.tolist(), self._looks[None]
        look = self._looks[field.type]
        if column.null_count == len(column):
            return sheet.write_number, None, None
        if field.type == pa.float64():
            numbers = column.to_numpy(zero_copy_only=False)
            short = np.isnan(numbers) | ((np.abs(numbers) < 1e8) & (np.round(numbers, 6) == numbers))
            if not short.all():  # the common price needs 15 digits at most
                values = [value if value is None else Exact(value) for value in column.to_pylist()]
                return sheet.write_number, values, look
            return sheet.write_number, column.to_pylist(), look
        values = column.to_pylist()
        return (sheet.write_number if max(values) <= WHOLE else self._whole), values, look

    def _whole(self, row: int, place: int, value: int, look: Any) -> None:
        if value <= WHOLE:
            self._sheet.write_number(row, place, value, look)
        else:
            self._sheet.write_string(row, place, str(value))

    def close(self) -> None:
        """Write the sheet "about" and pack everything. Raises OSError."""
        sheet = self._book.add_worksheet("about")
        sheet.set_column(0, 0, 16)
        sheet.set_column(1, 1, 80)
        for row, (name, text) in enumerate(self._about.items()):
            sheet.write_string(row, 0, name, self._head)
            sheet.write_string(row, 1, text[:32_767])  # what a cell holds
        try:
            self._book.close()
        except FileCreateError as error:
            raise error.args[0] from error

    def abandon(self) -> None:
        """Give back the open files of the rows; they lie in `scratch`."""
        for sheet in self._book.worksheets():
            sheet.row_data_fh.close()
