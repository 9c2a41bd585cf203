"""A look at a broker from outside, whichever it is: makes the topics, and counts what passes."""

from __future__ import annotations

import contextlib
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

from stockwatch.component import KafkaAddress
from stockwatch.component.rate import Rate
from stockwatch.engines.kafka_refusal import refusal
from stockwatch.errors import BrokerError, StockwatchError, UnavailableError

ANSWER_SECONDS = 5.0  # so long one answer may take


class KafkaProbe:
    """One thread at a time."""

    def __init__(self, address: KafkaAddress, topic: str, partitions: int) -> None:
        self._address = address
        self._where = address.where
        self._topics = [topic, f"{topic}.bars", f"{topic}.dead-letter"]
        self._partitions = partitions
        self._client: KafkaConsumer | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._rate = Rate()
        self.last_message: str | None = None  # when the logs were last seen to grow (ISO); None before
        self.note = ""  # what is other than the settings say, in plain words

    def make_topics(self, seconds: float = ANSWER_SECONDS) -> None:
        """Make the three topics where they are missing. Raises BrokerError, or UnavailableError when trying again is no use.

        Where nobody answers, within `seconds`.
        """
        # First over a socket of our own: kafka-python's clients wait for ever for a TLS handshake that is not answered (3.0.12).
        _raise_refusal(self._address, seconds)
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
            raise BrokerError(self._address.trouble(error)) from error
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


def unreachable(address: KafkaAddress, error: Exception) -> StockwatchError:
    """What to raise when a client cannot be made: with the true reason, and final when the settings must change."""
    try:
        _raise_refusal(address, ANSWER_SECONDS)
    except StockwatchError as refused:
        return refused
    return BrokerError(address.trouble(error))


def _raise_refusal(address: KafkaAddress, seconds: float) -> None:
    if said := refusal(address, seconds):
        kind = UnavailableError if said.final else BrokerError
        raise kind(f"{address.where} does not let us in: {said.reason}")
