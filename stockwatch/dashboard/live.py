"""One reader for all viewers: what is looked at is read once, and what has changed in it is pushed to every page.

A page watches channels; a channel is one part of the page for one ticker, made by the `make` that the Hub is given. All
pages that watch the same channel get the same bytes. A page that is slow gets the newest state when it is ready, never a
backlog, and holds up nobody. Channels are made in a few threads, which mostly wait for the store; everything else happens on
the server's event loop. What is made at once is made when it is due, and when the hub is nudged: something was stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stockwatch.dashboard.patch import diff

log = logging.getLogger(__name__)

MOST_CHANNELS = 400  # of all pages together
AT_ONCE = 0.05  # s: a channel that is due again so soon is one that may be nudged
LEAST_PAUSE = 0.02  # s between two makings of one channel
SHARE = 0.3  # of a core that one channel may take: a costly one comes less often
MAKERS = 3  # threads: while some wait for the store, or make what takes long, another goes on
LOOK_SECONDS, IDLE_SECONDS = 1.0, 60.0
Make = Callable[[str], tuple[dict[str, Any], float]]


@dataclass(eq=False)
class Channel:
    """One part of the page. `version` counts its states; `full` and `patch` are made once for all who need them."""

    name: str
    state: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    patch: str = ""
    watchers: set[Watcher] = field(default_factory=set)
    made: tuple[int, dict[str, Any]] = (0, {})  # its maker's own: version and state, ahead of what is published
    busy: bool = False  # a thread is making it
    began: float = 0.0  # its last making (monotonic seconds, as these two)
    rested: float = 0.0  # from then on it may be made again
    due: float = 0.0
    eager: bool = False  # a nudge makes it due
    _full: tuple[int, str] = (0, "")

    def full(self) -> str:
        """The whole state as a message."""
        if self._full[0] != self.version:
            self._full = (self.version, _message({"c": self.name, "v": self.version, "f": self.state}))
        return self._full[1]


class Watcher:
    """One open page: what it watches, and what it has not been sent yet. Lives on the event loop."""

    def __init__(self) -> None:
        self.known: dict[Channel, int] = {}  # the version it has
        self.wake = asyncio.Event()

    def take(self) -> list[str]:
        """What it must be told: patches where it has the version before, else the whole."""
        self.wake.clear()
        told = []
        for channel, version in self.known.items():
            if version == channel.version or not channel.version:
                continue
            told.append(channel.patch if version == channel.version - 1 and channel.patch else channel.full())
            self.known[channel] = channel.version
        return told


class Hub:
    """All channels that are watched. make(name): the state now, and in how many seconds it is due again."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._channels: dict[str, Channel] = {}  # changed on the event loop under the lock, read by the threads
        self._lock = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._makers = 0
        self._nudged = 0.0

    def watch(self, watcher: Watcher, names: list[str]) -> None:
        """What this page looks at from now on. On the event loop."""
        self._loop = asyncio.get_running_loop()
        with self._lock:
            for channel in [channel for channel in watcher.known if channel.name not in names]:
                self._unwatch(watcher, channel)
            for name in names:
                if name not in self._channels and len(self._channels) >= MOST_CHANNELS:
                    continue
                channel = self._channels.setdefault(name, Channel(name))
                channel.watchers.add(watcher)
                watcher.known.setdefault(channel, -1)
            for _ in range(self._makers, MAKERS):
                threading.Thread(target=self._run, name="live", daemon=True).start()
                self._makers += 1
            self._lock.notify_all()
        watcher.wake.set()

    def leave(self, watcher: Watcher) -> None:
        """The page is gone. On the event loop."""
        with self._lock:
            for channel in list(watcher.known):
                self._unwatch(watcher, channel)

    def again(self, watcher: Watcher, name: str) -> None:
        """The page has lost its place: it gets the whole state."""
        for channel in watcher.known:
            if channel.name == name:
                watcher.known[channel] = -1
        watcher.wake.set()

    def nudge(self) -> None:
        """What is made at once is due: what it is made from has changed. From any thread."""
        with self._lock:
            self._nudged = time.monotonic()
            self._lock.notify_all()

    def watching(self, name: str) -> int:
        """How many pages watch this channel."""
        with self._lock:
            return len(self._channels[name].watchers) if name in self._channels else 0

    @property
    def channels(self) -> list[str]:
        """What is watched."""
        with self._lock:
            return list(self._channels)

    def _unwatch(self, watcher: Watcher, channel: Channel) -> None:
        watcher.known.pop(channel, None)
        channel.watchers.discard(watcher)
        if not channel.watchers:
            self._channels.pop(channel.name, None)

    def _run(self) -> None:
        """A thread: makes what is due; ends when nothing has been watched for a while."""
        try:
            while (channel := self._due()) is not None:
                self._renew(channel)
                channel.busy = False
        except BaseException:
            with self._lock:
                self._makers -= 1  # the next page that comes starts another one
            raise

    def _due(self) -> Channel | None:
        """The channel that has been due the longest and that no other thread makes, waited for; None: the thread may end."""
        with self._lock:
            watched_at = time.monotonic()
            while True:
                now = time.monotonic()
                watched_at = now if self._channels else watched_at
                if now - watched_at > IDLE_SECONDS:
                    self._makers -= 1
                    return None
                free = [channel for channel in self._channels.values() if not channel.busy]
                first = min(free, key=self._due_at, default=None)
                if first is not None and self._due_at(first) <= now:
                    first.busy = True
                    return first
                self._lock.wait(min(self._due_at(first) - now, LOOK_SECONDS) if first is not None else LOOK_SECONDS)

    def _due_at(self, channel: Channel) -> float:
        return channel.rested if channel.eager and channel.began < self._nudged else channel.due

    def _renew(self, channel: Channel) -> None:
        began, cost = time.monotonic(), time.thread_time()
        try:
            state, pause = self._make(channel.name)
        except Exception:  # a surprise in one part must not end the others; the log has it, the page says so
            log.exception("the page's part %s cannot be made", channel.name)
            state, pause = {"failed": "This part of the page cannot be made now; dashboard.log says why."}, 5.0
        rested = max(began + LEAST_PAUSE, time.monotonic() + (time.thread_time() - cost) / SHARE)
        channel.began, channel.rested, channel.due, channel.eager = began, rested, max(rested, began + pause), pause <= AT_ONCE
        version, old = channel.made
        change = (None if state is old else diff(old, state)) if version else ["=", state]
        if change is None or self._loop is None:
            return
        channel.made = (version + 1, state)
        patch = _message({"c": channel.name, "v": version + 1, "p": change}) if version else ""
        with contextlib.suppress(RuntimeError):  # the server has just ended
            self._loop.call_soon_threadsafe(self._publish, channel, version + 1, state, patch)

    @staticmethod
    def _publish(channel: Channel, version: int, state: dict[str, Any], patch: str) -> None:
        channel.version, channel.state, channel.patch = version, state, patch
        for watcher in channel.watchers:
            watcher.wake.set()


def _message(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
