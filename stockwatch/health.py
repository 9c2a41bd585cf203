"""State, Health and the locked HealthRegistry: one truth for /health, `status` and the sidebar.

Workers report through a `Reporter`; only the supervisor says starting, failed and stopped. Reading is cheap and never
raises.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

Metric = int | float | str | Mapping[str, Any] | list[str] | None


class State(StrEnum):
    """A component's state. `degraded`: cannot do its job now and tries again."""

    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    FAILED = "failed"
    STOPPED = "stopped"


# From best to worst; the top state is the worst of the components'.
_SEVERITY = (State.RUNNING, State.STARTING, State.DEGRADED, State.STOPPED, State.FAILED)


def worst(states: Iterable[State]) -> State:
    """The worst of the states; `stopped` when there are none."""
    return max(states, key=_SEVERITY.index, default=State.STOPPED)


@dataclass(frozen=True)
class Health:
    """What one component says of itself. Times are aware datetimes in UTC."""

    name: str
    state: State
    since: datetime
    detail: str = ""
    last_beat: datetime | None = None
    restarts: int = 0
    error: str | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The shape of one entry of /health's `components`."""
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "since": _iso(self.since),
            "last_beat": _iso(self.last_beat),
            "restarts": self.restarts,
            "error": self.error,
            "metrics": dict(self.metrics),
        }


class HealthRegistry:
    """The health of all components, in their order. Every method may be called from any thread."""

    def __init__(self, names: Iterable[str], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._entries = {name: Health(name, State.STOPPED, self._since) for name in names}
        self._facts: dict[str, str | None] = {}
        self._listeners: list[Callable[[], None]] = []

    @property
    def names(self) -> list[str]:
        """The components, in their order."""
        return list(self._entries)

    def listen(self, changed: Callable[[], None]) -> None:
        """Call `changed` after each report, in the reporter's thread. It must be quick and never raise."""
        self._listeners.append(changed)

    def set_fact(self, **facts: str | None) -> None:
        """Set top-level values of /health: source, clickhouse_url, kafka, dashboard_url. Never with credentials."""
        with self._lock:
            self._facts.update(facts)
        self._tell()

    def fact(self, name: str) -> str | None:
        """A top-level value, or None."""
        with self._lock:
            return self._facts.get(name)

    def report(
        self,
        name: str,
        state: State | None = None,
        *,
        detail: str | None = None,
        error: str | None = None,
        restarts: int | None = None,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        """Change what is given. A state sets `error` too (None clears it); metrics are merged into the old ones."""
        with self._lock:
            old = self._entries[name]
            now = self._clock()
            new = replace(old, last_beat=now, metrics={**old.metrics, **(metrics or {})})
            if state is not None:
                new = replace(new, state=state, error=error, since=old.since if state is old.state else now)
            if detail is not None:
                new = replace(new, detail=detail)
            if restarts is not None:
                new = replace(new, restarts=restarts)
            self._entries[name] = new
        self._tell()

    def _tell(self) -> None:
        for changed in self._listeners:
            changed()

    def get(self, name: str) -> Health:
        """One component's health."""
        with self._lock:
            return self._entries[name]

    def snapshot(self) -> list[Health]:
        """All components' health, in their order."""
        with self._lock:
            return list(self._entries.values())

    def state(self) -> State:
        """The worst state."""
        return worst(health.state for health in self.snapshot())

    def as_json(self) -> dict[str, Any]:
        """The body of GET /health."""
        components = self.snapshot()
        with self._lock:
            facts = dict(self._facts)
        return {
            "state": worst(health.state for health in components).value,
            "source": facts.pop("source", None),
            "since": _iso(self._since),
            **facts,
            "components": [health.as_json() for health in components],
        }

    def reporter(self, name: str) -> Reporter:
        """The registry seen by one worker: it can speak only of itself."""
        return Reporter(self, name)


class Reporter:
    """One component's voice in the registry."""

    def __init__(self, registry: HealthRegistry, name: str) -> None:
        self._registry = registry
        self.name = name

    def running(self, detail: str | None = None, **metrics: Metric) -> None:
        """The job is being done. Clears the error."""
        self._registry.report(self.name, State.RUNNING, detail=detail, metrics=metrics)

    def degraded(self, error: str, **metrics: Metric) -> None:
        """The job cannot be done now and is tried again; `error` says why in plain words."""
        self._registry.report(self.name, State.DEGRADED, error=error, metrics=metrics)

    def beat(self, **metrics: Metric) -> None:
        """Alive; the state stays."""
        self._registry.report(self.name, metrics=metrics)

    def set_fact(self, **facts: str | None) -> None:
        """See HealthRegistry.set_fact."""
        self._registry.set_fact(**facts)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
