"""The connection to Redis: bounded, and left alone for a while after it failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from stockwatch.component import Backoff
from stockwatch.component.call import Call


class Redis:
    """One connection, asked by one thread at a time, with a deadline. After a failure it is left alone for a while."""

    def __init__(self, url: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._seconds, self._clock = url, seconds, clock
        self._lock = threading.Lock()
        self._backoff = Backoff(first=1.0, longest=10.0)
        self._asked_again = 0.0
        self._client: Any = None
        self._connected = False
        self.error: str | None = None  # in plain words, never with the address's password

    def ask(self, question: Callable[[Any], Any], *, stopping: Callable[[], bool] = lambda: False) -> Any:
        """The answer, or None: no answer in time, or it is left alone."""
        if self._clock() < self._asked_again or not self._lock.acquire(timeout=self._seconds):
            return None
        try:
            return self._ask(question, stopping) if self._clock() >= self._asked_again else None
        finally:
            self._lock.release()

    def _ask(self, question: Callable[[Any], Any], stopping: Callable[[], bool]) -> Any:
        import redis  # 0.3 s: only where a Redis is wanted

        client = self._client
        if client is None:
            client = self._client = redis.Redis.from_url(
                self._url,
                socket_timeout=self._seconds,
                socket_connect_timeout=self._seconds,
                retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
                protocol=2,
                driver_info=None,
            )
        try:
            if self._connected:
                answer = question(client)
            else:  # a name may take long to resolve, and no deadline of the library covers that
                call = Call(lambda: question(client), "redis")
                if not call.wait(self._seconds * 2, stopping):
                    raise TimeoutError
                answer = call.result()
        except (redis.RedisError, OSError, ValueError) as error:  # ValueError: what answers there is no Redis
            refused = isinstance(error, (redis.ResponseError, redis.AuthenticationError))
            self.error = f"Redis {'refuses' if refused else 'does not answer'}: {type(error).__name__}"
            self._connected = False
            self._asked_again = self._clock() + self._backoff.next_delay()
            client.close()
            self._client = None
            return None
        self._connected, self.error = True, None
        self._backoff.reset()
        return answer

    def close(self) -> None:
        """Give the connection back."""
        if self._client is not None:
            self._client.close()
