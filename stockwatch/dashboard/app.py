"""The page's server: Streamlit as an ASGI application, with plotly's own script as a route beside it.

Nothing is loaded from another host, and a Host that is not ours is refused (DNS rebinding).
"""

from __future__ import annotations

import gzip
import sys
from importlib.resources import files
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockwatch.dashboard.connection import Connection

PLOTLY_ROUTE = "/stockwatch/plotly.min.js"
_plotly = gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), compresslevel=6, mtime=0)


async def plotly_script(_request: Request) -> Response:
    """plotly.js out of plotly's wheel, packed once; it changes only with the installed version."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=86400"}
    return Response(_plotly, 200, headers, "text/javascript")


def allowed_hosts(connection: Connection) -> list[str]:
    """Host names that may be asked for: loopback's, the chosen host, and settings' own."""
    page = connection.settings.dashboard
    chosen = [page.host] if page.host not in ("0.0.0.0", "::") else ["*"]  # noqa: S104 - open to a room by choice
    return ["127.0.0.1", "localhost", "[::1]", *chosen, *page.allowed_hosts]


app = st.App(
    Path(__file__).with_name("page.py"),
    routes=[Route(PLOTLY_ROUTE, plotly_script, methods=["GET"])],
    middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(Connection.load(Path(sys.argv[1]))))],
)
