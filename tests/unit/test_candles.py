"""Ticks and bars to candles: tables by hand, and every rule against a slow, obvious reference."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockwatch.candles import build
from stockwatch.sessions import Segments, market_of, segments

MINUTE = 60_000
T0 = 1_764_000_000_000 // MINUTE * MINUTE
# Two sessions, the first with a lunch: 30 + 20 minutes, then 40, a night between them.
OPEN = Segments(
    np.array([T0, T0 + 45 * MINUTE, T0 + 1500 * MINUTE]),
    np.array([T0 + 30 * MINUTE, T0 + 65 * MINUTE, T0 + 1540 * MINUTE]),
    np.array([T0 - 100 * MINUTE, T0 - 100 * MINUTE, T0 + 1340 * MINUTE]),
)
NO_BARS = pd.DataFrame(
    {name: pd.Series(dtype="float64") for name in ("start", "minutes", "open", "high", "low", "close", "volume")}
)


def ticks_of(rows: list[tuple[int, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["at", "price", "day_volume"]).astype(
        {"at": "int64", "price": "float64", "day_volume": "int64"}
    )


def bars_of(rows: list[tuple[int, int, float, float, float, float, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["start", "minutes", "open", "high", "low", "close", "volume"])


def reference(rows: list[tuple[int, float, int]], minutes: int, *, late: bool, baseline: int | None) -> list[dict[str, Any]]:
    """One tick after the other, as one would on paper."""
    candles: dict[int, dict[str, Any]] = {}
    session, high_water, first = None, 0, True
    for at, price, volume in sorted(rows, key=lambda row: (row[0], row[2])):
        place = max((n for n in range(3) if OPEN.open[n] <= at), default=0)
        if place + 1 < 3 and at >= OPEN.close[place] and at >= OPEN.session[place + 1] > OPEN.session[place]:
            place += 1
        if OPEN.session[place] != session:
            session, high_water = OPEN.session[place], 0
            if first:
                high_water = baseline if baseline is not None else (volume if late else 0)
            first = False
        start = int(OPEN.open[place]) + (at - int(OPEN.open[place])) // (minutes * MINUTE) * minutes * MINUTE
        rise, high_water = max(volume - high_water, 0), max(volume, high_water)
        candle = candles.setdefault(start, {"start": start, "open": price, "high": price, "low": price, "volume": 0})
        candle["high"], candle["low"] = max(candle["high"], price), min(candle["low"], price)
        candle["close"] = price
        candle["volume"] += rise
    return [candles[start] for start in sorted(candles)]


moments = st.one_of(
    st.integers(T0, T0 + 64 * MINUTE),
    st.integers(T0 + 1500 * MINUTE, T0 + 1539 * MINUTE),
    st.integers(T0 - 9 * MINUTE, T0 + 1560 * MINUTE),
)
tick = st.tuples(moments, st.integers(1, 400).map(lambda n: n / 4), st.integers(0, 5_000))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(tick, min_size=1, max_size=60, unique_by=lambda row: (row[0], row[2])),
    st.sampled_from([1, 2, 5, 10, 15, 30, 60]),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 3_000)),
    st.randoms(),
)
def test_out_of_order_corrections_sessions_and_lunch_as_on_paper(
    rows: list[tuple[int, float, int]], minutes: int, late: bool, baseline: int | None, chance: Any
) -> None:
    shuffled = rows + [row for row in rows if chance.random() < 0.3]  # duplicates change nothing
    chance.shuffle(shuffled)
    made = build(ticks_of(shuffled), NO_BARS, OPEN, minutes, joins_late=late, baseline=baseline)
    expected = reference(rows, minutes, late=late, baseline=baseline)
    assert made[["start", "open", "high", "low", "close", "volume"]].to_dict("records") == [
        {name: candle[name] for name in ("start", "open", "high", "low", "close", "volume")} for candle in expected
    ]


@pytest.mark.filterwarnings("ignore:Series.values:Warning")
@pytest.mark.parametrize(("minutes", "first", "last"), [(5, "09:15", "15:25"), (15, "09:15", "15:15"), (60, "09:15", "15:15")])
def test_nse_is_anchored_at_its_open(minutes: int, first: str, last: str) -> None:
    market = market_of("TCS.NS")
    opened = int(datetime(2026, 11, 23, 9, 15, tzinfo=market.timezone).timestamp() * 1000)
    rows = [(opened + second * 1000, 100.0, second) for second in range(0, 6 * 3600 + 15 * 60, 20)]
    made = build(ticks_of(rows), NO_BARS, segments(market, opened, opened), minutes)
    clocks = [f"{datetime.fromtimestamp(start / 1000, market.timezone):%H:%M}" for start in made["start"]]
    assert (clocks[0], clocks[-1]) == (first, last)
    assert made["end"].iloc[-1] == opened + (6 * 60 + 15) * MINUTE  # the last one ends with the session


def test_a_late_join_does_not_give_the_first_candle_the_whole_day() -> None:
    rows = [(T0 + 10 * MINUTE, 10.0, 900_000), (T0 + 11 * MINUTE, 11.0, 900_050)]
    assert build(ticks_of(rows), NO_BARS, OPEN, 5, joins_late=True)["volume"].tolist() == [50]
    assert build(ticks_of(rows), NO_BARS, OPEN, 5)["volume"].tolist() == [900_050]
    assert build(ticks_of(rows), NO_BARS, OPEN, 5, baseline=899_990)["volume"].tolist() == [60]


def test_a_sources_bar_wins_over_ticks_and_no_volume_counts_twice() -> None:
    bars = bars_of([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100) for n in range(3)])
    rows = [(T0 + 2 * MINUTE + 59_000, 99.0, 300), (T0 + 3 * MINUTE + 1_000, 20.0, 310), (T0 + 4 * MINUTE, 30.0, 340)]
    made = build(ticks_of(rows), bars, OPEN, 5)
    assert made[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [[10.0, 30.0, 9.0, 30.0, 340]]


def test_a_gap_that_bars_fill_is_not_counted_by_the_tick_after_it() -> None:
    bars = bars_of([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100) for n in range(1, 5)])
    rows = [(T0, 10.0, 50), (T0 + 5 * MINUTE, 11.0, 460)]
    made = build(ticks_of(rows), bars, OPEN, 5)
    assert made["volume"].tolist() == [450, 10]


def test_a_minutes_bar_wins_over_the_five_minutes_that_hold_it() -> None:
    bars = bars_of(
        [
            (T0, 5, 1.0, 50.0, 0.5, 2.0, 999),
            (T0 + 5 * MINUTE, 5, 2.0, 3.0, 1.0, 2.5, 70),
            (T0 + MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100),
        ]
    )
    made = build(ticks_of([]), bars, OPEN, 5)
    assert made[["high", "volume"]].to_numpy().tolist() == [[12.0, 100], [3.0, 70]]


def test_nothing_gives_nothing_and_the_last_count_is_kept() -> None:
    empty = build(ticks_of([]), NO_BARS, OPEN, 5)
    assert empty.empty
    assert empty.dtypes["start"] == np.int64
    rows = [(T0 + n * MINUTE, 10.0 + n, n) for n in range(30)]
    assert build(ticks_of(rows), NO_BARS, OPEN, 1, count=7)["open"].tolist() == [33.0, 34.0, 35.0, 36.0, 37.0, 38.0, 39.0]


def test_prices_that_are_none_are_dropped_and_an_index_without_volume_has_candles() -> None:
    rows = [(T0, float("nan"), 0), (T0, -1.0, 0), (T0 + 1, 5.0, 0), (T0 + 2, 6.0, 0)]
    made = build(ticks_of(rows), NO_BARS, OPEN, 5)
    assert made[["open", "close", "volume"]].to_numpy().tolist() == [[5.0, 6.0, 0]]


def test_without_any_session_the_utc_day_is_the_anchor() -> None:
    none = Segments(*(np.empty(0, np.int64) for _ in range(3)))
    made = build(ticks_of([(T0 + 61_000, 5.0, 1)]), NO_BARS, none, 60)
    assert made["start"].iloc[0] % 3_600_000 == 0
