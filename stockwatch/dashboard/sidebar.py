"""The sidebar: the health registry as a chain of hops, in the order in which prices travel. Pure functions of GET /health's body.

source → Kafka → consumer → store → page. What moves from second to second stands beside the HTML, so that a page changes a
few words in place (static/side.js) and the HTML is made anew only when a state, a count or an error changes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Any

from stockwatch.dashboard import numbers

SHAPES = {"running": "●", "starting": "◐", "degraded": "◆", "failed": "■", "stopped": "○"}
OVERALL = {"running": "All running", "starting": "Starting", "degraded": "Degraded", "failed": "Failed", "stopped": "Stopped"}
CHAIN = {"producer": "source", "kafka": "broker", "consumer": "", "clickhouse": "store", "dashboard": "page"}  # and their roles
Told = list[Any]  # [text, ms since the epoch or None]: the page writes the age of that moment in place of {}


def side(health: dict[str, Any], viewers: int = 0) -> dict[str, Any]:
    """The sidebar's state: "side", its HTML; "bar", what of it stays in sight on a phone; "told", what the page writes into
    `data-told` elements; "passed", how many have passed into a hop since the program's start: when that grows, the page lets a
    dot run down the line before the hop.

    viewers: how many pages are open on this server.
    """
    html = f'<div class="sw-side">{overall(health)}{delay()}{_chain(health, {})}</div>'
    return {"side": html, "bar": bar(health), "told": told(health, viewers), "passed": passed(health)}


def bar(health: dict[str, Any]) -> str:
    """The phone's top line: the program's name, and the worst state in a word."""
    state, word = _worst(health)
    return f'<div class="sw-bar"><span class="sw-logo">stockwatch</span>{_state(state, word)}</div>'


def overall(health: dict[str, Any]) -> str:
    """The worst state, in words."""
    state, word = _worst(health)
    parts = health.get("components", [])
    bad = sum(part["state"] != "running" for part in parts)
    said = (
        f"{bad} of {len(parts)} {'needs' if bad == 1 else 'need'} attention"
        if bad
        else f"{len(parts)} of {len(parts)} components"
    )
    if not health:
        said = "the health of the program cannot be read"
    return f'<div class="sw-overall">{_state(state, word)}</div><div class="sw-attention">{escape(said)}</div>'


def delay() -> str:
    """How old the newest price is on this screen: the page's script counts it."""
    said = "from the exchange's time to this screen"
    return f'<div class="sw-part">Price age<div class="sw-big" data-age>—</div><div data-age-said>{said}</div></div>'


def components(health: dict[str, Any], now: datetime | None = None) -> str:
    """The chain with everything written in: a block for each hop, and between two hops a line that says what passes."""
    at = (now or datetime.now(UTC)).timestamp()
    filled = {
        key: text if moment is None else text.format(numbers.age(at - moment / 1000))
        for key, (text, moment) in told(health).items()
    }
    return _chain(health, filled)


def metric(part: dict[str, Any]) -> Told:
    """A component's one telling number; and where it knows it, the age of the last that came to it."""
    told = part["metrics"]
    if part["state"] in ("starting", "failed", "stopped"):
        return ["no numbers now" if told else str(part["detail"]), None]  # what it measured before is not true now
    if part["name"] == "kafka" and "messages_per_second" in told:
        rate, last = f"{numbers.volume(told['messages_per_second'])} msg/s", told.get("last_message")
        return [f"{rate} · {{}} ago", _ms(last)] if last else [rate, None]
    if part["name"] == "clickhouse" and "query_ms" in told:
        return [f"query {told['query_ms']:.0f} ms", None]
    if part["name"] == "producer" and "ticks_per_second" in told:
        return [f"{numbers.volume(told['ticks_per_second'])} ticks/s", None]
    if part["name"] == "consumer" and "lag" in told:
        return [f"lag {told['lag']} · {numbers.volume(told['rows_per_second'])} rows/s", None]
    return [str(part["detail"]), None]


