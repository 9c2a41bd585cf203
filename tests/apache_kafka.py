"""Apache Kafka 4 (KRaft, one node that is broker and controller) as a child on loopback, from Maven's jars.

Its log lives in its folder, so it can be stopped or killed and started again there, on the same port: a bounce.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Literal

from kafka import KafkaAdminClient
from maven import jars
from program import free_port, until
from tls import authority

from stockwatch.component import KafkaAddress, end, spawn
from stockwatch.engines.kafka_refusal import refusal

COORDINATES = ("org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36")  # docker-compose.yml's version
READY_SECONDS = 40.0  # 3 s on a machine that has nothing else to do
CLUSTER = "c3RvY2t3YXRjaC10ZXN0cw"  # any 16 bytes in base64
JAVA = ("java", "-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
MESSAGE_BYTES = 4 * 2**20  # the greatest message that it takes
# SASL's users. "guest" may log in and do nothing else; "owner" may do everything.
USER, PASSWORD, GUEST = "owner", "word-of-owner", "guest"
Security = Literal["PLAINTEXT", "SASL_PLAINTEXT", "SSL"]


class ApacheKafka:
    """One broker in `folder`. More lines for server.properties come as `more`, with _ for the dots."""

    def __init__(self, folder: Path, port: int | None = None, security: Security = "PLAINTEXT", **more: str | int) -> None:
        self.folder, self.security = folder, security
        self.port = port or free_port()
        self.ca_file: Path | None = None  # with SSL: what a client trusts
        self._controller = free_port()
        self._more = {name.replace("_", "."): value for name, value in more.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._classpath = os.pathsep.join(map(str, jars(*COORDINATES)))  # skips the test where there is no Java
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    @property
    def bootstrap(self) -> str:
        """host:port, as kafka.bootstrap_servers has it."""
        return f"127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The keys of [kafka] that lead to it."""
        made = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security}
        if self.security == "SASL_PLAINTEXT":
            made |= {"sasl_mechanism": "PLAIN", "sasl_username": USER, "sasl_password": PASSWORD}
        if self.ca_file:
            made |= {"ssl_cafile": str(self.ca_file)}
        return made

    @property
    def address(self) -> KafkaAddress:
        """How stockwatch's own parts talk to it."""
        names = {"sasl_username": "sasl_plain_username", "sasl_password": "sasl_plain_password"}
        security = {names.get(key, key): value for key, value in self.settings.items() if key != "bootstrap_servers"}
        return KafkaAddress((self.bootstrap,), security=security)

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, ready: float = READY_SECONDS) -> None:
        """Spawn it and wait until it answers. Its log is what the folder has."""
        self.spawn()
        self.wait_until_ready(ready)

    def spawn(self) -> None:
        """Spawn it without waiting. On the main thread: it dies with the thread that spawned it."""
        command = [*JAVA, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self._classpath]
        properties = str(self.folder / "server.properties")
        if not (self.folder / "log" / "meta.properties").exists():
            tool = [*command, "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config", properties]
            done = subprocess.run(tool, capture_output=True, text=True, timeout=READY_SECONDS, check=False)
            assert done.returncode == 0, done.stdout[-500:] + done.stderr[-500:]
        self._process = spawn([*command, "kafka.Kafka", properties], self.folder / "console.txt")

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until it answers a client."""
        until(self._answers, seconds, f"Apache Kafka answers; it said {self.console()[-1500:]}")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"Apache Kafka ended: {self.console()[-1500:]}"
        if refusal(self.address) is not None:  # kafka-python's clients leave sockets behind when they fail
            return False
        admin = KafkaAdminClient(**self.address.client_options(), bootstrap_timeout_ms=10_000, request_timeout_ms=5_000)
        try:
            return bool(admin.describe_cluster()["brokers"])
        finally:
            admin.close()

    def stop(self, seconds: float = 15.0) -> None:
        """SIGTERM (a controlled shutdown), then SIGKILL. Safe to repeat, and on one that is frozen."""
        if self._process is not None:
            self.thaw()
            end(self._process, seconds)

    def kill(self) -> None:
        """kill -9; the log stays in the folder."""
        if self._process is not None:
            end(self._process, 5.0, signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: its port stays open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT; nothing for one that runs or is gone."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)

    def console(self) -> str:
        """What it said: its warnings."""
        file = self.folder / "console.txt"
        return file.read_text(errors="replace") if file.exists() else ""

    def _write(self) -> None:
        """server.properties: one node, all replicas on it, groups join at once."""
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        lines: dict[str, str | int] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller}",
            "listeners": f"BROKER://{self.bootstrap},CONTROLLER://127.0.0.1:{self._controller}",
            "advertised.listeners": f"BROKER://{self.bootstrap}",
            "listener.security.protocol.map": f"BROKER:{self.security},CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKER",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "log"),
            "auto.create.topics.enable": "false",  # as production has it: nothing is made by a misspelt name
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3_000,  # so long a killed one keeps its next life out
            "message.max.bytes": MESSAGE_BYTES,
        }
        if self.security == "SASL_PLAINTEXT":
            lines |= {
                "sasl.enabled.mechanisms": "PLAIN",
                "sasl.mechanism.inter.broker.protocol": "PLAIN",
                "listener.name.broker.plain.sasl.jaas.config": (
                    f'{plain} username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}" user_{GUEST}="{PASSWORD}";'
                ),
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": f"User:{USER};User:ANONYMOUS",  # the controller's own listener knows no users
            }
        if self.security == "SSL":
            self.ca_file, keys = authority(self.folder)
            lines |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(keys),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.ca_file),
            }
        text = "".join(f"{key}={value}\n" for key, value in {**lines, **self._more}.items())
        (self.folder / "server.properties").write_text(text)
