"""What only Apache Kafka can show: the cluster's own rules for new topics, and a log that outlives the broker's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_kafka import ApacheKafka
from kafka import KafkaAdminClient
from program import Program, until

from stockwatch.engines.external import KafkaProbe
from stockwatch.errors import BrokerError

pytestmark = pytest.mark.timeout(200)  # the first time, Maven fetches 43 MB; each wait here has a shorter end of its own
GAPS = (
    "SELECT countIf(step > 100) FROM (SELECT toUnixTimestamp64Milli(at) - lagInFrame(toUnixTimestamp64Milli(at), 1,"
    " toUnixTimestamp64Milli(at)) OVER (PARTITION BY symbol ORDER BY at) AS step FROM ticks FINAL)"
)
TWICE = "SELECT count() - uniqExact(source, symbol, at, day_volume, price) FROM ticks FINAL"
NEWEST = "SELECT max(toUnixTimestamp64Milli(at)) FROM ticks"


@pytest.fixture
def apache(tmp_path: Path) -> Iterator[ApacheKafka]:
    made = ApacheKafka(tmp_path / "kafka")
    yield made
    made.stop()


def test_new_topics_follow_the_cluster_s_own_number_of_replicas(tmp_path: Path) -> None:
    """Two of two brokers: on this one alone that cannot be had, and the broker's words for it reach the user in one line."""
    cluster = ApacheKafka(tmp_path / "kafka", default_replication_factor=2)
    probe = KafkaProbe(cluster.address, "prices", 3)
    try:
        cluster.start()
        with pytest.raises(
            BrokerError, match=r"topic prices is missing .* InvalidReplicationFactorError .*replication factor of 2"
        ) as said:
            probe.make_topics()
        assert "\n" not in str(said.value)
        admin = KafkaAdminClient(**cluster.address.client_options(), bootstrap_timeout_ms=5_000)
        names = ("prices", "prices.bars", "prices.dead-letter")
        admin.create_topics({name: {"num_partitions": 2, "replication_factor": 1} for name in names})  # by who may decide it
        admin.close()
        until(lambda: _makes(probe), 10, "they are taken as they are")
        assert probe.note.startswith("kafka.partitions is 3, but prices has 2")
        assert probe.messages_per_second() == 0.0
    finally:
        probe.close()
        cluster.stop()


def _makes(probe: KafkaProbe) -> bool:
    try:
        probe.make_topics()
    except BrokerError:
        return False
    return True


def test_a_topic_that_is_deleted_under_it_is_told_and_not_a_surprise(apache: ApacheKafka) -> None:
    apache.start()
    probe = KafkaProbe(apache.address, "prices", 3)
    until(lambda: _makes(probe), 10, "topics are made")
    assert probe.messages_per_second() == 0.0
    admin = KafkaAdminClient(**apache.address.client_options(), bootstrap_timeout_ms=5_000)
    admin.delete_topics(["prices.bars"])
    admin.close()

    def told() -> bool:
        try:
            probe.messages_per_second()
        except BrokerError:
            return True
        return False

    until(told, 20, "a topic that is gone")
    probe.close()


def test_the_broker_is_bounced_under_the_program_and_nothing_is_lost(program: Program, apache: ApacheKafka) -> None:
    apache.start()
    program.write(market={"tickers": ["RELIANCE.NS", "AAPL"], "ticks_per_second": 20}, kafka=apache.settings)
    program.start()
    client = program.store()
    until(lambda: int(str(client.command("SELECT count() FROM ticks"))) > 100, 20, "ticks flow")
    lives = {part["name"]: part["restarts"] for part in program.health()["components"]}
    apache.stop()
    until(lambda: program.component("kafka")["state"] == "degraded", 15, "its absence is told")
    apache.start()
    back = int(str(client.command(NEWEST)))
    program.wait_until_healthy(30)
    until(lambda: int(str(client.command(NEWEST))) > back, 15, "fresh rows again")
    until(lambda: int(str(client.command(GAPS))) == 0, 20, "no gap in the simulator's grid")
    assert int(str(client.command(TWICE))) == 0
    assert program.component("kafka")["restarts"] == lives["kafka"]  # its clients come back by themselves
    assert program.stop() == 0
