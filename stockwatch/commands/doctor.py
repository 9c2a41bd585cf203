"""`python run.py doctor`: what is missing or in the way, in one line each; exit 1 if it cannot run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stockwatch.errors import StockwatchError
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.settings.folder import is_ours, refusal
from stockwatch.supervisor.lock import is_held, read_facts

ENOUGH_BYTES = 1 << 30
YAHOO = ("query1.finance.yahoo.com", 443)
ANSWER_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One line. `stops`: it cannot run like this."""

    good: bool
    text: str
    stops: bool = False


def run(settings: Settings) -> int:
    """Print the findings."""
    findings = list(examine(settings))
    for finding in findings:
        print(f"{'ok     ' if finding.good else 'STOPS  ' if finding.stops else 'note   '}{finding.text}")
    return 1 if any(finding.stops for finding in findings) else 0


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that a start needs; changes nothing."""
    version = sys.version_info
    yield Finding(version >= (3, 11), f"Python {version.major}.{version.minor}.{version.micro}", stops=version < (3, 11))
    running = is_held(settings.data_dir)
    if running:
        yield Finding(False, f"already running at {read_facts(settings.data_dir).get('dashboard_url', 'this data folder')}")
    yield from _engines(settings)
    yield from _addresses(settings)
    yield _folder(settings)
    yield from _recording(settings)
    yield from _ports(settings, running=running)
    yield _zones()
    yield _yahoo()


def _engines(settings: Settings) -> Iterator[Finding]:
    if sys.platform == "win32":
        found = shutil.which("docker") is not None
        wanted = EMBEDDED in (settings.kafka.bootstrap_servers, settings.clickhouse.url)
        yield Finding(
            found, f"Docker {'found' if found else 'missing: it runs the engines on Windows'}", stops=wanted and not found
        )
        return
    if settings.clickhouse.url == EMBEDDED:
        found = importlib.util.find_spec("chdb") is not None
        yield Finding(found, f"embedded store: chdb-core {'installed' if found else 'missing: delete .venv'}", stops=not found)
    if settings.kafka.bootstrap_servers == EMBEDDED:
        from stockwatch.engines.embedded_kafka import broker_binary

        try:
            yield Finding(True, f"embedded broker: {broker_binary().name}")
        except StockwatchError as error:
            yield Finding(False, str(error), stops=True)


def _addresses(settings: Settings) -> Iterator[Finding]:
    """Whether anybody listens there; who it is, and whether they let us in, is seen at the start."""
    if settings.kafka.bootstrap_servers != EMBEDDED:
        places = settings.kafka.bootstrap_servers.split(",")
        found = [_is_answered(f"//{place}", 9092) for place in places]
        for place, answered in zip(places, found, strict=True):
            text = f"Kafka at {place} {'can' if answered else 'cannot'} be reached"
            yield Finding(answered, text, stops=not any(found))
    if settings.clickhouse.url != EMBEDDED:
        parts = urlsplit(settings.clickhouse.url)
        answered = _is_answered(settings.clickhouse.url, 8443 if parts.scheme == "https" else 8123)
        bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        yield Finding(answered, f"ClickHouse at {bare} {'can' if answered else 'cannot'} be reached", stops=not answered)


def _is_answered(url: str, port: int) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port or port), ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _recording(settings: Settings) -> Iterator[Finding]:
    if settings.market.source == "replay":
        path = settings.resolve(settings.market.replay_file)
        found = path.is_file()
        yield Finding(found, f"market.replay_file: {path} is {'there' if found else 'no file'}", stops=not found)


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        return Finding(False, f"supervisor.data_dir: {folder} is a file, not a folder", stops=True)
    if not os.access(folder, os.W_OK):
        return Finding(False, f"supervisor.data_dir: {settings.data_dir} cannot be written", stops=True)
    if folder == settings.data_dir and (refused := refusal(folder)):
        return Finding(False, refused, stops=True)
    if folder == settings.data_dir and not is_ours(folder):
        return Finding(False, f"supervisor.data_dir: {folder} holds other things, which stay as open to others as they are")
    free = shutil.disk_usage(folder).free
    return Finding(free >= ENOUGH_BYTES, f"{free / (1 << 30):.1f} GB free for {settings.data_dir}")


def _ports(settings: Settings, *, running: bool) -> Iterator[Finding]:
    for section, key in (("dashboard", "port"), ("supervisor", "health_port"), ("clickhouse", "http_port")):
        port = getattr(getattr(settings, section), key)
        if not port or running:
            continue
        free = _is_free(port)
        chosen = not settings.is_default(section, key)
        then = "" if free else ": choose another" if chosen else ": a free one will be used"
        yield Finding(free, f"{section}.{key} {port} is {'free' if free else 'taken'}{then}", stops=chosen and not free)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _zones() -> Finding:
    try:
        ZoneInfo("Asia/Kolkata")
    except ZoneInfoNotFoundError:
        return Finding(False, "no time zone database: install tzdata", stops=True)
    return Finding(True, "time zones")


def _yahoo() -> Finding:
    try:
        socket.create_connection(YAHOO, ANSWER_SECONDS).close()
    except OSError:
        return Finding(False, "Yahoo cannot be reached: prices will be simulated unless a proxy is set")
    return Finding(True, "Yahoo can be reached")
