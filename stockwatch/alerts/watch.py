"""One symbol of one source: what it has done lately, and which of its ticks is an alert. Pure; by event time alone.

The order of the log decides, one tick after the other, so batches may be cut anywhere:
- A tick that is as new as the newest before it, or newer, is judged: against the lowest and the highest price at most
  `window` older than it, and, for a level, against the tick judged before it.
- A tick that came late (older than the newest) is not judged. It counts as history for those after it, if it is at most
  `window` late. So what is known is a set of ticks, however they came, and the table gives the same set after a restart.
- A repeat changes nothing.
- After an alert its rule is silent for `cooldown`; a level then waits for its next crossing. No rule tells one moment twice.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

from stockwatch.alerts.rules import Rules
from stockwatch.alerts.window import Lowest
from stockwatch.store.alerts import Alert, Known
from stockwatch.tick import Tick

EPSILON = 1e-9  # % that floating point may take from a move: 70.00 to 70.70 is 1 %
DIGITS = 6  # of the percentage that is stored


class Watch:
    """Begins with what the store knows: of the ticks, and the alerts that it holds of them."""

    def __init__(self, source: str, symbol: str, rules: Rules, known: Known, stored: Iterable[Alert] = ()) -> None:
        self._source, self._symbol, self._rules = source, symbol, rules
        self._head = known.head  # when the newest tick was
        self._at_head = set(known.at_head)  # (day_volume, price) of all ticks of that moment
        self._last = known.last  # the price of the one that came last
        self._lows = Lowest(known.prices)
        self._highs = Lowest([(at, -price) for at, price in known.prices])
        self._least = min((move.percent for move in rules.moves), default=float("inf")) - EPSILON
        self.behind = 0  # how many ticks in a row were older than all that is remembered
        texts = [move.text for move in rules.moves] + [level.text for level in rules.levels]
        self._told: dict[str, list[int]] = {text: [] for text in texts}
        self._stored: dict[tuple[str, int], Alert] = {}  # whose ticks may come again
        self._silent_until = 0  # until then no move is told
        for alert in sorted(stored, key=lambda alert: alert.at):
            if alert.rule in self._told:
                self._told[alert.rule].append(alert.at)
                if known.head is not None and alert.at >= known.head:
                    self._stored[alert.rule, alert.at] = alert

    def is_before(self, at: int) -> bool:
        """Whether a moment is older than all that is remembered."""
        return self._head is not None and at < self._head - self._rules.window

    def passes(self, ticks: Sequence[Tick]) -> bool:
        """Take ticks among which no alert can be, because they and the window before move too little; False: nothing is taken."""
        at = [tick.at for tick in ticks]
        if (self._head is not None and at[0] <= self._head) or at != sorted(at):
            return False
        prices = [tick.price for tick in ticks]
        low, high = min(prices), max(prices)
        reach = (low, high) if self._head is None else (min(low, self._last), max(high, self._last))
        if any(reach[0] <= level.price <= reach[1] for level in self._rules.levels):
            return False
        self._trim(at[0])
        if self._lows.first and self._highs.first:
            low, high = min(low, self._lows.first[1]), max(high, -self._highs.first[1])
        silent = at[-1] < self._silent_until and not self._stored
        if not silent and (high - low) / low * 100 >= self._least:
            return False
        self._lows.extend(at, prices)
        self._highs.extend(at, [-price for price in prices])
        self._head, self._last = at[-1], prices[-1]
        self._at_head = {(tick.day_volume, tick.price) for tick in ticks[-at.count(at[-1]) :]}
        return True

    def judge(self, tick: Tick) -> list[Alert]:
        """Take one tick; its alerts."""
        at, price, head = tick.at, tick.price, self._head
        mark = (tick.day_volume, price)
        self.behind = self.behind + 1 if self.is_before(at) else 0
        if head is not None and at < head:
            if not self.behind:
                self._lows.insert(at, price)
                self._highs.insert(at, -price)
            return []
        if at == head:
            if mark in self._at_head:
                return []
            self._at_head.add(mark)
        else:
            self._head, self._at_head = at, {mark}
            self._trim(at)
        found = []
        if head is not None:
            found = self._moves(at, price)
            crossed = [level for level in self._rules.levels if level.is_crossed(self._last, price)]
            found += [alert for level in crossed if (alert := self._alert(level.text, at, price, (head, self._last)))]
        self._last = price
        self._lows.append(at, price)
        self._highs.append(at, -price)
        return found

    def _trim(self, at: int) -> None:
        self._lows.trim(at - self._rules.window)
        self._highs.trim(at - self._rules.window)

    def _moves(self, at: int, price: float) -> list[Alert]:
        low, high = self._lows.first, self._highs.first
        if low is None or high is None:
            return []
        up, down = _percent(low[1], price), _percent(-high[1], price)
        reached = max(up, -down)
        if reached < self._least:
            return []
        start = low if up >= -down else (high[0], -high[1])
        moves = [move.text for move in self._rules.moves if reached >= move.percent - EPSILON]
        found = [alert for rule in moves if (alert := self._alert(rule, at, price, start))]
        if found:
            latest = min(max(self._told[move.text], default=0) for move in self._rules.moves)
            self._silent_until = latest + self._rules.cooldown
        return found

    def _alert(self, rule: str, at: int, price: float, start: tuple[int, float]) -> Alert | None:
        """The alert, or None in its rule's silence. start: (at, price) of what it is compared with."""
        stored = self._stored.pop((rule, at), None)
        if stored is not None:  # its tick was not: the end came between the two
            return stored
        told = self._told[rule]
        if any(then <= at and (at - then < self._rules.cooldown or then == at) for then in told):
            return None
        insort(told, at)
        while told[0] < at - self._rules.cooldown:
            del told[0]
        percent = round(_percent(start[1], price), DIGITS)
        return Alert(self._source, self._symbol, at, rule, start[1], price, percent, start[0])


def _percent(before: float, now: float) -> float:
    return (now - before) / before * 100
