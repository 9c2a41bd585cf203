"""The ledger of a fault: what was acknowledged, what is in the table, what a reader sees, and how soon it flows again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

RECOVERY_SECONDS = 15.0  # after the cause is gone
COLUMNS = ("fault", "broker", "acknowledged", "distinct", "seen", "lost", "twice", "recovery s", "note")


@dataclass(frozen=True)
class Ledger:
    """acknowledged: messages that the broker had taken. distinct: of these, in the table. seen: rows that a reader gets for them.

    recovery: seconds from the end of the cause until rows younger than that were readable; None where nothing stood still.
    """

    fault: str
    broker: str
    acknowledged: int
    distinct: int
    seen: int
    recovery: float | None = None
    note: str = ""

    @property
    def lost(self) -> int:
        """Acknowledged and not in the table."""
        return self.acknowledged - self.distinct

    @property
    def twice(self) -> int:
        """Rows that a reader sees and that are there already."""
        return self.seen - self.distinct

    def check(self) -> None:
        """Fails the test unless nothing is lost, nothing is twice, and fresh rows came in time."""
        assert self.acknowledged > 0, self
        assert (self.lost, self.twice) == (0, 0), self
        assert self.recovery is None or self.recovery <= RECOVERY_SECONDS, self


Book = Callable[[Ledger], None]  # keeps a ledger for the table at the end, then checks it


def kept(ledger: Ledger) -> tuple[str, dict[str, Any]]:
    """The ledger as a property of a test's report."""
    return "ledger", asdict(ledger)


def table(ledgers: Iterable[Ledger]) -> list[str]:
    """All ledgers, a line each."""
    rows = [
        (
            one.fault,
            one.broker,
            f"{one.acknowledged:,}",
            f"{one.distinct:,}",
            f"{one.seen:,}",
            str(one.lost),
            str(one.twice),
            "" if one.recovery is None else f"{one.recovery:.1f}",
            one.note,
        )
        for one in sorted(ledgers, key=lambda one: (int(one.fault.split()[0]), one.fault, one.broker))
    ]
    widths = [max(len(row[place]) for row in [COLUMNS, *rows]) for place in range(len(COLUMNS))]
    right = range(2, 8)
    return [
        "  ".join(
            text.rjust(width) if place in right else text.ljust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [COLUMNS, *rows]
    ]
