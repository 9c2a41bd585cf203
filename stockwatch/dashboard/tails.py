"""The newest ticks of each symbol, kept as they come: so a chart grows by what is new, and nothing is read twice for it.

Each look at the store asks for what it has taken in since the look before, and OVERLAP_MS earlier: an insert's rows have the
moment at which it began, and come in sight a little later. One look in WHOLE_SECONDS asks for all, for what took longer.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stockwatch.store.news import MOST_NEWS, NewTick

KEPT_MS = 60_000  # of the source's own time
MOST_KEPT = MOST_NEWS  # ticks of a symbol; the charts of one with more in KEPT_MS are read from the store
OVERLAP_MS = 500
WHOLE_SECONDS = 10.0


@dataclass
class Tail:
    """One symbol's newest ticks. From `start` (ms) on none is missing that the store had at the last look."""

    start: int
    ticks: list[NewTick] = field(default_factory=list)  # by time; replaced, never changed: other threads read it
    known: set[tuple[int, int, float]] = field(default_factory=set)  # identities: what came twice is one tick
    stored: int = 0  # when the last of them was (ms, the store's clock)

    def add(self, found: Sequence[NewTick]) -> None:
        """What a look has found, in any order, with what is known already."""
        fresh = {tick.identity: tick for tick in found if tick.at >= self.start and tick.identity not in self.known}
        if not fresh:
            return
        self.known.update(fresh)
        self.stored = max(self.stored, *(tick.stored for tick in fresh.values()))
        ticks = sorted([*self.ticks, *fresh.values()])
        start = max(self.start, ticks[-1].at - KEPT_MS)
        if len(found) >= MOST_NEWS:  # there may be older ones that were not told
            start = max(start, min(found).at + 1)
        if len(ticks) > MOST_KEPT:
            start = max(start, ticks[-MOST_KEPT - 1].at + 1)
        gone = bisect.bisect_left(ticks, (start,))
        self.known.difference_update(tick.identity for tick in ticks[:gone])
        self.start, self.ticks = start, ticks[gone:]


class Tails:
    """All symbols of all sources. One thread at a time adds; any thread may read."""

    def __init__(self) -> None:
        self._tails: dict[tuple[str, str], Tail] = {}
        self._stored: dict[str, int] = {}  # source → when the newest row that was seen was stored (ms, the store's clock)
        self._whole: dict[str, float] = {}  # source → when the last look asked for all (monotonic)

    def stored_since(self, source: str, symbols: Sequence[str]) -> int:
        """What the next look asks for: ticks that were stored from this moment (ms) on. 0: all."""
        now = time.monotonic()
        if now < self._whole.get(source, now) + WHOLE_SECONDS and all((source, symbol) in self._tails for symbol in symbols):
            return max(self._stored.get(source, 0) - OVERLAP_MS, 0)
        self._whole[source] = now
        return 0

    def add(self, source: str, symbols: Sequence[str], found: Mapping[str, Sequence[NewTick]], start: int) -> None:
        """A look's ticks of these symbols from `start` on."""
        for symbol in symbols:
            tail = self._tails.setdefault((source, symbol), Tail(start))
            tail.add(found.get(symbol, ()))
            self._stored[source] = max(self._stored.get(source, 0), tail.stored)

    def quotes(self, source: str, symbols: Sequence[str], start: int) -> dict[str, dict[str, Any]]:
        """Symbol → its newest tick's fields, where that is of `start` or later; "ingested" is of the last that was stored."""
        kept = {symbol: self._tails[source, symbol] for symbol in symbols if (source, symbol) in self._tails}
        return {
            symbol: tail.ticks[-1].quote | {"ingested": tail.stored}
            for symbol, tail in kept.items()
            if tail.ticks and tail.ticks[-1].at >= start
        }

    def of(self, source: str, symbol: str, newest: int) -> tuple[int, list[NewTick]] | None:
        """A moment, and all ticks from it up to `newest`, by time; None where the one at `newest` is not among them."""
        tail = self._tails.get((source, symbol))
        if tail is None:
            return None
        ticks = tail.ticks  # first: its start may move on, then the first of these are not looked at
        start = tail.start
        if not ticks or ticks[-1].at < newest:
            return None
        return start, ticks[bisect.bisect_left(ticks, (start,)) : bisect.bisect_left(ticks, (newest + 1,))]
