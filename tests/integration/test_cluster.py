"""A cluster's statements by the engine's own parser, and what of them one engine can run: no server can be had here.

The engine of cluster_engine.py makes the Replicated and Distributed tables for real; it has no queue for ON CLUSTER, which is
left out, and its Keeper takes no inserts, so rows go through Distributed tables over plain ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_engine import ClusterEngine

from stockwatch.component import StoreAddress
from stockwatch.errors import StoreError, UnavailableError
from stockwatch.store import Store, schema
from stockwatch.tick import Bar, Tick

AT = 1_764_000_000_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterEngine]:
    made = ClusterEngine(tmp_path_factory.mktemp("cluster") / "data")
    yield made
    made.end()


def store_of(engine: ClusterEngine, database: str, *, cluster: str = "stock", replicated: bool = True) -> Store:
    """A store on the cluster, whose ON CLUSTER is taken out on its way, and its Keeper where rows are wanted."""
    store = Store(StoreAddress(engine.url, database, cluster=cluster))
    client = store._connect("")
    real = client.command
    asked: list[str] = []

    def command(statement: str, *arguments: Any, **named: Any) -> Any:
        asked.append(statement)
        assert (named.get("settings") == schema.ON_CLUSTER_SETTINGS) is ("ON CLUSTER" in statement)
        statement = re.sub(r"ON CLUSTER '\w+' ?", "", statement)
        if replicated and statement.startswith("ALTER"):  # that Keeper leaves the tables read-only
            return None
        if not replicated:
            statement = re.sub(r"Replicated(ReplacingMergeTree)\('[^']*', '[^']*', ", r"\1(", statement)
        return real(statement, *arguments, **named)

    client.command = command  # type: ignore[method-assign]
    if replicated:
        client.insert = lambda *_, **__: None  # type: ignore[method-assign, assignment, return-value]
    store.asked = asked  # type: ignore[attr-defined]
    return store


@pytest.mark.parametrize("name", ["", "stock"])
def test_the_engines_parser_takes_every_statement(cluster: ClusterEngine, name: str) -> None:
    client = cluster.client()
    names = schema.names_of(StoreAddress("http://h:8123", "prices", cluster=name))
    seen = 0
    for path in sorted((Path(schema.__file__).parents[1] / "sql").glob("*.sql")):
        for statement in schema.statements(path.read_text()):
            for one in schema.filled(statement, names):
                formatted = str(client.query("SELECT formatQuery({q:String})", {"q": one}).result_rows[0][0])
                assert bool(name) == ("ON CLUSTER stock" in formatted), formatted
                assert client.query(f"EXPLAIN AST {one}").result_rows
                seen += 1
    assert seen > len(schema.tables())


def test_the_engine_makes_replicated_and_distributed_tables(cluster: ClusterEngine) -> None:
    store = store_of(cluster, "made")
    store.prepare()
    assert store.asked[0] == "CREATE DATABASE IF NOT EXISTS made ON CLUSTER 'stock'"  # type: ignore[attr-defined]
    assert all("ON CLUSTER" in one for one in store.asked if not one.startswith("SELECT"))  # type: ignore[attr-defined]
    client = cluster.client()
    rows = client.query("SELECT name, engine, engine_full FROM system.tables WHERE database = 'made'").result_rows
    engines = {name: engine for name, engine, _full in rows}
    assert engines == {
        **dict.fromkeys(schema.tables(), "Distributed"),
        **{f"{name}_local": "ReplicatedReplacingMergeTree" for name in schema.tables()},
        "schema_versions": "ReplicatedReplacingMergeTree",
    }
    full = {name: text for name, _engine, text in rows}
    assert "'/clickhouse/tables/{shard}/made/ticks_local', '{replica}'" in full["ticks_local"]
    paths = client.query("SELECT table, zookeeper_path, replica_name FROM system.replicas WHERE database = 'made'").result_rows
    assert ("ticks_local", "/clickhouse/tables/01/made/ticks_local", "r1") in paths
    assert ("schema_versions", "/clickhouse/tables/all/made/schema_versions", "01-r1") in paths
    store.close()


@pytest.fixture(scope="module")
def spread(cluster: ClusterEngine) -> Iterator[Store]:
    store = store_of(cluster, "spread", replicated=False)
    store.prepare()
    yield store
    store.close()


def test_what_is_written_through_distributed_is_acknowledged_and_read_once(cluster: ClusterEngine, spread: Store) -> None:
    tick = Tick("TCS.NS", AT, 2500.5, 7, "simulator", currency="INR")
    others = [Tick(f"S{number}", AT + number, 1.0 + number, number, "simulator") for number in range(50)]
    spread.insert_ticks([(tick, 0, 1)])
    # not in the queue of the server that took it: there already for whoever asks the shard itself
    assert cluster.client().command("SELECT count() FROM spread.ticks_local") == 1
    told = "SELECT value FROM system.settings WHERE name = 'distributed_foreground_insert'"
    assert int(spread.command(told)) == 1  # as this client's inserts have it too; one shard alone cannot show the difference
    spread.insert_ticks([(tick, 0, 2), *((other, 0, 3) for other in others)])
    spread.insert_bars([(Bar("TCS.NS", AT, 1, 1, 3, 1, 2, 9, "simulator"), 0, 1)] * 2)
    spread.insert_dead_letters([("stock-prices", 0, 1, "no", b"", b"rubbish")] * 2)
    assert spread.command("SELECT count() FROM ticks FINAL") == 51
    assert spread.ticks("simulator", "TCS.NS")["price"].tolist() == [2500.5]
    assert len(spread.bars("simulator", "TCS.NS")) == 1
    assert spread.command("SELECT count() FROM dead_letters FINAL") == 1
    assert spread.latest_at("simulator", "TCS.NS") == AT + 60_000
    assert spread.symbols("simulator") == sorted(["TCS.NS", *(other.symbol for other in others)])
    assert spread.tick_counts("simulator")["TCS.NS"][0] == 1
    assert len(spread.latest_ticks("simulator", ["TCS.NS", "S3"])) == 2
    frames = list(spread.iter_ticks("simulator", None, None, None))
    assert sum(map(len, frames)) == 51


def test_a_symbol_is_on_the_shard_that_its_queries_ask(cluster: ClusterEngine) -> None:
    client = cluster.client()
    same = "SELECT cityHash64(toLowCardinality('simulator'), toLowCardinality('S3')) = cityHash64('simulator', 'S3')"
    assert client.command(same) == 1
    # 2: an error where the engine cannot tell from the condition which shard it needs
    settings = {"optimize_skip_unused_shards": 1, "force_optimize_skip_unused_shards": 2}
    asked = "SELECT count() FROM spread.ticks FINAL WHERE source = {source:String} AND symbol = {symbol:String}"
    assert client.query(asked, {"source": "simulator", "symbol": "S3"}, settings=settings).result_rows == [(1,)]


def test_a_change_of_retention_reaches_the_tables_that_hold_rows(spread: Store, cluster: ClusterEngine) -> None:
    client = spread._client_()
    spread.asked.clear()  # type: ignore[attr-defined]
    address = StoreAddress(cluster.url, "spread", cluster="stock", retention_days=7)
    schema.prepare(client, address)
    changed = [one for one in spread.asked if one.startswith("ALTER")]  # type: ignore[attr-defined]
    kept_for_a_time = sorted(set(schema.tables()) - {"instruments"})
    assert sorted(changed) == [
        f"ALTER TABLE {name}_local ON CLUSTER 'stock' MODIFY TTL toDateTime(ingested_at) + INTERVAL 7 DAY"
        for name in kept_for_a_time
    ]
    kept = "SELECT count() FROM system.tables WHERE database = 'spread' AND create_table_query LIKE '%toIntervalDay(7)%'"
    assert client.command(kept) == len(kept_for_a_time)


def test_a_start_that_finds_everything_made_asks_the_cluster_for_nothing(cluster: ClusterEngine) -> None:
    store = store_of(cluster, "spread", replicated=False)
    store.address = spread_address = StoreAddress(**{**vars(store.address), "retention_days": 7})
    store.prepare()
    assert spread_address.cluster
    assert [one for one in store.asked if "ON CLUSTER" in one] == []  # type: ignore[attr-defined]
    store.close()


def test_a_user_who_may_only_read_can_read(cluster: ClusterEngine, spread: Store) -> None:
    reader = Store(StoreAddress(cluster.url, "spread", "reader", "x", cluster="stock"))
    before = reader.symbols("simulator")
    assert reader.latest_ticks("simulator", before[:1])["symbol"].tolist() == before[:1]
    with pytest.raises(StoreError, match="readonly"):
        reader.insert_ticks([(Tick("NEW", AT, 1.0, 1, "simulator"), 0, 1)])
    assert reader.symbols("simulator") == before
    reader.close()


def test_one_kind_is_not_taken_for_the_other(cluster: ClusterEngine, spread: Store) -> None:
    alone = store_of(cluster, "spread", cluster="")
    with pytest.raises(UnavailableError, match=r"was made for a cluster: set clickhouse\.cluster"):
        alone.prepare()
    alone.close()
    schema.prepare(cluster.client(), StoreAddress(cluster.url, "single"))
    single = store_of(cluster, "single")
    with pytest.raises(UnavailableError, match="was made without a cluster: choose another"):
        single.prepare()
    single.close()


def test_a_cluster_that_the_server_does_not_know_is_said_in_one_line(cluster: ClusterEngine) -> None:
    store = store_of(cluster, "nowhere", cluster="other")
    with pytest.raises(UnavailableError, match="Requested cluster 'other' not found") as caught:
        store.prepare()
    assert "\n" not in str(caught.value)
    store.close()


def test_servers_without_macros_are_said_in_one_line(tmp_path: Path) -> None:
    engine = ClusterEngine(tmp_path / "data", "")
    try:
        store = store_of(engine, "bare")
        with pytest.raises(UnavailableError, match="No macro 'shard' in config"):
            store.prepare()
        store.close()
    finally:
        engine.end()


def test_an_engine_without_the_queue_refuses_on_cluster_itself(cluster: ClusterEngine) -> None:
    """What the tests leave out does reach the engine in the product: its own refusal is proof that it was asked."""
    store = Store(StoreAddress(cluster.url, "asked", cluster="stock"))
    with pytest.raises(StoreError, match="Replicated DDL queries are disabled"):
        store.prepare()
    store.close()
