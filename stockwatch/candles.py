"""Ticks and the source's bars → candles. Pure and vectorised; times are int64 ms since the epoch, UTC.

Rules (FACTS.md, "Volume, sessions, candles"): bins are anchored at each segment's open, `open + floor((t - open) / w) * w`, and
restart after lunch. day_volume is cumulative in the session: a candle's volume is the rise of its running maximum, so a fall
(a correction) gives 0 and a new session starts from 0. For the minutes that a source's bar covers, the bar wins over ticks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stockwatch.sessions import DAY_MS, Segments

MINUTE_MS = 60_000
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
Array = npt.NDArray[Any]


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
    baseline: the high-water volume of the first tick's session before that tick. None: unknown, so the first tick carries
    its own volume, or, with joins_late, none of it (else the first candle would get the whole day's).
    Result: start, end (ms), session (local midnight of the session's date, ms), open, high, low, close, volume.
    """
    width = minutes * MINUTE_MS
    kept = _one_bar_a_minute(bars)
    moments, prices, rises = _rises(ticks, segments, baseline, joins_late=joins_late)
    rises = np.maximum(rises - _told_by_bars(moments, kept), 0)
    uncovered = ~_covered(moments, kept)
    moments, prices, rises = moments[uncovered], prices[uncovered], rises[uncovered]
    bar_starts = kept["start"].to_numpy(np.int64)
    at = np.concatenate([bar_starts, moments])
    order = np.argsort(at, kind="stable")
    at = at[order]
    if not len(at):
        return pd.DataFrame({name: np.empty(0, kind) for name, kind in COLUMNS.items()})

    def column(name: str, own: Array) -> Array:
        return np.concatenate([kept[name].to_numpy(own.dtype), own])[order]

    place = _segment_of(at, segments)
    opens, closes, sessions = _bounds(at, place, segments)
    start = opens + (at - opens) // width * width
    first = np.flatnonzero(np.r_[True, start[1:] != start[:-1]])
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


def _rises(
    ticks: pd.DataFrame, segments: Segments, baseline: int | None, *, joins_late: bool
) -> tuple[Int64s, npt.NDArray[np.float64], Int64s]:
    """Valid ticks by time, once each: moments, prices, and by how much each raised its session's volume."""
    at = ticks["at"].to_numpy(np.int64)
    price = ticks["price"].to_numpy(np.float64)
    volume = ticks["day_volume"].to_numpy(np.int64)
    valid = np.isfinite(price) & (price > 0)
    at, price, volume = at[valid], price[valid], volume[valid]
    order = np.lexsort((volume, at))  # stable: ties of both keep their order
    at, price, volume = at[order], price[order], volume[order]
    if not len(at):
        return at, price, volume
    session = session_of(at, segments)
    begins = np.flatnonzero(np.r_[True, session[1:] != session[:-1]])
    rises = np.empty_like(volume)
    for number, (first, after) in enumerate(zip(begins, np.r_[begins[1:], len(at)], strict=True)):
        before = 0
        if number == 0:
            before = baseline if baseline is not None else (int(volume[first]) if joins_late else 0)
        high_water = np.maximum.accumulate(np.r_[before, volume[first:after]])
        rises[first:after] = np.diff(high_water)
    return at, price, rises


def _one_bar_a_minute(bars: pd.DataFrame) -> pd.DataFrame:
    """Bars by time; a one-minute bar wins over the five-minute bar that covers it."""
    kept = bars.sort_values(["start", "minutes"], kind="stable").drop_duplicates(["start", "minutes"], keep="last")
    long = kept["minutes"].to_numpy() > 1
    if long.any():
        minute = np.sort(kept["start"].to_numpy(np.int64)[~long])
        starts = kept["start"].to_numpy(np.int64)
        ends = starts + kept["minutes"].to_numpy(np.int64) * MINUTE_MS
        has_minutes = np.searchsorted(minute, starts) < np.searchsorted(minute, ends)
        kept = kept[~(long & has_minutes)]
    return kept


def _covered(at: Int64s, bars: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which moments lie in a bar's minutes. Bars are sorted and do not overlap."""
    if bars.empty:
        return np.zeros(len(at), np.bool_)
    starts = bars["start"].to_numpy(np.int64)
    ends = starts + bars["minutes"].to_numpy(np.int64) * MINUTE_MS
    place = np.searchsorted(starts, at, "right") - 1
    covered: npt.NDArray[np.bool_] = (place >= 0) & (at < ends[np.maximum(place, 0)])
    return covered


def _told_by_bars(at: Int64s, bars: pd.DataFrame) -> Int64s:
    """The volume of the bars that lie wholly between each tick and the one before it.

    After a gap that bars have filled, the first tick's rise holds their volume too: it must not count twice.
    """
    if bars.empty or not len(at):
        return np.zeros(len(at), np.int64)
    starts = bars["start"].to_numpy(np.int64)
    ends = starts + bars["minutes"].to_numpy(np.int64) * MINUTE_MS
    told = np.r_[0, np.cumsum(bars["volume"].to_numpy(np.int64))]
    begins = np.searchsorted(starts, np.r_[at[0], at[:-1]], "right")  # before the first tick, `baseline` speaks
    between: Int64s = np.maximum(told[np.searchsorted(ends, at, "right")] - told[begins], 0)
    return between


def _segment_of(at: Int64s, segments: Segments) -> Int64s:
    """The segment that each moment belongs to; -1 where there are none at all.

    A moment outside of trading goes to the session of its own date (before the open), else to the one before it.
    """
    if not len(segments.open):
        return np.full(len(at), -1, np.int64)
    place = np.searchsorted(segments.open, at, "right") - 1
    after = np.minimum(place + 1, len(segments.open) - 1)
    held = np.maximum(place, 0)
    past = at >= segments.close[held]
    early = past & (at >= segments.session[after]) & (segments.session[after] > segments.session[held])
    found: Int64s = np.where(early, after, held)
    return found


def session_of(at: Int64s, segments: Segments) -> Int64s:
    """The session (local midnight of its date, ms) that each moment belongs to."""
    return _bounds(at, _segment_of(at, segments), segments)[2]


def _bounds(at: Int64s, place: Int64s, segments: Segments) -> tuple[Int64s, Int64s, Int64s]:
    """Open, close and session of each moment's segment; the UTC day where no session is known."""
    if not len(segments.open):
        day = at // DAY_MS * DAY_MS
        return day, day + DAY_MS, day
    return segments.open[place], segments.close[place], segments.session[place]
