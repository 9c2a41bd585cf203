"""Yahoo's stream: live ticks by WebSocket, by polling while the socket is down or silent, and back again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stockwatch.component import Backoff
from stockwatch.errors import SourceError
from stockwatch.health import Metric
from stockwatch.settings import Settings
from stockwatch.sources.yahoo_poll import NAME, YahooPoll
from stockwatch.sources.yahoo_socket import Message, Socket
from stockwatch.tick import Tick

SILENCE_SECONDS = 30.0  # in a session: then the connection is held for dead
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0  # between connections, with jitter
WAIT_SECONDS = 1.0
LIVE_MESSAGES = (None, "REGULAR_MARKET")  # extended hours are no part of the session; absent: Yahoo leaves the enum's zero out
EXTENDED_STATES = ("PRE", "POST", "PREPRE", "POSTPOST")
OPTIONAL = {
    "bid": "bid",
    "ask": "ask",
    "previous_close": "previous_close",
    "day_open": "open_price",
    "day_high": "day_high",
    "day_low": "day_low",
}


class Connection(Protocol):
    """What it needs of a Socket."""

    rubbish: int
    open_since: float | None
    last_message: float | None
    ended: str

    def take(self, seconds: float) -> list[Message]: ...
    def close(self) -> None: ...


class YahooStream:
    """Live ticks. `connect` makes a new connection; a connection is never used twice. clock: monotonic seconds."""

    def __init__(
        self,
        settings: Settings,
        poll: YahooPoll,
        connect: Callable[[Settings], Connection] = Socket,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.symbols = settings.market.tickers
        self._settings, self._poll, self._connect, self._clock = settings, poll, connect, clock
        self._socket: Connection | None = None
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS, random)
        self._again_at = 0.0
        self._lost = "not connected yet"
        self._connections, self._messages, self._rubbish = 0, 0, 0
        self._heard: set[str] = set()  # symbols that this connection has told of
        self._poll_trouble = ""
        self._is_quiet, self._looked_at = False, -math.inf

    @property
    def answered(self) -> bool:
        """Whether Yahoo has ever answered, by stream or by poll."""
        return bool(self._messages) or self._poll.answered

    @property
    def streaming(self) -> bool:
        """Whether the socket does its job: it has told something, and not fallen silent in a session."""
        socket = self._socket
        return socket is not None and not socket.ended and socket.last_message is not None

    @property
    def detail(self) -> str:
        """How it is, in plain words."""
        if self.streaming:
            return "streaming from Yahoo" + (f"; quotes: {self._poll_trouble}" if self._poll_trouble else "")
        if self._socket is not None and not self._socket.ended and self._socket.open_since is not None:
            return f"Yahoo's stream is open and silent; meanwhile {self._poll.detail}"
        return f"Yahoo's stream is down ({self._lost}), so {self._poll.detail}"

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The poll's, and: streaming (0, 1), connections, messages, rubbish (what could not be decoded)."""
        rubbish = self._rubbish + (self._socket.rubbish if self._socket else 0)
        own = {"streaming": int(self.streaming), "connections": self._connections, "messages": self._messages}
        return {**self._poll.metrics, **own, "rubbish": rubbish}

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()

    def read(self, stopping: threading.Event) -> list[Tick]:
        """What the stream has told, and while it does not, what polls tell. Raises SourceError when neither works."""
        self._tend()
        ticks = self._take(0.0)
        live = self.streaming
        if live != self._poll.relaxed:
            self._poll.relaxed = live
            if not live:
                self._poll.hurry()
        if live:
            ticks += self._asides(stopping)
            return ticks or self._take(WAIT_SECONDS)
        if ticks:
            return ticks
        socket = self._socket
        polled = self._poll.read(
            stopping, enough=lambda: socket is not None and (socket.last_message is not None or bool(socket.ended))
        )
        self._poll_trouble = ""
        return polled

    def _asides(self, stopping: threading.Event) -> list[Tick]:
        """What a quiet poll says of symbols that the stream has not told of; its trouble is not the stream's."""
        try:
            polled = self._poll.read(stopping, wait=0.0)
        except SourceError as error:
            self._poll_trouble = str(error)
            return []
        if polled:
            self._poll_trouble = ""
        return [tick for tick in polled if tick.symbol not in self._heard]

    def _take(self, seconds: float) -> list[Tick]:
        messages = self._socket.take(seconds) if self._socket is not None else []
        if messages and not self._heard:
            self._backoff.reset()
        self._messages += len(messages)
        ticks = [tick for message in messages if self._is_regular(message) and (tick := tick_of(message)) is not None]
        self._heard.update(tick.symbol for tick in ticks)
        return ticks

    def _is_regular(self, message: Message) -> bool:
        hours = message.get("market_hours")
        return hours in LIVE_MESSAGES and not (hours is None and self._poll.states.get(str(message["id"])) in EXTENDED_STATES)

    def _tend(self) -> None:
        """Look after the connection: a lost or silent one goes, a new one comes when it is time."""
        socket, now = self._socket, self._clock()
        if socket is None:
            if now >= self._again_at:
                self._heard = set()
                self._connections += 1
                self._socket = self._connect(self._settings)
            return
        since = socket.last_message or socket.open_since
        if socket.ended:
            self._lose(socket.ended)
        elif since is not None and now - since > SILENCE_SECONDS and not self._quiet(now):
            threading.Thread(
                target=socket.close, name="closing yahoo's stream", daemon=True
            ).start()  # may wait for a dead server
            self._lose(f"silent for {SILENCE_SECONDS:g} s in a session")

    def _lose(self, reason: str) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._rubbish += socket.rubbish
        delay = self._backoff.next_delay()
        self._lost, self._again_at = f"{reason}; connecting again in {delay:.0f} s", self._clock() + delay

    def _quiet(self, now: float) -> bool:
        """Whether nobody trades, so that silence is right; looked at again each WAIT_SECONDS."""
        if now - self._looked_at >= WAIT_SECONDS:
            self._looked_at = now
            self._is_quiet = not any(self._poll.is_open(symbol) for symbol in self.symbols if symbol not in self._poll.unknown)
        return self._is_quiet


def tick_of(message: Message) -> Tick | None:
    """PricingData as a Tick; None where price or time is missing. Its numbers of 64 bits are text; zero is left out."""
    at, price = _number(message.get("time")), _number(message.get("price"))
    if not at or not price or price <= 0:
        return None
    volume = max(int(_number(message.get("day_volume")) or 0), 0)
    optional = {name: value for name, key in OPTIONAL.items() if (value := _number(message.get(key)))}
    currency = message.get("currency")
    return Tick(
        str(message["id"]), int(at), price, volume, NAME, **optional, currency=currency if isinstance(currency, str) else None
    )


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
