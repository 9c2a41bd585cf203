"""`--only`: each part in a process of its own, several at once, on an Apache Kafka and a store that others run."""

from __future__ import annotations

import itertools
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from apache_kafka import ApacheKafka
from clickhouse_connect.driver.client import Client
from engine import Engine
from kafka import KafkaConsumer, TopicPartition
from program import Program, until

from stockwatch.tick import decode_tick, now_ms

pytestmark = pytest.mark.timeout(200)  # the first time, Maven fetches 43 MB; each wait here has a shorter end of its own
TICKERS = [f"S{number}.NS" for number in range(12)]
SESSION_SECONDS = 10.0  # component.KafkaAddress: after this a silent consumer's partitions are another's
_numbers = itertools.count()
Part = Callable[..., Program]


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    made = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def name() -> str:
    """Of this test's topic, group and database."""
    return f"only{next(_numbers)}"


@pytest.fixture
def part(apache: ApacheKafka, engine: Engine, name: str, tmp_path: Path) -> Iterator[Part]:
    """Starts `--only` with these parts in a process of its own."""
    made: list[Program] = []

    def start(only: str, **market: Any) -> Program:
        program = Program(tmp_path / f"{len(made)}")
        made.append(program)
        program.write(
            market={"tickers": TICKERS, "ticks_per_second": 10, "backfill_days": 0, **market},
            kafka={"bootstrap_servers": apache.bootstrap, "topic": name, "group_id": name},
            clickhouse={
                "url": f"http://stockwatch:{quote(engine.password(), safe='')}@127.0.0.1:{engine.port}",
                "database": name,
            },
        )
        program.start("--only", only)
        return program

    yield start
    for program in made:
        program.kill()


def _rows(program: Program) -> int:
    return int(program.component("consumer").get("metrics", {}).get("rows", 0))


def _published(apache: ApacheKafka, topic: str) -> set[tuple[str, int, int, float]]:
    """The identities of all ticks that are in the topic's log."""
    client = KafkaConsumer(**apache.address.client_options(), group_id=None, auto_offset_reset="earliest")
    try:
        places = [TopicPartition(topic, number) for number in client.partitions_for_topic(topic)]
        client.assign(places)
        left, found = client.end_offsets(places), set()
        while any(client.position(place) < end for place, end in left.items()):
            for records in client.poll(timeout_ms=500).values():
                found |= {
                    (tick.symbol, tick.at, tick.day_volume, tick.price)
                    for tick in (decode_tick(record.value, now_ms()) for record in records)
                }
        return found
    finally:
        client.close()


def _stored(client: Client, database: str) -> list[tuple[str, int, int, float]]:
    asked = f"SELECT symbol, toUnixTimestamp64Milli(at), day_volume, price FROM {database}.ticks FINAL"
    return [(row[0], row[1], row[2], row[3]) for row in client.query(asked).result_rows]


def _nothing_lost_nothing_twice(apache: ApacheKafka, client: Client, name: str) -> None:
    """The table has exactly what the log has, once the consumers have come to its end."""
    published = _published(apache, name)
    until(lambda: len(set(_stored(client, name))) >= len(published), 20, "everything that is in the log is stored")
    stored = _stored(client, name)
    assert len(published) > 500
    assert set(stored) == published
    assert len(stored) == len(published)


def test_each_part_in_a_process_of_its_own_and_the_page_shows_it(
    apache: ApacheKafka, engine: Engine, client: Client, name: str, part: Part
) -> None:
    producer, consumer, page = part("producer"), part("consumer"), part("dashboard")
    for program, only in ((producer, "producer"), (consumer, "consumer"), (page, "dashboard")):
        assert [each["name"] for each in program.health()["components"]] == [only]
        assert engine.password() not in program.run("status", "--json").stdout + program.console()
    until(lambda: _rows(consumer) > 600, 30, "rows arrive")
    with urllib.request.urlopen(page.health()["dashboard_url"], timeout=5) as answer:
        assert answer.status == 200
    for program in (producer, consumer, page):
        assert program.stop(signal.SIGTERM) == 0
    again = part("consumer")  # reads on from the last commit
    _nothing_lost_nothing_twice(apache, client, name)
    assert again.stop() == 0


@pytest.mark.parametrize("end", ["leaves", "dies"])
def test_consumers_share_the_work_and_one_takes_over_from_the_other(
    apache: ApacheKafka, engine: Engine, client: Client, name: str, part: Part, end: str
) -> None:
    producer, first, second = part("producer"), part("consumer"), part("consumer")
    until(lambda: _rows(second) > 50, 30, "the second has its share")
    had = _rows(first)
    until(lambda: _rows(first) > had + 50, 20, "and the first still has its own")
    if end == "leaves":
        assert second.stop(signal.SIGTERM) == 0
    else:
        second.kill()
    since = now_ms()
    oldest = f"SELECT min(m) FROM (SELECT max(toUnixTimestamp64Milli(at)) AS m FROM {name}.ticks GROUP BY symbol)"
    until(lambda: int(str(client.command(oldest))) > since, SESSION_SECONDS + 5, f"every symbol has fresh rows after one {end}")
    assert producer.stop() == 0
    _nothing_lost_nothing_twice(apache, client, name)
    until(lambda: first.component("consumer")["metrics"]["lag"] == 0, 5, "no lag is told")
    assert first.stop() == 0
