"""What other people's tools ask as the read-only user is answered; and the guard's lists are those of this engine."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import httpx
import pytest
from clickhouse_connect.driver.client import Client

from stockwatch.engines import clickhouse_guard_lists as lists

# As they ask: clickhouse-connect, the JDBC driver and DBeaver, Grafana's data source, Power BI and Tableau by ODBC, and people.
TOOLS = [
    "SELECT version(), timezone()",
    "SELECT name, value, readonly AS readonly FROM system.settings LIMIT 10000",
    "SELECT currentUser(), timezone(), version() FORMAT JSONCompact",
    "SELECT name FROM system.databases WHERE name NOT IN ('system', 'INFORMATION_SCHEMA') ORDER BY name",
    "SELECT database, name, engine, total_rows, comment FROM system.tables WHERE database = 'stockwatch'",
    "SELECT * FROM system.columns WHERE database = 'stockwatch' AND table = 'ticks'",
    "SELECT name, type FROM system.columns WHERE database = 'stockwatch' AND table = 'ticks' ORDER BY position",
    "SELECT table_name, column_name FROM INFORMATION_SCHEMA.COLUMNS WHERE table_schema = 'stockwatch'",
    "SELECT name, is_aggregate FROM system.functions",
    "SELECT name FROM system.data_type_families",
    "SELECT * FROM system.table_engines",
    "SHOW DATABASES",
    "SHOW TABLES",
    "SHOW TABLES FROM stockwatch LIKE '%tick%'",
    "SHOW FULL COLUMNS FROM ticks FROM stockwatch",
    "SHOW CREATE TABLE stockwatch.ticks",
    "SHOW CREATE DATABASE `stockwatch`",
    "SHOW INDEX FROM ticks FROM stockwatch",
    "SHOW FUNCTIONS LIKE 'plus'",
    "SHOW SETTINGS LIKE 'max_threads'",
    "SHOW ENGINES",
    "SHOW GRANTS",
    "EXISTS TABLE stockwatch.ticks",
    "EXISTS DATABASE stockwatch",
    "DESCRIBE TABLE stockwatch.ticks",
    "DESC stockwatch.ticks SETTINGS describe_compact_output = 1",
    "DESCRIBE (SELECT 1 AS a)",
    "EXPLAIN SELECT count() FROM stockwatch.ticks",
    "EXPLAIN indexes = 1 SELECT count() FROM stockwatch.ticks",
    "EXPLAIN SYNTAX SELECT 1",
    "EXPLAIN PIPELINE SELECT 1",
    "/* ApplicationName=DBeaver 25.3 */ SELECT t.* FROM stockwatch.ticks t LIMIT 200",
    "SELECT $__x FROM (SELECT 1 AS `$__x`)".replace("SELECT $__x", "SELECT `$__x`"),
    "SELECT toStartOfInterval(at, INTERVAL 60 second) AS time, avg(price) FROM stockwatch.ticks WHERE at >= toDateTime64(1, 3)"
    " AND at <= now64(3) GROUP BY time ORDER BY time WITH FILL STEP 60",
    "SELECT symbol, argMax(price, at) FROM stockwatch.ticks FINAL GROUP BY symbol WITH TOTALS SETTINGS max_threads = 2",
    "WITH x AS (SELECT 1 AS a) SELECT * FROM x AS l LEFT JOIN x AS r USING (a)",
    "SELECT * EXCEPT (b) REPLACE (a + 1 AS a) APPLY(toString) FROM (SELECT 1 AS a, 2 AS b)",
    "SELECT sum(price) OVER w FROM stockwatch.ticks WINDOW w AS (PARTITION BY symbol ORDER BY at)",
    "SELECT symbol IN ('AAPL', 'TCS.NS'), symbol IN (SELECT symbol FROM stockwatch.bars) FROM stockwatch.ticks",
    "SELECT CAST(1 AS Decimal(10, 2)), 1::UInt8, [1, 2][1], (1, 'a').2, CASE WHEN 1 THEN 2 ELSE 3 END, {p:String}, 'file(1); x'",
    "SELECT number FROM numbers(10) UNION ALL SELECT * FROM generateSeries(1, 3) INTERSECT SELECT 1",
    "SELECT count() FROM stockwatch.ticks SETTINGS max_execution_time = 30, max_memory_usage = 100000000",
    "SELECT getSetting('max_threads'), hostName(), currentDatabase(), uptime()",
    "SELECT 1; ",
    "select 1 -- done",
]


@pytest.mark.parametrize("sql", TOOLS, ids=lambda value: value[:60])
def test_a_tool_is_answered(client: Client, reader: httpx.Client, sql: str) -> None:
    answer = reader.post("/", content=sql, params={"database": "stockwatch", "param_p": "x"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "values",
    [
        "(1, 'x')",
        "(1, 'x'), (2, 'it''s; file(1) \\' -- x')",
        " (1, 'x') (2, 'y')",
        "(-1, NULL)",
        "(1 + 1, upper('x'))",
        "(toInt64(3), concat('a', 'b')),\n(4, 'y');",
    ],
)
@pytest.mark.parametrize(
    "head",
    [
        "INSERT INTO {t} VALUES",
        "insert into {t} (`a`, s)\nvalues ",
        "/* by a tool */ INSERT INTO {t} (a, s) SETTINGS async_insert = 0 VALUES",
    ],
)
def test_values_are_inserted(http: httpx.Client, table: str, head: str, values: str) -> None:
    answer = http.post("/", content=head.format(t=table) + values)
    assert answer.status_code == 200, answer.text
    rows = http.post("/", content=f"SELECT count() FROM {table}").text
    assert int(rows) == len(re.findall(r"(?:^|[\s,])\((?=-?\d|toInt64)", values))


def test_every_table_function_of_the_engine_is_judged(http: httpx.Client) -> None:
    known = lists.TABLE_FUNCTIONS | lists.REFUSED_TABLE_FUNCTIONS | {"format", "fuzzquery"}
    asked = http.post("/", content="SELECT lower(name) FROM system.table_functions").text.split()
    assert set(asked) <= known, "a new engine brings table functions: look at each, and put it into one of the lists"
    assert not lists.TABLE_FUNCTIONS & lists.REFUSED_TABLE_FUNCTIONS


def test_the_functions_and_settings_are_those_that_were_looked_at(http: httpx.Client) -> None:
    """A new engine brings new ones; look at them (does one reach out?), then write the new sums down here."""
    sums = {}
    for kind in ("functions", "settings"):
        names = sorted(http.post("/", content=f"SELECT DISTINCT name FROM system.{kind}").text.split())
        sums[kind] = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
    assert sums == {"functions": "f43fda5cc988639f", "settings": "51f810935a17f4a1"}


def test_what_is_refused_is_of_this_engine(http: httpx.Client) -> None:
    tables = set(http.post("/", content="SELECT name FROM system.tables WHERE database = 'system'").text.split())
    assert tables >= lists.SYSTEM_TABLES
    settings = http.post("/", content="SELECT name FROM system.settings").text.split()
    assert {name for name in settings if lists.SETTINGS_REFUSED.match(name)} >= {
        "dialect", "format_schema", "format_template_row", "additional_result_filter", "additional_table_filters", "filter", "select",
    }  # fmt: skip
    assert set(lists.READER_LIMITS) <= set(settings)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("dialect", "prql", "452"),
        ("additional_result_filter", "file('{f}') != ''", "452"),
        ("additional_table_filters", "{'system.one': 'file(\\'{f}\\')'}", "452"),
        ("format_template_resultset", "{f}", "452"),
        ("format_schema", "{f}:x", "452"),
        ("filter", "1", "452"),
        ("format_avro_schema_registry_url", "http://127.0.0.1:9/", "452"),
        ("allow_introspection_functions", "1", "452"),
        ("no_such_setting", "1", "115"),
        ("x; DROP TABLE y", "1", "115"),
    ],
)
@pytest.mark.parametrize("user", ["reader", "http"])
def test_no_setting_of_the_address_reaches_out(
    request: pytest.FixtureRequest, tmp_path: Path, user: str, name: str, value: str, code: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell\n")
    answer = request.getfixturevalue(user).post("/", content="SELECT 1", params={name: value.replace("{f}", str(secret))})
    assert "do not tell" not in answer.text
    assert answer.headers["X-ClickHouse-Exception-Code"] == code


@pytest.mark.parametrize(
    "setting",
    ["readonly=0", "max_execution_time=0", "max_execution_time=61", "max_memory_usage=0", "max_threads=64", "workload=x"],
)
def test_the_reader_cannot_raise_its_bounds(reader: httpx.Client, setting: str) -> None:
    answer = reader.post(f"/?{setting}", content="SELECT 1")
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("452", "164")


def test_the_reader_has_bounds_and_may_lower_them(reader: httpx.Client) -> None:
    asked = ", ".join(f"getSetting('{name}')" for name in lists.READER_LIMITS)
    values = [float(value) for value in reader.post("/", content=f"SELECT {asked}").text.split("\t")]
    for value, limit in zip(values, lists.READER_LIMITS.values(), strict=True):
        assert 0 < value <= limit
    assert reader.post("/?max_execution_time=5", content="SELECT getSetting('max_execution_time')").text == "5\n"


def test_the_reader_cannot_hold_the_store(reader: httpx.Client) -> None:
    """Memory is bounded, and so is time: the sum of ten million millions would take an hour."""
    sort = reader.post("/", content="SELECT count() FROM (SELECT groupArray(number) FROM numbers(1000000000))")
    assert sort.headers["X-ClickHouse-Exception-Code"] == "241"
    slow = reader.post("/?max_execution_time=1", content="SELECT sum(sipHash64(number)) FROM numbers(10000000000000)")
    assert slow.headers["X-ClickHouse-Exception-Code"] == "159"
    assert reader.post("/", content="SELECT 1").text == "1\n"


@pytest.mark.parametrize("kind", ["Values", "VALUES"])
@pytest.mark.parametrize("value", ["file('{f}')", "file(concat('{f}', ''))", "(SELECT * FROM file('{f}', 'LineAsString'))"])
def test_external_data_are_no_expressions(reader: httpx.Client, tmp_path: Path, kind: str, value: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell\n")
    asked = {"query": "SELECT * FROM x", "x_structure": "a String", "x_format": kind}
    answer = reader.post("/", params=asked, files={"x": ("f", f"({value.replace('{f}', str(secret))})".encode())})
    assert answer.status_code >= 400
    assert "do not tell" not in answer.text


@pytest.mark.parametrize("name", ["currentDatabase()", "hostName()", "`\\x66ile`(version())"])
def test_a_large_insert_of_values_evaluates_nothing(http: httpx.Client, table: str, name: str) -> None:
    """What is too large to be looked at is not evaluated either, by template neither."""
    rows = ", ".join(f"({number}, 'x')" for number in range(40_000))
    answer = http.post("/", content=f"INSERT INTO {table} VALUES {rows}, (1, {name})")
    assert answer.status_code >= 400
    assert http.post("/", content=f"SELECT count() FROM {table} WHERE s != 'x'").text == "0\n"
