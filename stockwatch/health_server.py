"""GET /health: the registry as JSON on loopback; 200 when all selected parts run, 503 otherwise.

GET /health?after=ROWS answers with the same as soon as the consumer has stored another number of rows than ROWS, or after
WAIT_SECONDS: so the page need not ask the store many times a second whether anything is new.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockwatch.component.doors import Doors
from stockwatch.component.serving import ServerThread, listen
from stockwatch.health import HealthRegistry, State

WAIT_SECONDS = 0.5  # a stop waits for whoever waits


def application(registry: HealthRegistry) -> Starlette:
    """The ASGI application."""
    waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def changed() -> None:
        for loop, event in tuple(waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def stored_others(after: str) -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        waiting.add((loop, event))  # before the look: what is reported between the two is not missed
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while str(_rows(registry)) == after:
                    await event.wait()
                    event.clear()
        except TimeoutError:
            return
        finally:
            waiting.discard((loop, event))

    async def health(request: Request) -> Response:
        if after := request.query_params.get("after"):
            await stored_others(after)
        body = registry.as_json()
        status = 200 if body["state"] == State.RUNNING else 503
        return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, "application/json")

    registry.listen(changed)
    return Starlette(
        routes=[Route("/health", health, methods=["GET"])],
        middleware=[Middleware(Doors)],
    )


def _rows(registry: HealthRegistry) -> Any:
    """How many rows this consumer's life has stored; None without a consumer."""
    return registry.get("consumer").metrics.get("rows") if "consumer" in registry.names else None


class HealthServer:
    """Serves from its making until close(): it is there before the first part starts."""

    def __init__(self, registry: HealthRegistry, port: int) -> None:
        """Raises UnavailableError when the port is taken; 0 picks a free one."""
        listener = listen("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        self._thread = ServerThread(application(registry), listener, "health server")
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._thread.stop(1.0)
