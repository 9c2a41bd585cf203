"""A loopback TCP proxy whose link can be cut, black-holed, reset or slowed, for the tests of what a bad network does.

A black hole holds the bytes: as on a real link that comes back, TCP sends them again, so they arrive late and in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Literal, Self

Link = Literal["pass", "cut", "black hole", "reset"]
CHUNK = 256 * 1024
LINGER_RESET = struct.pack("ii", 1, 0)  # close() sends a reset
SECONDS = 5.0  # for one change of the link

Predicate = Callable[[bytes], bool]


class TcpProxy:
    """Passes 127.0.0.1:port on to 127.0.0.1:target, while its link lets it. Every method may be called from any thread.

    cut: connections are closed and new ones refused. reset: each one, new ones too, ends in a TCP reset.
    slow(seconds): each answer waits so long. cut_at(predicate): a connection on which the client sends what the predicate knows
    is closed before that is passed on; counted in `cuts`.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target, self._delay = target, 0.0
        self._predicate: Predicate | None = None
        self.cuts = 0
        self._listener = _listen(port)
        self.port = int(self._listener.getsockname()[1])
        self._link: Link = "pass"
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp proxy", daemon=True)
        self._thread.start()
        self._do(self._serve())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def link(self, link: Link) -> None:
        """From now on the link is like this."""
        self._do(self._change(link))

    def slow(self, seconds: float) -> None:
        """Every answer from now on comes so much later; 0: at once."""
        self._delay = seconds

    def cut_at(self, predicate: Predicate | None) -> None:
        """Close each connection whose client sends what the predicate knows; None: no more."""
        self._predicate = predicate

    def close(self) -> None:
        """End everything."""
        self._do(self._change("cut"))
        self._do(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()

    def _do(self, work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)  # type: ignore[arg-type]

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, sock=self._listener, limit=CHUNK)

    async def _change(self, link: Link) -> None:
        self._link = link
        if link == "black hole":
            self._open.clear()
            return
        self._open.set()
        if link == "pass":
            if self._server is None:
                self._listener = _listen(self.port)
                await self._serve()
            return
        if link == "cut" and self._server is not None:
            server, self._server = self._server, None
            server.close()
        for writer in list(self._writers):
            _end(writer, link == "reset")

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        there = None
        try:
            await self._open.wait()
            if self._link != "pass":
                return
            back, there = await asyncio.open_connection("127.0.0.1", self._target, limit=CHUNK)
            self._writers.add(there)
            asked = asyncio.Event()
            ways = {asyncio.create_task(self._ask(reader, there, asked)), asyncio.create_task(self._answer(back, writer, asked))}
            _done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # nobody listens there: the client sees its connection end
        finally:
            for end in (writer, *([there] if there else [])):
                self._writers.discard(end)
                _end(end, self._link == "reset")
            self._tasks.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
        while chunk := await reader.read(CHUNK):
            await self._open.wait()
            if self._predicate is not None and self._predicate(chunk):
                self.cuts += 1
                return
            asked.set()
            writer.write(chunk)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: asyncio.Event) -> None:
        while chunk := await reader.read(CHUNK):
            await self._open.wait()
            if self._delay and asked.is_set():
                await asyncio.sleep(self._delay)
            asked.clear()  # the rest of this answer comes without a wait
            writer.write(chunk)
            await writer.drain()


def _end(writer: asyncio.StreamWriter, reset: bool) -> None:
    raw = writer.get_extra_info("socket")
    if reset and raw is not None:
        with contextlib.suppress(OSError):  # it is closed already
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        writer.transport.abort()
    else:
        writer.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener
