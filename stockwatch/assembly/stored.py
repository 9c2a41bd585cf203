"""The store for a command: of the running instance, or opened for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from stockwatch import sessions
from stockwatch.assembly.places import engines
from stockwatch.component import StoreAddress
from stockwatch.errors import RetryableError, UnavailableError
from stockwatch.health import HealthRegistry, State
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.store import Store
from stockwatch.supervisor.lock import Lock, configured_health_url, health_at, is_held, process_of, read_facts


@contextmanager
def open_store(settings: Settings) -> Iterator[tuple[Store, str]]:
    """The store of the running instance, else opened for this moment, and the source that it runs or would run with.

    Raises AlreadyRunningError or UnavailableError when the embedded store cannot be opened.
    """
    if is_held(settings.data_dir):
        facts = read_facts(settings.data_dir)
        health = _health_at(facts.get("health_url", ""))
        embedded = settings.clickhouse.url == EMBEDDED
        reader = _reader(settings, facts, health) if embedded else engines(settings, []).reader
        with closing(Store(reader)) as store:
            yield store, _source(store, settings, health)
        return
    lock = Lock(settings.data_dir)
    if settings.clickhouse.url == EMBEDDED:
        if not (settings.data_dir / "clickhouse").is_dir():
            raise UnavailableError(f"nothing is stored in {settings.data_dir} yet: start stockwatch first")
        lock.take()
    registry = HealthRegistry(["clickhouse"])
    places = engines(settings, [])
    component = places.make_clickhouse(registry.reporter("clickhouse"))
    try:
        component.start()
        try:
            component.ready()
        except RetryableError as error:
            raise UnavailableError(str(error)) from error
        with closing(Store(places.owner)) as store:
            health = _health_at(configured_health_url(settings))  # an instance on external engines takes no lock
            yield store, _source(store, settings, health if health.get("clickhouse_url") == places.owner.url else {})
    finally:
        component.stop()
        lock.give_back()


def _health_at(url: str) -> dict[str, Any]:
    """Empty when no stockwatch answers."""
    with suppress(OSError, ValueError):  # the second: no URL
        return health_at(url) or {}
    return {}


def _reader(settings: Settings, facts: dict[str, Any], health: dict[str, Any]) -> StoreAddress:
    """The embedded store of the instance that said these facts. Raises UnavailableError while it is not open yet."""
    states = {part["name"]: part["state"] for part in health.get("components", [])}
    if not facts.get("clickhouse_url") or states.get("clickhouse") == State.STARTING:
        raise UnavailableError(
            f"stockwatch{process_of(facts)} is starting on {settings.data_dir}, or exporting from it: try again in a moment"
        )
    password = settings.data_dir / "clickhouse.reader.password"
    return StoreAddress(facts["clickhouse_url"], settings.clickhouse.database, "reader", password_file=password)


def _source(store: Store, settings: Settings, health: dict[str, Any]) -> str:
    """What runs, else what is configured, as the tables name it: there `auto`, `replay` and `yahoo-stream` are no names."""
    name = str(health.get("source") or settings.market.source)
    if name == "replay":
        return sessions.replay_source(Path(settings.market.replay_file))
    if name == "yahoo-stream":
        return "yahoo"
    if name != "auto":
        return name
    return "yahoo" if "yahoo" in store.sources() else "simulator"
