"""Shared by all suites: nothing of this machine's environment reaches a test, and programs that tests start end with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Program


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file's tests stay together, and all that need Chromium: they share it and its program, and two would fill the machine."""
    for item in items:
        path = Path(item.path)
        item.add_marker(pytest.mark.xdist_group("browser" if "browser" in path.parts else str(path)))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("STOCKWATCH_"):
            monkeypatch.delenv(name)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The real program with its own folder and free ports, not started yet; ended after the test."""
    made = Program(tmp_path)
    yield made
    made.kill()
