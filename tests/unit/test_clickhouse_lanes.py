"""Who computes when, without an engine: so many at a time, and readers give way to a writer at work."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from stockwatch.engines import clickhouse_lanes
from stockwatch.engines.clickhouse_lanes import BUSY, Lane
from stockwatch.engines.clickhouse_request import BadRequestError


def test_so_many_compute_at_a_time_and_the_next_one_has_its_turn() -> None:
    async def work() -> None:
        lane = Lane("owner")
        began = [await lane.enter() for _ in range(BUSY)]
        waiting = asyncio.create_task(lane.enter())
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        lane.computed(began[0])  # it still streams to a slow client: that counts no more
        await asyncio.wait_for(waiting, 5)

    asyncio.run(work())


def test_no_turn_in_time_is_too_many_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse_lanes, "PATIENCE", 0.01)

    async def work() -> None:
        lane = Lane("reader")
        for _ in range(BUSY):
            await lane.enter()
        with pytest.raises(BadRequestError, match=r"Code: 202\."):
            await lane.enter()

    asyncio.run(work())


def test_readers_wait_for_the_writer_and_go_on_when_it_is_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse_lanes, "HARD", 0.0)
    monkeypatch.setattr(clickhouse_lanes, "GIVES_WAY", 3_600)
    monkeypatch.setattr(clickhouse_lanes, "CALM", 0.01)

    async def work() -> None:
        writer = Lane("owner")
        reader = Lane("reader", writer)
        reader._took = 600  # reads are long: the second has to wait for an hour, or for calm
        writing = await writer.enter()
        await asyncio.wait_for(reader.enter(), 5)
        second = asyncio.create_task(reader.enter())
        await asyncio.wait([second], timeout=0.05)
        assert not second.done()
        writer.computed(writing)
        writer.leave()
        await asyncio.wait_for(second, 5)
        await asyncio.wait_for(reader.enter(), 5)  # nobody writes: at once

    asyncio.run(work())


def test_a_reader_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clickhouse_lanes, "HARD", 0.0)
    monkeypatch.setattr(clickhouse_lanes, "GIVES_WAY", 0.02)

    async def work() -> None:
        writer = Lane("owner")
        reader = Lane("reader", writer)
        await writer.enter()
        for _ in range(5):  # the writer never rests
            reader.computed(await asyncio.wait_for(reader.enter(), 5))

    asyncio.run(work())


@pytest.mark.parametrize(("works", "waits"), [(0.2, False), (0.9, True)], ids=["ticks as they come", "a backlog"])
def test_only_a_writer_that_is_hard_at_work_gets_the_way(monkeypatch: pytest.MonkeyPatch, works: float, waits: bool) -> None:
    now = [1_000.0]
    monkeypatch.setattr(clickhouse_lanes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(clickhouse_lanes, "GIVES_WAY", 3_600)

    async def work() -> None:
        writer = Lane("owner")
        reader = Lane("reader", writer)
        for _ in range(100):  # five seconds of inserts, each within 50 ms
            began = await writer.enter()
            now[0] += 0.05 * works
            writer.computed(began)
            writer.leave()
            now[0] += 0.05 * (1 - works)
        assert writer.load() == pytest.approx(works, abs=0.05)
        await writer.enter()
        reader._took = 600
        await asyncio.wait_for(reader.enter(), 5)
        second = asyncio.create_task(reader.enter())
        await asyncio.wait([second], timeout=0.05)
        assert second.done() is not waits
        second.cancel()

    asyncio.run(work())
