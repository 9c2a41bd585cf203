"""Yahoo's PricingData, as its stream sends it, to ticks."""

from __future__ import annotations

import math
from typing import Any

from stockwatch.sources.yahoo_poll import NAME
from stockwatch.sources.yahoo_socket import Message
from stockwatch.tick import Tick

OPTIONAL = {name: name for name in ("bid", "ask", "previous_close", "day_high", "day_low")} | {"day_open": "open_price"}


def tick_of(message: Message) -> Tick | None:
    """PricingData as a Tick; None where price or time is missing. Its numbers of 64 bits are text; zero is left out."""
    at, price = _whole(message.get("time")), _number(message.get("price"))
    if not at or not price or price <= 0:
        return None
    volume = max(_whole(message.get("day_volume")), 0)
    optional = {name: value for name, key in OPTIONAL.items() if (value := _number(message.get(key)))}
    currency = message.get("currency")
    return Tick(str(message["id"]), at, price, volume, NAME, **optional, currency=currency if isinstance(currency, str) else None)


def _whole(value: Any) -> int:
    try:
        return int(value)  # from text: exact where a float is not
    except (TypeError, ValueError):
        return 0


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
