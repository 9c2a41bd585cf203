"""The producer: Source → topic. Ticks go to <topic>, the source's bars to <topic>.bars, both keyed by symbol."""

from __future__ import annotations

import contextlib
from collections import deque
from datetime import UTC, datetime

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.producer.future import RecordMetadata

from stockwatch.component import Deadlines, KafkaAddress, Worker
from stockwatch.component.rate import Rate
from stockwatch.errors import BrokerError, ComponentFailedError, SourceError
from stockwatch.health import Metric, Reporter
from stockwatch.outbox import Entry, Outbox
from stockwatch.sources import Source
from stockwatch.tick import Bar, Tick, encode

ROOM_SECONDS = 0.5  # how long one step waits for a full outbox
RETRY_SECONDS = 2.0  # while Kafka is away: it stands being asked, and what waits grows meanwhile


class Producer(Worker):
    """One life. The source and the outbox outlive it."""

    name = "producer"

    def __init__(self, source: Source, outbox: Outbox, address: KafkaAddress, topic: str, reporter: Reporter) -> None:
        super().__init__(reporter)
        self.deadlines = Deadlines(ready=15.0, beat=30.0, stop=1.5)
        self._source, self._outbox, self._address, self._topic = source, outbox, address, topic
        self._bars_topic = f"{topic}.bars"
        self._kafka: KafkaProducer | None = None
        self._unsent: deque[Entry] = deque()
        self._partition_of: dict[tuple[str, bytes], int] = {}  # as acknowledged: kafka-python hashes a key anew each time
        self._refused: list[BaseException] = []
        self._errors = 0
        self._ticks, self._bars, self._rate = 0, 0, Rate()

    def open(self) -> None:
        """Connect, and publish what the last life left unsafe."""
        try:
            self._kafka = KafkaProducer(
                **self._address.client_options(),
                acks="all",
                linger_ms=5,
                batch_size=256 * 1024,
                max_block_ms=2_000,
                bootstrap_timeout_ms=3_000,
                request_timeout_ms=10_000,
            )
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka cannot be reached: {type(error).__name__}") from error
        self._unsent.extend(self._outbox.take_over())
        self.report.set_fact(source=self._source.name)
        self.report.running(self._source.detail)

    def step(self) -> None:
        """Publish what is left, then what the source has next."""
        if self._refused:  # an idempotent producer does not recover from these (FACTS.md): a new life republishes
            raise ComponentFailedError(f"Kafka refused a message: {self._refused[0]}")
        self._publish()
        if not self._outbox.wait_for_room(ROOM_SECONDS):
            self.report.degraded("waiting: too much is published and not stored yet", **self._metrics())
            return
        try:
            messages = self._source.read(self.stopping)
        except SourceError:
            self._errors += 1
            self.report.beat(**self._metrics())
            raise
        bars = sum(isinstance(message, Bar) for message in messages)
        self._bars += bars
        self._ticks += len(messages) - bars
        self._unsent.extend(self._outbox.add(map(self._addressed, messages)))
        self._rate.add(len(messages))
        self._publish()
        self.report.set_fact(source=self._source.name)
        read = {"last_read": datetime.now(UTC).isoformat(timespec="milliseconds")} if messages else {}
        self.report.running(self._source.detail, **read, **self._metrics())

    def _addressed(self, message: Tick | Bar) -> tuple[str, bytes, bytes]:
        """Topic, key and value of a message."""
        return self._bars_topic if isinstance(message, Bar) else self._topic, message.symbol.encode(), encode(message)

    def _publish(self) -> None:
        """Send everything unsent; what cannot be sent now stays, in order."""
        if self._kafka is None:
            return
        while self._unsent:
            entry = self._unsent[0]
            try:
                partition = self._partition_of.get((entry.topic, entry.key))
                future = self._kafka.send(entry.topic, value=entry.value, key=entry.key, partition=partition)
            except KafkaTimeoutError as error:
                raise BrokerError(f"Kafka takes no messages: {error}", retry_after=RETRY_SECONDS) from error
            self._unsent.popleft()
            future.add_callback(self._acknowledged, entry)
            future.add_errback(self._refused.append)

    def _acknowledged(self, entry: Entry, metadata: RecordMetadata) -> None:
        self._partition_of[entry.topic, entry.key] = metadata.partition
        self._outbox.acknowledged(entry, metadata.partition, metadata.offset)

    def _metrics(self) -> dict[str, Metric]:
        return {
            **self._source.metrics,
            "ticks": self._ticks,
            "bars": self._bars,
            "errors": self._errors,
            "ticks_per_second": self._rate.per_second(),
            "outbox": len(self._outbox),
        }

    def close(self) -> None:
        """Flush within the deadline; what is not acknowledged stays in the outbox for the next life."""
        if self._kafka is not None:
            with contextlib.suppress(KafkaError, OSError):  # kept in the outbox
                self._kafka.flush(timeout=0.7)
            with contextlib.suppress(KafkaError, OSError):
                self._kafka.close(timeout=0.3)
