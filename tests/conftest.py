"""Shared by all suites: nothing of this machine's environment reaches a test, and programs that tests start end with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import Program
from xdist.scheduler import LoadFileScheduling


class Together(LoadFileScheduling):
    """A file's tests stay in one worker, and all that need Chromium: they share it and its program, and two would fill the machine."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if "/browser/" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Of `--dist loadfile`. Not by marks and loadgroup: pytest-xdist 3.8.0 writes those where pytest 9.2.0 does not look."""
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


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
