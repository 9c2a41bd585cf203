"""The alerts in the store, and what of the ticks is asked to judge the next one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stockwatch.store import FOREVER, Store, _query
from stockwatch.store.trouble import named_trouble

COLUMNS = ("source", "symbol", "at", "rule", "from", "to", "percent", "from_at")
MOST = 1_000  # alerts of one answer


@dataclass(frozen=True)
class Alert:
    """A row of table `alerts`: at `at` (ms) a symbol was `percent` % away from what it cost at `from_at` (ms).

    rule: "move 1% in 5 min", "above 300" or "below 90". told_at: when it was stored last (ms); 0 before that.
    """

    source: str
    symbol: str
    at: int
    rule: str
    from_price: float
    to_price: float
    percent: float
    from_at: int
    told_at: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """32 hex digits of the identity: the same for the same alert, whoever finds it and whenever."""
        identity = (self.source, self.symbol, self.at, self.rule, self.from_price, self.to_price, self.percent)
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:32]


class Known(NamedTuple):
    """What a symbol's newest tick leaves behind.

    head: its time (ms); None: nothing is stored. at_head: (day_volume, price) of all ticks of that moment; last: the price of
    the last of them. prices: (at, price) of the window that ends there, by time; of each price only the last time it was seen.
    """

    head: int | None
    last: float
    at_head: set[tuple[int, float]]
    prices: list[tuple[int, float]]


NOTHING = Known(None, 0.0, set(), [])


class AlertStore(Store):
    """A Store that also has the alerts."""

    def insert_alerts(self, alerts: Sequence[Alert]) -> None:
        """Store alerts in one insert; one that is there already stays one row."""
        if alerts:
            rows = [(a.source, a.symbol, a.at, a.rule, a.from_price, a.to_price, a.percent, a.from_at) for a in alerts]
            with named_trouble(self.address.url):
                self._client_().insert("alerts", rows, column_names=COLUMNS)

    def alerts(
        self,
        source: str,
        symbol: str = "",
        start_ms: int | None = None,
        end_ms: int | None = None,
        *,
        told_after: int = 0,
        limit: int = MOST,
    ) -> list[Alert]:
        """Alerts at [start, end) of one symbol ("": all), the newest first. told_after (ms): only what was stored after that."""
        parameters: dict[str, Any] = self._parameters(source, symbol, start_ms, end_ms)
        parameters |= {"after": told_after, "limit": limit}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("alerts"), parameters=parameters).result_rows
        return [Alert(*row) for row in rows]

    def known(self, source: str, symbol: str, window_ms: int, upto_ms: int | None = None) -> Known:
        """What the newest tick at or before `upto_ms` (None: of all) leaves behind. As many rows as there are prices."""
        end = FOREVER[1] if upto_ms is None else upto_ms + 1
        parameters = {**self._parameters(source, symbol, None, end), "window": window_ms}
        with named_trouble(self.address.url):
            rows = self._client_().query(_query("alerts_known"), parameters=parameters).result_rows
        if not rows:
            return NOTHING
        head, last = int(rows[-1][0]), float(rows[-1][1])
        at_head = {(int(volume), float(price)) for _at, price, volumes, _place in rows for volume in volumes}
        return Known(head, last, at_head, [(int(at), float(price)) for at, price, _volumes, _place in rows])
