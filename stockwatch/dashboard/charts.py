"""DataFrame → plotly Figure, pure. Colours are the light palette's; the page's script puts the dark ones in their place.

Candles and volume stand at positions 0 … n-1, not at times, so nights and holidays take no room (LOOK.md).
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from stockwatch.dashboard import numbers
from stockwatch.dashboard.axes import rises, round_steps, time_labels, volume_steps
from stockwatch.dashboard.figure import Figure

PAGE, INK, SECONDARY, TERTIARY = "#FFFFFF", "#10171E", "#4A5764", "#66727F"
UP, DOWN, UP_TINT, DOWN_TINT = "#08757D", "#C4470B", "rgba(8,117,125,0.16)", "rgba(196,71,11,0.16)"
GRID, HAIRLINE, SOFT = "#E9EDF1", "#DCE2E8", "#E6EAEE"
UNSEEN = "rgba(0,0,0,0)"
VEIL = "rgba(255,255,255,0.75)"  # under words that the line may cross
MARK = "rgba(106,43,192,0.14)"
FONT = "IBM Plex Sans, Source Sans, sans-serif"
BODY_GAP = 0.34


def candles(
    frame: pd.DataFrame,
    zone: ZoneInfo,
    currency: str,
    mark: str = "",
    *,
    shown: int | None = None,
    lines: dict[str, list[float | None]] | None = None,
    fresh: bool = True,
) -> Figure:
    """The candlestick chart of candles.build()'s frame: one trace, last price as a tag on the axis.

    shown: how many of them are in sight at first, the newest; all by default. lines: more to draw, a value for each candle.
    fresh: whether the last price is one of now; its tag is of another colour if not.
    """
    figure = Figure()
    figure.add_trace(
        "candlestick",
        x=list(range(len(frame))),
        **{name: frame[name].tolist() for name in ("open", "high", "low", "close")},
        increasing={"line": {"color": UP, "width": 1.7}, "fillcolor": PAGE},
        decreasing={"line": {"color": DOWN, "width": 1.2}, "fillcolor": DOWN},
        whiskerwidth=0,
        name="candles",
        hoverinfo="none",
    )
    for (name, values), dash in zip((lines or {}).items(), ("solid", "dash"), strict=False):
        line = {"color": SECONDARY, "width": 1.5, "dash": dash}
        figure.add_trace("scatter", x=list(range(len(frame))), y=values, mode="lines", line=line, name=name, hoverinfo="skip")
    seen = frame.tail(shown or len(frame))
    low, high = float(seen["low"].min()), float(seen["high"].max())
    _base(figure, frame, zone, mark, shown=shown)
    whole = float(frame["low"].min()), float(frame["high"].max())  # what a drag brings in sight is labelled too
    ticks, labels = round_steps(low, high, currency, [float(frame["close"].iloc[-1])], whole)
    pad = (high - low or abs(high) * 0.001 or 1.0) * 0.06
    figure.update_yaxes(range=[low - pad, high + pad], tickvals=ticks, ticktext=labels)
    _tag(figure, float(frame["close"].iloc[-1]), currency, INK if fresh else SECONDARY, PAGE)
    return figure


def volumes(frame: pd.DataFrame, zone: ZoneInfo, mark: str = "", *, shown: int | None = None) -> Figure:
    """The volume chart over the same candles: one bar trace, each bar in its own candle's two colours."""
    rose = rises(frame).tolist()
    figure = Figure()
    figure.add_trace(
        "bar",
        x=list(range(len(frame))),
        y=frame["volume"].astype("float64").tolist(),
        marker={
            "color": [PAGE if up else DOWN for up in rose],
            "line": {"color": [UP if up else DOWN for up in rose], "width": 1.5},
        },
        name="volume",
        hoverinfo="none",
    )
    _base(figure, frame, zone, mark, room=5, shown=shown)
    figure.update_layout(bargap=BODY_GAP)
    top = float(frame["volume"].tail(shown or len(frame)).max()) or 1.0
    ticks, labels = volume_steps(top)
    figure.update_yaxes(range=[0, top * 1.06], tickvals=ticks, ticktext=labels)
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
    due: bool = True,
) -> Figure:
    """The price line: at (ms), price; wall time of the exchange on the axis; the area to the previous close is tinted.

    fresh: false for a price that is too old. due: false while none is awaited; the last one is a hollow point then too.
    """
    offset = pd.Timestamp(int(frame["at"].iloc[-1]), unit="ms", tz=zone).utcoffset()
    shift = offset.total_seconds() * 1000 if offset else 0.0
    x = (frame["at"].to_numpy(np.float64) + shift).tolist()
    y = frame["price"].to_numpy(np.float64)
    low, high = float(y.min()), float(y.max())
    span = max(high - low, abs(high) * 1e-4)
    near = previous_close is not None and low - 1.5 * span < previous_close < high + 1.5 * span
    figure = Figure()
    if near and previous_close is not None:
        base = {"x": [x[0], x[-1]], "y": [previous_close] * 2}
        for values, tint in ((np.maximum(y, previous_close), UP_TINT), (np.minimum(y, previous_close), DOWN_TINT)):
            # Two traces, not one closed outline: what is drawn stays as it is when the line grows, so little is sent.
            figure.add_trace("scatter", **base, mode="none", fill="tozeroy", fillcolor=UNSEEN, hoverinfo="skip")
            figure.add_trace("scatter", x=x, y=values.tolist(), mode="none", fill="tonexty", fillcolor=tint, hoverinfo="skip")
        low, high = min(low, previous_close), max(high, previous_close)
    ink = INK if fresh and due else SECONDARY
    drawn = {"color": INK if fresh else SECONDARY, "width": 2}
    figure.add_trace("scatter", x=x, y=y.tolist(), mode="lines", line=drawn, name="price", hoverinfo="none")
    solid = fresh and due
    point = {"color": ink if solid else PAGE, "size": 10, "line": {"color": PAGE if solid else ink, "width": 2}}
    figure.add_trace(
        "scatter", x=x[-1:], y=y[-1:].tolist(), mode="markers", marker=point, name="last", hoverinfo="skip", cliponaxis=False
    )
    pad = (high - low or 1.0) * 0.08
    edge = low - pad if previous_close is not None and previous_close < low else high + pad
    tags = [float(y[-1])] if previous_close is None else [float(y[-1]), previous_close if near else edge]
    ticks, labels = round_steps(low, high, currency, tags)
    _plain(figure, mark)
    room = [2.6 * pad if near and previous_close == end else pad for end in (low, high)]  # for the words beside its line
    figure.update_yaxes(range=[low - room[0], high + room[1]], tickvals=ticks, ticktext=labels)
    begin = max(session[0] + shift, x[0])  # a session that was joined late begins where its prices do
    end = max(x[-1] + (x[-1] - begin) * 0.03, begin + 1_800_000)
    figure.update_xaxes(type="date", range=[begin, end], tickformat="%H:%M", nticks=12, tickangle=0)
    if near and previous_close is not None:
        figure.add_hline(previous_close, line={"color": TERTIARY, "width": 1.2, "dash": "dash"})
        _tag(figure, previous_close, currency, SOFT, SECONDARY, line=False)
        below = float(y[-1]) >= previous_close
        figure.add_annotation(
            x=1, xref="paper", y=previous_close, text="previous close", showarrow=False, xanchor="right", xshift=-6,
            yshift=-11 if below else 11, font={"color": SECONDARY, "size": 14}, bgcolor=VEIL,
        )  # fmt: skip
    elif previous_close is not None:
        arrow = "↓" if previous_close < low else "↑"
        _tag(figure, edge, currency, SOFT, SECONDARY, line=False, text=f"{arrow} {numbers.number(previous_close, currency)}")
    _tag(figure, float(y[-1]), currency, ink, PAGE, line=False)
    return figure


