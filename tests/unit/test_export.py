"""Rows for a file: whole sessions at a time, bounds by the candle's start, marks and both times; whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from stockwatch import export, sessions
from stockwatch.errors import UnavailableError

MINUTE, DAY = 60_000, 86_400_000
OPEN = int(datetime(2026, 11, 16, 3, 45, tzinfo=UTC).timestamp() * 1000)  # Monday 09:15 IST
DAYS = [OPEN + number * DAY for number in range(5)] + [OPEN + number * DAY for number in (7, 9, 10, 11)]  # the 24th: a holiday


class Table:
    """A tick each minute of the first hour of nine sessions of TCS.NS, each with 10 traded."""

    rows = pd.DataFrame(
        {"at": day + n * MINUTE, "price": 100.0 + n, "day_volume": 10 * (n + 1), "symbol": "TCS.NS", "bid": None}
        for day in DAYS
        for n in range(60)
    )

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, int | None]] = []

    def prices(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        self.asked.append((start_ms, end_ms))
        return self.rows[(self.rows["at"] >= (start_ms or 0)) & (self.rows["at"] < (end_ms or 2**62))]

    def bars(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        return pd.DataFrame(columns=["start", "minutes", "open", "high", "low", "close", "volume"])

    def earliest_at(self, source: str, symbol: str) -> int | None:
        return int(self.rows["at"].iloc[0])

    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None:
        return int(self.rows["at"].iloc[-1])

    def iter_ticks(
        self, source: str, symbol: str | None, start_ms: int | None, end_ms: int | None, rows_per_frame: int = 100
    ) -> Iterator[pd.DataFrame]:
        named = dict.fromkeys(("ask", "previous_close", "day_open", "day_high", "day_low"), float("nan"))
        whole = self.prices("", "", start_ms, end_ms).assign(**named, currency="INR")
        for start in range(0, len(whole), rows_per_frame):
            yield whole.iloc[start : start + rows_per_frame]


def rows(table: Table, source: str, start: int | None = None, end: int | None = None) -> list[export.Row]:
    market = sessions.market_of("TCS.NS")
    return list(export.candle_rows(table, sessions.told_of(source, "TCS.NS"), market, 5, start, end))


def test_every_candle_once_in_pieces_of_whole_sessions() -> None:
    table = Table()
    found = [dict(zip(export.CANDLE_COLUMNS, row, strict=True)) for row in rows(table, "yahoo")]
    assert len(found) == len(DAYS) * 12
    assert {row["volume"] for row in found} == {50}
    assert len(table.asked) == 2  # five sessions at a time: what bounds the memory
    first = found[0]
    assert (first["time_utc"], first["time_exchange"]) == ("2026-11-16T03:45:00.000+00:00", "2026-11-16T09:15:00.000+05:30")
    assert (first["symbol"], first["source"], first["simulated"], first["open"], first["close"]) == (
        "TCS.NS", "yahoo", False, 100.0, 104.0,
    )  # fmt: skip


def test_bounds_are_of_the_candles_start_and_do_not_cut_one() -> None:
    found = rows(Table(), "yahoo", OPEN + 2 * MINUTE, OPEN + 21 * MINUTE)
    assert [row[3][11:16] for row in found] == ["03:50", "03:55", "04:00", "04:05"]
    assert [row[-1] for row in found] == [50, 50, 50, 50]


def test_simulated_rows_say_so() -> None:
    assert {row[2] for row in rows(Table(), "simulator")} == {True}


def test_ticks_stream_with_both_times_and_nothing_for_what_is_absent() -> None:
    told, market = sessions.told_of("yahoo", "TCS.NS"), sessions.market_of("TCS.NS")
    found = list(export.tick_rows(Table(), told, market, None, OPEN + 3 * MINUTE))
    assert [row[5] for row in found] == [100.0, 101.0, 102.0]
    assert found[0][7:13] == (None,) * 6


def test_what_is_no_file_is_not_replaced_and_a_link_is_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnavailableError, match="no regular file"):
        export.write_csv(tmp_path / "pipe", ("x",), [])
    (tmp_path / "link.csv").symlink_to(tmp_path / "there.csv")
    export.write_csv(tmp_path / "link.csv", ("x",), [])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there.csv").read_text() == "x\n"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[export.Row]:
        yield ("a", 1)
        raise OSError(28, "No space left on device")

    path = tmp_path / "out.csv"
    with pytest.raises(UnavailableError, match="No space left"):
        export.write_csv(path, ("x", "y"), broken())
    assert list(tmp_path.iterdir()) == []
    assert export.write_csv(path, ("x", "y"), [("a", None), ("b,c", 2)]) == 2
    assert path.read_text().splitlines() == ["x,y", "a,", '"b,c",2']
