"""A backlog: while one batch is on its way into the store the next one is polled, and nothing is lost when the store refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from brokers import PARTITIONS, living, running
from engine import Engine
from program import until

from stockwatch.component import KafkaAddress, StoreAddress
from stockwatch.consumer import Consumer
from stockwatch.engines.bare_kafka import publish
from stockwatch.engines.external import KafkaProbe
from stockwatch.errors import StoreError
from stockwatch.health import HealthRegistry, Metric
from stockwatch.outbox import Outbox
from stockwatch.store import Store
from stockwatch.tick import Tick

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
NOON, TOPIC, COUNT = 1_763_952_312_000, "prices", 60_000


class Gate(Store):
    """A store whose first insert beside the polling waits until it is told to go on; then it refuses, if it is to."""

    def __init__(self, address: StoreAddress, refuses: bool) -> None:
        super().__init__(address)
        self.asked, self.go = threading.Event(), threading.Event()
        self.is_busy, self.sizes, self.refused = False, list[int](), -1
        self._refuses = refuses

    def insert_ticks(self, rows: Sequence[tuple[Tick, int, int]]) -> None:
        """One at the log's end, for which the polling waits, is as a store's."""
        self.sizes.append(len(rows))
        if threading.current_thread().name != "consumer's insert":
            super().insert_ticks(rows)
            return
        self.is_busy = True
        self.asked.set()
        assert self.go.wait(30)
        if self._refuses:
            self._refuses, self.refused = False, len(self.sizes) - 1
            raise StoreError("refused, once")
        super().insert_ticks(rows)
        self.is_busy = False


class Forgetful:
    """A judge that notes whether an insert was under way when it was told to forget."""

    def __init__(self, store: Gate) -> None:
        self._store, self.told = store, list[bool]()

    def judge(self, rows: Sequence[tuple[Tick, int, int]]) -> None:
        """Nothing is an alert."""

    def forget(self) -> None:
        """As partitions change hands."""
        self.told.append(self._store.is_busy)

    def metrics(self) -> dict[str, Metric]:
        """None."""
        return {}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaAddress]:
    """The embedded one, with a backlog."""
    with running("embedded", tmp_path) as address:
        probe = KafkaProbe(address, TOPIC, PARTITIONS)
        probe.make_topics()
        yield address
        probe.close()


def store_of(engine: Engine, refuses: bool) -> Gate:
    return Gate(StoreAddress(f"http://127.0.0.1:{engine.port}", user="stockwatch", password=engine.password()), refuses)


def consumer_of(broker: KafkaAddress, store: Gate, judge: Forgetful | None = None) -> Consumer:
    reporter = HealthRegistry(["consumer"]).reporter("consumer")
    return Consumer(broker, TOPIC, "ahead", store, Outbox(broker.keeps_log), reporter, judge=judge)


def test_a_refused_batch_is_stored_with_what_was_polled_meanwhile(broker: KafkaAddress, engine: Engine) -> None:
    source = "replay:ahead"
    publish(broker, TOPIC, [Tick(f"S{n % 5}", NOON + n, 100.0, n, source) for n in range(COUNT)])
    store = store_of(engine, refuses=True)
    with living(consumer_of(broker, store)) as consumer:
        assert store.asked.wait(30)
        until(lambda: len(consumer._batch), 20, "more is polled")
        store.go.set()
        count = "SELECT count() FROM ticks WHERE source = {source:String}"  # without FINAL: nothing was written twice
        until(lambda: store.command(count, {"source": source}) == COUNT, 30, "all is stored")
        until(lambda: not consumer._batch.offsets and consumer._writing is None, 10, "all is committed")
    assert store.sizes[store.refused + 1] > store.sizes[store.refused]  # both in one insert
    newest = [store.latest_ticks(source, [f"S{n}"])["at"].iloc[0] - NOON for n in range(5)]
    assert sorted(newest) == list(range(COUNT - 5, COUNT))
    store.close()


def test_what_is_on_its_way_goes_first_when_partitions_change_hands(broker: KafkaAddress, engine: Engine) -> None:
    publish(broker, TOPIC, [Tick(f"S{n % 5}", NOON + n, 100.0, n, "replay:hands") for n in range(COUNT)])
    store = store_of(engine, refuses=False)
    judge = Forgetful(store)
    with living(consumer_of(broker, store, judge)) as consumer:
        assert store.asked.wait(30)
        before = len(judge.told)
        taken = threading.Thread(target=consumer._revoked)  # as kafka-python calls it, within a poll
        taken.start()
        taken.join(0.3)
        assert taken.is_alive()
        store.go.set()
        taken.join(20)
    assert judge.told[before] is False
    store.close()
