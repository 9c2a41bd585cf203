"""Polling Yahoo, seen from the source: yfinance's own code against the loopback Yahoo; and auto, which falls back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yahoo_stub import YahooStub, quote

from stockwatch.component import Backoff
from stockwatch.errors import RetryableError, SourceError
from stockwatch.settings import Settings, load
from stockwatch.sources.auto import AGAIN_SECONDS, Auto
from stockwatch.sources.yahoo_poll import NAME, YahooPoll, tick_of
from stockwatch.tick import Bar, Tick

TICKERS = tuple(f"TICK{number}.NS" for number in range(10))
AT = 1_763_955_900  # 2025-11-24 09:15:00 IST


def settings_for(folder: Path, stub: YahooStub, tickers: tuple[str, ...] = TICKERS) -> Settings:
    market = {"source": "yahoo", "tickers": list(tickers), "poll_seconds": 10, "proxy": stub.proxy_url}
    return load(folder / "settings.toml", {"market": {**market, "ca_file": str(stub.ca_file)}})


class Polled:
    """A source whose time the test moves, so that each poll() is one cycle."""

    def __init__(self, folder: Path, stub: YahooStub, tickers: tuple[str, ...] = TICKERS) -> None:
        self.now = 0.0
        self.stub = stub
        self.source = YahooPoll(settings_for(folder, stub, tickers), lambda: self.now)

    def poll(self, stopping: threading.Event | None = None) -> list[Tick | Bar]:
        self.now += 10
        return self.source.read(stopping or threading.Event())


@pytest.fixture
def polled(tmp_path: Path) -> Iterator[Polled]:
    with YahooStub(tmp_path) as stub:
        stub.quotes = [quote(symbol, AT, 100.0, 5_000) for symbol in TICKERS]
        yield Polled(tmp_path, stub)


def test_ten_tickers_are_one_request_and_only_changes_are_said_again(polled: Polled) -> None:
    first = polled.poll()
    assert polled.stub.asked == [list(TICKERS)]
    assert [(tick.symbol, tick.at, tick.source) for tick in first if isinstance(tick, Tick)] == [
        (symbol, AT * 1000, NAME) for symbol in TICKERS
    ]
    assert polled.poll() == []
    polled.stub.quotes[3] = quote(TICKERS[3], AT, 100.5, 5_000)  # a correction: the same second, another price
    polled.stub.quotes[4] = quote(TICKERS[4], AT + 2, 100.0, 5_000)
    assert [tick.symbol for tick in polled.poll()] == [TICKERS[3], TICKERS[4]]
    assert polled.source.metrics["requests"] == len(polled.stub.asked) == 3


def test_between_two_polls_nothing_is_asked(polled: Polled) -> None:
    polled.poll()
    stopping = threading.Event()
    stopping.set()
    polled.now += 9.9
    assert polled.source.read(stopping) == []
    assert len(polled.stub.asked) == 1


def test_more_than_fifty_tickers_are_asked_in_fifties(tmp_path: Path) -> None:
    tickers = tuple(f"T{number}" for number in range(120))
    with YahooStub(tmp_path) as stub:
        stub.quotes = [quote(symbol, AT, 1.0, 1) for symbol in tickers]
        assert len(Polled(tmp_path, stub, tickers).poll()) == 120
        assert [len(asked) for asked in stub.asked] == [50, 50, 20]


def test_health_tells_the_delay_the_market_state_the_names_and_who_is_unknown(polled: Polled) -> None:
    del polled.stub.quotes[9]
    polled.stub.quotes[8] = {"symbol": TICKERS[8]}  # known, and without a price: as good as unknown
    polled.poll()
    told = polled.source.metrics
    assert told["unknown"] == [TICKERS[8], TICKERS[9]]
    assert isinstance(told["names"], dict)
    assert told["names"][TICKERS[0]] == f"{TICKERS[0]} Ltd"
    assert told["delay_minutes"] == dict.fromkeys(TICKERS[:8], 15)
    assert told["market_states"] == dict.fromkeys(TICKERS[:8], "REGULAR")
    assert f"unknown to Yahoo: {TICKERS[8]}, {TICKERS[9]}" in polled.source.detail


def test_each_429_asks_to_be_left_alone_for_longer_and_success_forgets_it(polled: Polled) -> None:
    polled.source._limited = Backoff(30, 600, random=lambda: 1.0)  # without the jitter
    polled.stub.mode = "429"
    waits = []
    for _ in range(6):
        with pytest.raises(SourceError, match=r"rate limited by Yahoo \(429\); asking again in \d+ s") as limited:
            polled.poll()
        waits.append(limited.value.retry_after)
    assert waits == [30, 60, 120, 240, 480, 600]
    polled.stub.mode = "ok"
    assert len(polled.poll()) == 10
    polled.stub.mode = "429"
    with pytest.raises(SourceError) as limited:
        polled.poll()
    assert limited.value.retry_after == 30


@pytest.mark.parametrize(("mode", "said"), [("500", r"error \(500\)"), ("rubbish", "not understood")])
def test_other_troubles_have_a_plain_reason_and_pass(polled: Polled, mode: str, said: str) -> None:
    polled.stub.mode = mode
    with pytest.raises(SourceError, match=said) as trouble:
        polled.poll()
    assert trouble.value.retry_after == 10
    polled.stub.mode = "ok"
    assert len(polled.poll()) == 10


@pytest.mark.parametrize("result", [[None], ["A"], {"A": 1}, None])
def test_quotes_of_another_shape_are_not_understood(polled: Polled, result: Any) -> None:
    polled.stub.answer = {"quoteResponse": {"result": result, "error": None}}
    with pytest.raises(SourceError, match="not understood"):
        polled.poll()
    polled.stub.answer = None
    assert len(polled.poll()) == 10


def test_nobody_there_is_a_plain_reason(tmp_path: Path) -> None:
    with YahooStub(tmp_path) as stub:
        polled = Polled(tmp_path, stub)
    with pytest.raises(SourceError, match="cannot be reached"):
        polled.poll()


def test_a_poll_that_hangs_is_left_at_a_stop_and_never_doubled(polled: Polled) -> None:
    polled.stub.mode = "hang"
    stopping, outcome = threading.Event(), []

    def read() -> None:
        with pytest.raises(RetryableError) as ended:
            polled.poll(stopping)
        outcome.append(str(ended.value))

    reading = threading.Thread(target=read)
    reading.start()
    deadline = time.monotonic() + 20
    while not polled.stub.asked:
        assert time.monotonic() < deadline
        reading.join(0.02)
    stopping.set()
    reading.join(1)  # the promise: a stop does not wait for Yahoo
    assert not reading.is_alive()
    assert "stopping" in outcome[0]
    with pytest.raises(SourceError, match="has not answered the last request yet"):
        polled.poll()
    assert len(polled.stub.asked) == 1


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


class Asked:
    """Yahoo as auto asks it: answers once `answers` is set; each question is counted."""

    def __init__(self, settings: Settings) -> None:
        self.answers = threading.Event()
        self.times = threading.Semaphore(0)
        self.first: list[Tick | Bar] = [Tick("AAPL", AT * 1000, 268.0, 1, NAME)]
        self._settings = settings

    def __call__(self, _settings: Settings) -> tuple[YahooPoll, list[Tick | Bar]]:
        self.times.release()
        if not self.answers.is_set():
            raise SourceError("Yahoo cannot be reached")
        return YahooPoll(self._settings), self.first


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(load(tmp_path / "settings.toml", {"market": {"source": "auto", "tickers": ["AAPL"]}}))


def auto_of(asked: Asked, now: list[float]) -> Auto:
    return Auto(asked._settings, asked, lambda: now[0])


def test_auto_is_yahoo_from_the_first_read_when_it_answers_in_time(asked: Asked) -> None:
    asked.answers.set()
    auto = auto_of(asked, [0.0])
    assert auto.read(threading.Event()) == asked.first
    assert auto.name == "yahoo"
    assert "simulated" not in auto.detail


def test_a_stop_does_not_wait_for_autos_first_answer(asked: Asked) -> None:
    now, never, stopping = [0.0], threading.Event(), threading.Event()

    def ask(_settings: Settings) -> tuple[YahooPoll, list[Tick | Bar]]:
        never.wait(30)
        raise SourceError("Yahoo cannot be reached")

    auto = Auto(asked._settings, ask, lambda: now[0])  # its clock stands still: only a stop ends the wait
    reading = threading.Thread(target=auto.read, args=(stopping,))
    reading.start()
    stopping.set()
    reading.join(5)
    never.set()
    assert not reading.is_alive()


def test_auto_asks_again_after_a_minute_not_before(asked: Asked) -> None:
    now, stopping = [0.0], threading.Event()
    stopping.set()
    auto = auto_of(asked, now)
    assert asked.times.acquire(timeout=5)
    assert {message.source for message in auto.read(stopping)} == {"simulator"}
    now[0] = AGAIN_SECONDS - 1
    auto.read(stopping)
    assert not asked.times.acquire(timeout=0.2)
    now[0] = AGAIN_SECONDS + 1
    auto.read(stopping)
    assert asked.times.acquire(timeout=5)
    assert auto.name == "simulator"
    assert "Yahoo does not answer: simulated prices" in auto.detail
