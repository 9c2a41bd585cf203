"""Dead letters: what cannot be decoded, to its topic and its table, with the reason and where it came from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from kafka import KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from stockwatch.component import KafkaAddress
from stockwatch.errors import BrokerError
from stockwatch.store import Store

MAX_VALUE = 64 * 1024  # bytes of a bad message that are kept


class Letters:
    """Connects at the first letter."""

    def __init__(self, address: KafkaAddress, topic: str, store: Store) -> None:
        self._address, self._topic, self._store = address, topic, store
        self._kafka: KafkaProducer | None = None

    def bury(self, dead: Iterable[tuple[ConsumerRecord, str]]) -> None:
        """Keep (message, reason)s; returns when they are in both. Raises BrokerError or StoreError."""
        rows = [
            (r.topic, r.partition, r.offset, reason, (r.key or b"")[:MAX_VALUE], (r.value or b"")[:MAX_VALUE])
            for r, reason in dead
        ]
        try:
            if self._kafka is None:
                options = {**self._address.client_options(), "max_block_ms": 2_000, "bootstrap_timeout_ms": 3_000}
                self._kafka = KafkaProducer(**options, linger_ms=5, batch_size=256 * 1024)
            sent = []
            for topic, partition, offset, reason, key, value in rows:
                origin = {"reason": reason, "topic": topic, "partition": partition, "offset": offset}
                headers = [(name, str(word).encode()) for name, word in origin.items()]
                sent.append(self._kafka.send(self._topic, value=value, key=key, headers=headers))
            self._kafka.flush(timeout=5)
            if any(future.failed() for future in sent):  # flush() says nothing of these
                raise BrokerError("the dead-letter topic has refused messages")
        except (KafkaError, OSError) as error:
            raise BrokerError(f"the dead-letter topic takes no messages: {type(error).__name__}") from error
        self._store.insert_dead_letters(rows)

    def close(self) -> None:
        """Give the connection back."""
        if self._kafka is not None:
            with contextlib.suppress(KafkaError, OSError):
                self._kafka.close(timeout=0.3)
