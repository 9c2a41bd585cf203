"""What a request of ClickHouse's HTTP protocol asks for: statement, data, parameters, settings; and its bodies' compression."""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import lz4.frame

try:
    from compression import zstd  # Python 3.14
except ImportError:
    from backports import zstd

# Parameters of the transport: neither settings nor query parameters (ClickHouse's documentation, "HTTP interface").
TRANSPORT = {
    "query", "database", "user", "password", "default_format", "session_id", "session_timeout", "session_check", "query_id",
    "compress", "decompress", "quota_key", "role", "wait_end_of_query", "buffer_size", "client_protocol_version", "stacktrace",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
    "http_zlib_compression_level", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\s[^)]*)?;?\s*$", re.IGNORECASE)
_INSERT_DATA = re.compile(r"^\s*INSERT\s+INTO\s.*?\bFORMAT\s+(?!Values\b)(\w+)[ \t]*(?:\r?\n|$)", re.IGNORECASE | re.DOTALL)
MAX_BODY = 1 << 30  # bytes after decompression


class BadRequestError(ValueError):
    """The request itself is wrong: ClickHouse's code and a text."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")


@dataclass
class Request:
    """One statement as it is to be run."""

    sql: str
    data: bytes | None = None  # of an INSERT … FORMAT x
    data_format: str = ""
    database: str = ""
    output_format: str = "TabSeparated"
    query_id: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def parse(query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Request:
    """SQL is `query` + newline + body, but the body of an INSERT … FORMAT x is data. Raises BadRequestError."""
    body = _decompressed(body, headers.get("content-encoding", ""))
    asked = query.get("query", "")
    data: bytes | None = None
    data_format = ""
    if match := _INSERT_DATA.match(asked):
        data, data_format, sql = body, match[1], asked
    else:
        head = body[:65_536].decode("utf-8", "replace") if re.match(rb"\s*INSERT\b", body[:64], re.IGNORECASE) else ""
        if not asked and (match := _INSERT_DATA.match(head)):
            sql = match[0].rstrip()
            data, data_format = body[len(match[0].encode()) :], match[1]
        else:
            try:
                sql = "\n".join(part for part in (asked, body.decode()) if part)
            except UnicodeDecodeError:
                raise BadRequestError(62, "SYNTAX_ERROR", "the statement is not UTF-8") from None
    if not sql.strip():
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: empty query")
    named = _FORMAT.search(sql)
    default = query.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    return Request(
        sql=sql,
        data=data,
        data_format=data_format,
        database=query.get("database") or headers.get("x-clickhouse-database", ""),
        output_format=named[1] if named and data is None else default,
        query_id=query.get("query_id", ""),
        parameters={key[6:]: value for key, value in query.items() if key.startswith("param_")},
        settings={key: value for key, value in query.items() if key not in TRANSPORT and not key.startswith("param_")},
    )


def without_format(sql: str) -> str:
    """The statement without its FORMAT clause."""
    return _FORMAT.sub("", sql)


def credentials(query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password from X-ClickHouse-User/Key, basic authentication, or the address; the user is `default` if none."""
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    return query.get("user", "default"), query.get("password", "")


def _decompressed(body: bytes, encoding: str) -> bytes:
    try:
        if encoding in ("", "identity"):
            plain = body
        elif encoding == "lz4":
            plain = lz4.frame.decompress(body)
        elif encoding == "zstd":
            plain = zstd.decompress(body)
        elif encoding in ("gzip", "x-gzip"):
            plain = gzip.decompress(body)
        elif encoding == "deflate":
            plain = zlib.decompress(body)
        else:
            raise BadRequestError(89, "UNKNOWN_COMPRESSION_METHOD", f"Unknown compression method {encoding}")
    except (RuntimeError, OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        raise BadRequestError(271, "CANNOT_DECOMPRESS", f"Cannot decompress the body: {error}") from None
    if len(plain) > MAX_BODY:
        raise BadRequestError(241, "MEMORY_LIMIT_EXCEEDED", "the body is too large")
    return plain
