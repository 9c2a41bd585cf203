"""The streaming source in a world that a test moves: connections that do as it says, polls that answer or fail, one clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yahoo_stub import quote

from stockwatch.errors import SourceError
from stockwatch.settings import Settings, load
from stockwatch.sources import yahoo_poll
from stockwatch.sources.yahoo_poll import YahooPoll
from stockwatch.sources.yahoo_stream import YahooStream, tick_of
from stockwatch.tick import Tick

TICKERS = ("RELIANCE.NS", "TCS.NS")
AT = 1_763_955_900_000  # 2025-11-24 09:15:00 IST, a Monday


def said(symbol: str = "RELIANCE.NS", at: int = AT, price: float = 100.0, hours: int | None = 1, **more: Any) -> dict[str, Any]:
    """A message as yfinance decodes it."""
    message = {"id": symbol, "time": str(at), "price": price, "day_volume": "1000", "market_hours": hours, **more}
    return {name: value for name, value in message.items() if value is not None}


class Line:
    """A connection that says what the test puts in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rubbish = 0
        self.open_since: float | None = None
        self.last_message: float | None = None
        self.ended = ""
        self.waiting: list[dict[str, Any]] = []
        self.closed = threading.Event()

    def say(self, *messages: dict[str, Any]) -> None:
        self.open()
        self.last_message = self.world.now
        self.waiting += messages

    def open(self) -> None:
        self.open_since = self.world.now if self.open_since is None else self.open_since

    def take(self, seconds: float) -> list[dict[str, Any]]:
        if not self.waiting and not self.ended:
            self.world.pass_time(seconds)
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        self.closed.set()


class World:
    """The stream under test with everything around it. Whoever waits moves the clock; `then` happens at its time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, random: float = 1.0, wall: int = AT) -> None:
        self.now, self._started, self._wall = 0.0, wall, wall
        self.lines: list[Line] = []
        self.polls: list[float] = []  # when Yahoo was asked
        self.state: str | None = "REGULAR"
        self.prices: dict[str, tuple[int, float]] = dict.fromkeys(TICKERS, (AT // 1000, 90.0))
        self.trouble: SourceError | None = None
        self.hanging = False
        self.then: list[tuple[float, Callable[[], object]]] = []
        world = self

        class Stopping(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                if not self.is_set():
                    world.pass_time(timeout or 0)
                return self.is_set()

        class Call:
            """As component.call has it, without a thread."""

            def __init__(self, call: Callable[[], Any], _name: str) -> None:
                self._call = call
                world.polls.append(world.now)

            def wait(self, seconds: float, enough: Callable[[], bool]) -> bool:
                until = world.now + seconds
                while world.hanging and not enough() and world.now < until:
                    world.pass_time(0.05)
                return not world.hanging

            def result(self) -> Any:
                return self._call()

        monkeypatch.setattr(yahoo_poll, "Call", Call)
        settings = load(folder / "settings.toml", {"market": {"source": "yahoo-stream", "tickers": list(TICKERS)}})
        self.stopping = Stopping()
        poll = YahooPoll(settings, self, lambda: self.now, lambda: self._wall + int(self.now * 1000))
        self.stream = YahooStream(settings, poll, self.connect, lambda: self.now, lambda: random)

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]:
        if self.trouble:
            raise self.trouble
        found = [quote(symbol, *self.prices[symbol], 500, marketState=self.state) for symbol in symbols if symbol in self.prices]
        return [{name: value for name, value in entry.items() if value is not None} for entry in found]

    def connect(self, _settings: Settings) -> Line:
        self.lines.append(Line(self))
        return self.lines[-1]

    @property
    def line(self) -> Line:
        return self.lines[-1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for due in [one for one in self.then if one[0] <= self.now]:
            self.then.remove(due)
            due[1]()

    def read(self) -> list[Tick]:
        return self.stream.read(self.stopping)

    def live(self) -> World:
        """It streams: the first quotes are read, and the first message."""
        self.read()
        self.line.say(said(at=AT))
        assert self.read() == [tick_of(said(at=AT))]
        return self

    def run(self, seconds: float) -> list[Tick]:
        """Read on for so long."""
        until, ticks = self.now + seconds, []
        while self.now < until:
            ticks += self.read()
        return ticks
