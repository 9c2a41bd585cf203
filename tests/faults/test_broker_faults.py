"""The broker killed, frozen, bounced, renewed by plan: nothing lost, nothing twice, and it flows again soon."""

from __future__ import annotations

import psutil
import pytest
from apache_kafka import ApacheKafka
from flow import Flow, frozen, hold, up
from ledger import Book
from program import until

from stockwatch.tick import now_ms

FREEZE_SECONDS = 10


def test_the_broker_killed(flow: Flow, book: Book, request: pytest.FixtureRequest) -> None:
    flow.start()
    if flow.broker == "embedded":
        gone = now_ms()
        flow.program.child("tansu").kill()
        until(lambda: flow.program.component("kafka").get("restarts", 0) >= 1, 15, "a new life")
    else:
        apache: ApacheKafka = request.getfixturevalue("apache")
        apache.kill()
        until(lambda: flow.error_of("kafka"), 20, "it is felt")
        up(apache)
        gone = now_ms()
    recovery = flow.fresh(gone)
    book(flow.ledger("1 kill -9 of the broker", recovery))


@pytest.mark.full
@pytest.mark.timeout(120)
def test_the_broker_frozen(flow: Flow, book: Book, request: pytest.FixtureRequest) -> None:
    flow.start()
    embedded = flow.broker == "embedded"
    broker = flow.program.child("tansu") if embedded else psutil.Process(request.getfixturevalue("apache").pid)
    stands = now_ms()
    thawed = frozen([broker], FREEZE_SECONDS)
    recovery = flow.fresh(thawed)
    longest = "SELECT max(toUnixTimestamp64Milli(ingested_at)) FROM {}.ticks WHERE ingested_at < fromUnixTimestamp64Milli(toInt64(%(thawed)s))"
    assert flow.number(longest, {"thawed": thawed}) < stands + 5_000  # it was felt
    book(flow.ledger(f"2 broker frozen {FREEZE_SECONDS} s", recovery))


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("flow", ["apache"], indirect=True)
def test_apache_kafka_bounced(flow: Flow, book: Book, apache: ApacheKafka) -> None:
    flow.start()
    apache.stop()
    until(lambda: flow.error_of("kafka"), 20, "it is felt")
    hold(3)
    up(apache)
    back = now_ms()
    book(flow.ledger("13 Apache Kafka bounced", flow.fresh(back)))


@pytest.mark.full
@pytest.mark.timeout(180)
@pytest.mark.parametrize("flow", ["embedded"], indirect=True)
def test_planned_renewals_under_load(flow: Flow, book: Book) -> None:
    flow.write(rate=1_000, kafka={"embedded_memory_mb": 48})
    flow.start()

    def renewed() -> int:
        return int(flow.program.component("kafka").get("metrics", {}).get("renewals", 0))

    pauses = []
    for number in (1, 2):
        until(lambda at_least=number: renewed() >= at_least, 60, f"renewal {number}")
        pauses.append(float(flow.program.component("kafka")["metrics"]["renewal_seconds"]))
    recovery = flow.fresh(now_ms())
    note = f"{renewed()} renewals at 2,000 ticks/s, pauses {', '.join(f'{pause:.1f}' for pause in pauses)} s"
    book(flow.ledger("14 planned renewal", max(recovery, *pauses), note))
