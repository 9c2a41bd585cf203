"""The newest ticks, kept as they come: complete from their start on, each once, and not without bound."""

from __future__ import annotations

import math

import pytest

from stockwatch.dashboard.tails import KEPT_MS, MOST_KEPT, OVERLAP_MS, WHOLE_SECONDS, Tails
from stockwatch.store import _query
from stockwatch.store.news import MOST_NEWS, NewTick

AT = 1_764_000_000_000
YAHOO = "yahoo"


def tick(after: int, volume: int = 0, price: float = 1.0, offset: int = 0, stored: int = AT) -> NewTick:
    return NewTick(AT + after, volume, offset, price, stored)


def add(tails: Tails, *found: NewTick, symbol: str = "A") -> None:
    tails.add(YAHOO, [symbol], {symbol: found} if found else {}, AT)


def of(tails: Tails, after: int, source: str = YAHOO) -> tuple[int, list[NewTick]] | None:
    return tails.of(source, "A", AT + after)


def test_what_comes_late_or_twice_is_in_its_place_once() -> None:
    tails = Tails()
    add(tails, tick(20, 2), tick(10, 1))
    add(tails, tick(20, 2, offset=9), tick(15, 1), tick(20, 2, price=1.5))
    assert of(tails, 20) == (AT, [tick(10, 1), tick(15, 1), tick(20, 2), tick(20, 2, price=1.5)])


def test_ties_stand_as_in_the_store() -> None:
    """By volume, then by offset: the last of them is the price."""
    tails = Tails()
    add(tails, tick(5, 2, 1.0, offset=7), tick(5, 2, 3.0, offset=6), tick(5, 1, 2.0, offset=9))
    found = of(tails, 5)
    assert found is not None
    assert [each.price for each in found[1]] == [2.0, 3.0, 1.0]
    assert tails.quotes(YAHOO, ["A"], AT)["A"]["price"] == 1.0


def test_it_says_when_it_does_not_know() -> None:
    tails = Tails()
    assert of(tails, 0) is None
    add(tails)
    assert of(tails, 0) is None
    assert tails.quotes(YAHOO, ["A", "B"], AT) == {}
    add(tails, tick(10))
    assert of(tails, 11) is None  # the newest is known elsewhere, and not here
    assert of(tails, 10, source="simulator") is None
    assert of(tails, 9) == (AT, [])
    assert tails.quotes(YAHOO, ["A"], AT + 11) == {}


def test_a_quote_is_the_newest_tick_and_says_when_the_last_was_stored() -> None:
    tails = Tails()
    add(tails, tick(20, 2, stored=AT + 30)._replace(bid=1.5, currency="INR"))
    add(tails, tick(10, 1, stored=AT + 40))  # a late one
    quote = tails.quotes(YAHOO, ["A"], AT)["A"]
    assert (quote["at"], quote["day_volume"], quote["bid"], quote["currency"]) == (AT + 20, 2, 1.5, "INR")
    assert quote["ingested"] == AT + 40
    assert math.isnan(quote["ask"])


def test_the_next_look_asks_for_what_was_stored_since(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tails = Tails()
    assert tails.stored_since(YAHOO, ["A", "B"]) == 0
    add(tails, tick(10, stored=AT + 50))
    assert tails.stored_since(YAHOO, ["A", "B"]) == 0
    add(tails, tick(10, stored=AT + 30), symbol="B")
    assert tails.stored_since(YAHOO, ["A", "B"]) == AT + 50 - OVERLAP_MS
    now[0] += WHOLE_SECONDS
    assert [tails.stored_since(YAHOO, ["A", "B"]) for _ in range(2)] == [0, AT + 50 - OVERLAP_MS]


def test_the_old_is_forgotten_and_what_is_kept_is_still_complete() -> None:
    tails = Tails()
    add(tails, tick(0), tick(1_000))
    add(tails, tick(KEPT_MS + 500))
    assert of(tails, KEPT_MS + 500) == (AT + 500, [tick(1_000), tick(KEPT_MS + 500)])
    add(tails, tick(400))
    assert of(tails, KEPT_MS + 500) == (AT + 500, [tick(1_000), tick(KEPT_MS + 500)])


def test_more_than_is_kept_begins_later() -> None:
    tails = Tails()
    for begin in range(0, MOST_KEPT + 1_000, 1_000):
        add(tails, *(tick(number) for number in range(begin, begin + 1_000)))
    newest = MOST_KEPT + 999
    assert of(tails, newest) == (AT + 1_000, [tick(number) for number in range(1_000, newest + 1)])


def test_an_answer_that_may_lack_older_ones_is_not_taken_for_all() -> None:
    tails = Tails()
    add(tails, *(tick(number) for number in range(1, MOST_NEWS + 1)))
    assert of(tails, MOST_NEWS) == (AT + 2, [tick(number) for number in range(2, MOST_NEWS + 1)])


def test_the_query_keeps_to_the_same_bound() -> None:
    assert f"LIMIT {MOST_NEWS} BY symbol" in _query("new_ticks")
