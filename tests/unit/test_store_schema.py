"""The same .sql files make one server's tables and a cluster's: checked here as text, by the engine in test_schema.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from stockwatch.component import StoreAddress
from stockwatch.errors import UsageError
from stockwatch.settings import load
from stockwatch.store import schema

ALONE = schema.names_of(StoreAddress("http://h:8123", "prices", retention_days=7))
CLUSTER = schema.names_of(StoreAddress("http://h:8123", "prices", cluster="stock-1", retention_days=7))
TEXTS = [path.read_text() for path in sorted(Path(str(files("stockwatch"))).joinpath("sql").glob("*.sql"))]


def all_of(names: dict[str, str]) -> Iterator[str]:
    for text in TEXTS:
        for statement in schema.statements(text):
            yield from schema.filled(statement, names)


def made(names: dict[str, str]) -> dict[str, str]:
    """Table → the whole statement that makes it."""
    found = ((re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", one), one) for one in all_of(names))
    return {match[1]: one for match, one in found if match}


def test_one_server_knows_nothing_of_clusters() -> None:
    assert set(made(ALONE)) == {*schema.tables(), "schema_versions"}
    for statement in all_of(ALONE):
        assert not re.search(r"CLUSTER|Replicated|Distributed|_local|[{}]", statement), statement


def test_every_statement_reaches_all_servers_of_a_cluster() -> None:
    for statement in all_of(CLUSTER):
        assert re.match(r"(CREATE TABLE IF NOT EXISTS|ALTER TABLE) \w+ ON CLUSTER 'stock-1'\s", statement), statement


def test_a_cluster_has_rows_in_replicated_tables_and_distributed_ones_by_the_plain_names() -> None:
    tables = made(CLUSTER)
    assert set(tables) == {*schema.tables(), *(name + "_local" for name in schema.tables()), "schema_versions"}
    replicated = (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', ingested_at)"
    )
    for name in schema.tables():
        assert replicated in tables[f"{name}_local"]
        assert f"AS prices.{name}_local" in tables[name]
        assert f"Distributed('stock-1', 'prices', '{name}_local', cityHash64(" in tables[name]
    # which migrations were applied is the same on all servers, whichever shard they are of
    assert "/tables/all/{database}/{table}', '{shard}-{replica}'" in tables["schema_versions"]


def test_rows_of_one_identity_meet_on_one_shard() -> None:
    tables = made(CLUSTER)
    for name in schema.tables():
        spread = re.search(r"cityHash64\(([^)]*)\)\)", tables[name])
        identity = re.search(r"ORDER BY \((.*)\)", tables[f"{name}_local"])
        assert spread
        assert identity
        assert set(spread[1].split(", ")) <= set(identity[1].split(", ")), name


def test_a_change_of_columns_reaches_the_rows_first_and_then_what_spreads_them() -> None:
    changed = [re.match(r"ALTER TABLE (\w+)", one) for one in all_of(CLUSTER) if one.startswith("ALTER")]
    assert [match[1] for match in changed if match] == ["instruments_local", "instruments"]
    assert len([one for one in all_of(ALONE) if one.startswith("ALTER")]) == 1


def test_every_statement_is_safe_to_run_again() -> None:
    for statement in [*all_of(ALONE), *all_of(CLUSTER)]:
        changes = statement.count("ADD COLUMN")
        assert statement.startswith("CREATE TABLE IF NOT EXISTS") or changes == statement.count("ADD COLUMN IF NOT EXISTS") > 0


def test_the_tables_are_those_that_queries_name() -> None:
    assert {"ticks", "bars", "dead_letters", "instruments"} <= set(schema.tables())


def test_migrations_are_numbered_without_a_gap() -> None:
    assert sorted(schema.migrations()) == list(range(1, len(schema.migrations()) + 1))


def test_a_name_in_braces_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="claster"):
        schema.filled("CREATE TABLE IF NOT EXISTS t {claster}", ALONE)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"cluster": "a b", "url": "http://h:8123"}, "clickhouse.cluster"),
        ({"cluster": "x'; DROP TABLE ticks", "url": "http://h:8123"}, "clickhouse.cluster"),
        ({"cluster": "stock"}, "clickhouse.cluster is set, so clickhouse.url must be the address"),
        ({"cluster": "stock", "url": "http://h:port"}, "its port is no number"),
    ],
)
def test_a_cluster_that_cannot_be_is_a_setting_error(tmp_path: Path, section: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        load(tmp_path / "settings.toml", {"clickhouse": section})


def test_no_message_shows_half_of_a_password(tmp_path: Path) -> None:
    for section, url in (("clickhouse", {"url": "http://u:hid/den@h:1"}), ("cache", {"redis_url": "redis://u:hid/den@h"})):
        with pytest.raises(UsageError) as caught:
            load(tmp_path / "settings.toml", {section: url})
        assert "hid" not in str(caught.value).replace("hidden", "")
        assert "den@" not in str(caught.value)
