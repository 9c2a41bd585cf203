"""`bench soak`: the whole program for 20 minutes at 1,000 ticks a second, and what grows meanwhile. Runs only when named."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from stockwatch.commands.bench_flow import Line
from stockwatch.component import StoreAddress
from stockwatch.errors import UnavailableError
from stockwatch.settings import Settings
from stockwatch.store import Store

MINUTES = 20.0
SETTLED_MINUTES = 5.0  # slopes count from here on
LOOK_SECONDS = 5.0
SYMBOLS = ("AAPL", "MSFT", "NVDA", "TSLA", "TCS.NS")
SETTINGS = f"""
[market]
source = "simulator"
tickers = {json.dumps(SYMBOLS)}
ticks_per_second = {1_000 // len(SYMBOLS)}
[dashboard]
port = 0
[supervisor]
health_port = 0
"""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Look:
    """One look at the running program: minutes since its start, memory in MB."""

    minute: float
    supervisor: float
    broker: float
    page: float
    descriptors: int
    threads: int
    parts: int
    renewals: int
    pause: float

    @property
    def whole(self) -> float:
        """Memory of all processes."""
        return self.supervisor + self.broker + self.page


def soak(_settings: Settings) -> list[Line]:
    """Memory of each process from one renewal to the next, descriptors, threads and parts; slopes after five minutes."""
    looks: list[Look] = []
    with tempfile.TemporaryDirectory(prefix="stockwatch-soak-") as folder:
        path = Path(folder) / "settings.toml"
        path.write_text(SETTINGS)
        command = [sys.executable, str(ROOT / "run.py"), "--no-browser", "--settings", str(path)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            looks = _watch(child, Path(folder) / ".stockwatch")
        finally:
            child.terminate()
            child.wait(10)
    return _table(looks)


def _watch(child: subprocess.Popen[bytes], data: Path) -> list[Look]:
    looks: list[Look] = []
    began = time.monotonic()
    while (passed := time.monotonic() - began) < MINUTES * 60:
        threading.Event().wait(LOOK_SECONDS)
        if child.poll() is not None:
            raise UnavailableError(f"bench: the program ended after {passed:.0f} s with {child.returncode}")
        try:
            with urllib.request.urlopen(json.loads((data / "lock").read_text())["health_url"], timeout=3) as answer:  # noqa: S310
                health = json.load(answer)
            looks.append(_look(child.pid, (time.monotonic() - began) / 60, health, data))
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            continue  # it is starting, or a renewal is on its way
    return looks


def _look(pid: int, minute: float, health: dict[str, Any], data: Path) -> Look:
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    memory = {"supervisor": 0.0, "tansu": 0.0, "streamlit": 0.0}
    for process in family:
        line = " ".join(process.cmdline())
        name = next((each for each in ("tansu", "streamlit") if each in line), "supervisor")
        memory[name] += process.memory_info().rss / 2**20
    store = Store(StoreAddress(health["clickhouse_url"], user="stockwatch", password_file=data / "clickhouse.password"))
    try:
        parts = int(str(store.command("SELECT count() FROM system.parts WHERE database = 'stockwatch' AND active")))
    finally:
        store.close()
    told = next(part["metrics"] for part in health["components"] if part["name"] == "kafka")
    return Look(
        minute, memory["supervisor"], memory["tansu"], memory["streamlit"], sum(process.num_fds() for process in family),
        sum(process.num_threads() for process in family), parts, told.get("renewals", 0), told.get("renewal_seconds", 0.0),
    )  # fmt: skip


def _table(looks: list[Look]) -> list[Line]:
    rows: list[Line] = []
    for renewals in sorted({look.renewals for look in looks}):
        last = [look for look in looks if look.renewals == renewals][-1]
        said = f"{last.whole:.0f} MB (supervisor {last.supervisor:.0f}, broker {last.broker:.0f}, page {last.page:.0f})"
        beside = f"{last.descriptors} descriptors, {last.threads} threads, {last.parts} parts"
        rows.append((f"minute {last.minute:.1f}, renewal {renewals}", said, beside, f"pause {last.pause:.1f} s (≤ 3)"))
    settled = [look for look in looks if look.minute >= min(SETTLED_MINUTES, MINUTES / 4)]
    minutes = np.array([look.minute for look in settled])
    for name, unit in (("supervisor", "MB"), ("page", "MB"), ("descriptors", ""), ("threads", ""), ("parts", "")):
        slope = float(np.polyfit(minutes, [float(getattr(look, name)) for look in settled], 1)[0])
        rows.append((f"slope of {name}", f"{slope:+.2f} {unit} a minute".replace("  ", " "), "after five minutes", "flat"))
    rows.append(("most memory", f"{max(look.whole for look in looks):.0f} MB", f"{len(looks)} looks", "≤ 700 MB"))
    return rows
