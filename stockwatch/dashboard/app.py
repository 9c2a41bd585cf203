"""The page's server: Streamlit as an ASGI application, with plotly's own script as a route beside it.

Nothing is loaded from another host. Before anything else: a Host or an Origin that is not ours is refused, then the password.
"""

from __future__ import annotations

import gzip
import sys
from importlib.resources import files
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stockwatch.component.doors import Doors
from stockwatch.dashboard import download, socket
from stockwatch.dashboard.access import PasswordGate, session_key
from stockwatch.dashboard.addresses import admitted
from stockwatch.dashboard.connection import Connection

PLOTLY_ROUTE = "/stockwatch/plotly.min.js"
_plotly = gzip.compress(files("plotly").joinpath("package_data/plotly.min.js").read_bytes(), compresslevel=6, mtime=0)


async def plotly_script(_request: Request) -> Response:
    """plotly.js out of plotly's wheel, packed once; it changes only with the installed version."""
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=86400"}
    return Response(_plotly, 200, headers, "text/javascript")


_file = Path(sys.argv[1])
_told = Connection.load(_file)
_page = _told.settings.dashboard

app = st.App(
    Path(__file__).with_name("page.py"),
    routes=[
        Route(PLOTLY_ROUTE, plotly_script, methods=["GET"]),
        *socket.routes,
        *download.routes(_told, lambda: socket.the_reader().source()),
    ],
    middleware=[
        Middleware(Doors, admits=admitted(_page.host, _page.allowed_hosts)),
        Middleware(PasswordGate, password=_page.password, key=session_key(_file.parent)),
    ],
)
