"""The page and the consumer with a real Redis beside the store: never the truth, and nobody waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from program import Program, until
from redis_server import RedisServer, Sides, needed, tick

from stockwatch.component import StoreAddress
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader
from stockwatch.settings import load
from stockwatch.store import Store

pytestmark = needed


def test_the_program_goes_on_whatever_its_cache_does(program: Program, server: RedisServer) -> None:
    program.write(cache={"redis_url": server.url}, dashboard={"port": 0, "live_refresh_seconds": 0.1})
    program.start()

    def consumer() -> Any:
        return program.component("consumer")

    until(lambda: consumer()["metrics"].get("cached_quotes"), 15, "quotes are written")
    page = Reader(Connection.load(program.data_dir / "dashboard.json"))
    cache = page._cache
    assert cache is not None
    symbols = ["RELIANCE.NS", "AAPL"]
    until(lambda: len(cache.quotes("simulator", symbols)) == 2, 10, "the page finds them")
    for symbol, quote in cache.quotes("simulator", symbols).items():
        stored = page._store.ticks("simulator", symbol, quote["at"], quote["at"] + 1)
        assert quote["price"] in stored["price"].tolist()  # first stored, then here
    facts = page.facts("AAPL")
    assert facts is not None
    stored = page._store.ticks("simulator", "AAPL", facts.quote["at"], facts.quote["at"] + 1)
    assert facts.quote["price"] in stored["price"].tolist()
    server.kill()
    before = until(lambda: consumer()["metrics"]["cache"] != "current" and consumer()["metrics"]["rows"], 15, "it is said")
    until(lambda: consumer()["metrics"]["rows"] > before, 10, "rows are stored all the same")
    assert program.health()["state"] == "running"
    assert set(page.quotes("simulator", symbols)) == set(symbols)  # of the store
    assert cache.quotes("simulator", symbols) == {}
    server.start()
    until(lambda: consumer()["metrics"]["cache"] == "current" and cache.quotes("simulator", symbols), 25, "used again")
    page._store.close()
    cache.close()
    assert program.stop() == 0
    assert server.url not in program.console()


def test_a_quote_beyond_what_a_replay_has_played_is_not_shown(
    sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(tmp_path / "settings.toml", {"cache": {"redis_url": sides.server.url}})
    page = Reader(Connection(settings, StoreAddress("http://127.0.0.1:9"), "http://127.0.0.1:9/health"))
    page._cache = sides.reader
    ahead, source = tick(9.0, source="replay:class"), "replay:class"
    writer = sides.writer()
    writer.offer([(ahead, 0, 1)], {0})
    until(lambda: sides.price(source=source) == 9.0, 10, "written")
    asked: list[int | None] = []

    def latest(self: Store, source: str, symbols: list[str], end_ms: int | None = None) -> Any:
        asked.append(end_ms)
        return pd.DataFrame({"at": [1], "price": [1.0], "symbol": symbols})

    monkeypatch.setattr(Store, "latest_ticks", latest)
    assert page._quote(source, "TCS.NS", ahead.at - 5, ahead.at)["price"] == 1.0
    assert page._quote(source, "TCS.NS", ahead.at + 1, None)["price"] == 1.0  # older than what is stored
    assert asked == [ahead.at, None]
    until(lambda: page._quote(source, "TCS.NS", ahead.at, ahead.at + 1)["price"] == 9.0, 10, "of the cache")
