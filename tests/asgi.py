"""One request to an ASGI application, without a server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp


def ask(app: ASGIApp, path: str, method: str = "GET", viewer: str = "127.0.0.1", **options: Any) -> httpx.Response:
    """The answer to a viewer at that address; options: httpx's."""

    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(viewer, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8501") as client:
            return await client.request(method, path, **options)

    return asyncio.run(once())
