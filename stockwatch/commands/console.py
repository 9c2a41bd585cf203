"""What a start says on the console: each part when it is first ready, the backfill's way, a change of source; else nothing."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from collections.abc import Mapping

from stockwatch.health import HealthRegistry

ADDRESSES = {"kafka": "kafka", "clickhouse": "clickhouse_url", "dashboard": "dashboard_url"}
STEPS = 4  # so many lines at most for a backfill on its way


def say(text: str) -> None:
    """One line; a console that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


class Console:
    """ready() belongs to the main thread, changed() to whoever reports. Opens the browser once, when the page answers."""

    def __init__(self, registry: HealthRegistry, names: tuple[str, ...], page: str | None) -> None:
        self._registry, self._page = registry, page
        self._waiting = list(names)
        self._lock = threading.Lock()
        self._source: str | None = None  # as it was last said
        self._step: int | None = None  # of the backfill, as it was last said

    def ready(self, name: str) -> None:
        """A life of `name` is ready."""
        if name not in self._waiting:
            return
        self._waiting.remove(name)
        said = self._registry.fact(ADDRESSES[name]) if name in ADDRESSES else None
        say(f"  {name:<11}{said or 'running'}")
        if name == "dashboard" and self._page:
            threading.Thread(target=webbrowser.open, args=[self._page], name="browser", daemon=True).start()
        if not self._waiting:
            page = self._registry.fact("dashboard_url")
            with self._lock:
                self._source = self._registry.fact("source") or "none"
                prices = f"Prices: {_named(self._source)}." if "producer" in self._registry.names else "Running."
                say(prices + (f" The page: {page}" if page else "") + "  Ctrl-C stops.")

    def changed(self) -> None:
        """Something was reported: say it if it is for people."""
        with self._lock:
            if self._source is None or "producer" not in self._registry.names:
                return  # the start speaks first; and what a consumer's prices are, it does not say
            source = self._registry.fact("source") or "none"
            if source != self._source:
                say(f"Prices now: {_named(source)}; before: {_named(self._source)}.")
                self._source = source
            self._tell_backfill(self._registry.get("producer").metrics.get("backfill"))

    def _tell_backfill(self, backfill: object) -> None:
        if not isinstance(backfill, Mapping) or not backfill["of"]:
            return
        step = backfill["done"] * STEPS // backfill["of"]
        if step != self._step:
            self._step = step
            done = "done" if step == STEPS else f"{backfill['done']} of {backfill['of']} tickers"
            say(f"  backfill   {done}, {backfill['bars']:,} bars")


def _named(source: str) -> str:
    return f"{source} (SIMULATED: not market prices)" if source == "simulator" else source
