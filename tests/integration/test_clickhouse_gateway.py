"""The gateway as clickhouse-connect and curl see it: real chDB in one child for the module."""

from __future__ import annotations

import gzip
import itertools
from datetime import UTC, datetime
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from engine import Engine
from urllib3.exceptions import HTTPError

numbers = itertools.count()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("DateTime64(3, 'UTC')", [datetime(2026, 7, 1, 9, 15, 0, 123000, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]),
        ("Nullable(Float64)", [None, -0.1]),
        ("LowCardinality(Nullable(String))", ["INR", None]),
        ("UInt64", [2**64 - 1, 0]),
        ("Int64", [-(2**63), 2**63 - 1]),
        ("String", ["a\n\nSELECT 1;\t\\'", "₹ हिन्दी \0"]),
        ("Array(Nullable(Int32))", [[1, None], []]),
    ],
)
def test_what_is_inserted_comes_back_equal(client: Client, kind: str, values: list[Any]) -> None:
    name = f"stockwatch.t{next(numbers)}"
    client.command(f"CREATE TABLE {name} (n UInt8, v {kind}) ENGINE = MergeTree ORDER BY n")
    client.insert(name, list(enumerate(values)), column_names=["n", "v"])
    result = client.query(f"SELECT v FROM {name} ORDER BY n", column_formats={}, query_tz="UTC")
    got = [row[0] for row in result.result_rows]
    assert [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in got] == values
    client.command(f"DROP TABLE {name}")


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("TabSeparated", b"1\ta\\nb\n"),
        ("CSV", b'1,"a\nb"\n'),
        ("JSONEachRow", b'{"x":1,"y":"a\\nb"}\n'),
        ("RowBinary", b"\x01\x03a\nb"),
        ("Native", b"\x02\x01\x01x\x05UInt8\x01\x01y\x06String\x03a\nb"),
    ],
)
def test_each_format_is_as_clickhouse_writes_it(http: httpx.Client, form: str, body: bytes) -> None:
    sql = "SELECT 1 AS x, 'a\\nb' AS y"
    by_clause = http.post("/", content=f"{sql} FORMAT {form}")
    assert (by_clause.status_code, by_clause.content) == (200, body)
    assert by_clause.headers["X-ClickHouse-Format"] == form
    assert http.post("/", params={"default_format": form, "query": sql}).content == body


def test_json_is_one_document_however_long_the_result(http: httpx.Client) -> None:
    answer = http.post("/", content="SELECT number FROM numbers(200000) FORMAT JSON").json()
    assert len(answer["data"]) == answer["rows"] == 200_000


def test_an_empty_result_keeps_its_columns(client: Client, table: str) -> None:
    result = client.query(f"SELECT a, s FROM {table}")
    assert result.column_names == ("a", "s")
    assert result.result_rows == []


def test_frames_go_in_and_out(client: Client, table: str) -> None:
    frame = pd.DataFrame({"a": range(5_000), "s": [f"row {n}" for n in range(5_000)]})
    client.insert_df(table, frame)
    got = client.query_df(f"SELECT a, s FROM {table} ORDER BY a")
    pd.testing.assert_frame_equal(got.astype({"s": object}), frame.astype({"s": object}))


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_curl_may_insert_with_a_blank_line_in_the_data(http: httpx.Client, table: str, encoding: str) -> None:
    data = f'1,"one\n\nDROP TABLE {table};\n"\n2,two\n'.encode()
    sent = gzip.compress(data) if encoding == "gzip" else data
    answer = http.post(
        "/", params={"query": f"INSERT INTO {table} FORMAT CSV"}, content=sent, headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == 200, answer.text
    assert http.post("/", content=f"SELECT a, s FROM {table} ORDER BY a FORMAT JSONCompact").json()["data"] == [
        [1, f"one\n\nDROP TABLE {table};\n"],
        [2, "two"],
    ]


@pytest.mark.parametrize("body", [b"1,x\nno number,y\n", b'1,"x" y\n'])
def test_a_bad_insert_is_an_error_and_leaves_nothing(http: httpx.Client, engine: Engine, table: str, body: bytes) -> None:
    answer = http.post("/", params={"query": f"INSERT INTO {table} FORMAT CSV"}, content=body)
    assert answer.status_code == 400
    assert int(answer.headers["X-ClickHouse-Exception-Code"]) > 0
    assert http.post("/", content=f"SELECT count() FROM {table}").text == "0\n"
    assert not list((engine.folder / "incoming").iterdir())


def test_parameters_settings_and_database_are_taken_from_the_address(client: Client, http: httpx.Client) -> None:
    assert client.query("SELECT {x:String}", parameters={"x": "it's\n\\ 1; DROP"}).first_row[0] == "it's\n\\ 1; DROP"
    where = {"database": "system", "max_threads": "1", "query_id": "mine"}
    answer = http.post("/", params=where, content="SELECT currentDatabase(), getSetting('max_threads')")
    assert answer.text == "system\t1\n"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"


def test_settings_end_with_their_request(client: Client, http: httpx.Client) -> None:
    before = http.post("/", content="SELECT getSetting('max_block_size')").text
    http.post("/", params={"max_block_size": "77"}, content="SELECT 1")
    client.command("SET max_block_size = 77")
    assert http.post("/", content="SELECT getSetting('max_block_size')").text == before != "77\n"


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELEC 1", 400, 62),
        ("", 400, 62),
        ("SELECT nosuch", 404, 47),
        ("SELECT * FROM stockwatch.nosuch", 404, 60),
        ("SELECT * FROM nosuch.t", 404, 81),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT 1 SETTINGS nosuch = 1", 404, 115),
    ],
)
def test_an_error_has_clickhouses_code_and_version(http: httpx.Client, sql: str, status: int, code: int) -> None:
    answer = http.post("/", content=sql)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (status, str(code))
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version " in answer.text


def test_the_client_raises_what_the_engine_says(client: Client) -> None:
    with pytest.raises(DatabaseError, match="Unknown table expression identifier"):
        client.query("SELECT * FROM stockwatch.nosuch")


def test_an_error_in_the_middle_of_a_stream_is_no_end_of_the_data(client: Client) -> None:
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)"
    with pytest.raises((ClickHouseError, HTTPError)), client.query_row_block_stream(sql) as blocks:
        list(blocks)


def test_a_result_larger_than_memory_allows_streams(client: Client, http: httpx.Client, engine: Engine) -> None:
    process = psutil.Process(engine.process.pid)
    with client.query_df_stream("SELECT number FROM numbers(1000000)") as frames:
        assert sum(frame["number"].sum() for frame in frames) == 499_999_500_000
    before, size, most = process.memory_info().rss, 0, 0
    sql = "SELECT repeat('x', 150) FROM numbers(4000000) FORMAT RowBinary"
    with http.stream("POST", "/", content=sql) as answer:
        for block in answer.iter_raw():
            size += len(block)
            most = max(most, process.memory_info().rss)
    assert size == 4_000_000 * 152  # 150 letters and their length: 608 MB
    assert most - before < 250_000_000


def test_a_reader_that_stops_in_the_middle_holds_nobody(engine: Engine, http: httpx.Client) -> None:
    for _ in range(20):  # more than the gateway has threads
        with http.stream("POST", "/", content="SELECT number FROM numbers(100000000) FORMAT RowBinary") as answer:
            next(answer.iter_raw())
    assert http.post("/", content="SELECT 1", timeout=5).text == "1\n"
