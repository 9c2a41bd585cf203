"""One connection to Yahoo's WebSocket, through yfinance's sync client: subscribe, decode, end. A lost one is not mended."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import yfinance
from google.protobuf.message import DecodeError
from websockets.exceptions import ConnectionClosedOK, WebSocketException
from websockets.sync.client import connect

from stockwatch.settings import Settings, is_loopback

YAHOO_URL = "wss://streamer.finance.yahoo.com/?version=2"  # yfinance's own default
CONNECT_SECONDS = 8.0
CLOSE_SECONDS = 0.5  # a server that is gone does not answer the closing handshake
SUBSCRIBE_SECONDS = 15.0  # as yfinance's own client repeats it
MOST_WAITING = 50_000  # messages; then it reads no more until they are taken
Message = dict[str, Any]


class _Client(yfinance.WebSocket):  # type: ignore[misc]  # yfinance has no types
    """Connects with our deadlines, proxy and CA, which yfinance's own _connect does not take."""

    def __init__(self, url: str, proxy: Literal[True] | str | None, context: ssl.SSLContext | None) -> None:
        super().__init__(url=url, verbose=False)
        self._ws: Any = None
        self._proxy, self._context = proxy, context

    def _connect(self) -> None:
        if self._ws is None:
            self._ws = connect(
                self.url,
                open_timeout=CONNECT_SECONDS,
                close_timeout=CLOSE_SECONDS,
                proxy=self._proxy,
                ssl=self._context,
            )

    def receive(self, seconds: float) -> str | bytes:
        """The next message as it came. Raises TimeoutError, or WebSocketException when the connection is over."""
        message: str | bytes = self._ws.recv(timeout=seconds)
        return message

    def decode(self, raw: str | bytes) -> Message | None:
        """PricingData's fields as yfinance names them; None for what is none."""
        try:
            outer = json.loads(raw)
            message = self._decode_message(outer.get("message") or "")
        except (ValueError, TypeError, AttributeError, DecodeError):
            return None
        return message if isinstance(message, dict) and message.get("id") else None


class Socket:
    """One connection, from its first moment in a thread of its own. The reader takes messages and asks how it is."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        market = settings.market
        self._clock = clock
        self._symbols = list(market.tickers)
        url = market.stream_url or YAHOO_URL
        context = None
        if market.ca_file and url.startswith("wss"):
            context = ssl.create_default_context(cafile=str(settings.resolve(market.ca_file)))
        here = is_loopback(urlsplit(url).hostname or "")  # a proxy cannot reach this machine's own addresses
        proxy: Literal[True] | str | None = None if here else market.proxy or True  # True: as the environment says
        self._client = _Client(url, proxy, context)
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._closed = False
        self.rubbish = 0  # messages that could not be decoded
        self.open_since: float | None = None
        self.last_message: float | None = None
        self.ended = ""  # why it is over
        threading.Thread(target=self._run, name="yahoo stream", daemon=True).start()

    def take(self, seconds: float) -> list[Message]:
        """What has come; waits for it at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting or self.ended), seconds)
            taken = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """End it, within CLOSE_SECONDS or so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._client.close()

    def _run(self) -> None:
        try:
            self._client.subscribe(self._symbols)
            self.open_since = subscribed = self._clock()
            while not self._closed:
                if self._clock() - subscribed >= SUBSCRIBE_SECONDS:
                    self._client.subscribe(self._symbols)
                    subscribed = self._clock()
                try:
                    raw = self._client.receive(1.0)
                except TimeoutError:
                    continue
                self._keep(self._client.decode(raw))
            self._end("closed")
        except ConnectionClosedOK:
            self._end("Yahoo closed the stream")
        except (WebSocketException, OSError, EOFError, ImportError) as error:  # ImportError: a SOCKS proxy without its library
            self._end(f"{'the stream was cut' if self.open_since else 'no stream'}: {type(error).__name__}")
        except Exception as error:  # noqa: BLE001 - its reader says it, and makes a new one
            self._end(f"the stream ended by a surprise: {type(error).__name__}: {str(error)[:80]}")

    def _keep(self, message: Message | None) -> None:
        with self._changed:
            if message is None:
                self.rubbish += 1
                return
            self.last_message = self._clock()
            self._waiting.append(message)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._waiting) < MOST_WAITING or self._closed)

    def _end(self, reason: str) -> None:
        with self._changed:
            self.ended = reason
            self._changed.notify_all()
