"""`record` when things go wrong around it: the broker is renewed, the instance goes away, a library has something to say."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
from program import Program, until

from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader

Record = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def record(program: Program) -> Iterator[Record]:
    """`record --out <name>` as a child; ended after the test."""
    made: list[subprocess.Popen[str]] = []

    def begin(name: str) -> subprocess.Popen[str]:
        made.append(
            subprocess.Popen(
                program.command("record", "--out", name), cwd=program.folder, env=program.environment(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
        return made[-1]

    yield begin
    for child in made:
        if child.poll() is None:
            child.kill()
        child.communicate()


def size_of(program: Program, name: str) -> int:
    """Of what has been recorded so far."""
    part = program.folder / f".{name}.part"
    return part.stat().st_size if part.exists() else 0


def rows(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False)


def test_it_goes_on_when_the_broker_is_renewed_and_misses_nothing(program: Program, record: Record) -> None:
    """The new broker's log is another one: a place in the old log would skip as much of it as was recorded before."""
    program.write(market={"source": "simulator", "tickers": ["AAPL", "TCS.NS"], "ticks_per_second": 50})
    program.start()
    child = record("x.jsonl")
    until(lambda: size_of(program, "x.jsonl") > 60_000, 20, "it grows")
    program.child("tansu").kill()
    until(lambda: program.component("kafka").get("restarts", 0) >= 1, 15, "a new broker")
    size = size_of(program, "x.jsonl")
    until(lambda: size_of(program, "x.jsonl") > size + 60_000, 20, "it goes on")
    child.send_signal(signal.SIGINT)
    _said, wrong = child.communicate(timeout=15)
    assert (child.returncode, wrong) == (0, "")
    found = rows(program.folder / "x.jsonl").drop_duplicates(["symbol", "at"]).sort_values(["symbol", "at"])
    assert (found.groupby("symbol")["at"].diff().dropna() == 20).all()  # the simulator's grid, without a gap


def test_an_instance_that_is_killed_ends_it_in_order(program: Program, record: Record) -> None:
    program.write(market={"source": "simulator", "tickers": ["AAPL"], "ticks_per_second": 50})
    program.start()
    child = record("x.parquet")
    assert child.stdout is not None
    assert "recording to" in child.stdout.readline()
    first = int(program.component("producer")["metrics"]["ticks"])
    until(lambda: program.component("producer")["metrics"]["ticks"] > first + 100, 20, "ticks flow")
    children = program.children()
    assert program.process is not None
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(5)
    psutil.wait_procs(children, 5)
    said, wrong = child.communicate(timeout=20)
    assert (child.returncode, wrong) == (0, "")
    assert "the instance has stopped" in said
    assert len(pd.read_parquet(program.folder / "x.parquet")) > 50


def test_simulated_prices_that_are_replayed_stay_marked_when_they_are_recorded_again(program: Program, record: Record) -> None:
    lines = [
        f'{{"at": {1_764_000_000_000 + 20 * n}, "symbol": "AAPL", "price": {100 + n % 5}, "simulated": true}}'
        for n in range(5_000)
    ]
    (program.folder / "made.jsonl").write_text("\n".join(lines))
    program.write(market={"source": "replay", "replay_file": "made.jsonl", "replay_speed": 2})
    program.start()
    child = record("again.jsonl")
    until(lambda: size_of(program, "again.jsonl") > 5_000, 20, "it grows")
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=15)[1] == ""
    assert set(rows(program.folder / "again.jsonl")["simulated"]) == {True}


def test_while_the_source_does_not_answer_one_line_says_so_and_a_stop_is_quick(program: Program, record: Record) -> None:
    program.write(market={"source": "yahoo", "tickers": ["AAPL"], "proxy": "http://127.0.0.1:9"})
    child = record("x.jsonl")
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(2)]
    assert sum("trying again" in line for line in told) == 1, told
    child.send_signal(signal.SIGINT)
    said, wrong = child.communicate(timeout=5)
    assert (child.returncode, wrong) == (0, "")  # what the library logs is not for the console
    assert said == "no tick came: x.jsonl was not written\n"
    assert not [*program.folder.glob("*x.jsonl*")]


def test_the_next_class_sees_a_recording_from_its_start(program: Program) -> None:
    """All of it is stored: the page shows what is played again, and no more. The symbol is as the file has it."""
    times = [1_764_000_000_000 + 10_000 * n for n in range(2_000)]
    lines = [f"{at},{100 + n % 7},{1 + n % 3}" for n, at in enumerate(times)]
    (program.folder / "es.csv").write_text("\n".join(["at,price,volume", *lines]))
    market = {"source": "replay", "replay_file": "es.csv", "replay_speed": 0}
    program.write(market=market)
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) >= 2_000, 20, "all of it")
    exported = program.run("export", "--symbol", "es", "--what", "ticks", "--format", "csv", "--out", "es.out.csv")
    assert exported.stdout.startswith("2,000 ticks of es (replay:es)"), exported.stderr
    assert program.stop() == 0
    program.write(market={**market, "replay_speed": 1})
    program.start()
    until(lambda: program.component("producer")["metrics"].get("played", 0) > 0, 10, "it plays")
    page = Reader(Connection.load(program.data_dir / "dashboard.json"))
    facts = until(lambda: page.facts("es", fresh=0), 10, "facts")
    now = program.component("producer")["metrics"]["now"]
    assert times[0] <= now < times[100]
    line, made = page.line_of(facts), page.candles_of(facts, 5, 50)
    assert max(facts.now, int(facts.quote["at"]), int(line["at"].max()), int(made["start"].max())) <= now
    assert made["volume"].sum() <= 200
