"""Where no embedded engines exist (Windows): Kafka and ClickHouse by docker compose, from the file beside run.py."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from stockwatch.errors import UnavailableError

UP_SECONDS = 300  # images may have to be fetched the first time
KAFKA = "127.0.0.1:9092"
CLICKHOUSE = "127.0.0.1:8123"


def compose_up(root: Path) -> tuple[str, str]:
    """Start both engines and wait until they are healthy: (bootstrap servers, ClickHouse url). Raises UnavailableError."""
    docker = shutil.which("docker")
    if docker is None:
        raise UnavailableError(
            "the embedded engines do not exist for Windows: install Docker Desktop, or give kafka.bootstrap_servers"
            " and clickhouse.url in settings.toml"
        )
    file = root / "docker-compose.yml"
    command = [docker, "compose", "-f", str(file), "up", "--detach", "--wait", "kafka", "clickhouse"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"docker compose was not ready within {UP_SECONDS} s: is Docker Desktop running?") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UnavailableError(f"docker compose cannot start the engines: {reason}")
    text = file.read_text(encoding="utf-8")
    user, password = (_value(text, name) for name in ("CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"))
    return KAFKA, f"http://{user}:{password}@{CLICKHOUSE}"


def _value(text: str, name: str) -> str:
    found = re.search(rf"^\s*{name}:\s*\"?([^\"\s]+)", text, re.MULTILINE)
    if found is None:
        raise UnavailableError(f"docker-compose.yml does not say {name}")
    return found[1]
