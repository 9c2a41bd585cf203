"""The gateway: ClickHouse's HTTP protocol over chDB handles, on loopback.

One handle a request (0.1 ms) isolates SET, USE and temporary tables. Queries run in a pool of threads, never on the event loop.
Refused for everyone: INFILE, OUTFILE and several statements; for the reader everything that is not READ_ONLY by the engine's
own parser, and every function or table function that reaches files or the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from chdb._exceptions import ChdbError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from stockwatch.engines.clickhouse_guard import refusal
from stockwatch.engines.clickhouse_request import BadRequestError, Request, credentials, parse, without_format

STREAMED = {"Native", "TabSeparated", "TSV", "CSV", "JSONEachRow", "RowBinary"}  # others repeat their header (FACTS.md)
_NOT_FOUND = {60, 81}  # unknown table, unknown database
_FORBIDDEN = {164, 192, 193, 194, 291, 497, 516}  # readonly, authentication and access
THREADS = 16
HOME = "home"  # stands for `default`, in which chDB takes paths of files for tables
Connect = Callable[[], Any]


class Gateway:
    """The ASGI application and what it needs. `users` maps a name to (password, is read-only)."""

    def __init__(self, connect: Connect, version: str, users: dict[str, tuple[str, bool]], folder: Path) -> None:
        self._connect, self._version, self._users = connect, version, users
        self._folder = folder  # for the data of inserts on their way
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="clickhouse query")
        routes = [Route("/", self._query, methods=["GET", "POST"])]
        routes += [Route(path, self._ping, methods=["GET"]) for path in ("/ping", "/replicas_status")]
        hosts = ["127.0.0.1", "localhost", "[::1]"]  # anything else in Host is DNS rebinding
        self.app = Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)])

    def close(self) -> None:
        """Take no more queries."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _ping(self, _request: HttpRequest) -> Response:
        return PlainTextResponse("Ok.\n")

    async def _query(self, http: HttpRequest) -> Response:
        user, password = credentials(http.query_params, http.headers)
        known = self._users.get(user)
        expected = known[0] if known else "no such user"
        if not hmac.compare_digest(password.encode(), expected.encode()) or known is None:
            text = f"Code: 516. DB::Exception: {user}: Authentication failed. (AUTHENTICATION_FAILED)"
            return self._error(ChdbError(text), {"WWW-Authenticate": 'Basic realm="ClickHouse"'})
        if http.headers.get("origin") and not _same_origin(http):
            return self._error(ChdbError("Code: 497. DB::Exception: Other sites may not ask. (ACCESS_DENIED)"))
        read_only = known[1] or http.method == "GET"
        loop = asyncio.get_running_loop()
        try:
            request = parse(http.query_params, http.headers, await http.body())
            run = partial(self._run, request, read_only=read_only)
            handle, has_rows, chunks, first = await loop.run_in_executor(self._pool, run)
        except (ChdbError, BadRequestError) as error:
            return self._error(error)
        headers = {
            "X-ClickHouse-Query-Id": request.query_id or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "stockwatch",
            "X-ClickHouse-Summary": json.dumps({"read_rows": "0", "read_bytes": "0", "written_rows": "0"}),
        }
        if not has_rows:
            return Response(b"", 200, headers)
        headers["X-ClickHouse-Format"] = request.output_format
        kind = "application/json" if request.output_format.startswith("JSON") else "text/plain; charset=UTF-8"
        if chunks is None:
            return Response(first, 200, headers, kind)
        return StreamingResponse(self._stream(handle, chunks, first), 200, headers, kind)

    async def _stream(self, handle: Any, chunks: Iterator[Any], first: bytes) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            block: bytes | None = first
            while block is not None:
                if block:
                    yield block
                block = await loop.run_in_executor(self._pool, _next_block, chunks)
        finally:
            handle.close()

    def _run(self, request: Request, *, read_only: bool) -> tuple[Any, bool, Iterator[Any] | None, bytes]:
        """In the pool: check, run, and fetch the first block, so that an error still has its status.

        Returns the handle (open only while chunks follow), whether there is a result set, the chunks and the first block.
        """
        if request.database in ("", "default"):
            request.database = HOME
        handle = self._connect()
        keep = False
        try:
            for name, value in request.settings.items():
                if not re.fullmatch(r"[A-Za-z_]\w*", name):
                    raise BadRequestError(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:80]}'")
                handle.query(f"SET {name} = {_quoted(value)}")
            if request.database:
                handle.query(f"USE `{request.database.replace(chr(96), '')}`")
            is_read = refusal(handle, request.sql, request.parameters, has_data=request.data is not None, read_only=read_only)
            if request.data is not None:
                self._insert(handle, request)
                return None, False, None, b""
            if not is_read or request.output_format not in STREAMED:
                result = handle.query(request.sql, request.output_format, params=request.parameters).bytes()
                return None, is_read, None, result
            try:
                chunks = iter(handle.send_query(request.sql, request.output_format, params=request.parameters))
                first = _next_block(chunks)
            except ChdbError as error:
                if "Streaming query is not supported" not in str(error):  # DESCRIBE, SHOW, EXPLAIN: small, and in one piece
                    raise
                return None, True, None, handle.query(request.sql, request.output_format, params=request.parameters).bytes()
            if first is None:
                return None, True, None, self._empty(request)
            keep = True
            return handle, True, chunks, first
        finally:
            if not keep:
                handle.close()

    def _insert(self, handle: Any, request: Request) -> None:
        """Through a file: only INSERT … FROM INFILE acknowledges what is really written (FACTS.md)."""
        if not request.data:
            return
        head = re.sub(r"\bFORMAT\s+\w+\s*$", "", request.sql.strip(), flags=re.IGNORECASE)
        path = self._folder / f"{uuid.uuid4().hex}.{request.data_format}"
        try:
            path.write_bytes(request.data)
            handle.query(f"{head} FROM INFILE {_quoted(str(path))} FORMAT {request.data_format}")
        except OSError as error:
            raise BadRequestError(243, "NOT_ENOUGH_SPACE", f"Cannot keep the data: {error.strerror}") from error
        finally:
            path.unlink(missing_ok=True)

    def _empty(self, request: Request) -> bytes:
        """chDB's Native says nothing for an empty result; ClickHouse sends a block of no rows, with names and types."""
        if request.output_format != "Native":
            return b""
        handle = self._connect()
        try:
            if request.database:
                handle.query(f"USE `{request.database.replace(chr(96), '')}`")
            asked = f"DESCRIBE TABLE ({without_format(request.sql)})"
            described = handle.query(asked, "JSONCompact", params=request.parameters).bytes()
        except ChdbError:  # SHOW and the like cannot be described; no block then
            return b""
        finally:
            handle.close()
        columns = json.loads(described)["data"]
        parts = [_varint(len(columns)), _varint(0)]
        for name, kind, *_rest in columns:
            parts += [_varint(len(name.encode())), name.encode(), _varint(len(kind.encode())), kind.encode()]
        return b"".join(parts)

    def _error(self, error: Exception, headers: dict[str, str] | None = None) -> Response:
        """As ClickHouse gives it: code, text with the version, a status that is never 429, 503 or 504."""
        text = str(error)
        text = text[text.find("Code: ") :] if "Code: " in text else f"Code: 1002. DB::Exception: {text}. (UNKNOWN_EXCEPTION)"
        code = int(match[1]) if (match := re.match(r"Code: (\d+)", text)) else 1002
        status = 404 if code in _NOT_FOUND else 403 if code in _FORBIDDEN else 500 if code in (241, 243, 1002) else 400
        status = 401 if code == 516 else status
        body = f"{text.rstrip()} (version {self._version} (chDB))\n"
        return Response(body, status, {"X-ClickHouse-Exception-Code": str(code), **(headers or {})}, "text/plain")


def _next_block(chunks: Iterator[Any]) -> bytes | None:
    chunk = next(chunks, None)
    return None if chunk is None else bytes(chunk.bytes())


def _same_origin(http: HttpRequest) -> bool:
    return http.headers["origin"] == f"http://{http.headers.get('host', '')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def kill_queries(connect: Connect) -> None:
    """End what still runs; leaving the process while a query runs would crash it (FACTS.md)."""
    with contextlib.suppress(ChdbError):  # nothing ran, or it ended by itself
        handle = connect()
        try:
            handle.query("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' SYNC")
        finally:
            handle.close()