def as_json(figure: Figure) -> dict[str, Any]:
    """What plotly.js takes: data and layout."""
    return {"data": figure.data, "layout": figure.layout}


def _plain(figure: Figure, mark: str) -> None:
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "tickfont": {"color": SECONDARY, "size": 14, "family": FONT},
        "fixedrange": False,
    }
    figure.update_layout(
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False, dragmode="pan",
        margin={"l": 6, "r": 84, "t": 26, "b": 30, "pad": 0}, font={"family": FONT, "size": 14, "color": INK}, uirevision="stay",
        hovermode="x",
    )  # fmt: skip
    figure.update_xaxes(**axis, showgrid=False, linecolor=HAIRLINE, showline=True, ticks="outside", ticklen=4, tickcolor=HAIRLINE)
    # "allow": the margin has room for its labels, and to look for those that have none is a tenth of plotly's work at each price.
    figure.update_yaxes(**axis, side="right", showline=False, ticklabelstandoff=4, ticklabeloverflow="allow")
    if mark:  # under the data: no picture of it can pass for the market's
        figure.add_annotation(
            text=mark, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font={"size": 44, "color": MARK, "weight": 700},
        )  # fmt: skip


def _base(figure: Figure, frame: pd.DataFrame, zone: ZoneInfo, mark: str, room: int = 11, shown: int | None = None) -> None:
    """What candles and volume share: positions, time labels, session breaks with the days' names."""
    _plain(figure, mark)
    figure.update_xaxes(rangeslider={"visible": False})
    shown = min(shown or len(frame), len(frame))
    where, labels = time_labels(frame, zone, room * len(frame) // shown)
    figure.update_xaxes(range=[len(frame) - shown - 0.7, len(frame) - 0.3], tickvals=where, ticktext=labels, tickangle=0)
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
        name(len(frame) - shown - 0.7, f"<b>{numbers.day(int(days[-1]), zone)}</b>", "left")
        return
    last = breaks[-1]
    before, now = (numbers.day(int(days[place]), zone) for place in (last - 1, -1))
    share = (last - len(frame) + shown) / shown  # of what is in sight
    if share < 0.85:
        name(last - 0.5, f"<b>{now}</b>", "left")
    if share > 0.15:
        name(last - 0.5, before, "right")


def _tag(figure: Figure, value: float, currency: str, back: str, front: str, *, line: bool = True, text: str = "") -> None:
    """A price on the axis, in a box."""
    if line:
        figure.add_hline(value, line={"color": TERTIARY, "width": 1.2, "dash": "dot"})
    options: dict[str, Any] = {"bgcolor": back, "borderpad": 4, "font": {"color": front, "size": 14, "weight": 600}}
    label = text or numbers.number(value, currency)
    figure.add_annotation(x=1, xref="paper", y=value, text=label, showarrow=False, xanchor="left", xshift=4, **options)
