"""GET /health: the registry as JSON on loopback; 200 when all selected parts run, 503 otherwise."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockwatch.component.doors import Doors
from stockwatch.component.serving import ServerThread, listen
from stockwatch.health import HealthRegistry, State


def application(registry: HealthRegistry) -> Starlette:
    """The ASGI application."""

    async def health(_request: Request) -> Response:
        body = registry.as_json()
        status = 200 if body["state"] == State.RUNNING else 503
        return Response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"}, "application/json")

    return Starlette(
        routes=[Route("/health", health, methods=["GET"])],
        middleware=[Middleware(Doors)],
    )


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
