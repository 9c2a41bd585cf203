"""What a request asks for, taken apart without an engine."""

from __future__ import annotations

import base64
import gzip
import zlib

import lz4.frame
import pytest

from stockwatch.engines import clickhouse_request
from stockwatch.engines.clickhouse_request import BadRequestError, Request, credentials, parse

INSERT = "INSERT INTO t (a, b) FORMAT Native"
ENCODINGS = {
    "": bytes,
    "identity": bytes,
    "lz4": lz4.frame.compress,
    "zstd": clickhouse_request.zstd.compress,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({"query": "SELECT 1"}, b"", Request("SELECT 1")),
        ({}, b"SELECT 1", Request("SELECT 1")),
        ({"query": "SELECT 1 +"}, b"1", Request("SELECT 1 +\n1")),
        ({"query": "SELECT 1 FORMAT CSV", "default_format": "TSV"}, b"", Request("SELECT 1 FORMAT CSV", output_format="CSV")),
        ({"default_format": "Native"}, b"SELECT 1", Request("SELECT 1", output_format="Native")),
        ({"query": INSERT}, b"\x00\xff\n\n;", Request(INSERT, b"\x00\xff\n\n;", "Native")),
        ({}, INSERT.encode() + b"\n\x00\xff\n\n;", Request(INSERT, b"\x00\xff\n\n;", "Native")),
        ({"query": "INSERT INTO t FORMAT Values"}, b"(1)", Request("INSERT INTO t FORMAT Values\n(1)")),
        (
            {"query": "SELECT {x:Int8}", "param_x": "1", "max_threads": "2", "session_id": "s", "query_id": "q", "database": "d"},
            b"",
            Request("SELECT {x:Int8}", database="d", query_id="q", parameters={"x": "1"}, settings={"max_threads": "2"}),
        ),
    ],
)
def test_statement_data_parameters_and_settings_are_told_apart(query: dict[str, str], body: bytes, expected: Request) -> None:
    assert parse(query, {}, body) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_is_read_in_each_encoding(encoding: str) -> None:
    sent = ENCODINGS[encoding](b"SELECT 1")
    assert parse({}, {"content-encoding": encoding}, sent).sql == "SELECT 1"


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
@pytest.mark.parametrize("damage", [lambda sent: b"not packed", lambda sent: sent[:-4], lambda sent: b""])
def test_a_broken_body_is_said_to_be_broken(encoding: str, damage: object) -> None:
    assert callable(damage)
    with pytest.raises(BadRequestError, match=r"Code: (271|62)\."):
        parse({}, {"content-encoding": encoding}, damage(ENCODINGS[encoding](b"SELECT 1" * 100)))


def test_an_encoding_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadRequestError, match=r"Code: 89\."):
        parse({}, {"content-encoding": "br"}, b"SELECT 1")


@pytest.mark.parametrize("body", [b"", b" \n", b"SELECT '\xff'"])
def test_no_statement_is_a_syntax_error(body: bytes) -> None:
    with pytest.raises(BadRequestError, match=r"Code: 62\."):
        parse({}, {}, body)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_body_is_never_larger_than_allowed(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(clickhouse_request, "MAX_BODY", 1_000)
    with pytest.raises(BadRequestError, match=r"Code: 241\."):
        parse({}, {"content-encoding": encoding}, ENCODINGS[encoding](b" " * 1_001))


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
