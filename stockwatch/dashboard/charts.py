"""DataFrame → plotly Figure, pure. Colours are the light palette's; the page's script puts the dark ones in their place.

Candles and volume stand at positions 0 … n-1, not at times, so nights and holidays take no room (LOOK.md).
"""

from __future__ import annotations

import math
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from stockwatch.dashboard import numbers

PAGE, INK, SECONDARY, TERTIARY = "#FFFFFF", "#10171E", "#4A5764", "#66727F"
UP, DOWN, UP_TINT, DOWN_TINT = "#08757D", "#C4470B", "rgba(8,117,125,0.16)", "rgba(196,71,11,0.16)"
GRID, HAIRLINE, SOFT = "#E9EDF1", "#DCE2E8", "#E6EAEE"
MARK = "rgba(106,43,192,0.14)"
FONT = "IBM Plex Sans, Source Sans, sans-serif"
LABEL_STEPS = (15, 30, 60, 120, 240, 480, 1440)  # minutes
BODY_GAP = 0.34
TOUCHES = 0.13  # of the axis: a label so near to a price tag would be touched by it


def candles(frame: pd.DataFrame, zone: ZoneInfo, currency: str, mark: str = "") -> go.Figure:
    """The candlestick chart of candles.build()'s frame: one trace, last price as a tag on the axis."""
    figure = go.Figure(
        go.Candlestick(
            x=list(range(len(frame))),
            **{name: frame[name].tolist() for name in ("open", "high", "low", "close")},
            increasing={"line": {"color": UP, "width": 1.7}, "fillcolor": PAGE},
            decreasing={"line": {"color": DOWN, "width": 1.2}, "fillcolor": DOWN},
            whiskerwidth=0,
            name="candles",
            hoverinfo="none",
        )
    )
    low, high = float(frame["low"].min()), float(frame["high"].max())
    _base(figure, frame, zone, mark)
    ticks, labels = _round_steps(low, high, currency, [float(frame["close"].iloc[-1])])
    pad = (high - low or abs(high) * 0.001 or 1.0) * 0.06
    figure.update_yaxes(range=[low - pad, high + pad], tickvals=ticks, ticktext=labels)
    _tag(figure, float(frame["close"].iloc[-1]), currency, INK, PAGE)
    return figure


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


