"""A start that finds another one on its data folder: whose page it opens, and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockwatch.commands import start
from stockwatch.errors import AlreadyRunningError
from stockwatch.health import HealthRegistry, State
from stockwatch.health_server import HealthServer
from stockwatch.settings import load
from stockwatch.supervisor.lock import Lock

PAGE = "http://127.0.0.1:1"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the browser was given."""
    told: list[str] = []
    monkeypatch.setattr("webbrowser.open", told.append)
    mask = os.umask(0)
    yield told
    os.umask(mask)


def start_again(folder: Path, *, browser: bool = True) -> None:
    settings = load(folder / "settings.toml", {"supervisor": {"data_dir": str(folder)}})
    with pytest.raises(AlreadyRunningError, match=rf"already running at {PAGE}"):
        start.run(settings, None, browser=browser)


@pytest.mark.parametrize("state", list(State))
def test_the_page_is_opened_again_only_where_it_answers(tmp_path: Path, opened: list[str], state: State) -> None:
    """Until then the first start opens it itself: two would open two tabs. The other parts do not matter."""
    registry = HealthRegistry(["clickhouse", "dashboard"])
    registry.report("clickhouse", State.DEGRADED)
    registry.report("dashboard", state)
    first, server = Lock(tmp_path), HealthServer(registry, 0)
    first.take()
    first.say(health_url=server.url, dashboard_url=PAGE)
    try:
        start_again(tmp_path)
        assert opened == ([PAGE] if state is State.RUNNING else [])
        start_again(tmp_path, browser=False)
        assert len(opened) == (state is State.RUNNING)
    finally:
        server.close()
        first.give_back()


def test_no_page_is_opened_of_an_instance_that_does_not_answer(tmp_path: Path, opened: list[str]) -> None:
    first = Lock(tmp_path)
    first.take()
    for url in ("http://127.0.0.1:9/health", None):
        first.say(health_url=url, dashboard_url=PAGE)
        start_again(tmp_path)
    first.give_back()
    assert not opened
