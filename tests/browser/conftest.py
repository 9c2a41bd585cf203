"""The real page in the system's Chromium; without one these tests are skipped, said in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from program import Program, simulated
from viewer import Viewer

from stockwatch.commands.bench_page_browser import CHROMIUM, chromium


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser on a machine without one."""
    for item in items:
        if "browser" in Path(item.path).parts and not any(map(shutil.which, CHROMIUM)):
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine: the browser tests are skipped"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module; not longer, since Playwright's loop runs in this thread, and other tests have their own."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program with simulated prices and a quick line, for all tests that leave it as it is."""
    with simulated(tmp_path_factory.mktemp("page")) as program:
        yield program


@pytest.fixture
def viewer(browser: Browser, running: Program, request: pytest.FixtureRequest) -> Iterator[Viewer]:
    """A fresh page of 1440 x 900 in light; parametrise indirectly with new_page's arguments."""
    options: dict[str, Any] = {
        "viewport": {"width": 1440, "height": 900},
        "color_scheme": "light",
        **getattr(request, "param", {}),
    }
    page = browser.new_page(**options)
    yield Viewer(page, running.health()["dashboard_url"])
    page.close()
