"""auto: Yahoo when it answers within 3 s, else the simulator, marked as such; then Yahoo is asked again each minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

from stockwatch.errors import RetryableError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import Held, Source
from stockwatch.sources.simulator import Simulator
from stockwatch.tick import Bar, Tick

ANSWER_SECONDS = 3.0
AGAIN_SECONDS = 60.0
WAIT_SECONDS = 0.1
INSIST_SECONDS = 10.0  # how long one of the later questions is repeated: the first answer may still tell of the old trouble


class Answers(Source, Protocol):
    """A source that knows whether it has ever been answered."""

    @property
    def answered(self) -> bool: ...


def yahoo(settings: Settings, held: Callable[[], Held] | None) -> Answers:
    """Yahoo: the stream when it answers, else polls. Takes a second to import, so it is made in a thread."""
    from stockwatch.sources.yahoo_market import YahooMarket

    return YahooMarket(settings, held, stream=True)


class Auto:
    """A Source that changes what it is once: from the simulator to Yahoo, when Yahoo answers."""

    def __init__(
        self,
        settings: Settings,
        held: Callable[[], Held] | None,
        make: Callable[[Settings, Callable[[], Held] | None], Answers] = yahoo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._held, self._make, self._clock = settings, held, make, clock
        self._yahoo: Answers | None = None  # one for all questions: it remembers when it was told to keep away
        self._first: list[Tick | Bar] = []
        self._answered = False
        self._changed_over: str | None = None
        self._asked_at = clock()
        self._done = threading.Event()
        self._source: Source | None = None
        self._simulated: Source | None = None
        self._shown = False  # whether simulated prices were given
        self._begin_asking(0.0)  # nobody waits for long: the simulator is quick

    def _begin_asking(self, insist: float) -> None:
        self._asked_at = self._clock()
        self._done.clear()
        threading.Thread(target=self._asking, args=(insist,), name="auto asks Yahoo", daemon=True).start()

    def _asking(self, insist: float) -> None:
        """In its own thread: until Yahoo answers, or after `insist` seconds fails. Then the detail says so, for a minute."""
        try:
            if self._yahoo is None:
                self._yahoo = self._make(self._settings, self._held)
            asking, until = threading.Event(), time.monotonic() + insist
            while not self._yahoo.answered:
                try:
                    self._first += self._yahoo.read(asking)
                except RetryableError as error:
                    if time.monotonic() + (error.retry_after or 0) >= until:
                        return
                    asking.wait(error.retry_after or WAIT_SECONDS)
            self._answered = True
        finally:
            self._done.set()

    def _current(self, stopping: threading.Event) -> Source:
        """The simulator after the first wait, until read() changes over to Yahoo."""
        if self._source is None:
            until = self._asked_at + ANSWER_SECONDS
            while self._clock() < until and not stopping.is_set() and not self._done.wait(WAIT_SECONDS):
                pass  # a stop is seen in between
            self._source = self._simulated = Simulator.of(self._settings)
        return self._source

    @property
    def name(self) -> str:
        """ "yahoo" or "simulator": what is shown now."""
        return self._source.name if self._source else "simulator"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The settings' tickers."""
        return self._settings.market.tickers

    @property
    def detail(self) -> str:
        """What it is, and why."""
        if self._source is None:
            return "Yahoo is being asked for prices"
        if self._source is not self._simulated:
            since = f"; Yahoo answers since {self._changed_over[11:16]} UTC" if self._changed_over else ""
            return self._source.detail + since
        return "Yahoo does not answer: simulated prices; Yahoo is asked again every minute"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The current source's, and changed_over: when real prices took the simulator's place (ISO, UTC)."""
        return {**(self._source.metrics if self._source else {}), "changed_over": self._changed_over}

    def instruments(self) -> list[Instrument]:
        """None."""
        return []

    def close(self) -> None:
        """What still asks is a daemon thread."""
        if self._yahoo is not None:
            self._yahoo.close()

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """From what it is now; changes over as soon as Yahoo has answered."""
        current = self._current(stopping)
        if current is not self._simulated:
            return current.read(stopping)
        if self._answered and self._yahoo is not None:
            if self._shown:
                self._changed_over = datetime.now(UTC).isoformat(timespec="seconds")
            self._source, first = self._yahoo, self._first
            return first
        if self._done.is_set() and self._clock() - self._asked_at >= AGAIN_SECONDS:
            self._begin_asking(INSIST_SECONDS)
        self._shown = True
        return current.read(stopping)
