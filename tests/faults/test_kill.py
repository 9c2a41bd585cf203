"""kill -9 of each part: it comes back by itself, nothing that was stored is lost, nothing is seen twice, nobody is left."""

from __future__ import annotations

import signal

import psutil
import pytest
from program import Program, until

TWICE = "SELECT count() - uniqExact(source, symbol, at, day_volume, price) FROM ticks FINAL"


@pytest.mark.parametrize("word", ["streamlit", pytest.param("tansu", marks=pytest.mark.full)])
def test_a_killed_child_is_replaced_and_no_row_is_lost_or_doubled(program: Program, word: str) -> None:
    program.write(market={"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"], "ticks_per_second": 20})
    program.start()
    name = "dashboard" if word == "streamlit" else "kafka"
    client = program.store()
    until(lambda: int(str(client.command("SELECT count() FROM ticks"))) > 100, 20, "ticks flow")
    before = {tuple(row) for row in client.query("SELECT symbol, at, day_volume, price FROM ticks FINAL").result_rows}
    program.child(word).kill()
    until(lambda: program.component(name).get("restarts", 0) >= 1, 15, "a new life")
    program.wait_until_healthy(15)
    newest = "SELECT max(toUnixTimestamp64Milli(at)) FROM ticks"
    seen = int(str(client.command(newest)))
    until(lambda: int(str(client.command(newest))) > seen, 15, "fresh rows again")
    after = {tuple(row) for row in client.query("SELECT symbol, at, day_volume, price FROM ticks FINAL").result_rows}
    assert before <= after
    assert int(str(client.command(TWICE))) == 0
    # The simulator's grid has no gaps: what was published around the kill must all be there.
    gaps = (
        "SELECT countIf(step > 50) FROM (SELECT at - lagInFrame(at) OVER (PARTITION BY symbol ORDER BY at) AS d,"
        " toUnixTimestamp64Milli(at) - lagInFrame(toUnixTimestamp64Milli(at), 1, toUnixTimestamp64Milli(at))"
        " OVER (PARTITION BY symbol ORDER BY at) AS step FROM ticks FINAL)"
    ).replace("at - lagInFrame(at) OVER (PARTITION BY symbol ORDER BY at) AS d, ", "")
    until(lambda: int(str(client.command(gaps))) == 0, 15, "no gap in the ticks")


def test_after_kill_9_of_the_parent_nobody_is_left_and_the_next_start_is_clean(program: Program) -> None:
    program.start()
    client = program.store()
    until(lambda: int(str(client.command("SELECT count() FROM bars"))) > 100, 20, "bars are stored")
    stored = int(str(client.command("SELECT count() FROM bars FINAL")))
    children = program.children()
    assert len(children) >= 2
    assert program.process is not None
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(5)
    gone, left = psutil.wait_procs(children, timeout=2)
    assert not left, left
    assert len(gone) == len(children)
    program.start()
    assert int(str(program.store().command("SELECT count() FROM bars FINAL"))) >= stored
    assert program.stop() == 0
