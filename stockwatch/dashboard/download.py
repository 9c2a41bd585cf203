"""The page's downloads: rows as a file, streamed, and the file that opens the store in Power BI Desktop.

GET /stockwatch/export?symbol=…&source=…&what=ticks|candles&format=csv|xlsx|parquet&from=…&to=…&minutes=…
    without a symbol (or "all"): every symbol of the source; without a source: the one that is shown; all else has a default.
GET /stockwatch/powerbi.pbids
What is wrong is said in one line of text: 400 asked wrongly, 403 from another site's page, 404 not stored, 503 not now.
A download that fails in the middle ends without its last chunk, so that no browser takes it for whole.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from stockwatch import export
from stockwatch.dashboard.connection import Connection
from stockwatch.errors import StockwatchError, UnavailableError, UsageError
from stockwatch.export import Asked, Plan
from stockwatch.settings import is_loopback
from stockwatch.settings.sections import CANDLE_MINUTES
from stockwatch.store import Store

EXPORT_ROUTE, POWERBI_ROUTE = "/stockwatch/export", "/stockwatch/powerbi.pbids"
AT_ONCE = 2  # each takes a thread, and the store's attention
STALLED_SECONDS = 60.0  # a client that takes nothing for so long has gone
STORE_SECONDS = 30.0  # the store's longest silence: it sorts before it answers
PARAMETERS = ("symbol", "source", "what", "format", "from", "to", "minutes")
log = logging.getLogger(__name__)


class _GoneError(StockwatchError):
    """Nobody waits for this download any more."""


class _NotStoredError(StockwatchError):
    """There is nothing of what was asked for."""


def routes(connection: Connection, shown: Callable[[], str]) -> list[Route]:
    """For st.App. shown: the source that the page shows now; it is called in a thread and may ask over the network."""
    folder = connection.settings.data_dir
    export.sweep(folder)
    slots = threading.BoundedSemaphore(AT_ONCE)

    async def download(request: Request) -> Response:
        if request.headers.get("sec-fetch-site") == "cross-site":
            return _said(403, "a page of another site may not ask for this")
        try:
            asked, form = asked_for(request.query_params.multi_items(), connection.settings.dashboard.candle_minutes)
        except UsageError as error:
            return _said(400, str(error))
        if request.method == "HEAD":  # a look at whether there is something to be had
            return Response(None, 200, media_type=export.FORMATS[form])
        return Download(slots, Store(connection.store, timeout=STORE_SECONDS), asked, form, shown, folder)

    async def powerbi(request: Request) -> Response:
        store, viewer = urlsplit(connection.store.url).hostname or "", request.client.host if request.client else ""
        if is_loopback(store) and not is_loopback(viewer):
            return _said(
                404, "the store listens on its own machine only: open this page there, or give clickhouse.url an address"
            )
        text = export.data_source(connection.store.url, connection.store.database)
        return Response(text, 200, _attachment("stockwatch.pbids"), "application/json")

    return [Route(EXPORT_ROUTE, download, methods=["GET"]), Route(POWERBI_ROUTE, powerbi, methods=["GET"])]


def asked_for(pairs: list[tuple[str, str]], minutes: int) -> tuple[Asked, str]:
    """The address's parameters, checked; and the format. minutes: of a candle, unless they say. Raises UsageError."""
    told: dict[str, str] = {}
    for name, value in pairs:
        if name not in PARAMETERS:
            raise UsageError(f"{name[:40]}: there is no such parameter, only {', '.join(PARAMETERS)}")
        if name in told:
            raise UsageError(f"{name}: named twice")
        if value:
            told[name] = value
    form = told.get("format", "csv")
    if form not in export.FORMATS:
        raise UsageError(f"format {form}: must be {', '.join(export.FORMATS)}")
    width = told.get("minutes", str(minutes))
    if width not in map(str, CANDLE_MINUTES):
        raise UsageError(f"minutes {width}: must be one of {', '.join(map(str, CANDLE_MINUTES))}")
    what = told.get("what", "candles")
    asked = Asked(what, told.get("source", ""), told.get("symbol"), told.get("from"), told.get("to"), int(width))
    asked.check()
    return asked, form


class Download(Response):
    """One file on its way. Takes a slot for as long as it lasts; a thread makes the bytes, the loop only hands them on."""

    def __init__(
        self,
        slots: threading.BoundedSemaphore,
        store: Store,
        asked: Asked,
        form: str,
        shown: Callable[[], str],
        folder: Path,
    ) -> None:
        self._slots, self._store, self._asked, self._form, self._shown, self._folder = slots, store, asked, form, shown, folder
        self._gone = threading.Event()
        self._chunks: Iterator[bytes] = iter(())
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it; ends early, and gives everything back, when the client goes away or takes nothing any more."""
        if not self._slots.acquire(blocking=False):
            said = f"{AT_ONCE} exports are being made already: try again in a moment"
            await _said(503, said, {"Retry-After": "10"})(scope, receive, send)
            return
        try:
            async with anyio.create_task_group() as group:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    self._gone.set()
                    group.cancel_scope.cancel()

                async def patient(message: Message) -> None:
                    with anyio.fail_after(STALLED_SECONDS):
                        await send(message)

                group.start_soon(watch)
                await self._serve(scope, receive, patient)
                group.cancel_scope.cancel()
        finally:
            self._gone.set()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._give_back)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            plan, chunk = await anyio.to_thread.run_sync(self._begin)
        except StockwatchError as error:
            code = 400 if isinstance(error, UsageError) else 404 if isinstance(error, _NotStoredError) else 503
            await _said(code, str(error))(scope, receive, send)
            return
        headers = {**_attachment(f"{plan.name}.{self._form}"), "Content-Type": export.FORMATS[self._form]}
        # The loop belongs to the viewers: Streamlit's middleware must not pack what is in an encoding already.
        headers["Content-Encoding"] = "identity"
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            while chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await anyio.to_thread.run_sync(self._next)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except _GoneError:
            return
        except (StockwatchError, TimeoutError) as error:  # the last chunk is not sent: the server cuts the connection
            log.warning("the download of %s ended in the middle: %s", plan.name, error or "its client takes nothing")

    def _begin(self) -> tuple[Plan, bytes | None]:
        asked = self._asked if self._asked.source else replace(self._asked, source=self._shown())
        try:
            plan = export.plan(self._store, asked, self._form)
        except UnavailableError as error:
            raise _NotStoredError(str(error)) from error
        self._chunks = export.stream(self._store, plan, self._form, self._folder, self._seen)
        return plan, self._next()

    def _next(self) -> bytes | None:
        return next(self._chunks, None)

    def _seen(self, _rows: int) -> None:
        if self._gone.is_set():
            raise _GoneError("the client has gone")

    def _give_back(self) -> None:
        try:
            if isinstance(self._chunks, Generator):
                self._chunks.close()
            self._store.close()
        finally:
            self._slots.release()


def _said(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    line = re.sub(r"\s+", " ", text).strip()
    return PlainTextResponse(
        f"{line}\n", status, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    )


def _attachment(name: str) -> dict[str, str]:
    """Headers that save the answer under `name`: for old clients in ASCII, else by RFC 8187; never a path or a hidden file."""
    clean = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]', "_", name).lstrip(".") or "export"
    plain = re.sub(r"[^A-Za-z0-9._^=&+-]", "_", clean)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
