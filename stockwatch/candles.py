"""Ticks and the source's bars → candles. Pure and vectorised; times are int64 ms since the epoch, UTC.

Rules (FACTS.md, "Volume, sessions, candles"): bins are anchored at each segment's open, `open + floor((t - open) / w) * w`, and
restart after lunch. For the minutes that a source's bar covers, the bar wins over ticks; one longer than the candles is not used.

Volume. day_volume is cumulative in the session: a tick adds the rise of its running maximum, so a fall (a correction) adds 0,
and a new session starts from 0. After bars a tick adds what is above the level at their end: the level at the uncovered tick
before them plus their volumes. So nothing counts twice, and candles add up to the last day_volume where bars and ticks agree.
The last tick inside the bars bounds that level: its day_volume and the bars after it, plus at most its own bar. A level
- below: trades in no bar's minutes. They are given to the uncovered tick before the bars, if the first tick inside has seen
  them; else (an opening auction that no bar has) to none.
- outside, and not so explained: the sources disagree. The ticks inside and the time left of the last one's bar give the level.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from stockwatch.sessions import Segments
from stockwatch.sessions.places import MINUTE_MS, bounds_of, is_trading, segment_of, session_of, session_open

COLUMNS = {
    "start": np.int64,
    "end": np.int64,
    "session": np.int64,
    "open": np.float64,
    "high": np.float64,
    "low": np.float64,
    "close": np.float64,
    "volume": np.int64,
}
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]
LONGEST_MINUTES = 5  # of a source's bar
SECOND_MS = 1000  # a tick's volume holds all of its second: Yahoo gives whole seconds


class _Ticks(NamedTuple):
    """By time. before: the session's volume that is known from before all ticks; high_water: its running maximum."""

    at: Int64s
    price: npt.NDArray[np.float64]
    session: Int64s
    before: Int64s
    high_water: Int64s


class _Bars(NamedTuple):
    """By time, none over another; told[n]: the volume of the first n."""

    start: Int64s
    end: Int64s
    session: Int64s
    told: Int64s


def build(
    ticks: pd.DataFrame,
    bars: pd.DataFrame,
    segments: Segments,
    minutes: int,
    *,
    count: int | None = None,
    baseline: int | None = None,
    joins_late: bool = False,
) -> pd.DataFrame:
    """Candles of `minutes`, by time, only where there is data; the last `count` of them.

    ticks: at (ms), price, day_volume, in any order. bars: start (ms), minutes, open, high, low, close, volume.
    baseline: the volume of the segments' first session before these ticks and bars; None: unknown, counted as 0.
    joins_late: where it is unknown, a session's first tick carries none of its volume if it comes after the session's first
    candle (a candle in the middle would get the whole day's).
    Result: start, end (ms), session (local midnight of the session's date, ms), open, high, low, close, volume.
    """
    width = minutes * MINUTE_MS
    kept = _one_bar_a_minute(bars, minutes)
    told = _told(kept, segments)
    seen = _valid(ticks, segments, baseline or 0)
    own = np.flatnonzero(~_covered(seen.at, told.start, told.end))
    late = (seen.at >= session_open(seen.session, segments) + width) & joins_late
    if baseline is not None:
        late &= ~np.isin(seen.session, segments.session[:1])
    prices, rises = seen.price[own], _rises(seen, own, told, late)
    at = np.concatenate([told.start, seen.at[own]])
    order = np.argsort(at, kind="stable")
    at = at[order]
    if not len(at):
        return pd.DataFrame({name: np.empty(0, kind) for name, kind in COLUMNS.items()})

    def column(name: str, own: Array) -> Array:
        return np.concatenate([kept[name].to_numpy(own.dtype), own])[order]

    place = segment_of(at, segments)
    opens, closes, sessions = bounds_of(at, place, segments)
    start = opens + (at - opens) // width * width
    first = _begins(start)
    last = np.r_[first[1:], len(at)] - 1
    end = start[first] + width
    inside = (start[first] < closes[first]) & (end > closes[first])
    made = pd.DataFrame(
        {
            "start": start[first],
            "end": np.where(inside, closes[first], end),
            "session": sessions[first],
            "open": column("open", prices)[first],
            "high": np.maximum.reduceat(column("high", prices), first),
            "low": np.minimum.reduceat(column("low", prices), first),
            "close": column("close", prices)[last],
            "volume": np.add.reduceat(column("volume", rises), first),
        }
    )
    return made if count is None else made.tail(count).reset_index(drop=True)


