"""Whether anything was stored since: told by the consumer through a real health server, and the store is asked only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from program import until

from stockwatch.component import StoreAddress
from stockwatch.dashboard import news, reader
from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.news import News, ask
from stockwatch.dashboard.reader import Reader
from stockwatch.health import HealthRegistry
from stockwatch.health_server import WAIT_SECONDS, HealthServer
from stockwatch.settings import load


@pytest.fixture
def registry() -> HealthRegistry:
    return HealthRegistry(["producer", "consumer"])


@pytest.fixture
def server(registry: HealthRegistry) -> Iterator[HealthServer]:
    made = HealthServer(registry, 0)
    yield made
    made.close()


@pytest.fixture
def shown(tmp_path: Path, server: HealthServer) -> Reader:
    """Of a store that nobody asks: its quotes() is the test's."""
    settings = load(tmp_path / "settings.toml", {"market": {"source": "simulator", "tickers": ["A"]}})
    return Reader(Connection(settings, StoreAddress("http://127.0.0.1:9"), server.url))


def rows(body: dict[str, Any]) -> int:
    return int(next(part["metrics"]["rows"] for part in body["components"] if part["name"] == "consumer"))


def test_health_waits_for_other_rows_and_no_longer_than_it_says(registry: HealthRegistry, server: HealthServer) -> None:
    registry.reporter("consumer").running(rows=7)
    began = time.monotonic()
    assert rows(ask(f"{server.url}?after=7", 5)) == 7  # nothing has come
    assert time.monotonic() - began >= WAIT_SECONDS
    assert rows(ask(f"{server.url}?after=6", 5)) == 7  # at once: it knows less
    told: list[int] = []
    waits = threading.Thread(target=lambda: told.append(rows(ask(f"{server.url}?after=7", 5))))
    waits.start()
    registry.reporter("producer").running(ticks=1)  # another's report ends no wait
    registry.reporter("consumer").running(rows=9)
    waits.join(5)
    assert told == [9]


def test_the_mark_changes_with_what_is_stored_and_is_none_where_others_store_too(
    registry: HealthRegistry, server: HealthServer
) -> None:
    changes = list[Any]()
    heard, consumer = News(server.url, 3, lambda: changes.append(heard.mark())), registry.reporter("consumer")
    assert heard.mark() is None
    consumer.running(rows=5, partitions=2)  # another consumer has the third
    until(lambda: rows(ask(server.url, 5)) == 5, 5, "it is told")
    assert heard.mark() is None
    consumer.running(rows=5, partitions=3)
    first = until(heard.mark, 5, "known")
    consumer.running(rows=6)
    until(lambda: heard.mark() not in (None, first), 5, "another mark")
    until(lambda: len(changes) == 2, 5, "both are told")
    assert changes[0] == first
    consumer.degraded("the store does not answer")
    until(lambda: heard.mark() is None, 5, "not known any more")


def test_its_thread_ends_when_nobody_asks(
    registry: HealthRegistry, server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news, "IDLE_SECONDS", 0.1)
    registry.reporter("consumer").running(rows=5, partitions=3)
    News(server.url, 3, lambda: None).mark()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "news"], 5, "it has ended")


def test_the_store_is_asked_when_something_was_stored(
    shown: Reader, registry: HealthRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def quotes(source: str, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        asked.extend(symbols)
        return {"A": {"at": len(asked)}}

    def look() -> int:
        return int(shown._look("simulator", at_once=True)["A"]["at"])

    monkeypatch.setattr(shown, "quotes", quotes)
    monkeypatch.setattr(reader, "LOOK_SECONDS", 60.0)
    assert (look(), look()) == (1, 2)  # not known yet: each look is at the store
    consumer = registry.reporter("consumer")
    consumer.running(rows=5, partitions=shown.settings.kafka.partitions)
    until(shown._news.mark, 5, "known")
    before = look()
    assert [look() for _ in range(20)] == [before] * 20
    consumer.running(rows=6)
    until(lambda: look() == before + 1, 5, "one more look at the store")
    assert shown._look("simulator", at_once=False)["A"]["at"] == before + 2
    monkeypatch.setattr(reader, "LOOK_SECONDS", 0.0)
    assert look() == before + 3  # at the latest by then, whatever it is told


def test_what_is_known_is_no_older_than_what_was_stored(
    shown: Reader, registry: HealthRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[str]()

    def quotes(source: str, _symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
        looks.append(source)
        return {}

    def ask_often() -> int:
        for _ in range(20):
            shown.facts("A", fresh=0.9)  # it may be so old: the consumer says whether it is
        return len(looks)

    monkeypatch.setattr(shown, "quotes", quotes)
    monkeypatch.setattr(shown, "_facts", lambda *_of: None)
    consumer, heard = registry.reporter("consumer"), threading.Event()
    shown.heard = heard.set
    consumer.running(rows=5, partitions=shown.settings.kafka.partitions)
    ask_often()
    assert heard.wait(5)
    before = ask_often()
    assert ask_often() - before <= 1  # one more where these took longer than 0.9 s
    heard.clear()
    consumer.running(rows=6)
    assert heard.wait(5)
    assert ask_often() > before
