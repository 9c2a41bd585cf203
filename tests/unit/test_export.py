"""What is exported: whole sessions at a time, bounds by the candle's start, marks and both times, one symbol or all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from export_table import DAY, DAYS, MINUTE, Table

from stockwatch import export
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.export import Asked
from stockwatch.export.columns import offsets
from stockwatch.sessions import Instrument

Row = dict[str, Any]


def rows(table: Table, what: str = "candles", symbol: str | None = "TCS.NS", **bounds: str | None) -> list[Row]:
    plan = export.plan(table, Asked(what, table.source, symbol, **bounds), "parquet")
    return [row for batch in plan.batches(table) for row in batch.to_pylist()]


def test_every_candle_once_in_pieces_of_whole_sessions() -> None:
    table = Table()
    found = rows(table)
    assert len(found) == len(DAYS) * 12
    assert {row["volume"] for row in found} == {50}
    assert len(table.asked) == 3  # one session, then five at a time: what bounds the memory
    assert all(end == begin for (_, end), (begin, _) in zip(table.asked, table.asked[1:], strict=False))
    first = found[0]
    assert (first["time_utc"].isoformat(), first["time_exchange"].isoformat()) == (
        "2026-11-16T03:45:00+00:00", "2026-11-16T09:15:00",
    )  # fmt: skip
    assert (first["symbol"], first["source"], first["simulated"], first["open"], first["close"]) == (
        "TCS.NS", "yahoo", False, 100.0, 104.0,
    )  # fmt: skip


def test_sessions_with_many_ticks_are_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockwatch.export.rows.WINDOW_TICKS", 60)
    table = Table()
    assert len(rows(table)) == len(DAYS) * 12
    assert len(table.asked) == len(DAYS)


def test_bounds_are_of_the_candles_start_and_do_not_cut_one() -> None:
    found = rows(Table(), start="2026-11-18T09:17", end="2026-11-18T09:36")
    assert [row["time_exchange"].strftime("%d %H:%M") for row in found] == ["18 09:20", "18 09:25", "18 09:30", "18 09:35"]
    assert [row["volume"] for row in found] == [50, 50, 50, 50]


@pytest.mark.parametrize("what", export.KINDS)
def test_a_range_without_rows_is_empty(what: str) -> None:
    assert rows(Table(), what, start="2030-01-01") == []
    assert rows(Table(), what, end="2001-01-01") == []


def test_all_symbols_stand_in_one_table_and_a_day_is_each_exchanges_own() -> None:
    table = Table("TCS.NS", "AAPL", "^NSEI")
    for symbol in (None, "all", " "):
        found = rows(table, "ticks", symbol, start="2026-11-17", end="2026-11-18")
        assert [row["symbol"] for row in found] == sorted(row["symbol"] for row in found)
        moments = {name: {row["time_utc"] for row in found if row["symbol"] == name} for name in table.names}
        assert moments["TCS.NS"] == moments["^NSEI"]  # 03:45 UTC is Tuesday in Mumbai,
        assert moments["AAPL"] == {moment + timedelta(days=1) for moment in moments["TCS.NS"]}  # and Monday in New York
        assert len(found) == 3 * 60


def test_bounds_beyond_all_times_are_within_what_a_store_knows() -> None:
    plan = export.plan(Table(), Asked("ticks", "yahoo", None, "0001-01-01", "9999-12-31T23:59:59-23:00"), "csv")
    assert plan.parts[0][2:] == (-(2**31) * 1000, 2**33 * 1000)


def test_all_in_capitals_is_a_share() -> None:
    assert {row["symbol"] for row in rows(Table("ALL", "TCS.NS"), "ticks", "ALL")} == {"ALL"}


def test_a_symbol_is_found_as_it_is_stored() -> None:
    assert {row["symbol"] for row in rows(Table("es"), "ticks", "es")} == {"es"}
    assert {row["symbol"] for row in rows(Table("TCS.NS"), "ticks", " tcs.ns ")} == {"TCS.NS"}


def test_what_is_made_up_says_so() -> None:
    assert {row["simulated"] for row in rows(Table(source="simulator"))} == {True}
    told = Instrument("replay:day", "A", "24/7", "Asia/Kolkata", simulated=True)
    mixed = Table("A", "B", source="replay:day", instruments={"A": told})
    plan = export.plan(mixed, Asked("ticks", "replay:day"), "csv")
    assert plan.simulated
    assert plan.about()["simulated"].startswith("SIMULATED")
    assert plan.about()["time_exchange"].endswith("Asia/Kolkata, UTC")
    marks = {(row["symbol"], row["simulated"]) for row in rows(mixed, "ticks", None)}
    assert marks == {("A", True), ("B", False)}


def test_ticks_stream_with_both_times_and_nothing_for_what_is_absent() -> None:
    found = rows(Table(), "ticks", end="2026-11-16T09:18")
    assert [row["price"] for row in found] == [100.0, 101.0, 102.0]
    assert [found[0][name] for name in ("bid", "ask", "day_low", "currency")] == [None, None, None, "INR"]


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def test_the_exchanges_clock_is_right_on_both_sides_of_every_change(zone: str) -> None:
    begin = int(datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")).timestamp() * 1000)
    at = begin + np.arange(0, 365 * DAY, 7 * MINUTE, dtype=np.int64)
    ahead = [datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).utcoffset() for moment in at.tolist()]
    assert (offsets(at, ZoneInfo(zone)) == [offset.total_seconds() * 1000 for offset in ahead if offset is not None]).all()


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        (Asked("bars", "yahoo", "TCS.NS", dash="--"), UsageError, "--what bars: must be ticks or candles"),
        (Asked("ticks", "yahoo", "TCS.NS", "yesterday"), UsageError, "from yesterday: must be an ISO date"),
        (Asked("ticks", "yahoo", "TCS.NS", None, "24/11/2026", dash="--"), UsageError, "--to 24/11/2026: must be"),
        (Asked("ticks", "yahoo", None, "2026-02-02", "2026-02-02"), UsageError, "from must be before to"),
        (Asked("ticks", "yahoo", "AAPL", dash="--"), UnavailableError, "--symbol AAPL: nothing is stored of it from yahoo; it has TCS.NS"),
        (Asked("ticks", "simulator"), UnavailableError, "symbol all: nothing is stored from simulator; .* stored are yahoo"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_said_in_one_line(asked: Asked, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said) as raised:
        export.plan(Table(), asked, "csv")
    assert "\n" not in str(raised.value)
