"""Children: found from any folder, measured themselves, ended with all that they started, also where a guard stands between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from program import until

from stockwatch.component import children, end, memory_mb, spawn

LIVES = "import time; time.sleep(60)"
TREE = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    " print(p.pid, flush=True); time.sleep(60)"
)


@pytest.fixture(params=["Linux", "a guard"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As on Linux, or as where nothing is told of a parent's death (macOS)."""
    if request.param == "a guard":
        monkeypatch.setattr(children, "_libc", None)
    return str(request.param)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    others = set(psutil.Process().children(recursive=True))  # of other modules, in this worker
    yield tmp_path / "log"
    for left in set(psutil.Process().children(recursive=True)) - others:
        left.kill()


def said(log: Path) -> str:
    return str(until(lambda: log.exists() and log.read_text().strip(), 20, "it speaks"))


@pytest.mark.usefixtures("system")
def test_a_child_finds_the_package_from_any_folder(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    child = spawn([sys.executable, "-c", "import stockwatch; print(stockwatch.__version__)"], log)
    assert child.wait(20) == 0, log.read_text()
    assert end(child, 1.0) == 0
    assert len(said(log).splitlines()) == 1  # a guard has nothing to say


@pytest.mark.usefixtures("system")
def test_the_memory_is_the_child_s_own(log: Path) -> None:
    child = spawn([sys.executable, "-c", f"held = b'x' * (150 << 20); print('held', flush=True); {LIVES}"], log)
    said(log)
    assert 150 <= memory_mb(child) < 250
    end(child, 5.0)
    assert memory_mb(child) == 0


@pytest.mark.usefixtures("system")
def test_a_child_and_what_it_started_end_together(log: Path) -> None:
    child = spawn([sys.executable, "-c", TREE], log)
    grandchild = psutil.Process(int(said(log)))
    end(child, 5.0)
    assert not psutil.wait_procs([grandchild], 5)[1]


@pytest.mark.usefixtures("system")
def test_they_end_together_without_groups_and_signals_as_on_windows(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((os, "killpg"), (os, "fchmod"), (signal, "SIGKILL"), (signal, "SIGHUP")):
        if module is not signal or children._libc is None:  # Linux's own way to start a child is not Windows'
            monkeypatch.delattr(module, name)
    child = spawn([sys.executable, "-c", TREE], log)
    started = [psutil.Process(int(said(log))), *psutil.Process(child.pid).children()]
    end(child, 5.0, signal.SIGINT)
    assert not psutil.wait_procs(started, 5)[1]


def test_the_guard_ends_its_child_when_the_parent_is_gone(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_libc", None)
    child = spawn([sys.executable, "-c", TREE], log)
    grandchild = psutil.Process(int(said(log)))
    assert child.stdin is not None
    child.stdin.close()  # as the system does it for a parent that has ended
    assert child.wait(5) == -signal.SIGKILL
    assert not psutil.wait_procs([grandchild], 5)[1]


def test_the_guard_tells_how_its_child_ended(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_libc", None)
    for code, told in (
        (f"import os; os.kill(os.getpid(), {int(signal.SIGABRT)})", 128 + signal.SIGABRT),
        ("raise SystemExit(3)", 3),
    ):
        child: subprocess.Popen[bytes] = spawn([sys.executable, "-c", code], log)
        child.wait(20)
        assert end(child, 1.0) == told
