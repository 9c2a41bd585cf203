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
        self._kept: dict[Any, tuple[float, float, Any]] = {}  # made at, good until, answer

    def __call__(self, key: Any, seconds: float | Callable[[T], float], read: Callable[[], T], youngest: float = 0.0) -> T:
        """The answer of `read`, kept for `seconds` (which may depend on it). youngest: made after this moment (monotonic)."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            kept = self._kept.get(key)
            now = time.monotonic()
            if kept and now < kept[1] and kept[0] >= youngest:
                answer: T = kept[2]
                return answer
            answer = read()
            with self._lock:
                if len(self._kept) > MOST_KEYS:  # candles leave a key each bin
                    self._kept = {name: item for name, item in self._kept.items() if item[1] > now}
                    self._locks = {name: item for name, item in self._locks.items() if name in self._kept or item.locked()}
                keep = seconds(answer) if callable(seconds) else seconds
                self._kept[key] = (now, time.monotonic() + keep, answer)
            return answer
