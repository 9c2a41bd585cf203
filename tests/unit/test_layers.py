"""Imports point downwards, and each library stays behind its fence (DESIGN.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "stockwatch"
LAYERS = [
    {"cli"},
    {"commands"},
    {"assembly"},
    {"supervisor"},
    {"engines", "producer", "consumer", "health_server", "dashboard"},
    {"sources", "alerts", "export"},
    {"store", "candles", "outbox", "cache"},
    {"sessions"},
    {"component"},
    {"tick", "health", "settings"},
    {"errors"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FENCES = {
    "yfinance": ("sources/yahoo_",),
    "kafka": ("producer", "consumer", "engines/"),
    "chdb": ("engines/embedded_clickhouse", "engines/clickhouse_http"),
    "apscheduler": ("supervisor",),
    "streamlit": ("dashboard/", "commands/bench_page_plain"),
    "plotly": ("dashboard/charts",),
    "redis": ("cache",),
    "xlsxwriter": ("export",),
    "segno": ("dashboard/",),
    "clickhouse_connect": ("store",),
}
PAGE_MAY = {"dashboard", "store", "candles", "sessions", "alerts", "export", "cache", "health", "settings"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""
            if node.module == "stockwatch":
                yield from (f"stockwatch.{alias.name}" for alias in node.names)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path: Path) -> None:
    own = layer_of(path)
    if own == "__init__":
        assert not [name for name in imports(path) if name.startswith("stockwatch")]
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "stockwatch" or len(parts) == 1 or parts[1] == "__version__":
            continue
        other = parts[1]
        assert other == own or RANK[own] < RANK[other], f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_behind_their_fences(path: Path) -> None:
    place = str(path.relative_to(PACKAGE))
    for module in imports(path):
        allowed = FENCES.get(module.split(".")[0])
        assert allowed is None or place.startswith(allowed), f"{place} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if layer_of(p) == "dashboard"], ids=lambda path: path.name)
def test_the_page_knows_only_what_it_may(path: Path) -> None:
    if path.name == "process.py":  # runs in the supervisor: it is the page's component, not the page
        return
    used = {module.split(".")[1] for module in imports(path) if module.startswith("stockwatch.")}
    assert used <= PAGE_MAY | {"errors", "component", "tick"}, used


def test_every_module_has_a_place() -> None:
    assert {layer_of(path) for path in FILES} - {"__init__"} <= set(RANK)


@pytest.mark.parametrize("path", [*FILES, ROOT / "run.py"], ids=lambda path: path.name)
def test_no_file_is_past_250_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
