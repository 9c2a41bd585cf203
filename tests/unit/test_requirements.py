"""The lock pins what requirements.txt names, and resolves for every Python and system that is promised."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)")
SYSTEMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin")


def pins(path: Path) -> dict[str, str]:
    found = (PIN.match(line) for line in path.read_text().splitlines())
    return {re.sub(r"[-_.]+", "-", match[1].lower()): match[2] for match in found if match}


def test_the_lock_holds_every_direct_dependency_at_its_version() -> None:
    direct, locked = pins(ROOT / "requirements.txt"), pins(ROOT / "requirements.lock")
    assert direct
    assert {name: locked.get(name) for name in direct} == direct


def test_every_direct_dependency_has_its_reason() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if PIN.match(line)]
    assert all("  # " in line for line in lines)


def test_prescribed_packages_are_named() -> None:
    prescribed = {"kafka-python", "clickhouse-connect", "yfinance", "streamlit", "plotly", "pandas", "apscheduler"}
    assert prescribed <= set(pins(ROOT / "requirements.txt"))


def test_no_registry_is_named() -> None:
    for name in ("requirements.txt", "requirements.lock", "tests/requirements.txt"):
        assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_lock_resolves_to_wheels_everywhere(python: str, system: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--dry-run", "--no-deps", "--only-binary", ":all:"]
    command += ["--target", str(tmp_path / "nowhere"), "--python-platform", system, "--python-version", python]
    done = subprocess.run(
        [*command, "-r", str(ROOT / "requirements.lock")], capture_output=True, text=True, timeout=55, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr[-500:]
