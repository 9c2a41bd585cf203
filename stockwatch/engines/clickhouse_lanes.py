"""Who computes when: each user has threads of its own, and readers give way to a writer that is hard at work."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor

from stockwatch.engines.clickhouse_request import BadRequestError

BUSY = 8  # queries of one user that compute at a time; the next ones wait
OPEN = 32  # queries of one user, with those that wait for a slow client
PATIENCE = 30.0  # seconds that a query waits for its turn
CALM = 0.1  # seconds after which a writer counts as idle
HARD = 0.65  # of its time: a writer that computes so much gets the way; ticks as they come take a third of it, a backlog all
LOAD_SECONDS = 1.0  # over which that is judged
SHARE = 6  # beside a writer hard at work, readers begin one read in so many times a read's length
GIVES_WAY = 0.3  # seconds at most that a read gives way


class Lane:
    """One user's share: so many queries at a time. Used on the event loop only."""

    def __init__(self, name: str, before: Lane | None = None) -> None:
        self.pool = ThreadPoolExecutor(OPEN, thread_name_prefix=f"clickhouse {name}")
        self._busy, self._open = asyncio.Semaphore(BUSY), asyncio.Semaphore(OPEN)
        self._before = before  # whose work comes first
        self._calm = asyncio.Event()
        self._calm.set()
        self._running = self._began = 0
        self._load, self._load_at = 0.0, time.monotonic()
        self._next = 0.0  # when the next read may begin beside a writer at work
        self._took = 0.005  # seconds of the last read

    async def enter(self) -> float:
        """The moment of its turn, for `computed`. Raises BadRequestError (202) when there is no turn in time."""
        self.load()
        self._running += 1
        self._began += 1
        self._calm.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._open.acquire()
                try:
                    await self._busy.acquire()
                except BaseException:
                    self._open.release()
                    raise
        except BaseException as error:
            self._ended()
            if isinstance(error, TimeoutError):
                text = f"Too many simultaneous queries. Maximum: {BUSY}"
                raise BadRequestError(202, "TOO_MANY_SIMULTANEOUS_QUERIES", text) from None
            raise
        if self._before is not None:
            await self._give_way(self._before)
        return time.monotonic()

    async def _give_way(self, before: Lane) -> None:
        now = time.monotonic()
        if before._calm.is_set() or before.load() < HARD:
            self._next = now
            return
        start = min(max(now, self._next), now + GIVES_WAY)
        self._next = start + SHARE * self._took
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(start - now):
                await before._calm.wait()

    def load(self) -> float:
        """How much of its time it computes, 0 to 1: of the last LOAD_SECONDS mostly, what was before counts ever less."""
        now = time.monotonic()
        kept = math.exp((self._load_at - now) / LOAD_SECONDS)
        self._load = self._load * kept + (1 - kept) * (self._running > 0)
        self._load_at = now
        return self._load

    def computed(self, began: float) -> None:
        """The query has ended, or goes on only as fast as its client reads: another one may begin."""
        self._took = min(time.monotonic() - began, GIVES_WAY)
        self._busy.release()

    def leave(self) -> None:
        """The query has ended."""
        self._open.release()
        self._ended()

    def _ended(self) -> None:
        self.load()
        self._running -= 1
        asyncio.get_running_loop().call_later(CALM, self._look, self._began)

    def _look(self, began: int) -> None:
        """Calm when nothing has begun since."""
        if not self._running and began == self._began:
            self._calm.set()
