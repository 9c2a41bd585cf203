"""docker-compose.yml as text: no Docker engine is needed, and none was there when it was written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from stockwatch.engines.compose import compose_up
from stockwatch.errors import UnavailableError
from stockwatch.settings import load

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
# What each image's documentation names. Kafka's images turn KAFKA_X_Y into the broker's setting x.y.
KAFKA = {
    "process.roles", "controller.quorum.voters", "listeners", "advertised.listeners", "listener.security.protocol.map",
    "inter.broker.listener.name", "controller.listener.names", "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor", "transaction.state.log.min.isr",
    "share.coordinator.state.topic.replication.factor", "share.coordinator.state.topic.min.isr",
    "group.initial.rebalance.delay.ms", "log.dirs", "node.id",
}  # fmt: skip
DOCUMENTED = {
    "kafka": KAFKA,
    "kafka-zookeeper": KAFKA - {"process.roles", "controller.quorum.voters", "controller.listener.names", "node.id"}
    | {"broker.id", "zookeeper.connect"},
    "clickhouse": {"CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_DB", "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT"},
    "zookeeper": {"ZOOKEEPER_CLIENT_PORT", "ZOOKEEPER_TICK_TIME"},
    "redis": set(),
}
# Where each image keeps its data; another folder would be lost with the container.
DATA = {
    "kafka": ["/var/lib/kafka/data"],
    "kafka-zookeeper": ["/var/lib/kafka/data"],
    "clickhouse": ["/var/lib/clickhouse"],
    "zookeeper": ["/var/lib/zookeeper/data", "/var/lib/zookeeper/log"],
    "redis": ["/data"],
}


def test_it_is_what_the_compose_specification_says() -> None:
    read = compose_spec.PyCompose.from_yaml((ROOT / "docker-compose.yml").read_text())
    read.validate()
    assert set(read.service_names()) == set(SERVICES)
    with pytest.raises(ValueError, match="healtcheck"):  # it does look
        compose_spec.PyCompose.from_yaml("services: {a: {image: x, healtcheck: {}}}")


@pytest.mark.parametrize("profiles", [[], ["redis"], ["zookeeper"], ["redis", "zookeeper"]])
def test_docker_compose_itself_takes_it(profiles: list[str], tmp_path: Path) -> None:
    """No engine is needed for that, only the command."""
    docker = shutil.which("docker")
    compose = [docker, "compose"] if docker else []
    if not compose or run([*compose, "version"]).returncode:
        compose = [shutil.which("docker-compose") or ""]
    if not compose[0] or "version 1" in run([*compose, "version"]).stdout:  # the one in Python is past its end
        pytest.skip("no docker compose here")
    flags = [part for profile in profiles for part in ("--profile", profile)]
    done = run([*compose, "-f", str(ROOT / "docker-compose.yml"), *flags, "config", "--services"])
    assert (done.returncode, done.stderr) == (0, "")
    wanted = {name for name, service in SERVICES.items() if set(service.get("profiles", profiles)) <= set(profiles)}
    assert set(done.stdout.split()) == wanted


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_one_that_the_image_documents(name: str) -> None:
    given = set(SERVICES[name].get("environment", {}))
    if "kafka" in name:
        given = {variable.removeprefix("KAFKA_").lower().replace("_", ".") for variable in given}
    assert given <= DOCUMENTED[name]
    assert all(isinstance(value, str) for value in SERVICES[name].get("environment", {}).values())  # YAML's 1 is no text
    assert [volume.split(":")[1] for volume in SERVICES[name]["volumes"]] == DATA[name]


def test_one_broker_needs_no_second_for_its_own_topics() -> None:
    for name in ("kafka", "kafka-zookeeper"):
        told = SERVICES[name]["environment"]
        copies = {key: value for key, value in told.items() if key.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
        assert len(copies) >= 3
        assert set(copies.values()) == {"1"}


def test_what_kraft_needs_is_all_there_since_any_variable_replaces_every_default() -> None:
    told = SERVICES["kafka"]["environment"]
    listeners = {part.split("://")[0] for part in told["KAFKA_LISTENERS"].split(",")}
    advertised = {part.split("://")[0] for part in told["KAFKA_ADVERTISED_LISTENERS"].split(",")}
    secured = {part.split(":")[0] for part in told["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")}
    assert told["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert listeners == secured == advertised | {told["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert told["KAFKA_INTER_BROKER_LISTENER_NAME"] in advertised
    assert told["KAFKA_CONTROLLER_QUORUM_VOTERS"].split("@")[0] == told["KAFKA_NODE_ID"]


def test_all_profiles_together_share_no_port_and_wait_for_what_is_there() -> None:
    ports = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == len(set(ports))
    for service in SERVICES.values():
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert set(SERVICES[other].get("profiles", [])) <= set(service.get("profiles", []))
        check = service["healthcheck"]
        assert int(check["interval"].rstrip("s")) * check["retries"] >= 60  # time for a slow machine's first start


def test_the_engines_are_there_by_default_and_the_rest_by_profile() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {"kafka", "clickhouse"}
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["zookeeper"]} == {
        "zookeeper",
        "kafka-zookeeper",
    }
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["redis"]} == {"redis"}


@pytest.mark.parametrize("name", SERVICES)
def test_everything_is_on_loopback_checked_and_kept(name: str) -> None:
    service = SERVICES[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    named = [volume.split(":")[0] for volume in service["volumes"]]
    assert named
    assert set(named) <= set(COMPOSE["volumes"])
    assert not service["image"].endswith(":latest")


@pytest.mark.parametrize("name", ["kafka", "kafka-zookeeper"])
def test_kafka_advertises_each_side_its_own_name(name: str) -> None:
    told = dict(part.split("://") for part in SERVICES[name]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert told["HOST"].startswith("localhost:")
    assert told["INTERNAL"].startswith(f"{name}:")
    assert SERVICES[name]["ports"] == [f"127.0.0.1:{told['HOST'].split(':')[1]}:{told['HOST'].split(':')[1]}"]
    assert "/tmp" not in str(SERVICES[name])


def test_zookeeper_comes_with_the_last_kafka_that_knows_it() -> None:
    assert re.fullmatch(r"confluentinc/cp-kafka:7\.9\.\d+", SERVICES["kafka-zookeeper"]["image"])
    assert re.fullmatch(r"apache/kafka:4\.\d+\.\d+", SERVICES["kafka"]["image"])
    assert "KRaft" in (ROOT / "docker-compose.yml").read_text()


def test_settings_toml_names_the_same_user_password_and_ports() -> None:
    block = (ROOT / "settings.toml").read_text().rsplit("docker-compose.yml", 1)[1]
    told = SERVICES["clickhouse"]["environment"]
    assert f"http://{told['CLICKHOUSE_USER']}:{told['CLICKHOUSE_PASSWORD']}@127.0.0.1:8123" in block
    assert 'bootstrap_servers = "127.0.0.1:9092"' in block
    assert f'redis_url = "redis://{SERVICES["redis"]["ports"][0].rpartition(":")[0]}/0"' in block


def test_the_commented_block_is_a_setting_once_it_is_uncommented(tmp_path: Path) -> None:
    block = (ROOT / "settings.toml").read_text().rsplit("then set\n", 1)[1]
    path = tmp_path / "settings.toml"
    path.write_text("\n".join(line.removeprefix("# ") for line in block.splitlines()))
    settings = load(path)
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert settings.clickhouse.url.endswith("@127.0.0.1:8123")
    assert settings.cache.redis_url == "redis://127.0.0.1:6379/0"


def fake_docker(folder: Path, script: str) -> None:
    path = folder / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_where_no_embedded_engines_exist_docker_starts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="install Docker Desktop"):
        compose_up(ROOT)
    fake_docker(tmp_path, f'echo "$@" > {tmp_path}/asked')
    assert compose_up(ROOT) == ("127.0.0.1:9092", "http://stockwatch:stockwatch-local@127.0.0.1:8123")
    assert "up --detach --wait kafka clickhouse" in (tmp_path / "asked").read_text()
    fake_docker(tmp_path, "echo one >&2; echo 'no space left' >&2; exit 1")
    with pytest.raises(UnavailableError, match="cannot start the engines: no space left"):
        compose_up(ROOT)
