"""Benchmark of the cache: the newest quotes of 20 tickers, as header and watchlist ask for them, with and without Redis."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stockwatch.cache import QuoteWriter, prefix_of
from stockwatch.commands.bench_bed import Bed, bed
from stockwatch.commands.bench_flow import Line
from stockwatch.component.serving import listen
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader
from stockwatch.settings import Settings, load
from stockwatch.tick import Tick, now_ms

TICKERS, EACH, BATCH = 20, 50_000, 100_000
ROUNDS, SECONDS = 5, 1.0
SOURCE = "simulator"
SYMBOLS = [f"S{number}" for number in range(TICKERS)]


def cache(_settings: Settings) -> list[Line]:
    """Reads per second of 20 tickers' quotes, one reader, by turns: from the store, and from Redis beside it."""
    server = shutil.which("redis-server")
    if server is None:
        return [("quotes of 20 tickers", "no redis-server here", "", "")]
    with bed() as here, _redis(server, here.settings.data_dir) as url:
        rows = _rows()
        for first in range(0, len(rows), BATCH):
            here.store.insert_ticks(rows[first : first + BATCH])
        cached = load(here.settings.path, {"cache": {"redis_url": url}})
        writer = QuoteWriter(url, prefix_of(cached))
        writer.offer(rows[-TICKERS:], {0})
        alone, beside = _reader(here, here.settings), _reader(here, cached)
        until = time.monotonic() + 10
        while beside._cache is not None and len(beside._cache.quotes(SOURCE, SYMBOLS)) < TICKERS and time.monotonic() < until:
            threading.Event().wait(0.05)
        assert {s: q["price"] for s, q in alone.quotes(SOURCE, SYMBOLS).items()} == {  # noqa: S101 - what is measured is the same
            s: q["price"] for s, q in beside.quotes(SOURCE, SYMBOLS).items()
        }
        of_store, of_redis = [], []
        for _ in range(ROUNDS):
            writer.offer([], {0})  # as the consumer does all the time
            of_store.append(_per_second(lambda: alone.quotes(SOURCE, SYMBOLS)))
            writer.offer([], {0})
            of_redis.append(_per_second(lambda: beside.quotes(SOURCE, SYMBOLS)))
        writer.close()
    without, with_ = statistics.median(of_store), statistics.median(of_redis)
    said = f"store alone {without:.0f} ({1000 / without:.1f} ms), ratio {with_ / without:.0f}"
    return [(f"quotes of {TICKERS} tickers", f"with Redis {with_:.0f} reads/s ({1000 / with_:.1f} ms)", said, "")]


def _rows() -> list[tuple[Tick, int, int]]:
    """A tick a second of each ticker, up to now; the last of each at the end."""
    now = now_ms()
    return [
        (Tick(symbol, now - (EACH - number) * 1000, 100.0 + number % 97, number, SOURCE), 0, number)
        for number in range(EACH)
        for symbol in SYMBOLS
    ]


def _reader(here: Bed, settings: Settings) -> Reader:
    return Reader(Connection(settings, here.places.owner, "http://127.0.0.1:9/health"))


def _per_second(read: Callable[[], object]) -> float:
    began, count = time.monotonic(), 0
    while (took := time.monotonic() - began) < SECONDS:
        read()
        count += 1
    return count / took


@contextmanager
def _redis(server: str, folder: Path) -> Iterator[str]:
    """One in a folder of its own; its address."""
    with listen("127.0.0.1", 0) as listener:
        port = int(listener.getsockname()[1])
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        child.kill()
        child.wait(5)
