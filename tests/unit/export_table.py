"""A table in memory that export reads as it reads the store, and what is in it, for comparing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd

from stockwatch.sessions import Instrument

MINUTE, DAY = 60_000, 86_400_000
OPEN = int(datetime(2026, 11, 16, 3, 45, tzinfo=UTC).timestamp() * 1000)  # Monday 09:15 IST
DAYS = [OPEN + number * DAY for number in range(5)] + [OPEN + number * DAY for number in (7, 9, 10, 11)]  # the 24th: a holiday
OPTIONAL = ("bid", "ask", "previous_close", "day_open", "day_high", "day_low")


class Table:
    """A tick each minute of the first hour of nine sessions of each symbol, each with 10 traded."""

    def __init__(self, *symbols: str, source: str = "yahoo", instruments: dict[str, Instrument] | None = None) -> None:
        self.source, self.names = source, list(symbols or ("TCS.NS",))
        self.instruments = instruments or {}
        self.rows = pd.DataFrame(
            {"at": day + n * MINUTE, "price": 100.0 + n, "day_volume": 10 * (n + 1)} for day in DAYS for n in range(60)
        ).assign(**dict.fromkeys(OPTIONAL, float("nan")), currency="INR")
        self.asked: list[tuple[int | None, int | None]] = []

    def _between(self, start_ms: int | None, end_ms: int | None) -> pd.DataFrame:
        return self.rows[(self.rows["at"] >= (start_ms or 0)) & (self.rows["at"] < (end_ms or 2**62))]

    def prices(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        self.asked.append((start_ms, end_ms))
        return self._between(start_ms, end_ms)

    def bars(self, source: str, symbol: str, start_ms: int | None = None, end_ms: int | None = None) -> pd.DataFrame:
        return pd.DataFrame(columns=["start", "minutes", "open", "high", "low", "close", "volume"])

    def earliest_at(self, source: str, symbol: str) -> int | None:
        return int(self.rows["at"].iloc[0])

    def latest_at(self, source: str, symbol: str, end_ms: int | None = None) -> int | None:
        return int(self.rows["at"].iloc[-1])

    def symbols(self, source: str) -> list[str]:
        return sorted(self.names) if source == self.source else []

    def sources(self) -> list[str]:
        return [self.source]

    def instrument(self, source: str, symbol: str) -> Instrument | None:
        return self.instruments.get(symbol)

    def iter_ticks(
        self, source: str, symbol: str | None, start_ms: int | None, end_ms: int | None, rows_per_frame: int = 65_536
    ) -> Iterator[pd.DataFrame]:
        whole = self._between(start_ms, end_ms).assign(symbol=symbol)
        for start in range(0, len(whole), min(rows_per_frame, 100)):
            yield whole.iloc[start : start + min(rows_per_frame, 100)]
