"""A room full of viewers: a slow one holds up nobody, and those who are gone leave nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from open_tabs import LIVE, Tab, Wire, parts
from program import Program, until

ABANDONED, HALF_OPEN, BEFORE = 300, 20, 100
AT_ONCE = 8
SPARE_FILES, SPARE_THREADS, SPARE_MB = 8, 8, 25.0  # a pool may have grown, a heap may have holes
SMALL_WINDOW = 4096


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    program = Program(tmp_path_factory.mktemp("viewers"))
    program.write(
        market={"source": "simulator", "tickers": ["RELIANCE.NS", "AAPL"], "ticks_per_second": 5},
        dashboard={"port": 0, "live_refresh_seconds": 0.2},
    )
    program.start()
    yield program
    program.kill()


@pytest.fixture
def url(running: Program) -> str:
    found: str = running.health()["dashboard_url"]
    return found


@pytest.mark.timeout(180)
def test_a_page_that_never_reads_holds_up_no_other(url: str) -> None:
    line = parts("AAPL")[2]
    deaf = Wire(url, LIVE, window=SMALL_WINDOW)
    deaf.send(json.dumps({"watch": [*parts("AAPL"), '["pair","AAPL",1,1000,"average,vwap"]']}).encode())
    tab = Tab(url, "AAPL")
    until(lambda: tab.take() == line, 60, "the line")
    for _ in range(500):  # and it asks for the whole again and again: far more than fits into its window
        deaf.send(json.dumps({"again": line}).encode())
    seen = []
    while seen.count(line) < 20:  # each take has its deadline
        seen.append(tab.take())
    assert tab.lost_places == 0
    tab.abandon()
    deaf.abandon()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_300_abandoned_tabs_leave_nothing_behind(running: Program, url: str) -> None:
    process = running.child("streamlit")
    port = int(url.rstrip("/").rsplit(":", 1)[1])

    def visit(number: int) -> None:
        tab = Tab(url, ("RELIANCE.NS", "AAPL")[number % 2])
        tab.until_run()
        while len(tab.states) < 3:
            tab.take()
        tab.abandon()

    def visits(count: int) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(visit, range(count)))

    def connections() -> int:
        found = process.net_connections("tcp")
        return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found if one.laddr)

    def calm(what: str) -> None:
        until(lambda: connections() == 0, 200, what)  # a ping that is not answered ends a half-open one
        visit(0)  # Streamlit keeps a session for a while, and drops it when another one ends
        until(lambda: connections() == 0, 60, what)

    visits(BEFORE)  # what a process takes once and for all: pools, caches, its heap
    calm("the first are gone")
    files, threads, memory = process.num_fds(), process.num_threads(), process.memory_info().rss
    half = [Wire(url, LIVE, window=SMALL_WINDOW) for _ in range(HALF_OPEN)]
    for wire in half:
        wire.send(json.dumps({"watch": parts("AAPL")}).encode())
    visits(ABANDONED)
    calm("no connection is left, the half-open ones too")
    until(lambda: process.num_fds() <= files + SPARE_FILES, 60, "descriptors are given back")
    until(lambda: process.num_threads() <= threads + SPARE_THREADS, 60, "threads have ended")
    assert (process.memory_info().rss - memory) / 2**20 < SPARE_MB
    for wire in half:
        wire.abandon()
