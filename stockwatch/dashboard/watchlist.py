"""The watchlist: of every ticker the last price, its change, the day's line, and what the prices are. Pure, to JSON."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from stockwatch.alerts import describe
from stockwatch.dashboard import header, numbers
from stockwatch.dashboard.facts import Facts
from stockwatch.store.alerts import Alert

WIDTH, HEIGHT = 84.0, 22.0  # of the day's line, in its own units
Row = dict[str, Any]


def row(facts: Facts | None, health: dict[str, Any], prices: list[float]) -> Row:
    """One ticker's cells. prices: the session's line, thinned; the previous close stands first in what is drawn."""
    if facts is None:
        return {"last": "—", "change": "", "way": "", "line": "", "word": "no prices"}
    currency = header.currency_of(facts)
    close = header.known(facts.quote.get("previous_close"))
    percent = (facts.price / close - 1) * 100 if close else None
    arrow, way = ("", "") if percent is None else ("▲", "up") if percent >= 0 else ("▼", "down")
    change = "" if percent is None else f"{arrow} {numbers.change(percent)} %"
    drawn = [*([close] if close else []), *prices]
    return {
        "last": numbers.price(facts.price, currency),
        "change": change,
        "way": way,
        "line": path(drawn),
        "word": word(facts, health),
    }


def alert(found: Alert, zone: ZoneInfo, mark: str) -> Row:
    """One alert of the list: its time, symbol, change, what else there is to say, and the line that the toast says."""
    way = "up" if found.percent >= 0 else "down"
    said = describe(found, zone)
    more = said.removeprefix(f"{found.symbol} ").rsplit(" at ", 1)[0]  # its symbol and time stand beside it
    return {
        "clock": numbers.clock(found.at, zone),
        "symbol": found.symbol,
        "change": f"{'▲' if way == 'up' else '▼'} {numbers.change(found.percent)} %",
        "way": way,
        "more": more + mark,
        "said": said + mark,
    }


def word(facts: Facts, health: dict[str, Any]) -> str:
    """What the prices are, in one word."""
    if facts.simulated:
        return "simulated"
    if facts.is_replay:
        return "replay"
    if not header.is_open(facts, health):
        return "closed"
    return "stale" if header.is_stale(facts, health) else "live"


def path(values: list[float]) -> str:
    """An SVG path through the values, from left to right in WIDTH x HEIGHT; empty with fewer than two."""
    if len(values) < 2:
        return ""
    y = np.asarray(values, np.float64)
    span = float(y.max() - y.min()) or 1.0
    down = HEIGHT - 2 - (y - y.min()) / span * (HEIGHT - 4)
    right = np.linspace(1, WIDTH - 1, len(y))
    return "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in zip(right, down, strict=True))
