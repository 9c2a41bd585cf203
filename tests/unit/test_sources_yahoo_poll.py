"""Polling: what has changed, once each; slower while nobody trades; a request that hangs is left behind."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from yahoo_stub import quote

from stockwatch.errors import SourceError
from stockwatch.settings import load
from stockwatch.sources.yahoo_poll import NAME, POLL_DEADLINE_SECONDS, YahooPoll, tick_of
from stockwatch.tick import Tick

TICKERS = ["TCS.NS", "INFY.NS", "AAPL"]
AT = 1_763_955_900  # Monday 2025-11-24 09:15:00 IST


class Yahoo:
    """Answers with `quotes`, or with `trouble`, or, while `hangs`, not at all."""

    def __init__(self, folder: Path, tickers: list[str] | None = None) -> None:
        self.now, self.wall_ms = 0.0, AT * 1000
        self.quotes_now: list[dict[str, Any]] = [quote(symbol, AT, 100.0, 5_000) for symbol in tickers or TICKERS]
        self.trouble: SourceError | None = None
        self.released = threading.Event()
        self.hangs = False
        self.asked = 0
        settings = load(folder / "settings.toml", {"market": {"source": "yahoo", "tickers": tickers or TICKERS}})
        self.source = YahooPoll(settings, self, lambda: self.now, lambda: self.wall_ms)

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]:
        self.asked += 1
        if self.hangs:
            self.released.wait(30)
        if self.trouble is not None:
            raise self.trouble
        return [found for found in self.quotes_now if found["symbol"] in symbols]

    def read(self, after: float = 10.0) -> list[Tick]:
        self.now += after
        stopping = threading.Event()
        stopping.set()  # no waiting between polls; the answer of a poll is waited for
        if self.source._asked is None and self.now >= self.source._next:
            stopping.clear()
        return self.source.read(stopping, wait=10)


@pytest.fixture
def yahoo(tmp_path: Path) -> Yahoo:
    return Yahoo(tmp_path)


def test_what_has_not_changed_is_not_said_again(yahoo: Yahoo) -> None:
    assert [tick.symbol for tick in yahoo.read()] == TICKERS
    assert yahoo.read() == []
    yahoo.quotes_now[0] = quote("TCS.NS", AT, 100.5, 5_000)  # a correction: the same second, another price
    yahoo.quotes_now[1] = quote("INFY.NS", AT + 2, 100.0, 5_000)
    assert [tick.symbol for tick in yahoo.read()] == ["TCS.NS", "INFY.NS"]


def test_between_two_polls_nothing_is_asked(yahoo: Yahoo) -> None:
    yahoo.read()
    assert yahoo.read(9.9) == []
    assert yahoo.asked == 1
    yahoo.read(0.1)
    assert yahoo.asked == 2


def test_health_tells_the_delay_the_market_state_the_names_and_who_is_unknown(yahoo: Yahoo) -> None:
    del yahoo.quotes_now[2]
    yahoo.quotes_now[1] = {"symbol": "INFY.NS"}  # known, and without a price: as good as unknown
    yahoo.read()
    told = yahoo.source.metrics
    assert yahoo.source.unknown == told["unknown"] == ["INFY.NS", "AAPL"]
    assert (told["names"], told["delay_minutes"]) == ({"TCS.NS": "TCS.NS Ltd"}, {"TCS.NS": 15})
    assert yahoo.source.delay_ms("TCS.NS") == 900_000


def test_a_trouble_is_said_and_the_next_answer_ends_it(yahoo: Yahoo) -> None:
    yahoo.trouble = SourceError("Yahoo cannot be reached")
    for _ in range(2):
        with pytest.raises(SourceError, match="cannot be reached") as trouble:
            yahoo.read()
        assert trouble.value.retry_after == 10
    assert not yahoo.source.answered
    yahoo.trouble = None
    assert len(yahoo.read()) == 3
    assert yahoo.source.answered


def test_a_request_that_hangs_is_left_at_a_stop_and_never_doubled(yahoo: Yahoo) -> None:
    yahoo.hangs = True
    stopping, over = threading.Event(), threading.Event()
    reading = threading.Thread(target=lambda: (yahoo.source.read(stopping, wait=30), over.set()))
    reading.start()
    stopping.set()
    assert over.wait(5)  # the promise: a stop does not wait for Yahoo
    reading.join(5)
    yahoo.now += POLL_DEADLINE_SECONDS
    with pytest.raises(SourceError, match="has not answered the last request yet"):
        yahoo.source.read(stopping)
    assert yahoo.asked == 1
    yahoo.hangs = False
    yahoo.released.set()
    assert len(yahoo.source.read(threading.Event(), wait=10)) == 3
    assert yahoo.asked == 1


def closed(symbol: str) -> dict[str, Any]:
    return quote(symbol, AT, 100.0, 5_000, marketState="CLOSED")


def clock(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Kolkata")).timestamp() * 1000)


def test_while_every_market_is_closed_one_request_a_minute_is_enough(tmp_path: Path) -> None:
    yahoo = Yahoo(tmp_path, TICKERS[:2])
    yahoo.wall_ms = clock("2025-11-24 20:00")
    yahoo.quotes_now = [closed(symbol) for symbol in TICKERS[:2]]
    yahoo.read()
    assert "every market is closed: Yahoo is asked every 60 s" in yahoo.source.detail
    for _ in range(5):
        yahoo.read()
    assert yahoo.asked == 1
    yahoo.read()
    assert yahoo.asked == 2
    yahoo.quotes_now[1] = quote("INFY.NS", AT, 100.0, 5_000)  # one is open: back to speed
    yahoo.read(60)
    yahoo.read()
    assert yahoo.asked == 4
    assert "every 10 s" in yahoo.source.detail


def test_it_is_back_to_speed_before_the_open(tmp_path: Path) -> None:
    yahoo = Yahoo(tmp_path, TICKERS[:2])
    yahoo.quotes_now = [closed(symbol) for symbol in TICKERS[:2]]
    yahoo.wall_ms = clock("2025-11-25 09:11:30")
    yahoo.read()  # 3 and a half minutes before: still slow, so the next one is 2 and a half before
    yahoo.wall_ms = clock("2025-11-25 09:12:30")
    yahoo.read(60)
    asked = yahoo.asked
    for _ in range(3):
        yahoo.read()
    assert yahoo.asked == asked + 3


def test_unknown_tickers_do_not_keep_it_at_speed(tmp_path: Path) -> None:
    yahoo = Yahoo(tmp_path, ["TCS.NS", "GONE.NS"])
    yahoo.wall_ms = clock("2025-11-24 20:00")
    yahoo.quotes_now = [closed("TCS.NS")]
    yahoo.read()
    yahoo.read()
    assert yahoo.asked == 1


def test_the_time_of_a_tick_is_the_exchanges_and_what_is_absent_stays_absent() -> None:
    bare = {"symbol": "A", "regularMarketTime": AT, "regularMarketPrice": 10.5}
    assert tick_of(bare) == Tick("A", AT * 1000, 10.5, 0, NAME)
    whole = tick_of(quote("A", AT, 10.5, 7))
    assert whole == Tick("A", AT * 1000, 10.5, 7, NAME, 10.45, 10.55, 9.5, 10.5, 11.5, 8.5, "INR")


@pytest.mark.parametrize(
    "wrong",
    [
        {"regularMarketPrice": None},
        {"regularMarketPrice": 0},
        {"regularMarketPrice": -3.0},
        {"regularMarketPrice": float("nan")},
        {"regularMarketPrice": "10"},
        {"regularMarketTime": None},
        {"symbol": None},
    ],
)
def test_a_quote_without_a_price_a_time_or_a_name_is_no_tick(wrong: dict[str, Any]) -> None:
    assert tick_of({**quote("A", AT, 10.5, 7), **wrong}) is None
