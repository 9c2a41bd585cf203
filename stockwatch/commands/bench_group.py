"""Benchmark of the consumer group: two consumer processes against one, on the settings' Kafka or the embedded one."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from stockwatch.assembly.places import external_kafka
from stockwatch.commands.bench_bed import Bed, bed
from stockwatch.commands.bench_flow import Line
from stockwatch.component.serving import listen
from stockwatch.engines.bare_kafka import publish
from stockwatch.engines.external import KafkaProbe
from stockwatch.errors import RetryableError, UnavailableError
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.tick import Tick, now_ms

ROOT = Path(__file__).resolve().parents[2]
MESSAGES, SYMBOLS, PARTITIONS = 600_000, 256, 4  # so many keys that the partitions are about alike
ROUNDS = 2  # of each, by turns: what the store merges meanwhile makes a single one vary much
LIMIT_SECONDS = 120.0
LOOK_SECONDS = 0.1


def group(settings: Settings) -> list[Line]:
    """Rows a second that one `--only consumer` stores, and two of one group, while all of them have something to do."""
    with bed() as here:
        topic = f"stockwatch-bench-{now_ms()}"
        address = external_kafka(settings) or here.places.kafka
        probe = KafkaProbe(address, topic, PARTITIONS)
        _make(probe)
        try:
            publish(address, topic, _ticks())
            found = [(members, _rate(settings, here, topic, members, turn)) for turn in range(ROUNDS) for members in (1, 2)]
        finally:
            probe.remove_topics()
            probe.close()
    one, two = (statistics.mean(rate for members, rate in found if members == wanted) for wanted in (1, 2))
    where = "embedded broker" if settings.kafka.bootstrap_servers == EMBEDDED else settings.kafka.bootstrap_servers
    beside = f"one {one:,.0f}/s, ratio {two / one:.2f}, {os.cpu_count()} cores, {where}"
    return [("two consumer processes", f"{two:,.0f} rows/s", beside, "ratio > 1 where cores are free")]


def _make(probe: KafkaProbe) -> None:
    until = time.monotonic() + 10.0
    while True:
        try:
            return probe.make_topics()
        except RetryableError:
            if time.monotonic() > until:
                raise
        threading.Event().wait(LOOK_SECONDS)


def _ticks() -> Iterator[Tick]:
    start = now_ms() - MESSAGES
    for number in range(MESSAGES):
        yield Tick(f"BENCH{number % SYMBOLS}.NS", start + number, 100.0 + number % 50, number, "simulator")


def _rate(settings: Settings, here: Bed, topic: str, members: int, turn: int) -> float:
    """Rows a second of so many members, from when all have begun until the first has nothing more to read."""
    with _consumers(settings, here, topic, members, turn) as urls:
        until = time.monotonic() + LIMIT_SECONDS
        began, had = 0.0, 0
        while time.monotonic() < until:
            found = [_metrics(url) for url in urls]
            now, rows = time.monotonic(), [int(each.get("rows", 0)) for each in found]
            if not began and all(rows):
                began, had = now, sum(rows)
            if began and (sum(rows) >= MESSAGES or not all(each.get("lag") for each in found)):
                return (sum(rows) - had) / (now - began)
            threading.Event().wait(LOOK_SECONDS)
    raise UnavailableError(f"bench: {members} consumers did not come to the end within {LIMIT_SECONDS:g} s")


@contextmanager
def _consumers(settings: Settings, here: Bed, topic: str, members: int, turn: int) -> Iterator[list[str]]:
    """`--only consumer` in processes of their own, each with its folder; their health URLs."""
    name = f"bench_{members}_{turn}"
    store = here.places.owner
    kafka = settings.kafka.model_dump() | {"topic": topic, "group_id": f"{topic}-{members}-{turn}", "partitions": PARTITIONS}
    if settings.kafka.bootstrap_servers == EMBEDDED:
        kafka["bootstrap_servers"] = ",".join(here.places.kafka.bootstrap_servers)
    for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        kafka[key] = str(settings.resolve(kafka[key])) if kafka[key] else ""
    url = store.url.replace("://", f"://{quote(store.user)}:{quote(store.secret(), safe='')}@")
    children: list[subprocess.Popen[bytes]] = []
    urls = []
    try:
        for number in range(members):
            with listen("127.0.0.1", 0) as listener:
                port = int(listener.getsockname()[1])
            folder = here.settings.data_dir / f"{name}-{number}"
            folder.mkdir()
            path = folder / "settings.toml"
            path.touch(0o600)  # it holds passwords
            sections = {
                "kafka": kafka,
                "clickhouse": {"url": url, "database": name},
                "supervisor": {"health_port": port, "data_dir": "data"},
            }
            path.write_text(_toml(sections))
            command = [sys.executable, "-m", "stockwatch.cli", "--only", "consumer", "--no-browser", "--settings", str(path)]
            children.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
            urls.append(f"http://127.0.0.1:{port}/health")
        yield urls
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(10)


def _toml(sections: dict[str, dict[str, object]]) -> str:
    lines = []
    for section, keys in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"


def _metrics(url: str) -> dict[str, float]:
    """The consumer's metrics; empty while it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - always http on loopback
            body = json.load(answer)
    except (OSError, ValueError):
        return {}
    metrics: dict[str, float] = body["components"][0]["metrics"]
    return metrics
