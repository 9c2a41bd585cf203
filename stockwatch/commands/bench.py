"""`python run.py bench [NAME]`: the benchmarks."""

from __future__ import annotations

from stockwatch.settings import Settings


def run(settings: Settings, name: str | None) -> int:
    raise NotImplementedError((settings, name))
