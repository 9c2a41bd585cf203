"""The answer to one query: held back while an error could still have its own status, then streamed, packed as asked for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import IO

from starlette.requests import Request as HttpRequest
from starlette.types import Send

from stockwatch.engines.clickhouse_body import BLOCK, Codec, Plain, packing
from stockwatch.engines.clickhouse_errors import block, new_tag
from stockwatch.engines.clickhouse_query import Query

HELD = 4 << 20  # bytes of a finished answer in memory; more waits in a file
STALLED = 180.0  # seconds that a client may take none of its answer
SMALL = 1 << 16  # bytes that are packed on the event loop


class Answer:
    """One life: `give` sends the whole answer, or returns the error that nothing of it was sent for."""

    def __init__(
        self, query: Query, http: HttpRequest, send: Send, parameters: Mapping[str, str], content_type: str,
        no_more_busy: Callable[[], None], folder: Path,
    ) -> None:  # fmt: skip
        self._query, self._send, self._type, self._folder = query, send, content_type, folder
        self._only_head = http.method == "HEAD"
        self._encoding, self._codec = packing(parameters, http.headers)
        self._tag = new_tag()
        self._no_more_busy: Callable[[], None] | None = no_more_busy

    def leave(self) -> None:
        """The query computes no more, or only as fast as its reader reads: another one may begin."""
        if self._no_more_busy is not None:
            self._no_more_busy()
            self._no_more_busy = None

    async def give(self, text: Callable[[BaseException], str]) -> Exception | None:
        """`text` makes an error's words."""
        request = self._query.request
        with tempfile.SpooledTemporaryFile(HELD, dir=str(self._folder)) as held:
            size = 0
            async with aclosing(self._query.pieces()) as pieces:
                async for piece in pieces:
                    held.write(piece)
                    size += len(piece)
                    if size > request.buffer_bytes and not request.wait_end:
                        break
                else:
                    self.leave()
                    if self._query.error is not None:
                        return self._query.error
                    await self._whole(held, size)
                    return None
                self.leave()
                await self._begin({})
                await self._packed(held)
                async for piece in pieces:
                    await self._body(piece)
        if self._query.error is not None:
            await self._break_off(text(self._query.error))
            return None
        await self._transmit(await _packed_in_thread(self._codec, b"", last=True), more=False)
        return None

    async def _whole(self, held: IO[bytes], size: int) -> None:
        """The query is over and went well. A plain answer tells its length."""
        if size > SMALL or self._encoding:
            await self._begin({})
            await self._packed(held)
            await self._transmit(await _packed_in_thread(self._codec, b"", last=True), more=False)
            return
        held.seek(0)
        body = self._codec.take(held.read()) + self._codec.end()
        await self._begin({"Content-Length": str(len(body))})
        await self._transmit(body, more=False)

    async def _packed(self, held: IO[bytes]) -> None:
        held.seek(0)
        while piece := held.read(BLOCK):
            await self._body(piece)

    async def _body(self, piece: bytes) -> None:
        await self._transmit(await _packed_in_thread(self._codec, piece), more=True)

    async def _begin(self, more: dict[str, str]) -> None:
        headers = [
            (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in {**self.headers(), **more}.items()
        ]
        headers += [(b"x-clickhouse-progress", seen.encode()) for seen in self._query.progress[-50:]]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    def headers(self, *, refused: bool = False) -> dict[str, str]:
        """What is known by now. X-ClickHouse-Format only for rows: clickhouse-connect's `command` depends on it."""
        query = self._query
        given = {
            "X-ClickHouse-Query-Id": query.id,
            "X-ClickHouse-Timezone": query.request.settings.get("session_timezone", "UTC"),
            "X-ClickHouse-Server-Display-Name": "stockwatch",
            "X-ClickHouse-Exception-Tag": self._tag,
            "X-ClickHouse-Summary": query.summary_text(),
        }
        if refused:
            return given
        if query.has_rows:
            given |= {"X-ClickHouse-Format": query.request.format, "Content-Type": self._type}
        if self._encoding:
            given["Content-Encoding"] = self._encoding
        return given

    async def _transmit(self, piece: bytes, *, more: bool) -> None:
        if piece or not more:
            message = {"type": "http.response.body", "body": b"" if self._only_head else piece, "more_body": more}
            async with asyncio.timeout(STALLED):
                await self._send(message)

    async def _break_off(self, text: str) -> None:
        """The error within the body; then the connection ends before the body does, so that nobody takes it for whole."""
        tail = self._codec.take(block(text, self._tag)) + self._codec.end()
        await self._transmit(tail, more=True)


async def _packed_in_thread(codec: Codec, piece: bytes, *, last: bool = False) -> bytes:
    if isinstance(codec, Plain):
        return piece
    if len(piece) <= SMALL:
        return codec.take(piece) + (codec.end() if last else b"")
    return await asyncio.to_thread(codec.take, piece)
