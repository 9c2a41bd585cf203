"""One member of the consumer group: joining, polling, committing, and how far it is behind. All trouble is BrokerError."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import AuthorizationError, CommitFailedError, KafkaError

from stockwatch.component import KafkaAddress
from stockwatch.errors import BrokerError

POLL_RECORDS = 5_000
QUIET_POLLS = 2  # so many polls without a record, each longer than the broker's wait, before the log's end is believed


class _Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Told by kafka-python, within poll(), that the group has taken this member in, be it without a partition."""

    def __init__(self, joined: threading.Event, revoked: Callable[[], None]) -> None:
        self._joined, self._revoked = joined, revoked

    def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:  # noqa: ARG002
        """What is not committed is read again by its next owner."""
        self._revoked()

    def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:  # noqa: ARG002
        """The group is joined."""
        self._joined.set()


class Member:
    """Joins with its first poll. One thread; `joined` may be looked at from any. Raises BrokerError when Kafka is not there."""

    def __init__(self, address: KafkaAddress, topics: Sequence[str], group_id: str, revoked: Callable[[], None]) -> None:
        self.joined = threading.Event()
        self._address = address
        self._quiet = 0
        try:
            self._kafka = KafkaConsumer(
                **address.client_options(),
                group_id=group_id,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                session_timeout_ms=address.session_timeout_ms,
                heartbeat_interval_ms=address.heartbeat_interval_ms,
                fetch_max_wait_ms=50,  # FACTS.md: the embedded broker waits it out although data is there
                max_partition_fetch_bytes=4 * 1024 * 1024,
                bootstrap_timeout_ms=3_000,
            )
            self._kafka.subscribe(list(topics), listener=_Membership(self.joined, revoked))
        except (KafkaError, OSError) as error:
            raise BrokerError(address.trouble(error)) from error

    def poll(self) -> Mapping[TopicPartition, list[ConsumerRecord]]:
        """What has come, at most POLL_RECORDS; waits for it 100 ms."""
        try:
            polled: Mapping[TopicPartition, list[ConsumerRecord]] = self._kafka.poll(timeout_ms=100, max_records=POLL_RECORDS)
            resume_join(self._kafka)
        except AuthorizationError as error:
            raise BrokerError(f"Kafka gives this user no right to read: {type(error).__name__}") from error
        except (KafkaError, OSError) as error:  # plain connection errors come out of poll (FACTS.md)
            raise BrokerError(self._address.trouble(error)) from error
        self._quiet = 0 if polled else self._quiet + 1
        return polled

    def commit(self, offsets: Mapping[TopicPartition, int]) -> bool:
        """Everything up to these offsets is stored. False: the partitions are another member's now, which reads them again."""
        try:
            self._kafka.commit({one: OffsetAndMetadata(last + 1, "", -1) for one, last in offsets.items()}, timeout_ms=1_500)
        except CommitFailedError:
            return False
        except (KafkaError, OSError) as error:
            raise BrokerError(f"the commit was not taken: {self._address.trouble(error)}") from error
        return True

    @property
    def partitions(self) -> set[TopicPartition]:
        """What it has."""
        return set(self._kafka.assignment())

    def lag(self) -> int:
        """How many messages are in the log and not polled, by what the last answers said."""
        lag = 0
        for partition in self._kafka.assignment():
            end = self._kafka.highwater(partition)
            position = self._kafka.position(partition, timeout_ms=0) if end is not None else None
            if end is not None and position is not None:
                lag += max(end - position, 0)
        return lag

    def is_at_end(self) -> bool:
        """Whether nothing is left in the log. Not by ListOffsets: the embedded broker's answer stops short of its last batch."""
        return self._quiet >= QUIET_POLLS and self.lag() == 0

    def close(self) -> None:
        """Leave the group."""
        with contextlib.suppress(KafkaError, OSError):
            self._kafka.close(autocommit=False, timeout_ms=500)


def resume_join(kafka: KafkaConsumer) -> None:
    """After each poll: kafka-python 3.0.12 forgets a join that new metadata began when its answer comes after the poll's time.

    It is then in its group with no partitions and no heartbeat, for ever: met once in 15 to 40 joins of a busy machine.
    """
    coordinator = kafka._coordinator
    task = coordinator._join_task
    if task is not None and task.is_done and not coordinator.need_rejoin():
        coordinator.request_rejoin()
