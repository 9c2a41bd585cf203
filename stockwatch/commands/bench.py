"""`python run.py bench [NAME]`: the benchmarks, side by side in one run, as a table with ratios.

Each runs the real engines in a folder of its own. Ratios count: the machines that this runs on are noisy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

from stockwatch import sessions
from stockwatch.commands.bench_bed import Bed, bed
from stockwatch.commands.bench_cache import cache
from stockwatch.commands.bench_candles import candles
from stockwatch.commands.bench_flow import Line, backfill, latency, replay, ticks
from stockwatch.commands.bench_gateway import gateway
from stockwatch.commands.bench_group import group
from stockwatch.commands.bench_page import page
from stockwatch.commands.bench_page_browser import chromium, missing
from stockwatch.commands.bench_soak import soak
from stockwatch.commands.bench_throughput import throughput
from stockwatch.component.collector import calm_collector
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.reader import Reader
from stockwatch.errors import UsageError
from stockwatch.settings import Settings
from stockwatch.tick import now_ms

ROOT = Path(__file__).resolve().parents[2]
HISTORY, SHOWN, STEP_MS = 10_000_000, 1_000, 15_000
LONG, SHORT = "BTC-USD", "ETH-USD"  # round the clock
SIMULATED = '[market]\nsource = "simulator"\n[dashboard]\nport = 0\n[supervisor]\nhealth_port = 0\n'


def run(settings: Settings, name: str | None) -> int:
    """Run all, or the named one; 0."""
    if name is not None and name not in BENCHMARKS:
        raise UsageError(f"bench: {name!r} is no benchmark; there are {', '.join(BENCHMARKS)}")
    calm_collector()  # as the program does
    rows: list[Line] = [("benchmark", "measured", "beside it", "aim")]
    for each in [name] if name else [each for each in BENCHMARKS if each != "soak"]:
        print(f"… {each}", flush=True)
        rows += BENCHMARKS[each](settings)
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def history(_settings: Settings) -> list[Line]:
    """50 candles with 10 M ticks of history against 1 k, and the disk that a million realistic ticks take.

    Both symbols end with the same 1,000 ticks, so both read and draw the same candles; one has 10 M ticks before them.
    """
    with bed() as here:
        disk = _disk(here)
        fill = (
            "INSERT INTO ticks (source, symbol, at, price, day_volume, kafka_partition, kafka_offset)"
            " SELECT 'yahoo', '{symbol}', fromUnixTimestamp64Milli(toInt64({start}) + number * {step}, 'UTC'),"
            " round(1000 + 50 * sin(number / 5000), 2), number, 0, number FROM numbers({count})"
        )
        end = now_ms()
        shown = end - SHOWN * STEP_MS
        for symbol in LONG, SHORT:
            here.store.command(fill.format(symbol=symbol, count=SHOWN, step=STEP_MS, start=shown))
        here.store.command(fill.format(symbol=LONG, count=HISTORY, step=1_000, start=shown - HISTORY * 1_000))
        reader = Reader(Connection(here.settings, here.places.owner, "http://127.0.0.1:9/health"))
        runs: dict[str, list[float]] = {LONG: [], SHORT: []}
        for number in range(42):  # by turns, so that what else the machine does meets both
            symbol = (LONG, SHORT)[number % 2]
            began = time.monotonic()
            made = reader.read_candles("yahoo", symbol, sessions.market_of(symbol), end, 5, 50, joins_late=True)
            runs[symbol].append((time.monotonic() - began) * 1000)
        long, short = (sorted(runs[symbol][1:])[10] for symbol in (LONG, SHORT))
        beside = f"at 1 k {short:.0f} ms, ratio {long / short:.2f}"
        return [disk, ("50 candles at 10 M ticks", f"{long:.0f} ms ({len(made)} candles)", beside, "ratio ≤ 1.2")]


def _disk(here: Bed) -> Line:
    """What ticks of seven simulated companies take, merged."""
    given = ticks(210_000)
    for first in range(0, len(given), 20_000):
        here.store.insert_ticks([(tick, 0, first + number) for number, tick in enumerate(given[first : first + 20_000])])
    here.store.command("OPTIMIZE TABLE ticks FINAL")
    size = here.store.command("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'ticks'")
    return ("disk", f"{int(str(size)) / len(given):.1f} MB per million ticks", "", "≤ 8 MB")


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
    if missing():
        return None
    with chromium() as browser:
        page = browser.new_page()
        began = time.monotonic()
        page.goto(url)
        page.wait_for_selector(".boxes path", timeout=30_000)
        return time.monotonic() - began


BENCHMARKS: dict[str, Callable[[Settings], list[Line]]] = {
    "throughput": throughput,
    "group": group,
    "gateway": gateway,
    "latency": latency,
    "replay": replay,
    "backfill": backfill,
    "candles": candles,
    "history": history,
    "cache": cache,
    "page": page,
    "start": start,
    "fresh": fresh,
    "soak": soak,  # takes 20 minutes: only when it is named
}
