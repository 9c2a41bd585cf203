"""What jobs, listeners and signals put on the supervisor's queue; the main thread decides what follows."""

from __future__ import annotations

from dataclasses import dataclass

from stockwatch.component import Renewal


@dataclass(frozen=True)
class Ready:
    """A life is usable."""

    name: str
    life: int


@dataclass(frozen=True)
class Failed:
    """A life has ended, or must."""

    name: str
    life: int
    reason: str


@dataclass(frozen=True)
class RenewalAsked:
    """A life asks to be followed by a new one, by plan."""

    name: str
    life: int
    renewal: Renewal


@dataclass(frozen=True)
class Finished:
    """A life has worked off what was there, and has ended."""

    name: str
    life: int


@dataclass(frozen=True)
class StopRequested:
    """Ctrl-C, SIGTERM or SIGHUP."""


Event = Ready | Failed | RenewalAsked | Finished | StopRequested
