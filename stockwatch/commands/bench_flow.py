"""Benchmarks of the way from the source to the table: latency, a replay as fast as it can, a backfill."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import numpy as np

from stockwatch.commands.bench_bed import Bed, Measured, bed, consuming, producing
from stockwatch.engines.bare_kafka import publish, watch_ages
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources.recording import Recording
from stockwatch.sources.replay import Replay
from stockwatch.sources.simulator import Simulator
from stockwatch.tick import Bar, Tick, now_ms

RATE, RATE_SECONDS = 1_000, 15
REPLAYED = 200_000
BACKFILLED, BACKFILL_MINUTES = 10, 1_900  # tickers, and minutes of each: five sessions of NSE
LIMIT_SECONDS = 60.0
Line = tuple[str, str, str, str]  # what, measured, beside it, aim


def ticks(count: int) -> list[Tick]:
    """Ticks of seven simulated companies."""
    simulator = Simulator(tuple(f"BENCH{number}.NS" for number in range(7)), 7, 1, 5)
    end = now_ms()
    found = [tick for tick in simulator._ticks(end - (count // 7 + 1) * 1000, end) if isinstance(tick, Tick)]
    return found[:count]


def latency(_settings: Settings) -> list[Line]:
    """Produce → queryable at 1,000 ticks/s, against the broker's own floor (produce → polled) in the same run."""
    with bed() as here, consuming(here, "ours") as consumer:
        floor: list[float] = []
        stop = threading.Event()
        address, topic = here.places.kafka, here.settings.kafka.topic
        watching = threading.Thread(target=watch_ages, args=[address, topic, floor, stop], daemon=True)
        watching.start()
        sent = publish(address, topic, _paced())
        _until_stored(consumer, sent)
        stop.set()
        watching.join(5)
        ages = sorted(consumer.ages[len(consumer.ages) // 5 :])  # the first moments include joining the group
        floor = sorted(floor[len(floor) // 5 :])
    ours = f"p50 {_at(ages, 0.5):.0f} ms, p99 {_at(ages, 0.99):.0f} ms"
    return [("produce → queryable", ours, f"polled p50 {_at(floor, 0.5):.0f} ms, p99 {_at(floor, 0.99):.0f} ms", "p99 ≤ 250 ms")]


def replay(_settings: Settings) -> list[Line]:
    """A recording as fast as it can, by the real producer and consumer, against a bare producer of the same ticks."""
    given = sorted(ticks(REPLAYED), key=lambda tick: tick.at)
    columns = (
        np.array([tick.at for tick in given], np.int64),
        np.array([tick.price for tick in given], np.float64),
        np.array([tick.day_volume for tick in given], np.int64),
    )
    names = [tick.symbol for tick in given]
    instruments = [Instrument("replay:bench", name, "24/7", "UTC") for name in sorted(set(names))]
    source = Replay(Recording("replay:bench", *columns, names, instruments, []), 0.0)
    with bed() as here:
        began = time.monotonic()
        publish(here.places.kafka, f"{here.settings.kafka.topic}.dead-letter", given)
        bare = REPLAYED / (time.monotonic() - began)
        with consuming(here, "ours") as consumer:
            _joined(here)
            with producing(here, source) as producer:
                _until_stored(consumer, REPLAYED)
                ours = REPLAYED / (time.monotonic() - producer.began)
    beside = f"bare producer alone {bare:,.0f}/s, ratio {ours / bare:.2f}"
    return [("replay at speed 0", f"{ours:,.0f} ticks/s", beside, "≥ 40,000 ticks/s")]


def backfill(_settings: Settings) -> list[Line]:
    """The last days' bars of ten tickers, one answer a ticker: from the last answer until all of them are in the table."""
    end = now_ms() // 60_000 * 60_000
    names = tuple(f"BENCH{number}.NS" for number in range(BACKFILLED))
    simulator = Simulator(names, 7, 1, 5)
    start = end - BACKFILL_MINUTES * 60_000
    source = Answers(names, [list(simulator._bars(path, start, end)) for path in simulator._paths])
    with bed() as here, consuming(here, "ours") as consumer:
        _joined(here)
        with producing(here, source):
            _until_stored(consumer, BACKFILLED * BACKFILL_MINUTES)
            took = time.monotonic() - source.last_answer
    return [("backfill", f"{BACKFILLED * BACKFILL_MINUTES:,} bars stored {took:.1f} s after the last answer", "", "≤ 5 s")]


class Answers:
    """A source that gives one ticker's bars at each read, as fast as it is asked."""

    name, detail = "yahoo", "answers of bars"
    metrics: Mapping[str, Metric] = {}

    def __init__(self, symbols: tuple[str, ...], answers: list[list[Bar]]) -> None:
        self.symbols, self._answers = symbols, answers
        self.last_answer = 0.0

    def instruments(self) -> list[Instrument]:
        """None."""
        return []

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """The next answer."""
        if not self._answers:
            stopping.wait(0.5)
            return []
        self.last_answer = time.monotonic()
        return [*self._answers.pop()]

    def close(self) -> None:
        """Nothing to give back."""


def _joined(here: Bed) -> None:
    """Until the consumer has its partitions: joining is no part of what is measured."""
    until = time.monotonic() + LIMIT_SECONDS
    while here.registry.get("consumer").detail != "stores ticks as they come" and time.monotonic() < until:
        threading.Event().wait(0.01)


def _until_stored(consumer: Measured, rows: int) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while consumer.stored < rows and time.monotonic() < until:
        threading.Event().wait(0.01)


def _paced() -> Iterator[Tick]:
    """RATE ticks a second for RATE_SECONDS, each with the moment of its sending."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < RATE_SECONDS:
        while sent < passed * RATE:
            yield Tick("LATE.NS", now_ms(), 100.0 + sent % 50, sent, "simulator")
            sent += 1
        threading.Event().wait(0.001)


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")
