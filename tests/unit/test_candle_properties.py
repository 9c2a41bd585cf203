"""Candles for anything that may come, against a slow, obvious reference; and what is true of made-up trades, their polls and bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from candle_reference import COLUMNS, MINUTE, NO_BARS, NONE, OPEN, T0, Bar, Tick, Trade, around, bars_frame, candles, ticks_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from stockwatch.candles import build
from stockwatch.sessions import Segments

pytestmark = pytest.mark.filterwarnings("ignore:Series.values:Warning")  # exchange_calendars on pandas 3.1
MINUTES = st.sampled_from([1, 2, 5, 10, 15, 30, 60])
# Days of 25 and of 23 hours, an exchange's sessions before and after both changes of its clock, two real lunches.
SHORT_DAYS = [OPEN, NONE]
REAL_DAYS = [
    around("AAPL", "simulator", "2026-10-31", "2026-11-02"),
    around("AAPL", "simulator", "2026-03-07", "2026-03-09"),
    around("AAPL", "yahoo", "2026-03-06", "2026-03-09"),
    around("AAPL", "yahoo", "2026-10-30", "2026-11-02"),
    around("ES=F", "yahoo", "2026-10-30", "2026-11-02"),
    around("7203.T", "yahoo", "2026-11-19", "2026-11-20"),
]


@st.composite
def moments_of(draw: st.DrawFn, found: Segments) -> int:
    """Mostly close to the edges of trading, sometimes between them or outside."""
    if not len(found.open):
        return draw(st.integers(T0, T0 + 90 * MINUTE))
    opened, closed = draw(st.sampled_from(list(zip(found.open.tolist(), found.close.tolist(), strict=True))))
    return draw(
        st.one_of(
            st.integers(opened, min(closed, opened + 20 * MINUTE)),
            st.integers(max(opened, closed - 20 * MINUTE), closed + 10 * MINUTE),
            st.integers(opened - 10 * MINUTE, closed),
        )
    )


@st.composite
def anything(draw: st.DrawFn) -> tuple[Segments, list[Tick], list[Bar]]:
    """Ticks and bars that need not agree, not even roughly: falls of the volume, duplicates, no volume at all."""
    found = draw(st.one_of(st.sampled_from(SHORT_DAYS), st.sampled_from(REAL_DAYS)))
    most = draw(st.sampled_from([0, 50, 5_000]))
    price = st.integers(1, 400).map(lambda number: number / 4)
    ticks = draw(
        st.lists(
            st.builds(Tick, moments_of(found), price, st.integers(0, most)),
            max_size=40,
            unique_by=lambda tick: (tick.at, tick.day_volume),
        )
    )
    bars = []
    for start, minutes, volume in draw(
        st.lists(st.tuples(moments_of(found), st.sampled_from([1, 1, 1, 5]), st.integers(0, most // 4)), max_size=25)
    ):
        opened, high, low, close = sorted(draw(price) for _ in range(4))
        bars.append(Bar(start // (minutes * MINUTE) * minutes * MINUTE, minutes, high, close, opened, low, volume))
    return found, ticks, bars


def same(made: pd.DataFrame, expected: list[dict[str, Any]]) -> bool:
    return made[list(COLUMNS)].to_dict("records") == expected


@settings(max_examples=400, deadline=None)
@given(anything(), MINUTES, st.booleans(), st.one_of(st.none(), st.integers(0, 3_000)), st.randoms())
def test_whatever_comes_is_as_on_paper(
    given_: tuple[Segments, list[Tick], list[Bar]], minutes: int, late: bool, baseline: int | None, chance: Any
) -> None:
    found, ticks, bars = given_
    shuffled = ticks + [tick for tick in ticks if chance.random() < 0.3]  # duplicates change nothing
    chance.shuffle(shuffled)
    made = build(ticks_frame(shuffled), bars_frame(bars), found, minutes, joins_late=late, baseline=baseline)
    assert same(made, candles(ticks, bars, found, minutes, late=late, baseline=baseline))


class Truth:
    """Trades in OPEN's sessions; a poll sees the last of them, a bar all of its minute."""

    def __init__(self, trades: list[Trade]) -> None:
        self.trades = sorted(trades)

    def day(self, at: int) -> int:
        return int(at >= OPEN.open[2])

    def volume(self, day: int, until: int = 2**62) -> int:
        return sum(trade.size for trade in self.trades if self.day(trade.at) == day and trade.at <= until)

    def poll(self, now: int) -> Tick | None:
        """As a source tells it: the time of the last trade, in whole seconds, with all that was traded in that second so far."""
        seen = [trade for trade in self.trades if trade.at <= now and self.day(trade.at) == self.day(now)]
        return Tick(seen[-1].at // 1000 * 1000, seen[-1].price, sum(trade.size for trade in seen)) if seen else None

    def bar(self, minute: int, minutes: int = 1) -> Bar | None:
        inside = [trade for trade in self.trades if minute <= trade.at < minute + minutes * MINUTE]
        prices = [trade.price for trade in inside]
        if not inside:
            return None
        return Bar(minute, minutes, prices[0], max(prices), min(prices), prices[-1], sum(trade.size for trade in inside))

    def minutes(self) -> list[int]:
        return sorted({trade.at // MINUTE * MINUTE for trade in self.trades})


moment = st.one_of(
    st.integers(T0, T0 + 9 * MINUTE), st.integers(T0 + 28 * MINUTE, T0 + 30 * MINUTE - 1), st.integers(T0 + 45 * MINUTE, T0 + 50 * MINUTE),
    st.integers(T0 + 1500 * MINUTE, T0 + 1506 * MINUTE),
)  # fmt: skip


def busy(seed: int) -> tuple[Truth, list[int], set[int]]:
    """Trades each few seconds in 14 minutes of both sessions, polls each half minute or so, bars of some stretches."""
    chance = np.random.default_rng(seed)
    begins = chance.choice([T0 + 16 * MINUTE, T0 + 1500 * MINUTE], 160)
    at = begins + np.minimum(chance.integers(0, 14 * MINUTE, 160), 10 * MINUTE - 1 + chance.integers(0, 2, 160) * 4 * MINUTE)
    trades = [Trade(int(moment), float(chance.integers(1, 400)) / 4, int(chance.integers(1, 900))) for moment in at]
    polls = [int(moment) for moment in begins[:40] + chance.integers(0, 14 * MINUTE, 40)]
    edges = np.sort(chance.integers(0, 28, 6))
    return Truth(trades), polls, {n for first, last in zip(edges[::2], edges[1::2], strict=True) for n in range(first, last)}


few = st.tuples(
    st.lists(
        st.builds(Trade, moment, st.integers(1, 400).map(lambda n: n / 4), st.integers(1, 900)), min_size=1, max_size=40
    ).map(Truth),
    st.lists(moment, max_size=30),
    st.sets(st.integers(0, 30)),
)
markets = st.one_of(few, st.integers(0, 2**32).map(busy))  # trades, polls, and the numbers of the minutes that have a bar


@settings(max_examples=300, deadline=None)
@given(markets, MINUTES, st.booleans())
def test_bars_and_ticks_of_the_same_trades_tell_no_volume_twice_and_covered_candles_exactly(
    market: tuple[Truth, list[int], set[int]], minutes: int, late: bool
) -> None:
    truth, polls, covered = market
    known = [minute for number, minute in enumerate(truth.minutes()) if number in covered]
    ticks = [tick for tick in map(truth.poll, polls) if tick]
    made = build(ticks_frame(ticks), bars_frame([truth.bar(minute) for minute in known]), OPEN, minutes, joins_late=late)
    for day, session in enumerate((OPEN.session[0], OPEN.session[2])):
        mine = made[made["session"] == session]
        told = [bar for bar in map(truth.bar, known) if bar and truth.day(bar.start) == day]
        seen = [tick for tick in ticks if truth.day(tick.at) == day]
        until = max([bar.end - 1 for bar in told] + [tick.at + 999 for tick in seen], default=0)
        assert sum(bar.volume for bar in told) <= mine["volume"].sum() <= truth.volume(day, until)
        for row in mine.itertuples():
            inside = [minute for minute in truth.minutes() if row.start <= minute < row.end]
            if inside and set(inside) <= set(known):
                whole = truth.bar(row.start, (row.end - row.start) // MINUTE)
                assert whole is not None
                assert (row.open, row.high, row.low, row.close, row.volume) == tuple(whole[2:])


@settings(max_examples=300, deadline=None)
@given(markets, MINUTES, st.randoms())
def test_all_of_the_volume_is_there_when_each_minute_without_a_bar_was_polled(
    market: tuple[Truth, list[int], set[int]], minutes: int, chance: Any
) -> None:
    truth, polls, covered = market
    last = {truth.day(minute): minute for minute in truth.minutes()}
    known = [minute for number, minute in enumerate(truth.minutes()) if number in covered and minute not in last.values()]
    for minute in set(truth.minutes()) - set(known):
        seen = [trade.at for trade in truth.trades if minute <= trade.at < minute + MINUTE]
        polls = [*polls, seen[-1] if minute in last.values() else chance.choice(seen)]
    ticks = [tick for tick in map(truth.poll, polls) if tick]
    chance.shuffle(ticks)
    made = build(ticks_frame(ticks), bars_frame([truth.bar(minute) for minute in known]), OPEN, minutes)
    assert made.groupby("session")["volume"].sum().tolist() == [truth.volume(day) for day in sorted(last)]


@settings(max_examples=100, deadline=None)
@given(markets, MINUTES)
def test_without_bars_candles_are_what_the_ticks_say(market: tuple[Truth, list[int], set[int]], minutes: int) -> None:
    truth, polls, _ = market
    ticks = [tick for tick in map(truth.poll, polls) if tick]
    made = build(ticks_frame(ticks), NO_BARS, OPEN, minutes)
    for row in made.itertuples():
        inside = [tick for tick in ticks if row.start <= tick.at < row.end]
        before = [tick.day_volume for tick in ticks if tick.at < row.start and truth.day(tick.at) == truth.day(row.start)]
        assert row.volume == max(tick.day_volume for tick in inside) - max(before, default=0)
        assert (row.high, row.low) == (max(tick.price for tick in inside), min(tick.price for tick in inside))
