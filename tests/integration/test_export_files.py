"""`export` as a user runs it: beside a running instance and without one, all symbols, killed in the middle, on a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from program import Program, until

# A store that never ends gives one batch after another until the test has killed the export.
ENDLESS = """
import itertools, sys
from stockwatch.commands import export as command
from stockwatch import assembly, cli
from contextlib import contextmanager
import pandas as pd
from stockwatch.sessions import Instrument

class Endless:
    def symbols(self, source): return ["AAPL"]
    def instrument(self, source, symbol): return None
    def iter_ticks(self, source, symbol, start, end, rows):
        for number in itertools.count():
            if number == 3:
                print("three batches", flush=True)
            at = range(number * 1000, number * 1000 + 1000)
            optional = dict.fromkeys(("bid", "ask", "previous_close", "day_open", "day_high", "day_low"), float("nan"))
            yield pd.DataFrame({"at": at, "price": 1.5, "day_volume": 1, "currency": "USD"}).assign(**optional)

@contextmanager
def open_store(settings):
    yield Endless(), "yahoo"

assembly.open_store = open_store
command.PROGRESS_SECONDS = 0.0
cli.leave()
"""


def endless(program: Program, out: Path, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """An export that has written three batches and goes on."""
    child = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, "export", "--what", "ticks", "--out", str(out), "--settings", str(program.settings)],
        cwd=program.folder, env=program.environment(), text=True, stdout=subprocess.PIPE, stderr=stderr,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "three batches\n"
    return child


def ended(child: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    child.send_signal(number)
    said, error = child.communicate(timeout=20)
    return child.returncode, said + (error or "")


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_an_export_that_is_killed_leaves_no_half_file_and_one_that_is_ended_leaves_nothing(program: Program, form: str) -> None:
    folder = program.folder / "out"
    folder.mkdir()
    out = folder / f"all.{form}"
    assert ended(endless(program, out), signal.SIGINT) == (0, "")
    assert list(folder.iterdir()) == []
    out.write_text("before")
    assert ended(endless(program, out), signal.SIGKILL) == (-signal.SIGKILL, "")
    assert out.read_text() == "before"
    assert [left.name.endswith(".part") for left in folder.iterdir() if left != out] == [True]


def test_on_a_terminal_one_line_tells_how_far_it_is(program: Program) -> None:
    leader, follower = pty.openpty()
    try:
        child = endless(program, program.folder / "all.csv", stderr=follower)
        told = until(lambda: (text := os.read(leader, 4096).decode()).count("ticks so far") and text, 10, "progress")
        assert "\n" not in told
        assert told.startswith("\r")
        assert ended(child, signal.SIGINT)[0] == 0
    finally:
        os.close(follower)
        os.close(leader)


def test_all_symbols_in_each_format_beside_a_running_instance_and_without_one(program: Program, tmp_path: Path) -> None:
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 500, 20, "the history is stored")
    running = program.run("export", "--out", "running.xlsx")
    assert (running.returncode, running.stderr) == (0, "")
    assert running.stdout.endswith("candles of 2 symbols (simulator, SIMULATED) → running.xlsx\n")
    assert program.stop() == 0
    for name in ("all.csv", "all.parquet"):
        done = program.run("export", "--symbol", "all", "--out", name, "--from", "2001-01-01")
        assert (done.returncode, done.stderr) == (0, "")
    table = pq.read_table(tmp_path / "all.parquet").to_pandas()
    assert set(table["symbol"]) == {"RELIANCE.NS", "AAPL"}
    assert table["simulated"].all()
    text = pd.read_csv(tmp_path / "all.csv", parse_dates=["time_utc"])
    for column in ("symbol", "time_utc", "open", "high", "low", "close", "volume"):
        assert text[column].tolist() == table[column].tolist()
    book = openpyxl.load_workbook(tmp_path / "running.xlsx")
    assert book.sheetnames == ["candles", "about"]
    assert {row[0].value for row in book["candles"].iter_rows(min_row=2)} == {"RELIANCE.NS", "AAPL"}
