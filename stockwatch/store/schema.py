"""The schema: numbered migrations from sql/NNN_name.sql, each applied once, and the tables' retention.

The same files make one server's tables and a cluster's: there `NAME_local` holds the rows of a shard and of its replicas, and
`NAME` is Distributed over them, so that queries and inserts name the same tables everywhere. Every statement is safe to run
again and the version is written last, so a start that was killed half-way, or two at once, come to the same schema.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from clickhouse_connect.driver.client import Client

from stockwatch.component import StoreAddress
from stockwatch.errors import UnavailableError

LOCAL = "_local"
# A server of the cluster that is away does not hold the schema up: what it missed waits for it in the cluster's own queue.
ON_CLUSTER_SETTINGS = {"distributed_ddl_task_timeout": 3, "distributed_ddl_output_mode": "null_status_on_timeout"}
# An insert is acknowledged by the shards, not by the queue of the server that took it; a query asks only the shard it needs.
CLUSTER_SETTINGS = {"distributed_foreground_insert": 1, "optimize_skip_unused_shards": 1}


def settle(client: Client, address: StoreAddress) -> None:
    """Give a cluster's client its settings. A user who may only read (readonly = 1) may set none, and inserts nothing either."""
    mode = client.server_settings.get("readonly")
    if address.cluster and (mode is None or mode.value != "1"):
        for name, value in CLUSTER_SETTINGS.items():
            client.set_client_setting(name, value)


def prepare(client: Client, address: StoreAddress) -> None:
    """Make the database, apply what is not applied yet, keep the retention. Leaves the client in the database.

    Raises UnavailableError for a newer schema, and for a database whose tables are of another kind or not stockwatch's.
    """
    names = names_of(address)
    database = address.database
    if not client.query("SELECT name FROM system.databases WHERE name = {name:String}", {"name": database}).result_rows:
        _run(client, f"CREATE DATABASE IF NOT EXISTS {database} {names['on_cluster']}", names)
    client.database = database
    present = _tables(client)
    _refuse_another_kind(present, address)
    _apply(client, _text("schema_versions"), names, set(present))
    applied = int(str(client.command("SELECT max(version) FROM schema_versions") or 0))
    known = migrations()
    if applied > max(known):
        raise UnavailableError(f"the store's schema, {applied}, was made by a newer stockwatch; this one knows {max(known)}")
    if applied < max(known):
        _refuse_a_stranger(client, database)
    for version, (name, text) in sorted(known.items()):
        if version > applied:
            _apply(client, text, names, set(present))
            client.insert("schema_versions", [[version, name]], column_names=["version", "name"])
    _keep_retention(client, names)


def _tables(client: Client) -> dict[str, str]:
    """Name → engine."""
    rows = client.query("SELECT name, engine FROM system.tables WHERE database = currentDatabase()").result_rows
    return {str(name): str(engine) for name, engine in rows}


def _refuse_another_kind(present: dict[str, str], address: StoreAddress) -> None:
    """One server's tables are no cluster's, and the other way round; either would go on without a word and spread nothing."""
    where = f"the database {address.database} at {address.url}"
    spread = any(present.get(name) == "Distributed" or name + LOCAL in present for name in tables())
    if spread and not address.cluster:
        raise UnavailableError(f"{where} was made for a cluster: set clickhouse.cluster, or choose another clickhouse.database")
    if address.cluster and any(present.get(name, "Distributed") != "Distributed" for name in tables()):
        raise UnavailableError(f"{where} was made without a cluster: choose another clickhouse.database for it")


def _refuse_a_stranger(client: Client, database: str) -> None:
    """A table of ours always has `ingested_at`; half a migration of ours may be there, somebody else's table may not."""
    rows = client.query(
        "SELECT table FROM system.columns WHERE database = currentDatabase() AND table IN {tables:Array(String)}"
        " GROUP BY table HAVING countIf(name = 'ingested_at') = 0 ORDER BY table",
        {"tables": [*tables(), *(name + LOCAL for name in tables())]},
    ).result_rows
    if rows:
        raise UnavailableError(
            f"the database {database} has a table {rows[0][0]} that is not stockwatch's: choose another clickhouse.database"
        )


def _apply(client: Client, text: str, names: dict[str, str], present: set[str]) -> None:
    """Run a migration's statements. A table that is there already was made before, on all servers of the cluster."""
    for statement in statements(text):
        for one in filled(statement, names):
            made = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", one)
            if not made or made[1] not in present:
                _run(client, one, names)


def _run(client: Client, statement: str, names: dict[str, str]) -> None:
    """Run what filled() gave."""
    client.command(statement, settings=ON_CLUSTER_SETTINGS if names["on_cluster"] else None)


def _keep_retention(client: Client, names: dict[str, str]) -> None:
    """A changed retention_days changes the TTL of the tables that hold rows. Other people's tables are left alone."""
    days = names["retention_days"]
    ours = {name + names["local"] for name in tables()}
    made = client.query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
    for name, definition in made.result_rows:
        if name in ours and " TTL " in definition and f"toIntervalDay({days})" not in definition:
            where = names["on_cluster"]
            _run(client, f"ALTER TABLE {name} {where} MODIFY TTL toDateTime(ingested_at) + INTERVAL {days} DAY", names)


def names_of(address: StoreAddress) -> dict[str, str]:
    """What the names in braces stand for. On a cluster {shard}, {replica}, {database} and {table} are the servers' own macros.

    The path in Keeper says shard and table, not a random id: a server that joins later becomes a replica of the same table.
    """
    shared = {"database": address.database, "cluster": address.cluster, "retention_days": str(address.retention_days)}
    if not address.cluster:
        plain = "ReplacingMergeTree(ingested_at)"
        return {**shared, "on_cluster": "", "local": "", "replacing": plain, "replacing_everywhere": plain}
    engine = "ReplicatedReplacingMergeTree('/clickhouse/tables/{}/{{database}}/{{table}}', '{}', ingested_at)"
    return {
        **shared,
        "on_cluster": f"ON CLUSTER '{address.cluster}'",
        "local": LOCAL,
        "replacing": engine.format("{shard}", "{replica}"),
        "replacing_everywhere": engine.format("all", "{shard}-{replica}"),
    }


def filled(statement: str, names: dict[str, str]) -> list[str]:
    """A statement for this kind of store: none, or one; two where both the local and the Distributed table need it ({each}).

    KeyError for a name in braces that nobody knows.
    """
    only, marked = "{cluster_only}", "{each}"
    if statement.startswith(only):
        if not names["on_cluster"]:
            return []
        statement = statement.removeprefix(only).lstrip()
    sides = ([names["local"], ""] if names["local"] else [""]) if marked in statement else [""]
    return [re.sub(r"\{(\w+)\}", lambda found: names[found[1]], statement.replace(marked, side)) for side in sides]


@cache
def tables() -> tuple[str, ...]:
    """The tables that the migrations make, by the names that queries use."""
    texts = "\n".join(text for _name, text in migrations().values())
    return tuple(re.findall(r"^CREATE TABLE IF NOT EXISTS (\w+)\{local\}", texts, re.MULTILINE))


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


def _text(name: str) -> str:
    return files("stockwatch").joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")
