"""Every candle equals the exchange's own bars two minutes after its close: yfinance's code, a scripted market, the real store.

One clock, which the test moves, for the source and the market; polls, bars, store and the page's reader are the real ones.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from engine import Engine, running
from scripted_market import ScriptedMarket
from yahoo_stub import YahooStub

from stockwatch.component import StoreAddress
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader
from stockwatch.errors import SourceError
from stockwatch.settings import Settings, load
from stockwatch.sources.yahoo_bars import PAUSE_SECONDS, YahooBars
from stockwatch.sources.yahoo_poll import YahooPoll
from stockwatch.sources.yahoo_session import YahooSession
from stockwatch.store import Store
from stockwatch.tick import Bar, Tick

SYMBOLS = ["TCS.NS", "7203.T"]  # 03:45 to 10:10 UTC; 00:00 to 06:30 UTC with a lunch from 02:30 to 03:30
pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute
PROMISE_MS = 120_000
STEP_SECONDS = 20
COLUMNS = ["open", "high", "low", "close", "volume"]


def utc(text: str) -> int:
    """Seconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Unhurried(threading.Event):
    """A stop that never comes, and a wait that takes none of the test's time: the clock is the test's own."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


class Watch:
    """stockwatch from Yahoo to the candles; one life of its source until restarted()."""

    def __init__(self, folder: Path, stub: YahooStub, engine: Engine, start: int, until: int) -> None:
        self.now, self.stub = float(start), stub
        self.market = ScriptedMarket(SYMBOLS, utc("2026-11-16 00:00"), until, lambda: self.now)
        stub.market = self.market
        chosen = {
            "source": "yahoo",
            "tickers": SYMBOLS,
            "backfill_days": 2,
            "proxy": stub.proxy_url,
            "ca_file": str(stub.ca_file),
        }
        self.settings: Settings = load(folder / "settings.toml", {"market": chosen})
        self.settings.data_dir.mkdir(exist_ok=True)
        address = StoreAddress(
            f"http://127.0.0.1:{engine.port}", user="stockwatch", password_file=engine.folder / "clickhouse.password"
        )
        self.store = Store(address)
        self.reader = Reader(Connection(self.settings, address, "http://127.0.0.1:9/health"))
        self._offset = 0
        self._wait_until = 0.0
        self.compared = 0
        self.restarted()

    def restarted(self) -> None:
        """A new source, as after kill -9: what was read and not stored is lost with the old one."""
        session = YahooSession(self.settings, lambda: self.now)
        self.poll = YahooPoll(self.settings, session, lambda: self.now, self.wall)
        self.bars = YahooBars(
            self.settings, session, lambda: self.store, self.poll.delay_ms, lambda: self.poll.unknown, self.wall
        )

    def wall(self) -> int:
        return int(self.now * 1000)

    def run(self, until: int, *, checked: bool = True) -> None:
        """Poll each STEP_SECONDS, ask for the bars that are due, store; after each moment every candle that it promises must be true."""
        while self.now < until:
            self.now += STEP_SECONDS
            self.cycle()
            if checked and self.now % 300 == 120:
                assert self.differences() == 0, datetime.fromtimestamp(self.now, UTC)

    def cycle(self) -> None:
        ticks: list[Tick] = []
        if self.now >= self._wait_until:
            try:
                ticks = self.poll.read(Unhurried())
            except SourceError as error:
                self._wait_until = self.now + (error.retry_after or 0)
        if self.poll.answered:
            while self.bars.turn() <= PAUSE_SECONDS:
                pass  # one request each
        self.put(ticks, self.bars.take())

    def put(self, ticks: list[Tick], bars: list[Bar]) -> None:
        self._offset += 1
        self.store.insert_ticks([(tick, 0, self._offset) for tick in ticks])
        self.store.insert_bars([(bar, 0, self._offset) for bar in bars])

    def differences(self, minutes: int = 5) -> int:
        """How many of the last candles that closed PROMISE_MS ago are not what the exchange says."""
        wrong = 0
        for symbol in SYMBOLS:
            newest = self.store.latest_at("yahoo", symbol)
            assert newest is not None
            made = self.reader.read_candles("yahoo", symbol, self.market.markets[symbol], newest, minutes, 50, joins_late=True)
            made = made[made["end"] <= self.wall() - PROMISE_MS].set_index("start")[COLUMNS]
            truth = self.market.candles(symbol, minutes, self.wall())
            truth = truth[(truth.index >= made.index[0]) & (truth.index + minutes * 60_000 <= self.wall() - PROMISE_MS)]
            both = made.join(truth.add_suffix("_true"), how="outer")
            same = pd.Series(True, both.index)
            for name in COLUMNS:
                same &= both[name] == both[f"{name}_true"]
            wrong += int((~same).sum())
            self.compared += len(both)
        return wrong


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with running(tmp_path / "store") as made:
        yield made


@pytest.mark.slow
def test_every_closed_candle_is_the_exchanges_own_also_after_an_outage_a_kill_and_a_night(tmp_path: Path, engine: Engine) -> None:
    with YahooStub(tmp_path) as stub:
        watch = Watch(tmp_path, stub, engine, utc("2026-11-19 02:22"), utc("2026-11-20 05:00"))
        watch.run(utc("2026-11-19 04:20"))  # over Tokyo's lunch and NSE's open
        stub.mode = "500"
        watch.run(utc("2026-11-19 04:35"), checked=False)
        stub.mode = "ok"
        watch.run(utc("2026-11-19 04:37"), checked=False)  # two minutes after the outage all is true again
        assert watch.differences() == 0
        watch.run(utc("2026-11-19 04:48"))
        watch.poll.read(Unhurried())  # read and never stored
        watch.bars.take()
        asked = len(stub.charted)
        watch.now += 45  # dead for so long
        watch.restarted()
        watch.run(utc("2026-11-19 04:57"))
        assert watch.differences() == 0
        first = next(request for request in stub.charted[asked:] if request[0] == "TCS.NS")
        assert first[1] >= utc("2026-11-19 04:40")  # only what was missing
        watch.now = float(utc("2026-11-19 09:50"))  # a laptop that slept: a gap of five hours
        watch.run(utc("2026-11-19 09:52"), checked=False)
        watch.run(utc("2026-11-19 10:33"))  # over the auction and the close
        watch.now = float(utc("2026-11-20 03:40"))  # a night
        watch.run(utc("2026-11-20 04:10"))
        watch.market.changed["TCS.NS", utc("2026-11-20 03:51")] = 123.5  # the exchange corrects a bar afterwards
        watch.run(utc("2026-11-20 04:18"), checked=False)
        assert watch.differences() == 0
        assert watch.compared > 2_000


def test_a_ticker_whose_bars_cannot_be_had_holds_up_no_other(tmp_path: Path, engine: Engine) -> None:
    with YahooStub(tmp_path) as stub:
        watch = Watch(tmp_path, stub, engine, utc("2026-11-19 04:30"), utc("2026-11-19 05:00"))
        truth = watch.market.bars

        def bars(symbol: str, start: int, end: int, minutes: int) -> list[tuple[int, float, float, float, float, int]]:
            return [(start, "x", "x", "x", "x", "x")] if symbol == SYMBOLS[0] else truth(symbol, start, end, minutes)  # type: ignore[list-item]

        watch.market.bars = bars  # type: ignore[method-assign]
        watch.run(utc("2026-11-19 04:31"), checked=False)
        assert len(watch.store.bars("yahoo", SYMBOLS[1])) > 300
        assert f"no bars of {SYMBOLS[0]} now" in watch.bars.detail
        assert len(watch.store.prices("yahoo", SYMBOLS[0])) > 2  # live prices go on
