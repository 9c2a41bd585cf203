"""What the benchmarks run on: the real engines in a folder of their own, and the real consumer with a clock at its ends."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stockwatch.assembly.places import Engines, engines
from stockwatch.component import Component, Worker
from stockwatch.consumer import Batch, Consumer
from stockwatch.consumer.member import Member
from stockwatch.errors import RetryableError
from stockwatch.health import HealthRegistry
from stockwatch.outbox import Outbox
from stockwatch.producer import Producer
from stockwatch.settings import Settings, load
from stockwatch.sources import Source
from stockwatch.store import Store
from stockwatch.tick import now_ms


@dataclass
class Bed:
    """Engines that run for the benchmarks."""

    settings: Settings
    places: Engines
    store: Store
    registry: HealthRegistry
    outbox: Outbox = field(default_factory=lambda: Outbox(keeps_log=False))


class Measured(Consumer):
    """The real consumer, with a clock at its ends."""

    first: float | None = None
    ages: list[float]

    def _poll(self, member: Member, wait: float) -> int:
        polled = super()._poll(member, wait)
        if polled and self.first is None:
            self.first = time.monotonic()
        return polled

    def _write(self, batch: Batch) -> None:
        super()._write(batch)
        now = now_ms()
        self.ages = [*getattr(self, "ages", []), *(now - tick.at for tick, _partition, _offset in batch.ticks)]

    @property
    def stored(self) -> int:
        """Rows in the table by this life."""
        return self._rows


@contextmanager
def bed() -> Iterator[Bed]:
    """Embedded engines in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="stockwatch-bench-") as folder:
        settings = load(Path(folder) / "settings.toml")
        settings.data_dir.mkdir()
        registry = HealthRegistry(["kafka", "clickhouse", "producer", "consumer"])
        places = engines(settings, [])
        lives: list[Component] = [
            places.make_kafka(registry.reporter("kafka")),
            places.make_clickhouse(registry.reporter("clickhouse")),
        ]
        store = Store(places.owner, timeout=120)
        try:
            for life in lives:
                life.start()
                until_ready(life)
            yield Bed(settings, places, store, registry)
        finally:
            store.close()
            for life in lives[::-1]:
                life.stop()


def until_ready(life: Component) -> None:
    """Wait for it within its deadline. Raises what it says then."""
    until = time.monotonic() + life.deadlines.ready
    while True:
        try:
            if life.ready():
                return
        except RetryableError:
            if time.monotonic() > until:
                raise
        threading.Event().wait(0.05)


class Timed(Producer):
    """The real producer, with the moment of its first read."""

    began = 0.0

    def step(self) -> None:
        """As the producer's."""
        self.began = self.began or time.monotonic()
        super().step()


W = TypeVar("W", bound=Worker)


@contextmanager
def _living(worker: W) -> Iterator[W]:
    """One life in a thread of its own."""
    worker.start()
    threading.Thread(target=worker.run, name=worker.name, daemon=True).start()
    try:
        yield worker
    finally:
        worker.stop()


def consuming(here: Bed, group: str) -> AbstractContextManager[Measured]:
    """The real consumer in a thread."""
    topic, health = here.settings.kafka.topic, here.registry.reporter("consumer")
    return _living(Measured(here.places.kafka, topic, group, Store(here.places.owner), here.outbox, health))


def producing(here: Bed, source: Source) -> AbstractContextManager[Timed]:
    """The real producer in a thread."""
    topic, health = here.settings.kafka.topic, here.registry.reporter("producer")
    return _living(Timed(source, here.outbox, here.places.kafka, topic, health))
