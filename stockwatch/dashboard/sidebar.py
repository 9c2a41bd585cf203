"""The sidebar: the health registry as words. Pure functions from GET /health's body to HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

from stockwatch.dashboard import numbers

SHAPES = {"running": "●", "starting": "◐", "degraded": "◆", "failed": "■", "stopped": "○"}
OVERALL = {"running": "All running", "starting": "Starting", "degraded": "Degraded", "failed": "Failed", "stopped": "Stopped"}


def overall(health: dict[str, Any]) -> str:
    """The worst state, in words."""
    if not health:
        return _overall("failed", "Not reached", "the health of the program cannot be read")
    parts = health["components"]
    bad = sum(part["state"] != "running" for part in parts)
    said = (
        f"{bad} of {len(parts)} {'needs' if bad == 1 else 'need'} attention"
        if bad
        else f"{len(parts)} of {len(parts)} components"
    )
    return _overall(health["state"], OVERALL.get(health["state"], health["state"]), said)


def delay() -> str:
    """How old the newest price is on this screen: the page's script counts it."""
    said = "from the exchange's time to this screen"
    return f'<div class="sw-part">Price age<div class="sw-big" data-age>—</div><div data-age-said>{said}</div></div>'


def components(health: dict[str, Any], now: datetime | None = None) -> str:
    """One block for each component: state, metric, age, restarts, last error."""
    return "".join(_component(part, now or datetime.now(UTC)) for part in health.get("components", []))


def metric(part: dict[str, Any]) -> str:
    """A component's one telling number."""
    told = part["metrics"]
    if part["name"] == "kafka":
        return f"{told['messages_per_second']:.0f} msg/s" if "messages_per_second" in told else part["detail"]
    if part["name"] == "clickhouse":
        return f"query {told['query_ms']:.0f} ms" if "query_ms" in told else part["detail"]
    if part["name"] == "producer":
        return f"{told['ticks_per_second']:.0f} ticks/s" if "ticks_per_second" in told else part["detail"]
    if part["name"] == "consumer":
        return f"lag {told['lag']} · {numbers.volume(told['rows_per_second'])} rows/s" if "lag" in told else part["detail"]
    return f"refresh {told['refresh_seconds']:g} s" if "refresh_seconds" in told else str(part["detail"])


def _overall(state: str, word: str, said: str) -> str:
    return (
        f'<div class="sw-overall"><span class="sw-mark {state}">{SHAPES.get(state, "■")}</span>{escape(word)}</div>'
        f'<div style="margin:0 0 14px 18px">{escape(said)}</div>'
    )


def _component(part: dict[str, Any], now: datetime) -> str:
    state = part["state"]
    renewals = min(part["metrics"].get("renewals", 0), part["restarts"])  # by plan: no trouble
    restarts = part["restarts"] - renewals
    word = "restart" if restarts == 1 else "restarts"
    count = f'<span class="{"sw-more" if restarts else ""}">{restarts} {word}</span>'
    if renewals and not restarts:
        count = f'<span title="last pause {part["metrics"]["renewal_seconds"]:g} s">{renewals} renewed</span>'
    beat = part["last_beat"]
    age = f" · {numbers.age((now - datetime.fromisoformat(beat)).total_seconds())}" if beat else ""
    error = f'<div class="sw-error {state}">{escape(part["error"])}</div>' if part["error"] else ""
    return (
        f'<div class="sw-part" data-component="{escape(part["name"])}" title="{escape(part["detail"])}">'
        f'<div class="sw-line"><span class="sw-name"><span class="sw-mark {state}">{SHAPES[state]}</span>'
        f'{escape(part["name"])}</span><span><span class="sw-word {state}">{state}</span>{age}</span></div>'
        f'<div class="sw-line" style="margin-left:18px"><span>{escape(metric(part))}</span>{count}</div>'
        f"{_source(part)}{error}</div>"
    )


def _source(part: dict[str, Any]) -> str:
    """How prices come, in the producer's own words, and how often the source was asked."""
    if part["name"] != "producer":
        return ""
    told = part["metrics"]
    asked = told.get("requests", 0) + told.get("bar_requests", 0)
    count = f"{asked:,} {'request' if asked == 1 else 'requests'}" if asked else ""
    return f'<div class="sw-detail">{escape("; ".join(filter(None, (part["detail"], count))))}</div>'
