"""Host and Origin: whom an HTTP surface answers. Every surface of the program has these doors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from stockwatch.component.doors import Doors, host_name


async def _ok(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _accept(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def ask(headers: list[tuple[str, str]], kind: str = "http", **admits: Any) -> int:
    """The status that a request with these headers gets; for a WebSocket 101 or 403."""
    app = Doors(Starlette(routes=[Route("/", _ok, methods=["GET", "POST"]), WebSocketRoute("/", _accept)]), **admits)
    said: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""} if kind == "http" else {"type": "websocket.connect"}

    scope = {
        "type": kind, "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "scheme": "http", "subprotocols": [],
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers], "http_version": "1.1",
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    if kind == "http":
        return int(said[0]["status"])
    return 101 if said[0]["type"] == "websocket.accept" else 403


OWN = [
    "127.0.0.1",
    "127.0.0.1:8501",
    "localhost",
    "localhost:1",
    "LOCALHOST:65535",
    "[::1]",
    "[::1]:8501",
    "[0:0:0:0:0:0:0:1]:80",
    "127.0.0.2:8501",
]
STRANGE = [
    "evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:127.0.0.1", "192.0.2.7",
    "127.0.0.1@evil.example", "evil.example#127.0.0.1", "evil.example/127.0.0.1", "127.0.0.1 evil.example", "127.0.0.1,evil.example",
    "[::2]", "[::1", "::1", "[::1].evil.example", "[evil]", "", " ", ":8501", "127.0.0.1:", "127.0.0.1:a", "0.0.0.0", "127.1", "2130706433",
    "0x7f000001", "localhost.", "l\u00f6calhost", "127.0.0.1\x00", "%31%32%37.0.0.1", "[::ffff:192.0.2.7]", "[::1%25lo]", "a" * 300,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", OWN)
def test_loopback_names_are_answered_on_any_port(host: str, kind: str) -> None:
    assert ask([("Host", host)], kind) == (200 if kind == "http" else 101)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", STRANGE)
def test_a_strange_host_is_refused(host: str, kind: str) -> None:
    assert ask([("Host", host)], kind) == (400 if kind == "http" else 403)


@pytest.mark.parametrize(
    "headers", [[], [("Host", "localhost"), ("Host", "evil.example")], [("Host", "localhost"), ("Host", "localhost")]]
)
def test_one_host_is_said(headers: list[tuple[str, str]]) -> None:
    assert ask(headers) == 400


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "https://evil.example", "http://localhost:9999", "http://localhost", "null", "", "file://", "http://127.0.0.1:8501",
        "http://localhost:8501.evil.example", "http://localhost:8501@evil.example", "http://evil.example#localhost:8501", "localhost:8501",
        "http://localhost:8501/", "http://localhost:8501/x", "chrome-extension://abc", "http://[", "http://u@localhost:8501", "ftp://localhost:8501",
    ],
)  # fmt: skip
def test_another_sites_origin_is_refused(origin: str, kind: str) -> None:
    assert ask([("Host", "localhost:8501"), ("Origin", origin)], kind) == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", ["http://localhost:8501", "https://localhost:8501", "http://LOCALHOST:8501"])
def test_the_pages_own_origin_is_answered(origin: str, kind: str) -> None:
    assert ask([("Host", "localhost:8501"), ("Origin", origin)], kind) == (200 if kind == "http" else 101)


def test_a_second_origin_does_not_hide_the_first() -> None:
    assert ask([("Host", "localhost"), ("Origin", "http://localhost"), ("Origin", "http://evil.example")]) == 403


@pytest.mark.parametrize(("mode", "status"), [("no-cors", 403), ("cors", 403), ("", 403), ("navigate", 200)])
def test_what_another_site_embeds_is_refused_and_its_link_is_not(mode: str, status: int) -> None:
    headers = [("Host", "localhost"), ("Sec-Fetch-Site", "cross-site"), *([("Sec-Fetch-Mode", mode)] if mode else [])]
    assert ask(headers) == status


def test_further_names_are_answered_when_admitted() -> None:
    assert (
        ask(
            [("Host", "stocks.example:443"), ("Origin", "https://stocks.example:443")],
            admits=lambda name: name == "stocks.example",
        )
        == 200
    )
    assert ask([("Host", "localhost")], admits=lambda name: name == "stocks.example") == 400


def test_the_name_is_read_without_port_and_brackets() -> None:
    assert host_name("[2001:DB8::1]:80") == "2001:db8::1"
    assert host_name("Stocks.Example:80") == "stocks.example"
    assert host_name("a:b:c") is None
