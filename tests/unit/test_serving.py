"""A server of this process: requests that never end do not hold it, and what is served is served on."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from stockwatch.component import serving
from stockwatch.component.serving import ServerThread, listen


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def _talk(talk: WebSocket) -> None:
    await talk.accept()
    await talk.send_text(await talk.receive_text())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.4)
    listener = listen("127.0.0.1", 0)
    app = Starlette(routes=[Route("/", _echo, methods=["GET", "POST"]), WebSocketRoute("/talk", _talk)])
    server = ServerThread(app, listener, "test")
    server.start()
    yield int(listener.getsockname()[1])
    server.stop(5)


@pytest.mark.parametrize(
    "head", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX-", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTT"]
)
def test_a_head_that_does_not_come_is_not_waited_for(port: int, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(head)
        answer = b""
        while part := slow.recv(65536):
            answer += part
        assert answer.count(b"HTTP/1.1 200") == head.count(b"\r\n\r\n")


def test_a_slow_body_and_a_pause_between_requests_are_no_slow_head(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        for _ in range(2):
            slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab")
            slow.settimeout(0.6)
            with pytest.raises(TimeoutError):
                slow.recv(1)
            slow.settimeout(10)
            slow.sendall(b"cd")
            answer = b""
            while not answer.endswith(b"\r\n\r\n4"):
                answer += slow.recv(65536) or pytest.fail(f"closed after {answer!r}")


def test_a_body_that_stops_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STALL_SECONDS", 0.4)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab")
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""


def test_a_websocket_stays_open(port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/talk", proxy=None) as talk:
        with pytest.raises(TimeoutError):
            talk.recv(0.8)
        talk.send("still here")
        assert talk.recv(5) == "still here"


def test_a_giant_head_is_refused_and_the_server_goes_on(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as big:
        big.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000)
        assert big.recv(65536).startswith(b"HTTP/1.1 400")
    assert httpx.get(f"http://127.0.0.1:{port}/", timeout=10).text == "0"


def test_on_windows_a_port_is_asked_for_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)  # any option that can be read back
    with listen("127.0.0.1", 0) as listener:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
