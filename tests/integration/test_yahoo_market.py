"""The whole program on Yahoo: the last days come first, and a second start asks only for what is missing."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from program import Program, until
from yahoo_day import TICKERS, backfilled, differences, exported, market_around_now, settings
from yahoo_stub import YahooStub

from stockwatch.sources.bar_plan import SETTLE_MS


@pytest.mark.timeout(120)  # two starts of the program, and four exports
def test_the_last_days_are_there_and_a_second_start_asks_only_for_what_is_missing(program: Program, tmp_path: Path) -> None:
    with YahooStub(tmp_path) as stub:
        stub.market = market = market_around_now()
        program.write(market=settings(stub))
        program.start()
        until(lambda: backfilled(program), 30, "the backfill")
        asked = int(time.time())
        producer = program.component("producer")
        assert producer["state"] == "running"
        assert producer["metrics"]["unknown"] == ["GONE-USD"]
        assert producer["metrics"]["bar_requests"] >= 2
        assert len(stub.charted) == 2  # one for each ticker; none for the one that is unknown
        bars = producer["metrics"]["backfill"]["bars"]
        stored = program.store()
        until(lambda: int(str(stored.command("SELECT count() FROM bars FINAL"))) >= bars, 20, "all bars stored")
        for symbol in TICKERS[:2]:
            found = exported(program, symbol)
            assert len(found) > 288
            assert differences(found, market, symbol, asked * 1000 // 60_000 * 60_000 - 60_000) == 0
            assert set(found["simulated"]) == {False}
        assert "backfill   done" in program.console()
        assert program.process is not None
        program.process.send_signal(signal.SIGKILL)
        program.process.wait(5)
        before, killed = len(stub.charted), int(time.time() * 1000)
        program.start()
        until(lambda: program.component("producer")["metrics"].get("backfill"), 30, "a plan")
        # Yesterday is in the table: all that may be asked is what came since, or the session so far after a candle's close.
        today = asked // 86_400 * 86_400
        assert all(start >= today for _symbol, start, _end, _minutes in stub.charted[before:])
        backfill = program.component("producer")["metrics"]["backfill"]
        assert backfill["bars"] < bars
        program.write(market=settings(stub), dashboard={"candle_minutes": 1})  # for the export: each minute by itself

        def wrong() -> int:
            found = {symbol: exported(program, symbol) for symbol in TICKERS[:2]}
            assert min(map(len, found.values())) > 1_440
            return sum(differences(found[symbol], market, symbol, killed - SETTLE_MS, minutes=1) for symbol in found)

        until(lambda: wrong() == 0, 20, "every closed minute is the market's own")  # what came since may be on its way
        assert program.stop(seconds=5.5) == 0
