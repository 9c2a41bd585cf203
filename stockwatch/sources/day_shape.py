"""The shape of a simulated day: how busy and how lively a market is by its local time of day, at its exchange's own hours.

Every day has it, weekends and holidays too: the simulator trades round the clock.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from stockwatch.sessions import DAY_MS, Market, segments
from stockwatch.sessions.places import MINUTE_MS

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]
Hours = tuple[tuple[int, int], ...]  # stretches of trading [open, close), in minutes of the local day; (): round the clock
DAY_MINUTES = 1_440
LONGEST_SESSION = 1_200  # minutes; what trades longer is round the clock
QUIET_VOLUME, QUIET_MOVES = 0.2, 0.45  # outside of the hours; the middle of a session is about 1
QUARTER_MS, QUARTERS = 900_000, 96  # zones change their offset on quarters of an hour


class Shape(NamedTuple):
    """By minute of the local day: the weight of its volume, and the scale of its price moves."""

    volume: Floats
    moves: Floats


def by_minute(market: Market, start_ms: Int64s) -> Shape:
    """The shape at each of these minutes (their starts, ms)."""
    wall = _wall_ms(start_ms, market.timezone)
    minute = wall // MINUTE_MS % DAY_MINUTES
    first, last = (datetime.fromtimestamp(int(edge) / 1000, UTC) for edge in (wall.min(), wall.max()))
    if (first.year, first.month) == (last.year, last.month):
        whole = _shape(hours(market, first.year, first.month))
        return Shape(whole.volume[minute], whole.moves[minute])
    made = Shape(np.empty(len(wall)), np.empty(len(wall)))
    months = wall.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)  # since January 1970
    for month in np.unique(months):
        here = months == month
        whole = _shape(hours(market, 1970 + int(month) // 12, int(month) % 12 + 1))
        made.volume[here], made.moves[here] = whole.volume[minute[here]], whole.moves[minute[here]]
    return made


@cache
def hours(market: Market, year: int, month: int) -> Hours:
    """The usual hours of a month: those that most of its sessions have. One month stays within one year of the calendar."""
    if market.calendar is None:
        return ()
    begin, end = (int(datetime(year, month, day, 12, tzinfo=market.timezone).timestamp() * 1000) for day in (2, 27))
    found = segments(market, begin, end)
    days: dict[int, list[tuple[int, int]]] = {}
    for opened, closed, midnight in zip(*(column.tolist() for column in found), strict=True):
        days.setdefault(midnight, []).append(((opened - midnight) // MINUTE_MS, (closed - midnight) // MINUTE_MS))
    if not days:
        return ()
    usual = Counter(tuple(stretches) for stretches in days.values()).most_common(1)[0][0]
    within = usual[0][0] >= 0 and usual[-1][1] <= DAY_MINUTES
    return usual if within and usual[-1][1] - usual[0][0] <= LONGEST_SESSION else ()


@cache
def _shape(usual: Hours) -> Shape:
    """A burst after the open, a U over the session, a rise into the close, a lull at lunch; quiet by night.

    Moves are the same on both sides of midnight and in the small hours, so no price leaps where a day, a month's hours or
    the zone's offset changes.
    """
    minute = np.arange(DAY_MINUTES, dtype=np.float64)
    if not usual:
        wave = np.sin(np.pi * np.clip((minute - 240) / 1_200, 0, 1)) ** 2
        return Shape(0.8 + 0.4 * wave, 0.7 + 0.3 * wave)
    opened, closed = usual[0][0], usual[-1][1]
    bend = (2 * (minute - opened) / (closed - opened) - 1) ** 2
    volume, moves = np.full(DAY_MINUTES, QUIET_VOLUME), np.full(DAY_MINUTES, QUIET_MOVES)
    for number, (begin, end) in enumerate(usual):
        inside = (minute >= begin) & (minute < end)
        since, left = minute - begin, closed - minute
        burst = 1.0 if number == 0 else 0.2  # smaller after lunch
        busy = 0.8 + 1.4 * bend + burst * 5 * np.exp(-np.abs(since) / 25) + 2.5 * np.exp(-np.abs(left) / 10)
        lively = 1.0 + 0.5 * bend + burst * 2 * np.exp(-np.abs(since) / 20) + 0.7 * np.exp(-np.abs(left) / 15)
        volume, moves = np.where(inside, busy, volume), np.where(inside, lively, moves)
    around = np.r_[moves[-2:], moves, moves[:2]]
    return Shape(volume, np.convolve(around, np.full(5, 0.2), "valid"))  # no step in how lively it is


def _wall_ms(at_ms: Int64s, zone: ZoneInfo) -> Int64s:
    """What the clock on the exchange's wall shows, as ms since its 1970."""
    days = range(int(at_ms.min()) // DAY_MS, int(at_ms.max()) // DAY_MS + 1)
    offsets = np.concatenate([_offsets_ms(zone, day) for day in days])
    wall: Int64s = at_ms + offsets[at_ms // QUARTER_MS - days[0] * QUARTERS]
    return wall


@lru_cache(maxsize=4_096)
def _offsets_ms(zone: ZoneInfo, utc_day: int) -> Int64s:
    """The zone's offset from UTC in each quarter of an hour of a day (days since 1970, UTC)."""
    moments = (datetime.fromtimestamp((utc_day * DAY_MS + number * QUARTER_MS) / 1000, zone) for number in range(QUARTERS))
    return np.array([(moment.utcoffset() or timedelta()) // timedelta(milliseconds=1) for moment in moments], np.int64)
