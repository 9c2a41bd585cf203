"""The browser that a start opens: not before the page answers, and never two."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from program import Program, until

from stockwatch.supervisor.lock import read_facts

BROWSER = """#!{python}
import pathlib, sys, urllib.request
try:
    status = urllib.request.urlopen(sys.argv[1], timeout=10).status
except OSError as error:
    status = error
with pathlib.Path({log!r}).open("a") as log:
    log.write(f"{{status}} {{sys.argv[1]}}\\n")
"""


def pages(program: Program) -> list[psutil.Process]:
    """The child that serves the page, once it is there."""
    with contextlib.suppress(psutil.Error):
        return [child for child in program.children() if "streamlit" in " ".join(child.cmdline())]
    return []


def test_the_page_answers_when_the_browser_opens_it_and_two_starts_open_it_once(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, browser = tmp_path / "opened.txt", tmp_path / "browser"
    log.touch()
    browser.write_text(BROWSER.format(python=sys.executable, log=str(log)))
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    with (tmp_path / "console.txt").open("w") as console:
        program.process = subprocess.Popen(
            program.command(), env=program.environment(), stdout=console, stderr=console, text=True
        )
    page = until(lambda: next(iter(pages(program)), None), 20, "the page's process")
    page.suspend()  # so that it is not up before the second start looks
    assert "dashboard_url" in read_facts(program.data_dir)
    assert program.run().returncode == 3
    assert log.read_text() == ""
    page.resume()
    program.wait_until_healthy()
    url = program.health()["dashboard_url"]
    until(log.read_text, 10, "the page is opened")
    assert log.read_text() == f"200 {url}\n"
    assert program.run().returncode == 3
    assert log.read_text() == f"200 {url}\n" * 2  # a tab of it, for one who starts it again
