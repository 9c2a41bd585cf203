"""Ten million rows out at bounded memory, in each kind of format; slow clients hold the engine back, and hold nobody else up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from engine import Engine, running
from program import until

ROWS = 10_000_000
MOST = 150_000_000  # bytes of memory that the store's process may take more


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A store of its own, warmed up: what it takes once is not counted."""
    with running(tmp_path_factory.mktemp("memory")) as made:
        yield made


@pytest.fixture(scope="module")
def warm(http: httpx.Client) -> None:
    for form in ("Native", "JSON", "Parquet", "Arrow"):
        http.post("/", content=f"SELECT number, number / 3 FROM numbers(300000) FORMAT {form}")


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize("wait", ["0", "1"])
@pytest.mark.parametrize("form", ["Native", "RowBinary", "ArrowStream", "Arrow", "Parquet", "JSONCompact"])
def test_ten_million_rows_take_no_more_memory(http: httpx.Client, engine: Engine, form: str, wait: str) -> None:
    process = psutil.Process(engine.process.pid)
    before = most = process.memory_info().rss
    size = pieces = 0
    packed = ("Parquet", "Arrow", "ArrowStream")
    parameters = {"wait_end_of_query": wait, "max_threads": "2"}
    with http.stream(
        "POST", "/", params=parameters, content=f"SELECT number, number % 7 FROM numbers({ROWS}) FORMAT {form}"
    ) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
            pieces += 1
            if pieces % 20 == 0:
                most = max(most, process.memory_info().rss)
    assert answer.status_code == 200
    assert size > ROWS * (1 if form in packed else 8)
    assert most - before < MOST


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return ""


def test_slow_clients_hold_the_engine_back_and_nobody_else(engine: Engine, reader: httpx.Client, http: httpx.Client) -> None:
    process = psutil.Process(engine.process.pid)
    before = process.memory_info().rss
    waiting = []
    for _ in range(20):  # more than compute at a time
        stream = reader.stream("POST", "/", content="SELECT number, repeat('x', 100) FROM numbers(100000000) FORMAT TSV")
        pieces = stream.__enter__().iter_raw()
        next(pieces)
        waiting.append((stream, pieces))
    assert reader.post("/", content="SELECT 1", timeout=10).text == "1\n"
    assert http.post("/", content="SELECT 2", timeout=10).text == "2\n"
    running = http.post("/", content="SELECT count() FROM system.processes WHERE query LIKE '%numbers(100000000)%TSV'").text
    assert int(running) >= 20  # held back, not at their end
    assert process.memory_info().rss - before < 20 * 20_000_000
    for stream, _pieces in waiting:
        stream.__exit__(None, None, None)
    until(lambda: http.post("/", content="SELECT count() FROM system.processes").text == "1\n", 15, "all have ended")
    descriptors = Path(f"/proc/{process.pid}/fd")
    if descriptors.exists():  # the engine's threads keep three each for themselves: ours are those of pipes
        until(lambda: not [link for link in descriptors.iterdir() if "incoming" in _target(link)], 10, "no pipe is left open")
    assert not list((engine.folder / "incoming").iterdir())
