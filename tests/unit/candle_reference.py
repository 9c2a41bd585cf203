"""Candles as one would make them on paper: one tick, one bar, one trade after the other. For the tests of stockwatch.candles."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stockwatch.sessions import Segments, market_for, segments

MINUTE = 60_000
T0 = 1_764_000_000_000 // MINUTE * MINUTE
# Two sessions, the first with a lunch: 30 + 20 minutes, then 40, a night between them.
OPEN = Segments(
    np.array([T0, T0 + 45 * MINUTE, T0 + 1500 * MINUTE]),
    np.array([T0 + 30 * MINUTE, T0 + 65 * MINUTE, T0 + 1540 * MINUTE]),
    np.array([T0 - 100 * MINUTE, T0 - 100 * MINUTE, T0 + 1340 * MINUTE]),
)
NONE = Segments(*(np.empty(0, np.int64) for _ in range(3)))
COLUMNS = ("start", "end", "session", "open", "high", "low", "close", "volume")


class Tick(NamedTuple):
    at: int
    price: float
    day_volume: int


class Bar(NamedTuple):
    start: int
    minutes: int
    open: float
    high: float
    low: float
    close: float
    volume: int

    @property
    def end(self) -> int:
        return self.start + self.minutes * MINUTE


class Trade(NamedTuple):
    at: int
    price: float
    size: int


def ticks_frame(rows: list[Any]) -> pd.DataFrame:
    kinds = {"at": "int64", "price": "float64", "day_volume": "int64"}
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def bars_frame(rows: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(Bar._fields))


NO_BARS = bars_frame([])


def around(symbol: str, source: str, first: str, last: str) -> Segments:
    """The sessions of two dates and all between them."""
    market = market_for(source, symbol)
    moments = [
        int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=market.timezone).timestamp() * 1000) for day in (first, last)
    ]
    return segments(market, *moments)


def place(segments: Segments, at: int) -> tuple[int, int, int]:
    """Open, close and session of a moment: those of its segment; outside of trading the next one's from its date on."""
    rows = list(zip(*(column.tolist() for column in segments), strict=True))
    if not rows:
        day = at // 86_400_000 * 86_400_000
        return day, day + 86_400_000, day
    begun = [row for row in rows if row[0] <= at] or rows[:1]
    later = [row for row in rows if row[0] > at]
    if later and at >= begun[-1][1] and at >= later[0][2] > begun[-1][2]:
        return later[0]
    return begun[-1]


def is_trading(segments: Segments, at: int) -> bool:
    """Not beside the hours of a session on its own date."""
    opened, closed, session = place(segments, at)
    return opened <= at < closed or not session <= at < session + 86_400_000


def first_open(segments: Segments, session: int) -> int:
    rows = zip(segments.open.tolist(), segments.session.tolist(), strict=True)
    return min((opened for opened, day in rows if day == session), default=session)


def kept_bars(bars: list[Bar], longest: int) -> list[Bar]:
    """The last of each identity, none longer than the candles; five minutes' bar wins over those of the minutes in it."""
    last = [bar for bar in {(bar.start, bar.minutes): bar for bar in bars}.values() if bar.minutes <= longest]
    fives = [bar for bar in last if bar.minutes == 5]
    return sorted(bar for bar in last if bar.minutes == 5 or not any(five.start <= bar.start < five.end for five in fives))


def candles(
    ticks: list[Tick], bars: list[Bar], segments: Segments, minutes: int, *, baseline: int | None = None, late: bool = False
) -> list[dict[str, Any]]:
    """What build() promises, for anything that may come."""
    told = kept_bars(bars, minutes)
    good = sorted(
        (tick for tick in ticks if tick.price > 0 and is_trading(segments, tick.at)), key=lambda tick: (tick.at, tick.day_volume)
    )
    events = [(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in told]
    for session in sorted({place(segments, tick.at)[2] for tick in good}):
        mine = [tick for tick in good if place(segments, tick.at)[2] == session]
        told_here = [bar for bar in told if place(segments, bar.start)[2] == session]
        is_first = len(segments.session) > 0 and session == segments.session[0]
        known = baseline if is_first else None
        late_from = first_open(segments, session) + minutes * MINUTE if late and known is None else None
        for tick, rise in volumes(mine, told_here, known or 0, late_from):
            events.append((tick.at, *[tick.price] * 4, rise))
    made: dict[int, dict[str, Any]] = {}
    for at, opened, high, low, close, volume in sorted(events, key=lambda event: event[0]):
        begin, end, session = place(segments, at)
        start = begin + (at - begin) // (minutes * MINUTE) * minutes * MINUTE
        stop = start + minutes * MINUTE
        stop = end if start < end < stop else stop
        one = made.setdefault(start, dict(zip(COLUMNS, (start, stop, session, opened, high, low, close, 0), strict=True)))
        one["high"], one["low"], one["close"] = max(one["high"], high), min(one["low"], low), close
        one["volume"] += volume
    return [made[start] for start in sorted(made)]


def volumes(ticks: list[Tick], bars: list[Bar], before: int, late_from: int | None) -> list[tuple[Tick, int]]:
    """What each tick of a session adds that no bar covers."""
    found: list[tuple[Tick, int]] = []
    level = high = before
    inside: list[tuple[Tick, int, Bar]] = []  # the covered ticks since the last uncovered one, the high water at each, their bars
    for number, tick in enumerate(ticks):
        high = max(high, tick.day_volume)
        over = [bar for bar in bars if bar.start <= tick.at < bar.end]
        if over:
            inside.append((tick, high, over[0]))
            continue
        since = found[-1][0].at if found else -(2**62)
        expected = level + sum(bar.volume for bar in bars if since < bar.start <= tick.at)
        reached = expected
        if not inside and number == 0 and late_from is not None and tick.at >= late_from:
            reached = high
        if inside:
            (_, first_high, first_bar), (last, last_high, last_bar) = inside[0], inside[-1]
            least = last_high + sum(bar.volume for bar in bars if last.at < bar.start <= tick.at)
            if not least <= expected <= least + last_bar.volume:
                left = max(last_bar.end - last.at - 1000, 0)
                left = last_bar.volume * left // (last_bar.end - last_bar.start)
                reached = least + max(min(left, high - least), 0)
                untold = first_high - level - sum(bar.volume for bar in bars if since < bar.start < first_bar.start)
                if found and expected < least <= expected + untold:  # trades in no bar's minutes, after the last uncovered tick
                    reached = min(reached, expected + untold)
                    found[-1] = (found[-1][0], found[-1][1] + reached - expected)
        found.append((tick, max(high - reached, 0)))
        level, inside = max(reached, high), []
    return found
