"""Yahoo as a whole: live ticks, by polling or by the stream, and beside them its own bars."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from stockwatch.errors import SourceError
from stockwatch.health import Metric
from stockwatch.sessions import Instrument
from stockwatch.settings import Settings
from stockwatch.sources import Held
from stockwatch.sources.yahoo_bars import NAME, YahooBars
from stockwatch.sources.yahoo_poll import YahooPoll
from stockwatch.sources.yahoo_session import YahooSession
from stockwatch.sources.yahoo_stream import YahooStream
from stockwatch.tick import Bar, Tick


class YahooMarket:
    """A Source. Bars are asked for as soon as live prices have come once."""

    name = NAME

    def __init__(self, settings: Settings, held: Callable[[], Held] | None, *, stream: bool) -> None:
        self.symbols = settings.market.tickers
        self._session = YahooSession(settings)
        self._poll = YahooPoll(settings, self._session)
        self._live: YahooPoll | YahooStream = YahooStream(settings, self._poll) if stream else self._poll
        self._bars = YahooBars(settings, self._session, held, self._poll.delay_ms, lambda: self._poll.unknown)
        self._trouble: SourceError | None = None

    @property
    def answered(self) -> bool:
        """Whether Yahoo has ever answered."""
        return self._live.answered

    @property
    def detail(self) -> str:
        """How prices come, how the bars are, and whom Yahoo does not know."""
        unknown = f"unknown to Yahoo: {', '.join(self._poll.unknown)}" if self._poll.unknown else ""
        return "; ".join(filter(None, (self._live.detail, self._bars.detail, unknown)))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Requests by kind, and what the live part and the bars tell."""
        return {**self._session.requests, **self._live.metrics, **self._bars.metrics}

    def instruments(self) -> list[Instrument]:
        """None: Yahoo's calendars follow from the symbols."""
        return []

    def close(self) -> None:
        """End what listens and asks; a request that hangs is left to the process."""
        self._bars.close()
        if isinstance(self._live, YahooStream):
            self._live.close()

    def read(self, stopping: threading.Event) -> list[Tick | Bar]:
        """New ticks and bars. A trouble of the live part does not hold back bars that have come."""
        if self._live.answered:
            self._bars.begin()
        if self._trouble is None:
            try:
                ticks = self._live.read(stopping)
                return [*self._bars.take(), *ticks]
            except SourceError as error:
                self._trouble = error
        if bars := self._bars.take():  # only now: whatever else the live part raises, they stay for the next read
            return [*bars]  # the trouble is said then
        trouble, self._trouble = self._trouble, None
        raise trouble
