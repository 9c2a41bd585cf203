"""Yahoo's stream on loopback: a WebSocket server that speaks as Yahoo's does, and misbehaves when told to.

It takes {"subscribe": [...]} and sends {"type": "pricing", "message": base64(PricingData)}, by yfinance's own pricing_pb2.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import socket
import ssl
import struct
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from program import until
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from yfinance.pricing_pb2 import PricingData

Trade = tuple[str, int, float, int]  # symbol, at (ms), price, day_volume
PRE, REGULAR, POST, EXTENDED = range(4)  # Yahoo's market_hours
log = logging.getLogger("stub of Yahoo's stream")
log.setLevel(logging.CRITICAL)  # connections that break are meant


def pricing(trade: Trade, hours: int = REGULAR, **more: Any) -> str:
    """One message as Yahoo sends it. Like Yahoo's it leaves out what is zero."""
    symbol, at, price, volume = trade
    data = PricingData(id=symbol, time=at, price=price, day_volume=volume, market_hours=hours, **more)
    return json.dumps({"type": "pricing", "message": base64.b64encode(data.SerializeToString()).decode()})


def walk(symbols: Iterable[str], number: int, start: int, price: float = 100.0) -> list[Trade]:
    """So many trades in turns, one a second, each with a time, a price and a volume of its own."""
    names = list(symbols)
    return [
        (names[n % len(names)], start + 1000 * n + n % 7, round(price + (n * 37 % 1000) / 100, 2), 1000 + 10 * n)
        for n in range(number)
    ]


_whole = base64.b64encode(PricingData(id="AAPL", time=1, price=2.5, currency="USD").SerializeToString())
GARBAGE: dict[str, str | bytes] = {
    "not JSON": "<html>busy</html>",
    "empty": "",
    "no message": json.dumps({"type": "pong"}),
    "a list": "[1, 2]",
    "nothing": "null",
    "message is a number": json.dumps({"message": 7}),
    "message is a list": json.dumps({"message": ["QUFQTA=="]}),
    "bad base64": json.dumps({"message": "QUFQ*TA"}),
    "not ASCII": json.dumps({"message": "Kurs: 1 €"}),
    "truncated": json.dumps({"message": base64.b64encode(base64.b64decode(_whole)[:-2]).decode()}),
    "no symbol": json.dumps({"message": base64.b64encode(PricingData(price=1, time=1).SerializeToString()).decode()}),
    "nested without end": "[" * 100_000,
    "binary": b"\x00\xff\xfe\x80",
    "binary text": b"hello",
}


class StreamStub:
    """A context. .url goes into the settings; .sent is what it has said of trades in their session."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.subscriptions: list[list[str]] = []
        self.sent: set[Trade] = set()
        self.refusing = False  # answers with HTTP 503
        self.opened = 0
        self._open: list[ServerConnection] = []
        self._lock = threading.Lock()
        self._server = serve(
            self._serve,
            "127.0.0.1",
            port,
            ssl=context,
            process_request=self._request,
            close_timeout=1,
            ping_interval=None,
            logger=log,
        )
        self.port = int(self._server.socket.getsockname()[1])
        self.url = f"{'wss' if context else 'ws'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="stub of Yahoo's stream")

    def __enter__(self) -> StreamStub:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.refusing = True
        self._server.shutdown()
        self._thread.join(10)
        self.abort()

    def _request(self, connection: ServerConnection, _request: Request) -> Response | None:
        return connection.respond(503, "busy") if self.refusing else None

    def _serve(self, connection: ServerConnection) -> None:
        with self._lock:
            self._open.append(connection)
            self.opened += 1
        try:
            for raw in connection:
                self.subscriptions.append(json.loads(raw)["subscribe"])
        except ConnectionClosed:
            pass  # it was cut
        finally:
            with self._lock:
                self._open.remove(connection)

    @property
    def listeners(self) -> int:
        """How many connections are open."""
        with self._lock:
            return len(self._open)

    def wait_for_subscription(self, number: int = 1, seconds: float = 30) -> None:
        """Until so many subscriptions have come in all."""
        until(lambda: len(self.subscriptions) >= number, seconds, f"subscription {number}")

    def say(self, *raw: str | bytes) -> None:
        """Send as it is, to all who listen."""
        with self._lock:
            listeners = list(self._open)
        for connection in listeners:
            with contextlib.suppress(ConnectionClosed):  # it goes just now
                for message in raw:
                    connection.send(message)

    def trade(self, *trades: Trade, **more: Any) -> None:
        """Say trades of the session."""
        self.sent.update(trades)
        self.say(*(pricing(trade, **more) for trade in trades))

    def close(self) -> None:
        """End every connection properly, by the closing handshake."""
        with self._lock:
            listeners = list(self._open)
        for connection in listeners:
            connection.close()

    def abort(self) -> None:
        """Cut every connection: a TCP reset."""
        with self._lock:
            listeners = list(self._open)
        for connection in listeners:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close_socket()
