"""clickhouse-connect's documented behaviour against the gateway: queries, streams, frames, contexts, external data, async."""

from __future__ import annotations

import asyncio
from typing import Any

import clickhouse_connect
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData
from engine import Engine

ROWS = 200_000
SQL = f"SELECT number AS n, toString(number) AS s, number / 2 AS f FROM numbers({ROWS})"
TOTAL = sum(range(ROWS))


def test_query_gives_rows_columns_types_and_a_summary(client: Client) -> None:
    result = client.query(SQL)
    assert (result.row_count, result.column_names) == (ROWS, ("n", "s", "f"))
    assert [kind.name for kind in result.column_types] == ["UInt64", "String", "Float64"]
    assert result.result_rows[7] == (7, "7", 3.5)
    assert result.summary["read_rows"] == str(ROWS)
    assert len(result.query_id) == 36
    assert list(client.query("SELECT 1 AS a, 'x' AS b").named_results()) == [{"a": 1, "b": "x"}]
    assert client.query(SQL, column_oriented=True).result_columns[0][-1] == ROWS - 1


def test_arrays_and_frames(client: Client) -> None:
    assert int(client.query_np(SQL)["n"].sum()) == TOTAL
    assert int(client.query_df(SQL)["n"].sum()) == TOTAL
    table = client.query_arrow(SQL)
    assert (table.num_rows, table.column_names) == (ROWS, ["n", "s", "f"])
    frame = client.query_df_arrow("SELECT 1 AS a, NULL::Nullable(Int32) AS b")
    assert list(frame.columns) == ["a", "b"]
    assert client.query_df("SELECT number FROM numbers(0)").empty


@pytest.mark.parametrize(
    "method",
    ["query_column_block_stream", "query_row_block_stream", "query_rows_stream", "query_np_stream", "query_df_stream", "query_arrow_stream"],
)  # fmt: skip
def test_streams_give_everything_once(client: Client, method: str) -> None:
    total = 0
    with getattr(client, method)(SQL) as stream:
        for block in stream:
            if method == "query_rows_stream":
                total += block[0]
            elif method == "query_row_block_stream":
                total += sum(row[0] for row in block)
            elif method == "query_column_block_stream":
                total += sum(block[0])
            elif method == "query_arrow_stream":
                total += pa.compute.sum(block["n"]).as_py()
            else:
                total += int(block["n"].sum())
    assert total == TOTAL


@pytest.mark.parametrize("form", ["TSV", "CSVWithNames", "JSONEachRow", "Parquet", "Native"])
def test_raw_queries_and_raw_streams_are_the_same_bytes(client: Client, form: str) -> None:
    whole = client.raw_query("SELECT number FROM numbers(50000)", fmt=form)
    stream = client.raw_stream("SELECT number FROM numbers(50000)", fmt=form)
    assert b"".join(stream) == whole
    stream.close()


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT 5", 5),
        ("SELECT 'a\\tb'", ["a", "b"]),  # as the client splits tabs
        ("SELECT 'x', 'y'", ["x", "y"]),
        ("SHOW DATABASES LIKE 'stock%'", "stockwatch"),
        ("EXISTS TABLE stockwatch.ticks", 1),
        ("SELECT timezone()", "UTC"),
        ("SELECT currentUser()", "stockwatch"),
        ("SELECT user() FORMAT TSV", "stockwatch"),
    ],
)
def test_commands_give_one_value(client: Client, sql: str, value: Any) -> None:
    got = client.command(sql)
    assert got == value or (sql == "SELECT 'a\\tb'" and got in (value, "a\\tb", "a\tb"))


def test_a_command_without_rows_gives_its_summary(client: Client, table: str) -> None:
    assert client.command(f"INSERT INTO {table} SELECT 1, 'x'").written_rows == 1
    assert client.command(f"ALTER TABLE {table} ADD COLUMN more Int8").query_id()
    assert client.command(f"TRUNCATE TABLE {table}").written_rows == 0


@pytest.mark.parametrize(
    ("sql", "parameters", "value"),
    [
        ("SELECT {a:Int32}", {"a": -5}, -5),
        ("SELECT {a:String}", {"a": "it's \\ \n\t"}, "it's \\ \n\t"),
        ("SELECT {a:Array(Int32)}", {"a": [1, 2]}, [1, 2]),
        ("SELECT {a:Array(String)}", {"a": ["x'", "\\"]}, ["x'", "\\"]),
        ("SELECT {a:Nullable(Int32)}", {"a": None}, None),
        ("SELECT {a:Bool}", {"a": True}, True),
        ("SELECT count() FROM {t:Identifier}", {"t": "numbers"}, None),
        ("SELECT %(a)s", {"a": "it's"}, "it's"),
        ("SELECT %(a)s + 1", {"a": 41}, 42),
        ("SELECT %s", ["x"], "x"),
    ],
)
def test_parameters_are_bound_by_the_server_and_by_the_client(client: Client, sql: str, parameters: Any, value: Any) -> None:
    if "Identifier" in sql:
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query(sql, parameters=parameters)
        return
    assert client.query(sql, parameters=parameters).first_row[0] == value


def test_settings_of_a_query_and_of_the_client(client: Client, engine: Engine) -> None:
    assert client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 99}).first_row[0] == 99
    own = clickhouse_connect.get_client(
        host="127.0.0.1", port=engine.port, username="stockwatch", password=engine.password(), settings={"max_block_size": 98},
        database="stockwatch",
    )  # fmt: skip
    try:
        assert own.query("SELECT getSetting('max_block_size'), currentDatabase()").first_row == (98, "stockwatch")
        assert own.command("CREATE TEMPORARY TABLE kept (a Int8)") is not None  # it has a session by itself
        own.insert("kept", [[1]], column_names=["a"], column_type_names=["Int8"])
        assert own.query("SELECT a FROM kept").first_row == (1,)
    finally:
        own.close()


