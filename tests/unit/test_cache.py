"""The cache without a Redis: nobody waits for one, and nothing that is not current or not ours is taken for a quote."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import ROOT, free_port, until

from stockwatch.cache import NoQuotes, QuoteReader, QuoteWriter, _current, _quote, prefix_of
from stockwatch.cache.connection import Redis
from stockwatch.errors import UsageError
from stockwatch.settings import load
from stockwatch.tick import Tick, encode

NOW = 1_764_000_000_000
TICK = Tick("TCS.NS", NOW - 1, 2500.5, 7, "simulator")


def prefix(folder: Path, **clickhouse: str) -> str:
    return prefix_of(load(folder / "settings.toml", {"clickhouse": clickhouse}))


def test_every_store_has_keys_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    stores = [
        prefix(tmp_path),
        prefix(tmp_path / "a"),
        prefix(tmp_path, database="other"),
        prefix(tmp_path, url="http://one:8123"),
        prefix(tmp_path, url="http://two:8123"),
        prefix(tmp_path, url="http://two:8124"),
    ]
    assert len(set(stores)) == len(stores)
    assert prefix(tmp_path, url="http://u:secret@one:8123") == stores[3]  # whoever asks, it is the same store
    assert all(made.startswith("stockwatch:") for made in stores)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (f"word|{NOW}".encode(), True),
        (f"word|{NOW - 4_000}".encode(), True),
        (f"word|{NOW - 6_000}".encode(), False),  # a frozen Redis carried the write out late
        (f"word|{NOW + 6_000}".encode(), False),  # the writer's clock is another
        (b"word|", False),
        (b"word|now", False),
        (b"word|" + b"9" * 5_000, False),
        (b"", False),
        (None, False),
    ],
)
def test_what_an_owner_said_counts_for_seconds(said: bytes | None, counts: bool) -> None:
    assert _current(said, NOW) == (b"word" if counts else None)


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (b"0|word|" + encode(TICK), True),
        (b"0|other|" + encode(TICK), False),
        (b"0|word|{}", False),
        (b"0|word|\xff\xfe", False),
        (b"0|word|" + encode(Tick("TCS.NS", NOW + 10**9, 1.0, 1, "simulator")), False),
        (encode(TICK), False),
        (b"", False),
        (None, False),
    ],
)
def test_what_is_no_quote_of_a_present_owner_is_none(value: bytes | None, counts: bool) -> None:
    assert (_quote(value, {b"word"}, NOW) == TICK) is counts


@pytest.fixture(params=["nobody", "silent", "rude"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where no Redis is: a closed port, one that takes connections and never answers, one that answers something else."""
    if request.param == "nobody":
        yield f"redis://:hidden-word@127.0.0.1:{free_port()}/0"
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()
        listener.settimeout(0.05)
        held: list[socket.socket] = []

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                held.append(connection)
                if request.param == "rude":
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://:hidden-word@127.0.0.1:{listener.getsockname()[1]}/0"
        over.set()
        thread.join(5)
        for connection in held:
            connection.close()


def test_where_no_redis_answers_the_page_gets_nothing_and_asks_seldom(address: str) -> None:
    reader, now = QuoteReader(address, "p", 3), 100.0
    reader._redis._clock = lambda: now
    assert reader.quotes("simulator", ["TCS.NS"]) == {}
    assert reader._redis.error is not None
    assert "hidden-word" not in reader._redis.error
    asked: list[object] = []
    assert reader._redis.ask(asked.append) is None
    assert not asked  # it is left alone for a while
    now += 1.0
    assert reader._redis.ask(asked.append) is None
    assert asked  # and then tried again; list.append answers None
    reader.close()


def test_nobody_loads_the_library_without_an_address() -> None:
    """It takes a third of a second."""
    code = "import sys, stockwatch.assembly, stockwatch.cache; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=50, check=False).returncode == 0


def test_where_no_redis_answers_the_consumer_is_told_and_not_held_up(address: str, caplog: pytest.LogCaptureFixture) -> None:
    writer = QuoteWriter(address, "p")
    writer.offer([(TICK, 0, 1)], {0})
    told = until(lambda: writer.metrics()["cache"] != "current" and writer.metrics(), 10, "it is said")
    assert str(told["cache"]).startswith("Redis ")
    assert told["cached_quotes"] == 0
    assert "hidden-word" not in str(told) + caplog.text
    writer.close()


def test_what_waits_for_a_redis_is_bounded_and_then_nothing_of_it_counts() -> None:
    writer = QuoteWriter(f"redis://127.0.0.1:{free_port()}/0", "p")
    writer.offer([], {0})
    before = dict(writer._words)
    many = [(Tick(f"S{number}", NOW, 1.0, 1, "simulator"), 0, 1) for number in range(10_001)]
    writer.offer(many, {0})
    assert len(writer._pending) <= 10_000
    assert writer._words != before
    writer.close()


def test_it_is_asked_again_after_a_pause_that_grows() -> None:
    now = [0.0]
    pauses = []
    redis = Redis(f"redis://127.0.0.1:{free_port()}/0", 0.1, clock=lambda: now[0])
    for _ in range(6):
        assert redis.ask(lambda client: client.ping()) is None
        pauses.append(redis._asked_again - now[0])
        now[0] = redis._asked_again
    assert 0.5 <= pauses[0] <= 1.0
    assert pauses[-1] > 2
    assert max(pauses) <= 10
    redis.close()


def test_without_an_address_there_is_none() -> None:
    none = NoQuotes()
    none.offer([(TICK, 0, 1)], {0})
    assert none.metrics() == {}
    none.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://host:6379/0",
        "redis://",
        "redis://host:6379/zero",
        "redis://host:6379/0/1",
        "redis://host:99999/0",
        "redis://host:port/0",
        "redis://host:6379/0?socket_timeout=9",
        "redis://:hidden-word#x@host:6379/0",
        "localhost:6379",
    ],
)
def test_a_wrong_address_is_a_setting_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match=r"cache\.redis_url: ") as caught:
        load(tmp_path / "settings.toml", {"cache": {"redis_url": url}})
    assert "hidden-word" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "redis://host", "redis://host:6379/0", "redis://u:p%23@host:6379/", "rediss://:p@[::1]:6380/15"]
)
def test_a_right_one_is_none(tmp_path: Path, url: str) -> None:
    assert load(tmp_path / "settings.toml", {"cache": {"redis_url": url}}).cache.redis_url == url
