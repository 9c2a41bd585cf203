"""Ticks into a recording and back: the same ticks, and what is to be known of them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stockwatch.commands import recorder
from stockwatch.commands.recorder import Recorder
from stockwatch.errors import UnavailableError, UsageError
from stockwatch.sessions import Instrument
from stockwatch.sources import recording
from stockwatch.sources.replay import Replay
from stockwatch.tick import Tick

AT = 1_764_041_400_000  # 2025-11-25 09:00 IST


def ticks(source: str, symbol: str = "TCS.NS", count: int = 7) -> list[Tick]:
    return [Tick(symbol, AT + n // 2 * 1_500, 3100.05 + n, 900_000 + 10 * n, source) for n in range(count)]


def replayed(path: Path) -> list[Tick]:
    source = Replay(recording.load(path, "UTC"), 0)
    found: list[Tick] = []
    while not source.ended:
        found += [tick for tick in source.read(threading.Event()) if isinstance(tick, Tick)]
    return found


@pytest.mark.parametrize("name", ["day.parquet", "day.jsonl", "Day.NDJSON"])
def test_what_was_recorded_is_replayed_tick_by_tick(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "GROUP_ROWS", 3)  # several row groups
    made = Recorder(tmp_path / name)
    given = ticks("yahoo") + ticks("yahoo", "AAPL")
    for start in range(0, len(given), 4):
        made.write(given[start : start + 4])
    made.write([])
    assert not (tmp_path / name).exists()  # whole or not at all
    made.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = replayed(tmp_path / name)
    what = {(tick.symbol, tick.at, tick.price, tick.day_volume) for tick in given}
    assert {(tick.symbol, tick.at, tick.price, tick.day_volume) for tick in found} == what
    assert {tick.source for tick in found} == {f"replay:{Path(name).stem}"}


def told(tmp_path: Path, source: str, brought: Instrument | None = None) -> Instrument:
    made = Recorder(tmp_path / "a.jsonl", lambda _source, _symbol: brought)
    made.write(ticks(source))
    made.close()
    return recording.load(tmp_path / "a.jsonl", "UTC").instruments[0]


def test_simulated_prices_stay_marked_and_keep_their_day(tmp_path: Path) -> None:
    found = told(tmp_path, "simulator")
    assert (found.calendar, found.timezone, found.simulated, found.joins_late) == ("24/7", "Asia/Kolkata", True, True)


def test_real_prices_keep_their_exchanges_calendar(tmp_path: Path) -> None:
    found = told(tmp_path, "yahoo")
    assert (found.calendar, found.timezone, found.simulated, found.joins_late) == ("XBOM", "Asia/Kolkata", False, True)


def test_a_recording_of_a_recording_knows_what_that_one_knew(tmp_path: Path) -> None:
    brought = Instrument("replay:class", "TCS.NS", "24/7", "America/Chicago", simulated=True)
    found = told(tmp_path, "replay:class", brought)
    assert (found.calendar, found.timezone, found.simulated, found.joins_late) == ("24/7", "America/Chicago", True, False)


def test_a_name_of_another_format_and_a_place_that_is_none_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.csv: must end with \.parquet, \.jsonl"):
        Recorder(tmp_path / "a.csv")
    with pytest.raises(UnavailableError, match="no such folder"):
        Recorder(tmp_path / "none" / "a.jsonl")
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(UnavailableError, match="it is a folder"):
        Recorder(tmp_path / "b.jsonl")


def test_without_a_tick_there_is_no_file(tmp_path: Path) -> None:
    Recorder(tmp_path / "a.parquet").close()
    assert list(tmp_path.iterdir()) == []


def test_json_lines_can_be_read_while_they_are_written(tmp_path: Path) -> None:
    made = Recorder(tmp_path / "a.jsonl")
    made.write(ticks("yahoo"))
    assert len((tmp_path / ".a.jsonl.part").read_text().splitlines()) == 7  # what a kill leaves
    made.close()
