"""The streaming source: the real program against a loopback stream that breaks off, is cut, refuses, talks rubbish and floods.

Whatever happens, the table holds exactly what the server said. Beside it polls go on, and their quotes tell the last trades
once more, in whole seconds, as Yahoo's do: no second tick may come of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Program, until
from stream_stub import GARBAGE, POST, StreamStub, Trade, pricing, walk
from yahoo_stub import YahooStub, quote

from stockwatch.settings import load
from stockwatch.sources import yahoo_stream
from stockwatch.sources.yahoo_poll import YahooPoll
from stockwatch.sources.yahoo_stream import YahooStream

TICKERS = ["RELIANCE.NS", "TCS.NS", "AAPL"]
AT = 1_763_955_900_000  # 2025-11-24 09:15:00 IST
TICKS = "SELECT symbol, toUnixTimestamp64Milli(at), price, day_volume FROM ticks FINAL WHERE source = 'yahoo'"


class Bed:
    """A running program between a stream and quotes that the test owns."""

    def __init__(self, program: Program, yahoo: YahooStub, stream: StreamStub) -> None:
        self.program, self.yahoo, self.stream = program, yahoo, stream
        self.expected: set[Trade] = set()
        self._time = AT
        market = {"source": "yahoo-stream", "tickers": TICKERS, "poll_seconds": 1, "stream_url": stream.url}
        program.write(market={**market, "proxy": yahoo.proxy_url, "ca_file": str(yahoo.ca_file)})
        program.start()
        self._client = program.store()

    def trades(self, number: int) -> list[Trade]:
        """The next trades of the day."""
        made = walk(TICKERS, number, self._time)
        self._time += number * 1000
        return made

    def trade(self, number: int) -> None:
        """They are said by the stream, and land; then the quotes have them too."""
        made = self.trades(number)
        self.stream.trade(*made)
        self.expected.update(made)
        self.until_the_table_is_right()
        self.quoted(made)

    def quoted(self, trades: list[Trade]) -> None:
        last = {symbol: (at, price, volume) for symbol, at, price, volume in trades}
        kept = [entry for entry in self.yahoo.quotes if entry["symbol"] not in last]
        self.yahoo.quotes = kept + [quote(symbol, at // 1000, price, volume) for symbol, (at, price, volume) in last.items()]

    def rows(self) -> set[Trade]:
        """What the table holds."""
        return {(str(row[0]), int(row[1]), float(row[2]), int(row[3])) for row in self._client.query(TICKS).result_rows}

    def until_the_table_is_right(self) -> None:
        until(lambda: len(self.rows()) >= len(self.expected), 20, f"{len(self.expected)} ticks")
        assert self.rows() == self.expected

    @property
    def producer(self) -> dict[str, Any]:
        return self.program.component("producer")

    def until_it_streams(self, opened: int) -> None:
        """The connection of this number is open, and its first words make it the source again."""
        until(lambda: self.stream.opened >= opened, 30, f"connection {opened}")
        until(lambda: self.stream.listeners == 1, 5, "it alone is open")
        self.trade(1)
        until(lambda: self.producer["detail"].startswith("streaming from Yahoo"), 10, "streaming")
        assert self.producer["state"] == "running"
        assert self.producer["restarts"] == 0


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("stream")
    program = Program(folder)
    with YahooStub(folder) as yahoo, StreamStub() as stream:
        try:
            made = Bed(program, yahoo, stream)
            made.until_it_streams(1)
            yield made
        finally:
            program.kill()


@pytest.fixture
def own(program: Program, tmp_path: Path) -> Iterator[Bed]:
    """One for a test alone: it is stopped, or its delays between connections would have grown."""
    with YahooStub(tmp_path) as yahoo, StreamStub() as stream:
        made = Bed(program, yahoo, stream)
        made.until_it_streams(1)
        yield made


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_connection_that_ends_is_made_again(bed: Bed, how: str) -> None:
    bed.trade(10)
    opened, last = bed.stream.opened, bed.trades(50)
    bed.stream.trade(*last)
    bed.expected.update(last)
    if how == "close":
        bed.stream.close()  # its last words are still on the way
        bed.until_the_table_is_right()
    else:
        bed.until_the_table_is_right()
        bed.stream.abort()
    bed.quoted(last)
    bed.until_it_streams(opened + 1)
    bed.trade(20)


def test_garbage_is_counted_and_nothing_else_comes_of_it(bed: Bed) -> None:
    opened, rubbish = bed.stream.opened, bed.producer["metrics"]["rubbish"]
    foreign = pricing(("TSLA", AT, 1.0, 1))  # nobody asked for it
    evening = pricing(("AAPL", AT + 1, 1.0, 1), POST)
    for raw in GARBAGE.values():
        bed.stream.say(raw, foreign, evening)
    bed.trade(20)
    until(lambda: bed.producer["metrics"]["rubbish"] == rubbish + len(GARBAGE), 5, "the count")
    assert bed.stream.opened == opened
    assert bed.producer["detail"].startswith("streaming from Yahoo")


def test_a_burst_of_five_thousand_lands_whole_although_the_stream_ends_with_it(bed: Bed) -> None:
    opened, burst = bed.stream.opened, bed.trades(5_000)
    bed.stream.trade(*burst)
    bed.expected.update(burst)
    bed.stream.close()
    bed.until_the_table_is_right()
    bed.quoted(burst)
    bed.until_it_streams(opened + 1)


def test_while_the_stream_refuses_polls_tell_the_prices(own: Bed) -> None:
    own.trade(3)
    opened = own.stream.opened
    own.stream.refusing = True
    own.stream.close()
    until(lambda: "Yahoo's stream is down (it answers with HTTP 503)" in own.producer["detail"], 10, "the reason")
    assert "meanwhile Yahoo is asked every 1 s" in own.producer["detail"]
    assert own.producer["state"] == "running"  # it does its job
    polled = [(symbol, at // 1000 * 1000, price, volume) for symbol, at, price, volume in own.trades(3)]
    own.quoted(polled)
    own.expected.update(polled)
    own.until_the_table_is_right()
    own.yahoo.mode = "500"
    until(lambda: own.producer["state"] == "degraded", 20, "both are down")
    assert "error (500)" in own.producer["error"]
    assert "Yahoo's stream is" in own.producer["error"]
    own.stream.refusing = False  # the polls still fail
    until(lambda: own.stream.opened == opened + 1, 40, "a new connection")
    own.expected.update(made := own.trades(3))
    own.stream.trade(*made)
    own.until_the_table_is_right()
    until(lambda: own.producer["detail"].startswith("streaming from Yahoo; polls fail: "), 5, "the polls' trouble is said")
    assert own.producer["state"] == "running"
    own.yahoo.mode = "ok"
    own.quoted(made)


def test_a_stop_does_not_wait_for_an_open_stream(own: Bed) -> None:
    began = time.monotonic()
    assert own.program.stop() == 0
    assert time.monotonic() - began < 5  # the stated deadline of a stop, not a speed
    until(lambda: own.stream.listeners == 0, 2, "the connection has gone with it")
    assert "Traceback" not in own.program.console()


class Quotes:
    """Yahoo by polls, without a network: the market is open, and nothing is traded."""

    def __init__(self) -> None:
        self.asked = 0

    def quotes(self, symbols: tuple[str, ...]) -> list[dict[str, Any]]:
        self.asked += 1
        return [quote(symbol, AT // 1000, 1.0, 1) for symbol in symbols]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[YahooStream, StreamStub, Quotes]]:
    """The source alone, in this process, with a real connection."""
    with StreamStub() as stub:
        settings = load(
            tmp_path / "settings.toml", {"market": {"source": "yahoo-stream", "tickers": TICKERS, "stream_url": stub.url}}
        )
        quotes = Quotes()
        made = YahooStream(settings, YahooPoll(settings, quotes))
        yield made, stub, quotes
        made.close()


def test_silence_in_a_session_brings_polls_and_a_new_connection(
    source: tuple[YahooStream, StreamStub, Quotes], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, stub, quotes = source
    going = threading.Event()
    told: set[Trade] = set()

    def read() -> bool:
        told.update((tick.symbol, tick.at, tick.price, tick.day_volume) for tick in made.read(going))
        return True

    until(lambda: read() and stub.listeners == 1, 10, "a connection")
    stub.trade(*walk(TICKERS, 30, AT + 1000))
    until(lambda: read() and stub.sent <= told, 10, "its words")
    monkeypatch.setattr(yahoo_stream, "SILENCE_SECONDS", 2.0)
    asked = quotes.asked
    until(lambda: read() and not made.streaming, 10, "the silence is seen")
    until(lambda: read() and quotes.asked > asked, 10, "a poll in its place")
    until(lambda: read() and stub.opened == 2, 10, "another connection")
    until(lambda: stub.listeners == 1, 5, "the silent one is gone")
    stub.trade(*walk(TICKERS, 30, AT + 100_000))
    until(lambda: read() and stub.sent <= told, 10, "its words")
    assert made.detail == "streaming from Yahoo"
    assert told - stub.sent == {(symbol, AT, 1.0, 1) for symbol in TICKERS}  # the first poll; later ones had nothing new


def test_a_stop_is_seen_at_once_and_a_closed_source_leaves_no_thread(source: tuple[YahooStream, StreamStub, Quotes]) -> None:
    made, stub, _quotes = source
    going = threading.Event()
    until(lambda: made.read(going) is not None and stub.listeners == 1, 10, "a connection")
    stub.trade(("AAPL", AT + 1, 1.0, 1))
    until(lambda: made.read(going) is not None and made.streaming, 10, "streaming")
    until(lambda: made.read(going) == [], 10, "nothing left to tell")
    timer = threading.Timer(0.1, going.set)
    timer.start()
    began = time.monotonic()
    made.read(going)
    made.close()
    assert time.monotonic() - began < 0.9  # a read alone waits for a second
    until(lambda: "yahoo stream" not in {thread.name for thread in threading.enumerate()}, 1, "its thread ends")
    assert made.read(going) == []
    assert stub.opened == 1
