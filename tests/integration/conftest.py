"""A real embedded store for each module of tests about its gateway, and those who ask it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from clickhouse_connect.driver.client import Client
from engine import Engine, running
from redis_server import RedisServer, Sides

_numbers = itertools.count()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with running(tmp_path_factory.mktemp("gateway")) as made:
        yield made


@pytest.fixture(scope="module")
def client(engine: Engine) -> Client:
    return engine.client()


@pytest.fixture(scope="module")
def http(engine: Engine) -> Iterator[httpx.Client]:
    owner = ("stockwatch", engine.password())
    with httpx.Client(base_url=f"http://127.0.0.1:{engine.port}", auth=owner, timeout=20) as made:
        yield made


@pytest.fixture(scope="module")
def reader(engine: Engine) -> Iterator[httpx.Client]:
    only_reads = ("reader", engine.password("clickhouse.reader.password"))
    with httpx.Client(base_url=f"http://127.0.0.1:{engine.port}", auth=only_reads, timeout=20) as made:
        yield made


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"stockwatch.t{next(_numbers)}"
    client.command(f"CREATE TABLE {name} (a Int64, s String) ENGINE = MergeTree ORDER BY a")
    yield name
    client.command(f"DROP TABLE {name}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    made = RedisServer(tmp_path)
    yield made
    made.end()


@pytest.fixture
def sides(server: RedisServer) -> Iterator[Sides]:
    """Those who write quotes into it, and the one who reads them."""
    made = Sides(server)
    yield made
    for writer in made.writers:
        writer.close()
    made.reader.close()
