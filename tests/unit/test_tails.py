"""The newest ticks, kept as they come: complete from their start on, each once, and not without bound."""

from __future__ import annotations

from stockwatch.dashboard.tails import KEPT_MS, MOST_KEPT, OVERLAP_MS, Tails
from stockwatch.store import _query
from stockwatch.store.news import MOST_NEWS, NewTick

AT = 1_764_000_000_000
YAHOO = "yahoo"


def tick(after: int, volume: int = 0, price: float = 1.0, offset: int = 0) -> NewTick:
    return NewTick(AT + after, volume, offset, price)


def test_what_comes_late_or_twice_is_in_its_place_once() -> None:
    tails = Tails()
    tails.add(YAHOO, "A", [tick(20, 2), tick(10, 1)], AT, AT + 30)
    tails.add(YAHOO, "A", [tick(20, 2, offset=9), tick(15, 1), tick(20, 2, price=1.5)], AT, AT + 40)
    assert tails.of(YAHOO, "A", AT + 20) == (AT, [tick(10, 1), tick(15, 1), tick(20, 2), tick(20, 2, price=1.5)])


def test_ties_stand_as_in_the_store() -> None:
    """By volume, then by offset: the last of them is the price."""
    tails = Tails()
    tails.add(YAHOO, "A", [tick(5, 2, 1.0, offset=7), tick(5, 2, 3.0, offset=6), tick(5, 1, 2.0, offset=9)], AT, AT)
    found = tails.of(YAHOO, "A", AT + 5)
    assert found is not None
    assert [each.price for each in found[1]] == [2.0, 3.0, 1.0]


def test_it_says_when_it_does_not_know() -> None:
    tails = Tails()
    assert tails.of(YAHOO, "A", AT) is None
    tails.add(YAHOO, "A", [], AT, 0)
    assert tails.of(YAHOO, "A", AT) is None
    tails.add(YAHOO, "A", [tick(10)], AT, 0)
    assert tails.of(YAHOO, "A", AT + 11) is None  # the newest is known elsewhere, and not here
    assert tails.of("simulator", "A", AT + 10) is None
    assert tails.of(YAHOO, "A", AT + 9) == (AT, [])


def test_the_next_look_asks_for_what_was_stored_since() -> None:
    tails = Tails()
    assert tails.stored_since(YAHOO, ["A", "B"]) == 0
    tails.add(YAHOO, "A", [tick(10)], AT, AT + 50)
    assert tails.stored_since(YAHOO, ["A", "B"]) == 0
    tails.add(YAHOO, "B", [tick(10)], AT, AT + 30)
    assert tails.stored_since(YAHOO, ["A", "B"]) == AT + 50 - OVERLAP_MS


def test_the_old_is_forgotten_and_what_is_kept_is_still_complete() -> None:
    tails = Tails()
    tails.add(YAHOO, "A", [tick(0), tick(1_000)], AT, AT)
    tails.add(YAHOO, "A", [tick(KEPT_MS + 500)], AT, AT)
    assert tails.of(YAHOO, "A", AT + KEPT_MS + 500) == (AT + 500, [tick(1_000), tick(KEPT_MS + 500)])
    tails.add(YAHOO, "A", [tick(400)], AT, AT)
    assert tails.of(YAHOO, "A", AT + KEPT_MS + 500) == (AT + 500, [tick(1_000), tick(KEPT_MS + 500)])


def test_more_than_is_kept_begins_later() -> None:
    tails = Tails()
    for begin in range(0, MOST_KEPT + 1_000, 1_000):
        tails.add(YAHOO, "A", [tick(number) for number in range(begin, begin + 1_000)], AT, AT)
    newest = MOST_KEPT + 999
    assert tails.of(YAHOO, "A", AT + newest) == (AT + 1_000, [tick(number) for number in range(1_000, newest + 1)])


def test_an_answer_that_may_lack_some_is_not_taken_for_all() -> None:
    tails = Tails()
    tails.add(YAHOO, "A", [tick(number) for number in range(MOST_NEWS)], AT, AT)
    assert tails.of(YAHOO, "A", AT + MOST_NEWS - 1) is None
    tails.add(YAHOO, "A", [tick(MOST_NEWS - 1), tick(MOST_NEWS)], AT, AT)
    assert tails.of(YAHOO, "A", AT + MOST_NEWS) == (AT + MOST_NEWS, [tick(MOST_NEWS)])


def test_the_query_keeps_to_the_same_bound() -> None:
    assert f"groupArrayIf({MOST_NEWS})" in _query("news")
