"""Bare Kafka clients, as the benchmarks' measure: the broker's own floor, with nothing of stockwatch around it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from kafka import KafkaConsumer, KafkaProducer

from stockwatch.component import KafkaAddress
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
