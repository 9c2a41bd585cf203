"""What `bench page` runs on: the real program without its producer, and the plain page beside it over the same store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from stockwatch.commands.bench_page_feed import SOURCE, SYMBOLS, history
from stockwatch.component import KafkaAddress, StoreAddress, end, spawn
from stockwatch.component.serving import listen
from stockwatch.dashboard.process import FLAGS
from stockwatch.engines.bare_kafka import publish
from stockwatch.errors import UnavailableError
from stockwatch.store import Store

ROOT = Path(__file__).resolve().parents[2]
PLAIN = Path(__file__).with_name("bench_page_plain.py")
TOPIC = "stock-prices"
SETTINGS = f"""
[market]
source = "{SOURCE}"
tickers = {json.dumps(SYMBOLS)}
[dashboard]
port = 0
live_refresh_seconds = 0.1
[supervisor]
health_port = 0
"""


@dataclass(frozen=True)
class Running:
    """The program."""

    url: str
    kafka: KafkaAddress
    page: psutil.Process
    data: Path


def fill(run: Running) -> None:
    """Store the history."""
    count = publish(run.kafka, TOPIC, history())
    told = json.loads((run.data / "dashboard.json").read_text())["store"]
    store = Store(StoreAddress(told["url"], told["database"], told["user"], password_file=Path(told["password_file"])))
    until = time.monotonic() + 60
    while int(str(store.command("SELECT count() FROM ticks"))) < count:
        if time.monotonic() > until:
            raise UnavailableError("bench: the history was not stored within its time")
        threading.Event().wait(0.2)
    store.close()


@contextmanager
def program(folder: Path) -> Iterator[Running]:
    """All parts but the producer."""
    path = folder / "settings.toml"
    path.write_text(SETTINGS)
    command = [sys.executable, str(ROOT / "run.py"), "--no-browser", "--settings", str(path)]
    child = subprocess.Popen([*command, "--only", "kafka,clickhouse,consumer,dashboard"], stdout=subprocess.DEVNULL)
    try:
        health = _healthy(folder / ".stockwatch" / "lock")
        family = psutil.Process(child.pid).children(recursive=True)
        process = next(each for each in family if "stockwatch.dashboard.streamlit_run" in each.cmdline())
        kafka = KafkaAddress(tuple(health["kafka"].split(",")))
        yield Running(health["dashboard_url"], kafka, process, folder / ".stockwatch")
    finally:
        child.terminate()
        child.wait(10)


@contextmanager
def beside(folder: Path, run: Running) -> Iterator[tuple[str, psutil.Process]]:
    """The page that ours stands beside; its address and process."""
    with listen("127.0.0.1", 0) as listener:
        port = int(listener.getsockname()[1])
    flags = {**FLAGS, "server.address": "127.0.0.1", "server.port": str(port)}
    command = [sys.executable, "-m", "streamlit", "run", str(PLAIN)]
    command += [part for name, value in flags.items() for part in (f"--{name}", value)]
    child = spawn([*command, "--", str(run.data / "dashboard.json")], folder / "plain.log", {"PYTHONPATH": str(ROOT)})
    try:
        url = f"http://127.0.0.1:{port}"
        _answer(f"{url}/_stcore/health")
        yield url, psutil.Process(child.pid)
    finally:
        end(child, 2.0)


def _healthy(lock: Path) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(json.loads(lock.read_text())["health_url"], timeout=2) as answer:  # noqa: S310
                return dict(json.load(answer))
        except (OSError, ValueError, KeyError):
            threading.Event().wait(0.05)
    raise UnavailableError("bench: the program was not healthy within its time")


def _answer(url: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310
                return
        except OSError:
            threading.Event().wait(0.05)
    raise UnavailableError("bench: the plain page did not answer within its time")
