"""What is kept out while others are imported can be imported afterwards; what is there already stays."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from stockwatch.component.lean import without


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A library, and one that takes it along."""
    (tmp_path / "heavy_library.py").write_text("")
    (tmp_path / "takes_it_along.py").write_text(
        "try:\n    import heavy_library\n    HAS = True\nexcept ImportError:\n    HAS = False\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "takes_it_along", raising=False)
    monkeypatch.delitem(sys.modules, "heavy_library", raising=False)
    return "heavy_library"


def test_it_is_as_if_not_installed_and_there_afterwards(heavy: str) -> None:
    with without(heavy):
        assert importlib.import_module("takes_it_along").HAS is False
    assert importlib.import_module(heavy).__name__ == heavy


def test_what_is_loaded_already_stays(heavy: str) -> None:
    library = importlib.import_module(heavy)
    with without(heavy):
        assert importlib.import_module("takes_it_along").HAS is True
    assert importlib.import_module(heavy) is library


def test_a_trouble_within_leaves_nothing(heavy: str) -> None:
    with pytest.raises(ZeroDivisionError), without(heavy):
        raise ZeroDivisionError
    assert importlib.import_module(heavy).__name__ == heavy
