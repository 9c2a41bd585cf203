"""Known ticks straight to a topic by a kafka-python producer of our own, so that what was acknowledged is exact."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from typing import Self

from flow import Flow
from kafka import KafkaProducer
from kafka.errors import KafkaError
from ledger import Ledger
from program import until

from stockwatch.tick import Tick, encode, now_ms

SYMBOLS = ("FEED.0", "FEED.1", "FEED.2", "FEED.3")
PAUSE_SECONDS = 0.005
_left_behind: list[KafkaProducer] = []


def producer(bootstrap: str) -> KafkaProducer:
    """One that reports success only when the broker has it."""
    return KafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_block_ms=2_000, bootstrap_timeout_ms=5_000,
        request_timeout_ms=5_000, delivery_timeout_ms=60_000, max_request_size=4 << 20,
    )  # fmt: skip


class Feed:
    """`rate` ticks a second, numbered by day_volume, in a thread of its own. acknowledged: number → when (ms)."""

    def __init__(self, bootstrap: str, topic: str, rate: int = 1_000, first: int = 0) -> None:
        self.acknowledged: dict[int, int] = {}
        self.next = first
        self._topic, self._rate, self._base = topic, rate, now_ms() - first
        self._kafka = producer(bootstrap)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def tick(self, number: int) -> Tick:
        """The tick of this number."""
        return Tick(SYMBOLS[number % len(SYMBOLS)], self._base + number, 100 + number % 1_000 / 10, number, "feed")

    def send(self, number: int) -> None:
        """Give one tick to the client."""
        tick = self.tick(number)
        future = self._kafka.send(self._topic, key=tick.symbol.encode(), value=encode(tick))
        future.add_callback(lambda _metadata: self.acknowledged.setdefault(number, now_ms()))

    def _run(self) -> None:
        began, first = time.monotonic(), self.next
        while not self._stop.wait(PAUSE_SECONDS):
            while self.next - first < (time.monotonic() - began) * self._rate and not self._stop.is_set():
                with contextlib.suppress(KafkaError):  # not acknowledged, so it does not count
                    self.send(self.next)
                self.next += 1

    def stop(self) -> None:
        """Send no more; wait for what is on its way. Safe to repeat."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join(10)
            with contextlib.suppress(KafkaError):  # a broker that is gone acknowledges nothing any more
                self._kafka.flush(timeout=5)
            try:
                self._kafka.close(timeout=1)
            except KafkaError:
                _left_behind.append(self._kafka)  # its __del__ would close it once more, and raise

    def readable(self, flow: Flow, number: int, seconds: float = 40) -> None:
        """Wait until a tick of at least this number is in the table."""
        newest = "SELECT max(day_volume) FROM {}.ticks WHERE source = 'feed'"
        flow.until(lambda: flow.number(newest) >= number, seconds, f"tick {number} is stored")

    def fresh(self, flow: Flow) -> float:
        """Seconds from now until what is sent from now on is readable."""
        began = now_ms()
        self.readable(flow, self.next)
        return (now_ms() - began) / 1000

    def ledger(self, flow: Flow, fault: str, recovery: float | None = None, note: str = "", before: int | None = None) -> Ledger:
        """Of what was acknowledged, `before` that moment (ms) where it is given. Waits for what is still on its way."""
        counted = {number for number, at in self.acknowledged.items() if before is None or at < before}
        rows: Counter[int] = Counter()

        def complete() -> bool:
            rows.clear()
            rows.update(int(row[0]) for row in flow.sql("SELECT day_volume FROM {}.ticks FINAL WHERE source = 'feed'"))
            return counted <= rows.keys()

        with contextlib.suppress(AssertionError):  # the ledger says it, with its numbers
            until(complete, 20, "all of them")
        stored = counted & rows.keys()
        return Ledger(fault, flow.broker, len(counted), len(stored), sum(rows[number] for number in stored), recovery, note)
