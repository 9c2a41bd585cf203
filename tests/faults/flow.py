"""The real program under load, on the embedded broker or another one, and what must be in its table.

The simulator is the truth: its ticks lie on a fixed grid (one each 1000 / rate ms), so each point of the grid from the first
row on that is missing was lost, and each row above one a point is there twice.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from apache_kafka import READY_SECONDS, ApacheKafka
from clickhouse_connect.driver.client import Client
from engine import Engine
from ledger import Ledger
from program import Program, until

from stockwatch.component import end, spawn
from stockwatch.engines.embedded_kafka import broker_binary
from stockwatch.tick import now_ms

SYMBOLS = ["AAPL", "TCS.NS"]
RATE = 500  # ticks a second of each of the two
_numbers = itertools.count()
PARTS = "kafka,clickhouse,producer,consumer"
NEWEST = "SELECT min(newest) FROM (SELECT max(toUnixTimestamp64Milli(at)) AS newest FROM {}.ticks WHERE source = 'simulator' GROUP BY symbol)"
GRID = (
    "SELECT count(), uniqExact(at), min(toUnixTimestamp64Milli(at)) FROM {}.ticks FINAL"
    " WHERE source = 'simulator' AND symbol = %(symbol)s AND at <= fromUnixTimestamp64Milli(toInt64(%(upto)s))"
)


def hold(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def up(apache: ApacheKafka) -> None:
    """Start it. Clients come only once its port is open: kafka-python leaves sockets behind where nobody listens."""
    apache.spawn()
    until(lambda: _listens(apache.port), READY_SECONDS, "its port is open")
    apache.wait_until_ready()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Tansu:
    """The embedded broker's binary as a broker by address: its log is in memory, so it is never killed here."""

    def __init__(self, folder: Path, port: int, advertised: int) -> None:
        self._process = spawn(
            [
                str(broker_binary()), "broker", "--storage-engine", "memory://tansu/", "--silent",
                "--listener-url", f"tcp://127.0.0.1:{port}", "--advertised-listener-url", f"tcp://127.0.0.1:{advertised}",
            ],
            folder / "tansu.txt",
        )  # fmt: skip

    def stop(self) -> None:
        """End it."""
        end(self._process, 2, signal.SIGINT)


class Flow:
    """`program` with the simulator at 1,000 ticks a second, and its store: its own, or `engine` with a database of its own."""

    def __init__(self, program: Program, broker: str, database: str = "stockwatch", engine: Engine | None = None) -> None:
        self.program, self.broker, self.database, self._engine = program, broker, database, engine
        self.topic = "stock-prices" if broker == "embedded" else f"prices-{next(_numbers)}"  # of its own on a shared broker
        self.kafka: dict[str, Any] = {}  # the section of the settings
        self._client: Client | None = None
        self._rate = RATE

    def write(self, rate: int = RATE, **sections: dict[str, Any]) -> None:
        """The settings: the simulator at `rate` a second for each symbol; the rest as given."""
        self._rate = rate
        market = {"source": "simulator", "tickers": SYMBOLS, "ticks_per_second": rate} | sections.pop("market", {})
        self.kafka |= sections.pop("kafka", {}) | {"group_id": self.topic}  # a group of its own: others' members may linger
        self.program.write(market=market, kafka=self.kafka, **sections)

    def start(self, parts: str = PARTS, flowing: bool = True) -> None:
        """Start it, and wait until rows come."""
        self._client = None
        self.program.start("--only", parts)
        if flowing:
            self.fresh(now_ms(), 20)

    def sql(self, text: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a query, in which {} stands for the database."""
        if self._client is None:
            self._client = self._engine.client() if self._engine else self.program.store()
        return [tuple(row) for row in self._client.query(text.format(self.database), parameters=parameters).result_rows]

    def number(self, text: str, parameters: dict[str, Any] | None = None) -> int:
        """A query's single number."""
        return int(self.sql(text, parameters)[0][0])

    def newest(self) -> int:
        """The time (ms) up to which every symbol has rows."""
        return self.number(NEWEST)

    def fresh(self, since: int, seconds: float = 40.0) -> float:
        """Wait for rows of every symbol that are younger than `since` (ms); how many seconds after it they were there."""
        self.until(lambda: self.newest() > since, seconds, "fresh rows")
        return (now_ms() - since) / 1000

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait for it; a failure says how the components are then."""
        try:
            until(condition, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.states()}") from None

    def states(self) -> list[tuple[str, str, str | None]]:
        """Each component's name, state and error."""
        return [(part["name"], part["state"], part["error"]) for part in self.program.health().get("components", [])]

    def error_of(self, name: str) -> str:
        """What a component says that is wrong."""
        return self.program.component(name).get("error") or ""

    def ledger(self, fault: str, recovery: float | None = None, note: str = "", upto: int | None = None) -> Ledger:
        """Of every point of the grid from the first row until `upto` (ms; by default now)."""
        last = now_ms() if upto is None else upto
        if upto is None:
            self.fresh(last)
        found: list[tuple[int, int, int]] = []

        def complete() -> bool:
            found[:] = [self._grid(symbol, last) for symbol in SYMBOLS]
            return all(expected == distinct for expected, distinct, _seen in found)

        with contextlib.suppress(AssertionError):  # the ledger says it, with its numbers
            until(complete, 10, "no gap")
        expected, distinct, seen = (sum(column) for column in zip(*found, strict=True))
        return Ledger(fault, self.broker, expected, distinct, seen, recovery, note)

    def _grid(self, symbol: str, upto: int) -> tuple[int, int, int]:
        step = 1000 // self._rate
        ((seen, distinct, first),) = self.sql(GRID, {"symbol": symbol, "upto": upto})
        return (upto // step * step - first) // step + 1, distinct, seen

    def die(self) -> None:
        """kill -9 of the whole program."""
        process = self.program.process
        assert process is not None
        children = self.program.children()
        process.send_signal(signal.SIGKILL)
        process.wait(5)
        psutil.wait_procs(children, 5)

    def everybody(self) -> list[psutil.Process]:
        """The program and its children."""
        assert self.program.process is not None
        return [psutil.Process(self.program.process.pid), *self.program.children()]

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        return self.program.stop(seconds=15)


def frozen(processes: list[psutil.Process], seconds: float) -> int:
    """SIGSTOP them all, hold, SIGCONT; when they went on (ms)."""
    for process in processes:
        process.suspend()
    try:
        hold(seconds)
    finally:
        thawed = now_ms()
        for process in processes[::-1]:
            with contextlib.suppress(psutil.NoSuchProcess):  # given up and replaced meanwhile
                process.resume()
    return thawed
