"""What stockwatch asks of a broker, asked of both: the embedded one and Apache Kafka. Nothing after assembly may tell which it is."""

from __future__ import annotations

import gc
import itertools
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brokers import KINDS, PARTITIONS, Given, living, running
from engine import Engine
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from program import until

from stockwatch.component import KafkaAddress, StoreAddress
from stockwatch.consumer import Consumer
from stockwatch.consumer.member import resume_join
from stockwatch.engines.external import KafkaProbe
from stockwatch.health import HealthRegistry, State
from stockwatch.outbox import Outbox
from stockwatch.producer import Producer
from stockwatch.store import Store
from stockwatch.tick import Bar, Tick, encode

pytestmark = [
    pytest.mark.timeout(200),  # the first time, Maven fetches 43 MB; each wait here has a shorter end of its own
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # kafka-python forgets some when it connects anew
]
_numbers = itertools.count()
NOON = 1_763_952_312_000  # 2025-11-24


@pytest.fixture(scope="module", params=KINDS)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaAddress]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as address:
        yield address
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # sockets that kafka-python forgets when it connects anew; here, not in another module's test


@pytest.fixture
def topic(broker: KafkaAddress) -> Iterator[str]:
    """A topic of this test's own, with its bars and dead letters."""
    name = f"prices-{next(_numbers)}"
    probe = KafkaProbe(broker, name, PARTITIONS)
    until(lambda: _made(probe), 10, "topics are made")
    yield name
    probe.close()


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    made = Store(_owner(engine))
    yield made
    made.close()


def _owner(engine: Engine) -> StoreAddress:
    return StoreAddress(f"http://127.0.0.1:{engine.port}", user="stockwatch", password=engine.password())


def _stored(health: HealthRegistry, rows: int) -> None:
    try:
        until(lambda: health.get("consumer").metrics.get("rows") == rows, 30, f"{rows} rows stored")
    except AssertionError as error:
        raise AssertionError(f"{error}: {health.as_json()['components']}") from None


def _made(probe: KafkaProbe) -> bool:
    probe.make_topics()
    return True


def _client(broker: KafkaAddress, topic: str, group: str | None, **more: Any) -> KafkaConsumer:
    timing = {"session_timeout_ms": broker.session_timeout_ms, "heartbeat_interval_ms": broker.heartbeat_interval_ms}
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 50, **timing, **more}
    return KafkaConsumer(topic, **broker.client_options(), group_id=group, bootstrap_timeout_ms=3_000, **options)


def _poll(client: KafkaConsumer, count: int, seconds: float = 20) -> list[Any]:
    """The next `count` records, as they come."""
    found: list[Any] = []
    deadline = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
        found += [record for records in client.poll(timeout_ms=200).values() for record in records]
        if client.config["group_id"] is not None:
            resume_join(client)
    return found


def _send(broker: KafkaAddress, topic: str, messages: list[tuple[bytes, bytes]], **more: Any) -> list[Any]:
    """Where each was put."""
    producer = KafkaProducer(**broker.client_options(), bootstrap_timeout_ms=3_000, **more)
    try:
        return [future.get(10) for future in [producer.send(topic, key=key, value=value) for key, value in messages]]
    finally:
        producer.close(timeout=5)


def test_the_topics_have_their_partitions_and_making_them_again_changes_nothing(broker: KafkaAddress, topic: str) -> None:
    again = KafkaProbe(broker, topic, PARTITIONS + 4)
    again.make_topics()
    admin = KafkaAdminClient(**broker.client_options(), bootstrap_timeout_ms=3_000)
    names = {topic, f"{topic}.bars", f"{topic}.dead-letter"}
    try:
        assert names <= set(admin.list_topics())
        found = admin.describe_topics(sorted(names))
        assert {each["name"]: len(each["partitions"]) for each in found} == dict.fromkeys(names, PARTITIONS)
        assert all(part["leader_id"] >= 0 and part["replica_nodes"] for each in found for part in each["partitions"])
        nodes = admin.describe_cluster()["brokers"]
        assert {f"{node['host']}:{node['port']}" for node in nodes} == set(broker.bootstrap_servers)
    finally:
        admin.close()
    assert f"kafka.partitions is {PARTITIONS + 4}, but {topic} has {PARTITIONS}" in again.note
    assert again.messages_per_second() == 0.0  # of the partitions that are there
    again.close()


def test_messages_of_one_key_stay_in_their_order(broker: KafkaAddress, topic: str) -> None:
    sent = [(f"K{number % 7}".encode(), str(number).encode()) for number in range(700)]
    placed = _send(broker, topic, sent)
    assert len({(place.partition, place.offset) for place in placed}) == len(sent)
    client = _client(broker, topic, None)
    got: dict[bytes, list[int]] = defaultdict(list)
    homes: dict[bytes, set[int]] = defaultdict(set)
    for record in _poll(client, len(sent)):
        got[record.key].append(int(record.value))
        homes[record.key].add(record.partition)
    client.close()
    assert got == {f"K{first}".encode(): list(range(first, 700, 7)) for first in range(7)}
    assert all(len(numbers) == 1 for numbers in homes.values())


