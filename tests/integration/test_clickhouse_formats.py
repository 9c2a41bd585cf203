"""Answers in every format, packed as asked for: as curl and other programs take them."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

import httpx
import lz4.block
import lz4.frame
import pyarrow.ipc
import pyarrow.parquet
import pytest
from clickhouse_cityhash.cityhash import CityHash128

from stockwatch.engines.clickhouse_body import PackedBlocks, zstd

SQL = "SELECT 1 AS x, 'a\\nb' AS y"
TEXTS = {
    "TabSeparated": "1\ta\\nb\n",
    "TSV": "1\ta\\nb\n",
    "TSVRaw": "1\ta\nb\n",
    "TabSeparatedWithNames": "x\ty\n1\ta\\nb\n",
    "TSVWithNamesAndTypes": "x\ty\nUInt8\tString\n1\ta\\nb\n",
    "CSV": '1,"a\nb"\n',
    "CSVWithNames": '"x","y"\n1,"a\nb"\n',
    "JSONEachRow": '{"x":1,"y":"a\\nb"}\n',
    "JSONStringsEachRow": '{"x":"1","y":"a\\nb"}\n',
    "JSONCompactEachRow": '[1, "a\\nb"]\n',
    "JSONCompactEachRowWithNamesAndTypes": '["x", "y"]\n["UInt8", "String"]\n[1, "a\\nb"]\n',
    "Values": "(1,'a\\nb')",
    "Vertical": "Row 1:\n──────\nx: 1\ny: a\nb\n",
    "LineAsString": "1\na\nb\n",
    "SQLInsert": "INSERT INTO table (`x`, `y`) VALUES (1, 'a\\nb');\n",
    "Markdown": "| x | y |\n|-:|:-|\n| 1 | a\\\nb |\n",
    "Null": "",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_format_is_as_clickhouse_writes_it(http: httpx.Client, name: str) -> None:
    answer = http.post("/", content=f"{SQL} FORMAT {name}")
    assert answer.status_code == 200, answer.text
    if name not in ("Markdown", "LineAsString", "Vertical"):  # their escapes change from version to version
        assert answer.text == TEXTS[name]
    assert answer.headers["X-ClickHouse-Format"] == name
    assert http.post("/", params={"default_format": name}, content=SQL).content == answer.content
    assert http.post("/", headers={"X-ClickHouse-Format": name}, content=SQL).content == answer.content


@pytest.mark.parametrize(
    "name", ["JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONObjectEachRow"]
)
@pytest.mark.parametrize("rows", [0, 3, 100_000])
def test_a_json_document_is_one_document(http: httpx.Client, name: str, rows: int) -> None:
    answer = http.post("/", content=f"SELECT number AS n, toString(number) AS s FROM numbers({rows}) FORMAT {name}")
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    data = document.get("data", document)
    if isinstance(data, dict) and name != "JSONObjectEachRow":
        data = data.get("n", [])  # of no rows there are no columns
    assert len(data) == rows
    if "rows" in document:
        assert document["rows"] == rows


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("RowBinary", b"\x01\x03a\nb"),
        ("RowBinaryWithNames", b"\x02\x01x\x01y\x01\x03a\nb"),
        ("RowBinaryWithNamesAndTypes", b"\x02\x01x\x01y\x05UInt8\x06String\x01\x03a\nb"),
        ("Native", b"\x02\x01\x01x\x05UInt8\x01\x01y\x06String\x03a\nb"),
    ],
)
def test_a_binary_format_is_as_clickhouse_writes_it(http: httpx.Client, name: str, body: bytes) -> None:
    assert http.post("/", content=f"{SQL} FORMAT {name}").content == body


@pytest.mark.parametrize("rows", [0, 5, 300_000])
@pytest.mark.parametrize("name", ["Parquet", "Arrow", "ArrowStream"])
def test_a_columnar_file_is_whole(http: httpx.Client, name: str, rows: int) -> None:
    body = http.post("/", content=f"SELECT number AS n, toString(number) AS s FROM numbers({rows}) FORMAT {name}").content
    read: dict[str, Callable[[bytes], object]] = {
        "Parquet": lambda data: pyarrow.parquet.read_table(io.BytesIO(data)),
        "Arrow": lambda data: pyarrow.ipc.open_file(data).read_all(),
        "ArrowStream": lambda data: pyarrow.ipc.open_stream(data).read_all(),
    }
    if name == "ArrowStream" and not rows:
        assert pyarrow.ipc.open_stream(body).schema.names == ["n", "s"]
        return
    table = read[name](body)
    assert isinstance(table, pyarrow.Table)
    assert (table.num_rows, table.column_names) == (rows, ["n", "s"])


@pytest.mark.parametrize("name", ["Pretty", "PrettyCompact", "PrettySpace", "XML", "PrettyNoEscapes"])
def test_a_format_for_people_is_given(http: httpx.Client, name: str) -> None:
    answer = http.post("/", content=f"SELECT 'seen' AS x FORMAT {name}")
    assert "seen" in answer.text


@pytest.mark.parametrize("where", ["clause", "parameter"])
def test_an_unknown_format_is_refused(http: httpx.Client, where: str) -> None:
    sql, parameters = ("SELECT 1 FORMAT Nosuch", {}) if where == "clause" else ("SELECT 1", {"default_format": "Nosuch"})
    answer = http.post("/", params=parameters, content=sql)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "73")


PACKED = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": zstd.decompress,
    "lz4": lz4.frame.decompress,
}


@pytest.mark.parametrize("rows", [0, 1, 200_000])
@pytest.mark.parametrize("encoding", PACKED)
def test_an_answer_is_packed_as_asked(http: httpx.Client, encoding: str, rows: int) -> None:
    sql = f"SELECT number FROM numbers({rows}) FORMAT TSV"
    with http.stream(
        "POST", "/", params={"enable_http_compression": "1"}, content=sql, headers={"Accept-Encoding": encoding}
    ) as answer:
        assert answer.headers["Content-Encoding"] == encoding
        packed = b"".join(answer.iter_raw())
    assert PACKED[encoding](packed) == b"".join(b"%d\n" % n for n in range(rows))


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "identity"])
def test_an_answer_is_plain_unless_asked_for(http: httpx.Client, accepted: str) -> None:
    for parameters in ({"enable_http_compression": "1"}, {}):
        answer = http.post("/", params=parameters, content="SELECT 1", headers={"Accept-Encoding": accepted})
        assert "Content-Encoding" not in answer.headers
        assert answer.text == "1\n"
    assert "Content-Encoding" not in http.post("/", content="SELECT 1", headers={"Accept-Encoding": "gzip"}).headers


@pytest.mark.parametrize("rows", [0, 1, 400_000])
def test_clickhouses_own_blocks_come_and_go(http: httpx.Client, table: str, rows: int) -> None:
    plain = b"".join(b"%d,x\n" % n for n in range(rows))
    sent = PackedBlocks().take(plain)
    insert = {"query": f"INSERT INTO {table} FORMAT CSV", "decompress": "1"}
    assert http.post("/", params=insert, content=sent).status_code == 200
    asked = {"compress": "1", "query": f"SELECT a, s FROM {table} ORDER BY a FORMAT CSV"}
    got, out = http.post("/", params=asked).content, b""
    while got:
        checksum, method, size = got[:16], got[16], int.from_bytes(got[17:21], "little")
        value = CityHash128(got[16 : 16 + size])
        assert checksum == (value >> 64).to_bytes(8, "little") + (value & (1 << 64) - 1).to_bytes(8, "little")
        assert method == 0x82
        out += lz4.block.decompress(got[25 : 16 + size], uncompressed_size=int.from_bytes(got[21:25], "little"))
        got = got[16 + size :]
    assert out == plain.replace(b"x", b'"x"')


@pytest.mark.parametrize(("damage", "code"), [(0, "40"), (16, "40"), (30, "40"), (17, "271")])
def test_a_damaged_block_is_refused(http: httpx.Client, damage: int, code: str) -> None:
    sent = bytearray(PackedBlocks().take(b"SELECT 1 -- " + b"x" * 100))
    sent[damage] ^= 0xFF
    answer = http.post("/", params={"decompress": "1"}, content=bytes(sent))
    assert answer.headers["X-ClickHouse-Exception-Code"] == code
