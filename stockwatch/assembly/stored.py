"""The store for a command: of the running instance, or opened for a moment."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stockwatch.assembly.places import engines
from stockwatch.component import StoreAddress
from stockwatch.errors import RetryableError, UnavailableError
from stockwatch.health import HealthRegistry
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.store import Store
from stockwatch.supervisor.lock import Lock, is_held, read_facts


@contextmanager
def open_store(settings: Settings) -> Iterator[tuple[Store, str]]:
    """The store of the running instance, else opened for this moment, and the source that it runs or would run with.

    Raises AlreadyRunningError or UnavailableError when the embedded store cannot be opened.
    """
    chosen = settings.market
    source = f"replay:{Path(chosen.replay_file).name.split('.')[0]}" if chosen.source == "replay" else chosen.source
    if is_held(settings.data_dir):
        facts = read_facts(settings.data_dir)
        reader = StoreAddress(
            facts.get("clickhouse_url", ""),
            settings.clickhouse.database,
            "reader",
            password_file=settings.data_dir / "clickhouse.reader.password",
        )
        if settings.clickhouse.url != EMBEDDED:
            reader = engines(settings, []).reader
        with closing(Store(reader)) as store:
            yield store, _running_source(facts.get("health_url", "")) or _stored_source(store, source)
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
            yield store, _stored_source(store, source)
    finally:
        component.stop()
        lock.give_back()


def _running_source(health_url: str) -> str | None:
    try:
        with urllib.request.urlopen(health_url, timeout=3.0) as answer:  # noqa: S310 - always http on loopback
            body = json.load(answer)
    except (OSError, ValueError):
        return None
    source = body.get("source")
    return source if isinstance(source, str) else None


def _stored_source(store: Store, configured: str) -> str:
    """`auto` and `yahoo-stream` are no names in the tables."""
    if configured == "yahoo-stream":
        return "yahoo"
    if configured != "auto":
        return configured
    stored = store.sources()
    return "yahoo" if "yahoo" in stored else "simulator"