def told(health: dict[str, Any], viewers: int = 0) -> dict[str, Told]:
    """What stands in each `data-told` element now: a hop's number by its name, how long it has been in trouble by "name since",
    a line's words by "name>name". Only what some part of this instance measures."""
    parts = _by_name(health)
    said = {name: metric(part) for name, part in parts.items()}
    said |= {f"{name} since": [" · {}", _ms(part["since"])] for name, part in parts.items() if part["state"] != "running"}
    source, sink, page = (parts.get(name, {"metrics": {}})["metrics"] for name in ("producer", "consumer", "dashboard"))
    if "last_read" in source:
        said["producer>kafka"] = ["last {} ago", _ms(source["last_read"])]
    if "lag" in sink:
        # A consumer that cannot store does not poll either, and so sees no lag grow; the outbox knows what is not stored yet.
        waits = sink["lag"] if parts["consumer"]["state"] == "running" else max(sink["lag"], source.get("outbox", 0))
        said["kafka>consumer"] = [f"{waits:,} {'waits' if waits == 1 else 'wait'}" if waits else "nothing waits", None]
    if "last_stored" in sink:
        said["consumer>clickhouse"] = ["last {} ago", _ms(sink["last_stored"])]
    if "refresh_seconds" in page:
        live = page["refresh_seconds"] < 1 or source.get("streaming")
        said["clickhouse>dashboard"] = ["live" if live else f"refresh {page['refresh_seconds']:g} s", None]
        said["dashboard"] = [f"{viewers} {'viewer' if viewers == 1 else 'viewers'}", None]
    return said


def passed(health: dict[str, Any]) -> dict[str, int]:
    """Into each hop of this instance: how many ticks, messages or rows, ever growing within a life of what counts them."""
    metrics = {name: part["metrics"] for name, part in _by_name(health).items()}
    source, sink = metrics.get("producer", {}), metrics.get("consumer", {})
    counts = {"kafka": source.get("ticks", 0) + source.get("bars", 0), "consumer": sink.get("rows", 0)}
    counts["clickhouse"] = counts["consumer"]
    return {name: count for name, count in counts.items() if count}


def flow(parts: dict[str, Any], before: str, after: str, *, stopped: bool) -> tuple[str, str, str]:
    """How it goes between two neighbours: a style, a shape and a word for it. stopped: further up it has stopped already.

    flows: a solid line; quiet: a dotted one; broken: one that ends halfway. A part that is not running does not do its job
    (DESIGN.md), whatever it counted before. Empty where neither is of this instance.
    """
    ends = [parts[name]["state"] for name in (before, after) if name in parts]
    if "starting" in ends and set(ends) <= {"starting", "running"}:
        return "quiet", "◐", "not yet"
    if not set(ends) <= {"running"}:
        return f"broken {'failed' if 'failed' in ends else 'degraded'}", "✕", "nothing comes" if stopped else "stops here"
    rate = _rate(parts, before, after)
    if rate is None:
        return "", "", ""
    return ("flows", "↓", "") if rate else ("quiet", "–", "nothing comes" if stopped else "quiet")


def _rate(parts: dict[str, Any], before: str, after: str) -> float | None:
    """How much passes in a second; None where no part of this instance measures it."""
    if after == "dashboard":
        return 1.0 if after in parts else None  # it asks the store again and again, whether new rows come or not
    if after == "kafka":
        owner, name = ("producer", "ticks_per_second") if before in parts else ("kafka", "messages_per_second")
    else:
        owner, name = "consumer", "rows_per_second"
    rate: float | None = parts[owner]["metrics"].get(name) if owner in parts else None
    return rate


