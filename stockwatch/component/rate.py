"""How many of something pass a second, over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Rate:
    """A count over a sliding window. Not locked: one thread owns it."""

    def __init__(self, seconds: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._began = clock()
        self._counts: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, count: int) -> None:
        """`count` more have passed now."""
        if count:
            self._counts.append((self._clock(), count))
            self._total += count

    def per_second(self) -> float:
        """The mean over the window, rounded to a tenth."""
        now = self._clock()
        while self._counts and self._counts[0][0] < now - self._seconds:
            self._total -= self._counts.popleft()[1]
        return round(self._total / max(min(self._seconds, now - self._began), 1.0), 1)
