"""docker-compose.yml as text: no Docker engine is needed, and none was there when it was written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stockwatch.engines.compose import compose_up
from stockwatch.errors import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


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
