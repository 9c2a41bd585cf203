"""The embedded broker where a guard stands between it and us (macOS): it starts from any folder, and its own memory counts."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from program import free_port, until

from stockwatch.component import Renewal, children
from stockwatch.engines.embedded_kafka import EmbeddedKafka
from stockwatch.errors import RetryableError
from stockwatch.health import HealthRegistry


def test_a_guarded_broker_is_measured_and_asks_for_its_renewal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_libc", None)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    others = set(psutil.Process().children(recursive=True))  # a program that several test modules share may run beside it
    registry = HealthRegistry(["kafka"])
    broker = EmbeddedKafka(free_port(), "prices", 3, 1, tmp_path / "kafka.log", registry.reporter("kafka"))
    broker.start()
    try:
        until(lambda: _is_ready(broker), 20, "ready")
        ours = set(psutil.Process().children(recursive=True)) - others
        (tansu,) = (child for child in ours if "tansu" in child.name())
        asked = broker.beat()
        told = registry.get("kafka").metrics["memory_mb"]
        assert told == pytest.approx(tansu.memory_info().rss / 2**20, abs=3)
        assert isinstance(asked, Renewal)
        assert f"its memory, {told} MB" in asked.reason
    finally:
        broker.stop()
    assert not psutil.wait_procs([tansu], 5)[1]


def _is_ready(broker: EmbeddedKafka) -> bool:
    try:
        return broker.ready()
    except RetryableError:  # made, and not shown yet
        return False
