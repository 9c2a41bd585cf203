"""Shared answers: one read for all who ask at once, and nobody is given an older one than they asked for."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stockwatch.dashboard.shared import Shared


def test_who_asks_for_a_newer_one_gets_it_however_long_another_may_keep_theirs() -> None:
    shared, numbers = Shared(), itertools.count()
    assert shared("quotes", 3600.0, lambda: next(numbers)) == 0
    assert shared("quotes", 3600.0, lambda: next(numbers)) == 0
    threading.Event().wait(0.01)
    assert shared("quotes", 0.005, lambda: next(numbers)) == 1
    assert shared("quotes", 3600.0, lambda: next(numbers)) == 1  # which is then everybody's
    assert shared("quotes", 0.0, lambda: next(numbers)) == 2


def test_what_another_has_read_serves_who_takes_an_older_one() -> None:
    shared, numbers = Shared(), itertools.count()
    assert shared("quotes", 0.0, lambda: next(numbers)) == 0
    assert shared("quotes", 3600.0, lambda: next(numbers)) == 0


def test_how_old_it_may_be_may_depend_on_it() -> None:
    shared, numbers = Shared(), itertools.count()

    def ask() -> int:
        return shared("candles", lambda found: 3600.0 if found >= 2 else 0.0, lambda: next(numbers))

    assert [ask() for _ in range(5)] == [0, 1, 2, 2, 2]


def test_many_who_ask_at_once_cost_one_read_and_other_keys_do_not_wait() -> None:
    shared, numbers, free = Shared(), itertools.count(), threading.Event()

    def slow() -> int:
        assert free.wait(10)
        return next(numbers)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(shared, "quotes", 3600.0, slow) for _ in range(8)]
        assert shared("bars", 3600.0, lambda: "bars") == "bars"
        free.set()
        assert [one.result(10) for one in asked] == [0] * 8


def test_a_read_that_fails_is_not_kept() -> None:
    shared, answers = Shared(), iter([ZeroDivisionError, None])

    def read() -> str:
        trouble = next(answers)
        if trouble:
            raise trouble
        return "there"

    with pytest.raises(ZeroDivisionError):
        shared("quotes", 3600.0, read)
    assert shared("quotes", 3600.0, read) == "there"
