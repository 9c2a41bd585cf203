"""Polling Yahoo: yfinance's own code against a loopback Yahoo, through market.proxy and market.ca_file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from program import Program, until
from yahoo_stub import YahooStub, quote

TICKERS = [f"TICK{number}.NS" for number in range(10)]
AT = 1_763_955_900  # 2025-11-24 09:15:00 IST


def start(program: Program, stub: YahooStub) -> None:
    program.write(
        market={"source": "yahoo", "tickers": TICKERS, "poll_seconds": 1, "proxy": stub.proxy_url, "ca_file": str(stub.ca_file)}
    )
    stub.quotes = [quote(symbol, AT, 100.0 + number, 5_000) for number, symbol in enumerate(TICKERS[:9])]
    program.start()


def test_one_request_a_cycle_and_the_exchanges_time_in_the_table(program: Program, tmp_path: Path) -> None:
    with YahooStub(tmp_path) as stub:
        start(program, stub)
        client = program.store()
        until(lambda: int(str(client.command("SELECT count() FROM ticks FINAL"))) == 9, 20, "nine ticks")
        polls = len(stub.asked)
        until(lambda: len(stub.asked) >= polls + 3, 15, "three more polls")
        assert all(asked == TICKERS for asked in stub.asked)
        rows = client.query("SELECT DISTINCT toUnixTimestamp(at), source, currency FROM ticks").result_rows
        assert rows == [(AT, "yahoo", "INR")]
        assert int(str(client.command("SELECT count() FROM ticks FINAL"))) == 9  # what has not changed is not said again
        stub.quotes = [quote(TICKERS[0], AT + 7, 101.0, 5_600)]
        until(lambda: int(str(client.command("SELECT count() FROM ticks FINAL"))) == 10, 15, "the change")
        producer = program.component("producer")
        assert producer["state"] == "running"
        assert TICKERS[9] in producer["detail"]
        assert producer["metrics"]["requests"] >= 4
        assert producer["metrics"]["delay_minutes"][TICKERS[0]] == 15


@pytest.mark.parametrize(
    ("mode", "said", "recovers"),
    [
        ("429", "rate limited", False),
        ("500", "error (500)", True),
        ("rubbish", "not understood", True),
        ("hang", "does not answer", True),
    ],
)
def test_each_trouble_leaves_it_degraded_with_a_plain_reason(
    program: Program, tmp_path: Path, mode: str, said: str, recovers: bool
) -> None:
    with YahooStub(tmp_path) as stub:
        start(program, stub)
        until(lambda: program.component("producer")["metrics"].get("ticks") == 9, 20, "nine ticks")
        stub.mode = mode
        until(lambda: program.component("producer")["state"] == "degraded", 20, "degraded")
        producer = program.component("producer")
        assert said in producer["error"]
        assert producer["restarts"] == 0
        if recovers:
            stub.mode = "ok"
            until(lambda: program.component("producer")["state"] == "running", 25, "running again")
        else:
            assert producer["metrics"]["errors"] == 1  # it leaves Yahoo alone: half a minute, then longer
        stub.mode = "hang"
        assert program.stop(seconds=5.5) == 0


def test_a_stop_does_not_wait_for_a_yahoo_that_hangs(program: Program, tmp_path: Path) -> None:
    with YahooStub(tmp_path) as stub:
        start(program, stub)
        stub.mode = "hang"
        asked = len(stub.asked)
        until(lambda: len(stub.asked) > asked, 10, "a poll that hangs")
        began = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - began < 5  # the stated deadline of a stop, not a speed
