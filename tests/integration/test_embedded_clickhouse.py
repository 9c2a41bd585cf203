"""The life of the embedded store: stopped and started again, killed in the middle of inserts, locked by another process."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from engine import Engine
from program import free_port, until
from urllib3.exceptions import HTTPError

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
