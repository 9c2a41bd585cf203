"""The end of a consumer: what is published then is stored by it, where the log dies with the broker; else by its next life."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from brokers import KINDS, PARTITIONS, Given, living, running
from engine import Engine
from program import until

from stockwatch.component import KafkaAddress, StoreAddress
from stockwatch.consumer import Consumer
from stockwatch.engines.external import KafkaProbe
from stockwatch.health import HealthRegistry
from stockwatch.outbox import Outbox
from stockwatch.producer import Producer
from stockwatch.store import Store
from stockwatch.tick import Tick

pytestmark = [
    pytest.mark.timeout(200),  # the first time, Maven fetches Kafka
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
NOON, TOPIC = 1_763_952_312_000, "prices"


class Busy(Store):
    """A store whose first insert of ticks lasts until it is `free`."""

    def __init__(self, address: StoreAddress) -> None:
        super().__init__(address)
        self.asked, self.free = threading.Event(), threading.Event()

    def insert_ticks(self, rows: Sequence[tuple[Tick, int, int]]) -> None:
        """Waits, then stores."""
        if rows:
            self.asked.set()
            assert self.free.wait(20)
        super().insert_ticks(rows)


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KafkaAddress]:
    with running(request.param, tmp_path) as address:
        yield address


def test_what_is_published_when_it_is_told_to_end_is_not_lost(broker: KafkaAddress, engine: Engine) -> None:
    source = f"replay:end-{broker.keeps_log}"
    ticks = [Tick(f"S{n % 5}", NOON + n, 100.0, n, source) for n in range(5_000)]
    probe = KafkaProbe(broker, TOPIC, PARTITIONS)
    probe.make_topics()
    store = Busy(StoreAddress(f"http://127.0.0.1:{engine.port}", user="stockwatch", password=engine.password()))
    health, outbox = HealthRegistry(["producer", "consumer"]), Outbox(broker.keeps_log)

    def stored() -> int:
        return sum(len(store.ticks(source, f"S{n}")) for n in range(5))

    def consumer() -> Consumer:
        return Consumer(broker, TOPIC, "end", store, outbox, health.reporter("consumer"))

    with living(consumer()) as first:
        until(first.ready, 30, "it is in its group, so that its first batch is a small one")
        with living(Producer(Given(ticks, at_once=50), outbox, broker, TOPIC, health.reporter("producer"))):
            assert store.asked.wait(30)
            until(lambda: health.get("producer").metrics.get("ticks") == len(ticks), 30, "all is given")
            until(lambda: outbox.unacknowledged() == 0, 10, "all is published")
        released = threading.Timer(0.3, store.free.set)  # once it is told to end
        released.start()
    released.join()
    if broker.keeps_log:
        assert stored() > 0
        with living(consumer()):
            until(lambda: stored() == len(ticks), 30, "the next life stores the rest")
    assert stored() == len(ticks)
    probe.close()
    store.close()
