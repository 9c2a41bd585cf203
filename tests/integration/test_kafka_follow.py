"""`follow`, which `record` reads by, where the log that it follows is made anew: no gap, wherever it is when it is told to end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from program import until

from stockwatch.assembly.places import engines
from stockwatch.component import Component
from stockwatch.engines import bare_kafka
from stockwatch.health import HealthRegistry
from stockwatch.settings import load


class Broker:
    """The embedded broker, life after life at one address; each begins with an empty log."""

    topic = "stock-prices"

    def __init__(self, folder: Path) -> None:
        settings = load(folder / "settings.toml")
        settings.data_dir.mkdir()
        self._places, self._health = engines(settings, []), HealthRegistry(["kafka"])
        self.address = self._places.kafka
        self._life: Component | None = None

    def begin(self) -> None:
        """The next life."""
        self.end()
        self._life = self._places.make_kafka(self._health.reporter("kafka"))
        self._life.start()
        until(self._life.ready, 10, "the embedded broker serves")

    def end(self) -> None:
        """What is in the log is gone."""
        if self._life is not None:
            self._life.stop()

    def publish(self, numbers: range) -> None:
        """One message a number, all in one partition; acknowledged when it returns."""
        producer = KafkaProducer(**self.address.client_options(), acks="all")
        for number in numbers:
            producer.send(self.topic, value=str(number).encode(), partition=0)
        producer.flush(10)
        producer.close(timeout=5)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    made.begin()
    yield made
    made.end()


def test_what_was_read_of_a_new_log_at_the_old_place_is_reached_again_before_it_ends(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_kafka, "LOOK_SECONDS", 3600)
    stopping = threading.Event()
    with contextlib.closing(bare_kafka.follow(broker.address, broker.topic, stopping)) as flow:
        assert next(flow) == []
        broker.publish(range(1_000))
        found: list[bytes] = []
        until(lambda: found.extend(next(flow)) or b"999" in found, 20, "it follows")
        broker.begin()
        broker.publish(range(4_000))
        found.clear()
        until(lambda: found.extend(next(flow)) or found, 20, "it reads on at its place in the old log")
        assert int(found[0]) >= 1_000  # the case that this is about
        monkeypatch.setattr(bare_kafka, "LOOK_SECONDS", 0)
        until(lambda: found.extend(next(flow)) or b"0" in found, 10, "it has seen that the log is another one")
        stopping.set()
        for values in flow:
            found.extend(values)
    numbers = sorted({int(value) for value in found})
    assert numbers == list(range(numbers[-1] + 1))
    assert numbers[-1] >= 1_000
