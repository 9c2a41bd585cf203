"""Engines by address: reachable and usable. Also the store's probe, which both kinds share."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable

from stockwatch.component import Deadlines, KafkaAddress, StoreAddress
from stockwatch.engines.kafka_probe import ANSWER_SECONDS, KafkaProbe
from stockwatch.errors import BrokerError, RetryableError, StoreError, UnavailableError
from stockwatch.health import Reporter
from stockwatch.sessions import Instrument
from stockwatch.store import Store

__all__ = ["ExternalClickHouse", "ExternalKafka", "KafkaProbe", "StoreProbe", "prepare_unwatched"]

log = logging.getLogger(__name__)

READY_SECONDS = 6.0  # and the program's own start: a wrong address says so within 10 s (DESIGN.md)
CLUSTER_SECONDS = 60.0  # ON CLUSTER waits for every server
PAUSE_SECONDS = 0.2  # between two tries


class ExternalKafka:
    """Kafka by bootstrap_servers. Nothing is started; ready means that the topics are there."""

    name = "kafka"

    def __init__(self, address: KafkaAddress, topic: str, partitions: int, reporter: Reporter) -> None:
        self.deadlines = Deadlines(ready=READY_SECONDS, beat=30.0, stop=1.0)
        self._probe = KafkaProbe(address, topic, partitions)
        self._report = reporter
        self._detail = self._where = address.where
        self._until = math.inf

    def start(self) -> None:
        """Nothing to start."""
        self._until = time.monotonic() + self.deadlines.ready

    def ready(self) -> bool:
        """True once the topics are made. Raises BrokerError with the reason while they cannot be."""
        self._probe.make_topics(seconds_left(self._until))
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
        self._address, self._instruments = address, instruments
        self._store = Store(address, timeout=ANSWER_SECONDS)

    def prepare(self, seconds: float = ANSWER_SECONDS) -> None:
        """Make database, schema and the recording's calendars. Raises StoreError or UnavailableError.

        Where nobody answers, within `seconds`.
        """
        # A store of its own; whole seconds are all that clickhouse-connect knows.
        with contextlib.closing(Store(self._address, timeout=max(math.ceil(seconds), 1))) as store:
            store.prepare()
            store.save_instruments(self._instruments)

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
        self.deadlines = Deadlines(ready=CLUSTER_SECONDS if address.cluster else READY_SECONDS, beat=30.0, stop=1.0)
        self._probe = StoreProbe(address, instruments)
        self._report = reporter
        self._detail = f"ClickHouse at {address.url}"
        self._until = math.inf

    def start(self) -> None:
        """Nothing to start."""
        self._until = time.monotonic() + self.deadlines.ready

    def ready(self) -> bool:
        """True once the schema is made. Raises StoreError with the reason while it cannot be."""
        self._probe.prepare(seconds_left(self._until))
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


def seconds_left(until: float) -> float:
    """How long one more try may wait for an answer."""
    return max(min(until - time.monotonic(), ANSWER_SECONDS), PAUSE_SECONDS)


def prepare_unwatched(prepares: Iterable[Callable[[float], None]]) -> None:
    """Engines that this start uses and does not watch: tried until they are usable. UnavailableError after READY_SECONDS."""
    until, pause = time.monotonic() + READY_SECONDS, threading.Event()
    for prepare in prepares:
        while True:
            try:
                prepare(seconds_left(until))
                break
            except RetryableError as error:
                if time.monotonic() + PAUSE_SECONDS > until:
                    raise UnavailableError(str(error)) from error
            pause.wait(PAUSE_SECONDS)
