"""Hostile requests by the thousand at the gateway, health and the page: no crash, no hang, memory flat, right answers after."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from hostile_requests import Case, Target, requests
from program import Program, until

SEED = 20_261
PASSWORD = "word-of-mine"
AT_ONCE = 64
PATIENCE = 0.4  # after so much silence who sent half a request says that nothing more will come, and waits for the end
HANG_SECONDS = 30.0
MOST_BYTES = 2_000_000  # of an answer that are read
QUICK, FULL = 2_000, 50_000
GROWTH_MB = 50  # of both processes in all, in the second half: ticks are stored all the while


class Tally:
    """What became of the requests."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[str] = collections.Counter()
        self.hangs: list[bytes] = []
        self.surprises: list[bytes] = []
        self.unanswered: list[bytes] = []

    async def send(self, case: Case, *, slowly: bool) -> None:
        target, data = case.target, case.data
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", target.port), HANG_SECONDS)
        except (OSError, TimeoutError):
            self.statuses[f"{target.name} no connection"] += 1
            return
        try:
            answer = await asyncio.wait_for(self._talk(reader, writer, case, slowly=slowly), HANG_SECONDS + 5)
        except TimeoutError:
            self.hangs.append(data)
            return
        finally:
            writer.transport.abort()
        self.statuses[f"{target.name} {answer[9:12].decode('latin-1') if answer.startswith(b'HTTP/1.') else 'closed'}"] += 1
        if case.is_whole and not answer:
            self.unanswered.append(data)
        if answer.startswith(b"HTTP/1.1 500") and b"clickhouse-exception-code" not in answer[:2000].lower():
            self.surprises.append(data)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, case: Case, *, slowly: bool) -> bytes:
        answer, data = b"", case.data
        with contextlib.suppress(OSError):  # it closes on us: an answer too
            for part in [data[at : at + 400] for at in range(0, len(data), 400)] if slowly else [data]:
                writer.write(part)
                await writer.drain()
                if slowly:
                    with contextlib.suppress(TimeoutError):
                        answer += await asyncio.wait_for(reader.read(65536), 0.02)
            more = True
            for patience in (HANG_SECONDS,) if case.is_whole else (PATIENCE, HANG_SECONDS):
                with contextlib.suppress(TimeoutError):
                    while more and len(answer) < MOST_BYTES:
                        part = await asyncio.wait_for(reader.read(65536), patience)
                        answer, more = answer + part, bool(part)
                if not more or len(answer) >= MOST_BYTES:
                    break
                writer.write_eof()
        return answer


async def _all(tally: Tally, cases: Iterator[Case]) -> None:
    chance = random.Random(SEED)

    async def worker() -> None:
        for case in cases:  # one iterator for all of them
            await tally.send(case, slowly=chance.random() < 0.03 and len(case.data) < 4000)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


@pytest.fixture
def attacked(program: Program) -> Program:
    program.write(dashboard={"port": 0, "password": PASSWORD})
    program.start()
    return program


def let_in(page: str) -> str:
    """The cookie of one who knows the password."""
    answer = httpx.post(f"{page}/stockwatch/login", data={"password": PASSWORD}, timeout=20)
    assert answer.status_code == 303
    return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())


def megabytes(program: Program) -> float:
    assert program.process is not None
    family = [psutil.Process(program.process.pid), program.child("streamlit")]
    return sum(process.memory_info().rss for process in family) / 2**20


def descriptors(program: Program) -> int:
    assert program.process is not None
    return psutil.Process(program.process.pid).num_fds() + program.child("streamlit").num_fds()


@pytest.mark.timeout(420)
@pytest.mark.parametrize("count", [QUICK, pytest.param(FULL, marks=pytest.mark.full)])
def test_hostile_requests_change_nothing(attacked: Program, count: int) -> None:
    health = attacked.health()
    users = tuple(
        (user, (attacked.data_dir / f"clickhouse{kind}.password").read_text().strip()) for user, kind in (("reader", ".reader"),)
    )
    targets = [
        Target("gateway", int(health["clickhouse_url"].rsplit(":", 1)[1]), users),
        Target("health", attacked.health_port),
        Target("page", int(health["dashboard_url"].rsplit(":", 1)[1]), cookie=let_in(health["dashboard_url"])),
    ]
    open_before = descriptors(attacked)
    tally, began = Tally(), time.monotonic()
    cases = requests(SEED, targets, count)
    asyncio.run(_all(tally, iter([next(cases) for _ in range(count // 10)])))
    warm = megabytes(attacked)
    asyncio.run(_all(tally, iter([next(cases) for _ in range(count // 2)])))
    half = megabytes(attacked)
    asyncio.run(_all(tally, cases))
    seconds, after = time.monotonic() - began, megabytes(attacked)
    print(
        f"\n{count:,} hostile requests in {seconds:.0f} s ({count / seconds:.0f}/s), seed {SEED}; hangs {len(tally.hangs)}, unforeseen {len(tally.surprises)};"
    )
    print(f"memory of both processes {warm:.0f} → {half:.0f} → {after:.0f} MB; answers: {dict(sorted(tally.statuses.items()))}")
    assert tally.hangs == []
    assert tally.surprises == []
    assert tally.unanswered == []
    assert sum(tally.statuses.values()) == count
    assert not [name for name in tally.statuses if "no connection" in name]
    assert after - half < GROWTH_MB
    until(lambda: descriptors(attacked) < open_before + 60, 30, "descriptors are given back")
    calm = attacked.wait_until_healthy(20)
    assert [part["restarts"] for part in calm["components"]] == [0] * len(calm["components"])
    answer = httpx.post(f"{calm['clickhouse_url']}/", content="SELECT sum(number) FROM numbers(10)", auth=users[0], timeout=20)
    assert answer.text == "45\n"
    with httpx.Client(base_url=calm["dashboard_url"], timeout=20) as page:
        until(
            lambda: page.post("/stockwatch/login", data={"password": PASSWORD}).status_code == 303, 30, "let in after the storm"
        )
        assert page.get("/").status_code == 200
    client = attacked.store()
    newest = "SELECT max(toUnixTimestamp64Milli(at)) FROM ticks"
    seen = int(str(client.command(newest)))
    until(lambda: int(str(client.command(newest))) > seen, 20, "fresh rows")
    assert "Traceback" not in attacked.console()
