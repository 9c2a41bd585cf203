"""auto: Yahoo when it answers within 3 s, else the simulator, marked as such; then Yahoo is asked again each minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from stockwatch.errors import RetryableError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import Source
from stockwatch.sources.simulator import Simulator
from stockwatch.tick import Bar, Tick

ANSWER_SECONDS = 3.0
AGAIN_SECONDS = 60.0
WAIT_SECONDS = 0.1


def ask_yahoo(settings: Settings) -> tuple[Source, list[Tick | Bar]]:
    """Yahoo and what its first poll gave. Raises RetryableError; may take long, so it runs in its own thread."""
    from stockwatch.sources.yahoo_poll import YahooPoll

    source = YahooPoll(settings)
    return source, source.read(threading.Event())


class Auto:
    """A Source that changes what it is once: from the simulator to Yahoo, when Yahoo answers."""

    def __init__(
        self,
        settings: Settings,
        ask: Callable[[Settings], tuple[Source, list[Tick | Bar]]] = ask_yahoo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._ask, self._clock = settings, ask, clock
        self._answered: tuple[Source, list[Tick | Bar]] | None = None
        self._asked_at = clock()
        self._done = threading.Event()
        self._source: Source | None = None
        self._simulated: Source | None = None
        self._begin_asking()

    def _begin_asking(self) -> None:
        self._asked_at = self._clock()
        self._done.clear()
        threading.Thread(target=self._asking, name="auto asks Yahoo", daemon=True).start()

    def _asking(self) -> None:
        try:
            self._answered = self._ask(self._settings)
        except RetryableError:
            self._answered = None  # the detail says that Yahoo does not answer
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
        if self._source is not None and self._source is not self._simulated:
            return self._source.detail
        return "Yahoo does not answer: simulated prices; Yahoo is asked again every minute"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The current source's."""
        return self._source.metrics if self._source else {}

    def instruments(self) -> list[Instrument]:
        """None."""
        return []

    def close(self) -> None:
        """Nothing to give back: what still asks is a daemon thread."""

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """From what it is now; changes over as soon as Yahoo has answered."""
        current = self._current(stopping)
        if current is not self._simulated:
            return current.read(stopping)
        if self._answered is not None:
            self._source, first = self._answered
            return first
        if self._done.is_set() and self._clock() - self._asked_at >= AGAIN_SECONDS:
            self._begin_asking()
        return current.read(stopping)
