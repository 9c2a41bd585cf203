"""Tick and Bar: the two messages on Kafka, their bytes, and what makes one invalid.

Both are JSON. All times are milliseconds since the Unix epoch, UTC. Prices are in the instrument's currency.
"""

from __future__ import annotations

import math
import time

import msgspec

from stockwatch.errors import InvalidMessageError

MAX_SYMBOL_LENGTH = 32
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z: anything before is a broken clock, not a trade
MAX_AHEAD_MS = 86_400_000  # a day: time zones may be wrong by hours, never by more
MAX_VOLUME = 2**63 - 1  # fits the table's UInt64 and pandas' int64


class Tick(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One price as the source gave it.

    at: the exchange's time of the trade (ms, UTC), never the time of the poll.
    day_volume: cumulative in the session; 0 where the source has none.
    """

    symbol: str
    at: int
    price: float
    day_volume: int
    source: str
    bid: float | None = None
    ask: float | None = None
    previous_close: float | None = None
    day_open: float | None = None
    day_high: float | None = None
    day_low: float | None = None
    currency: str | None = None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """The source's own candle of `minutes` (1 or 5) minutes from `start` (ms, UTC); `volume` is of that bar alone."""

    symbol: str
    start: int
    minutes: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    source: str


encode = msgspec.json.Encoder().encode
_tick_decoder = msgspec.json.Decoder(Tick)
_bar_decoder = msgspec.json.Decoder(Bar)


def now_ms() -> int:
    """The wall clock in ms since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def decode_tick(value: bytes | None, now: int | None = None) -> Tick:
    """Bytes → a valid Tick. Raises InvalidMessageError with the reason. `now` (ms): what "ahead" is measured from."""
    try:
        tick = _tick_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMessageError(f"not a tick: {error}") from None
    check_tick(tick, now_ms() if now is None else now)
    return tick


def decode_bar(value: bytes | None, now: int | None = None) -> Bar:
    """Bytes → a valid Bar. Raises InvalidMessageError with the reason."""
    try:
        bar = _bar_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMessageError(f"not a bar: {error}") from None
    check_bar(bar, now_ms() if now is None else now)
    return bar


def check_tick(tick: Tick, now: int) -> None:
    """Raise InvalidMessageError unless the tick may be stored. No tick is refused for its hour."""
    _check_identity(tick.symbol, tick.source, tick.at, now)
    if not 0 < tick.price < math.inf:
        raise InvalidMessageError(f"price is {tick.price}, must be finite and above 0")
    if not 0 <= tick.day_volume <= MAX_VOLUME:
        raise InvalidMessageError(f"day_volume is {tick.day_volume}, must be 0 to {MAX_VOLUME}")
    for value in (tick.bid, tick.ask, tick.previous_close, tick.day_open, tick.day_high, tick.day_low):
        if value is not None and not math.isfinite(value):
            raise InvalidMessageError("an optional price is not finite")


def check_bar(bar: Bar, now: int) -> None:
    """Raise InvalidMessageError unless the bar may be stored."""
    _check_identity(bar.symbol, bar.source, bar.start, now)
    if bar.minutes not in (1, 5):
        raise InvalidMessageError(f"minutes is {bar.minutes}, must be 1 or 5")
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high < math.inf:
        raise InvalidMessageError("must be 0 < low <= open, close <= high, all finite")
    if not 0 <= bar.volume <= MAX_VOLUME:
        raise InvalidMessageError(f"volume is {bar.volume}, must be 0 to {MAX_VOLUME}")


def _check_identity(symbol: str, source: str, at: int, now: int) -> None:
    if not 0 < len(symbol) <= MAX_SYMBOL_LENGTH:
        raise InvalidMessageError(f"symbol has {len(symbol)} characters, must be 1 to {MAX_SYMBOL_LENGTH}")
    if not source:
        raise InvalidMessageError("source is empty")
    if not EARLIEST_MS < at <= now + MAX_AHEAD_MS:
        raise InvalidMessageError(f"time {at} is not after 2000 and at most a day ahead")
