"""The program on a scripted Yahoo whose markets trade now: its settings, and its candles against what is true."""

from __future__ import annotations

import time

import pandas as pd
from program import Program
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


def differences(found: pd.DataFrame, market: ScriptedMarket, symbol: str, until_ms: int, minutes: int = 5) -> int:
    """Candles of `minutes` that had closed by `until_ms` and are not the market's own."""
    starts = pd.DatetimeIndex(pd.to_datetime(found["time_utc"])).as_unit("ms").asi8
    found = found.set_index(starts)[["open", "high", "low", "close", "volume"]]
    width = minutes * 60_000
    truth = market.candles(symbol, minutes, until_ms)
    truth = truth[(truth.index + width <= until_ms) & (truth.index >= found.index[0])]
    found = found[found.index + width <= until_ms]
    both = found.join(truth.add_suffix("_true"), how="outer")
    return int(sum((both[name] != both[f"{name}_true"]).to_numpy() for name in found).astype(bool).sum())  # type: ignore[union-attr]
