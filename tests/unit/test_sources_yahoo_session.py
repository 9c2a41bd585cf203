"""What is asked of Yahoo, by yfinance's own code against the loopback Yahoo: quotes in one request, bars, plain reasons."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scripted_market import ScriptedMarket
from yahoo_stub import Row, YahooStub, quote
from yfinance.data import YfData

from stockwatch.errors import SourceError
from stockwatch.settings import Settings, load
from stockwatch.sources.yahoo_session import YahooSession

AT = 1_763_955_900  # Monday 2025-11-24 09:15:00 IST
TICKERS = tuple(f"TICK{number}.NS" for number in range(10))


def settings_for(folder: Path, stub: YahooStub, tickers: tuple[str, ...] = TICKERS) -> Settings:
    market = {"source": "yahoo", "tickers": list(tickers), "proxy": stub.proxy_url, "ca_file": str(stub.ca_file)}
    settings = load(folder / "settings.toml", {"market": market})
    settings.data_dir.mkdir(exist_ok=True)
    return settings


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[YahooStub]:
    with YahooStub(tmp_path) as made:
        made.quotes = [quote(symbol, AT, 100.0, 5_000) for symbol in TICKERS]
        yield made


@pytest.fixture
def session(tmp_path: Path, stub: YahooStub) -> Iterator[YahooSession]:
    made = YahooSession(settings_for(tmp_path, stub), lambda: 0.0)
    yield made
    made.close()


def test_ten_tickers_are_one_request(session: YahooSession, stub: YahooStub) -> None:
    assert [found["symbol"] for found in session.quotes(TICKERS)] == list(TICKERS)
    assert stub.asked == [list(TICKERS)]


def test_every_request_that_goes_over_the_network_is_counted_a_cookies_and_a_crumbs_too(
    session: YahooSession, stub: YahooStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(YfData(), "_crumb", None)  # one object for the whole process: another test may have got one
    session.quotes(TICKERS)
    assert session.requests == {"requests": stub.answers, "bar_requests": 0}
    assert stub.answers > len(stub.asked) == 1


def test_a_quote_that_is_refused_while_bars_are_on_their_way_shuts_the_gate_for_its_time(
    session: YahooSession, stub: YahooStub
) -> None:
    stub.market = ScriptedMarket([TICKERS[0]], AT, AT + 86_400, lambda: AT + 630.0)
    bars = stub.market.bars

    def meanwhile(symbol: str, start: int, end: int, minutes: int) -> list[Row]:
        session.gate.limited("quotes", "rate limited")
        return bars(symbol, start, end, minutes)

    stub.market.bars = meanwhile  # type: ignore[method-assign]
    assert len(session.bars(TICKERS[0], AT * 1000, None, 1)) > 5
    with pytest.raises(SourceError, match="rate limited"):
        session.quotes(TICKERS)


def test_more_than_fifty_are_asked_in_fifties(tmp_path: Path, stub: YahooStub) -> None:
    tickers = tuple(f"T{number}" for number in range(120))
    stub.quotes = [quote(symbol, AT, 1.0, 1) for symbol in tickers]
    session = YahooSession(settings_for(tmp_path, stub, tickers))
    assert len(session.quotes(tickers)) == 120
    assert [len(asked) for asked in stub.asked] == [50, 50, 20]


def test_a_429_to_the_second_fifty_waits_longer_each_time_whatever_the_first_was_told(tmp_path: Path, stub: YahooStub) -> None:
    tickers = tuple(f"T{number}" for number in range(60))
    now = [0.0]
    session = YahooSession(settings_for(tmp_path, stub, tickers), lambda: now[0])
    stub.limited = "T55"
    waits = []
    for _ in range(4):
        with pytest.raises(SourceError, match="rate limited") as limited:
            session.quotes(tickers)
        waits.append(limited.value.retry_after or 0)
        now[0] += waits[-1] + 0.1
    assert all(later > earlier * 1.5 for earlier, later in itertools.pairwise(waits)), waits


@pytest.mark.parametrize(
    ("mode", "said"),
    [("500", r"answers with an error \(500\)"), ("rubbish", "not understood"), ("429", r"rate limited by Yahoo \(429\); asking")],
)
def test_a_trouble_has_a_plain_reason(session: YahooSession, stub: YahooStub, mode: str, said: str) -> None:
    stub.mode = mode
    with pytest.raises(SourceError, match=said):
        session.quotes(TICKERS)


@pytest.mark.parametrize("result", [[None], ["A"], {"A": 1}, None])
def test_quotes_of_another_shape_are_not_understood(session: YahooSession, stub: YahooStub, result: Any) -> None:
    stub.answer = {"quoteResponse": {"result": result, "error": None}}
    with pytest.raises(SourceError, match="not understood"):
        session.quotes(TICKERS)
    stub.answer = None
    assert len(session.quotes(TICKERS)) == 10


def test_nobody_there_is_a_plain_reason(tmp_path: Path) -> None:
    with YahooStub(tmp_path) as gone:
        settings = settings_for(tmp_path, gone)
    with pytest.raises(SourceError, match="cannot be reached"):
        YahooSession(settings).quotes(TICKERS)


def test_after_a_429_nothing_is_asked_until_the_time_is_over_neither_quotes_nor_bars(tmp_path: Path, stub: YahooStub) -> None:
    now = [0.0]
    session = YahooSession(settings_for(tmp_path, stub), lambda: now[0])
    stub.mode = "429"
    with pytest.raises(SourceError) as limited:
        session.quotes(TICKERS)
    asked = len(stub.asked)
    stub.mode = "ok"
    now[0] = 29.9
    with pytest.raises(SourceError, match="rate limited"):
        session.quotes(TICKERS)
    with pytest.raises(SourceError, match="rate limited"):
        session.bars(TICKERS[0], AT * 1000, None, 1)
    assert (len(stub.asked), stub.charted) == (asked, [])
    assert limited.value.retry_after is not None
    now[0] = limited.value.retry_after + 0.1
    assert len(session.quotes(TICKERS)) == 10


def test_bars_are_the_exchanges_minutes(tmp_path: Path, stub: YahooStub) -> None:
    stub.market = market = ScriptedMarket(["TCS.NS"], AT, AT + 86_400, lambda: AT + 630.0)
    session = YahooSession(settings_for(tmp_path, stub, ("TCS.NS",)))
    frame = session.bars("TCS.NS", (AT + 60) * 1000, None, 1)
    truth = market.candles("TCS.NS", 1, (AT + 630) * 1000)
    truth = truth[truth.index >= (AT + 60) * 1000]
    assert pd.DatetimeIndex(frame.index).tz_convert("UTC").as_unit("ms").asi8.tolist() == truth.index.tolist()
    assert (frame[["Open", "High", "Low", "Close", "Volume"]].to_numpy() == truth.to_numpy()).all()
    assert stub.charted[0][:2] == ("TCS.NS", AT + 60)
    assert session.requests["bar_requests"] == 1


def test_a_ticker_that_yahoo_does_not_know_has_no_bars(session: YahooSession, stub: YahooStub) -> None:
    assert session.bars("GONE.NS", AT * 1000, None, 1).empty


def test_a_wrong_answer_about_bars_does_not_hold_back_live_prices(session: YahooSession, stub: YahooStub) -> None:
    stub.chart_mode = "500"
    for _ in range(5):
        with pytest.raises(SourceError, match=r"error \(500\)"):
            session.bars(TICKERS[0], AT * 1000, None, 1)
    assert len(session.quotes(TICKERS)) == 10
