"""The parts of the page that are pushed: what each holds for one ticker, and when it is due again.

A part's name is a JSON list, as the page writes it: its kind and what it is of.
    ["head", symbol]                                 the two rows of the header, banner and notices, as HTML
    ["pair", symbol, minutes, count, "average,vwap"] candles and volume: cards
    ["live", symbol, minutes]                        the price line: a card; 0 minutes: the session so far
    ["list"]                                         the watchlist: a row for each ticker
    ["alerts"]                                       the newest alerts: key → time, symbol, change, words
    ["side"]                                         the sidebar: HTML, and what moves in it (sidebar.side)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from stockwatch.dashboard import cards, header, notices, reader, sidebar, watchlist
from stockwatch.dashboard.facts import Facts
from stockwatch.dashboard.live import AT_ONCE
from stockwatch.dashboard.reader import Reader
from stockwatch.errors import StockwatchError
from stockwatch.settings.sections import CANDLE_MINUTES
from stockwatch.tick import MAX_SYMBOL_LENGTH

FRESH = 0.8  # of the pause: what is known so lately is not asked for again, by whichever part
QUIET = 2.0  # s, while no market is open
TRY_AGAIN = 1.0
SIDE_SECONDS = 1.0
LIST_SECONDS = 1.0
SHOWN_ALERTS = 8
HEAD_SECONDS = 2.0  # a price that grows stale is said by then
MOST_CANDLES = 1000
MOST_MADE = 100  # parts that are not made again while nothing is new
WINDOWS = (0, 15, 60)
LINES = ("average", "vwap")
State = dict[str, Any]


def is_part(name: str) -> bool:
    """Whether a page may watch this."""
    try:
        kind, *of = json.loads(name)
    except (ValueError, TypeError):
        return False
    if kind in ("side", "list", "alerts"):
        return not of
    if not of or not isinstance(of[0], str) or not 0 < len(of[0]) <= MAX_SYMBOL_LENGTH:
        return False
    if kind == "head":
        return len(of) == 1
    if kind == "live":
        return len(of) == 2 and of[1] in WINDOWS
    if kind != "pair" or len(of) != 4 or not isinstance(of[3], str):
        return False
    count_is_right = isinstance(of[2], int) and 0 < of[2] <= MOST_CANDLES
    return count_is_right and of[1] in CANDLE_MINUTES and set(filter(None, of[3].split(","))) <= set(LINES)


class Parts:
    """Makes the parts; each by one thread at a time, several at once."""

    def __init__(self, of: Reader) -> None:
        self._reader = of
        self._page = of.settings.dashboard
        # name → of what, and what; the oldest first
        self._made: dict[str, tuple[Facts, dict[str, Any], tuple[State, float]]] = {}
        self._turn = 0  # whose charts are read ahead next
        self.viewers: Callable[[], int] = lambda: 0  # how many pages are open

    def make(self, name: str) -> tuple[State, float]:
        """The part's state, and in how many seconds it is due again."""
        kind, *of = json.loads(name)
        try:
            if kind == "side":
                return self._side(), SIDE_SECONDS
            if kind == "alerts":
                return self._alerts(), max(self.pause / 2, LIST_SECONDS)
            if kind == "list":
                return self._list(), max(self.pause, LIST_SECONDS)
            if of[0] not in self._reader.tickers(self._reader.source()):
                return _empty(f"No ticker {of[0]}", "It is not among the tickers in settings.toml. Choose another one."), QUIET
            facts = self._reader.facts(of[0], fresh=self.pause * FRESH)
            if facts is None:
                return self._waiting(of[0]), TRY_AGAIN
            health = self._reader.health()
            made = self._made.pop(name, None)
            if made is None or made[0] is not facts or made[1] is not health:
                made = facts, health, self._of(kind, facts, health, of[1:])
            self._made[name] = made
            if len(self._made) > MOST_MADE:
                self._made.pop(next(iter(self._made)), None)
            return made[2]
        except StockwatchError as error:
            return _empty("The store does not answer", f"{error}. Asking again by itself."), TRY_AGAIN

    @property
    def pause(self) -> float:
        """Seconds between two refreshes: the setting's, or at once with a setting below a second or a source that streams."""
        told = reader.producer(self._reader.health()) or {}
        refresh = self._page.live_refresh_seconds
        return AT_ONCE if refresh < 1 or told.get("streaming") else refresh

    @property
    def rhythm(self) -> str:
        """The same in words."""
        return "live" if self.pause == AT_ONCE else f"refreshes every {self.pause:g} s"

    def _of(self, kind: str, facts: Facts, health: dict[str, Any], of: list[Any]) -> tuple[State, float]:
        pause = self.pause if header.is_open(facts, health) or facts.is_replay else max(self.pause, QUIET)
        if kind == "head":
            return self._head(facts, health), min(pause, HEAD_SECONDS)
        if kind == "live":
            line = self._reader.line_of(facts, of[0] or None)
            if line.empty:
                return self._waiting(facts.symbol), TRY_AGAIN
            return {"live": cards.live(facts, line, health, self.rhythm)}, pause
        minutes, count, lines = of
        frame = self._reader.candles_of(facts, minutes, count)
        if frame.empty:
            return self._waiting(facts.symbol), TRY_AGAIN
        shown = min(self._page.candle_count, len(frame))
        return dict(cards.pair(facts, frame, health, minutes, shown, tuple(filter(None, lines.split(","))))), pause

    def _head(self, facts: Facts, health: dict[str, Any]) -> State:
        top = header.second_row(facts, health)
        if facts.simulated:
            top += '<div class="sw-stripes"></div><div class="sw-banner" style="margin-top:10px"><b>Simulated prices.</b>'
            top += "They come from the built-in generator, not from the market."
            top += "</div>" if facts.is_replay else " Every stored row says “simulator”.</div>"
        said = notices.lines(header.producer(health))
        due = header.is_open(facts, health) and not facts.is_replay  # whether its age means anything
        return {
            "first": header.first_row(facts, health),
            "top": top + notices.html(said),
            "title": header.title(facts),
            "at": facts.at,
            "due": due,
            "stale": header.is_stale(facts, health),
            "source": facts.source,
            "opened": facts.session[0],
        }

    def _waiting(self, symbol: str) -> State:
        if symbol in notices.unknown(header.producer(self._reader.health())):
            return _empty(f"No prices of {symbol}", "Yahoo does not know this ticker, or it is delisted. Choose another one.")
        return _empty("Waiting for the first prices", "The page shows them as soon as they are stored.")

    def _list(self) -> State:
        source, health = self._reader.source(), self._reader.health()
        rows = {}
        for symbol in self._reader.tickers(source):
            facts = self._reader.facts(symbol, fresh=max(self.pause, LIST_SECONDS) / 2)
            rows[symbol] = watchlist.row(facts, health, self._reader.outline(facts) if facts else [])
            since = facts.session[0] if facts else 0
            rows[symbol]["alerts"] = sum(alert.symbol == symbol and alert.at >= since for alert in self._reader.alerts(source))
        self._read_ahead(list(rows))
        return {"rows": rows}

    def _read_ahead(self, symbols: list[str]) -> None:
        """One ticker after the other, at each making of the list: a switch to it finds most of its charts read."""
        if not symbols:
            return
        self._turn += 1
        facts = self._reader.facts(symbols[self._turn % len(symbols)], fresh=LIST_SECONDS)
        if facts is not None:
            self._reader.candles_of(facts, self._page.candle_minutes, self._page.candle_count)
            self._reader.line_of(facts)

    def _alerts(self) -> State:
        source, rules = self._reader.source(), self._reader.settings.alerts
        told = self._reader.alerts(source)[:SHOWN_ALERTS]
        zones = {symbol: self._reader.market(source, symbol).timezone for symbol in {alert.symbol for alert in told}}
        mark = " · SIMULATED" if source == "simulator" else " · replay" if source.startswith("replay:") else ""
        return {
            "rule": f"moves over {rules.move_percent:g} % in {rules.window_minutes:g} min",
            "order": [alert.key for alert in told],
            "items": {alert.key: watchlist.alert(alert, zones[alert.symbol], mark) for alert in told},
        }

    def _side(self) -> State:
        return sidebar.side(self._reader.health(), self.viewers())


def _empty(title: str, said: str) -> State:
    return {"empty": [title, said]}
