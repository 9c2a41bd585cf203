"""An alert in one line of text."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from stockwatch.store.alerts import Alert

MINUS = "\N{MINUS SIGN}"


def describe(alert: Alert, zone: ZoneInfo) -> str:
    """AAPL moved +1.3 % in 4 min (100.00 → 101.30) at 10:32 EDT; or: AAPL rose above 300 (299.50 → 300.20) at 10:32 EDT."""
    kind, _, level = alert.rule.partition(" ")
    if kind == "move":
        sign = MINUS if alert.percent < 0 else "+"
        what = f"moved {sign}{abs(alert.percent):.1f} % in {_span(alert.at - alert.from_at)}"
    else:
        what = f"{'rose above' if kind == 'above' else 'fell below'} {level}"
    moment = datetime.fromtimestamp(alert.at / 1000, zone)
    prices = f"{_price(alert.from_price)} → {_price(alert.to_price)}"
    return f"{alert.symbol} {what} ({prices}) at {moment:%H:%M} {moment.tzname() or 'UTC'}"


def _span(ms: int) -> str:
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(ms / 60_000)
    return f"{minutes} min" if minutes < 120 else f"{round(minutes / 60)} h"


def _price(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{value:.4g}"
