"""kill -9 of the store again and again under 1,000 ticks/s, its folder kept: it opens at once, with everything it had acknowledged."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from flow import hold
from ledger import Book, Ledger
from program import ROOT, free_port

from stockwatch.component import StoreAddress
from stockwatch.errors import StoreError
from stockwatch.store import Store
from stockwatch.tick import Tick, now_ms

REOPEN_SECONDS = 2.0
ROWS, PAUSE_SECONDS = 200, 0.2  # 1,000 ticks a second, in inserts as the consumer makes them
LIVES_SECONDS = (0.2, 2.5)  # so long after it is open it is killed
SYMBOLS = ("KILL.0", "KILL.1", "KILL.2")
# The child's own clock, from the moment it opens the folder until the schema is there: its imports are no part of it.
SERVE = """
import sys, time
from pathlib import Path
from stockwatch.component import StoreAddress
from stockwatch.engines.embedded_clickhouse import EmbeddedClickHouse
from stockwatch.engines.external import StoreProbe
from stockwatch.health import HealthRegistry

folder, port = Path(sys.argv[1]), int(sys.argv[2])
address = StoreAddress(f"http://127.0.0.1:{port}", user="stockwatch", password_file=folder / "clickhouse.password")
engine = EmbeddedClickHouse(folder, port, HealthRegistry(["clickhouse"]).reporter("clickhouse"), StoreProbe(address, []))
began = time.monotonic()
engine.start()
engine.ready()
print(time.monotonic() - began, flush=True)
sys.stdin.read()
"""


FOUND = (
    "SELECT toJSONString([countDistinctIf(day_volume, day_volume < {acknowledged:UInt64}),"
    " countIf(day_volume < {acknowledged:UInt64}), count(), if(count() = 0, 0, max(day_volume) + 1),"
    " countIf(price != 1 + day_volume % 777 / 4 OR toUnixTimestamp64Milli(at) != {base:UInt64} + day_volume)])"
    " FROM stockwatch.ticks FINAL WHERE source = 'killed'"
)


class Life:
    """The store in a child on `folder`; opened: seconds that this life took to open it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder), str(port)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.opened = float(self.process.stdout.readline())

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(5)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def tick(base: int, number: int) -> Tick:
    """The tick of this number: every field follows from it."""
    return Tick(SYMBOLS[number % len(SYMBOLS)], base + number, 1 + number % 777 / 4, number, "killed")


def write(store: Store, base: int, first: int) -> int:
    """Insert numbered ticks at their pace until the store is gone; all numbers below what is returned were acknowledged."""
    number = first
    try:
        while True:
            began = time.monotonic()
            store.insert_ticks([(tick(base, one), 0, one) for one in range(number, number + ROWS)])
            number += ROWS
            hold(max(began + PAUSE_SECONDS - time.monotonic(), 0))
    except StoreError:
        return number


def check(store: Store, base: int, acknowledged: int) -> tuple[int, int]:
    """(distinct, seen) rows of the numbers below `acknowledged`. Fails unless all rows are as they were written, without a hole."""
    found = json.loads(store.command(FOUND, parameters={"acknowledged": acknowledged, "base": base}))
    below, seen, rows, most, wrong = (int(number) for number in found)
    assert wrong == 0, f"{wrong} rows are not what was written"
    assert rows == most, f"a hole: {rows} rows up to number {most}"
    assert most < acknowledged + ROWS + 1  # nothing that was never sent
    return below, seen


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_kill_9_of_the_store_again_and_again(tmp_path: Path, request: pytest.FixtureRequest, book: Book) -> None:
    kills, rng, port = request.config.getoption("--kills"), random.Random(5), free_port()
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    base, acknowledged, distinct, seen = now_ms(), 0, 0, 0
    opened: list[float] = []
    for kill in range(kills + 1):
        life = Life(folder, port)
        opened.append(life.opened)
        password = (folder / "clickhouse.password").read_text().strip()
        store = Store(StoreAddress(f"http://127.0.0.1:{port}", user="stockwatch", password=password))
        try:
            distinct, seen = check(store, base, acknowledged)
            assert distinct == acknowledged, f"kill {kill}: {acknowledged - distinct} acknowledged rows are gone"
            if kill < kills:
                killer = threading.Timer(rng.uniform(*LIVES_SECONDS), life.process.kill)
                killer.start()
                acknowledged = write(store, base, acknowledged)
                killer.join()
        finally:
            store.close()
            life.kill()
    again = opened[1:]
    note = f"{kills} kills; reopened in {min(again):.2f} / {statistics.median(again):.2f} / {max(again):.2f} s (min, median, max)"
    book(Ledger("0 kill loop of the store", "none", acknowledged, distinct, seen, max(again), note))
    assert max(again) <= REOPEN_SECONDS, note
