"""The scripts that the page needs, packed once and kept: Streamlit sends its own as they are, three megabytes of a first visit.

zstd where the browser takes it (only over https or on this machine), else gzip.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import sys
import threading
from collections.abc import Callable, Mapping
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_STREAMLITS = re.compile(r"/static/(?:js|css)/[A-Za-z0-9_-][A-Za-z0-9._-]*\.(?:js|css)")
_OWN_CACHE = "public, max-age=86400"  # it changes with the installed version
_FOR_EVER = "public, immutable, max-age=31536000"  # as Streamlit says of files with a hash in their name
LARGE = 1_000_000  # bytes: packed harder; plotly.js, a quarter of a first visit
_LEVEL, _WINDOW, _SEARCH = (
    zstd.CompressionParameter.compression_level.value, zstd.CompressionParameter.window_log.value,
    zstd.CompressionParameter.search_log.value,
)  # fmt: skip
FAST = {_LEVEL: 12}
HARD = {_LEVEL: 16, _WINDOW: 23, _SEARCH: 4}  # 8 MB: the widest window that browsers take
Own = Mapping[str, Callable[[], bytes]]  # route → what is there
_kept: dict[tuple[str, str], bytes] = {}
_packing = threading.Lock()  # two who ask for the same wait for one packing


def coding(accepted: str) -> str:
    """The better one of those that an Accept-Encoding header names; "" for neither."""
    named = {part.split(";")[0].strip().lower() for part in accepted.split(",") if not re.search(r";\s*q=0(\.0*)?\s*$", part)}
    return next((one for one in ("zstd", "gzip") if one in named), "")


def packed(path: str, how: str, own: Own) -> bytes | None:
    """The file's bytes in that coding, kept; None where there is no such file. Blocks."""
    with _packing:
        if (path, how) not in _kept:
            plain = own[path]() if path in own else _installed(path)
            if plain is None:
                return None
            if how == "zstd":
                _kept[path, how] = zstd.compress(plain, options=HARD if len(plain) > LARGE else FAST)
            else:
                _kept[path, how] = gzip.compress(plain, compresslevel=6, mtime=0) if how == "gzip" else plain
        return _kept[path, how]


def _installed(path: str) -> bytes | None:
    file = files("streamlit").joinpath(f"static{path}")
    return file.read_bytes() if file.is_file() else None


def warm(own: Own) -> None:
    """Pack what every first visit asks for, before the first one comes. Blocks for about a second."""
    page = files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")
    for path in [*own, *(f"/static/{name}" for name in re.findall(r'"\./static/((?:js|css)/[^"]+)"', page))]:
        packed(path, "zstd", own)


class Packed:
    """ASGI middleware: answers for those files and for `own` ones, hands on all else."""

    def __init__(self, app: ASGIApp, own: Own | None = None) -> None:
        self._app, self._own = app, own or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if path in self._own or _STREAMLITS.fullmatch(path):
            how = coding(Request(scope).headers.get("accept-encoding", ""))
            body = await asyncio.to_thread(packed, path, how, self._own)
            if body is not None:
                await _answer(path, how, body, is_own=path in self._own)(scope, receive, send)
                return

        await self._app(scope, receive, send)


def _answer(path: str, how: str, body: bytes, *, is_own: bool) -> Response:
    headers = {"Cache-Control": _OWN_CACHE if is_own else _FOR_EVER, "Vary": "Accept-Encoding"}
    if how:
        headers["Content-Encoding"] = how
    return Response(body, 200, headers, "text/css" if path.endswith(".css") else "text/javascript")
