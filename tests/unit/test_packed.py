"""The page's scripts as they are sent: packed as the browser takes them, the same bytes when unpacked."""

from __future__ import annotations

import asyncio
import gzip
import sys
from importlib.resources import files

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from stockwatch.dashboard.packed import Packed, coding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SCRIPT = next(path.name for path in files("streamlit").joinpath("static/static/js").iterdir() if path.name.startswith("index."))

OWN = b"let own = 1;\n" * 100


def answer(path: str, accepted: str = "gzip, deflate, br, zstd") -> tuple[httpx.Response, bytes]:
    """The response, and its body as it was sent."""

    async def ask() -> tuple[httpx.Response, bytes]:
        rest = Starlette(
            routes=[Route("/{path:path}", lambda _request: PlainTextResponse("rest"))],
            middleware=[Middleware(Packed, own={"/own.js": lambda: OWN})],
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(rest), base_url="http://page") as client:
            request = client.build_request("GET", path, headers={"Accept-Encoding": accepted})
            response = await client.send(request, stream=True)
            return response, b"".join([chunk async for chunk in response.aiter_raw()])

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [("gzip, deflate, br, zstd", "zstd"), ("gzip, deflate", "gzip"), ("br", ""), ("", ""), ("zstd;q=0, gzip;q=0.5", "gzip"),
     ("GZIP", "gzip")],
)  # fmt: skip
def test_the_better_coding_that_is_accepted(accepted: str, wanted: str) -> None:
    assert coding(accepted) == wanted


@pytest.mark.parametrize("accepted", ["zstd", "gzip", ""])
def test_what_is_unpacked_is_the_file(accepted: str) -> None:
    unpack = {"zstd": zstd.decompress, "gzip": gzip.decompress, "": bytes}[accepted]
    for path, plain in (
        ("/own.js", OWN),
        (f"/static/js/{SCRIPT}", files("streamlit").joinpath(f"static/static/js/{SCRIPT}").read_bytes()),
    ):
        response, body = answer(path, accepted)
        assert response.headers.get("content-encoding", "") == accepted
        assert response.headers["content-type"].startswith("text/javascript")
        assert response.headers["vary"] == "Accept-Encoding"
        assert unpack(body) == plain


@pytest.mark.parametrize(
    "path", ["/static/js/none.js", "/static/js/../../index.html", "/static/js/%2e%2e/a.js", "/static/media/a.woff2", "/x"]
)
def test_everything_else_is_not_its_business(path: str) -> None:
    assert answer(path)[1] == b"rest"
