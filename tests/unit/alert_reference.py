"""Alerts by a slow, obvious reference that keeps everything; and a store in memory that answers as the tables do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stockwatch.alerts.rules import rules_for
from stockwatch.sessions import Instrument
from stockwatch.settings.sections import Alerts
from stockwatch.store.alerts import NOTHING, Alert, Known
from stockwatch.tick import Tick

Row = tuple[Tick, int, int]
T0 = 1_764_000_000_000
MINUTE = 60_000


def rows_of(ticks: Sequence[Tick], first: int = 0) -> list[Row]:
    """As the consumer has them: one partition, offsets in a row."""
    return [(tick, 0, first + number) for number, tick in enumerate(ticks)]


def series(prices: Iterable[tuple[float, float]], symbol: str = "AAPL", source: str = "yahoo") -> list[Tick]:
    """(minutes since T0, price)s as ticks."""
    return [Tick(symbol, T0 + round(minutes * MINUTE), price, 0, source) for minutes, price in prices]


class Memory:
    """What AlertJudge asks of an AlertStore."""

    def __init__(self) -> None:
        self.ticks: dict[tuple[str, str, int, int, float], int] = {}  # identity → offset
        self.rows: set[Alert] = set()
        self.questions = 0

    def insert_ticks(self, rows: Iterable[Row]) -> None:
        for tick, _partition, offset in rows:
            self.ticks[tick.source, tick.symbol, tick.at, tick.day_volume, tick.price] = offset

    def insert_alerts(self, alerts: Sequence[Alert]) -> None:
        self.rows |= set(alerts)

    def instrument(self, source: str, symbol: str) -> Instrument | None:
        return None

    def alerts(self, source: str, symbol: str = "", start: int | None = None, end: int | None = None) -> list[Alert]:
        mine = [a for a in self.rows if a.source == source and symbol in ("", a.symbol)]
        return [a for a in mine if (start is None or a.at >= start) and (end is None or a.at < end)]

    def known(self, source: str, symbol: str, window: int, upto: int | None = None) -> Known:
        self.questions += 1
        mine = [
            (at, offset, volume, price)
            for (of, name, at, volume, price), offset in self.ticks.items()
            if (of, name) == (source, symbol) and (upto is None or at <= upto)
        ]
        if not mine:
            return NOTHING
        head, _offset, _volume, last = max(mine)
        latest = {price: at for at, _offset, _volume, price in sorted(mine) if at >= head - window}
        at_head = {(volume, price) for at, _offset, volume, price in mine if at == head}
        return Known(head, last, at_head, sorted((at, price) for price, at in latest.items()))


def expected(log: Sequence[Tick], settings: Alerts) -> set[Alert]:
    """The rules of stockwatch/alerts/watch.py, word by word, with everything kept."""
    found: list[Alert] = []
    for source, symbol in sorted({(tick.source, tick.symbol) for tick in log}):
        rules = rules_for(settings, symbol)
        seen: list[Tick] = []
        last: Tick | None = None
        for tick in log:
            if (tick.source, tick.symbol) != (source, symbol) or tick in seen:
                continue
            if last is None or tick.at >= last.at:
                if last is not None:
                    found += _judged(tick, last, seen, rules, found)
                last = tick
            seen.append(tick)
    return set(found)


def _judged(tick, last, seen, rules, found):  # type: ignore[no-untyped-def]
    near = [other for other in seen if tick.at - rules.window <= other.at <= tick.at]
    made = []
    if near:
        low = min(near, key=lambda other: (other.price, -other.at))
        high = max(near, key=lambda other: (other.price, other.at))
        up, down = tick.price / low.price - 1, 1 - tick.price / high.price
        of, size = (low, up) if up >= down else (high, down)
        made += [(move.text, of.at, of.price) for move in rules.moves if size * 100 >= move.percent - 1e-7]
    for level in rules.levels:
        crossed = last.price <= level.price < tick.price if level.side > 0 else last.price >= level.price > tick.price
        if crossed:
            made.append((level.text, last.at, last.price))
    alerts = []
    for rule, at, price in made:
        told = [a.at for a in found if (a.source, a.symbol, a.rule) == (tick.source, tick.symbol, rule)]
        if not any(tick.at - then < rules.cooldown or then == tick.at for then in told):
            percent = round((tick.price - price) / price * 100, 6)
            alerts.append(Alert(tick.source, tick.symbol, tick.at, rule, price, tick.price, percent, at))
    return alerts
