"""`bench throughput`: topic → table beside a bare poll loop and what people write by hand: confluent-kafka, one insert a row.

The same messages, the same engines, the same batches of BATCH_ROWS, the same table; by turns, in one run.
"""

from __future__ import annotations

import importlib.util
import json
import time

from stockwatch.commands.bench_bed import Bed, bed, consuming
from stockwatch.commands.bench_flow import Line, _until_stored, ticks
from stockwatch.consumer import BATCH_ROWS
from stockwatch.consumer.member import POLL_RECORDS
from stockwatch.engines.bare_kafka import bare_client, poll_rate, publish
from stockwatch.settings import Settings
from stockwatch.store import TICK_FIELDS, Store

MESSAGES, ONE_BY_ONE = 120_000, 300


def throughput(_settings: Settings) -> list[Line]:
    """Rows a second from the topic into the table: ours, a plain confluent-kafka consumer's, the seed's."""
    given = ticks(MESSAGES)
    with bed() as here:
        address, topic = here.places.kafka, here.settings.kafka.topic
        publish(address, topic, given)
        rates: dict[str, list[float]] = {"bare": [], "ours": [], "plain": []}
        for turn in range(3):  # by turns, so that what else the machine does meets all
            rates["bare"].append(poll_rate(address, topic, f"bare-{turn}", MESSAGES))
            rates["ours"].append(_ours(here, f"ours-{turn}"))
            if importlib.util.find_spec("confluent_kafka") is not None:
                rates["plain"].append(_plain(here, f"plain-{turn}"))
        one = _one_by_one(here)
    bare, ours, plain = (sorted(found)[len(found) // 2] if found else 0.0 for found in rates.values())
    rows = [("topic → table", f"{ours:,.0f} rows/s", f"bare poll {bare:,.0f}/s, ratio {ours / bare:.2f}", "ratio ≥ 0.8")]
    if plain:
        rows.append(("beside confluent-kafka", f"{plain:,.0f} rows/s by a plain one", f"ratio {ours / plain:.2f}", "ratio ≥ 1.0"))
    rows.append(("beside one-row inserts", f"{one:,.0f} rows/s", f"ratio {ours / one:,.0f}", "ratio ≥ 300"))
    return rows


def _ours(here: Bed, group: str) -> float:
    with consuming(here, group) as consumer:
        _until_stored(consumer, MESSAGES)
        return MESSAGES / (time.monotonic() - (consumer.first or 0))


def _plain(here: Bed, group: str) -> float:
    """As the two libraries' first pages show it: consume, json.loads, insert rows, commit."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {"bootstrap.servers": here.places.kafka.bootstrap_servers[0], "group.id": group, "auto.offset.reset": "earliest",
         "enable.auto.commit": False, "session.timeout.ms": here.places.kafka.session_timeout_ms,
         "heartbeat.interval.ms": here.places.kafka.heartbeat_interval_ms, "fetch.wait.max.ms": 50}
    )  # fmt: skip
    consumer.subscribe([here.settings.kafka.topic])
    client = Store(here.places.owner)
    stored, first, rows = 0, 0.0, []
    try:
        while stored < MESSAGES:
            messages = consumer.consume(POLL_RECORDS, 0.1)
            first = first or (time.monotonic() if messages else 0.0)
            for message in messages:
                tick = json.loads(message.value() or b"")
                rows.append([*(tick.get(name) for name in TICK_FIELDS), message.partition(), message.offset()])
            if len(rows) >= BATCH_ROWS or (rows and len(messages) < POLL_RECORDS):
                client.insert_rows("ticks", rows, (*TICK_FIELDS, "kafka_partition", "kafka_offset"))
                consumer.commit(asynchronous=False)
                stored += len(rows)
                rows = []
        return stored / (time.monotonic() - first)
    finally:
        consumer.close()
        client.close()


def _one_by_one(here: Bed) -> float:
    """The seed's way: one poll, one message, one insert, one commit."""
    store = Store(here.places.owner)
    consumer = bare_client(here.places.kafka, here.settings.kafka.topic, "seed")
    began, stored = 0.0, 0
    try:
        while stored < ONE_BY_ONE:
            for records in consumer.poll(timeout_ms=100, max_records=1).values():
                began = began or time.monotonic()
                for record in records:
                    tick = json.loads(record.value)
                    row = [*(tick.get(name) for name in TICK_FIELDS), record.partition, record.offset]
                    store.insert_rows("ticks", [row], (*TICK_FIELDS, "kafka_partition", "kafka_offset"))
                    consumer.commit()
                    stored += 1
        return stored / (time.monotonic() - began)
    finally:
        consumer.close(autocommit=False, timeout_ms=500)
        store.close()
