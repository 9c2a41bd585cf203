"""Every type that the engine has, in and out by clickhouse-connect, and each form of inserting it: our own contract tests."""

from __future__ import annotations

import io
import itertools
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from clickhouse_connect.driver.client import Client

_numbers = itertools.count()
MOMENT = datetime(2026, 11, 24, 9, 15, 1, tzinfo=UTC)
ID = uuid.UUID("5b1c8b3e-9d3e-4f0a-8a55-0d1d2c3b4a59")
TYPES: dict[str, list[Any]] = {
    "Int8": [-128, 127],
    "Int16": [-(2**15), 2**15 - 1],
    "Int32": [-(2**31), 2**31 - 1],
    "Int64": [-(2**63), 2**63 - 1],
    "Int128": [-(2**127), 2**127 - 1],
    "Int256": [-(2**255), 2**255 - 1],
    "UInt8": [0, 255],
    "UInt16": [0, 2**16 - 1],
    "UInt32": [0, 2**32 - 1],
    "UInt64": [0, 2**64 - 1],
    "UInt128": [0, 2**128 - 1],
    "UInt256": [0, 2**256 - 1],
    "Float32": [0.5, -1.25],
    "Float64": [0.1, -1e300, float("inf")],
    "Bool": [True, False],
    "Decimal(9, 2)": [Decimal("1234567.89"), Decimal("-0.01")],
    "Decimal(38, 10)": [Decimal("1234567890123456789012345678.0123456789")],
    "Decimal(76, 20)": [Decimal("-1.00000000000000000001")],
    "String": ["", "₹ हिन्दी \0 \\ ' \n"],
    "FixedString(3)": [b"abc", b"\0\0\xff"],
    "UUID": [ID, uuid.UUID(int=0)],
    "IPv4": [IPv4Address("10.0.0.1"), IPv4Address("255.255.255.255")],
    "IPv6": [IPv6Address("2001:db8::1"), IPv6Address("::")],
    "Date": [date(1970, 1, 1), date(2149, 6, 6)],
    "Date32": [date(1900, 1, 1), date(2299, 12, 31)],
    "DateTime('UTC')": [MOMENT],
    "DateTime64(3, 'UTC')": [MOMENT + timedelta(milliseconds=123), datetime(1960, 1, 1, tzinfo=UTC)],
    "DateTime64(6, 'UTC')": [MOMENT + timedelta(microseconds=123456)],
    "Enum8('a' = 1, 'b' = -2)": ["a", "b"],
    "Enum16('x' = 1000)": ["x"],
    "Array(String)": [["a", "b'"], []],
    "Array(Array(Nullable(Int32)))": [[[1, None], []], []],
    "Tuple(Int8, String)": [(1, "a")],
    "Tuple(a Int8, b Nullable(String))": [{"a": 1, "b": None}],
    "Map(String, UInt64)": [{"a": 1, "b": 2}, {}],
    "Map(LowCardinality(String), Array(Int8))": [{"a": [1, 2]}],
    "Nullable(Int64)": [None, 5],
    "Nullable(String)": [None, "", "x"],
    "Nullable(Float64)": [None, 0.5],
    "Nullable(DateTime64(3, 'UTC'))": [None, MOMENT],
    "Nullable(UUID)": [ID, None],
    "LowCardinality(String)": ["a", "a", "b"],
    "LowCardinality(Nullable(String))": [None, "a"],
    "LowCardinality(FixedString(2))": [b"ab"],
    "Nested(a Int8, b String)": [[{"a": 1, "b": "x"}], []],
    "JSON": [{"a": {"b": 1}, "c": "x"}, {}],
    "Point": [(1.5, -2.5)],
    "SimpleAggregateFunction(max, Int64)": [7],
}


@pytest.fixture
def place() -> str:
    return f"stockwatch.types{next(_numbers)}"


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_goes_in_and_comes_out_equal(client: Client, place: str, kind: str) -> None:
    values = TYPES[kind]
    settings = {"flatten_nested": 0}
    client.command(f"CREATE TABLE {place} (n UInt8, v {kind}) ENGINE = MergeTree ORDER BY n", settings=settings)
    client.insert(place, list(enumerate(values)), column_names=["n", "v"])
    got = [row[0] for row in client.query(f"SELECT v FROM {place} ORDER BY n", query_tz="UTC", tz_mode="aware").result_rows]
    client.command(f"DROP TABLE {place}")
    assert got == values


@pytest.mark.parametrize(
    "kind",
    ["Int64", "Float64", "String", "Nullable(Int64)", "LowCardinality(String)", "Array(String)", "DateTime64(3, 'UTC')",
     "Decimal(9, 2)", "Map(String, UInt64)", "UUID", "Bool"],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["JSONEachRow", "RowBinary", "TSV", "CSV", "Native", "JSONCompactEachRow", "RowBinaryWithNamesAndTypes"]
)
def test_what_a_format_writes_it_reads(http: httpx.Client, client: Client, place: str, kind: str, form: str) -> None:
    client.command(f"CREATE TABLE {place} (n UInt8, v {kind}) ENGINE = MergeTree ORDER BY n")
    client.insert(place, list(enumerate(TYPES[kind])), column_names=["n", "v"])
    exact = {"output_format_json_quote_denormals": "1"}  # JSON has no word for infinity
    written = http.post("/", params=exact, content=f"SELECT * FROM {place} ORDER BY n FORMAT {form}").content
    assert http.post("/", params={"query": f"INSERT INTO {place} FORMAT {form}"}, content=written).text == ""
    pairs = http.post(
        "/", content=f"SELECT n, groupUniqArray(toString(tuple(v))) AS v, count() FROM {place} GROUP BY n FORMAT JSONCompact"
    )
    client.command(f"DROP TABLE {place}")
    assert [(len(row[1]), row[2]) for row in pairs.json()["data"]] == [(1, 2)] * len(TYPES[kind])


