"""One life of a loop: trouble that may pass is told and tried again, a surprise ends it, a stop is final and bounded."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from program import until

from stockwatch.component import Backoff, Deadlines, Worker, end, spawn
from stockwatch.errors import ComponentFailedError, RetryableError, SourceError, StoreError
from stockwatch.health import HealthRegistry, State, worst


class Loop(Worker):
    """A worker whose steps are given."""

    name = "loop"

    def __init__(self, registry: HealthRegistry, step: Callable[[], None], opening: Callable[[], None] = lambda: None) -> None:
        super().__init__(registry.reporter("loop"))
        self.deadlines = Deadlines(stop=0.3)
        self._step, self._opening = step, opening
        self.closed = 0

    def open(self) -> None:
        self._opening()

    def step(self) -> None:
        self._step()
        self.report.running("steps")
        self.stopping.wait(0.01)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def registry() -> HealthRegistry:
    return HealthRegistry(["loop"])


def live(loop: Loop) -> threading.Thread:
    loop.start()
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    return thread


def test_a_trouble_that_passes_is_degraded_and_then_running_again(registry: HealthRegistry) -> None:
    troubles = [SourceError("rate limited", retry_after=0.2), StoreError("away", retry_after=0.2)]
    loop = Loop(registry, lambda: (_ for _ in ()).throw(troubles.pop(0)) if troubles else None)  # type: ignore[arg-type]
    thread = live(loop)
    until(lambda: registry.get("loop").error == "rate limited", 5, "degraded")
    assert registry.get("loop").state is State.DEGRADED
    until(lambda: registry.get("loop").state is State.RUNNING, 5, "running again")
    assert registry.get("loop").error is None
    loop.beat()
    loop.stop()
    thread.join(5)
    assert loop.closed == 1


def test_opening_is_tried_again(registry: HealthRegistry) -> None:
    tries: list[int] = []

    def opening() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise RetryableError("not yet", retry_after=0.01)

    loop = Loop(registry, lambda: None, opening)
    live(loop)
    until(loop.ready, 5, "ready")
    assert len(tries) == 3
    loop.stop()


def test_a_surprise_ends_the_life_visibly(registry: HealthRegistry) -> None:
    loop = Loop(registry, lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    live(loop).join(5)
    assert loop.closed == 1
    with pytest.raises(ComponentFailedError, match="ZeroDivisionError"):
        loop.beat()


def test_a_loop_that_hangs_is_left_behind_and_may_not_report(registry: HealthRegistry) -> None:
    release = threading.Event()
    loop = Loop(registry, lambda: release.wait(30) and None)  # type: ignore[func-returns-value]
    thread = live(loop)
    until(loop.ready, 5, "ready")
    with pytest.raises(ComponentFailedError, match="did not stop within"):
        loop.stop()
    assert loop.abandoned
    release.set()
    thread.join(5)


def test_delays_grow_with_jitter_and_start_again() -> None:
    backoff = Backoff(0.5, 30, random=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    backoff.reset()
    assert backoff.next_delay() == 0.5
    assert Backoff(1, random=lambda: 0.0).next_delay() == 0.5


def test_the_worst_state_is_the_whole() -> None:
    assert worst([State.RUNNING, State.RUNNING]) is State.RUNNING
    assert worst([State.RUNNING, State.STARTING, State.DEGRADED]) is State.DEGRADED
    assert worst([State.DEGRADED, State.FAILED, State.STOPPED]) is State.FAILED
    assert worst([]) is State.STOPPED


def test_the_registry_keeps_since_and_merges_metrics(registry: HealthRegistry) -> None:
    report = registry.reporter("loop")
    report.running("a", rows=1)
    since = registry.get("loop").since
    report.running(lag=2)
    body = registry.as_json()
    assert registry.get("loop").since == since
    assert body["components"][0]["metrics"] == {"rows": 1, "lag": 2}
    assert body["components"][0]["detail"] == "a"
    report.degraded("away")
    assert (registry.as_json()["state"], registry.get("loop").error) == ("degraded", "away")


def test_a_child_and_its_own_children_end_together(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(p.pid, flush=True); time.sleep(60)"
    child = spawn([sys.executable, "-c", code], tmp_path / "log")
    until(lambda: (tmp_path / "log").read_text().strip(), 10, "the grandchild")
    grandchild = psutil.Process(int((tmp_path / "log").read_text()))
    end(child, 1.0, signal.SIGKILL)
    assert not psutil.wait_procs([grandchild], 5)[1]
    assert end(child, 1.0) == -signal.SIGKILL
