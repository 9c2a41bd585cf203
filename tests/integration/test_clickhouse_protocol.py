"""The HTTP protocol itself: sessions, query ids, progress, errors in the middle and KILL, asked as curl does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from engine import Engine
from program import until


def cut_off(pieces: Iterator[bytes]) -> bytes:
    """The last 2,000 bytes of a body that has to break off: nobody takes it for whole."""
    tail = b""
    try:
        for piece in pieces:
            tail = tail[-2_000:] + piece
    except httpx.RemoteProtocolError:
        return tail
    raise AssertionError(f"the body ended as if it were whole: {tail[-300:]!r}")


class TestSessions:
    def test_set_use_and_temporary_tables_live_in_it(self, http: httpx.Client) -> None:
        mine = {"session_id": "s1"}
        for sql in (
            "SET max_block_size = 77",
            "CREATE TEMPORARY TABLE mine (a Int8)",
            "INSERT INTO mine VALUES (7)",
            "USE system",
        ):
            assert http.post("/", params=mine, content=sql).status_code == 200
        asked = "SELECT getSetting('max_block_size'), (SELECT sum(a) FROM mine), currentDatabase()"
        assert http.post("/", params=mine, content=asked).text == "77\t7\tsystem\n"
        other = http.post("/", params={"session_id": "s2"}, content="SELECT a FROM mine")
        assert other.headers["X-ClickHouse-Exception-Code"] == "60"

    def test_settings_and_database_of_the_address_are_for_one_request(self, http: httpx.Client) -> None:
        mine = {"session_id": "s3"}
        assert http.post("/", params={**mine, "max_block_size": "5"}, content="SELECT 1").text == "1\n"
        http.post("/", params=mine, content="SET max_block_size = 77")
        now = {**mine, "max_block_size": "33", "max_insert_block_size": "44", "database": "system"}
        seen = "SELECT getSetting('max_block_size'), currentDatabase()"
        assert http.post("/", params=now, content=seen).text == "33\tsystem\n"
        assert http.post("/", params=mine, content=seen).text == "77\thome\n"
        bad = http.post("/", params={**mine, "max_block_size": "1", "database": "nosuch"}, content="SELECT 1")
        assert bad.headers["X-ClickHouse-Exception-Code"] == "81"
        assert http.post("/", params=mine, content=seen).text == "77\thome\n"

    def test_one_query_at_a_time(self, http: httpx.Client, engine: Engine) -> None:
        mine = {"session_id": "s4"}
        with http.stream("POST", "/", params=mine, content="SELECT number FROM numbers(30000000) FORMAT CSV") as answer:
            next(answer.iter_raw())
            locked = http.post("/", params=mine, content="SELECT 1")
            assert (locked.status_code, locked.headers["X-ClickHouse-Exception-Code"]) == (500, "373")
            reader = httpx.post(
                f"http://127.0.0.1:{engine.port}/", params=mine, content="SELECT 1", timeout=10,
                auth=("reader", engine.password("clickhouse.reader.password")),
            )  # fmt: skip
            assert reader.text == "1\n"  # another user's session of that name is another
        until(lambda: http.post("/", params=mine, content="SELECT 1").text == "1\n", 10, "the session is free again")

    def test_it_can_be_asked_for_and_ends(self, http: httpx.Client) -> None:
        new = http.post("/", params={"session_id": "s5", "session_check": "1"}, content="SELECT 1")
        assert new.headers["X-ClickHouse-Exception-Code"] == "372"
        assert (
            http.post("/", params={"session_id": "s5", "session_timeout": "0"}, content="SET max_block_size = 5").status_code
            == 200
        )
        gone = {"session_id": "s5", "session_check": "1"}
        until(
            lambda: http.post("/", params=gone, content="SELECT 1").headers.get("X-ClickHouse-Exception-Code") == "372",
            5, "the session has ended",
        )  # fmt: skip

    @pytest.mark.parametrize("seconds", ["x", "-1", "3601"])
    def test_a_wrong_timeout_is_refused(self, http: httpx.Client, seconds: str) -> None:
        answer = http.post("/", params={"session_id": "s6", "session_timeout": seconds}, content="SELECT 1")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "374"

    def test_their_number_is_bounded(self, http: httpx.Client) -> None:
        http.post("/", params={"session_id": "oldest"}, content="SET max_block_size = 5")
        for number in range(100):
            assert http.post("/", params={"session_id": f"many{number}"}, content="SELECT 1").status_code == 200
        old = http.post("/", params={"session_id": "oldest", "session_check": "1"}, content="SELECT 1")
        assert old.headers["X-ClickHouse-Exception-Code"] == "372"

    def test_a_reader_has_sessions_that_cannot_write(self, reader: httpx.Client, table: str) -> None:
        mine = {"session_id": "r1"}
        for _ in range(2):
            assert reader.post("/", params={**mine, "max_block_size": "9"}, content=f"SELECT count() FROM {table}").text == "0\n"
        for sql in (f"INSERT INTO {table} VALUES (1, 'x')", "SET readonly = 0", "CREATE TEMPORARY TABLE x (a Int8)"):
            assert reader.post("/", params=mine, content=sql).headers["X-ClickHouse-Exception-Code"] in ("164", "452")


SLOW = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"


def test_a_query_has_its_id_and_no_other_may_have_it(http: httpx.Client) -> None:
    assert http.post("/", params={"query_id": "mine"}, content="SELECT 1").headers["X-ClickHouse-Query-Id"] == "mine"
    assert len(http.post("/", content="SELECT 1").headers["X-ClickHouse-Query-Id"]) == 36
    ended: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: ended.append(http.post("/", params={"query_id": "long"}, content=SLOW)))
    asking.start()

    running = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%' AND query NOT LIKE '%processes%'"
    until(lambda: http.post("/", content=running).text == "1\n", 10, "it runs")
    again = http.post("/", params={"query_id": "long"}, content="SELECT 1")
    assert "(QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)" in again.text
    assert again.headers["X-ClickHouse-Exception-Code"] == "216"
    killed = http.post("/", content="KILL QUERY WHERE query_id = 'long' SYNC FORMAT JSONCompact")
    assert killed.json()["rows"] == 1
    asking.join(15)
    assert (ended[0].status_code, ended[0].headers["X-ClickHouse-Exception-Code"]) == (500, "394")
    assert http.post("/", params={"query_id": "long"}, content="SELECT 1").text == "1\n"


@pytest.mark.parametrize("condition", ["query_id = 'streams'", "query LIKE '%numbers(40000001)%' AND query NOT LIKE '%KILL%'"])
def test_a_kill_ends_a_stream_that_nobody_reads(http: httpx.Client, condition: str) -> None:
    sql = "SELECT number, 'kept' FROM numbers(40000001) FORMAT TSV"
    with http.stream("POST", "/", params={"query_id": "streams"}, content=sql) as answer:
        pieces = answer.iter_raw()
        next(pieces)
        assert http.post("/", content=f"KILL QUERY WHERE {condition} ASYNC").status_code == 200
        tail = cut_off(pieces)
    assert f"__exception__\r\n{answer.headers['X-ClickHouse-Exception-Tag']}\r\nCode: 394.".encode() in tail


def test_a_client_that_goes_away_ends_its_query(http: httpx.Client) -> None:
    mark = "SELECT count() FROM system.processes WHERE query LIKE '%numbers(70000000000%' AND query NOT LIKE '%processes%'"
    with pytest.raises(httpx.ReadTimeout):
        http.post("/", content="SELECT sum(sipHash64(number)) FROM numbers(700000000001)", timeout=0.5)
    with http.stream("POST", "/", content="SELECT number FROM numbers(700000000002) FORMAT CSV") as answer:
        next(answer.iter_raw())
    until(lambda: http.post("/", content=mark).text == "0\n", 10, "both have ended")


def test_the_summary_tells_what_was_read_and_written(http: httpx.Client, table: str) -> None:
    written = http.post("/", content=f"INSERT INTO {table} SELECT number, 'x' FROM numbers(1000)")
    summary = json.loads(written.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["written_rows"]) == ("1000", "1000")
    by_data = http.post("/", params={"query": f"INSERT INTO {table} FORMAT CSV"}, content=b"1,a\n2,b\n")
    assert json.loads(by_data.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    read = http.post("/", content=f"SELECT a FROM {table} LIMIT 10")
    summary = json.loads(read.headers["X-ClickHouse-Summary"])
    assert (int(summary["read_rows"]) >= 10, summary["result_rows"]) == (True, "10")
    assert int(summary["read_bytes"]) >= 80
    assert int(summary["elapsed_ns"]) > 0


def test_progress_comes_in_headers_when_asked_for(http: httpx.Client) -> None:
    sql = "SELECT sum(sipHash64(number)) FROM numbers(30000000)"
    assert "X-ClickHouse-Progress" not in http.post("/", content=sql).headers
    answer = http.post("/", params={"send_progress_in_http_headers": "1", "wait_end_of_query": "1"}, content=sql)
    steps = [int(json.loads(step)["read_rows"]) for step in answer.headers.get_list("X-ClickHouse-Progress")]
    assert steps == sorted(steps)
    assert steps[-1] == 30_000_000


@pytest.mark.parametrize("wait", ["0", "1"])
def test_an_error_in_the_middle_is_an_error(http: httpx.Client, wait: str) -> None:
    sql = "SELECT number, throwIf(number = 3000000, 'here') FROM numbers(4000000) FORMAT TSV"
    with http.stream("POST", "/", params={"wait_end_of_query": wait}, content=sql) as answer:
        if wait == "1":  # nothing was sent yet: it has its status
            assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (500, "395")
            return
        tail = cut_off(answer.iter_raw())
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert len(tag) == 16
    _rows, _, rest = tail.partition(f"__exception__\r\n{tag}\r\n".encode())
    message, _, end = rest.partition(f" {tag}\r\n__exception__\r\n".encode())
    text, _, length = message.rpartition(b"\n")
    assert text.startswith(b"Code: 395. DB::Exception: here")
    assert int(length) == len(text) + 1
    assert end == b""


@pytest.mark.parametrize("path", ["/", "/ping", "/replicas_status"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_says_ok_to_everyone_on_this_machine(engine: Engine, method: str, path: str) -> None:
    answer = httpx.request(method, f"http://127.0.0.1:{engine.port}{path}", timeout=5)
    assert (answer.status_code, answer.text) == (200, "Ok.\n" if method == "GET" else "")


def test_options_allow_no_other_site(http: httpx.Client) -> None:
    answer = http.options("/")
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, POST, OPTIONS")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_head_has_the_headers_of_get(http: httpx.Client) -> None:
    answer = http.head("/", params={"query": "SELECT 1 FORMAT JSON"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Format"], answer.content) == (200, "JSON", b"")


@pytest.mark.parametrize(
    ("sql", "parameters", "said"),
    [
        ("SELECT {x:String}", {"param_x": "a\\tb\\\\"}, "a\\tb\\\\\n"),
        ("SELECT {x:UInt8} + 1", {"param_x": "7"}, "8\n"),
        ("SELECT {x:Array(String)}[2]", {"param_x": "['a','b\\'c']"}, "b\\'c\n"),
        ("SELECT {x:Date} + 1", {"param_x": "2026-11-24"}, "2026-11-25\n"),
        ("SELECT {x:Nullable(String)} IS NULL", {"param_x": "\\N"}, "1\n"),
        ("SELECT count() FROM {d:Identifier}.{t:Identifier}", {"param_d": "system", "param_t": "one"}, "1\n"),
        (
            "SELECT {x:String}, {y:String}",
            {"param_x": "'; DROP TABLE t; --", "param_y": "{x:String}"},
            "\\'; DROP TABLE t; --\t{x:String}\n",
        ),
    ],
)
def test_parameters_are_typed_and_no_part_of_the_statement(
    http: httpx.Client, sql: str, parameters: dict[str, str], said: str
) -> None:
    assert http.post("/", params=parameters, content=sql).text == said


@pytest.mark.parametrize(
    ("sql", "parameters", "code"),
    [
        ("SELECT {x:UInt8}", {}, 456),
        ("SELECT {x:UInt8}", {"param_x": "no"}, 457),
        ("SELECT 1", {"nosuch_setting": "1"}, 115),
        ("SELECT 1", {"bad name": "1"}, 115),
        ("SELECT 1", {"role": "nosuch"}, 511),
        ("SELECT * FROM numbers(10) WHERE number = 'a'", {}, 53),
        ("SELECT toDate('x')", {}, 38),
        ("CREATE TABLE stockwatch.x (a Nosuch) ENGINE = Memory", {}, 50),
        ("SELECT nosuch(1)", {}, 46),
        ("SELECT 1 FROM numbers(1) GROUP BY", {}, 62),
        ("SELECT sleep(3)", {"max_execution_time": "1"}, None),
        ("SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1", {"max_execution_time": "1"}, 159),
        ("SELECT groupArray(number) FROM numbers(100000000)", {"max_memory_usage": "10000000"}, 241),
    ],
)
def test_an_error_is_the_engines_own(http: httpx.Client, sql: str, parameters: dict[str, str], code: int | None) -> None:
    answer = http.post("/", params=parameters, content=sql)
    assert answer.status_code >= 400
    assert answer.status_code not in (429, 503, 504)
    assert answer.text.startswith(f"Code: {code or answer.headers['X-ClickHouse-Exception-Code']}. DB::Exception: ")
    assert answer.headers["X-ClickHouse-Exception-Code"] in answer.text
    assert answer.text.count("(version 26.9") == 1
    assert "incoming/" not in answer.text
