"""What the supervisor handles: Component (one life of one part), Worker (a life that is a loop), engines' addresses."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stockwatch.component.children import end, memory_mb, spawn
from stockwatch.errors import ComponentFailedError, RetryableError
from stockwatch.health import Reporter

__all__ = [
    "Backoff",
    "Component",
    "Deadlines",
    "KafkaAddress",
    "Renewal",
    "StoreAddress",
    "Worker",
    "end",
    "memory_mb",
    "spawn",
]

log = logging.getLogger(__name__)
# kafka-python's names for: nobody answers, or not in time.
_SILENCE = {"KafkaTimeoutError", "KafkaConnectionError", "NodeNotReadyError", "RequestTimedOutError"}


@dataclass(frozen=True)
class Deadlines:
    """Seconds within which start + ready, one beat, and stop must be done."""

    ready: float = 15.0
    beat: float = 15.0
    stop: float = 2.0


@dataclass(frozen=True)
class Renewal:
    """A life asks to be followed by a new one, by plan. `urgent`: also when what depends on it has not caught up."""

    reason: str
    urgent: bool = False


class Component(Protocol):
    """One life of one part. Stopping is final: a restart asks the factory for a new object.

    start() is called once on the main thread and returns quickly (children are spawned there, for PDEATHSIG).
    ready() and beat() are called from the watchdog's threads; stop() from the main thread.
    """

    name: str
    deadlines: Deadlines

    def start(self) -> None:
        """Begin. Raises StockwatchError when it cannot."""

    def ready(self) -> bool:
        """True once it is usable. Bounded to a few seconds. Raises StockwatchError when it never will be."""

    def beat(self) -> Renewal | None:
        """Report metrics, and ask for a renewal where one is due. Raises ComponentFailedError when this life is over."""

    def stop(self) -> None:
        """End within deadlines.stop, by force if it must. Safe to call twice and on a life that never started."""


class Worker(ABC):
    """One life of a loop, run by the scheduler's thread: open, step until told to stop, close.

    A RetryableError from step() is reported as degraded and tried again; anything else ends the life, visibly.
    """

    name: str
    deadlines = Deadlines()

    def __init__(self, reporter: Reporter) -> None:
        self.report = reporter
        self.stopping = threading.Event()
        self._opened = threading.Event()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._begun = False
        self.abandoned = False  # left behind at the stop deadline: it must not report any more
        self._last_step = time.monotonic()

    @abstractmethod
    def open(self) -> None:
        """Get what the loop needs. May raise RetryableError: it is tried again until the ready deadline."""

    @abstractmethod
    def step(self) -> None:
        """One turn of the loop; returns within a second or as soon as `stopping` is set."""

    @abstractmethod
    def close(self) -> None:
        """Flush and give back, bounded. Called exactly once."""

    def start(self) -> None:
        """The supervisor hands run() to the scheduler; nothing else is needed."""
        self._begun = True

    def run(self) -> None:
        """The whole life. Never raises: the failure is kept for beat()."""
        backoff = Backoff()
        try:
            try:
                while not self.stopping.is_set():
                    try:
                        if self._opened.is_set():
                            self.step()
                        else:
                            self.open()
                            self._opened.set()
                        backoff.reset()
                    except RetryableError as error:
                        self.report.degraded(str(error))
                        self._pause(error.retry_after or backoff.next_delay())
                    self._last_step = time.monotonic()
            finally:
                self.close()
        except Exception as error:  # a surprise ends this life visibly: beat() raises it, the supervisor decides
            log.exception("%s ended by a surprise", self.name)
            self._failure = error
        finally:
            self._ended.set()

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.stopping.wait(min(left, 1.0)):
            self._last_step = time.monotonic()

    def ready(self) -> bool:
        """True once open() has succeeded."""
        self._raise_if_over()
        return self._opened.is_set()

    def beat(self) -> None:
        """Raises ComponentFailedError when the loop has ended or hangs."""
        self._raise_if_over()
        silence = time.monotonic() - self._last_step
        if silence > self.deadlines.beat:
            raise ComponentFailedError(f"{self.name} has not moved for {silence:.0f} s")

    def _raise_if_over(self) -> None:
        if self._ended.is_set():
            reason = f"{type(self._failure).__name__}: {self._failure}" if self._failure else "its loop ended"
            raise ComponentFailedError(reason)

    def finish(self) -> None:
        """Ask the loop to work off what is there and to end then; does not wait. Here nothing is to be worked off."""
        self.stopping.set()

    def stop(self) -> None:
        """Ask the loop to end and wait for it. Raises ComponentFailedError when it still hangs at the deadline."""
        self.stopping.set()
        if self._begun and not self._ended.wait(self.deadlines.stop):
            self.abandoned = True
            raise ComponentFailedError(f"{self.name} did not stop within {self.deadlines.stop:g} s and is left behind")


class Backoff:
    """Growing delays: `first` s doubling to `longest` s, each times 0.5 to 1.0 so that many do not knock at once."""

    def __init__(self, first: float = 0.5, longest: float = 30.0, random: Callable[[], float] | None = None) -> None:
        self.first, self.longest = first, longest
        self._random = random
        self._delay = first

    def next_delay(self) -> float:
        """The next delay in seconds."""
        import random

        delay, self._delay = self._delay, min(self._delay * 2, self.longest)
        return delay * (0.5 + (self._random or random.random)() / 2)

    def reset(self) -> None:
        """Start again from the first delay: it worked."""
        self._delay = self.first


@dataclass(frozen=True)
class KafkaAddress:
    """How to talk to a broker, whichever it is. `security` goes to kafka-python as it is and is never printed."""

    bootstrap_servers: tuple[str, ...]
    session_timeout_ms: int = 6_000  # the least that Apache Kafka takes: so long a dead member's partitions wait for the next
    heartbeat_interval_ms: int = 2_000
    keeps_log: bool = True  # False: the log dies with the broker, so the outbox keeps what is not stored yet
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """Whom a message is about."""
        return f"Kafka at {','.join(self.bootstrap_servers)}"

    def trouble(self, error: BaseException) -> str:
        """What a client's error says, in plain words: its name and text only where they say more than that nobody answers."""
        name = type(error).__name__
        if isinstance(error, OSError) or name in _SILENCE:
            return f"{self.where} does not answer"
        text = str(error).removeprefix(f"{name}: ").removeprefix(name)
        return f"{self.where} does not answer as it should: {name}" + (f": {text[:120]}" if text else "")

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for every kafka-python client."""
        # By default kafka-python waits up to 30 s between two tries, long after the broker is back.
        return {"bootstrap_servers": list(self.bootstrap_servers), "reconnect_backoff_max_ms": 1_000, **self.security}


@dataclass(frozen=True)
class StoreAddress:
    """How to talk to a ClickHouse, whichever it is. `url` carries no credentials and may be shown."""

    url: str
    database: str = "stockwatch"
    user: str = "default"
    password: str = field(default="", repr=False)
    password_file: Path | None = None  # read at each connect, where the password is made by stockwatch
    cluster: str = ""
    retention_days: int = 30

    def secret(self) -> str:
        """The password, from its file where there is one."""
        return self.password_file.read_text().strip() if self.password_file else self.password
