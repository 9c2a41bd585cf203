"""The gate before every request to Yahoo: shut for long after a 429, for a moment when the network is dead.

One for all requests of a session: Yahoo limits the address, not the kind of request, and a dead network is dead for all. But a
refusal may be of one kind alone (a crumb's): only an answer to that kind shows that it is over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import random

from stockwatch.component import Backoff
from stockwatch.errors import SourceError

LIMITED_FIRST_SECONDS, LIMITED_LONGEST_SECONDS = 30.0, 600.0  # FACTS.md: 30 s to 10 min, with jitter
FAILED_FIRST_SECONDS, FAILED_LONGEST_SECONDS = 5.0, 60.0
FAILURES = 3  # in a row, until the circuit breaks


class Gate:
    """Every method may be called from any thread. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, random: Callable[[], float] = random) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._random = random
        self._limited = Backoff(LIMITED_FIRST_SECONDS, LIMITED_LONGEST_SECONDS, lambda: 1.0)  # its jitter is below
        self._broken = Backoff(FAILED_FIRST_SECONDS, FAILED_LONGEST_SECONDS, random)
        self._failures = 0
        self._refusals = 0
        self._refused: set[str] = set()  # the kinds that have had no answer since
        self._shut_until = 0.0
        self._reason = ""

    def check(self) -> int:
        """Raise SourceError, with what is left as retry_after, while nobody may ask; else what answered() is to be told."""
        with self._lock:
            left = self._shut_until - self._clock()
            if left > 0:
                raise SourceError(f"{self._reason}; asking again in {left:.0f} s", retry_after=left)
            return self._refusals

    def answered(self, kind: str, begun: int) -> None:
        """A request of a kind worked. Nothing changes if Yahoo refused one after this one's check(), which gave `begun`."""
        with self._lock:
            if begun != self._refusals:
                return
            self._failures = 0
            self._broken.reset()
            self._refused.discard(kind)
            if not self._refused:
                self._limited.reset()

    def limited(self, kind: str, reason: str) -> SourceError:
        """Yahoo wants to be left alone, said to a request of a kind; the error to raise."""
        with self._lock:
            self._refusals += 1
            self._refused.add(kind)
            wait = self._limited.next_delay() * (1 + self._random() / 4)  # never earlier than Yahoo is promised
            return self._shut(reason, min(wait, LIMITED_LONGEST_SECONDS))

    def failed(self, reason: str) -> SourceError:
        """No answer, or none that makes sense; the error to raise. After FAILURES in a row it shuts."""
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES:
                return SourceError(reason)
            return self._shut(reason, self._broken.next_delay())

    def _shut(self, reason: str, seconds: float) -> SourceError:
        now = self._clock()
        left = self._shut_until - now
        if left < seconds:  # never sooner than was promised before
            left, self._reason, self._shut_until = seconds, reason, now + seconds
        return SourceError(f"{reason}; asking again in {left:.0f} s", retry_after=left)
