"""The schema: numbered migrations from sql/NNN_name.sql, each applied once, and the tables' retention."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from clickhouse_connect.driver.client import Client

from stockwatch.component import StoreAddress
from stockwatch.errors import UnavailableError


def prepare(client: Client, address: StoreAddress) -> None:
    """Make the database, apply what is not applied yet, keep the retention. Raises UnavailableError for a newer schema."""
    names = _names(address)
    client.command(_filled(f"CREATE DATABASE IF NOT EXISTS {address.database} {{on_cluster}}", names))
    client.database = address.database
    client.command(
        _filled(
            "CREATE TABLE IF NOT EXISTS schema_versions {on_cluster} (version UInt32, name String,"
            " ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')) ENGINE = {replacing} ORDER BY version",
            names,
        )
    )
    applied = int(str(client.command("SELECT max(version) FROM schema_versions") or 0))
    known = migrations()
    if applied > max(known):
        raise UnavailableError(f"the store's schema, {applied}, was made by a newer stockwatch; this one knows {max(known)}")
    for version, (name, text) in sorted(known.items()):
        if version > applied:
            for statement in statements(text):
                client.command(_filled(statement, names))
            client.insert("schema_versions", [[version, name]], column_names=["version", "name"])
    _keep_retention(client, names)


def _keep_retention(client: Client, names: dict[str, str]) -> None:
    """A changed retention_days changes the tables' TTL."""
    days = names["retention_days"]
    tables = client.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    for name, definition in tables.result_rows:
        if " TTL " in definition and f"toIntervalDay({days})" not in definition:
            change = f"ALTER TABLE {name} {{on_cluster}} MODIFY TTL toDateTime(ingested_at) + INTERVAL {days} DAY"
            client.command(_filled(change, names))


def _names(address: StoreAddress) -> dict[str, str]:
    engine = "ReplicatedReplacingMergeTree" if address.cluster else "ReplacingMergeTree"
    return {
        "on_cluster": f"ON CLUSTER '{address.cluster}'" if address.cluster else "",
        "replacing": f"{engine}(ingested_at)",
        "retention_days": str(address.retention_days),
    }


@cache
def migrations() -> dict[int, tuple[str, str]]:
    """Number → (name, text) of sql/NNN_name.sql."""
    found = {}
    for entry in files("stockwatch").joinpath("sql").iterdir():
        if match := re.fullmatch(r"(\d{3})_(\w+)\.sql", entry.name):
            found[int(match[1])] = (match[2], entry.read_text(encoding="utf-8"))
    return found


def statements(text: str) -> list[str]:
    """A migration's statements, without comments; the store takes one at a time."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]


def _filled(statement: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        statement = statement.replace(f"{{{name}}}", value)
    return statement
