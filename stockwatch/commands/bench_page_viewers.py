"""`bench page`'s many viewers, a process of their own: WebSocket clients that do what the page's script does (static/live.js).

    python -m stockwatch.commands.bench_page_viewers URL COUNT SECONDS
Prints one JSON line: ages (ms) of the ticks when their line had arrived and been applied, seconds between two such arrivals,
how often a client had lost its place, how many connections were lost, bytes received.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from stockwatch.commands.bench_page_feed import SYMBOLS
from stockwatch.dashboard.patch import patched
from stockwatch.tick import now_ms

SETTLE_SECONDS = 6.0  # joining is no part of what is measured
JOIN_SECONDS = 0.02  # between two viewers
HOUR_MS = 3_600_000


@dataclass
class Seen:
    """What all of them saw."""

    ages: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    again: int = 0
    lost: int = 0
    received: int = 0


class Viewer:
    """One open page."""

    def __init__(self, number: int, seen: Seen, counts_from: float) -> None:
        symbol = SYMBOLS[number % len(SYMBOLS)]
        parts = [["head", symbol], ["pair", symbol, 5, 50, ""], ["live", symbol, 0], ["side"], ["list"], ["alerts"]]
        self._names = [json.dumps(part, separators=(",", ":")) for part in parts]
        self._line = self._names[2]
        self._seen, self._from = seen, counts_from
        self._states: dict[str, tuple[int, Any]] = {}
        self._newest, self._at = 0.0, 0.0

    async def watch(self, url: str, until: float) -> None:
        """Open it, and look until then (monotonic seconds)."""
        try:
            async with connect(url, max_size=None) as socket, asyncio.timeout_at(until):
                await socket.send(json.dumps({"watch": self._names}))
                while True:
                    await self._take(socket, await socket.recv())
        except TimeoutError:
            return
        except (ConnectionClosed, OSError):
            self._seen.lost += 1

    async def _take(self, socket: ClientConnection, text: str | bytes) -> None:
        message = json.loads(text)
        self._seen.received += len(text)
        if "now" in message:
            return
        name = message["c"]
        version, old = self._states.get(name, (0, None))
        if "p" in message and version != message["v"] - 1:
            self._seen.again += 1
            await socket.send(json.dumps({"again": name}))
            return
        state = patched(old, message["p"]) if "p" in message else message["f"]
        self._states[name] = message["v"], state
        if name == self._line and "live" in state:
            self._note(state["live"]["figure"]["data"])

    def _note(self, traces: list[dict[str, Any]]) -> None:
        newest = next(trace["x"][-1] for trace in traces if trace.get("name") == "price")
        if newest == self._newest:
            return
        self._newest = newest
        now, passed = now_ms(), time.monotonic()
        if passed > self._from:
            shift = round((newest - now) / (HOUR_MS / 4)) * (HOUR_MS / 4)  # it is in the exchange's wall time
            self._seen.ages.append(now - (newest - shift))
            if self._at:
                self._seen.gaps.append(passed - self._at)
        self._at = passed


async def look(url: str, count: int, seconds: float) -> Seen:
    """All of them, at once."""
    seen, began = Seen(), time.monotonic()
    counts_from = began + SETTLE_SECONDS + count * JOIN_SECONDS
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(Viewer(number, seen, counts_from).watch(url, counts_from + seconds))
            await asyncio.sleep(JOIN_SECONDS)
    return seen


if __name__ == "__main__":
    address, viewers, lasting = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(look(address, int(viewers), float(lasting))))))
