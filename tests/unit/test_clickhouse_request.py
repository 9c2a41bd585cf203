"""What a request asks for, taken apart without an engine: parameters, statement, data, who asks; and how bodies are unpacked."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

import lz4.frame
import pytest

from stockwatch.engines.clickhouse_body import PackedBlocks, packing, unpacking, zstd
from stockwatch.engines.clickhouse_errors import block, code_of, said, status_of
from stockwatch.engines.clickhouse_request import BadRequestError, Request, credentials, parse
from stockwatch.engines.clickhouse_statement import (
    first_word,
    insert_head,
    kill_query,
    split_format,
    values_as_select,
    with_user,
)  # fmt: skip

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ({}, "SELECT 1", Request("SELECT 1")),
        ({"default_format": "TSV"}, "SELECT 1 FORMAT CSV", Request("SELECT 1 FORMAT CSV", format="CSV")),
        ({"default_format": "Native"}, "SELECT 1\n", Request("SELECT 1", format="Native")),
        (
            {"query": "x", "param_x": "1", "max_threads": "2", "session_id": "s", "query_id": "q", "database": "d"},
            "SELECT {x:Int8}",
            Request(
                "SELECT {x:Int8}", database="d", query_id="q", session_id="s", parameters={"x": "1"}, settings={"max_threads": "2"}
            ),
        ),
        (
            {"session_timeout": "5", "session_check": "1", "wait_end_of_query": "1", "buffer_size": "9", "send_progress_in_http_headers": "1"},
            "SELECT 1",
            Request("SELECT 1", session_seconds=5, session_check=True, wait_end=True, buffer_bytes=9, progress=True),
        ),
    ],
)  # fmt: skip
def test_parameters_and_settings_are_told_apart(query: dict[str, str], text: str, expected: Request) -> None:
    assert parse(query, {}, text) == expected


@pytest.mark.parametrize(
    ("sql", "bare", "name"),
    [
        ("SELECT 1 FORMAT JSON", "SELECT 1", "JSON"),
        ("SELECT 1 format JSON SETTINGS a = 1 ;", "SELECT 1   SETTINGS a = 1", "JSON"),
        ("SELECT 1 SETTINGS a = 1 FORMAT /* x */ JSON", "SELECT 1 SETTINGS a = 1", "JSON"),
        ("SELECT 1 -- FORMAT CSV", "SELECT 1 -- FORMAT CSV", ""),
        ("SELECT 'FORMAT CSV'", "SELECT 'FORMAT CSV'", ""),
        ("SELECT format FROM t", "SELECT format FROM t", ""),
        ("SELECT 1 FROM format t", "SELECT 1 FROM format t", ""),
        ("SELECT 1 AS format", "SELECT 1 AS format", ""),
        ("SELECT (SELECT 1 FORMAT x)", "SELECT (SELECT 1 FORMAT x)", ""),
        ("SELECT $a$ FORMAT CSV $a$", "SELECT $a$ FORMAT CSV $a$", ""),
        ("SELECT `it``s \\` FORMAT CSV`", "SELECT `it``s \\` FORMAT CSV`", ""),
    ],
)
def test_the_format_clause_is_found(sql: str, bare: str, name: str) -> None:
    found = split_format(sql)
    assert (found.sql, found.format) == (bare, name)


@pytest.mark.parametrize(
    ("sql", "target", "form", "data"),
    [
        ("INSERT INTO t FORMAT CSV\n1\n", "INSERT INTO t", "CSV", "1\n"),
        ("INSERT INTO t FORMAT TSV \r\n\n1", "INSERT INTO t", "TSV", "\n1"),
        ("insert into values (a) values (1)", "insert into values (a)", "Values", "(1)"),
        ("INSERT INTO t (`format`, b) SETTINGS a = 1 FORMAT CSV\nx", "INSERT INTO t (`format`, b)", "CSV", "x"),
        ("-- FORMAT X\nINSERT INTO db.format FORMAT CSV", "-- FORMAT X\nINSERT INTO db.format", "CSV", ""),
        ("INSERT INTO FUNCTION null('a') VALUES (1)", "INSERT INTO FUNCTION null('a')", "Values", "(1)"),
    ],
)
def test_the_data_of_an_insert_are_found(sql: str, target: str, form: str, data: str) -> None:
    found = insert_head(sql)
    assert found is not None
    assert (found.target, found.format, sql[found.data_start :]) == (target, form, data)
    assert found.from_file("/x'y").endswith(f"FORMAT {form}")
    assert "FROM INFILE '/x\\'y'" in found.from_file("/x'y")


@pytest.mark.parametrize(
    "sql", ["SELECT 1 FORMAT CSV", "INSERT INTO t SELECT 1 FORMAT CSV", "INSERT INTO t WITH 1 AS x SELECT x", "", "("]
)
def test_no_insert_of_data_is_seen_where_there_is_none(sql: str) -> None:
    assert insert_head(sql) is None


def test_the_user_is_named_and_the_column_keeps_its_name() -> None:
    assert with_user("SELECT currentUser(), 'user()', t.user(), user", "reader") == (
        "SELECT ('reader' AS `currentUser()`), 'user()', t.user(), user"
    )


def test_a_kill_is_understood() -> None:
    found = kill_query("KILL QUERY WHERE query_id = 'it''s' AND user = 'x' SYNC FORMAT JSON", "mark")
    assert found is not None
    assert (found.condition.strip(), found.mode) == ("has([query_id, Settings['mark']], 'it''s') AND user = 'x'", "SYNC")
    assert kill_query("SELECT 'KILL QUERY WHERE 1'", "mark") is None


@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ("(1, 'f(x)'), (2, '')", ""),
        ("(1 + 1, now()) (2, 'x')", "SELECT (1 + 1, now()),  (2, 'x')"),
        ("((SELECT 1))", "SELECT ((SELECT 1))"),
    ],
)
def test_values_that_are_expressions_are_asked_about(values: str, asked: str) -> None:
    assert values_as_select(values) == asked


@pytest.mark.parametrize("text", ["/*" * 50_000, "'" * 50_001, "$a$ $b$ " * 20_000, "(" * 100_000, '"\\' * 50_000, "`" * 99_999])
def test_a_hostile_text_is_read_in_one_pass(text: str) -> None:
    assert first_word(f"SELECT {text}") == "SELECT"
    assert split_format(text).format == ""


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_body_is_unpacked_piece_by_piece(encoding: str, step: int) -> None:
    plain = b"SELECT 1 -- " + bytes(range(256)) * 20
    sent = ENCODINGS[encoding](plain) + ENCODINGS[encoding](b"and more")  # two members are one body
    (codec,) = unpacking(encoding, blocks=False)
    assert b"".join(codec.take(sent[at : at + step]) for at in range(0, len(sent), step)) + codec.end() == plain + b"and more"


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_blocks_are_unpacked_piece_by_piece(step: int) -> None:
    plain = bytes(range(256)) * 9_000
    sent = PackedBlocks().take(plain)
    (codec,) = unpacking("", blocks=True)
    got = b"".join(codec.take(sent[at : at + step]) for at in range(0, len(sent), step if step > 1 else 1)) + codec.end()
    assert got == plain


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("damage", [lambda sent: b"not packed at all", lambda sent: sent[:-4]])
def test_a_broken_body_is_said_to_be_broken(encoding: str, damage: Callable[[bytes], bytes]) -> None:
    (codec,) = unpacking(encoding, blocks=False)
    with pytest.raises(BadRequestError, match=r"Code: 271\."):  # noqa: PT012 - found in the middle or at the end
        codec.take(damage(ENCODINGS[encoding](b"SELECT 1" * 100)))
        codec.end()


def test_an_encoding_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadRequestError, match=r"Code: 89\."):
        unpacking("br", blocks=False)


@pytest.mark.parametrize(
    ("query", "accepted", "expected"),
    [
        ({"enable_http_compression": "1"}, "gzip, deflate, br", "gzip"),
        ({"enable_http_compression": "1"}, "gzip;q=0, zstd;q=0.5", "zstd"),
        ({"enable_http_compression": "1"}, "gzip, lz4", "lz4"),
        ({"enable_http_compression": "1", "http_zlib_compression_level": "x"}, "deflate", "deflate"),
        ({"enable_http_compression": "0"}, "gzip", ""),
        ({"compress": "1", "enable_http_compression": "1"}, "gzip", ""),
    ],
)
def test_an_answers_encoding_is_what_was_asked_for(query: dict[str, str], accepted: str, expected: str) -> None:
    assert packing(query, {"accept-encoding": accepted})[0] == expected


@pytest.mark.parametrize("text", ["", " \n", ";", "; ;"])
def test_no_statement_is_a_syntax_error(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"Code: 62\."):
        parse({}, {}, text)


@pytest.mark.parametrize(
    ("text", "code", "status", "shown"),
    [
        ("Code: 60. DB::Exception: Table x. (UNKNOWN_TABLE)", 60, 404, "Code: 60. DB::Exception: Table x. (UNKNOWN_TABLE) (version V (chDB))\n"),
        (
            "Code: 164. DB::Exception: Code: 164. DB::Exception: No. (READONLY) (version 26.9.2.1). (READONLY)",
            164, 403, "Code: 164. DB::Exception: No. (READONLY) (version V (chDB))\n",
        ),
        ("something", 1002, 500, "Code: 1002. DB::Exception: something. (UNKNOWN_EXCEPTION) (version V (chDB))\n"),
        ("Code: 27. DB::Exception: in /secret/x. (Y)", 27, 400, "Code: 27. DB::Exception: in data/x. (Y) (version V (chDB))\n"),
    ],
)  # fmt: skip
def test_an_error_is_told_as_clickhouse_does(text: str, code: int, status: int, shown: str) -> None:
    got = said(RuntimeError(text), "V", {"/secret": "data"})
    assert (got, code_of(got), status_of(code)) == (shown, code, status)


def test_an_error_block_tells_its_length() -> None:
    assert block("Code: 1. x\n", "t" * 16) == (
        b"\r\n__exception__\r\ntttttttttttttttt\r\nCode: 1. x\n11 tttttttttttttttt\r\n__exception__\r\n"
    )


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ({}, {"x-clickhouse-user": "a", "x-clickhouse-key": "b"}, ("a", "b")),
        ({}, {"x-clickhouse-user": "a"}, ("a", "")),
        ({}, {"authorization": "Basic " + base64.b64encode("a:b:₹".encode()).decode()}, ("a", "b:₹")),
        ({}, {"authorization": "Basic ???"}, ("", "")),
        ({"user": "a", "password": "b"}, {"authorization": "Bearer x"}, ("a", "b")),
        ({"user": "a", "password": "b"}, {}, ("a", "b")),
        ({"user": "a", "password": "b"}, {"x-clickhouse-user": "c"}, ("c", "")),
        ({}, {}, ("default", "")),
    ],
)
def test_user_and_password_are_found(query: dict[str, str], headers: dict[str, str], expected: tuple[str, str]) -> None:
    assert credentials(query, headers) == expected
