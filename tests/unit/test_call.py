"""A call that cannot be interrupted: waited for in turns, left behind, its outcome carried over."""

from __future__ import annotations

import threading

import pytest

from stockwatch.component.call import Call


def test_the_outcome_is_carried_to_the_one_who_waits() -> None:
    call = Call(lambda: 5, "five")
    assert call.wait(10, lambda: False)
    assert call.result() == 5
    broken = Call(lambda: 1 / 0, "nothing")
    assert broken.wait(10, lambda: False)
    with pytest.raises(ZeroDivisionError):
        broken.result()


def test_it_is_left_behind_and_asked_for_again() -> None:
    release = threading.Event()
    call = Call(lambda: release.wait(30), "long")
    assert not call.wait(0.05, lambda: False)
    assert not call.wait(30, lambda: True)  # a stop ends the wait at once
    release.set()
    assert call.wait(10, lambda: False)
    assert call.result() is True
