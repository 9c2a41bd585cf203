"""Bare Kafka clients, with nothing of stockwatch around them: the benchmarks' measure, and what `record` follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from stockwatch.component import KafkaAddress
from stockwatch.errors import BrokerError
from stockwatch.tick import Tick, encode, now_ms

POLL_RECORDS = 5_000
LOOK_SECONDS = 1.0  # how often it is asked whether the log is still the same one
PAUSE_SECONDS = 0.2  # while Kafka is away
REST_SECONDS = 3.0  # for reading what a new log holds, at the end


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


def bare_client(address: KafkaAddress, topic: str, group: str) -> KafkaConsumer:
    """A client that reads the topic from its start, with what the consumer's own client has of settings."""
    return KafkaConsumer(
        topic, **address.client_options(), group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
        session_timeout_ms=address.session_timeout_ms, heartbeat_interval_ms=address.heartbeat_interval_ms,
        fetch_max_wait_ms=50, max_partition_fetch_bytes=4 << 20,
    )  # fmt: skip


def poll_rate(address: KafkaAddress, topic: str, group: str, messages: int) -> float:
    """Messages a second of a bare poll loop, from the first message on."""
    client = bare_client(address, topic, group)
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

    Without a group, so it takes nothing from the consumer. Kafka that goes away later is waited for. A topic that was made anew
    (the embedded broker's next life) is read from its start: the place in the old log means nothing in it. What was read there
    before the change was seen lies ahead of what is read then, so it does not end before it has come so far again.
    """
    options = {**address.client_options(), "bootstrap_timeout_ms": 5_000}
    try:
        admin = KafkaAdminClient(**options, request_timeout_ms=5_000)
        client = KafkaConsumer(**options, group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=50)
        numbers = client.partitions_for_topic(topic)
        if not numbers:
            raise BrokerError(f"Kafka has no topic {topic}")
        partitions = [TopicPartition(topic, number) for number in numbers]
        client.assign(partitions)
        client.seek_to_end(*partitions)
        for partition in partitions:
            client.position(partition, timeout_ms=5_000)  # now, not at the first poll
        log, looked = _log_of(admin, topic), time.monotonic()
    except (KafkaError, OSError) as error:
        raise BrokerError(address.trouble(error)) from error
    try:
        last = 0.0  # when it ends at the latest, once it is told to: a new log that no look has seen yet is read first
        ahead: dict[TopicPartition, int] = {}  # how far a new log had been read when it was begun again
        while not last or time.monotonic() < last:
            values: list[bytes] = []
            try:
                ending = stopping.is_set() and not last
                if ending or time.monotonic() - looked > LOOK_SECONDS:
                    looked = time.monotonic()
                    if (now := _log_of(admin, topic)) != log:
                        log = now
                        ahead = {one: client.position(one, timeout_ms=0) or 0 for one in partitions}
                        client.seek_to_beginning(*partitions)
                    if ending:
                        last = looked + REST_SECONDS
                if last and all((client.position(one, timeout_ms=0) or 0) >= place for one, place in ahead.items()):
                    return
                values = [record.value for records in client.poll(timeout_ms=200).values() for record in records]
            except (KafkaError, OSError):
                if stopping.wait(PAUSE_SECONDS):  # else both clients reconnect by themselves
                    return
            yield values
            if last and not values:
                return
    finally:
        client.close(timeout_ms=500)
        admin.close()


def _log_of(admin: KafkaAdminClient, topic: str) -> str:
    """The topic's id: another one when it was made anew. Raises KafkaError when it is not there (yet)."""
    (found,) = admin.describe_topics([topic])
    if found["error_code"]:
        raise UnknownTopicOrPartitionError(topic)
    return str(found["topic_id"])
