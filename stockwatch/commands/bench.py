"""`python run.py bench [NAME]`: the benchmarks, side by side in one run, as a table with ratios.

Each runs the real engines in a folder of its own. Ratios count: the machines that this runs on are noisy.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from stockwatch import sessions
from stockwatch.commands.bench_bed import Bed, bed, consuming
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.live import Reader
from stockwatch.engines.bare_kafka import poll_rate, publish, watch_ages
from stockwatch.errors import UsageError
from stockwatch.settings import Settings
from stockwatch.sources.simulator import Simulator
from stockwatch.tick import Tick, now_ms

ROOT = Path(__file__).resolve().parents[2]
MESSAGES, RATE, RATE_SECONDS = 60_000, 1_000, 15
HISTORY = 10_000_000
SIMULATED = '[market]\nsource = "simulator"\n[dashboard]\nport = 0\n[supervisor]\nhealth_port = 0\n'
Line = tuple[str, str, str, str]  # what, measured, beside it, aim


def run(settings: Settings, name: str | None) -> int:
    """Run all, or the named one; 0."""
    if name is not None and name not in BENCHMARKS:
        raise UsageError(f"bench: {name!r} is no benchmark; there are {', '.join(BENCHMARKS)}")
    rows: list[Line] = [("benchmark", "measured", "beside it", "aim")]
    for each in [name] if name else BENCHMARKS:
        print(f"… {each}", flush=True)
        rows += BENCHMARKS[each](settings)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _ticks(count: int) -> list[Tick]:
    simulator = Simulator(tuple(f"BENCH{number}.NS" for number in range(7)), 7, 1, 5)
    end = now_ms()
    found = [tick for tick in simulator._ticks(end - (count // 7 + 1) * 1000, end) if isinstance(tick, Tick)]
    return found[:count]


def throughput(_settings: Settings) -> list[Line]:
    """Topic → table, against a bare KafkaConsumer.poll loop over the same topic."""
    with bed() as here:
        address, topic = here.places.kafka, here.settings.kafka.topic
        publish(address, topic, _ticks(MESSAGES))
        bare = poll_rate(address, topic, "bare-1", MESSAGES)
        with consuming(here, "ours") as consumer:
            while consumer.stored < MESSAGES:
                threading.Event().wait(0.01)
            ours = MESSAGES / (time.monotonic() - (consumer.first or 0))
        bare = (bare + poll_rate(address, topic, "bare-2", MESSAGES)) / 2
    return [("topic → table", f"{ours:,.0f} rows/s", f"bare poll {bare:,.0f}/s, ratio {ours / bare:.2f}", "ratio ≥ 0.6")]


def latency(_settings: Settings) -> list[Line]:
    """Produce → queryable at 1,000 ticks/s, against the broker's own floor (produce → polled) in the same run."""
    with bed() as here, consuming(here, "ours") as consumer:
        floor: list[float] = []
        stop = threading.Event()
        address, topic = here.places.kafka, here.settings.kafka.topic
        watching = threading.Thread(target=watch_ages, args=[address, topic, floor, stop], daemon=True)
        watching.start()
        sent = publish(address, topic, _paced())
        until = time.monotonic() + 10
        while consumer.stored < sent and time.monotonic() < until:
            threading.Event().wait(0.01)
        stop.set()
        watching.join(5)
        ages = sorted(consumer.ages[len(consumer.ages) // 5 :])  # the first moments include joining the group
        floor = sorted(floor[len(floor) // 5 :])
    ours = f"p50 {_at(ages, 0.5):.0f} ms, p99 {_at(ages, 0.99):.0f} ms"
    return [("produce → queryable", ours, f"polled p50 {_at(floor, 0.5):.0f} ms, p99 {_at(floor, 0.99):.0f} ms", "p99 ≤ 250 ms")]


def _paced() -> Iterator[Tick]:
    """RATE ticks a second for RATE_SECONDS, each with the moment of its sending."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < RATE_SECONDS:
        while sent < passed * RATE:
            yield Tick("LATE.NS", now_ms(), 100.0 + sent % 50, sent, "simulator")
            sent += 1
        threading.Event().wait(0.001)


def _at(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def history(_settings: Settings) -> list[Line]:
    """50 candles with 10 M ticks of history against 1 k, and the disk that a million realistic ticks take."""
    with bed() as here:
        disk = _disk(here)
        fill = (
            "INSERT INTO ticks (source, symbol, at, price, day_volume, kafka_partition, kafka_offset)"
            " SELECT 'yahoo', '{symbol}', fromUnixTimestamp64Milli(toInt64({start}) + number * {step}, 'UTC'),"
            " round(1000 + 50 * sin(number / 5000), 2), number, 0, number FROM numbers({count})"
        )
        end = now_ms()
        for symbol, count, step in (("BTC-USD", HISTORY, 1_000), ("ETH-USD", 1_000, 15_000)):
            here.store.command(fill.format(symbol=symbol, count=count, step=step, start=end - count * step))
        reader = Reader(Connection(here.settings, here.places.owner, "http://127.0.0.1:9/health"))
        timed = {}
        for symbol in ("ETH-USD", "BTC-USD", "ETH-USD", "BTC-USD"):
            market = sessions.market_of(symbol)
            runs = []
            for _ in range(9):
                began = time.monotonic()
                made = reader.candles("yahoo", symbol, market, end)
                runs.append((time.monotonic() - began) * 1000)
            timed[symbol] = sorted(runs)[4]
        return [
            disk,
            (
                "50 candles at 10 M ticks", f"{timed['BTC-USD']:.0f} ms ({len(made)} candles)",
                f"at 1 k {timed['ETH-USD']:.0f} ms, ratio {timed['BTC-USD'] / timed['ETH-USD']:.2f}", "ratio ≤ 1.5",
            ),
        ]  # fmt: skip


def _disk(here: Bed) -> Line:
    """What ticks of seven simulated companies take, merged."""
    ticks = _ticks(210_000)
    for first in range(0, len(ticks), 20_000):
        here.store.insert_ticks([(tick, 0, first + number) for number, tick in enumerate(ticks[first : first + 20_000])])
    here.store.command("OPTIMIZE TABLE ticks FINAL")
    size = here.store.command("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'ticks'")
    return ("disk", f"{int(str(size)) / len(ticks):.1f} MB per million ticks", "", "≤ 8 MB")


def start(_settings: Settings) -> list[Line]:
    """A warm start of the whole program: health 200, first painted candle in Chromium, memory of all processes."""
    with tempfile.TemporaryDirectory(prefix="stockwatch-bench-") as folder:
        path = Path(folder) / "settings.toml"
        path.write_text(SIMULATED)
        command = [sys.executable, str(ROOT / "run.py"), "--no-browser", "--settings", str(path)]
        began = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            health = _healthy(Path(folder) / ".stockwatch" / "lock")
            healthy = time.monotonic() - began
            painted = _paint(health["dashboard_url"])
            family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
            memory = sum(process.memory_info().rss for process in family) / 2**20
        finally:
            child.terminate()
            child.wait(10)
    said = "no browser here" if painted is None else f"first candle {painted:.1f} s after that"
    return [
        ("warm start", f"health 200 in {healthy:.1f} s", said, "≤ 6 s, ≤ 5 s"),
        ("memory", f"{memory:.0f} MB in {len(family)} processes", "", "≤ 700 MB"),
    ]


def fresh(_settings: Settings) -> list[Line]:
    """A clone in another folder with an empty HOME: from the command to the first painted candle, with pip and with uv."""
    rows: list[Line] = []
    for tool in ("pip", "uv"):
        uv = shutil.which("uv")
        if tool == "uv" and uv is None:
            continue
        with tempfile.TemporaryDirectory(prefix="stockwatch-bench-") as folder:
            clone = Path(folder) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)  # noqa: S607
            (clone / "settings.toml").write_text(SIMULATED)
            path = os.pathsep.join(["/usr/bin", "/bin", *([str(Path(uv).parent)] if tool == "uv" and uv else [])])
            environment = {**os.environ, "HOME": folder, "PATH": path, "UV_CACHE_DIR": f"{folder}/uv"}
            environment.pop("VIRTUAL_ENV", None)
            python = Path(sys.base_prefix) / "bin" / "python3"
            began = time.monotonic()
            child = subprocess.Popen([python, clone / "run.py", "--no-browser"], env=environment, stdout=subprocess.DEVNULL)
            try:
                health = _healthy(clone / ".stockwatch" / "lock", 300)
                healthy = time.monotonic() - began
                painted = _paint(health["dashboard_url"])
            finally:
                child.terminate()
                child.wait(10)
        whole = "no browser here" if painted is None else f"first candle after {healthy + painted:.0f} s"
        rows.append((f"fresh clone, {tool}", f"health 200 in {healthy:.0f} s", whole, "≤ 60 s" if tool == "pip" else "≤ 25 s"))
    return rows


def _healthy(lock: Path, seconds: float = 60) -> dict[str, str]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(json.loads(lock.read_text())["health_url"], timeout=2) as answer:  # noqa: S310
                body: dict[str, str] = json.load(answer)
                return body
        except (OSError, ValueError, KeyError):
            threading.Event().wait(0.05)
    raise UsageError("bench: the program was not healthy within its time")


def _paint(url: str) -> float | None:
    """Seconds until Chromium has painted a candle; None without the test tools or a Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        began = time.monotonic()
        page.goto(url)
        page.wait_for_selector(".boxes path", timeout=30_000)
        painted = time.monotonic() - began
        browser.close()
    return painted


BENCHMARKS: dict[str, Callable[[Settings], list[Line]]] = {
    "throughput": throughput,
    "latency": latency,
    "history": history,
    "start": start,
    "fresh": fresh,
}
