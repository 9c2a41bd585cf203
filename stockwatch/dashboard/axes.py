"""Pure numbers behind the charts: where labels stand, round steps, which candles rose. No plotly here."""

from __future__ import annotations

import math
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from stockwatch.dashboard import numbers

LABEL_STEPS = (15, 30, 60, 120, 240, 480, 1440)  # minutes
MOST_STEPS = 60  # beyond what is in sight at first
TOUCHES = 0.15  # of the axis: a label so near to a price tag would be touched by it


def rises(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which candles rose, by plotly's own rule, so that both charts agree on a candle that closed where it opened.

    Such a candle is held against the close before it, and where that is the same too, it goes on as the one before.
    """
    close = frame["close"].to_numpy(np.float64)
    direction = np.sign(close - frame["open"].to_numpy(np.float64))
    direction = np.where(direction == 0, np.sign(np.diff(close, prepend=close[:1])), direction)
    told = np.maximum.accumulate(np.where(direction != 0, np.arange(len(close)), 0))
    rose: npt.NDArray[np.bool_] = direction[told] >= 0
    return rose


def time_labels(frame: pd.DataFrame, zone: ZoneInfo, room: int = 11) -> tuple[list[int], list[str]]:
    """At most `room` labels HH:MM: round times, and every session's first candle, which others near it make room for."""
    starts = frame["start"].tolist()
    moments = [pd.Timestamp(start, unit="ms", tz=zone) for start in starts]
    days = frame["session"].to_numpy()
    firsts = [
        n
        for n in range(len(starts))
        if (n == 0 and moments[0].hour * 60 + moments[0].minute == 0) or (n and days[n] != days[n - 1])
    ]
    for step in LABEL_STEPS:
        rounds = [n for n, moment in enumerate(moments) if (moment.hour * 60 + moment.minute) % step == 0]
        if len(rounds) <= room:
            break
    apart = max(len(starts) / room, 1)  # positions that a label needs; nights and gaps bring round times close together
    kept = list(firsts)
    for n in rounds:
        if all(abs(n - other) >= apart for other in kept):
            kept.append(n)
    kept.sort()
    return kept, [moments[n].strftime("%H:%M") for n in kept]


def round_step(span: float, wanted: int) -> float:
    """The 1, 2 or 5 x 10^n that gives about `wanted` steps."""
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    return float(next(size * power for size in (1, 2, 5, 10) if size * power >= raw))


def volume_steps(top: float) -> tuple[list[float], list[str]]:
    """From 0 by the largest round step that comes three times below a little more than the top; three to five of them."""
    reach = max(top * 1.06, 3.0)  # shares are whole
    power = 10.0 ** math.floor(math.log10(reach / 3))
    step = next(size * power for size in (5, 2, 1) if size * power * 3 <= reach)
    ticks = [step * number for number in range(int(top * 1.06 // step) + 1)]
    parts = [numbers.volume(tick).partition(" ") for tick in ticks]
    return ticks, [f"{float(digits):g}{space}{unit}" for digits, space, unit in parts]


def round_steps(
    low: float, high: float, currency: str, tags: list[float], whole: tuple[float, float] | None = None
) -> tuple[list[float], list[str]]:
    """About five round prices from low to high, and on to the ends of `whole`; the label of one that a price tag would touch
    is blank, its grid line stays."""
    step = round_step(max(high - low, abs(high) * 1e-5), 5)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = (min(low, whole[0]), max(high, whole[1])) if whole else (low, high)
    first, last = max(first, low - MOST_STEPS * step), min(last, high + MOST_STEPS * step)
    ticks = [number * step for number in range(math.ceil(first / step - 0.3), math.floor(last / step + 0.3) + 1)]
    near = (high - low or 1.0) * TOUCHES
    free = [all(abs(tick - tag) >= near for tag in tags) for tick in ticks]
    return ticks, [numbers.number(tick, currency, places) if alone else "" for tick, alone in zip(ticks, free, strict=True)]
