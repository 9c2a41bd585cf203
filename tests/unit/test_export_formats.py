"""What is read back from each format is the table: opened by openpyxl, pyarrow and csv. Whole or not at all."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from export_table import OPTIONAL, Table
from openpyxl.utils.escape import unescape

from stockwatch import export
from stockwatch.errors import UnavailableError
from stockwatch.export import Asked, Plan

FORMULAS = ["=1+1", '=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(1)", "\t=1", "＝1", "\r-2"]
ODD = [
    "^NSEI",
    "EURUSD=X",
    "M&M.NS",
    "किं.NS",
    'a"b,c',
    "x\ny",
    " s ",
    "1e5",
    "007",
    "nan",
    "http://a.example",
    "\x07bell",
    "_x0041_",
]


def a_table(*symbols: str) -> Table:
    """Numbers that are hard to keep: sixteen digits, 2**63 - 1, what is absent here and there."""
    table = Table(*symbols)
    count = len(table.rows)
    table.rows["price"] = [0.1 + 0.2, 1 / 3, 1e-9, 123456789.123456, 2500.05, *[100 + n / 7 for n in range(count - 5)]]
    table.rows.loc[3, "day_volume"] = 2**63 - 1
    table.rows["at"] += [n % 997 for n in range(count)]  # milliseconds
    for place, name in enumerate(OPTIONAL[:4]):
        table.rows.loc[place :: place + 2, name] = 1 / (place + 3)
    table.rows.loc[5:50, "currency"] = ""
    return table


def planned(table: Table, form: str, what: str = "ticks") -> Plan:
    return export.plan(table, Asked(what, table.source), form)


def expected(table: Table, plan: Plan) -> list[list[Any]]:
    return [list(row.values()) for batch in plan.batches(table) for row in batch.to_pylist()]


def csv_rows(path: Path) -> list[list[Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    at, whole = head.index("time_utc"), {name for name in head if name.endswith("volume")}

    def value(name: str, text: str) -> Any:
        if name in ("symbol", "source", "currency"):
            return text or None
        if name == "simulated":
            return text == "True"
        if name.startswith("time_"):
            return datetime.fromisoformat(text)
        return None if text == "" else int(text) if name in whole else float(text)

    read = [[value(name, text) for name, text in zip(head, row, strict=True)] for row in rows]
    assert all(row[at] == row[at + 1] for row in read)  # the same moment, by both offsets
    return [[*row[: at + 1], row[at + 1].replace(tzinfo=None), *row[at + 2 :]] for row in read]


def parquet_rows(path: Path) -> list[list[Any]]:
    return [list(row.values()) for row in pq.read_table(path).to_pylist()]


def excel_rows(path: Path) -> list[list[Any]]:
    book = openpyxl.load_workbook(path, read_only=True)
    rows: list[list[Any]] = []
    for sheet in book.worksheets[:-1]:
        head, *body = ([cell.value for cell in row] for row in sheet.iter_rows())
        rows += body
    book.close()
    utc = head.index("time_utc")
    zone = datetime.fromisoformat("2026-01-01T00:00:00+00:00").tzinfo
    for row in rows:
        row[:] = [
            unescape(value) if isinstance(value, str) else value for value in row
        ]  # openpyxl leaves _x000D_ in inline texts
        row[utc] = row[utc].replace(tzinfo=zone)
        for place, name in enumerate(head):
            if name.endswith("volume"):
                row[place] = int(row[place])  # what is past 2**53 is a text
    return rows


READ: dict[str, Callable[[Path], list[list[Any]]]] = {"csv": csv_rows, "parquet": parquet_rows, "xlsx": excel_rows}


@pytest.mark.parametrize("what", export.KINDS)
@pytest.mark.parametrize("form", export.FORMATS)
def test_what_is_read_back_is_the_table(tmp_path: Path, form: str, what: str) -> None:
    table = a_table("TCS.NS", *ODD) if what == "ticks" else a_table("TCS.NS", "AAPL")
    table.rows = table.rows.iloc[:40] if what == "ticks" else table.rows
    plan = planned(table, form, what)
    whole = expected(table, plan)
    path = tmp_path / f"out.{form}"
    told: list[int] = []
    assert export.write(table, plan, form, path, told.append) == len(whole) == told[-1]
    assert READ[form](path) == whole
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", export.FORMATS)
def test_a_download_is_the_table_too(tmp_path: Path, form: str) -> None:
    table = a_table("TCS.NS")
    plan = planned(table, form)
    path = tmp_path / f"downloaded.{form}"
    path.write_bytes(b"".join(export.stream(table, plan, form, tmp_path)))
    assert READ[form](path) == expected(table, plan)


def test_what_begins_like_a_formula_stays_text_in_excel_and_parquet(tmp_path: Path) -> None:
    table = a_table(*FORMULAS)
    table.rows = table.rows.iloc[:3].assign(currency="=cmd|'/c calc'!A0")
    for form in ("xlsx", "parquet"):
        plan = planned(table, form)
        export.write(table, plan, form, tmp_path / f"out.{form}")
        assert READ[form](tmp_path / f"out.{form}") == expected(table, plan)
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert {cell.data_type for row in book["ticks"].iter_rows(min_row=2, max_col=2) for cell in row} == {"s"}
    assert not [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.data_type == "f" or cell.hyperlink]
    assert {type(cell.value) for cell in book["ticks"]["F"][1:]} == {float}


@pytest.mark.parametrize("symbol", FORMULAS)
def test_csv_refuses_what_a_spreadsheet_would_run(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(UnavailableError, match=r"is a formula for a spreadsheet .* export it as xlsx or parquet"):
        planned(Table("AAPL", symbol), "csv")
    table = Table("AAPL")
    table.rows.loc[500, "currency"] = symbol
    with pytest.raises(UnavailableError, match="is a formula"):
        export.write(table, planned(table, "csv"), "csv", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_past_excels_rows_it_goes_on_in_another_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockwatch.export.workbook.SHEET_ROWS", 201)
    table = a_table("TCS.NS")
    plan = planned(table, "xlsx")
    export.write(table, plan, "xlsx", tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["ticks", "ticks 2", "ticks 3", "about"]
    assert [book[name].max_row for name in book.sheetnames[:3]] == [201, 201, 141]
    assert [sheet.freeze_panes for sheet in book.worksheets[:3]] == ["A2"] * 3
    assert [cell.value for cell in book["ticks 3"][1]] == plan.schema.names
    assert excel_rows(tmp_path / "out.xlsx") == expected(table, plan)
    assert book["ticks"]["D2"].number_format == "yyyy-mm-dd hh:mm:ss.000"
    assert book["ticks"]["D2"].value - book["ticks"]["E2"].value == -timedelta(hours=5, minutes=30)
    assert book["ticks"].column_dimensions["D"].width > 20
    assert pd.read_excel(tmp_path / "out.xlsx")["price"].iloc[4] == 2500.05


def test_every_file_says_what_it_is(tmp_path: Path) -> None:
    table = Table("TCS.NS", "AAPL", source="simulator")
    plan = export.plan(table, Asked("candles", "simulator", start="2026-11-16", minutes=15), "xlsx")
    for form in ("xlsx", "parquet"):
        export.write(table, plan, form, tmp_path / f"out.{form}")
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx")["about"]
    told = {row[0].value: row[1].value for row in sheet.iter_rows()}
    assert told == plan.about()
    assert told["simulated"] == "SIMULATED: made-up prices"
    assert (told["source"], told["symbols"], told["from"], told["minutes"]) == ("simulator", "AAPL, TCS.NS", "2026-11-16", "15")
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert {name: file.schema_arrow.metadata[f"stockwatch.{name}".encode()].decode() for name in told} == told
    types = {field.name: field.type for field in file.schema_arrow}
    assert (types["time_utc"], types["time_exchange"]) == (pa.timestamp("ms", "UTC"), pa.timestamp("ms"))
    assert (types["symbol"], types["volume"]) == (pa.dictionary(pa.int32(), pa.string()), pa.int64())


def test_parquet_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockwatch.export.formats.ROW_GROUP", 250)
    table = a_table("TCS.NS")
    export.write(table, planned(table, "parquet"), "parquet", tmp_path / "out.parquet")
    groups = pq.ParquetFile(tmp_path / "out.parquet").metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [300, 240]


def test_what_is_no_file_is_not_replaced_and_a_link_is_followed(tmp_path: Path) -> None:
    table = Table()
    plan = planned(table, "csv")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="no regular file"):
        export.write(table, plan, "csv", tmp_path / "pipe")
    (tmp_path / "link.csv").symlink_to(tmp_path / "there.csv")
    export.write(table, plan, "csv", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert csv_rows(tmp_path / "there.csv") == expected(table, plan)


@pytest.mark.parametrize("form", export.FORMATS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, form: str, error: BaseException) -> None:
    class Breaks(Table):
        def iter_ticks(self, *arguments: Any, **named: Any) -> Iterator[pd.DataFrame]:
            yield from list(super().iter_ticks(*arguments, **named))[:2]
            raise error

    path = tmp_path / f"out.{form}"
    path.write_text("before")
    with pytest.raises(UnavailableError if isinstance(error, OSError) else KeyboardInterrupt):
        export.write(Breaks(), planned(Table(), form), form, path)
    stream = export.stream(Breaks(), planned(Table(), form), form, tmp_path)
    with pytest.raises((OSError, UnavailableError, KeyboardInterrupt)):
        list(stream)
    given_up = export.stream(Table(), planned(Table(), form), form, tmp_path)
    assert next(given_up)
    given_up.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"


def test_a_nearly_full_disk_ends_a_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockwatch.export.workbook.KEPT_FREE", 2**62)
    with pytest.raises(UnavailableError, match="of disk are free"):
        export.write(Table(), planned(Table(), "xlsx"), "xlsx", tmp_path / "out.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_is_swept_and_a_living_ones_is_not(tmp_path: Path) -> None:
    dead = os.posix_spawn("/bin/sh", ["sh", "-c", "exit"], {})
    os.waitpid(dead, 0)
    for name in (f"export-{dead}-abc", f"export-{os.getpid()}-abc", "export-notes-2026", "clickhouse"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "whole").touch()
    export.sweep(tmp_path)
    assert sorted(left.name for left in tmp_path.iterdir()) == ["clickhouse", f"export-{os.getpid()}-abc", "export-notes-2026"]
