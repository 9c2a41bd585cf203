"""The sidebar's words: what happened by plan is no trouble."""

from __future__ import annotations

from typing import Any

from stockwatch.dashboard import sidebar


def kafka(restarts: int, **metrics: object) -> dict[str, Any]:
    part = {"name": "kafka", "state": "running", "detail": "embedded", "last_beat": None, "restarts": restarts, "error": None}
    return {"components": [{**part, "metrics": {"messages_per_second": 1.0, **metrics}}]}


def test_restarts_are_counted() -> None:
    assert "1 restart<" in sidebar.components(kafka(1))
    assert "0 restarts<" in sidebar.components(kafka(0))


def test_renewals_by_plan_are_no_restarts() -> None:
    said = sidebar.components(kafka(2, renewals=2, renewal_seconds=1.25))
    assert "2 renewed" in said
    assert "last pause 1.25 s" in said
    assert "restart" not in said


def test_a_restart_beside_renewals_is_told() -> None:
    assert "1 restart<" in sidebar.components(kafka(3, renewals=2, renewal_seconds=1.0))
