"""The gateway: ClickHouse's HTTP protocol over chDB handles, on loopback.

Here is the protocol's outside: who asks, and how many at a time. Queries run in pools of threads, never on the event loop; the
owner's pool is its own, so that the writer never waits behind readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chdb._exceptions import ChdbError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stockwatch.component.doors import Doors
from stockwatch.engines.clickhouse_answer import Answer
from stockwatch.engines.clickhouse_disk import Disk
from stockwatch.engines.clickhouse_errors import code_of, said, status_of
from stockwatch.engines.clickhouse_incoming import Incoming, receive
from stockwatch.engines.clickhouse_lanes import Lane
from stockwatch.engines.clickhouse_query import Query
from stockwatch.engines.clickhouse_request import BadRequestError, credentials
from stockwatch.engines.clickhouse_session import HOME, Sessions

__all__ = ["HOME", "Gateway", "kill_queries"]
Connect = Callable[[], Any]


class Gateway:
    """The ASGI application and what it needs. `users` maps a name to (password, is read-only)."""

    def __init__(self, connect: Connect, version: str, users: dict[str, tuple[str, bool]], folder: Path, disk: Disk) -> None:
        self._connect, self._version, self._users = connect, version, users
        self._disk = disk
        self._folder = folder  # for the data of inserts on their way, and for pipes
        writer = next(name for name, (_password, only_reads) in users.items() if not only_reads)
        self._lanes = {writer: Lane(writer)}
        self._lanes |= {name: Lane(name, self._lanes[writer]) for name in users if name != writer}
        self._sessions = Sessions(next(iter(self._lanes.values())).pool)
        self._running: dict[str, Query] = {}
        self._content_types = self._formats()
        routes: list[Route] = [Route("/", _Endpoint(self), methods=["GET", "POST", "HEAD", "OPTIONS"])]
        routes += [Route(path, _ok, methods=["GET"]) for path in ("/ping", "/replicas_status")]
        self.app = Starlette(routes=routes, middleware=[Middleware(Doors)])
        logging.getLogger("uvicorn.error").addFilter(_not_broken_on_purpose)

    def _formats(self) -> dict[str, str]:
        """The engine's formats for answers, and the Content-Type of each."""
        handle = self._connect()
        try:
            found = handle.query("SELECT name, content_type FROM system.formats WHERE is_output", "JSONCompact").bytes()
        finally:
            handle.close()
        return {name: kind or "text/plain; charset=UTF-8" for name, kind in json.loads(found)["data"]}

    def close(self, seconds: float = 1.0) -> None:
        """Take no more queries, end those that run, close the sessions."""
        running = list(self._running.values())
        for query in running:
            query.cancel()
        until = time.monotonic() + seconds
        for query in running:
            query.done.wait(max(until - time.monotonic(), 0))
        for lane in self._lanes.values():
            lane.pool.shutdown(wait=False, cancel_futures=True)
        self._sessions.close()

    async def serve(self, http: HttpRequest, send: Send) -> None:
        """One request to `/`."""
        if http.method == "OPTIONS":
            await Response(status_code=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})(http.scope, http.receive, send)
            return
        if http.method in ("GET", "HEAD") and "query" not in http.query_params:
            await PlainTextResponse("Ok.\n")(http.scope, http.receive, send)
            return
        incoming: Incoming | None = None
        try:
            user = self._user(http)
            incoming = await receive(http, self._folder)
            await self._ask(http, send, user, incoming)
        except ClientDisconnect:
            return  # nobody is there to hear more
        except (ChdbError, BadRequestError) as error:
            if incoming is not None and incoming.data is not None:
                incoming.data.unlink(missing_ok=True)
            await self._refuse(http, send, error)

    def _user(self, http: HttpRequest) -> str:
        user, password = credentials(http.query_params, http.headers)
        known = self._users.get(user)
        expected = known[0] if known else "no such user"
        if not hmac.compare_digest(password.encode(), expected.encode()) or known is None:
            raise BadRequestError(
                516,
                "AUTHENTICATION_FAILED",
                f"{user[:80]}: Authentication failed: password is incorrect, or there is no user with such name",
            )
        origin = http.headers.get("origin")
        if origin and origin != f"http://{http.headers.get('host', '')}":
            raise BadRequestError(497, "ACCESS_DENIED", "Other sites may not ask")
        return user

    async def _ask(self, http: HttpRequest, send: Send, user: str, incoming: Incoming) -> None:
        request = incoming.request
        if request.format not in self._content_types:
            raise BadRequestError(73, "UNKNOWN_FORMAT", f"Unknown format {request.format[:60]}")
        if request.query_id in self._running:
            text = f"Query with id = {request.query_id} is already running."
            raise BadRequestError(216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", text)
        session = self._sessions.take(user, request)
        lane, is_reader = self._lanes[user], self._users[user][1]
        try:
            began = await lane.enter()
        except BaseException:
            if session is not None:
                self._sessions.give_back(session, request.session_seconds)
            raise
        query = Query(
            self._connect, request, user, read_only=is_reader or http.method != "POST", reader=is_reader, session=session,
            data=incoming.data, folder=self._folder, disk=self._disk, kill=self._kill,
        )  # fmt: skip
        self._running[query.id] = query
        loop = asyncio.get_running_loop()

        def ended() -> None:
            del self._running[query.id]
            lane.leave()
            if session is not None:
                self._sessions.give_back(session, request.session_seconds)

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: close() does the rest
                loop.call_soon_threadsafe(ended)

        query.on_done = tell
        answer = Answer(
            query, http, send, incoming.query, self._content_types[request.format], lambda: lane.computed(began), self._folder
        )
        gone = asyncio.create_task(self._watch(http, query))
        try:
            run = loop.run_in_executor(lane.pool, query.run)
            error = await answer.give(self._text)
            await run  # it has ended; a surprise in it is told
        finally:
            gone.cancel()
            answer.leave()
            query.close()
        if error is not None:
            await self._refuse(http, send, error, answer.headers(refused=True))

    async def _watch(self, http: HttpRequest, query: Query) -> None:
        """A client that goes away ends its query."""
        while True:
            message = await http.receive()
            if message["type"] == "http.disconnect":
                query.cancel()
                return

    def _kill(self, ids: list[str]) -> None:
        for query in [query for query in list(self._running.values()) if query.id in ids]:
            query.cancel(marked=True)

    def _text(self, error: BaseException) -> str:
        return said(error, self._version, {str(self._folder): "incoming"})

    async def _refuse(self, http: HttpRequest, send: Send, error: BaseException, headers: dict[str, str] | None = None) -> None:
        text = self._text(error)
        code = code_of(text)
        given = {**(headers or {}), "X-ClickHouse-Exception-Code": str(code)}
        if code == 516:
            given["WWW-Authenticate"] = 'Basic realm="ClickHouse"'
        await PlainTextResponse(text, status_of(code), given)(http.scope, http.receive, send)


class _Endpoint:
    """The gateway as an application of its own within the routes: it sends the answer piece by piece."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._gateway.serve(HttpRequest(scope, receive), send)


async def _ok(_request: HttpRequest) -> Response:
    return PlainTextResponse("Ok.\n")


def _not_broken_on_purpose(record: logging.LogRecord) -> bool:
    """An answer that breaks off after its error block is what ClickHouse does, and no error of the server's."""
    return "without completing response" not in record.getMessage()


def kill_queries(connect: Connect) -> None:
    """End what still runs; leaving the process while a query runs would crash it (FACTS.md)."""
    with contextlib.suppress(ChdbError):  # nothing ran, or it ended by itself
        handle = connect()
        try:
            handle.query("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' SYNC")
        finally:
            handle.close()
