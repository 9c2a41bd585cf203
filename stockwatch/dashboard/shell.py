"""The page as it stands until Streamlit's scripts have run: header, charts and sidebar, live, where Streamlit will have them.

Streamlit shows nothing for a second or two: its scripts, its socket, a run of page.py. So its index.html is given a shell: our
script and styles, what is to be shown, and places for it. The script draws into them at once; the component takes the stage
over as it is (stage.js), and the shell goes. Where there is nothing to choose from yet, the page is Streamlit's alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import segno
import streamlit as st
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from stockwatch.dashboard.addresses import room_urls
from stockwatch.dashboard.reader import Reader
from stockwatch.errors import StockwatchError
from stockwatch.settings.sections import CANDLE_MINUTES

STATIC = Path(__file__).with_name("static")
# In one; the last uses the others.
SCRIPTS = (
    "places.js", "live.js", "cards.js", "watchlist.js", "alerts.js", "export.js", "side.js", "present.js", "keys.js", "stage.js",
    "shell.js",
)  # fmt: skip
STYLES = ("page.css", "stage.css", "shell.css")
PLOTLY_ROUTE = "/stockwatch/plotly.min.js"
SCRIPT_ROUTE, STYLE_ROUTE = "/stockwatch/page.js", "/stockwatch/page.css"


def stage_data(reader: Reader, symbols: list[str], symbol: str) -> dict[str, Any]:
    """What the stage is told: what to show first, and what there is to choose from.

    In tuples: whether a list is a table Streamlit asks pyarrow, which is loaded for it (component/lean.py).
    """
    page = reader.settings.dashboard
    return {
        "symbol": symbol,
        "tickers": tuple(symbols),
        "minutes": page.candle_minutes,
        "widths": CANDLE_MINUTES,
        "count": page.candle_count,
        "room": _room(page.host, int(st.get_option("server.port"))),  # the one in use: the setting may be 0, or taken
    }


def _room(host: str, port: int) -> str:
    """Where others in the room find this page, as words and as a QR code; empty when it is for this machine alone."""
    found = room_urls(host, port)
    if not found:
        return ""
    code = segno.make(found[0]).svg_inline(scale=5, dark="#10171E", light="#FFFFFF", border=2)
    return f'<aside class="sw-room" aria-label="Address of this page">{code}<b>{escape(found[0])}</b></aside>'


@cache
def script() -> bytes:
    """The page's own script, as one module."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS).encode()


@cache
def style() -> bytes:
    """The styles of shell and stage, with the theme's fonts, as Streamlit will load them too."""
    theme = tomllib.loads(Path(__file__).with_name(".streamlit").joinpath("config.toml").read_text(encoding="utf-8"))["theme"]
    faces = [
        f'@font-face {{ font-family: "{face["family"]}"; src: url("/{face["url"]}") format("woff2"); '
        f"font-weight: {face['weight']}; unicode-range: {face['unicodeRange']}; font-display: swap; }}"
        for face in theme["fontFaces"]
    ]
    return "\n".join([*faces, *((STATIC / name).read_text(encoding="utf-8") for name in STYLES)]).encode()


def plotly() -> bytes:
    """plotly.js, of it what candles, bars and lines need (its own "finance" bundle).

    The one in plotly's package draws maps and 3D too: four times as much to fetch and, worse, a second more until the browser has
    read it.
    """
    return (STATIC / "plotly" / "plotly-finance.min.js").read_bytes()


OWN: dict[str, Callable[[], bytes]] = {
    PLOTLY_ROUTE: plotly,
    SCRIPT_ROUTE: script,
    STYLE_ROUTE: style,
}  # what packed.py answers with


@cache
def _streamlits() -> tuple[str, str]:
    """Its index.html, without the font that this page is not set in; and the tag in there that starts it."""
    page = files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")
    start = re.search(r'<script type="module"[^>]* src="([^"]+)"></script>', page)
    if start is None:
        raise RuntimeError("Streamlit's index.html has no script that starts it")  # another version than the pinned one
    return re.sub(r'<link\s+rel="preload"\s+href="./static/media/SourceSans[^>]*>', "", page), start[0]


def index(data: dict[str, Any] | None) -> str:
    """Streamlit's index.html with our script and, where there is something to show, with the shell.

    Then the charts come first: our script starts Streamlit's (static/shell.js), which is fetched meanwhile.
    """
    page, start = _streamlits()
    links = (
        f'<link rel="stylesheet" href="{versioned(STYLE_ROUTE, style())}">'
        f'<script type="module" src="{versioned(SCRIPT_ROUTE, script())}"></script><script src="{PLOTLY_ROUTE}" defer></script>'
    )
    page = page.replace("</title>", f"</title>{links}", 1)
    if data is None:
        return page
    # Fetched meanwhile, and read only when it is wanted: until then the charts have the browser for themselves.
    fetched = start.replace('<script type="module"', '<link id="sw-then" rel="modulepreload"').replace(" src=", " href=")
    page = page.replace(start, fetched.replace("></script>", ">"), 1).replace("<body>", f"<body>{_shell(data)}", 1)
    return page.replace(' rel="modulepreload"', ' rel="preload" as="script" fetchpriority="low"')


def versioned(route: str, content: bytes) -> str:
    """The route with a name of its content: another version is another address, so it may be kept for ever."""
    return f"{route}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _shell(data: dict[str, Any]) -> str:
    told = json.dumps(data).replace("<", "\\u003c")  # within a script element nothing else can end it
    return (
        '<div class="sw-shell"><div class="sw-shell-side"><div class="sw-logo">stockwatch</div><div data-sw="side"></div></div>'
        '<div class="sw-shell-main"><div data-sw="bar"></div><div data-sw="lost"></div>'
        f'<div class="sw-shell-top"><div class="sw-shell-ticker">{escape(data["symbol"])}</div><div data-sw="first"></div></div>'
        '<div data-sw="top"></div><div class="sw-stage"></div></div></div>'
        f'<script type="application/json" id="sw-data">{told}</script>'
    )


def take_over() -> str:
    """The component's own script: the page's takes it from there. At an address that is Streamlit's alone it is fetched first."""
    return f"""export default function (component) {{
  let close, gone = false;
  const take = () => {{ if (!gone) close = window.stockwatch(component); }};
  if (window.stockwatch) take(); else import(location.origin + "{versioned(SCRIPT_ROUTE, script())}").then(take);
  return () => {{ gone = true; close?.(); }};
}}"""


def routes(reader: Callable[[], Reader], ahead: Callable[[dict[str, Any]], None]) -> list[Route]:
    """The page itself. ahead: reads what a page with that data asks for first, while its scripts are on their way."""

    async def page(request: Request) -> Response:
        data = await asyncio.to_thread(_to_show, reader(), request.query_params.get("ticker", ""))
        task = BackgroundTask(ahead, data) if data is not None else None
        return HTMLResponse(index(data), headers={"Cache-Control": "no-cache"}, background=task)

    return [Route("/", page)]


def _to_show(reader: Reader, asked: str) -> dict[str, Any] | None:
    try:
        symbols = reader.tickers(reader.source())
    except StockwatchError:
        return None
    if not symbols:
        return None
    return stage_data(reader, symbols, asked if asked in symbols else symbols[0])
