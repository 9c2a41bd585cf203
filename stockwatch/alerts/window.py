"""The lowest price of a sliding window of event time, and since when: each tick is put in and taken out once."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence


class Lowest:
    """Only prices that can still become the lowest are kept: one that a later tick undercuts or equals never can.

    So it holds no more entries than there are different prices in the window, and which ones depends on what came, not on the
    order in which it came. For the highest price put in negative ones. Times are ms.
    """

    def __init__(self, entries: Sequence[tuple[int, float]] = ()) -> None:
        self._entries: deque[tuple[int, float]] = deque()
        for at, price in entries:
            self.append(at, price)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first(self) -> tuple[int, float] | None:
        """The lowest price as (at, price), of equal ones the latest; None when there is none."""
        return self._entries[0] if self._entries else None

    def trim(self, floor: int) -> None:
        """Forget what is older than `floor`."""
        entries = self._entries
        while entries and entries[0][0] < floor:
            entries.popleft()

    def append(self, at: int, price: float) -> None:
        """A tick that is not older than any before."""
        entries = self._entries
        while entries and entries[-1][1] >= price:
            entries.pop()
        entries.append((at, price))

    def extend(self, at: Sequence[int], prices: Sequence[float]) -> None:
        """Many of them, by time."""
        lowest, kept = float("inf"), []
        for place in range(len(prices) - 1, -1, -1):
            if prices[place] < lowest:
                lowest = prices[place]
                kept.append((at[place], lowest))
        entries = self._entries
        while entries and entries[-1][1] >= lowest:
            entries.pop()
        entries.extend(reversed(kept))

    def insert(self, at: int, price: float) -> None:
        """A tick that came late."""
        entries = list(self._entries)
        place = bisect_left(entries, at, key=lambda entry: entry[0])
        if place < len(entries) and entries[place][1] <= price:
            return  # a later one undercuts it
        earlier = [entry for entry in entries[:place] if entry[1] < price]
        self._entries = deque([*earlier, (at, price), *entries[place:]])
