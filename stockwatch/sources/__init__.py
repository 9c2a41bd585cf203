"""Sources of prices: everyone gives the same Tick (and Bar), whatever it is. open_source() asks the settings which."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.tick import Bar, Tick

__all__ = ["Source", "open_source"]


class Source(Protocol):
    """One source; it outlives the producer's lives, and is read by one thread at a time."""

    @property
    def name(self) -> str:
        """As in the tables: "yahoo", "simulator", "replay:<stem>". `auto` changes it when Yahoo answers."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it gives prices of."""

    @property
    def detail(self) -> str:
        """How it is doing, in plain words."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Numbers for health."""

    def instruments(self) -> list[Instrument]:
        """Calendars that the source brings itself (a recording does), else none."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """What is new; waits for it, at most about a second or until `stopping`, and may be empty.

        Raises SourceError with a plain reason, and with retry_after when it wants to be left alone.
        """

    def close(self) -> None:
        """Give back what it holds, within a second."""


def open_source(settings: Settings) -> Source:
    """The source that the settings name. Raises UsageError for what cannot work, before anything starts."""
    market = settings.market
    if market.source == "replay":
        from stockwatch.sources.replay import Replay

        return Replay.open(settings)
    if market.source == "simulator":
        from stockwatch.sources.simulator import Simulator

        return Simulator.of(settings)
    if market.source == "auto":
        from stockwatch.sources.auto import Auto

        return Auto(settings)
    from stockwatch.sources.yahoo_poll import YahooPoll

    return YahooPoll(settings)
