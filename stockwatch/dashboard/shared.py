"""Answers that are kept for a while and shared by all who ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
MOST_KEYS = 500


class Shared:
    """Locked by key: many who ask for the same at the same time cost one read. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[Any, threading.Lock] = {}
        self._kept: dict[Any, tuple[float, float, Any]] = {}  # answered at (monotonic), for how long, answer

    def __call__(self, key: Any, seconds: float | Callable[[T], float], read: Callable[[], T]) -> T:
        """The answer of `read`, or one that is at most `seconds` old (which may depend on it), whoever has read that one."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if (kept := self._kept.get(key)) is not None:
                answer: T = kept[2]
                if time.monotonic() - kept[0] < (seconds(answer) if callable(seconds) else seconds):
                    return answer
            answer = read()
            with self._lock:
                now = time.monotonic()
                if len(self._kept) > MOST_KEYS:  # candles leave a key each bin
                    self._kept = {name: item for name, item in self._kept.items() if item[0] + item[1] > now}
                    self._locks = {name: item for name, item in self._locks.items() if name in self._kept or item.locked()}
                self._kept[key] = (now, seconds(answer) if callable(seconds) else seconds, answer)
            return answer
