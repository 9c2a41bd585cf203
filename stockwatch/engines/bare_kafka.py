"""Bare Kafka clients, with nothing of stockwatch around them: the benchmarks' measure, and what `record` follows."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from stockwatch.component import KafkaAddress
from stockwatch.errors import BrokerError
from stockwatch.tick import Tick, encode, now_ms

POLL_RECORDS = 5_000


def publish(address: KafkaAddress, topic: str, ticks: Iterable[Tick]) -> int:
    """Send ticks as fast as it goes, or as the iterable comes; how many."""
    producer = KafkaProducer(**address.client_options(), linger_ms=5, batch_size=256 * 1024)
    count = 0
    for tick in ticks:
        producer.send(topic, key=tick.symbol.encode(), value=encode(tick))
        count += 1
    producer.flush(60)
    producer.close()
    return count


def poll_rate(address: KafkaAddress, topic: str, group: str, messages: int) -> float:
    """Messages a second of a bare poll loop, from the first message on."""
    client = KafkaConsumer(
        topic, **address.client_options(), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
        session_timeout_ms=address.session_timeout_ms, heartbeat_interval_ms=address.heartbeat_interval_ms,
        fetch_max_wait_ms=50, max_partition_fetch_bytes=4 << 20,
    )  # fmt: skip
    got, first = 0, 0.0
    while got < messages:
        polled = client.poll(timeout_ms=100, max_records=POLL_RECORDS)
        first = first or (time.monotonic() if polled else 0.0)
        got += sum(map(len, polled.values()))
    rate = messages / (time.monotonic() - first)
    client.close(autocommit=False, timeout_ms=500)
    return rate


def watch_ages(address: KafkaAddress, topic: str, ages: list[float], stop: threading.Event) -> None:
    """Until `stop`: how old each message is (ms) when a bare client has polled it."""
    client = KafkaConsumer(topic, **address.client_options(), group_id=None, auto_offset_reset="latest", fetch_max_wait_ms=50)
    while not stop.is_set():
        for records in client.poll(timeout_ms=100).values():
            now = now_ms()
            ages.extend(now - record.timestamp for record in records)
    client.close(timeout_ms=500)


def follow(address: KafkaAddress, topic: str, stopping: threading.Event) -> Iterator[list[bytes]]:
    """What is published from now on, poll by poll (may be empty), until `stopping`. Raises BrokerError when Kafka is not there.

    Without a group, so it takes nothing from the consumer. A broker that comes back with an empty log is read from its start.
    """
    try:
        client = KafkaConsumer(
            **address.client_options(), group_id=None, auto_offset_reset="earliest", bootstrap_timeout_ms=5_000,
            fetch_max_wait_ms=50,
        )  # fmt: skip
    except (KafkaError, OSError) as error:
        raise BrokerError(f"Kafka at {','.join(address.bootstrap_servers)} does not answer: {type(error).__name__}") from error
    try:
        partitions = [TopicPartition(topic, number) for number in client.partitions_for_topic(topic) or ()]
        if not partitions:
            raise BrokerError(f"Kafka has no topic {topic}")
        client.assign(partitions)
        client.seek_to_end(*partitions)
        for partition in partitions:
            client.position(partition, timeout_ms=5_000)  # now, not at the first poll
        while not stopping.is_set():
            with contextlib.suppress(KafkaError, OSError):  # it reconnects by itself
                polled = client.poll(timeout_ms=200)
                yield [record.value for records in polled.values() for record in records]
    finally:
        client.close(timeout_ms=500)
