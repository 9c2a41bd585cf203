"""An engine's address behind which nobody answers, or somebody else: said within its time, in plain words."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, TopicAuthorizationFailedError

from stockwatch.component import Component, KafkaAddress, StoreAddress
from stockwatch.consumer.member import Member
from stockwatch.engines import external
from stockwatch.engines.external import ExternalClickHouse, ExternalKafka, KafkaProbe, prepare_unwatched
from stockwatch.errors import BrokerError, UnavailableError
from stockwatch.health import HealthRegistry
from stockwatch.supervisor import Supervisor
from stockwatch.supervisor.events import Failed

WITHIN_SECONDS = 7.5  # of the 10 that DESIGN.md gives; the rest is the program's own start


class Listener:
    """Accepts every connection; says nothing, or zeros to whatever it is asked."""

    def __init__(self, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.where = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._answer, self._held = answer, list[socket.socket]()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self._held.append(connection)
                if self._answer:
                    threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                connection.sendall(self._answer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._held):
            one.close()


@pytest.fixture
def silent() -> Iterator[Listener]:
    made = Listener(b"")
    yield made
    made.close()


@pytest.fixture
def zeros() -> Iterator[Listener]:
    made = Listener(bytes(4096))
    yield made
    made.close()


def failure(component: Component, told: dict[str, tuple[str, float]], name: str) -> None:
    """What the supervisor is told of its first start, and after how long."""
    made = Supervisor([], HealthRegistry([]))
    made._lives[component.name] = component
    began = time.monotonic()
    component.start()
    made._await_ready(component.name, 1, component)
    event = made._events.get(timeout=0)
    component.stop()
    assert isinstance(event, Failed)
    told[name] = event.reason, time.monotonic() - began


def test_an_engine_that_accepts_and_never_answers_is_given_up_in_time(silent: Listener) -> None:
    reporter = HealthRegistry(["kafka", "clickhouse"]).reporter

    def kafka(servers: int, **security: str) -> Component:
        return ExternalKafka(KafkaAddress((silent.where,) * servers, security=security), "prices", 3, reporter("kafka"))

    components: dict[str, Component] = {
        "kafka": kafka(1),
        "kafka of three": kafka(3),
        "kafka over TLS": kafka(1, security_protocol="SSL"),
        "clickhouse": ExternalClickHouse(StoreAddress(f"http://{silent.where}"), [], reporter("clickhouse")),
    }
    told: dict[str, tuple[str, float]] = {}
    threads = [threading.Thread(target=failure, args=(part, told, name), daemon=True) for name, part in components.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(told) == set(components)
    for name, (reason, seconds) in told.items():
        assert seconds < WITHIN_SECONDS, (name, seconds)
        assert silent.where in reason
        assert "\n" not in reason


def test_what_answers_and_is_no_kafka_is_named_as_that(zeros: Listener) -> None:
    with pytest.raises(BrokerError, match=f"{zeros.where} does not speak Kafka's protocol"):
        KafkaProbe(KafkaAddress((zeros.where,)), "prices", 3).make_topics()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KafkaTimeoutError("Failed to get offsets by timestamps in 2000 ms"), "Kafka at h:9092 does not answer"),
        (KafkaTimeoutError(), "Kafka at h:9092 does not answer"),
        (ConnectionResetError(104, "reset"), "Kafka at h:9092 does not answer"),
        (TopicAuthorizationFailedError(), "Kafka at h:9092 does not answer as it should: TopicAuthorizationFailedError"),
    ],
)
def test_a_client_s_error_is_told_in_plain_words(error: Exception, said: str) -> None:
    assert KafkaAddress(("h:9092",)).trouble(error).startswith(said)
    assert (KafkaAddress(("h:9092",)).trouble(error) == said) == (not isinstance(error, TopicAuthorizationFailedError))


def test_a_beat_and_a_member_say_who_does_not_answer(silent: Listener) -> None:
    class Frozen:
        def partitions_for_topic(self, _name: str) -> set[int]:
            raise KafkaTimeoutError("Failed to get offsets by timestamps in 2000 ms")

    probe = KafkaProbe(KafkaAddress((silent.where,)), "prices", 3)
    probe._client = Frozen()
    said = f"Kafka at {silent.where} does not answer"
    for asks in (probe.messages_per_second, lambda: Member(KafkaAddress((silent.where,)), ["prices"], "group", lambda: None)):
        with pytest.raises(BrokerError) as caught:
            asks()
        assert isinstance(caught.value.__cause__, KafkaError | OSError)
        assert str(caught.value) == said


def test_an_engine_that_is_not_watched_is_tried_again_with_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def refused(seconds: float) -> None:
        tries.append(seconds)
        raise BrokerError("nothing listens there")

    def later(_seconds: float) -> None:
        if len(tries) < 3:
            refused(_seconds)

    prepare_unwatched([later])
    assert len(tries) == 3
    tries.clear()
    monkeypatch.setattr(external, "READY_SECONDS", 1.0)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="nothing listens there"):
        prepare_unwatched([refused])
    assert time.monotonic() - began < 1.5
    assert 2 <= len(tries) <= 6
    assert max(tries) <= 1.0
