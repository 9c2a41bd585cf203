"""Yahoo as a whole: bars that have come are given on once, whatever becomes of the live part."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stockwatch.errors import SourceError
from stockwatch.settings import load
from stockwatch.sources import yahoo_market
from stockwatch.sources.yahoo_market import YahooMarket
from stockwatch.sources.yahoo_poll import YahooPoll
from stockwatch.tick import Bar, Tick

AT = 1_763_955_900_000
BAR = Bar("AAPL", AT, 1, 1.0, 1.0, 1.0, 1.0, 1, "yahoo")
TICK = Tick("AAPL", AT, 1.0, 1, "yahoo")


class Bars:
    """One bar has come."""

    def __init__(self, *_arguments: object) -> None:
        self.ready = [BAR]

    def begin(self) -> None: ...

    def take(self) -> list[Bar]:
        ready, self.ready = self.ready, []
        return ready


@pytest.fixture
def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> YahooMarket:
    monkeypatch.setattr(yahoo_market, "YahooBars", Bars)
    return YahooMarket(load(tmp_path / "settings.toml", {"market": {"tickers": ["AAPL"]}}), None, stream=False)


@pytest.mark.parametrize("trouble", [ZeroDivisionError("a surprise"), KeyboardInterrupt()])
def test_a_surprise_of_the_live_part_loses_no_bar(
    market: YahooMarket, monkeypatch: pytest.MonkeyPatch, trouble: BaseException
) -> None:
    def fail(_poll: YahooPoll, _stopping: threading.Event) -> list[Tick]:
        raise trouble

    monkeypatch.setattr(YahooPoll, "read", fail)
    with pytest.raises(type(trouble)):
        market.read(threading.Event())
    monkeypatch.setattr(YahooPoll, "read", lambda _poll, _stopping: [TICK])
    assert market.read(threading.Event()) == [BAR, TICK]
    assert market.read(threading.Event()) == [TICK]


def test_a_named_trouble_lets_bars_through_and_is_said_at_the_next_read(
    market: YahooMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_poll: YahooPoll, _stopping: threading.Event) -> list[Tick]:
        raise SourceError("Yahoo cannot be reached")

    monkeypatch.setattr(YahooPoll, "read", fail)
    assert market.read(threading.Event()) == [BAR]
    with pytest.raises(SourceError, match="cannot be reached"):
        market.read(threading.Event())
