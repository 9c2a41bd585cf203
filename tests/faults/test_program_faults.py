"""The whole program killed, ended in mid-batch, put to sleep; and a second consumer that comes and goes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from apache_kafka import ApacheKafka
from engine import Engine, running
from feed import Feed
from flow import PARTS, SYMBOLS, Flow, frozen
from ledger import Book, Ledger
from program import Program, until

from stockwatch.tick import now_ms

pytestmark = pytest.mark.timeout(180)
EXCEPTION_MS = 1_000  # the README's: what the embedded broker can lose when everything is killed
PRODUCED_MS = 100  # so old are the simulator's ticks at most when it hands them over
ASLEEP_SECONDS = 50  # longer than every session timeout, request deadline and beat deadline of both sides (45 s at most)
RECORDED, SPEED, PLAYED_SECONDS = 60_000, 10, 24


@pytest.mark.full
@pytest.mark.parametrize("flow", ["embedded"], indirect=True)
def test_kill_9_of_everything_with_the_embedded_broker(flow: Flow, book: Book) -> None:
    """Its log dies with it. What it had taken more than a second before and what was stored must be there; the rest is told."""
    flow.start()
    with Feed(flow.program.health()["kafka"], "stock-prices") as feed:
        feed.fresh(flow)
        began = feed.next
        feed.readable(flow, began + 5_000)
        killed = now_ms()
        flow.die()
    again = now_ms()
    flow.start()
    recovery = (now_ms() - again) / 1000
    stored = {int(row[0]) for row in flow.sql("SELECT day_volume FROM {}.ticks FINAL WHERE source = 'feed'")}
    gone = [at for number, at in feed.acknowledged.items() if number not in stored]
    oldest = max((killed - at for at in gone), default=0)
    note = f"in the stated exception: {len(gone)} ticks of the last {oldest} ms; the start included"
    book(feed.ledger(flow, "3 kill -9 of everything", recovery, note, before=killed - EXCEPTION_MS))


@pytest.mark.full
@pytest.mark.parametrize("flow", ["apache"], indirect=True)
def test_kill_9_of_everything_with_apache_kafka(flow: Flow, book: Book, apache: ApacheKafka) -> None:
    flow.start()
    with Feed(apache.bootstrap, flow.topic) as feed:
        feed.fresh(flow)
        feed.readable(flow, feed.next + 3_000)
        flow.die()
        again = now_ms()
        flow.start(flowing=False)
        feed.readable(flow, feed.next)
        recovery = (now_ms() - again) / 1000
    book(feed.ledger(flow, "3 kill -9 of everything", recovery, "the start included"))


@pytest.mark.full
@pytest.mark.parametrize("flow", ["embedded", "apache"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_recording_goes_on_where_it_was_cut_off(flow: Flow, book: Book, number: signal.Signals) -> None:
    """All its rows are there in the end, though the program was ended twice in the middle of it."""
    step = PLAYED_SECONDS * 1_000 * SPEED / RECORDED  # ms of the recording between two rows
    times = [1_764_000_000_000 + round(n * step) for n in range(RECORDED)]
    rows = [{"at": at, "symbol": f"R{n % 5}", "price": 100 + n % 9, "day_volume": n} for n, at in enumerate(times)]
    lines = map(json.dumps, rows)
    (flow.program.folder / "morning.jsonl").write_text("\n".join(lines))
    market = {"source": "replay", "replay_file": "morning.jsonl", "replay_speed": SPEED}
    flow.write(market=market)
    seen = "SELECT count() FROM {}.ticks FINAL WHERE source = 'replay:morning'"
    for share in (0.2, 0.5):
        flow.start(flowing=False)
        until(lambda at=share: flow.number(seen) > at * RECORDED, 60, f"{share:.0%} of it")
        if number == signal.SIGKILL:
            flow.die()
        else:
            assert flow.program.stop(number) == 0
    flow.start(flowing=False)
    until(lambda: flow.program.component("producer")["metrics"].get("ended"), 60, "it is played")
    until(lambda: flow.program.component("producer")["metrics"]["outbox"] == 0, 20, "it is stored")
    distinct = "SELECT uniqExact(day_volume) FROM {}.ticks FINAL WHERE source = 'replay:morning'"
    until(lambda: flow.number(distinct) >= RECORDED, 20, "all of it")
    fault = f"{3 if number == signal.SIGKILL else 11} {number.name} twice in a recording"
    book(Ledger(fault, flow.broker, RECORDED, flow.number(distinct), flow.number(seen)))


def test_sigterm_in_mid_batch(flow: Flow, book: Book) -> None:
    """What was produced before the signal is stored when the program has ended; it says 0 and is quick.

    With the embedded broker it is looked at without a producer, which would give the minute's ticks once more.
    """
    flow.start()
    asked = now_ms()
    assert flow.program.stop(signal.SIGTERM, seconds=5) == 0
    flow.start("clickhouse" if flow.broker == "embedded" else "clickhouse,consumer", flowing=False)
    book(flow.ledger("11 SIGTERM in mid-batch", upto=asked - PRODUCED_MS))


@pytest.mark.full
def test_the_machine_asleep(flow: Flow, book: Book, request: pytest.FixtureRequest) -> None:
    """10 minutes are like these: every deadline has passed on both sides."""
    flow.start()
    others = [psutil.Process(request.getfixturevalue("apache").pid)] if flow.broker == "apache" else []
    woke = frozen([*flow.everybody(), *others], ASLEEP_SECONDS)
    book(flow.ledger(f"15 asleep {ASLEEP_SECONDS} s", flow.fresh(woke)))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A store that several programs share."""
    with running(tmp_path / "store") as made:
        yield made


@pytest.mark.full
def test_a_second_consumer_joins_and_leaves_twice(
    program: Program, apache: ApacheKafka, engine: Engine, tmp_path: Path, book: Book
) -> None:
    flow = Flow(program, "apache", engine=engine)
    second = Program(tmp_path / "second")
    url = f"http://stockwatch:{engine.password()}@127.0.0.1:{engine.port}"
    sections = {"kafka": {**apache.settings, "topic": flow.topic}, "clickhouse": {"url": url}}
    flow.write(**sections)
    second.write(market={"source": "simulator", "tickers": SYMBOLS}, **sections)
    try:
        flow.start(PARTS)
        slowest = 0.0
        for leave in (signal.SIGTERM, signal.SIGKILL):
            joined = now_ms()
            second.start("--only", "consumer")
            until(lambda: second.component("consumer")["metrics"].get("rows", 0) > 500, 30, "it has its share")
            slowest = max(slowest, flow.fresh(joined + 1) if flow.newest() < joined else 0.0)
            left = now_ms()
            second.stop(leave, seconds=10)
            slowest = max(slowest, flow.fresh(left))
    finally:
        second.kill()
    book(flow.ledger("12 a second consumer comes and goes", slowest, "twice: by SIGTERM, then by SIGKILL"))
