"""Alerts: rules on sudden moves and levels, judged on the consumer's ticks as they are stored. alerts/watch.py has the rules.

The alerts of a batch are stored before its ticks: so every tick in the table has been judged, whenever the program was
killed, and ticks that are not in the table come again or are lost. After a start, and whenever partitions change hands, a
symbol's state is read back from both tables.

A recording may be played again, from its beginning or from where it was cut. Its ticks come by time, so there a tick that is
older than all that is remembered (or than the table's newest, at the first tick of a life) begins a new pass: it is judged
with what the table has up to it, and gives the same alerts; with other rules also theirs. Of the other sources such a tick is
late; but a tick that was far ahead by a broken clock must not silence its symbol for long, so BEHIND of them in a row begin one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol
from zoneinfo import ZoneInfo

from stockwatch.alerts.rules import Rules, rules_for
from stockwatch.alerts.watch import Watch
from stockwatch.alerts.webhook import Webhook
from stockwatch.alerts.words import describe
from stockwatch.health import Metric
from stockwatch.sessions import Instrument, is_replay, market_for, told_of
from stockwatch.settings.sections import Alerts
from stockwatch.store.alerts import Alert, AlertStore, Known
from stockwatch.tick import Tick

__all__ = ["Alert", "AlertJudge", "AlertStore", "Judge", "NoAlerts", "Webhook", "describe", "zone_of"]

log = logging.getLogger(__name__)

CHUNK = 256  # ticks that are looked at together first
MOST_SYMBOLS = 10_000  # past that all is forgotten, and read again where it is needed
BEHIND = 20  # ticks in a row that are older than all that is remembered: then the newest one was wrong, and they are not late
MOST_LINES = 20  # in the log, of one batch
Rows = Sequence[tuple[Tick, int, int]]


class Judge(Protocol):
    """What the consumer asks of it, from one thread at a time."""

    def judge(self, rows: Rows) -> None:
        """Judge the (tick, partition, offset)s of a batch, and store the alerts; before the ticks are stored.

        Raises StoreError. Called again with the same list, longer by now or not, it goes on where it was: the ticks were refused.
        """

    def forget(self) -> None:
        """Partitions changed hands: others may have judged since. The batch will be judged anew."""

    def metrics(self) -> dict[str, Metric]:
        """For the consumer's health."""


class NoAlerts:
    """For a consumer that is measured by itself."""

    def judge(self, rows: Rows) -> None:
        """Nothing is judged."""

    def forget(self) -> None:
        """Nothing is known."""

    def metrics(self) -> dict[str, Metric]:
        """None."""
        return {}


class AlertJudge:
    """A Judge for one life of the consumer."""

    def __init__(self, settings: Alerts, store: AlertStore, webhook: Webhook | None = None) -> None:
        self._settings, self._store, self._webhook = settings, store, webhook
        self._watches: dict[tuple[str, str], Watch] = {}
        self._rules: dict[str, Rules] = {}
        self._batch: Rows = ()
        self._judged = 0  # how many of the batch
        self._count = 0
        self._instruments: dict[tuple[str, str], Instrument | None] = {}

    def judge(self, rows: Rows) -> None:
        """See Judge."""
        if rows is not self._batch:
            self._batch, self._judged = rows, 0
        groups: dict[tuple[str, str], list[Tick]] = {}
        for tick, _partition, _offset in rows[self._judged :] if self._judged else rows:
            key = (tick.source, tick.symbol)
            group = groups.get(key)
            if group is None:
                groups[key] = [tick]
            else:
                group.append(tick)
        try:
            found = [alert for (source, symbol), ticks in groups.items() for alert in self._judge(source, symbol, ticks)]
            self._store.insert_alerts(found)
            told = {alert: self._instrument(alert) for alert in found}
        except Exception:  # what is half judged is judged again, from what is stored
            self.forget()
            raise
        self._judged = len(rows)
        self._tell(told)

    def _judge(self, source: str, symbol: str, ticks: list[Tick]) -> list[Alert]:
        found: list[Alert] = []
        again = is_replay(source)
        watch = self._watches.get((source, symbol)) or self._watch(source, symbol, ticks[0].at if again else None)
        for first in range(0, len(ticks), CHUNK):
            chunk = ticks[first : first + CHUNK]
            if watch.passes(chunk):
                continue
            for tick in chunk:
                if watch.is_before(tick.at) and (again or watch.behind >= BEHIND):
                    watch = self._watch(source, symbol, tick.at)
                found += watch.judge(tick)
        return found

    def _watch(self, source: str, symbol: str, upto: int | None) -> Watch:
        """A symbol's state by the store; `upto` (ms): only what was known at that moment."""
        rules = self._rules.get(symbol) or rules_for(self._settings, symbol)
        known: Known = self._store.known(source, symbol, rules.window, upto)
        stored = []
        if known.head is not None:
            end = None if upto is None else upto + 1
            stored = self._store.alerts(source, symbol, known.head - rules.cooldown, end)
        if len(self._watches) >= MOST_SYMBOLS:
            self._watches.clear()
            self._rules.clear()
        self._rules[symbol] = rules
        watch = self._watches[source, symbol] = Watch(source, symbol, rules, known, stored)
        return watch

    def _instrument(self, alert: Alert) -> Instrument | None:
        key = (alert.source, alert.symbol)
        if key not in self._instruments:
            self._instruments[key] = self._store.instrument(*key)
        return self._instruments[key]

    def _tell(self, found: Mapping[Alert, Instrument | None]) -> None:
        self._count += len(found)
        for number, alert in enumerate(sorted(found, key=lambda alert: alert.at)):
            text = describe(alert, zone_of(alert, found[alert]))
            if number < MOST_LINES:
                log.warning("alert: %s", text)
            if self._webhook is not None:
                self._webhook.post(alert, text, told_of(alert.source, alert.symbol, found[alert]).simulated)
        if len(found) > MOST_LINES:
            log.warning("alert: and %d more; they are in the table alerts", len(found) - MOST_LINES)

    def forget(self) -> None:
        """See Judge."""
        self._watches.clear()
        self._judged = 0

    def metrics(self) -> dict[str, Metric]:
        """alerts: how many this life has told; and the webhook's."""
        return {"alerts": self._count, **(self._webhook.metrics() if self._webhook is not None else {})}


def zone_of(alert: Alert, instrument: Instrument | None = None) -> ZoneInfo:
    """The zone in which people of an alert's market read its time. `instrument`: what a recording brought."""
    return market_for(alert.source, alert.symbol, instrument).timezone
