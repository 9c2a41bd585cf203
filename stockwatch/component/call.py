"""A call that cannot be interrupted (yfinance, DNS), in a daemon thread that may be left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.05  # how soon a stop is seen


class Call(Generic[T]):
    """One call that is under way from the start on. The one who made it waits, in turns, and takes its result."""

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._done = threading.Event()
        self._outcome: list[T] = []
        self._failure: BaseException | None = None
        self._call = call
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, not swallowed
            self._failure = error
        finally:
            self._done.set()

    def wait(self, seconds: float, enough: Callable[[], bool]) -> bool:
        """Whether it is done, within `seconds` or until enough() is true; a stop belongs in there."""
        until = time.monotonic() + seconds
        while not self._done.is_set() and not enough() and (left := until - time.monotonic()) > 0:
            self._done.wait(min(left, LOOK_SECONDS))
        return self._done.is_set()

    def result(self) -> T:
        """What the call gave. Raises what it raised. Only when it is done."""
        if self._failure is not None:
            raise self._failure
        return self._outcome[0]
