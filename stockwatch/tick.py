"""Tick and Bar: the two messages on Kafka, their bytes, and what makes one invalid.

Both are JSON; what a field may be stands at its type, and the decoder checks it. All times are milliseconds since the Unix
epoch, UTC. Prices are in the instrument's currency.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from stockwatch.errors import InvalidMessageError

MAX_SYMBOL_LENGTH = 32
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z: anything before is a broken clock, not a trade
MAX_AHEAD_MS = 86_400_000  # a day: time zones may be wrong by hours, never by more
WRONG_TIME = "time {} is not after 2000 and at most a day ahead"
MAX_VOLUME = 2**63 - 1  # fits the table's UInt64 and pandas' int64
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_SYMBOL_LENGTH)]
Source = Annotated[str, msgspec.Meta(min_length=1)]
Price = Annotated[float, msgspec.Meta(gt=0)]  # JSON knows no infinity
Volume = Annotated[int, msgspec.Meta(ge=0, le=MAX_VOLUME)]


class Tick(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One price as the source gave it.

    at: the exchange's time of the trade (ms, UTC), never the time of the poll.
    day_volume: cumulative in the session; 0 where the source has none.
    """

    symbol: Symbol
    at: int
    price: Price
    day_volume: Volume
    source: Source
    bid: float | None = None
    ask: float | None = None
    previous_close: float | None = None
    day_open: float | None = None
    day_high: float | None = None
    day_low: float | None = None
    currency: str | None = None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """The source's own candle of `minutes` (1 or 5) minutes from `start` (ms, UTC); `volume` is of that bar alone."""

    symbol: Symbol
    start: int
    minutes: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Volume
    source: Source


encode = msgspec.json.Encoder().encode
_tick_decoder = msgspec.json.Decoder(Tick)
_bar_decoder = msgspec.json.Decoder(Bar)


def now_ms() -> int:
    """The wall clock in ms since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def decode_tick(value: bytes | None, now: int | None = None) -> Tick:
    """Bytes → a valid Tick. Raises InvalidMessageError with the reason. `now` (ms): what "ahead" is measured from.

    No tick is refused for its hour.
    """
    try:
        tick = _tick_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMessageError(f"not a tick: {error}") from None
    if not EARLIEST_MS < tick.at <= (now_ms() if now is None else now) + MAX_AHEAD_MS:
        raise InvalidMessageError(WRONG_TIME.format(tick.at))
    return tick


def decode_bar(value: bytes | None, now: int | None = None) -> Bar:
    """Bytes → a valid Bar. Raises InvalidMessageError with the reason."""
    try:
        bar = _bar_decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidMessageError(f"not a bar: {error}") from None
    if not EARLIEST_MS < bar.start <= (now_ms() if now is None else now) + MAX_AHEAD_MS:
        raise InvalidMessageError(WRONG_TIME.format(bar.start))
    if bar.minutes not in (1, 5):
        raise InvalidMessageError(f"minutes is {bar.minutes}, must be 1 or 5")
    if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise InvalidMessageError("must be low <= open, close <= high")
    return bar
