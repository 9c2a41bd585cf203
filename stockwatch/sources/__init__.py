"""Sources of prices: everyone gives the same Tick (and Bar), whatever it is. open_source() asks the settings which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.tick import Bar, Tick

__all__ = ["Held", "Source", "open_source"]


class Held(Protocol):
    """What the store already holds of a source, so that nothing is asked for or played twice. Each raises StoreError."""

    def bar_span(self, source: str, symbol: str) -> tuple[int, int] | None:
        """The first bar's start and the last bar's end (ms); None without bars."""

    def tick_counts(self, source: str) -> dict[str, tuple[int, int, int]]:
        """Of each symbol: how many ticks, each identity once; how many before the newest one's time; that time (ms)."""


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


def open_source(settings: Settings, held: Callable[[], Held] | None = None) -> Source:
    """The source that the settings name. Raises UsageError for what cannot work, before anything starts.

    held: the store, asked for when it is needed first; None where this start knows none.
    """
    market = settings.market
    if market.source == "replay":
        from stockwatch.sources.replay import Replay

        return Replay.open(settings, held)
    if market.source == "simulator":
        from stockwatch.sources.simulator import Simulator

        return Simulator.of(settings)
    if market.source == "auto":
        from stockwatch.sources.auto import Auto

        return Auto(settings, held)
    from stockwatch.sources.yahoo_market import YahooMarket

    return YahooMarket(settings, held, stream=market.source == "yahoo-stream")
