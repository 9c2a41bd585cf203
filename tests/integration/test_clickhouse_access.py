"""Who may ask the gateway, and what it refuses: real chDB, asked as curl does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from engine import Engine


@pytest.mark.parametrize(
    "way",
    [
        {"auth": ("stockwatch", "wrong")},
        {"auth": ("nobody", "")},
        {"auth": ("default", "")},
        {"headers": {"X-ClickHouse-User": "stockwatch"}},
        {"headers": {"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "पासवर्ड".encode()}},
        {"headers": {"Authorization": "Basic ???"}},
        {"params": {"user": "stockwatch", "password": "no such user"}},
        {"params": {"user": "nobody", "password": "no such user"}},
        {},
    ],
)
def test_nobody_gets_in_without_the_password(engine: Engine, way: dict[str, Any]) -> None:
    answer = httpx.post(f"http://127.0.0.1:{engine.port}/", content="SELECT 1", timeout=10, **way)
    assert answer.status_code == 401
    assert answer.headers["X-ClickHouse-Exception-Code"] == "516"
    assert engine.password() not in answer.text


@pytest.mark.parametrize("kind", ["basic", "headers", "address"])
def test_each_way_to_give_the_password_is_taken(engine: Engine, kind: str) -> None:
    user, password = "stockwatch", engine.password()
    ways: dict[str, dict[str, Any]] = {
        "basic": {"auth": (user, password)},
        "headers": {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
        "address": {"params": {"user": user, "password": password}},
    }
    assert httpx.post(f"http://127.0.0.1:{engine.port}/", content="SELECT 1", timeout=10, **ways[kind]).text == "1\n"


@pytest.mark.parametrize("path", ["/ping", "/?query=SELECT%201"])
def test_another_name_for_this_machine_is_refused(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200
    assert http.get(path, headers={"Host": "evil.example"}).status_code == 400


def test_a_page_of_another_site_may_not_ask(http: httpx.Client) -> None:
    assert http.post("/", content="SELECT 1", headers={"Origin": "http://evil.example"}).status_code == 403


def test_it_listens_on_loopback_only(engine: Engine) -> None:
    found = [item.laddr for item in psutil.Process(engine.process.pid).net_connections("tcp") if item.status == "LISTEN"]
    assert [(address.ip, address.port) for address in found] == [("127.0.0.1", engine.port)]


def test_get_only_reads(http: httpx.Client, table: str) -> None:
    assert http.get("/", params={"query": f"SELECT count() FROM {table}"}).text == "0\n"
    assert http.get("/", params={"query": f"TRUNCATE TABLE {table}"}).headers["X-ClickHouse-Exception-Code"] == "164"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {t} VALUES (1, 'x')",
        "DROP TABLE {t}",
        "ALTER TABLE {t} DELETE WHERE 1",
        "CREATE TABLE stockwatch.mine (a Int8) ENGINE = Memory",
        "SET max_threads = 1",
        "KILL QUERY WHERE 1",
        "OPTIMIZE TABLE {t}",
        "/* SELECT */ TRUNCATE TABLE {t}",
    ],
)
def test_the_reader_only_reads(reader: httpx.Client, table: str, sql: str) -> None:
    assert reader.post("/", content=f"SELECT count() FROM {table}").text == "0\n"
    answer = reader.post("/", content=sql.format(t=table))
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "164")
    body = reader.post("/", params={"query": f"INSERT INTO {table} FORMAT CSV"}, content=b"1,x\n")
    assert body.headers["X-ClickHouse-Exception-Code"] == "164"


FILE = "file('{f}', 'LineAsString')"


@pytest.mark.parametrize("user", ["reader", "http"])
@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT * FROM {FILE}",
        f"SELECT * FROM FILE{FILE[4:]}",
        f"SELECT * FROM `file`{FILE[4:]}",
        f"FROM {FILE} SELECT *",
        f"WITH x AS (SELECT * FROM {FILE}) SELECT * FROM x",
        f"SELECT * FROM view(SELECT * FROM {FILE})",
        f"SELECT * FROM loop({FILE})",
        f"SELECT 'a' IN {FILE}",
        f"SELECT 1 UNION ALL SELECT length(line) FROM {FILE}",
        f"SELECT * FROM numbers(1) AS n JOIN {FILE} AS f ON 1 = 1",
        f"DESCRIBE {FILE}",
        f"EXPLAIN ESTIMATE SELECT * FROM {FILE}",
        "SELECT file('{f}')",
        "SELECT * FROM url('http://127.0.0.1:9/', 'CSV')",
        "SELECT * FROM remote('127.0.0.1:9', system.one)",
        "SELECT * FROM executable('id', 'TSV', 'x String')",
        "SELECT 1 INTO OUTFILE '{f}.out'",
        "SELECT 1 INTO OUTFILE '{f}.out' FORMAT CSV",
    ],
)
def test_no_statement_reaches_files_or_the_network(request: pytest.FixtureRequest, tmp_path: Path, user: str, sql: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell\n")
    answer = request.getfixturevalue(user).post("/", content=sql.format(f=secret))
    assert answer.status_code in (400, 403, 501)
    assert answer.headers["X-ClickHouse-Exception-Code"] in ("48", "497")
    assert "do not tell" not in answer.text
    assert list(tmp_path.iterdir()) == [secret]


# The qualified ones need `default.` refused by the parsed statement; the others a database of ours in USE.
@pytest.mark.parametrize("database", ["", "default", "stockwatch"])
@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM default.`{f}`", {}),
        ("SELECT 'do' IN default.`{f}`", {}),
        ("SELECT * FROM default.{{x:Identifier}}", {"param_x": "{f}"}),
        ("SELECT * FROM {{d:Identifier}}.{{x:Identifier}}", {"param_d": "default", "param_x": "{f}"}),
    ],
)
def test_a_file_is_no_table_of_default(
    reader: httpx.Client, tmp_path: Path, sql: str, parameters: dict[str, str], database: str
) -> None:
    _asks_for_a_file(reader, tmp_path, sql, {**parameters, "database": database})


@pytest.mark.parametrize(
    "database",
    [
        pytest.param(""),
        pytest.param("default"),
        "stockwatch",
    ],
)
@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM '{f}'", {}),
        ("DESCRIBE TABLE `{f}`", {}),
        ("SELECT * FROM {{x:Identifier}}", {"param_x": "{f}"}),
    ],
)
def test_a_file_is_no_table(reader: httpx.Client, tmp_path: Path, sql: str, parameters: dict[str, str], database: str) -> None:
    _asks_for_a_file(reader, tmp_path, sql, {**parameters, "database": database})


def _asks_for_a_file(reader: httpx.Client, tmp_path: Path, sql: str, parameters: dict[str, str]) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not tell\n")
    given = {name: value.format(f=secret) for name, value in parameters.items()}
    answer = reader.post("/", params=given, content=sql.format(f=secret))
    assert answer.status_code in (400, 403, 404, 501), answer.text


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE stockwatch.leak (a String) ENGINE = File('CSV', '{f}')",
        pytest.param("CREATE TABLE stockwatch.leak (a String) ENGINE = URL('http://127.0.0.1:9/', 'CSV')"),
        pytest.param("CREATE DATABASE leak ENGINE = Filesystem('/')"),
        "CREATE VIEW stockwatch.leak AS SELECT * FROM file('{f}', 'LineAsString')",
        pytest.param(
            "CREATE DICTIONARY stockwatch.leak (a String) PRIMARY KEY a SOURCE(FILE(path '{f}' format 'TSV')) LAYOUT(DIRECT())"
        ),
        "INSERT INTO FUNCTION file('{f}', 'CSV', 'a Int64') SELECT 1",
        pytest.param("INSERT INTO {t} FROM INFILE '{f}' FORMAT CSV"),
        "INSERT INTO {t} FROM INFILE '{f}' FORMAT Values",
        "BACKUP TABLE {t} TO File('{f}.backup')",
    ],
)
def test_the_owner_makes_no_way_out_either(http: httpx.Client, table: str, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("1,do not tell\n")
    answer = http.post("/", content=sql.format(f=secret, t=table))
    for kind in ("TABLE", "DATABASE"):
        http.post("/", content=f"DROP {kind} IF EXISTS {'stockwatch.' if kind == 'TABLE' else ''}leak")
    assert answer.status_code in (400, 403, 501), answer.text
    assert secret.read_text() == "1,do not tell\n"
    assert list(tmp_path.iterdir()) == [secret]


@pytest.mark.parametrize("name", ["a\nb", "a\n b"])
def test_a_line_end_in_a_name_is_nothing_special(reader: httpx.Client, name: str) -> None:
    answer = reader.post("/", content=f"SELECT `{name}` FROM (SELECT number + 1 AS `{name}` FROM numbers(1))")
    assert (answer.status_code, answer.text) == (200, "1\n")
