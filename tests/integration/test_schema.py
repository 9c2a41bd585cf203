"""Migrations on the real engine: applied once, safe to run again wherever they were cut, never past what is known."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from engine import Engine
from program import Program, free_port

from stockwatch.component import StoreAddress
from stockwatch.errors import StockwatchError, UnavailableError
from stockwatch.store import Store, schema
from stockwatch.tick import Tick

OLD = Path(__file__).with_name("store_version_1.sql")
_numbers = itertools.count()


class Cut(BaseException):
    """The end of a program between two statements."""


def address_of(engine: Engine, database: str, **others: Any) -> StoreAddress:
    password = engine.folder / "clickhouse.password"
    return StoreAddress(f"http://127.0.0.1:{engine.port}", database, "stockwatch", password_file=password, **others)


@pytest.fixture
def database() -> str:
    return f"d{next(_numbers)}"


@pytest.fixture
def stores() -> Iterator[list[Store]]:
    made: list[Store] = []
    yield made
    for store in made:
        store.close()


def shape(client: Client, database: str) -> list[tuple[str, str]]:
    """Every table with what would make it."""
    rows = client.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = {d:String} ORDER BY name", {"d": database}
    ).result_rows
    return [(name, query.replace(f"{database}.", "")) for name, query in rows]


def cut_after(client: Client, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's user ends after `count` changes: with the last one done and nothing after it."""
    left = itertools.count(count, -1)

    def counted(name: str) -> None:
        real = getattr(client, name)

        def run(statement: str, *arguments: Any, **named: Any) -> Any:
            change = name == "insert" or not statement.startswith("SELECT")
            if change and next(left) == 0:
                raise Cut
            return real(statement, *arguments, **named)

        monkeypatch.setattr(client, name, run)

    counted("command")
    counted("insert")


def test_a_migration_cut_after_any_statement_is_finished_by_the_next_start(engine: Engine) -> None:
    client = engine.client()
    schema.prepare(client, address_of(engine, "whole"))
    wanted = shape(client, "whole")
    versions = "SELECT version, name FROM {}.schema_versions FINAL ORDER BY version"
    for count in range(40):
        database = f"cut{count}"
        with pytest.MonkeyPatch.context() as monkeypatch:
            cut_after(client, count, monkeypatch)
            try:
                schema.prepare(client, address_of(engine, database))
                break
            except Cut:
                pass
        schema.prepare(client, address_of(engine, database))
        assert shape(client, database) == wanted, f"cut after {count} changes"
        assert client.query(versions.format(database)).result_rows == client.query(versions.format("whole")).result_rows
    assert count > len(schema.tables()) + 3  # database, versions, tables, their change, and both version numbers


def test_one_killed_with_its_store_is_finished_too(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "data", free_port())
    try:
        assert engine.said() == "running"
        client = engine.client()
        with pytest.MonkeyPatch.context() as monkeypatch:
            cut_after(client, 4, monkeypatch)
            with pytest.raises(Cut):
                schema.prepare(client, address_of(engine, "half"))
        engine.process.kill()
        engine.process.wait(10)
    finally:
        engine.end()
    engine = Engine(tmp_path / "data", free_port())
    try:
        assert engine.said() == "running"
        client = engine.client()
        assert 0 < len(shape(client, "half")) < len(schema.tables()) + 1
        schema.prepare(client, address_of(engine, "half"))
        assert shape(client, "half") == shape(client, "stockwatch")
    finally:
        engine.end()


