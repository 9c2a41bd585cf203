"""What a request of ClickHouse's HTTP protocol asks for: who, which statement, which data, parameters and settings."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from stockwatch.engines.clickhouse_statement import Insert, insert_head, split_format

# Parameters of the transport: neither settings nor query parameters (ClickHouse's documentation, "HTTP interface").
TRANSPORT = {
    "query", "database", "user", "password", "default_format", "session_id", "session_timeout", "session_check", "query_id",
    "compress", "decompress", "quota_key", "role", "wait_end_of_query", "buffer_size", "client_protocol_version", "stacktrace",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
    "http_zlib_compression_level", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
MAX_BODY = 1 << 30  # bytes after decompression
MAX_SQL = 1 << 20  # bytes of a statement without its data
SESSION_SECONDS, MAX_SESSION_SECONDS = 60, 3_600  # ClickHouse's defaults


class BadRequestError(ValueError):
    """The request itself is wrong: ClickHouse's code and a text."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}. ({name})")


@dataclass(frozen=True)
class External:
    """A table that came with the request, as a part of its form: ClickHouse's external data."""

    name: str
    data: bytes
    structure: str
    format: str


@dataclass
class Request:
    """One statement as it is to be run."""

    sql: str
    insert: Insert | None = None  # its data follow, or came by
    database: str = ""
    format: str = "TabSeparated"
    query_id: str = ""
    session_id: str = ""
    session_seconds: int = SESSION_SECONDS
    session_check: bool = False
    parameters: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    external: list[External] = field(default_factory=list)
    wait_end: bool = False
    progress: bool = False
    buffer_bytes: int = 1 << 20  # of an answer, before it begins: until then an error still has its status


def parse(query: Mapping[str, str], headers: Mapping[str, str], text: str) -> Request:
    """`text` is the statement: `query`, a line end and the body, up to where an INSERT's data begin. Raises BadRequestError."""
    insert = insert_head(text)
    sql = (text if insert is None else text[: insert.data_start]).strip()
    if not sql.strip("; \n\t"):
        raise BadRequestError(62, "SYNTAX_ERROR", "Syntax error: failed at position 1: empty query")
    if query.get("role"):
        raise BadRequestError(511, "UNKNOWN_ROLE", f"There is no role `{query['role'][:80]}` in user directories")
    default = query.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    named = split_format(sql).format if insert is None else ""
    settings = {key: value for key, value in query.items() if key not in TRANSPORT and not key.startswith("param_")}
    for name in settings:
        if not re.fullmatch(r"[A-Za-z_]\w{0,99}", name, re.ASCII):
            raise BadRequestError(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:80]}'")
    return Request(
        sql=sql,
        insert=insert,
        database=query.get("database") or headers.get("x-clickhouse-database", ""),
        format=named or default,
        query_id=re.sub(r"[^ -~]", "?", query.get("query_id", ""))[:200],  # it goes into a header
        session_id=query.get("session_id", ""),
        session_seconds=_session_seconds(query.get("session_timeout", "")),
        session_check=query.get("session_check") == "1",
        parameters={key[6:]: value for key, value in query.items() if key.startswith("param_")},
        settings=settings,
        wait_end=query.get("wait_end_of_query") in ("1", "true"),
        progress=query.get("send_progress_in_http_headers") in ("1", "true"),
        buffer_bytes=_buffer_bytes(query.get("buffer_size", "")),
    )


def _session_seconds(text: str) -> int:
    if not text:
        return SESSION_SECONDS
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise BadRequestError(374, "INVALID_SESSION_TIMEOUT", f"Invalid session timeout: '{text[:40]}'")
    if int(text) > MAX_SESSION_SECONDS:
        raise BadRequestError(
            374, "INVALID_SESSION_TIMEOUT", f"Session timeout '{text}' is larger than max_session_timeout: {MAX_SESSION_SECONDS}"
        )
    return int(text)


def _buffer_bytes(text: str) -> int:
    """ClickHouse's `buffer_size`: between nothing and what a request may hold in memory here."""
    return min(int(text), 4 << 20) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 1 << 20


def credentials(query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    """User and password from X-ClickHouse-User/Key, basic authentication, or the address; the user is `default` if none."""
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return "", ""
        return user, password
    return query.get("user", "default"), query.get("password", "")
