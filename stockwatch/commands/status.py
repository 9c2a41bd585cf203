"""`python run.py status [--json]`: the health of the running instance. Exit 0 running, 3 none, 1 otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from stockwatch.errors import NotRunningError, UnavailableError
from stockwatch.health import State
from stockwatch.settings import EMBEDDED, Settings
from stockwatch.supervisor.lock import configured_health_url, health_at, is_held, process_of, read_facts


def run(settings: Settings, as_json: bool) -> int:
    """Print the health as a table, or the body of GET /health. Raises NotRunningError when nobody answers."""
    health = ask(settings)
    if as_json:
        print(json.dumps(health, indent=2))
    else:
        print("\n".join([*table(health), *how_to_connect(settings, health)]))
    return 0 if health["state"] == State.RUNNING else 1


def ask(settings: Settings) -> dict[str, Any]:
    """GET /health of the instance on this data folder, else of the one on the configured port."""
    held = is_held(settings.data_dir)
    facts = read_facts(settings.data_dir) if held else {}
    url = facts.get("health_url") or configured_health_url(settings)
    try:
        health = health_at(url)
    except OSError:
        if held:
            raise UnavailableError(f"stockwatch runs on {settings.data_dir}{process_of(facts)} and does not answer") from None
        raise NotRunningError(f"no stockwatch runs on {settings.data_dir}") from None
    if health is None:
        raise NotRunningError(f"no stockwatch runs on {settings.data_dir}; something else answers at {url}")
    return health


def table(health: dict[str, Any]) -> list[str]:
    """The health as lines of text."""
    lines = [f"{health['state']}, source {health['source'] or 'none'}, since {health['since']}"]
    lines += [f"{name}: {health[name]}" for name in ("dashboard_url", "clickhouse_url", "kafka") if health.get(name)]
    rows = [("component", "state", "age", "restarts", "detail")]
    for part in health["components"]:
        said = part["error"] or part["detail"]
        rows.append((part["name"], part["state"], _age(part["last_beat"]), str(part["restarts"]), said))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        lines.append("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]).rstrip())
    return lines


def how_to_connect(settings: Settings, health: dict[str, Any]) -> list[str]:
    """How other tools read the store: user, database, and where the password is; never the password."""
    url = health.get("clickhouse_url")
    if not url:
        return []
    if settings.clickhouse.url != EMBEDDED:
        return [f"other tools: ClickHouse at {url}, database {settings.clickhouse.database}, as clickhouse.url names the user"]
    secret = settings.data_dir / "clickhouse.reader.password"
    database = settings.clickhouse.database
    return [
        f"other tools: ClickHouse over HTTP at {url}, database {database}, user reader, password in {secret}",
        f"  curl -u \"reader:$(cat '{secret}')\" '{url}/?database={database}' --data 'SHOW TABLES'",
    ]


def _age(beat: str | None) -> str:
    if beat is None:
        return "-"
    return f"{max((datetime.now(UTC) - datetime.fromisoformat(beat)).total_seconds(), 0):.0f} s"
