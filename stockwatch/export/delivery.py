"""A plan → a file that appears whole or not at all, or → bytes for a download."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import psutil

from stockwatch.errors import UnavailableError
from stockwatch.export.plan import ROWS_PER_BATCH, Plan
from stockwatch.export.rows import Rows

if TYPE_CHECKING:
    from stockwatch.export.formats import Sink, Writer

# A batch of a download: about a megabyte of CSV. So a slow client does not let the store wait for long, nor we for one that left.
STREAM_ROWS = 8_192
CHUNK = 256 * 1024


class _Outgoing:
    """Holds what was written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._told = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._told += len(data)
        return len(data)

    def tell(self) -> int:
        return self._told

    def flush(self) -> None:
        """Nothing is between it and who takes."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


def write(store: Rows, plan: Plan, form: str, path: Path, seen: Callable[[int], None] = lambda _rows: None) -> int:
    """Write the file beside `path`, then put it in its place; how many rows.

    seen: told how many rows there are so far, after each batch; what it raises ends the export and nothing is left.
    Raises UnavailableError when it cannot be written. After a kill -9 a folder `.NAME.….part` may lie there, never a half file.
    """
    path = path.resolve()  # through a link, to what it names
    if path.exists() and not path.is_file():
        raise UnavailableError(f"--out: {path} cannot be written: it is no regular file")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent) as folder:
            whole = Path(folder) / "whole"
            with whole.open("xb") as file:
                count = _fill(store, plan, form, file, whole, seen)
                file.flush()
                os.fsync(file.fileno())
            whole.chmod(0o644)
            whole.replace(path)
    except OSError as error:
        raise UnavailableError(f"--out: {path} cannot be written: {error.strerror or error}") from error
    return count


def stream(store: Rows, plan: Plan, form: str, folder: Path, seen: Callable[[int], None] = lambda _rows: None) -> Iterator[bytes]:
    """The file's bytes as they are made; Excel's, which are packed at the end, by way of a folder in `folder`.

    However it ends (also by close() or by what `seen` raises), nothing is left there.
    """
    if form == "xlsx":
        yield from _by_file(store, plan, form, folder, seen)
        return
    outgoing = _Outgoing()
    with _writer(form, plan, outgoing) as writer:
        count = 0
        for batch in plan.batches(store, STREAM_ROWS):
            writer.write(batch)
            count += batch.num_rows
            seen(count)
            if data := outgoing.take():
                yield data
    yield outgoing.take()


def _by_file(store: Rows, plan: Plan, form: str, folder: Path, seen: Callable[[int], None]) -> Iterator[bytes]:
    try:
        with scratch(folder) as own:
            whole = own / "whole"
            with whole.open("xb") as file:
                _fill(store, plan, form, file, whole, seen, STREAM_ROWS)
            with whole.open("rb") as file:
                while data := file.read(CHUNK):
                    yield data
    except OSError as error:
        raise UnavailableError(f"the file cannot be made: {error.strerror or error}") from error


def _fill(
    store: Rows, plan: Plan, form: str, file: BinaryIO, path: Path, seen: Callable[[int], None], rows: int = ROWS_PER_BATCH
) -> int:
    count = 0
    with _writer(form, plan, file, path) as writer:
        for batch in plan.batches(store, rows):
            writer.write(batch)
            count += batch.num_rows
            seen(count)
    return count


@contextmanager
def _writer(form: str, plan: Plan, sink: Sink, path: Path | None = None) -> Iterator[Writer]:
    """The writer, closed at the end; abandoned when there is no end."""
    from stockwatch.export.formats import Csv, Parquet
    from stockwatch.export.workbook import Excel

    if form == "xlsx":
        assert path is not None, "a workbook is written by its path"  # noqa: S101
        made: Writer = Excel(path, path.parent, plan.schema, plan.asked.what, plan.about())
    else:
        made = Csv(sink, plan.schema) if form == "csv" else Parquet(sink, plan.schema)
    try:
        yield made
        made.close()
    except BaseException:
        made.abandon()
        raise


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A folder of its own in `folder`, gone afterwards. It bears the process's number, by which sweep() knows what is dead."""
    own = Path(tempfile.mkdtemp(prefix=f"export-{os.getpid()}-", dir=folder))
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what exports of processes that were killed have left in `folder`."""
    for left in folder.glob("export-*-*"):
        number = left.name.split("-")[1]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(left, ignore_errors=True)
