"""The sidebar's chain: what each hop and each line between two of them says, running, stopped, and with parts elsewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stockwatch.dashboard import sidebar

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
ORDER = ["producer", "kafka", "consumer", "clickhouse", "dashboard"]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


METRICS: dict[str, dict[str, Any]] = {
    "kafka": {"messages_per_second": 12.4, "last_message": ago(1), "memory_mb": 40},
    "clickhouse": {"query_ms": 4.2},
    "producer": {"ticks": 100, "bars": 20, "ticks_per_second": 12.0, "last_read": ago(2), "outbox": 3, "requests": 41},
    "consumer": {"lag": 0, "rows": 117, "rows_per_second": 11.6, "last_stored": ago(3)},
    "dashboard": {"refresh_seconds": 10.0, "memory_mb": 180},
}


def health(only: list[str] | None = None, **states: str) -> dict[str, Any]:
    """GET /health's body; states: of components that are not running."""
    parts = [
        {"name": name, "state": states.get(name, "running"), "detail": f"{name}'s detail", "since": ago(7), "last_beat": ago(1),
         "restarts": 0, "error": None, "metrics": dict(METRICS[name])}
        for name in only or METRICS
    ]  # fmt: skip
    return {"state": next(iter(states.values()), "running"), "components": parts}


def change(body: dict[str, Any], name: str, **metrics: Any) -> dict[str, Any]:
    next(part for part in body["components"] if part["name"] == name)["metrics"].update(metrics)
    return body


