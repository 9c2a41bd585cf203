"""Whom an HTTP surface answers: Host and Origin are checked on every request and on every WebSocket's handshake.

Host: a name that resolves to this machine is not enough (DNS rebinding), it must be one of ours. Origin and Sec-Fetch-Site: what
a browser sends for a page of another site (a form, a script, a WebSocket) is refused; programs send neither.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::(?P<port>\d{1,5}))?")
Admits = Callable[[str], bool]


def is_of_this_machine(name: str) -> bool:
    """Whether a name or address in Host means loopback, without asking anyone."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def host_name(host: str) -> str | None:
    """The name or address of a Host header, in small letters, without brackets and port; None for what is none."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    if match["literal"]:
        try:
            return ipaddress.IPv6Address(match["literal"]).compressed
        except ValueError:
            return None
    return match["name"].lower()


class Doors:
    """ASGI middleware: 400 for a strange Host, 403 for another site's Origin; a WebSocket is closed before it is accepted."""

    def __init__(self, app: ASGIApp, admits: Admits = is_of_this_machine) -> None:
        self._app, self._admits = app, admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, or refuse it."""
        if scope["type"] in ("http", "websocket") and (refused := self._refused(scope)) is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})  # before the handshake's answer: the client gets 403
                return
            status, text = refused
            await PlainTextResponse(f"{text}\n", status, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        found: dict[bytes, list[str]] = {b"host": [], b"origin": [], b"sec-fetch-site": [], b"sec-fetch-mode": []}
        for name, value in scope["headers"]:
            if name in found:
                found[name].append(value.decode("latin-1"))
        hosts = found[b"host"]
        name = host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not self._admits(name):
            return 400, "Invalid host header"
        if any(not _is_own(origin, hosts[0]) for origin in found[b"origin"]):
            return 403, "Other sites may not ask"
        if "cross-site" in found[b"sec-fetch-site"] and found[b"sec-fetch-mode"] != ["navigate"]:
            return 403, "Other sites may not ask"  # a picture, a script, a frame's request; a link may lead here
        return None


def _is_own(origin: str, host: str) -> bool:
    """Same host and port as asked for (a proxy in front has to hand Host through); never "null", of a frame or a file."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    plain = parts.scheme in ("http", "https") and not parts.path and parts.username is None
    return plain and parts.netloc.lower() == host.lower()
