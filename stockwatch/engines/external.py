"""Engines by address: reachable and usable. Also what both kinds share: making the topics, and the probe that beats."""

from __future__ import annotations

import contextlib
import time

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from stockwatch.component import Deadlines, KafkaAddress, StoreAddress
from stockwatch.component.rate import Rate
from stockwatch.errors import BrokerError, StoreError
from stockwatch.health import Reporter
from stockwatch.sessions import Instrument
from stockwatch.store import Store


class KafkaProbe:
    """A look at the broker from outside: makes the topics, and counts what passes. One thread at a time."""

    def __init__(self, address: KafkaAddress, topic: str, partitions: int) -> None:
        self._address = address
        self._topics = [topic, f"{topic}.bars", f"{topic}.dead-letter"]
        self._partitions = partitions
        self._client: KafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._rate = Rate()

    def make_topics(self) -> None:
        """Make the three topics where they are missing. Raises BrokerError."""
        try:
            admin = KafkaAdminClient(**self._address.client_options(), bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
            try:
                missing = sorted(set(self._topics) - set(admin.list_topics()))
                # -1: the broker's own default of replicas, so that a cluster keeps its rules
                replicas = -1 if self._address.keeps_log else 1
                with contextlib.suppress(TopicAlreadyExistsError):  # another instance was quicker
                    if missing:
                        admin.create_topics([NewTopic(name, self._partitions, replicas) for name in missing], timeout_ms=5_000)
            finally:
                admin.close()
            self._client = KafkaConsumer(**self._address.client_options(), bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
        except (KafkaError, OSError) as error:
            raise BrokerError(
                f"Kafka at {','.join(self._address.bootstrap_servers)} does not answer: {_reason(error)}"
            ) from error

    def messages_per_second(self) -> float:
        """Ask for the logs' ends: proves that the broker answers. Raises BrokerError."""
        if self._client is None:
            raise BrokerError("the topics are not made yet")
        asked = [TopicPartition(name, number) for name in self._topics for number in range(self._partitions)]
        try:
            ends = self._client.end_offsets(asked, timeout_ms=2_000)
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka does not answer: {_reason(error)}") from error
        if self._ends:
            self._rate.add(sum(max(end - self._ends.get(partition, 0), 0) for partition, end in ends.items()))
        self._ends = ends
        return self._rate.per_second()

    def close(self) -> None:
        """Give the connection back."""
        if self._client is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._client.close(timeout_ms=200)


class ExternalKafka:
    """Kafka by bootstrap_servers. Nothing is started; ready means that the topics are there."""

    name = "kafka"

    def __init__(self, address: KafkaAddress, topic: str, partitions: int, reporter: Reporter) -> None:
        self.deadlines = Deadlines(ready=8.0, beat=30.0, stop=1.0)
        self._probe = KafkaProbe(address, topic, partitions)
        self._report = reporter
        self._detail = f"Kafka at {','.join(address.bootstrap_servers)}"

    def start(self) -> None:
        """Nothing to start."""

    def ready(self) -> bool:
        """True once the topics are made. Raises BrokerError with the reason while they cannot be."""
        self._probe.make_topics()
        return True

    def beat(self) -> None:
        """Away: degraded; the clients reconnect by themselves, so no life ends for it."""
        try:
            self._report.running(self._detail, messages_per_second=self._probe.messages_per_second())
        except BrokerError as error:
            self._report.degraded(str(error))

    def stop(self) -> None:
        """Give the connection back."""
        self._probe.close()


class StoreProbe:
    """The store from outside: makes the schema, then measures a small query."""

    def __init__(self, address: StoreAddress, instruments: list[Instrument]) -> None:
        self._store = Store(address, timeout=5.0)
        self._instruments = instruments

    def prepare(self) -> None:
        """Make database, schema and the recording's calendars. Raises StoreError or UnavailableError."""
        self._store.prepare()
        self._store.save_instruments(self._instruments)

    def query_ms(self) -> float:
        """How long the smallest query takes."""
        began = time.monotonic()
        self._store.ping()
        return round((time.monotonic() - began) * 1000, 1)

    def close(self) -> None:
        """Give the connections back."""
        self._store.close()


class ExternalClickHouse:
    """ClickHouse by url. Nothing is started; ready means that the schema is there."""

    name = "clickhouse"

    def __init__(self, address: StoreAddress, instruments: list[Instrument], reporter: Reporter) -> None:
        self.deadlines = Deadlines(ready=8.0, beat=30.0, stop=1.0)
        self._probe = StoreProbe(address, instruments)
        self._report = reporter
        self._detail = f"ClickHouse at {address.url}"

    def start(self) -> None:
        """Nothing to start."""

    def ready(self) -> bool:
        """True once the schema is made. Raises StoreError with the reason while it cannot be."""
        self._probe.prepare()
        return True

    def beat(self) -> None:
        """Away: degraded; writers and readers try again by themselves."""
        try:
            self._report.running(self._detail, query_ms=self._probe.query_ms())
        except StoreError as error:
            self._report.degraded(str(error))

    def stop(self) -> None:
        """Give the connections back."""
        self._probe.close()


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    text = str(error).removeprefix(f"{name}: ")
    return f"{name}: {text[:120]}" if text else name
