"""A recording when things go wrong: full disks, a kill, sources that must not mix, and marks that must not get lost."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stockwatch.commands import recorder as recorders
from stockwatch.commands.record import _of_one
from stockwatch.commands.recorder import COLUMNS, Recorder
from stockwatch.errors import UnavailableError
from stockwatch.sessions import Instrument
from stockwatch.sources.recording import load
from stockwatch.sources.replay import Replay
from stockwatch.tick import Tick

AT = 1_764_000_000_000  # 2025-11-24 16:00:00 UTC


def ticks(count: int, source: str = "simulator", symbol: str = "AAPL", begin: int = 0) -> list[Tick]:
    return [Tick(symbol, AT + n, 100.0 + n % 7, 10 * n, source) for n in range(begin, begin + count)]


def recorded(path: Path, *batches: list[Tick]) -> Path:
    recorder = Recorder(path)
    for batch in batches:
        recorder.write(batch)
    recorder.close()
    return path


def test_a_replay_of_simulated_prices_is_marked_again_and_one_that_nobody_knows_is_not_recorded(tmp_path: Path) -> None:
    known = Instrument("replay:class", "AAPL", "24/7", "UTC", simulated=True)
    recorder = Recorder(tmp_path / "a.jsonl", lambda _source, _symbol: known)
    recorder.write(ticks(2, "replay:class"))
    recorder.close()
    assert [item.simulated for item in load(tmp_path / "a.jsonl", "UTC").instruments] == [True]
    recorder = Recorder(tmp_path / "b.jsonl")
    with pytest.raises(UnavailableError, match="not recorded"):
        recorder.write(ticks(2, "replay:class"))
    recorder.close()
    assert not (tmp_path / "b.jsonl").exists()


def test_parquet_is_written_in_groups_so_that_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "GROUP_ROWS", 100)
    path = recorded(tmp_path / "a.parquet", *(ticks(40, begin=40 * n) for n in range(10)))
    file = pq.ParquetFile(path)
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (400, 4)
    assert file.schema_arrow.names == [*COLUMNS]


def test_json_lines_are_on_disk_after_each_batch_and_the_name_appears_at_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.jsonl")
    recorder.write(ticks(20))
    part = tmp_path / ".a.jsonl.part"
    assert len(part.read_text().splitlines()) == 20
    assert not (tmp_path / "a.jsonl").exists()
    killed = tmp_path / "killed.jsonl"
    killed.write_bytes(part.read_bytes()[:-9])  # as a kill in the middle of a line
    assert (len(load(killed, "UTC").at), load(killed, "UTC").broken) == (19, [20])
    recorder.close()
    assert len(load(tmp_path / "a.jsonl", "UTC").at) == 20


@pytest.mark.parametrize(("name", "left"), [("a.jsonl", ["a.jsonl"]), ("a.parquet", [])])
def test_a_disk_that_fills_is_one_line_and_leaves_what_is_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, left: list[str]
) -> None:
    monkeypatch.setattr(recorders, "GROUP_ROWS", 10)
    recorder = Recorder(tmp_path / name)
    recorder.write(ticks(20))

    def full(*_anything: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer, "write", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        recorder.write(ticks(20))
    recorder.close()
    assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_a_disk_that_is_full_at_the_end_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    recorder = Recorder(tmp_path / name)
    recorder.write(ticks(20))
    close = recorder._writer.close

    def full() -> None:
        close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder._writer, "close", full)
    with pytest.raises(UnavailableError, match="No space left on device"):
        recorder.close()
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize(("name", "said"), [("a.parquet", "exists already"), (".a.parquet.part", "another `record`")])
def test_no_recording_is_overwritten_neither_one_that_is_done_nor_one_that_is_written(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(UnavailableError, match=said):
        Recorder(tmp_path / "a.parquet")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def flowing(closed: list[bool]) -> Generator[list[Tick]]:
    try:
        yield []
        yield ticks(2)
        yield [*ticks(1, begin=2), *ticks(1, "yahoo")]
        yield ticks(5, "yahoo")
    finally:
        closed.append(True)


def test_simulated_and_real_prices_never_mix(capsys: pytest.CaptureFixture[str]) -> None:
    """Where one source takes the other's place it ends; where others write to the same topic they are left out."""
    for ends, said in ((True, "come from yahoo now, no longer from simulator"), (False, "6 ticks of other sources")):
        closed: list[bool] = []
        kept = [tick for batch in _of_one(flowing(closed), ends=ends) for tick in batch]
        assert kept == ticks(3)
        assert said in capsys.readouterr().out
        assert closed == [True]


def test_a_recording_says_its_mark_whichever_row_it_stands_in(tmp_path: Path) -> None:
    """Cells that are empty say nothing; nobody unmarks a symbol by putting another row first."""
    row = f'"at": {AT}, "price": 1, "symbol": '
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{{row}"A"}}\n{{{row}"A", "simulated": true}}\n{{{row}"B", "simulated": null, "calendar": null}}\n')
    assert [(item.symbol, item.simulated, item.calendar) for item in load(path, "UTC").instruments] == [
        ("A", True, "24/7"), ("B", False, "24/7"),
    ]  # fmt: skip
    (tmp_path / "a.csv").write_text(f"at,price,Simulated,Calendar\n{AT},1,,\n{AT},1,TRUE,\n")
    assert [item.simulated for item in Replay(load(tmp_path / "a.csv", "UTC"), 0).instruments()] == [True]
