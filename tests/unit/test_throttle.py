"""How fast passwords may be guessed, with a clock of our own."""

from __future__ import annotations

import pytest

from stockwatch.dashboard import throttle
from stockwatch.dashboard.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_each_wrong_password_doubles_the_wait_up_to_the_longest(clock: Clock) -> None:
    slow = Throttle(clock)
    assert slow.wait("192.0.2.1") == 0
    assert [slow.failed("192.0.2.1") for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]
    assert slow.wait("192.0.2.1") == 10
    clock.now += 9.5
    assert slow.wait("192.0.2.1") == 0.5
    clock.now += 1
    assert slow.wait("192.0.2.1") == 0


def test_one_guesser_does_not_hold_up_the_others(clock: Clock) -> None:
    slow = Throttle(clock)
    for _ in range(1000):
        slow.failed("192.0.2.1")
    assert slow.wait("192.0.2.2") == 0
    assert slow.delay() <= throttle.STORM_WAIT


def test_the_right_password_and_time_forgive(clock: Clock) -> None:
    slow = Throttle(clock)
    slow.failed("192.0.2.1")
    slow.failed("192.0.2.1")
    slow.passed("192.0.2.1")
    assert slow.wait("192.0.2.1") == 0
    assert slow.failed("192.0.2.1") == 0.5
    clock.now += throttle.FORGET_SECONDS + 1
    assert slow.failed("192.0.2.1") == 0.5


def test_while_many_guess_each_attempt_is_held(clock: Clock) -> None:
    slow = Throttle(clock)
    for number in range(throttle.CALM_FAILURES):
        slow.failed(f"192.0.2.{number}")
    assert slow.delay() == 0
    for number in range(throttle.CALM_FAILURES):
        slow.failed(f"198.51.100.{number}")
    assert slow.delay() == throttle.STORM_WAIT
    clock.now += 5 * throttle.FADE_SECONDS
    assert slow.delay() == 0


def test_memory_is_bounded_and_the_latest_guesser_is_remembered(clock: Clock) -> None:
    slow = Throttle(clock)
    for number in range(3 * throttle.MOST_CLIENTS):
        slow.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(slow._clients) == throttle.MOST_CLIENTS
    last = 3 * throttle.MOST_CLIENTS - 1
    assert slow.wait(f"10.0.{last >> 8 & 255}.{last & 255}") == 0.5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "192.0.2.2", False),
    ],
)
def test_one_machine_is_one_guesser(one: str, other: str, same: bool) -> None:
    assert (throttle.group(one) == throttle.group(other)) is same
