"""One connection to Yahoo's WebSocket, through yfinance's sync client: subscribe, decode, end. A lost one is not mended."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal
from urllib.parse import urlsplit

import yfinance
from google.protobuf.message import DecodeError
from websockets.exceptions import ConnectionClosedOK, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from stockwatch.settings import Settings, is_loopback

YAHOO_URL = "wss://streamer.finance.yahoo.com/?version=2"  # yfinance's own default
CONNECT_SECONDS = 8.0
CLOSE_SECONDS = 0.5  # a server that is gone does not answer the closing handshake
LOOK_SECONDS = 1.0  # how soon a new subscription is due after a silence
SUBSCRIBE_SECONDS = 15.0  # as yfinance's own client repeats it
MOST_WAITING = 50_000  # messages; then it reads no more until they are taken
Message = dict[str, Any]


class _Client(yfinance.WebSocket):  # type: ignore[misc]  # yfinance has no types
    """Connects with our deadlines, proxy and CA, which yfinance's own _connect does not take."""

    def __init__(self, url: str, proxy: Literal[True] | str | None, ca_file: str) -> None:
        super().__init__(url=url, verbose=False)
        self._ws: Any = None
        self._proxy, self._ca_file = proxy, ca_file

    def _connect(self) -> None:
        if self._ws is None:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else None
            self._ws = connect(
                self.url,
                open_timeout=CONNECT_SECONDS,
                close_timeout=CLOSE_SECONDS,
                proxy=self._proxy,
                ssl=context,
                legacy=True,  # gives the connection itself, as yfinance uses it
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
        except (ValueError, TypeError, AttributeError, DecodeError, RecursionError):  # the last: "[[[[…" without end
            return None
        return message if isinstance(message, dict) and message.get("id") else None


class Socket:
    """One connection, from its first moment in a thread of its own. The reader takes messages and asks how it is."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        market = settings.market
        self._clock = clock
        self._symbols = list(market.tickers)
        url = market.stream_url or YAHOO_URL
        ca_file = str(settings.resolve(market.ca_file)) if market.ca_file and url.startswith("wss") else ""
        here = is_loopback(urlsplit(url).hostname or "")  # a proxy cannot reach this machine's own addresses
        proxy: Literal[True] | str | None = None if here else market.proxy or True  # True: as the environment says
        self._client = _Client(url, proxy, ca_file)
        self._changed = threading.Condition()
        self._waiting: deque[Message] = deque()
        self._closed = False
        self.rubbish = 0  # messages that could not be decoded
        self.open_since: float | None = None
        self.last_message: float | None = None
        self.ended = ""  # why it is over
        threading.Thread(target=self._run, name="yahoo stream", daemon=True).start()

    def take(self, seconds: float) -> list[Message]:
        """What has come, in order; waits for it at most `seconds`. Also what is left of a connection that has ended."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting or self.ended), seconds)
            taken = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
            return taken

    def close(self) -> None:
        """End it, within CLOSE_SECONDS or so; one that is still being opened ends by itself. Safe to repeat."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._client.close()

    def _run(self) -> None:
        reason = ""
        try:
            self._client.subscribe(self._symbols)
            self.open_since = subscribed = self._clock()
            while not self._closed:
                if self._clock() - subscribed >= SUBSCRIBE_SECONDS:
                    self._client.subscribe(self._symbols)
                    subscribed = self._clock()
                try:
                    raw = self._client.receive(LOOK_SECONDS)
                except TimeoutError:
                    continue
                self._keep(self._client.decode(raw))
        except ConnectionClosedOK:
            reason = "Yahoo closed the stream"
        except (WebSocketException, OSError, EOFError, ImportError) as error:
            reason = _plain(error, opened=self.open_since is not None)
        except Exception as error:  # noqa: BLE001 - its reader says it, and makes a new one
            reason = f"the stream ended by a surprise: {type(error).__name__}: {str(error)[:80]}"
        finally:
            with self._changed:
                self.ended = "closed" if self._closed else reason
                self._changed.notify_all()
            self._client.close()  # a close() while it was being opened found nothing to close

    def _keep(self, message: Message | None) -> None:
        with self._changed:
            if message is None:
                self.rubbish += 1
                return
            self.last_message = self._clock()
            self._waiting.append(message)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._waiting) < MOST_WAITING or self._closed)


def _plain(error: Exception, *, opened: bool) -> str:
    """Why there is no connection (any more), in words for people."""
    if opened:
        return "the stream was cut"
    if isinstance(error, InvalidStatus):
        return f"it answers with HTTP {error.response.status_code}"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "the connection is refused"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, FileNotFoundError | ssl.SSLError):
        return "no TLS with it: see market.ca_file"
    if isinstance(error, ImportError):
        return "a SOCKS proxy needs the package python-socks"
    return f"it cannot be reached: {type(error).__name__}"