def test_a_store_of_version_1_is_migrated_with_its_rows(engine: Engine, client: Client, stores: list[Store]) -> None:
    for statement in schema.statements(OLD.read_text()):
        client.command(statement)
    store = Store(address_of(engine, "old"))
    stores.append(store)
    before = client.query("SELECT * FROM old.ticks ORDER BY ALL").result_rows
    assert before, "the old store's rows are not in it: INSERT … VALUES was acknowledged and not carried out"
    store.prepare()
    store.prepare()
    assert client.query("SELECT * FROM old.ticks ORDER BY ALL").result_rows == before
    assert store.ticks("replay:class", "TCS.NS")["price"].tolist() == [100.5, 101.25]
    assert store.bars("replay:class", "TCS.NS")[["minutes", "volume"]].to_numpy().tolist() == [[1, 500]]
    assert store.latest_at("simulator", "TCS.NS") == 1_763_956_801_500
    assert store.command("SELECT value FROM dead_letters") == "rubbish"
    told = store.instrument("replay:class", "TCS.NS")
    assert told is not None
    assert (told.calendar, told.timezone, told.simulated, told.joins_late) == ("24/7", "Asia/Kolkata", False, False)
    newest = max(schema.migrations())
    assert int(str(store.command("SELECT count() FROM schema_versions"))) == newest  # each once
    schema.prepare(client, address_of(engine, "fresh"))
    assert shape(client, "old") == shape(client, "fresh")


def test_a_newer_store_is_refused_and_left_as_it_is(engine: Engine, client: Client, database: str) -> None:
    schema.prepare(client, address_of(engine, database))
    client.command(f"ALTER TABLE {database}.instruments ADD COLUMN colour String")
    client.insert("schema_versions", [[999, "colours"]], column_names=["version", "name"], database=database)
    before = shape(client, database)
    with pytest.raises(UnavailableError, match="made by a newer stockwatch; this one knows") as caught:
        schema.prepare(client, address_of(engine, database, retention_days=7))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    assert shape(client, database) == before


def test_the_program_ends_with_one_line_on_a_newer_store(program: Program) -> None:
    engine = Engine(program.data_dir, free_port())
    try:
        assert engine.said() == "running"
        row = [[999, "colours"]]
        engine.client().insert("schema_versions", row, column_names=["version", "name"], database="stockwatch")
    finally:
        engine.end()
    done = program.run("--no-browser")
    assert done.returncode == 1
    assert "999, was made by a newer stockwatch" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_many_that_migrate_at_once_come_to_one_schema(engine: Engine, client: Client, database: str) -> None:
    schema.prepare(client, address_of(engine, "reference"))
    together, failed = threading.Barrier(4), []

    def migrate() -> None:
        store = Store(address_of(engine, database))
        try:
            together.wait(10)
            store.prepare()
        except StockwatchError as error:
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert shape(client, database) == shape(client, "reference")
    assert client.command(f"SELECT count() FROM {database}.schema_versions FINAL") == max(schema.migrations())


def test_the_retention_changes_our_tables_and_nobody_elses(engine: Engine, client: Client, database: str) -> None:
    schema.prepare(client, address_of(engine, database))
    client.command(f"CREATE TABLE {database}.theirs (t DateTime) ENGINE = MergeTree ORDER BY t TTL t + INTERVAL 5 DAY")
    schema.prepare(client, address_of(engine, database, retention_days=7))
    kept = {name: query for name, query in shape(client, database) if " TTL " in query}
    assert set(kept) == {*schema.tables(), "theirs"} - {"instruments"}
    assert all("toIntervalDay(7)" in query for name, query in kept.items() if name != "theirs")
    assert "toIntervalDay(5)" in kept["theirs"]


def test_somebody_elses_table_is_not_taken_for_ours(engine: Engine, client: Client, database: str) -> None:
    client.command(f"CREATE DATABASE {database}")
    client.command(f"CREATE TABLE {database}.bars (name String, opens DateTime) ENGINE = MergeTree ORDER BY name")
    with pytest.raises(UnavailableError, match=f"{database} has a table bars that is not stockwatch's: choose another"):
        schema.prepare(client, address_of(engine, database))
    assert {name for name, _ in shape(client, database)} == {"bars", "schema_versions"}


def test_rows_come_back_as_they_went_in_after_a_second_start(engine: Engine, database: str, stores: list[Store]) -> None:
    store = Store(address_of(engine, database))
    stores.append(store)
    store.prepare()
    store.insert_ticks([(Tick("TCS.NS", 1_764_000_000_000, 2500.5, 7, "simulator"), 0, 1)])
    store.prepare()
    assert store.ticks("simulator", "TCS.NS")["price"].tolist() == [2500.5]