def test_contexts_are_used_again(client: Client, table: str) -> None:
    insert = client.create_insert_context(table, column_names=["a", "s"])
    for number in range(3):
        insert.data = [[number, f"row {number}"]]
        assert client.insert(context=insert).written_rows == 1
    query = client.create_query_context(f"SELECT s FROM {table} WHERE a = {{a:Int64}}", parameters={"a": 0})
    for number in range(3):
        assert client.query(context=query.updated_copy(parameters={"a": number})).first_row == (f"row {number}",)


@pytest.mark.parametrize("compression", ["lz4", "zstd", "gzip", False])
def test_compression_both_ways(engine: Engine, table: str, compression: Any) -> None:
    own = clickhouse_connect.get_client(
        host="127.0.0.1", port=engine.port, username="stockwatch", password=engine.password(), compress=compression
    )
    try:
        own.insert(table, [[n, "x" * 50] for n in range(20_000)], column_names=["a", "s"])
        assert own.query(f"SELECT sum(a), sum(length(s)) FROM {table}").first_row == (sum(range(20_000)), 1_000_000)
        assert sum(row[0] for row in own.query(f"SELECT a FROM {table}").result_rows) == sum(range(20_000))
    finally:
        own.close()


def test_frames_and_tables_go_in(client: Client, table: str) -> None:
    client.insert_df(table, pd.DataFrame({"a": np.arange(1000), "s": "x"}))
    client.insert_arrow(table, pa.table({"a": pa.array(range(1000, 2000), pa.int64()), "s": ["y"] * 1000}))
    client.raw_insert(table, ["a", "s"], b"2000,z\n", fmt="CSV")
    client.raw_insert(table, ["a", "s"], "2001\tz\n", fmt="TSV", compression=None)
    client.insert(table, [[2002, 2003], ["c", "c"]], column_names=["a", "s"], column_oriented=True)
    assert client.query(f"SELECT count(), sum(a), uniqExact(s) FROM {table}").first_row == (2004, sum(range(2004)), 4)


@pytest.mark.parametrize("who", ["owner", "reader"])
def test_external_data_are_tables_of_one_query(engine: Engine, who: str) -> None:
    user, file = ("stockwatch", "clickhouse.password") if who == "owner" else ("reader", "clickhouse.reader.password")
    own = clickhouse_connect.get_client(host="127.0.0.1", port=engine.port, username=user, password=engine.password(file))
    data = ExternalData(file_name="movies", data=b"1,Sholay\n2,Lagaan\n", fmt="CSV", structure="id UInt8, name String")
    data.add_file(file_name="years", data=b"1\t1975\n", fmt="TSV", types="UInt8, UInt16")
    try:
        sql = "SELECT name, _2 FROM movies JOIN years ON id = _1"
        assert own.query(sql, external_data=data).result_rows == [("Sholay", 1975)]
        assert own.raw_query(sql, external_data=data, fmt="TSV") == b"Sholay\t1975\n"
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            own.query("SELECT * FROM movies")
        for structure in ("a Int8 DEFAULT 1", "a Int8) ENGINE = File(CSV", "a Int8, b String ALIAS file('x')", ""):
            bad = ExternalData(file_name="x", data=b"1\n", fmt="CSV", structure=structure or "=")
            with pytest.raises(DatabaseError):
                own.query("SELECT * FROM x", external_data=bad)
    finally:
        own.close()


def test_errors_are_the_engines_in_queries_streams_and_inserts(client: Client, table: str) -> None:
    with pytest.raises(DatabaseError, match="Unknown table expression identifier"):
        client.query("SELECT * FROM stockwatch.nosuch")
    with pytest.raises(DatabaseError, match="Cannot parse"):
        client.raw_insert(table, ["a", "s"], b"no number,x\n", fmt="CSV")
    sql = "SELECT number, throwIf(number = 3000000, 'here') FROM numbers(4000000)"
    with pytest.raises(StreamFailureError, match=r"Code: 395[\s\S]*here"), client.query_row_block_stream(sql) as stream:
        list(stream)
    assert client.command("SELECT 1") == 1


def test_the_server_is_described(client: Client) -> None:
    assert client.server_version.startswith("26.9")
    assert str(client.server_tz) == "UTC"
    assert client.ping()


def test_the_asynchronous_client_works_the_same(engine: Engine, table: str) -> None:
    pytest.importorskip("aiohttp", reason="clickhouse-connect's asynchronous client needs aiohttp")

    async def work() -> None:
        own = await clickhouse_connect.get_async_client(
            host="127.0.0.1", port=engine.port, username="stockwatch", password=engine.password(), autogenerate_session_id=False
        )
        try:
            await own.insert(table, [[n, "x"] for n in range(100)], column_names=["a", "s"])
            many = await asyncio.gather(*(own.query(f"SELECT sum(a) + {n} FROM {table}") for n in range(12)))
            assert [result.first_row[0] - 4950 for result in many] == list(range(12))
            total = 0
            async with await own.query_row_block_stream(SQL) as stream:
                async for block in stream:
                    total += sum(row[0] for row in block)
            assert total == TOTAL
            with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
                await own.query("SELECT * FROM stockwatch.nosuch")
        finally:
            await own.close()

    asyncio.run(work())
