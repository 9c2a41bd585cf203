"""What the console says: the start, the way of the backfill, a change of source; else nothing."""

from __future__ import annotations

import pytest

from stockwatch.commands.console import Console
from stockwatch.health import HealthRegistry


@pytest.fixture
def registry() -> HealthRegistry:
    return HealthRegistry(["producer", "dashboard"])


def started(registry: HealthRegistry, source: str) -> Console:
    registry.set_fact(source=source, dashboard_url="http://127.0.0.1:1")
    console = Console(registry, ("producer", "dashboard"), None)
    registry.listen(console.changed)
    registry.reporter("producer").running(backfill={"done": 0, "of": 8, "bars": 0})  # before the start has spoken
    for name in ("producer", "dashboard", "producer"):  # a second life is not said
        console.ready(name)
    return console


def test_the_start_is_said_once_with_the_page_and_the_mark(registry: HealthRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    started(registry, "simulator")
    assert capsys.readouterr().out.splitlines() == [
        "  producer   running",
        "  dashboard  http://127.0.0.1:1",
        "Prices: simulator (SIMULATED: not market prices). The page: http://127.0.0.1:1  Ctrl-C stops.",
    ]


def test_a_backfill_has_a_few_lines_whatever_the_number_of_tickers(
    registry: HealthRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    started(registry, "yahoo")
    capsys.readouterr()
    for done in range(9):
        for _ in range(3):
            registry.reporter("producer").running(backfill={"done": done, "of": 8, "bars": done * 1000})
    assert capsys.readouterr().out.splitlines() == [
        "  backfill   0 of 8 tickers, 0 bars",
        "  backfill   2 of 8 tickers, 2,000 bars",
        "  backfill   4 of 8 tickers, 4,000 bars",
        "  backfill   6 of 8 tickers, 6,000 bars",
        "  backfill   done, 8,000 bars",
    ]
    registry.reporter("producer").running(backfill=None)
    assert capsys.readouterr().out == ""


def test_a_start_without_a_producer_says_nothing_of_prices(capsys: pytest.CaptureFixture[str]) -> None:
    registry = HealthRegistry(["consumer"])
    registry.set_fact(source="auto")
    console = Console(registry, ("consumer",), None)
    registry.listen(console.changed)
    console.ready("consumer")
    registry.set_fact(source="simulator")
    assert capsys.readouterr().out.splitlines() == ["  consumer   running", "Running.  Ctrl-C stops."]


def test_a_change_from_simulated_to_real_prices_is_said(registry: HealthRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    started(registry, "simulator")
    capsys.readouterr()
    registry.set_fact(source="yahoo")
    registry.set_fact(source="yahoo")
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if "Prices" in line] == ["Prices now: yahoo; before: simulator (SIMULATED: not market prices)."]
