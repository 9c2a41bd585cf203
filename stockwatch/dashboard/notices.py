"""What the page must say beside the prices, one line each: unknown tickers, the backfill, a change from simulated to real."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

CHANGE_SHOWN = timedelta(minutes=15)


def lines(producer: Mapping[str, Any], now: datetime | None = None) -> list[str]:
    """From the producer's metrics, in plain words. now: aware; the wall clock by default."""
    said = [f"{symbol}: Yahoo does not know this ticker, or it is delisted." for symbol in unknown(producer)]
    changed = producer.get("changed_over")
    if changed and (now or datetime.now(UTC)) - datetime.fromisoformat(changed) < CHANGE_SHOWN:
        said.append(f"Real prices since {changed[11:16]} UTC: Yahoo answers. What was shown before was simulated.")
    backfill = producer.get("backfill")
    if backfill and backfill["done"] < backfill["of"]:
        said.append(f"Fetching the last days: {backfill['done']} of {backfill['of']} tickers, {backfill['bars']:,} bars so far.")
    return said


def unknown(producer: Mapping[str, Any]) -> list[str]:
    """The tickers that Yahoo does not know."""
    return list(producer.get("unknown") or [])


def html(said: list[str]) -> str:
    """The lines as one block; empty without any."""
    if not said:
        return ""
    return '<div class="sw-notices" role="status">' + "".join(f"<div>{escape(line)}</div>" for line in said) + "</div>"
