"""What `bench page` publishes: a history, then ticks whose prices come once only, so that each is known where it is painted."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from stockwatch.component import KafkaAddress
from stockwatch.engines.bare_kafka import publish
from stockwatch.tick import Tick, now_ms

SOURCE = "simulator"
SYMBOLS = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "GOOG", "META")
HISTORY_HOURS, HISTORY_STEP_MS = 6, 5_000
CENT = 0.01


def base_of(symbol: str) -> float:
    """Each symbol's prices lie in a band of their own, 1000 wide: a price tells its symbol."""
    return 1_000.0 * (SYMBOLS.index(symbol) + 1)


def history() -> Iterator[Tick]:
    """The last hours up to now, of every symbol."""
    end = now_ms()
    for symbol in SYMBOLS:
        for number, at in enumerate(range(end - HISTORY_HOURS * 3_600_000, end, HISTORY_STEP_MS)):
            price = round(base_of(symbol) + 100 + 5 * math.sin(number / 90), 2)
            yield Tick(symbol, at, price, number * 10, SOURCE, currency="USD")


class Feed:
    """Publishes `rate` ticks a second of each symbol until it is stopped; `sent` has when (ms) each price was handed over."""

    def __init__(self, address: KafkaAddress, topic: str, rate: float) -> None:
        self.sent: dict[float, int] = {}
        self._stop = threading.Event()
        self._rate = rate
        self._thread = threading.Thread(target=publish, args=[address, topic, self._ticks()], name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The last is on its way when this returns."""
        self._stop.set()
        self._thread.join(30)

    def _ticks(self) -> Iterator[Tick]:
        number = 0
        while not self._stop.wait(1 / self._rate / len(SYMBOLS)):  # one after the other, as trades come
            symbol = SYMBOLS[number % len(SYMBOLS)]
            price = round(base_of(symbol) + 110 + number // len(SYMBOLS) * CENT, 2)
            number += 1
            self.sent[price] = now_ms()
            yield Tick(symbol, self.sent[price], price, 100_000 + number, SOURCE, currency="USD")
