"""The consumer: topic → batch → store → commit. What cannot be decoded goes to the dead letters; the stream goes on.

Store, then commit: a crash between the two brings messages again, and identity in the tables makes them one row.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CommitFailedError, KafkaError

from stockwatch.component import Deadlines, KafkaAddress, Worker
from stockwatch.component.rate import Rate
from stockwatch.errors import BrokerError, InvalidMessageError, RetryableError
from stockwatch.health import Reporter
from stockwatch.outbox import Outbox
from stockwatch.store import Store
from stockwatch.tick import Bar, Tick, decode_bar, decode_tick, now_ms

BATCH_ROWS = 20_000  # one insert at most
BATCH_SECONDS = 0.2  # and at the latest
POLL_RECORDS = 5_000
MAX_DEAD_VALUE = 64 * 1024  # bytes of a bad message that are kept


@dataclass
class Batch:
    """What was polled and is not stored yet: rows with partition and offset, and each partition's last offset."""

    ticks: list[tuple[Tick, int, int]] = field(default_factory=list)
    bars: list[tuple[Bar, int, int]] = field(default_factory=list)
    dead: list[tuple[ConsumerRecord, str]] = field(default_factory=list)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    began: float = 0.0

    def __len__(self) -> int:
        return len(self.ticks) + len(self.bars) + len(self.dead)