def lines(body: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Of each line, by the hop it leads to: its style and its words."""
    found = re.findall(r'<li class="sw-flow ?(.*?)" data-flow="(\w+)">(.*?)</li>', sidebar.components(body, NOW))
    return {hop: (style, " ".join(re.sub(r"<.*?>", " ", words).split())) for style, hop, words in found}


def hop(body: dict[str, Any], name: str) -> str:
    """The words of one hop."""
    found = re.search(rf'<li class="sw-part" data-component="{name}".*?</li>', sidebar.components(body, NOW))
    assert found is not None
    return " ".join(re.sub(r"<.*?>", " ", found[0]).split())


def test_the_hops_stand_in_the_order_in_which_prices_travel() -> None:
    assert re.findall(r'data-component="(\w+)"', sidebar.components(health(), NOW)) == ORDER


def test_each_hop_says_state_number_and_restarts() -> None:
    assert hop(health(), "producer") == "● producer source running 12 ticks/s 0 restarts producer&#x27;s detail; 41 requests"
    assert hop(health(), "kafka") == "● kafka broker running 12 msg/s · 1 s ago 0 restarts"
    assert hop(health(), "consumer") == "● consumer running lag 0 · 12 rows/s 0 restarts"
    assert hop(health(), "clickhouse") == "● clickhouse store running query 4 ms 0 restarts"


def test_while_all_runs_every_line_flows() -> None:
    assert lines(health()) == {
        "kafka": ("flows", "↓ last 2 s ago"),
        "consumer": ("flows", "↓ nothing waits"),
        "clickhouse": ("flows", "↓ last 3 s ago"),
        "dashboard": ("flows", "↓ refresh 10 s"),
    }
    assert lines(change(health(), "producer", streaming=True))["dashboard"] == ("flows", "↓ live")
    assert lines(change(health(), "consumer", lag=1234))["consumer"] == ("flows", "↓ 1,234 wait")


def test_without_new_prices_the_lines_are_quiet_and_nothing_is_wrong() -> None:
    body = change(change(health(), "producer", ticks_per_second=0.0), "consumer", rows_per_second=0.0)
    assert [style for style, _said in lines(body).values()] == ["quiet", "quiet", "quiet", "flows"]
    assert lines(body)["kafka"] == ("quiet", "– quiet last 2 s ago")


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ({"kafka": "degraded"}, ["✕ stops here", "✕ nothing comes", "↓", "↓"]),
        ({"producer": "degraded"}, ["✕ stops here", "↓", "↓", "↓"]),
        ({"consumer": "degraded"}, ["↓", "✕ stops here", "✕ nothing comes", "↓"]),
        ({"clickhouse": "failed"}, ["↓", "↓", "✕ stops here", "✕ nothing comes"]),
        ({"producer": "stopped", "kafka": "failed", "consumer": "stopped"}, ["✕ stops here", "✕ nothing comes", "✕ nothing comes", "↓"]),
        ({"kafka": "starting"}, ["◐ not yet", "◐ not yet", "↓", "↓"]),
    ],
)  # fmt: skip
def test_the_first_line_that_stops_says_so(states: dict[str, str], wanted: list[str]) -> None:
    said = [words for _style, words in lines(health(**states)).values()]
    assert [words.startswith(start) for words, start in zip(said, wanted, strict=True)] == [True] * 4, said


def test_failed_and_degraded_lines_have_styles_of_their_own() -> None:
    assert lines(health(kafka="failed"))["kafka"][0] == "broken failed"
    assert lines(health(kafka="degraded"))["kafka"][0] == "broken degraded"


def test_what_is_published_and_not_stored_is_said_when_the_consumer_cannot_count_it() -> None:
    body = change(health(consumer="degraded"), "producer", outbox=412)
    assert lines(body)["consumer"] == ("broken degraded", "✕ stops here 412 wait")


def test_trouble_says_how_long_and_old_numbers_are_not_shown_as_new() -> None:
    assert hop(health(kafka="degraded"), "kafka").startswith("◆ kafka degraded · 7 s 12 msg/s")
    for state in ("failed", "stopped", "starting"):
        assert "msg/s" not in hop(health(kafka=state), "kafka")
        assert f"{state} · 7 s" in hop(health(kafka=state), "kafka")


def test_parts_of_another_instance_are_elsewhere() -> None:
    body = health(["dashboard"])
    text = sidebar.components(body, NOW)
    assert re.findall(r'data-component="(\w+)"', text) == ["dashboard"]
    assert text.count("elsewhere") == 4
    assert lines(body) == {
        "kafka": ("", ""),
        "consumer": ("", ""),
        "clickhouse": ("", ""),
        "dashboard": ("flows", "↓ refresh 10 s"),
    }
    assert "1 of 1 components" in sidebar.overall(body)


def test_a_consumer_alone_knows_what_waits_and_what_is_stored() -> None:
    said = lines(health(["consumer"]))
    assert said["kafka"] == ("", "")
    assert said["consumer"] == ("flows", "↓ nothing waits")
    assert said["clickhouse"] == ("flows", "↓ last 3 s ago")


def test_a_broker_alone_counts_what_comes_from_producers_elsewhere() -> None:
    assert lines(health(["kafka"]))["kafka"] == ("flows", "↓")


def test_the_page_is_sent_words_beside_the_html_which_stays_while_only_numbers_change() -> None:
    first, then = sidebar.side(health(), 1), sidebar.side(change(health(), "producer", ticks_per_second=99.0, ticks=200), 3)
    assert first["side"] == then["side"]
    assert first["told"]["producer"] == ["12 ticks/s", None]
    assert then["told"]["producer"] == ["99 ticks/s", None]
    assert first["told"]["dashboard"] == ["1 viewer", None]
    assert then["told"]["dashboard"] == ["3 viewers", None]
    assert first["told"]["producer>kafka"] == ["last {} ago", round(NOW.timestamp() * 1000) - 2000]
    assert first["passed"] == {"kafka": 120, "consumer": 117, "clickhouse": 117}
    assert then["passed"]["kafka"] == 220
    assert {f'data-told="{key}"' for key in first["told"]} <= set(
        re.findall(r'data-told=".*?"', first["side"].replace("&gt;", ">"))
    )


def test_without_health_there_is_no_chain_and_no_error() -> None:
    told = sidebar.side({}, 1)
    assert "Not reached" in told["side"]
    assert (told["told"], told["passed"]) == ({}, {})


def test_before_anything_is_measured_the_detail_is_said() -> None:
    body = {"state": "starting", "components": [{**part, "metrics": {}} for part in health(**dict.fromkeys(METRICS, "starting"))["components"]]}  # fmt: skip
    assert hop(body, "kafka").startswith("◐ kafka starting · 7 s kafka&#x27;s detail")
    assert {words for _style, words in lines(body).values()} == {"◐ not yet"}