def volumes(frame: pd.DataFrame, zone: ZoneInfo, mark: str = "") -> go.Figure:
    """The volume chart over the same candles: one bar trace, each bar in its own candle's two colours."""
    rose = rises(frame).tolist()
    figure = go.Figure(
        go.Bar(
            x=list(range(len(frame))),
            y=frame["volume"].astype("float64").tolist(),
            marker={
                "color": [PAGE if up else DOWN for up in rose],
                "line": {"color": [UP if up else DOWN for up in rose], "width": 1.5},
            },
            name="volume",
            hoverinfo="none",
        )
    )
    _base(figure, frame, zone, mark, room=5)
    figure.update_layout(bargap=BODY_GAP)
    top = float(frame["volume"].max()) or 1.0
    step = _step(top, 3)
    ticks = [step * number for number in range(int(top * 1.04 // step) + 1)]
    figure.update_yaxes(range=[0, top * 1.06], tickvals=ticks, ticktext=[numbers.volume(tick) for tick in ticks])
    return figure


def live(
    frame: pd.DataFrame,
    zone: ZoneInfo,
    currency: str,
    previous_close: float | None,
    session: tuple[int, int],
    mark: str = "",
    *,
    fresh: bool = True,
) -> go.Figure:
    """The price line: at (ms), price; wall time of the exchange on the axis; the area to the previous close is tinted."""
    offset = pd.Timestamp(int(frame["at"].iloc[-1]), unit="ms", tz=zone).utcoffset()
    shift = offset.total_seconds() * 1000 if offset else 0.0
    x = (frame["at"].to_numpy(np.float64) + shift).tolist()
    y = frame["price"].to_numpy(np.float64)
    low, high = float(y.min()), float(y.max())
    span = max(high - low, abs(high) * 1e-4)
    near = previous_close is not None and low - 1.5 * span < previous_close < high + 1.5 * span
    figure = go.Figure()
    if near and previous_close is not None:
        for values, tint in ((np.maximum(y, previous_close), UP_TINT), (np.minimum(y, previous_close), DOWN_TINT)):
            around = [*values.tolist(), *[previous_close] * len(x)]
            figure.add_scatter(x=[*x, *x[::-1]], y=around, mode="none", fill="toself", fillcolor=tint, hoverinfo="skip")
        low, high = min(low, previous_close), max(high, previous_close)
    ink = INK if fresh else SECONDARY
    figure.add_scatter(x=x, y=y.tolist(), mode="lines", line={"color": ink, "width": 2}, name="price", hoverinfo="none")
    point = {"color": ink if fresh else PAGE, "size": 10, "line": {"color": PAGE if fresh else ink, "width": 2}}
    figure.add_scatter(x=x[-1:], y=y[-1:].tolist(), mode="markers", marker=point, name="last", hoverinfo="skip", cliponaxis=False)
    pad = (high - low or 1.0) * 0.08
    edge = low - pad if previous_close is not None and previous_close < low else high + pad
    tags = [float(y[-1])] if previous_close is None else [float(y[-1]), previous_close if near else edge]
    ticks, labels = _round_steps(low, high, currency, tags)
    _plain(figure, mark)
    figure.update_yaxes(range=[low - pad, high + pad], tickvals=ticks, ticktext=labels)
    begin = max(session[0] + shift, x[0])  # a session that was joined late begins where its prices do
    end = max(x[-1] + (x[-1] - begin) * 0.03, begin + 1_800_000)
    figure.update_xaxes(type="date", range=[begin, end], tickformat="%H:%M", nticks=12)
    if near and previous_close is not None:
        figure.add_hline(previous_close, line={"color": TERTIARY, "width": 1.2, "dash": "dash"})
        _tag(figure, previous_close, currency, SOFT, SECONDARY, line=False)
        below = float(y[-1]) >= previous_close
        figure.add_annotation(
            x=1, xref="paper", y=previous_close, text="previous close", showarrow=False, xanchor="right", xshift=-6,
            yshift=-11 if below else 11, font={"color": SECONDARY, "size": 14},
        )  # fmt: skip
    elif previous_close is not None:
        arrow = "↓" if previous_close < low else "↑"
        _tag(figure, edge, currency, SOFT, SECONDARY, line=False, text=f"{arrow} {numbers.number(previous_close, currency)}")
    _tag(figure, float(y[-1]), currency, ink, PAGE, line=False)
    return figure


def _plain(figure: go.Figure, mark: str) -> None:
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "tickfont": {"color": SECONDARY, "size": 14, "family": FONT},
        "fixedrange": False,
    }
    figure.update_layout(
        template="none", paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False, dragmode="pan",
        margin={"l": 6, "r": 84, "t": 26, "b": 30, "pad": 0}, font={"family": FONT, "size": 14, "color": INK}, uirevision="stay",
        hovermode="x",
    )  # fmt: skip
    figure.update_xaxes(**axis, showgrid=False, linecolor=HAIRLINE, showline=True, ticks="outside", ticklen=4, tickcolor=HAIRLINE)
    figure.update_yaxes(**axis, side="right", showline=False)
    if mark:  # under the data: no picture of it can pass for the market's
        figure.add_annotation(
            text=mark, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 44, "color": MARK, "weight": 700},
        )  # fmt: skip


def _base(figure: go.Figure, frame: pd.DataFrame, zone: ZoneInfo, mark: str, room: int = 11) -> None:
    """What candles and volume share: positions, time labels, session breaks with the days' names."""
    _plain(figure, mark)
    figure.update_layout(xaxis_rangeslider_visible=False)
    where, labels = time_labels(frame, zone, room)
    figure.update_xaxes(range=[-0.7, len(frame) - 0.3], tickvals=where, ticktext=labels, tickangle=0)
    days = frame["session"].to_numpy()
    breaks = [n for n in range(1, len(frame)) if days[n] != days[n - 1]]
    for place in breaks:
        line = {"color": TERTIARY, "width": 1.2, "dash": "dot"}
        figure.add_shape(type="line", x0=place - 0.5, x1=place - 0.5, y0=0, y1=1.06, yref="paper", line=line)

    def name(x: float, text: str, anchor: str) -> None:
        figure.add_annotation(
            x=x, y=1, yref="paper", yanchor="bottom", xanchor=anchor, text=text, showarrow=False,
            xshift=6 if anchor == "left" else -6, font={"color": INK if "<b>" in text else SECONDARY, "size": 14},
        )  # fmt: skip

    if not breaks:
        name(-0.7, f"<b>{numbers.day(int(days[-1]), zone)}</b>", "left")
        return
    last = breaks[-1]
    before, now = (numbers.day(int(days[place]), zone) for place in (last - 1, -1))
    if last < len(frame) * 0.85:
        name(last - 0.5, f"<b>{now}</b>", "left")
    if last > len(frame) * 0.15:
        name(last - 0.5, before, "right")


def newest_break(frame: pd.DataFrame) -> float:
    """Where the newest session begins, as a share of the chart's width; 0 with one session only."""
    days = frame["session"].to_numpy()
    breaks = np.flatnonzero(days[1:] != days[:-1]) + 1
    return float(breaks[-1] / len(frame)) if len(breaks) else 0.0


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


def _step(span: float, wanted: int) -> float:
    """The 1, 2 or 5 x 10^n that gives about `wanted` steps."""
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    return float(next(size * power for size in (1, 2, 5, 10) if size * power >= raw))


def _round_steps(low: float, high: float, currency: str, tags: list[float]) -> tuple[list[float], list[str]]:
    """About five round prices; the label of one that a price tag would touch is blank, its grid line stays."""
    step = _step(max(high - low, abs(high) * 1e-5), 5)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = [number * step for number in range(math.ceil(low / step - 0.3), math.floor(high / step + 0.3) + 1)]
    near = (high - low or 1.0) * TOUCHES
    free = [all(abs(tick - tag) >= near for tag in tags) for tick in ticks]
    return ticks, [numbers.number(tick, currency, places) if alone else "" for tick, alone in zip(ticks, free, strict=True)]


def _tag(figure: go.Figure, value: float, currency: str, back: str, front: str, *, line: bool = True, text: str = "") -> None:
    """A price on the axis, in a box."""
    if line:
        figure.add_hline(value, line={"color": TERTIARY, "width": 1.2, "dash": "dot"})
    options: dict[str, Any] = {"bgcolor": back, "borderpad": 4, "font": {"color": front, "size": 14, "weight": 600}}
    label = text or numbers.number(value, currency)
    figure.add_annotation(x=1, xref="paper", y=value, text=label, showarrow=False, xanchor="left", xshift=4, **options)
