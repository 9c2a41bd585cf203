"""Benchmarks of the store's gateway: a read through it beside the same in process, and the writer beside eight busy readers."""

from __future__ import annotations

import base64
import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from stockwatch.assembly.places import engines
from stockwatch.commands.bench_bed import until_ready
from stockwatch.commands.bench_flow import Line, ticks
from stockwatch.component import StoreAddress
from stockwatch.engines.embedded_clickhouse import EmbeddedClickHouse
from stockwatch.errors import UsageError
from stockwatch.health import HealthRegistry
from stockwatch.settings import Settings, load
from stockwatch.store import Store

HISTORY, READ, RUNS = 10_000_000, 1_500, 101
BATCH, WRITE_SECONDS, READERS = 500, 6.0, 8
_FILL = (
    "INSERT INTO stockwatch.ticks (source, symbol, at, price, day_volume, kafka_partition, kafka_offset)"  # noqa: S608 - numbers of our own
    " SELECT 'yahoo', concat('BENCH', toString(number % 7), '.NS'), "
    " fromUnixTimestamp64Milli(1760000000000 + intDiv(number, 7) * 1000, 'UTC'),"
    f" round(1000 + 50 * sin(number / 5000), 2), number, 0, number FROM numbers({HISTORY})"
)
_READ = (
    "SELECT toUnixTimestamp64Milli(at) AS at_ms, price, toInt64(day_volume) AS volume FROM stockwatch.ticks"  # noqa: S608 - the same
    " WHERE source = 'yahoo' AND symbol = 'BENCH3.NS' AND at >= fromUnixTimestamp64Milli(1760700000000, 'UTC')"
    f" AND at < fromUnixTimestamp64Milli({1_760_700_000_000 + READ * 1_000}, 'UTC') ORDER BY at FORMAT Native"
)
# A child, as the page is one: so many threads that read as fast as they can, until its input ends.
_READING = """
import http.client, sys, threading
host, headers, sql, count = sys.argv[1], {"Authorization": sys.stdin.readline().strip()}, sys.argv[2], int(sys.argv[3])
stop, done = threading.Event(), [0] * count
def read(number):
    link = http.client.HTTPConnection(host, timeout=30)
    while not stop.is_set():
        link.request("POST", "/", sql, headers)
        assert link.getresponse().read()
        done[number] += 1
threads = [threading.Thread(target=read, args=[number]) for number in range(count)]
[thread.start() for thread in threads]
print("reading", flush=True)
sys.stdin.read()
stop.set()
[thread.join() for thread in threads]
print(sum(done), flush=True)
"""


def gateway(_settings: Settings) -> list[Line]:
    """By turns: 1,500 rows among 10 M through the gateway and in process; batches of 500 with and without busy readers."""
    with _store() as (engine, store, reader):
        store.command(_FILL)
        link, ask = _asker(reader)
        handle = engine.handle()
        handle.query("SET max_threads = 1")  # as a reader has
        took: dict[str, list[float]] = {"through": [], "within": []}
        for _ in range(RUNS):
            took["through"].append(_ms(lambda: ask(_READ)))
            took["within"].append(_ms(lambda: handle.query(_READ, "Native").bytes()))
        through, within = (statistics.median(took[name][1:]) for name in ("through", "within"))
        handle.close()
        link.close()
        alone, beside, reads = [], [], 0.0
        for _ in range(2):
            alone.append(_writes(store))
            with _reading(reader) as count:
                beside.append(_writes(store))
            reads += count[0] / 2 / WRITE_SECONDS
    busy, free = statistics.mean(beside), statistics.mean(alone)
    inside = f"in process {within:.1f} ms, ratio {through / within:.2f}"
    written = f"{busy:,.0f} rows/s ({reads:,.0f} reads/s)"
    return [
        (f"{READ:,} of 10 M rows, by HTTP", f"{through:.1f} ms", inside, "ratio ≤ 2"),
        (f"writes beside {READERS} readers", written, f"alone {free:,.0f}/s, ratio {busy / free:.2f}", "ratio ≥ 0.8"),
    ]


@contextmanager
def _store() -> Iterator[tuple[EmbeddedClickHouse, Store, StoreAddress]]:
    with tempfile.TemporaryDirectory(prefix="stockwatch-bench-") as folder:
        settings = load(Path(folder) / "settings.toml")
        settings.data_dir.mkdir()
        places = engines(settings, [])
        life = places.make_clickhouse(HealthRegistry(["clickhouse"]).reporter("clickhouse"))
        if not isinstance(life, EmbeddedClickHouse):
            raise UsageError("bench gateway: it measures the embedded store")
        store = Store(places.owner, timeout=120)
        try:
            life.start()
            until_ready(life)
            yield life, store, places.reader
        finally:
            store.close()
            life.stop()


def _basic(address: StoreAddress) -> str:
    password = address.secret()
    return "Basic " + base64.b64encode(f"{address.user}:{password}".encode()).decode()


def _asker(address: StoreAddress) -> tuple[http.client.HTTPConnection, Callable[[str], bytes]]:
    link = http.client.HTTPConnection(urlsplit(address.url).netloc, timeout=60)
    headers = {"Authorization": _basic(address)}

    def ask(sql: str) -> bytes:
        link.request("POST", "/", sql, headers)
        return link.getresponse().read()

    return link, ask


def _ms(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return (time.perf_counter() - began) * 1000


def _writes(store: Store) -> float:
    """Rows a second, in batches as the consumer makes them."""
    rows = [(tick, 1, number) for number, tick in enumerate(ticks(BATCH))]
    began, count = time.monotonic(), 0
    while time.monotonic() - began < WRITE_SECONDS:
        store.insert_ticks(rows)
        count += len(rows)
    return count / (time.monotonic() - began)


@contextmanager
def _reading(address: StoreAddress) -> Iterator[list[int]]:
    """Readers at work; how many reads they made is in the list afterwards."""
    host = urlsplit(address.url).netloc
    child = subprocess.Popen(
        [sys.executable, "-c", _READING, host, _READ, str(READERS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    made: list[int] = []
    try:
        if child.stdin is None or child.stdout is None:
            raise UsageError("bench gateway: the readers have no pipe")
        child.stdin.write(_basic(address) + "\n")
        child.stdin.flush()
        child.stdout.readline()
        yield made
        child.stdin.close()
        made.append(int(child.stdout.readline()))
    finally:
        child.kill()
        child.wait(10)