class _Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Told by kafka-python, within poll(), that the group has taken this member in, be it without a partition."""

    def __init__(self, joined: threading.Event) -> None:
        self._joined = joined

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """What is not committed is read again by its next owner."""

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:  # noqa: ARG002
        """The group is joined."""
        self._joined.set()


class Consumer(Worker):
    """One life: one member of the consumer group."""

    name = "consumer"

    def __init__(
        self, address: KafkaAddress, topic: str, group_id: str, store: Store, outbox: Outbox, reporter: Reporter
    ) -> None:
        super().__init__(reporter)
        self.deadlines = Deadlines(ready=45.0, beat=45.0, stop=2.0)
        self._address, self._topic, self._group_id = address, topic, group_id
        self._store, self._outbox = store, outbox
        self._kafka: KafkaConsumer | None = None
        self._letters: KafkaProducer | None = None
        self._batch = Batch()
        self._joined = threading.Event()
        self._finishing = threading.Event()
        self._rows, self._dead, self._rate = 0, 0, Rate()

    def open(self) -> None:
        """Join the group. The first poll gets the partitions."""
        try:
            self._kafka = KafkaConsumer(
                **self._address.client_options(),
                group_id=self._group_id,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                session_timeout_ms=self._address.session_timeout_ms,
                heartbeat_interval_ms=self._address.heartbeat_interval_ms,
                fetch_max_wait_ms=50,  # FACTS.md: the embedded broker waits it out although data is there
                max_partition_fetch_bytes=4 * 1024 * 1024,
                bootstrap_timeout_ms=3_000,
            )
            self._kafka.subscribe([self._topic, f"{self._topic}.bars"], listener=_Membership(self._joined))
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka cannot be reached: {type(error).__name__}") from error

    def step(self) -> None:
        """Poll, decode, and store once the batch is full, old or the log's end is reached."""
        if self._kafka is None:
            return
        if len(self._batch) and time.monotonic() - self._batch.began > BATCH_SECONDS:
            self._store_batch()  # again, after the store refused: nothing more is polled before it is in
        polled = self._poll(self._kafka)
        if not self._batch.offsets:
            self._report(self._kafka)
            if self._finishing.is_set() and self._is_at_end(self._kafka):
                self.stopping.set()
            return
        due = time.monotonic() - self._batch.began >= BATCH_SECONDS
        if len(self._batch) >= BATCH_ROWS or polled < POLL_RECORDS or due:
            self._store_batch()
            self._report(self._kafka)

    def _poll(self, kafka: KafkaConsumer) -> int:
        try:
            polled = kafka.poll(timeout_ms=100, max_records=POLL_RECORDS)
        except (KafkaError, OSError) as error:  # plain connection errors come out of poll (FACTS.md)
            raise BrokerError(f"Kafka does not answer: {type(error).__name__}") from error
        now = now_ms()
        batch = self._batch
        if polled and not batch.offsets:
            batch.began = time.monotonic()
        for partition, records in polled.items():
            bars = partition.topic != self._topic
            number = partition.partition
            for record in records:
                try:
                    if bars:
                        batch.bars.append((decode_bar(record.value, now), number, record.offset))
                    else:
                        batch.ticks.append((decode_tick(record.value, now), number, record.offset))
                except InvalidMessageError as error:
                    batch.dead.append((record, str(error)))
            batch.offsets[partition] = records[-1].offset
        return sum(map(len, polled.values()))

    def _store_batch(self) -> None:
        batch = self._batch
        self._store.insert_ticks(batch.ticks)
        self._store.insert_bars(batch.bars)
        if batch.dead:
            self._bury(batch.dead)
        rows = len(batch.ticks) + len(batch.bars)
        self._rows += rows
        self._dead += len(batch.dead)
        self._rate.add(rows)
        self._batch = Batch()
        self._commit(batch.offsets)
        if not self.abandoned:  # a life left behind may speak of offsets of a broker that is gone
            for partition, offset in batch.offsets.items():
                self._outbox.stored(partition.topic, partition.partition, offset)

    def _bury(self, dead: list[tuple[ConsumerRecord, str]]) -> None:
        """To the dead-letter topic and table, with reason and origin; before the commit, so that none is lost."""
        rows = [
            (r.topic, r.partition, r.offset, reason, (r.key or b"")[:MAX_DEAD_VALUE], (r.value or b"")[:MAX_DEAD_VALUE])
            for r, reason in dead
        ]
        try:
            if self._letters is None:
                self._letters = KafkaProducer(
                    **self._address.client_options(), max_block_ms=2_000, bootstrap_timeout_ms=3_000, linger_ms=5
                )
            for topic, partition, offset, reason, key, value in rows:
                origin = {"reason": reason, "topic": topic, "partition": str(partition), "offset": str(offset)}
                headers = [(name, text.encode()) for name, text in origin.items()]
                self._letters.send(f"{self._topic}.dead-letter", value=value, key=key, headers=headers)
            self._letters.flush(timeout=5)
        except (KafkaError, OSError) as error:
            raise BrokerError(f"the dead-letter topic takes no messages: {type(error).__name__}") from error
        self._store.insert_dead_letters(rows)

    def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self._kafka is None:
            return
        try:
            next_ones = {partition: OffsetAndMetadata(last + 1, "", -1) for partition, last in offsets.items()}
            self._kafka.commit(next_ones, timeout_ms=1_500)
        except CommitFailedError:
            self.report.beat(rebalances=1)  # the partition is another member's now; it reads on from the last commit
        except (KafkaError, OSError) as error:
            raise BrokerError(f"the commit was not taken: {type(error).__name__}") from error

    def ready(self) -> bool:
        """True once it is a member of the group: before, nothing is stored."""
        return super().ready() and self._joined.is_set()

    def finish(self) -> None:
        """End as soon as everything that is in the log is stored."""
        self._finishing.set()

    def _is_at_end(self, kafka: KafkaConsumer) -> bool:
        """Whether nothing is left in the log, by the broker's own word."""
        try:
            ends = kafka.end_offsets(list(kafka.assignment()), timeout_ms=1_000)
            return all(kafka.position(partition, timeout_ms=1_000) >= end for partition, end in ends.items())
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka does not answer: {type(error).__name__}") from error

    def _report(self, kafka: KafkaConsumer) -> None:
        if not self._joined.is_set():
            return  # still starting, or the reason why not stays
        lag = 0
        for partition in kafka.assignment():
            end = kafka.highwater(partition)
            position = kafka.position(partition, timeout_ms=0) if end is not None else None
            if end is not None and position is not None:
                lag += max(end - position, 0)
        self.report.running(
            "stores ticks as they come" if kafka.assignment() else "waits: the other members of its group have all partitions",
            lag=lag,
            rows=self._rows,
            dead_letters=self._dead,
            rows_per_second=self._rate.per_second(),
        )

    def close(self) -> None:
        """Store what is polled, commit, leave the group."""
        with contextlib.suppress(RetryableError):  # not committed, so it comes again
            if self._batch.offsets:
                self._store_batch()
        if self._letters is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._letters.close(timeout=0.3)
        if self._kafka is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._kafka.close(autocommit=False, timeout_ms=500)
