"""A broker of either kind for the tests that both must pass, and stockwatch's workers over it, each life in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from apache_kafka import ApacheKafka
from program import until

from stockwatch.assembly.places import engines
from stockwatch.component import KafkaAddress, Worker
from stockwatch.health import HealthRegistry, Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import load
from stockwatch.tick import Bar, Tick

KINDS = ("embedded", "apache")
PARTITIONS = 3


@contextmanager
def running(kind: str, folder: Path) -> Iterator[KafkaAddress]:
    """The address of a broker that runs. Skips the test, in one line, where Apache Kafka cannot be had."""
    if kind == "apache":
        apache = ApacheKafka(folder)
        try:
            apache.start()
            yield apache.address
        finally:
            apache.stop()
        return
    settings, health = load(folder / "settings.toml"), HealthRegistry(["kafka"])
    settings.data_dir.mkdir()
    places = engines(settings, [])
    embedded = places.make_kafka(health.reporter("kafka"))
    try:
        embedded.start()
        until(embedded.ready, 10, "the embedded broker serves")
        yield places.kafka
    finally:
        embedded.stop()


class Given:
    """A source that gives these messages, some at each read, and then nothing."""

    name, detail, symbols = "given", "given", ()
    metrics: Mapping[str, Metric] = {}

    def __init__(self, messages: Sequence[Tick | Bar], at_once: int = 500) -> None:
        self._left, self._at_once = list(messages), at_once

    def instruments(self) -> list[Instrument]:
        """None."""
        return []

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """The next ones."""
        if not self._left:
            stopping.wait(0.05)
        given, self._left = self._left[: self._at_once], self._left[self._at_once :]
        return given

    def close(self) -> None:
        """Nothing to give back."""


W = TypeVar("W", bound=Worker)


@contextmanager
def living(worker: W) -> Iterator[W]:
    """One life, from its start to its stop. Fails when it ended by itself."""
    thread = threading.Thread(target=worker.run, name=worker.name, daemon=True)
    worker.start()
    thread.start()
    try:
        yield worker
        worker.beat()
    finally:
        worker.stop()
        thread.join(5)
