"""The supervisor's decisions, pure: a row of parts, what happened to them, and what is to be done at a moment.

No threads, no clock: every method is told the time (seconds, monotonic), so that histories can be played in tests.
Rest-for-one: when a part fails, what depends on it is stopped first, in reverse order, and gets new lives after it.
A renewal by plan: what feeds it is stopped, what reads from it works off what is there, then it gets a new life at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from stockwatch.component import Backoff, Component

FAILURES, WITHIN_SECONDS = 5, 60.0  # DESIGN.md: five failures in 60 s → failed
RETRY_SECONDS = 60.0  # then one more try each minute
FINISH_SECONDS = 10.0  # for working off what is there; what is not done by then comes again, from the outbox


@dataclass(frozen=True)
class Part:
    """One place in the row. `essential`: when its first start fails, the program cannot run at all.

    drains: before what it needs is renewed, it works off what is there. may_renew: asked with whether it is urgent.
    """

    name: str
    make: Callable[[], Component]
    needs: tuple[str, ...] = ()
    essential: bool = False
    drains: bool = False
    may_renew: Callable[[bool], bool] = lambda _urgent: True


class Phase(Enum):
    """Where a part is in its life."""

    WAITING = "waiting"  # for what it needs, or for its delay
    STARTING = "starting"
    RUNNING = "running"
    FINISHING = "finishing"  # its life ends by plan


@dataclass(frozen=True)
class Start:
    """Make a new life of this part: number `life`, counted from 1."""

    name: str
    life: int


@dataclass(frozen=True)
class Stop:
    """End the current life of this part."""

    name: str


@dataclass(frozen=True)
class Finish:
    """Let the current life of this part work off what is there; finished() or FINISH_SECONDS later it is stopped."""

    name: str


@dataclass
class _Renewal:
    """A renewal on its way: of `name`, begun and to be through with finishing at these times, waiting for these parts."""

    name: str
    began: float
    until: float
    waits_for: set[str]


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
        self._renewal: _Renewal | None = None

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

    def due(self, now: float) -> list[Stop | Start]:
        """What is to be done now: the stops of a renewal, and the starts of parts whose needs run and whose delay is over."""
        starts: list[Stop | Start] = self._stop_renewed(now)
        for name, place in self._places.items():
            if self._may_start(place) and now >= place.not_before:
                place.phase, place.started_at = Phase.STARTING, now
                place.life += 1
                starts.append(Start(name, place.life))
        return starts

    def next_due(self) -> float | None:
        """When due() will have something if nothing else happens; None: never."""
        moments = [place.not_before for place in self._places.values() if self._may_start(place)]
        if self._renewal is not None and self.phase(self._renewal.name) is Phase.FINISHING:
            moments.append(self._renewal.until)
        return min(moments, default=None)

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
        if place.phase is Phase.FINISHING and place.part.drains:
            self.finished(name, life)  # it had to end anyway; what it left undone comes again
            return []
        if self._renewal is not None and name in (self._renewal.name, *self._all_needs(self._renewal.name)):
            self._renewal = None  # overtaken by the failure
        if place.phase is Phase.RUNNING and now - place.started_at > WITHIN_SECONDS:
            place.backoff.reset()  # it ran well for long: this is a new trouble
        place.failures = [moment for moment in place.failures if now - moment <= WITHIN_SECONDS] + [now]
        too_often = len(place.failures) >= FAILURES
        place.not_before = now + (RETRY_SECONDS if too_often else place.backoff.next_delay())
        return [*self._stop_dependents(name), self._stop(name)]

    def renew(self, name: str, life: int, urgent: bool, now: float) -> list[Stop | Finish]:
        """A life asks for a renewal: what is to be done for it first. Empty when this is not the time, it will ask again."""
        place = self._places[name]
        dependents = [other for other in self._places if name in self._all_needs(other)]
        well = all(self.phase(other) is Phase.RUNNING for other in [name, *dependents])
        if place.life != life or not well or self._renewal is not None or not place.part.may_renew(urgent):
            return []
        draining = [other for other in dependents if self.part(other).drains]
        self._renewal = _Renewal(name, now, now + FINISH_SECONDS, set(draining))
        for other in [name, *draining]:
            self._places[other].phase = Phase.FINISHING
        return [*(self._stop(other) for other in dependents if other not in draining), *map(Finish, draining)]

    def finished(self, name: str, life: int) -> None:
        """A life has worked off what was there."""
        if self._renewal is not None and self._places[name].life == life:
            self._renewal.waits_for.discard(name)

    def renewed(self, now: float) -> tuple[str, float] | None:
        """Which part's renewal is through, all that depends on it running again, and how long it took (s); told once."""
        if self._renewal is None:
            return None
        name, took = self._renewal.name, now - self._renewal.began
        if any(self.phase(other) is not Phase.RUNNING for other in self._places if name in {other, *self._all_needs(other)}):
            return None
        self._renewal = None
        return name, took

    def _stop_renewed(self, now: float) -> list[Stop | Start]:
        renewal = self._renewal
        if renewal is None or self.phase(renewal.name) is not Phase.FINISHING or (renewal.waits_for and now < renewal.until):
            return []
        self._places[renewal.name].not_before = now
        return [*self._stop_dependents(renewal.name), self._stop(renewal.name)]

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
        if self._renewal is not None:
            self._renewal.waits_for.discard(name)
        return Stop(name)
