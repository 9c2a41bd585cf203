"""A recording through Kafka into the store: every row is there, and every candle equals one computed with pandas alone."""

from __future__ import annotations

import csv
import random
import signal
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from program import Program, until

ZONE = "America/Chicago"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Futures' trades as an exchange gives them: naive local times, many in one millisecond, over midnight."""
    chance = random.Random(3)
    at, price = datetime(2013, 9, 1, 17, 0), 1640.25  # noqa: DTZ001 - local, as in such files
    path = tmp_path / "ES.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["DateTime", "Price", "Volume"])
        for _ in range(12_000):
            at += timedelta(milliseconds=chance.choice([0, 0, 0, 1, 40, 900, 9_000, 20_000]))
            price += chance.choice([-0.25, 0, 0, 0.25])
            writer.writerow([at.isoformat(sep=" ", timespec="milliseconds"), price, chance.randint(1, 30)])
    return path


def test_every_trade_and_every_candle_arrives(program: Program, recording: Path, tmp_path: Path) -> None:
    market = {"source": "replay", "replay_file": "ES.csv", "replay_speed": 0, "replay_timezone": ZONE}
    program.write(market=market)
    program.start()
    assert program.health()["source"] == "replay:ES"
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) >= 12_000, 40, "12,000 rows")
    assert int(str(program.store().command("SELECT count() FROM ticks FINAL"))) == 12_000
    assert "recording ended" in program.component("producer")["detail"]
    out = tmp_path / "candles.csv"
    exported = program.run("export", "--symbol", "ES", "--format", "csv", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    expected = candles_of(recording, 5)
    found = pd.read_csv(out)
    assert len(found) == len(expected) > 100
    assert (pd.to_datetime(found["time_utc"]) == expected.index.tz_convert("UTC")).all()
    for column in expected:
        assert (found[column].to_numpy() == expected[column].to_numpy()).all(), column
    assert set(found["simulated"]) == {False}
    assert set(found["source"]) == {"replay:ES"}


def candles_of(recording: Path, minutes: int) -> pd.DataFrame:
    """With pandas alone, straight from the file."""
    frame = pd.read_csv(recording)
    moments = pd.to_datetime(frame["DateTime"]).dt.tz_localize(ZONE)
    return frame.groupby(moments.dt.floor(f"{minutes}min")).agg(
        open=("Price", "first"), high=("Price", "max"), low=("Price", "min"), close=("Price", "last"), volume=("Volume", "sum")
    )


def test_cut_in_two_by_a_kill_it_goes_on_and_ends_with_the_same_candles(
    program: Program, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = 40_000  # seconds of it, about: played in 10
    market = {"source": "replay", "replay_file": "ES.csv", "replay_speed": length / 10, "replay_timezone": ZONE}
    program.write(market=market)
    program.start()
    stored = program.store()
    count = "SELECT count() FROM ticks FINAL"
    until(lambda: int(str(stored.command(count))) > 3_000, 20, "a part of it")
    assert program.process is not None
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(5)
    program.write(market={**market, "replay_speed": 0})
    program.start()
    again = program.store()
    until(lambda: int(str(again.command(count))) == 12_000, 20, "all of it")
    producer = program.component("producer")
    assert producer["metrics"]["ticks"] < 10_000  # it went on where it was cut
    assert producer["metrics"]["played"] == producer["metrics"]["recorded"] == 12_000
    assert "recording ended" in producer["detail"]
    for minutes in (1, 5, 15, 60):
        monkeypatch.setenv("STOCKWATCH_DASHBOARD__CANDLE_MINUTES", str(minutes))
        out = tmp_path / f"{minutes}.csv"
        assert program.run("export", "--symbol", "ES", "--format", "csv", "--out", str(out)).returncode == 0
        found, expected = pd.read_csv(out), candles_of(recording, minutes)
        assert len(found) == len(expected)
        assert (pd.to_datetime(found["time_utc"]) == expected.index.tz_convert("UTC")).all()
        for column in expected:
            assert (found[column].to_numpy() == expected[column].to_numpy()).all(), (minutes, column)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "when,price\n1,2\n", "needs the columns"),
        ("a.csv", "at,price\nx,2\n", "no valid row"),
        ("a.csv", "at,price,calendar\n1764000000000,2,NOWHERE\n", "no calendar"),
        ("a.txt", "at,price\n1764000000000,2\n", "must be .csv"),
        ("a.parquet", "not parquet", "cannot be read"),
        ("a.csv.gz", "not gzip", "cannot be read"),
    ],
)
def test_a_bad_recording_is_refused_before_anything_starts(program: Program, name: str, content: str, said: str) -> None:
    (program.folder / name).write_text(content)
    program.write(market={"source": "replay", "replay_file": name})
    refused = program.run("--no-browser")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert name in refused.stderr
    assert said in refused.stderr
