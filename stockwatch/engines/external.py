"""Engines by address: reachable and usable. Also what both kinds share: making the topics, and the probe that beats."""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import UTC, datetime

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    for_code,
)

from stockwatch.component import Deadlines, KafkaAddress, StoreAddress
from stockwatch.component.rate import Rate
from stockwatch.engines.kafka_refusal import refusal
from stockwatch.errors import BrokerError, StockwatchError, StoreError, UnavailableError
from stockwatch.health import Reporter
from stockwatch.sessions import Instrument
from stockwatch.store import Store

log = logging.getLogger(__name__)


class KafkaProbe:
    """A look at the broker from outside: makes the topics, and counts what passes. One thread at a time."""

    def __init__(self, address: KafkaAddress, topic: str, partitions: int) -> None:
        self._address = address
        self._where = f"Kafka at {','.join(address.bootstrap_servers)}"
        self._topics = [topic, f"{topic}.bars", f"{topic}.dead-letter"]
        self._partitions = partitions
        self._client: KafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._rate = Rate()
        self.last_message: str | None = None  # when the logs were last seen to grow (ISO); None before
        self.note = ""  # what is other than the settings say, in plain words

    def make_topics(self) -> None:
        """Make the three topics where they are missing. Raises BrokerError, or UnavailableError when trying again is no use."""
        try:
            admin = KafkaAdminClient(**self._address.client_options(), bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
            try:
                counts = self._counts(admin)
                if missing := [name for name in self._topics if name not in counts]:
                    self._make(admin, missing)
                    counts = self._counts(admin)
            finally:
                admin.close()
            self.close()
            self._client = KafkaConsumer(**self._address.client_options(), bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
        except (KafkaError, OSError) as error:
            raise unreachable(self._address, error) from error
        if set(counts) != set(self._topics):
            raise BrokerError(f"{self._where} has made the topics and does not show them yet")
        others = [f"{name} has {count}" for name, count in counts.items() if count != self._partitions]
        self.note = f"kafka.partitions is {self._partitions}, but {', '.join(others)}" if others else ""

    def _counts(self, admin: KafkaAdminClient) -> dict[str, int]:
        """How many partitions each of the topics has that are there and may be seen."""
        found = admin.describe_topics(self._topics)
        return {topic["name"]: len(topic["partitions"]) for topic in found if not topic["error_code"]}

    def _make(self, admin: KafkaAdminClient, missing: list[str]) -> None:
        # -1: the broker's own default of replicas, so that a cluster keeps its rules
        replicas = -1 if self._address.keeps_log else 1
        wanted = [NewTopic(name, self._partitions, replicas) for name in missing]
        answers = {made["name"]: made for made in admin.create_topics(wanted, timeout_ms=5_000, raise_errors=False)["topics"]}
        for made in map(answers.__getitem__, missing):  # the broker gives them in an order of its own
            kind = for_code(made["error_code"])
            if kind in (NoError, TopicAlreadyExistsError):  # another instance was quicker
                continue
            reason = f"{self._where}: topic {made['name']} is missing or hidden from us, and cannot be made: {kind.__name__}"
            if made.get("error_message"):
                reason += f" ({made['error_message'][:160]})"
            if issubclass(kind, (AuthorizationError, PolicyViolationError, InvalidTopicError)):
                raise UnavailableError(f"{reason}. Make it, or give this user the right to")
            raise BrokerError(reason)

    def messages_per_second(self) -> float:
        """Ask for the logs' ends: proves that the broker answers. Raises BrokerError."""
        if self._client is None:
            raise BrokerError("the topics are not made yet")
        try:
            numbers = {name: self._client.partitions_for_topic(name) for name in self._topics}
            asked = [TopicPartition(name, number) for name, found in numbers.items() for number in found]
            ends = self._client.end_offsets(asked, timeout_ms=2_000)
        except (KafkaError, OSError) as error:
            raise BrokerError(f"Kafka does not answer: {_reason(error)}") from error
        except KeyError as error:  # what kafka-python makes of a topic that is gone
            raise BrokerError(f"topic {error.args[0].topic} is gone") from error
        if self._ends:
            grown = sum(max(end - self._ends.get(partition, 0), 0) for partition, end in ends.items())
            self._rate.add(grown)
            if grown:
                self.last_message = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._ends = ends
        return self._rate.per_second()

    def remove_topics(self) -> None:
        """Delete the three topics: a benchmark leaves nothing on a cluster that is somebody's. Raises BrokerError."""
        try:
            admin = KafkaAdminClient(**self._address.client_options(), bootstrap_timeout_ms=2_000, request_timeout_ms=5_000)
            try:
                admin.delete_topics(self._topics)
            finally:
                admin.close()
        except (KafkaError, OSError) as error:
            raise unreachable(self._address, error) from error

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
        self._detail = self._where = f"Kafka at {','.join(address.bootstrap_servers)}"

    def start(self) -> None:
        """Nothing to start."""

    def ready(self) -> bool:
        """True once the topics are made. Raises BrokerError with the reason while they cannot be."""
        self._probe.make_topics()
        if self._probe.note:
            self._detail = f"{self._where}; {self._probe.note}"
            log.info("%s", self._detail)
        return True

    def beat(self) -> None:
        """Away: degraded; the clients reconnect by themselves, so no life ends for it."""
        try:
            rate = self._probe.messages_per_second()
            self._report.running(self._detail, messages_per_second=rate, last_message=self._probe.last_message)
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
        self.deadlines = Deadlines(ready=60.0 if address.cluster else 8.0, beat=30.0, stop=1.0)
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


def unreachable(address: KafkaAddress, error: Exception) -> StockwatchError:
    """What to raise when a client cannot be made: with the true reason, and final when the settings must change."""
    said = refusal(address)
    reason = f"Kafka at {','.join(address.bootstrap_servers)} does not let us in: {said.reason}" if said else ""
    if said and said.final:
        return UnavailableError(reason)
    return BrokerError(reason or f"Kafka at {','.join(address.bootstrap_servers)} does not answer: {_reason(error)}")


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    text = str(error).removeprefix(f"{name}: ")
    return f"{name}: {text[:120]}" if text else name
