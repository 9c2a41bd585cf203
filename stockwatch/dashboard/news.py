"""Whether anything has been stored since the last look, by what the consumer says of itself: cheaper than to ask the store."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 5.0  # nobody has asked for so long: the thread ends, and the next one who asks starts another
ANSWER_SECONDS = 3.0
AGAIN_SECONDS = 0.5  # nobody answers, or the consumer is not known


def ask(url: str, seconds: float) -> dict[str, Any]:
    """The body of GET /health; empty when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310 - always http on loopback
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:  # 503: it answers, and not all is well
        with error, contextlib.suppress(ValueError):
            return dict(json.load(error))
    except (OSError, ValueError):
        pass
    return {}


class News:
    """Waits at the health server in a thread while somebody is interested. `partitions`: how many the ticks' topic has.

    changed: called in that thread when the mark has become another one.
    """

    def __init__(self, health_url: str, partitions: int, changed: Callable[[], None]) -> None:
        self._url, self._partitions, self._changed = health_url, partitions, changed
        self._lock = threading.Lock()
        self._running = False
        self._asked = 0.0
        self._mark: tuple[str, int] | None = None

    def mark(self) -> tuple[str, int] | None:
        """Another one than before: rows were stored since. None: it is not known.

        Known is it where one running consumer of this instance has all partitions: what others store, it does not tell.
        """
        with self._lock:
            self._asked = time.monotonic()
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="news", daemon=True).start()
            return self._mark

    def _run(self) -> None:
        while True:
            body = ask(f"{self._url}?after={self._mark[1]}" if self._mark else self._url, ANSWER_SECONDS)
            with self._lock:
                before, self._mark = self._mark, self._told(body)
                if time.monotonic() - self._asked > IDLE_SECONDS:
                    self._mark, self._running = None, False
                    return
            if self._mark != before:
                self._changed()
            if self._mark is None:
                threading.Event().wait(AGAIN_SECONDS)

    def _told(self, body: dict[str, Any]) -> tuple[str, int] | None:
        for part in body.get("components", []):
            told = part["metrics"]
            if part["name"] == "consumer" and part["state"] == "running" and told.get("partitions", 0) >= self._partitions:
                return str(part["since"]), int(told.get("rows", 0))
        return None
