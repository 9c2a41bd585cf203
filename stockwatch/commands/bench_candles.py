"""Benchmark of candles: how long build() takes for one session's ticks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd

from stockwatch import sessions
from stockwatch.candles import build
from stockwatch.commands.bench_flow import Line
from stockwatch.sessions.places import MINUTE_MS
from stockwatch.settings import Settings

TICKS, CANDLES, MINUTES = 25_000, 50, 5
RUNS = 60


def candles(_settings: Settings) -> list[Line]:
    """50 candles from one session's ticks: in order, shuffled, and with bars of all minutes but the last two."""
    market = sessions.market_of("TCS.NS")
    noon = int(datetime(2026, 11, 23, 12, tzinfo=market.timezone).timestamp() * 1000)
    day = sessions.segments(market, noon, noon)
    ticks, bars = _session(int(day.open[0]), int(day.close[0]))
    shuffled = ticks.sample(frac=1, random_state=1, ignore_index=True)
    cases = {"": (ticks, bars[:0]), ", shuffled": (shuffled, bars[:0]), ", with bars": (ticks, bars)}
    took = {name: _median(partial(build, *given, day, MINUTES, count=CANDLES)) for name, given in cases.items()}
    return [(f"{CANDLES} candles of {TICKS:,} ticks{name}", f"{ms:.1f} ms", "", "≤ 10 ms") for name, ms in took.items()]


def _session(opened: int, closed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A session's ticks, and the bars of its minutes but the last two; they agree."""
    chance = np.random.default_rng(7)
    at = np.sort(chance.integers(opened, closed, TICKS))
    volume = np.cumsum(chance.integers(1, 500, TICKS))
    price = np.round(2_500 + np.cumsum(chance.normal(0, 0.2, TICKS)), 2)
    ticks = pd.DataFrame({"at": at, "price": price, "day_volume": volume})
    by_minute = ticks.assign(size=np.diff(volume, prepend=0)).groupby(at // MINUTE_MS * MINUTE_MS)
    bars = by_minute.agg(
        open=("price", "first"), high=("price", "max"), low=("price", "min"), close=("price", "last"), volume=("size", "sum")
    )
    return ticks, bars.rename_axis("start").reset_index().assign(minutes=1)[:-2]


def _median(run: Callable[[], object]) -> float:
    """ms."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
