"""The real program on an Apache Kafka that wants a password or TLS; and what it says, in one line, when it is not let in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_kafka import GUEST, PASSWORD, ApacheKafka
from kafka import KafkaAdminClient
from program import Program, until

from stockwatch.component import KafkaAddress
from stockwatch.engines.kafka_refusal import refusal

pytestmark = pytest.mark.timeout(200)  # the first time, Maven fetches 43 MB; each wait here has a shorter end of its own
WRONG = "wrong-word-of-mine"
SECRETS = (PASSWORD, WRONG)


@pytest.fixture(scope="module")
def sasl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    yield from _running(ApacheKafka(tmp_path_factory.mktemp("sasl"), security="SASL_PLAINTEXT"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    yield from _running(ApacheKafka(tmp_path_factory.mktemp("tls"), security="SSL"))


def _running(made: ApacheKafka) -> Iterator[ApacheKafka]:
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _flows(program: Program, broker: ApacheKafka, **more: Any) -> None:
    """It gets healthy, rows arrive, it ends in order, and no secret is anywhere."""
    program.write(kafka={**broker.settings, **more})
    program.start()
    client = program.store()
    until(lambda: int(str(client.command("SELECT count() FROM ticks"))) > 20, 20, "rows arrive")
    assert program.component("kafka")["detail"] == f"Kafka at {broker.bootstrap}"
    assert program.health()["kafka"] == broker.bootstrap
    said = [program.run(*words).stdout for words in (["status"], ["status", "--json"])]
    assert all(broker.bootstrap in text for text in said)
    assert program.stop() == 0
    _no_secret(program, *said)


def _no_secret(program: Program, *said: str) -> None:
    files = [path for path in program.folder.rglob("*") if path.is_file() and path != program.settings]
    texts = [*said, *(path.read_text(errors="replace") for path in files if path.suffix in (".txt", ".log", ".json", ""))]
    assert not [text for text in texts for secret in SECRETS if secret in text]


def _refused(program: Program, *arguments: str, **kafka: Any) -> str:
    """The one line with which it ends, within 10 s, with exit code 1."""
    program.write(kafka=kafka)
    ended = program.run("--no-browser", *arguments, timeout=40)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("stockwatch: Kafka at "), ended.stderr
    _no_secret(program, ended.stdout, ended.stderr)
    return ended.stderr


def test_the_program_runs_on_a_kafka_with_passwords(program: Program, sasl: ApacheKafka) -> None:
    _flows(program, sasl)


def test_the_program_runs_on_a_kafka_with_tls(program: Program, tls: ApacheKafka) -> None:
    _flows(program, tls)


@pytest.mark.parametrize(
    ("only", "changed", "said"),
    [
        ([], {"sasl_password": WRONG}, "refuses user 'owner' or the password: see kafka.sasl_username and kafka.sasl_password"),
        (["--only", "producer"], {"sasl_password": WRONG}, "refuses user 'owner' or the password"),
        ([], {"sasl_username": GUEST}, "topic stock-prices is missing or hidden from us, and cannot be made: TopicAuthorization"),
    ],
    ids=["password", "a part alone", "rights"],
)
def test_the_program_ends_with_one_line_when_it_is_not_let_in(
    program: Program, sasl: ApacheKafka, only: list[str], changed: dict[str, str], said: str
) -> None:
    began = time.monotonic()
    assert said in _refused(program, *only, **{**sasl.settings, **changed})
    print(f"refused after {time.monotonic() - began:.1f} s")  # 10 s are allowed; a busy machine takes what it takes


def test_the_program_ends_with_one_line_when_the_authority_is_not_known(program: Program, tls: ApacheKafka) -> None:
    assert "its certificate is not trusted" in _refused(program, bootstrap_servers=tls.bootstrap, security_protocol="SSL")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"sasl_plain_password": WRONG}, "it refuses user 'owner' or the password"),
        ({"sasl_plain_username": "nobody"}, "it refuses user 'nobody' or the password"),
        ({"sasl_mechanism": "SCRAM-SHA-256"}, "it does not take kafka.sasl_mechanism SCRAM-SHA-256, but PLAIN"),
        ({"security_protocol": "PLAINTEXT"}, "it wants another kafka.security_protocol than PLAINTEXT"),
        ({"security_protocol": "SASL_SSL"}, "does not speak TLS"),
    ],
)
def test_why_a_kafka_with_passwords_does_not_let_us_in(sasl: ApacheKafka, changed: dict[str, str], said: str | None) -> None:
    _says(sasl, changed, said)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"security_protocol": "PLAINTEXT"}, "speaks TLS: see kafka.security_protocol (PLAINTEXT)"),
        ({"ssl_cafile": None}, "its certificate is not trusted (unable to get local issuer certificate): see kafka.ssl_cafile"),
        ({"bootstrap_servers": "127.0.0.1:1"}, "nothing listens on 127.0.0.1:1"),
        ({"bootstrap_servers": "no.such.host.invalid:9092"}, "the name no.such.host.invalid is not known"),
    ],
)
def test_why_a_kafka_with_tls_does_not_let_us_in(tls: ApacheKafka, changed: dict[str, str], said: str | None) -> None:
    _says(tls, changed, said)


def test_a_kafka_that_is_frozen_is_not_waited_for(sasl: ApacheKafka) -> None:
    sasl.freeze()
    try:
        _says(sasl, {}, "does not answer within 2 s")
    finally:
        sasl.thaw()


def _says(broker: ApacheKafka, changed: dict[str, str], said: str | None) -> None:
    servers = (changed.get("bootstrap_servers", broker.bootstrap),)
    security = {**broker.address.security, **{key: value for key, value in changed.items() if key != "bootstrap_servers"}}
    refused = refusal(KafkaAddress(servers, security=security))
    if said is None:
        assert refused is None
    else:
        assert refused is not None
        assert said in refused.reason
        assert not any(secret in refused.reason for secret in SECRETS)


def test_topics_that_another_made_are_taken_as_they_are(program: Program, sasl: ApacheKafka, tmp_path: Path) -> None:
    admin = KafkaAdminClient(**sasl.address.client_options(), bootstrap_timeout_ms=5_000)
    try:
        admin.create_topics({"others": {"num_partitions": 5}, "others.bars": {"num_partitions": 1}})
    finally:
        admin.close()
    program.write(kafka={**sasl.settings, "topic": "others"})
    program.start()
    assert "kafka.partitions is 3, but others has 5, others.bars has 1" in program.component("kafka")["detail"]
    client = program.store()
    until(lambda: int(str(client.command("SELECT count() FROM ticks"))) > 20, 20, "rows arrive")
    until(lambda: program.component("kafka")["metrics"]["messages_per_second"] > 0, 10, "what passes is counted")
    assert program.stop() == 0
