"""`python run.py`: start everything, say where the page is, run until stopped."""

from __future__ import annotations

import contextlib
import logging
import os
import webbrowser
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from stockwatch import __version__, assembly
from stockwatch.commands.console import Console
from stockwatch.component.collector import calm_collector
from stockwatch.dashboard import addresses
from stockwatch.errors import AlreadyRunningError
from stockwatch.health import HealthRegistry, State
from stockwatch.health_server import HealthServer
from stockwatch.settings import Settings
from stockwatch.settings.folder import make_data_dir
from stockwatch.supervisor import Supervisor
from stockwatch.supervisor.lock import Lock, health_at, read_facts

log = logging.getLogger(__name__)
LOG_BYTES, LOG_FILES = 5 * 2**20, 3
DESCRIPTORS = 8192  # chDB opens hundreds under load (FACTS.md)


def run(settings: Settings, only: str | None, *, browser: bool) -> int:
    """Until Ctrl-C, SIGTERM or SIGHUP: 0. Raises StockwatchError when it cannot start."""
    names = assembly.selected(settings, only)
    make_data_dir(settings.data_dir)
    lock = Lock(settings.data_dir)
    owner = assembly.owns_an_engine(settings, names)
    if owner:
        try:
            lock.take()
        except AlreadyRunningError:
            facts = read_facts(settings.data_dir)
            if browser and _shows_its_page(facts):
                webbrowser.open(facts["dashboard_url"])
            raise
    try:
        _log_to(settings.data_dir / "stockwatch.log", settings.supervisor.log_level)
        _raise_descriptor_limit()
        calm_collector()
        return _supervise(settings, names, lock, browser=browser)
    finally:
        lock.give_back()
        logging.shutdown()


def _shows_its_page(facts: dict[str, Any]) -> bool:
    """Whether the page answers of the instance that said these facts; while it does not yet, that start opens it itself."""
    health = None
    with contextlib.suppress(OSError):
        health = health_at(facts["health_url"]) if facts.get("dashboard_url") and facts.get("health_url") else None
    parts = health["components"] if health else []
    return any(part["name"] == "dashboard" and part["state"] == State.RUNNING for part in parts)


def _supervise(settings: Settings, names: tuple[str, ...], lock: Lock, *, browser: bool) -> int:
    registry = HealthRegistry(names)
    with contextlib.ExitStack() as closing:
        health = HealthServer(registry, assembly.choose_port(settings, "supervisor", "health_port"))
        closing.callback(health.close)
        port = assembly.choose_port(settings, "dashboard", "port", settings.dashboard.host)
        page = addresses.url(addresses.reachable(settings.dashboard.host), port)
        if "dashboard" in names:
            registry.set_fact(dashboard_url=page)
        row = assembly.parts(settings, names, registry, health.url, port, closing)
        print(f"stockwatch {__version__}: starting {', '.join(names)}", flush=True)
        for name, wanted, got in (
            ("dashboard.port", settings.dashboard.port, port),
            ("supervisor.health_port", settings.supervisor.health_port, int(health.url.split(":")[2].split("/")[0])),
        ):
            if wanted and wanted != got:
                print(f"  {name} {wanted} is taken: using {got}", flush=True)
        lock.say(
            health_url=health.url,
            dashboard_url=page if "dashboard" in names else None,
            clickhouse_url=registry.fact("clickhouse_url"),
        )
        if "dashboard" in names and (room := addresses.room_urls(settings.dashboard.host, port)):
            print(f"  open to this network, with dashboard.password: {'  '.join(room)}", flush=True)
        console = Console(registry, names, page if browser else None)
        registry.listen(console.changed)
        Supervisor(row, registry, console.ready).run()
        print("stopped", flush=True)
        return 0


def _log_to(path: Path, level: str) -> None:
    """The log rotates in the data folder; the console stays quiet. Libraries speak from WARNING on."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("stockwatch").setLevel(level)
    logging.captureWarnings(True)


def _raise_descriptor_limit() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none; a hard limit may be lower
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