def volume_at(start: int, volume: int, at: int, bars: pd.DataFrame) -> int:
    """The session's volume at `start` (ms), for build()'s baseline: its last tick before was at `at` and said `volume`.

    What was traded between the two belongs to candles before `start`; the bars that end by then tell how much it was.
    """
    kept = _one_bar_a_minute(bars, LONGEST_MINUTES)
    begins = kept["start"].to_numpy(np.int64)
    ends = begins + kept["minutes"].to_numpy(np.int64) * MINUTE_MS
    after = np.maximum(ends - np.maximum(begins, at + SECOND_MS), 0) * (ends <= start)
    return volume + int((kept["volume"].to_numpy(np.int64) * after // (ends - begins)).sum())


def _valid(ticks: pd.DataFrame, segments: Segments, baseline: int) -> _Ticks:
    """Ticks of the session's hours that have a price; ties in time by volume, ties of both in their order."""
    at = ticks["at"].to_numpy(np.int64)
    price = ticks["price"].to_numpy(np.float64)
    volume = ticks["day_volume"].to_numpy(np.int64)
    valid = np.isfinite(price) & (price > 0) & is_trading(at, segments)
    if not valid.all():
        at, price, volume = at[valid], price[valid], volume[valid]
    later = np.diff(at)
    if ((later < 0) | ((later == 0) & (np.diff(volume) < 0))).any():
        order = np.lexsort((volume, at))
        at, price, volume = at[order], price[order], volume[order]
    session = session_of(at, segments)
    before = np.where(np.isin(session, segments.session[:1]), baseline, 0)
    high_water = np.maximum(volume, before)
    for first, after in pairwise([*_begins(session).tolist(), len(at)]):
        np.maximum.accumulate(high_water[first:after], out=high_water[first:after])
    return _Ticks(at, price, session, before, high_water)


def _rises(ticks: _Ticks, own: Int64s, bars: _Bars, late: Bools) -> Int64s:
    """What each uncovered tick (its place: own) adds to its candle's volume, by the rules in the module's docstring."""
    if not len(own):
        return own
    high = ticks.high_water[own]
    seen = np.searchsorted(bars.start, ticks.at[own], "right")  # how many bars began before each tick
    new = np.r_[True, ticks.session[own[1:]] != ticks.session[own[:-1]]]
    group = np.flatnonzero(new | np.r_[True, seen[1:] != seen[:-1]])  # the first tick after bars, or of a session
    place, new, until = own[group], new[group], seen[group]
    since = np.where(new, np.searchsorted(bars.session, ticks.session[place]), seen[group - 1])
    first = np.where(new, np.searchsorted(ticks.session, ticks.session[place]), own[group - 1] + 1)
    inner = np.searchsorted(bars.start, ticks.at[place - 1], "right") - 1  # the bar of the last tick inside; -1: none
    outer = np.searchsorted(bars.start, ticks.at[first], "right") - 1  # and of the first
    volume, length = np.r_[np.diff(bars.told), 0][inner], np.r_[bars.end - bars.start, 1][inner]
    left = np.maximum(np.r_[bars.end, 0][inner] - ticks.at[place - 1] - SECOND_MS, 0) * volume // length
    told, told_before = bars.told[until] - bars.told[since], bars.told[outer] - bars.told[since]
    lowest = ticks.high_water[place - 1] + bars.told[until] - bars.told[inner + 1]
    columns = (
        new, first < place, late[place], told, lowest, volume, left, ticks.high_water[first] - told_before,
        ticks.before[place], high[group], high[np.r_[group[1:], len(own)] - 1],
    )  # fmt: skip
    levels, shortfalls, level = [], [], 0
    for is_new, is_inside, is_late, between, low, more, rest, before_bars, before, now, top in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        level = before if is_new else level
        expected, shortfall, room = level + between, 0, before_bars - level
        level = expected
        if not is_inside:
            level = now if is_new and is_late else expected
        elif not low <= expected <= low + more:
            level = low + max(min(rest, now - low), 0)
            if not is_new and expected < low <= expected + room:
                level = min(level, expected + room)
                shortfall = level - expected
        levels.append(level)
        shortfalls.append(shortfall)
        level = max(level, top)
    reached = np.maximum(high, np.repeat(np.array(levels, np.int64), np.diff(np.r_[group, len(own)])))
    rises = np.diff(reached, prepend=0)
    rises[group] = reached[group] - levels
    rises[group - 1] += shortfalls
    return rises


def _one_bar_a_minute(bars: pd.DataFrame, longest: int) -> pd.DataFrame:
    """Bars of at most `longest` minutes, by time; a five-minute bar wins over the one-minute bars in it.

    It was asked for after them, and where they end within its minutes only it is whole.
    """
    kept = bars.sort_values(["start", "minutes"], kind="stable").drop_duplicates(["start", "minutes"], keep="last")
    if (kept["minutes"] > 1).any():
        kept = kept[kept["minutes"] <= longest]
        start, length = kept["start"].to_numpy(np.int64), kept["minutes"].to_numpy(np.int64)
        long = length > 1
        kept = kept[long | ~_covered(start, start[long], (start + length * MINUTE_MS)[long])]
    return kept


def _told(kept: pd.DataFrame, segments: Segments) -> _Bars:
    start = kept["start"].to_numpy(np.int64)
    end = start + kept["minutes"].to_numpy(np.int64) * MINUTE_MS
    return _Bars(start, end, session_of(start, segments), np.r_[0, np.cumsum(kept["volume"].to_numpy(np.int64))])


def _covered(at: Int64s, start: Int64s, end: Int64s) -> Bools:
    """Which moments lie in a bar's minutes; moments and bars by time."""
    place = np.searchsorted(start, at, "right") - 1
    covered: Bools = at < np.r_[end, at[:1]][place]  # -1, before all bars: the last, no later than any moment
    return covered


def _begins(column: Array) -> Int64s:
    """The places at which a sorted column changes, and 0; none if it is empty."""
    return np.flatnonzero(np.r_[np.ones(min(len(column), 1), np.bool_), column[1:] != column[:-1]])