ROWS = [(1, "a\n\nb"), (2, "it's; -- x"), (3, "")]
PLAIN = pa.table({"a": pa.array([row[0] for row in ROWS], pa.int64()), "s": [row[1] for row in ROWS]})


def _parquet() -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(PLAIN, out)
    return out.getvalue()


def _arrow(*, stream: bool) -> bytes:
    out = io.BytesIO()
    with (pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file)(out, PLAIN.schema) as writer:
        writer.write_table(PLAIN)
    return out.getvalue()


INPUTS: dict[str, bytes] = {
    "CSV": b'1,"a\n\nb"\n2,"it\'s; -- x"\n3,""\n',
    "CSVWithNames": b'"s","a"\n"a\n\nb",1\n"it\'s; -- x",2\n"",3\n',
    "TSV": b"1\ta\\n\\nb\n2\tit's; -- x\n3\t\n",
    "TabSeparatedWithNames": b"a\ts\n1\ta\\n\\nb\n2\tit's; -- x\n3\t\n",
    "JSONEachRow": b'{"a":1,"s":"a\\n\\nb"}\n\n{"a":2,"s":"it\'s; -- x"}{"a":"3"}',
    "JSONCompactEachRow": b'[1,"a\\n\\nb"][2,"it\'s; -- x"]\n[3,""]',
    "JSON": b'{"meta":[{"name":"a","type":"Int64"},{"name":"s","type":"String"}],'
    b'"data":[{"a":1,"s":"a\\n\\nb"},{"a":2,"s":"it\'s; -- x"},{"a":3,"s":""}]}',
    "Values": b"(1, 'a\n\nb'), (2, 'it''s; -- x'), (3, '')",
    "RowBinary": b"".join(a.to_bytes(8, "little") + bytes([len(s)]) + s.encode() for a, s in ROWS),
    "Parquet": _parquet(),
    "Arrow": _arrow(stream=False),
    "ArrowStream": _arrow(stream=True),
}


@pytest.mark.parametrize("form", INPUTS)
@pytest.mark.parametrize("place_of_statement", ["address", "body"])
def test_an_insert_takes_each_format(http: httpx.Client, table: str, form: str, place_of_statement: str) -> None:
    sql, data = f"INSERT INTO {table} (a, s) FORMAT {form}", INPUTS[form]
    if place_of_statement == "address":
        answer = http.post("/", params={"query": sql}, content=data)
    else:
        answer = http.post("/", content=sql.encode() + b"\n" + data)
    assert answer.status_code == 200, answer.text
    assert http.post("/", content=f"SELECT a, s FROM {table} ORDER BY a FORMAT JSONCompact").json()["data"] == [
        [a, s] for a, s in ROWS
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {t} VALUES (1, 'a\n\nb'), (2, 'it\\'s; -- x'), (3, '')",
        "INSERT INTO {t} (s, a) VALUES ('a\n\nb', 1), ('it''s; -- x', 2), ('', 3);",
        "INSERT INTO TABLE {t} SETTINGS async_insert = 0 VALUES (1, concat('a', '\n\nb')) (1 + 1, 'it''s; -- x') (3, '')",
        "/* x */ INSERT INTO {t} -- VALUES\n SELECT number + 1, ['a\n\nb', 'it''s; -- x', ''][number + 1] FROM numbers(3)",
        "INSERT INTO {t} WITH 1 AS one SELECT number + one, ['a\n\nb', 'it''s; -- x', ''][number + 1] FROM numbers(3)",
        "INSERT INTO {t} (* EXCEPT s, s) VALUES (1, {x:String}), (2, 'it''s; -- x'), (3, '')",
    ],
)
def test_an_insert_takes_values_and_selects(http: httpx.Client, table: str, sql: str) -> None:
    answer = http.post("/", params={"param_x": "a\\n\\nb"}, content=sql.replace("{t}", table))
    assert answer.status_code == 200, answer.text
    rows = http.post("/", content=f"SELECT a, s FROM {table} ORDER BY a FORMAT JSONCompact").json()["data"]
    assert rows == [[a, s] for a, s in ROWS]


@pytest.mark.parametrize("form", ["CSV", "Native", "Parquet", "JSONEachRow", "RowBinary"])
def test_an_insert_of_nothing_is_well_but_not_into_nowhere(http: httpx.Client, table: str, form: str) -> None:
    assert http.post("/", params={"query": f"INSERT INTO {table} FORMAT {form}"}, content=b"").status_code == 200
    nowhere = http.post("/", params={"query": f"INSERT INTO stockwatch.nosuch FORMAT {form}"}, content=b"")
    assert nowhere.headers["X-ClickHouse-Exception-Code"] == "60"


@pytest.mark.parametrize("values", ["(1, file('{f}'))", "(1, (SELECT file('{f}')))", "(1, '') (2, FILE ('{f}'))"])
@pytest.mark.parametrize("filler", [0, 300_000])
def test_values_reach_no_file(http: httpx.Client, table: str, tmp_path: Any, values: str, filler: int) -> None:
    (tmp_path / "secret").write_text("do not tell")
    more = f"(5, '{'x' * filler}')," if filler else ""
    sql = f"INSERT INTO {table} VALUES {more}" + values.replace("{f}", str(tmp_path / "secret"))
    assert http.post("/", content=sql).status_code >= 400
    assert http.post("/", content=f"SELECT count() FROM {table} WHERE s LIKE '%tell%'").text == "0\n"
