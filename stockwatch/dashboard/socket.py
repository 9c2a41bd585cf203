"""The WebSocket beside Streamlit's own: an open page says what it looks at, and is told what changes in it.

From the page: {"watch": [part names]} (all that it looks at from now on), {"again": part name} (it has lost its place).
To the page: {"c": part, "v": version, "f": state} or {"c": part, "v": version, "p": patch}, and {"now": ms} at least each second.
Who may connect (Host, Origin, password) is decided before, for every route of the page alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from stockwatch.dashboard.connection import Connection
from stockwatch.dashboard.live import Hub, Watcher
from stockwatch.dashboard.parts import Parts, is_part
from stockwatch.dashboard.reader import Reader

ROUTE = "/stockwatch/live"
SIDE = '["side"]'  # every page watches it
BEAT_SECONDS = 1.0
SEND_SECONDS = 20.0  # a page that takes nothing for so long is gone
MOST_WATCHED = 16
MOST_TEXT = 8_000
TOO_BIG, WRONG = 1009, 1008  # RFC 6455, 7.4.1


@cache
def the_reader() -> Reader:
    """One for all viewers of this process."""
    return Reader(Connection.load(Path(sys.argv[1])))


@cache
def the_parts() -> Parts:
    """One for all viewers of this process."""
    return Parts(the_reader())


def ahead(data: dict[str, Any]) -> None:
    """Make what a page asks for first (stage.js), so that it is known when it does. data: what its stage is told."""
    symbol = data["symbol"]
    for part in (["head", symbol], ["pair", symbol, data["minutes"], data["count"], ""], ["live", symbol, 0]):
        the_parts().make(json.dumps(part, separators=(",", ":")))


@cache
def the_hub() -> Hub:
    """One for all viewers of this process."""
    parts = the_parts()
    hub = Hub(parts.make)
    parts.viewers = lambda: hub.watching(SIDE)
    the_reader().heard = hub.nudge
    return hub


async def live(socket: WebSocket) -> None:
    """One open page, until it goes."""
    await socket.accept()
    hub, watcher = the_hub(), Watcher()
    sending = asyncio.create_task(_send(socket, watcher))
    try:
        while True:
            text = await socket.receive_text()
            if len(text) > MOST_TEXT:
                await socket.close(TOO_BIG)
                return
            if not _said(hub, watcher, text):
                await socket.close(WRONG)
                return
    except (WebSocketDisconnect, RuntimeError, KeyError):  # gone; starlette says a binary frame as KeyError
        return
    finally:
        hub.leave(watcher)
        sending.cancel()


def _said(hub: Hub, watcher: Watcher, text: str) -> bool:
    """Do what the page asks; False when it is no page of ours."""
    try:
        asked = json.loads(text)
    except ValueError:
        return False
    if not isinstance(asked, dict):
        return False
    names = asked.get("watch", [])
    if not isinstance(names, list) or len(names) > MOST_WATCHED or not all(isinstance(n, str) and is_part(n) for n in names):
        return False
    if "watch" in asked:
        hub.watch(watcher, names)
    elif isinstance(asked.get("again"), str):
        hub.again(watcher, asked["again"])
    return True


async def _send(socket: WebSocket, watcher: Watcher) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
        beat = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watcher.wake.wait(), BEAT_SECONDS)
            told = watcher.take()
            if time.monotonic() - beat >= BEAT_SECONDS:
                beat = time.monotonic()
                told.append(json.dumps({"now": time.time_ns() // 1_000_000}))
            for text in told:
                await asyncio.wait_for(socket.send_text(text), SEND_SECONDS)
        # Then it is closed by the other half, whose receive ends with the connection.


routes = [WebSocketRoute(ROUTE, live)]
