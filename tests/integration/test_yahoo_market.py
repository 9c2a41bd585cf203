"""The whole program on Yahoo: the last days come first, a second start asks only for what is missing, auto changes over."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from program import Program, free_port, until
from scripted_market import ScriptedMarket
from yahoo_stub import YahooStub

TICKERS = ["BTC-USD", "ETH-USD", "GONE-USD"]  # round the clock, so that it is open whenever this runs


def market_around_now(days: int = 2) -> ScriptedMarket:
    now = int(time.time())
    return ScriptedMarket(TICKERS[:2], now - days * 86_400, now + 3_600, time.time)


def settings(stub: YahooStub, source: str = "yahoo") -> dict[str, object]:
    return {
        "source": source, "tickers": TICKERS, "poll_seconds": 1, "backfill_days": 2,
        "proxy": stub.proxy_url, "ca_file": str(stub.ca_file),
    }  # fmt: skip


def backfilled(program: Program) -> bool:
    told = program.component("producer").get("metrics", {}).get("backfill")
    return bool(told) and told["of"] == told["done"] > 0


def exported(program: Program, symbol: str, *arguments: str) -> pd.DataFrame:
    out = program.folder / "candles.csv"
    done = program.run("export", "--symbol", symbol, "--format", "csv", "--out", str(out), *arguments)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(out)


def differences(found: pd.DataFrame, market: ScriptedMarket, symbol: str, until_ms: int) -> int:
    """Candles that had closed by `until_ms` and are not the market's own."""
    starts = pd.DatetimeIndex(pd.to_datetime(found["time_utc"])).as_unit("ms").asi8
    found = found.set_index(starts)[["open", "high", "low", "close", "volume"]]
    truth = market.candles(symbol, 5, until_ms)
    truth = truth[(truth.index + 300_000 <= until_ms) & (truth.index >= found.index[0])]
    found = found[found.index + 300_000 <= until_ms]
    both = found.join(truth.add_suffix("_true"), how="outer")
    return int(sum((both[name] != both[f"{name}_true"]).to_numpy() for name in found).astype(bool).sum())  # type: ignore[union-attr]


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
        before = len(stub.charted)
        program.start()
        until(lambda: program.component("producer")["metrics"].get("backfill"), 30, "a plan")
        # Yesterday is in the table: all that may be asked is what came since, or the session so far after a candle's close.
        today = asked // 86_400 * 86_400
        assert all(start >= today for _symbol, start, _end, _minutes in stub.charted[before:])
        backfill = program.component("producer")["metrics"]["backfill"]
        assert backfill["bars"] < bars
        assert program.stop(seconds=5.5) == 0


@pytest.mark.slow
@pytest.mark.timeout(110)  # auto asks once a minute
def test_offline_it_starts_simulated_and_changes_over_when_yahoo_appears_without_mixing(program: Program, tmp_path: Path) -> None:
    port = free_port()
    offline = YahooStub(tmp_path, port)
    offline.proxy_url = f"http://127.0.0.1:{port}"  # nobody there yet
    program.write(market=settings(offline, "auto"))
    began = time.monotonic()
    program.start()
    assert program.health()["source"] == "simulator"
    assert "SIMULATED" in program.console()
    stored = program.store()
    count = "SELECT count() FROM bars WHERE source = 'simulator'"
    until(lambda: int(str(stored.command(count))) >= 3 * 250, 15, "simulated candles")
    with offline as stub:
        stub.market = market = market_around_now()
        until(lambda: program.health()["source"] == "yahoo", 75 - (time.monotonic() - began), "Yahoo in the simulator's place")
        until(lambda: backfilled(program), 20, "the backfill")
        producer = program.component("producer")
        assert producer["metrics"]["changed_over"] is not None
        assert "Yahoo answers since" in producer["detail"]
        asked = int(time.time()) * 1000 // 60_000 * 60_000 - 60_000
        assert "Prices now: yahoo; before: simulator (SIMULATED" in program.console()
        until(lambda: int(str(stored.command("SELECT count() FROM bars WHERE source = 'yahoo'"))) > 2_000, 15, "real bars")
        real, made_up = exported(program, "BTC-USD"), exported(program, "BTC-USD", "--source", "simulator")
        assert (set(real["source"]), set(real["simulated"])) == ({"yahoo"}, {False})
        assert (set(made_up["source"]), set(made_up["simulated"])) == ({"simulator"}, {True})
        assert differences(real, market, "BTC-USD", asked) == 0
        assert program.stop(seconds=5.5) == 0
