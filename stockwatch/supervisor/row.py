"""The supervisor's decisions, pure: a row of parts, what happened to them, and what is to be done at a moment.

No threads, no clock: every method is told the time (seconds, monotonic), so that histories can be played in tests.
Rest-for-one: when a part fails, what depends on it is stopped first, in reverse order, and gets new lives after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from stockwatch.component import Backoff, Component

FAILURES, WITHIN_SECONDS = 5, 60.0  # DESIGN.md: five failures in 60 s → failed
RETRY_SECONDS = 60.0  # then one more try each minute


@dataclass(frozen=True)
class Part:
    """One place in the row. `essential`: when its first start fails, the program cannot run at all."""

    name: str
    make: Callable[[], Component]
    needs: tuple[str, ...] = ()
    essential: bool = False


class Phase(Enum):
    """Where a part is in its life."""

    WAITING = "waiting"  # for what it needs, or for its delay
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True)
class Start:
    """Make a new life of this part: number `life`, counted from 1."""

    name: str
    life: int


@dataclass(frozen=True)
class Stop:
    """End the current life of this part."""

    name: str


@dataclass
class _Place:
    part: Part
    phase: Phase = Phase.WAITING
    life: int = 0
    not_before: float = 0.0
    started_at: float = 0.0
    was_ready: bool = False
    failures: list[float] = field(default_factory=list)
    backoff: Backoff = field(default_factory=Backoff)


class Row:
    """The parts in their order, each with its phase."""

    def __init__(self, parts: Sequence[Part], make_backoff: Callable[[], Backoff] = Backoff) -> None:
        self._places = {part.name: _Place(part, backoff=make_backoff()) for part in parts}

    def part(self, name: str) -> Part:
        """The part of this name."""
        return self._places[name].part

    def phase(self, name: str) -> Phase:
        """Where it is."""
        return self._places[name].phase

    def life(self, name: str) -> int:
        """The number of its newest life; 0 before the first."""
        return self._places[name].life

    def has_failed(self, name: str) -> bool:
        """Whether it has failed too often and is tried only once a minute."""
        return len(self._places[name].failures) >= FAILURES and self.phase(name) is not Phase.RUNNING

    def is_first_start(self, name: str) -> bool:
        """Whether no life of it has ever been ready."""
        return not self._places[name].was_ready

    def due(self, now: float) -> list[Start]:
        """What is to be started now: parts whose needs run and whose delay is over."""
        starts = []
        for name, place in self._places.items():
            if self._may_start(place) and now >= place.not_before:
                place.phase, place.started_at = Phase.STARTING, now
                place.life += 1
                starts.append(Start(name, place.life))
        return starts

    def next_due(self) -> float | None:
        """When due() will have something if nothing else happens; None: never."""
        return min((place.not_before for place in self._places.values() if self._may_start(place)), default=None)

    def _may_start(self, place: _Place) -> bool:
        needs = [need for need in place.part.needs if need in self._places]  # others run elsewhere (--only)
        return place.phase is Phase.WAITING and all(self.phase(need) is Phase.RUNNING for need in needs)

    def ready(self, name: str, life: int, now: float) -> bool:
        """A life says that it is ready; False when it is not the current one any more."""
        place = self._places[name]
        if place.life != life or place.phase is not Phase.STARTING:
            return False
        place.phase, place.was_ready, place.started_at = Phase.RUNNING, True, now
        return True

    def failed(self, name: str, life: int, now: float) -> list[Stop]:
        """A life has ended or must end: what is to be stopped, dependents first. Empty when it is an old life."""
        place = self._places[name]
        if place.life != life or place.phase is Phase.WAITING:
            return []
        if place.phase is Phase.RUNNING and now - place.started_at > WITHIN_SECONDS:
            place.backoff.reset()  # it ran well for long: this is a new trouble
        place.failures = [moment for moment in place.failures if now - moment <= WITHIN_SECONDS] + [now]
        too_often = len(place.failures) >= FAILURES
        place.not_before = now + (RETRY_SECONDS if too_often else place.backoff.next_delay())
        return [*self._stop_dependents(name), self._stop(name)]

    def stop_all(self) -> list[Stop]:
        """The end: producers of data first, engines last (DESIGN.md, rule 5)."""
        engines = [name for name, place in self._places.items() if not place.part.needs and place.part.essential]
        order = [name for name in self._places if name not in engines] + engines[::-1]
        return [self._stop(name) for name in order if self.phase(name) is not Phase.WAITING]

    def _stop_dependents(self, name: str) -> list[Stop]:
        return [
            self._stop(other)
            for other, place in reversed(self._places.items())
            if name in self._all_needs(other) and place.phase is not Phase.WAITING
        ]

    def _all_needs(self, name: str) -> set[str]:
        direct = set(self._places[name].part.needs) & set(self._places)
        return direct.union(*(self._all_needs(need) for need in direct))

    def _stop(self, name: str) -> Stop:
        self._places[name].phase = Phase.WAITING
        return Stop(name)
