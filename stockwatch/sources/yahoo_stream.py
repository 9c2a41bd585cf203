"""Yahoo's stream: live ticks by WebSocket, by polling while the socket is down or silent, and back again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from stockwatch.component import Backoff
from stockwatch.component.call import LOOK_SECONDS
from stockwatch.errors import SourceError
from stockwatch.health import Metric
from stockwatch.settings import Settings
from stockwatch.sources.yahoo_poll import AGAIN_SECONDS, YahooPoll
from stockwatch.sources.yahoo_pricing import tick_of
from stockwatch.sources.yahoo_socket import Message, Socket
from stockwatch.tick import Tick, now_ms

SILENCE_SECONDS = 30.0  # in a session: then the connection is held for dead; also one that takes longer to be opened
STEADY_SECONDS = 30.0  # one that has told for so long was a success: the next delay is the first again
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0  # between connections, with jitter
WAIT_SECONDS = 1.0
HOPE_SECONDS = 9.0  # when polls fail too: how long one read waits for a connection, a little more than opening it takes
SOON_SECONDS = 0.1  # to be asked again, while a connection may speak at any moment
REGULAR_HOURS = 1  # PricingData.market_hours: 0 before, 1 in the session, 2 after it, 3 extended; a zero is left out


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
        self._began = 0.0  # when the connection was asked for
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS, random)
        self._again_at = 0.0
        self._lost = ""  # why the last connection went
        self._connections, self._messages, self._rubbish = 0, 0, 0
        self._told: dict[str, int] = {}  # by symbol: the newest time (ms) that the stream has told
        self._trouble = ""  # of the polls
        self._poll_again_at = 0.0
        self._is_quiet, self._looked_at, self._quiet_at = False, -math.inf, -math.inf
        self._closed = False

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
        polls = f"polls fail: {self._trouble}" if self._trouble else self._poll.detail
        socket = self._socket
        if socket is None or socket.ended or socket.last_message is None:
            return f"Yahoo's stream is {self._state(socket)}; meanwhile {polls}"
        quiet = self._is_quiet and self._clock() - socket.last_message > SILENCE_SECONDS
        return "streaming from Yahoo" + ", silent while no market is open" * quiet + f"; {polls}" * bool(self._trouble)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The poll's, and: streaming (0, 1), connections, messages, rubbish (what could not be decoded)."""
        rubbish = self._rubbish + (self._socket.rubbish if self._socket else 0)
        own = {"streaming": int(self.streaming), "connections": self._connections, "messages": self._messages}
        return {**self._poll.metrics, **own, "rubbish": rubbish}

    def close(self) -> None:
        """End the connection; no new one is made."""
        self._closed = True
        socket = self._socket
        if socket is not None:
            socket.close()

    def read(self, stopping: threading.Event) -> list[Tick]:
        """What the stream has told, and while it does not, what polls tell. Raises SourceError when neither works."""
        ticks = self._tend() + self._take(0.0)
        live = self.streaming
        if self._poll.relaxed and not live:
            self._poll.hurry()
        self._poll.relaxed = live
        if live:
            self._poll_again_at = 0.0
            ticks += self._asides(stopping)
            return ticks or self._listen(stopping, WAIT_SECONDS)
        return ticks or self._fall_back(stopping)

    def _asides(self, stopping: threading.Event) -> list[Tick]:
        """What a slow poll says that the stream has not told; its trouble is not the stream's."""
        try:
            polled = self._poll.read(stopping, wait=0.0)
        except SourceError as error:
            self._trouble = str(error)
            return []
        if not self._poll.troubled:
            self._trouble = ""
        return self._news(polled)

    def _fall_back(self, stopping: threading.Event) -> list[Tick]:
        """What polls tell, until the stream stirs. While they fail it waits for the stream: only ticks end the trouble."""
        if self._clock() >= self._poll_again_at:
            try:
                polled = self._poll.read(stopping, enough=self._stirs)
            except SourceError as error:
                self._trouble = str(error)
                self._poll_again_at = self._clock() + (error.retry_after or AGAIN_SECONDS)
            else:
                if not self._poll.troubled:
                    self._trouble = ""
                    return self._news(polled)
        ticks = self._tend()
        opening = self._socket is not None and self._socket.open_since is None
        ticks += self._listen(stopping, HOPE_SECONDS if opening else min(HOPE_SECONDS, self._poll_again_at - self._clock()))
        ticks += self._tend()
        if ticks or self.streaming or stopping.is_set():
            return ticks
        until = min(self._poll_again_at, self._again_at) if self._socket is None else 0.0  # else it may speak at any moment
        waits = max(until - self._clock(), SOON_SECONDS)
        raise SourceError(f"{self._trouble}; Yahoo's stream is {self._state(self._socket)}", retry_after=waits)

    def _listen(self, stopping: threading.Event, seconds: float) -> list[Tick]:
        """What the stream tells next; waits for it at most `seconds`, until a stop or its end."""
        until = self._clock() + seconds
        while not (ticks := self._take(LOOK_SECONDS)):
            if self._socket is None or self._socket.ended or stopping.is_set() or self._clock() >= until:
                break
        return ticks

    def _stirs(self) -> bool:
        """Whether there is something else to do than to wait for a poll: the stream speaks, has ended, or is to be made anew."""
        socket = self._socket
        if socket is None:
            return self._clock() >= self._again_at and not self._closed
        return socket.last_message is not None or bool(socket.ended)

    def _news(self, polled: list[Tick]) -> list[Tick]:
        """Without what the stream has told already: a quote's time is in whole seconds, so it would be another tick."""
        return [tick for tick in polled if tick.at > self._told.get(tick.symbol, 0)]

    def _take(self, seconds: float) -> list[Tick]:
        messages = self._socket.take(seconds) if self._socket is not None else []
        self._messages += len(messages)
        ticks = [tick for message in messages if self._is_ours(message) and (tick := tick_of(message)) is not None]
        now = now_ms() if ticks else 0
        for tick in ticks:  # a time in the future must not silence the polls
            self._told[tick.symbol] = max(self._told.get(tick.symbol, 0), min(tick.at, now))
        return ticks

    def _is_ours(self, message: Message) -> bool:
        """Whether it is of one of our symbols in its session. Without hours: before it, or not said: then Yahoo's state."""
        symbol, hours = str(message["id"]), message.get("market_hours")
        regular = hours == REGULAR_HOURS if hours else self._poll.states.get(symbol, "REGULAR") == "REGULAR"
        return regular and symbol in self.symbols

    def _tend(self) -> list[Tick]:
        """Look after the connection: a lost or silent one goes, a new one comes when it is time. The last words of a lost one."""
        socket, now = self._socket, self._clock()
        if socket is None:
            if now >= self._again_at and not self._closed:
                self._connections, self._began = self._connections + 1, now
                self._socket = self._connect(self._settings)
            return []
        reason = socket.ended or self._silence(socket, now)
        if not reason:
            return []
        if not socket.ended:  # a server that is gone does not answer the closing handshake: not waited for
            threading.Thread(target=socket.close, name="closing yahoo's stream", daemon=True).start()
        ticks = self._take(0.0)
        self._rubbish += socket.rubbish
        if (socket.last_message or 0) - (socket.open_since or 0) >= STEADY_SECONDS:
            self._backoff.reset()
        self._socket, self._lost, self._again_at = None, reason, now + self._backoff.next_delay()
        return ticks

    def _silence(self, socket: Connection, now: float) -> str:
        """Why a connection that has not ended is held for dead; empty while it is not."""
        if socket.open_since is None:
            return f"not open after {SILENCE_SECONDS:g} s" if now - self._began > SILENCE_SECONDS else ""
        since = socket.open_since if socket.last_message is None else socket.last_message
        if now - since <= SILENCE_SECONDS:
            return ""
        if now - self._looked_at >= WAIT_SECONDS:
            self._looked_at = now
            self._is_quiet = not any(self._poll.is_open(symbol) for symbol in self.symbols if symbol not in self._poll.unknown)
        if self._is_quiet:  # nobody trades, so silence is right; the first session after it gets its whole time
            self._quiet_at = now
        return "" if now - self._quiet_at <= SILENCE_SECONDS else f"silent for {SILENCE_SECONDS:g} s in a session"

    def _state(self, socket: Connection | None) -> str:
        """How a stream is that tells nothing."""
        if socket is None:
            left = self._again_at - self._clock()
            return f"down ({self._lost or 'not begun'}), connecting again {f'in {left:.0f} s' if left > 0.5 else 'now'}"
        if socket.ended:
            return f"down ({socket.ended})"
        if socket.open_since is None:
            return f"being opened{f' again ({self._lost})' if self._lost else ''}"
        return "open and has told nothing yet" + (f" that is understood ({socket.rubbish} messages)" if socket.rubbish else "")
