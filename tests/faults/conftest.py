"""The faults: all of them with --faults, else a quick subset; the table of ledgers before pytest's last line."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_kafka import ApacheKafka
from flow import Flow, up
from ledger import Book, Ledger, kept, table
from program import Program

HERE = Path(__file__).parent
BROKERS = ["embedded", pytest.param("apache", marks=pytest.mark.full)]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", action="store_true", help="all faults, not only the quick ones (within 15 minutes)")
    group.addoption("--kills", type=int, default=25, help="how often the kill loop kills (150 for its table)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE:
            # kafka-python leaves a socket behind at each connection that is refused.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
    if config.getoption("--faults", default=False):
        return
    full = [item for item in items if item.get_closest_marker("full")]
    if full:
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in set(full)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ledgers = [
        Ledger(**value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "ledger"
    ]
    if ledgers:
        terminalreporter.section("ledgers of the faults")
        for line in table(ledgers):
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _sockets_left_behind() -> Iterator[None]:
    """Found here, where their warning is ignored, not in another test."""
    yield
    gc.collect()


@pytest.fixture
def book(request: pytest.FixtureRequest) -> Book:
    """Keeps a ledger for the table, prints it and checks it."""

    def keep(ledger: Ledger) -> None:
        request.node.user_properties.append(kept(ledger))
        print("\n".join(table([ledger])))
        ledger.check()

    return keep


@pytest.fixture(scope="module")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """An Apache Kafka for the tests of one file; each has its own topic. Skips where there is no Java."""
    made = ApacheKafka(tmp_path_factory.mktemp("apache"))
    try:
        up(made)
        yield made
    finally:
        made.stop()


@pytest.fixture(params=BROKERS)
def flow(request: pytest.FixtureRequest, program: Program) -> Flow:
    """The program on each broker, with the embedded store and a topic of its own; not started yet."""
    made = Flow(program, request.param)
    if request.param == "apache":
        made.kafka = {**request.getfixturevalue("apache").settings, "topic": made.topic}
    made.write()
    return made