def test_a_group_goes_on_from_what_it_has_committed(broker: KafkaAddress, topic: str) -> None:
    _send(broker, topic, [(b"K", str(number).encode()) for number in range(100)])
    first = _client(broker, topic, "resuming", max_poll_records=40)
    got = _poll(first, 40)
    place = TopicPartition(topic, got[-1].partition)
    first.commit({place: OffsetAndMetadata(got[39].offset + 1, "", -1)}, timeout_ms=5_000)
    first.close(autocommit=False)
    second = _client(broker, topic, "resuming", max_poll_records=10)
    assert [int(record.value) for record in _poll(second, 10)] == list(range(40, 50))
    assert second.committed(place) == 40
    # The lag, as the consumer counts it. (The embedded broker's ListOffsets gives the start of the last batch, + 1.)
    assert second.highwater(place) - second.position(place) == 50
    assert [int(record.value) for record in _poll(second, 50)] == list(range(50, 100))
    second.close(autocommit=False)


def test_a_message_past_1_mb_goes_through(broker: KafkaAddress, topic: str) -> None:
    large = bytes(range(256)) * 6_000  # 1.5 MB, for a topic that takes it
    _send(broker, topic, [(b"K", large), (b"K", b"after")], max_request_size=3 * 2**20)
    client = _client(broker, topic, None, max_partition_fetch_bytes=4 * 2**20)
    assert [record.value for record in _poll(client, 2)] == [large, b"after"]
    client.close()


def test_headers_and_timestamps_are_kept(broker: KafkaAddress, topic: str) -> None:
    producer = KafkaProducer(**broker.client_options(), bootstrap_timeout_ms=3_000)
    headers = [("reason", "zu groß".encode()), ("offset", b"7"), ("empty", b"")]
    producer.send(f"{topic}.dead-letter", value=b"\x00\xff", key=b"K", headers=headers, timestamp_ms=NOON).get(10)
    producer.close(timeout=5)
    client = _client(broker, f"{topic}.dead-letter", None)
    (record,) = _poll(client, 1)
    client.close()
    assert (record.key, record.value, list(record.headers), record.timestamp) == (b"K", b"\x00\xff", headers, NOON)


def test_the_table_has_what_was_sent_and_the_dead_letters_the_rest(broker: KafkaAddress, topic: str, store: Store) -> None:
    source = f"replay:{topic}-{broker.keeps_log}"
    ticks = [Tick(f"S{n % 5}", NOON + n, 100.0 + n % 17, n, source) for n in range(3_000)]
    bars = [Bar(f"S{n % 5}", NOON + n * 60_000, 1, 1.0, 3.0, 0.5, 2.0, n, source) for n in range(200)]
    health, outbox = HealthRegistry(["producer", "consumer", "kafka"]), Outbox(broker.keeps_log)
    probe = KafkaProbe(broker, topic, PARTITIONS)
    probe.make_topics()
    probe.messages_per_second()
    consumer = Consumer(broker, topic, f"group-{topic}", store, outbox, health.reporter("consumer"))
    producer = Producer(Given([*ticks, *bars]), outbox, broker, topic, health.reporter("producer"))
    with living(consumer), living(producer):
        _stored(health, 3_200)
        bad = [(b"S1", b"no json"), (b"S1", b'{"symbol": "S1", "at": 1, "price": -1, "day_volume": 0, "source": "x"}')]
        places = _send(broker, topic, bad)
        _send(broker, topic, [(tick.symbol.encode(), encode(tick)) for tick in ticks[:50]])  # delivered again
        _stored(health, 3_250)
        until(lambda: len(outbox) == 0, 10, "receipts are in")
        assert health.get("consumer").metrics["dead_letters"] == 2
        assert health.get("consumer").metrics["lag"] == 0
        assert health.get("consumer").state is State.RUNNING
    until(lambda: probe.messages_per_second() > 0, 10, "what passed is counted")
    probe.close()
    for symbol in (f"S{n}" for n in range(5)):
        stored = store.ticks(source, symbol)
        wanted = [(tick.at, tick.price, tick.day_volume) for tick in ticks if tick.symbol == symbol]
        assert list(stored[["at", "price", "day_volume"]].itertuples(index=False, name=None)) == wanted
        assert len(store.bars(source, symbol)) == 40
    letters = _client(broker, f"{topic}.dead-letter", None)
    found = {tuple(value.decode() for _name, value in record.headers): record.value for record in _poll(letters, 2)}
    letters.close()
    origins = {(topic, str(place.partition), str(place.offset)): value for place, (_key, value) in zip(places, bad, strict=True)}
    assert {head[1:]: value for head, value in found.items()} == origins
    assert int(store.command("SELECT count() FROM dead_letters WHERE topic = {topic:String}", {"topic": topic})) == 2


def test_a_new_life_of_the_consumer_reads_on_and_nothing_is_lost_or_seen_twice(
    broker: KafkaAddress, topic: str, store: Store, tmp_path: Path
) -> None:
    source = f"replay:lives-{topic}-{broker.keeps_log}"
    ticks = [Tick("A", NOON + n, 100.0, n, source) for n in range(2_000)]
    health, outbox = HealthRegistry(["producer", "consumer"]), Outbox(broker.keeps_log)
    producer = Producer(Given(ticks, at_once=20), outbox, broker, topic, health.reporter("producer"))
    with living(producer):
        for enough in (200, 900, 2_000):  # three lives, stopped in the middle of the flow
            consumer = Consumer(broker, topic, f"lives-{topic}", store, outbox, health.reporter("consumer"))
            with living(consumer):
                until(lambda enough=enough: len(store.ticks(source, "A")) >= enough, 30, f"{enough} rows")  # type: ignore[misc]
    assert list(store.ticks(source, "A")["at"]) == [tick.at for tick in ticks]
    assert len(outbox) == 0
