"""The life of the embedded store: stopped and started again, killed in the middle of inserts, locked by another process."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from engine import Engine
from program import ROOT, free_port, until
from urllib3.exceptions import HTTPError

from stockwatch.engines.clickhouse_disk import KEPT_FREE

Open = Callable[..., Engine]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens stores that are ended after the test."""
    made: list[Engine] = []

    def opening(name: str = "data", port: int = 0) -> Engine:
        made.append(Engine(tmp_path / name, port or free_port()))
        return made[-1]

    yield opening
    for engine in made:
        engine.end()


def test_it_lives_again_in_one_process_on_the_same_folder_and_port(opened: Open) -> None:
    engine = opened()
    assert engine.said() == "running"
    engine.client().command("CREATE TABLE stockwatch.kept (a Int64) ENGINE = MergeTree ORDER BY a")
    for life in range(3):
        engine.client().insert("stockwatch.kept", [[life]], column_names=["a"])
        engine.live_again()
        assert engine.said() == "running"
    assert engine.client().command("SELECT groupArray(a) FROM (SELECT a FROM stockwatch.kept ORDER BY a)") == "[0,1,2]"
    assert engine.end() == 0
    assert engine.said() == "stopped"


def test_it_stops_in_order_while_a_query_runs(opened: Open) -> None:
    engine = opened()
    assert engine.said() == "running"
    client, ended = engine.client(), threading.Event()

    def ask() -> None:
        try:
            client.command("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)")
        except (ClickHouseError, HTTPError, OSError):
            ended.set()

    asking = threading.Thread(target=ask)
    asking.start()
    other = engine.client()
    until(lambda: other.command("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64(number)%1000000000000%'") != 0,
          10, "the query runs")  # fmt: skip
    assert engine.end() == 0  # no crash
    assert engine.said() == "stopped"
    asking.join(10)
    assert ended.is_set()


def test_a_second_process_is_told_that_the_folder_is_in_use(opened: Open) -> None:
    first = opened()
    assert first.said() == "running"
    second = opened()
    said = second.said()
    assert said.startswith("refused: ")
    assert "in use" in said
    assert second.process.wait(10) == 3
    assert first.client().command("SELECT 1") == 1


def test_a_taken_port_is_told_and_leaves_the_folder_free(opened: Open) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = opened(port=port)
        assert f"port {port}" in refused.said()
        assert refused.process.wait(10) == 3
    assert opened().said() == "running"


def test_what_was_acknowledged_survives_a_kill(opened: Open) -> None:
    port = free_port()
    engine = opened(port=port)
    assert engine.said() == "running"
    client = engine.client()
    client.command("CREATE TABLE stockwatch.t (a Int64, s String) ENGINE = MergeTree ORDER BY a")
    acknowledged: list[int] = []

    def insert() -> None:
        try:
            while True:
                start = len(acknowledged) * 500
                client.insert("stockwatch.t", [[start + n, "x" * 100] for n in range(500)], column_names=["a", "s"])
                acknowledged.append(start)
        except (ClickHouseError, HTTPError, OSError):
            return

    writer = threading.Thread(target=insert)
    writer.start()
    until(lambda: len(acknowledged) >= 40, 40, "inserts are acknowledged")
    engine.process.kill()
    writer.join(20)
    assert not writer.is_alive()
    incoming = engine.folder / "incoming"
    (incoming / "left.Native").write_bytes(b"of a killed life")
    again = opened(port=port)
    assert again.said() == "running"
    assert not list(incoming.iterdir())
    stored = again.client().query("SELECT DISTINCT intDiv(a, 500) * 500 FROM stockwatch.t GROUP BY 1 HAVING count() >= 500")
    assert set(acknowledged) <= {row[0] for row in stored.result_rows}


def test_passwords_are_made_once_and_for_their_user_alone(opened: Open) -> None:
    engine = opened()
    assert engine.said() == "running"
    files = [engine.folder / name for name in ("clickhouse.password", "clickhouse.reader.password")]
    secrets = [file.read_text().strip() for file in files]
    assert len(set(secrets)) == 2
    assert min(map(len, secrets)) >= 24
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert stat.S_IMODE((engine.folder / "clickhouse").stat().st_mode) == 0o700
    files[1].write_text("\n")  # an emptied file is no empty password
    engine.live_again()
    assert engine.said() == "running"
    assert files[0].read_text().strip() == secrets[0]
    assert len(files[1].read_text().strip()) >= 24


def test_it_leaves_room_on_its_disk(opened: Open) -> None:
    engine = opened()
    assert engine.said() == "running"
    kept = engine.client().command("SELECT keep_free_space FROM system.disks WHERE name = 'default'")
    assert kept == KEPT_FREE  # of the configuration, so that every store has it, however old


FAILING = """
import resource, sys
from pathlib import Path
import clickhouse_connect
from stockwatch.component import StoreAddress
from stockwatch.engines.embedded_clickhouse import EmbeddedClickHouse
from stockwatch.engines.external import StoreProbe
from stockwatch.errors import ComponentFailedError, StoreError
from stockwatch.health import HealthRegistry
from stockwatch.store import Store

folder, port = Path(sys.argv[1]), int(sys.argv[2])
address = StoreAddress(f"http://127.0.0.1:{port}", "stockwatch", "stockwatch", password_file=folder / "clickhouse.password")

def life():
    made = EmbeddedClickHouse(folder, port, HealthRegistry(["clickhouse"]).reporter("clickhouse"), StoreProbe(address, []))
    made.start()
    made.ready()
    made.beat()
    return made

def put():  # without data of its own, whose file would be refused first
    store.command(
        "INSERT INTO ticks (source, symbol, at, price, day_volume, kafka_partition, kafka_offset)"
        " SELECT 'simulator', 'TCS.NS', 1764000000 + number, sipHash64(number), number, 0, number FROM numbers(40000)"
    )

engine, store = life(), Store(address)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # what a part's file has more than that is not written, and chDB says nothing
try:
    put()
    print("acknowledged", flush=True)
except StoreError as error:
    print(error, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    engine.beat()
    print("well", flush=True)
except ComponentFailedError as error:
    print(error, flush=True)
engine.stop()
engine = life()
put()
print(store.command("SELECT count() FROM ticks FINAL WHERE NOT ignore(*)"), flush=True)
store.close()
engine.stop()
"""


def test_what_the_engine_could_not_write_is_not_acknowledged_and_a_new_life_mends_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(tmp_path), str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    store = tmp_path / "clickhouse"
    assert done.stdout.splitlines() == [
        f"the disk under {store} is full: free some space, nothing is lost meanwhile",
        f"a write to the disk under {store} has failed: the store is opened again",
        "40000",
    ], done.stderr
