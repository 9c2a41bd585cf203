"""Hostile and very large messages among good ones: each is counted as a dead letter, and no good one is lost."""

from __future__ import annotations

import random

import pytest
from feed import Feed, producer
from flow import Flow
from hostile import hostile, odd
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from ledger import Book
from program import until

HOSTILE, FEW = 100_000, 3_000
ODD_EVERY = 10
LARGE_BYTES = 2_000_000
ROOM_MB = 4096  # no renewal of the embedded broker here: the outbox knows only what the program's own producer has sent
ENTRIES = "SELECT uniqExact(topic, kafka_partition, kafka_offset) FROM {}.dead_letters FINAL"
ODD = "SELECT count() FROM {}.ticks FINAL WHERE source = 'odd'"


def bootstrap(flow: Flow) -> str:
    """Where its broker is."""
    return str(flow.program.health()["kafka"])


def letters(flow: Flow, count: int) -> set[tuple[tuple[str, bytes], ...]]:
    """Where the messages in the dead-letter topic came from. Read to the end: the embedded broker's word of it falls short."""
    topic, found = f"{flow.topic}.dead-letter", set()
    client = KafkaConsumer(bootstrap_servers=bootstrap(flow), group_id=None, bootstrap_timeout_ms=5_000)
    try:
        parts = [TopicPartition(topic, number) for number in client.partitions_for_topic(topic) or ()]
        client.assign(parts)
        client.seek_to_beginning(*parts)

        def all_of_them() -> bool:
            for records in client.poll(timeout_ms=500, max_records=5_000).values():
                found.update(tuple(pair for pair in record.headers if pair[0] != "reason") for record in records)
            return len(found) >= count

        until(all_of_them, 40, f"{count} messages in the dead-letter topic")
    finally:
        client.close()
    return found


def pour(kafka: KafkaProducer, topic: str, count: int) -> tuple[int, int]:
    """`count` hostile messages without pause, an odd good one among each ten; how many odd, and acknowledged in all."""
    rng, sent, strange = random.Random(5), [], 0
    for number in range(count):
        sent.append(kafka.send(topic, value=hostile(rng), key=rng.choice((b"", b"AAPL", rng.randbytes(20)))))
        if number % ODD_EVERY == 0:
            sent.append(kafka.send(topic, value=odd(rng, number), key=b"odd"))
            strange += 1
    kafka.flush(60)
    return strange, sum(future.succeeded() for future in sent)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("count", [FEW, pytest.param(HOSTILE, marks=pytest.mark.full)])
def test_hostile_messages_among_good_ones(flow: Flow, book: Book, count: int) -> None:
    flow.write(kafka={"embedded_memory_mb": ROOM_MB})
    flow.start(flowing=False)
    kafka = producer(bootstrap(flow))
    with Feed(bootstrap(flow), flow.topic) as feed:
        feed.fresh(flow)
        strange, taken = pour(kafka, flow.topic, count)
        recovery = feed.fresh(flow)
    kafka.close()
    assert taken == count + strange
    flow.until(lambda: flow.number(ENTRIES) >= count, 60, "all dead letters")
    assert flow.number(ENTRIES) == flow.number("SELECT count() FROM {}.dead_letters FINAL") == count
    assert len(letters(flow, count)) == count
    until(lambda: flow.number(ODD) == strange, 10, "the odd ones")
    assert flow.program.component("consumer")["restarts"] == 0
    book(
        feed.ledger(flow, f"9 {count:,} hostile messages", recovery, f"{count:,} dead letters, {strange:,} odd good ones stored")
    )


def test_a_message_of_two_megabytes(flow: Flow, book: Book) -> None:
    """One that is no tick is buried, cut to what is kept of it; a tick that carries as much of a field that is unknown is stored."""
    flow.write(kafka={"embedded_memory_mb": ROOM_MB})
    flow.start(flowing=False)
    kafka = producer(bootstrap(flow))
    large = random.Random(5).randbytes(LARGE_BYTES)
    with Feed(bootstrap(flow), flow.topic) as feed:
        feed.fresh(flow)
        for number in range(3):
            kafka.send(flow.topic, value=b"\xff" + large, key=b"large").get(20)
            good = odd(random.Random(5), number)[:-1] + b', "large": "' + b"x" * LARGE_BYTES + b'"}'
            kafka.send(flow.topic, value=good, key=b"large").get(20)
        recovery = feed.fresh(flow)
    kafka.close()
    flow.until(lambda: flow.number(ENTRIES) == 3, 20, "the dead letters")
    until(lambda: flow.number(ODD) == 3, 10, "the ticks")
    assert 0 < flow.number("SELECT max(length(value)) FROM {}.dead_letters FINAL") <= 65_536
    book(feed.ledger(flow, "10 messages of 2 MB", recovery))
