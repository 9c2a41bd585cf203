"""Ticks and bars to candles: tables by hand. test_candle_properties.py has the rest."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from candle_reference import MINUTE, NO_BARS, NONE, OPEN, T0, around, bars_frame, ticks_frame

from stockwatch.candles import build, volume_at
from stockwatch.sessions import market_of, segments

pytestmark = pytest.mark.filterwarnings("ignore:Series.values:Warning")  # exchange_calendars on pandas 3.1


@pytest.mark.parametrize(
    ("day", "minutes", "count", "last"),
    [
        ("2026-07-31", 5, 75, ("15:25", "15:30")),
        ("2026-07-31", 15, 25, ("15:15", "15:30")),
        ("2026-07-31", 60, 7, ("15:15", "15:30")),  # the last one ends with the session
        ("2026-11-23", 5, 77, ("15:35", "15:40")),  # with the closing auction
        ("2026-11-23", 15, 26, ("15:30", "15:40")),
        ("2026-11-23", 60, 7, ("15:15", "15:40")),
    ],
)
def test_nse_is_anchored_at_its_open(day: str, minutes: int, count: int, last: tuple[str, str]) -> None:
    market = market_of("TCS.NS")
    opened = int(datetime.fromisoformat(f"{day}T09:15").replace(tzinfo=market.timezone).timestamp() * 1000)
    found = segments(market, opened, opened)
    rows = [(at, 100.0, number) for number, at in enumerate(range(opened, int(found.close[0]), 20_000))]
    made = build(ticks_frame(rows), NO_BARS, found, minutes)
    clocks = [
        [f"{datetime.fromtimestamp(moment / 1000, market.timezone):%H:%M}" for moment in made[name]] for name in ("start", "end")
    ]
    assert (clocks[0][0], len(made), (clocks[0][-1], clocks[1][-1])) == ("09:15", count, last)
    assert "15:15" in clocks[0]
    assert made["volume"].sum() == rows[-1][2]


def test_a_day_of_25_hours_has_300_candles_of_5_minutes_and_each_is_one() -> None:
    found = around("AAPL", "simulator", "2026-11-01", "2026-11-01")
    rows = [(at, 1.0, 0) for at in range(int(found.open[0]), int(found.close[0]), MINUTE)]
    made = build(ticks_frame(rows), NO_BARS, found, 5)
    assert len(made) == 25 * 12
    assert (made["end"] - made["start"]).unique().tolist() == [5 * MINUTE]


def test_a_late_join_does_not_give_the_first_candle_the_whole_day() -> None:
    rows = [(T0 + 10 * MINUTE, 10.0, 900_000), (T0 + 11 * MINUTE, 11.0, 900_050)]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 5, joins_late=True)["volume"].tolist() == [50]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 5)["volume"].tolist() == [900_050]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 5, baseline=899_990)["volume"].tolist() == [60]


def test_joining_late_is_joining_after_the_sessions_first_candle_in_each_session() -> None:
    rows = [(T0 + 2 * MINUTE, 10.0, 300), (T0 + 1510 * MINUTE, 10.0, 70_000), (T0 + 1511 * MINUTE, 10.0, 70_020)]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 5, joins_late=True)["volume"].tolist() == [300, 20]


def test_a_baseline_is_the_first_sessions_alone() -> None:
    rows = [(T0 + 1501 * MINUTE, 10.0, 100), (T0 + 1502 * MINUTE, 10.0, 130)]  # nothing of the first session is there
    assert build(ticks_frame(rows), NO_BARS, OPEN, 5, baseline=5_000_000, joins_late=True)["volume"].tolist() == [130]


def test_a_correction_adds_nothing_until_the_volume_is_past_what_it_was() -> None:
    rows = [(T0 + n * MINUTE, 10.0, volume) for n, volume in enumerate([100, 250, 180, 240, 260])]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 1)["volume"].tolist() == [100, 150, 0, 0, 10]


def test_a_late_tick_reopens_its_candle() -> None:
    rows = [(T0, 10.0, 10), (T0 + 6 * MINUTE, 11.0, 50)]
    late = (T0 + 4 * MINUTE, 15.0, 40)
    before = build(ticks_frame(rows), NO_BARS, OPEN, 5)
    after = build(ticks_frame([*rows, late]), NO_BARS, OPEN, 5)
    assert before[["high", "close", "volume"]].to_numpy().tolist() == [[10.0, 10.0, 10], [11.0, 11.0, 40]]
    assert after[["high", "close", "volume"]].to_numpy().tolist() == [[15.0, 15.0, 40], [11.0, 11.0, 10]]


def test_a_sources_bar_wins_over_ticks_and_no_volume_counts_twice() -> None:
    bars = bars_frame([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100) for n in range(3)])
    rows = [(T0 + 2 * MINUTE + 59_000, 99.0, 300), (T0 + 3 * MINUTE + 1_000, 20.0, 310), (T0 + 4 * MINUTE, 30.0, 340)]
    made = build(ticks_frame(rows), bars, OPEN, 5)
    assert made[["open", "high", "low", "close", "volume"]].to_numpy().tolist() == [[10.0, 30.0, 9.0, 30.0, 340]]


def test_a_gap_that_bars_fill_is_not_counted_by_the_tick_after_it() -> None:
    bars = bars_frame([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100) for n in range(1, 5)])
    rows = [(T0, 10.0, 50), (T0 + 5 * MINUTE, 11.0, 460)]
    made = build(ticks_frame(rows), bars, OPEN, 5)
    assert made["volume"].tolist() == [450, 10]


def test_the_part_of_a_bars_minute_after_the_last_poll_in_it_counts_once() -> None:
    """Bars of 10:04 and 10:05; polls at 10:03:58, 10:04:50 (100 of its 500 shares are still to come) and 10:06:05."""
    bars = bars_frame([(T0 + 4 * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 500), (T0 + 5 * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 300)])
    rows = [(T0 + 238_000, 10.0, 600), (T0 + 290_000, 10.0, 1_000), (T0 + 365_000, 10.0, 1_430)]
    assert build(ticks_frame(rows), bars, OPEN, 1)["volume"].tolist() == [600, 500, 300, 30]


def test_an_opening_auction_that_no_bar_has_does_not_land_in_the_candle_that_is_forming() -> None:
    bars = bars_frame([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 60) for n in range(20)])
    polls = [(T0 + seconds * 1000, 10.0, 5_000_000 + seconds) for seconds in range(5, 20 * 60 + 10, 10)]
    for late in (True, False):
        assert (
            build(ticks_frame(polls), bars, OPEN, 5, joins_late=late)["volume"].tolist()[-1] == 6
        )  # one a second, from 20:00 on


def test_bars_that_tell_more_than_the_ticks_do_not_stop_the_volume() -> None:
    bars = bars_frame([(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 90) for n in range(20)])
    polls = [(T0 + seconds * 1000, 10.0, seconds) for seconds in range(5, 20 * 60 + 60, 10)]
    assert build(ticks_frame(polls), bars, OPEN, 5)["volume"].tolist()[-1] == 1_255 - (
        1_195 + 6
    )  # the last poll inside, and 4 seconds of 90 a minute


def test_a_tick_at_a_bars_end_is_of_the_next_minute_and_a_bar_without_volume_hides_its_ticks() -> None:
    bars = bars_frame([(T0, 1, 10.0, 12.0, 9.0, 11.0, 0)])
    rows = [(T0 + MINUTE - 1, 99.0, 0), (T0 + MINUTE, 20.0, 0)]
    made = build(ticks_frame(rows), bars, OPEN, 1)
    assert made[["high", "close", "volume"]].to_numpy().tolist() == [[12.0, 11.0, 0], [20.0, 20.0, 0]]


def test_a_bar_that_is_corrected_lands() -> None:
    first, corrected = (T0, 1, 10.0, 12.0, 9.0, 11.0, 100), (T0, 1, 10.0, 13.0, 9.0, 11.0, 140)
    made = build(ticks_frame([(T0 + 90_000, 11.0, 150)]), bars_frame([first, corrected]), OPEN, 1)
    assert made[["high", "volume"]].to_numpy().tolist() == [[13.0, 140], [11.0, 10]]


def test_minutes_that_end_within_five_minutes_take_nothing_from_their_bar() -> None:
    minutes = [(T0 + n * MINUTE, 1, 10.0, 12.0, 9.0, 11.0, 100) for n in range(8)]  # a laptop fell asleep after the eighth
    fives = [(T0 + n * 5 * MINUTE, 5, 10.0, 15.0, 9.0, 14.0, 520) for n in (1, 2)]  # asked for a week later
    made = build(ticks_frame([]), bars_frame(minutes + fives), OPEN, 5)
    assert made[["high", "close", "volume"]].to_numpy().tolist() == [[12.0, 11.0, 500], [15.0, 14.0, 520], [15.0, 14.0, 520]]


@pytest.mark.parametrize("minutes", [1, 2])
def test_a_bar_longer_than_the_candles_draws_none_and_leaves_the_ticks_alone(minutes: int) -> None:
    bars = bars_frame([(T0, 5, 1.0, 50.0, 0.5, 2.0, 999), (T0 + 5 * MINUTE, 5, 1.0, 50.0, 0.5, 2.0, 999)])
    rows = [(T0 + 30_000, 10.0, 40), (T0 + 150_000, 11.0, 70)]
    made = build(ticks_frame(rows), bars, OPEN, minutes)
    assert made["start"].tolist() == [T0, T0 + 2 * MINUTE]
    assert made[["high", "volume"]].to_numpy().tolist() == [[10.0, 40], [11.0, 30]]


def test_nothing_gives_nothing_and_the_last_count_is_kept() -> None:
    empty = build(ticks_frame([]), NO_BARS, OPEN, 5)
    assert empty.empty
    assert empty.dtypes["start"] == np.int64
    rows = [(T0 + n * MINUTE, 10.0 + n, n) for n in range(30)]
    assert build(ticks_frame(rows), NO_BARS, OPEN, 1, count=7)["open"].tolist() == [33.0, 34.0, 35.0, 36.0, 37.0, 38.0, 39.0]


def test_prices_that_are_none_are_dropped_and_an_index_without_volume_has_candles() -> None:
    rows = [(T0, float("nan"), 0), (T0, -1.0, 0), (T0 + 1, 5.0, 0), (T0 + 2, 6.0, 0)]
    made = build(ticks_frame(rows), NO_BARS, OPEN, 5)
    assert made[["open", "close", "volume"]].to_numpy().tolist() == [[5.0, 6.0, 0]]


def test_without_any_session_the_utc_day_is_the_anchor() -> None:
    made = build(ticks_frame([(T0 + 61_000, 5.0, 1)]), NO_BARS, NONE, 60)
    assert made["start"].iloc[0] % 3_600_000 == 0


def test_prints_beside_the_sessions_hours_draw_no_candle_and_an_unknown_session_does() -> None:
    opened = int(datetime(2026, 11, 23, 9, 30, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000)
    hours = 3_600_000
    closed = opened + 13 * hours // 2
    day = segments(market_of("AAPL"), opened, opened)
    rows = [(opened - 20 * MINUTE, 99.0, 40), (opened + 1, 100.0, 50), (closed - 1, 101.0, 60), (closed + 1_000, 200.0, 9_000)]
    made = build(ticks_frame(rows), NO_BARS, day, 5)
    assert made[["start", "close", "volume"]].to_numpy().tolist() == [[opened, 100.0, 50], [closed - 5 * MINUTE, 101.0, 10]]
    saturday = opened - 2 * 24 * hours + 3 * hours  # the calendar knows of no session
    assert build(ticks_frame([(saturday, 5.0, 1)]), NO_BARS, segments(market_of("AAPL"), saturday, opened), 5)[
        "open"
    ].tolist() == [5.0]


def test_the_volume_at_a_moment_is_the_last_ticks_and_what_bars_say_was_traded_since() -> None:
    """Minutes that two bars tell count once; a bar that goes on past the moment tells nothing of it."""
    minute = 60_000
    bars = pd.DataFrame(
        [[0, 5, 300], [3 * minute, 1, 60], [4 * minute, 1, 60], [5 * minute, 1, 120], [6 * minute, 1, 600]],
        columns=["start", "minutes", "volume"],
    ).assign(open=1.0, high=1.0, low=1.0, close=1.0)
    at = 4 * minute + 29_000  # its volume holds all of its second
    assert volume_at(6 * minute, 1_000, at, bars) == 1_000 + 30 + 120
    assert volume_at(6 * minute + 30_000, 1_000, at, bars) == 1_000 + 30 + 120
    assert volume_at(6 * minute, 1_000, 6 * minute - 1, bars) == 1_000
    assert volume_at(6 * minute, 1_000, at, bars.head(0)) == 1_000
