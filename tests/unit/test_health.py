"""The registry: one truth, in its order; the worst state wins; listeners hear of every report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stockwatch.health import HealthRegistry, State, worst


class Clocked:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 12, tzinfo=UTC)
        self.registry = HealthRegistry(["kafka", "consumer"], lambda: self.now)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], State.STOPPED),
        ([State.RUNNING, State.STARTING], State.STARTING),
        ([State.STARTING, State.DEGRADED], State.DEGRADED),
        ([State.DEGRADED, State.STOPPED, State.RUNNING], State.STOPPED),
        ([State.STOPPED, State.FAILED], State.FAILED),
    ],
)
def test_the_worst_state_wins(states: list[State], expected: State) -> None:
    assert worst(states) is expected


def test_a_state_keeps_its_beginning_and_an_error_goes_with_its_trouble() -> None:
    clocked = Clocked()
    consumer = clocked.registry.reporter("consumer")
    consumer.running("stores", lag=1)
    began = clocked.registry.get("consumer").since
    clocked.now += timedelta(seconds=5)
    consumer.running(lag=2, rows=7)
    told = clocked.registry.get("consumer")
    assert (told.since, told.last_beat, told.detail, told.metrics) == (began, clocked.now, "stores", {"lag": 2, "rows": 7})
    consumer.degraded("the store does not answer")
    assert clocked.registry.get("consumer").since == clocked.now
    assert clocked.registry.get("consumer").error == "the store does not answer"
    consumer.running()
    assert clocked.registry.get("consumer").error is None


def test_the_body_of_health_has_the_contracts_shape() -> None:
    clocked = Clocked()
    clocked.registry.set_fact(source="simulator", kafka="127.0.0.1:1")
    clocked.registry.reporter("kafka").running("embedded", messages_per_second=3.0)
    body = clocked.registry.as_json()
    assert list(body) == ["state", "source", "since", "kafka", "components"]
    assert (body["state"], body["source"]) == ("stopped", "simulator")
    assert body["components"][0] == {
        "name": "kafka", "state": "running", "detail": "embedded", "since": "2026-11-25T12:00:00.000+00:00",
        "last_beat": "2026-11-25T12:00:00.000+00:00", "restarts": 0, "error": None, "metrics": {"messages_per_second": 3.0},
    }  # fmt: skip
    assert body["components"][1]["last_beat"] is None


def test_a_worker_speaks_only_of_itself_and_an_unknown_one_is_refused() -> None:
    registry = Clocked().registry
    registry.reporter("kafka").running()
    assert registry.get("consumer").state is State.STOPPED
    with pytest.raises(KeyError):
        registry.report("page", State.RUNNING)


def test_listeners_hear_of_reports_and_facts_once_each_and_may_read() -> None:
    registry = Clocked().registry
    heard: list[State] = []
    registry.listen(lambda: heard.append(registry.state()))
    registry.reporter("kafka").running()
    registry.set_fact(source="yahoo")
    registry.reporter("consumer").running()
    assert heard == [State.STOPPED, State.STOPPED, State.RUNNING]
