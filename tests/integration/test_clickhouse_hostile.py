"""The read-only user against the gateway: every known way to a file, an address, a write, a secret or another's query."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

F = "file('{f}', 'LineAsString')"
DENIED, READONLY, SYNTAX, SETTING, NOT_HERE = "497", "164", "62", "452", "48"

# (statement, ClickHouse's code); {f} is a file with a secret, {t} a table of ours
FILES = [
    ("file('{f}')", DENIED),  # chDB reads a bare expression as SELECT
    (f"1 FROM {F}", DENIED),
    (f"SELECT * FROM {F}", DENIED),
    (f"(((SELECT * FROM {F})))", DENIED),
    (f"SELECT * FROM ((SELECT * FROM {F}))", DENIED),
    (f"WITH (SELECT * FROM {F} LIMIT 1) AS x SELECT x", DENIED),
    (f"SELECT 1 UNION DISTINCT SELECT * FROM {F}", DENIED),
    (f"SELECT 1 EXCEPT SELECT * FROM {F}", DENIED),
    (f"SELECT 1 WHERE EXISTS (SELECT * FROM {F})", DENIED),
    (f"SELECT * FROM {{t}} AS a JOIN {F} AS b ON 1 = 1", DENIED),
    ("SELECT 1 IN file('{f}', 'CSV', 'a Int8')", DENIED),
    ("SELECT 1 GLOBAL NOT IN file('{f}', 'CSV', 'a Int8')", DENIED),
    ("SELECT FiLe('{f}')", DENIED),
    ("SELECT `\\x66ile`('{f}')", DENIED),
    ("SELECT \"\\x66ile\"('{f}')", DENIED),
    ("SELECT/**/file/**/('{f}')", DENIED),
    ("SELECT file -- a comment\n('{f}')", DENIED),
    ("SELECT\u00a0*\u00a0FROM\u2003file('{f}')", DENIED),
    ("SELECT * FROM \u201cfile\u201d('{f}')", DENIED),
    ("SELECT * FROM file(\u2018{f}\u2019)", DENIED),
    ("SELECT file($$" + "{f}" + "$$)", DENIED),
    ("SELECT arrayMap(x -> file(x), ['{f}'])", DENIED),
    ("SELECT * APPLY(x -> file(x)) FROM (SELECT '{f}' AS a)", DENIED),
    ("SELECT * APPLY(file) FROM (SELECT '{f}' AS a)", DENIED),
    ("SELECT * APPLY file FROM (SELECT '{f}' AS a)", DENIED),
    ("SELECT COLUMNS('a') APPLY(`\\x66ile`) FROM (SELECT '{f}' AS a)", DENIED),
    ("SELECT * REPLACE (file('{f}') AS s) FROM {t}", DENIED),
    ("SELECT 1 AS a, 2 AS b ORDER BY a WITH FILL INTERPOLATE (b AS file('{f}'))", DENIED),
    ("SELECT 1 ORDER BY (SELECT file('{f}'))", DENIED),
    ("SELECT 1 LIMIT (SELECT length(file('{f}')))", DENIED),
    ("SELECT count() OVER (PARTITION BY file('{f}'))", DENIED),
    ("SELECT 1 QUALIFY file('{f}') != ''", DENIED),
    ("SELECT a FROM {t} PREWHERE file('{f}') != ''", DENIED),
    ("SELECT quantile(file('{f}'))(1)", DENIED),
    ("SELECT CAST(file('{f}') AS String), file('{f}')::String", DENIED),
    ("SELECT * FROM numbers(length(file('{f}')))", DENIED),
    ("SELECT * FROM values('a String', file('{f}'))", DENIED),
    ("SELECT * FROM (VALUES (file('{f}')))", DENIED),
    ("SELECT * FROM view(SELECT file('{f}'))", DENIED),
    ("SELECT * FROM viewIfPermitted(SELECT file('{f}') ELSE null('a Int8'))", DENIED),
    ("SELECT initializeAggregation('file', 1)", "63"),
    ("SHOW TABLES WHERE file('{f}') = ''", DENIED),
    (f"DESCRIBE {F}", DENIED),
    (f"/* DESCRIBE */ DESC TABLE {F}", DENIED),
    (f"DESC (SELECT * FROM {F})", DENIED),
    (f"EXPLAIN SELECT * FROM {F}", DENIED),
    (f"EXPLAIN AST SELECT * FROM {F}", DENIED),
    (f"EXPLAIN QUERY TREE SELECT * FROM {F}", DENIED),
    (f"SELECT * FROM (EXPLAIN SELECT * FROM {F})", DENIED),
    ("SELECT * FROM default.`{f}`", DENIED),
    ('SELECT * FROM "default"."{f}"', DENIED),
    ("DESCRIBE default.`{f}`", DENIED),
    ("EXISTS default.`{f}`", DENIED),
    ("SHOW CREATE TABLE default.`{f}`", DENIED),
    ("SHOW COLUMNS FROM `{f}` FROM default", DENIED),
    ("SELECT 1 IN default.`{f}`", DENIED),
    ("SELECT * FROM format(CSV, '1')", DENIED),
    ("SELECT 1 FORMAT Template SETTINGS format_template_resultset = '{f}'", SETTING),
    ("SELECT 1 FORMAT Template SETTINGS format_template_row = '{f}'", SETTING),
    ("SELECT 1 FORMAT Protobuf SETTINGS format_schema = '{f}:x'", SETTING),
    ("SELECT 1 SETTINGS additional_result_filter = 'file(\\'{f}\\') != \\'\\''", SETTING),
    ("SELECT a FROM {t} SETTINGS additional_table_filters = {{'{t}': 'file(\\'{f}\\') != \\'\\''}}", SETTING),
    ("SELECT 1 SETTINGS filter = 'file(\\'{f}\\') != \\'\\''", SETTING),
    ("SELECT 1 SETTINGS dialect = 'prql'", SETTING),
    *(
        (f"{sql} INTO OUTFILE '{{f}}.out'{more}", NOT_HERE)
        for sql in ("SELECT 1", "SHOW TABLES", "SHOW FUNCTIONS", "EXISTS {t}", "EXPLAIN SELECT 1", "DESCRIBE TABLE {t}")
        for more in ("", " TRUNCATE FORMAT CSV")
    ),
    ("INSERT INTO {t} FROM INFILE '{f}' FORMAT CSV", READONLY),
    ("INSERT INTO FUNCTION file('{f}.out', 'CSV', 'a Int8') SELECT 1", NOT_HERE),
]
TABLE_FUNCTIONS = [
    "url('http://127.0.0.1:9/', 'CSV', 'a Int8')", "s3('http://127.0.0.1:9/b/x', 'CSV', 'a Int8')", "gcs('http://127.0.0.1:9/b/x')",
    "s3Cluster('default', 'http://127.0.0.1:9/b/x')", "mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')",
    "postgresql('127.0.0.1:9', 'a', 'b', 'c', 'd')", "mongodb('127.0.0.1:9', 'a', 'b', 'c', 'd', 'x Int8')",
    "redis('127.0.0.1:9', 'a', 'a Int8')", "executable('id', 'TSV', 'a String')", "hdfs('hdfs://127.0.0.1:9/x', 'CSV', 'a Int8')",
    "azureBlobStorage('http://127.0.0.1:9/', 'a', 'b')", "iceberg('http://127.0.0.1:9/x')", "icebergLocal('{f}')",
    "deltaLake('http://127.0.0.1:9/x')", "deltaLakeLocal('{f}')", "hudi('http://127.0.0.1:9/x')", "paimonLocal('{f}')",
    "cluster('default', system.processes)", "clusterAllReplicas('default', system.processes)", "remote('127.0.0.1:9', system.one)",
    "remoteSecure('127.0.0.1:9', system.one)", "input('a Int8')", "dictionary('a')", "merge('default', '.*')",
    "merge('system', 'processes')", "sqlite('{f}', 'a')", "jdbc('a', 'b')", "odbc('a', 'b')", "python(secret)", "Python(os)",
    "fileCluster('default', '{f}')", "urlCluster('default', 'http://127.0.0.1:9/')", "loop(system.processes)", "eval('SELECT 1')",
    "viewExplain('EXPLAIN', '', (SELECT 1))", "mergeTreeIndex('system', 'processes')", "filesystem('/')", "ytsaurus('a', 'b', 'c')",
    "fuzzJSON('a')", "timeSeriesData('a', 'b')", "prometheusQuery('a', 'b', 'c')", "arrowFlight('127.0.0.1:9', 'a')", "mine(p = 1)",
    "bigquery('a', 'b', 'c')", "cosn('http://127.0.0.1:9/x')", "oss('http://127.0.0.1:9/x')",
]  # fmt: skip
REST = [
    *((f"SELECT * FROM {call} LIMIT 1", DENIED) for call in TABLE_FUNCTIONS),
    ("EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:9', 'a', 'b', 'c', 'd') COLUMNS (a Int8)", DENIED),
    ("SELECT hasColumnInTable('127.0.0.1:9', 'u', 'p', 'system', 'one', 'dummy')", DENIED),
    ("SELECT dictGet('a', 'b', 1)", DENIED),
    ("SELECT joinGet('system.processes', 'query', 1)", DENIED),
    ("SELECT aiGenerate('x')", DENIED),
    ("SELECT getServerSetting('path')", DENIED),
    ("SELECT showCertificate()", DENIED),
    ("SELECT filesystemCapacity()", DENIED),
    ("SELECT logTrace('x')", DENIED),
    ("SELECT sleep(3)", DENIED),
    ("SELECT sleepEachRow(1) FROM numbers(100)", DENIED),
    *((f"SELECT * FROM system.{name}", DENIED) for name in (
        "processes", "query_log", "server_settings", "disks", "named_collections", "users", "errors", "warnings", "stack_trace",
        "storage_policies", "parts", "detached_parts", "remote_data_paths", "asynchronous_inserts", "session_query_ids", "backups",
        "user_processes", "certificates", "build_options", "clusters", "macros", "symbols", "schema_inference_cache",
    )),
    ("SELECT * FROM `system`.`processes`", DENIED),
    ("SELECT * FROM view(SELECT * FROM system.processes)", DENIED),
    ("WITH x AS (SELECT query FROM system.processes) SELECT * FROM x", DENIED),
    ("SELECT (1) IN (system.processes)", DENIED),
    ("SELECT 1 NOT IN system.query_log", DENIED),
    ("SHOW PROCESSLIST", NOT_HERE),
    ("SHOW CREATE TABLE system.processes", DENIED),
    ("SHOW USERS", NOT_HERE),
    ("SHOW ACCESS", NOT_HERE),
    ("SHOW CLUSTERS", DENIED),
    ("SHOW FILESYSTEM CACHES", DENIED),
    ("SELECT 1 FROM (SELECT 1 SETTINGS readonly = 0)", SETTING),
    ("SELECT 1 SETTINGS max_execution_time = 0", SETTING),
    ("SELECT 1 SETTINGS max_execution_time = DEFAULT", SETTING),
    ("SELECT 1 SETTINGS max_memory_usage = 100000000000", SETTING),
    ("SELECT 1 SETTINGS max_threads = 64", SETTING),
    ("SELECT 1 SETTINGS allow_introspection_functions = 1", SETTING),
    ("SELECT 1 SETTINGS workload = 'x'", SETTING),
    ("DESCRIBE TABLE {t} SETTINGS max_execution_time = 0", SETTING),
    ("SELECT 1; SELECT 2", SYNTAX),
    ("SELECT 1; DROP TABLE {t}", SYNTAX),
    ("SELECT 1 /* ; */ ; /* */ DROP TABLE {t}", SYNTAX),
    ("SELECT 1 -- \n; DROP TABLE {t}", SYNTAX),
    ("SELECT 1 PARALLEL WITH SELECT 2", SYNTAX),
    ("SELECT 1\0; DROP TABLE {t}", SYNTAX),
    ("SELECT 1 FORMAT CSV\n\nDROP TABLE {t}", SYNTAX),
    ("EXPLAIN DROP TABLE {t}", SYNTAX),
    ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "306"),
    ("SELECT '" + "x" * 300_000 + "'", SYNTAX),
    *((sql, READONLY) for sql in (
        "INSERT INTO {t} SELECT 1, 'x'", "INSERT INTO {t} VALUES (1, 'x')", "TRUNCATE TABLE {t}", "DROP TABLE {t}", "DELETE FROM {t} WHERE 1",
        "ALTER TABLE {t} DELETE WHERE 1", "UPDATE {t} SET s = 'x' WHERE 1", "RENAME TABLE {t} TO stockwatch.other", "CREATE DATABASE other",
        "CREATE VIEW stockwatch.other AS SELECT 1", "CREATE TEMPORARY TABLE other (a Int8)", "CREATE USER other", "GRANT ALL ON *.* TO other",
        "CREATE FUNCTION other AS (x) -> file(x)", "CREATE NAMED COLLECTION other AS a = 1", "SET readonly = 0", "USE system",
        "KILL QUERY WHERE 1", "OPTIMIZE TABLE {t} FINAL",
    )),
    *((sql, NOT_HERE) for sql in (
        "SYSTEM RELOAD CONFIG", "SYSTEM SHUTDOWN", "DETACH TABLE {t}", "ATTACH TABLE {t}", "SET ROLE ALL", "EXECUTE AS default SELECT 1",
        "BACKUP TABLE {t} TO File('{f}.out')", "BEGIN TRANSACTION",
    )),
    ("CHECK TABLE {t}", DENIED),
    ("SELECT * FROM {t} STREAM", DENIED),
]  # fmt: skip


# What the owner may not do either: (statement, code)
OWNER = [
    *((sql, DENIED) for sql in (
        "INSERT INTO {t} VALUES (1, file('{f}'))", "INSERT INTO {t} VALUES (1, `\\x66ile`('{f}'))", "INSERT INTO {t} FORMAT Values (1, file('{f}'))",
        "INSERT INTO {t} (a, s) VALUES (1, (SELECT * FROM file('{f}', 'LineAsString')))", "INSERT INTO {t} SELECT 1, file('{f}')",
        "INSERT INTO {t} SELECT * FROM input('a Int64, s String') FORMAT CSV", "INSERT INTO default.`{f}.out` SELECT 1",
        "CREATE TABLE default.`{f}.out` (a Int8) ENGINE = Memory", "CREATE TABLE stockwatch.leak AS file('{f}', 'CSV', 'a String')",
        "CREATE TABLE stockwatch.leak ENGINE = Memory AS SELECT file('{f}') AS a", "CREATE TABLE stockwatch.leak AS default.`{f}`",
        "CREATE TABLE stockwatch.leak (a Int8, b String DEFAULT file('{f}')) ENGINE = Memory",
        "CREATE TABLE stockwatch.leak (a Int8, b String ALIAS file('{f}')) ENGINE = Memory",
        "CREATE TABLE stockwatch.leak (a Int8, CONSTRAINT c CHECK file('{f}') = '') ENGINE = MergeTree ORDER BY a",
        "CREATE TABLE stockwatch.leak (a Int8) ENGINE = Merge('default', '.*')", "CREATE TABLE stockwatch.leak (a Int8) ENGINE = Buffer('default', 'x', 1, 1, 1, 1, 1, 1, 1)",
        "CREATE TABLE stockwatch.leak (a Int8) ENGINE = Distributed('a', 'b', 'c')", "CREATE TABLE stockwatch.leak (a Int8) ENGINE = SQLite('{f}', 'a')",
        "CREATE TABLE stockwatch.leak (a Int8) ENGINE = Kafka('127.0.0.1:9', 'a', 'b', 'CSV')", "CREATE TABLE stockwatch.leak (a String) ENGINE = Executable('id', TSV)",
        "CREATE TABLE stockwatch.leak (a String) ENGINE = Dictionary(x)", "CREATE TABLE stockwatch.leak (a Int8) ENGINE = S3('http://127.0.0.1:9/b/x', 'CSV')",
        "CREATE MATERIALIZED VIEW stockwatch.leak ENGINE = File(CSV) AS SELECT 1", "CREATE MATERIALIZED VIEW stockwatch.leak TO default.x AS SELECT 1",
        "CREATE VIEW stockwatch.leak AS SELECT * FROM url('http://127.0.0.1:9/', 'CSV', 'a Int8')", "CREATE FUNCTION leak AS (x) -> file(x)",
        "CREATE DICTIONARY stockwatch.leak (a UInt64) PRIMARY KEY a SOURCE(CLICKHOUSE(HOST '127.0.0.1' PORT 9 TABLE 'x')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE DATABASE leak ENGINE = SQLite('{f}')", "CREATE DATABASE leak ENGINE = MySQL('127.0.0.1:9', 'a', 'b', 'c')", "CREATE DATABASE leak ENGINE = Overlay('default')",
        "CREATE USER leak", "GRANT ALL ON *.* TO leak", "CREATE NAMED COLLECTION leak AS url = 'x'", "RENAME TABLE {t} TO default.t", "USE default",
        "ALTER TABLE {t} ADD COLUMN c String DEFAULT file('{f}')", "ALTER TABLE {t} UPDATE s = file('{f}') WHERE 1", "ALTER TABLE {t} DELETE WHERE s = file('{f}')",
        "DELETE FROM {t} WHERE s = file('{f}')", "KILL QUERY WHERE query_id IN (SELECT file('{f}'))",
    )),
    *((sql, SETTING) for sql in (
        "CREATE TABLE stockwatch.leak (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{f}.out/')",
        "ALTER TABLE {t} MODIFY SETTING disk = 'x'", "ALTER TABLE {t} MODIFY SETTING storage_policy = 'x'", "SET additional_result_filter = '1'",
        "SET dialect = 'prql'", "SET format_template_row = '{f}'", "INSERT INTO {t} SETTINGS format_schema = 1 VALUES (1, 'x')",
    )),
    *((sql, NOT_HERE) for sql in (
        "ALTER TABLE {t} FREEZE", "ATTACH TABLE stockwatch.leak FROM '{f}' (a Int8) ENGINE = MergeTree ORDER BY a", "BACKUP DATABASE stockwatch TO Disk('a', 'b')",
        "SYSTEM RELOAD CONFIG", "SET ROLE ALL", "INSERT INTO FUNCTION file('{f}.out', 'CSV', 'a Int8') SELECT 1",
    )),
    ("/* a comment */ INSERT INTO {t} FORMAT CSV\n1,x\n\nDROP TABLE {t}", f"{SYNTAX} 27"),  # several statements, or data that cannot be read
]  # fmt: skip


@pytest.fixture(scope="module")
def table(http: httpx.Client) -> str:
    """One for all of them: none may change it."""
    http.post("/", content="CREATE TABLE stockwatch.hostile (a Int64, s String) ENGINE = MergeTree ORDER BY a").raise_for_status()
    return "stockwatch.hostile"


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "secret"
    file.write_text("do not tell\n")
    yield file
    assert file.read_text() == "do not tell\n"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("sql", "code"), [*FILES, *REST], ids=lambda value: value[:60])
def test_the_reader_is_refused(reader: httpx.Client, http: httpx.Client, table: str, secret: Path, sql: str, code: str) -> None:
    body = sql.replace("{f}", str(secret)).replace("{t}", table).replace("{{", "{").replace("}}", "}")
    for database in ("", "default") if "default" not in sql and "{f}" in sql else ("",):
        answer = reader.post("/", content=body.encode(), params={"database": database} if database else {})
        assert "do not tell" not in answer.text
        assert answer.status_code >= 400
    assert answer.headers["X-ClickHouse-Exception-Code"] in code.split(), answer.text
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM processes",
        "SELECT 1 IN processes",
        "SHOW CREATE TABLE processes",
        "DESCRIBE TABLE disks",
        "WITH x AS (SELECT 1) SELECT * FROM x, users",
    ],
)
def test_a_name_without_a_database_is_looked_up_in_the_current_one(reader: httpx.Client, sql: str) -> None:
    answer = reader.post("/", content=sql, params={"database": "system"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == DENIED


@pytest.mark.parametrize(("sql", "code"), OWNER, ids=lambda value: value[:60])
def test_the_owner_reaches_no_file_and_no_address(http: httpx.Client, table: str, secret: Path, sql: str, code: str) -> None:
    answer = http.post("/", content=sql.replace("{f}", str(secret)).replace("{t}", table).encode())
    assert "do not tell" not in answer.text
    assert answer.status_code >= 400
    assert answer.headers["X-ClickHouse-Exception-Code"] in code.split(), answer.text
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"
