"""A real redis-server of the test's own: free port, own folder, nothing of it outlives the test."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
from program import free_port, until

from stockwatch.cache import QuoteReader, QuoteWriter
from stockwatch.tick import Tick, now_ms

BINARY = shutil.which("redis-server")
NAME = "stockwatch:test:0"  # what the keys of a test's store begin with
needed = pytest.mark.skipif(BINARY is None, reason="no redis-server here: apt-get install redis-server")


class RedisServer:
    """Started, killed, frozen, started again on the same port."""

    def __init__(self, folder: Path, password: str = "") -> None:
        self.folder, self.port, self._password = folder, free_port(), password
        self.url = f"redis://{':' + password + '@' if password else ''}127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.client: Any = redis.Redis.from_url(self.url, socket_timeout=5)
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert BINARY is not None
        command = [BINARY, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        command += ["--requirepass", self._password] if self._password else []
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, 10, "redis-server answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except (redis.RedisError, OSError):
            return False

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT ends that."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """As kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)

    def end(self) -> None:
        """Kill it and give the connection back."""
        self.kill()
        self.client.close()


class Sides:
    """One store's writers and its page, on one Redis."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.reader = QuoteReader(server.url, NAME, 3)
        self.writers: list[QuoteWriter] = []

    def writer(self) -> QuoteWriter:
        self.writers.append(QuoteWriter(self.server.url, NAME))
        return self.writers[-1]

    def quotes(self, source: str, symbols: list[str], now: int | None = None) -> dict[str, dict[str, Any]]:
        """What a living Redis answers the page, however slow this machine is."""

        def asked() -> list[dict[str, dict[str, Any]]] | None:
            self.reader._redis._asked_again = 0.0
            found = self.reader.quotes(source, symbols, now)
            return [found] if self.reader._redis.error is None else None

        answered: list[dict[str, dict[str, Any]]] = until(asked, 10, "Redis answers")
        return answered[0]

    def price(self, symbol: str = "TCS.NS", source: str = "simulator") -> float | None:
        """The same, as a price."""
        found = self.quotes(source, [symbol]).get(symbol)
        return None if found is None else float(found["price"])

    def price_at_once(self) -> float | None:
        """What the page gets when it asks now, whether Redis lives or not."""
        found = self.reader.quotes("simulator", ["TCS.NS"]).get("TCS.NS")
        return None if found is None else float(found["price"])


def tick(price: float, *, at: int = 0, volume: int = 1, symbol: str = "TCS.NS", source: str = "simulator") -> Tick:
    """A tick of a moment ago; `at` shifts it (ms)."""
    return Tick(symbol, now_ms() - 60_000 + at, price, volume, source)
