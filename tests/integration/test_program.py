"""The whole program: start, look, export, stop. Nothing is left and nothing is said twice."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import psutil
import pytest
from program import Program, until

pytestmark = pytest.mark.timeout(120)  # each wait has a shorter end of its own; together they may pass a minute


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_starts_everything_and_ends_in_order(program: Program, number: signal.Signals) -> None:
    program.start()
    health = program.health()
    assert [part["name"] for part in health["components"]] == ["kafka", "clickhouse", "producer", "consumer", "dashboard"]
    assert health["source"] == "simulator"
    children = program.children()
    lines = [" ".join(child.cmdline()) for child in children]
    assert any("tansu" in line for line in lines)
    assert any("streamlit" in line for line in lines)
    until(lambda: "SIMULATED" in program.console(), 5, "the start's last line, said after it is healthy")
    assert program.stop(number) == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in program.console()


def test_what_it_writes_is_for_its_user_alone(program: Program) -> None:
    program.start()
    assert stat.S_IMODE(program.data_dir.stat().st_mode) == 0o700
    for name in ("clickhouse.password", "clickhouse.reader.password", "dashboard.json", "stockwatch.log", "lock"):
        assert stat.S_IMODE((program.data_dir / name).stat().st_mode) == 0o600, name
    secret = (program.data_dir / "clickhouse.password").read_text().strip()
    told = program.console() + (program.data_dir / "stockwatch.log").read_text() + json.dumps(program.health())
    told += " ".join(" ".join(child.cmdline()) for child in program.children())
    assert len(secret) > 20
    assert secret not in told


def test_a_second_start_is_refused_and_the_instance_can_be_asked_and_exported(program: Program, tmp_path: Path) -> None:
    program.start()
    second = program.run("--no-browser")
    assert second.returncode == 3
    assert second.stderr.startswith(f"stockwatch: already running at {program.health()['dashboard_url']}")
    assert second.stderr.count("\n") == 1
    status = program.run("status")
    assert status.returncode == 0
    assert "consumer" in status.stdout
    command = next(line for line in status.stdout.splitlines() if line.startswith("  curl "))  # how other tools connect
    asked = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=True)
    assert "ticks" in asked.stdout.split()
    assert json.loads(program.run("status", "--json").stdout)["state"] == "running"
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 500, 20, "the history is stored")
    out = tmp_path / "candles.csv"
    exported = program.run("export", "--symbol", "RELIANCE.NS", "--format", "csv", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert len(rows) >= 50
    assert {row["simulated"] for row in rows} == {"True"}
    assert rows[0]["time_utc"].endswith("+00:00")
    assert rows[0]["time_exchange"].endswith("+05:30")
    assert not list(tmp_path.glob(".*.part"))


def test_without_an_instance_status_says_so_and_export_opens_the_store_itself(program: Program, tmp_path: Path) -> None:
    out = tmp_path / "ticks.csv"
    nothing = program.run("export", "--symbol", "AAPL", "--what", "ticks", "--format", "csv", "--out", str(out))
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 500, 20, "the history is stored")
    program.stop()
    status = program.run("status")
    assert (status.returncode, status.stderr.count("\n")) == (3, 1)
    exported = program.run("export", "--symbol", "AAPL", "--what", "ticks", "--format", "csv", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    assert len(list(csv.DictReader(out.read_text().splitlines()))) > 1
    assert "SIMULATED" in exported.stdout


def test_a_second_life_goes_on_with_the_same_store(program: Program) -> None:
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 500, 20, "the history is stored")
    before = int(str(program.store().command("SELECT count() FROM bars FINAL")))
    program.stop()
    program.start()
    until(lambda: program.component("consumer")["metrics"].get("rows", 0) > 500, 20, "the history is published again")
    client = program.store()
    assert int(str(client.command("SELECT count() FROM bars FINAL"))) >= before
    twice = "SELECT count() FROM (SELECT source, symbol, minutes, start FROM bars FINAL GROUP BY ALL HAVING count() > 1)"
    assert int(str(client.command(twice))) == 0


def test_a_bad_message_goes_to_the_dead_letters_and_the_stream_goes_on(program: Program) -> None:
    from kafka import KafkaConsumer, KafkaProducer

    program.start()
    broker = program.health()["kafka"]
    producer = KafkaProducer(bootstrap_servers=broker)
    good = {"symbol": "TEST", "at": 1_764_000_000_000, "price": 5.0, "day_volume": 1, "source": "simulator"}
    bad = [b"rubbish", b"", json.dumps({**good, "price": -1}).encode(), b"\xff\xfe\x00", json.dumps({**good, "at": 5}).encode()]
    for value in [*bad, json.dumps(good).encode()]:
        producer.send("stock-prices", value=value, key=b"TEST")
    producer.flush(10)
    producer.close()
    client = program.store()
    until(
        lambda: int(str(client.command("SELECT count() FROM dead_letters FINAL"))) == len(bad),
        20,
        "five dead letters in the table",
    )
    until(
        lambda: int(str(client.command("SELECT count() FROM ticks WHERE symbol = 'TEST'"))) == 1, 20, "the good one in the table"
    )
    reasons = client.query("SELECT reason, topic, kafka_offset FROM dead_letters FINAL").result_rows
    assert {topic for _reason, topic, _offset in reasons} == {"stock-prices"}
    assert any("> 0.0 - at `$.price`" in reason for reason, _topic, _offset in reasons)
    letters = KafkaConsumer("stock-prices.dead-letter", bootstrap_servers=broker, group_id=None, auto_offset_reset="earliest")
    found: list[dict[str, str]] = []

    def read() -> bool:
        for records in letters.poll(timeout_ms=500).values():
            found.extend({name: value.decode() for name, value in record.headers} for record in records)
        return len(found) >= len(bad)

    until(read, 20, "five dead letters on the topic")
    letters.close()
    assert all({"reason", "topic", "partition", "offset"} <= set(headers) for headers in found)
    assert program.component("consumer")["state"] == "running"
    assert program.component("consumer")["metrics"]["dead_letters"] == len(bad)


def test_ports_that_are_taken(program: Program) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program.write(dashboard={"port": port})
        refused = program.run("--no-browser")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert f"port {port}" in refused.stderr
        assert "dashboard.port" in refused.stderr


def test_only_needs_addresses_for_what_it_leaves_out(program: Program) -> None:
    for only, said in (("producer", "kafka.bootstrap_servers"), ("dashboard", "clickhouse.url"), ("nonsense", "no component")):
        refused = program.run("--only", only)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert said in refused.stderr
    assert not program.data_dir.exists()


def test_a_wrong_address_says_so_within_ten_seconds(program: Program) -> None:
    program.write(kafka={"bootstrap_servers": "127.0.0.1:9"}, clickhouse={"url": "http://user:hidden-word@127.0.0.1:9"})
    for only in ("kafka", "clickhouse"):
        refused = program.run("--no-browser", "--only", only, timeout=20)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert "127.0.0.1:9" in refused.stderr or "ClickHouse cannot be reached" in refused.stderr
        assert "hidden-word" not in refused.stderr + refused.stdout


def test_parts_in_processes_of_their_own_work_over_addresses(program: Program, tmp_path: Path) -> None:
    """One program has the engines; a second one consumes and shows, a third produces: the same code by address."""
    program.start("--only", "kafka,clickhouse")
    health = program.health()
    password = (program.data_dir / "clickhouse.password").read_text().strip()
    other = Program(tmp_path / "other")
    os.environ["STOCKWATCH_CLICKHOUSE__URL"] = health["clickhouse_url"].replace("//", f"//stockwatch:{password}@")
    os.environ["STOCKWATCH_KAFKA__BOOTSTRAP_SERVERS"] = health["kafka"]
    try:
        other.start("--only", "producer,consumer,dashboard")
        assert [part["name"] for part in other.health()["components"]] == ["producer", "consumer", "dashboard"]
        client = program.store()
        until(lambda: int(str(client.command("SELECT count() FROM bars"))) > 400, 30, "bars in the first one's store")
        assert other.stop() == 0
    finally:
        del os.environ["STOCKWATCH_CLICKHOUSE__URL"], os.environ["STOCKWATCH_KAFKA__BOOTSTRAP_SERVERS"]
        other.kill()
