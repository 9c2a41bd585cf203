"""What the page may load, connect to, run and frame: Content-Security-Policy on every HTML answer of the page's server.

Everything comes from this server, and only the configured Power BI report may stand in a frame. Each exception was tried in
Chromium: without it the page does not work.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9._-]+(:\d+)?")  # what may be written into a policy: a host's name or IPv4 address, and its port


@cache
def inline_scripts() -> tuple[str, ...]:
    """The scripts that stand in Streamlit's own index.html, as hashes: so no other inline script runs."""
    page = files("streamlit").joinpath("static/index.html").read_bytes()
    return tuple(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in _INLINE.findall(page))


def policy(host: str, report: str) -> str:
    """The header's value. host: as asked for (of the Host header), the WebSockets' too; report: the Power BI address, or "".

    The exceptions, each tried in Chromium by leaving it out:
    script-src blob:            Streamlit gives a component's script (components.v2) to the browser as a module in a blob; only a
                                script that runs already can make one
               wasm-unsafe-eval its protobuf reader compiles WebAssembly; JavaScript's eval stays shut
               sha256-…         the inline script of its index.html
    style-src unsafe-inline     Streamlit and plotly write their styles into the page
    img-src data:               the page's own logo (page.css) and Streamlit's icons
    font-src data:              Streamlit's own style sheets bring a font so
    frame-src                   the report's own site, and none that it might lead its frame to: "Open in Power BI" stands below
    """
    parts = urlsplit(report)
    sockets = f" ws://{host} wss://{host}" if _NAME.fullmatch(host) else ""  # some browsers do not count them to 'self'
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(["'self'", "blob:", "'wasm-unsafe-eval'", *inline_scripts()]),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "connect-src": f"'self'{sockets}",
        "frame-src": f"{parts.scheme}://{parts.netloc}" if report else "'none'",
        "frame-ancestors": "'self'",  # as X-Frame-Options says
        "form-action": "'self'",
        "base-uri": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


class ContentSecurity:
    """ASGI middleware, behind Doors (which has checked Host): the policy on HTML that brings none of its own."""

    def __init__(self, app: ASGIApp, report: str) -> None:
        self._app, self._report = app, report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on; the answer's head gets the policy."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html") or message["status"] == 304:  # it renews what is kept
                    headers.setdefault("Content-Security-Policy", policy(host, self._report))
            await send(message)

        await self._app(scope, receive, with_policy)
