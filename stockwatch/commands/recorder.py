"""Ticks → a recording that `replay` plays: Parquet, or JSON lines. The file appears at the end, a Parquet file only whole.

Columns: at (ms, UTC), symbol, price, day_volume, and what is to be known of the symbol: calendar, timezone, simulated,
joins_late (see sessions.Instrument). Until close() it grows beside its place as `.NAME.part`; JSON lines can be read there, so
after a kill that file, renamed, is a recording.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stockwatch import sessions
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.sessions import Instrument
from stockwatch.tick import Tick

GROUP_ROWS = 50_000  # in memory, until they are written as one row group
COLUMNS = {
    "at": pa.int64(), "symbol": pa.string(), "price": pa.float64(), "day_volume": pa.int64(),
    "calendar": pa.string(), "timezone": pa.string(), "simulated": pa.bool_(), "joins_late": pa.bool_(),
}  # fmt: skip
Row = dict[str, Any]


class Writer(Protocol):
    """One format. torn: whether what was written before a trouble is of use."""

    torn: bool

    def write(self, rows: list[Row]) -> None: ...
    def close(self) -> None: ...


class ParquetWriter:
    """Row groups of GROUP_ROWS; readable once it is closed."""

    torn = False

    def __init__(self, part: Path) -> None:
        self._writer = pq.ParquetWriter(part, pa.schema(list(COLUMNS.items())), compression="zstd")
        self._rows: list[Row] = []

    def write(self, rows: list[Row]) -> None:
        """Keep them, and write when there are enough."""
        self._rows += rows
        if len(self._rows) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._writer.schema))
            self._rows = []

    def close(self) -> None:
        """Write the rest and the footer."""
        self._flush()
        self._writer.close()


class LinesWriter:
    """One JSON object a line, each batch flushed. A line that is cut off is a broken line to `replay`, which skips it."""

    torn = True

    def __init__(self, part: Path) -> None:
        self._file: IO[bytes] = part.open("wb")

    def write(self, rows: list[Row]) -> None:
        """All of them, at once."""
        self._file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


FORMATS: dict[str, Callable[[Path], Writer]] = {".parquet": ParquetWriter, ".jsonl": LinesWriter, ".ndjson": LinesWriter}


class Recorder:
    """One recording. Raises UsageError for a name of another format, UnavailableError where it cannot be written.

    tell: what a source brought for a symbol (a recording that is played does), or None.
    """

    def __init__(self, path: Path, tell: Callable[[str, str], Instrument | None] = lambda _source, _symbol: None) -> None:
        if path.suffix.lower() not in FORMATS:
            raise UsageError(f"--out {path.name}: must end with {', '.join(FORMATS)}")
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise UnavailableError(f"--out: {path} cannot be written: {'it is a folder' if path.is_dir() else 'no such folder'}")
        if path.exists():
            raise UnavailableError(f"--out: {path} exists already: name another file, no recording is overwritten")
        self._tell = tell
        self.path, self._part = path, path.with_name(f".{path.name}.part")
        self.ticks = 0
        self._told: dict[tuple[str, str], Row] = {}
        self._failed = False
        try:
            self._part.open("xb").close()
            self._writer = FORMATS[path.suffix.lower()](self._part)
        except FileExistsError:
            said = "another `record` is writing it, or one was killed: rename or delete it"
            raise UnavailableError(f"--out: {self._part} exists: {said}") from None
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, ticks: list[Tick]) -> None:
        """Add ticks, in their order."""
        if not ticks:
            return
        try:
            self._writer.write([self._row(tick) for tick in ticks])
        except (OSError, pa.ArrowException) as error:
            self._failed = True
            raise self._unwritable(error) from error
        self.ticks += len(ticks)

    @property
    def simulated(self) -> bool:
        """Whether it holds prices that were made up."""
        return any(told["simulated"] for told in self._told.values())

    def _row(self, tick: Tick) -> Row:
        key = tick.source, tick.symbol
        if key not in self._told:
            brought = self._tell(*key)
            if brought is None and sessions.is_replay(tick.source):  # it may be simulated, and would not be marked
                raise UnavailableError(f"what {tick.source} says of {tick.symbol} is not in the store: not recorded")
            told = sessions.told_of(*key, brought)
            self._told[key] = {name: getattr(told, name) for name in ("calendar", "timezone", "simulated")}
            # What begins within a session does not know what was traded before; only a played recording may begin with its day.
            self._told[key]["joins_late"] = told.joins_late or brought is None
        return {"at": tick.at, "symbol": tick.symbol, "price": tick.price, "day_volume": tick.day_volume, **self._told[key]}

    def close(self) -> None:
        """Finish it and put it in its place; without a tick there is no recording. After a trouble: what is of use."""
        try:
            self._writer.close()
        except (OSError, pa.ArrowException) as error:
            if not self._failed:  # else it was said
                self._failed = True
                raise self._unwritable(error) from error
        finally:
            try:
                if self.ticks and (self._writer.torn or not self._failed):
                    self._part.replace(self.path)
                self._part.unlink(missing_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> UnavailableError:
        return UnavailableError(f"--out: {self.path} cannot be written: {getattr(error, 'strerror', None) or error}")
