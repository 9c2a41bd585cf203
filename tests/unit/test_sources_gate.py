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
        waits.append(clocked.gate.limited("rate limited").retry_after)
        assert waits[-1] is not None
        clocked.now += waits[-1] - 0.01
        assert clocked.is_shut()
        clocked.now += 0.02
        assert not clocked.is_shut()
    assert waits == [30, 60, 120, 240, 480, 600]
    clocked.gate.answered()
    assert clocked.gate.limited("rate limited").retry_after == 30


def test_the_jitter_only_makes_it_later_so_that_many_do_not_knock_at_once() -> None:
    waits = {Clocked(chance).gate.limited("rate limited").retry_after for chance in (0.0, 0.5, 1.0)}
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
    clocked.gate.answered()
    assert clocked.gate.failed("no network").retry_after is None
