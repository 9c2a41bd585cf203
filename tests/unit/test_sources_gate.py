"""The gate before Yahoo: shut for long after a 429, for a moment when nobody answers, and open again after one answer."""

from __future__ import annotations

import pytest

from stockwatch.errors import SourceError
from stockwatch.sources.gate import FAILURES, Gate


class Clocked:
    def __init__(self, chance: float = 0.0) -> None:
        self.now = 0.0
        self.gate = Gate(lambda: self.now, lambda: chance)

    def is_shut(self) -> bool:
        try:
            self.gate.check()
        except SourceError:
            return True
        return False


def test_each_429_shuts_for_longer_up_to_ten_minutes_and_an_answer_forgets_it() -> None:
    clocked = Clocked()
    waits = []
    for _ in range(6):
        waits.append(clocked.gate.limited("quotes", "rate limited").retry_after)
        assert waits[-1] is not None
        clocked.now += waits[-1] - 0.01
        assert clocked.is_shut()
        clocked.now += 0.02
        assert not clocked.is_shut()
    assert waits == [30, 60, 120, 240, 480, 600]
    clocked.gate.answered("quotes", clocked.gate.check())
    assert clocked.gate.limited("quotes", "rate limited").retry_after == 30


def test_the_jitter_only_makes_it_later_so_that_many_do_not_knock_at_once() -> None:
    waits = {Clocked(chance).gate.limited("quotes", "rate limited").retry_after for chance in (0.0, 0.5, 1.0)}
    assert waits == {30, 33.75, 37.5}


def test_the_circuit_breaks_after_some_failures_in_a_row_not_before() -> None:
    clocked = Clocked()
    for _ in range(FAILURES - 1):
        assert clocked.gate.failed("no network").retry_after is None
        assert not clocked.is_shut()
    assert clocked.gate.failed("no network").retry_after is not None
    with pytest.raises(SourceError, match=r"no network; asking again in \d+ s"):
        clocked.gate.check()
    clocked.now += 60
    clocked.gate.answered("quotes", clocked.gate.check())
    assert clocked.gate.failed("no network").retry_after is None


def test_an_answer_to_what_was_asked_before_a_429_opens_nothing_and_forgets_nothing() -> None:
    clocked = Clocked()
    begun = clocked.gate.check()  # bars, on their way while a quote is refused
    clocked.gate.limited("quotes", "rate limited")
    clocked.gate.answered("bars", begun)
    assert clocked.is_shut()
    clocked.now += 30
    begun = clocked.gate.check()
    assert clocked.gate.limited("quotes", "rate limited").retry_after == 60
    clocked.gate.answered("quotes", begun)
    clocked.now += 60
    assert clocked.gate.limited("quotes", "rate limited").retry_after == 120


def test_bars_that_are_answered_do_not_stop_the_growth_of_the_delay_for_quotes() -> None:
    clocked = Clocked()
    waits = []
    for _ in range(6):
        waits.append(clocked.gate.limited("quotes", "Yahoo refuses its own crumb (401)").retry_after or 0)
        clocked.now += waits[-1]
        clocked.gate.answered("bars", clocked.gate.check())
    assert waits == [30, 60, 120, 240, 480, 600]


def test_a_dead_network_never_opens_sooner_than_a_429_promised() -> None:
    clocked = Clocked()
    clocked.gate.limited("quotes", "rate limited")
    waits = [clocked.gate.failed("no network").retry_after for _ in range(FAILURES)]  # asked before it
    assert waits[-1] == 30
    clocked.now += 29.9
    with pytest.raises(SourceError, match="rate limited"):
        clocked.gate.check()
