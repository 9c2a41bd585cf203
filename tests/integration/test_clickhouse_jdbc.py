"""ClickHouse's own JDBC driver, as DBeaver and Power BI's bridge use it, reads the table `ticks` as the reader."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime

import pytest
from clickhouse_connect.driver.client import Client
from engine import Engine
from maven import jars
from program import ROOT

DRIVER = "com.clickhouse:clickhouse-jdbc:0.9.4:all"


@pytest.fixture(scope="module")
def ticks(client: Client) -> None:
    at = datetime(2026, 11, 24, 9, 15, 0, 250_000, tzinfo=UTC)
    client.insert(
        "stockwatch.ticks",
        [["yahoo", "IT'S\\A", at, 2500.1, 1234567, None, 0, 0], ["yahoo", "OTHER", at, 1.0, 1, 0.5, 0, 1]],
        column_names=["source", "symbol", "at", "price", "day_volume", "bid", "kafka_partition", "kafka_offset"],
    )


@pytest.mark.timeout(240)  # the first time, Maven fetches the driver
@pytest.mark.usefixtures("ticks")
def test_the_jdbc_driver_reads_ticks_as_the_reader(engine: Engine) -> None:
    """As it is set by default: answers in ClickHouse's own compressed blocks, whose checksums it verifies."""
    command = ["java", "-cp", os.pathsep.join(map(str, jars(DRIVER))), str(ROOT / "tests" / "ReadTicks.java")]
    where = [f"jdbc:clickhouse://127.0.0.1:{engine.port}/stockwatch", "reader", engine.password("clickhouse.reader.password")]
    done = subprocess.run([*command, *where], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert said["version"].startswith("26.9")
    assert said["user"] == "reader"
    assert said["columns"].split()[:3] == ["source", "symbol", "at"]
    assert said["table"] == "ticks"
    assert said["row"] == "IT'S\\A 2026-11-24T09:15:00.250Z 2500.1 1234567 null"
    assert said["sum"] == str(sum(range(300_000)))
    assert "Code: 60. DB::Exception" in said["error"]
    assert "Code: 164. DB::Exception" in said["refused"]
