"""`record` beside a running instance and without one, and what it wrote, replayed."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from program import Program, until


def recording(program: Program, out: Path) -> subprocess.Popen[str]:
    """`record` as a child that has begun."""
    child = subprocess.Popen(
        program.command("record", "--out", str(out)), cwd=program.folder, env=program.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == f"recording to {out}: Ctrl-C ends it\n"
    return child


def ended(child: subprocess.Popen[str], number: signal.Signals) -> str:
    child.send_signal(number)
    said, error = child.communicate(timeout=20)
    assert (child.returncode, error) == (0, "")
    return said


def lines_of(part: Path) -> int:
    return len(part.read_text().splitlines()) if part.exists() else 0


def test_what_flows_is_recorded_beside_a_running_instance_and_replayed_with_its_mark(program: Program, tmp_path: Path) -> None:
    program.write(market={"source": "simulator", "tickers": ["AAPL", "TCS.NS"], "ticks_per_second": 20})
    program.start()
    out = tmp_path / "class.jsonl"
    child = recording(program, out)
    until(lambda: lines_of(tmp_path / ".class.jsonl.part") > 200, 20, "200 ticks")
    said = ended(child, signal.SIGINT)
    rows = pd.read_json(out, lines=True)
    assert said == f"{len(rows):,} ticks (SIMULATED) → {out}\n"
    assert set(rows["simulated"]) == {True}
    stored = program.store()
    first, last = int(rows["at"].min()), int(rows["at"].max())
    query = "SELECT toUnixTimestamp64Milli(at) a, toString(symbol), price, toInt64(day_volume) FROM ticks FINAL WHERE a BETWEEN"
    until(lambda: int(str(stored.command("SELECT max(toUnixTimestamp64Milli(at)) FROM ticks"))) > last, 10, "all stored")
    there = {tuple(row) for row in stored.query(f"{query} {first} AND {last}").result_rows}
    assert set(rows[["at", "symbol", "price", "day_volume"]].itertuples(index=False, name=None)) <= there
    assert program.stop() == 0
    program.write(market={"source": "replay", "replay_file": "class.jsonl", "replay_speed": 0})
    program.start()
    count = "SELECT count() FROM ticks FINAL WHERE source = 'replay:class'"
    client = program.store()
    until(lambda: int(str(client.command(count))) == len(rows), 20, "all of it, played")
    exported = program.run("export", "--symbol", "AAPL", "--format", "csv", "--out", "out.csv")
    assert "SIMULATED" in exported.stdout
    candles = pd.read_csv(program.folder / "out.csv")
    assert set(candles["simulated"]) == {True}
    assert set(candles["source"]) == {"replay:class"}
    mine = rows[rows["symbol"] == "AAPL"]["day_volume"]
    assert candles["volume"].sum() == mine.max() - mine.min()  # not what was traded before the recording began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_where_nothing_runs_the_source_itself_is_recorded(program: Program, tmp_path: Path, number: signal.Signals) -> None:
    program.write(market={"source": "simulator", "tickers": ["AAPL"], "ticks_per_second": 50})
    out = tmp_path / "own.jsonl"
    child = recording(program, out)
    until(lambda: lines_of(tmp_path / ".own.jsonl.part") > 20, 20, "ticks")
    ended(child, number)
    assert len(out.read_text().splitlines()) > 20
    assert not program.data_dir.exists() or not (program.data_dir / "clickhouse").exists()


def test_a_recording_is_turned_into_another_form(program: Program, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("at,price,volume\n1764000000000,2.5,7\n1764000001000,2.75,3\n")
    program.write(market={"source": "replay", "replay_file": "t.csv", "replay_speed": 0})
    done = program.run("record", "--out", str(tmp_path / "t.parquet"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"2 ticks → {tmp_path / 't.parquet'}"
    assert pd.read_parquet(tmp_path / "t.parquet")["day_volume"].tolist() == [7, 10]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("a.csv", 2, "must end with .parquet"), ("none/a.jsonl", 1, "no such folder"), ("", 1, "it is a folder")],
)
def test_a_place_where_it_cannot_be_written_is_refused_first(program: Program, name: str, code: int, said: str) -> None:
    (program.folder / "f.jsonl").mkdir()
    refused = program.run("record", "--out", str(program.folder / (name or "f.jsonl")))
    assert (refused.returncode, refused.stderr.count("\n"), refused.stdout) == (code, 1, "")
    assert said in refused.stderr