def _chain(health: dict[str, Any], filled: dict[str, str]) -> str:
    """The hops of CHAIN and the lines between them. filled: the words of `data-told` elements, where no page writes them."""
    parts, items, before, stopped = _by_name(health), [], "", False
    for name in CHAIN if parts else ():
        if before:
            kind, shape, word = flow(parts, before, name, stopped=stopped)
            stopped = stopped or kind.startswith("broken")
            key = f"{before}>{name}"
            mark, named = f'<span class="sw-mark">{shape}</span>', f"<b>{word}</b>" if word else ""
            words = f"{mark}<span>{named}{_slot(key, filled)}</span>" if shape else ""
            items.append(f'<li class="sw-flow {kind}" data-flow="{name}">{words}</li>')
        items.append(_hop(parts[name], filled) if name in parts else _elsewhere(name))
        before = name
    return f'<ol class="sw-pipe" aria-label="The way of the prices">{"".join(items)}</ol>' if items else ""


def _slot(key: str, filled: dict[str, str]) -> str:
    return f'<span data-told="{escape(key)}">{escape(filled.get(key, ""))}</span>'


def _worst(health: dict[str, Any]) -> tuple[str, str]:
    """The state of all, and its word."""
    return (health["state"], OVERALL.get(health["state"], health["state"])) if health else ("failed", "Not reached")


def _state(state: str, word: str) -> str:
    """Shape and word; while the page is cut off, what it last heard of is not claimed to be true."""
    return (
        f'<span class="sw-told-live"><span class="sw-mark {state}">{SHAPES.get(state, "■")}</span>{escape(word)}</span>'
        f'<span class="sw-told-cut"><span class="sw-mark stopped">{SHAPES["stopped"]}</span>Not known now</span>'
    )


def _hop(part: dict[str, Any], filled: dict[str, str]) -> str:
    """State, numbers, restarts and the last error of one component."""
    name, state = part["name"], part["state"]
    renewals = min(part["metrics"].get("renewals", 0), part["restarts"])  # by plan: no trouble
    restarts = part["restarts"] - renewals
    count = f'<span class="{"sw-more" if restarts else ""}">{restarts} {"restart" if restarts == 1 else "restarts"}</span>'
    if renewals and not restarts:
        count = f'<span title="last pause {part["metrics"]["renewal_seconds"]:g} s">{renewals} renewed</span>'
    role = f"<small>{CHAIN[name]}</small>" if state == "running" else ""  # in trouble its place is needed
    error = f'<div class="sw-error {state}">{escape(part["error"])}</div>' if part["error"] else ""
    return (
        f'<li class="sw-part" data-component="{escape(name)}" title="{escape(part["detail"])}">'
        f'<div class="sw-line"><span class="sw-name"><span class="sw-mark {state}">{SHAPES[state]}</span>'
        f'{escape(name)}{role}</span><span><span class="sw-word {state}">{state}</span>'
        f"{_slot(f'{name} since', filled)}</span></div>"
        f'<div class="sw-line sw-told">{_slot(name, filled)}{count}</div>{_source(part)}{error}</li>'
    )


def _elsewhere(name: str) -> str:
    """A hop that another instance runs, or nobody: this one does not watch it."""
    called = f'<span class="sw-mark stopped">{SHAPES["stopped"]}</span>{name}<small>{CHAIN[name]}</small>'
    return f'<li class="sw-part"><div class="sw-line"><span class="sw-name">{called}</span><span>elsewhere</span></div></li>'


def _source(part: dict[str, Any]) -> str:
    """How prices come, in the producer's own words, and how often the source was asked."""
    if part["name"] != "producer":
        return ""
    told = part["metrics"]
    asked = told.get("requests", 0) + told.get("bar_requests", 0)
    count = f"{asked:,} {'request' if asked == 1 else 'requests'}" if asked else ""
    return f'<div class="sw-detail">{escape("; ".join(filter(None, (part["detail"], count))))}</div>'


def _by_name(health: dict[str, Any]) -> dict[str, Any]:
    return {part["name"]: part for part in health.get("components", [])}


def _ms(moment: str) -> int:
    """Of an ISO time with its offset: ms since the epoch."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)
