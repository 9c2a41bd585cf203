"""What each chart's card holds, as JSON: title, marks, words for the hovered candle, a summary, a table, the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from stockwatch.dashboard import axes, charts, header, numbers
from stockwatch.dashboard.facts import Facts

AVERAGE = 20  # candles of the moving average
TABLE_ROWS = 20  # of the table behind the charts, for those who cannot see them
HEADS = ["Time", "Open", "High", "Low", "Close", "Volume"]
TABLE_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 240)  # minutes between the rows of the line's table
Card = dict[str, Any]


def pair(
    facts: Facts, frame: pd.DataFrame, health: dict[str, Any], minutes: int, shown: int, lines: tuple[str, ...]
) -> dict[str, Card]:
    """Candles and volume over the same frame. shown: how many are in sight at first. lines: of "average" and "vwap"."""
    zone, currency = facts.market.timezone, header.currency_of(facts)
    mark = "SIMULATED" if facts.simulated else ""
    said, traded = _words(facts, frame, health)
    rose = int(axes.rises(frame).sum())
    last = numbers.price(float(frame["close"].iloc[-1]), currency)
    told = f"{len(frame)} candles of {minutes} minutes of {facts.symbol}: {rose} rose, {len(frame) - rose} fell"
    drawn = charts.candles(
        frame, zone, currency, mark, shown=shown, lines={name: _line(frame, name) for name in lines}, fresh=_is_now(facts, health)
    )
    common = {
        "of": f"{facts.source} {facts.symbol} {minutes}",
        "count": len(frame),
        "starts": frame["start"].tolist(),
        "tags": tags(facts, health),
    }
    candles = {
        "title": f"{minutes}-minute candles",
        "said": said[-1],
        "hover": said,
        "summary": f"{told}; the last is at {last}",
        "heads": HEADS,
        "table": _table(facts, frame),
        "figure": charts.as_json(drawn),
    }
    volume = {
        "title": "Volume",
        "said": traded[-1],
        "hover": traded,
        "summary": f"Volume of the same {len(frame)} candles; the last: {numbers.volume(float(frame['volume'].iloc[-1]))}",
        "figure": charts.as_json(charts.volumes(frame, zone, mark, shown=shown)),
    }
    return {"candles": {**common, **candles}, "volume": {**common, **volume}}


def _is_now(facts: Facts, health: dict[str, Any]) -> bool:
    """Whether the last price is one of now."""
    return facts.is_replay or (header.is_open(facts, health) and not header.is_stale(facts, health))


def _words(facts: Facts, frame: pd.DataFrame, health: dict[str, Any]) -> tuple[list[str], list[str]]:
    """For each candle what the two cards' heads say while it is hovered."""
    zone, currency = facts.market.timezone, header.currency_of(facts)
    newest = int(frame["start"].iloc[-1])
    grows = not header.producer(health).get("ended") if facts.is_replay else header.is_open(facts, health)
    said, traded = [], []
    columns = ("start", "end", "volume", "open", "high", "low", "close")
    for start, end, volume, *ohlc in zip(*(frame[name].tolist() for name in columns), strict=True):
        clock = numbers.clock(start, zone)
        forming = " forming " if grows and start == newest and facts.now < end else ""
        parts = [
            f"{name}\N{NO-BREAK SPACE}<b>{numbers.number(value, currency)}</b>" for name, value in zip("OHLC", ohlc, strict=True)
        ]
        said.append(f"<b>{clock}</b>{forming} {' '.join(parts)}")
        traded.append(f"<b>{clock}</b>{forming} <b>{numbers.volume(volume)}</b>")
    return said, traded


def live(facts: Facts, line: pd.DataFrame, health: dict[str, Any], refresh: str) -> Card:
    """The price line. refresh: how often it is refreshed, in words."""
    zone, currency = facts.market.timezone, header.currency_of(facts)
    stale, is_open = header.is_stale(facts, health), header.is_open(facts, health)
    newest = int(line["at"].iloc[-1])
    said = f"last price {numbers.clock(newest, zone, seconds=True)} {numbers.zone_name(newest, zone)}"
    if facts.is_replay:
        said += f" · {facts.source}"
    elif is_open:
        said += " · no newer one yet" if stale else f" · {refresh}"
    else:
        said = "Market closed. Refresh resumes at the open."
    close = header.known(facts.quote.get("previous_close"))
    mark = "SIMULATED" if facts.simulated else ""
    figure = charts.live(line, zone, currency, close, facts.session, mark, fresh=not stale, due=facts.is_replay or is_open)
    low, high = (numbers.price(float(value), currency) for value in (line["price"].min(), line["price"].max()))
    return {
        "of": f"{facts.source} {facts.symbol}",
        "title": "Live price" if is_open and not facts.is_replay else "Price",
        "tags": [*tags(facts, health), *([["STALE", "stale"]] if stale else [])],
        "said": said,
        "summary": f"Price of {facts.symbol}: {numbers.price(facts.price, currency)}; between {low} and {high} in what is drawn",
        "heads": ["Time", "Price"],
        "table": _line_table(facts, line),
        "figure": charts.as_json(figure),
    }


def tags(facts: Facts, health: dict[str, Any]) -> list[list[str]]:
    """The marks beside a chart's title: word and style."""
    mark = header.mark(facts, health)
    found = [[mark.tag, mark.style]] if mark.tag else []
    return [*found, ["SIMULATED", "simulated"]] if facts.simulated and mark.tag != "SIMULATED" else found


def _line(frame: pd.DataFrame, name: str) -> list[float | None]:
    """The moving average of the closes, or the session's volume-weighted average price; None where it is not known."""
    if name == "average":
        values = frame["close"].rolling(AVERAGE).mean()
    else:
        typical = (frame["high"] + frame["low"] + frame["close"]) / 3
        day = frame["session"]
        traded = frame["volume"].groupby(day).cumsum()
        values = (typical * frame["volume"]).groupby(day).cumsum() / traded.where(traded > 0)
    return [None if np.isnan(value) else float(value) for value in values.to_numpy(np.float64)]


def _table(facts: Facts, frame: pd.DataFrame) -> list[list[str]]:
    """The newest candles as words, the newest first: time, open, high, low, close, volume."""
    currency, zone = header.currency_of(facts), facts.market.timezone
    rows = frame.tail(TABLE_ROWS).iloc[::-1]
    ohlc = [[numbers.number(float(value), currency) for value in rows[name]] for name in ("open", "high", "low", "close")]
    clocks = [f"{numbers.day(int(start), zone)} {numbers.clock(int(start), zone)}" for start in rows["start"]]
    return [list(row) for row in zip(clocks, *ohlc, (numbers.volume(float(value)) for value in rows["volume"]), strict=True)]


def _line_table(facts: Facts, line: pd.DataFrame) -> list[list[str]]:
    """The line in at most TABLE_ROWS round moments, the newest first: time, the last price before it."""
    currency, zone = header.currency_of(facts), facts.market.timezone
    at, prices = line["at"].to_numpy(np.int64), line["price"].to_numpy(np.float64)
    span = int(at[-1] - at[0])
    step = next((size for size in TABLE_STEPS if size * 60_000 * TABLE_ROWS >= span), TABLE_STEPS[-1]) * 60_000
    moments = np.arange(at[-1] // step * step, at[0], -step)[:TABLE_ROWS]
    places = np.searchsorted(at, moments, side="right") - 1
    return [
        [f"{numbers.day(int(moment), zone)} {numbers.clock(int(moment), zone)}", numbers.number(float(prices[place]), currency)]
        for moment, place in zip(moments, places, strict=True)
    ]
